/* The k best documents of each query, by one pass over stored vectors.
 *
 * Documents are taken TILE at a time and decoded to float32 into a buffer that stays in the
 * first-level cache; float32 rows are read where they lie. Each query meets them there, GROUP
 * queries x 4 documents in registers, and a score goes no further than a comparison with the worst
 * of that query's heap: no matrix of scores is written. A pair's score is one sum over LANES-wide
 * steps whatever the tile, so that it does not depend on the number of queries or on where a range
 * of documents begins. */
#include <float.h>

#include "fours.h"
#include "heap.h"

enum { FLOAT32, FLOAT16, INT8, BINARY };
enum { DOT, COSINE, EUCLIDEAN };

#define TILE 16
#if LANES == 16
#define GROUP 6 /* 6 x 4 sums of 32 registers */
#else
#define GROUP 3 /* 3 x 4 sums of 16 registers */
#endif

typedef float v8u __attribute__((vector_size(32), aligned(4), may_alias));

INLINE float half_to_float(uint16_t half) {
#if defined(__F16C__)
    return _cvtsh_ss(half);
#else
    const uint32_t sign = (uint32_t)(half & 0x8000) << 16, magnitude = half & 0x7fff;
    uint32_t bits;
    float value;
    if (magnitude >= 0x7c00)
        bits = 0x7f800000 | (magnitude & 0x3ff) << 13;
    else if (magnitude >= 0x400)
        bits = (magnitude << 13) + (112u << 23);
    else {
        value = (float)magnitude * 0x1p-24f;
        memcpy(&bits, &value, 4);
    }
    bits |= sign;
    memcpy(&value, &bits, 4);
    return value;
#endif
}

INLINE vf load_half(const uint16_t *from) {
#if LANES == 8 && defined(__F16C__)
    return (vf)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)from));
#elif LANES == 16 && defined(__AVX512F__)
    return (vf)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)from));
#else
    vf x;
    for (int i = 0; i < LANES; i++) x[i] = half_to_float(from[i]);
    return x;
#endif
}

INLINE vf load_codes(const uint8_t *from) {
#if LANES == 8 && defined(__AVX2__)
    return (vf)_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)from)));
#elif LANES == 16 && defined(__AVX512F__)
    return (vf)_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)from)));
#else
    vf x;
    for (int i = 0; i < LANES; i++) x[i] = (float)from[i];
    return x;
#endif
}

/* The eight signs of a byte, the highest bit first, as numpy packs them: 1 is +1 and 0 is -1. */
INLINE void store_signs(uint8_t byte, float *to) {
    const i8 bits = {128, 64, 32, 16, 8, 4, 2, 1},
             one = {0x3f800000, 0x3f800000, 0x3f800000, 0x3f800000,
                    0x3f800000, 0x3f800000, 0x3f800000, 0x3f800000};
    const i8 off = (bits & ((i8){0} + byte)) == 0;
    *(v8u *)to = (v8u)(one | (off & (i8){INT32_MIN, INT32_MIN, INT32_MIN, INT32_MIN, INT32_MIN,
                                         INT32_MIN, INT32_MIN, INT32_MIN}));
}

typedef struct {
    const char *vectors;
    const float *ranges; /* (2, dim): the least value and the step of each dimension's codes */
    int storage;
    ptrdiff_t dim, width, row_bytes; /* width: dim made up to whole vectors; row_bytes: from one
                                        document to the next */
} documents;

static void decode(const documents *from, ptrdiff_t row, float *to) {
    const char *at = from->vectors + row * from->row_bytes;
    const ptrdiff_t dim = from->dim, whole = dim / LANES * LANES;
    const uint16_t *half = (const uint16_t *)at;
    const uint8_t *codes = (const uint8_t *)at;
    const float *low = from->ranges, *step = from->ranges + dim;
    switch (from->storage) {
    case FLOAT32:
        memcpy(to, at, 4 * dim);
        break;
    case FLOAT16:
        for (ptrdiff_t i = 0; i < whole; i += LANES) store(to + i, load_half(half + i));
        for (ptrdiff_t i = whole; i < dim; i++) to[i] = half_to_float(half[i]);
        break;
    case INT8:
        for (ptrdiff_t i = 0; i < whole; i += LANES)
            store(to + i, load_codes(codes + i) * load(step + i) + load(low + i));
        for (ptrdiff_t i = whole; i < dim; i++) to[i] = (float)codes[i] * step[i] + low[i];
        break;
    case BINARY:
        for (ptrdiff_t i = 0; i < dim / 8; i++) store_signs(codes[i], to + 8 * i);
        for (ptrdiff_t i = dim / 8 * 8; i < dim; i++)
            to[i] = codes[i / 8] >> (7 - i % 8) & 1 ? 1.0f : -1.0f;
        break;
    }
    for (ptrdiff_t i = dim; i < from->width; i++) to[i] = 0;
}

