/* Every matmul kernel that this CPU can run: against sums in double precision of what its operands stand for, and bit
 * for bit against itself under other numbers of rows and other splits of its tiles. Operands end where a page that
 * cannot be read begins. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "kernels/matmul/matmul.h"
#include "platform/cpu.h"
#include "quant/quant.h"

static uint32_t features;
static uint64_t random_state = 88172645463325252u;

static uint32_t random_u32(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 32);
}

static float random_f32(void)
{
    return (float)(int32_t)random_u32() * 0x1p-31f;
}

/* ---- operands ------------------------------------------------------------------------------------------------- */

/* Memory of which the last byte is the last before an unreadable page. */
struct guarded {
    uint8_t *map, *data;
    size_t map_size;
};

static struct guarded guarded_alloc(size_t size)
{
    struct guarded g = {.map_size = ((size + 4095) & ~(size_t)4095) + 4096};
    g.map = mmap(NULL, g.map_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(g.map != MAP_FAILED);
    assert_int_equal(mprotect(g.map + g.map_size - 4096, 4096, PROT_NONE), 0);
    g.data = g.map + g.map_size - 4096 - size;
    return g;
}

static void guarded_free(struct guarded g)
{
    munmap(g.map, g.map_size);
}

/* Where a block type keeps its half-precision numbers: the only bytes that must not be random. */
static int half_offsets(qn_dtype dtype, int offsets[2])
{
    switch (dtype) {
    case QN_DTYPE_Q4_0:
    case QN_DTYPE_Q5_0:
    case QN_DTYPE_Q8_0:
    case QN_DTYPE_IQ4_NL:
    case QN_DTYPE_IQ4_XS:
    case QN_DTYPE_IQ1_S:
    case QN_DTYPE_IQ2_XXS:
    case QN_DTYPE_IQ2_XS:
    case QN_DTYPE_IQ2_S:
    case QN_DTYPE_IQ3_XXS:
    case QN_DTYPE_IQ3_S:
    case QN_DTYPE_Q1_0:
    case QN_DTYPE_Q2_0:
        offsets[0] = 0;
        return 1;
    case QN_DTYPE_Q4_1:
    case QN_DTYPE_Q5_1:
    case QN_DTYPE_Q4_K:
    case QN_DTYPE_Q5_K:
        offsets[0] = 0, offsets[1] = 2;
        return 2;
    case QN_DTYPE_Q2_K:
        offsets[0] = 80, offsets[1] = 82;
        return 2;
    case QN_DTYPE_Q3_K:
        offsets[0] = 108;
        return 1;
    case QN_DTYPE_Q6_K:
        offsets[0] = 208;
        return 1;
    case QN_DTYPE_TQ1_0:
        offsets[0] = 52;
        return 1;
    case QN_DTYPE_TQ2_0:
        offsets[0] = 64;
        return 1;
    default:
        return 0;
    }
}

static void fill_weights(qn_dtype dtype, uint8_t *w, size_t size)
{
    const struct qn_dtype_info *info = qn_dtype_info(dtype);
    int offsets[2], count = half_offsets(dtype, offsets);
    for (size_t i = 0; i < size; i += info->block_bytes) {
        float value = random_f32();
        if (info->class_ == QN_DTYPE_CLASS_FLOAT) {
            qn_quant(dtype)->quantise(&value, w + i, 1, NULL);
            continue;
        }
        for (uint32_t j = 0; j < info->block_bytes; j++)
            w[i + j] = (uint8_t)random_u32();
        for (int j = 0; j < count; j++) {
            uint16_t half = qn_f32_to_f16(random_f32());
            memcpy(w + i + offsets[j], &half, 2);
        }
        if (dtype == QN_DTYPE_MXFP4)
            w[i] = (uint8_t)(120 + random_u32() % 12);
        for (int j = 0; (dtype == QN_DTYPE_Q4_F32 || dtype == QN_DTYPE_Q8_F32) && j < 2; j++) { /* scale, zero point */
            float number = random_f32();
            memcpy(w + i + 4 * j, &number, 4);
        }
        for (int j = 0; dtype == QN_DTYPE_IQ1_M && j < 4; j++) /* its half is spread over four nibbles: 0x3abc */
            w[i + 49 + 2 * j] = (uint8_t)((w[i + 49 + 2 * j] & 15) | (0x3abc >> 4 * j & 15) << 4);
    }
}

/* One problem: m rows of x in the kernel's form and as doubles, n rows of weights in the file's form and as floats. */
struct problem {
    struct qn_matmul_params params;
    struct guarded x, w;
    double *x_values;
    float *w_values, *bias, *residual;
};

static void make_x(struct problem *q, const struct qn_kernel *kernel)
{
    int64_t m = q->params.m, k = q->params.k;
    float *x = malloc((size_t)(m * k) * sizeof(float));
    for (int64_t i = 0; i < m * k; i++)
        x[i] = random_f32() * (i / k % 7 ? 1.0f : 30.0f);
    if (k >= 96)
        memset(x + k / 2, 0, 40 * sizeof(float)); /* a block of nothing */
    q->x_values = malloc((size_t)(m * k) * sizeof(double));
    for (int64_t i = 0; i < m * k; i++)
        q->x_values[i] = x[i];
    int64_t row_bytes = kernel->act == QN_ACT_F32 ? k * 4 : qn_act_row_bytes(kernel->act, k);
    q->x = guarded_alloc((size_t)(m * row_bytes));
    q->params.x = q->x.data;
    q->params.x_stride = row_bytes;
    if (kernel->act == QN_ACT_F32) {
        memcpy(q->x.data, x, (size_t)(m * row_bytes));
        free(x);
        return;
    }
    const struct qn_kernel *form = qn_kernel_select(QN_FAMILY_ACTIVATION, QN_DTYPE_NONE, (int)kernel->act, features);
    assert_non_null(form);
    struct qn_activation_params a = {.x = x, .x_stride = k, .out = q->x.data, .rows = m, .k = k};
    assert_int_equal(form->tiles(&a), m);
    form->run(&a, 0, m, NULL);
    for (int64_t r = 0; r < m; r++)
        for (int64_t i = 0; i < k; i++) {
            const uint8_t *row = q->x.data + r * row_bytes;
            struct qn_q8_row q8 = qn_q8_row(row, k);
            q->x_values[r * k + i] = kernel->act == QN_ACT_BF16
                                         ? (double)qn_bf16_to_f32(((const uint16_t *)(const void *)row)[i])
                                         : (double)q8.scale[i / 32] * q8.q[i];
        }
    free(x);
}

static struct problem make_problem(const struct qn_kernel *kernel, qn_dtype dtype, int64_t m, int64_t n, int64_t k)
{
    struct problem q = {.params = {.w_dtype = dtype, .m = m, .n = n, .k = k}};
    uint64_t row_bytes;
    assert_true(qn_dtype_row_bytes(dtype, (uint64_t)k, &row_bytes));
    q.w = guarded_alloc((size_t)n * row_bytes);
    fill_weights(dtype, q.w.data, (size_t)n * row_bytes);
    q.params.w = q.w.data;
    q.params.w_stride = (int64_t)row_bytes;
    q.w_values = malloc((size_t)(n * k) * sizeof(float));
    qn_quant(dtype)->dequantise(q.w.data, q.w_values, n * k);
    q.bias = malloc((size_t)n * sizeof(float));
    for (int64_t i = 0; i < n; i++)
        q.bias[i] = random_f32();
    q.residual = malloc((size_t)(m * n) * sizeof(float));
    for (int64_t i = 0; i < m * n; i++)
        q.residual[i] = random_f32();
    make_x(&q, kernel);
    return q;
}

static void free_problem(struct problem *q)
{
    guarded_free(q->x);
    guarded_free(q->w);
    free(q->x_values);
    free(q->w_values);
    free(q->bias);
    free(q->residual);
}

/* Runs `rows` rows of a problem from row `first` on, tiles [0, all) cut at random, into c (rows * n floats). */
static void run_rows(const struct qn_kernel *kernel, const struct problem *q, int64_t first, int64_t rows, float *c)
{
    struct qn_matmul_params p = q->params;
    p.x = (const uint8_t *)p.x + first * p.x_stride;
    p.m = rows;
    p.c = c;
    p.c_stride = p.n;
    if (p.bias)
        p.bias = q->bias;
    if (p.residual) { /* in place */
        memcpy(c, q->residual + first * p.n, (size_t)(rows * p.n) * sizeof(float));
        p.residual = c;
    }
    struct guarded scratch = {0};
    if (kernel->scratch) {
        size_t size = (size_t)kernel->scratch(&p);
        scratch = guarded_alloc((size + 63) & ~(size_t)63);
        memset(scratch.data, 0xff, size);
    }
    int64_t tiles = kernel->tiles(&p);
    for (int64_t begin = 0; begin < tiles;) {
        int64_t end = begin + 1 + random_u32() % 5;
        end = end < tiles ? end : tiles;
        kernel->run(&p, begin, end, scratch.data);
        begin = end;
    }
    if (scratch.map)
        guarded_free(scratch);
}

/* ---- checks --------------------------------------------------------------------------------------------------- */

static void check_values(const struct qn_kernel *kernel, const struct problem *q, const float *c)
{
    int64_t n = q->params.n, k = q->params.k;
    for (int64_t r = 0; r < q->params.m; r++)
        for (int64_t j = 0; j < n; j++) {
            double sum = 0, size = 0;
            for (int64_t i = 0; i < k; i++) {
                double product = q->x_values[r * k + i] * q->w_values[j * k + i];
                sum += product;
                size += fabs(product);
            }
            sum += q->params.bias ? q->bias[j] : 0;
            sum += q->params.residual ? q->residual[r * n + j] : 0;
            double error = fabs(c[r * n + j] - sum);
            if (!(error <= 1e-6 * (size + 2)))
                fail_msg("%s %s k %ld: c[%ld][%ld] is %.9g, expected %.9g", kernel->name,
                         qn_dtype_name(q->params.w_dtype), (long)k, (long)r, (long)j, (double)c[r * n + j], sum);
        }
}

/* Rows of x in any order, some of them twice, into rows of c from the last to the first. */
static void check_lists(const struct qn_kernel *kernel, const struct problem *q, const float *all, float *some)
{
    static const int64_t counts[] = {1, 3, 11, 64};
    int32_t x_rows[64], c_rows[64];
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        struct problem lists = *q;
        lists.params.x_rows = x_rows;
        lists.params.c_rows = c_rows;
        for (int64_t r = 0; r < counts[i]; r++) {
            x_rows[r] = (int32_t)(random_u32() % (uint32_t)q->params.m);
            c_rows[r] = (int32_t)(counts[i] - 1 - r);
        }
        run_rows(kernel, &lists, 0, counts[i], some);
        for (int64_t r = 0; r < counts[i]; r++)
            if (memcmp(some + c_rows[r] * q->params.n, all + x_rows[r] * q->params.n,
                       (size_t)q->params.n * sizeof(float)))
                fail_msg("%s %s: other bits in a list of %ld rows", kernel->name, qn_dtype_name(q->params.w_dtype),
                         (long)counts[i]);
    }
}

