/* What the lowerings of quantised ops share. */
#ifndef QN_FORMAT_ONNX_OPS_QUANT_H
#define QN_FORMAT_ONNX_OPS_QUANT_H

#include "format/onnx/lower.h"

/* v is absent or has one element. */
bool qn_onnx_is_one(const struct qn_lower *l, qn_value v);
/* v as f32; 0 stays 0. */
qn_value qn_onnx_f32(struct qn_lower *l, qn_value v);
/* With one scale; zero may be absent. */
qn_value qn_onnx_quantize(struct qn_lower *l, qn_value x, qn_value scale, qn_value zero, qn_dtype dtype);
qn_value qn_onnx_dequantize(struct qn_lower *l, qn_value x, qn_value scale, qn_value zero);

/* zero, or a constant 0 where it is absent. */
qn_value qn_onnx_zero_point(struct qn_lower *l, qn_value zero, qn_dtype dtype);

/* Operands of the op q_linear (ir/ops.def; zero points may be absent); whether their shapes (b not transposed) and
 * dtypes are its. */
bool qn_onnx_takes_q_linear(const struct qn_lower *l, const qn_value inputs[9]);
qn_value qn_onnx_q_linear(struct qn_lower *l, const qn_value given[9], struct qn_attr_q_linear attr);
/* The f32 product of inputs 0 to 5 in any shapes. */
qn_value qn_onnx_q_matmul(struct qn_lower *l, const qn_value inputs[9]);
/* The same plus input 6 (f32, 0: none), as q_linear where the shapes fit. */
qn_value qn_onnx_float_product(struct qn_lower *l, const qn_value inputs[9]);

#endif
