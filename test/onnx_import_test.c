/* The ONNX importer: which graph small models become, and which errors bad ones give. */
#include "format/onnx/import.h"
#include "onnx_build.h"

enum { MODEL_OPSET = 8, MODEL_FUNCTION = 25 };

/* ---- importing ------------------------------------------------------------------------------------------------ */

/* The graph's text, to be freed; the model is taken over. */
static qn_status import_text(struct pb *model, const struct qn_dim_size *dim, char **text)
{
    struct qn_onnx_file *file = NULL;
    struct qn_onnx_program *program = NULL;
    struct qn_graph *graph = NULL;
    const struct qn_onnx_import_options options = {.dims = dim, .dim_count = dim ? 1 : 0};
    *text = NULL;
    qn_status status = qn_onnx_open_memory(model->data, model->size, "small", NULL, &file);
    if (!status)
        status = qn_onnx_program_create(file, &options, NULL, &program);
    if (!status)
        status = qn_onnx_program_graph(program, NULL, &graph);
    if (!status)
        status = qn_graph_verify(graph);
    if (!status) {
        struct qn_strbuf buffer;
        qn_strbuf_init(&buffer, qn_allocator_default());
        status = qn_graph_print(graph, &buffer);
        *text = strdup(buffer.data);
        qn_strbuf_deinit(&buffer);
    }
    qn_graph_destroy(graph);
    qn_onnx_program_destroy(program);
    qn_onnx_close(file);
    pb_free(model);
    return status;
}

/* Each of the words stands in the text, in this order. */
static void expect(const char *text, const char *const *words)
{
    const char *at = text;
    for (; *words; words++) {
        at = strstr(at, *words);
        if (!at)
            fail_msg("'%s' is missing or out of order in\n%s", *words, text);
    }
}

static uint32_t occurrences(const char *text, const char *word)
{
    uint32_t count = 0;
    for (const char *at = text; (at = strstr(at, word)); at += strlen(word))
        count++;
    return count;
}

/* ---- sizes ---------------------------------------------------------------------------------------------------- */

/* y = Reshape(x, Concat(Gather(Shape(x), 0), [-1])): what PyTorch writes for x.view(x.size(0), -1) */
static struct pb flatten_model(void)
{
    struct pb g = {0};
    pb_add_i64s(&g, "zero", 1, (const int64_t[]){0});
    pb_add_i64s(&g, "rest", 1, (const int64_t[]){-1});
    /* out of order on purpose */
    pb_add_node(&g, pb_node_of("Reshape", "x,shape", "y"));
    pb_add_node(&g, pb_node_of("Shape", "x", "dims"));
    pb_add_node(&g, pb_node_of("Gather", "dims,zero", "first"));
    struct pb concat = pb_node_of("Concat", "first,rest", "shape");
    pb_attr_int(&concat, "axis", 0);
    pb_add_node(&g, concat);
    pb_add_value(&g, GRAPH_INPUT, "x", F32, "batch,3,4");
    pb_add_value(&g, GRAPH_OUTPUT, "y", F32, "batch,12");
    pb_text(&g, GRAPH_NAME, "g");
    return pb_model(&g);
}

static void shape_arithmetic_vanishes(void **state)
{
    (void)state;
    char *text;
    struct pb model = flatten_model();
    qn_assert_ok(import_text(&model, NULL, &text));
    expect(text, (const char *const[]){"f32[batch,3,4]", "f32[batch,12]", "reshape", NULL});
    assert_int_equal(occurrences(text, "gather") + occurrences(text, "concat") + occurrences(text, "dims("), 0);
    free(text);
    model = flatten_model();
    qn_assert_ok(import_text(&model, &(struct qn_dim_size){"batch", 5}, &text));
    expect(text, (const char *const[]){"f32[5,3,4]", "f32[5,12]", NULL});
    free(text);
}