/* What a kernel of every dtype does with rows does not depend on the dtype: one with blocks and one without will do. */
static bool takes_many_rows(const struct qn_kernel *kernel, qn_dtype dtype)
{
    return kernel->dtype != QN_DTYPE_NONE || dtype == QN_DTYPE_F32 || dtype == QN_DTYPE_Q4_K;
}

static void check_kernel(const struct qn_kernel *kernel, qn_dtype dtype, int64_t k)
{
    static const int64_t counts[] = {1, 2, 3, 4, 5, 8, 16, 17, 64, 200, 512, 517};
    enum { EXACT = 23 };
    bool large = k <= 700 && takes_many_rows(kernel, dtype);
    int64_t n = large ? 131 : 69, most = large ? 517 : 67; /* more than one part along each of m, n and k */
    struct problem q = make_problem(kernel, dtype, most, n, k);
    float *all = malloc((size_t)(most * n) * sizeof(float)), *some = malloc((size_t)(most * n) * sizeof(float));
    run_rows(kernel, &q, 0, most, all);
    struct problem head = q;
    head.params.m = EXACT;
    check_values(kernel, &head, all);
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]) && counts[i] <= most; i++) {
        int64_t first = (int64_t)(random_u32() % (uint32_t)(most - counts[i] + 1));
        run_rows(kernel, &q, first, counts[i], some);
        if (memcmp(some, all + first * n, (size_t)(counts[i] * n) * sizeof(float)))
            fail_msg("%s %s k %ld: bits of a row depend on there being %ld of them", kernel->name, qn_dtype_name(dtype),
                     (long)k, (long)counts[i]);
    }
    check_lists(kernel, &q, all, some);
    for (int64_t m = 1; m <= EXACT; m += EXACT - 1)
        for (int which = 1; which < 4; which++) {
            head.params.m = m;
            head.params.bias = which & 1 ? q.bias : NULL;
            head.params.residual = which & 2 ? q.residual : NULL;
            run_rows(kernel, &head, 0, m, some);
            check_values(kernel, &head, some);
        }
    free(all);
    free(some);
    free_problem(&q);
}

