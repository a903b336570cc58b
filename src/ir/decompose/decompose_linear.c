#include "ir/build.h"
#include "ir/decompose.h"

/* x w^T + bias + residual */
QN_DECOMPOSE(linear)
{
    struct qn_build b = {.graph = to};
    (void)attr;
    qn_value y = qn_build_matmul(&b, inputs[0], inputs[1], true, NULL);
    for (uint32_t i = 2; i < input_count; i++)
        if (inputs[i])
            y = qn_build_binary(&b, QN_OP_add, y, inputs[i]);
    outs[0] = y;
    return b.status;
}
