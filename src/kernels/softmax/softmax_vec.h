/* SOFTMAX on vectors: f32, f16 and bf16; f64 goes to the generic kernel. A row of 16-bit floats, or one whose elements
 * lie apart, is staged as floats in scratch; rows of f32 side by side are taken 256 at a time, as they lie. A file for
 * an instruction set defines KERNEL, SERIAL, NAME, NEEDS and RANK and includes this.
 *
 * Lane j sums the elements j, j + VF_LANES, ... of the row; then the lanes fold. Side by side: one after the other. */
#include "kernels/lines.h"
#include "kernels/simd/vec_element.h"
#include "kernels/simd/vec_math.h"
#include "kernels/softmax/softmax.h"
#include "kernels/walk.h"

enum { BESIDE = 256 }; /* rows taken at a time */

/* f32 rows that lie beside one another, along an axis that is not the innermost. */
static bool beside(const struct qn_softmax_params *p)
{
    uint32_t last = p->x.rank - 1;
    return p->x.dtype == QN_DTYPE_F32 && p->axis != last && p->x.dims[last] > 1 && p->x.strides[last] == 1 &&
           p->y.strides[last] == 1;
}

static int64_t tiles(const void *params)
{
    const struct qn_softmax_params *p = params;
    int64_t rows = qn_softmax_ref.tiles(params);
    return beside(p) ? (rows + BESIDE - 1) / BESIDE : rows;
}

static int64_t scratch_bytes(const void *params)
{
    const struct qn_softmax_params *p = params;
    return p->x.dims[p->axis] * 4;
}

static float row_max(const float *v, int64_t n)
{
    vf most = vf_set(-__builtin_inff());
    int64_t i = 0;
    for (; i + VF_LANES <= n; i += VF_LANES)
        most = vf_max(vf_load(v + i), most);
    if (i < n)
        most = vf_max(vf_select(vf_range(0, n - i), vf_load_part(v + i, n - i), most), most);
    return vf_largest(most);
}

static void softmax_row(float *v, int64_t n)
{
    vf max = vf_set(row_max(v, n)), sums = vf_zero();
    int64_t i = 0;
    for (; i + VF_LANES <= n; i += VF_LANES) {
        vf e = vf_exp_share(vf_sub(vf_load(v + i), max));
        sums = vf_add(sums, e);
        vf_store(v + i, e);
    }
    if (i < n) {
        vf e = vf_exp_share(vf_sub(vf_load_part(v + i, n - i), max));
        sums = vf_add(sums, vf_select(vf_range(0, n - i), e, vf_zero()));
        vf_store_part(v + i, e, n - i);
    }
    vf total = vf_set(vf_sum(sums));
    for (i = 0; i + VF_LANES <= n; i += VF_LANES)
        vf_store(v + i, vf_div(vf_load(v + i), total));
    if (i < n)
        vf_store_part(v + i, vf_div(vf_load_part(v + i, n - i), total), n - i);
}

/* n <= BESIDE rows side by side, their elements x_along and y_along floats apart. */
static void softmax_beside(const float *x, int64_t x_along, float *y, int64_t y_along, int64_t length, int64_t n)
{
    float max[BESIDE], sum[BESIDE];
    for (int64_t i = 0; i < n; i += VF_LANES) {
        vf_store(max + i, vf_set(-__builtin_inff()));
        vf_store(sum + i, vf_zero());
    }
    for (int64_t k = 0; k < length; k++)
        for (int64_t i = 0; i < n; i += VF_LANES)
            vf_store(max + i, vf_max(vf_load_up_to(x + k * x_along + i, n - i), vf_load(max + i)));
    for (int64_t k = 0; k < length; k++) {
        for (int64_t i = 0; i < n; i += VF_LANES) {
            vf e = vf_exp_share(vf_sub(vf_load_up_to(x + k * x_along + i, n - i), vf_load(max + i)));
            vf_store(sum + i, vf_add(vf_load(sum + i), e));
            vf_store_up_to(y + k * y_along + i, e, n - i);
        }
    }
    for (int64_t k = 0; k < length; k++)
        for (int64_t i = 0; i < n; i += VF_LANES) {
            float *at = y + k * y_along + i;
            vf_store_up_to(at, vf_div(vf_load_up_to(at, n - i), vf_load(sum + i)), n - i);
        }
}

static void run_beside(const struct qn_softmax_params *p, int64_t begin, int64_t end)
{
    struct qn_view x = qn_lines_base(&p->x, p->axis), y = qn_lines_base(&p->y, p->axis);
    int64_t all = qn_lines(&p->x, p->axis), first = begin * BESIDE, left = end * BESIDE, n;
    left = (left < all ? left : all) - first;
    struct qn_walk walk;
    qn_walk_start(&walk, (const struct qn_view *[]){&y, &x}, 2, first);
    for (; left > 0; left -= n) {
        n = qn_walk_run(&walk, left < BESIDE ? left : BESIDE);
        softmax_beside((const float *)(const void *)walk.at[1], p->x.strides[p->axis], (float *)(void *)walk.at[0],
                       p->y.strides[p->axis], p->x.dims[p->axis], n);
        qn_walk_advance(&walk, n);
    }
}

static void run(const void *params, int64_t begin, int64_t end, void *scratch)
{
    const struct qn_softmax_params *p = params;
    qn_dtype dtype = p->x.dtype;
    if (!vf_takes(dtype)) {
        qn_softmax_ref.run(params, begin, end, scratch);
        return;
    }
    if (beside(p)) {
        run_beside(p, begin, end);
        return;
    }
    int64_t bytes = qn_element_bytes(dtype), n = p->x.dims[p->axis];
    int64_t x_step = p->x.strides[p->axis] * bytes, y_step = p->y.strides[p->axis] * bytes;
    for (int64_t row = begin; row < end; row++) {
        vf_load_run(scratch, qn_view_row(&p->x, p->axis, row, bytes), x_step, dtype, n);
        softmax_row(scratch, n);
        vf_store_run(qn_view_row(&p->y, p->axis, row, bytes), y_step, dtype, scratch, n);
    }
}

const struct qn_kernel KERNEL = {
    .serial = SERIAL,
    .name = NAME,
    .family = QN_FAMILY_SOFTMAX,
    .needs = NEEDS,
    .rank = RANK,
    .tiles = tiles,
    .scratch = scratch_bytes,
    .run = run,
};
