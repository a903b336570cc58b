/* The pipeline: order, switching passes off, reports, failing allocations. */
#include <stdio.h>
#include <stdlib.h>

#include "passes/pass.h"
#include "support/testing.h"

static struct qn_graph *parse(const char *path)
{
    struct qn_graph *g;
    size_t size;
    char *text = qn_test_read_file(qn_test_source(path), &size);
    qn_assert_ok(qn_graph_parse((struct qn_str){text, size}, NULL, &g));
    free(text);
    return g;
}

static uint32_t count_op(const struct qn_graph *g, uint16_t op)
{
    uint32_t count = 0;
    for (qn_node n = 1; n < g->nodes.count; n++)
        count += qn_graph_node(g, n)->op == op;
    return count;
}

/* A layer with rotary embedding on interleaved pairs, grouped queries, a cache and a gated feed-forward. */
static const char layer[] = "test/golden/ir/layer/gated.ir";
/* One with layer norms, biases and GELU, as an ONNX export spells them. */
static const char exported[] = "test/golden/ir/layer/exported.ir";

static void a_layer_of_core_ops_becomes_fused_ones(void **state)
{
    struct qn_graph *g = parse(layer);
    struct qn_pass_report reports[QN_PASS_COUNT];
    struct qn_pass_options options = {.verify = true, .reports = reports};
    (void)state;
    uint32_t before = g->nodes.count - 1;
    assert_true(before > 50);
    for (qn_node n = 1; n < g->nodes.count; n++)
        assert_false(qn_op_info(qn_graph_node(g, n)->op)->traits & QN_OP_FUSED);
    qn_assert_ok(qn_pass_run_all(&g, &options));
    assert_int_equal(reports[0].nodes_before, before);
    assert_int_equal(reports[QN_PASS_COUNT - 1].nodes_after, g->nodes.count - 1);
    for (uint32_t i = 0; i < QN_PASS_COUNT; i++) {
        assert_true(reports[i].ran);
        if (i > 0)
            assert_int_equal(reports[i].nodes_before, reports[i - 1].nodes_after);
    }
    assert_int_equal(count_op(g, QN_OP_rms_norm), 3);
    assert_int_equal(count_op(g, QN_OP_rope), 2);
    assert_int_equal(count_op(g, QN_OP_paged_attention), 1);
    assert_int_equal(count_op(g, QN_OP_glu), 1);
    assert_int_equal(count_op(g, QN_OP_linear), 2);
    static const uint16_t gone[] = {QN_OP_softmax, QN_OP_where, QN_OP_iota, QN_OP_sigmoid, QN_OP_rsqrt,
                                    QN_OP_concat,  QN_OP_slice, QN_OP_add,  QN_OP_sub,     QN_OP_less_equal};
    for (size_t i = 0; i < sizeof gone / sizeof gone[0]; i++)
        assert_int_equal(count_op(g, gone[i]), 0);
    assert_int_equal(g->states.count, 2);
    qn_graph_destroy(g);
}

static void an_exported_layer_is_fused_by_the_same_passes(void **state)
{
    struct qn_graph *g = parse(exported);
    struct qn_pass_options options = {.verify = true};
    (void)state;
    qn_assert_ok(qn_pass_run_all(&g, &options));
    assert_int_equal(count_op(g, QN_OP_layer_norm), 2);
    assert_int_equal(count_op(g, QN_OP_attention), 1);
    assert_int_equal(count_op(g, QN_OP_gelu_erf), 0); /* in the record of its linear */
    assert_int_equal(count_op(g, QN_OP_softmax), 0);
    assert_int_equal(count_op(g, QN_OP_erf), 0);
    qn_graph_destroy(g);
}

static void passes_are_switched_off_by_name(void **state)
{
    struct qn_pass_report reports[QN_PASS_COUNT];
    const struct qn_str rope = QN_STR("rope");
    struct qn_pass_options options = {.off = &rope, .off_count = 1, .verify = true, .reports = reports};
    struct qn_graph *g = parse(layer);
    (void)state;
    qn_assert_ok(qn_pass_run_all(&g, &options));
    assert_int_equal(count_op(g, QN_OP_rope), 0);
    assert_int_equal(count_op(g, QN_OP_paged_attention), 1);
    assert_false(reports[QN_PASS_rope].ran);
    assert_int_equal(reports[QN_PASS_rope].nodes_before, reports[QN_PASS_rope].nodes_after);
    qn_graph_destroy(g);

    struct qn_str all[QN_PASS_COUNT];
    for (uint32_t i = 0; i < QN_PASS_COUNT; i++)
        all[i] = qn_str_from(qn_passes[i].name);
    options.off = all;
    options.off_count = QN_PASS_COUNT;
    g = parse(layer);
    const struct qn_graph *same = g;
    qn_assert_ok(qn_pass_run_all(&g, &options));
    assert_ptr_equal(g, same);
    qn_graph_destroy(g);
}

