/* What an op may be given (format/onnx/signature.def): the table is whole, and nodes that do not keep to it are refused
 * at load, dead ones too, where it is not types that are wrong. */
#include <stdio.h>

#include "format/onnx/signature.h"
#include "onnx_build.h"
#include "quern/model.h"
#include "quern/session.h"

static const struct qn_onnx_signature table[] = {
#define QN_SIGNATURE(domain, name, since, inputs, outputs, attrs, types) \
    {domain, name, since, inputs, outputs, attrs, types},
#include "format/onnx/signature.def"
#undef QN_SIGNATURE
};
enum { ROWS = sizeof table / sizeof table[0] };

static const struct qn_lower_row lowered[] = {
#define QN_LOWER_ROW(domain, name, since, function) {domain, name, since, NULL},
#include "format/onnx/lower.def"
#undef QN_LOWER_ROW
};

static const struct qn_onnx_signature *find(const char *domain, const char *name, uint32_t version)
{
    return qn_onnx_find_signature(qn_str_from(domain), qn_str_from(name), version);
}

static void each_op_has_one(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof lowered / sizeof lowered[0]; i++)
        if (!find(lowered[i].domain, lowered[i].name, lowered[i].since))
            fail_msg("%s.%s has no signature: run tools/onnx/make_signatures.py", lowered[i].domain, lowered[i].name);
}

/* Versions of an op stand one behind the other, rising; attributes are name=kind and few enough. */
static void table_is_well_formed(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS; i++) {
        const struct qn_onnx_signature *s = &table[i];
        unsigned attrs = 0;
        if (i && strcmp(s->name, s[-1].name) == 0 && strcmp(s->domain, s[-1].domain) == 0)
            assert_true(s->since > s[-1].since);
        assert_string_equal(find(s->domain, s->name, s->since)->inputs, s->inputs);
        for (const char *at = s->attrs; *at; attrs++) {
            size_t size = strcspn(at, " "), name = strcspn(at, "=");
            if (name == 0 || name + 2 > size || !strchr("fistgFISTGpPyY", at[name + 1]))
                fail_msg("%s: attribute '%.*s'", s->name, (int)size, at);
            at += size + (at[size] == ' ');
        }
        assert_true(attrs <= 64);
    }
    assert_int_equal(find("", "TopK", 1)->since, 1);
    assert_int_equal(find("", "TopK", 28)->since, 11);
    assert_int_equal(find("", "LayerNormalization", 11)->since, 1);
    assert_int_equal(find("", "Trilu", 2)->since, 14); /* older than the op: as it first was */
    assert_null(find("", "trilu", 14));
}

/* Attributes as in the table: name=kind; the value is 1, "1", or a list of one. */
static void add_attrs(struct pb *node, const char *list)
{
    static const char kinds[] = "-fistgFIS";
    for (const char *at = list; *at;) {
        size_t size = strcspn(at, " "), name = strcspn(at, "=");
        struct pb attr = {0};
        char kind = at[name + 1];
        pb_bytes(&attr, 1, at, name);
        if (kind == 'f' || kind == 'F')
            pb_float(&attr, kind == 'f' ? 2 : 7, 1);
        else if (kind == 'i' || kind == 'I')
            pb_int(&attr, kind == 'i' ? 3 : 8, 1);
        else
            pb_text(&attr, kind == 's' ? 4 : 9, "1");
        pb_int(&attr, 20, strchr(kinds, kind) - kinds);
        pb_message(node, NODE_ATTR, &attr);
        at += size + (at[size] == ' ');
    }
}

