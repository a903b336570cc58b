/* Decompositions: core ops alone, and the type that the fused op's shape rule gives. That they compute the same is what
 * the conformance suite and ir_passes_run_test check. */
#include <stdio.h>

#include "ir/ir.h"
#include "ir/shape.h"
#include "support/testing.h"

static const char head[] = "graph \"fused\"\nsymbol N 1..512\nsymbol M 1..512\nsymbol S 1..4\nsymbol L 1..9\n"
                           "%1:f32[N,4,16] = input \"x\"\n"
                           "%2:f32[N,6] = input \"partial\"\n"
                           "%3:f32[N,8] = input \"whole\"\n"
                           "%4:f32[16] = input \"w\"\n"
                           "%5:f32[2,N,16] = input \"q\"\n"
                           "%6:f32[2,M,16] = input \"k\"\n"
                           "%7:f32[2,M,5] = input \"v\"\n"
                           "%8:f32[N,M] = input \"mask\"\n"
                           "%9:f32[N,2,3,32] = input \"pq\"\n"
                           "%10:q8_0[64,2,32] = input \"pk\"\n"
                           "%11:f16[64,2,5] = input \"pv\"\n"
                           "%12:i32[S,L] = input \"rows\"\n"
                           "%13:i32[N] = input \"pos\"\n"
                           "%14:i32[N,3] = input \"ids\"\n"
                           "%15:f32[N,1,16] = input \"one\"\n"
                           "%16:f32[N,3,32] = input \"three\"\n"
                           "%17:f16[7,9,16] = input \"experts\"\n"
                           "%18:q4_0[7,9,32] = input \"blocks\"\n"
                           "%19:f32[9,16] = input \"l\"\n"
                           "%20:f32[9] = input \"b\"\n"
                           "%21:f32[N,4,9] = input \"r\"\n"
                           "%22:f64[N,16] = input \"wide\"\n"
                           "%23:f64[16] = input \"wide_w\"\n"
                           "%24:f16[2,N,16] = input \"hq\"\n"
                           "%25:f16[2,M,16] = input \"hk\"\n"
                           "%26:f16[2,M,5] = input \"hv\"\n"
                           "%27:f32[16,16] = input \"p\"\n"
                           "%28:f32[4] = input \"channels\"\n"
                           "%29:f32[2,N,4,16] = input \"tokens\"\n"
                           "%30:f32[2,4,N,16] = input \"heads\"\n"
                           "%31:u8[N,16] = input \"qa\"\n"
                           "%32:u8[16,9] = input \"qb\"\n"
                           "%33:f32[] = input \"scale\"\n"
                           "%34:u8[] = input \"zero\"\n"
                           "%35:u8[1,3,8,8] = input \"image\"\n"
                           "%36:i8[4,3,3,3] = input \"filter\"\n"
                           "%37:i8[] = input \"filter_zero\"\n";

