/* Which levels this processor can run. Compiled once, for any processor. */
#include <stdint.h>
#include <string.h>
#if defined(__x86_64__)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

/* Halves of floats: leaf 1, ECX bit 29. Asked for by number, as gcc before 11 and clang before 18
 * do not know the name. */
static int has_f16c(void) {
    unsigned eax, ebx, ecx, edx;
    return __get_cpuid(1, &eax, &ebx, &ecx, &edx) && ecx >> 29 & 1;
}

/* Products of bytes in registers of 256 bits: leaf 7.1, EAX bit 4. Asked for by number, as older
 * compilers do not know the name. */
static int has_avxvnni(void) {
    unsigned eax, ebx, ecx, edx;
    return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) && eax >= 1 &&
           __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) && eax >> 4 & 1;
}

/* Tile registers with products of bytes and of bfloat16 (leaf 7.0, EDX bits 22, 24 and 25) which
 * the system saves (XCR0 bits 17 and 18) and lets this process use once it has asked. Of a
 * processor with AVX512. */
static int has_amx(void) {
#if defined(__linux__)
    unsigned eax, ebx, ecx, edx, saved;
    if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) || (edx >> 22 & 13) != 13) return 0;
    __asm__ volatile("xgetbv" : "=a"(saved), "=d"(edx) : "c"(0));
    return (saved >> 17 & 3) == 3 &&
           syscall(SYS_arch_prctl, 0x1023 /* ARCH_REQ_XCOMP_PERM */, 18 /* tiles' data */) == 0;
#else
    return 0;
#endif
}
#endif

/* The fingerprint of what the library was compiled from. */
uint32_t nf_sources(void) { return SOURCES; }

int nf_supports(const char *level) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    const int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                     has_f16c() && __builtin_cpu_supports("popcnt");
    const int avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                       __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
                       __builtin_cpu_supports("avx512dq");
    const int vnni = avx512 && __builtin_cpu_supports("avx512vnni");
    if (!strcmp(level, "avx2")) return avx2;
    if (!strcmp(level, "avxvnni")) return avx2 && has_avxvnni();
    if (!strcmp(level, "avx512")) return avx512;
    if (!strcmp(level, "vnni")) return vnni;
    const int bf16 = vnni && __builtin_cpu_supports("avx512bf16");
    if (!strcmp(level, "bf16")) return bf16;
    if (!strcmp(level, "amx")) return bf16 && has_amx();
#endif
    return !strcmp(level, "plain");
}
