#include "quant/narrow/narrow.h"

#include <math.h>

#include "support/testing.h"

static const qn_dtype dtypes[] = {QN_DTYPE_F8E4M3FN, QN_DTYPE_F8E4M3FNUZ, QN_DTYPE_F8E5M2, QN_DTYPE_F8E5M2FNUZ,
                                  QN_DTYPE_F4E2M1};

/* Every code goes out and comes back; what lies between two neighbours goes to the nearer, halves to the even code. */
static void test_every_code(void **state)
{
    (void)state;
    for (size_t d = 0; d < sizeof dtypes / sizeof dtypes[0]; d++) {
        const struct qn_narrow_kind *kind = qn_narrow_kind(dtypes[d]);
        for (unsigned code = 0; code < (dtypes[d] == QN_DTYPE_F4E2M1 ? 16u : 256u); code++) {
            float x = qn_narrow_load(kind, code);
            if (!isnan(x) && !isinf(x))
                assert_int_equal(qn_narrow_store(kind, x, true), code);
        }
        for (unsigned code = 0; code < kind->largest; code++) {
            float low = qn_narrow_load(kind, code), high = qn_narrow_load(kind, code + 1), middle = (low + high) / 2;
            assert_true(low < high);
            assert_int_equal(qn_narrow_store(kind, nextafterf(middle, 0), false), code);
            assert_int_equal(qn_narrow_store(kind, middle, false), code & 1 ? code + 1 : code);
            assert_int_equal(qn_narrow_store(kind, nextafterf(middle, INFINITY), false), code + 1);
        }
    }
}

/* The table of ONNX's Cast: saturating, and not. */
static void test_out_of_range(void **state)
{
    (void)state;
    static const float largest[] = {448, 240, 57344, 57344, 6};
    for (size_t d = 0; d < sizeof dtypes / sizeof dtypes[0]; d++) {
        const struct qn_narrow_kind *kind = qn_narrow_kind(dtypes[d]);
        static const float beyond[] = {1e30f, INFINITY, 70000};
        for (int i = 0; i < 3; i++) {
            assert_true(qn_narrow_load(kind, qn_narrow_store(kind, beyond[i], false)) == largest[d]);
            assert_true(qn_narrow_load(kind, qn_narrow_store(kind, -beyond[i], false)) == -largest[d]);
            float wrapped = qn_narrow_load(kind, qn_narrow_store(kind, beyond[i], true));
            if (dtypes[d] == QN_DTYPE_F8E5M2)
                assert_true(wrapped == INFINITY);
            else if (dtypes[d] == QN_DTYPE_F4E2M1)
                assert_true(wrapped == 6);
            else
                assert_true(isnan(wrapped));
        }
        if (dtypes[d] != QN_DTYPE_F4E2M1)
            assert_true(isnan(qn_narrow_load(kind, qn_narrow_store(kind, NAN, false))));
    }
    assert_int_equal(qn_narrow_store(&qn_narrow_e4m3fnuz, -1e-7f, false), 0);
    assert_int_equal(qn_narrow_store(&qn_narrow_e4m3fn, -1e-7f, false), 0x80);
    assert_int_equal(qn_narrow_store(&qn_narrow_e4m3fn, 464, true), 0x7e);
    assert_int_equal(qn_narrow_store(&qn_narrow_e4m3fn, 465, true), 0x7f);
}

static void test_powers_of_two(void **state)
{
    (void)state;
    for (unsigned code = 0; code < 255; code++) {
        float x = qn_e8m0_load(code);
        assert_true(x == ldexpf(1, (int)code - 127));
        for (int rounding = 0; rounding < 3; rounding++)
            assert_int_equal(qn_e8m0_store(x, (enum qn_e8m0_rounding)rounding, true), code);
        if (code > 0 && code < 254) {
            assert_int_equal(qn_e8m0_store(x * 1.01f, QN_E8M0_UP, false), code + 1);
            assert_int_equal(qn_e8m0_store(x * 1.99f, QN_E8M0_DOWN, false), code);
            assert_int_equal(qn_e8m0_store(x * 1.49f, QN_E8M0_NEAREST, false), code);
            assert_int_equal(qn_e8m0_store(x * 1.5f, QN_E8M0_NEAREST, false), code + 1);
        }
    }
    assert_int_equal(qn_e8m0_store(0, QN_E8M0_UP, false), 0);
    assert_int_equal(qn_e8m0_store(INFINITY, QN_E8M0_UP, false), 254);
    assert_int_equal(qn_e8m0_store(INFINITY, QN_E8M0_UP, true), 255);
    assert_int_equal(qn_e8m0_store(NAN, QN_E8M0_UP, false), 255);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_code),
        cmocka_unit_test(test_out_of_range),
        cmocka_unit_test(test_powers_of_two),
    };
    return cmocka_run_group_tests_name("narrow", tests, NULL, NULL);
}
