/* quern quantize on ONNX models (test/data/onnx/products*.onnx by tools/onnx/make_products_model.py): what becomes of
 * the products, that all else stays, and that nothing is half-written. tools/quant/compare_onnx.py has ONNX Runtime's
 * word on the same models. */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "format/onnx/onnx_file.h"
#include "onnx_build.h"
#include "quern/convert.h"
#include "quern/data.h"
#include "quern/model.h"
#include "quern/session.h"
#include "support/testing.h"

static const char *source(const char *name)
{
    char path[300];
    snprintf(path, sizeof path, "test/data/onnx/%s", name);
    return qn_test_source(path);
}

/* ---- running -------------------------------------------------------------------------------------------------- */

enum { MAX_OUTPUTS = 16 };

struct result {
    uint32_t count;
    struct {
        float *values;
        size_t elements;
    } outputs[MAX_OUTPUTS];
};

/* Bound by its input's name: x is filled with waves, which is true, w_given is all 0.5. */
static void bind(struct qn_model *model, struct qn_run *run, float *x, float *given, bool *which)
{
    static struct qn_data bound[4]; /* looked at when the run begins */
    struct qn_model_info info = {.struct_size = sizeof info};
    qn_assert_ok(qn_model_info(model, &info));
    for (uint32_t i = 0; i < info.input_count; i++) {
        struct qn_model_port port = {.struct_size = sizeof port};
        struct qn_tensor *t = &bound[i].tensor;
        qn_assert_ok(qn_model_input(model, i, &port));
        if (port.has_default)
            continue;
        bound[i] = (struct qn_data){.kind = QN_DATA_TENSOR, .tensor = {.dtype = port.dtype, .rank = port.rank}};
        t->bytes = qn_dtype_info(port.dtype)->block_bytes;
        for (uint32_t d = 0; d < port.rank; d++) {
            t->dims[d] = port.dims[d];
            t->bytes *= (size_t)port.dims[d];
        }
        t->data = port.dtype == QN_DTYPE_BOOL ? (void *)which : strcmp(port.name, "x") == 0 ? x : given;
        qn_assert_ok(qn_run_bind_input(run, i, &bound[i]));
    }
}

static struct result run_model(const char *path)
{
    static float x[3 * 64], given[48 * 4];
    static bool which = true;
    struct result r = {0};
    struct qn_model *model;
    struct qn_session *session;
    struct qn_run *run;
    struct qn_model_info info = {.struct_size = sizeof info};
    for (int i = 0; i < 3 * 64; i++)
        x[i] = sinf((float)i * 0.7f);
    for (int i = 0; i < 48 * 4; i++)
        given[i] = 0.5f;
    qn_assert_ok(qn_model_open(path, NULL, &model));
    qn_assert_ok(qn_session_create(model, NULL, &session));
    qn_assert_ok(qn_run_create(session, &run));
    bind(model, run, x, given, &which);
    qn_assert_ok(qn_run_execute(run));
    qn_assert_ok(qn_model_info(model, &info));
    r.count = info.output_count;
    for (uint32_t i = 0; i < r.count; i++) {
        struct qn_data data;
        qn_assert_ok(qn_run_output(run, i, &data));
        r.outputs[i].elements = data.tensor.bytes / sizeof(float);
        r.outputs[i].values = malloc(data.tensor.bytes);
        memcpy(r.outputs[i].values, data.tensor.data, data.tensor.bytes);
    }
    qn_run_destroy(run);
    qn_session_destroy(session);
    qn_model_close(model);
    return r;
}

static void free_result(struct result *r)
{
    for (uint32_t i = 0; i < r->count; i++)
        free(r->outputs[i].values);
}

/* Root mean square difference of output i, relative to it. */
static double distance(const struct result *a, const struct result *b, uint32_t i)
{
    double error = 0, square = 0;
    assert_int_equal(a->outputs[i].elements, b->outputs[i].elements);
    for (size_t k = 0; k < a->outputs[i].elements; k++) {
        double x = (double)a->outputs[i].values[k], d = x - (double)b->outputs[i].values[k];
        error += d * d;
        square += x * x;
    }
    return sqrt(error / square);
}

/* ---- looking -------------------------------------------------------------------------------------------------- */

