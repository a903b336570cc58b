/* Calls: branches, loops, scans and maps over bodies that the tests write. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exec/exec.h"
#include "ir/build.h"
#include "platform/clock.h"
#include "platform/cpu.h"
#include "platform/thread.h"
#include "support/testing.h"

/* ---- bodies --------------------------------------------------------------------------------------------------- */

enum body {
    BODY_NEG,      /* (x): -x */
    BODY_TWICE,    /* (x): x + x */
    BODY_LOOP,     /* (i, condition, sum, step): condition, sum + step, sum */
    BODY_GROW,     /* (i, condition, list): condition, concat(list, list[0:1]) */
    BODY_FOREVER,  /* (i, condition, x): condition, x */
    BODY_COUNTING, /* (i, condition, x): x < 3 (after adding), x + 1 */
    BODY_SCAN,     /* (sum, a, b): sum + a * b, sum + a * b */
    BODY_ITSELF,   /* (x): calls itself */
    BODY_PINNED,   /* (x, n i64 []): x times n, n known when it is compiled */
    BODY_PASS,     /* (x): x */
};

struct source {
    struct qn_body_source source;
    uint32_t compiled; /* times that a graph was asked for */
    uint32_t symbolic; /* dims that were asked for as symbols, last time */
};

struct writer {
    struct qn_build b;
    qn_value in[6];
};

/* An input of the graph for each of the call's, symbolic where that is asked for. */
static qn_status begin(struct writer *w, struct source *s, struct qn_body_input *inputs, uint32_t count,
                       const struct qn_allocator *allocator)
{
    static const char *const names[] = {"0", "1", "2", "3", "4", "5"};
    *w = (struct writer){0};
    __atomic_add_fetch(&s->compiled, 1, __ATOMIC_RELAXED);
    uint32_t symbolic = 0;
    qn_status status = qn_graph_create(allocator, QN_STR("body"), &w->b.graph);
    for (uint32_t i = 0; i < count && !status; i++) {
        struct qn_type type = {.dtype = inputs[i].dtype, .rank = inputs[i].rank};
        for (uint32_t k = 0; k < inputs[i].rank && !status; k++) {
            char name[16];
            snprintf(name, sizeof name, "d%u_%u", i, k);
            type.dims[k] = inputs[i].dims[k];
            if (inputs[i].symbolic >> k & 1) {
                status = qn_graph_symbol(w->b.graph, qn_str_from(name), 0, QN_UNBOUNDED, &type.dims[k]);
                symbolic++;
            }
        }
        if (inputs[i].dtype && !status)
            status = qn_graph_add_input(w->b.graph, qn_str_from(names[i]), &type, &w->in[i]);
    }
    __atomic_store_n(&s->symbolic, symbolic, __ATOMIC_RELAXED);
    return status;
}

static qn_value call(struct writer *w, enum qn_call_kind kind, uint32_t body, qn_value x)
{
    qn_value out = 0;
    struct qn_attr_call attr = {.kind = kind, .body = body};
    struct qn_type type = {.dtype = QN_DTYPE_OBJECT};
    if (!w->b.status)
        w->b.status = qn_graph_add_call(w->b.graph, QN_OP_call, &x, 1, &attr, QN_STR("inner"), &type, 1, &out);
    return out;
}

static qn_value constant_i64(struct writer *w, int64_t value)
{
    qn_value out = 0;
    struct qn_type type = {.dtype = QN_DTYPE_F32};
    float number = (float)value;
    if (!w->b.status)
        w->b.status = qn_graph_add_data(w->b.graph, QN_STR("k"), &type, &number, &out);
    return out;
}

