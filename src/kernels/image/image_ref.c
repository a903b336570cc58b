#include "ir/ir.h"
#include "kernels/element.h"
#include "kernels/image/resample.h"
#include "kernels/math.h"
#include "kernels/walk.h"

static int64_t tiles(const void *params)
{
    const struct qn_image_params *p = params;
    const struct qn_view *y = p->op == QN_OP_resize        ? &p->resize.y
                              : p->op == QN_OP_grid_sample ? &p->grid_sample.y
                                                           : &p->roi_align.y;
    int64_t elements = qn_view_elems(y);
    if (elements == 0)
        return 0;
    return elements / (p->op == QN_OP_resize ? (y->rank ? y->dims[y->rank - 1] : 1) : y->dims[1]);
}

/* The taps of all axes, one table after the other. */
static int64_t scratch_bytes(const void *params)
{
    const struct qn_image_params *p = params;
    int64_t taps = 0;
    if (p->op == QN_OP_resize)
        for (uint32_t i = 0; i < p->resize.y.rank; i++)
            taps += p->resize.axes[i].out * qn_resize_tap_count(&p->resize, i);
    return (taps * (int64_t)sizeof(struct qn_resize_tap) + 63) / 64 * 64;
}

struct tables {
    struct qn_resize_tap *axis[8];
    int64_t count[8];
};

/* Adds weight times the row of x at `offset` to sum[0 .. n): output elements `first` on. */
static void add_row(const struct qn_resize_params *p, const struct tables *t, int64_t offset, double weight,
                    int64_t first, int64_t n, double *sum)
{
    uint32_t last = p->y.rank - 1;
    int64_t bytes = qn_element_bytes(p->x.dtype), step = p->x.strides[last] * bytes, count = t->count[last];
    const char *x = (const char *)p->x.data + offset * bytes;
    const struct qn_resize_tap *tap = t->axis[last] + first * count;
    if (count == 1 && p->axes[last].in == p->axes[last].out && tap[0].index == first &&
        tap[n - 1].index == first + n - 1) {
        double v[QN_ELEMENT_RUN];
        qn_load_f64(v, x + first * step, step, p->x.dtype, n);
        for (int64_t i = 0; i < n; i++)
            sum[i] += weight * v[i];
        return;
    }
    for (int64_t i = 0; i < n * count; i++) {
        double v;
        if (tap[i].weight == 0)
            continue;
        qn_load_f64(&v, x + tap[i].index * step, 0, p->x.dtype, 1);
        sum[i / count] += weight * tap[i].weight * v;
    }
}

/* One row of y: every combination of the outer axes' taps adds a row of x. */
static void resize_row(const struct qn_resize_params *p, const struct tables *t, int64_t row)
{
    uint32_t last = p->y.rank - 1;
    int64_t at[8] = {0}, combinations = 1, to = 0;
    bool outside = false;
    for (uint32_t i = last; i-- > 0;) {
        at[i] = row % p->y.dims[i];
        row /= p->y.dims[i];
        to += at[i] * p->y.strides[i];
        combinations *= t->count[i];
        outside |= t->axis[i][at[i] * t->count[i]].index < 0;
    }
    int64_t bytes = qn_element_bytes(p->y.dtype), step = p->y.strides[last] * bytes;
    for (int64_t first = 0; first < p->y.dims[last]; first += QN_ELEMENT_RUN) {
        int64_t left = p->y.dims[last] - first, n = left < QN_ELEMENT_RUN ? left : QN_ELEMENT_RUN;
        double sum[QN_ELEMENT_RUN] = {0};
        for (int64_t k = 0; k < combinations && !outside; k++) {
            int64_t rest = k, offset = 0;
            double weight = 1;
            for (uint32_t i = last; i-- > 0; rest /= t->count[i]) {
                const struct qn_resize_tap *tap = &t->axis[i][at[i] * t->count[i] + rest % t->count[i]];
                offset += tap->index * p->x.strides[i];
                weight *= tap->weight;
            }
            if (weight != 0)
                add_row(p, t, offset, weight, first, n, sum);
        }
        for (int64_t i = 0; i < n; i++)
            if (outside || t->axis[last][(first + i) * t->count[last]].index < 0)
                sum[i] = p->outside;
        for (int64_t i = 0; i < n && !qn_element_is_float(p->y.dtype); i++)
            sum[i] = qn_round(sum[i]);
        qn_store_f64((char *)p->y.data + (to + first * p->y.strides[last]) * bytes, step, p->y.dtype, sum, n);
    }
}

static void resize(const struct qn_resize_params *p, int64_t begin, int64_t end, void *scratch)
{
    struct tables t;
    struct qn_resize_tap *at = scratch;
    if (p->y.rank == 0) {
        qn_move_elements(p->y.data, 0, p->x.data, 0, qn_element_bytes(p->x.dtype), 1);
        return;
    }
    for (uint32_t i = 0; i < p->y.rank; i++) {
        t.axis[i] = at;
        t.count[i] = qn_resize_tap_count(p, i);
        qn_resize_fill(p, i, at);
        at += p->axes[i].out * t.count[i];
    }
    for (int64_t row = begin; row < end; row++)
        resize_row(p, &t, row);
}

static void run(const void *params, int64_t begin, int64_t end, void *scratch)
{
    const struct qn_image_params *p = params;
    if (p->op == QN_OP_resize)
        resize(&p->resize, begin, end, scratch);
    else if (p->op == QN_OP_grid_sample)
        qn_grid_sample_run(&p->grid_sample, begin, end);
    else
        qn_roi_align_run(&p->roi_align, begin, end);
}

const struct qn_kernel qn_image_ref = {
    .serial = 2500,
    .name = "image_ref",
    .family = QN_FAMILY_IMAGE,
    .tiles = tiles,
    .scratch = scratch_bytes,
    .run = run,
};
