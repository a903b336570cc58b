#include "platform/cpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/testing.h"

static uint32_t capped(const char *cap)
{
    uint32_t features = 0;
    if (cap)
        setenv("QUERN_CPU", cap, 1);
    else
        unsetenv("QUERN_CPU");
    qn_assert_ok(qn_cpu_features(&features));
    return features;
}

static void caps_nest(void **state)
{
    (void)state;
    uint32_t native = capped(NULL);
    assert_int_equal(capped("native"), native);
    assert_int_equal(capped(""), native);
    assert_int_equal(capped("ref"), 0);
    static const char *const order[] = {"ref", "avx2", "avx512", "avx512vnni", "avx512bf16", "native"};
    uint32_t below = 0;
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        uint32_t features = capped(order[i]);
        assert_int_equal(features & below, below);
        assert_int_equal(features & ~native, 0);
        below = features;
    }
    assert_int_equal(capped("avx2") & ~(uint32_t)QN_CPU_AVX2, 0);
    assert_int_equal(capped("avx512") & ~(uint32_t)(QN_CPU_AVX2 | QN_CPU_AVX512), 0);
    assert_int_equal(capped("neon") & ~(uint32_t)QN_CPU_NEON, 0);
}

static void unknown_cap_is_an_error(void **state)
{
    (void)state;
    uint32_t features;
    setenv("QUERN_CPU", "avx3", 1);
    qn_assert_fails(qn_cpu_features(&features), QN_INVALID_ARGUMENT, "avx512vnni");
    unsetenv("QUERN_CPU");
}

/* The kernel's own list of what it lets programs use. */
static void agrees_with_the_kernel(void **state)
{
    (void)state;
#if defined(__x86_64__)
    static const struct {
        const char *word;
        uint32_t bit;
    } words[] = {
        {" avx2 ", QN_CPU_AVX2},
        {" avx512bw ", QN_CPU_AVX512},
        {" avx512_vnni ", QN_CPU_AVX512VNNI},
        {" avx512vbmi ", QN_CPU_AVX512VBMI},
        {" avx512_bf16 ", QN_CPU_AVX512BF16},
        {" avx512_fp16 ", QN_CPU_AVX512FP16},
        {" avx_vnni ", QN_CPU_AVXVNNI},
    };
    FILE *file = fopen("/proc/cpuinfo", "r");
    if (!file)
        skip();
    char *line = NULL;
    size_t capacity = 0;
    while (getline(&line, &capacity, file) > 0 && strncmp(line, "flags", 5) != 0) {
    }
    fclose(file);
    uint32_t native = capped(NULL);
    line[strcspn(line, "\n")] = ' ';
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if ((strstr(line, words[i].word) != NULL) != ((native & words[i].bit) != 0))
            fail_msg("%s differs from /proc/cpuinfo", words[i].word);
    free(line);
#elif defined(__aarch64__)
    assert_true(capped(NULL) & QN_CPU_NEON);
#else
    assert_int_equal(capped(NULL), 0);
#endif
}

static void text_names_the_bits(void **state)
{
    (void)state;
    char buffer[128];
    assert_string_equal(qn_cpu_features_text(0, buffer), "reference");
    assert_string_equal(qn_cpu_features_text(QN_CPU_AVX2 | QN_CPU_AVX512, buffer), "avx2+avx512");
    assert_true(strlen(qn_cpu_features_text(UINT32_MAX, buffer)) < 128);
    assert_non_null(strstr(buffer, "dotprod"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(caps_nest),
        cmocka_unit_test(unknown_cap_is_an_error),
        cmocka_unit_test(agrees_with_the_kernel),
        cmocka_unit_test(text_names_the_bits),
    };
    return cmocka_run_group_tests_name("cpu", tests, NULL, NULL);
}
