/* Winograd's way on vectors, channels last. A file for an instruction set defines KERNEL, NAME, SERIAL, NEEDS, RANK,
 * FORM (the packed weights) and includes this.
 *
 * Squares are done a block at a time, so that their points stay in the second cache level: transform the inputs of the
 * block, then for each panel of output channels take the products of each point and transform the sums back, with bias,
 * residual and activation on the way out. Each output has one order of sums, whatever block its square lies in. */
#include "kernels/conv/winograd.h"
#include "kernels/simd/vec_activation.h"

enum {
    EDGE = QN_WINOGRAD_MOST,
    POINTS = EDGE * EDGE,
    BLOCK_BYTES = 640 << 10, /* of a block's points and sums */
    LEAST_BLOCK = 12,        /* squares: a register tile */
    MOST_BLOCK = 96,
    ROUND = 4,        /* a block is a multiple of it */
    SHARE_PANELS = 4, /* panels that a tile of the index space does */
    LINE = 16,        /* floats in a cache line */
#if defined(__AVX512F__)
    MOST_ROWS = 12,
#else
    MOST_ROWS = 6,
#endif
};

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t round_up(int64_t n, int64_t unit)
{
    return (n + unit - 1) / unit * unit;
}

static struct qn_winograd_plan plan_of(const struct qn_conv_params *p)
{
    return qn_winograd_plan(p, VF_LANES);
}

/* ---- squares and blocks of them ------------------------------------------------------------------------------- */

struct block {
    const struct qn_conv_params *p;
    const struct qn_winograd_plan *plan;
    int64_t high, wide, squares; /* of an image; of all images */
    int64_t size;                /* squares in a block */
    int64_t row;                 /* floats between the squares of a point: channels in whole vectors */
    int64_t in_step, sum_step;   /* floats between points */
    float *in, *sums, *zeros;    /* [point][square][channel]; [point][square][width]; a row */
    int64_t first, n;            /* squares whose points are there */
};

static struct block block_of(const struct qn_conv_params *p, const struct qn_winograd_plan *plan)
{
    struct block b = {.p = p, .plan = plan};
    b.high = (p->window.out[1] + plan->size - 1) / plan->size;
    b.wide = (p->window.out[2] + plan->size - 1) / plan->size;
    b.squares = p->batch * b.high * b.wide;
    b.row = round_up(p->c, VF_LANES);
    int64_t most = BLOCK_BYTES / 4 / (plan->points * (b.row + plan->panel)) / ROUND * ROUND;
    most = most < LEAST_BLOCK ? LEAST_BLOCK : least(most, MOST_BLOCK);
    int64_t count = (b.squares + most - 1) / most; /* blocks of nearly one size */
    b.size = count ? round_up((b.squares + count - 1) / count, ROUND) : ROUND;
    b.in_step = b.size * b.row + LINE; /* points fall into different cache sets */
    b.sum_step = b.size * plan->panel + LINE;
    return b;
}

static int64_t block_count(const struct block *b)
{
    return (b->squares + b->size - 1) / b->size;
}

static int64_t shares(const struct qn_winograd_plan *plan)
{
    return (plan->panels + SHARE_PANELS - 1) / SHARE_PANELS;
}

/* ---- transformations of a line -------------------------------------------------------------------------------- */

static const float root_half = 0.70710678118654752f, root_two = 1.41421356237309505f;

/* Inputs of a line to points. */
QN_INLINE void line_in(const int size, const vf *d, vf *v)
{
    if (size == 2) {
        v[0] = vf_sub(d[0], d[2]);
        v[1] = vf_add(d[1], d[2]);
        v[2] = vf_sub(d[2], d[1]);
        v[3] = vf_sub(d[1], d[3]);
        return;
    }
    vf near_even = vf_fnma(vf_set(2), d[2], d[4]), near_odd = vf_fnma(vf_set(2), d[1], d[3]);
    vf far_even = vf_fnma(vf_set(0.5f), d[2], d[4]), far_odd = vf_fnma(vf_set(0.5f), d[1], d[3]);
    v[0] = vf_fnma(vf_set(2.5f), d[2], vf_add(d[0], d[4]));
    v[1] = vf_fma(vf_set(root_half), near_odd, near_even);
    v[2] = vf_fnma(vf_set(root_half), near_odd, near_even);
    v[3] = vf_fma(vf_set(root_two), far_odd, far_even);
    v[4] = vf_fnma(vf_set(root_two), far_odd, far_even);
    v[5] = vf_fnma(vf_set(2.5f), d[3], vf_add(d[1], d[5]));
}

