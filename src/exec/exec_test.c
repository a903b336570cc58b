/* The executor on graphs made here: sizes of every kind, frames, threads, cancellation, lack of memory. */
#include "exec/exec.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/host.h"
#include "ir/build.h"
#include "platform/clock.h"
#include "platform/cpu.h"
#include "platform/thread.h"
#include "support/testing.h"

/* ---- a backend of the tests: sizes from data ------------------------------------------------------------------ */

/* nonzero of rank 1: i64 [1, count] */
static qn_status find_nonzero(const struct qn_host_call *call)
{
    const float *x = call->in[0].data;
    int64_t count = 0;
    for (int64_t i = 0; i < call->in[0].dims[0]; i++)
        count += x[i] != 0;
    if (call->in[0].dtype != QN_DTYPE_F32 || *(int *)call->context != 7)
        return qn_status_oom();
    qn_status status = qn_object_tensor(call->store, QN_DTYPE_I64, 2, (int64_t[]){1, count}, &call->out[0]);
    int64_t *out = status ? NULL : call->out[0]->tensor.data;
    for (int64_t i = 0, at = 0; i < call->in[0].dims[0] && out; i++)
        if (x[i] != 0)
            out[at++] = i;
    return status;
}

static int host_context = 7;
static const struct qn_backend_row host_rows[] = {
    {.op = QN_OP_nonzero, .host = find_nonzero, .host_context = &host_context}};
static const struct qn_backend host_backend = {.name = "host", .rows = host_rows, .row_count = 1};
static const struct qn_backend *const preferred[] = {&host_backend};

/* ---- what tests share ----------------------------------------------------------------------------------------- */

struct made {
    struct qn_plan *plan;
    struct qn_pool *pool;
    struct qn_exec *exec;
};

static qn_status make(struct qn_graph *graph, uint32_t threads, const struct qn_allocator *allocator, struct made *made)
{
    struct qn_plan_options options = {.preferred = preferred, .preferred_count = 1};
    *made = (struct made){0};
    qn_status status = qn_cpu_features(&options.features);
    if (!status)
        status = qn_plan_create(graph, &qn_backend_cpu, &options, allocator, &made->plan);
    qn_graph_destroy(graph);
    if (!status)
        status = qn_pool_create(threads, allocator, &made->pool);
    if (!status)
        status = qn_exec_create(made->plan, made->pool, NULL, 0, allocator, &made->exec);
    return status;
}

static void unmake(struct made *made)
{
    qn_exec_destroy(made->exec);
    qn_pool_destroy(made->pool);
    qn_plan_destroy(made->plan);
}

static struct qn_type floats(uint32_t rank, qn_dim a, qn_dim b)
{
    return (struct qn_type){.dtype = QN_DTYPE_F32, .rank = rank, .dims = {a, b}};
}

static struct qn_exec_tensor tensor2(void *data, int64_t a, int64_t b)
{
    return (struct qn_exec_tensor){.data = data, .bytes = (uint64_t)(a * b) * 4, .rank = 2, .dims = {a, b}};
}

enum { WIDTH = 24, LAYERS = 6 };

/* x [N, 24] through layers of softmax(x w) + x: what lies between depends on N alone. */
static qn_status layers_graph(const struct qn_allocator *allocator, int64_t max, struct qn_graph **out)
{
    struct qn_graph *g;
    qn_dim n;
    qn_value x, w;
    float weights[WIDTH * WIDTH];
    for (int i = 0; i < WIDTH * WIDTH; i++)
        weights[i] = (float)((i * 37) % 17 - 8) / 16;
    qn_status status = qn_graph_create(allocator, QN_STR("layers"), &g);
    if (status)
        return status;
    status = qn_graph_symbol(g, QN_STR("N"), 1, max, &n);
    struct qn_type type = floats(2, n, WIDTH), square = floats(2, WIDTH, WIDTH);
    if (!status)
        status = qn_graph_add_input(g, QN_STR("x"), &type, &x);
    if (!status)
        status = qn_graph_add_data(g, QN_STR("w"), &square, weights, &w);
    struct qn_build b = {.graph = g, .status = status};
    for (int i = 0; i < LAYERS; i++) {
        qn_value y = qn_build_softmax(&b, qn_build_matmul(&b, x, w, true, NULL), -1);
        x = qn_build_binary(&b, QN_OP_add, qn_build_unary(&b, QN_OP_neg, y), x);
    }
    status = b.status;
    if (!status)
        status = qn_graph_add_output(g, QN_STR("y"), x);
    if (status)
        qn_graph_destroy(g);
    else
        *out = g;
    return status;
}

