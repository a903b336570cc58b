/* `quern diff` as a person runs it: an injected fault is found and its layer named, in ONNX and in a folder beside its
 * GGUF, and one model run in two ways is the same model. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "format/onnx/onnx_file.h"
#include "onnx_build.h"
#include "quern/convert.h"
#include "support/models.h"
#include "support/run_quern.h"
#include "support/testing.h"

enum { WIDTH = 32, LAYERS = 3 };

static void assert_shown(const char *output, const char *words)
{
    if (!strstr(output, words))
        fail_msg("'%s' is not shown in:\n%s", words, strlen(output) > 600 ? output + strlen(output) - 600 : output);
}

/* ---- ONNX ----------------------------------------------------------------------------------------------------- */

static struct pb node_of(const char *op, int layer, const char *input, const char *second, const char *name)
{
    struct pb n = {0};
    char text[64];
    pb_text(&n, 1, input);
    if (second)
        pb_text(&n, 1, second);
    snprintf(text, sizeof text, "/model/layers.%d/%s", layer, name);
    pb_text(&n, 2, text);
    pb_text(&n, 4, op);
    return n;
}

static struct pb port(const char *name)
{
    struct pb v = {0}, type = {0}, tensor = {0}, shape = {0}, dims[2] = {{0}, {0}};
    pb_int(&dims[0], 1, 4);
    pb_int(&dims[1], 1, WIDTH);
    pb_message(&shape, 1, &dims[0]);
    pb_message(&shape, 1, &dims[1]);
    pb_int(&tensor, 1, 1);
    pb_message(&tensor, 2, &shape);
    pb_message(&type, 1, &tensor);
    pb_text(&v, 1, name);
    pb_message(&v, 2, &type);
    return v;
}

/* x -> (x W, tanh, x V, + x) in each layer; every V is multiplied by `gain`, the weights of one kind in one layer by
 * `factor`. */
static const char *make_onnx(const char *file, float gain, int layer, char kind, float factor)
{
    const char *path = qn_test_temp(file);
    struct pb g = {0}, in = port("x"), out = {0};
    char from[64] = "x", w[8], up[64], act[64], down[64];
    pb_text(&g, GRAPH_NAME, "g");
    for (int l = 0; l < LAYERS; l++) {
        for (int k = 0; k < 2; k++) {
            float values[WIDTH * WIDTH];
            uint32_t seed = (uint32_t)(l * 2 + k + 1);
            for (int i = 0; i < WIDTH * WIDTH; i++) {
                seed = seed * 1664525u + 1013904223u;
                values[i] = ((float)(seed >> 8) / 16777216.0f - 0.5f) * 0.4f;
                values[i] *= (k == 1 ? gain : 1) * (l == layer && kind == "wv"[k] ? factor : 1);
            }
            snprintf(w, sizeof w, "%c%d", "wv"[k], l);
            struct pb t = pb_tensor(w, 1, (const int64_t[]){WIDTH, WIDTH, -1});
            pb_bytes(&t, 9, values, sizeof values);
            pb_message(&g, GRAPH_INITIALIZER, &t);
        }
        snprintf(up, sizeof up, "/model/layers.%d/up", l);
        snprintf(act, sizeof act, "/model/layers.%d/act", l);
        snprintf(down, sizeof down, "/model/layers.%d/down", l);
        snprintf(w, sizeof w, "w%d", l);
        struct pb n = node_of("MatMul", l, from, w, "up");
        pb_message(&g, GRAPH_NODE, &n);
        n = node_of("Tanh", l, up, NULL, "act");
        pb_message(&g, GRAPH_NODE, &n);
        w[0] = 'v';
        n = node_of("MatMul", l, act, w, "down");
        pb_message(&g, GRAPH_NODE, &n);
        n = node_of("Add", l, down, from, "sum");
        pb_message(&g, GRAPH_NODE, &n);
        snprintf(from, sizeof from, "/model/layers.%d/sum", l);
    }
    out = port(from);
    pb_message(&g, GRAPH_INPUT, &in);
    pb_message(&g, GRAPH_OUTPUT, &out);
    struct pb m = pb_model(&g);
    qn_test_write_file(path, m.data, m.size);
    pb_free(&m);
    return path;
}

