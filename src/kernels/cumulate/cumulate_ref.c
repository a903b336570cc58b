#include "kernels/cumulate/cumulate.h"

#include "ir/ir.h"
#include "kernels/lines.h"

static int64_t tiles(const void *params)
{
    const struct qn_cumulate_params *p = params;
    int64_t a_tile = qn_lines_a_tile(p->x.dims[p->axis]);
    return (qn_lines(&p->x, p->axis) + a_tile - 1) / a_tile;
}

/* n lines side by side, their elements `x_step` and `y_step` bytes apart. */
struct block {
    const char *x;
    char *y;
    int64_t x_step, y_step, n;
};

static void floats(const struct qn_cumulate_params *p, const struct block *b, int64_t x_along, int64_t y_along)
{
    bool sum = p->op == QN_OP_cumsum;
    double total[QN_LINES], v[QN_LINES];
    int64_t length = p->x.dims[p->axis];
    for (int64_t i = 0; i < b->n; i++)
        total[i] = sum ? 0 : 1;
    for (int64_t k = 0; k < length; k++) {
        int64_t at = p->reverse ? length - 1 - k : k;
        qn_load_f64(v, b->x + at * x_along, b->x_step, p->x.dtype, b->n);
        if (p->exclusive)
            qn_store_f64(b->y + at * y_along, b->y_step, p->y.dtype, total, b->n);
        for (int64_t i = 0; i < b->n; i++)
            total[i] = sum ? total[i] + v[i] : total[i] * v[i];
        if (!p->exclusive)
            qn_store_f64(b->y + at * y_along, b->y_step, p->y.dtype, total, b->n);
    }
}

static void integers(const struct qn_cumulate_params *p, const struct block *b, int64_t x_along, int64_t y_along)
{
    bool sum = p->op == QN_OP_cumsum;
    int64_t total[QN_LINES], v[QN_LINES], length = p->x.dims[p->axis];
    for (int64_t i = 0; i < b->n; i++)
        total[i] = !sum;
    for (int64_t k = 0; k < length; k++) {
        int64_t at = p->reverse ? length - 1 - k : k;
        qn_load_i64(v, b->x + at * x_along, b->x_step, p->x.dtype, b->n);
        if (p->exclusive)
            qn_store_i64(b->y + at * y_along, b->y_step, p->y.dtype, total, b->n);
        for (int64_t i = 0; i < b->n; i++) {
            uint64_t a = (uint64_t)total[i], c = (uint64_t)v[i];
            total[i] = (int64_t)(sum ? a + c : a * c);
        }
        if (!p->exclusive)
            qn_store_i64(b->y + at * y_along, b->y_step, p->y.dtype, total, b->n);
    }
}

static void run(const void *params, int64_t begin, int64_t end, void *scratch)
{
    (void)scratch;
    const struct qn_cumulate_params *p = params;
    int64_t a_tile = qn_lines_a_tile(p->x.dims[p->axis]), all = qn_lines(&p->x, p->axis);
    int64_t first = begin * a_tile, last = end * a_tile < all ? end * a_tile : all,
            bytes = qn_element_bytes(p->x.dtype);
    int64_t x_along = p->x.strides[p->axis] * bytes, y_along = p->y.strides[p->axis] * bytes;
    bool single = x_along == bytes;
    struct qn_view x = qn_lines_base(&p->x, p->axis), y = qn_lines_base(&p->y, p->axis);
    struct qn_walk walk;
    qn_walk_start(&walk, (const struct qn_view *[]){&y, &x}, 2, first);
    for (int64_t left = last - first, n; left > 0; left -= n) {
        n = qn_walk_run(&walk, single ? 1 : left < QN_LINES ? left : QN_LINES);
        struct block block = {walk.at[1], walk.at[0], qn_walk_step(&walk, 1), qn_walk_step(&walk, 0), n};
        if (qn_element_is_float(p->x.dtype))
            floats(p, &block, x_along, y_along);
        else
            integers(p, &block, x_along, y_along);
        qn_walk_advance(&walk, n);
    }
}

const struct qn_kernel qn_cumulate_ref = {
    .serial = 1900,
    .name = "cumulate_ref",
    .family = QN_FAMILY_SCAN,
    .tiles = tiles,
    .run = run,
};