/* Sums at the points of a line to outputs. */
QN_INLINE void line_out(const int size, const vf *m, vf *y)
{
    if (size == 2) {
        y[0] = vf_add(m[0], vf_add(m[1], m[2]));
        y[1] = vf_sub(vf_sub(m[1], m[2]), m[3]);
        return;
    }
    vf near = vf_add(m[1], m[2]), far = vf_add(m[3], m[4]);
    vf near_odd = vf_mul(vf_set(root_half), vf_sub(m[1], m[2]));
    vf far_odd = vf_mul(vf_set(root_two), vf_sub(m[3], m[4]));
    y[0] = vf_add(m[0], vf_add(near, far));
    y[1] = vf_add(near_odd, far_odd);
    y[2] = vf_fma(vf_set(0.5f), near, vf_mul(vf_set(2), far));
    y[3] = vf_fma(vf_set(0.5f), near_odd, vf_fma(vf_set(2), far_odd, m[5]));
}

/* ---- inputs --------------------------------------------------------------------------------------------------- */

/* Where the inputs of a square lie: zeros outside the image. */
static void square_inputs(const struct block *b, int64_t square, const float **from)
{
    const struct qn_conv_params *p = b->p;
    const struct qn_window *w = &p->window;
    int64_t edge = b->plan->edge, size = b->plan->size, image = square / b->wide / b->high;
    int64_t top = square / b->wide % b->high * size - w->begin[1], left = square % b->wide * size - w->begin[2];
    const float *x = (const float *)p->x.data + image * p->x.batch;
    for (int64_t i = 0; i < edge; i++) {
        bool inside = top + i >= 0 && top + i < w->in[1];
        for (int64_t j = 0; j < edge; j++, from++)
            *from = inside && left + j >= 0 && left + j < w->in[2]
                        ? x + (top + i) * p->x.axis[1] + (left + j) * p->x.axis[2]
                        : b->zeros;
    }
}

/* A vector of channels of a square, `left` of them there. */
QN_INLINE void square_in(const int size, const float *const *from, int64_t at, int64_t left, float *to, int64_t step)
{
    const int edge = size + 2;
    vf half[EDGE][EDGE], line[EDGE], out[EDGE];
    QN_UNROLL
    for (int j = 0; j < edge; j++) {
        QN_UNROLL
        for (int i = 0; i < edge; i++)
            line[i] = vf_load_up_to(from[i * edge + j] + at, left);
        line_in(size, line, out);
        QN_UNROLL
        for (int i = 0; i < edge; i++)
            half[i][j] = out[i];
    }
    QN_UNROLL
    for (int i = 0; i < edge; i++) {
        line_in(size, half[i], out);
        QN_UNROLL
        for (int j = 0; j < edge; j++)
            vf_store(to + (i * edge + j) * step, out[j]);
    }
}

static void points_of(struct block *b, int64_t first, int64_t n)
{
    const float *from[POINTS];
    if (b->first == first && b->n == n)
        return;
    b->first = first;
    b->n = n;
    for (int64_t t = 0; t < n; t++) {
        square_inputs(b, first + t, from);
        for (int64_t at = 0; at < b->p->c; at += VF_LANES) {
            float *to = b->in + t * b->row + at;
            if (b->plan->size == 2)
                square_in(2, from, at, b->p->c - at, to, b->in_step);
            else
                square_in(4, from, at, b->p->c - at, to, b->in_step);
        }
    }
}

/* ---- products ------------------------------------------------------------------------------------------------- */

struct product {
    const float *a, *w, *ahead; /* of the first square; the panel at the point; a line an element of c: brought near */
    float *sums;
    int64_t row, depth;
};

