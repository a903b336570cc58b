#include "ir/chain.h"

bool qn_chain_takes(uint16_t op, qn_dtype dtype)
{
    if (op == QN_OP_glu || op == QN_OP_is_inf || !(qn_op_info(op)->traits & QN_OP_ELEMENTWISE))
        return false;
    switch (dtype) {
    case QN_DTYPE_F32:
    case QN_DTYPE_F64:
    case QN_DTYPE_F16:
    case QN_DTYPE_BF16:
    case QN_DTYPE_I8:
    case QN_DTYPE_I16:
    case QN_DTYPE_I32:
    case QN_DTYPE_I64:
    case QN_DTYPE_U8:
    case QN_DTYPE_U16:
    case QN_DTYPE_U32:
    case QN_DTYPE_U64:
    case QN_DTYPE_BOOL:
        return true;
    default:
        return false;
    }
}
