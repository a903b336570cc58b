#include "kernels/binary/binary.h"

#include <math.h>
#include <string.h>

#include "conformance/conformance.h"
#include "ir/ir.h"
#include "kernels/element.h"
#include "support/testing.h"

static struct qn_view line(void *data, qn_dtype dtype, int64_t n)
{
    return (struct qn_view){.data = data, .dtype = dtype, .rank = 1, .dims = {n}, .strides = {1}};
}

static void test_integers(void **state)
{
    (void)state;
    int32_t a[] = {7, -7, 5, INT32_MIN, INT32_MAX, -2, 2, 3}, b[] = {2, 2, 0, -1, 1, 3, -1, 40}, y[8];
    static const struct {
        uint16_t op;
        int32_t want[8];
    } cases[] = {
        {QN_OP_div, {3, -3, 0, INT32_MIN, INT32_MAX, 0, -2, 0}},
        {QN_OP_add, {9, -5, 5, INT32_MAX, INT32_MIN, 1, 1, 43}},
        {QN_OP_pow, {49, 49, 1, 0, INT32_MAX, -8, 0, 689956897}},
        {QN_OP_max, {7, 2, 5, -1, INT32_MAX, 3, 2, 40}},
        {QN_OP_min, {2, -7, 0, INT32_MIN, 1, -2, -1, 3}},
    };
    const struct qn_kernel *kernel;
    for (uint32_t at = 0; (kernel = cf_next_kernel(QN_FAMILY_BINARY, &at));) {
        for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
            struct qn_binary_params p = {.op = cases[c].op,
                                         .a = line(a, QN_DTYPE_I32, 8),
                                         .b = line(b, QN_DTYPE_I32, 8),
                                         .y = line(y, QN_DTYPE_I32, 8)};
            cf_run_all(kernel, &p);
            for (int i = 0; i < 8; i++)
                if (y[i] != cases[c].want[i])
                    fail_msg("%s: %s(%d, %d) is %d, not %d", kernel->name, qn_op_info(cases[c].op)->name, a[i], b[i],
                             y[i], cases[c].want[i]);
        }
        uint64_t big[] = {UINT64_MAX, 1}, two[] = {2, UINT64_MAX}, quotient[2];
        uint8_t below[2];
        struct qn_binary_params p = {.op = QN_OP_div,
                                     .a = line(big, QN_DTYPE_U64, 2),
                                     .b = line(two, QN_DTYPE_U64, 2),
                                     .y = line(quotient, QN_DTYPE_U64, 2)};
        cf_run_all(kernel, &p);
        assert_true(quotient[0] == UINT64_MAX / 2 && quotient[1] == 0);
        p.op = QN_OP_less;
        p.y = line(below, QN_DTYPE_BOOL, 2);
        cf_run_all(kernel, &p);
        assert_true(below[0] == 0 && below[1] == 1);
    }
}

static void test_nan(void **state)
{
    (void)state;
    float a[] = {NAN, 1, NAN, -0.0f}, b[] = {1, NAN, NAN, 0}, y[4];
    uint8_t truth[4];
    const struct qn_kernel *kernel;
    for (uint32_t at = 0; (kernel = cf_next_kernel(QN_FAMILY_BINARY, &at));) {
        struct qn_binary_params p = {
            .a = line(a, QN_DTYPE_F32, 4), .b = line(b, QN_DTYPE_F32, 4), .y = line(y, QN_DTYPE_F32, 4)};
        p.op = QN_OP_max;
        cf_run_all(kernel, &p);
        assert_true(isnan(y[0]) && isnan(y[1]) && isnan(y[2]) && y[3] == 0);
        p.op = QN_OP_min;
        cf_run_all(kernel, &p);
        assert_true(isnan(y[0]) && isnan(y[1]) && isnan(y[2]) && y[3] == 0);
        p.op = QN_OP_equal;
        p.y = line(truth, QN_DTYPE_BOOL, 4);
        cf_run_all(kernel, &p);
        assert_true(!truth[0] && !truth[1] && !truth[2] && truth[3]);
    }
}

/* Contiguous, broadcast along rows, one by one, in place: an element's bits are the same. */
static void test_bits_do_not_depend_on_layout(void **state)
{
    (void)state;
    enum { ROWS = 30, D = 171 };
    static float a[ROWS * D], b[ROWS * D], all[ROWS * D], other[ROWS * D];
    for (int i = 0; i < ROWS * D; i++) {
        a[i] = (float)cf_uniform(-5, 5);
        b[i] = i < D ? (float)cf_uniform(-5, 5) : b[i - D];
    }
    static const uint16_t ops[] = {QN_OP_add, QN_OP_mul, QN_OP_div, QN_OP_glu};
    const struct qn_kernel *kernel;
    for (uint32_t at = 0; (kernel = cf_next_kernel(QN_FAMILY_BINARY, &at));) {
        for (int o = 0; o < 4; o++) {
            for (int32_t kind = 0; kind < (ops[o] == QN_OP_glu ? 5 : 1); kind++) {
                struct qn_binary_params p = {.op = ops[o], .kind = kind};
                p.a =
                    (struct qn_view){.data = a, .dtype = QN_DTYPE_F32, .rank = 2, .dims = {ROWS, D}, .strides = {D, 1}};
                p.b = p.y = p.a;
                p.b.data = b;
                p.y.data = all;
                cf_run_all(kernel, &p);
                p.b.strides[0] = 0;
                p.y.data = other;
                cf_run_all(kernel, &p);
                assert_memory_equal(other, all, sizeof all);
                for (int i = 0; i < ROWS * D; i += 1 + i % 29) {
                    float alone;
                    struct qn_binary_params q = {.op = ops[o],
                                                 .kind = kind,
                                                 .a = line(a + i, QN_DTYPE_F32, 1),
                                                 .b = line(b + i, QN_DTYPE_F32, 1),
                                                 .y = line(&alone, QN_DTYPE_F32, 1)};
                    cf_run_all(kernel, &q);
                    assert_memory_equal(&alone, &all[i], sizeof alone);
                }
                memcpy(other, a, sizeof other);
                p.a.data = p.y.data = other;
                cf_run_all(kernel, &p);
                assert_memory_equal(other, all, sizeof all);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_nan),
        cmocka_unit_test(test_bits_do_not_depend_on_layout),
    };
    return cmocka_run_group_tests_name("kernels/binary", tests, NULL, NULL);
}
