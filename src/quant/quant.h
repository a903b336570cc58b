/* Quantised block types: the reference layout, quantiser and dequantiser of each, one folder a type.
 *
 * These are the definitions that fast kernels are tested against. Dequantisation is bit-exact with the numpy reference
 * of the gguf Python package; the files are built without contraction of multiply-add.
 */
#ifndef QN_QUANT_QUANT_H
#define QN_QUANT_QUANT_H

#include "quern/dtype.h"

/* Any dtype with a number behind it (floats and blocks): `elems` must be a multiple of the block size. Pure. */
typedef void (*qn_dequantise_fn)(const void *blocks, float *out, int64_t elems);
/* `importance` weighs the squared error of each element (elems of them), NULL: the type's plain rule. Pure. */
typedef void (*qn_quantise_fn)(const float *in, void *blocks, int64_t elems, const float *importance);

struct qn_quant {
    qn_dequantise_fn dequantise; /* NULL: not a type that can be turned into floats */
    qn_quantise_fn quantise;     /* NULL: read only */
};

/* Functions of a dtype; both NULL for one without. Static storage. */
const struct qn_quant *qn_quant(qn_dtype dtype);

/* IEEE half and bfloat16, exact both ways (round to nearest even), also for subnormals, infinities and NaN. */
float qn_f16_to_f32(uint16_t half);
uint16_t qn_f32_to_f16(float value);
static inline float qn_bf16_to_f32(uint16_t value)
{
    union {
        uint32_t u;
        float f;
    } bits = {(uint32_t)value << 16};
    return bits.f;
}
uint16_t qn_f32_to_bf16(float value);

#endif
