#include "base/status.h"
#include "ir/build.h"
#include "ir/ir.h"
#include "support/testing.h"

static const struct qn_type f32_scalar = {.dtype = QN_DTYPE_F32};

static struct qn_graph *create(void)
{
    struct qn_graph *g;
    qn_assert_ok(qn_graph_create(NULL, QN_STR("t"), &g));
    return g;
}

static qn_value add_input(struct qn_graph *g, const char *name, qn_dtype dtype, uint32_t rank, qn_dim d0, qn_dim d1)
{
    struct qn_type type = {.dtype = dtype, .rank = rank, .dims = {d0, d1, 99}}; /* what stands behind rank is ignored */
    qn_value v;
    qn_assert_ok(qn_graph_add_input(g, qn_str_from(name), &type, &v));
    return v;
}

static qn_value node(struct qn_graph *g, uint16_t op, qn_value a, qn_value b, const void *attr)
{
    qn_value out;
    qn_assert_ok(qn_graph_add_node(g, op, (qn_value[]){a, b}, b ? 2 : 1, attr, QN_STR(""), &out));
    return out;
}

static void equal_nodes_are_one(void **state)
{
    struct qn_graph *g = create();
    (void)state;
    qn_value x = add_input(g, "x", QN_DTYPE_F32, 2, 4, 8), y = add_input(g, "y", QN_DTYPE_F32, 2, 4, 8);
    qn_value sum = node(g, QN_OP_add, x, y, NULL);
    assert_int_equal(node(g, QN_OP_add, x, y, NULL), sum);
    assert_int_equal(node(g, QN_OP_add, y, x, NULL), sum); /* commutative */
    assert_int_not_equal(node(g, QN_OP_sub, x, y, NULL), node(g, QN_OP_sub, y, x, NULL));
    struct qn_attr_reduce last = {.axes = {.count = 1, .items = {-1}}}, one = {.axes = {.count = 1, .items = {1}}};
    one.axes.items[3] = 77; /* behind the list's end: no part of it */
    qn_value mean = node(g, QN_OP_reduce_mean, x, 0, &last);
    assert_int_equal(node(g, QN_OP_reduce_mean, x, 0, &one), mean);
    one.keepdims = 1;
    assert_int_not_equal(node(g, QN_OP_reduce_mean, x, 0, &one), mean);
    struct qn_attr_reduce all = {0}, both = {.axes = {.count = 2, .items = {1, 0}}};
    assert_int_equal(node(g, QN_OP_reduce_max, x, 0, &all), node(g, QN_OP_reduce_max, x, 0, &both));
    assert_int_equal(qn_graph_node(g, qn_graph_value(g, sum)->producer)->input_count, 2);
    qn_assert_ok(qn_graph_verify(g));
    qn_graph_destroy(g);
}

static void the_index_outlives_growth(void **state)
{
    struct qn_graph *g = create();
    qn_value x = add_input(g, "x", QN_DTYPE_F32, 1, 4, 0), chain[1000];
    (void)state;
    chain[0] = x;
    for (int i = 1; i < 1000; i++)
        chain[i] = node(g, i % 3 ? QN_OP_exp : QN_OP_neg, chain[i - 1], 0, NULL);
    uint32_t count = g->nodes.count;
    for (int i = 1; i < 1000; i++)
        assert_int_equal(node(g, i % 3 ? QN_OP_exp : QN_OP_neg, chain[i - 1], 0, NULL), chain[i]);
    assert_int_equal(g->nodes.count, count);
    qn_graph_destroy(g);
}

static void constants_are_shared_by_content(void **state)
{
    struct qn_graph *g = create();
    struct qn_type vector = {.dtype = QN_DTYPE_F32, .rank = 1, .dims = {1}};
    const float one = 1, two = 2;
    qn_value a, b, c, d, e;
    uint32_t file;
    (void)state;
    qn_assert_ok(qn_graph_add_data(g, QN_STR("a"), &f32_scalar, &one, &a));
    qn_assert_ok(qn_graph_add_data(g, QN_STR("b"), &f32_scalar, &one, &b));
    qn_assert_ok(qn_graph_add_data(g, QN_STR("c"), &f32_scalar, &two, &c));
    qn_assert_ok(qn_graph_add_data(g, QN_STR("d"), &vector, &one, &d));
    assert_int_equal(a, b);
    assert_int_not_equal(a, c);
    assert_int_not_equal(a, d);
    assert_ptr_not_equal(g->blobs.items[0].data, &one); /* copied */
    qn_assert_ok(qn_graph_file(g, QN_STR("m.gguf"), &file));
    struct qn_blob blob = {.place = QN_BLOB_FILE, .file = file, .offset = 32, .bytes = 4};
    qn_assert_ok(qn_graph_add_constant(g, QN_STR("w"), &vector, &blob, &d));
    qn_assert_ok(qn_graph_add_constant(g, QN_STR("tied"), &vector, &blob, &e));
    assert_int_equal(d, e);
    blob.offset = 36;
    qn_assert_ok(qn_graph_add_constant(g, QN_STR("v"), &vector, &blob, &e));
    assert_int_not_equal(d, e);
    qn_assert_ok(qn_graph_file(g, QN_STR("m.gguf"), &file));
    assert_int_equal(g->files.count, 1);
    qn_graph_destroy(g);
}