static void fill(float *x, int64_t count, int seed)
{
    for (int64_t i = 0; i < count; i++)
        x[i] = (float)((i * 13 + seed * 7) % 29 - 14) / 8;
}

/* ---- one plan for all lengths --------------------------------------------------------------------------------- */

static void fifty_lengths_make_a_handful_of_layouts(void **state)
{
    struct qn_test_allocator t;
    struct qn_graph *graph;
    struct made made, fixed;
    static float x[512 * WIDTH], y[512 * WIDTH], z[512 * WIDTH];
    (void)state;
    qn_test_allocator_init(&t, 0);
    qn_assert_ok(layers_graph(NULL, QN_UNBOUNDED, &graph));
    qn_assert_ok(make(graph, 1, &t.allocator, &made));
    qn_assert_ok(layers_graph(NULL, 512, &graph));
    qn_assert_ok(make(graph, 1, NULL, &fixed));
    assert_false(made.plan->bounded);
    assert_true(fixed.plan->bounded);
    uint64_t requests = 0, layouts = 0;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 50; i++) {
            int64_t n = 1 + (i * 211) % 512;
            fill(x, n * WIDTH, i);
            struct qn_exec_tensor in = tensor2(x, n, WIDTH), out = tensor2(y, 512, WIDTH),
                                  same = tensor2(z, 512, WIDTH);
            qn_assert_ok(qn_exec_run(made.exec, &in, &out, NULL));
            qn_assert_ok(qn_exec_run(fixed.exec, &in, &same, NULL));
            assert_true(out.dims[0] == n && out.dims[1] == WIDTH && out.dtype == QN_DTYPE_F32);
            assert_memory_equal(y, z, (size_t)n * WIDTH * sizeof(float));
        }
        if (round == 0) {
            requests = t.requests;
            layouts = qn_exec_layouts(made.exec);
            print_message("50 lengths: %u layouts\n", (unsigned)layouts);
            assert_true(layouts <= 26);
        }
        assert_int_equal(t.requests, requests);
        assert_int_equal(qn_exec_layouts(made.exec), layouts);
    }
    assert_int_equal(qn_exec_layouts(fixed.exec), 0);
    unmake(&made);
    unmake(&fixed);
    qn_test_allocator_done(&t);
}

/* neg(...neg(x)...) needs one buffer whatever its length; y = x + x' keeps what is read again. */
static void elementwise_steps_write_over_what_dies(void **state)
{
    struct qn_graph *g;
    struct made made;
    qn_value x;
    struct qn_type type = floats(2, 16, 16);
    float data[256], result[256];
    (void)state;
    qn_assert_ok(qn_graph_create(NULL, QN_STR("g"), &g));
    qn_assert_ok(qn_graph_add_input(g, QN_STR("x"), &type, &x));
    struct qn_build b = {.graph = g};
    qn_value first = qn_build_unary(&b, QN_OP_exp, x), v = first;
    for (int i = 0; i < 5; i++)
        v = qn_build_unary(&b, QN_OP_sin, v);
    qn_value kept = v; /* read twice: its first reader must not write over it */
    v = qn_build_unary(&b, QN_OP_cos, kept);
    v = qn_build_binary(&b, QN_OP_add, v, kept);
    v = qn_build_binary(&b, QN_OP_mul, v, first);
    qn_assert_ok(b.status);
    qn_assert_ok(qn_graph_add_output(g, QN_STR("y"), v));
    qn_assert_ok(make(g, 1, NULL, &made));
    assert_true(made.plan->workspace_bytes <= 3 * sizeof data); /* first, kept, and one more */
    fill(data, 256, 3);
    struct qn_exec_tensor in = tensor2(data, 16, 16), out = tensor2(result, 16, 16);
    qn_assert_ok(qn_exec_run(made.exec, &in, &out, NULL));
    for (int i = 0; i < 256; i++) {
        float e = expf(data[i]), s = e;
        for (int k = 0; k < 5; k++)
            s = sinf(s);
        assert_true(fabsf(result[i] - (cosf(s) + s) * e) <= 1e-4f * (1 + e));
    }
    unmake(&made);
}

