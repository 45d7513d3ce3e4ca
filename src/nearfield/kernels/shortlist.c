/* Shortlists: products with small stand-ins of the documents' vectors, in whole numbers, to the k
 * best.
 *
 * Signs: a query's values as whole numbers of -15 to 15, four dimensions at a time: the 16 sums
 * that four signs can choose are a table that one instruction looks 32 documents' codes up in
 * (Andre, Kermarrec and Le Scouarnec 2015, "Cache locality is not enough"). Codes: a byte a
 * dimension, against a query of -63 to 63: two products and their sum, 2 * 255 * 63, fit in the 16
 * bits that the instruction of AVX2 has for them, so that every level counts alike. */
#include "fours.h"
#include "heap.h"

#define BLOCK 1024 /* documents that all queries meet before the next ones are read */
#define SIDE 32    /* documents whose codes lie side by side; divides BLOCK */
#define CHUNK 512  /* bytes of codes, 1,024 tables of up to 60: their sum fits in 16 bits */

/* sums[j]: of the tables' entries that the codes of document j name. `codes`: (bytes, SIDE), a
 * byte's low half for table 2b. */
INLINE void look_up(const uint8_t *codes, ptrdiff_t bytes, const uint8_t *tables, float *sums) {
    for (int j = 0; j < SIDE; j++) sums[j] = 0;
    for (ptrdiff_t from = 0; from < bytes; from += CHUNK) {
        const ptrdiff_t to = from + CHUNK < bytes ? from + CHUNK : bytes;
        uint16_t part[SIDE] = {0};
#if defined(__AVX2__)
        const __m256i low_half = _mm256_set1_epi8(15), low_byte = _mm256_set1_epi16(255);
        __m256i even = _mm256_setzero_si256(), odd = even;
        for (ptrdiff_t b = from; b < to; b += 2) { /* four entries of up to 60 fit in a byte */
            __m256i four = _mm256_setzero_si256();
#pragma GCC unroll 2
            for (int i = 0; i < 2; i++) {
                const __m256i byte = _mm256_loadu_si256((const __m256i *)(codes + SIDE * (b + i)));
                const __m128i *pair = (const __m128i *)(tables + SIDE * (b + i));
                const __m256i first = _mm256_broadcastsi128_si256(_mm_loadu_si128(pair)),
                              second = _mm256_broadcastsi128_si256(_mm_loadu_si128(pair + 1));
                four = _mm256_add_epi8(
                    four, _mm256_shuffle_epi8(first, _mm256_and_si256(byte, low_half)));
                four = _mm256_add_epi8(
                    four, _mm256_shuffle_epi8(
                              second, _mm256_and_si256(_mm256_srli_epi16(byte, 4), low_half)));
            }
            even = _mm256_add_epi16(even, _mm256_and_si256(four, low_byte));
            odd = _mm256_add_epi16(odd, _mm256_srli_epi16(four, 8));
        }
        const __m256i a = _mm256_unpacklo_epi16(even, odd), b = _mm256_unpackhi_epi16(even, odd);
        _mm256_storeu_si256((__m256i *)part, _mm256_permute2x128_si256(a, b, 0x20));
        _mm256_storeu_si256((__m256i *)(part + 16), _mm256_permute2x128_si256(a, b, 0x31));
#else
        for (ptrdiff_t b = from; b < to; b++)
            for (int j = 0; j < SIDE; j++) {
                const uint8_t byte = codes[SIDE * b + j];
                part[j] += tables[SIDE * b + (byte & 15)] + tables[SIDE * b + 16 + (byte >> 4)];
            }
#endif
        for (int j = 0; j < SIDE; j++) sums[j] += (float)part[j];
    }
}

/* One query against documents first..last-1, first a multiple of SIDE. */
INLINE void meet_signs(const uint8_t *codes, ptrdiff_t bytes, const float *factors,
                       const float *offsets, int64_t first, int64_t last, const uint8_t *tables,
                       const float *line, int64_t k, float *scores, int64_t *positions) {
    for (int64_t d = first; d < last; d += SIDE) {
        const int count = last - d < SIDE ? (int)(last - d) : SIDE;
        float sums[SIDE];
        look_up(codes + d * bytes, bytes, tables, sums);
        int better = 0;
        if (count == SIDE) {
            for (int j = 0; j < SIDE; j++)
                sums[j] =
                    (sums[j] * line[0] + line[1]) * factors[d + j] + (offsets ? offsets[d + j] : 0);
            for (int j = 0; j < SIDE; j++) better |= sums[j] > scores[0];
        } else {
            for (int j = 0; j < count; j++)
                sums[j] =
                    (sums[j] * line[0] + line[1]) * factors[d + j] + (offsets ? offsets[d + j] : 0);
            better = 1;
        }
        if (!better) continue;
        for (int j = 0; j < count; j++)
            if (sums[j] > scores[0]) replace_worst(scores, positions, k, sums[j], d + j);
    }
}

