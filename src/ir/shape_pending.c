/* Rules of ops whose family is on its way: each moves to the file of its group and leaves this list. */
#include "ir/decompose.h"
#include "ir/shape.h"

#define PENDING(rule) \
    qn_status qn_shape_##rule(const struct qn_shape_context *c) \
    { \
        (void)c; \
        return QN_ERROR(QN_UNSUPPORTED, "no shape rule " #rule); \
    }
PENDING(conv_integer)
PENDING(dequantize)
PENDING(dynamic_quantize)
PENDING(matmul_integer)
PENDING(q_conv)
PENDING(q_linear)
PENDING(quantize)

#define PENDING_DECOMPOSITION(op) \
    QN_DECOMPOSE(op) \
    { \
        (void)to; \
        (void)inputs; \
        (void)input_count; \
        (void)attr; \
        (void)outs; \
        return QN_ERROR(QN_UNSUPPORTED, "no decomposition of " #op); \
    }
PENDING_DECOMPOSITION(q_linear)
PENDING_DECOMPOSITION(q_conv)
