/* `quern run`, `bench` and `inspect` on models that take tensors, as a person runs them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "onnx_build.h"
#include "quern/data.h"
#include "support/run_quern.h"
#include "support/testing.h"

static const char *output;

#define SHAPES QN_SOURCE_DIR "/models/quern-shapes.onnx"
#define LABELS QN_SOURCE_DIR "/models/quern-shapes.txt"
#define MODEL(name) QN_SOURCE_DIR "/test/data/onnx/" name ".onnx"

static void assert_shown(const char *text)
{
    if (!strstr(output, text))
        fail_msg("'%s' is not shown in:\n%s", text, output);
}

/* Every sample picture is named rightly: the first line ends with its label. */
static void names_pictures(void **state)
{
    (void)state;
    static const char *const labels[] = {"arrow",   "circle", "cross",      "crescent", "diamond", "heart",
                                         "hexagon", "ring",   "semicircle", "square",   "star",    "triangle"};
    for (size_t i = 0; i < sizeof labels / sizeof labels[0]; i++) {
        assert_int_equal(qn_test_run_quern(&output, NULL,
                                           "run %s --image %s/models/shapes/%s.png --labels %s --top 2 -q", SHAPES,
                                           QN_SOURCE_DIR, labels[i], LABELS),
                         0);
        const char *end = strchr(output, '\n');
        size_t length = strlen(labels[i]);
        assert_true(end && (size_t)(end - output) > length);
        assert_memory_equal(end - length, labels[i], length);
    }
}

static const char *write_model(struct pb *graph, const char *name)
{
    static char path[4096];
    struct pb model = pb_model(graph);
    snprintf(path, sizeof path, "%s", qn_test_temp(name));
    qn_test_write_file(path, model.data, model.size);
    pb_free(&model);
    return path;
}

/* What is wanted, in the types that numpy lacks and with all its digits; an input of another type than declared. */
static void outputs_are_shown(void **state)
{
    (void)state;
    struct pb g = {0}, tensor = {0};
    int64_t big = 9007199254740993; /* 2^53 + 1 */
    pb_add_node(&g, pb_node_of("Identity", "x", "same"));
    pb_add_node(&g, pb_node_of("Identity", "f", "eighth"));
    pb_add_value(&g, GRAPH_INPUT, "x", 7, NULL);
    pb_add_value(&g, GRAPH_INPUT, "f", 17, "3");
    pb_add_value(&g, GRAPH_OUTPUT, "same", 7, NULL);
    pb_add_value(&g, GRAPH_OUTPUT, "eighth", 17, "3");
    char path[4096], x[2048], f[2048];
    snprintf(path, sizeof path, "%s", write_model(&g, "shown.onnx"));
    snprintf(x, sizeof x, "%s", qn_test_temp("x.pb"));
    snprintf(f, sizeof f, "%s", qn_test_temp("f.pb"));
    pb_int(&tensor, 1, 1);
    pb_int(&tensor, 2, 7);
    pb_bytes(&tensor, 9, &big, sizeof big);
    qn_test_write_file(x, tensor.data, tensor.size);
    pb_free(&tensor);
    pb_int(&tensor, 1, 3);
    pb_int(&tensor, 2, 17); /* float8e4m3fn */
    pb_bytes(&tensor, 9, "\x38\xc4\x7f", 3);
    qn_test_write_file(f, tensor.data, tensor.size);
    pb_free(&tensor);
    assert_int_equal(qn_test_run_quern(&output, NULL, "run %s -i x=%s -i f=%s -q", path, x, f), 0);
    assert_string_equal(output, "same: i64[1]  9007199254740993\neighth: f8e4m3fn[3]  1 -3 nan\n");
    assert_int_equal(qn_test_run_quern(&output, NULL, "run %s -i x=%s -i f=%s -o eighth -q", path, x, f), 0);
    assert_string_equal(output, "eighth: f8e4m3fn[3]  1 -3 nan\n");
    assert_int_not_equal(qn_test_run_quern(&output, NULL, "run %s -i x=%s -i f=%s 2>&1", path, f, f), 0);
    assert_shown("input 'x': expected a tensor of i64, given a tensor of f8e4m3fn");
}

/* x -> Neg -> "a/b", x -> Abs -> "a:b" */
static void outputs_of_one_file_are_refused(void **state)
{
    (void)state;
    struct pb g = {0};
    pb_add_node(&g, pb_node_of("Neg", "x", "a/b"));
    pb_add_node(&g, pb_node_of("Abs", "x", "a:b"));
    pb_add_value(&g, GRAPH_INPUT, "x", F32, "2");
    pb_add_value(&g, GRAPH_OUTPUT, "a/b", F32, "2");
    pb_add_value(&g, GRAPH_OUTPUT, "a:b", F32, "2");
    char path[4096], folder[2048];
    snprintf(path, sizeof path, "%s", write_model(&g, "clash.onnx"));
    snprintf(folder, sizeof folder, "%s", qn_test_temp("clash"));
    assert_int_not_equal(qn_test_run_quern(&output, NULL, "run %s --random --output-dir %s -q 2>&1", path, folder), 0);
    assert_shown("'a/b' and 'a:b' would be written to the same file");
    assert_int_equal(qn_test_run_quern(&output, NULL, "run %s --random --output a:b --output-dir %s -q", path, folder),
                     0);
    snprintf(path, sizeof path, "%s/a_b.npy", folder);
    assert_int_equal(access(path, F_OK), 0);
}

