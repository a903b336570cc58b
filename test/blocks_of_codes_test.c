/* Products with weights that a model dequantises: the pass `blocks` keeps the dequantised values to the last bit, and
 * the products agree with sums in f64. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "exec/exec.h"
#include "ir/build.h"
#include "passes/pass.h"
#include "platform/cpu.h"
#include "quant/quant.h"
#include "support/testing.h"

enum { MOST_K = 1120, MOST_N = 70, MOST_M = 130 }; /* more than the 1024 that kernels sum at once */

static const qn_dtype dtypes[] = {QN_DTYPE_U4, QN_DTYPE_I4, QN_DTYPE_U8, QN_DTYPE_I8};

/* One product: x [m, k] by n columns, which are dequantised from [k, n] or [n, k]. */
struct problem {
    qn_dtype dtype;
    bool by_rows, turned, has_zeros; /* [n, k]; transposed behind the dequantise */
    int64_t m, n, k, block;          /* 0: a scale a column, -1: one */
    uint8_t codes[MOST_N * MOST_K], zeros[MOST_N * MOST_K / 32];
    float scales[MOST_N * MOST_K / 32], x[MOST_M * MOST_K], w[MOST_N * MOST_K]; /* w: [n, k], dequantised */
};

static uint32_t seed;

static uint32_t next_random(void)
{
    seed = seed * 1664525u + 1013904223u;
    return seed >> 8;
}

static float next_float(void)
{
    return (float)next_random() * 0x1p-23f - 1;
}

static uint8_t next_code(qn_dtype dtype)
{
    uint32_t value = next_random();
    return dtype == QN_DTYPE_U4 ? value & 15 : dtype == QN_DTYPE_I4 ? (uint8_t)((int)(value & 15) - 8) : (uint8_t)value;
}

static int64_t blocks_of(const struct problem *p)
{
    return p->block > 0 ? (p->k + p->block - 1) / p->block : 1;
}

static void fill(struct problem *p)
{
    bool is_signed = p->dtype == QN_DTYPE_I4 || p->dtype == QN_DTYPE_I8;
    int64_t blocks = blocks_of(p), scales = p->block < 0 ? 1 : p->n * blocks;
    for (int64_t i = 0; i < p->m * p->k; i++)
        p->x[i] = next_float();
    for (int64_t i = 0; i < p->n * p->k; i++)
        p->codes[i] = next_code(p->dtype);
    for (int64_t i = 0; i < scales; i++) {
        p->scales[i] = next_float();
        p->zeros[i] = p->has_zeros ? next_code(p->dtype) : 0;
    }
    for (int64_t n = 0; n < p->n; n++)
        for (int64_t k = 0; k < p->k; k++) {
            int64_t block = p->block > 0 ? k / p->block : 0;
            int64_t at = p->block < 0 ? 0 : p->by_rows ? n * blocks + block : block * p->n + n;
            uint8_t code = p->codes[p->by_rows ? n * p->k + k : k * p->n + n], zero = p->zeros[at];
            int difference = is_signed ? (int8_t)code - (int8_t)zero : code - zero;
            p->w[n * p->k + k] = (float)difference * p->scales[at];
        }
}

static struct qn_type matrix(qn_dtype dtype, int64_t rows, int64_t columns, bool turned)
{
    return (struct qn_type){.dtype = dtype, .rank = 2, .dims = {turned ? columns : rows, turned ? rows : columns}};
}

static struct qn_graph *make_graph(const struct problem *p)
{
    struct qn_graph *g;
    qn_value x, y, parts[3];
    struct qn_type type = matrix(QN_DTYPE_F32, p->m, p->k, false);
    struct qn_attr_quantize attr = {.dtype = QN_DTYPE_F32};
    qn_assert_ok(qn_graph_create(NULL, QN_STR("g"), &g));
    struct qn_build b = {.graph = g};
    qn_assert_ok(qn_graph_add_input(g, QN_STR("x"), &type, &x));
    type = matrix(p->dtype, p->k, p->n, p->by_rows);
    qn_assert_ok(qn_graph_add_data(g, QN_STR("w"), &type, p->codes, &parts[0]));
    if (p->block > 0) {
        type = matrix(QN_DTYPE_F32, blocks_of(p), p->n, p->by_rows);
        attr.axis = p->by_rows;
        attr.block_size = p->block;
    } else {
        type = (struct qn_type){.dtype = QN_DTYPE_F32, .rank = p->block == 0, .dims = {p->n}};
        attr.axis = p->block == 0 && !p->by_rows;
    }
    qn_assert_ok(qn_graph_add_data(g, QN_STR("scales"), &type, p->scales, &parts[1]));
    type.dtype = p->dtype;
    qn_assert_ok(qn_graph_add_data(g, QN_STR("zeros"), &type, p->zeros, &parts[2]));
    qn_value w = qn_build_node(&b, QN_OP_dequantize, parts, p->has_zeros ? 3 : 2, &attr, NULL);
    if (p->turned)
        w = qn_build_transpose(&b, w, 2, (const int64_t[]){1, 0});
    y = qn_build_matmul(&b, x, w, p->by_rows != p->turned, NULL);
    qn_assert_ok(b.status);
    qn_assert_ok(qn_graph_add_output(g, QN_STR("y"), y));
    return g;
}