QN_INLINE void product_tile(const int rows, const int vectors, const struct product *t)
{
    vf acc[MOST_ROWS * QN_WINOGRAD_WIDE];
    const float *w = t->w, *ahead = t->ahead;
    QN_UNROLL
    for (int i = 0; i < rows * vectors; i++)
        acc[i] = vf_zero();
    for (int64_t i = 0; i < t->depth; i++, w += vectors * VF_LANES, ahead += LINE) {
        vf b[QN_WINOGRAD_WIDE];
        __builtin_prefetch(ahead, 0, 2);
        QN_UNROLL
        for (int v = 0; v < vectors; v++)
            b[v] = vf_load(w + v * VF_LANES);
        QN_UNROLL
        for (int r = 0; r < rows; r++) {
            vf a = vf_set(t->a[r * t->row + i]);
            QN_UNROLL
            for (int v = 0; v < vectors; v++)
                acc[r * vectors + v] = vf_fma(a, b[v], acc[r * vectors + v]);
        }
    }
    QN_UNROLL
    for (int i = 0; i < rows * vectors; i++)
        vf_store(t->sums + i * VF_LANES, acc[i]);
}

/* As many of the rows as a tile takes; gives their number. */
QN_INLINE int64_t product_rows(const int vectors, const struct product *t, int64_t rows)
{
#define QN_WINOGRAD_ROWS(count)                    \
    if ((count) <= MOST_ROWS && rows >= (count)) { \
        product_tile((count), vectors, t);         \
        return (count);                            \
    }
    QN_WINOGRAD_ROWS(12)
    QN_WINOGRAD_ROWS(8)
    QN_WINOGRAD_ROWS(6)
    QN_WINOGRAD_ROWS(4)
    QN_WINOGRAD_ROWS(2)
    QN_WINOGRAD_ROWS(1)
#undef QN_WINOGRAD_ROWS
    return 1;
}

/* All products of a panel. */
QN_INLINE void panel_products(const int vectors, const struct block *b, const float *w)
{
    int64_t piece = b->p->c * vectors * VF_LANES;
    for (int64_t point = 0; point < b->plan->points; point++, w += piece) {
        struct product t = {.row = b->row, .depth = b->p->c, .w = w};
        for (int64_t r = 0, done, lines = 0; r < b->n; r += done, lines += b->p->c * LINE) {
            t.a = b->in + point * b->in_step + r * b->row;
            t.sums = b->sums + point * b->sum_step + r * vectors * VF_LANES;
            t.ahead = w + (lines < piece ? piece + lines : 0); /* of the next point: it comes from far */
            done = product_rows(vectors, &t, b->n - r);
        }
    }
}

/* ---- outputs -------------------------------------------------------------------------------------------------- */

struct finish {
    const float *scale, *bias, *residual; /* of the vector's first column and the square's first pixel, or NULL */
    float *y;
    int64_t rows, columns, left; /* pixels of the square inside the image; output channels */
    const struct qn_conv_params *p;
    vf low, high;
};

QN_INLINE void square_out(const int size, const float *sums, int64_t step, const struct finish *f)
{
    const int edge = size + 2;
    vf half[EDGE][EDGE], line[EDGE], out[EDGE];
    vf scale = f->scale ? vf_load_up_to(f->scale, f->left) : vf_set(1);
    vf bias = f->bias ? vf_load_up_to(f->bias, f->left) : vf_zero();
    QN_UNROLL
    for (int j = 0; j < edge; j++) {
        QN_UNROLL
        for (int i = 0; i < edge; i++)
            line[i] = vf_load(sums + (i * edge + j) * step);
        line_out(size, line, out);
        QN_UNROLL
        for (int i = 0; i < size; i++)
            half[i][j] = out[i];
    }
    QN_UNROLL
    for (int i = 0; i < size; i++) {
        if (i >= f->rows)
            break;
        line_out(size, half[i], out);
        QN_UNROLL
        for (int j = 0; j < size; j++) {
            if (j >= f->columns)
                break;
            float *y = f->y + i * f->p->y.axis[1] + j * f->p->y.axis[2];
            vf x = vf_fma(out[j], scale, bias);
            if (f->residual)
                x = vf_add(
                    x, vf_load_up_to(f->residual + i * f->p->residual.axis[1] + j * f->p->residual.axis[2], f->left));
            x = vf_min(f->high, vf_max(f->low, x)); /* NaN stays */
            vf_store_up_to(y, x, f->left);
        }
    }
}

