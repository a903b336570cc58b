/* Convolution of f32 images with channels last. A file for an instruction set defines ISA, SERIAL, NEEDS, RANK, FORM
 * (the packed weights) and WIDE, and includes this.
 *
 * An implicit GEMM: the inputs of an output pixel are `taps` runs of floats in x, found through a table of pointers; a run
 * in the padding points to zeros. A register tile of a few pixels by a panel of output channels adds up a chunk of
 * channels of all taps at a time, so that the piece of the panel stays in the first cache level while many pixels pass
 * over it. An output's sum runs along chunks, taps, channels, whatever tile it lies in.
 *
 * A tile of the index space is GROUP pixels of one panel; neighbours share panels.
 */
#include "kernels/conv/conv.h"
#include "kernels/simd/vec_activation.h"

enum {
    GROUP = 12, /* pixels: a whole number of register tiles of either height */
    BLOCK = 96, /* pixels that are done together at most */
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
    float *sums;              /* [pixel][width]: sums so far, if not `fresh`; and where they go */
    bool fresh;
};

QN_INLINE void tile_run(const int rows, const int vectors, const struct conv_tile *t)
{
    vf acc[24];
    QN_UNROLL
    for (int i = 0; i < rows * vectors; i++)
        acc[i] = t->fresh ? vf_zero() : vf_load(t->sums + i * VF_LANES);
    const float *w = t->w;
    const float *const *table = t->rows;
    for (int64_t tap = 0; tap < t->taps; tap++, table += BLOCK) {
        const float *x[MOST_ROWS];
        QN_UNROLL
        for (int r = 0; r < rows; r++)
            x[r] = table[r] + t->first;
        for (int64_t i = 0; i < t->run; i++, w += vectors * VF_LANES) {
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
    QN_UNROLL
    for (int i = 0; i < rows * vectors; i++)
        vf_store(t->sums + i * VF_LANES, acc[i]);
}

#define TILE(rows, vectors)                                                                  \
    static __attribute__((noinline)) void tile_##rows##x##vectors(const struct conv_tile *t) \
    {                                                                                        \
        tile_run(rows, vectors, t);                                                          \
    }
#define TILES(vectors) \
    TILE(1, vectors) TILE(2, vectors) TILE(3, vectors) TILE(4, vectors) TILE(5, vectors) TILE(6, vectors)
#define TILE_NAMES(vectors) \
    tile_1x##vectors, tile_2x##vectors, tile_3x##vectors, tile_4x##vectors, tile_5x##vectors, tile_6x##vectors
TILES(1)
TILES(2)
#if defined(__AVX512F__)
TILE(7, 1)
TILE(8, 1)
TILE(7, 2)
TILE(8, 2)
TILES(3)
TILE(7, 3)
TILE(8, 3)
TILES(4)
#endif

typedef void (*tile_fn)(const struct conv_tile *t);
static const tile_fn tile_fns[4][8] = {
#if defined(__AVX512F__)
    {TILE_NAMES(1), tile_7x1, tile_8x1},
    {TILE_NAMES(2), tile_7x2, tile_8x2},
    {TILE_NAMES(3), tile_7x3, tile_8x3},
    {TILE_NAMES(4)},
#else
    {TILE_NAMES(1)},
    {TILE_NAMES(2)},
#endif
};

/* ---- a block of pixels ---------------------------------------------------------------------------------------- */

struct block {
    const struct qn_conv_params *p;
    const struct qn_conv_plan *plan;
    const float **table; /* [tap][BLOCK] */
    float *zeros;        /* a run's length */
    float *edges;        /* ROWS: runs that reach over the left or right edge, put together here */
    float *sums;         /* [pixel][width] */
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

/* The pointers of pixels first .. first + n of image and group. */
static void fill_table(const struct block *b, int64_t image, int64_t group, int64_t first, int64_t n)
{
    const struct qn_conv_params *p = b->p;
    const struct qn_window *w = &p->window;
    bool by_rows = b->plan->way == QN_CONV_WAY_ROWS;
    int64_t columns = by_rows ? 1 : w->kernel[2], at[QN_WINDOW_AXES];
    const float *x = (const float *)p->x.data + image * p->x.batch + group * (p->c / p->groups);
    qn_window_position(w->out, first, at);
    for (int64_t i = 0; i < n; i++) {
        const float **to = b->table + i;
        int64_t start[QN_WINDOW_AXES];
        for (int k = 0; k < QN_WINDOW_AXES; k++)
            start[k] = at[k] * w->stride[k] - w->begin[k];
        for (int64_t z = 0; z < w->kernel[0]; z++) {
            int64_t deep = start[0] + z * w->dilation[0];
            for (int64_t y = 0; y < w->kernel[1]; y++) {
                int64_t high = start[1] + y * w->dilation[1];
                bool inside = deep >= 0 && deep < w->in[0] && high >= 0 && high < w->in[1];
                const float *row = x + deep * p->x.axis[0] + high * p->x.axis[1];
                for (int64_t k = 0; k < columns; k++, to += BLOCK) {
                    int64_t wide = start[2] + k * w->dilation[2];
                    if (!inside)
                        *to = b->zeros;
                    else if (by_rows)
                        *to = wide >= 0 && wide + w->kernel[2] <= w->in[2]
                                  ? row + wide * p->x.axis[2]
                                  : edge_run(b, row, wide,
                                             b->edges + ((z * w->kernel[1] + y) * BLOCK + i) * b->plan->run);
                    else
                        *to = wide >= 0 && wide < w->in[2] ? row + wide * p->x.axis[2] : b->zeros;
                }
            }
        }
        for (int k = QN_WINDOW_AXES - 1; k >= 0 && ++at[k] == w->out[k] && k > 0; k--)
            at[k] = 0;
    }
}

/* Vector k of a pixel: sums times scale, bias, residual, the cheap activations. `left`: channels there are from it on. */
QN_INLINE vf finished(const struct qn_conv_params *p, vf v, int64_t o, const float *residual, int64_t left)
{
    bool full = left >= VF_LANES;
    const float *scale = p->scale, *bias = p->bias;
    if (scale)
        v = vf_mul(v, full ? vf_load(scale + o) : vf_load_part(scale + o, left));
    if (bias)
        v = vf_add(v, full ? vf_load(bias + o) : vf_load_part(bias + o, left));
    if (residual)
        v = vf_add(v, full ? vf_load(residual) : vf_load_part(residual, left));
    if (p->activation == QN_ACT_RELU)
        return vf_relu(v);
    return p->activation == QN_ACT_CLIP ? vf_clip(v, p->alpha, p->beta) : v;
}

/* The sums of pixels to y: channels o .. o + columns. */
static void finish(const struct block *b, int64_t image, int64_t o, int64_t columns, int64_t width, int64_t first,
                   int64_t n)
{
    const struct qn_conv_params *p = b->p;
    int64_t at[QN_WINDOW_AXES];
    qn_window_position(p->window.out, first, at);
    for (int64_t i = 0; i < n; i++) {
        float *y = (float *)p->y.data + qn_pixels_offset(&p->y, image, at) + o;
        const float *residual = NULL, *sums = b->sums + i * width;
        int64_t k = 0;
        if (p->residual.data)
            residual = (const float *)p->residual.data + qn_pixels_offset(&p->residual, image, at) + o;
        for (; k + VF_LANES <= columns; k += VF_LANES)
            vf_store(y + k, finished(p, vf_load(sums + k), o + k, residual ? residual + k : NULL, VF_LANES));
        if (k < columns)
            vf_store_part(y + k, finished(p, vf_load(sums + k), o + k, residual ? residual + k : NULL, columns - k),
                          columns - k);
        if (p->activation > QN_ACT_CLIP)
            vf_activate_block(p->activation, p->alpha, p->beta, y, columns, 1, columns);
        for (int j = QN_WINDOW_AXES - 1; j >= 0 && ++at[j] == p->window.out[j] && j > 0; j--)
            at[j] = 0;
    }
}

/* Pixels first .. first + n, at most BLOCK, of one image, by one panel. */
static void run_block(const struct block *b, int64_t image, int64_t group, int64_t panel, int64_t first, int64_t n)
{
    const struct qn_conv_plan *plan = b->plan;
    int64_t width = qn_conv_panel_width(plan, panel), vectors = width / VF_LANES, rows = rows_of(vectors);
    int64_t tiles = (n + rows - 1) / rows;
    const float *w = (const float *)b->p->w + qn_conv_panel_at(plan, group, panel);
    fill_table(b, image, group, first, n);
    for (int64_t chunk = 0; chunk < plan->run; chunk += plan->chunk) {
        struct conv_tile t = {.w = w, .taps = plan->taps, .first = chunk, .fresh = chunk == 0};
        t.run = least(plan->run - chunk, plan->chunk);
        for (int64_t i = 0, done = 0; i < tiles; i++) { /* tiles of nearly equal height */
            int64_t end = (i + 1) * n / tiles;
            t.rows = (const float *const *)b->table + done;
            t.sums = b->sums + done * width;
            tile_fns[vectors - 1][end - done - 1](&t);
            done = end;
        }
        w += plan->taps * t.run * width;
    }
    int64_t column = panel * plan->panel;
    finish(b, image, group * plan->columns + column, least(plan->columns - column, plan->panel), width, first, n);
}

/* ---- the kernel ----------------------------------------------------------------------------------------------- */

static int64_t pixel_groups(const struct qn_conv_params *p)
{
    return (qn_window_out(&p->window) + GROUP - 1) / GROUP;
}

static int64_t tiles(const void *params)
{
    const struct qn_conv_params *p = params;
    struct qn_conv_plan plan = plan_of(p);
    if (plan.way == QN_CONV_WAY_DEPTHWISE)
        return depthwise_tiles(p);
    return p->groups * plan.panels * p->batch * pixel_groups(p);
}

static int64_t scratch_bytes(const void *params)
{
    struct qn_conv_plan plan = plan_of(params);
    return plan.way == QN_CONV_WAY_DEPTHWISE ? depthwise_scratch(params) : gemm_scratch(&plan);
}

static void run(const void *params, int64_t begin, int64_t end, void *scratch)
{
    const struct qn_conv_params *p = params;
    struct qn_conv_plan plan = plan_of(p);
    if (plan.way == QN_CONV_WAY_DEPTHWISE) {
        run_depthwise(p, begin, end, scratch);
        return;
    }
    struct block b = {.p = p, .plan = &plan, .table = scratch};
    char *at = (char *)scratch + align(plan.taps * BLOCK * (int64_t)sizeof(float *));
    b.zeros = (float *)at;
    at += align(plan.run * 4);
    b.edges = (float *)at;
    b.sums = (float *)(at + align(edge_floats(&plan) * 4));
    for (int64_t i = 0; i < plan.run; i++)
        b.zeros[i] = 0;
    int64_t groups = pixel_groups(p), pixels = qn_window_out(&p->window), step;
    for (int64_t i = begin; i < end; i += step) { /* panel by panel, then images, then pixels */
        int64_t from = i % groups, image = i / groups % p->batch, panel = i / groups / p->batch;
        step = least(least(end - i, groups - from), BLOCK / GROUP);
        int64_t first = from * GROUP, last = least((from + step) * GROUP, pixels);
        run_block(&b, image, panel / plan.panels, panel % plan.panels, first, last - first);
    }
}

/* Channels last, and pixels of a row without gaps where a row is one run. */
static bool fits(const void *params)
{
    const struct qn_conv_params *p = params;
    struct qn_conv_plan plan = plan_of(p);
    bool last = (p->c == 1 || p->x.channel == 1) && (p->o == 1 || p->y.channel == 1);
    if (p->has_residual)
        last = last && (p->o == 1 || p->residual.channel == 1);
    if (p->bias_stride > 1 || p->scale_stride > 1 || p->x.dtype != QN_DTYPE_F32 || plan.way == QN_CONV_WAY_NONE)
        return false;
    return last && (plan.way != QN_CONV_WAY_ROWS || p->x.axis[2] == p->c);
}

#define CONV_CAT_(a, b) a##b
#define CONV_CAT(a, b) CONV_CAT_(a, b)
#define CONV_TEXT_(a) #a
#define CONV_TEXT(a) CONV_TEXT_(a)

const struct qn_kernel CONV_CAT(qn_conv_f32_, ISA) = {
    .serial = SERIAL,
    .name = "conv_f32_" CONV_TEXT(ISA),
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
