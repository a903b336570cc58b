/* CHAIN on vectors: what the vector kernels of UNARY and BINARY do themselves runs here without a detour. */
#include "kernels/chain/chain_program.h"
#include "kernels/simd/vec_ops.h"

static bool fast(uint16_t op, const struct qn_chain_value *v, const struct qn_chain_value *out, int64_t n)
{
    qn_dtype dtype = v[0].dtype;
    if (dtype == QN_DTYPE_F32 && vf_has_unary(op)) {
        vf_apply_unary(op, v[0].at, out->at, n);
        return true;
    }
    struct vf_operands o = {v[0].at, v[1].at, v[0].one, v[1].one};
    if (dtype == QN_DTYPE_F32 && vf_has_binary(op)) {
        vf_apply_binary(op, &o, out->at, n);
        return true;
    }
    return vf_apply_plain(op, dtype, &o, out->at, n);
}

#include "kernels/chain/chain_body.h"
