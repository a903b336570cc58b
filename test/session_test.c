/* Sessions and runs on ONNX models: binding, partial outputs, many runs at once, cancelling, memory that settles, and
 * errors that say what was expected. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "quern/data.h"
#include "quern/model.h"
#include "quern/session.h"
#include "support/testing.h"

struct opened {
    struct qn_model *model;
    struct qn_session *session;
    struct qn_run *run;
};

static void open_with(const char *name, const struct qn_session_options *options, struct opened *o)
{
    char path[300];
    snprintf(path, sizeof path, "test/data/onnx/%s.onnx", name);
    *o = (struct opened){0};
    qn_assert_ok(qn_model_open(qn_test_source(path), NULL, &o->model));
    qn_assert_ok(qn_session_create(o->model, options, &o->session));
    qn_assert_ok(qn_run_create(o->session, &o->run));
}

static void close_all(struct opened *o)
{
    qn_run_destroy(o->run);
    qn_session_destroy(o->session);
    qn_model_close(o->model);
}

static struct qn_data floats(float *values, uint32_t rank, const int64_t *dims)
{
    struct qn_data data = {.kind = QN_DATA_TENSOR, .tensor = {.data = values, .dtype = QN_DTYPE_F32, .rank = rank}};
    data.tensor.bytes = sizeof(float);
    for (uint32_t i = 0; i < rank; i++) {
        data.tensor.dims[i] = dims[i];
        data.tensor.bytes *= (size_t)dims[i];
    }
    return data;
}

/* relu(x w + b) of the model `linear`, by hand. */
static float linear(const float *x, int column)
{
    static const float b[] = {1, -1, 2, 0};
    float sum = 0;
    for (int k = 0; k < 8; k++)
        sum += x[k] * (float)((k * 4 + column) % 5 - 2);
    sum += b[column];
    return sum > 0 ? sum : 0;
}

static void runs_and_binds(void **state)
{
    (void)state;
    struct opened o;
    open_with("linear", NULL, &o);
    float x[5 * 8], y[5 * 4];
    for (int i = 0; i < 40; i++)
        x[i] = (float)(i % 7) - 3;
    struct qn_data input = floats(x, 2, (const int64_t[]){5, 8}), result;
    struct qn_tensor output = {.data = y, .bytes = sizeof y};
    qn_assert_ok(qn_run_bind_input(o.run, 0, &input));
    qn_assert_ok(qn_run_bind_output(o.run, 0, &output));
    qn_assert_ok(qn_run_execute(o.run));
    qn_assert_ok(qn_run_output(o.run, 0, &result));
    assert_ptr_equal(result.tensor.data, y);
    for (int i = 0; i < 20; i++)
        assert_true(y[i] == linear(x + i / 4 * 8, i % 4));
    qn_assert_ok(qn_run_output(o.run, 1, &result));
    assert_int_equal(result.tensor.dims[0], 5);
    assert_true(((float *)result.tensor.data)[7] == 2 * y[7]);
    /* the simple call on the same session */
    struct qn_tensor outputs[2] = {{0}};
    qn_assert_ok(qn_session_run(o.session, &input.tensor, 1, outputs, 2));
    assert_memory_equal(outputs[0].data, y, sizeof y);
    close_all(&o);
}

static void leaves_out_what_nobody_wants(void **state)
{
    (void)state;
    struct opened o;
    open_with("linear", NULL, &o);
    float x[8] = {1, 2, 3};
    struct qn_data input = floats(x, 2, (const int64_t[]){1, 8}), result;
    qn_assert_ok(qn_run_bind_input(o.run, 0, &input));
    qn_assert_ok(qn_run_want_output(o.run, 1, false));
    qn_assert_ok(qn_run_execute(o.run));
    qn_assert_ok(qn_run_output(o.run, 1, &result));
    assert_int_equal(result.kind, QN_DATA_NONE);
    qn_assert_ok(qn_run_output(o.run, 0, &result));
    assert_int_equal(result.kind, QN_DATA_TENSOR);
    qn_assert_fails(qn_run_want_output(o.run, 2, true), QN_OUT_OF_RANGE, "output 2 of 2");
    close_all(&o);
}

