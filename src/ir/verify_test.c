/* The verifier: a sound graph with each invariant broken in turn. */
#include <stdio.h>

#include "ir/ir.h"
#include "support/testing.h"

static const char sound[] = "graph \"sound\"\n"
                            "symbol N 1..64\n"
                            "file 0 \"a\"\n"
                            "%1:f32[N,8] = input \"x\"\n"
                            "%2:f32[8] = const @0:0:32 \"w\"\n"
                            "%3:f32[16,8] = state \"s\"\n"
                            "%4:i32[N] = input \"slot\"\n"
                            "%5:f32[N,8] = rms_norm(%1, %2) {epsilon=1e-05} \"norm\"\n"
                            "%6:f32[16,8] = scatter_rows(%3, %4, %5) \"write\"\n"
                            "%7:f32[N,2], %8:i32[N,2] = topk(%5) {k=2}\n"
                            "%9:f32[N,4,2] = reshape(%5) {dims=[N,4,2]} \"view\"\n"
                            "%10:f32[N-1,4,2] = slice(%9) {stop=N-1, step=1}\n"
                            "store \"s\" = %6\n"
                            "output \"y\" = %10\n";

enum { X = 1, W, S, SLOT, NORM, WRITE, TOP, IDS, VIEW };
enum { NORM_NODE = 1, WRITE_NODE, TOP_NODE, VIEW_NODE };

static struct qn_value_info *value(struct qn_graph *g, qn_value v)
{
    return &g->values.items[v];
}
static struct qn_node_info *node(struct qn_graph *g, qn_node n)
{
    return &g->nodes.items[n];
}
static qn_value *edge(struct qn_graph *g, qn_node n, uint32_t i)
{
    return &g->edges.items[g->nodes.items[n].first_input + i];
}

#define BREAK(name, statement)                   \
    static void break_##name(struct qn_graph *g) \
    {                                            \
        statement;                               \
    }

BREAK(op, node(g, NORM_NODE)->op = 499)
BREAK(arity, node(g, NORM_NODE)->input_count = 1)
BREAK(outputs, node(g, TOP_NODE)->output_count = 1)
BREAK(first_input, node(g, NORM_NODE)->first_input = 1000)
BREAK(first_output, node(g, NORM_NODE)->first_output = 1000)
BREAK(attr_range, node(g, NORM_NODE)->attr = 10000)
BREAK(attr_align, node(g, NORM_NODE)->attr += 4)
BREAK(order, *edge(g, NORM_NODE, 0) = VIEW)
BREAK(absent, *edge(g, NORM_NODE, 1) = 0)
BREAK(input_range, *edge(g, NORM_NODE, 0) = 1000)
BREAK(type, value(g, NORM)->type.dims[1] = 9)
BREAK(dtype, value(g, NORM)->type.dtype = QN_DTYPE_F16)
BREAK(unknown_dtype, value(g, X)->type.dtype = (qn_dtype)63)
BREAK(rank, value(g, X)->type.rank = 9)
BREAK(dim, value(g, X)->type.dims[0] = -100)
BREAK(encoding, value(g, X)->type.encoding = 3)
BREAK(producer, value(g, NORM)->producer = WRITE_NODE)
BREAK(output_index, value(g, IDS)->index = 0)
BREAK(kind, value(g, NORM)->kind = QN_VALUE_INPUT)
BREAK(input_slot, g->inputs.items[0].value = NORM)
BREAK(constant_index, value(g, W)->index = 7)
BREAK(blob_bytes, g->blobs.items[0].bytes = 31)
BREAK(blob_file, g->blobs.items[0].file = 1)
BREAK(blob_end, g->blobs.items[0].offset = UINT64_MAX)
BREAK(attr_dim, ((struct qn_attr_reshape *)(g->attrs.items + node(g, VIEW_NODE)->attr))->dims.items[0] = -100)
BREAK(attr_count, ((struct qn_attr_reshape *)(g->attrs.items + node(g, VIEW_NODE)->attr))->dims.count = 9)
BREAK(attr_value, ((struct qn_attr_topk *)(g->attrs.items + node(g, TOP_NODE)->attr))->k = 9)
BREAK(state_in, g->states.items[0].in = 0)
BREAK(state_out, g->states.items[0].out = NORM)
BREAK(state_lost, g->states.items[0].out = S)
BREAK(state_kind, g->states.items[0].in = X)
BREAK(overwritten_output, g->outputs.items[0].value = S)
BREAK(output_range, g->outputs.items[0].value = 1000)
BREAK(symbol, g->symbols.items[0].min = 65)
BREAK(expr_symbol, g->exprs.items[0].a = 5)
BREAK(expr_op, g->exprs.items[1].op = (enum qn_expr_op)42)
BREAK(expr_order, g->exprs.items[1].a = ~(int64_t)1)
BREAK(expr_size, g->exprs.items[1].size = 2)

