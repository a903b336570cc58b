/* The reference forms of activations. Faster kernels give the same bits. */
#include "kernels/matmul/matmul.h"

#include "quant/quant.h"

int64_t qn_activation_tiles(const void *params)
{
    return ((const struct qn_activation_params *)params)->rows;
}

/* Below this a block counts as zero: its reciprocal would overflow. */
static const float least_scale = 1e-35f;

/* Nearest even for |x| < 2^22, by the rounding of an addition; the low byte of the sum is the integer. */
static int8_t round_to_int8(float x)
{
    union {
        float f;
        uint32_t u;
    } bits = {.f = x + 12582912.0f}; /* 1.5 * 2^23 */
    return (int8_t)(uint8_t)bits.u;
}

static void quantise_row(const float *x, void *out, int64_t k)
{
    struct qn_q8_row row = qn_q8_row(out, k);
    int8_t *q = (int8_t *)row.q;
    for (int64_t b = 0; b < k / 32; b++) {
        float largest = 0;
        for (int i = 0; i < 32; i++) {
            float magnitude = __builtin_fabsf(x[b * 32 + i]);
            largest = magnitude > largest ? magnitude : largest;
        }
        float scale = largest >= least_scale ? largest / 127.0f : 0;
        float inverse = largest >= least_scale ? 127.0f / largest : 0;
        int32_t half[2] = {0, 0};
        for (int i = 0; i < 32; i++) {
            q[b * 32 + i] = round_to_int8(x[b * 32 + i] * inverse);
            half[i / 16] += q[b * 32 + i];
        }
        ((float *)row.scale)[b] = scale;
        ((float *)row.scaled_sum)[b] = scale * (float)(half[0] + half[1]);
        ((int32_t *)row.minus_sum)[b] = -(half[0] + half[1]);
        ((int32_t *)row.minus_half)[2 * b] = -half[0];
        ((int32_t *)row.minus_half)[2 * b + 1] = -half[1];
    }
}

static void run_q8_32(const void *params, int64_t begin, int64_t end, void *scratch)
{
    const struct qn_activation_params *p = params;
    (void)scratch;
    int64_t row_bytes = qn_act_row_bytes(QN_ACT_Q8_32, p->k);
    for (int64_t r = begin; r < end; r++)
        quantise_row(p->x + r * p->x_stride, (uint8_t *)p->out + r * row_bytes, p->k);
}

static void run_bf16(const void *params, int64_t begin, int64_t end, void *scratch)
{
    const struct qn_activation_params *p = params;
    (void)scratch;
    int64_t row_bytes = qn_act_row_bytes(QN_ACT_BF16, p->k);
    for (int64_t r = begin; r < end; r++) {
        uint16_t *out = (uint16_t *)(void *)((uint8_t *)p->out + r * row_bytes);
        for (int64_t i = 0; i < p->k; i++)
            out[i] = qn_f32_to_bf16(p->x[r * p->x_stride + i]);
    }
}

const struct qn_kernel qn_activation_q8_32_ref = {
    .serial = 1600,
    .name = "activation_q8_32_ref",
    .family = QN_FAMILY_ACTIVATION,
    .act = QN_ACT_Q8_32,
    .tiles = qn_activation_tiles,
    .run = run_q8_32,
};

const struct qn_kernel qn_activation_bf16_ref = {
    .serial = 1601,
    .name = "activation_bf16_ref",
    .family = QN_FAMILY_ACTIVATION,
    .act = QN_ACT_BF16,
    .tiles = qn_activation_tiles,
    .run = run_bf16,
};
