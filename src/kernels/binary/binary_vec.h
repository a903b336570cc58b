/* BINARY on vectors: arithmetic and glu in f32, f16 and bf16, and what the compiler makes vectors of by itself; the
 * rest goes to the generic kernel. A file for an instruction set defines KERNEL, SERIAL, NAME, NEEDS and RANK and
 * includes this. */
#include "kernels/binary/binary.h"
#include "kernels/simd/vec_ops.h"
#include "kernels/walk.h"

QN_INLINE vf glu_silu(vf a, vf b)
{
    return vf_mul(vf_silu(a), b);
}
QN_INLINE vf glu_gelu_tanh(vf a, vf b)
{
    return vf_mul(vf_gelu_tanh(a), b);
}
QN_INLINE vf glu_gelu_erf(vf a, vf b)
{
    return vf_mul(vf_gelu_erf(a), b);
}
QN_INLINE vf glu_sigmoid(vf a, vf b)
{
    return vf_mul(vf_sigmoid(a), b);
}
QN_INLINE vf glu_relu(vf a, vf b)
{
    return vf_mul(vf_relu(a), b);
}

static void apply_glu(int32_t kind, const struct vf_operands *o, float *y, int64_t n)
{
    switch (kind) {
    case QN_GLU_SILU:
        vf_each_pair(glu_silu, o, y, n);
        break;
    case QN_GLU_GELU_TANH:
        vf_each_pair(glu_gelu_tanh, o, y, n);
        break;
    case QN_GLU_GELU_ERF:
        vf_each_pair(glu_gelu_erf, o, y, n);
        break;
    case QN_GLU_SIGMOID:
        vf_each_pair(glu_sigmoid, o, y, n);
        break;
    default:
        vf_each_pair(glu_relu, o, y, n);
        break;
    }
}

static int64_t tiles(const void *params)
{
    return qn_view_tiles(&((const struct qn_binary_params *)params)->y);
}

/* The operand itself where it is contiguous floats or one float, otherwise the run copied to `stage`. */
static const float *operand(const void *at, int64_t step, qn_dtype dtype, int64_t n, float *stage, bool *one)
{
    *one = step == 0;
    if (dtype == QN_DTYPE_F32 && (step == 4 || step == 0))
        return at;
    vf_load_run(stage, at, step, dtype, step ? n : 1);
    return stage;
}

static void run_floats(const struct qn_binary_params *p, struct qn_walk *walk, int64_t left)
{
    qn_dtype dtype = p->a.dtype;
    int64_t y_step = qn_walk_step(walk, 0), a_step = qn_walk_step(walk, 1), b_step = qn_walk_step(walk, 2);
    bool direct = dtype == QN_DTYPE_F32 && y_step == 4;
    bool whole = direct && (a_step == 4 || a_step == 0) && (b_step == 4 || b_step == 0);
    float a[QN_ELEMENT_RUN], b[QN_ELEMENT_RUN], v[QN_ELEMENT_RUN];
    for (int64_t n; left > 0; left -= n) {
        n = qn_walk_run(walk, whole || left < QN_ELEMENT_RUN ? left : QN_ELEMENT_RUN);
        struct vf_operands o;
        float *y = direct ? (float *)walk->at[0] : v;
        o.a = operand(walk->at[1], a_step, dtype, n, a, &o.a_one);
        o.b = operand(walk->at[2], b_step, dtype, n, b, &o.b_one);
        if (p->op == QN_OP_glu)
            apply_glu(p->kind, &o, y, n);
        else
            vf_apply_binary(p->op, &o, y, n);
        if (!direct)
            vf_store_run(walk->at[0], y_step, dtype, y, n);
        qn_walk_advance(walk, n);
    }
}

/* False, and nothing done, when this op, dtype and layout need the generic kernel. */
static bool run_plain(const struct qn_binary_params *p, struct qn_walk *walk, int64_t left)
{
    qn_dtype dtype = p->a.dtype;
    int64_t bytes = qn_element_bytes(dtype), a_step = qn_walk_step(walk, 1), b_step = qn_walk_step(walk, 2);
    if (qn_walk_step(walk, 0) != qn_element_bytes(p->y.dtype) || (a_step != bytes && a_step != 0) ||
        (b_step != bytes && b_step != 0))
        return false;
    for (int64_t n; left > 0; left -= n) {
        n = qn_walk_run(walk, left);
        struct vf_operands o = {walk->at[1], walk->at[2], a_step == 0, b_step == 0};
        if (o.a_one && o.b_one && n > 1)
            return false; /* before anything was done: steps are the same for all runs */
        if (!vf_apply_plain(p->op, dtype, &o, walk->at[0], n))
            return false;
        qn_walk_advance(walk, n);
    }
    return true;
}

static void run(const void *params, int64_t begin, int64_t end, void *scratch)
{
    const struct qn_binary_params *p = params;
    int64_t first = begin * QN_ELEMENT_TILE, all = qn_view_elems(&p->y), left = end * QN_ELEMENT_TILE;
    left = (left < all ? left : all) - first;
    struct qn_walk walk;
    if (p->a.dtype != QN_DTYPE_STRING) {
        qn_walk_start(&walk, (const struct qn_view *[]){&p->y, &p->a, &p->b}, 3, first);
        if ((vf_has_binary(p->op) || p->op == QN_OP_glu) && vf_takes(p->a.dtype)) {
            run_floats(p, &walk, left);
            return;
        }
        if (run_plain(p, &walk, left))
            return;
    }
    qn_binary_ref.run(params, begin, end, scratch);
}

const struct qn_kernel KERNEL = {
    .serial = SERIAL,
    .name = NAME,
    .family = QN_FAMILY_BINARY,
    .needs = NEEDS,
    .rank = RANK,
    .tiles = tiles,
    .run = run,
};