static void panel_outputs(const struct block *b, int64_t column, int64_t width)
{
    const struct qn_conv_params *p = b->p;
    const int64_t *out = p->window.out;
    int64_t size = b->plan->size;
    bool relu = p->activation == QN_ACTIVATION_RELU, clip = p->activation == QN_ACTIVATION_CLIP;
    struct finish f = {.p = p};
    f.low = vf_set(relu ? 0 : clip ? p->alpha : -__builtin_inff());
    f.high = vf_set(clip ? p->beta : __builtin_inff());
    for (int64_t t = 0; t < b->n; t++) {
        int64_t square = b->first + t, image = square / b->wide / b->high;
        int64_t at[] = {0, square / b->wide % b->high * size, square % b->wide * size};
        f.rows = least(size, out[1] - at[1]);
        f.columns = least(size, out[2] - at[2]);
        float *y = (float *)p->y.data + qn_pixels_offset(&p->y, image, at);
        const float *residual =
            p->residual.data ? (const float *)p->residual.data + qn_pixels_offset(&p->residual, image, at) : NULL;
        int64_t end = least(column + width, p->o);
        for (int64_t o = column; o < end; o += VF_LANES) {
            const float *sums = b->sums + t * width + (o - column);
            f.scale = p->scale ? (const float *)p->scale + o : NULL;
            f.bias = p->bias ? (const float *)p->bias + o : NULL;
            f.residual = residual ? residual + o : NULL;
            f.y = y + o;
            f.left = p->o - o;
            if (size == 2)
                square_out(2, sums, b->sum_step, &f);
            else
                square_out(4, sums, b->sum_step, &f);
        }
        for (int64_t i = 0; i < f.rows && p->activation > QN_ACTIVATION_CLIP; i++)
            vf_activate_block(p->activation, p->alpha, p->beta, y + i * p->y.axis[1] + column, p->y.axis[2], f.columns,
                              end - column);
    }
}

/* ---- the kernel ----------------------------------------------------------------------------------------------- */

static int64_t tiles(const void *params)
{
    struct qn_winograd_plan plan = plan_of(params);
    struct block b = block_of(params, &plan);
    return block_count(&b) * shares(&plan);
}

static int64_t scratch_bytes(const void *params)
{
    struct qn_winograd_plan plan = plan_of(params);
    struct block b = block_of(params, &plan);
    return (plan.points * (b.in_step + b.sum_step) + round_up(b.row, LINE)) * (int64_t)sizeof(float);
}

static void run(const void *params, int64_t begin, int64_t end, void *scratch)
{
    const struct qn_conv_params *p = params;
    struct qn_winograd_plan plan = plan_of(p);
    struct block b = block_of(p, &plan);
    b.zeros = scratch;
    b.in = b.zeros + round_up(b.row, LINE);
    b.sums = b.in + plan.points * b.in_step;
    for (int64_t i = 0; i < b.row; i++)
        b.zeros[i] = 0;
    for (int64_t i = begin; i < end; i++) {
        int64_t first = i / shares(&plan) * b.size, share = i % shares(&plan) * SHARE_PANELS;
        points_of(&b, first, least(b.size, b.squares - first));
        for (int64_t panel = share; panel < least(share + SHARE_PANELS, plan.panels); panel++) {
            int64_t column = panel * plan.panel, width = qn_winograd_width(&plan, p->o, panel);
            const float *w = (const float *)p->w + column * plan.points * p->c;
            if (width > VF_LANES)
                panel_products(QN_WINOGRAD_WIDE, &b, w);
            else
                panel_products(1, &b, w);
            panel_outputs(&b, column, width);
        }
    }
}

static bool fits(const void *params)
{
    const struct qn_conv_params *p = params;
    bool last = (p->c == 1 || p->x.channel == 1) && (p->o == 1 || p->y.channel == 1);
    if (p->has_residual)
        last = last && (p->o == 1 || p->residual.channel == 1);
    return last && p->bias_stride <= 1 && p->scale_stride <= 1 && p->x.dtype == QN_DTYPE_F32 && plan_of(p).size > 0;
}

const struct qn_kernel KERNEL = {
    .serial = SERIAL,
    .name = NAME,
    .family = QN_FAMILY_CONV,
    .needs = NEEDS,
    .dtype = QN_DTYPE_F32,
    .rank = RANK,
    .tiles = tiles,
    .scratch = scratch_bytes,
    .run = run,
    .pack = FORM,
    .fits = fits,
};