static qn_status write_body(void *context, uint32_t body, struct qn_body_input *inputs, uint32_t count,
                            const struct qn_allocator *allocator, struct qn_graph **out)
{
    struct source *s = context;
    struct writer w;
    qn_value outs[3] = {0};
    uint32_t out_count = 1;
    qn_status status = begin(&w, s, inputs, count, allocator);
    w.b.status = status;
    const qn_value *in = w.in;
    switch ((enum body)body) {
    case BODY_NEG:
        outs[0] = qn_build_unary(&w.b, QN_OP_neg, in[0]);
        break;
    case BODY_TWICE:
        outs[0] = qn_build_binary(&w.b, QN_OP_add, in[0], in[0]);
        break;
    case BODY_LOOP:
        outs[0] = in[1];
        outs[1] = qn_build_binary(&w.b, QN_OP_add, in[2], in[3]);
        outs[2] = in[2];
        out_count = 3;
        break;
    case BODY_GROW:
        outs[0] = in[1];
        outs[1] = qn_build_concat(&w.b, in[2], qn_build_slice(&w.b, in[2], 0, 0, 1), 0);
        out_count = 2;
        break;
    case BODY_FOREVER:
        outs[0] = in[1];
        outs[1] = in[2];
        out_count = 2;
        break;
    case BODY_COUNTING:
        outs[1] = qn_build_binary(&w.b, QN_OP_add, in[2], qn_build_scalar(&w.b, 1));
        outs[0] = qn_build_binary(&w.b, QN_OP_less, outs[1], qn_build_scalar(&w.b, 3));
        out_count = 2;
        break;
    case BODY_SCAN:
        outs[0] = qn_build_binary(&w.b, QN_OP_add, in[0], qn_build_binary(&w.b, QN_OP_mul, in[1], in[2]));
        outs[1] = outs[0];
        out_count = 2;
        break;
    case BODY_ITSELF:
        outs[0] = call(&w, QN_CALL_BODY, BODY_ITSELF, in[0]);
        break;
    case BODY_PINNED:
        inputs[1].pinned = true;
        outs[0] = qn_build_binary(&w.b, QN_OP_mul, in[0], constant_i64(&w, *(const int64_t *)inputs[1].data));
        break;
    case BODY_PASS:
        outs[0] = in[0];
        break;
    }
    static const char *const names[] = {"a", "b", "c"};
    status = w.b.status;
    for (uint32_t i = 0; i < out_count && !status; i++)
        status = qn_graph_add_output(w.b.graph, qn_str_from(names[i]), outs[i]);
    if (status)
        qn_graph_destroy(w.b.graph);
    else
        *out = w.b.graph;
    return status;
}

static const int64_t scan_axes[2] = {1, 0}, scan_reversed[2] = {0, 1};
static const struct qn_scan the_scan = {
    .scanned_inputs = 2,
    .scanned_outputs = 1,
    .input_axes = scan_axes,
    .input_reversed = scan_reversed,
    .output_axes = scan_axes,
    .output_reversed = scan_reversed,
};

static const struct qn_scan *find_scan(void *context, uint32_t number)
{
    (void)context;
    return number == 4 ? &the_scan : NULL;
}

/* ---- a graph of one call -------------------------------------------------------------------------------------- */

struct made {
    struct source source;
    struct qn_plan *plan;
    struct qn_pool *pool;
    struct qn_exec *exec;
};

static struct qn_type type_of(qn_dtype dtype, uint32_t rank, qn_dim a, qn_dim b)
{
    return (struct qn_type){.dtype = dtype, .rank = rank, .dims = {a, b}};
}

struct one_call {
    struct qn_attr_call attr;
    uint32_t in_count, out_count;
    struct qn_type in[6];  /* dtype NONE: absent; a dim of -1: a symbol of its own */
    struct qn_type out[3]; /* a dim of -1: a late symbol of its own */
};

static qn_status one_call_graph(const struct one_call *c, const struct qn_allocator *allocator, struct qn_graph **out)
{
    static const char *const names[] = {"x0", "x1", "x2", "x3", "x4", "x5"}, *const out_names[] = {"y0", "y1", "y2"};
    struct qn_graph *g;
    qn_value in[6] = {0}, outs[3];
    struct qn_type types[3];
    qn_status status = qn_graph_create(allocator, QN_STR("calls"), &g);
    if (status)
        return status;
    for (uint32_t i = 0; i < c->in_count && !status; i++) {
        struct qn_type type = c->in[i];
        for (uint32_t k = 0; k < type.rank && !status; k++)
            if (type.dims[k] == -1) {
                char name[16];
                snprintf(name, sizeof name, "n%u_%u", i, k);
                status = qn_graph_symbol(g, qn_str_from(name), 0, QN_UNBOUNDED, &type.dims[k]);
            }
        if (type.dtype && !status)
            status = qn_graph_add_input(g, qn_str_from(names[i]), &type, &in[i]);
    }
    for (uint32_t i = 0; i < c->out_count && !status; i++) {
        types[i] = c->out[i];
        for (uint32_t k = 0; k < types[i].rank && !status; k++)
            if (types[i].dims[k] == -1)
                status = qn_graph_fresh_symbol(g, "late", true, &types[i].dims[k]);
    }
    if (!status)
        status =
            qn_graph_add_call(g, QN_OP_call, in, c->in_count, &c->attr, QN_STR("the call"), types, c->out_count, outs);
    for (uint32_t i = 0; i < c->out_count && !status; i++)
        status = qn_graph_add_output(g, qn_str_from(out_names[i]), outs[i]);
    if (status)
        qn_graph_destroy(g);
    else
        *out = g;
    return status;
}