static void writes_outputs(void **state)
{
    (void)state;
    struct qn_data data;
    const char *folder = qn_test_temp("out");
    assert_int_equal(
        qn_test_run_quern(&output, NULL, "run %s --random -d N=5 --output-dir %s -q", MODEL("sequence"), folder), 0);
    char path[4096];
    for (int i = 0; i < 3; i++) { /* 5 rows in parts of 2 */
        snprintf(path, sizeof path, "%s/parts.%d.npy", folder, i);
        qn_assert_ok(qn_data_load(path, NULL, NULL, NULL, &data));
        assert_int_equal(data.tensor.dims[0], i < 2 ? 2 : 1);
        qn_data_free(&data, NULL);
    }
    snprintf(path, sizeof path, "%s/parts.3.npy", folder);
    assert_int_not_equal(access(path, F_OK), 0);
    /* what was written is read again */
    float x[16];
    for (int i = 0; i < 16; i++)
        x[i] = (float)i / 4;
    struct qn_data input = {.kind = QN_DATA_TENSOR, .tensor = {x, sizeof x, QN_DTYPE_F32, 2, {2, 8}}};
    qn_assert_ok(qn_data_save(&input, qn_test_temp("x"), NULL));
    assert_int_equal(qn_test_run_quern(&output, NULL, "run %s --input x=%s --output y --output-dir %s -q",
                                       MODEL("linear"), qn_test_temp("x.npy"), folder),
                     0);
    snprintf(path, sizeof path, "%s/y.npy", folder);
    qn_assert_ok(qn_data_load(path, NULL, NULL, NULL, &data));
    assert_int_equal(data.tensor.dims[1], 4);
    qn_data_free(&data, NULL);
    snprintf(path, sizeof path, "%s/z.npy", folder); /* not asked for */
    assert_int_not_equal(access(path, F_OK), 0);
}

static void says_what_is_missing(void **state)
{
    (void)state;
    assert_int_equal(qn_test_run_quern(&output, NULL, "run %s 2>&1", MODEL("linear")), 2);
    assert_shown("input 'x' f32[N,8] is not given");
    assert_int_equal(qn_test_run_quern(&output, NULL, "run %s -i nothing=x.npy 2>&1", MODEL("linear")), 5);
    assert_shown("the model has no input 'nothing'");
    assert_int_equal(qn_test_run_quern(&output, NULL, "run %s --random -d N=x 2>&1", MODEL("linear")), 2);
    assert_shown("--dim");
    assert_int_equal(qn_test_run_quern(&output, NULL, "run %s -p hello 2>&1", MODEL("linear")), 2);
    assert_shown("no language model");
    assert_int_equal(qn_test_run_quern(&output, NULL, "run %s --image %s/README.md 2>&1", SHAPES, QN_SOURCE_DIR), 4);
    assert_shown("README.md");
}

static void measures(void **state)
{
    (void)state;
    assert_int_equal(qn_test_run_quern(&output, NULL, "bench %s -d N=2 -r 5 --json -q", SHAPES), 0);
    assert_null(strstr(output, "\"threads\": 0"));
    assert_shown("\"latency_s_p99\"");
    assert_shown("\"runs\": 5");
    assert_int_equal(qn_test_run_quern(&output, NULL, "bench %s -r 3 -q --profile %s", SHAPES, qn_test_temp("trace")),
                     0);
    assert_shown("latency");
    char *trace = qn_test_read_file(qn_test_temp("trace"), NULL);
    assert_non_null(strstr(trace, "\"traceEvents\""));
    free(trace);
}

static void shows_passes_and_partition(void **state)
{
    (void)state;
    assert_int_equal(qn_test_run_quern(&output, NULL, "inspect %s --passes", SHAPES), 0);
    assert_shown("layout");
    assert_int_equal(qn_test_run_quern(&output, NULL, "inspect %s --partition", SHAPES), 0);
    assert_shown("conv");
    assert_shown("runs");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_pictures),
        cmocka_unit_test(outputs_of_one_file_are_refused),
        cmocka_unit_test(outputs_are_shown),
        cmocka_unit_test(writes_outputs),
        cmocka_unit_test(says_what_is_missing),
        cmocka_unit_test(measures),
        cmocka_unit_test(shows_passes_and_partition),
    };
    return cmocka_run_group_tests_name("quern run on tensors", tests, NULL, NULL);
}