/* ---- sizes that the run finds out ----------------------------------------------------------------------------- */

/* y = gather(x, nonzero(x)) + nothing else, and how many there are: a symbol that a kernel's output depends on. */
static qn_status late_graph(const struct qn_allocator *allocator, struct qn_graph **out)
{
    struct qn_graph *g;
    qn_dim n, count = 0;
    qn_value x = 0, found = 0;
    qn_status status = qn_graph_create(allocator, QN_STR("late"), &g);
    if (status)
        return status;
    status = qn_graph_symbol(g, QN_STR("N"), 0, QN_UNBOUNDED, &n);
    struct qn_type type = floats(1, n, 0);
    if (!status)
        status = qn_graph_add_input(g, QN_STR("x"), &type, &x);
    if (!status)
        status = qn_graph_fresh_symbol(g, "count", true, &count);
    struct qn_attr_count attr = {.count = count};
    if (!status)
        status = qn_graph_add_node(g, QN_OP_nonzero, &x, 1, &attr, QN_STR("find"), &found);
    struct qn_build b = {.graph = g, .status = status};
    qn_value flat = qn_build_reshape(&b, found, 1, (qn_dim[]){count});
    qn_value picked = qn_build_gather(&b, x, flat, 0, 0);
    qn_value y = qn_build_unary(&b, QN_OP_neg, qn_build_unary(&b, QN_OP_exp, picked));
    struct qn_attr_iota iota = {.count = qn_build_expr(&b, QN_EXPR_ADD, count, 1), .dtype = QN_DTYPE_I32};
    qn_value numbers = qn_build_node(&b, QN_OP_iota, NULL, 0, &iota, NULL);
    status = b.status;
    if (!status)
        status = qn_graph_add_output(g, QN_STR("y"), y);
    if (!status)
        status = qn_graph_add_output(g, QN_STR("numbers"), numbers);
    if (!status)
        status = qn_graph_add_output(g, QN_STR("where"), flat);
    if (status)
        qn_graph_destroy(g);
    else
        *out = g;
    return status;
}

static void check_late(struct qn_exec *exec, int64_t n, int seed)
{
    float x[300], want[300];
    int64_t found = 0;
    fill(x, n, seed);
    for (int64_t i = 0; i < n; i++)
        if (x[i] != 0)
            want[found++] = -expf(x[i]);
    struct qn_exec_tensor in = {.data = x, .rank = 1, .dims = {n}}, out[3] = {{0}};
    qn_assert_ok(qn_exec_run(exec, &in, out, NULL));
    assert_true(out[0].rank == 1 && out[0].dims[0] == found && out[1].dims[0] == found + 1);
    assert_true(out[2].dtype == QN_DTYPE_I64 && out[2].dims[0] == found);
    for (int64_t i = 0; i < found; i++) {
        assert_true(fabsf(((float *)out[0].data)[i] - want[i]) <= 1e-5f * (1 - want[i]));
        assert_true(x[((int64_t *)out[2].data)[i]] != 0);
    }
    for (int32_t i = 0; i <= found; i++)
        assert_int_equal(((int32_t *)out[1].data)[i], i);
}

static void late_sizes(void **state)
{
    struct qn_test_allocator t;
    struct qn_graph *graph;
    struct made made;
    (void)state;
    qn_test_allocator_init(&t, 0);
    qn_assert_ok(late_graph(NULL, &graph));
    qn_assert_ok(make(graph, 2, &t.allocator, &made));
    assert_true(made.plan->late);
    uint64_t requests = 0;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 8; i++)
            check_late(made.exec, 37 * i, i);
        if (round == 0)
            requests = t.requests;
        assert_int_equal(t.requests, requests);
    }
    float x[40], room[40];
    fill(x, 40, 1);
    struct qn_exec_tensor in = {.data = x, .rank = 1, .dims = {40}}, out[3] = {{0}};
    out[0].data = room; /* a buffer of the caller's: large enough, and too small */
    out[0].bytes = sizeof room;
    qn_assert_ok(qn_exec_run(made.exec, &in, out, NULL));
    assert_ptr_equal(out[0].data, room);
    assert_true(room[0] < 0);
    out[0].bytes = 8;
    qn_assert_fails(qn_exec_run(made.exec, &in, out, NULL), QN_INVALID_ARGUMENT, "'y' needs");
    unmake(&made);
    qn_test_allocator_done(&t);
}