static void blobs_must_fit_their_type(void **state)
{
    struct qn_graph *g = create();
    struct qn_type type = {.dtype = QN_DTYPE_Q8_0, .rank = 2, .dims = {2, 64}};
    struct qn_blob blob = {.place = QN_BLOB_FILE, .bytes = 136};
    uint32_t file;
    qn_value v;
    (void)state;
    qn_assert_fails(qn_graph_add_constant(g, QN_STR("w"), &type, &blob, &v), QN_INVALID_ARGUMENT,
                    "constant 'w': data lies in file 0, the graph has 0");
    qn_assert_ok(qn_graph_file(g, QN_STR("f"), &file));
    qn_assert_ok(qn_graph_add_constant(g, QN_STR("w"), &type, &blob, &v));
    blob.bytes = 135;
    qn_assert_fails(qn_graph_add_constant(g, QN_STR("w"), &type, &blob, &v), QN_INVALID_ARGUMENT,
                    "constant 'w': q8_0[2,64] takes 136 bytes, its data has 135");
    blob = (struct qn_blob){.place = QN_BLOB_FILE, .bytes = 136, .offset = UINT64_MAX - 100};
    qn_assert_fails(qn_graph_add_constant(g, QN_STR("w"), &type, &blob, &v), QN_INVALID_ARGUMENT, "2^64");
    type.dims[1] = 63;
    qn_assert_fails(qn_graph_add_constant(g, QN_STR("w"), &type, &blob, &v), QN_INVALID_ARGUMENT, "multiple of 32");
    type = (struct qn_type){.dtype = QN_DTYPE_F32, .rank = 3, .dims = {1ll << 40, 1ll << 40, 4}};
    qn_assert_fails(qn_graph_add_constant(g, QN_STR("w"), &type, &blob, &v), QN_INVALID_ARGUMENT, "no size");
    type = (struct qn_type){.dtype = QN_DTYPE_F32, .rank = 1};
    qn_assert_ok(qn_graph_symbol(g, QN_STR("N"), 1, 4, &type.dims[0]));
    qn_assert_fails(qn_graph_add_constant(g, QN_STR("w"), &type, &blob, &v), QN_INVALID_ARGUMENT, "f32[N] has no size");
    qn_graph_destroy(g);
}

static void types_are_checked(void **state)
{
    struct qn_graph *g = create();
    struct qn_type type = {.dtype = (qn_dtype)63, .rank = 1, .dims = {4}};
    qn_value v;
    (void)state;
    qn_assert_fails(qn_graph_add_input(g, QN_STR("x"), &type, &v), QN_INVALID_ARGUMENT, "input 'x': unknown dtype 63");
    type = (struct qn_type){.dtype = QN_DTYPE_F32, .rank = 9};
    qn_assert_fails(qn_graph_add_input(g, QN_STR("x"), &type, &v), QN_INVALID_ARGUMENT, "rank 9, at most 8");
    type = (struct qn_type){.dtype = QN_DTYPE_F32, .rank = 1, .dims = {-5}};
    qn_assert_fails(qn_graph_add_state(g, QN_STR("s"), &type, &v), QN_INVALID_ARGUMENT, "state 's': dimension refers");
    type = (struct qn_type){.dtype = QN_DTYPE_F32, .encoding = 1};
    qn_assert_fails(qn_graph_add_input(g, QN_STR("x"), &type, &v), QN_INVALID_ARGUMENT, "encoding 1");
    qn_graph_destroy(g);
}