static void tells_what_is_wrong(void **state)
{
    (void)state;
    struct opened o;
    open_with("linear", NULL, &o);
    float x[16] = {0};
    qn_assert_fails(qn_run_execute(o.run), QN_INVALID_ARGUMENT, "input 'x' is not bound");
    struct qn_data input = floats(x, 2, (const int64_t[]){2, 7});
    qn_assert_ok(qn_run_bind_input(o.run, 0, &input));
    qn_assert_fails(qn_run_execute(o.run), QN_INVALID_ARGUMENT, "input 'x': expected shape [N, 8], given [2, 7]");
    input = floats(x, 2, (const int64_t[]){2, 8});
    input.tensor.dtype = QN_DTYPE_F64;
    qn_assert_fails(qn_run_execute(o.run), QN_INVALID_ARGUMENT, "input 'x': expected f32, given f64");
    input.tensor.dtype = QN_DTYPE_F32;
    input.tensor.bytes = 63;
    qn_assert_fails(qn_run_execute(o.run), QN_INVALID_ARGUMENT, "input 'x': its shape needs 64 bytes, given 63");
    input.tensor.bytes = 64;
    float y[7];
    struct qn_tensor small = {.data = y, .bytes = sizeof y};
    qn_assert_ok(qn_run_bind_output(o.run, 0, &small));
    qn_assert_fails(qn_run_execute(o.run), QN_INVALID_ARGUMENT, "output 'y' needs 32 bytes, the buffer has 28");
    qn_assert_ok(qn_run_bind_output(o.run, 0, NULL));
    qn_assert_ok(qn_run_execute(o.run));
    close_all(&o);
    const struct qn_dim_size dim = {"N", 3};
    const struct qn_session_options options = {.struct_size = sizeof options, .dims = &dim, .dim_count = 1};
    open_with("linear", &options, &o);
    input = floats(x, 2, (const int64_t[]){2, 8});
    qn_assert_ok(qn_run_bind_input(o.run, 0, &input));
    qn_assert_fails(qn_run_execute(o.run), QN_INVALID_ARGUMENT, "input 'x': expected shape [3, 8], given [2, 8]");
    close_all(&o);
}

/* y = x scale + 2 shift with defaults of 2 and 0.5. */
static void takes_what_has_a_default(void **state)
{
    static const char *const shift = "shift", *const unknown = "offset";
    struct qn_session_options options = {.struct_size = sizeof options, .threads = 1};
    float x[2] = {1, -3}, given[1] = {10}, expected[2][2] = {{3, -5}, {22, 14}};
    struct opened o;
    (void)state;
    for (uint32_t i = 0; i < 2; i++) {
        const struct qn_data data[2] = {floats(x, 1, (const int64_t[]){2}), floats(given, 1, (const int64_t[]){1})};
        struct qn_data y = {0};
        options.given_inputs = &shift;
        options.given_count = i;
        open_with("defaults", &options, &o);
        assert_int_equal(qn_session_slot_count(o.session, QN_SLOT_INPUT), 1 + i);
        assert_int_equal(qn_session_find(o.session, QN_SLOT_INPUT, "shift"), i ? 1 : -1);
        for (uint32_t k = 0; k < 1 + i; k++)
            qn_assert_ok(qn_run_bind_input(o.run, k, &data[k]));
        qn_assert_ok(qn_run_execute(o.run));
        qn_assert_ok(qn_run_output(o.run, 0, &y));
        assert_memory_equal(y.tensor.data, expected[i], sizeof expected[i]);
        close_all(&o);
    }
    options.given_inputs = &unknown;
    qn_assert_ok(qn_model_open(qn_test_source("test/data/onnx/defaults.onnx"), NULL, &o.model));
    qn_assert_fails(qn_session_create(o.model, &options, &o.session), QN_NOT_FOUND, "no input 'offset'");
    qn_model_close(o.model);
}

static void gives_sequences(void **state)
{
    (void)state;
    struct opened o;
    open_with("sequence", NULL, &o);
    float x[10] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    for (int64_t rows = 5; rows > 0; rows -= 2) {
        struct qn_data input = floats(x, 2, (const int64_t[]){rows, 2}), result;
        qn_assert_ok(qn_run_bind_input(o.run, 0, &input));
        qn_assert_ok(qn_run_execute(o.run));
        qn_assert_ok(qn_run_output(o.run, 0, &result));
        assert_int_equal(result.kind, QN_DATA_SEQUENCE);
        assert_int_equal(result.count, (rows + 1) / 2);
        assert_int_equal(result.items[result.count - 1].tensor.dims[0], 1);
        assert_true(*(float *)result.items[result.count - 1].tensor.data == (float)(rows - 1) * 2);
    }
    close_all(&o);
}

