/* COPY. A file for an instruction set defines CONVERT (as qn_convert_elements), SQUARE_4 (see square), KERNEL, SERIAL,
 * NAME, NEEDS and RANK and includes this. */
#include "kernels/copy/copy.h"
#include "kernels/walk.h"

static bool is_block(qn_dtype dtype)
{
    return qn_element_bytes(dtype) == 0;
}

static int64_t rows_of(const struct qn_view *view)
{
    int64_t rows = 1;
    for (uint32_t i = 0; i + 1 < view->rank; i++)
        rows *= view->dims[i];
    return rows;
}

/* ---- transpositions ------------------------------------------------------------------------------------------- */

enum {
    SIDE = 64,
    FEW = 4,          /* channels of a picture */
    LONG_SIDE = 4096, /* of their pixels */
};

/* y is contiguous along the last axis of the walk, x along axis `k`. */
struct turn {
    bool on;
    uint32_t k;
    int64_t bytes, side;   /* side: of a square along k; SIDE along the last axis */
    int64_t across, along; /* squares along the last axis and along k */
    struct qn_walk walk;
};

static struct turn turn_of(const struct qn_copy_params *p)
{
    struct turn t = {.bytes = qn_element_bytes(p->y.dtype)};
    if (p->x.dtype != p->y.dtype)
        return t;
    qn_walk_start(&t.walk, (const struct qn_view *[]){&p->y, &p->x}, 2, 0);
    uint32_t last = t.walk.rank - 1;
    int64_t x_step = t.walk.steps[1][last];
    if (t.walk.steps[0][last] != t.bytes || x_step == t.bytes || x_step == 0)
        return t;
    while (t.k < last && t.walk.steps[1][t.k] != t.bytes)
        t.k++;
    t.on = t.k < last;
    t.side = t.walk.dims[last] <= FEW ? LONG_SIDE : SIDE;
    t.across = (t.walk.dims[last] + SIDE - 1) / SIDE;
    t.along = (t.walk.dims[t.k] + t.side - 1) / t.side;
    return t;
}

static int64_t turn_tiles(const struct turn *t)
{
    int64_t n = t->across * t->along;
    for (uint32_t i = 0; i + 1 < t->walk.rank; i++)
        n *= i == t->k ? 1 : t->walk.dims[i];
    return n;
}

/* Planes side by side: the loops that compilers know to bring onto vectors. */
#define QN_COPY_WEAVE(name, type)                                                                      \
    static void name(type *restrict y, const char *restrict x, int64_t x_row, int64_t rows, int64_t n) \
    {                                                                                                  \
        const type *restrict a = (const type *)(const void *)x;                                        \
        const type *restrict b = (const type *)(const void *)(x + x_row * (rows > 1));                 \
        const type *restrict c = (const type *)(const void *)(x + 2 * x_row * (rows > 2));             \
        const type *restrict d = (const type *)(const void *)(x + 3 * x_row * (rows > 3));             \
        if (rows == 2)                                                                                 \
            for (int64_t j = 0; j < n; j++) {                                                          \
                y[2 * j] = a[j];                                                                       \
                y[2 * j + 1] = b[j];                                                                   \
            }                                                                                          \
        else if (rows == 3)                                                                            \
            for (int64_t j = 0; j < n; j++) {                                                          \
                y[3 * j] = a[j];                                                                       \
                y[3 * j + 1] = b[j];                                                                   \
                y[3 * j + 2] = c[j];                                                                   \
            }                                                                                          \
        else                                                                                           \
            for (int64_t j = 0; j < n; j++) {                                                          \
                y[4 * j] = a[j];                                                                       \
                y[4 * j + 1] = b[j];                                                                   \
                y[4 * j + 2] = c[j];                                                                   \
                y[4 * j + 3] = d[j];                                                                   \
            }                                                                                          \
    }
QN_COPY_WEAVE(weave_1, uint8_t)
QN_COPY_WEAVE(weave_4, uint32_t)
#undef QN_COPY_WEAVE

/* y[j][i] = x[i][j] for i < rows, j < columns; x's rows lie x_row bytes apart, y's y_row. */
static void square(char *y, int64_t y_row, const char *x, int64_t x_row, int64_t rows, int64_t columns, int64_t bytes)
{
    if (rows > 1 && rows <= FEW && y_row == rows * bytes && (bytes == 1 || bytes == 4)) {
        if (bytes == 1)
            weave_1((uint8_t *)y, x, x_row, rows, columns);
        else
            weave_4((uint32_t *)(void *)y, x, x_row, rows, columns);
        return;
    }
    if (bytes == 4) {
        SQUARE_4(y, y_row, x, x_row, rows, columns);
        return;
    }
    enum { PART = 16 }; /* rows of x a power of two apart share few places of the cache */
    for (int64_t i = 0; i < rows; i += PART) {
        int64_t n = rows - i < PART ? rows - i : PART;
        for (int64_t j = 0; j < columns; j++)
            qn_move_elements(y + j * y_row + i * bytes, bytes, x + i * x_row + j * bytes, x_row, bytes, n);
    }
}

