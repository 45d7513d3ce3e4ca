/* Vectors of four numbers: the scores of four documents side by side, and blocks of four rows that
 * become columns. */
#ifndef NEARFIELD_FOURS_H
#define NEARFIELD_FOURS_H

#include "level.h"

typedef float f4 __attribute__((vector_size(16)));
typedef int32_t i4 __attribute__((vector_size(16)));
typedef int32_t i8 __attribute__((vector_size(32)));

#if defined(__clang__)
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (i4){__VA_ARGS__})
#endif

/* (sum of a, sum of b, sum of c, sum of d), for either type. */
#define TRANSPOSED_SUMS(name, type)                                            \
    INLINE type name(type a, type b, type c, type d) {                         \
        const type ab = SHUFFLE(a, b, 0, 4, 1, 5) + SHUFFLE(a, b, 2, 6, 3, 7); \
        const type cd = SHUFFLE(c, d, 0, 4, 1, 5) + SHUFFLE(c, d, 2, 6, 3, 7); \
        return SHUFFLE(ab, cd, 0, 1, 4, 5) + SHUFFLE(ab, cd, 2, 3, 6, 7);      \
    }
TRANSPOSED_SUMS(transposed_sums, f4)
TRANSPOSED_SUMS(transposed_sums_int, i4)

typedef float f4u __attribute__((vector_size(16), aligned(4), may_alias));

/* out[k, i] = rows[i, k], of `count` rows of `width` floats. */
INLINE void turn(const float *rows, ptrdiff_t stride, ptrdiff_t count, ptrdiff_t width, float *out,
                 ptrdiff_t out_stride) {
    const ptrdiff_t fours = count / 4 * 4, whole = width / 4 * 4;
    for (ptrdiff_t i = 0; i < fours; i += 4) {
        const float *from = rows + i * stride;
        for (ptrdiff_t k = 0; k < whole; k += 4) {
            const f4 a = *(const f4u *)(from + k), b = *(const f4u *)(from + stride + k);
            const f4 c = *(const f4u *)(from + 2 * stride + k),
                     d = *(const f4u *)(from + 3 * stride + k);
            const f4 ab = SHUFFLE(a, b, 0, 4, 1, 5), cd = SHUFFLE(c, d, 0, 4, 1, 5);
            const f4 ab2 = SHUFFLE(a, b, 2, 6, 3, 7), cd2 = SHUFFLE(c, d, 2, 6, 3, 7);
            float *to = out + k * out_stride + i;
            *(f4u *)to = SHUFFLE(ab, cd, 0, 1, 4, 5);
            *(f4u *)(to + out_stride) = SHUFFLE(ab, cd, 2, 3, 6, 7);
            *(f4u *)(to + 2 * out_stride) = SHUFFLE(ab2, cd2, 0, 1, 4, 5);
            *(f4u *)(to + 3 * out_stride) = SHUFFLE(ab2, cd2, 2, 3, 6, 7);
        }
        for (ptrdiff_t k = whole; k < width; k++)
            for (ptrdiff_t r = 0; r < 4; r++) out[k * out_stride + i + r] = from[r * stride + k];
    }
    for (ptrdiff_t i = fours; i < count; i++)
        for (ptrdiff_t k = 0; k < width; k++) out[k * out_stride + i] = rows[i * stride + k];
}

#endif
