/* Instructions that the processor at hand may lack, made of those of AVX2 by SIMDe (Debian:
 * libsimde-dev), so that the sources of their levels run anywhere. Compile with -mavx2 -mfma -mf16c
 * -mpopcnt, this file in front, and one of EMULATE_AVX512, EMULATE_VNNI, EMULATE_BF16, EMULATE_AMX
 * or EMULATE_AVXVNNI defined. */
#define SIMDE_ENABLE_NATIVE_ALIASES
#ifdef EMULATE_AMX
#define EMULATE_BF16
#endif
#include <simde/x86/avx512.h>

#ifdef EMULATE_AVXVNNI
#define __AVXVNNI__ 1
#undef _mm256_dpbusd_avx_epi32
#define _mm256_dpbusd_avx_epi32(sums, a, b) \
    ((__m256i)simde_mm256_dpbusd_epi32((simde__m256i)(sums), (simde__m256i)(a), (simde__m256i)(b)))
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

/* What SIMDe 0.7.4 lacks, or gives another number of arguments: a half of the register at a time.
 */
#define HALVES(name, out, out_half, in, in_half, half)                          \
    static inline simde__##out emulated_##name(simde__##in from) {              \
        simde__##in##_private x = simde__##in##_to_private(from);               \
        simde__##out##_private y;                                               \
        for (int i = 0; i < 2; i++)                                             \
            y.out_half[i] = (simde__##out_half)half((__##in_half)x.in_half[i]); \
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

/* The tile registers of AMX, as the operations of Intel's instruction reference say. What the
 * processor refuses ends the process. */
#ifdef EMULATE_AMX
#include <immintrin.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define __AMX_TILE__ 1
#define __AMX_INT8__ 1
#define __AMX_BF16__ 1

static _Thread_local struct {
    uint8_t palette, start, reserved[14];
    uint16_t bytes[16];
    uint8_t rows[16];
} shapes;
static _Thread_local struct {
    uint8_t rows[16][64];
} tiles[8];

static void emulated_loadconfig(const void *from) {
    memcpy(&shapes, from, sizeof shapes);
    memset(tiles, 0, sizeof tiles);
    for (int i = 0; i < 16; i++)
        if (shapes.palette != 1 || shapes.bytes[i] > 64 || shapes.rows[i] > 16 ||
            (i >= 8 && shapes.rows[i]))
            abort();
}

/* The processor takes it at any time, but a thread's first instruction of tiles costs a fault: none
 * where none were used. */
static void emulated_release(void) {
    if (!shapes.palette) abort();
    memset(&shapes, 0, sizeof shapes);
}

static void known(int i) {
    if (!shapes.palette || !shapes.bytes[i] || !shapes.rows[i]) abort();
}

static void emulated_zero(int i) {
    known(i);
    memset(&tiles[i], 0, sizeof tiles[i]);
}

static void emulated_load(int i, const void *from, ptrdiff_t stride) {
    emulated_zero(i);
    for (int r = 0; r < shapes.rows[i]; r++)
        memcpy(tiles[i].rows[r], (const char *)from + r * stride, shapes.bytes[i]);
}

static void emulated_store(int i, void *to, ptrdiff_t stride) {
    known(i);
    for (int r = 0; r < shapes.rows[i]; r++)
        memcpy((char *)to + r * stride, tiles[i].rows[r], shapes.bytes[i]);
}

static float emulated_wide(const uint8_t *from) {
    const uint8_t bits[4] = {0, 0, from[0], from[1]};
    float x;
    memcpy(&x, bits, sizeof x);
    return x;
}

/* sums += rows of `a` by columns of `b`, in units of four bytes. */
static void emulated_multiply(int sums, int a, int b, int bytes) {
    known(sums), known(a), known(b);
    if (shapes.rows[sums] != shapes.rows[a] || shapes.bytes[sums] != shapes.bytes[b] ||
        shapes.bytes[a] != 4 * shapes.rows[b])
        abort();
    for (int m = 0; m < shapes.rows[sums]; m++)
        for (int u = 0; u < shapes.rows[b]; u++)
            for (int n = 0; n < shapes.bytes[b] / 4; n++) {
                const uint8_t *x = &tiles[a].rows[m][4 * u], *y = &tiles[b].rows[u][4 * n],
                              *at = &tiles[sums].rows[m][4 * n];
                int32_t whole;
                float sum;
                memcpy(&whole, at, 4), memcpy(&sum, at, 4);
                for (int k = 0; bytes && k < 4; k++) whole += x[k] * (int8_t)y[k];
                for (int k = 0; !bytes && k < 4; k += 2)
                    sum += emulated_wide(x + k) * emulated_wide(y + k);
                memcpy((void *)at, bytes ? (const void *)&whole : (const void *)&sum, 4);
            }
}

#undef _tile_loadd
#undef _tile_stored
#undef _tile_zero
#undef _tile_dpbusd
#undef _tile_dpbf16ps
#define _tile_loadconfig emulated_loadconfig
#define _tile_release emulated_release
#define _tile_zero emulated_zero
#define _tile_loadd emulated_load
#define _tile_stored emulated_store
#define _tile_dpbusd(sums, a, b) emulated_multiply(sums, a, b, 1)
#define _tile_dpbf16ps(sums, a, b) emulated_multiply(sums, a, b, 0)
#endif
