/* Largest elements and means of f32 images with channels last: vectors of channels. A file for an instruction set
 * defines KERNEL, NAME, SERIAL, NEEDS and RANK and includes this. A tile is a row of output pixels. */
#include "ir/ir.h"
#include "kernels/pool/pooling.h"
#include "kernels/simd/vec.h"

enum { POOL_VECTORS = 4 }; /* vectors of channels that are done together */

/* Taps of a window along an axis that lie inside the image: low .. high - 1; and those inside the padded image. */
struct pool_range {
    int64_t start, low, high, padded;
};

static struct pool_range range_of(const struct qn_window *w, int axis, int64_t at)
{
    int64_t step = w->dilation[axis], size = w->kernel[axis];
    struct pool_range r = {.start = at * w->stride[axis] - w->begin[axis]};
    int64_t left = w->in[axis] - r.start, all = left + w->end[axis];
    r.low = r.start >= 0 ? 0 : (-r.start + step - 1) / step;
    r.high = left <= 0 ? 0 : (left + step - 1) / step;
    r.padded = all <= 0 ? 0 : (all + step - 1) / step;
    r.low = r.low < size ? r.low : size;
    r.high = r.high < size ? r.high : size;
    r.padded = r.padded < size ? r.padded : size;
    return r;
}

/* NaN is larger than all. */
QN_INLINE vf pool_larger(vf a, vf x)
{
    return vf_select(vf_nan(x), x, vf_max(x, a)); /* the second where one is NaN: only this stands in a chain */
}

/* `vectors` vectors of channels; the last has `left` of them. */
QN_INLINE void pool_pixel(const struct qn_pool_params *p, const int vectors, bool mean, const struct pool_range *r,
                          const float *x, float *y, int64_t left)
{
    const struct qn_window *w = &p->window;
    vf v[POOL_VECTORS];
    int64_t count = 0;
    QN_UNROLL
    for (int i = 0; i < vectors; i++)
        v[i] = vf_set(mean ? 0.0f : -__builtin_inff());
    for (int64_t a = r[0].low; a < r[0].high; a++) {
        for (int64_t b = r[1].low; b < r[1].high; b++) {
            const float *row =
                x + (r[0].start + a * w->dilation[0]) * p->x.axis[0] + (r[1].start + b * w->dilation[1]) * p->x.axis[1];
            for (int64_t c = r[2].low; c < r[2].high; c++, count++) {
                const float *from = row + (r[2].start + c * w->dilation[2]) * p->x.axis[2];
                QN_UNROLL
                for (int i = 0; i < vectors; i++) {
                    vf element = vf_load_up_to(from + i * VF_LANES, i + 1 < vectors ? VF_LANES : left);
                    v[i] = mean ? vf_add(v[i], element) : pool_larger(v[i], element);
                }
            }
        }
    }
    if (p->count_padding)
        count = r[0].padded * r[1].padded * r[2].padded;
    vf divisor = vf_set(count ? (float)count : 1.0f);
    QN_UNROLL
    for (int i = 0; i < vectors; i++) {
        vf result = mean ? vf_div(v[i], divisor) : v[i];
        if (i + 1 < vectors || left >= VF_LANES)
            vf_store(y + i * VF_LANES, result);
        else
            vf_store_part(y + i * VF_LANES, result, left);
    }
}

QN_INLINE void pool_row(const struct qn_pool_params *p, bool mean, int64_t n, int64_t *at)
{
    struct pool_range r[QN_WINDOW_AXES] = {range_of(&p->window, 0, at[0]), range_of(&p->window, 1, at[1])};
    const float *x = (const float *)p->x.data + n * p->x.batch;
    for (at[2] = 0; at[2] < p->window.out[2]; at[2]++) {
        float *y = (float *)p->y.data + qn_pixels_offset(&p->y, n, at);
        int64_t c = 0;
        r[2] = range_of(&p->window, 2, at[2]);
        for (; c + POOL_VECTORS * VF_LANES <= p->c; c += POOL_VECTORS * VF_LANES)
            pool_pixel(p, POOL_VECTORS, mean, r, x + c, y + c, VF_LANES);
        if (p->c - c > 2 * VF_LANES) {
            pool_pixel(p, 3, mean, r, x + c, y + c, p->c - c - 2 * VF_LANES);
            c += 3 * VF_LANES;
        } else if (p->c - c > VF_LANES) {
            pool_pixel(p, 2, mean, r, x + c, y + c, p->c - c - VF_LANES);
            c += 2 * VF_LANES;
        }
        for (; c < p->c; c += VF_LANES)
            pool_pixel(p, 1, mean, r, x + c, y + c, p->c - c);
    }
}

static int64_t tiles(const void *params)
{
    const struct qn_pool_params *p = params;
    return p->batch * p->window.out[0] * p->window.out[1];
}

static void run(const void *params, int64_t begin, int64_t end, void *scratch)
{
    (void)scratch;
    const struct qn_pool_params *p = params;
    const int64_t *out = p->window.out;
    for (int64_t i = begin; i < end; i++) {
        int64_t at[QN_WINDOW_AXES] = {i / out[1] % out[0], i % out[1], 0};
        if (p->op == QN_OP_avg_pool)
            pool_row(p, true, i / out[1] / out[0], at);
        else
            pool_row(p, false, i / out[1] / out[0], at);
    }
}

static bool fits(const void *params)
{
    const struct qn_pool_params *p = params;
    return (p->op == QN_OP_max_pool || p->op == QN_OP_avg_pool) && p->x.dtype == QN_DTYPE_F32 &&
           (p->c == 1 || (p->x.channel == 1 && p->y.channel == 1));
}

const struct qn_kernel KERNEL = {
    .serial = SERIAL,
    .name = NAME,
    .family = QN_FAMILY_POOL,
    .needs = NEEDS,
    .dtype = QN_DTYPE_F32,
    .rank = RANK,
    .tiles = tiles,
    .run = run,
    .fits = fits,
};
