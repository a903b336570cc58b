#include "kernels/rope/rope.h"
#include "kernels/walk.h"

static int64_t tiles(const void *params)
{
    const struct qn_rope_params *p = params;
    return p->x.dims[0] * p->x.dims[1];
}

static void rotate_head(const struct qn_rope_params *p, int64_t row, const char *x, char *y)
{
    qn_dtype dtype = p->x.dtype;
    int64_t bytes = qn_element_bytes(dtype), half = p->cos.dims[1], d = p->x.dims[2];
    int64_t x_step = p->x.strides[2] * bytes, y_step = p->y.strides[2] * bytes;
    int64_t cos_step = p->cos.strides[1] * qn_element_bytes(p->cos.dtype);
    int64_t sin_step = p->sin.strides[1] * qn_element_bytes(p->sin.dtype);
    const char *cos = qn_view_row(&p->cos, 1, row, qn_element_bytes(p->cos.dtype));
    const char *sin = qn_view_row(&p->sin, 1, row, qn_element_bytes(p->sin.dtype));
    for (int64_t i = 0; i < half; i++) {
        int64_t first = p->interleaved ? 2 * i : i, second = p->interleaved ? 2 * i + 1 : i + half;
        double a, b, c, s, out;
        qn_load_f64(&a, x + first * x_step, 0, dtype, 1);
        qn_load_f64(&b, x + second * x_step, 0, dtype, 1);
        qn_load_f64(&c, cos + i * cos_step, 0, p->cos.dtype, 1);
        qn_load_f64(&s, sin + i * sin_step, 0, p->sin.dtype, 1);
        out = a * c - b * s;
        qn_store_f64(y + first * y_step, 0, dtype, &out, 1);
        out = b * c + a * s;
        qn_store_f64(y + second * y_step, 0, dtype, &out, 1);
    }
    qn_move_elements(y + 2 * half * y_step, y_step, x + 2 * half * x_step, x_step, bytes, d - 2 * half);
}

static void run(const void *params, int64_t begin, int64_t end, void *scratch)
{
    (void)scratch;
    const struct qn_rope_params *p = params;
    int64_t bytes = qn_element_bytes(p->x.dtype);
    for (int64_t tile = begin; tile < end; tile++)
        rotate_head(p, tile / p->x.dims[1], qn_view_row(&p->x, 2, tile, bytes), qn_view_row(&p->y, 2, tile, bytes));
}

const struct qn_kernel qn_rope_ref = {
    .serial = 500,
    .name = "rope_ref",
    .family = QN_FAMILY_ROPE,
    .tiles = tiles,
    .run = run,
};
