/* Every kernel of INTEGER_CONV against the generic one, channels last: the same bits. */
#include "support/testing.h"

#include <stdlib.h>
#include <string.h>

#include "conformance/conformance.h"
#include "kernels/integer_conv/integer_conv.h"

static void *random_bytes(int64_t n)
{
    uint8_t *p = malloc((size_t)n + 1);
    for (int64_t i = 0; i < n; i++)
        p[i] = (uint8_t)(cf_random() >> 40);
    return p;
}

/* Or, for sums as large as they get, all of the least value. */
static void *operand(int64_t n, bool is_signed, bool least)
{
    uint8_t *p = random_bytes(n);
    if (least)
        memset(p, is_signed ? 0x80 : 0, (size_t)n);
    return p;
}

struct shape {
    int64_t n, c, o, groups, in[3], kernel[3], strides[3], dilations[3], begin[3], end[3];
};

static const struct shape shapes[] = {
    {1, 3, 40, 1, {1, 17, 13}, {1, 7, 7}, {1, 2, 2}, {1, 1, 1}, {0, 3, 3}, {0, 3, 3}},
    {2, 64, 33, 1, {1, 5, 6}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {0, 0, 0}},
    {1, 37, 70, 1, {1, 9, 8}, {1, 1, 1}, {1, 2, 2}, {1, 1, 1}, {0, 0, 0}, {0, 0, 0}},
    {2, 20, 8, 1, {1, 7, 7}, {1, 3, 3}, {1, 1, 1}, {1, 2, 1}, {0, 1, 1}, {0, 2, 1}},
    {1, 12, 18, 3, {3, 4, 5}, {2, 3, 2}, {1, 1, 2}, {1, 1, 1}, {1, 1, 0}, {0, 1, 1}},
    {2, 48, 48, 48, {1, 9, 9}, {1, 3, 3}, {1, 1, 1}, {1, 1, 1}, {0, 1, 1}, {0, 1, 1}},
    {1, 70, 70, 70, {1, 10, 7}, {1, 5, 4}, {1, 2, 2}, {1, 1, 1}, {0, 2, 1}, {0, 2, 2}},
    {1, 512, 260, 1, {1, 4, 4}, {1, 3, 3}, {1, 1, 1}, {1, 1, 1}, {0, 1, 1}, {0, 1, 1}},
    {1, 8, 16, 8, {1, 6, 6}, {1, 3, 3}, {1, 1, 1}, {1, 1, 1}, {0, 1, 1}, {0, 1, 1}},
    {1, 64, 64, 1, {1, 28, 28}, {1, 3, 3}, {1, 1, 1}, {1, 1, 1}, {0, 1, 1}, {0, 1, 1}},
    {2, 20, 41, 1, {3, 13, 9}, {1, 3, 3}, {1, 1, 1}, {1, 1, 1}, {0, 0, 2}, {0, 1, 1}},
    {1, 260, 20, 1, {1, 11, 15}, {1, 3, 3}, {1, 1, 1}, {1, 1, 1}, {0, 1, 0}, {0, 2, 1}},
    /* Depthwise: widths of 1 to 14 outputs, odd and even windows, channels that fill no vector and several tiles. */
    {1, 5, 5, 5, {1, 6, 6}, {1, 3, 3}, {1, 1, 1}, {1, 1, 1}, {0, 1, 1}, {0, 1, 1}},
    {2, 16, 16, 16, {1, 5, 16}, {1, 3, 3}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {0, 0, 0}},
    {1, 20, 20, 20, {1, 7, 7}, {1, 3, 3}, {1, 1, 1}, {1, 1, 1}, {0, 1, 1}, {0, 1, 1}},
    {1, 32, 32, 32, {1, 4, 13}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {0, 0, 0}},
    {1, 40, 40, 40, {1, 29, 29}, {1, 3, 3}, {1, 2, 2}, {1, 1, 1}, {0, 0, 0}, {0, 1, 1}},
    {1, 24, 24, 24, {1, 12, 13}, {1, 5, 5}, {1, 1, 1}, {1, 1, 1}, {0, 2, 2}, {0, 2, 2}},
    {1, 33, 33, 33, {1, 11, 21}, {1, 5, 5}, {1, 2, 2}, {1, 1, 1}, {0, 2, 2}, {0, 2, 2}},
    {1, 19, 19, 19, {1, 9, 15}, {1, 7, 7}, {1, 1, 1}, {1, 1, 1}, {0, 3, 3}, {0, 3, 3}},
    {1, 17, 17, 17, {1, 14, 23}, {1, 7, 7}, {1, 2, 2}, {1, 1, 1}, {0, 3, 0}, {0, 3, 0}},
    {1, 64, 64, 64, {1, 5, 14}, {1, 2, 2}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {0, 0, 0}},
    {1, 32, 32, 32, {1, 8, 17}, {1, 4, 4}, {1, 2, 2}, {1, 1, 1}, {0, 1, 1}, {0, 1, 1}},
    {1, 48, 48, 48, {1, 16, 15}, {1, 3, 3}, {1, 1, 1}, {1, 2, 2}, {0, 2, 2}, {0, 2, 2}},
    {1, 16, 16, 16, {1, 19, 25}, {1, 4, 5}, {1, 3, 3}, {1, 1, 1}, {0, 1, 2}, {0, 2, 2}},
    {1, 35, 35, 35, {5, 6, 7}, {3, 3, 3}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}},
    {1, 18, 18, 18, {4, 5, 11}, {2, 3, 5}, {2, 1, 2}, {1, 2, 1}, {1, 2, 0}, {0, 2, 0}},
    {2, 21, 21, 21, {1, 1, 301}, {1, 1, 31}, {1, 1, 1}, {1, 1, 1}, {0, 0, 15}, {0, 0, 15}},
    {1, 9, 9, 9, {1, 1, 140}, {1, 1, 9}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {0, 0, 0}},
    {1, 300, 300, 300, {1, 7, 7}, {1, 3, 3}, {1, 1, 1}, {1, 1, 1}, {0, 1, 1}, {0, 1, 1}},
    {1, 968, 968, 968, {1, 3, 2}, {1, 3, 3}, {1, 1, 1}, {1, 1, 1}, {0, 1, 1}, {0, 1, 1}},
    {1, 6, 6, 6, {1, 9, 40}, {1, 5, 3}, {1, 1, 2}, {1, 1, 1}, {0, 2, 1}, {0, 1, 0}},
    {1, 16, 16, 16, {1, 2, 2}, {1, 5, 5}, {1, 1, 1}, {1, 1, 1}, {0, 4, 4}, {0, 4, 4}},
};

