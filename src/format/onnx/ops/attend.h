/* Scaled dot-product attention as core ops, for the ops of ai.onnx and com.microsoft; the passes fuse it. */
#ifndef QN_FORMAT_ONNX_OPS_ATTEND_H
#define QN_FORMAT_ONNX_OPS_ATTEND_H

#include "format/onnx/ops/elementwise.h"

/* q [b, h, m, d], k [b, g, n, d], v [b, g, n, e] with h a multiple of g, all f32 or f64; result [b, h, m, e]. */
struct qn_attend {
    qn_value q, k, v;
    qn_value bias; /* added to the scores: broadcastable to [b, h, m, n]; 0: none */
    double scale, softcap;
    bool guard;                                     /* rows whose bias is all -inf give 0 */
    bool report;                                    /* the fields below are asked for */
    qn_value scores, capped, biased, probabilities; /* [b, h, m, n] */
};
qn_value qn_attend(struct qn_lower *l, struct qn_attend *a);

/* [b, n, heads * d] as [b, heads, n, d], and back. */
qn_value qn_attend_split(struct qn_lower *l, qn_value x, int64_t heads);
qn_value qn_attend_join(struct qn_lower *l, qn_value x);
/* A mask of truth values as what is added to scores. */
qn_value qn_attend_bias(struct qn_lower *l, qn_value allowed, qn_dtype dtype);
/* 0, 1, 2, ... as i64 along an axis of a tensor of this rank. */
qn_value qn_attend_count(struct qn_lower *l, qn_dim count, uint32_t axis, uint32_t rank);
/* A size as i64 []. */
qn_value qn_attend_size(struct qn_lower *l, qn_dim dim);

/* x [b, s, h, d], cos and sin [b or 1, s, r / 2]: the first r elements of each head rotated. */
qn_value qn_attend_rotate(struct qn_lower *l, qn_value x, qn_value cos, qn_value sin, bool interleaved);

#endif
