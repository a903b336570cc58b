#include "kernels/arg/arg.h"

#include "ir/ir.h"
#include "kernels/lines.h"

static int64_t tiles(const void *params)
{
    const struct qn_arg_params *p = params;
    int64_t a_tile = qn_lines_a_tile(p->x.dims[p->axis]);
    return (qn_lines(&p->x, p->axis) + a_tile - 1) / a_tile;
}

/* n lines side by side: line i's elements lie at x + i * step + k * along. */
struct block {
    const char *x;
    int64_t step, along, n, length;
    qn_dtype dtype;
    bool max, last;
};

/* `ordered`: v before best; `same`: neither before the other. A loop over the lines that has no branches. */
#define PICK(type, ordered, same)                               \
    for (int64_t i = 0; i < b->n; i++) {                        \
        type x = v[i], m = best[i];                             \
        bool take = (ordered) || (b->last && (same)) || k == 0; \
        best[i] = take ? x : m;                                 \
        at[i] = take ? k : at[i];                               \
    }

static void floats(const struct block *b, int64_t *at)
{
    double best[QN_LINES] = {0}, v[QN_LINES];
    for (int64_t k = 0; k < b->length; k++) {
        qn_load_f64(v, b->x + k * b->along, b->step, b->dtype, b->n);
        if (b->max)
            PICK(double, x > m || (x != x && m == m), x == m || (x != x && m != m))
        else
            PICK(double, x < m || (x != x && m == m), x == m || (x != x && m != m))
    }
}

static void integers(const struct block *b, int64_t *at)
{
    int64_t best[QN_LINES] = {0}, v[QN_LINES];
    const int64_t flip = b->dtype == QN_DTYPE_U64 ? INT64_MIN : 0;
    for (int64_t k = 0; k < b->length; k++) {
        qn_load_i64(v, b->x + k * b->along, b->step, b->dtype, b->n);
        for (int64_t i = 0; flip && i < b->n; i++)
            v[i] ^= flip;
        if (b->max)
            PICK(int64_t, x > m, x == m)
        else
            PICK(int64_t, x < m, x == m)
    }
}

/* One contiguous line of floats: compared run by run, without the loads one at a time. */
static int64_t one_line(const struct block *b)
{
    double v[QN_ELEMENT_RUN], best = 0;
    int64_t at = 0, n;
    for (int64_t k = 0; k < b->length; k += n) {
        n = b->length - k < QN_ELEMENT_RUN ? b->length - k : QN_ELEMENT_RUN;
        qn_load_f64(v, b->x + k * b->along, b->along, b->dtype, n);
        for (int64_t i = 0; i < n; i++) {
            double x = v[i];
            bool before = (b->max ? x > best : x < best) || (x != x && best == best);
            bool same = x == best || (x != x && best != best);
            if (before || (b->last && same) || k + i == 0) {
                best = x;
                at = k + i;
            }
        }
    }
    return at;
}

static void run(const void *params, int64_t begin, int64_t end, void *scratch)
{
    (void)scratch;
    const struct qn_arg_params *p = params;
    struct block block = {.dtype = p->x.dtype, .max = p->op == QN_OP_argmax, .last = p->last};
    int64_t bytes = qn_element_bytes(p->x.dtype);
    block.length = p->x.dims[p->axis];
    block.along = p->x.strides[p->axis] * bytes;
    bool is_float = qn_element_is_float(p->x.dtype), single = is_float && block.along == bytes;
    int64_t a_tile = qn_lines_a_tile(block.length), all = qn_lines(&p->x, p->axis);
    int64_t first = begin * a_tile, last = end * a_tile < all ? end * a_tile : all, at[QN_LINES];
    struct qn_view x = qn_lines_base(&p->x, p->axis), y = qn_lines_base(&p->y, p->axis);
    struct qn_walk walk;
    qn_walk_start(&walk, (const struct qn_view *[]){&y, &x}, 2, first);
    for (int64_t left = last - first; left > 0; left -= block.n) {
        block.n = qn_walk_run(&walk, single ? 1 : left < QN_LINES ? left : QN_LINES);
        block.x = walk.at[1];
        block.step = qn_walk_step(&walk, 1);
        if (single)
            at[0] = one_line(&block);
        else if (is_float)
            floats(&block, at);
        else
            integers(&block, at);
        qn_store_i64(walk.at[0], qn_walk_step(&walk, 0), QN_DTYPE_I64, at, block.n);
        qn_walk_advance(&walk, block.n);
    }
}

const struct qn_kernel qn_arg_ref = {
    .serial = 2000,
    .name = "arg_ref",
    .family = QN_FAMILY_ARG,
    .tiles = tiles,
    .run = run,
};