/* The sums of four vectors, side by side. */
INLINE f4 sums_of(vf a, vf b, vf c, vf d) {
    f4 part[4];
    const vf each[4] = {a, b, c, d};
    for (int j = 0; j < 4; j++) {
        f4 quarter[LANES / 4];
        memcpy(quarter, &each[j], sizeof quarter);
#if LANES == 16
        part[j] = (quarter[0] + quarter[1]) + (quarter[2] + quarter[3]);
#elif LANES == 8
        part[j] = quarter[0] + quarter[1];
#else
        part[j] = quarter[0];
#endif
    }
    return transposed_sums(part[0], part[1], part[2], part[3]);
}

/* out[q]: the dot products of query q with four documents. `count` is a constant at each call. */
INLINE void products(const int count, const float *query, const float *document, ptrdiff_t stride,
                     ptrdiff_t width, f4 *out) {
    vf sums[GROUP][4];
    for (int q = 0; q < count; q++)
        for (int d = 0; d < 4; d++) sums[q][d] = (vf){0};
    for (ptrdiff_t i = 0; i < width; i += LANES) {
        vf asked[GROUP];
#pragma GCC unroll 8
        for (int q = 0; q < count; q++) asked[q] = load(query + q * width + i);
#pragma GCC unroll 4
        for (int d = 0; d < 4; d++) {
            const vf x = load(document + d * stride + i);
#pragma GCC unroll 8
            for (int q = 0; q < count; q++) sums[q][d] += asked[q] * x;
        }
    }
    for (int q = 0; q < count; q++)
        out[q] = sums_of(sums[q][0], sums[q][1], sums[q][2], sums[q][3]);
}

static void squares(const float *document, ptrdiff_t stride, ptrdiff_t width, float *out) {
    vf sums[4] = {{0}};
    for (ptrdiff_t i = 0; i < width; i += LANES)
#pragma GCC unroll 4
        for (int d = 0; d < 4; d++) {
            const vf x = load(document + d * stride + i);
            sums[d] += x * x;
        }
    const f4 total = sums_of(sums[0], sums[1], sums[2], sums[3]);
    memcpy(out, &total, sizeof total);
}

INLINE int is_finite(float x) { return x - x == 0; }

typedef struct {
    const float *rows; /* TILE documents */
    ptrdiff_t stride, count;
    int64_t first;
    float scale[TILE], shift[TILE]; /* score = product * scale - shift */
} tile;

typedef struct {
    const float *queries; /* (n, width), zero beyond dim */
    ptrdiff_t n, k;
    float *scores;      /* (n, k) heaps */
    int64_t *positions; /* (n, k) */
    int64_t bad;        /* the first document whose score is not finite, or -1 */
} found;

static void offer(found *to, ptrdiff_t q, float score, int64_t position) {
    if (!is_finite(score)) {
        if (to->bad < 0 || position < to->bad) to->bad = position;
        return;
    }
    float *scores = to->scores + q * to->k;
    if (score > scores[0]) replace_worst(scores, to->positions + q * to->k, to->k, score, position);
}

/* `count` queries from number q on against one tile. */
INLINE void meet(const int count, const tile *with, ptrdiff_t width, ptrdiff_t q, found *to) {
    for (ptrdiff_t d = 0; d < with->count; d += 4) {
        f4 product[GROUP], scale, shift;
        products(count, to->queries + q * width, with->rows + d * with->stride, with->stride, width,
                 product);
        memcpy(&scale, with->scale + d, sizeof scale),
            memcpy(&shift, with->shift + d, sizeof shift);
        for (int j = 0; j < count; j++) {
            const f4 score = product[j] * scale - shift;
            const float least = to->scores[(q + j) * to->k];
            /* not(score <= least) also holds for NaN */
            const i4 passed = ~(score <= (f4){least, least, least, least});
            const i4 overflow = score < (f4){-FLT_MAX, -FLT_MAX, -FLT_MAX, -FLT_MAX};
            const i4 look = passed | overflow;
            int64_t any[2];
            memcpy(any, &look, sizeof any);
            if (!(any[0] | any[1])) continue;
            for (int i = 0; i < 4 && d + i < with->count; i++)
                if (look[i]) offer(to, q + j, score[i], with->first + d + i);
        }
    }
}