static void check_dtype(const struct qn_kernel *kernel, qn_dtype dtype)
{
    static const int64_t lengths[] = {1, 7, 16, 33, 515, 1050};
    int64_t block = qn_dtype_info(dtype)->block_elems;
    if (!qn_quant(dtype)->dequantise)
        return;
    if (block == 1)
        for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
            check_kernel(kernel, dtype, lengths[i]);
    else
        for (int64_t k = block; k <= 1600; k = k * 5 / 2 / block * block + block)
            check_kernel(kernel, dtype, k);
}

static void every_kernel_computes(void **state)
{
    (void)state;
    int ran = 0;
    for (uint32_t i = 0; i < qn_kernel_count; i++) {
        const struct qn_kernel *kernel = qn_kernels[i];
        if (kernel->family != QN_FAMILY_MATMUL)
            continue;
        if (kernel->needs & ~features) {
            print_message("skipped: %s (this CPU cannot run it)\n", kernel->name);
            continue;
        }
        ran++;
        if (kernel->dtype != QN_DTYPE_NONE)
            check_dtype(kernel, kernel->dtype);
        else
            for (int dtype = 1; dtype < QN_DTYPE_LIMIT; dtype++)
                check_dtype(kernel, (qn_dtype)dtype);
    }
    assert_true(ran > 0);
}

