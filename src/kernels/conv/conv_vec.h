/* Convolution of f32 images with channels last. A file for an instruction set defines KERNEL, NAME, SERIAL, NEEDS,
 * RANK, FORM (the packed weights) and WIDE, and includes this.
 *
 * An implicit GEMM: the inputs of an output pixel are `taps` runs of floats in x, found through a table of pointers; a
 * run in the padding points to zeros. A register tile of a few pixels by a panel of output channels adds up a chunk of
 * channels of all taps at a time, so that the piece of the panel stays in the first cache level while many pixels pass
 * over it. An output's sum runs along chunks, taps, channels, whatever tile it lies in.
 *
 */
#include "kernels/conv/conv.h"
#include "kernels/simd/vec_activation.h"

enum {
    GROUP = 12, /* pixels: a whole number of register tiles of either height */
    BLOCK = 96, /* pixels that are done together at most */
    FEW_BYTES = 1 << 19,
    LINE = 16, /* floats in a cache line */
#if defined(__AVX512F__)
    MOST_ROWS = 8,
#else
    MOST_ROWS = 6,
#endif
};

#include "kernels/conv/conv_depthwise_vec.h"

static struct qn_conv_plan plan_of(const struct qn_conv_params *p)
{
    return qn_conv_f32_plan(p, VF_LANES, WIDE);
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t align(int64_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

/* Rows of a register tile that is `vectors` wide. */
QN_INLINE int64_t rows_of(int64_t vectors)
{
    return VF_LANES == 16 ? (vectors >= 4 ? 6 : 8) : (vectors >= 2 ? 6 : 6);
}

/* ---- the register tile ---------------------------------------------------------------------------------------- */

struct conv_tile {
    const float *const *rows; /* [tap][BLOCK]: where each pixel's run lies */
    const float *w;           /* the panel's piece: [tap][run][width] */
    int64_t taps, first, run; /* floats of a run: from `first` on */
    const float *ahead;       /* brought near for later: so many floats an element of the runs */
    int64_t ahead_step;
    float *sums; /* [pixel][width]: sums so far, if not `fresh`; and where they go, if `y` is NULL */
    bool fresh;
    float *y;                             /* of the first pixel and column, when these are the last pieces */
    int64_t y_step, residual_step;        /* floats between pixels */
    const float *scale, *bias, *residual; /* of the first column, or NULL */
    float low, high;                      /* y is clipped to them */
    int64_t columns;                      /* of y */
};

QN_INLINE void tile_finish(const int rows, const int vectors, const struct conv_tile *t, const vf *acc)
{
    vf low = vf_set(t->low), high = vf_set(t->high);
    QN_UNROLL
    for (int v = 0; v < vectors; v++) {
        int64_t at = (int64_t)v * VF_LANES, left = t->columns - at;
        vf scale = t->scale ? vf_load_up_to(t->scale + at, left) : vf_set(1.0f);
        vf bias = t->bias ? vf_load_up_to(t->bias + at, left) : vf_zero();
        QN_UNROLL
        for (int r = 0; r < rows; r++) {
            vf x = acc[r * vectors + v];
            if (t->scale)
                x = vf_mul(x, scale);
            x = vf_add(x, bias);
            if (t->residual)
                x = vf_add(x, vf_load_up_to(t->residual + r * t->residual_step + at, left));
            x = vf_min(high, vf_max(low, x)); /* NaN stays */
            vf_store_up_to(t->y + r * t->y_step + at, x, left);
        }
    }
}

QN_INLINE void tile_run(const int rows, const int vectors, const struct conv_tile *t)
{
    vf acc[24];
    QN_UNROLL
    for (int i = 0; i < rows * vectors; i++)
        acc[i] = t->fresh ? vf_zero() : vf_load(t->sums + i * VF_LANES);
    const float *w = t->w;
    const float *ahead = t->ahead;
    const float *const *table = t->rows;
    for (int64_t tap = 0; tap < t->taps; tap++, table += BLOCK) {
        const float *x[MOST_ROWS];
        QN_UNROLL
        for (int r = 0; r < rows; r++)
            x[r] = table[r] + t->first;
        for (int64_t i = 0; i < t->run; i++, w += vectors * VF_LANES, ahead += t->ahead_step) {
            __builtin_prefetch(ahead, 0, 2);
            vf b[4];
            QN_UNROLL
            for (int v = 0; v < vectors; v++)
                b[v] = vf_load(w + v * VF_LANES);
            QN_UNROLL
            for (int r = 0; r < rows; r++) {
                vf a = vf_set(x[r][i]);
                QN_UNROLL
                for (int v = 0; v < vectors; v++)
                    acc[r * vectors + v] = vf_fma(a, b[v], acc[r * vectors + v]);
            }
        }
    }
    if (t->y) {
        tile_finish(rows, vectors, t, acc);
        return;
    }
    QN_UNROLL
    for (int i = 0; i < rows * vectors; i++)
        vf_store(t->sums + i * VF_LANES, acc[i]);
}

#define QN_CONV_TILE(rows, vectors)                                                          \
    static __attribute__((noinline)) void tile_##rows##x##vectors(const struct conv_tile *t) \
    {                                                                                        \
        tile_run(rows, vectors, t);                                                          \
    }
#define QN_CONV_TILES(vectors) \
    QN_CONV_TILE(1, vectors)   \
    QN_CONV_TILE(2, vectors)   \
    QN_CONV_TILE(3, vectors) QN_CONV_TILE(4, vectors) QN_CONV_TILE(5, vectors) QN_CONV_TILE(6, vectors)
#define QN_CONV_TILE_NAMES(vectors) \
    tile_1x##vectors, tile_2x##vectors, tile_3x##vectors, tile_4x##vectors, tile_5x##vectors, tile_6x##vectors
QN_CONV_TILES(1)
QN_CONV_TILES(2)
#if defined(__AVX512F__)
QN_CONV_TILE(7, 1)
QN_CONV_TILE(8, 1)
QN_CONV_TILE(7, 2)
QN_CONV_TILE(8, 2)
QN_CONV_TILES(3)
QN_CONV_TILE(7, 3)
QN_CONV_TILE(8, 3)
QN_CONV_TILES(4)
#endif

typedef void (*tile_fn)(const struct conv_tile *t);
static const tile_fn tile_fns[4][8] = {
#if defined(__AVX512F__)
    {QN_CONV_TILE_NAMES(1), tile_7x1, tile_8x1},
    {QN_CONV_TILE_NAMES(2), tile_7x2, tile_8x2},
    {QN_CONV_TILE_NAMES(3), tile_7x3, tile_8x3},
    {QN_CONV_TILE_NAMES(4)},
#else
    {QN_CONV_TILE_NAMES(1)},
    {QN_CONV_TILE_NAMES(2)},
#endif
};

/* ---- a block of pixels ---------------------------------------------------------------------------------------- */

struct block {
    const struct qn_conv_params *p;
    const struct qn_conv_plan *plan;
    const float **table;            /* [tap][BLOCK] */
    float *zeros;                   /* a run's length */
    float *edges;                   /* ROWS: runs that reach over the left or right edge, put together here */
    float *sums;                    /* [pixel][width] */
    int64_t image, group, first, n; /* what the table holds */
};

static int64_t edge_floats(const struct qn_conv_plan *plan)
{
    return plan->way == QN_CONV_WAY_ROWS ? BLOCK * plan->taps * plan->run : 0;
}

static int64_t gemm_scratch(const struct qn_conv_plan *plan)
{
    return align(plan->taps * BLOCK * (int64_t)sizeof(float *)) + align(plan->run * 4) + align(edge_floats(plan) * 4) +
           align(BLOCK * plan->panel * 4);
}

/* A row of the window at the left or right edge: what lies outside is zero. */
static const float *edge_run(const struct block *b, const float *row, int64_t left, float *to)
{
    const struct qn_conv_params *p = b->p;
    int64_t c = p->c, columns = p->window.kernel[2], in = p->window.in[2];
    for (int64_t k = 0; k < columns; k++) {
        bool inside = left + k >= 0 && left + k < in;
        for (int64_t i = 0; i < c; i++)
            to[k * c + i] = inside ? row[(left + k) * p->x.axis[2] + i] : 0;
    }
    return to;
}

/* The pointers of n pixels of one output row, at[] being the first: a row of pointers of the table a tap. */
static void fill_row(const struct block *b, const float *x, const int64_t *at, int64_t n, const float **table)
{
    const struct qn_conv_params *p = b->p;
    const struct qn_window *w = &p->window;
    bool by_rows = b->plan->way == QN_CONV_WAY_ROWS;
    int64_t columns = by_rows ? 1 : w->kernel[2], in = w->in[2], step = p->x.axis[2], stride = w->stride[2];
    for (int64_t z = 0; z < w->kernel[0]; z++) {
        int64_t deep = at[0] * w->stride[0] - w->begin[0] + z * w->dilation[0];
        for (int64_t y = 0; y < w->kernel[1]; y++) {
            int64_t high = at[1] * w->stride[1] - w->begin[1] + y * w->dilation[1];
            bool inside = deep >= 0 && deep < w->in[0] && high >= 0 && high < w->in[1];
            const float *row = x + deep * p->x.axis[0] + high * p->x.axis[1];
            for (int64_t k = 0; k < columns; k++, table += BLOCK) {
                int64_t wide = at[2] * stride - w->begin[2] + k * w->dilation[2];
                if (!inside) {
                    for (int64_t i = 0; i < n; i++)
                        table[i] = b->zeros;
                } else if (by_rows) {
                    float *edges = b->edges + (table - b->table) * b->plan->run;
                    for (int64_t i = 0; i < n; i++, wide += stride)
                        table[i] = wide >= 0 && wide + w->kernel[2] <= in
                                       ? row + wide * step
                                       : edge_run(b, row, wide, edges + i * b->plan->run);
                } else {
                    for (int64_t i = 0; i < n; i++, wide += stride)
                        table[i] = wide >= 0 && wide < in ? row + wide * step : b->zeros;
                }
            }
        }
    }
}

/* The pointers of pixels first .. first + n of image and group, unless the table has them. */
static void fill_table(struct block *b, int64_t image, int64_t group, int64_t first, int64_t n)
{
    const struct qn_conv_params *p = b->p;
    const int64_t *out = p->window.out;
    int64_t at[QN_WINDOW_AXES];
    if (b->image == image && b->group == group && b->first == first && b->n == n)
        return;
    b->image = image;
    b->group = group;
    b->first = first;
    b->n = n;
    const float *x = (const float *)p->x.data + image * p->x.batch + group * (p->c / p->groups);
    qn_window_position(out, first, at);
    for (int64_t i = 0, run; i < n; i += run) {
        run = least(n - i, out[2] - at[2]);
        fill_row(b, x, at, run, b->table + i);
        at[2] = 0;
        if (++at[1] == out[1]) {
            at[1] = 0;
            at[0]++;
        }
    }
}

/* What becomes of the sums of pixels first on: where they go, and what is added. */
static void set_finish(const struct block *b, struct conv_tile *t, int64_t image, int64_t first, int64_t o)
{
    const struct qn_conv_params *p = b->p;
    int64_t at[QN_WINDOW_AXES];
    qn_window_position(p->window.out, first, at);
    bool relu = p->activation == QN_ACTIVATION_RELU, clip = p->activation == QN_ACTIVATION_CLIP;
    t->scale = p->scale ? (const float *)p->scale + o : NULL;
    t->bias = p->bias ? (const float *)p->bias + o : NULL;
    t->low = relu ? 0 : clip ? p->alpha : -__builtin_inff();
    t->high = clip ? p->beta : __builtin_inff();
    t->y_step = p->y.axis[2];
    t->residual_step = p->residual.axis[2];
    t->y = (float *)p->y.data + qn_pixels_offset(&p->y, image, at) + o;
    t->residual =
        p->residual.data ? (const float *)p->residual.data + qn_pixels_offset(&p->residual, image, at) + o : NULL;
}

/* Pixels first .. first + n, at most BLOCK, of one image, by one panel. */
static void run_block(struct block *b, int64_t image, int64_t group, int64_t panel, int64_t first, int64_t n)
{
    const struct qn_conv_plan *plan = b->plan;
    const struct qn_conv_params *p = b->p;
    int64_t width = qn_conv_panel_width(plan, panel), vectors = width / VF_LANES, rows = rows_of(vectors);
    int64_t tiles = (n + rows - 1) / rows, column = panel * plan->panel;
    const float *w = (const float *)p->w + qn_conv_panel_at(plan, group, panel);
    struct conv_tile end = {.columns = least(plan->columns - column, plan->panel)};
    set_finish(b, &end, image, first, group * plan->columns + column);
    fill_table(b, image, group, first, n);
    for (int64_t chunk = 0; chunk < plan->run; chunk += plan->chunk) {
        struct conv_tile t = end;
        bool last = chunk + plan->chunk >= plan->run;
        t.w = w;
        t.taps = plan->taps;
        t.first = chunk;
        t.fresh = chunk == 0;
        t.run = least(plan->run - chunk, plan->chunk);
        t.ahead_step = least((width + tiles - 1) / tiles, LINE);
        for (int64_t i = 0, done = 0; i < tiles; i++) { /* tiles of nearly equal height */
            int64_t next = (i + 1) * n / tiles;
            /* all tiles together fetch the next piece of the weights: it comes from far, and only once */
            t.ahead = w + t.taps * t.run * (width + i * t.ahead_step);
            t.rows = (const float *const *)b->table + done;
            t.sums = b->sums + done * width;
            t.y = last ? end.y + done * t.y_step : NULL;
            t.residual = end.residual ? end.residual + done * t.residual_step : NULL;
            tile_fns[vectors - 1][next - done - 1](&t);
            if (last && p->activation > QN_ACTIVATION_CLIP)
                vf_activate_block(p->activation, p->alpha, p->beta, t.y, t.y_step, next - done, t.columns);
            done = next;
        }
        w += plan->taps * t.run * width;
    }
}

/* ---- the kernel ----------------------------------------------------------------------------------------------- */

/* Few weights: they stay in the second cache level while the pixels pass, each of them once for all panels. Many: a
 * panel stays while all pixels pass over it. A tile of the index space is then BLOCK pixels by a panel, or GROUP. */
static bool by_pixels(const struct qn_conv_plan *plan)
{
    return plan->group_floats * 4 <= FEW_BYTES;
}

/* One step leads from each pixel to the next. */
static bool is_even(const struct qn_window *w, const struct qn_pixels *y)
{
    return (w->out[1] == 1 || y->axis[1] == w->out[2] * y->axis[2]) &&
           (w->out[0] == 1 || y->axis[0] == w->out[1] * w->out[2] * y->axis[2]);
}

/* Pixels that one step leads along: all, or those of a row. */
static int64_t line_pixels(const struct qn_conv_params *p)
{
    bool even = is_even(&p->window, &p->y) && (!p->has_residual || is_even(&p->window, &p->residual));
    return even ? qn_window_out(&p->window) : p->window.out[2];
}

/* Pixels of a tile. */
static int64_t tile_pixels(const struct qn_conv_params *p, const struct qn_conv_plan *plan)
{
    if (!by_pixels(plan))
        return GROUP;
    int64_t pixels = line_pixels(p), blocks = (pixels + BLOCK - 1) / BLOCK;
    return ((pixels + blocks - 1) / (blocks ? blocks : 1) + GROUP - 1) / GROUP * GROUP;
}

/* Tiles of a line, and of all lines of an image. */
static int64_t line_tiles(const struct qn_conv_params *p, const struct qn_conv_plan *plan)
{
    int64_t size = tile_pixels(p, plan);
    return size ? (line_pixels(p) + size - 1) / size : 0;
}

static int64_t pixel_tiles(const struct qn_conv_params *p, const struct qn_conv_plan *plan)
{
    int64_t line = line_pixels(p);
    return line ? qn_window_out(&p->window) / line * line_tiles(p, plan) : 0;
}

static int64_t part_tiles(const struct qn_conv_params *p, const struct qn_conv_plan *plan)
{
    if (plan->way == QN_CONV_WAY_DEPTHWISE)
        return p->window.out[2] ? depthwise_tiles(p) : 0;
    return p->groups * plan->panels * p->batch * pixel_tiles(p, plan);
}

static int64_t tiles(const void *params)
{
    const struct qn_conv_params *p = params;
    int64_t sum = 0;
    for (int64_t i = 0; i < qn_conv_parts(p); i++) {
        struct qn_conv_params part = qn_conv_part(p, i, NULL);
        struct qn_conv_plan plan = plan_of(&part);
        sum += part_tiles(&part, &plan);
    }
    return sum;
}

static int64_t scratch_bytes(const void *params)
{
    const struct qn_conv_params *p = params;
    int64_t most = 0;
    for (int64_t i = 0; i < qn_conv_parts(p); i++) {
        struct qn_conv_params part = qn_conv_part(p, i, NULL);
        struct qn_conv_plan plan = plan_of(&part);
        int64_t bytes = plan.way == QN_CONV_WAY_DEPTHWISE ? depthwise_scratch(&part) : gemm_scratch(&plan);
        most = bytes > most ? bytes : most;
    }
    return most;
}

static void run_part(const struct qn_conv_params *p, const struct qn_conv_plan *plan, int64_t begin, int64_t end,
                     void *scratch)
{
    if (plan->way == QN_CONV_WAY_DEPTHWISE) {
        run_depthwise(p, begin, end, scratch);
        return;
    }
    struct block b = {.p = p, .plan = plan, .table = scratch, .image = -1};
    char *at = (char *)scratch + align(plan->taps * BLOCK * (int64_t)sizeof(float *));
    b.zeros = (float *)at;
    at += align(plan->run * 4);
    b.edges = (float *)at;
    b.sums = (float *)(at + align(edge_floats(plan) * 4));
    for (int64_t i = 0; i < plan->run; i++)
        b.zeros[i] = 0;
    int64_t count = pixel_tiles(p, plan), size = tile_pixels(p, plan), step;
    int64_t line = line_pixels(p), a_line = line_tiles(p, plan);
    for (int64_t i = begin; i < end; i += step) {
        int64_t panels = plan->panels, panel, from, image, group;
        step = 1;
        if (by_pixels(plan)) { /* panels of a block of pixels, then the next block */
            panel = i % panels;
            from = i / panels % count;
            group = i / panels / count % p->groups;
            image = i / panels / count / p->groups;
        } else {
            from = i % count;
            image = i / count % p->batch;
            panel = i / count / p->batch % panels;
            group = i / count / p->batch / panels;
            step = least(least(end - i, a_line - from % a_line), BLOCK / GROUP);
        }
        int64_t first = from % a_line * size, n = least(step * size, line - first);
        run_block(&b, image, group, panel, from / a_line * line + first, n);
    }
}

static void run(const void *params, int64_t begin, int64_t end, void *scratch)
{
    const struct qn_conv_params *p = params;
    const float *w = p->w;
    int64_t first = 0; /* tile of the part */
    for (int64_t i = 0; i < qn_conv_parts(p) && first < end; i++) {
        struct qn_conv_params part = qn_conv_part(p, i, NULL);
        struct qn_conv_plan plan = plan_of(&part);
        int64_t count = part_tiles(&part, &plan);
        part.w = w;
        if (begin < first + count)
            run_part(&part, &plan, begin > first ? begin - first : 0, least(end - first, count), scratch);
        w += plan.floats;
        first += count;
    }
}

/* Channels last, and pixels of a row without gaps where a row is one run. */
static bool fits(const void *params)
{
    const struct qn_conv_params *p = params;
    bool last = (p->c == 1 || p->x.channel == 1) && (p->o == 1 || p->y.channel == 1);
    if (p->has_residual)
        last = last && (p->o == 1 || p->residual.channel == 1);
    if (p->bias_stride > 1 || p->scale_stride > 1 || p->x.dtype != QN_DTYPE_F32)
        return false;
    for (int64_t i = 0; i < qn_conv_parts(p); i++) {
        struct qn_conv_params part = qn_conv_part(p, i, NULL);
        struct qn_conv_plan plan = plan_of(&part);
        last = last && plan.way != QN_CONV_WAY_NONE && (plan.way != QN_CONV_WAY_ROWS || p->x.axis[2] == p->c);
    }
    return last;
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
