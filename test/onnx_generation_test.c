/* The search ops of com.microsoft on a model whose next token is told by the last one: what comes out by hand, what is
 * refused at load (subgraphs that are not as they have to be) and by the run (numbers out of range), and cancelling.
 * Results of ONNX Runtime: test/onnx_microsoft_test.c, searches. */
#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include "onnx_build.h"
#include "quern/model.h"
#include "quern/session.h"

enum { VOCAB = 5, END = 4, PAD = 3 };

/* What is wrong with the decoder; NULL and 0: nothing. */
struct wrong {
    const char *input, *called; /* an input or output of another name */
    int tokens;                 /* data type of input_ids */
    const char *past;           /* dims of past_0 */
    bool extra;                 /* an input more */
    int64_t end;                /* eos_token_id */
};

static const char *name_of(const struct wrong *w, const char *name)
{
    return w->input && strcmp(w->input, name) == 0 ? w->called : name;
}

static void cast_to(struct pb *graph, const char *from, const char *to, int type)
{
    struct pb node = pb_node_of("Cast", from, to);
    pb_attr_int(&node, "to", type);
    pb_add_node(graph, node);
}

static void concat(struct pb *graph, const char *from, const char *to, int64_t axis)
{
    struct pb node = pb_node_of("Concat", from, to);
    pb_attr_int(&node, "axis", axis);
    pb_add_node(graph, node);
}

/* logits [b, s, VOCAB]: rows of a table by token; token t is followed by t + 1, next likely by t + 2. The past keeps
 * the tokens. */
static struct pb decoder(const struct wrong *w)
{
    struct pb g = {0}, table = pb_tensor("table", F32, (const int64_t[]){VOCAB, VOCAB, -1});
    float rows[VOCAB][VOCAB] = {{0}};
    for (int i = 0; i < VOCAB; i++) {
        rows[i][(i + 1) % VOCAB] = 3;
        rows[i][(i + 2) % VOCAB] = 2;
    }
    pb_bytes(&table, 9, rows, sizeof rows);
    pb_message(&g, GRAPH_INITIALIZER, &table);
    pb_add_i64s(&g, "around", 3, (const int64_t[]){0, 2, 4});
    char ids[40], first[80], present[80];
    snprintf(ids, sizeof ids, "%s", name_of(w, "input_ids"));
    snprintf(first, sizeof first, "table,%s", ids);
    snprintf(present, sizeof present, "%s,both", name_of(w, "past_0"));
    pb_add_node(&g, pb_node_of("Gather", first, name_of(w, "logits")));
    cast_to(&g, ids, "number", F32);
    pb_add_node(&g, pb_node_of("Unsqueeze", "number,around", "new"));
    concat(&g, "new,new", "both", 0);
    concat(&g, present, name_of(w, "present_0"), 3);
    pb_text(&g, GRAPH_NAME, "decoder");
    pb_add_value(&g, GRAPH_INPUT, ids, w->tokens ? w->tokens : I32, "b,s");
    pb_add_value(&g, GRAPH_INPUT, name_of(w, "position_ids"), I32, "b,s");
    pb_add_value(&g, GRAPH_INPUT, name_of(w, "attention_mask"), I32, "b,t");
    pb_add_value(&g, GRAPH_INPUT, name_of(w, "past_0"), F32, w->past ? w->past : "2,b,1,p,1");
    if (w->extra)
        pb_add_value(&g, GRAPH_INPUT, "past_1", F32, "2,b,1,p,1");
    pb_add_value(&g, GRAPH_OUTPUT, name_of(w, "logits"), F32, "b,s,5");
    pb_add_value(&g, GRAPH_OUTPUT, name_of(w, "present_0"), F32, "2,b,1,t,1");
    return g;
}

static const char *const beam_inputs = "ids,max_length,min_length,num_beams,returned,length_penalty,penalty,allowed";
static const char *const greedy_inputs = "ids,max_length,min_length,penalty,allowed";

/* The op with inputs that are all given to the run. */
static struct pb model_of(const char *op, const char *inputs, const struct wrong *w, int64_t model_type)
{
    struct pb g = {0}, node = pb_node_of(op, inputs, "sequences"), graph = decoder(w), opset = {0};
    pb_text(&node, NODE_DOMAIN, "com.microsoft");
    pb_attr_graph(&node, "decoder", &graph);
    pb_attr_int(&node, "eos_token_id", w->end ? w->end : END);
    pb_attr_int(&node, "pad_token_id", PAD);
    if (model_type)
        pb_attr_int(&node, "model_type", model_type);
    pb_add_node(&g, node);
    pb_text(&g, GRAPH_NAME, "g");
    char name[40];
    for (const char *at = inputs; *at; at += at[strcspn(at, ",")] ? strcspn(at, ",") + 1 : strcspn(at, ",")) {
        snprintf(name, sizeof name, "%.*s", (int)strcspn(at, ","), at);
        int type = strstr(name, "penalty") ? F32 : I32;
        pb_add_value(&g, GRAPH_INPUT, name, type,
                     strcmp(name, "ids") == 0  ? "b,s"
                     : strcmp(name, "allowed") ? "1"
                                               : "v");
    }
    pb_add_value(&g, GRAPH_OUTPUT, "sequences", I32, NULL);
    struct pb m = pb_model(&g);
    pb_text(&opset, 1, "com.microsoft");
    pb_int(&opset, 2, 1);
    pb_message(&m, 8, &opset);
    return m;
}

