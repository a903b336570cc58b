/* Ops of com.microsoft, and of old opsets, against ONNX Runtime's results: the models of
 * tools/onnx/make_microsoft_models.py and make_microsoft_rare_models.py, each with one thread, with two (the same
 * bits), and without passes. */
#include <string.h>

#include "conformance/onnx_cases.h"
#include "support/testing.h"

/* Of an output's range. The scores of a search add up rounded logarithms over all of its tokens: up to 1.3e-5, by the
 * instruction set. */
static double tolerance_of(const char *name)
{
    if (strcmp(name, "steps") == 0)
        return 1;
    return strcmp(name, "searches") == 0 ? 5e-5 : 1e-5;
}

static void run_models(void **state)
{
    static const struct onnx_config configs[] = {{1, NULL}, {2, NULL}, {1, "all"}};
    struct onnx_cases cases;
    uint32_t bad = 0;
    (void)state;
    onnx_find_cases("microsoft", qn_test_source("test/data/onnx/microsoft"), ONNX_LAYOUT_SETS, NULL, &cases);
    for (uint32_t i = 0; i < cases.count; i++) {
        struct onnx_case *one = &cases.items[i];
        uint64_t hash = 0;
        one->tolerance = tolerance_of(one->name);
        for (uint32_t c = 0; c < 3; c++) {
            struct onnx_outcome outcome;
            onnx_run_case(one, &configs[c], &outcome);
            if (!outcome.good)
                print_error("%s, %u threads, passes off: %s: %s\n", one->name, configs[c].threads,
                            configs[c].off ? configs[c].off : "none", outcome.words);
            else if (c == 1 && outcome.hash != hash)
                print_error("%s: two threads give other bits\n", one->name);
            bad += !outcome.good || (c == 1 && outcome.hash != hash);
            hash = outcome.hash;
        }
    }
    assert_int_equal(cases.count, 26);
    assert_int_equal(bad, 0);
    onnx_free_cases(&cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(run_models)};
    return cmocka_run_group_tests_name("onnx_microsoft", tests, NULL, NULL);
}