/* ---- cancelling ----------------------------------------------------------------------------------------------- */

/* y = x + n w, where the body knows w by another name; parts and items are [n, 3], also of no rounds, whether the body
 * tells their shape or only the model's word for it. */
static void counts_rounds(void **state)
{
    (void)state;
    struct opened o;
    open_with("rounds", NULL, &o);
    float x[3] = {10, 20, 30};
    for (int64_t n = 0; n < 4; n++) {
        struct qn_tensor in[2] = {{x, sizeof x, QN_DTYPE_F32, 1, {3}}, {&n, sizeof n, QN_DTYPE_I64, 0, {0}}};
        struct qn_tensor out[3] = {{0}};
        qn_assert_ok(qn_session_run(o.session, in, 2, out, 3));
        assert_true(out[0].rank == 1 && out[0].dims[0] == 3);
        for (int i = 0; i < 3; i++)
            assert_true(((const float *)out[0].data)[i] == x[i] + (float)n * (float)(i + 1));
        for (int i = 1; i < 3; i++) {
            assert_int_equal(out[i].dtype, QN_DTYPE_F32);
            assert_int_equal(out[i].rank, 2);
            assert_int_equal(out[i].dims[0], n);
            assert_int_equal(out[i].dims[1], 3);
        }
    }
    close_all(&o);
}

static void *cancel_soon(void *argument)
{
    nanosleep(&(struct timespec){.tv_nsec = 50 * 1000 * 1000}, NULL);
    qn_run_cancel(argument);
    return NULL;
}

static void ends_an_endless_loop(void **state)
{
    (void)state;
    struct opened o;
    open_with("endless", NULL, &o);
    float x = 0;
    uint8_t go = 1;
    struct qn_data inputs[2] = {floats(&x, 0, NULL),
                                {.kind = QN_DATA_TENSOR, .tensor = {&go, 1, QN_DTYPE_BOOL, 0, {0}}}};
    for (uint32_t i = 0; i < 2; i++)
        qn_assert_ok(qn_run_bind_input(o.run, i, &inputs[i]));
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, cancel_soon, o.run), 0);
    qn_assert_fails(qn_run_execute(o.run), QN_CANCELLED, NULL);
    pthread_join(thread, NULL);
    go = 0; /* the run works on */
    qn_assert_ok(qn_run_execute(o.run));
    close_all(&o);
}

/* ---- many runs ------------------------------------------------------------------------------------------------ */

enum { THREADS = 6, REPEATS = 8, SIDE = 24 };

struct worker {
    struct qn_session *session;
    int number;
    bool good;
};

static void *work(void *argument)
{
    struct worker *w = argument;
    struct qn_run *run = NULL;
    float x[3 * SIDE * SIDE], first[16];
    qn_status status = qn_run_create(w->session, &run);
    for (int i = 0; i < 3 * SIDE * SIDE; i++)
        x[i] = (float)((i * (w->number + 3)) % 17) / 8 - 1;
    w->good = !status;
    for (int i = 0; i < REPEATS && w->good; i++) {
        struct qn_data input = floats(x, 4, (const int64_t[]){1, 3, SIDE, SIDE}), result = {0};
        w->good = !qn_run_bind_input(run, 0, &input) && !qn_run_execute(run) && !qn_run_output(run, 0, &result);
        if (w->good && i == 0)
            memcpy(first, result.tensor.data, sizeof first);
        w->good = w->good && memcmp(first, result.tensor.data, sizeof first) == 0;
    }
    qn_run_destroy(run);
    return NULL;
}

static void runs_at_once(void **state)
{
    (void)state;
    struct opened o;
    const struct qn_session_options options = {.struct_size = sizeof options, .threads = 2};
    open_with("convolutions", &options, &o);
    pthread_t threads[THREADS];
    struct worker workers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){o.session, i, false};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_true(workers[i].good);
    }
    close_all(&o);
}

