/* qn_activate (kernels/activation.h) on vectors. */
#ifndef QN_SIMD_VEC_ACTIVATION_H
#define QN_SIMD_VEC_ACTIVATION_H

#include "kernels/activation.h"
#include "kernels/simd/vec_math.h"

QN_INLINE vf vf_clip(vf x, float low, float high)
{
    vf l = vf_set(low), h = vf_set(high);
    x = vf_select(vf_less(x, l), l, x); /* NaN is neither below nor above */
    return vf_select(vf_less(h, x), h, x);
}

/* The rare kinds, element by element. */
static inline vf vf_activate_rare(int32_t kind, float alpha, float beta, vf x)
{
    float lanes[VF_LANES];
    vf_store(lanes, x);
    for (int i = 0; i < VF_LANES; i++)
        lanes[i] = (float)qn_activate(kind, (double)alpha, (double)beta, (double)lanes[i]);
    return vf_load(lanes);
}

QN_INLINE vf vf_activate(int32_t kind, float alpha, float beta, vf x)
{
    switch (kind) {
    case QN_ACTIVATION_NONE:
        return x;
    case QN_ACTIVATION_RELU:
        return vf_relu(x);
    case QN_ACTIVATION_CLIP:
        return vf_clip(x, alpha, beta);
    case QN_ACTIVATION_LEAKY_RELU:
        return vf_select(vf_less(x, vf_zero()), vf_mul(x, vf_set(alpha)), x);
    case QN_ACTIVATION_SIGMOID:
        return vf_sigmoid(x);
    case QN_ACTIVATION_TANH:
        return vf_tanh(x);
    case QN_ACTIVATION_SILU:
        return vf_silu(x);
    case QN_ACTIVATION_GELU_TANH:
        return vf_gelu_tanh(x);
    case QN_ACTIVATION_GELU_ERF:
        return vf_gelu_erf(x);
    case QN_ACTIVATION_HARD_SIGMOID:
        return vf_clip(vf_fma(x, vf_set(alpha), vf_set(beta)), 0, 1);
    case QN_ACTIVATION_HARD_SWISH:
        return vf_mul(x, vf_clip(vf_fma(x, vf_set(1.0f / 6), vf_set(0.5f)), 0, 1));
    case QN_ACTIVATION_AFFINE:
        return vf_fma(x, vf_set(alpha), vf_set(beta));
    default:
        return vf_activate_rare(kind, alpha, beta, x);
    }
}

/* `kind` is a constant where this is called. */
QN_INLINE void vf_activate_rows(int32_t kind, float alpha, float beta, float *c, int64_t stride, int64_t rows,
                                int64_t columns)
{
    for (int64_t r = 0; r < rows; r++) {
        float *row = c + r * stride;
        int64_t i = 0;
        for (; i + VF_LANES <= columns; i += VF_LANES)
            vf_store(row + i, vf_activate(kind, alpha, beta, vf_load(row + i)));
        if (i < columns)
            vf_store_part(row + i, vf_activate(kind, alpha, beta, vf_load_part(row + i, columns - i)), columns - i);
    }
}

/* A block of floats in place: `rows` rows of `columns`, `stride` floats apart. */
static inline void vf_activate_block(int32_t kind, float alpha, float beta, float *c, int64_t stride, int64_t rows,
                                     int64_t columns)
{
    switch (kind) {
    case QN_ACTIVATION_NONE:
        break;
    case QN_ACTIVATION_RELU:
        vf_activate_rows(QN_ACTIVATION_RELU, alpha, beta, c, stride, rows, columns);
        break;
    case QN_ACTIVATION_CLIP:
        vf_activate_rows(QN_ACTIVATION_CLIP, alpha, beta, c, stride, rows, columns);
        break;
    case QN_ACTIVATION_GELU_TANH:
        vf_activate_rows(QN_ACTIVATION_GELU_TANH, alpha, beta, c, stride, rows, columns);
        break;
    case QN_ACTIVATION_GELU_ERF:
        vf_activate_rows(QN_ACTIVATION_GELU_ERF, alpha, beta, c, stride, rows, columns);
        break;
    case QN_ACTIVATION_SILU:
        vf_activate_rows(QN_ACTIVATION_SILU, alpha, beta, c, stride, rows, columns);
        break;
    default:
        vf_activate_rows(kind, alpha, beta, c, stride, rows, columns);
    }
}

#endif
