/* Weights that wait for a run: the same bits from the first run, the second and all that follow, whoever packs them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exec/frame.h"
#include "ir/build.h"
#include "platform/cpu.h"
#include "platform/file.h"
#include "platform/thread.h"
#include "support/testing.h"

/* Three matrices of 8 MiB: enough for them to wait. */
enum { ROWS = 2, WIDE = 2048, NARROW = 1024, LAYERS = 3, THREADS = 4 };

static const uint64_t MATRIX = (uint64_t)WIDE * NARROW * sizeof(float);

struct made {
    struct qn_file_map map;
    struct qn_exec_file file;
    struct qn_plan *plan;
    struct qn_pool *pool;
    struct qn_exec *exec;
};

static const char *write_weights(void)
{
    const char *path = qn_test_temp("weights");
    FILE *file = fopen(path, "rb");
    if (file) {
        fclose(file);
        return path;
    }
    float *row = malloc(WIDE * sizeof *row);
    file = fopen(path, "wb");
    assert_non_null(row);
    assert_non_null(file);
    uint32_t seed = 1;
    for (int i = 0; i < LAYERS * NARROW; i++) {
        for (int j = 0; j < WIDE; j++)
            row[j] = (float)((seed = seed * 1664525 + 1013904223) >> 8) * 0x1p-28f - 0x1p-5f;
        assert_int_equal(fwrite(row, sizeof *row, WIDE, file), WIDE);
    }
    assert_int_equal(fclose(file), 0);
    free(row);
    return path;
}

/* x [2, wide] by matrices [wide, narrow], [narrow, wide], [wide, narrow] of the file. */
static qn_status make_graph(struct qn_graph **out)
{
    struct qn_type x_type = {.dtype = QN_DTYPE_F32, .rank = 2, .dims = {ROWS, WIDE}};
    qn_value value;
    QN_TRY(qn_graph_create(NULL, QN_STR("waits"), out));
    struct qn_graph *g = *out;
    uint32_t file;
    QN_TRY(qn_graph_file(g, QN_STR("weights"), &file));
    QN_TRY(qn_graph_add_input(g, QN_STR("x"), &x_type, &value));
    struct qn_build b = {.graph = g};
    for (int i = 0; i < LAYERS; i++) {
        struct qn_type type = {.dtype = QN_DTYPE_F32, .rank = 2};
        struct qn_blob blob = {.place = QN_BLOB_FILE, .file = file, .offset = (uint64_t)i * MATRIX, .bytes = MATRIX};
        qn_value w;
        type.dims[0] = i % 2 ? NARROW : WIDE;
        type.dims[1] = i % 2 ? WIDE : NARROW;
        QN_TRY(qn_graph_add_constant(g, QN_STR("w"), &type, &blob, &w));
        value = qn_build_matmul(&b, value, w, false, NULL);
    }
    QN_TRY(b.status);
    return qn_graph_add_output(g, QN_STR("y"), value);
}

static void make(uint32_t threads, struct made *made)
{
    struct qn_plan_options options = {0};
    struct qn_graph *graph;
    *made = (struct made){0};
    qn_assert_ok(qn_file_map(write_weights(), &made->map));
    made->file = (struct qn_exec_file){.map = made->map};
    qn_assert_ok(make_graph(&graph));
    qn_assert_ok(qn_cpu_features(&options.features));
    qn_assert_ok(qn_plan_create(graph, &qn_backend_cpu, &options, NULL, &made->plan));
    qn_graph_destroy(graph);
    qn_assert_ok(qn_pool_create(threads, NULL, &made->pool));
    qn_assert_ok(qn_exec_create(made->plan, made->pool, &made->file, 1, NULL, &made->exec));
}

static void unmake(struct made *made)
{
    qn_exec_destroy(made->exec);
    qn_pool_destroy(made->pool);
    qn_plan_destroy(made->plan);
    qn_file_unmap(&made->map);
}

static float x[ROWS * WIDE];

static qn_status run(struct qn_exec *exec, float y[ROWS * NARROW], const volatile int *cancel)
{
    struct qn_exec_tensor in = {.data = x, .bytes = sizeof x, .rank = 2, .dims = {ROWS, WIDE}};
    struct qn_exec_tensor out = {.data = y, .bytes = ROWS * NARROW * sizeof(float)};
    return qn_exec_run(exec, &in, &out, cancel);
}

static uint32_t packed(const struct made *made)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < made->plan->packed.count; i++)
        count += made->exec->packed[i].data != NULL;
    return count;
}

static void first_runs_give_the_same_bits(void **state)
{
    (void)state;
    struct made made;
    static float first[ROWS * NARROW], next[ROWS * NARROW];
    make(2, &made);
    assert_int_equal(packed(&made), 0);
    qn_assert_ok(run(made.exec, first, NULL));
    assert_int_equal(packed(&made), 0);
    assert_null(made.exec->lent.data);
    for (int i = 0; i < 2; i++) {
        memset(next, 0, sizeof next);
        qn_assert_ok(run(made.exec, next, NULL));
        assert_memory_equal(next, first, sizeof first);
        assert_int_equal(packed(&made), made.plan->packed.count);
    }
    unmake(&made);
    make(1, &made); /* the same when they are made before */
    qn_assert_ok(qn_exec_prepare(made.exec));
    qn_assert_ok(qn_exec_prepare(made.exec));
    assert_int_equal(packed(&made), made.plan->packed.count);
    qn_assert_ok(run(made.exec, next, NULL));
    assert_memory_equal(next, first, sizeof first);
    unmake(&made);
}

static void a_first_run_that_is_cancelled(void **state)
{
    (void)state;
    struct made made;
    static float want[ROWS * NARROW], y[ROWS * NARROW];
    const volatile int cancel = 1;
    make(1, &made);
    qn_assert_ok(run(made.exec, want, NULL));
    unmake(&made);
    make(1, &made);
    qn_assert_fails(run(made.exec, y, &cancel), QN_CANCELLED, "cancelled");
    qn_assert_ok(run(made.exec, y, NULL));
    assert_memory_equal(y, want, sizeof want);
    unmake(&made);
}

struct worker {
    struct qn_exec *exec;
    struct qn_thread thread;
    float y[ROWS * NARROW];
    bool failed;
};

static void work(void *context)
{
    struct worker *w = context;
    qn_status status = run(w->exec, w->y, NULL);
    w->failed = status != NULL;
    qn_status_free(status);
}

static void first_runs_at_once(void **state)
{
    (void)state;
    struct made made;
    static struct worker workers[THREADS];
    make(2, &made);
    for (int i = 0; i < THREADS; i++) {
        workers[i].exec = made.exec;
        qn_assert_ok(qn_thread_start(&workers[i].thread, "worker", work, &workers[i]));
    }
    for (int i = 0; i < THREADS; i++)
        qn_thread_join(&workers[i].thread);
    for (int i = 0; i < THREADS; i++) {
        assert_false(workers[i].failed);
        assert_memory_equal(workers[i].y, workers[0].y, sizeof workers[0].y);
    }
    assert_int_equal(packed(&made), made.plan->packed.count);
    unmake(&made);
}

int main(void)
{
    for (int i = 0; i < ROWS * WIDE; i++)
        x[i] = (float)(i % 17) - 8;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_runs_give_the_same_bits),
        cmocka_unit_test(a_first_run_that_is_cancelled),
        cmocka_unit_test(first_runs_at_once),
    };
    return cmocka_run_group_tests_name("weights", tests, NULL, NULL);
}