static const struct qn_onnx_tensor *tensor_of(const struct qn_onnx_graph *graph, const char *name)
{
    for (uint32_t i = 0; i < graph->initializer_count; i++)
        if (qn_str_is(graph->initializers[i].name, name))
            return &graph->initializers[i];
    return NULL;
}

static const struct qn_onnx_node *node_of(const struct qn_onnx_graph *graph, const char *output)
{
    for (uint32_t i = 0; i < graph->node_count; i++)
        if (qn_str_is(graph->nodes[i].outputs[0], output))
            return &graph->nodes[i];
    return NULL;
}

static bool is_product(const struct qn_onnx_graph *graph, const char *output, const char *codes)
{
    const struct qn_onnx_node *node = node_of(graph, output);
    return node && qn_str_is(node->op_type, "MatMulNBits") && qn_str_is(node->inputs[1], codes);
}

/* ---- tests ---------------------------------------------------------------------------------------------------- */

static void products_become_few_bits(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        double weights, outputs; /* what the weights and what outputs may lose */
        uint64_t bytes;
    } rows[] = {{"q4_0", 0.085, 0.2, 11400}, {"Q4_1", 0.078, 0.2, 11700}, {"Q8_0", 0.006, 0.015, 17000}};
    struct result before = run_model(source("products.onnx"));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *out = qn_test_temp("few.onnx");
        struct qn_convert_options options = {.struct_size = sizeof options, .measure = true, .threads = 1 + i % 2};
        struct qn_convert_stats stats = {.struct_size = sizeof stats};
        qn_assert_ok(qn_quantize(source("products.onnx"), out, rows[i].type, &options, &stats));
        assert_true(stats.error > rows[i].weights / 2 && stats.error < rows[i].weights);
        assert_true(stats.worst_error >= stats.error && stats.worst[0] == 'w');
        assert_true(stats.bytes_out < rows[i].bytes && stats.bytes_in > 36000);
        struct result after = run_model(out);
        for (uint32_t k = 0; k < before.count; k++)
            if (!(distance(&before, &after, k) < rows[i].outputs))
                fail_msg("%s: output %u differs by %g", rows[i].type, k, distance(&before, &after, k));
        assert_true(distance(&before, &after, 4) > 0); /* alpha: its own weight stays, what it reads does not */
        free_result(&after);
    }
    free_result(&before);
}

static void what_is_kept_and_what_goes(void **state)
{
    (void)state;
    const char *out = qn_test_temp("looked.onnx");
    struct qn_convert_keep keeps[] = {{"w_turned", QN_DTYPE_Q8_0}, {"w_lin*", QN_DTYPE_NONE}};
    struct qn_convert_options options = {.struct_size = sizeof options, .keeps = keeps, .keep_count = 2};
    struct qn_onnx_file *file;
    qn_assert_ok(qn_quantize(source("products.onnx"), out, "Q4_1", &options, NULL));
    qn_assert_ok(qn_onnx_open(out, NULL, &file));
    const struct qn_onnx_graph *g = &file->model.graph;
    static const char *const gone[] = {"w_plain", "w_turned", "w_matrix", "w_outside", "w_half", "w_ragged"};
    static const char *const there[] = {"w_table",  "w_table_Q4",  "w_alpha",      "w_given", "w_short", "w_batch",
                                        "w_linear", "w_turned_Q8", "w_outside_Q4", "made_Q4", "b_matrix"};
    for (size_t i = 0; i < sizeof gone / sizeof gone[0]; i++)
        assert_null(tensor_of(g, gone[i]));
    for (size_t i = 0; i < sizeof there / sizeof there[0]; i++)
        assert_non_null(tensor_of(g, there[i]));
    assert_true(is_product(g, "u", "w_plain_Q4") && is_product(g, "u2", "w_plain_Q4"));
    assert_true(is_product(g, "behind", "w_turned_Q8") && is_product(g, "matrix_product", "w_matrix_Q4"));
    assert_true(qn_str_is(node_of(g, "matrix")->op_type, "Add") && qn_str_is(node_of(g, "linear")->op_type, "Gemm"));
    assert_true(qn_str_is(node_of(g, "u")->name, "plain") &&
                qn_str_is(node_of(g, "u")->inputs[3], "w_plain_zero_points"));
    assert_null(node_of(g, "turned")); /* Transpose, Identity and Constant whose values nobody reads */
    assert_null(node_of(g, "turned_too"));
    assert_null(node_of(g, "made"));
    const struct qn_onnx_attr *attrs = node_of(g, "chosen")->attrs;
    const struct qn_onnx_graph *yes = attrs[qn_str_is(attrs[0].name, "then_branch") ? 0 : 1].g;
    assert_true(is_product(yes, "yes_a", "w_outside_Q4") && tensor_of(yes, "w_yes_Q4"));
    assert_int_equal(g->value_info_count, 1);
    assert_int_equal(file->model.opset_count, 2);
    assert_int_equal(file->model.metadata_count, 1);
    assert_int_equal(tensor_of(g, "w_half_scales")->data_type, qn_onnx_data_type(QN_DTYPE_F16));
    qn_onnx_close(file);
}

