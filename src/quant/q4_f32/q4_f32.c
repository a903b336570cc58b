#include "quant/q4_f32/q4_f32.h"

#include "quant/affine_range.h"
#include "quant/type.h"

enum { LEVELS = 15 };

static void dequantise(const void *blocks, float *out, int64_t elems)
{
    const struct qn_q4_f32 *b = blocks;
    for (int64_t i = 0; i < elems / 32; i++, b++, out += 32) {
        float scale, zero;
        memcpy(&scale, b->scale, sizeof scale);
        memcpy(&zero, b->zero, sizeof zero);
        for (int k = 0; k < 16; k++) {
            out[2 * k] = scale * ((float)(b->qs[k] & 15) - zero);
            out[2 * k + 1] = scale * ((float)(b->qs[k] >> 4) - zero);
        }
    }
}

static void quantise(const float *in, void *blocks, int64_t elems, const float *importance)
{
    struct qn_q4_f32 *b = blocks;
    (void)importance;
    for (int64_t i = 0; i < elems / 32; i++, b++, in += 32) {
        struct qn_affine_range range = qn_affine_range(in, 32, LEVELS);
        memcpy(b->scale, &range.scale, sizeof range.scale);
        memcpy(b->zero, &range.zero, sizeof range.zero);
        for (int k = 0; k < 16; k++)
            b->qs[k] =
                (uint8_t)(qn_affine_code(range, in[2 * k], LEVELS) | qn_affine_code(range, in[2 * k + 1], LEVELS) << 4);
    }
}

QN_QUANT_TYPE(Q4_F32, dequantise, quantise);