static void faults_are_refused(void **state)
{
    static const struct {
        const char *op, *inputs, *outputs, *attrs, *words;
    } faults[] = {
        {"Relu", "x,x", "y", "", "node 'y' (Relu): has 2 inputs, Relu has 1 (X)"},
        {"Relu", "", "y", "", "has 0 inputs, Relu has 1 (X)"},
        {"Relu", "x", "y,z", "", "has 2 outputs, Relu has 1 (Y)"},
        {"Conv", "x,x,x,x", "y", "", "has 4 inputs, Conv has 2 to 3 (X W B?)"},
        {"Conv", "x,,x", "y", "", "has no input 1 (W), which Conv needs"},
        {"Concat", "", "y", "axis=i", "has 0 inputs, Concat has at least 1 (inputs+)"},
        {"Concat", "x,x", "y", "", "has no attribute 'axis' (an integer), which Concat needs"},
        {"Concat", "x,x", "y", "axis=f", "attribute 'axis': expected an integer, found a float"},
        {"Concat", "x,x", "y", "axis=I", "attribute 'axis': expected an integer, found a list of integers"},
        {"LeakyRelu", "x", "y", "alpha=i", "attribute 'alpha': expected a float, found an integer"},
        {"LeakyRelu", "x", "y", "alpha=f alpha=f", "has the attribute 'alpha' twice"},
        {"LeakyRelu", "x", "y", "beta=f", "has an attribute 'beta', which LeakyRelu does not have (alpha=f)"},
        {"Relu", "x", "y", "beta=f", "has an attribute 'beta', which Relu does not have (it has none)"},
        {"Transpose", "x", "y", "perm=s", "attribute 'perm': expected a list of integers, found a string"},
        {"Add", "x,i", "y", "", "input 0 (A) is f32 and input 1 (B) is i64: Add wants one type"},
        {"Concat", "x,x,i", "y", "axis=i", "input 0 (inputs) is f32 and input 2 (inputs) is i64: Concat wants one"},
        {"And", "x,x", "y", "", "input 0 (A) is f32, And takes bool there"},
        {"Conv", "i,x", "y", "", "input 0 (X) is i64, Conv takes f32, f16, f64, bf16 there"},
        {"SequenceLength", "x", "y", "", "input 0 (input_sequence) is f32, SequenceLength takes sequence there"},
        {"Concat", "x,,x", "y", "axis=i", "has no input 1 (inputs+), which Concat needs"},
        {"Constant", "x", "y", "value_float=f", "has 1 inputs, Constant has 0 ()"},
        {"Constant", "", "y", "value_float=i", "attribute 'value_float': expected a float, found an integer"},
    };
    (void)state;
    for (size_t i = 0; i < 2 * sizeof faults / sizeof faults[0]; i++) {
        bool dead = i & 1, of_type = strstr(faults[i / 2].words, " is f32") || strstr(faults[i / 2].words, " is i64");
        if (dead && of_type)
            continue;
        struct pb g = {0}, node = {0};
        pb_names(&node, NODE_INPUT, faults[i / 2].inputs);
        pb_names(&node, NODE_OUTPUT, faults[i / 2].outputs);
        pb_text(&node, NODE_OP, faults[i / 2].op);
        add_attrs(&node, faults[i / 2].attrs);
        pb_add_node(&g, node);
        pb_add_node(&g, pb_node_of("Identity", "x", "copy"));
        pb_add_value(&g, GRAPH_INPUT, "x", F32, "1");
        pb_add_value(&g, GRAPH_INPUT, "i", I64, "1");
        pb_add_value(&g, GRAPH_OUTPUT, dead ? "copy" : "y", F32, NULL);
        struct pb bytes = pb_model_of(&g, 17);
        const struct qn_session_options options = {.struct_size = sizeof options, .threads = 1};
        struct qn_model *model = NULL;
        struct qn_session *session = NULL;
        qn_status status = qn_model_open_memory(bytes.data, bytes.size, "odd.onnx", NULL, &model);
        if (!status)
            status = qn_session_create(model, &options, &session);
        if (qn_status_code(status) != QN_INVALID_FILE || !strstr(qn_status_message(status), faults[i / 2].words))
            fail_msg("fault %zu: expected '%s', found: %s", i / 2, faults[i / 2].words,
                     status ? qn_status_message(status) : "nothing");
        qn_status_free(status);
        qn_session_destroy(session);
        qn_model_close(model);
        pb_free(&bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_op_has_one), cmocka_unit_test(table_is_well_formed),
                                       cmocka_unit_test(faults_are_refused)};
    return cmocka_run_group_tests_name("onnx_signature", tests, NULL, NULL);
}