static void a_scaled_tensor_of_onnx_is_found(void **state)
{
    (void)state;
    const char *output, *whole = make_onnx("whole.onnx", 1, -1, 'w', 1);
    static const struct {
        int layer;
        char kind;
        const char *line, *exact;
    } rows[] = {
        {1, 'w', "they part at /model/layers.1/", "/model/layers.1/up (layer 1): relative error 0.01"},
        {2, 'v', "they part at /model/layers.2/", "/model/layers.2/down (layer 2): relative error 0.01"},
        {0, 'v', "they part at /model/layers.0/", "/model/layers.0/down (layer 0): relative error 0.01"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *faulty = make_onnx("faulty.onnx", 1, rows[i].layer, rows[i].kind, 1.01f);
        assert_int_equal(qn_test_run_quern(&output, NULL, "diff '%s' '%s' --random -q --check", whole, faulty), 1);
        assert_shown(output, rows[i].line);
        const char *node = strstr(output, "in the file that is node");
        assert_non_null(node);
        assert_shown(node, rows[i].exact);
        assert_int_equal(qn_test_run_quern(&output, NULL, "diff '%s' '%s' --random -q --passes-off all", whole, faulty),
                         0);
        assert_shown(output, rows[i].exact);
        assert_shown(output, "<- first to part");
    }
    assert_int_equal(
        qn_test_run_quern(&output, NULL, "diff '%s' --random -q --check --tolerance 1e-5 --b passes=all", whole), 0);
    assert_shown(output, "no value differs");
}

/* A hundredth of a product that is a thousandth of the sum it joins. */
static void a_fault_that_hides_in_a_sum_is_found(void **state)
{
    (void)state;
    const char *output, *whole = make_onnx("whole.onnx", 0.001f, -1, 'v', 1);
    const char *faulty = make_onnx("faulty.onnx", 0.001f, 1, 'v', 1.01f);
    assert_int_equal(qn_test_run_quern(&output, NULL, "diff '%s' '%s' --random -q --check", whole, faulty), 1);
    assert_shown(output, "part at node /model/layers.1/down (layer 1): relative error 0.01");
    assert_int_equal(qn_test_run_quern(&output, NULL, "diff '%s' '%s' --random -q --json", whole, faulty), 0);
    assert_shown(output, "\"equal\": false");
}

static void json_names_the_layer(void **state)
{
    (void)state;
    const char *output, *whole = make_onnx("whole.onnx", 1, -1, 'w', 1),
                        *faulty = make_onnx("f.onnx", 1, 2, 'w', 1.01f);
    size_t size;
    struct qn_arena arena;
    const struct qn_json *root;
    assert_int_equal(qn_test_run_quern(&output, &size, "diff '%s' '%s' --random -q --json", whole, faulty), 0);
    qn_arena_init(&arena, NULL);
    qn_assert_ok(qn_json_read((struct qn_str){output, size}, NULL, &arena, &root));
    const struct qn_json *first = qn_json_member(root, "first");
    assert_int_equal(qn_json_member(first, "layer")->integer, 2);
    const struct qn_json *node = qn_json_member(qn_json_member(root, "node"), "name");
    assert_true(qn_str_is((struct qn_str){node->text, node->size}, "/model/layers.2/up"));
    assert_true(qn_json_member(first, "relative_error")->number > 1e-3 &&
                qn_json_member(first, "cosine")->number > 0.99);
    assert_false(qn_json_member(root, "equal")->boolean);
    assert_true(qn_json_member(root, "values")->size >= 2 * LAYERS);
    qn_arena_deinit(&arena);
}

/* ---- language models ------------------------------------------------------------------------------------------ */

static void a_folder_and_its_gguf(void **state)
{
    (void)state;
    static const char tokens[] = "--tokens 1,5,9,2,7 -q -t 1 --check --a kv=f32 --b kv=f32";
    const char *output, *folder = qn_test_source("test/data/hf/llama_shards"), *file = qn_test_temp("llama.gguf");
    const struct qn_convert_options options = {.struct_size = sizeof options, .type = "f32"};
    qn_assert_ok(qn_convert(folder, file, &options, NULL));
    assert_int_equal(qn_test_run_quern(&output, NULL, "diff '%s' '%s' %s", folder, file, tokens), 0);
    assert_shown(output, "no value differs");
    assert_int_equal(qn_test_run_quern(&output, NULL, "diff '%s' %s --a cpu=ref --b threads=2", file, tokens), 0);
    assert_shown(output, "no value differs");
    static const char *const products[] = {"attn_q", "attn_output", "ffn_up", "ffn_down"};
    for (size_t i = 0; i < sizeof products / sizeof products[0]; i++) {
        char tensor[64], words[96];
        snprintf(tensor, sizeof tensor, "blk.1.%s.weight", products[i]);
        snprintf(words, sizeof words, "they part at blk.1.%s (layer 1): relative error 0.01", products[i]);
        qn_test_scale_tensor(file, tensor, 1.01f);
        assert_int_equal(qn_test_run_quern(&output, NULL, "diff '%s' '%s' %s", folder, file, tokens), 1);
        assert_shown(output, words);
        qn_test_scale_tensor(file, tensor, 1 / 1.01f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_scaled_tensor_of_onnx_is_found),
        cmocka_unit_test(a_fault_that_hides_in_a_sum_is_found),
        cmocka_unit_test(json_names_the_layer),
        cmocka_unit_test(a_folder_and_its_gguf),
    };
    return cmocka_run_group_tests_name("diff_command", tests, NULL, NULL);
}
