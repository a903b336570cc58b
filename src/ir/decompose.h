/* Decompositions of the fused ops: src/ir/decompose/<op>.c, one file an op. */
#ifndef QN_IR_DECOMPOSE_H
#define QN_IR_DECOMPOSE_H

#include "ir/ir.h"

#define QN_DECOMPOSE(name)                                                                                             \
    qn_status qn_decompose_##name(struct qn_graph *to, const qn_value *inputs, uint32_t input_count, const void *attr, \
                                  qn_value *outs)

#define qn_decompose_0 NULL /* core ops */

QN_DECOMPOSE(rms_norm);
QN_DECOMPOSE(layer_norm);
QN_DECOMPOSE(rope);
QN_DECOMPOSE(attention);
QN_DECOMPOSE(paged_attention);
QN_DECOMPOSE(silu);
QN_DECOMPOSE(gelu_tanh);
QN_DECOMPOSE(gelu_erf);
QN_DECOMPOSE(glu);
QN_DECOMPOSE(expert_matmul);
QN_DECOMPOSE(linear);
QN_DECOMPOSE(group_norm);
QN_DECOMPOSE(chain);
QN_DECOMPOSE(q_linear);
QN_DECOMPOSE(q_conv);
QN_DECOMPOSE(q_add);

#endif