static void names_are_unique(void **state)
{
    struct qn_graph *g = create();
    qn_value x = add_input(g, "x", QN_DTYPE_F32, 1, 4, 0), v;
    struct qn_type type = {.dtype = QN_DTYPE_F32};
    (void)state;
    qn_assert_fails(qn_graph_add_input(g, QN_STR("x"), &type, &v), QN_INVALID_ARGUMENT, "two inputs are named 'x'");
    qn_assert_fails(qn_graph_add_input(g, QN_STR(""), &type, &v), QN_INVALID_ARGUMENT, "an input has no name");
    qn_assert_ok(qn_graph_add_state(g, QN_STR("x"), &type, &v));
    qn_assert_fails(qn_graph_add_state(g, QN_STR("x"), &type, &v), QN_INVALID_ARGUMENT, "two states are named 'x'");
    qn_assert_ok(qn_graph_add_output(g, QN_STR("x"), x));
    qn_assert_fails(qn_graph_add_output(g, QN_STR("x"), x), QN_INVALID_ARGUMENT, "two outputs are named 'x'");
    qn_assert_fails(qn_graph_add_output(g, QN_STR("y"), 77), QN_INVALID_ARGUMENT, "value 77");
    qn_assert_ok(qn_graph_verify(g));
    qn_graph_destroy(g);
}

static void node_errors_name_op_node_and_shapes(void **state)
{
    struct qn_graph *g = create();
    qn_value x = add_input(g, "x", QN_DTYPE_F32, 2, 4, 8), y = add_input(g, "y", QN_DTYPE_F32, 2, 4, 7), out[2];
    (void)state;
    qn_assert_fails(qn_graph_add_node(g, QN_OP_add, (qn_value[]){x, y}, 2, NULL, QN_STR("blk.0"), out),
                    QN_INVALID_ARGUMENT,
                    "node 'blk.0' (add): inputs 0 and 1 are f32[4,8] and f32[4,7]: they do not broadcast");
    qn_assert_fails(qn_graph_add_node(g, QN_OP_add, &x, 1, NULL, QN_STR(""), out), QN_INVALID_ARGUMENT,
                    "node 1 (add): has 1 inputs, takes 2 to 2");
    qn_assert_fails(qn_graph_add_node(g, QN_OP_add, (qn_value[]){x, 99}, 2, NULL, QN_STR("n"), out),
                    QN_INVALID_ARGUMENT, "input 1 is value 99, the graph has 2");
    qn_assert_fails(qn_graph_add_node(g, QN_OP_add, (qn_value[]){0, x}, 2, NULL, QN_STR("n"), out), QN_INVALID_ARGUMENT,
                    "input 0 is absent");
    qn_assert_fails(qn_graph_add_node(g, 499, &x, 1, NULL, QN_STR("n"), out), QN_INVALID_ARGUMENT, "unknown op 499");
    struct qn_attr_reshape attr = {.dims = {.count = 9}};
    qn_assert_fails(qn_graph_add_node(g, QN_OP_reshape, &x, 1, &attr, QN_STR("n"), out), QN_INVALID_ARGUMENT,
                    "dims has 9 entries, at most 8");
    attr = (struct qn_attr_reshape){.dims = {.count = 1, .items = {-77}}};
    qn_assert_fails(qn_graph_add_node(g, QN_OP_reshape, &x, 1, &attr, QN_STR("n"), out), QN_INVALID_ARGUMENT,
                    "dims: dimension refers to expression 76");
    assert_int_equal(g->nodes.count, 1); /* nothing half made */
    qn_graph_destroy(g);
}

static void absent_inputs_at_the_end_do_not_count(void **state)
{
    struct qn_graph *g = create();
    qn_value x = add_input(g, "x", QN_DTYPE_F32, 2, 4, 8), w = add_input(g, "w", QN_DTYPE_F32, 2, 3, 8), a, b;
    (void)state;
    qn_assert_ok(qn_graph_add_node(g, QN_OP_linear, (qn_value[]){x, w, 0, 0}, 4, NULL, QN_STR(""), &a));
    qn_assert_ok(qn_graph_add_node(g, QN_OP_linear, (qn_value[]){x, w}, 2, NULL, QN_STR(""), &b));
    assert_int_equal(a, b);
    assert_int_equal(qn_graph_node(g, 1)->input_count, 2);
    assert_int_equal(qn_graph_input_of(g, 1, 3), 0);
    qn_graph_destroy(g);
}