/* Faster forms of activations have the reference's bits. */
static void every_activation_has_the_bits_of_the_reference(void **state)
{
    (void)state;
    static const int64_t lengths[] = {32, 64, 96, 160, 544, 2048};
    for (uint32_t i = 0; i < qn_kernel_count; i++) {
        const struct qn_kernel *kernel = qn_kernels[i];
        if (kernel->family != QN_FAMILY_ACTIVATION || (kernel->needs & ~features))
            continue;
        const struct qn_kernel *reference = qn_kernel_select(QN_FAMILY_ACTIVATION, QN_DTYPE_NONE, (int)kernel->act, 0);
        for (size_t l = 0; l < sizeof(lengths) / sizeof(lengths[0]); l++) {
            int64_t k = lengths[l] - (kernel->act == QN_ACT_BF16 ? random_u32() % 31 : 0), rows = 3;
            struct guarded x = guarded_alloc((size_t)(rows * k) * sizeof(float));
            float *values = (float *)(void *)x.data;
            for (int64_t j = 0; j < rows * k; j++) /* also ties, zeros, tiny and huge blocks */
                values[j] = ldexpf(j % 5 ? random_f32() : roundf(random_f32() * 8), (int)(j / 32 % 9 * 30) - 120);
            size_t size = (size_t)(rows * qn_act_row_bytes(kernel->act, k));
            struct guarded got = guarded_alloc(size), expected = guarded_alloc(size);
            struct qn_activation_params p = {.x = values, .x_stride = k, .rows = rows, .k = k};
            p.out = got.data;
            kernel->run(&p, 0, 2, NULL);
            kernel->run(&p, 2, 3, NULL);
            p.out = expected.data;
            reference->run(&p, 0, rows, NULL);
            if (memcmp(got.data, expected.data, size))
                fail_msg("%s differs from %s at k %ld", kernel->name, reference->name, (long)k);
            guarded_free(x);
            guarded_free(got);
            guarded_free(expected);
        }
    }
}

