/* UNARY on vectors: f32, f16 and bf16, the ops that models use; the rest goes to the generic kernel. A file for an
 * instruction set defines KERNEL, SERIAL, NAME, NEEDS and RANK and includes this. */
#include "kernels/simd/vec_ops.h"
#include "kernels/unary/unary.h"
#include "kernels/walk.h"

static int64_t tiles(const void *params)
{
    return qn_view_tiles(&((const struct qn_unary_params *)params)->y);
}

static void run(const void *params, int64_t begin, int64_t end, void *scratch)
{
    const struct qn_unary_params *p = params;
    qn_dtype dtype = p->x.dtype;
    if (!vf_has_unary(p->op) || !vf_takes(dtype)) {
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
            vf_apply_unary(p->op, (const float *)walk.at[1], (float *)walk.at[0], n);
        } else {
            float v[QN_ELEMENT_RUN];
            vf_load_run(v, walk.at[1], x_step, dtype, n);
            vf_apply_unary(p->op, v, v, n);
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