static void run_turn(const struct turn *t, int64_t begin, int64_t end)
{
    const struct qn_walk *w = &t->walk;
    uint32_t last = w->rank - 1;
    for (int64_t tile = begin; tile < end; tile++) {
        int64_t i = tile % t->across * SIDE, j = tile / t->across % t->along * t->side;
        int64_t rest = tile / t->across / t->along;
        char *y = w->at[0] + i * w->steps[0][last] + j * w->steps[0][t->k];
        const char *x = w->at[1] + i * w->steps[1][last] + j * w->steps[1][t->k];
        for (uint32_t axis = last; axis-- > 0;) {
            if (axis == t->k)
                continue;
            y += rest % w->dims[axis] * w->steps[0][axis];
            x += rest % w->dims[axis] * w->steps[1][axis];
            rest /= w->dims[axis];
        }
        int64_t rows = w->dims[last] - i, columns = w->dims[t->k] - j;
        square(y, w->steps[0][t->k], x, w->steps[1][last], rows < SIDE ? rows : SIDE,
               columns < t->side ? columns : t->side, t->bytes);
    }
}

/* ---- the kernel ----------------------------------------------------------------------------------------------- */

static int64_t tiles(const void *params)
{
    const struct qn_copy_params *p = params;
    if (!is_block(p->x.dtype) && !is_block(p->y.dtype)) {
        struct turn t = turn_of(p);
        if (t.on)
            return turn_tiles(&t);
    }
    return is_block(p->x.dtype) || is_block(p->y.dtype) ? rows_of(&p->y) : qn_view_tiles(&p->y);
}

/* Pieces of a row of blocks pass through a local array; 512 is a multiple of every block size. */
enum { PIECE = 512 };

static void copy_block_row(const struct qn_copy_params *p, const char *x, char *y, int64_t d)
{
    const struct qn_dtype_info *from = qn_dtype_info(p->x.dtype), *to = qn_dtype_info(p->y.dtype);
    if (p->x.dtype == p->y.dtype) {
        __builtin_memmove(y, x, (size_t)(d / from->block_elems * from->block_bytes));
        return;
    }
    int64_t y_step = p->y.strides[p->y.rank - 1] * qn_element_bytes(p->y.dtype);
    int64_t x_step = p->x.strides[p->x.rank - 1] * qn_element_bytes(p->x.dtype);
    float v[PIECE];
    for (int64_t i = 0, n; i < d; i += n) {
        n = d - i < PIECE ? d - i : PIECE;
        if (is_block(p->x.dtype))
            p->dequantise(x + i / from->block_elems * from->block_bytes, v, n);
        else
            qn_load_f32(v, x + i * x_step, x_step, p->x.dtype, n);
        if (is_block(p->y.dtype))
            p->quantise(v, y + i / to->block_elems * to->block_bytes, n, NULL);
        else
            CONVERT(y + i * y_step, y_step, p->y.dtype, v, 4, QN_DTYPE_F32, n);
    }
}

static void run_blocks(const struct qn_copy_params *p, int64_t begin, int64_t end)
{
    uint32_t axis = p->y.rank - 1;
    for (int64_t row = begin; row < end; row++) {
        const char *x = qn_view_row(&p->x, axis, row, qn_dtype_info(p->x.dtype)->block_bytes);
        char *y = qn_view_row(&p->y, axis, row, qn_dtype_info(p->y.dtype)->block_bytes);
        copy_block_row(p, x, y, p->y.dims[axis]);
    }
}

static void run(const void *params, int64_t begin, int64_t end, void *scratch)
{
    (void)scratch;
    const struct qn_copy_params *p = params;
    if (is_block(p->x.dtype) || is_block(p->y.dtype)) {
        run_blocks(p, begin, end);
        return;
    }
    struct turn t = turn_of(p);
    if (t.on) {
        run_turn(&t, begin, end);
        return;
    }
    int64_t first = begin * QN_ELEMENT_TILE, all = qn_view_elems(&p->y), left = end * QN_ELEMENT_TILE;
    left = (left < all ? left : all) - first;
    struct qn_walk walk;
    qn_walk_start(&walk, (const struct qn_view *[]){&p->y, &p->x}, 2, first);
    int64_t y_step = qn_walk_step(&walk, 0), x_step = qn_walk_step(&walk, 1), n;
    for (; left > 0; left -= n) {
        n = qn_walk_run(&walk, left);
        if (p->wrap || p->rounding)
            qn_convert_narrow(walk.at[0], y_step, p->y.dtype, walk.at[1], x_step, p->x.dtype, n, p->wrap, p->rounding);
        else
            CONVERT(walk.at[0], y_step, p->y.dtype, walk.at[1], x_step, p->x.dtype, n);
        qn_walk_advance(&walk, n);
    }
}

const struct qn_kernel KERNEL = {
    .serial = SERIAL,
    .name = NAME,
    .family = QN_FAMILY_COPY,
    .needs = NEEDS,
    .rank = RANK,
    .tiles = tiles,
    .run = run,
};