static void inputs_may_lie_in_the_graph_itself(void **state)
{
    struct qn_graph *g = create();
    qn_value x = add_input(g, "x", QN_DTYPE_F32, 1, 4, 0), out;
    (void)state;
    node(g, QN_OP_slice, x, 0, &(struct qn_attr_slice){.stop = 4});
    for (int i = 0; i < 200; i++) { /* edges and attributes move while they grow */
        qn_value next = node(g, QN_OP_neg, g->values.count - 1, 0, NULL);
        const struct qn_node_info *slice = qn_graph_node(g, 1);
        qn_assert_ok(qn_graph_add_node(g, QN_OP_slice, &next, 1, g->attrs.items + slice->attr, QN_STR(""), &out));
        const struct qn_node_info *last = qn_graph_node(g, g->nodes.count - 1);
        qn_assert_ok(qn_graph_add_node(g, QN_OP_exp, g->edges.items + last->first_input, 1, NULL, QN_STR(""), &out));
        assert_int_equal(qn_graph_input_of(g, g->nodes.count - 1, 0), next);
    }
    qn_assert_ok(qn_graph_verify(g));
    qn_graph_destroy(g);
}

/* A graph with a bit of everything, for allocations that fail. */
static qn_status build_sample(const struct qn_allocator *allocator, void *context)
{
    struct qn_graph *g;
    (void)context;
    qn_status status = qn_graph_create(allocator, QN_STR("sample"), &g);
    if (status)
        return status;
    struct qn_build b = {.graph = g, .scope = QN_STR("blk.0")};
    struct qn_type type = {.dtype = QN_DTYPE_F32, .rank = 2, .dims = {0, 8}};
    struct qn_type rows = {.dtype = QN_DTYPE_F16, .rank = 2, .dims = {16, 8}},
                   slots = {.dtype = QN_DTYPE_I32, .rank = 1};
    const float weights[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    qn_value x = 0, w = 0, in = 0, slot = 0, norm, out;
    uint32_t file;
    QN_TRY_GOTO(qn_graph_symbol(g, QN_STR("N"), 1, 64, &type.dims[0]), done);
    slots.dims[0] = type.dims[0];
    QN_TRY_GOTO(qn_graph_file(g, QN_STR("a.gguf"), &file), done);
    QN_TRY_GOTO(qn_graph_add_input(g, QN_STR("x"), &type, &x), done);
    QN_TRY_GOTO(qn_graph_add_input(g, QN_STR("slot"), &slots, &slot), done);
    QN_TRY_GOTO(qn_graph_add_state(g, QN_STR("k"), &rows, &in), done);
    QN_TRY_GOTO(qn_graph_add_data(g, QN_STR("w"), &(struct qn_type){.dtype = QN_DTYPE_F32, .rank = 1, .dims = {8}},
                                  weights, &w),
                done);
    norm = qn_build_node(&b, QN_OP_rms_norm, (qn_value[]){x, w}, 2, &(struct qn_attr_norm){1e-5f}, "norm");
    out = qn_build_node(&b, QN_OP_scatter_rows, (qn_value[]){in, slot, norm}, 3, NULL, "k");
    if ((status = b.status))
        goto done;
    qn_graph_set_state(g, in, out);
    QN_TRY_GOTO(qn_op_info(QN_OP_rms_norm)->decompose(g, (qn_value[]){x, w}, 2, &(struct qn_attr_norm){1e-5f}, &out),
                done);
    QN_TRY_GOTO(qn_graph_add_output(g, QN_STR("y"), out), done);
    status = qn_graph_verify(g);
done:
    qn_graph_destroy(g);
    return status;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(qn_test_every_allocation(build_sample, NULL) > 10);
}

static void ops_are_found_by_name(void **state)
{
    (void)state;
    uint32_t count = 0;
    for (uint16_t op = 1; op < QN_OP_LIMIT; op++) {
        const struct qn_op_info *info = qn_op_info(op);
        if (!info->name)
            continue;
        count++;
        assert_int_equal(qn_op_from_name(qn_str_from(info->name)), op);
        assert_non_null(info->shape);
        assert_int_equal(info->decompose != NULL, (info->traits & QN_OP_FUSED) != 0);
        assert_true(info->min_inputs <= info->max_inputs && info->outputs >= 1);
    }
    assert_true(count > 50);
    assert_int_equal(qn_op_from_name(QN_STR("frobnicate")), QN_OP_NONE);
    assert_null(qn_op_info(60000)->name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_nodes_are_one),
        cmocka_unit_test(the_index_outlives_growth),
        cmocka_unit_test(constants_are_shared_by_content),
        cmocka_unit_test(blobs_must_fit_their_type),
        cmocka_unit_test(types_are_checked),
        cmocka_unit_test(names_are_unique),
        cmocka_unit_test(node_errors_name_op_node_and_shapes),
        cmocka_unit_test(absent_inputs_at_the_end_do_not_count),
        cmocka_unit_test(inputs_may_lie_in_the_graph_itself),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(ops_are_found_by_name),
    };
    return cmocka_run_group_tests_name("graph", tests, NULL, NULL);
}
