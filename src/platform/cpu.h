/* CPU features, asked once and passed to whoever selects kernels. */
#ifndef QN_PLATFORM_CPU_H
#define QN_PLATFORM_CPU_H

#include <stdint.h>

#include "base/status.h"

/* What a kernel may need, one bit each. */
enum qn_cpu_feature {
    QN_CPU_AVX2 = 1 << 0,   /* AVX2, FMA, F16C, BMI2 and the OS saves YMM */
    QN_CPU_AVX512 = 1 << 1, /* F, BW, DQ, VL, and the OS saves ZMM and masks */
    QN_CPU_AVX512VNNI = 1 << 2,
    QN_CPU_AVX512BF16 = 1 << 3,
    QN_CPU_AVX512FP16 = 1 << 4,
    QN_CPU_AVXVNNI = 1 << 5,
    QN_CPU_NEON = 1 << 8,
    QN_CPU_NEON_DOTPROD = 1 << 9,
    QN_CPU_AVX512VBMI = 1 << 10,
};

/* Features of this machine, CPUID and the OS state (XGETBV) together, capped by the environment variable QUERN_CPU:
 * ref, avx2, avx512 (without VNNI, BF16, FP16), avx512vnni, avx512bf16, native; neon, dotprod on ARM. Each name
 * includes what stands below it. An unknown name is an error that lists the known ones. */
qn_status qn_cpu_features(uint32_t *features) QN_MUST_USE;

/* "avx2+avx512+avx512vnni"; "reference" for 0. Static or caller's buffer of at least 128 bytes. */
const char *qn_cpu_features_text(uint32_t features, char buffer[128]);

#endif