/* bind_dims: a size that comes as a number. */
static void sizes_from_elements(void **state)
{
    struct qn_graph *g;
    struct made made;
    qn_value size, bound;
    qn_dim late;
    struct qn_type type = {.dtype = QN_DTYPE_I64, .rank = 1, .dims = {1}};
    (void)state;
    qn_assert_ok(qn_graph_create(NULL, QN_STR("g"), &g));
    qn_assert_ok(qn_graph_add_input(g, QN_STR("size"), &type, &size));
    qn_assert_ok(qn_graph_fresh_symbol(g, "n", true, &late));
    struct qn_attr_bind_dims attr = {.dims = {1, {late}}};
    qn_assert_ok(qn_graph_add_node(g, QN_OP_bind_dims, &size, 1, &attr, QN_STR("bind"), &bound));
    struct qn_build b = {.graph = g};
    struct qn_attr_iota iota = {.count = late, .dtype = QN_DTYPE_I32};
    qn_value y = qn_build_node(&b, QN_OP_iota, NULL, 0, &iota, NULL);
    qn_assert_ok(b.status);
    qn_assert_ok(qn_graph_add_output(g, QN_STR("y"), y));
    qn_assert_ok(qn_graph_add_output(g, QN_STR("size"), bound));
    qn_assert_ok(make(g, 1, NULL, &made));
    for (int64_t n = 0; n < 5; n++) {
        struct qn_exec_tensor in = {.data = &n, .rank = 1, .dims = {1}}, out[2] = {{0}};
        qn_assert_ok(qn_exec_run(made.exec, &in, out, NULL));
        assert_int_equal(out[0].dims[0], n);
        assert_int_equal(*(int64_t *)out[1].data, n);
    }
    int64_t wrong = -3;
    struct qn_exec_tensor in = {.data = &wrong, .rank = 1, .dims = {1}}, out[2] = {{0}};
    qn_assert_fails(qn_exec_run(made.exec, &in, out, NULL), QN_INVALID_ARGUMENT, "'bind': a size of -3");
    unmake(&made);
}

static void sizes_that_disagree(void **state)
{
    struct qn_graph *g;
    struct made made;
    qn_dim n, m;
    qn_value x, y;
    float data[12] = {0};
    (void)state;
    qn_assert_ok(qn_graph_create(NULL, QN_STR("g"), &g));
    qn_assert_ok(qn_graph_symbol(g, QN_STR("N"), 1, QN_UNBOUNDED, &n));
    qn_assert_ok(qn_graph_symbol(g, QN_STR("M"), 1, QN_UNBOUNDED, &m));
    struct qn_type a = floats(2, n, 2), c = floats(2, m, 2);
    qn_assert_ok(qn_graph_add_input(g, QN_STR("x"), &a, &x));
    qn_assert_ok(qn_graph_add_input(g, QN_STR("y"), &c, &y));
    qn_value inputs[] = {x, y}, sum;
    qn_assert_ok(qn_graph_add_node(g, QN_OP_add, inputs, 2, NULL, QN_STR("sum"), &sum));
    qn_assert_ok(qn_graph_add_output(g, QN_STR("z"), sum));
    qn_assert_ok(make(g, 1, NULL, &made));
    struct qn_exec_tensor in[] = {tensor2(data, 3, 2), tensor2(data, 3, 2)}, out = {0};
    qn_assert_ok(qn_exec_run(made.exec, in, &out, NULL));
    in[1].dims[0] = 2;
    qn_assert_fails(qn_exec_run(made.exec, in, &out, NULL), QN_INVALID_ARGUMENT, "node 'sum': sizes 3 and 2");
    in[1] = tensor2(data, 3, 3);
    qn_assert_fails(qn_exec_run(made.exec, in, &out, NULL), QN_INVALID_ARGUMENT,
                    "input 'y': expected shape [M, 2], given [3, 3]");
    in[1] = tensor2(NULL, 3, 2);
    qn_assert_fails(qn_exec_run(made.exec, in, &out, NULL), QN_INVALID_ARGUMENT, "input 'y' is not given");
    in[1] = tensor2(data, 3, 2);
    in[1].dtype = QN_DTYPE_I32;
    qn_assert_fails(qn_exec_run(made.exec, in, &out, NULL), QN_INVALID_ARGUMENT, "expected f32, given i32");
    unmake(&made);
}

