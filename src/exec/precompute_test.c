/* What is computed while a graph is compiled, and what is left to the runs. */
#include <string.h>

#include "exec/compiled.h"
#include "support/testing.h"

/* The graph in its text form after qn_precompute; free with qn_strbuf_deinit. */
static struct qn_strbuf precomputed(const char *text, const char *off)
{
    struct qn_compile_options options = {.threads = 1, .disabled_passes = off};
    struct qn_graph *g;
    struct qn_strbuf out;
    qn_strbuf_init(&out, NULL);
    qn_assert_ok(qn_graph_parse(qn_str_from(text), NULL, &g));
    qn_precompute(&g, NULL, &options, qn_allocator_default());
    qn_assert_ok(qn_graph_verify(g));
    qn_assert_ok(qn_graph_print(g, &out));
    qn_graph_destroy(g);
    return out;
}

static void assert_becomes(const char *text, const char *expected)
{
    struct qn_strbuf out = precomputed(text, NULL);
    assert_string_equal(out.data, expected);
    qn_strbuf_deinit(&out);
}

static void assert_stays(const char *text)
{
    assert_becomes(text, text);
}

static const char weights[] = "graph \"g\"\n"
                              "symbol N 0..512\n"
                              "%1:f32[N,2] = input \"x\"\n"
                              "%2:f32[2] = const {-4, 9}\n"
                              "%3:f32[2] = abs(%2)\n"
                              "%4:f32[2] = sqrt(%3)\n"
                              "%5:f32[N,2] = mul(%1, %4)\n"
                              "output \"y\" = %5\n";

static void computes_weights(void **state)
{
    (void)state;
    assert_becomes(weights, "graph \"g\"\n"
                            "symbol N 0..512\n"
                            "%1:f32[N,2] = input \"x\"\n"
                            "%2:f32[2] = const {2, 3}\n"
                            "%3:f32[N,2] = mul(%1, %2)\n"
                            "output \"y\" = %3\n");
}

/* Both results of a node, and an output that is one of them. */
static void computes_several_results(void **state)
{
    (void)state;
    assert_becomes("graph \"g\"\n"
                   "%1:f32[2] = input \"x\"\n"
                   "%2:f32[3] = const {1, 5, 2}\n"
                   "%3:f32[2], %4:i32[2] = topk(%2) {k=2}\n"
                   "%5:f32[2] = add(%1, %3)\n"
                   "output \"y\" = %5\n"
                   "output \"i\" = %4\n",
                   "graph \"g\"\n"
                   "%1:f32[2] = input \"x\"\n"
                   "%2:f32[2] = const {5, 2}\n"
                   "%3:i32[2] = const {1, 2}\n"
                   "%4:f32[2] = add(%1, %2)\n"
                   "output \"y\" = %4\n"
                   "output \"i\" = %3\n");
}

static void leaves_the_rest(void **state)
{
    (void)state;
    /* moves alone: the planner reads through them */
    assert_stays("graph \"g\"\n"
                 "%1:f32[2,1] = input \"x\"\n"
                 "%2:f32[1,2] = const {1, 2}\n"
                 "%3:f32[2,1] = transpose(%2) {perm=[1,0]}\n"
                 "%4:f32[2,1] = add(%1, %3)\n"
                 "output \"y\" = %4\n");
    /* what becomes larger: 256 KiB of 4 bytes */
    assert_stays("graph \"g\"\n"
                 "%1:f32[65536] = input \"x\"\n"
                 "%2:f32[1] = const {1}\n"
                 "%3:f32[65536] = expand(%2) {dims=[65536]}\n"
                 "%4:f32[65536] = exp(%3)\n"
                 "%5:f32[65536] = add(%1, %4)\n"
                 "output \"y\" = %5\n");
    /* what passes look behind */
    assert_stays("graph \"g\"\n"
                 "%1:f32[2] = input \"x\"\n"
                 "%2:i8[2] = const {1, 2}\n"
                 "%3:f32[] = const {0.5}\n"
                 "%4:f32[2] = dequantize(%2, %3) {dtype=f32}\n"
                 "%5:f32[2] = add(%1, %4)\n"
                 "output \"y\" = %5\n");
}

static void can_be_left_out(void **state)
{
    (void)state;
    static const char *const off[] = {"fold", "all", "norm,fold,cse"}, *const on[] = {"", "folds", "norm"};
    for (int i = 0; i < 3; i++) {
        struct qn_strbuf same = precomputed(weights, off[i]), other = precomputed(weights, on[i]);
        assert_string_equal(same.data, weights);
        assert_null(strstr(other.data, "sqrt"));
        qn_strbuf_deinit(&same);
        qn_strbuf_deinit(&other);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(computes_weights),
        cmocka_unit_test(computes_several_results),
        cmocka_unit_test(leaves_the_rest),
        cmocka_unit_test(can_be_left_out),
    };
    return cmocka_run_group_tests_name("precompute", tests, NULL, NULL);
}
