/* One step of a product: what a register of weight units and one unit of an input add to a register
 * of sums. */
#ifndef NEARFIELD_DOT_H
#define NEARFIELD_DOT_H

#include "level.h"

#ifndef UNIT_INT8 /* how many 8-bit integers a unit holds: four where the processor multiplies \
                     bytes, else two, each in 16 bits */
#if defined(__AVX512VNNI__) || defined(__AVXVNNI__)
#define UNIT_INT8 4
#else
#define UNIT_INT8 2
#endif
#endif

/* gcc's names, and those of clangs that call it otherwise */
#if LANES == 16 && (defined(__AMX_TILE__) && defined(__AMX_INT8__) && defined(__AMX_BF16__) || \
                    defined(__AMXTILE__) && defined(__AMXINT8__) && defined(__AMXBF16__))
#define SIDE                                                                                  \
    16 /* of a tile register: rows, columns, units. Zeros at the end of the units of bytes or \
          bfloat16 fill it */
#else
#define SIDE 1
#endif

INLINE vf as_float(vi bits) { return (vf)bits; }

INLINE vf dot_float32(vf sum, uint32_t unit, vi weights) {
    float x;
    memcpy(&x, &unit, sizeof x);
    return sum + splat(x) * as_float(weights);
}

/* Both products of two bfloat16, added in float32. */
INLINE vf dot_bfloat16(vf sum, uint32_t unit, vi weights) {
#if LANES == 16 && defined(__AVX512BF16__)
    return (vf)_mm512_dpbf16_ps((__m512)sum, (__m512bh)splat_int((int32_t)unit), (__m512bh)weights);
#else
    const vi pair = splat_int((int32_t)unit), upper = splat_int((int32_t)0xffff0000u);
    sum += as_float(pair << 16) * as_float(weights << 16);
    return sum + as_float(pair & upper) * as_float(weights & upper);
#endif
}

/* The products of four bytes, without sign in the input and with sign in the weights, or of two
 * 16-bit integers, added exactly. */
INLINE vi dot_int8(vi sum, uint32_t unit, vi weights) {
#if UNIT_INT8 == 4 && LANES == 16 && defined(__AVX512VNNI__)
    return (vi)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)splat_int((int32_t)unit),
                                   (__m512i)weights);
#elif UNIT_INT8 == 4 && LANES == 8 && defined(__AVXVNNI__)
    return (vi)_mm256_dpbusd_avx_epi32((__m256i)sum, (__m256i)splat_int((int32_t)unit),
                                       (__m256i)weights);
#elif UNIT_INT8 == 4
    for (int byte = 0; byte < 4; byte++)
        sum += splat_int((int32_t)(unit >> 8 * byte & 255)) * ((weights << (24 - 8 * byte)) >> 24);
    return sum;
#elif LANES == 16 && defined(__AVX512BW__)
    return sum + (vi)_mm512_madd_epi16((__m512i)splat_int((int32_t)unit), (__m512i)weights);
#elif LANES == 8 && defined(__AVX2__)
    return sum + (vi)_mm256_madd_epi16((__m256i)splat_int((int32_t)unit), (__m256i)weights);
#elif LANES == 4 && defined(__SSE2__)
    return sum + (vi)_mm_madd_epi16((__m128i)splat_int((int32_t)unit), (__m128i)weights);
#else
    sum += splat_int((int32_t)(unit & 65535)) * ((weights << 16) >> 16);
    return sum + splat_int((int32_t)(unit >> 16)) * (weights >> 16);
#endif
}

#endif
