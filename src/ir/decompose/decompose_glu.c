#include "ir/build.h"
#include "ir/decompose.h"

/* activation(gate) * up. The activations that are fused themselves come apart too, so that the result is core ops. */
QN_DECOMPOSE(glu)
{
    const struct qn_attr_glu *a = attr;
    struct qn_build b = {.graph = to};
    qn_value gate = 0;
    (void)input_count;
    switch ((enum qn_glu_kind)a->kind) {
    case QN_GLU_SILU:
        b.status = qn_decompose_silu(to, inputs, 1, NULL, &gate);
        break;
    case QN_GLU_GELU_TANH:
        b.status = qn_decompose_gelu_tanh(to, inputs, 1, NULL, &gate);
        break;
    case QN_GLU_GELU_ERF:
        b.status = qn_decompose_gelu_erf(to, inputs, 1, NULL, &gate);
        break;
    case QN_GLU_SIGMOID:
        gate = qn_build_unary(&b, QN_OP_sigmoid, inputs[0]);
        break;
    case QN_GLU_RELU:
        gate = qn_build_unary(&b, QN_OP_relu, inputs[0]);
        break;
    }
    outs[0] = qn_build_binary(&b, QN_OP_mul, gate, inputs[1]);
    return b.status;
}
