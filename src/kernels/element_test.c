#include "kernels/element.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "conformance/conformance.h"
#include "kernels/walk.h"
#include "support/testing.h"

/* Every half goes out and comes back; every midpoint between two halves rounds to the even one, once. */
static void test_half_rounds_once(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 0x7c00; h++) {
        uint16_t bits = (uint16_t)h, next = (uint16_t)(h + 1), out;
        double x, y;
        qn_load_f64(&x, &bits, 0, QN_DTYPE_F16, 1);
        qn_store_f64(&out, 0, QN_DTYPE_F16, &x, 1);
        assert_int_equal(out, bits);
        if (next == 0x7c00)
            break;
        qn_load_f64(&y, &next, 0, QN_DTYPE_F16, 1);
        double middle = (x + y) / 2;
        /* just off the middle by less than a float can say: a first rounding to float would land on the middle */
        double cases[3] = {nextafter(middle, 0), middle, nextafter(middle, INFINITY)};
        uint16_t expected[3] = {bits, bits & 1 ? next : bits, next};
        for (int i = 0; i < 3; i++) {
            qn_store_f64(&out, 0, QN_DTYPE_F16, &cases[i], 1);
            assert_int_equal(out, expected[i]);
            double negative = -cases[i];
            qn_store_f64(&out, 0, QN_DTYPE_F16, &negative, 1);
            assert_int_equal(out, expected[i] | 0x8000);
        }
    }
}

static void test_conversions_saturate(void **state)
{
    (void)state;
    static const double in[] = {NAN, INFINITY, -INFINITY, 1e30, -1e30, 127.9, -128.9, 255.9, -0.9, 2147483648.0};
    int8_t i8[10];
    uint8_t u8[10];
    int32_t i32[10];
    int64_t i64[10];
    uint64_t u64[10];
    qn_convert_elements(i8, 1, QN_DTYPE_I8, in, 8, QN_DTYPE_F64, 10);
    qn_convert_elements(u8, 1, QN_DTYPE_U8, in, 8, QN_DTYPE_F64, 10);
    qn_convert_elements(i32, 4, QN_DTYPE_I32, in, 8, QN_DTYPE_F64, 10);
    qn_convert_elements(i64, 8, QN_DTYPE_I64, in, 8, QN_DTYPE_F64, 10);
    qn_convert_elements(u64, 8, QN_DTYPE_U64, in, 8, QN_DTYPE_F64, 10);
    static const int8_t want_i8[] = {0, 127, -128, 127, -128, 127, -128, 127, 0, 127};
    static const uint8_t want_u8[] = {0, 255, 0, 255, 0, 127, 0, 255, 0, 255};
    assert_memory_equal(i8, want_i8, 10);
    assert_memory_equal(u8, want_u8, 10);
    assert_true(i32[0] == 0 && i32[1] == INT32_MAX && i32[2] == INT32_MIN && i32[9] == INT32_MAX && i32[5] == 127);
    assert_true(i64[0] == 0 && i64[1] == INT64_MAX && i64[2] == INT64_MIN && i64[9] == 2147483648);
    assert_true(u64[0] == 0 && u64[1] == UINT64_MAX && u64[2] == 0 && u64[4] == 0);
    static const int32_t wide[] = {-1, 256, 300, INT32_MIN};
    uint8_t wrapped[4], truth[4];
    qn_convert_elements(wrapped, 1, QN_DTYPE_U8, wide, 4, QN_DTYPE_I32, 4);
    qn_convert_elements(truth, 1, QN_DTYPE_BOOL, wide, 4, QN_DTYPE_I32, 4);
    static const uint8_t want_wrapped[] = {255, 0, 44, 0};
    assert_memory_equal(wrapped, want_wrapped, 4);
    assert_true(truth[0] == 1 && truth[1] == 1 && truth[3] == 1);
}

static void test_keys_order_elements(void **state)
{
    (void)state;
    static const double rising[] = {-INFINITY, -3, -1e-3, 0, 1e-3, 3, INFINITY};
    static const int64_t whole[] = {INT64_MIN, -5, 0, 7, INT64_MAX};
    static const uint64_t natural[] = {0, 5, INT64_MAX, UINT64_MAX};
    double minus_zero = -0.0, nan = NAN;
    for (int i = 0; i + 1 < 7; i++)
        assert_true(qn_element_key(&rising[i], QN_DTYPE_F64) < qn_element_key(&rising[i + 1], QN_DTYPE_F64));
    assert_true(qn_element_key(&rising[6], QN_DTYPE_F64) < qn_element_key(&nan, QN_DTYPE_F64));
    assert_true(qn_element_key(&minus_zero, QN_DTYPE_F64) == qn_element_key(&rising[3], QN_DTYPE_F64));
    for (int i = 0; i + 1 < 5; i++)
        assert_true(qn_element_key(&whole[i], QN_DTYPE_I64) < qn_element_key(&whole[i + 1], QN_DTYPE_I64));
    for (int i = 0; i + 1 < 4; i++)
        assert_true(qn_element_key(&natural[i], QN_DTYPE_U64) < qn_element_key(&natural[i + 1], QN_DTYPE_U64));
}

/* A walk from any element visits the rest in row-major order, whatever the layouts; equal layouts are one run. */
static void test_walk(void **state)
{
    (void)state;
    int64_t dims[] = {3, 1, 4, 5};
    for (int layout = 0; layout < CF_LAYOUTS; layout++) {
        struct cf_tensor a = cf_tensor(QN_DTYPE_I32, CF_CONTIGUOUS, 4, dims);
        struct cf_tensor b = cf_tensor(QN_DTYPE_I32, (enum cf_layout)layout, 4, dims);
        double values[60];
        for (int i = 0; i < 60; i++)
            values[i] = i;
        cf_set(&a, values);
        cf_set(&b, values);
        for (int64_t first = 0; first < 60; first += 7) {
            struct qn_walk walk;
            qn_walk_start(&walk, (const struct qn_view *[]){&a.view, &b.view}, 2, first);
            for (int64_t i = first, n; i < 60; i += n) {
                n = qn_walk_run(&walk, 60 - i);
                assert_true(n > 0);
                if (layout == CF_CONTIGUOUS)
                    assert_int_equal(n, 60 - i);
                for (int64_t j = 0; j < n; j++) {
                    assert_int_equal(*(int32_t *)(void *)(walk.at[0] + j * qn_walk_step(&walk, 0)), i + j);
                    assert_int_equal(*(int32_t *)(void *)(walk.at[1] + j * qn_walk_step(&walk, 1)), i + j);
                }
                qn_walk_advance(&walk, n);
            }
        }
        for (int64_t row = 0; row < 12; row++)
            assert_int_equal(*(int32_t *)(void *)qn_view_row(&b.view, 3, row, 4), row * 5);
        cf_release(&a);
        cf_release(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_half_rounds_once),
        cmocka_unit_test(test_conversions_saturate),
        cmocka_unit_test(test_keys_order_elements),
        cmocka_unit_test(test_walk),
    };
    return cmocka_run_group_tests_name("kernels/element", tests, NULL, NULL);
}
