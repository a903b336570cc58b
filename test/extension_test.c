/* The example extension: its op inside a model, its backend beside the CPU, and what goes wrong. */
#include <math.h>
#include <string.h>

#include "quern/extension.h"
#include "quern/model.h"
#include "quern/session.h"
#include "support/testing.h"

static struct qn_extension_library *library;
static const struct qn_extension *extension;

static int load(void **state)
{
    (void)state;
    qn_assert_ok(qn_extension_load(QN_TEST_EXTENSION, &library, &extension));
    return 0;
}

static int unload(void **state)
{
    (void)state;
    qn_extension_unload(library);
    return 0;
}

static qn_status run_file(const char *path, const char *backends, const struct qn_extension *const *extensions,
                          uint32_t count, const float *x, int64_t rows, float *y)
{
    struct qn_model *model = NULL;
    struct qn_session *session = NULL;
    struct qn_session_options options = {
        .struct_size = sizeof options, .backends = backends, .extensions = extensions, .extension_count = count};
    qn_assert_ok(qn_model_open(qn_test_source(path), NULL, &model));
    qn_status status = qn_session_create(model, &options, &session);
    struct qn_tensor input = {(void *)(uintptr_t)x, (size_t)rows * 3 * sizeof *x, QN_DTYPE_F32, 2, {rows, 3}};
    struct qn_tensor output = {.data = y, .bytes = (size_t)rows * 3 * sizeof *y};
    if (!status)
        status = qn_session_run(session, &input, 1, &output, 1);
    qn_session_destroy(session);
    qn_model_close(model);
    return status;
}

static qn_status run_model(const char *backends, const struct qn_extension *const *extensions, uint32_t count,
                           const float *x, int64_t rows, float *y)
{
    return run_file("test/data/onnx/scale_shift.onnx", backends, extensions, count, x, rows, y);
}

/* y = exp((2 x + 1) x) + x */
static void check(const float *x, const float *y, int count)
{
    for (int i = 0; i < count; i++)
        assert_float_equal(y[i], expf((2 * x[i] + 1) * x[i]) + x[i], 1e-5f);
}

static void op_in_a_model(void **state)
{
    (void)state;
    const float x[6] = {0, 0.5f, -0.5f, 1, 0.25f, -1};
    float y[6];
    qn_assert_ok(run_model(NULL, &extension, 1, x, 2, y));
    check(x, y, 6);
    qn_assert_ok(run_model(NULL, &extension, 1, x, 1, y));
    check(x, y, 3);
}

/* Nodes that each backend took, by the op's name. */
struct taken {
    int example, cpu, refused;
};

static void on_partition(void *context, const char *node, const char *op, const char *backend, const char *why)
{
    struct taken *taken = context;
    bool arithmetic = strcmp(op, "add") == 0 || strcmp(op, "mul") == 0;
    assert_non_null(node);
    if (strcmp(backend, "example") == 0 && !why) {
        assert_true(arithmetic);
        taken->example++;
    } else if (strcmp(backend, "example") == 0) {
        assert_string_equal(why, "it only adds and multiplies");
        taken->refused++;
    } else {
        taken->cpu += !why;
    }
}

static void backend_beside_the_cpu(void **state)
{
    (void)state;
    const float x[6] = {0, 0.5f, -0.5f, 1, 0.25f, -1};
    float y[6];
    qn_assert_ok(run_model("example,cpu", &extension, 1, x, 2, y));
    check(x, y, 6);
    struct qn_model *model = NULL;
    struct taken taken = {0};
    const struct qn_session_options options = {
        .struct_size = sizeof options, .backends = "example,cpu", .extensions = &extension, .extension_count = 1};
    qn_assert_ok(qn_model_open(qn_test_source("test/data/onnx/scale_shift.onnx"), NULL, &model));
    qn_assert_ok(qn_graph_partition(model, &options, on_partition, &taken));
    assert_int_equal(taken.example, 2); /* mul and add */
    assert_int_equal(taken.refused, 2); /* the custom op and exp */
    assert_int_equal(taken.cpu, 2);
    qn_model_close(model);
}