/* ---- memory --------------------------------------------------------------------------------------------------- */

/* 50 sizes: one import, one plan; a size that was seen takes nothing from the allocator any more. */
static void settles(void **state)
{
    (void)state;
    struct qn_test_allocator allocator;
    qn_test_allocator_init(&allocator, 0);
    struct opened o;
    const struct qn_session_options options = {
        .struct_size = sizeof options, .threads = 1, .allocator = &allocator.allocator};
    open_with("linear", &options, &o);
    static float x[50 * 8], y[50 * 4], z[50 * 4];
    uint64_t before = 0;
    for (int round = 0; round < 2; round++) {
        before = allocator.requests;
        for (int64_t n = 1; n <= 50; n++) {
            struct qn_data input = floats(x, 2, (const int64_t[]){n, 8});
            const struct qn_tensor buffers[2] = {{.data = y, .bytes = sizeof y}, {.data = z, .bytes = sizeof z}};
            qn_assert_ok(qn_run_bind_input(o.run, 0, &input));
            for (uint32_t i = 0; i < 2; i++)
                qn_assert_ok(qn_run_bind_output(o.run, i, &buffers[i]));
            qn_assert_ok(qn_run_execute(o.run));
        }
    }
    assert_int_equal(allocator.requests - before, 0);
    close_all(&o);
    qn_test_allocator_done(&allocator);
}

/* ---- profile -------------------------------------------------------------------------------------------------- */

static void writes_a_trace(void **state)
{
    (void)state;
    struct opened o;
    open_with("linear", NULL, &o);
    float x[8] = {0};
    struct qn_data input = floats(x, 2, (const int64_t[]){1, 8});
    char *json;
    size_t size;
    qn_assert_ok(qn_run_bind_input(o.run, 0, &input));
    qn_assert_fails(qn_run_trace(o.run, &json, &size), QN_INVALID_ARGUMENT, "no profile");
    qn_assert_ok(qn_run_profile(o.run));
    qn_assert_ok(qn_run_execute(o.run));
    qn_assert_ok(qn_run_trace(o.run, &json, &size));
    assert_non_null(strstr(json, "\"traceEvents\""));
    assert_non_null(strstr(json, "\"dur\""));
    assert_non_null(strstr(json, "f32[1,4]"));
    qn_run_trace_free(o.run, json, size);
    close_all(&o);
}

/* Pages of a file may go and come back; memory of the caller's, be it whole pages, must not. */
static void leaves_the_callers_model_alone(void **state)
{
    (void)state;
    struct opened o = {0};
    size_t size, page = 1 << 16;
    char *read = qn_test_read_file(qn_test_source("test/data/onnx/convolutions.onnx"), &size);
    void *model = aligned_alloc(page, (size + page - 1) / page * page);
    assert_non_null(model);
    memcpy(model, read, size);
    qn_assert_ok(qn_model_open_memory(model, size, "convolutions.onnx", NULL, &o.model));
    qn_assert_ok(qn_session_create(o.model, NULL, &o.session));
    qn_assert_ok(qn_run_create(o.session, &o.run));
    float x[3 * SIDE * SIDE] = {1};
    struct qn_data input = floats(x, 4, (const int64_t[]){1, 3, SIDE, SIDE});
    for (int i = 0; i < 3; i++) { /* weights are packed for good by the second one */
        qn_assert_ok(qn_run_bind_input(o.run, 0, &input));
        qn_assert_ok(qn_run_execute(o.run));
        assert_memory_equal(model, read, size);
    }
    close_all(&o);
    free(model);
    free(read);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_and_binds),
        cmocka_unit_test(leaves_out_what_nobody_wants),
        cmocka_unit_test(tells_what_is_wrong),
        cmocka_unit_test(takes_what_has_a_default),
        cmocka_unit_test(gives_sequences),
        cmocka_unit_test(ends_an_endless_loop),
        cmocka_unit_test(counts_rounds),
        cmocka_unit_test(runs_at_once),
        cmocka_unit_test(settles),
        cmocka_unit_test(leaves_the_callers_model_alone),
        cmocka_unit_test(writes_a_trace),
    };
    return cmocka_run_group_tests_name("session", tests, NULL, NULL);
}