/* Rounding to 8 bits loses at most half a step of the block's largest element / 127. */
static void q8_32_is_close(void **state)
{
    (void)state;
    enum { K = 320 };
    float x[K];
    for (int i = 0; i < K; i++)
        x[i] = random_f32();
    struct guarded row = guarded_alloc((size_t)qn_act_row_bytes(QN_ACT_Q8_32, K));
    struct qn_activation_params p = {.x = x, .x_stride = K, .out = row.data, .rows = 1, .k = K};
    const struct qn_kernel *kernel = qn_kernel_select(QN_FAMILY_ACTIVATION, QN_DTYPE_NONE, QN_ACT_Q8_32, features);
    kernel->run(&p, 0, 1, NULL);
    struct qn_q8_row q8 = qn_q8_row(row.data, K);
    for (int b = 0; b < K / 32; b++) {
        int sum = 0, half = 0;
        float largest = 0;
        for (int i = 0; i < 32; i++) {
            largest = fmaxf(largest, fabsf(x[32 * b + i]));
            sum += q8.q[32 * b + i];
            if (i == 15)
                half = sum;
        }
        assert_float_equal(q8.scale[b], largest / 127, 1e-9);
        assert_int_equal(q8.minus_sum[b], -sum);
        assert_int_equal(q8.minus_first[b], -half);
        assert_int_equal(q8.minus_second[b], half - sum);
        for (int i = 0; i < 32; i++)
            assert_true(fabsf(q8.scale[b] * q8.q[32 * b + i] - x[32 * b + i]) <= 0.5001f * q8.scale[b]);
    }
    guarded_free(row);
}

static void serials_are_unique_and_those_of_the_table(void **state)
{
    (void)state;
#define QN_KERNEL(number, symbol) number,
    static const uint32_t serials[] = {
#include "kernels/kernels.def"
    };
#undef QN_KERNEL
    for (uint32_t i = 0; i < qn_kernel_count; i++) {
        assert_int_equal(qn_kernels[i]->serial, serials[i]);
        assert_int_equal(qn_kernels[i]->serial / 100, qn_kernels[i]->family);
        assert_non_null(qn_kernels[i]->name);
        for (uint32_t j = 0; j < i; j++) {
            assert_int_not_equal(serials[i], serials[j]);
            assert_string_not_equal(qn_kernels[i]->name, qn_kernels[j]->name);
        }
    }
}

static void selection_falls_back(void **state)
{
    (void)state;
    assert_string_equal(qn_kernel_select(QN_FAMILY_MATMUL, QN_DTYPE_Q4_0, -1, 0)->name, "matmul_ref");
    assert_null(qn_kernel_select(QN_FAMILY_MATMUL, QN_DTYPE_I32, -1, 0));
    assert_null(qn_kernel_select(QN_FAMILY_MATMUL, QN_DTYPE_Q4_0, QN_ACT_Q8_32, 0));
    for (int dtype = 1; dtype < QN_DTYPE_LIMIT; dtype++) /* --activations f32 */
        if (qn_quant((qn_dtype)dtype)->dequantise)
            assert_int_equal(qn_kernel_select(QN_FAMILY_MATMUL, (qn_dtype)dtype, QN_ACT_F32, features)->act,
                             QN_ACT_F32);
}

static int find_features(void **state)
{
    (void)state;
    qn_status status = qn_cpu_features(&features);
    assert_null(status);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kernel_computes), cmocka_unit_test(every_activation_has_the_bits_of_the_reference),
        cmocka_unit_test(q8_32_is_close),        cmocka_unit_test(serials_are_unique_and_those_of_the_table),
        cmocka_unit_test(selection_falls_back),
    };
    return cmocka_run_group_tests_name("matmul", tests, find_features, NULL);
}