static void fill(const documents *from, ptrdiff_t first, ptrdiff_t count, int metric, float *buffer,
                 tile *out) {
    const int in_place =
        from->storage == FLOAT32 && from->row_bytes == 4 * from->width && count == TILE;
    if (!in_place) {
        for (ptrdiff_t i = 0; i < count; i++) decode(from, first + i, buffer + i * from->width);
        for (ptrdiff_t i = count; i < TILE; i++)
            memset(buffer + i * from->width, 0, 4 * from->width);
    }
    out->rows = in_place ? (const float *)(from->vectors + first * from->row_bytes) : buffer;
    out->stride = from->width, out->count = count, out->first = first;
    for (ptrdiff_t d = 0; d < TILE; d++) out->scale[d] = 1, out->shift[d] = 0;
    if (metric == DOT) return;
    for (ptrdiff_t d = 0; d < TILE; d += 4)
        squares(out->rows + d * out->stride, out->stride, from->width, out->shift + d);
    for (ptrdiff_t d = 0; d < TILE; d++) {
        const float square = out->shift[d];
        if (metric == EUCLIDEAN)
            out->scale[d] = 2; /* 2 q.d - |d|^2 orders as -|q - d| */
        else if (is_finite(square))
            out->scale[d] = 1 / sqrtf(square > 1e-24f ? square : 1e-24f), out->shift[d] = 0;
    }
}

/* Offers documents range[0]..range[1]-1 to the heaps of n queries. `shape`: dim, width, row_bytes;
 * `queries`: (n, width), zero beyond dim; `buffer`: (TILE, width) floats; `scores` and `positions`:
 * (n, k), as a heap begins or as earlier calls for smaller positions left them. Returns the first
 * document that gave a score of NaN or infinity, or -1. */
int64_t NF(scan)(const void *vectors, const float *ranges, int storage, int metric,
                 const int64_t *shape, const int64_t *range, const float *queries, int64_t n,
                 float *buffer, float *scores, int64_t *positions, int64_t k) {
    const documents from = {vectors, ranges, storage, shape[0], shape[1], shape[2]};
    const ptrdiff_t width = from.width;
    found to = {queries, n, k, scores, positions, -1};
    tile with;
    for (ptrdiff_t first = range[0]; first < range[1]; first += TILE) {
        fill(&from, first, range[1] - first < TILE ? range[1] - first : TILE, metric, buffer,
             &with);
        ptrdiff_t q = 0;
        for (; q + GROUP <= n; q += GROUP) meet(GROUP, &with, width, q, &to);
        switch (n - q) {
#if GROUP > 3
        case 5:
            meet(5, &with, width, q, &to);
            break;
        case 4:
            meet(4, &with, width, q, &to);
            break;
        case 3:
            meet(3, &with, width, q, &to);
            break;
#endif
        case 2:
            meet(2, &with, width, q, &to);
            break;
        case 1:
            meet(1, &with, width, q, &to);
            break;
        }
    }
    return to.bad;
}

/* The similarity of one query to `count` documents at `positions`, in float64: what orders them in
 * the end. */
void NF(rescore)(const void *vectors, const float *ranges, int storage, int metric,
                 const int64_t *shape, const int64_t *positions, int64_t count, const float *query,
                 float *buffer, double *scores) {
    const documents from = {vectors, ranges, storage, shape[0], shape[1], shape[2]};
    for (int64_t c = 0; c < count; c++) {
        enum {
            SUMS = 8
        }; /* enough for the processor to be busy; a number of its own, so that every level sums
              alike */
        double product[SUMS] = {0}, asked[SUMS] = {0}, stored[SUMS] = {0}, apart[SUMS] = {0};
        decode(&from, positions[c], buffer);
        for (ptrdiff_t i = 0; i < from.width; i += SUMS)
            for (int j = 0; j < SUMS; j++) {
                const double q = query[i + j], d = buffer[i + j];
                product[j] += q * d, asked[j] += q * q, stored[j] += d * d,
                    apart[j] += (q - d) * (q - d);
            }
        for (int j = 1; j < SUMS; j++)
            product[0] += product[j], asked[0] += asked[j], stored[0] += stored[j],
                apart[0] += apart[j];
        switch (metric) { /* the bounds are those of similarity/functions.py */
        case DOT:
            scores[c] = product[0];
            break;
        case COSINE:
            scores[c] = product[0] / sqrt(fmax(asked[0], 1e-24)) / sqrt(fmax(stored[0], 1e-24));
            break;
        case EUCLIDEAN:
            scores[c] = -sqrt(fmax(apart[0], 1e-12));
            break;
        }
    }
}
