/* Instructions that the processor at hand may lack, made of those of AVX2 by SIMDe (Debian: libsimde-dev), so that the sources of
 * their levels run anywhere. Compile with -mavx2 -mfma -mf16c -mpopcnt, this file in front, and one of
 * EMULATE_AVX512, EMULATE_VNNI, EMULATE_BF16 or EMULATE_AVXVNNI defined. */
#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>

#ifdef EMULATE_AVXVNNI
#define __AVXVNNI__ 1
#undef _mm256_dpbusd_avx_epi32
#define _mm256_dpbusd_avx_epi32(sums, a, b) ((__m256i)simde_mm256_dpbusd_epi32((simde__m256i)(sums), (simde__m256i)(a), (simde__m256i)(b)))
#else
#define __AVX512F__ 1
#define __AVX512BW__ 1
#define __AVX512VL__ 1
#define __AVX512DQ__ 1
#endif
#if defined(EMULATE_VNNI) || defined(EMULATE_BF16)
#define __AVX512VNNI__ 1
#endif
#ifdef EMULATE_BF16
#define __AVX512BF16__ 1
#endif

/* What SIMDe 0.7.4 lacks, or gives another number of arguments: a half of the register at a time. */
#define HALVES(name, out, out_half, in, in_half, half)                          \
    static inline simde__##out emulated_##name(simde__##in from) {              \
        simde__##in##_private x = simde__##in##_to_private(from);               \
        simde__##out##_private y;                                               \
        for (int i = 0; i < 2; i++) y.out_half[i] = (simde__##out_half)half((__##in_half)x.in_half[i]); \
        return simde__##out##_from_private(y);                                  \
    }
HALVES(cvtph_ps, m512, m256, m256i, m128i, _mm256_cvtph_ps)
HALVES(cvtepi32_ps, m512, m256, m512i, m256i, _mm256_cvtepi32_ps)

static inline simde__m512i emulated_cvtepu8_epi32(simde__m128i from) {
    simde__m512i_private y;
    for (int i = 0; i < 16; i++) y.i32[i] = simde__m128i_to_private(from).u8[i];
    return simde__m512i_from_private(y);
}

static inline simde__m512i emulated_madd_epi16(simde__m512i a, simde__m512i b) {
    simde__m512i_private x = simde__m512i_to_private(a), y = simde__m512i_to_private(b), sums;
    for (int i = 0; i < 2; i++) sums.m256i[i] = simde_mm256_madd_epi16(x.m256i[i], y.m256i[i]);
    return simde__m512i_from_private(sums);
}

#undef _mm512_cvtph_ps
#undef _mm512_cvtepi32_ps
#undef _mm512_cvtepu8_epi32
#undef _mm512_madd_epi16
#define _mm512_cvtph_ps emulated_cvtph_ps
#define _mm512_cvtepi32_ps emulated_cvtepi32_ps
#define _mm512_cvtepu8_epi32 emulated_cvtepu8_epi32
#define _mm512_madd_epi16 emulated_madd_epi16
