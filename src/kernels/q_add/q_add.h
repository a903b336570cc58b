/* Family Q_ADD: y = quantise(activation(a_scale (a - a_zero) + b_scale (b - b_zero))) over n bytes, u8 or i8 each, the
 * scales one each. Activation NONE or RELU. Computed as
 * nearest even(a * (a_scale / y_scale) + b * (b_scale / y_scale) + constant), so that where the sequence dequantise,
 * add, quantise rounds in between, the result may be the neighbour. */
#ifndef QN_KERNELS_Q_ADD_H
#define QN_KERNELS_Q_ADD_H

#include "kernels/kernel.h"

enum { QN_Q_ADD_TILE = 16384 };

struct qn_q_add_params {
    const void *a, *b;
    void *y;
    int64_t n;
    bool a_signed, b_signed, y_signed, relu;
    const float *a_scale, *b_scale, *y_scale;
    const void *a_zero, *b_zero, *y_zero; /* NULL: 0 */
};

/* y = nearest(a * a_factor + b * b_factor + constant), within [low, high]; then + y_zero */
struct qn_q_add_factors {
    float a, b, constant, low, high;
    int32_t zero;
    bool is_signed; /* y */
};
struct qn_q_add_factors qn_q_add_factors(const struct qn_q_add_params *p);
int64_t qn_q_add_tiles(const void *params);

#endif