/* ---- outputs that nobody wants -------------------------------------------------------------------------------- */

static void outputs_that_nobody_wants(void **state)
{
    struct qn_graph *g;
    struct made made;
    struct qn_frame *frame;
    qn_value x;
    struct qn_type type = floats(1, 4, 0);
    float data[4] = {1, 2, 3, 4};
    uint32_t events;
    (void)state;
    qn_assert_ok(qn_graph_create(NULL, QN_STR("g"), &g));
    qn_assert_ok(qn_graph_add_input(g, QN_STR("x"), &type, &x));
    struct qn_build b = {.graph = g};
    qn_value left = qn_build_unary(&b, QN_OP_neg, x);
    qn_value right = qn_build_unary(&b, QN_OP_exp, qn_build_unary(&b, QN_OP_abs, x));
    qn_assert_ok(b.status);
    qn_assert_ok(qn_graph_add_output(g, QN_STR("left"), left));
    qn_assert_ok(qn_graph_add_output(g, QN_STR("right"), right));
    qn_assert_ok(qn_graph_add_output(g, QN_STR("again"), left));
    qn_assert_ok(qn_graph_add_output(g, QN_STR("x"), x));
    qn_assert_ok(make(g, 1, NULL, &made));
    qn_assert_ok(qn_frame_create(made.exec, &frame));
    qn_frame_profile(frame);
    struct qn_exec_tensor in = {.data = data, .rank = 1, .dims = {4}}, out[4] = {{0}};
    qn_assert_ok(qn_frame_run(frame, &in, out, NULL));
    qn_frame_events(frame, &events);
    assert_int_equal(events, 3);
    assert_true(((float *)out[0].data)[1] == -2 && ((float *)out[2].data)[1] == -2 && ((float *)out[3].data)[3] == 4);
    qn_assert_ok(qn_frame_want(frame, 1, false));
    memset(out, 0, sizeof out);
    qn_assert_ok(qn_frame_run(frame, &in, out, NULL));
    const struct qn_frame_event *list = qn_frame_events(frame, &events);
    assert_int_equal(events, 1);
    assert_string_equal(list[0].op, "neg");
    assert_true(list[0].out.dims[0] == 4 && list[0].kernel);
    assert_true(((float *)out[0].data)[2] == -3 && ((float *)out[2].data)[2] == -3);
    qn_assert_ok(qn_frame_want(frame, 1, true));
    memset(out, 0, sizeof out);
    qn_assert_ok(qn_frame_run(frame, &in, out, NULL));
    assert_true(fabsf(((float *)out[1].data)[0] - 2.7182818f) < 1e-5f);
    qn_assert_fails(qn_frame_want(frame, 4, true), QN_OUT_OF_RANGE, "4 of 4");
    qn_frame_destroy(frame);
    unmake(&made);
}

/* ---- threads -------------------------------------------------------------------------------------------------- */

struct worker {
    struct qn_exec *exec;
    const float *x, *want;
    int64_t n;
    int rounds;
    bool late;
    uint32_t wrong;
    struct qn_thread thread;
};

static void work(void *context)
{
    struct worker *w = context;
    float *y = malloc((size_t)w->n * WIDTH * sizeof *y);
    for (int i = 0; i < w->rounds; i++) {
        struct qn_exec_tensor in = tensor2((void *)(uintptr_t)w->x, w->n, WIDTH), out = tensor2(y, w->n, WIDTH);
        qn_status status = qn_exec_run(w->exec, &in, &out, NULL);
        if (status || memcmp(y, w->want, (size_t)w->n * WIDTH * sizeof *y) != 0)
            w->wrong++;
        qn_status_free(status);
    }
    free(y);
}