/* Nothing to change: the very bytes of the source, and behind them the version of com.microsoft. */
static void all_else_is_carried_over(void **state)
{
    (void)state;
    const char *out = qn_test_temp("same.onnx");
    struct qn_convert_keep keep = {"*", QN_DTYPE_NONE};
    struct qn_convert_options options = {.struct_size = sizeof options, .keeps = &keep, .keep_count = 1};
    qn_assert_ok(qn_quantize(source("products.onnx"), out, "Q4_0", &options, NULL));
    size_t before, after;
    char *a = qn_test_read_file(source("products.onnx"), &before), *b = qn_test_read_file(out, &after);
    assert_true(after > before && after < before + 24);
    assert_memory_equal(a, b, before);
    free(a);
    free(b);
}

static void old_models_keep_their_form(void **state)
{
    (void)state;
    const char *out = qn_test_temp("old.onnx");
    struct qn_onnx_file *file;
    qn_assert_ok(qn_quantize(source("products_old.onnx"), out, "Q8_0", NULL, NULL));
    qn_assert_ok(qn_onnx_open(out, NULL, &file));
    const struct qn_onnx_graph *g = &file->model.graph;
    assert_int_equal(g->input_count, 3); /* x, and the initialisers */
    assert_true(qn_str_is(g->inputs[1].name, "w_Q8") && g->inputs[1].type.rank == 3);
    qn_onnx_close(file);
    struct result before = run_model(source("products_old.onnx")), after = run_model(out);
    assert_true(distance(&before, &after, 0) < 0.015);
    free_result(&before);
    free_result(&after);
}

static void tensors_beside_the_model_stay_beside(void **state)
{
    (void)state;
    const char *out = qn_test_temp("far.onnx");
    struct qn_onnx_file *file;
    qn_assert_ok(qn_quantize(source("products_beside.onnx"), out, "Q8_0", NULL, NULL));
    qn_assert_ok(qn_onnx_open(out, NULL, &file));
    const struct qn_onnx_graph *g = &file->model.graph;
    assert_int_equal(file->source_count, 2);
    assert_true(qn_str_is(file->sources[1].location, "far.onnx.data"));
    assert_true(tensor_of(g, "w_Q8")->external && tensor_of(g, "scale")->external && !tensor_of(g, "w"));
    struct qn_onnx_external scale, made;
    qn_assert_ok(qn_onnx_external(tensor_of(g, "scale"), &scale));
    qn_assert_ok(qn_onnx_external(node_of(g, "made")->attrs[0].t, &made));
    assert_true(scale.offset == made.offset && scale.length == 256);
    qn_onnx_close(file);
    struct result before = run_model(source("products_beside.onnx")), after = run_model(out);
    assert_true(distance(&before, &after, 0) < 0.015);
    free_result(&before);
    free_result(&after);
    assert_int_equal(symlink(source("products_beside.bin"), qn_test_temp("clash.onnx.data")), 0);
    qn_assert_fails(qn_quantize(source("products_beside.onnx"), qn_test_temp("clash.onnx"), "Q8_0", NULL, NULL),
                    QN_INVALID_ARGUMENT, "one of the input's");
}