/* The group of such a node has the value once, the node gets it twice. */
static void one_value_read_twice(void **state)
{
    (void)state;
    const float x[3] = {1, -3, 0.5f};
    float y[3];
    qn_assert_ok(run_file("test/data/onnx/squared.onnx", "example,cpu", &extension, 1, x, 1, y));
    for (int i = 0; i < 3; i++)
        assert_true(y[i] == 4 * x[i] * x[i]);
}

static void what_goes_wrong(void **state)
{
    (void)state;
    const float x[3] = {0};
    float y[3];
    qn_assert_fails(run_model(NULL, NULL, 0, x, 1, y), QN_UNSUPPORTED, "ScaleShift (domain example.org");
    qn_assert_fails(run_model("fast,cpu", &extension, 1, x, 1, y), QN_NOT_FOUND,
                    "no backend is named 'fast'; there are: cpu, example");
    struct qn_extension_library *none;
    const struct qn_extension *nothing;
    qn_assert_fails(qn_extension_load("/nonexistent.so", &none, &nothing), QN_NOT_FOUND, "/nonexistent.so");
}

/* An op whose rule and function live in the program itself; the function fails. */
static qn_status failing_shape(void *context, const struct qn_node_view *node, struct qn_tensor *outputs)
{
    (void)context;
    qn_node_view_input(node, 0, &outputs[0]);
    double scale = 0;
    assert_true(qn_node_view_float(node, "scale", &scale));
    assert_true(scale == 2);
    return NULL;
}

static qn_status failing_compute(void *context, const struct qn_node_view *node, const struct qn_tensor *inputs,
                                 uint32_t input_count, struct qn_tensor *outputs, uint32_t output_count)
{
    (void)node;
    (void)inputs;
    (void)outputs;
    assert_int_equal(input_count, 1);
    assert_int_equal(output_count, 1);
    return QN_STATUS(QN_UNSUPPORTED, "%s", (const char *)context);
}

static void op_of_the_program(void **state)
{
    (void)state;
    const struct qn_custom_op op = {.struct_size = sizeof op,
                                    .domain = "example.org",
                                    .name = "ScaleShift",
                                    .outputs = 1,
                                    .context = (void *)(uintptr_t) "not today",
                                    .shape = failing_shape,
                                    .compute = failing_compute};
    const struct qn_extension own = {.struct_size = sizeof own, .name = "own", .ops = &op, .op_count = 1};
    const struct qn_extension *list[] = {&own};
    const float x[3] = {0};
    float y[3];
    qn_assert_fails(run_model(NULL, list, 1, x, 1, y), QN_UNSUPPORTED, "not today");
}

/* What an application hands over is checked as what a library does. */
static void extensions_that_are_not_complete(void **state)
{
    (void)state;
    struct qn_custom_op op = extension->ops[0];
    struct qn_custom_backend backend = extension->backends[0];
    struct qn_extension own = *extension;
    const struct qn_extension *list[] = {&own, NULL};
    const float x[3] = {0};
    float y[3];
    own.ops = &op;
    own.backends = &backend;
    op.shape = NULL;
    qn_assert_fails(run_model(NULL, list, 1, x, 1, y), QN_UNSUPPORTED, "op 0 of extension example is not complete");
    op = extension->ops[0];
    backend.run = NULL;
    qn_assert_fails(run_model("cpu", list, 1, x, 1, y), QN_UNSUPPORTED, "backend 0 of extension example");
    backend = extension->backends[0];
    own.ops = NULL;
    qn_assert_fails(run_model(NULL, list, 1, x, 1, y), QN_UNSUPPORTED, "lists no ops");
    own.ops = &op;
    own.struct_size = 0;
    qn_assert_fails(run_model(NULL, list, 1, x, 1, y), QN_UNSUPPORTED, "struct_size");
    own.struct_size = sizeof own;
    qn_assert_fails(run_model(NULL, list, 2, x, 1, y), QN_INVALID_ARGUMENT, "extension 1 of the options is NULL");
    qn_assert_ok(run_model("example,cpu", list, 1, x, 1, y));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(op_in_a_model),        cmocka_unit_test(backend_beside_the_cpu),
        cmocka_unit_test(one_value_read_twice), cmocka_unit_test(what_goes_wrong),
        cmocka_unit_test(op_of_the_program),    cmocka_unit_test(extensions_that_are_not_complete),
    };
    return cmocka_run_group_tests_name("extension", tests, load, unload);
}
