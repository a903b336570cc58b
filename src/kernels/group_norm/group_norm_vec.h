/* Group normalisation of f32 on vectors. A file for an instruction set defines KERNEL, SERIAL, NAME, NEEDS and RANK and
 * includes this.
 *
 * Channels last: a tile is as many groups of an image as have BLOCK channels, or one; the sums run down the pixels, a
 * lane a channel. Channels first: a tile is a group; the sums run along each channel's pixels. Sums are taken in pieces
 * of PIECE elements a lane, and the pieces added up in f64. */
#include "kernels/group_norm/group_norm.h"
#include "kernels/simd/vec.h"

enum { BLOCK = 64, PIECE = 64, VECTORS = 4 };

static bool is_last(const struct qn_group_norm_params *p)
{
    return p->channel_stride == 1 && p->pixel_stride != 1;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Groups that a tile does. */
static int64_t tile_groups(const struct qn_group_norm_params *p)
{
    int64_t channels = p->c / p->groups;
    return !is_last(p) || channels >= BLOCK ? 1 : least(BLOCK / channels, p->groups);
}

static int64_t image_tiles(const struct qn_group_norm_params *p)
{
    return (p->groups + tile_groups(p) - 1) / tile_groups(p);
}

static int64_t tiles(const void *params)
{
    const struct qn_group_norm_params *p = params;
    return p->c > 0 && p->pixels > 0 ? p->batch * image_tiles(p) : 0;
}

static int64_t tile_channels(const struct qn_group_norm_params *p)
{
    return (tile_groups(p) * (p->c / p->groups) + VF_LANES - 1) / VF_LANES * VF_LANES;
}

/* A sum, a mean, a factor and a term for each channel of a tile. */
static int64_t scratch_bytes(const void *params)
{
    int64_t channels = tile_channels(params);
    return (channels * (int64_t)(sizeof(double) + 3 * sizeof(float)) + 63) / 64 * 64;
}

struct block {
    const struct qn_group_norm_params *p;
    const float *x;
    float *y;
    int64_t first, n; /* channels */
    double *sums;
    float *mean, *factor, *term;
};

/* Adds the lanes of v, `left` of them, to sums. */
static void add_lanes(double *sums, vf v, int64_t left)
{
    float lanes[VF_LANES];
    vf_store(lanes, v);
    for (int64_t i = 0; i < left && i < VF_LANES; i++)
        sums[i] += (double)lanes[i];
}

/* ---- channels last -------------------------------------------------------------------------------------------- */

/* Sums down the pixels of channels c on, `vectors` vectors of which the last has `left`: of x, or of squares around
 * the mean. */
QN_INLINE void sum_columns(const struct block *b, const bool squares, const int vectors, int64_t c, int64_t left)
{
    vf mean[VECTORS], sum[VECTORS];
    QN_UNROLL
    for (int i = 0; i < vectors; i++)
        mean[i] = squares ? vf_load(b->mean + c + i * VF_LANES) : vf_zero();
    for (int64_t first = 0; first < b->p->pixels; first += PIECE) {
        int64_t end = least(first + PIECE, b->p->pixels);
        QN_UNROLL
        for (int i = 0; i < vectors; i++)
            sum[i] = vf_zero();
        for (int64_t pixel = first; pixel < end; pixel++) {
            const float *x = b->x + pixel * b->p->pixel_stride + c;
            QN_UNROLL
            for (int i = 0; i < vectors; i++) {
                vf v = vf_load_up_to(x + i * VF_LANES, i + 1 < vectors ? VF_LANES : left);
                if (squares) {
                    v = vf_sub(v, mean[i]);
                    sum[i] = vf_fma(v, v, sum[i]);
                } else {
                    sum[i] = vf_add(sum[i], v);
                }
            }
        }
        QN_UNROLL
        for (int i = 0; i < vectors; i++)
            add_lanes(b->sums + c + i * VF_LANES, sum[i], i + 1 < vectors ? VF_LANES : left);
    }
}

static void sum_all_columns(const struct block *b, bool squares)
{
    int64_t c = 0;
    for (int64_t i = 0; i < b->n; i++)
        b->sums[i] = 0;
    for (; c + VECTORS * VF_LANES <= b->n; c += VECTORS * VF_LANES) {
        if (squares)
            sum_columns(b, true, VECTORS, c, VF_LANES);
        else
            sum_columns(b, false, VECTORS, c, VF_LANES);
    }
    for (; c < b->n; c += VF_LANES) {
        if (squares)
            sum_columns(b, true, 1, c, b->n - c);
        else
            sum_columns(b, false, 1, c, b->n - c);
    }
}

static void scale_columns(const struct block *b)
{
    for (int64_t pixel = 0; pixel < b->p->pixels; pixel++) {
        int64_t at = pixel * b->p->pixel_stride;
        for (int64_t c = 0; c < b->n; c += VF_LANES) {
            vf v = vf_sub(vf_load_up_to(b->x + at + c, b->n - c), vf_load(b->mean + c));
            vf_store_up_to(b->y + at + c, vf_fma(v, vf_load(b->factor + c), vf_load(b->term + c)), b->n - c);
        }
    }
}

/* ---- channels first ------------------------------------------------------------------------------------------- */

static double sum_row(const float *x, int64_t n, const bool squares, float mean)
{
    double sums[VF_LANES] = {0}, sum = 0;
    vf centre = vf_set(squares ? mean : 0);
    for (int64_t first = 0; first < n; first += PIECE * VF_LANES) {
        int64_t end = least(first + PIECE * VF_LANES, n);
        vf piece = vf_zero();
        for (int64_t i = first; i < end; i += VF_LANES) {
            vf v = vf_load_up_to(x + i, end - i);
            if (squares) {
                v = vf_sub(v, centre);
                v = vf_mul(v, v);
                if (end - i < VF_LANES) /* what is not there is no square of -mean */
                    v = vf_select(vf_range(0, end - i), v, vf_zero());
            }
            piece = vf_add(piece, v);
        }
        add_lanes(sums, piece, VF_LANES);
    }
    for (int i = 0; i < VF_LANES; i++)
        sum += sums[i];
    return sum;
}

static void sum_all_rows(const struct block *b, bool squares)
{
    for (int64_t c = 0; c < b->n; c++)
        b->sums[c] = sum_row(b->x + c * b->p->channel_stride, b->p->pixels, squares, b->mean[c]);
}

static void scale_rows(const struct block *b)
{
    for (int64_t c = 0; c < b->n; c++) {
        const float *x = b->x + c * b->p->channel_stride;
        float *y = b->y + c * b->p->channel_stride;
        vf mean = vf_set(b->mean[c]), factor = vf_set(b->factor[c]), term = vf_set(b->term[c]);
        for (int64_t i = 0; i < b->p->pixels; i += VF_LANES) {
            int64_t left = b->p->pixels - i;
            vf_store_up_to(y + i, vf_fma(vf_sub(vf_load_up_to(x + i, left), mean), factor, term), left);
        }
    }
}

/* ---- the kernel ----------------------------------------------------------------------------------------------- */

static float channel_value(const struct qn_view *view, int64_t c)
{
    return ((const float *)view->data)[c * view->strides[0]];
}

static double group_sum(const struct block *b, int64_t group, int64_t channels)
{
    double sum = 0;
    for (int64_t c = group * channels; c < (group + 1) * channels; c++)
        sum += b->sums[c];
    return sum;
}

static void run_block(const struct block *b)
{
    const struct qn_group_norm_params *p = b->p;
    int64_t channels = p->c / p->groups;
    double count = (double)(channels * p->pixels);
    void (*sum)(const struct block *, bool) = is_last(p) ? sum_all_columns : sum_all_rows;
    sum(b, false);
    for (int64_t group = 0; group < b->n / channels; group++) {
        float mean = (float)(group_sum(b, group, channels) / count);
        for (int64_t c = group * channels; c < (group + 1) * channels; c++)
            b->mean[c] = mean;
    }
    sum(b, true);
    for (int64_t group = 0; group < b->n / channels; group++) {
        double variance = group_sum(b, group, channels) / count;
        double scale = 1 / __builtin_sqrt(variance + (double)p->epsilon);
        for (int64_t c = group * channels; c < (group + 1) * channels; c++) {
            b->factor[c] = (float)(scale * (double)channel_value(&p->weight, b->first + c));
            b->term[c] = channel_value(&p->bias, b->first + c);
        }
    }
    (is_last(p) ? scale_columns : scale_rows)(b);
}

static void run(const void *params, int64_t begin, int64_t end, void *scratch)
{
    const struct qn_group_norm_params *p = params;
    int64_t room = tile_channels(p), channels = p->c / p->groups, groups = tile_groups(p);
    struct block b = {.p = p, .sums = scratch};
    b.mean = (float *)(void *)(b.sums + room);
    b.factor = b.mean + room;
    b.term = b.factor + room;
    for (int64_t i = 0; i < 3 * room; i++)
        b.mean[i] = 0; /* of the lanes past the last channel, too */
    for (int64_t i = begin; i < end; i++) {
        int64_t group = i % image_tiles(p) * groups, image = i / image_tiles(p);
        b.first = group * channels;
        b.n = least(groups, p->groups - group) * channels;
        int64_t at = image * p->batch_stride + b.first * p->channel_stride;
        b.x = (const float *)p->x + at;
        b.y = (float *)p->y + at;
        run_block(&b);
    }
}

static bool fits(const void *params)
{
    const struct qn_group_norm_params *p = params;
    return p->dtype == QN_DTYPE_F32 && (p->channel_stride == 1 || p->pixel_stride == 1) && p->groups > 0;
}

const struct qn_kernel KERNEL = {
    .serial = SERIAL,
    .name = NAME,
    .family = QN_FAMILY_GROUP_NORM,
    .needs = NEEDS,
    .dtype = QN_DTYPE_F32,
    .rank = RANK,
    .tiles = tiles,
    .scratch = scratch_bytes,
    .run = run,
    .fits = fits,
};