static qn_status make(const struct one_call *c, uint32_t threads, const struct qn_allocator *allocator,
                      struct made *made)
{
    struct qn_plan_options options = {0};
    struct qn_graph *graph;
    *made = (struct made){.source = {.source = {.graph = write_body, .scan = find_scan}}};
    made->source.source.context = &made->source;
    qn_status status = one_call_graph(c, NULL, &graph);
    if (status)
        return status;
    status = qn_cpu_features(&options.features);
    if (!status)
        status = qn_plan_create(graph, &qn_backend_cpu, &options, allocator, &made->plan);
    qn_graph_destroy(graph);
    if (!status)
        status = qn_pool_create(threads, allocator, &made->pool);
    if (!status)
        status = qn_exec_create(made->plan, made->pool, NULL, 0, allocator, &made->exec);
    struct qn_exec_bodies bodies = {.source = &made->source.source, .backend = &qn_backend_cpu, .plan = options};
    if (!status)
        status = qn_exec_set_bodies(made->exec, &bodies);
    return status;
}

static void unmake(struct made *made)
{
    qn_exec_destroy(made->exec);
    qn_pool_destroy(made->pool);
    qn_plan_destroy(made->plan);
}

static struct qn_exec_tensor vector(void *data, int64_t n)
{
    return (struct qn_exec_tensor){.data = data, .rank = 1, .dims = {n}};
}

static struct qn_exec_tensor scalar(void *data)
{
    return (struct qn_exec_tensor){.data = data};
}

static const float *floats_of(const struct qn_exec_tensor *t)
{
    return t->data;
}

/* ---- tests ---------------------------------------------------------------------------------------------------- */

static void branches(void **state)
{
    struct made made;
    struct one_call c = {.attr = {.kind = QN_CALL_IF, .body = BODY_NEG, .body2 = BODY_TWICE},
                         .in_count = 2,
                         .out_count = 1,
                         .in = {type_of(QN_DTYPE_BOOL, 0, 0, 0), type_of(QN_DTYPE_F32, 1, -1, 0)},
                         .out = {type_of(QN_DTYPE_F32, 1, -1, 0)}};
    float x[3] = {1, 2, 3};
    (void)state;
    qn_assert_ok(make(&c, 1, NULL, &made));
    for (int round = 0; round < 3; round++) {
        uint8_t yes = 1, no = 0;
        struct qn_exec_tensor in[] = {scalar(&yes), vector(x, 3)}, out = {0};
        qn_assert_ok(qn_exec_run(made.exec, in, &out, NULL));
        assert_true(out.dims[0] == 3 && floats_of(&out)[2] == -3);
        in[0] = scalar(&no);
        out = (struct qn_exec_tensor){0};
        qn_assert_ok(qn_exec_run(made.exec, in, &out, NULL));
        assert_true(out.dims[0] == 3 && floats_of(&out)[2] == 6);
    }
    assert_int_equal(made.source.compiled, 2);
    unmake(&made);
}

/* A branch that only passes its input on: the result must not lie in the caller's memory. */
static void what_is_passed_on_is_copied(void **state)
{
    struct made made;
    struct one_call c = {.attr = {.kind = QN_CALL_BODY, .body = BODY_PASS},
                         .in_count = 1,
                         .out_count = 1,
                         .in = {type_of(QN_DTYPE_F32, 1, -1, 0)},
                         .out = {type_of(QN_DTYPE_OBJECT, 0, 0, 0)}};
    float x[2] = {5, 6};
    (void)state;
    qn_assert_ok(make(&c, 1, NULL, &made));
    struct qn_exec_tensor in = vector(x, 2), out = {0};
    qn_assert_ok(qn_exec_run(made.exec, &in, &out, NULL));
    assert_true(out.object && out.dtype == QN_DTYPE_F32 && out.dims[0] == 2);
    assert_true(out.data != x && floats_of(&out)[1] == 6);
    unmake(&made);
}