/* Offers documents range[0]..range[1]-1 to the heaps of n queries; range[0] is a multiple of SIDE.
 * `codes`: (blocks, bytes, SIDE) of m documents, bytes even: of each eight dimensions, the first
 * the lowest bit, whether they are positive. `tables`: (n, bytes, 2, 16), what four dimensions add
 * for each pattern of their signs; `query_lines`: (n, 2), a product is the entries' sum times the
 * first plus the second; `factors`: (m), `offsets`: (m) or NULL, a score is the product times the
 * one plus the other; `scores` and `positions`: (n, k) as for `scan`. */
void NF(scan_signs)(const uint8_t *codes, int64_t bytes, const float *factors, const float *offsets,
                    const int64_t *range, const uint8_t *tables, const float *query_lines,
                    int64_t n, float *scores, int64_t *positions, int64_t k) {
    for (int64_t first = range[0]; first < range[1]; first += BLOCK) {
        const int64_t last = first + BLOCK < range[1] ? first + BLOCK : range[1];
        for (int64_t q = 0; q < n; q++)
            meet_signs(codes, bytes, factors, offsets, first, last, tables + SIDE * bytes * q,
                       query_lines + 2 * q, k, scores + q * k, positions + q * k);
    }
}

#define STEP 32 /* bytes that meet at once */

/* sums[j] + the sum of the four products at 4j .. 4j + 3. */
INLINE i8 add_products(i8 sums, const uint8_t *codes, const int8_t *query) {
#if defined(__AVX512VNNI__) && defined(__AVX512VL__)
    return (i8)_mm256_dpbusd_epi32((__m256i)sums, _mm256_loadu_si256((const __m256i *)codes),
                                   _mm256_loadu_si256((const __m256i *)query));
#elif defined(__AVXVNNI__)
    return (i8)_mm256_dpbusd_avx_epi32((__m256i)sums, _mm256_loadu_si256((const __m256i *)codes),
                                       _mm256_loadu_si256((const __m256i *)query));
#elif defined(__AVX2__)
    const __m256i pairs = _mm256_maddubs_epi16(_mm256_loadu_si256((const __m256i *)codes),
                                               _mm256_loadu_si256((const __m256i *)query));
    return sums + (i8)_mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
#else
    for (int j = 0; j < 8; j++)
        for (int i = 4 * j; i < 4 * j + 4; i++) sums[j] += codes[i] * query[i];
    return sums;
#endif
}

/* One query against four documents. */
INLINE f4 four_products(const ptrdiff_t width, const uint8_t *const *rows, const int8_t *query) {
    i4 half[4];
    for (int d = 0; d < 4; d++) {
        i8 sums = {0};
        for (ptrdiff_t i = 0; i < width; i += STEP)
            sums = add_products(sums, rows[d] + i, query + i);
        i4 parts[2];
        memcpy(parts, &sums, sizeof parts);
        half[d] = parts[0] + parts[1];
    }
    return __builtin_convertvector(transposed_sums_int(half[0], half[1], half[2], half[3]), f4);
}

/* One query against documents first..last-1. `width` is a constant at the calls for common lengths.
 */
INLINE void meet_codes(const ptrdiff_t width, const uint8_t *codes, const float *offsets,
                       int64_t first, int64_t last, const int8_t *query, float scale, int64_t k,
                       float *scores, int64_t *positions) {
    for (int64_t d = first; d < last; d += 4) {
        const uint8_t *rows[4];
        for (int j = 0; j < 4; j++) rows[j] = codes + (d + j < last ? d + j : last - 1) * width;
        const f4 product = four_products(width, rows, query) * scale;
        for (int j = 0; j < 4 && d + j < last; j++) {
            const float score = product[j] + offsets[d + j];
            if (score > scores[0]) replace_worst(scores, positions, k, score, d + j);
        }
    }
}

/* Offers documents range[0]..range[1]-1 to the heaps of n queries. `codes`: (m, width), width a
 * multiple of STEP; `offsets`: (m), a score is the product times the query's scale plus the
 * document's offset; `queries`: (n, width) of -63 to 63; `scales`: (n). */
void NF(scan_codes)(const uint8_t *codes, const float *offsets, int64_t width, const int64_t *range,
                    const int8_t *queries, const float *scales, int64_t n, float *scores,
                    int64_t *positions, int64_t k) {
    for (int64_t first = range[0]; first < range[1]; first += BLOCK) {
        const int64_t last = first + BLOCK < range[1] ? first + BLOCK : range[1];
        for (int64_t q = 0; q < n; q++) {
            const int8_t *own = queries + q * width;
            switch (width) {
#define CODES(count)                                                                      \
    case count:                                                                           \
        meet_codes(count, codes, offsets, first, last, own, scales[q], k, scores + q * k, \
                   positions + q * k);                                                    \
        break;
                CODES(64)
                CODES(96) CODES(128) CODES(192) CODES(256) default
                    : meet_codes(width, codes, offsets, first, last, own, scales[q], k,
                                 scores + q * k, positions + q * k);
            }
        }
    }
}
