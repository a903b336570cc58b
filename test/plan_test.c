/* What the planner decides: who runs a node, what is packed, where buffers lie. */
#include "plan/plan.h"

#include <stdio.h>
#include <string.h>

#include "exec/exec.h"
#include "ir/build.h"
#include "platform/cpu.h"
#include "support/testing.h"

static struct qn_type floats(uint32_t rank, qn_dim a, qn_dim b)
{
    return (struct qn_type){.dtype = QN_DTYPE_F32, .rank = rank, .dims = {a, b}};
}

/* ---- sizes ---------------------------------------------------------------------------------------------------- */

static void bounds_hold_every_value(void **state)
{
    struct qn_graph *g;
    struct qn_plan *plan;
    qn_dim n, m, dims[6];
    qn_value x, y;
    (void)state;
    qn_assert_ok(qn_graph_create(NULL, QN_STR("g"), &g));
    qn_assert_ok(qn_graph_symbol(g, QN_STR("N"), 3, 20, &n));
    qn_assert_ok(qn_graph_symbol(g, QN_STR("M"), 1, 7, &m));
    struct qn_build b = {.graph = g};
    dims[0] = qn_build_expr(&b, QN_EXPR_SUB, qn_build_expr(&b, QN_EXPR_MUL, n, m), m);
    dims[1] = qn_build_expr(&b, QN_EXPR_DIV, n, m);
    dims[2] = qn_build_expr(&b, QN_EXPR_MOD, n, 5);
    dims[3] = qn_build_expr(&b, QN_EXPR_MIN, n, m);
    dims[4] = qn_build_expr(&b, QN_EXPR_MAX, qn_build_expr(&b, QN_EXPR_ADD, n, m), 9);
    dims[5] =
        qn_build_expr(&b, QN_EXPR_DIV, qn_build_expr(&b, QN_EXPR_SUB, qn_build_expr(&b, QN_EXPR_ADD, n, 2), 3), 2);
    struct qn_type a = floats(2, n, m);
    qn_assert_ok(qn_graph_add_input(g, QN_STR("x"), &a, &x));
    y = qn_build_unary(&b, QN_OP_neg, x);
    qn_assert_ok(b.status);
    qn_assert_ok(qn_graph_add_output(g, QN_STR("y"), y));
    struct qn_plan_options options = {0};
    qn_assert_ok(qn_plan_create(g, &qn_backend_cpu, &options, NULL, &plan));
    int64_t least[64], largest[64], values[64];
    assert_true(plan->exprs.count <= 64 && plan->symbols.count == 2);
    qn_plan_bounds(plan, (int64_t[]){3, 1}, (int64_t[]){20, 7}, least, largest);
    for (int64_t i = 3; i <= 20; i++)
        for (int64_t k = 1; k <= 7; k++) {
            qn_plan_eval(plan, (int64_t[]){i, k}, values);
            for (int d = 0; d < 6; d++) {
                int64_t value = qn_plan_dim(dims[d], values);
                assert_true(value >= qn_plan_dim(dims[d], least) && value <= qn_plan_dim(dims[d], largest));
            }
            assert_int_equal(qn_plan_dim(dims[1], values), i / k);
            assert_int_equal(qn_plan_dim(dims[5], values), (i - 1) / 2);
        }
    qn_plan_eval(plan, (int64_t[]){QN_SIZE_UNKNOWN, 1}, values);
    assert_true(qn_plan_dim(dims[1], values) == QN_SIZE_UNKNOWN);
    qn_plan_eval(plan, (int64_t[]){4, 0}, values);
    assert_true(qn_plan_dim(dims[1], values) == QN_SIZE_INVALID);
    qn_plan_destroy(plan);
    qn_graph_destroy(g);
}

/* ---- packed weights ------------------------------------------------------------------------------------------- */

enum { K = 96, N = 80 };

static uint32_t count_kind(const struct qn_plan *plan, enum qn_step_kind kind)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < plan->steps.count; i++)
        count += plan->steps.items[i].kind == kind;
    return count;
}

