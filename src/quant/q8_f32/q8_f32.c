#include "quant/q8_f32/q8_f32.h"

#include "quant/affine_range.h"
#include "quant/type.h"

enum { LEVELS = 255 };

static void dequantise(const void *blocks, float *out, int64_t elems)
{
    const struct qn_q8_f32 *b = blocks;
    for (int64_t i = 0; i < elems / 32; i++, b++, out += 32) {
        float scale, zero;
        memcpy(&scale, b->scale, sizeof scale);
        memcpy(&zero, b->zero, sizeof zero);
        for (int k = 0; k < 32; k++)
            out[k] = scale * ((float)b->qs[k] - zero);
    }
}

static void quantise(const float *in, void *blocks, int64_t elems, const float *importance)
{
    struct qn_q8_f32 *b = blocks;
    (void)importance;
    for (int64_t i = 0; i < elems / 32; i++, b++, in += 32) {
        struct qn_affine_range range = qn_affine_range(in, 32, LEVELS);
        memcpy(b->scale, &range.scale, sizeof range.scale);
        memcpy(b->zero, &range.zero, sizeof range.zero);
        for (int k = 0; k < 32; k++)
            b->qs[k] = qn_affine_code(range, in[k], LEVELS);
    }
}

QN_QUANT_TYPE(Q8_F32, dequantise, quantise);
