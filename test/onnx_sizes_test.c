/* One session for all sizes: what a plan takes for granted about dims that meet does not bind the runs. */
#include "onnx_build.h"
#include "quern/model.h"
#include "quern/session.h"

struct opened {
    struct pb bytes;
    struct qn_model *model;
    struct qn_session *session;
    struct qn_run *run;
};

static void open_graph(struct pb *graph, struct opened *o)
{
    const struct qn_session_options options = {.struct_size = sizeof options, .threads = 1};
    *o = (struct opened){.bytes = pb_model(graph)};
    qn_assert_ok(qn_model_open_memory(o->bytes.data, o->bytes.size, "sizes.onnx", NULL, &o->model));
    qn_assert_ok(qn_session_create(o->model, &options, &o->session));
    qn_assert_ok(qn_run_create(o->session, &o->run));
}

static void close_all(struct opened *o)
{
    qn_run_destroy(o->run);
    qn_session_destroy(o->session);
    qn_model_close(o->model);
    pb_free(&o->bytes);
}

/* y [?] = a [A] + b [B], z [A] = -a */
static void open_sum(struct opened *o)
{
    struct pb g = {0};
    pb_add_node(&g, pb_node_of("Add", "a,b", "y"));
    pb_add_node(&g, pb_node_of("Neg", "a", "z"));
    pb_add_value(&g, GRAPH_INPUT, "a", F32, "A");
    pb_add_value(&g, GRAPH_INPUT, "b", F32, "B");
    pb_add_value(&g, GRAPH_OUTPUT, "y", F32, NULL);
    pb_add_value(&g, GRAPH_OUTPUT, "z", F32, NULL);
    open_graph(&g, o);
}

static struct qn_data list(float *values, int64_t count)
{
    return (struct qn_data){.kind = QN_DATA_TENSOR,
                            .tensor = {.data = values,
                                       .bytes = (size_t)count * sizeof *values,
                                       .dtype = QN_DTYPE_F32,
                                       .rank = 1,
                                       .dims = {count}}};
}

static void check_sum(struct opened *o, int64_t a_count, int64_t b_count)
{
    float a[8] = {1, 2, 3, 4, 5, 6, 7, 8}, b[8] = {10, 20, 30, 40, 50, 60, 70, 80};
    struct qn_data left = list(a, a_count), right = list(b, b_count), y, z;
    qn_assert_ok(qn_run_bind_input(o->run, 0, &left));
    qn_assert_ok(qn_run_bind_input(o->run, 1, &right));
    qn_assert_ok(qn_run_execute(o->run));
    qn_assert_ok(qn_run_output(o->run, 0, &y));
    qn_assert_ok(qn_run_output(o->run, 1, &z));
    int64_t count = a_count == 1 ? b_count : a_count;
    assert_int_equal(y.tensor.rank, 1);
    assert_int_equal(y.tensor.dims[0], count);
    assert_int_equal(z.tensor.dims[0], a_count);
    for (int64_t i = 0; i < count; i++)
        assert_true(((const float *)y.tensor.data)[i] == a[a_count == 1 ? 0 : i] + b[b_count == 1 ? 0 : i]);
}

static void either_side_broadcasts(void **state)
{
    (void)state;
    static const int64_t sizes[][2] = {{3, 3}, {3, 1}, {1, 3}, {4, 4}, {1, 8}, {1, 2}, {1, 5},
                                       {1, 6}, {1, 7}, {1, 0}, {2, 2}, {1, 1}, {0, 1}};
    struct opened o;
    open_sum(&o);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        check_sum(&o, sizes[i][0], sizes[i][1]);
    close_all(&o);
}

static void errors_stay_clear(void **state)
{
    (void)state;
    float values[8] = {0};
    struct opened o;
    struct qn_data four = list(values, 4), five = list(values, 5), wrong = list(values, 4);
    wrong.tensor.dtype = QN_DTYPE_I32;
    open_sum(&o);
    qn_assert_ok(qn_run_bind_input(o.run, 0, &four));
    qn_assert_ok(qn_run_bind_input(o.run, 1, &five));
    qn_assert_fails(qn_run_execute(o.run), QN_INVALID_ARGUMENT, "f32[4] and f32[5]: they do not broadcast");
    qn_assert_ok(qn_run_bind_input(o.run, 1, &wrong));
    qn_assert_fails(qn_run_execute(o.run), QN_INVALID_ARGUMENT, "input 'b': expected f32, given i32");
    qn_assert_ok(qn_run_bind_input(o.run, 1, NULL));
    qn_assert_fails(qn_run_execute(o.run), QN_INVALID_ARGUMENT, "input 'b' is not bound");
    check_sum(&o, 4, 1);
    close_all(&o);
}