static void eight_threads_on_one_executor(void **state)
{
    enum { THREADS = 8, MOST = 64 };
    struct qn_graph *graph;
    struct made made;
    struct worker workers[THREADS];
    static float x[THREADS][MOST * WIDTH], want[THREADS][MOST * WIDTH];
    (void)state;
    qn_assert_ok(layers_graph(NULL, QN_UNBOUNDED, &graph));
    qn_assert_ok(make(graph, 2, NULL, &made));
    for (int i = 0; i < THREADS; i++) {
        int64_t n = 8 + 7 * i;
        fill(x[i], n * WIDTH, i);
        struct qn_exec_tensor in = tensor2(x[i], n, WIDTH), out = tensor2(want[i], n, WIDTH);
        qn_assert_ok(qn_exec_run(made.exec, &in, &out, NULL));
        workers[i] = (struct worker){.exec = made.exec, .x = x[i], .want = want[i], .n = n, .rounds = 50};
    }
    for (int i = 0; i < THREADS; i++)
        qn_assert_ok(qn_thread_start(&workers[i].thread, "worker", work, &workers[i]));
    for (int i = 0; i < THREADS; i++)
        qn_thread_join(&workers[i].thread);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(workers[i].wrong, 0);
    unmake(&made);
}

struct canceller {
    volatile int cancel;
    struct qn_thread thread;
};

static void cancel_soon(void *context)
{
    struct canceller *c = context;
    for (uint64_t until = qn_clock_ns() + 20000000; qn_clock_ns() < until;)
        qn_cpu_relax();
    __atomic_store_n(&c->cancel, 1, __ATOMIC_RELAXED);
}

/* x times itself, `count` times over. */
static void make_products(int64_t size, int count, uint32_t threads, struct made *made)
{
    struct qn_graph *g;
    struct qn_type type = floats(2, size, size);
    qn_value x;
    qn_assert_ok(qn_graph_create(NULL, QN_STR("g"), &g));
    qn_assert_ok(qn_graph_add_input(g, QN_STR("x"), &type, &x));
    struct qn_build b = {.graph = g};
    for (int i = 0; i < count; i++)
        x = qn_build_matmul(&b, x, x, true, NULL);
    qn_assert_ok(b.status);
    qn_assert_ok(qn_graph_add_output(g, QN_STR("y"), x));
    qn_assert_ok(make(g, threads, NULL, made));
}

/* A single product, by one thread, ends before its last tiles, and the run under way is the one that tells. */
static void cancelled_inside_a_step(void **state)
{
    enum { SIZE = 3000 };
    struct made made;
    struct canceller c = {0};
    (void)state;
    make_products(SIZE, 1, 1, &made);
    float *data = calloc(SIZE * SIZE, sizeof *data), *result = calloc(SIZE * SIZE, sizeof *result);
    struct qn_exec_tensor in = tensor2(data, SIZE, SIZE), out = tensor2(result, SIZE, SIZE);
    result[SIZE * SIZE - 1] = 7;
    qn_assert_ok(qn_thread_start(&c.thread, "canceller", cancel_soon, &c));
    qn_assert_fails(qn_exec_run(made.exec, &in, &out, &c.cancel), QN_CANCELLED, "cancelled");
    qn_thread_join(&c.thread);
    assert_true(result[SIZE * SIZE - 1] == 7);
    free(result);
    free(data);
    unmake(&made);
}

/* A product that takes seconds ends between its tiles. */
static void cancelled_by_another_thread(void **state)
{
    enum { SIZE = 1500 };
    struct made made;
    struct canceller c = {0};
    (void)state;
    make_products(SIZE, 40, 2, &made);
    float *data = calloc(SIZE * SIZE, sizeof *data);
    struct qn_exec_tensor in = tensor2(data, SIZE, SIZE), out = {0};
    qn_assert_ok(qn_thread_start(&c.thread, "canceller", cancel_soon, &c));
    qn_assert_fails(qn_exec_run(made.exec, &in, &out, &c.cancel), QN_CANCELLED, "cancelled");
    qn_thread_join(&c.thread);
    free(data);
    unmake(&made);
}