static void wrong_results_of_bodies(void **state)
{
    struct made made;
    struct one_call c = {.attr = {.kind = QN_CALL_BODY, .body = BODY_NEG},
                         .in_count = 1,
                         .out_count = 1,
                         .in = {type_of(QN_DTYPE_F32, 1, -1, 0)},
                         .out = {type_of(QN_DTYPE_F32, 1, 4, 0)}};
    float x[4] = {0};
    (void)state;
    qn_assert_ok(make(&c, 1, NULL, &made));
    struct qn_exec_tensor in = vector(x, 4), out = {0};
    qn_assert_ok(qn_exec_run(made.exec, &in, &out, NULL));
    in = vector(x, 3);
    out = (struct qn_exec_tensor){0};
    qn_assert_fails(qn_exec_run(made.exec, &in, &out, NULL), QN_INVALID_ARGUMENT,
                    "'the call': output 0 is f32[3], expected f32[4]");
    unmake(&made);
    c.attr.body = BODY_ITSELF;
    c.out[0] = type_of(QN_DTYPE_OBJECT, 0, 0, 0);
    qn_assert_ok(make(&c, 1, NULL, &made));
    qn_assert_fails(qn_exec_run(made.exec, &in, &out, NULL), QN_UNSUPPORTED, "nested deeper");
    unmake(&made);
}

static struct one_call loop_call(uint32_t body, bool trips, bool condition)
{
    return (struct one_call){.attr = {.kind = QN_CALL_LOOP, .body = body, .count = 1},
                             .in_count = 4,
                             .out_count = 2,
                             .in = {type_of(trips ? QN_DTYPE_I64 : QN_DTYPE_NONE, 0, 0, 0),
                                    type_of(condition ? QN_DTYPE_BOOL : QN_DTYPE_NONE, 0, 0, 0),
                                    type_of(QN_DTYPE_F32, 1, 2, 0), type_of(QN_DTYPE_F32, 1, 2, 0)},
                             .out = {type_of(QN_DTYPE_F32, 1, 2, 0), type_of(QN_DTYPE_F32, 2, -1, 2)}};
}

static void loops_collect(void **state)
{
    struct qn_test_allocator t;
    struct made made;
    struct one_call c = loop_call(BODY_LOOP, true, true);
    float sum[2] = {1, 2}, step[2] = {10, 20};
    uint8_t yes = 1, no = 0;
    uint64_t requests = 0;
    (void)state;
    qn_test_allocator_init(&t, 0);
    qn_assert_ok(make(&c, 1, &t.allocator, &made));
    for (int round = 0; round < 3; round++) {
        for (int64_t trips = 0; trips < 40; trips += 13) {
            struct qn_exec_tensor in[] = {scalar(&trips), scalar(&yes), vector(sum, 2), vector(step, 2)},
                                  out[2] = {{0}};
            qn_assert_ok(qn_exec_run(made.exec, in, out, NULL));
            assert_true(floats_of(&out[0])[1] == 2 + 20 * (float)trips);
            assert_true(out[1].rank == 2 && out[1].dims[0] == trips && out[1].dims[1] == 2);
            for (int64_t i = 0; i < trips; i++)
                assert_true(floats_of(&out[1])[2 * i] == 1 + 10 * (float)i);
            in[1] = scalar(&no);
            memset(out, 0, sizeof out);
            qn_assert_ok(qn_exec_run(made.exec, in, out, NULL));
            assert_true(out[1].dims[0] == 0 && floats_of(&out[0])[0] == 1);
        }
        if (round == 0)
            requests = t.requests;
        assert_int_equal(t.requests, requests);
    }
    assert_int_equal(made.source.compiled, 1);
    unmake(&made);
    qn_test_allocator_done(&t);
}