/* Buffers, unwanted outputs and the trace are the caller's as ever. */
static void bindings_hold(void **state)
{
    (void)state;
    float a[1] = {2}, b[3] = {1, 2, 3}, y[3] = {0};
    struct opened o;
    struct qn_data left = list(a, 1), right = list(b, 3), out;
    struct qn_tensor buffer = list(y, 3).tensor, small = list(y, 2).tensor;
    char *json;
    size_t size;
    open_sum(&o);
    qn_assert_ok(qn_run_profile(o.run));
    qn_assert_ok(qn_run_bind_input(o.run, 0, &left));
    qn_assert_ok(qn_run_bind_input(o.run, 1, &right));
    qn_assert_ok(qn_run_bind_output(o.run, 0, &buffer));
    qn_assert_ok(qn_run_want_output(o.run, 1, false));
    qn_assert_ok(qn_run_execute(o.run));
    assert_true(y[0] == 3 && y[1] == 4 && y[2] == 5);
    qn_assert_ok(qn_run_output(o.run, 0, &out));
    assert_ptr_equal(out.tensor.data, y);
    qn_assert_ok(qn_run_output(o.run, 1, &out));
    assert_int_equal(out.kind, QN_DATA_NONE);
    qn_assert_ok(qn_run_trace(o.run, &json, &size));
    assert_non_null(strstr(json, "\"add\""));
    qn_run_trace_free(o.run, json, size);
    qn_assert_ok(qn_run_bind_output(o.run, 0, &small));
    qn_assert_fails(qn_run_execute(o.run), QN_INVALID_ARGUMENT, "needs 12 bytes, the buffer has 8");
    qn_run_cancel(o.run);
    qn_assert_fails(qn_run_execute(o.run), QN_CANCELLED, "cancelled");
    close_all(&o);
}

/* y = x[start : end : -1] over an axis whose size the run knows: bounds before the first element are that element. */
static void slices_walk_down(void **state)
{
    (void)state;
    static const struct {
        int64_t start, end, size, count;
        float first;
    } cases[] = {{-1, INT64_MIN, 4, 4, 3}, {-6, -9, 2, 1, 0}, {5, 1, 4, 2, 3},  {-7, INT64_MIN, 3, 1, 0},
                 {2, INT64_MAX, 4, 0, 0},  {-2, 0, 5, 3, 3},  {-9, -9, 4, 1, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        float x[8] = {0, 1, 2, 3, 4, 5, 6, 7};
        struct pb g = {0};
        struct opened o;
        struct qn_data in = list(x, cases[i].size), y;
        pb_add_node(&g, pb_node_of("Slice", "x,s,e,a,t", "y"));
        pb_add_i64s(&g, "s", 1, &cases[i].start);
        pb_add_i64s(&g, "e", 1, &cases[i].end);
        pb_add_i64s(&g, "a", 1, (const int64_t[]){0});
        pb_add_i64s(&g, "t", 1, (const int64_t[]){-1});
        pb_add_value(&g, GRAPH_INPUT, "x", F32, "N");
        pb_add_value(&g, GRAPH_OUTPUT, "y", F32, NULL);
        open_graph(&g, &o);
        qn_assert_ok(qn_run_bind_input(o.run, 0, &in));
        qn_assert_ok(qn_run_execute(o.run));
        qn_assert_ok(qn_run_output(o.run, 0, &y));
        assert_int_equal(y.tensor.dims[0], cases[i].count);
        for (int64_t k = 0; k < cases[i].count; k++)
            assert_true(((const float *)y.tensor.data)[k] == cases[i].first - (float)k);
        close_all(&o);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(either_side_broadcasts), cmocka_unit_test(errors_stay_clear),
                                       cmocka_unit_test(bindings_hold), cmocka_unit_test(slices_walk_down)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