/* The graph's only product has a constant of blocks, which hold the dequantised values. */
static void check_blocks(const struct qn_graph *g, const struct problem *p)
{
    static float w[MOST_N * MOST_K];
    assert_int_equal(g->nodes.count, 2);
    const struct qn_value_info *value = qn_graph_value(g, qn_graph_input_of(g, 1, 1));
    bool is_byte = p->dtype == QN_DTYPE_U8 || p->dtype == QN_DTYPE_I8;
    assert_int_equal(value->kind, QN_VALUE_CONSTANT);
    assert_int_equal(value->type.dtype, is_byte ? QN_DTYPE_Q8_F32 : QN_DTYPE_Q4_F32);
    qn_quant(value->type.dtype)->dequantise(g->blobs.items[value->index].data, w, p->n * p->k);
    for (int64_t i = 0; i < p->n * p->k; i++)
        assert_true(w[i] == p->w[i]); /* NOLINT: the very values, of either zero */
}

static void run_graph(struct qn_graph *g, struct problem *p, float *y)
{
    struct qn_exec_tensor in = {
        .data = p->x, .bytes = (uint64_t)(p->m * p->k) * sizeof(float), .rank = 2, .dims = {p->m, p->k}};
    struct qn_exec_tensor out = {.data = y, .bytes = (uint64_t)(p->m * p->n) * sizeof(float)};
    struct qn_plan_options options = {0};
    struct qn_plan *plan;
    struct qn_exec *exec;
    struct qn_pool *pool;
    qn_assert_ok(qn_cpu_features(&options.features));
    qn_assert_ok(qn_plan_create(g, &qn_backend_cpu, &options, NULL, &plan));
    qn_assert_ok(qn_pool_create(2, NULL, &pool));
    qn_assert_ok(qn_exec_create(plan, pool, NULL, 0, NULL, &exec));
    qn_assert_ok(qn_exec_run(exec, &in, &out, NULL));
    qn_exec_destroy(exec);
    qn_pool_destroy(pool);
    qn_plan_destroy(plan);
}

/* Largest error of y beside the sum of magnitudes. */
static double largest_error(const struct problem *p, const float *y)
{
    double worst = 0;
    for (int64_t m = 0; m < p->m; m++)
        for (int64_t n = 0; n < p->n; n++) {
            double sum = 0, size = 1e-30;
            for (int64_t k = 0; k < p->k; k++) {
                double product = (double)p->x[m * p->k + k] * (double)p->w[n * p->k + k];
                sum += product;
                size += fabs(product);
            }
            worst = fmax(worst, fabs((double)y[m * p->n + n] - sum) / size);
        }
    return worst;
}

static void check(struct problem *p)
{
    static float y[MOST_M * MOST_N];
    fill(p);
    struct qn_graph *g = make_graph(p);
    for (int blocks = 0; blocks < 2; blocks++) {
        if (blocks) {
            qn_assert_ok(qn_pass_run(&g, QN_PASS_blocks));
            check_blocks(g, p);
        }
        run_graph(g, p, y);
        assert_true(largest_error(p, y) < 1e-6);
    }
    qn_graph_destroy(g);
}

static void products_of_all_forms(void **state)
{
    static const int64_t blocks[] = {-1, 0, 32, 64, 128}, rows[] = {1, 5, MOST_M};
    static struct problem p;
    uint32_t count = 0;
    (void)state;
    for (size_t d = 0; d < sizeof dtypes / sizeof dtypes[0]; d++)
        for (size_t b = 0; b < sizeof blocks / sizeof blocks[0]; b++)
            for (int form = 0; form < 8; form++, count++) {
                p.dtype = dtypes[d];
                p.block = blocks[b];
                p.by_rows = form & 1;
                p.turned = form & 2;
                p.has_zeros = form & 4;
                p.m = rows[count % 3];
                p.n = count % 4 ? 7 : MOST_N;
                p.k = count % 5 ? 96 : MOST_K;
                check(&p);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(products_of_all_forms)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
