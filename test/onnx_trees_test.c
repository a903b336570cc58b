/* TreeEnsembleRegressor: every comparison, with and without NaN on the side of true; nodes that parents share. */
#include <float.h>
#include <math.h>

#include "onnx_build.h"
#include "quern/model.h"
#include "quern/session.h"

enum { ATTR_FLOATS = 7, ATTR_INTS = 8, ATTR_STRINGS = 9, KIND_FLOATS = 6, KIND_INTS = 7, KIND_STRINGS = 8 };

static void add_ints(struct pb *node, const char *name, int count, const int *values)
{
    struct pb attr = {0};
    pb_text(&attr, 1, name);
    for (int i = 0; i < count; i++)
        pb_int(&attr, ATTR_INTS, values[i]);
    pb_int(&attr, 20, KIND_INTS);
    pb_message(node, NODE_ATTR, &attr);
}

static void add_floats(struct pb *node, const char *name, int count, const float *values)
{
    struct pb attr = {0};
    pb_text(&attr, 1, name);
    for (int i = 0; i < count; i++)
        pb_float(&attr, ATTR_FLOATS, values[i]);
    pb_int(&attr, 20, KIND_FLOATS);
    pb_message(node, NODE_ATTR, &attr);
}

/* One tree over one feature; leaves give their number. */
struct tree {
    int count;
    const char *modes; /* separated by commas */
    const int *missing, *yes, *no;
    const float *values;
};

static qn_status open_tree(const struct tree *tree, struct pb *bytes, struct qn_model **model)
{
    struct pb g = {0}, node = pb_node_of("TreeEnsembleRegressor", "x", "y"), modes = {0}, opset = {0};
    int ids[16], zeros[16] = {0};
    float weights[16];
    for (int i = 0; i < tree->count; i++)
        weights[i] = (float)(ids[i] = i);
    pb_text(&node, NODE_DOMAIN, "ai.onnx.ml");
    pb_text(&modes, 1, "nodes_modes");
    pb_names(&modes, ATTR_STRINGS, tree->modes);
    pb_int(&modes, 20, KIND_STRINGS);
    pb_message(&node, NODE_ATTR, &modes);
    add_ints(&node, "nodes_treeids", tree->count, zeros);
    add_ints(&node, "nodes_nodeids", tree->count, ids);
    add_ints(&node, "nodes_featureids", tree->count, zeros);
    add_ints(&node, "nodes_missing_value_tracks_true", tree->count, tree->missing);
    add_ints(&node, "nodes_truenodeids", tree->count, tree->yes);
    add_ints(&node, "nodes_falsenodeids", tree->count, tree->no);
    add_floats(&node, "nodes_values", tree->count, tree->values);
    add_ints(&node, "target_treeids", tree->count, zeros);
    add_ints(&node, "target_nodeids", tree->count, ids);
    add_ints(&node, "target_ids", tree->count, zeros);
    add_floats(&node, "target_weights", tree->count, weights);
    pb_attr_int(&node, "n_targets", 1);
    pb_add_node(&g, node);
    pb_text(&g, GRAPH_NAME, "g");
    pb_add_value(&g, GRAPH_INPUT, "x", F32, "N,1");
    pb_add_value(&g, GRAPH_OUTPUT, "y", F32, "N,1");
    *bytes = pb_model(&g);
    pb_text(&opset, 1, "ai.onnx.ml");
    pb_int(&opset, 2, 3);
    pb_message(bytes, 8, &opset);
    return qn_model_open_memory(bytes->data, bytes->size, "trees.onnx", NULL, model);
}

/* The leaf that each of `count` values comes to; or what the run says. */
static qn_status run_tree(const struct tree *tree, int count, float *x, int *leaves)
{
    const struct qn_session_options options = {.struct_size = sizeof options, .threads = 1};
    struct pb bytes;
    struct qn_model *model;
    struct qn_session *session;
    struct qn_run *run;
    struct qn_data in = {.kind = QN_DATA_TENSOR,
                         .tensor = {.data = x,
                                    .bytes = (size_t)count * sizeof *x,
                                    .dtype = QN_DTYPE_F32,
                                    .rank = 2,
                                    .dims = {count, 1}}},
                   out;
    qn_assert_ok(open_tree(tree, &bytes, &model));
    qn_assert_ok(qn_session_create(model, &options, &session));
    qn_assert_ok(qn_run_create(session, &run));
    qn_assert_ok(qn_run_bind_input(run, 0, &in));
    qn_status status = qn_run_execute(run);
    if (!status) {
        qn_assert_ok(qn_run_output(run, 0, &out));
        assert_int_equal(out.tensor.dims[0], count);
        for (int i = 0; i < count; i++)
            leaves[i] = (int)((const float *)out.tensor.data)[i];
    }
    qn_run_destroy(run);
    qn_session_destroy(session);
    qn_model_close(model);
    pb_free(&bytes);
    return status;
}

