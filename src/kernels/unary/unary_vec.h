/* UNARY on vectors: f32, f16 and bf16, the ops that models use; the rest goes to the generic kernel. A file for an
 * instruction set defines KERNEL, SERIAL, NAME, NEEDS and RANK and includes this. */
#include "ir/ir.h"
#include "kernels/simd/vec_element.h"
#include "kernels/simd/vec_math.h"
#include "kernels/unary/unary.h"
#include "kernels/walk.h"

QN_INLINE vf negate(vf x)
{
    return vf_xor(x, vf_set(-0.0f));
}

QN_INLINE vf reciprocal_root(vf x)
{
    return vf_div(vf_set(1.0f), vf_sqrt(x));
}

QN_INLINE void each(vf (*f)(vf), const float *x, float *y, int64_t n)
{
    int64_t i = 0;
    for (; i + VF_LANES <= n; i += VF_LANES)
        vf_store(y + i, f(vf_load(x + i)));
    if (i < n)
        vf_store_part(y + i, f(vf_load_part(x + i, n - i)), n - i);
}

static bool has(uint16_t op)
{
    switch (op) {
    case QN_OP_neg:
    case QN_OP_abs:
    case QN_OP_exp:
    case QN_OP_sqrt:
    case QN_OP_rsqrt:
    case QN_OP_tanh:
    case QN_OP_sigmoid:
    case QN_OP_erf:
    case QN_OP_relu:
    case QN_OP_silu:
    case QN_OP_gelu_tanh:
    case QN_OP_gelu_erf:
        return true;
    default:
        return false;
    }
}

static void apply(uint16_t op, const float *x, float *y, int64_t n)
{
    switch (op) {
    case QN_OP_neg:
        each(negate, x, y, n);
        break;
    case QN_OP_abs:
        each(vf_abs, x, y, n);
        break;
    case QN_OP_exp:
        each(vf_exp, x, y, n);
        break;
    case QN_OP_sqrt:
        each(vf_sqrt, x, y, n);
        break;
    case QN_OP_rsqrt:
        each(reciprocal_root, x, y, n);
        break;
    case QN_OP_tanh:
        each(vf_tanh, x, y, n);
        break;
    case QN_OP_sigmoid:
        each(vf_sigmoid, x, y, n);
        break;
    case QN_OP_erf:
        each(vf_erf, x, y, n);
        break;
    case QN_OP_relu:
        each(vf_relu, x, y, n);
        break;
    case QN_OP_silu:
        each(vf_silu, x, y, n);
        break;
    case QN_OP_gelu_tanh:
        each(vf_gelu_tanh, x, y, n);
        break;
    default:
        each(vf_gelu_erf, x, y, n);
        break;
    }
}

static int64_t tiles(const void *params)
{
    return qn_view_tiles(&((const struct qn_unary_params *)params)->y);
}

static void run(const void *params, int64_t begin, int64_t end, void *scratch)
{
    const struct qn_unary_params *p = params;
    qn_dtype dtype = p->x.dtype;
    if (!has(p->op) || !vf_takes(dtype)) {
        qn_unary_ref.run(params, begin, end, scratch);
        return;
    }
    int64_t first = begin * QN_ELEMENT_TILE, all = qn_view_elems(&p->y), left = end * QN_ELEMENT_TILE;
    left = (left < all ? left : all) - first;
    struct qn_walk walk;
    qn_walk_start(&walk, (const struct qn_view *[]){&p->y, &p->x}, 2, first);
    int64_t y_step = qn_walk_step(&walk, 0), x_step = qn_walk_step(&walk, 1), n;
    bool direct = dtype == QN_DTYPE_F32 && y_step == 4 && x_step == 4;
    for (; left > 0; left -= n) {
        n = qn_walk_run(&walk, direct || left < QN_ELEMENT_RUN ? left : QN_ELEMENT_RUN);
        if (direct) {
            apply(p->op, (const float *)walk.at[1], (float *)walk.at[0], n);
        } else {
            float v[QN_ELEMENT_RUN];
            vf_load_run(v, walk.at[1], x_step, dtype, n);
            apply(p->op, v, v, n);
            vf_store_run(walk.at[0], y_step, dtype, v, n);
        }
        qn_walk_advance(&walk, n);
    }
}

const struct qn_kernel KERNEL = {
    .serial = SERIAL,
    .name = NAME,
    .family = QN_FAMILY_UNARY,
    .needs = NEEDS,
    .rank = RANK,
    .tiles = tiles,
    .run = run,
};
