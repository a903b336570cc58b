/* SOFTMAX on vectors: f32, f16 and bf16; f64 goes to the generic kernel. A row is staged as floats in scratch. A file
 * for an instruction set defines KERNEL, SERIAL, NAME, NEEDS and RANK and includes this.
 *
 * Lane j sums the elements j, j + VF_LANES, ... of the row; then the lanes fold. */
#include "kernels/simd/vec_element.h"
#include "kernels/simd/vec_math.h"
#include "kernels/softmax/softmax.h"
#include "kernels/walk.h"

static int64_t tiles(const void *params)
{
    return qn_softmax_ref.tiles(params);
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
        vf e = vf_exp(vf_sub(vf_load(v + i), max));
        sums = vf_add(sums, e);
        vf_store(v + i, e);
    }
    if (i < n) {
        vf e = vf_exp(vf_sub(vf_load_part(v + i, n - i), max));
        sums = vf_add(sums, vf_select(vf_range(0, n - i), e, vf_zero()));
        vf_store_part(v + i, e, n - i);
    }
    vf total = vf_set(vf_sum(sums));
    for (i = 0; i + VF_LANES <= n; i += VF_LANES)
        vf_store(v + i, vf_div(vf_load(v + i), total));
    if (i < n)
        vf_store_part(v + i, vf_div(vf_load_part(v + i, n - i), total), n - i);
}

static void run(const void *params, int64_t begin, int64_t end, void *scratch)
{
    const struct qn_softmax_params *p = params;
    qn_dtype dtype = p->x.dtype;
    if (!vf_takes(dtype)) {
        qn_softmax_ref.run(params, begin, end, scratch);
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