static const char *const nodes[] = {
    "rms_norm(%1, %4) {epsilon=1e-05}",
    "rms_norm(%22, %23) {epsilon=1e-05}",
    "layer_norm(%1, %4, %4) {epsilon=1e-05}",
    "layer_norm(%22, %23, %23) {epsilon=1e-05}",
    "rope(%1, %3, %3)",
    "rope(%1, %2, %2)",
    "rope(%1, %3, %3) {interleaved=1}",
    "rope(%1, %2, %2) {interleaved=1}",
    "attention(%5, %6, %7) {scale=0.25}",
    "attention(%5, %6, %7, %8) {scale=0.25}",
    "attention(%5, %6, %7, %8) {scale=0.25, cap=2}",
    "attention(%24, %25, %26) {scale=0.25}",
    "attention(%29, %29, %29) {scale=0.25, turned=15}",
    "attention(%29, %30, %30) {scale=0.25, turned=1}",
    "attention(%30, %30, %29) {scale=0.25, turned=12}",
    "q_linear(%31, %33, %34, %32, %33, %34) {dtype=f32}",
    "q_linear(%31, %33, %34, %32, %33, %34, _, %33, %34) {dtype=u8}",
    "q_conv(%35, %33, %34, %36, %33, %37, _, %33, %34) {dtype=u8}",
    "q_add(%31, %33, %34, %31, %33, %34, %33, %34) {dtype=u8}",
    "paged_attention(%9, %10, %11, %12, %13, %13) {scale=0.25}",
    "paged_attention(%9, %10, %11, %12, %13, %13) {scale=0.25, window=4}",
    "paged_attention(%9, %10, %11, %12, %13, %13) {scale=0.25, window=4, cap=1.5}",
    "silu(%1)",
    "silu(%24)",
    "gelu_tanh(%1)",
    "gelu_tanh(%22)",
    "gelu_tanh(%24)",
    "gelu_erf(%1)",
    "gelu_erf(%24)",
    "glu(%1, %1)",
    "glu(%1, %1) {kind=1}",
    "glu(%1, %4) {kind=2}",
    "glu(%4, %1) {kind=3}",
    "glu(%1, %1) {kind=4}",
    "expert_matmul(%15, %17, %14)",
    "expert_matmul(%16, %18, %14)",
    "linear(%1, %19)",
    "linear(%1, %19, %20)",
    "linear(%1, %19, _, %21)",
    "linear(%1, %19, %20, %21)",
    "linear(%1, %27, %4) {plain_b=1}",
    "linear(%1, %19, %20) {activation=1}",
    "linear(%1, %19, %20) {activation=2, alpha=-1, beta=1}",
    "linear(%1, %19) {activation=3, alpha=0.1}",
    "linear(%1, %19) {activation=9, alpha=0.2, beta=0.5}",
    "linear(%1, %19) {activation=10}",
    "linear(%1, %19) {activation=11, alpha=1}",
    "linear(%1, %19) {activation=12}",
    "linear(%1, %19) {activation=13}",
    "linear(%1, %19) {activation=14, alpha=2, beta=1}",
    "linear(%1, %19) {activation=15, alpha=2, beta=1}",
    "linear(%1, %19) {activation=16, alpha=2}",
    "chain(%1, %4) {length=3, code=[mul f32 128 129 0, less bool 0 128 0, where f32 1 0 129]}",
    "chain(%24) {length=2, code=[cast f32 128 0 0, exp f32 0 0 0]}",
    "group_norm(%1, %28, %28) {groups=2, epsilon=1e-05}",
};

static void types_agree(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof nodes / sizeof nodes[0]; i++) {
        char text[4096];
        struct qn_graph *g;
        qn_value inputs[16], out;
        union qn_attr_any attr;
        snprintf(text, sizeof text, "%s%%99 = %s\n", head, nodes[i]);
        qn_assert_ok(qn_graph_parse(qn_str_from(text), NULL, &g));
        const struct qn_node_info node = *qn_graph_node(g, 1);
        const struct qn_op_info *info = qn_op_info(node.op);
        for (uint32_t k = 0; k < node.input_count; k++)
            inputs[k] = qn_graph_input_of(g, 1, k);
        memset(&attr, 0, sizeof attr);
        memcpy(&attr, qn_graph_attr(g, 1), info->attr_size);
        qn_assert_ok(info->decompose(g, inputs, node.input_count, &attr, &out));
        if (!qn_type_equal(qn_graph_type(g, node.first_output), qn_graph_type(g, out)))
            fail_msg("%s is %s, its decomposition %s", nodes[i],
                     qn_type_text(g, qn_graph_type(g, node.first_output)).text,
                     qn_type_text(g, qn_graph_type(g, out)).text);
        for (qn_node n = 2; n < g->nodes.count; n++)
            assert_false(qn_op_info(qn_graph_node(g, n)->op)->traits & QN_OP_FUSED);
        qn_assert_ok(qn_graph_verify(g));
        qn_graph_destroy(g);
    }
}

static void every_fused_op_has_a_case(void **state)
{
    (void)state;
    for (uint16_t op = 1; op < QN_OP_LIMIT; op++) {
        const struct qn_op_info *info = qn_op_info(op);
        bool found = !info->name || !(info->traits & QN_OP_FUSED);
        for (size_t i = 0; !found && i < sizeof nodes / sizeof nodes[0]; i++)
            found = strncmp(nodes[i], info->name, strlen(info->name)) == 0 && nodes[i][strlen(info->name)] == '(';
        if (!found)
            fail_msg("no case for %s", info->name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_agree),
        cmocka_unit_test(every_fused_op_has_a_case),
    };
    return cmocka_run_group_tests_name("decompositions", tests, NULL, NULL);
}
