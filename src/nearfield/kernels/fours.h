/* Vectors of four numbers: the scores of four documents side by side. */
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
#define TRANSPOSED_SUMS(name, type)                                                          \
    INLINE type name(type a, type b, type c, type d) {                                       \
        const type ab = SHUFFLE(a, b, 0, 4, 1, 5) + SHUFFLE(a, b, 2, 6, 3, 7);               \
        const type cd = SHUFFLE(c, d, 0, 4, 1, 5) + SHUFFLE(c, d, 2, 6, 3, 7);               \
        return SHUFFLE(ab, cd, 0, 1, 4, 5) + SHUFFLE(ab, cd, 2, 3, 6, 7);                    \
    }
TRANSPOSED_SUMS(transposed_sums, f4)
TRANSPOSED_SUMS(transposed_sums_int, i4)

#endif