struct opened {
    struct pb bytes;
    struct qn_model *model;
    struct qn_session *session;
};

static qn_status open_model(struct pb bytes, struct opened *o)
{
    const struct qn_session_options options = {.struct_size = sizeof options, .threads = 1};
    *o = (struct opened){.bytes = bytes};
    qn_status status = qn_model_open_memory(bytes.data, bytes.size, "search.onnx", NULL, &o->model);
    return status ? status : qn_session_create(o->model, &options, &o->session);
}

static void close_model(struct opened *o)
{
    qn_session_destroy(o->session);
    qn_model_close(o->model);
    pb_free(&o->bytes);
}

/* Inputs of a run, in the order of the model's; ids [batch, 1]. */
struct numbers {
    int32_t ids[2], max_length, min_length, beams, returned;
    float length_penalty, penalty;
    int32_t allowed[VOCAB + 1];
    int64_t allowed_count;
};

static const struct numbers plain = {{0, 2}, 7, 0, 2, 1, 1, 1, {1, 1, 1, 1, 1, 1}, VOCAB};

static uint32_t inputs_of(const struct numbers *n, bool beams, struct qn_tensor *in)
{
    const void *one[] = {&n->max_length, &n->min_length, &n->beams, &n->returned, &n->length_penalty, &n->penalty};
    uint32_t count = 0;
    in[count++] = (struct qn_tensor){(void *)(uintptr_t)n->ids, sizeof n->ids, QN_DTYPE_I32, 2, {2, 1}};
    for (int i = 0; i < 6; i++)
        if (beams || i < 2 || i == 5)
            in[count++] = (struct qn_tensor){(void *)(uintptr_t)one[i], 4, i < 4 ? QN_DTYPE_I32 : QN_DTYPE_F32, 1, {1}};
    in[count++] = (struct qn_tensor){
        (void *)(uintptr_t)n->allowed, (size_t)n->allowed_count * 4, QN_DTYPE_I32, 1, {n->allowed_count}};
    return count;
}

static void expect(const struct opened *o, const struct numbers *n, bool beams, const int32_t *wanted)
{
    struct qn_tensor in[8], out = {0};
    uint32_t count = inputs_of(n, beams, in);
    qn_assert_ok(qn_session_run(o->session, in, count, &out, 1));
    assert_int_equal(out.bytes, (size_t)2 * (size_t)n->max_length * 4);
    assert_int_equal(out.dims[0], 2);
    assert_int_equal(out.dims[out.rank - 1], n->max_length);
    assert_memory_equal(out.data, wanted, out.bytes);
}

static void follows_the_table(void **state)
{
    (void)state;
    struct wrong nothing = {0};
    struct numbers n = plain, one = plain;
    struct opened o;
    qn_assert_ok(open_model(model_of("GreedySearch", greedy_inputs, &nothing, 0), &o));
    expect(&o, &n, false, (const int32_t[]){0, 1, 2, 3, PAD, PAD, PAD, 2, 3, PAD, PAD, PAD, PAD, PAD});
    n.allowed[2] = 0;
    expect(&o, &n, false, (const int32_t[]){0, 1, 3, PAD, PAD, PAD, PAD, 2, 3, PAD, PAD, PAD, PAD, PAD});
    n = plain;
    n.min_length = 7; /* what would end goes on */
    expect(&o, &n, false, (const int32_t[]){0, 1, 2, 3, 0, 1, 2, 2, 3, 0, 1, 2, 3, 0});
    n.max_length = 2;
    expect(&o, &n, false, (const int32_t[]){0, 1, 2, 3});
    close_model(&o);
    one.beams = 1;
    qn_assert_ok(open_model(model_of("BeamSearch", beam_inputs, &nothing, 0), &o));
    expect(&o, &one, true, (const int32_t[]){0, 1, 2, 3, PAD, PAD, PAD, 2, 3, PAD, PAD, PAD, PAD, PAD});
    close_model(&o);
}

