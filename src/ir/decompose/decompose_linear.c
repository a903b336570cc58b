#include "ir/build.h"
#include "ir/decompose.h"

/* activation(x w^T + bias + residual), or x w */
QN_DECOMPOSE(linear)
{
    const struct qn_attr_linear *record = attr;
    struct qn_build b = {.graph = to};
    qn_value y = qn_build_matmul(&b, inputs[0], inputs[1], !record->plain_b, NULL);
    for (uint32_t i = 2; i < input_count; i++)
        if (inputs[i])
            y = qn_build_binary(&b, QN_OP_add, y, inputs[i]);
    outs[0] = qn_build_activation(&b, y, record->activation, record->alpha, record->beta);
    return b.status;
}