/* Products with weights [k, n]: constant ones are packed once and shared, others in each run. */
static void weights_are_packed(void **state)
{
    struct qn_graph *g;
    struct qn_plan *plan;
    struct qn_pool *pool;
    struct qn_exec *exec;
    qn_value x, w, given;
    qn_dim m;
    static float weights[K * N], data[30 * K];
    (void)state;
    for (int i = 0; i < K * N; i++)
        weights[i] = (float)(i * 31 % 19 - 9);
    for (int i = 0; i < 30 * K; i++)
        data[i] = (float)(i * 17 % 13 - 6);
    qn_assert_ok(qn_graph_create(NULL, QN_STR("g"), &g));
    qn_assert_ok(qn_graph_symbol(g, QN_STR("M"), 1, QN_UNBOUNDED, &m));
    struct qn_type a = floats(2, m, K), c = floats(2, K, N);
    qn_assert_ok(qn_graph_add_input(g, QN_STR("x"), &a, &x));
    qn_assert_ok(qn_graph_add_input(g, QN_STR("given"), &c, &given));
    qn_assert_ok(qn_graph_add_data(g, QN_STR("w"), &c, weights, &w));
    struct qn_build b = {.graph = g};
    qn_value first = qn_build_matmul(&b, x, w, false, "first");
    qn_value second = qn_build_matmul(&b, qn_build_unary(&b, QN_OP_neg, x), w, false, "second");
    qn_value third = qn_build_matmul(&b, x, given, false, "third");
    qn_assert_ok(b.status);
    qn_assert_ok(qn_graph_add_output(g, QN_STR("first"), first));
    qn_assert_ok(qn_graph_add_output(g, QN_STR("second"), second));
    qn_assert_ok(qn_graph_add_output(g, QN_STR("third"), third));
    struct qn_plan_options options = {0};
    qn_assert_ok(qn_cpu_features(&options.features));
    qn_assert_ok(qn_plan_create(g, &qn_backend_cpu, &options, NULL, &plan));
    qn_graph_destroy(g);
    assert_true(plan->packed.count <= 1); /* none where the machine has no kernel for packed weights */
    assert_true(count_kind(plan, QN_STEP_PACK) <= 1);
    print_message("packed: %u constant, %u in the run\n", plan->packed.count, count_kind(plan, QN_STEP_PACK));
    qn_assert_ok(qn_pool_create(2, NULL, &pool));
    qn_assert_ok(qn_exec_create(plan, pool, NULL, 0, NULL, &exec));
    for (int64_t rows = 1; rows <= 30; rows += 7) {
        struct qn_exec_tensor in[] = {{.data = data, .rank = 2, .dims = {rows, K}},
                                      {.data = weights, .rank = 2, .dims = {K, N}}},
                              out[3] = {{0}};
        qn_assert_ok(qn_exec_run(exec, in, out, NULL));
        const float *y[3] = {out[0].data, out[1].data, out[2].data};
        for (int64_t i = 0; i < rows; i++)
            for (int64_t k = 0; k < N; k++) {
                float sum = 0;
                for (int64_t j = 0; j < K; j++)
                    sum += data[i * K + j] * weights[j * N + k];
                assert_true(y[0][i * N + k] == sum && y[1][i * N + k] == -sum && y[2][i * N + k] == sum);
            }
    }
    qn_exec_destroy(exec);
    qn_pool_destroy(pool);
    qn_plan_destroy(plan);
}

/* ---- a second backend ----------------------------------------------------------------------------------------- */

struct counting {
    uint32_t compiled, released, runs, nodes;
    char told[2000];
};

static bool claim(const struct qn_backend *backend, const struct qn_graph *graph, qn_node node, char *why, size_t size)
{
    uint16_t op = qn_graph_node(graph, node)->op;
    (void)backend;
    if (op == QN_OP_neg || op == QN_OP_reshape)
        return true;
    snprintf(why, size, "only signs");
    return false;
}

/* Programs hold how many negations there are: groups here are chains. */
static qn_status compile(const struct qn_backend *backend, const struct qn_group *group, void **program)
{
    struct counting *c = backend->context;
    uintptr_t negations = 0;
    for (uint32_t i = 0; i < group->node_count; i++)
        negations += qn_graph_node(group->graph, group->nodes[i])->op == QN_OP_neg;
    c->compiled++;
    c->nodes += group->node_count;
    assert_int_equal(group->input_count, 1);
    assert_int_equal(group->output_count, 1);
    *program = (void *)(negations + 1);
    return NULL;
}

static void release(const struct qn_backend *backend, void *program)
{
    struct counting *c = backend->context;
    assert_non_null(program);
    c->released++;
}

static qn_status run(const struct qn_backend *backend, void *program, const struct qn_view *in, uint32_t in_count,
                     const struct qn_view *out, uint32_t out_count)
{
    struct counting *c = backend->context;
    const float *x = in[0].data;
    float *y = out[0].data, sign = ((uintptr_t)program - 1) % 2 ? -1.0f : 1.0f;
    int64_t count = 1;
    assert_true(in_count == 1 && out_count == 1);
    for (uint32_t i = 0; i < out[0].rank; i++)
        count *= out[0].dims[i];
    for (int64_t i = 0; i < count; i++)
        y[i] = sign * x[i];
    c->runs++;
    return NULL;
}