static const struct {
    const char *name;
    void (*apply)(struct qn_graph *g);
    const char *words;
} breaks[] = {
    {"op", break_op, "node 1 'norm' (?): unknown op 499"},
    {"arity", break_arity, "node 1 'norm' (rms_norm): 1 inputs and 1 outputs"},
    {"outputs", break_outputs, "value %8: its place"},
    {"first_input", break_first_input, "lie outside the graph's"},
    {"first_output", break_first_output, "value %5: its place"},
    {"attr_range", break_attr_range, "lie outside the graph's"},
    {"attr_align", break_attr_align, "lie outside the graph's"},
    {"order", break_order, "input 0, %9, does not stand before it"},
    {"absent", break_absent, "input 1 is absent"},
    {"input_range", break_input_range, "input 0, %1000, does not stand before it"},
    {"type", break_type, "output 0 is f32[N,9], the shape rule gives f32[N,8]"},
    {"dtype", break_dtype, "output 0 is f16[N,8], the shape rule gives f32[N,8]"},
    {"unknown_dtype", break_unknown_dtype, "value %1: unknown dtype 63"},
    {"rank", break_rank, "value %1: rank 9"},
    {"dim", break_dim, "value %1: dimension refers to expression 99"},
    {"encoding", break_encoding, "value %1: encoding 3"},
    {"producer", break_producer, "value %5: its place"},
    {"output_index", break_output_index, "value %8: its place"},
    {"kind", break_kind, "value %5: its place"},
    {"input_slot", break_input_slot, "value %1: its place"},
    {"constant_index", break_constant_index, "value %2: its place"},
    {"blob_bytes", break_blob_bytes, "f32[8] takes 32 bytes, its data has 31"},
    {"blob_file", break_blob_file, "data lies in file 1, the graph has 1"},
    {"blob_end", break_blob_end, "ends past 2^64"},
    {"attr_dim", break_attr_dim, "node 4 'view' (reshape): dims: dimension refers to expression 99"},
    {"attr_count", break_attr_count, "dims has 9 entries"},
    {"attr_value", break_attr_value, "the 9 largest of f32[N,8]"},
    {"state_in", break_state_in, "value %3: its place"},
    {"state_out", break_state_out, "state 's': ends as %5, which does not come from it"},
    {"state_lost", break_state_lost, "state 's': ends as %3, which node 2 overwrites"},
    {"state_kind", break_state_kind, "value %3: its place"},
    {"overwritten_output", break_overwritten_output, "output 'y' is overwritten by node 2"},
    {"output_range", break_output_range, "output 'y' is value %1000"},
    {"symbol", break_symbol, "symbol 'N' has bounds 65 to 64"},
    {"expr_symbol", break_expr_symbol, "expression 0 is symbol 5, the graph has 1"},
    {"expr_op", break_expr_op, "unknown operator 42"},
    {"expr_order", break_expr_order, "expression 1 refers to one that does not stand before it"},
    {"expr_size", break_expr_size, "expression 1 has size 2, not 3"},
};

static struct qn_graph *make_sound(void)
{
    struct qn_graph *g;
    qn_assert_ok(qn_graph_parse(qn_str_from(sound), NULL, &g));
    return g;
}

static void each_broken_invariant_is_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof breaks / sizeof breaks[0]; i++) {
        struct qn_graph *g = make_sound();
        breaks[i].apply(g);
        qn_status status = qn_graph_verify(g);
        if (!status || !strstr(qn_status_message(status), breaks[i].words))
            fail_msg("%s: expected '%s' in: %s", breaks[i].name, breaks[i].words, qn_status_message(status));
        assert_non_null(strstr(qn_status_message(status), "graph 'sound'"));
        qn_status_free(status);
        qn_graph_destroy(g);
    }
}

