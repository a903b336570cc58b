/* ONNX models that are well-formed and ask for what cannot be: each is refused with words, at load or by the run, and
 * nothing is filled that the machine does not have. */
#include "onnx_build.h"
#include "quern/model.h"
#include "quern/session.h"

/* One node with a tensor x of ones, a list of integers s, stored or given to the run, and an i32 i. */
struct impossible {
    const char *op, *inputs; /* "domain:name" where the domain is not ai.onnx */
    int64_t version;         /* of the opset */
    const char *attr;        /* integer attributes; NULL: none */
    int64_t number;          /* their value */
    const char *dims;        /* of x */
    uint32_t count;          /* of s; 0: none */
    int64_t sizes[4];        /* s */
    bool given;              /* s is an input of the run */
    int declared;            /* data type of the output */
    enum qn_code code;       /* of the error */
    const char *words;       /* in its message */
};

#define TERABYTES           \
    {                       \
        1 << 20, 1 << 20, 4 \
    }

static const struct impossible cases[] = {
    {"Expand", "x,s", 17, NULL, 0, "1", 3, TERABYTES, false, F32, QN_OUT_OF_MEMORY, "no memory for y"},
    {"Expand", "x,s", 17, NULL, 0, "1", 3, TERABYTES, true, F32, QN_OUT_OF_MEMORY, "step 'y': no memory for a tensor"},
    {"Tile", "x,s", 17, NULL, 0, "1,1,1", 3, TERABYTES, false, F32, QN_OUT_OF_MEMORY, "no memory for"},
    {"ConstantOfShape", "s", 17, NULL, 0, "1", 3, TERABYTES, true, F32, QN_OUT_OF_MEMORY, "no memory for a tensor"},
    {"TopK", "x,s", 17, NULL, 0, "n", 1, {-1}, false, F32, QN_INVALID_FILE, "node 'y' (TopK): the size -1 is negative"},
    {"TopK", "x", 9, "k", -1, "n", 0, {0}, false, F32, QN_INVALID_FILE, "the size -1 is negative"},
    {"HannWindow", "s", 17, NULL, 0, "1", 1, {-3}, false, F32, QN_INVALID_FILE, "the size -3 is negative"},
    {"Relu", "x", 17, NULL, 0, "4", 0, {0}, false, I64, QN_INVALID_FILE, "'y' is said to be i64, its node gives f32"},
    {"Conv", "x,x", 17, "group", 0, "1,1,2,2", 0, {0}, false, F32, QN_INVALID_FILE, "group is 0: expected 1 or more"},
    {"Relu", "x", 0, NULL, 0, "4", 0, {0}, false, F32, QN_UNSUPPORTED, "opset 0 of ai.onnx: expected 1 to 28"},
    {"Relu", "x", 99, NULL, 0, "4", 0, {0}, false, F32, QN_UNSUPPORTED, "opset 99 of ai.onnx: expected 1 to 28"},
    {"com.microsoft:QLinearConcat",
     "x",
     17,
     NULL,
     0,
     "1",
     0,
     {0},
     false,
     F32,
     QN_INVALID_FILE,
     "has 1 inputs, QLinearConcat has at least 3"},
    {"com.microsoft:QLinearGlobalAveragePool",
     "x,x,x,x,x",
     17,
     "channels_last",
     1,
     "",
     0,
     {0},
     false,
     F32,
     QN_INVALID_FILE,
     "input 0 (X) is f32, QLinearGlobalAveragePool takes u8, i8 there"},
    {"com.microsoft:GroupQueryAttention",
     "x,x,x,,,i,i",
     17,
     "num_heads,kv_num_heads",
     INT64_MAX,
     "1,1,4",
     0,
     {0},
     false,
     F32,
     QN_INVALID_FILE,
     "query heads"},
    {"com.microsoft:GroupQueryAttention",
     "x,x,x,,,i,i",
     17,
     "num_heads,kv_num_heads",
     1,
     "1,1,1",
     0,
     {0},
     false,
     F32,
     QN_OUT_OF_RANGE,
     "seqlens_k of y"},
    {"Hardmax", "x", 7, "axis", -4, "1,1,1", 0, {0}, false, F32, QN_INVALID_FILE, "axis"},
    {"Nonsense", "x", 17, NULL, 0, "4", 0, {0}, false, F32, QN_UNSUPPORTED, "domain ai.onnx, opset 17, node 'y'"},
};

