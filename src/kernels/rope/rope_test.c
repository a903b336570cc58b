#include "kernels/rope/rope.h"

#include <math.h>
#include <string.h>

#include "conformance/conformance.h"
#include "support/testing.h"

enum { N = 5, H = 3, MOST = 96 };

static struct qn_view view_of(float *data, uint32_t rank, int64_t a, int64_t b, int64_t c)
{
    struct qn_view view = {.data = data, .dtype = QN_DTYPE_F32, .rank = rank, .dims = {a, b, c}};
    view.strides[0] = rank == 3 ? b * c : b;
    view.strides[1] = rank == 3 ? c : 1;
    view.strides[2] = 1;
    return view;
}

/* All rows at once, one at a time, and in place: the same bits. Turning back restores x. */
static void test_bits_and_inverse(void **state)
{
    (void)state;
    static float x[N * H * MOST], all[N * H * MOST], one[N * H * MOST], c[N * MOST], s[N * MOST], minus_s[N * MOST];
    static const int64_t sizes[][2] = {{64, 64}, {96, 40}, {10, 6}, {34, 34}, {3, 2}};
    for (int i = 0; i < N * H * MOST; i++)
        x[i] = (float)cf_uniform(-2, 2);
    for (int i = 0; i < N * MOST; i++) {
        double angle = cf_uniform(-9, 9);
        c[i] = (float)cos(angle);
        s[i] = (float)sin(angle);
        minus_s[i] = -s[i];
    }
    const struct qn_kernel *kernel;
    for (uint32_t at = 0; (kernel = cf_next_kernel(QN_FAMILY_ROPE, &at));) {
        for (int i = 0; i < 10; i++) {
            int64_t d = sizes[i / 2][0], half = sizes[i / 2][1] / 2;
            struct qn_rope_params p = {view_of(x, 3, N, H, d), view_of(all, 3, N, H, d), view_of(c, 2, N, half, 0),
                                       view_of(s, 2, N, half, 0), i & 1};
            cf_run_all(kernel, &p);
            for (int64_t row = 0; row < N; row++) {
                struct qn_rope_params q = {view_of(x + row * H * d, 3, 1, H, d), view_of(one, 3, 1, H, d),
                                           view_of(c + row * half, 2, 1, half, 0),
                                           view_of(s + row * half, 2, 1, half, 0), i & 1};
                cf_run_all(kernel, &q);
                assert_memory_equal(one, all + row * H * d, sizeof(float) * (size_t)(H * d));
            }
            memcpy(one, x, sizeof(float) * (size_t)(N * H * d));
            p.x.data = p.y.data = one;
            for (int64_t tile = kernel->tiles(&p); tile-- > 0;)
                cf_run_tiles(kernel, &p, tile, tile + 1);
            assert_memory_equal(one, all, sizeof(float) * (size_t)(N * H * d));
            p.sin.data = minus_s;
            cf_run_all(kernel, &p);
            for (int64_t j = 0; j < N * H * d; j++)
                assert_true(fabsf(one[j] - x[j]) < 1e-6f);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bits_and_inverse)};
    return cmocka_run_group_tests_name("kernels/rope", tests, NULL, NULL);
}