static void reads_after_a_write_are_found(void **state)
{
    static const char *const texts[] = {
        /* the state itself, and views of it from before the write */
        "graph \"g\"\n%1:f32[4,2] = state \"s\"\n%2:i32[1] = input \"i\"\n%3:f32[1,2] = input \"x\"\n"
        "%4 = scatter_rows(%1, %2, %3)\n%5 = neg(%1)\nstore \"s\" = %4\n",
        "graph \"g\"\n%1:f32[4,2] = state \"s\"\n%2:i32[1] = input \"i\"\n%3:f32[1,2] = input \"x\"\n"
        "%4 = reshape(%1) {dims=[8]}\n%5 = reshape(%4) {dims=[2,4]}\n"
        "%6 = scatter_rows(%1, %2, %3)\n%7 = neg(%5)\nstore \"s\" = %6\n",
        "graph \"g\"\n%1:f32[4,2] = state \"s\"\n%2:i32[1] = input \"i\"\n%3:f32[1,2] = input \"x\"\n"
        "%4 = scatter_rows(%1, %2, %3)\n%5 = scatter_rows(%1, %2, %3)\n%6 = scatter_rows(%1, %2, %3)\n"
        "%7:f32[1,2] = input \"z\"\n%8 = scatter_rows(%1, %2, %7)\nstore \"s\" = %4\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct qn_graph *g;
        qn_assert_fails(qn_graph_parse(qn_str_from(texts[i]), NULL, &g), QN_INVALID_ARGUMENT, "has overwritten it");
    }
}

static void only_states_are_written(void **state)
{
    static const char *const starts[] = {"%1:f32[4,2] = input \"s\"\n", "%1:f32[4,2] = const {0,0,0,0,0,0,0,0}\n",
                                         "%9:f32[8] = input \"s\"\n%1 = reshape(%9) {dims=[4,2]}\n",
                                         "%9:f32[4,2] = input \"s\"\n%1 = neg(%9)\n"};
    (void)state;
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        char text[400];
        struct qn_graph *g;
        snprintf(text, sizeof text,
                 "graph \"g\"\n%s%%2:i32[1] = input \"i\"\n%%3:f32[1,2] = input \"x\"\n"
                 "%%4 = scatter_rows(%%1, %%2, %%3)\noutput \"y\" = %%4\n",
                 starts[i]);
        qn_assert_fails(qn_graph_parse(qn_str_from(text), NULL, &g), QN_INVALID_ARGUMENT, "which is no state");
    }
}

static void late_symbols_are_bound_before_use(void **state)
{
    static const struct {
        const char *text;
        bool sound;
    } cases[] = {
        {"%1:i64[] = input \"n\"\n%2 = bind_dims(%1) {dims=[T]}\n%3 = iota() {count=T, dtype=i64}\n", true},
        {"%1:i64[] = input \"n\"\n%3 = iota() {count=T, dtype=i64}\n%2 = bind_dims(%1) {dims=[T]}\n", false},
        {"%1:f32[T] = input \"n\"\n", false},
        {"%1:f32[4] = input \"n\"\n%2:f32[T+1] = call(%1)\n", false},
        {"%1:f32[4] = input \"n\"\n%2:f32[T+1], %3:f32[T] = call(%1)\n%4 = neg(%2)\n", true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[400];
        struct qn_graph *g;
        snprintf(text, sizeof text, "graph \"g\"\nsymbol T 0..9 late\n%s", cases[i].text);
        qn_status status = qn_graph_parse(qn_str_from(text), NULL, &g);
        if (cases[i].sound)
            qn_assert_ok(status);
        else
            qn_assert_fails(status, QN_INVALID_ARGUMENT, "mentions 'T' before a node has bound it");
        qn_graph_destroy(g);
    }
}

static void it_leaves_the_graph_alone(void **state)
{
    struct qn_graph *g = make_sound();
    (void)state;
    uint32_t exprs = g->exprs.count, share = g->share.count;
    const void *items = g->exprs.items;
    qn_assert_ok(qn_graph_verify(g));
    assert_int_equal(g->exprs.count, exprs);
    assert_int_equal(g->share.count, share);
    assert_ptr_equal(g->exprs.items, items);
    qn_graph_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_broken_invariant_is_found), cmocka_unit_test(reads_after_a_write_are_found),
        cmocka_unit_test(only_states_are_written),        cmocka_unit_test(late_symbols_are_bound_before_use),
        cmocka_unit_test(it_leaves_the_graph_alone),
    };
    return cmocka_run_group_tests_name("verifier", tests, NULL, NULL);
}