static void wrong_subgraphs_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *op;
        struct wrong wrong;
        int64_t model_type;
        enum qn_code code;
        const char *words;
    } cases[] = {
        {"GreedySearch",
         {.input = "position_ids", .called = "places"},
         0,
         QN_INVALID_FILE,
         "decoder: input 1 is 'places', expected 'position_ids'"},
        {"GreedySearch",
         {.input = "logits", .called = "scores"},
         0,
         QN_INVALID_FILE,
         "decoder: output 0 is 'scores', expected 'logits'"},
        {"BeamSearch", {.input = "past_0", .called = "past"}, 0, QN_INVALID_FILE, "input 3 is 'past'"},
        {"BeamSearch", {.tokens = I64}, 0, QN_INVALID_FILE, "decoder: input 'input_ids' is i64, expected i32"},
        {"BeamSearch", {.past = "2,b,h,p,1"}, 0, QN_INVALID_FILE, "the shape of input 'past_0' is not said"},
        {"Sampling", {.past = "b,1,p,1"}, 0, QN_INVALID_FILE, "the shape of input 'past_0' is not said"},
        {"BeamSearch", {.extra = true}, 0, QN_INVALID_FILE, "has 5 inputs and 2 outputs, expected 4 and 2"},
        {"BeamSearch",
         {.end = (int64_t)1 << 40},
         0,
         QN_INVALID_FILE,
         "attribute 'eos_token_id' is 1099511627776, expected an i32"},
        {"BeamSearch", {0}, 1, QN_INVALID_FILE, "attribute 'encoder' is missing"},
        {"GreedySearch", {0}, 1, QN_INVALID_FILE, "model_type is 1, expected 0 to 0"},
        {"WhisperBeamSearch", {0}, 1, QN_INVALID_FILE, "model_type is 1, expected 2 to 2"},
        {"BeamSearch", {.input = "past_0", .called = "past_sequence_length"}, 0, QN_INVALID_FILE, "expected 'past_0'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *inputs = strstr(cases[i].op, "Beam") ? beam_inputs : greedy_inputs;
        struct opened o;
        qn_status status = open_model(model_of(cases[i].op, inputs, &cases[i].wrong, cases[i].model_type), &o);
        if (qn_status_code(status) != cases[i].code || !strstr(qn_status_message(status), cases[i].words) ||
            !strstr(qn_status_message(status), cases[i].op))
            fail_msg("case %zu: expected '%s', found '%s'", i, cases[i].words,
                     status ? qn_status_message(status) : "none");
        qn_status_free(status);
        close_model(&o);
    }
}

static void wrong_numbers_are_refused(void **state)
{
    (void)state;
    struct wrong nothing = {0};
    struct opened o;
    struct numbers cases[8];
    static const char *const words[] = {
        "max_length is 0, expected more than the 1 tokens",
        "max_length is 4097, expected 1 to 4096",
        "num_beams is 0, expected 1 to 128",
        "num_beams is 129, expected 1 to 128",
        "num_return_sequences is 3, expected 1 to 2",
        "num_return_sequences is 0, expected 1 to 2",
        "repetition_penalty is 0, expected more than 0",
        "vocab_mask has rank 1 and 6 columns, expected i32 for 5",
    };
    for (int i = 0; i < 8; i++)
        cases[i] = plain;
    cases[0].max_length = 0;
    cases[1].max_length = 4097;
    cases[2].beams = 0;
    cases[3].beams = 129;
    cases[4].returned = 3;
    cases[5].returned = 0;
    cases[6].penalty = 0;
    cases[7].allowed_count = 6;
    qn_assert_ok(open_model(model_of("BeamSearch", beam_inputs, &nothing, 0), &o));
    for (int i = 0; i < 8; i++) {
        struct qn_tensor in[8], out = {0};
        uint32_t count = inputs_of(&cases[i], true, in);
        qn_status status = qn_session_run(o.session, in, count, &out, 1);
        if (!status || !strstr(qn_status_message(status), words[i]))
            fail_msg("case %d: expected '%s', found '%s'", i, words[i], status ? qn_status_message(status) : "none");
        qn_status_free(status);
    }
    close_model(&o);
}

static void *cancel_soon(void *argument)
{
    nanosleep(&(struct timespec){.tv_nsec = 50 * 1000 * 1000}, NULL);
    qn_session_cancel(argument);
    return NULL;
}

/* 4,094 rounds for 256 rows. */
static void ends_when_cancelled(void **state)
{
    (void)state;
    struct wrong nothing = {0};
    struct numbers n = plain;
    struct opened o;
    struct qn_tensor in[8], out = {0};
    pthread_t thread;
    n.max_length = 4096;
    n.min_length = 4096;
    n.beams = 128;
    uint32_t count = inputs_of(&n, true, in);
    qn_assert_ok(open_model(model_of("BeamSearch", beam_inputs, &nothing, 0), &o));
    assert_int_equal(pthread_create(&thread, NULL, cancel_soon, o.session), 0);
    qn_assert_fails(qn_session_run(o.session, in, count, &out, 1), QN_CANCELLED, NULL);
    pthread_join(thread, NULL);
    close_model(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(follows_the_table),
        cmocka_unit_test(wrong_subgraphs_are_refused),
        cmocka_unit_test(wrong_numbers_are_refused),
        cmocka_unit_test(ends_when_cancelled),
    };
    return cmocka_run_group_tests_name("onnx_generation", tests, NULL, NULL);
}
