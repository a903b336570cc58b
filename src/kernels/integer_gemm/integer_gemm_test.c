/* Every kernel of INTEGER_GEMM against the generic one: the same bits, whatever the dtypes, zero points and outputs. */
#include "support/testing.h"

#include <stdlib.h>
#include <string.h>

#include "conformance/conformance.h"
#include "kernels/integer_gemm/integer_gemm.h"

static void *random_bytes(int64_t n)
{
    uint8_t *p = malloc((size_t)n + 1);
    for (int64_t i = 0; i < n; i++)
        p[i] = (uint8_t)(cf_random() >> 40);
    return p;
}

/* Weights of which sums of products fit in 16 bits always, never, at their limits, or in some steps of k. */
static void *random_weights(int64_t k, int64_t n, int64_t b_k, int64_t b_n, bool is_signed, int kind)
{
    static const int8_t limits[] = {32, -32, 33, 64, -64, 65, -65, 127, -127, -128};
    uint8_t *p = malloc((size_t)(k * n) + 1);
    for (int64_t i = 0; i < k; i++)
        for (int64_t j = 0; j < n; j++) {
            uint64_t r = cf_random() >> 32;
            int step = kind == 4 ? (int)((i / 8 + j / 8) % 4) : kind, value;
            if (step == 0)
                value = (int)(r % 65) - 32;
            else if (step == 1)
                value = r & 1 ? 127 : -128;
            else if (step == 2)
                value = limits[(size_t)(r >> 8) % (r & 7 ? 2 : sizeof limits)];
            else
                value = (int)(r & 255) - 128;
            p[i * b_k + j * b_n] = (uint8_t)(is_signed ? value : value + 128);
        }
    return p;
}

static float *random_floats(int64_t n, double low, double high)
{
    float *p = malloc((size_t)(n + 1) * sizeof *p);
    for (int64_t i = 0; i < n; i++)
        p[i] = (float)cf_uniform(low, high);
    return p;
}

static void *pack(const struct qn_integer_gemm_params *p, enum qn_pack form)
{
    void *out = aligned_alloc(64, ((size_t)qn_integer_form_bytes(form, p->k, p->n) + 127) / 64 * 64);
    struct qn_integer_pack_params pack = {p->b, p->b_signed, p->k, p->n, p->b_k, p->b_n, 1, 0, out};
    uint32_t at = 0;
    for (const struct qn_kernel *kernel; (kernel = cf_next_kernel(QN_FAMILY_PACK, &at));)
        if (kernel->pack == form)
            cf_run_all(kernel, &pack);
    return out;
}

static void check(struct qn_integer_gemm_params p, int number)
{
    static const qn_dtype dtypes[] = {QN_DTYPE_I32, QN_DTYPE_F32, QN_DTYPE_U8, QN_DTYPE_I8};
    const void *plain = p.b;
    p.out.dtype = dtypes[number % 4];
    size_t bytes = (size_t)((p.m - 1) * p.out.stride + p.n) * (number % 4 < 2 ? 4 : 1);
    char *want = malloc(bytes + 1), *got = malloc(bytes + 1);
    memset(want, 1, bytes);
    p.out.y = want;
    cf_run_all(&qn_integer_gemm_ref, &p);
    uint32_t at = 0;
    for (const struct qn_kernel *kernel; (kernel = cf_next_kernel(QN_FAMILY_INTEGER_GEMM, &at));) {
        memset(got, 1, bytes);
        p.out.y = got;
        p.b = plain;
        void *packed = kernel->pack ? pack(&p, kernel->pack) : NULL;
        p.b = packed ? packed : plain;
        cf_run_all(kernel, &p);
        free(packed);
        if (memcmp(got, want, bytes) != 0)
            fail_msg("%s: m %lld n %lld k %lld number %d differs", kernel->name, (long long)p.m, (long long)p.n,
                     (long long)p.k, number);
    }
    free(want);
    free(got);
}

static void test_same_bits(void **state)
{
    (void)state;
    static const int64_t sizes[][3] = {{1, 1, 1},      {3, 5, 7},     {13, 33, 64}, {40, 70, 131},
                                       {100, 260, 30}, {2, 64, 500},  {1, 40, 200}, {24, 8, 72},
                                       {11, 47, 1000}, {107, 24, 16}, {9, 31, 129}};
    for (int number = 0; number < 220; number++) {
        const int64_t *size = sizes[number % 11];
        int64_t m = size[0], n = size[1], k = size[2];
        cf_seed((uint64_t)number + 1);
        float *a_scale = random_floats(1, 0.001, 0.01), *b_scale = random_floats(n, 0.001, 0.02);
        float *y_scale = random_floats(1, 0.01, 0.2), *float_bias = random_floats(n, -1, 1);
        int32_t *bias = malloc((size_t)n * sizeof *bias);
        for (int64_t j = 0; j < n; j++)
            bias[j] = (int32_t)(cf_random() >> 48) - 32768;
        uint64_t choice = cf_random() >> 32;
        struct qn_integer_gemm_params p = {
            .a = random_bytes(m * (k + 3)),
            .a_stride = k + (choice & 1) * 3,
            .a_signed = choice >> 1 & 1,
            .b_signed = choice >> 2 & 1,
            .b = random_weights(k, n, choice >> 3 & 1 ? n : 1, choice >> 3 & 1 ? 1 : k, choice >> 2 & 1, number % 5),
            .b_k = choice >> 3 & 1 ? n : 1,
            .b_n = choice >> 3 & 1 ? 1 : k,
            .a_zero = choice >> 4 & 1 ? random_bytes(m) : NULL,
            .a_zero_step = choice >> 5 & 1,
            .b_zero = choice >> 6 & 1 ? random_bytes(n) : NULL,
            .b_zero_step = choice >> 7 & 1,
            .m = m,
            .n = n,
            .k = k,
            .out = {.stride = n + (choice >> 8 & 1),
                    .a_scale = a_scale,
                    .b_scale = b_scale,
                    .b_scale_step = choice >> 9 & 1,
                    .bias = choice >> 10 & 1   ? NULL
                            : choice >> 11 & 1 ? (void *)bias
                                               : (void *)float_bias,
                    .bias_is_float = !(choice >> 11 & 1),
                    .y_scale = y_scale,
                    .y_zero = choice >> 12 & 1 ? random_bytes(1) : NULL,
                    .activation = choice >> 13 & 1, /* none or relu: exact */
                    .alpha = 0},
        };
        if (!p.a_zero)
            p.a_zero_step = 0;
        if (number % 4 == 0 && p.out.bias_is_float)
            p.out.bias = NULL;
        check(p, number);
        free((void *)(uintptr_t)p.a);
        free((void *)(uintptr_t)p.b);
        free((void *)(uintptr_t)p.a_zero);
        free((void *)(uintptr_t)p.b_zero);
        free((void *)(uintptr_t)p.out.y_zero);
        free(a_scale);
        free(b_scale);
        free(y_scale);
        free(float_bias);
        free(bias);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_same_bits)};
    return cmocka_run_group_tests_name("integer_gemm", tests, NULL, NULL);
}