/* ---- lack of memory ------------------------------------------------------------------------------------------- */

static qn_status make_and_run(const struct qn_allocator *allocator, void *context)
{
    struct qn_graph *graph;
    struct made made = {0};
    float x[20 * WIDTH];
    bool late = *(bool *)context;
    qn_status status = late ? late_graph(NULL, &graph) : layers_graph(NULL, QN_UNBOUNDED, &graph);
    if (status)
        return status;
    fill(x, 20 * WIDTH, 1);
    status = make(graph, 1, allocator, &made);
    struct qn_exec_tensor in = tensor2(x, 20, WIDTH), out[3] = {{0}};
    if (late)
        in = (struct qn_exec_tensor){.data = x, .rank = 1, .dims = {50}};
    for (int i = 0; i < 2 && !status; i++) {
        memset(out, 0, sizeof out);
        status = qn_exec_run(made.exec, &in, out, NULL);
    }
    unmake(&made);
    return status;
}

/* Weights that lie in no file: the packed copy is the only one that stays, and what a step reads stays as it is. */
static void packed_constants_are_not_kept_twice(void **state)
{
    (void)state;
    struct qn_graph *g;
    struct made made;
    qn_value x, w, bias;
    float weights[WIDTH * WIDTH], offsets[WIDTH], in[2 * WIDTH], before[2 * WIDTH], after[2 * WIDTH];
    struct qn_type type = floats(2, 2, WIDTH), square = floats(2, WIDTH, WIDTH), row = floats(1, WIDTH, 0);
    fill(weights, WIDTH * WIDTH, 3);
    fill(offsets, WIDTH, 5);
    fill(in, 2 * WIDTH, 7);
    qn_assert_ok(qn_graph_create(NULL, QN_STR("twice"), &g));
    qn_assert_ok(qn_graph_add_input(g, QN_STR("x"), &type, &x));
    qn_assert_ok(qn_graph_add_data(g, QN_STR("w"), &square, weights, &w));
    qn_assert_ok(qn_graph_add_data(g, QN_STR("bias"), &row, offsets, &bias));
    struct qn_build b = {.graph = g};
    qn_value y = qn_build_binary(&b, QN_OP_add, qn_build_matmul(&b, x, w, true, NULL), bias);
    qn_assert_ok(b.status);
    qn_assert_ok(qn_graph_add_output(g, QN_STR("y"), y));
    qn_assert_ok(make(g, 1, NULL, &made));
    struct qn_exec_tensor input = tensor2(in, 2, WIDTH), output = tensor2(before, 2, WIDTH);
    qn_assert_ok(qn_exec_run(made.exec, &input, &output, NULL));
    uint32_t bytes = made.plan->data.count;
    for (int i = 0; i < 2; i++) { /* a second time there is nothing left to take out */
        qn_assert_ok(qn_exec_forget_packed(made.exec, made.plan));
        assert_true(made.plan->data.count >= sizeof offsets);
        if (made.plan->packed.count)
            assert_true(made.plan->data.count + sizeof weights <= bytes + 64);
        output = tensor2(after, 2, WIDTH);
        qn_assert_ok(qn_exec_run(made.exec, &input, &output, NULL));
        assert_memory_equal(before, after, sizeof before);
    }
    unmake(&made);
}

static void every_allocation(void **state)
{
    bool late = false;
    (void)state;
    assert_true(qn_test_every_allocation(make_and_run, &late) > 30);
    late = true;
    assert_true(qn_test_every_allocation(make_and_run, &late) > 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fifty_lengths_make_a_handful_of_layouts),
        cmocka_unit_test(elementwise_steps_write_over_what_dies),
        cmocka_unit_test(late_sizes),
        cmocka_unit_test(sizes_from_elements),
        cmocka_unit_test(sizes_that_disagree),
        cmocka_unit_test(outputs_that_nobody_wants),
        cmocka_unit_test(eight_threads_on_one_executor),
        cmocka_unit_test(cancelled_by_another_thread),
        cmocka_unit_test(cancelled_inside_a_step),
        cmocka_unit_test(packed_constants_are_not_kept_twice),
        cmocka_unit_test(every_allocation),
    };
    return cmocka_run_group_tests_name("executor", tests, NULL, NULL);
}
