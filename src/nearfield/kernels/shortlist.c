/* Shortlists: products with small stand-ins of the documents' vectors, in whole numbers, to the k best.
 *
 * Signs: with a query's values as low + step * u, u of 0 to 15 in PLANES planes of bits, the sum of its values where a document's bit is
 * set is low * count(bits) + step * sum_p 2^p count(bits & plane p) (Gao and Long 2024, RaBitQ, section 3.3).
 * Codes: a byte a dimension, against a query of -63 to 63: two products and their sum, 2 * 255 * 63, fit in the 16 bits that the
 * instruction of AVX2 has for them, so that every level counts alike. */
#include "fours.h"
#include "heap.h"

#define PLANES 4

#define BLOCK 1024 /* documents that all queries meet before the next ones are read */

/* One query against documents first..last-1. `words` is a constant at the calls for common lengths. */
INLINE void meet_signs(const ptrdiff_t words, const uint64_t *bits, const float *lines, int64_t first, int64_t last, const uint64_t *planes,
                 const float *line, int64_t k, float *scores, int64_t *positions) {
    for (int64_t d = first; d < last; d++) {
        const uint64_t *at = bits + d * words;
        int64_t set = 0, sum[PLANES] = {0};
        for (ptrdiff_t w = 0; w < words; w++) {
            set += __builtin_popcountll(at[w]);
#pragma GCC unroll 4
            for (int p = 0; p < PLANES; p++) sum[p] += __builtin_popcountll(at[w] & planes[w * PLANES + p]);
        }
        const int64_t weighted = sum[0] + 2 * sum[1] + 4 * sum[2] + 8 * sum[3];
        const float score = ((float)weighted * line[0] + (float)set * line[1] + line[2]) * lines[2 * d] + lines[2 * d + 1];
        if (score > scores[0]) replace_worst(scores, positions, k, score, d);
    }
}

/* Offers documents range[0]..range[1]-1 to the heaps of n queries. `bits`: (m, words); `lines`: (m, 2), a score is the product times
 * lines[0] plus lines[1]; `planes`: (n, words, PLANES); `query_lines`: (n, 3), what the weighted count and the count are multiplied
 * with, and what is added, to give the product; `scores` and `positions`: (n, k) as for `scan`. */
void NF(scan_signs)(const uint64_t *bits, const float *lines, int64_t words, const int64_t *range, const uint64_t *planes,
                    const float *query_lines, int64_t n, float *scores, int64_t *positions, int64_t k) {
    for (int64_t first = range[0]; first < range[1]; first += BLOCK) {
        const int64_t last = first + BLOCK < range[1] ? first + BLOCK : range[1];
        for (int64_t q = 0; q < n; q++) {
            const uint64_t *own = planes + q * words * PLANES;
            const float *line = query_lines + 3 * q;
            switch (words) {
#define SIGNS(count) case count: meet_signs(count, bits, lines, first, last, own, line, k, scores + q * k, positions + q * k); break;
                SIGNS(4) SIGNS(6) SIGNS(8) SIGNS(12) SIGNS(16)
            default: meet_signs(words, bits, lines, first, last, own, line, k, scores + q * k, positions + q * k);
            }
        }
    }
}

#define STEP 32 /* bytes that meet at once */

/* sums[j] + the sum of the four products at 4j .. 4j + 3. */
INLINE i8 add_products(i8 sums, const uint8_t *codes, const int8_t *query) {
#if defined(__AVX512VNNI__) && defined(__AVX512VL__)
    return (i8)_mm256_dpbusd_epi32((__m256i)sums, _mm256_loadu_si256((const __m256i *)codes), _mm256_loadu_si256((const __m256i *)query));
#elif defined(__AVX2__)
    const __m256i pairs = _mm256_maddubs_epi16(_mm256_loadu_si256((const __m256i *)codes), _mm256_loadu_si256((const __m256i *)query));
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
        for (ptrdiff_t i = 0; i < width; i += STEP) sums = add_products(sums, rows[d] + i, query + i);
        i4 parts[2];
        memcpy(parts, &sums, sizeof parts);
        half[d] = parts[0] + parts[1];
    }
    return __builtin_convertvector(transposed_sums_int(half[0], half[1], half[2], half[3]), f4);
}

/* One query against documents first..last-1. `width` is a constant at the calls for common lengths. */
INLINE void meet_codes(const ptrdiff_t width, const uint8_t *codes, const float *offsets, int64_t first, int64_t last,
                       const int8_t *query, float scale, int64_t k, float *scores, int64_t *positions) {
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

/* Offers documents range[0]..range[1]-1 to the heaps of n queries. `codes`: (m, width), width a multiple of STEP; `offsets`: (m), a
 * score is the product times the query's scale plus the document's offset; `queries`: (n, width) of -63 to 63; `scales`: (n). */
void NF(scan_codes)(const uint8_t *codes, const float *offsets, int64_t width, const int64_t *range, const int8_t *queries,
                    const float *scales, int64_t n, float *scores, int64_t *positions, int64_t k) {
    for (int64_t first = range[0]; first < range[1]; first += BLOCK) {
        const int64_t last = first + BLOCK < range[1] ? first + BLOCK : range[1];
        for (int64_t q = 0; q < n; q++) {
            const int8_t *own = queries + q * width;
            switch (width) {
#define CODES(count) case count: meet_codes(count, codes, offsets, first, last, own, scales[q], k, scores + q * k, positions + q * k); break;
                CODES(64) CODES(96) CODES(128) CODES(192) CODES(256)
            default: meet_codes(width, codes, offsets, first, last, own, scales[q], k, scores + q * k, positions + q * k);
            }
        }
    }
}
