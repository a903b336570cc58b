/* The reference forms of activations. Faster kernels give the same bits. */
#include "kernels/matmul/matmul.h"

#include "quant/quant.h"

int64_t qn_activation_tiles(const void *params)
{
    return ((const struct qn_activation_params *)params)->rows;
}

/* Nearest even for |x| < 2^22, by the rounding of an addition; the low byte of the sum is the integer. */
static int8_t round_to_int8(float x)
{
    union {
        float f;
        uint32_t u;
    } bits = {.f = x + 12582912.0f}; /* 1.5 * 2^23 */
    return (int8_t)(uint8_t)bits.u;
}

/* One block of 32 at its place in the row. */
static void quantise_block(const float *x, struct qn_q8_row row, int64_t block)
{
    int8_t *q = (int8_t *)row.q + 32 * block;
    float largest = 0;
    for (int i = 0; i < 32; i++) {
        float magnitude = __builtin_fabsf(x[i]);
        largest = magnitude > largest ? magnitude : largest;
    }
    float scale = largest >= QN_Q8_LEAST ? largest / 127.0f : 0;
    float inverse = largest >= QN_Q8_LEAST ? 127.0f / largest : 0;
    int32_t first = 0, second = 0;
    for (int i = 0; i < 32; i++) {
        q[i] = round_to_int8(x[i] * inverse);
        *(i < 16 ? &first : &second) += q[i];
    }
    ((float *)row.scale)[block] = scale;
    ((int32_t *)row.minus_sum)[block] = -(first + second);
    ((int32_t *)row.minus_first)[block] = -first;
    ((int32_t *)row.minus_second)[block] = -second;
}

static void run_q8_32(const void *params, int64_t begin, int64_t end, void *scratch)
{
    const struct qn_activation_params *p = params;
    (void)scratch;
    int64_t row_bytes = qn_act_row_bytes(QN_ACT_Q8_32, p->k);
    for (int64_t r = begin; r < end; r++) {
        uint8_t *out = (uint8_t *)p->out + r * row_bytes;
        for (int64_t i = 0; i < row_bytes; i++)
            out[i] = 0;
        for (int64_t b = 0; b < p->k / 32; b++)
            quantise_block(p->x + r * p->x_stride + 32 * b, qn_q8_row(out, p->k), b);
    }
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
        for (int64_t i = p->k; i < row_bytes / 2; i++)
            out[i] = 0;
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