static void run_shape(const struct shape *s, int number)
{
    static const qn_dtype dtypes[] = {QN_DTYPE_I32, QN_DTYPE_F32, QN_DTYPE_U8, QN_DTYPE_I8};
    cf_seed((uint64_t)number + 1);
    uint64_t choice = cf_random() >> 32;
    int64_t taps = s->kernel[0] * s->kernel[1] * s->kernel[2], pixels = s->in[0] * s->in[1] * s->in[2];
    float *scales = malloc((size_t)s->o * sizeof *scales), a_scale = 0.02f, y_scale = choice >> 11 & 1 ? 0.0003f : 0.3f;
    int32_t *bias = malloc((size_t)s->o * sizeof *bias);
    for (int64_t i = 0; i < s->o; i++) {
        scales[i] = (float)cf_uniform(0.001, 0.02);
        bias[i] = (int32_t)(cf_random() >> 50) - 8192;
    }
    struct qn_integer_conv_params p = {
        .x = operand(s->n * pixels * s->c, choice & 1, (choice >> 9 & 3) == 0),
        .w = operand(s->o * s->c / s->groups * taps, choice >> 1 & 1, (choice >> 9 & 3) == 0),
        .x_signed = choice & 1,
        .w_signed = choice >> 1 & 1,
        .x_zero = choice >> 2 & 1 ? random_bytes(1) : NULL,
        .w_zero = choice >> 3 & 1 ? random_bytes(s->o) : NULL,
        .w_zero_step = choice >> 4 & 1,
        .n = s->n,
        .c = s->c,
        .o = s->o,
        .groups = s->groups,
        .x_c = 1,
        .y_c = 1,
        .out = {.dtype = dtypes[number % 4],
                .a_scale = &a_scale,
                .b_scale = scales,
                .b_scale_step = choice >> 5 & 1,
                .bias = choice >> 6 & 1 ? bias : NULL,
                .y_scale = &y_scale,
                .y_zero = choice >> 7 & 1 ? random_bytes(1) : NULL,
                .activation = choice >> 8 & 1},
    };
    int64_t x = s->c, y = s->o;
    for (int i = 2; i >= 0; i--) {
        p.in[i] = s->in[i];
        p.kernel[i] = s->kernel[i];
        p.strides[i] = s->strides[i];
        p.dilations[i] = s->dilations[i];
        p.begin[i] = s->begin[i];
        p.size[i] = (s->in[i] + s->begin[i] + s->end[i] - (s->kernel[i] - 1) * s->dilations[i] - 1) / s->strides[i] + 1;
        p.x_s[i] = x;
        p.y_s[i] = y;
        x *= p.in[i];
        y *= p.size[i];
    }
    p.x_n = x;
    p.y_n = y;
    size_t bytes = (size_t)(s->n * y * (number % 4 < 2 ? 4 : 1));
    char *want = malloc(bytes), *got = malloc(bytes);
    p.out.y = want;
    cf_run_all(&qn_integer_conv_ref, &p);
    int64_t per_group = s->c / s->groups;
    void *packed =
        aligned_alloc(64, (size_t)(qn_integer_conv_packed_bytes(s->o, per_group, s->groups, taps) + 127) / 64 * 64);
    struct qn_integer_conv_pack_params pack = {
        p.w,  p.w_signed, qn_integer_conv_is_depthwise(s->o, per_group, s->groups), s->o, per_group, s->groups,
        taps, packed};
    uint32_t at = 0;
    const struct qn_kernel *kernel;
    while ((kernel = cf_next_kernel(QN_FAMILY_PACK, &at)))
        if (kernel->pack == QN_PACK_CONV_I8)
            cf_run_all(kernel, &pack);
    const void *plain = p.w;
    for (at = 0; (kernel = cf_next_kernel(QN_FAMILY_INTEGER_CONV, &at));) {
        memset(got, 1, bytes);
        p.out.y = got;
        p.w = kernel->pack ? packed : plain;
        if (kernel->fits && !kernel->fits(&p))
            continue;
        cf_run_all(kernel, &p);
        for (size_t i = 0; i < bytes; i++)
            if (got[i] != want[i])
                fail_msg("%s: number %d differs at byte %zu of %zu", kernel->name, number, i, bytes);
    }
    free((void *)(uintptr_t)p.x);
    free((void *)(uintptr_t)plain);
    free((void *)(uintptr_t)p.x_zero);
    free((void *)(uintptr_t)p.w_zero);
    free((void *)(uintptr_t)p.out.y_zero);
    free(packed);
    free(want);
    free(got);
    free(scales);
    free(bias);
}

static void test_same_bits(void **state)
{
    (void)state;
    int count = sizeof shapes / sizeof shapes[0];
    for (int number = 0; number < 8 * count; number++)
        run_shape(&shapes[number % count], number);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_same_bits)};
    return cmocka_run_group_tests_name("integer_conv", tests, NULL, NULL);
}