static void what_cannot_be_done_is_told(void **state)
{
    (void)state;
    const char *in = source("products.onnx"), *out = qn_test_temp("never.onnx");
    struct qn_convert_keep keep = {"w_plain", QN_DTYPE_Q5_0};
    struct qn_convert_options options = {.struct_size = sizeof options, .keeps = &keep, .keep_count = 1};
    qn_assert_fails(qn_quantize(in, out, "Q4_K_M", NULL, NULL), QN_UNSUPPORTED,
                    "cannot be Q4_K_M; Q4_0, Q4_1 and Q8_0 work");
    qn_assert_fails(qn_quantize(in, qn_test_temp("never.gguf"), "Q4_0", NULL, NULL), QN_UNSUPPORTED, ".onnx");
    qn_assert_fails(qn_convert(in, out, NULL, NULL), QN_UNSUPPORTED, "quern quantize");
    qn_assert_fails(qn_quantize(in, out, "Q4_0", &options, NULL), QN_INVALID_ARGUMENT, "'w_plain=q5_0'");
    keep = (struct qn_convert_keep){"w_alpha", QN_DTYPE_NONE};
    qn_assert_fails(qn_quantize(in, out, "Q4_0", &options, NULL), QN_INVALID_ARGUMENT, "names no weight");
    options = (struct qn_convert_options){.struct_size = sizeof options, .imatrix = "some.dat"};
    qn_assert_fails(qn_quantize(in, out, "Q4_0", &options, NULL), QN_UNSUPPORTED, "importance");
    qn_assert_fails(qn_quantize(source("sequence.onnx"), out, "Q4_0", NULL, NULL), QN_UNSUPPORTED, "nothing");
    assert_int_equal(fopen(out, "rb") != NULL, 0);
}

/* A model of one product whose weight has a NaN at element 70. */
static const char *make_nan(void)
{
    const char *path = qn_test_temp("nan.onnx");
    float values[64 * 2] = {[70] = NAN};
    struct pb t = pb_tensor("w", 1, (const int64_t[]){64, 2, -1}), g = {0}, node = pb_node("MatMul", "x", "y");
    pb_bytes(&t, 9, values, sizeof values);
    pb_text(&node, 1, "w");
    struct pb in = pb_value("x", 1), out = pb_value("y", 1);
    pb_message(&g, GRAPH_NODE, &node);
    pb_text(&g, GRAPH_NAME, "g");
    pb_message(&g, GRAPH_INITIALIZER, &t);
    pb_message(&g, GRAPH_INPUT, &in);
    pb_message(&g, GRAPH_OUTPUT, &out);
    struct pb m = pb_model(&g);
    qn_test_write_file(path, m.data, m.size);
    pb_free(&m);
    return path;
}

static void failures_leave_what_was_there(void **state)
{
    (void)state;
    static const char old[] = "what stood here before";
    const char *out = qn_test_temp("precious.onnx"), *nan = make_nan();
    qn_test_write_file(out, old, sizeof old);
    int files = qn_test_temp_count();
    qn_assert_fails(qn_quantize(nan, out, "Q4_0", NULL, NULL), QN_INVALID_FILE, "'w': element 70");
    static const char *const names[] = {"products.onnx", "products_beside.onnx"};
    for (int i = 0; i < 2; i++) { /* a full disk */
        struct rlimit before, small;
        signal(SIGXFSZ, SIG_IGN);
        assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
        small = before;
        small.rlim_cur = 512;
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
        qn_status status = qn_quantize(source(names[i]), out, "Q4_0", NULL, NULL);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        qn_assert_fails(status, QN_IO, "cannot write");
    }
    size_t size;
    char *now = qn_test_read_file(out, &size);
    assert_true(size == sizeof old && memcmp(now, old, size) == 0);
    assert_int_equal(qn_test_temp_count(), files);
    free(now);
}

static qn_status quantise_with(const struct qn_allocator *allocator, void *context)
{
    struct qn_convert_options options = {.struct_size = sizeof options, .allocator = allocator, .threads = 1};
    return qn_quantize(context, qn_test_temp("memory.onnx"), "Q4_1", &options, NULL);
}

static void lack_of_memory_is_told(void **state)
{
    (void)state;
    assert_true(qn_test_every_allocation(quantise_with, (void *)source("products_beside.onnx")) > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_become_few_bits),
        cmocka_unit_test(what_is_kept_and_what_goes),
        cmocka_unit_test(all_else_is_carried_over),
        cmocka_unit_test(old_models_keep_their_form),
        cmocka_unit_test(tensors_beside_the_model_stay_beside),
        cmocka_unit_test(what_cannot_be_done_is_told),
        cmocka_unit_test(failures_leave_what_was_there),
        cmocka_unit_test(lack_of_memory_is_told),
    };
    return cmocka_run_group_tests_name("onnx_quantize", tests, NULL, NULL);
}
