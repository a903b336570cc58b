/* NORM on vectors: f32, f16 and bf16; f64 goes to the generic kernel. A file for an instruction set defines KERNEL,
 * SERIAL, NAME, NEEDS and RANK and includes this.
 *
 * Lane j of four sums in turn takes the elements j, j + VF_LANES, ... of the row; then the sums and the lanes fold. The
 * row and its weight are floats, staged in scratch where they are stored otherwise. */
#include "ir/ir.h"
#include "kernels/norm/norm.h"
#include "kernels/simd/vec_element.h"
#include "kernels/walk.h"

static int64_t tiles(const void *params)
{
    return qn_norm_ref.tiles(params);
}

static int64_t row_bytes(const struct qn_norm_params *p)
{
    return (p->x.dims[p->x.rank - 1] * 4 + 63) & ~(int64_t)63;
}

/* Row, weight and bias. */
static int64_t scratch_bytes(const void *params)
{
    return 3 * row_bytes(params);
}

/* Sum of x, or of (x - mean)^2. Parts beyond the row add 0. */
QN_INLINE float row_sum(const float *x, int64_t d, float mean, bool squares)
{
    vf sums[4] = {vf_zero(), vf_zero(), vf_zero(), vf_zero()}, means = vf_set(mean);
    int64_t i = 0;
    for (; i + 4 * VF_LANES <= d; i += 4 * VF_LANES) {
        for (int j = 0; j < 4; j++) {
            vf v = vf_sub(vf_load(x + i + j * VF_LANES), means);
            sums[j] = squares ? vf_fma(v, v, sums[j]) : vf_add(sums[j], v);
        }
    }
    for (int j = 0; i < d; j++, i += VF_LANES) {
        int64_t n = d - i < VF_LANES ? d - i : VF_LANES;
        vf v = n < VF_LANES ? vf_load_part(x + i, n) : vf_load(x + i);
        v = vf_sub(v, means);
        if (n < VF_LANES)
            v = vf_select(vf_range(0, n), v, vf_zero());
        sums[j] = squares ? vf_fma(v, v, sums[j]) : vf_add(sums[j], v);
    }
    return vf_sum(vf_add(vf_add(sums[0], sums[1]), vf_add(sums[2], sums[3])));
}

struct constants {
    const float *weight, *bias; /* NULL: none */
    float mean, scale;
};

QN_INLINE vf finish(vf x, vf weight, vf bias, const struct constants *c)
{
    x = vf_mul(vf_sub(x, vf_set(c->mean)), vf_set(c->scale));
    if (c->weight)
        x = vf_mul(x, weight);
    return c->bias ? vf_add(x, bias) : x;
}

static void write_row(const float *x, float *y, int64_t d, const struct constants *c)
{
    const float *weight = c->weight ? c->weight : x, *bias = c->bias ? c->bias : x;
    int64_t i = 0;
    for (; i + VF_LANES <= d; i += VF_LANES)
        vf_store(y + i, finish(vf_load(x + i), vf_load(weight + i), vf_load(bias + i), c));
    if (i < d) {
        int64_t n = d - i;
        vf w = vf_load_part(weight + i, n), b = vf_load_part(bias + i, n);
        vf_store_part(y + i, finish(vf_load_part(x + i, n), w, b, c), n);
    }
}

/* A parameter or row as floats: in place where it is, otherwise staged. */
static const float *as_floats(const void *at, int64_t step, qn_dtype dtype, int64_t d, float *stage)
{
    if (!at || (dtype == QN_DTYPE_F32 && step == 4))
        return at;
    vf_load_run(stage, at, step, dtype, d);
    return stage;
}

static const float *parameter(const struct qn_view *view, int64_t d, float *stage)
{
    return as_floats(view->data, view->strides[0] * qn_element_bytes(view->dtype), view->dtype, d, stage);
}

static void run(const void *params, int64_t begin, int64_t end, void *scratch)
{
    const struct qn_norm_params *p = params;
    qn_dtype dtype = p->x.dtype;
    if (!vf_takes(dtype)) {
        qn_norm_ref.run(params, begin, end, scratch);
        return;
    }
    uint32_t last = p->x.rank - 1;
    int64_t d = p->x.dims[last], bytes = qn_element_bytes(dtype);
    int64_t x_step = p->x.strides[last] * bytes, y_step = p->y.strides[last] * bytes;
    float *stage = scratch, *weight_stage = stage + row_bytes(p) / 4, *bias_stage = weight_stage + row_bytes(p) / 4;
    bool direct = dtype == QN_DTYPE_F32 && y_step == 4;
    struct constants c = {.weight = parameter(&p->weight, d, weight_stage), .bias = parameter(&p->bias, d, bias_stage)};
    for (int64_t row = begin; row < end; row++) {
        const float *x = as_floats(qn_view_row(&p->x, last, row, bytes), x_step, dtype, d, stage);
        char *y = qn_view_row(&p->y, last, row, bytes);
        c.mean = p->op == QN_OP_layer_norm ? row_sum(x, d, 0, false) / (float)d : 0;
        c.scale = 1 / __builtin_sqrtf(row_sum(x, d, c.mean, true) / (float)d + p->epsilon);
        write_row(x, direct ? (float *)(void *)y : stage, d, &c);
        if (!direct)
            vf_store_run(y, y_step, dtype, stage, d);
    }
}

const struct qn_kernel KERNEL = {
    .serial = SERIAL,
    .name = NAME,
    .family = QN_FAMILY_NORM,
    .needs = NEEDS,
    .rank = RANK,
    .tiles = tiles,
    .scratch = scratch_bytes,
    .run = run,
};
