/* ROPE on vectors: f32, f16 and bf16; f64 goes to the generic kernel. A file for an instruction set defines KERNEL,
 * SERIAL, NAME, NEEDS and RANK and includes this.
 *
 * The angles of a row serve all its heads: they are staged once as floats. For interleaved pairs the row
 * c0 c0 c1 c1 ... and -s0 s0 -s1 s1 ... is staged, so that y = x c + swapped(x) s without taking pairs apart. */
#include "kernels/rope/rope.h"
#include "kernels/simd/vec_element.h"
#include "kernels/walk.h"

static int64_t tiles(const void *params)
{
    return qn_rope_ref.tiles(params);
}

static int64_t rotated(const struct qn_rope_params *p)
{
    return 2 * p->cos.dims[1];
}

/* cos, sin, a head */
static int64_t scratch_bytes(const void *params)
{
    const struct qn_rope_params *p = params;
    return (2 * rotated(p) + p->x.dims[2]) * 4;
}

static void load_angles(const struct qn_rope_params *p, const struct qn_view *view, int64_t row, bool negate,
                        float *out)
{
    int64_t bytes = qn_element_bytes(view->dtype), half = view->dims[1];
    vf_load_run(out, qn_view_row(view, 1, row, bytes), view->strides[1] * bytes, view->dtype, half);
    if (!p->interleaved)
        return;
    for (int64_t i = half; i-- > 0;) {
        out[2 * i + 1] = out[i];
        out[2 * i] = negate ? -out[2 * i + 1] : out[2 * i + 1];
    }
}

static void rotate_halves(const float *c, const float *s, const float *x, float *y, int64_t half)
{
    int64_t i = 0;
    for (; i + VF_LANES <= half; i += VF_LANES) {
        vf a = vf_load(x + i), b = vf_load(x + half + i), cos = vf_load(c + i), sin = vf_load(s + i);
        vf_store(y + i, vf_fnma(b, sin, vf_mul(a, cos)));
        vf_store(y + half + i, vf_fma(a, sin, vf_mul(b, cos)));
    }
    if (i < half) {
        int64_t n = half - i;
        vf a = vf_load_part(x + i, n), b = vf_load_part(x + half + i, n);
        vf cos = vf_load_part(c + i, n), sin = vf_load_part(s + i, n);
        vf_store_part(y + i, vf_fnma(b, sin, vf_mul(a, cos)), n);
        vf_store_part(y + half + i, vf_fma(a, sin, vf_mul(b, cos)), n);
    }
}

static void rotate_pairs(const float *c, const float *s, const float *x, float *y, int64_t n)
{
    int64_t i = 0;
    for (; i + VF_LANES <= n; i += VF_LANES) {
        vf v = vf_load(x + i);
        vf_store(y + i, vf_fma(vf_swap_pairs(v), vf_load(s + i), vf_mul(v, vf_load(c + i))));
    }
    if (i < n) {
        vf v = vf_load_part(x + i, n - i), cos = vf_load_part(c + i, n - i), sin = vf_load_part(s + i, n - i);
        vf_store_part(y + i, vf_fma(vf_swap_pairs(v), sin, vf_mul(v, cos)), n - i);
    }
}

static void run(const void *params, int64_t begin, int64_t end, void *scratch)
{
    const struct qn_rope_params *p = params;
    qn_dtype dtype = p->x.dtype;
    if (!vf_takes(dtype)) {
        qn_rope_ref.run(params, begin, end, scratch);
        return;
    }
    int64_t bytes = qn_element_bytes(dtype), d = p->x.dims[2], r = rotated(p), heads = p->x.dims[1], at_row = -1;
    int64_t x_step = p->x.strides[2] * bytes, y_step = p->y.strides[2] * bytes;
    float *c = scratch, *s = c + r, *stage = s + r;
    bool direct = dtype == QN_DTYPE_F32 && x_step == 4 && y_step == 4;
    for (int64_t tile = begin; tile < end; tile++) {
        if (tile / heads != at_row) {
            at_row = tile / heads;
            load_angles(p, &p->cos, at_row, false, c);
            load_angles(p, &p->sin, at_row, true, s);
        }
        char *x = qn_view_row(&p->x, 2, tile, bytes), *y = qn_view_row(&p->y, 2, tile, bytes);
        const float *from = direct ? (const float *)(const void *)x : stage;
        float *to = direct ? (float *)(void *)y : stage;
        if (!direct)
            vf_load_run(stage, x, x_step, dtype, r);
        if (p->interleaved)
            rotate_pairs(c, s, from, to, r);
        else
            rotate_halves(c, s, from, to, r / 2);
        if (!direct)
            vf_store_run(y, y_step, dtype, stage, r);
        if (r < d && x != y)
            qn_move_elements(y + r * y_step, y_step, x + r * x_step, x_step, bytes, d - r);
    }
}

const struct qn_kernel KERNEL = {
    .serial = SERIAL,
    .name = NAME,
    .family = QN_FAMILY_ROPE,
    .needs = NEEDS,
    .rank = RANK,
    .tiles = tiles,
    .scratch = scratch_bytes,
    .run = run,
};
