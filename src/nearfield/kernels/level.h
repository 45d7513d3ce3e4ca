/* What every source here is written in: vectors of LANES floats, whatever the processor.
 *
 * Each source is compiled once a level (hatch_build.py), with LEVEL its name and LANES the floats
 * of a register, and each public function carries the level in its name: NF(encode) is
 * nf_encode_avx2, nf_encode_avx512, ... What differs between levels is these few wrappers; where
 * the instruction is missing, plain C of the same meaning stands in. */
#ifndef NEARFIELD_LEVEL_H
#define NEARFIELD_LEVEL_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define NF_JOIN_(name, level) nf_##name##_##level
#define NF_JOIN(name, level) NF_JOIN_(name, level)
#define NF(name) NF_JOIN(name, LEVEL)

#define PANEL (2 * LANES) /* columns of a matrix that are kept side by side */

typedef float vf __attribute__((vector_size(4 * LANES)));
typedef int32_t vi __attribute__((vector_size(4 * LANES)));
typedef float vfu __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t viu __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

#define INLINE static inline __attribute__((always_inline))

INLINE vf load(const float *from) { return *(const vfu *)from; }
INLINE void store(float *to, vf x) { *(vfu *)to = x; }
INLINE vi load_int(const void *from) { return *(const viu *)from; }
INLINE void store_int(void *to, vi x) { *(viu *)to = x; }
INLINE vf splat(float x) { return x - (vf){0}; } /* x - 0 is x, so no subtraction is left */
INLINE vi splat_int(int32_t x) { return (vi){0} + x; }
INLINE vf blend(vi take, vf yes, vf no) { return (vf)((take & (vi)yes) | (~take & (vi)no)); }

INLINE vf greater(vf a, vf b) {
#if LANES == 8 && defined(__AVX2__)
    return (vf)_mm256_max_ps((__m256)a, (__m256)b);
#elif LANES == 16 && defined(__AVX512F__)
    return (vf)_mm512_max_ps((__m512)a, (__m512)b);
#else
    return blend(a > b, a, b);
#endif
}

INLINE vf lesser(vf a, vf b) {
#if LANES == 8 && defined(__AVX2__)
    return (vf)_mm256_min_ps((__m256)a, (__m256)b);
#elif LANES == 16 && defined(__AVX512F__)
    return (vf)_mm512_min_ps((__m512)a, (__m512)b);
#else
    return blend(a < b, a, b);
#endif
}

INLINE float sum_of(vf x) {
    float total = 0;
    for (int i = 0; i < LANES; i++) total += x[i];
    return total;
}

INLINE float greatest_of(vf x) {
    float most = x[0];
    for (int i = 1; i < LANES; i++) most = x[i] > most ? x[i] : most;
    return most;
}

/* e^x for x <= 0, relative error 2e-7; below -87 the result is e^-87, which is nothing beside the 1
 * of a softmax's greatest. */
INLINE vf exp_of(vf x) {
    const vf shift = splat(
        12582912.0f); /* 1.5 * 2^23: adding it rounds to an integer that lies in the low bits */
    x = greater(x, splat(-87.0f));
    const vf shifted = x * splat(1.44269504f) + shift;
    const vf n = shifted - shift;
    const vf r = (x - n * splat(0.693359375f)) + n * splat(2.12194440e-4f);
    vf p = splat(1.9875691500e-4f); /* Cephes expf */
    p = p * r + splat(1.3981999507e-3f);
    p = p * r + splat(8.3334519073e-3f);
    p = p * r + splat(4.1665795894e-2f);
    p = p * r + splat(1.6666665459e-1f);
    p = p * r + splat(5.0000001201e-1f);
    p = p * (r * r) + r + splat(1.0f);
    return (vf)((vi)p + ((vi)shifted << 23));
}

INLINE ptrdiff_t padded(ptrdiff_t n) { return (n + PANEL - 1) / PANEL * PANEL; }

#endif
