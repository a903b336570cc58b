/* BINARY on vectors: add, sub, mul, div, max, min and glu in f32, f16 and bf16; the rest goes to the generic kernel. A
 * file for an instruction set defines KERNEL, SERIAL, NAME, NEEDS and RANK and includes this. */
#include "ir/ir.h"
#include "kernels/binary/binary.h"
#include "kernels/simd/vec_element.h"
#include "kernels/simd/vec_math.h"
#include "kernels/walk.h"

/* NaN wins, as in the generic kernel. */
QN_INLINE vf maximum(vf a, vf b)
{
    return vf_select(vf_nan(a), a, vf_max(a, b));
}

QN_INLINE vf minimum(vf a, vf b)
{
    return vf_select(vf_nan(a), a, vf_min(a, b));
}

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

/* a or b is one element for all where its stride is 0. */
QN_INLINE void each(vf (*f)(vf, vf), const float *a, bool a_one, const float *b, bool b_one, float *y, int64_t n)
{
    int64_t i = 0;
    if (a_one || b_one) {
        vf a0 = vf_set(*a), b0 = vf_set(*b);
        for (; i + VF_LANES <= n; i += VF_LANES)
            vf_store(y + i, f(a_one ? a0 : vf_load(a + i), b_one ? b0 : vf_load(b + i)));
        if (i < n) {
            vf x = a_one ? a0 : vf_load_part(a + i, n - i), z = b_one ? b0 : vf_load_part(b + i, n - i);
            vf_store_part(y + i, f(x, z), n - i);
        }
        return;
    }
    for (; i + VF_LANES <= n; i += VF_LANES)
        vf_store(y + i, f(vf_load(a + i), vf_load(b + i)));
    if (i < n)
        vf_store_part(y + i, f(vf_load_part(a + i, n - i), vf_load_part(b + i, n - i)), n - i);
}

static bool has(uint16_t op)
{
    switch (op) {
    case QN_OP_add:
    case QN_OP_sub:
    case QN_OP_mul:
    case QN_OP_div:
    case QN_OP_max:
    case QN_OP_min:
    case QN_OP_glu:
        return true;
    default:
        return false;
    }
}

struct operands {
    const float *a, *b;
    bool a_one, b_one;
    float *y;
};

static void apply(const struct qn_binary_params *p, const struct operands *o, int64_t n)
{
#define EACH(f) each(f, o->a, o->a_one, o->b, o->b_one, o->y, n)
    switch (p->op) {
    case QN_OP_add:
        EACH(vf_add);
        return;
    case QN_OP_sub:
        EACH(vf_sub);
        return;
    case QN_OP_mul:
        EACH(vf_mul);
        return;
    case QN_OP_div:
        EACH(vf_div);
        return;
    case QN_OP_max:
        EACH(maximum);
        return;
    case QN_OP_min:
        EACH(minimum);
        return;
    default:
        break;
    }
    switch (p->kind) {
    case QN_GLU_SILU:
        EACH(glu_silu);
        break;
    case QN_GLU_GELU_TANH:
        EACH(glu_gelu_tanh);
        break;
    case QN_GLU_GELU_ERF:
        EACH(glu_gelu_erf);
        break;
    case QN_GLU_SIGMOID:
        EACH(glu_sigmoid);
        break;
    default:
        EACH(glu_relu);
        break;
    }
#undef EACH
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

static void run(const void *params, int64_t begin, int64_t end, void *scratch)
{
    const struct qn_binary_params *p = params;
    qn_dtype dtype = p->a.dtype;
    if (!has(p->op) || !vf_takes(dtype)) {
        qn_binary_ref.run(params, begin, end, scratch);
        return;
    }
    int64_t first = begin * QN_ELEMENT_TILE, all = qn_view_elems(&p->y), left = end * QN_ELEMENT_TILE;
    left = (left < all ? left : all) - first;
    struct qn_walk walk;
    qn_walk_start(&walk, (const struct qn_view *[]){&p->y, &p->a, &p->b}, 3, first);
    int64_t y_step = qn_walk_step(&walk, 0), a_step = qn_walk_step(&walk, 1), b_step = qn_walk_step(&walk, 2), n;
    bool direct = dtype == QN_DTYPE_F32 && y_step == 4;
    for (; left > 0; left -= n) {
        n = qn_walk_run(&walk, left < QN_ELEMENT_RUN ? left : QN_ELEMENT_RUN);
        float a[QN_ELEMENT_RUN], b[QN_ELEMENT_RUN], y[QN_ELEMENT_RUN];
        struct operands o = {.y = direct ? (float *)walk.at[0] : y};
        o.a = operand(walk.at[1], a_step, dtype, n, a, &o.a_one);
        o.b = operand(walk.at[2], b_step, dtype, n, b, &o.b_one);
        apply(p, &o, n);
        if (!direct)
            vf_store_run(walk.at[0], y_step, dtype, y, n);
        qn_walk_advance(&walk, n);
    }
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