static void loops_end_by_their_condition(void **state)
{
    struct made made;
    struct one_call c = {
        .attr = {.kind = QN_CALL_LOOP, .body = BODY_COUNTING, .count = 1},
        .in_count = 3,
        .out_count = 1,
        .in = {type_of(QN_DTYPE_NONE, 0, 0, 0), type_of(QN_DTYPE_BOOL, 0, 0, 0), type_of(QN_DTYPE_F32, 0, 0, 0)},
        .out = {type_of(QN_DTYPE_F32, 0, 0, 0)}};
    float x = 0;
    uint8_t yes = 1;
    int64_t trips = 7;
    (void)state;
    qn_assert_ok(make(&c, 1, NULL, &made));
    struct qn_exec_tensor in[] = {scalar(&yes), scalar(&x)}, out = {0};
    qn_assert_ok(qn_exec_run(made.exec, in, &out, NULL));
    assert_true(*floats_of(&out) == 3);
    unmake(&made);
    c.in[0] = type_of(QN_DTYPE_I64, 0, 0, 0); /* a trip count alone: what the body says does not matter */
    c.in[1] = type_of(QN_DTYPE_NONE, 0, 0, 0);
    qn_assert_ok(make(&c, 1, NULL, &made));
    in[0] = scalar(&trips);
    out = (struct qn_exec_tensor){0};
    qn_assert_ok(qn_exec_run(made.exec, in, &out, NULL));
    assert_true(*floats_of(&out) == 7);
    unmake(&made);
}

/* A value that grows round by round: dims become symbols after a few bodies. */
static void growing_values_get_symbols(void **state)
{
    struct made made;
    struct one_call c = {
        .attr = {.kind = QN_CALL_LOOP, .body = BODY_GROW, .count = 1},
        .in_count = 3,
        .out_count = 1,
        .in = {type_of(QN_DTYPE_I64, 0, 0, 0), type_of(QN_DTYPE_NONE, 0, 0, 0), type_of(QN_DTYPE_F32, 1, 1, 0)},
        .out = {type_of(QN_DTYPE_F32, 1, -1, 0)}};
    float x = 4;
    int64_t trips = 200;
    (void)state;
    qn_assert_ok(make(&c, 1, NULL, &made));
    struct qn_exec_tensor in[] = {scalar(&trips), vector(&x, 1)}, out = {0};
    qn_assert_ok(qn_exec_run(made.exec, in, &out, NULL));
    assert_int_equal(out.dims[0], 201);
    for (int i = 0; i <= 200; i++)
        assert_true(floats_of(&out)[i] == 4);
    assert_int_equal(made.source.compiled, 3);
    assert_int_equal(made.source.symbolic, 1);
    unmake(&made);
}

static void pinned_bytes_are_part_of_the_key(void **state)
{
    struct made made;
    struct one_call c = {.attr = {.kind = QN_CALL_BODY, .body = BODY_PINNED},
                         .in_count = 2,
                         .out_count = 1,
                         .in = {type_of(QN_DTYPE_F32, 1, 1, 0), type_of(QN_DTYPE_I64, 0, 0, 0)},
                         .out = {type_of(QN_DTYPE_F32, 1, 1, 0)}};
    float x = 3;
    (void)state;
    qn_assert_ok(make(&c, 1, NULL, &made));
    for (int round = 0; round < 2; round++)
        for (int64_t n = 0; n < 100; n++) { /* more than are kept */
            struct qn_exec_tensor in[] = {vector(&x, 1), scalar(&n)}, out = {0};
            qn_assert_ok(qn_exec_run(made.exec, in, &out, NULL));
            assert_true(*floats_of(&out) == 3 * (float)n);
            uint32_t before = made.source.compiled;
            out = (struct qn_exec_tensor){0};
            qn_assert_ok(qn_exec_run(made.exec, in, &out, NULL));
            assert_int_equal(made.source.compiled, before);
        }
    unmake(&made);
}