/* y = Reshape(x, s) with s an input: the rest waits for its contents. */
static void unknown_contents_defer(void **state)
{
    (void)state;
    char *text;
    struct pb g = {0};
    pb_add_node(&g, pb_node_of("Relu", "x", "r"));
    pb_add_node(&g, pb_node_of("Reshape", "r,s", "t"));
    pb_add_node(&g, pb_node_of("Neg", "t", "y"));
    pb_add_node(&g, pb_node_of("Abs", "r", "z"));
    pb_add_value(&g, GRAPH_INPUT, "x", F32, "2,6");
    pb_add_value(&g, GRAPH_INPUT, "s", I64, "2");
    pb_add_value(&g, GRAPH_OUTPUT, "y", F32, "3,n");
    pb_add_value(&g, GRAPH_OUTPUT, "z", F32, "2,6");
    struct pb model = pb_model(&g);
    qn_assert_ok(import_text(&model, NULL, &text));
    expect(text, (const char *const[]){"relu", "abs", "call", NULL});
    assert_int_equal(occurrences(text, "call("), 1);
    assert_int_equal(occurrences(text, "neg("), 0);
    free(text);
}

/* ---- control flow and functions ------------------------------------------------------------------------------- */

static struct pb branch_of(const char *op)
{
    struct pb g = {0};
    pb_add_node(&g, pb_node_of(op, "x", "r"));
    pb_text(&g, GRAPH_NAME, op);
    pb_add_value(&g, GRAPH_OUTPUT, "r", F32, "2");
    return g;
}

static struct pb if_model(bool constant)
{
    struct pb g = {0}, node = pb_node_of("If", "c", "y"), yes = branch_of("Relu"), no = branch_of("Neg");
    pb_attr_graph(&node, "then_branch", &yes);
    pb_attr_graph(&node, "else_branch", &no);
    pb_add_node(&g, node);
    pb_add_value(&g, GRAPH_INPUT, "x", F32, "2");
    if (constant) {
        struct pb t = pb_tensor("c", BOOL, (const int64_t[]){-1});
        pb_bytes(&t, 9, "\1", 1);
        pb_message(&g, GRAPH_INITIALIZER, &t);
    } else {
        pb_add_value(&g, GRAPH_INPUT, "c", BOOL, "");
    }
    pb_add_value(&g, GRAPH_OUTPUT, "y", F32, "2");
    return pb_model(&g);
}

static void known_branches_are_inlined(void **state)
{
    (void)state;
    char *text;
    struct pb model = if_model(true);
    qn_assert_ok(import_text(&model, NULL, &text));
    expect(text, (const char *const[]){"relu", NULL});
    assert_int_equal(occurrences(text, "call(") + occurrences(text, "neg"), 0);
    free(text);
    model = if_model(false);
    qn_assert_ok(import_text(&model, NULL, &text));
    expect(text, (const char *const[]){"f32[2] = call(", NULL});
    free(text);
}

static struct pb function_of(const char *name, const char *inner)
{
    struct pb f = {0}, opset = {0}, node = pb_node_of(inner, "a", "b");
    pb_text(&f, 1, name);
    pb_text(&f, 4, "a");
    pb_text(&f, 5, "b");
    if (strcmp(inner, "Relu") != 0)
        pb_text(&node, NODE_DOMAIN, "own");
    pb_message(&f, 7, &node);
    pb_int(&opset, 2, 17);
    pb_message(&f, 9, &opset);
    pb_text(&f, 10, "own");
    return f;
}

static struct pb function_model(const char *called)
{
    struct pb g = {0}, node = pb_node_of(called, "x", "y"), f;
    pb_text(&node, NODE_DOMAIN, "own");
    pb_add_node(&g, node);
    pb_add_value(&g, GRAPH_INPUT, "x", F32, "2");
    pb_add_value(&g, GRAPH_OUTPUT, "y", F32, "2");
    struct pb m = pb_model(&g);
    f = function_of("inner", "Relu");
    pb_message(&m, MODEL_FUNCTION, &f);
    f = function_of("outer", "inner");
    pb_message(&m, MODEL_FUNCTION, &f);
    f = function_of("round", "round");
    pb_message(&m, MODEL_FUNCTION, &f);
    return m;
}