static bool holds(int mode, float v, float t)
{
    return mode == 0   ? v <= t
           : mode == 1 ? v < t
           : mode == 2 ? v >= t
           : mode == 3 ? v > t
           : mode == 4 ? v == t
                       : v != t;
}

static void comparisons(void **state)
{
    static const char *const modes[] = {"BRANCH_LEQ,LEAF,LEAF", "BRANCH_LT,LEAF,LEAF", "BRANCH_GTE,LEAF,LEAF",
                                        "BRANCH_GT,LEAF,LEAF",  "BRANCH_EQ,LEAF,LEAF", "BRANCH_NEQ,LEAF,LEAF"};
    float x[] = {-INFINITY, -FLT_MAX, -1, -1e-45f, -0.0f, 0, 1e-45f, 1, nextafterf(1, 2), FLT_MAX, INFINITY, NAN};
    enum { COUNT = sizeof x / sizeof x[0] };
    (void)state;
    for (int mode = 0; mode < 6; mode++)
        for (int missing = 0; missing < 2; missing++)
            for (int t = 0; t < COUNT; t++) {
                const struct tree tree = {.count = 3,
                                          .modes = modes[mode],
                                          .missing = (const int[]){missing, 0, 0},
                                          .yes = (const int[]){1, 0, 0},
                                          .no = (const int[]){2, 0, 0},
                                          .values = (const float[]){x[t], 0, 0}};
                int leaves[COUNT];
                qn_assert_ok(run_tree(&tree, COUNT, x, leaves));
                for (int i = 0; i < COUNT; i++)
                    if (leaves[i] != (holds(mode, x[i], x[t]) || (missing && isnan(x[i])) ? 1 : 2))
                        fail_msg("%s, missing %d: %g against %g goes to leaf %d", modes[mode], missing, (double)x[i],
                                 (double)x[t], leaves[i]);
            }
}

/* x is 1, 4 or 7: below 5 leaf 3, else leaf 4; another x: leaf 5. As LightGBM's splits by categories are written. */
static void shared_nodes(void **state)
{
    const struct tree tree = {.count = 7,
                              .modes = "BRANCH_EQ,BRANCH_LEQ,BRANCH_EQ,LEAF,LEAF,LEAF,BRANCH_EQ",
                              .missing = (const int[7]){0},
                              .yes = (const int[]){1, 3, 1, 0, 0, 0, 1},
                              .no = (const int[]){2, 4, 6, 0, 0, 0, 5},
                              .values = (const float[]){1, 5, 4, 0, 0, 0, 7}};
    float x[] = {1, 4, 7, 2, NAN};
    static const int expected[] = {3, 3, 4, 5, 5};
    int leaves[5];
    (void)state;
    qn_assert_ok(run_tree(&tree, 5, x, leaves));
    for (int i = 0; i < 5; i++)
        assert_int_equal(leaves[i], expected[i]);
}

static void circles_are_refused(void **state)
{
    const struct tree tree = {.count = 5,
                              .modes = "BRANCH_LT,BRANCH_LT,BRANCH_LT,LEAF,LEAF",
                              .missing = (const int[5]){0},
                              .yes = (const int[]){1, 2, 1, 0, 0},
                              .no = (const int[]){3, 3, 4, 0, 0},
                              .values = (const float[5]){0}};
    float x = 0;
    int leaf;
    (void)state;
    qn_assert_fails(run_tree(&tree, 1, &x, &leaf), QN_INVALID_FILE, "below itself");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(comparisons), cmocka_unit_test(shared_nodes),
                                       cmocka_unit_test(circles_are_refused)};
    return cmocka_run_group_tests_name("onnx_trees", tests, NULL, NULL);
}