static void scans(void **state)
{
    struct made made;
    /* a [2, 4] along axis 1, b [4, 2] along axis 0 from the end; the stack along axis 1 */
    struct one_call c = {
        .attr = {.kind = QN_CALL_SCAN, .body = BODY_SCAN, .body2 = 4, .count = 1},
        .in_count = 3,
        .out_count = 2,
        .in = {type_of(QN_DTYPE_F32, 1, 2, 0), type_of(QN_DTYPE_F32, 2, 2, -1), type_of(QN_DTYPE_F32, 2, -1, 2)},
        .out = {type_of(QN_DTYPE_F32, 1, 2, 0), type_of(QN_DTYPE_F32, 2, 2, -1)}};
    float sum[2] = {100, 200}, a[8] = {1, 2, 3, 4, 5, 6, 7, 8}, b[8] = {1, 10, 2, 20, 3, 30, 4, 40};
    (void)state;
    qn_assert_ok(make(&c, 1, NULL, &made));
    for (int round = 0; round < 2; round++) {
        struct qn_exec_tensor in[] = {vector(sum, 2),
                                      {.data = a, .rank = 2, .dims = {2, 4}},
                                      {.data = b, .rank = 2, .dims = {4, 2}}},
                              out[2] = {{0}};
        qn_assert_ok(qn_exec_run(made.exec, in, out, NULL));
        float now[2] = {100, 200};
        assert_true(out[1].dims[0] == 2 && out[1].dims[1] == 4);
        for (int i = 0; i < 4; i++)
            for (int k = 0; k < 2; k++) {
                now[k] += a[k * 4 + i] * b[(3 - i) * 2 + k];
                assert_true(floats_of(&out[1])[k * 4 + i] == now[k]);
            }
        assert_true(floats_of(&out[0])[0] == now[0] && floats_of(&out[0])[1] == now[1]);
    }
    float nothing[2] = {0};
    struct qn_exec_tensor in[] = {vector(sum, 2),
                                  {.data = nothing, .rank = 2, .dims = {2, 0}},
                                  {.data = nothing, .rank = 2, .dims = {0, 2}}},
                          out[2] = {{0}};
    qn_assert_ok(qn_exec_run(made.exec, in, out, NULL));
    assert_true(out[1].dims[0] == 2 && out[1].dims[1] == 0 && floats_of(&out[0])[1] == 200);
    in[2].dims[0] = 1;
    memset(out, 0, sizeof out);
    qn_assert_fails(qn_exec_run(made.exec, in, out, NULL), QN_INVALID_ARGUMENT, "scanned inputs have 0 and 1");
    unmake(&made);
}

static void maps_over_sequences(void **state)
{
    struct made made;
    struct qn_frame *frame;
    struct qn_store *store;
    struct qn_object *items[3], *sequence;
    struct one_call c = {.attr = {.kind = QN_CALL_SEQUENCE_MAP, .body = BODY_TWICE},
                         .in_count = 1,
                         .out_count = 1,
                         .in = {type_of(QN_DTYPE_OBJECT, 0, 0, 0)},
                         .out = {type_of(QN_DTYPE_OBJECT, 0, 0, 0)}};
    (void)state;
    qn_assert_ok(make(&c, 1, NULL, &made));
    qn_assert_ok(qn_frame_create(made.exec, &frame));
    qn_assert_ok(qn_frame_store(frame, &store));
    for (int64_t i = 0; i < 3; i++) {
        int64_t n = i + 1;
        qn_assert_ok(qn_object_tensor(store, QN_DTYPE_F32, 1, &n, &items[i]));
        for (int64_t k = 0; k < n; k++)
            ((float *)items[i]->tensor.data)[k] = (float)(10 * i + k);
    }
    qn_assert_ok(qn_object_group(store, QN_OBJECT_SEQUENCE, items, 3, &sequence));
    for (int round = 0; round < 2; round++) {
        struct qn_exec_tensor in = {.object = sequence}, out = {0};
        qn_assert_ok(qn_frame_run(frame, &in, &out, NULL));
        assert_true(out.object && out.object->kind == QN_OBJECT_SEQUENCE && out.object->count == 3);
        const struct qn_view *last = &out.object->items[2]->tensor;
        assert_true(last->dims[0] == 3 && ((float *)last->data)[2] == 44);
    }
    struct qn_exec_tensor in = {0}, out = {0};
    qn_assert_fails(qn_frame_run(frame, &in, &out, NULL), QN_INVALID_ARGUMENT, "input 'x0' is not given");
    for (int i = 0; i < 3; i++)
        qn_object_release(items[i]);
    qn_object_release(sequence);
    qn_frame_destroy(frame);
    unmake(&made);
}

struct canceller {
    volatile int cancel;
    struct qn_thread thread;
};

static void cancel_soon(void *context)
{
    struct canceller *c = context;
    for (uint64_t until = qn_clock_ns() + 10000000; qn_clock_ns() < until;)
        qn_cpu_relax();
    __atomic_store_n(&c->cancel, 1, __ATOMIC_RELAXED);
}