static void an_unknown_name_is_refused(void **state)
{
    const struct qn_str names[] = {QN_STR("rope"), QN_STR("ropes")};
    struct qn_pass_options options = {.off = names, .off_count = 2};
    struct qn_graph *g = parse(layer), *same = g;
    (void)state;
    qn_assert_fails(qn_pass_run_all(&g, &options), QN_INVALID_ARGUMENT,
                    "'ropes' is no pass; the passes are: fold cse norm activation");
    assert_ptr_equal(g, same);
    qn_graph_destroy(g);
}

static void a_second_run_finds_nothing(void **state)
{
    static const char *const paths[] = {layer, exported};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct qn_graph *g = parse(paths[i]);
        struct qn_strbuf once, twice;
        qn_strbuf_init(&once, NULL);
        qn_strbuf_init(&twice, NULL);
        qn_assert_ok(qn_pass_run_all(&g, NULL));
        qn_assert_ok(qn_graph_print(g, &once));
        qn_assert_ok(qn_pass_run_all(&g, NULL));
        qn_assert_ok(qn_graph_print(g, &twice));
        assert_string_equal(once.data, twice.data);
        qn_graph_destroy(g);
        qn_strbuf_deinit(&once);
        qn_strbuf_deinit(&twice);
    }
}

static qn_status parse_and_run(const struct qn_allocator *allocator, void *context)
{
    struct qn_graph *g;
    struct qn_pass_options options = {.verify = true};
    qn_status status = qn_graph_parse(*(const struct qn_str *)context, allocator, &g);
    if (!status)
        status = qn_pass_run_all(&g, &options);
    qn_graph_destroy(g); /* the result of the last pass that worked */
    return status;
}

static void every_allocation_may_fail(void **state)
{
    static const char *const paths[] = {layer, exported};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct qn_str text;
        char *data = qn_test_read_file(qn_test_source(paths[i]), &text.size);
        text.data = data;
        assert_true(qn_test_every_allocation(parse_and_run, &text) > 100);
        free(data);
    }
}

/* Calls, late symbols, checks, strings and more inputs than a match can hold; each node that is an output's doing. */
static const char late[] =
    "graph \"late\"\nsymbol N 0..64\nsymbol M 0..64\nsymbol T 0..99 late\nsymbol U 0..99 late\n"
    "%1:f32[N,4] = input \"x\"\n%2:f32[M,4] = input \"z\"\n%3:i64[1] = input \"n\"\n"
    "%4 = bind_dims(%3) {dims=[T]}\n%5:f32[T,4], %6:object[] = call(%1, _, %2) {kind=2, body=1}\n"
    "%7 = nonzero(%1) {count=U}\n%8 = iota() {count=U*2, dtype=i64}\n%9 = add(%1, %2)\n%10 = relu(%9)\n"
    "%11 = concat(%5,%5,%5,%5,%5,%5,%5,%5,%5,%5,%5,%5,%5,%5,%5,%5,%5,%5) {axis=1}\n"
    "%12:string[2] = const {\"a\", \"b\"}\n%13:string[N] = input \"s\"\n%14 = gather(%12, %3)\n"
    "%15 = equal(%13, %14)\n"
    "output \"o\" = %6\noutput \"i\" = %8\noutput \"a\" = %10\noutput \"c\" = %11\noutput \"e\" = %15\n";

static void what_a_run_finds_out_is_kept(void **state)
{
    struct qn_str text = qn_str_from(late);
    struct qn_pass_options options = {.verify = true};
    struct qn_graph *g;
    (void)state;
    qn_assert_ok(qn_graph_parse(text, NULL, &g));
    qn_assert_ok(qn_pass_run_all(&g, &options));
    assert_int_equal(count_op(g, QN_OP_bind_dims), 1);
    assert_int_equal(count_op(g, QN_OP_nonzero), 1);
    assert_int_equal(count_op(g, QN_OP_call), 1);
    assert_int_equal(count_op(g, QN_OP_chain), 1);
    assert_true(g->checks.count >= 1);
    uint8_t *live = malloc(g->nodes.count);
    assert_non_null(live);
    qn_assert_ok(qn_graph_mark_live(g, live));
    for (qn_node n = 1; n < g->nodes.count; n++)
        assert_int_equal(live[n], 1);
    free(live);
    qn_graph_destroy(g);
    assert_true(qn_test_every_allocation(parse_and_run, &text) > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_layer_of_core_ops_becomes_fused_ones),
        cmocka_unit_test(an_exported_layer_is_fused_by_the_same_passes),
        cmocka_unit_test(passes_are_switched_off_by_name),
        cmocka_unit_test(an_unknown_name_is_refused),
        cmocka_unit_test(a_second_run_finds_nothing),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(what_a_run_finds_out_is_kept),
    };
    return cmocka_run_group_tests_name("passes", tests, NULL, NULL);
}
