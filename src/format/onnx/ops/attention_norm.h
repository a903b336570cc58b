/* Normalisation over the last axes, as several ops of ONNX need it. */
#ifndef QN_FORMAT_ONNX_OPS_ATTENTION_NORM_H
#define QN_FORMAT_ONNX_OPS_ATTENTION_NORM_H

#include "format/onnx/ops/elementwise.h"

/* x (f32 or f64) normalised over axes `axis` and later ones, times weight, plus bias (0: none). rms: without the mean.
 * mean and inverse (may be NULL) receive what it was made with, axes kept. */
qn_value qn_lower_normalize(struct qn_lower *l, qn_value x, int64_t axis, qn_value weight, qn_value bias, float epsilon,
                            bool rms, qn_value *mean, qn_value *inverse);

#endif