static void endless_loops_can_be_cancelled(void **state)
{
    struct made made;
    struct canceller c = {0};
    struct one_call call = {
        .attr = {.kind = QN_CALL_LOOP, .body = BODY_FOREVER, .count = 1},
        .in_count = 3,
        .out_count = 1,
        .in = {type_of(QN_DTYPE_NONE, 0, 0, 0), type_of(QN_DTYPE_NONE, 0, 0, 0), type_of(QN_DTYPE_F32, 0, 0, 0)},
        .out = {type_of(QN_DTYPE_F32, 0, 0, 0)}};
    float x = 1;
    (void)state;
    qn_assert_ok(make(&call, 1, NULL, &made));
    struct qn_exec_tensor in = scalar(&x), out = {0};
    qn_assert_ok(qn_thread_start(&c.thread, "canceller", cancel_soon, &c));
    qn_assert_fails(qn_exec_run(made.exec, &in, &out, &c.cancel), QN_CANCELLED, "cancelled");
    qn_thread_join(&c.thread);
    unmake(&made);
}

struct worker {
    struct qn_exec *exec;
    uint32_t number, wrong;
    struct qn_thread thread;
};

static void work(void *context)
{
    struct worker *w = context;
    for (int i = 0; i < 30; i++) {
        int64_t trips = 3 + (i + w->number) % 5;
        float x = (float)w->number;
        struct qn_exec_tensor in[] = {scalar(&trips), vector(&x, 1)}, out[1] = {{0}};
        float room[16];
        out[0].data = room;
        out[0].bytes = sizeof room;
        qn_status status = qn_exec_run(w->exec, in, out, NULL);
        if (status || out[0].dims[0] != trips + 1 || room[trips] != x)
            w->wrong++;
        qn_status_free(status);
    }
}

static void eight_threads_share_bodies(void **state)
{
    enum { THREADS = 8 };
    struct made made;
    struct worker workers[THREADS];
    struct one_call c = {
        .attr = {.kind = QN_CALL_LOOP, .body = BODY_GROW, .count = 1},
        .in_count = 3,
        .out_count = 1,
        .in = {type_of(QN_DTYPE_I64, 0, 0, 0), type_of(QN_DTYPE_NONE, 0, 0, 0), type_of(QN_DTYPE_F32, 1, 1, 0)},
        .out = {type_of(QN_DTYPE_F32, 1, -1, 0)}};
    (void)state;
    qn_assert_ok(make(&c, 2, NULL, &made));
    for (uint32_t i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.exec = made.exec, .number = i};
        qn_assert_ok(qn_thread_start(&workers[i].thread, "worker", work, &workers[i]));
    }
    for (uint32_t i = 0; i < THREADS; i++)
        qn_thread_join(&workers[i].thread);
    for (uint32_t i = 0; i < THREADS; i++)
        assert_int_equal(workers[i].wrong, 0);
    assert_int_equal(made.source.compiled, 3);
    unmake(&made);
}

static qn_status make_and_run(const struct qn_allocator *allocator, void *context)
{
    struct made made;
    struct one_call c = loop_call(BODY_LOOP, true, true);
    float sum[2] = {1, 2}, step[2] = {10, 20};
    uint8_t yes = 1;
    int64_t trips = 20;
    (void)context;
    qn_status status = make(&c, 1, allocator, &made);
    struct qn_exec_tensor in[] = {scalar(&trips), scalar(&yes), vector(sum, 2), vector(step, 2)}, out[2] = {{0}};
    for (int i = 0; i < 2 && !status; i++) {
        memset(out, 0, sizeof out);
        status = qn_exec_run(made.exec, in, out, NULL);
    }
    unmake(&made);
    return status;
}

static void every_allocation(void **state)
{
    (void)state;
    assert_true(qn_test_every_allocation(make_and_run, NULL) > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(branches),
        cmocka_unit_test(what_is_passed_on_is_copied),
        cmocka_unit_test(wrong_results_of_bodies),
        cmocka_unit_test(loops_collect),
        cmocka_unit_test(loops_end_by_their_condition),
        cmocka_unit_test(growing_values_get_symbols),
        cmocka_unit_test(pinned_bytes_are_part_of_the_key),
        cmocka_unit_test(scans),
        cmocka_unit_test(maps_over_sequences),
        cmocka_unit_test(endless_loops_can_be_cancelled),
        cmocka_unit_test(eight_threads_share_bodies),
        cmocka_unit_test(every_allocation),
    };
    return cmocka_run_group_tests_name("calls", tests, NULL, NULL);
}