static void functions_are_written_out(void **state)
{
    (void)state;
    char *text;
    struct pb model = function_model("outer");
    qn_assert_ok(import_text(&model, NULL, &text));
    expect(text, (const char *const[]){"relu", NULL});
    free(text);
    model = function_model("round");
    qn_assert_fails(import_text(&model, NULL, &text), QN_INVALID_FILE, "calls itself");
}

/* ---- errors --------------------------------------------------------------------------------------------------- */

static void bad_graphs_are_named(void **state)
{
    (void)state;
    char *text;
    struct pb g = {0};
    pb_add_node(&g, pb_node_of("Add", "x,b", "a"));
    pb_add_node(&g, pb_node_of("Neg", "a", "b"));
    pb_add_value(&g, GRAPH_INPUT, "x", F32, "2");
    pb_add_value(&g, GRAPH_OUTPUT, "b", F32, "2");
    struct pb model = pb_model(&g);
    qn_assert_fails(import_text(&model, NULL, &text), QN_INVALID_FILE, "cycle");

    pb_add_node(&g, pb_node_of("Neg", "nobody", "y"));
    pb_add_value(&g, GRAPH_OUTPUT, "y", F32, "2");
    model = pb_model(&g);
    qn_assert_fails(import_text(&model, NULL, &text), QN_INVALID_FILE, "'nobody' is not defined");

    pb_add_node(&g, pb_node_of("Foo", "x", "a"));
    pb_add_node(&g, pb_node_of("Bar", "a", "y"));
    pb_add_value(&g, GRAPH_INPUT, "x", F32, "2");
    pb_add_value(&g, GRAPH_OUTPUT, "y", F32, "2");
    model = pb_model(&g);
    qn_assert_fails(import_text(&model, NULL, &text), QN_UNSUPPORTED, "2 ops (2 nodes)");
}

/* A sum of x f32 [2, 3] and w, and how it is refused. */
static void refuse_sum(int type, const char *dims, enum qn_code code, const char *words)
{
    char *text;
    struct pb g = {0};
    pb_add_node(&g, pb_node_of("Add", "x,w", "y"));
    pb_add_value(&g, GRAPH_INPUT, "x", F32, "2,3");
    pb_add_value(&g, GRAPH_INPUT, "w", type, dims);
    pb_add_value(&g, GRAPH_OUTPUT, "y", F32, "2,3");
    struct pb model = pb_model(&g);
    qn_assert_fails(import_text(&model, NULL, &text), code, words);
}

static void wrong_types_and_sizes_are_shown(void **state)
{
    static const int64_t giant[] = {INT64_C(1) << 62, INT64_C(1) << 62};
    (void)state;
    char *text;
    struct pb g = {0};
    refuse_sum(F32, "2,4", QN_INVALID_ARGUMENT, "f32[2,3] and f32[2,4]: they do not broadcast");
    refuse_sum(I64, "2,3", QN_INVALID_FILE, "input 0 (A) is f32 and input 1 (B) is i64: Add wants one type");
    pb_add_node(&g, pb_node_of("Tile", "x,s", "y")); /* the product of its shape overflows */
    pb_add_i64s(&g, "s", 2, giant);
    pb_add_value(&g, GRAPH_INPUT, "x", F32, "2,3");
    pb_add_value(&g, GRAPH_OUTPUT, "y", F32, NULL);
    struct pb model = pb_model(&g);
    qn_assert_fails(import_text(&model, NULL, &text), QN_OUT_OF_RANGE, "overflows 63 bits");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shape_arithmetic_vanishes),  cmocka_unit_test(unknown_contents_defer),
        cmocka_unit_test(known_branches_are_inlined), cmocka_unit_test(functions_are_written_out),
        cmocka_unit_test(bad_graphs_are_named),       cmocka_unit_test(wrong_types_and_sizes_are_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