static struct pb model_of(const struct impossible *c)
{
    struct pb g = {0}, node = {0};
    pb_names(&node, NODE_INPUT, c->inputs);
    pb_names(&node, NODE_OUTPUT, strcmp(c->op, "TopK") == 0 ? "y,where" : "y");
    const char *colon = strchr(c->op, ':');
    pb_text(&node, NODE_OP, colon ? colon + 1 : c->op);
    if (colon)
        pb_bytes(&node, NODE_DOMAIN, c->op, (size_t)(colon - c->op));
    for (const char *at = c->attr; at && *at; at += *at == ',') {
        char name[32] = "";
        for (size_t i = 0; *at && *at != ','; i++)
            name[i] = *at++;
        pb_attr_int(&node, name, c->number);
    }
    pb_add_node(&g, node);
    if (strchr(c->inputs, 'x'))
        pb_add_value(&g, GRAPH_INPUT, "x", F32, c->dims);
    if (strchr(c->inputs, 'i'))
        pb_add_value(&g, GRAPH_INPUT, "i", I32, "1");
    if (c->count && !c->given)
        pb_add_i64s(&g, "s", c->count, c->sizes);
    if (c->given)
        pb_add_value(&g, GRAPH_INPUT, "s", I64, c->count == 1 ? "1" : "3");
    pb_add_value(&g, GRAPH_OUTPUT, "y", c->declared, NULL);
    return pb_model_of(&g, c->version);
}

static qn_status run(const struct impossible *c, struct qn_session *session)
{
    float ones[4] = {1, 1, 1, 1};
    struct qn_tensor inputs[2] = {0}, output = {0};
    uint32_t count = qn_session_slot_count(session, QN_SLOT_INPUT);
    for (uint32_t i = 0; i < count; i++) {
        struct qn_slot_info slot = {.struct_size = sizeof slot};
        qn_assert_ok(qn_session_slot(session, QN_SLOT_INPUT, i, &slot));
        inputs[i] = (struct qn_tensor){.data = ones, .bytes = 4, .dtype = slot.dtype, .rank = slot.rank};
        for (uint32_t k = 0; k < slot.rank; k++)
            inputs[i].dims[k] = slot.dims[k] < 0 ? 1 : slot.dims[k];
        if (slot.dtype == QN_DTYPE_I64) {
            inputs[i].data = (void *)(uintptr_t)c->sizes;
            inputs[i].bytes = c->count * sizeof *c->sizes;
        } else if (slot.dims[0] == 4) {
            inputs[i].bytes = sizeof ones;
        }
    }
    return qn_session_run(session, inputs, count, &output, 1);
}

static void each_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct qn_session_options options = {.struct_size = sizeof options, .threads = 1};
        struct pb bytes = model_of(&cases[i]);
        struct qn_model *model = NULL;
        struct qn_session *session = NULL;
        qn_status status = qn_model_open_memory(bytes.data, bytes.size, "odd.onnx", NULL, &model);
        if (!status)
            status = qn_session_create(model, &options, &session);
        if (!status)
            status = run(&cases[i], session);
        if (qn_status_code(status) != cases[i].code || !strstr(qn_status_message(status), cases[i].words))
            fail_msg("case %zu (%s): expected %s with '%s', found %s: %s", i, cases[i].op, qn_code_name(cases[i].code),
                     cases[i].words, qn_code_name(qn_status_code(status)), status ? qn_status_message(status) : "");
        qn_status_free(status);
        qn_session_destroy(session);
        qn_model_close(model);
        pb_free(&bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_is_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
