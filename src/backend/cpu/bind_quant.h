/* Binding of packed matrix products, of integer products and convolutions, and of quantisation. Rows in
 * cpu_backend.c. */
#ifndef QN_BACKEND_CPU_BIND_QUANT_H
#define QN_BACKEND_CPU_BIND_QUANT_H

#include "backend/backend.h"

/* matmul and linear with a constant plain weight that may be packed. */
bool qn_takes_gemm(const struct qn_graph *g, qn_node node);
void qn_bind_gemm(const struct qn_bind *b, int64_t call, struct qn_params *params);
int64_t qn_gemm_bind_packed_bytes(const struct qn_bind *b);
void qn_bind_gemm_pack(const struct qn_bind *b, struct qn_params *params);

/* matmul_integer: a call a matrix of the result, or one where b is a single matrix. */
int64_t qn_matmul_integer_calls(const struct qn_bind *b);
void qn_bind_matmul_integer(const struct qn_bind *b, int64_t call, struct qn_params *params);
int64_t qn_matmul_integer_packed_bytes(const struct qn_bind *b);
void qn_bind_matmul_integer_pack(const struct qn_bind *b, struct qn_params *params);
void qn_bind_q_linear(const struct qn_bind *b, int64_t call, struct qn_params *params);
int64_t qn_q_linear_packed_bytes(const struct qn_bind *b);
void qn_bind_q_linear_pack(const struct qn_bind *b, struct qn_params *params);

/* conv_integer and q_conv: input 1 or 3 is packed. */
void qn_bind_conv_integer(const struct qn_bind *b, int64_t call, struct qn_params *params);
void qn_bind_q_conv(const struct qn_bind *b, int64_t call, struct qn_params *params);
int64_t qn_conv_integer_packed_bytes(const struct qn_bind *b);
int64_t qn_q_conv_packed_bytes(const struct qn_bind *b);
void qn_bind_conv_integer_pack(const struct qn_bind *b, struct qn_params *params);
void qn_bind_q_conv_pack(const struct qn_bind *b, struct qn_params *params);

void qn_bind_quantize(const struct qn_bind *b, int64_t call, struct qn_params *params);
int64_t qn_dynamic_quantize_calls(const struct qn_bind *b);
int64_t qn_dynamic_quantize_shared(const struct qn_bind *b);
void qn_bind_dynamic_quantize(const struct qn_bind *b, int64_t call, struct qn_params *params);
void qn_bind_q_add(const struct qn_bind *b, int64_t call, struct qn_params *params);

#endif