static void told(void *context, const struct qn_graph *graph, qn_node node, const struct qn_backend *backend,
                 const char *why)
{
    struct counting *c = context;
    size_t at = strlen(c->told);
    snprintf(c->told + at, sizeof c->told - at, "%s %s: %s\n", qn_op_info(qn_graph_node(graph, node)->op)->name,
             backend->name, why ? why : "yes");
}

static void a_backend_claims_groups(void **state)
{
    struct counting counting = {0};
    struct qn_backend signs = {
        .name = "signs", .context = &counting, .claim = claim, .compile = compile, .release = release, .run = run};
    const struct qn_backend *const preferred[] = {&signs};
    struct qn_graph *g;
    struct qn_plan *plan;
    struct qn_pool *pool;
    struct qn_exec *exec;
    qn_dim n;
    qn_value x;
    float data[6] = {1, 2, 3, 4, 5, 6};
    (void)state;
    qn_assert_ok(qn_graph_create(NULL, QN_STR("g"), &g));
    qn_assert_ok(qn_graph_symbol(g, QN_STR("N"), 1, QN_UNBOUNDED, &n));
    struct qn_type type = floats(2, n, 3);
    qn_assert_ok(qn_graph_add_input(g, QN_STR("x"), &type, &x));
    struct qn_build b = {.graph = g};
    qn_value v = qn_build_unary(&b, QN_OP_neg, x);
    v = qn_build_reshape(&b, v, 2, (qn_dim[]){3, n});
    v = qn_build_unary(&b, QN_OP_neg, v);
    v = qn_build_unary(&b, QN_OP_neg, v);
    v = qn_build_unary(&b, QN_OP_abs, v);
    v = qn_build_unary(&b, QN_OP_neg, v);
    qn_assert_ok(b.status);
    qn_assert_ok(qn_graph_add_output(g, QN_STR("y"), v));
    struct qn_plan_options options = {
        .preferred = preferred, .preferred_count = 1, .partition = told, .partition_context = &counting};
    qn_assert_ok(qn_plan_create(g, &qn_backend_cpu, &options, NULL, &plan));
    qn_graph_destroy(g);
    assert_int_equal(counting.compiled, 2);
    assert_int_equal(counting.nodes, 5);
    assert_int_equal(plan->steps.count, 3);
    assert_string_equal(counting.told, "neg signs: yes\nreshape signs: yes\nneg signs: yes\nneg signs: yes\n"
                                       "abs signs: only signs\nabs cpu: yes\nneg signs: yes\n");
    qn_assert_ok(qn_pool_create(1, NULL, &pool));
    qn_assert_ok(qn_exec_create(plan, pool, NULL, 0, NULL, &exec));
    struct qn_exec_tensor in = {.data = data, .rank = 2, .dims = {2, 3}}, out = {0};
    qn_assert_ok(qn_exec_run(exec, &in, &out, NULL));
    assert_true(out.dims[0] == 3 && out.dims[1] == 2 && ((float *)out.data)[5] == -6);
    assert_int_equal(counting.runs, 2);
    qn_exec_destroy(exec);
    qn_pool_destroy(pool);
    qn_plan_destroy(plan);
    assert_int_equal(counting.released, 2);
}

static void what_no_backend_takes(void **state)
{
    struct qn_graph *g;
    struct qn_plan *plan;
    qn_value x;
    static const struct qn_backend empty = {.name = "empty"};
    struct qn_type type = floats(1, 3, 0);
    (void)state;
    qn_assert_ok(qn_graph_create(NULL, QN_STR("g"), &g));
    qn_assert_ok(qn_graph_add_input(g, QN_STR("x"), &type, &x));
    struct qn_build b = {.graph = g};
    qn_value y = qn_build_node(&b, QN_OP_neg, &x, 1, NULL, "the sign");
    qn_assert_ok(b.status);
    qn_assert_ok(qn_graph_add_output(g, QN_STR("y"), y));
    struct qn_plan_options options = {0};
    qn_assert_fails(qn_plan_create(g, &empty, &options, NULL, &plan), QN_UNSUPPORTED, "'the sign': backend empty");
    qn_graph_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bounds_hold_every_value),
        cmocka_unit_test(weights_are_packed),
        cmocka_unit_test(a_backend_claims_groups),
        cmocka_unit_test(what_no_backend_takes),
    };
    return cmocka_run_group_tests_name("planner", tests, NULL, NULL);
}
