#include "kernels/copy/copy.h"

#include <stdlib.h>
#include <string.h>

#include "conformance/conformance.h"
#include "quant/half.h"
#include "support/testing.h"

static struct qn_view line(void *data, qn_dtype dtype, int64_t n, int64_t stride)
{
    return (struct qn_view){.data = data, .dtype = dtype, .rank = 1, .dims = {n}, .strides = {stride}};
}

/* A NaN may keep its payload or lose it; everything else is one number. */
static bool same_float(float a, float b)
{
    return memcmp(&a, &b, sizeof a) == 0 || (a != a && b != b);
}

/* Every 16-bit pattern to float, and every float that lies at or beside a rounding border to 16 bits, in runs of every
 * length: all kernels convert as the scalar functions do. */
static void test_sixteen_bit_floats(void **state)
{
    (void)state;
    enum { N = 1 << 16, BORDERS = 5 * N };
    uint16_t *halves = malloc(N * sizeof *halves), *back = malloc(BORDERS * sizeof *back);
    float *floats = malloc(N * sizeof *floats), *borders = malloc(BORDERS * sizeof *borders);
    for (uint32_t i = 0; i < N; i++)
        halves[i] = (uint16_t)i;
    static const qn_dtype types[] = {QN_DTYPE_F16, QN_DTYPE_BF16};
    const struct qn_kernel *kernel;
    for (uint32_t at = 0; (kernel = cf_next_kernel(QN_FAMILY_COPY, &at));) {
        for (int t = 0; t < 2; t++) {
            bool half = types[t] == QN_DTYPE_F16;
            struct qn_copy_params p = {.x = line(halves, types[t], N, 1), .y = line(floats, QN_DTYPE_F32, N, 1)};
            cf_run_all(kernel, &p);
            for (uint32_t i = 0; i < N; i++) {
                float want = half ? qn_half_load((uint16_t)i) : qn_bf16_to_f32((uint16_t)i);
                if (!same_float(floats[i], want))
                    fail_msg("%s: %s %04x is %g, not %g", kernel->name, qn_dtype_name(types[t]), i, (double)floats[i],
                             (double)want);
                /* the last bit that stays of a float, half of it, and one more or less than that */
                uint32_t bits = qn_f32_bits(want), shift = half ? 13 : 16;
                static const int beside[] = {0, -1, 0, 1, 1};
                for (int j = 0; j < 5; j++)
                    borders[i * 5 + (uint32_t)j] =
                        qn_bits_f32(bits + (j == 0 || j == 4 ? 0 : 1u << (shift - 1)) + (uint32_t)beside[j]);
            }
            p = (struct qn_copy_params){.x = line(borders, QN_DTYPE_F32, BORDERS, 1),
                                        .y = line(back, types[t], BORDERS, 1)};
            cf_run_all(kernel, &p);
            for (uint32_t i = 0; i < BORDERS; i++) {
                uint16_t want = half ? qn_half_store(borders[i]) : qn_bfloat_store(borders[i]);
                float a = half ? qn_half_load(back[i]) : qn_bf16_to_f32(back[i]);
                float b = half ? qn_half_load(want) : qn_bf16_to_f32(want);
                if (!same_float(a, b))
                    fail_msg("%s: %.9g as %s is %04x, not %04x", kernel->name, (double)borders[i],
                             qn_dtype_name(types[t]), back[i], want);
            }
        }
    }
    free(halves);
    free(back);
    free(floats);
    free(borders);
}

static void test_expand_and_reverse_shapes(void **state)
{
    (void)state;
    int16_t x[3] = {1, 2, 3}, y[12], z[12];
    const struct qn_kernel *kernel;
    for (uint32_t at = 0; (kernel = cf_next_kernel(QN_FAMILY_COPY, &at));) {
        struct qn_copy_params p = {0};
        p.y = (struct qn_view){.data = y, .dtype = QN_DTYPE_I16, .rank = 2, .dims = {4, 3}, .strides = {3, 1}};
        p.x = p.y;
        p.x.data = x;
        p.x.strides[0] = 0; /* one row for all */
        cf_run_all(kernel, &p);
        for (int i = 0; i < 12; i++)
            assert_int_equal(y[i], x[i % 3]);
        p.x = p.y; /* transposed */
        p.x.strides[0] = 1;
        p.x.strides[1] = 4;
        p.y.data = z;
        cf_run_all(kernel, &p);
        for (int i = 0; i < 12; i++)
            assert_int_equal(z[i], y[i / 3 + i % 3 * 4]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sixteen_bit_floats),
        cmocka_unit_test(test_expand_and_reverse_shapes),
    };
    return cmocka_run_group_tests_name("kernels/copy", tests, NULL, NULL);
}
