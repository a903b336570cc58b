/* What the float and the quantised forms of com.microsoft's transformer ops share. */
#ifndef QN_FORMAT_ONNX_OPS_MICROSOFT_H
#define QN_FORMAT_ONNX_OPS_MICROSOFT_H

#include "format/onnx/lower.h"

/* Numbers of the node's inputs; 0: the op has none. */
struct qn_ms_attention_inputs {
    uint32_t mask, past, bias, length; /* length: of the past, where past and present share their memory */
};
/* Everything of Attention behind the projection to query, key and value, all [b, s, 3 * hidden] in f32 or f64: sets the
 * outputs, of this dtype. */
void qn_ms_attention(struct qn_lower *l, qn_value all, qn_dtype dtype, const struct qn_ms_attention_inputs *at);

struct qn_ms_embedding {
    qn_value tables[3];    /* words, positions, segments (0: none), f32 or f64 */
    qn_value weight, bias; /* of the normalisation */
    qn_value positions;    /* 0: counted up */
    qn_dtype dtype;        /* of the outputs */
};
/* EmbedLayerNormalization with ids in input 0, segments in 1 and the mask in 7. */
void qn_ms_embed_layer_norm(struct qn_lower *l, const struct qn_ms_embedding *e);

/* The attribute scale, or 1 / sqrt(d) of q [b, h, s, d] where it is 0 or not there. */
double qn_ms_scale(struct qn_lower *l, qn_value q);

#endif
