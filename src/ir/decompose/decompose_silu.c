#include "ir/build.h"
#include "ir/decompose.h"

/* x * sigmoid(x) */
QN_DECOMPOSE(silu)
{
    struct qn_build b = {.graph = to};
    (void)input_count;
    (void)attr;
    outs[0] = qn_build_binary(&b, QN_OP_mul, inputs[0], qn_build_unary(&b, QN_OP_sigmoid, inputs[0]));
    return b.status;
}
