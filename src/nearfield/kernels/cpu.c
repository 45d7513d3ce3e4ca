/* Which levels this processor can run. Compiled once, for any processor. */
#include <stdint.h>
#include <string.h>

/* The fingerprint of what the library was compiled from. */
uint32_t nf_sources(void) { return SOURCES; }

int nf_supports(const char *level) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    const int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c") &&
                     __builtin_cpu_supports("popcnt");
    const int avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                       __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
    const int vnni = avx512 && __builtin_cpu_supports("avx512vnni");
    if (!strcmp(level, "avx2")) return avx2;
    if (!strcmp(level, "avx512")) return avx512;
    if (!strcmp(level, "vnni")) return vnni;
    if (!strcmp(level, "bf16")) return vnni && __builtin_cpu_supports("avx512bf16");
#endif
    return !strcmp(level, "plain");
}
