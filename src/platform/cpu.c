#include "platform/cpu.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

/* What a name of QUERN_CPU allows. Each line includes what stands below it in its family. */
enum {
    X86_AVX2 = QN_CPU_AVX2,
    X86_AVX512 = X86_AVX2 | QN_CPU_AVX512,
    X86_AVX512VNNI = X86_AVX512 | QN_CPU_AVX512VNNI | QN_CPU_AVX512VBMI | QN_CPU_AVXVNNI,
    X86_AVX512BF16 = X86_AVX512VNNI | QN_CPU_AVX512BF16,
    ARM_NEON = QN_CPU_NEON,
    ARM_DOTPROD = ARM_NEON | QN_CPU_NEON_DOTPROD,
};

static const struct {
    const char *name;
    uint32_t allowed;
} caps[] = {
    {"ref", 0},
    {"avx2", X86_AVX2},
    {"avx512", X86_AVX512},
    {"avx512vnni", X86_AVX512VNNI},
    {"avx512bf16", X86_AVX512BF16},
    {"neon", ARM_NEON},
    {"dotprod", ARM_DOTPROD},
    {"native", UINT32_MAX},
};

static const struct {
    const char *name;
    uint32_t bit;
} names[] = {
    {"avx2", QN_CPU_AVX2},
    {"avx512", QN_CPU_AVX512},
    {"avx512vnni", QN_CPU_AVX512VNNI},
    {"avx512vbmi", QN_CPU_AVX512VBMI},
    {"avx512bf16", QN_CPU_AVX512BF16},
    {"avx512fp16", QN_CPU_AVX512FP16},
    {"avxvnni", QN_CPU_AVXVNNI},
    {"neon", QN_CPU_NEON},
    {"dotprod", QN_CPU_NEON_DOTPROD},
};

#if defined(__x86_64__)

static bool has_bits(uint32_t word, uint32_t bits)
{
    return (word & bits) == bits;
}

/* Register states that the operating system saves (XCR0); 0 where it does not say. */
static uint64_t saved_states(uint32_t leaf1_ecx)
{
    if (!has_bits(leaf1_ecx, 1u << 27)) /* OSXSAVE */
        return 0;
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

static uint32_t native_features(void)
{
    enum { XMM_YMM = 0x6, MASKS_ZMM = 0xe0 };
    uint32_t a, b, c, d, leaf1_c, b7, c7, d7, a71 = 0, features = 0;
    if (!__get_cpuid(1, &a, &b, &leaf1_c, &d) || !__get_cpuid_count(7, 0, &a, &b7, &c7, &d7))
        return 0;
    if (a >= 1) /* subleaf 1 exists */
        __get_cpuid_count(7, 1, &a71, &b, &c, &d);
    uint64_t saved = saved_states(leaf1_c);
    const uint32_t fma_f16c_avx = 1u << 12 | 1u << 29 | 1u << 28, avx2_bmi2 = 1u << 5 | 1u << 8;
    if ((saved & XMM_YMM) != XMM_YMM || !has_bits(leaf1_c, fma_f16c_avx) || !has_bits(b7, avx2_bmi2))
        return 0;
    features |= QN_CPU_AVX2;
    if (has_bits(a71, 1u << 4))
        features |= QN_CPU_AVXVNNI;
    const uint32_t f_dq_bw_vl = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;
    if ((saved & MASKS_ZMM) != MASKS_ZMM || !has_bits(b7, f_dq_bw_vl))
        return features;
    features |= QN_CPU_AVX512;
    if (has_bits(c7, 1u << 11))
        features |= QN_CPU_AVX512VNNI;
    if (has_bits(c7, 1u << 1))
        features |= QN_CPU_AVX512VBMI;
    if (has_bits(a71, 1u << 5))
        features |= QN_CPU_AVX512BF16;
    if (has_bits(d7, 1u << 23))
        features |= QN_CPU_AVX512FP16;
    return features;
}

#elif defined(__aarch64__)

static uint32_t native_features(void)
{
    uint32_t features = QN_CPU_NEON;     /* part of the architecture */
#if defined(__linux__)
    if (getauxval(AT_HWCAP) & 1ul << 20) /* HWCAP_ASIMDDP */
        features |= QN_CPU_NEON_DOTPROD;
#endif
    return features;
}

#else

static uint32_t native_features(void)
{
    return 0;
}

#endif

qn_status qn_cpu_features(uint32_t *features)
{
    *features = native_features();
    const char *cap = getenv("QUERN_CPU");
    if (!cap || !*cap)
        return NULL;
    for (size_t i = 0; i < sizeof caps / sizeof caps[0]; i++) {
        if (strcmp(cap, caps[i].name) == 0) {
            *features &= caps[i].allowed;
            return NULL;
        }
    }
    return QN_ERROR(QN_INVALID_ARGUMENT,
                    "QUERN_CPU is '%.40s', expected ref, avx2, avx512, avx512vnni, avx512bf16, neon, dotprod or native",
                    cap);
}

const char *qn_cpu_features_text(uint32_t features, char buffer[128])
{
    size_t used = 0;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (features & names[i].bit)
            used += (size_t)snprintf(buffer + used, 128 - used, "%s%s", used ? "+" : "", names[i].name);
    return used ? buffer : "reference";
}
