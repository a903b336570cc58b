/* LSTM, GRU and RNN in their float and quantised forms. */
#ifndef QN_FORMAT_ONNX_OPS_RECURRENT_OP_H
#define QN_FORMAT_ONNX_OPS_RECURRENT_OP_H

#include "format/onnx/lower.h"

/* The op with 4, 3 or 1 gates over its inputs as ONNX orders them (floats of f32 or f64, 0: absent) and the node's
 * attributes: sets the outputs, of this dtype. */
void qn_onnx_recurrent(struct qn_lower *l, uint32_t gates, qn_value in[8], qn_dtype dtype);

/* The record of such an op from the node's attributes; r [d, gates * h, h] are the recurrent weights. The activations
 * of both directions stand one behind the other. */
void qn_onnx_recurrent_record(struct qn_lower *l, uint32_t gates, qn_value r, struct qn_attr_rnn *attr);

#endif
