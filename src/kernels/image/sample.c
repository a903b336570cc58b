/* grid_sample and roi_align: images read at positions that come from data. */
#include "kernels/element.h"
#include "kernels/fault.h"
#include "kernels/image/resample.h"
#include "kernels/math.h"

enum { AXES = 3, AXIS_TAPS = 4, ALL_TAPS = 64 };

static double load(const struct qn_view *view, int64_t offset)
{
    double value;
    qn_load_f64(&value, (const char *)view->data + offset * qn_element_bytes(view->dtype), 0, view->dtype, 1);
    return value;
}

static void store(const struct qn_view *view, int64_t offset, double value)
{
    qn_store_f64((char *)view->data + offset * qn_element_bytes(view->dtype), 0, view->dtype, &value, 1);
}

static double floor_of(double x)
{
    double whole = (double)(int64_t)x;
    return whole > x ? whole - 1 : whole;
}

/* x folded back at the borders until it lies between them. */
static double reflect(double x, double low, double high)
{
    double range = high - low;
    if (range <= 0)
        return low;
    double beyond = x < low ? low - x : x > high ? x - high : -1;
    if (beyond < 0)
        return x;
    int64_t folds = (int64_t)(beyond / range);
    double rest = beyond - (double)folds * range;
    return (x < low) == (folds % 2 == 0) ? low + rest : high - rest;
}

struct axis_taps {
    int count;
    int64_t index[AXIS_TAPS]; /* -1: outside, counts as 0 */
    double weight[AXIS_TAPS];
};

static void cubic_weights(double x, double *w)
{
    const double a = -0.75;
    w[0] = ((a * (x + 1) - 5 * a) * (x + 1) + 8 * a) * (x + 1) - 4 * a;
    w[1] = ((a + 2) * x - (a + 3)) * x * x + 1;
    w[2] = ((a + 2) * (1 - x) - (a + 3)) * (1 - x) * (1 - x) + 1;
    w[3] = ((a * (2 - x) - 5 * a) * (2 - x) + 8 * a) * (2 - x) - 4 * a;
}

/* The elements of an axis of `size` that the coordinate -1 .. 1 stands for. */
static void axis_taps(const struct qn_grid_sample_params *p, double coordinate, int64_t size, struct axis_taps *t)
{
    double d = (double)size, low = p->align_corners ? 0 : -0.5, high = p->align_corners ? d - 1 : d - 0.5;
    double x = p->align_corners ? (coordinate + 1) / 2 * (d - 1) : ((coordinate + 1) * d - 1) / 2;
    x = x > -1e9 ? x < 1e9 ? x : 1e9 : -1e9; /* also where it is NaN */
    if (p->mode == 0)
        x = qn_nearest(x);
    if ((x < low || x > high) && p->padding)
        x = p->padding == 1 ? (x < 0 ? 0 : x > d - 1 ? d - 1 : x) : reflect(x, low, high);
    double whole = p->mode == 0 ? (double)(int64_t)x : floor_of(x), rest = x - whole;
    int64_t first = (int64_t)whole - (p->mode == 2);
    t->count = p->mode == 0 ? 1 : p->mode == 1 ? 2 : 4;
    if (p->mode == 2) {
        cubic_weights(rest, t->weight);
    } else {
        t->weight[0] = p->mode ? 1 - rest : 1;
        t->weight[1] = rest;
    }
    for (int i = 0; i < t->count; i++) {
        int64_t at = first + i;
        if (p->padding == 0)
            at = at < 0 || at >= size ? -1 : at;
        else if (p->padding == 2)
            at = (int64_t)reflect((double)at, low, high);
        t->index[i] = p->padding ? (at < 0 ? 0 : at >= size ? size - 1 : at) : at;
    }
}

static void grid_pixel(const struct qn_grid_sample_params *p, int64_t pixel)
{
    uint32_t axes = p->x.rank - 2;
    struct axis_taps taps[AXES];
    int64_t grid = 0, y = 0, x = 0, offsets[ALL_TAPS], combinations = 1, used = 0;
    double weights[ALL_TAPS];
    for (uint32_t i = axes; i-- > 0;) {
        int64_t at = pixel % p->y.dims[i + 2];
        pixel /= p->y.dims[i + 2];
        grid += at * p->grid.strides[i + 1];
        y += at * p->y.strides[i + 2];
    }
    grid += pixel * p->grid.strides[0];
    y += pixel * p->y.strides[0];
    x = pixel * p->x.strides[0];
    for (uint32_t i = 0; i < axes; i++) {
        double coordinate = load(&p->grid, grid + (int64_t)(axes - 1 - i) * p->grid.strides[axes + 1]);
        axis_taps(p, coordinate, p->x.dims[i + 2], &taps[i]);
        combinations *= taps[i].count;
    }
    for (int64_t k = 0; k < combinations; k++) {
        int64_t rest = k, offset = x;
        double weight = 1;
        bool inside = true;
        for (uint32_t i = axes; i-- > 0; rest /= taps[i].count) {
            int64_t index = taps[i].index[rest % taps[i].count];
            weight *= taps[i].weight[rest % taps[i].count];
            offset += index * p->x.strides[i + 2];
            inside &= index >= 0;
        }
        offsets[used] = offset;
        weights[used] = weight;
        used += inside;
    }
    for (int64_t c = 0; c < p->y.dims[1]; c++) {
        double sum = 0;
        for (int64_t k = 0; k < used; k++)
            sum += weights[k] * load(&p->x, offsets[k] + c * p->x.strides[1]);
        store(&p->y, y + c * p->y.strides[1], sum);
    }
}

void qn_grid_sample_run(const struct qn_grid_sample_params *p, int64_t begin, int64_t end)
{
    for (int64_t i = begin; i < end; i++)
        grid_pixel(p, i);
}

/* The corners around a point and their weights; false outside the image. */
static bool corners(const struct qn_view *x, double row, double column, int64_t *offsets, double *weights)
{
    double at[2] = {row, column}, rest[2];
    int64_t low[2], high[2];
    for (int i = 0; i < 2; i++) {
        int64_t size = x->dims[2 + i];
        if (!(at[i] >= -1 && at[i] <= (double)size))
            return false;
        double clipped = at[i] < 0 ? 0 : at[i];
        low[i] = (int64_t)clipped;
        bool end = low[i] >= size - 1;
        low[i] = end ? size - 1 : low[i];
        high[i] = end ? size - 1 : low[i] + 1;
        rest[i] = end ? 0 : clipped - (double)low[i];
    }
    for (int i = 0; i < 4; i++) {
        offsets[i] = (i >> 1 ? high : low)[0] * x->strides[2] + (i & 1 ? high : low)[1] * x->strides[3];
        weights[i] = (i >> 1 ? rest[0] : 1 - rest[0]) * (i & 1 ? rest[1] : 1 - rest[1]);
    }
    return true;
}

struct region {
    double start[2], bin[2]; /* rows, columns */
    int64_t points[2];
};

static struct region region_of(const struct qn_roi_align_params *p, int64_t r)
{
    struct region region;
    for (int i = 0; i < 2; i++) {
        double offset = p->half_pixel ? 0.5 : 0;
        double low = load(&p->rois, r * p->rois.strides[0] + (1 - i) * p->rois.strides[1]) * p->scale - offset;
        double high = load(&p->rois, r * p->rois.strides[0] + (3 - i) * p->rois.strides[1]) * p->scale - offset;
        double size = high - low;
        if (!p->half_pixel && !(size >= 1))
            size = 1;
        region.start[i] = low;
        region.bin[i] = size / (double)p->y.dims[2 + i];
        double points = region.bin[i] < 4096 ? region.bin[i] : 4096; /* a hostile region must not run for ever */
        region.points[i] = p->sampling > 0 ? p->sampling : points > 0 ? -(int64_t)floor_of(-points) : 0;
    }
    return region;
}

/* A sampling point of a bin: the four elements around it, or outside of x. */
struct sample {
    int64_t offsets[4];
    double weights[4];
    bool inside;
};

enum { SAMPLES = 64 }; /* of a bin that are found once for all channels */

static struct sample sample_of(const struct qn_roi_align_params *p, const struct region *r, const int64_t *at,
                               int64_t i)
{
    struct sample s;
    int64_t down = i / r->points[1], along = i % r->points[1];
    double row = ((double)down + 0.5) / (double)r->points[0];
    double column = ((double)along + 0.5) / (double)r->points[1];
    s.inside = corners(&p->x, r->start[0] + r->bin[0] * ((double)at[0] + row),
                       r->start[1] + r->bin[1] * ((double)at[1] + column), s.offsets, s.weights);
    return s;
}

/* One channel of a bin. `known`: its samples, or NULL. */
static double roi_channel(const struct qn_roi_align_params *p, const struct region *r, const int64_t *at,
                          const struct sample *known, int64_t base)
{
    const float *floats = p->x.dtype == QN_DTYPE_F32 ? (const float *)p->x.data + base : NULL;
    int64_t count = r->points[0] * r->points[1];
    double result = 0;
    for (int64_t i = 0; i < count; i++) {
        struct sample own;
        const struct sample *s = known ? &known[i] : &own;
        double sum = 0, most = 0;
        if (!known)
            own = sample_of(p, r, at, i);
        for (int c = 0; c < 4 && s->inside; c++) {
            double x = floats ? (double)floats[s->offsets[c]] : load(&p->x, base + s->offsets[c]);
            double value = s->weights[c] * x;
            sum += value;
            most = c == 0 || value > most ? value : most;
        }
        result = !p->max ? result + sum : i == 0 || most > result ? most : result;
    }
    return p->max || count == 0 ? result : result / (double)count;
}

/* The region's corners rounded to elements, both inside, and cut into bins that may overlap by one; what lies outside x
 * does not count, and a bin with nothing in it gives 0. */
static double roi_largest(const struct qn_roi_align_params *p, int64_t r, const int64_t *at, int64_t base)
{
    int64_t from[2], to[2];
    for (int i = 0; i < 2; i++) {
        double ends[2];
        for (int k = 0; k < 2; k++) {
            double v = load(&p->rois, r * p->rois.strides[0] + (2 * k + 1 - i) * p->rois.strides[1]) * p->scale;
            v = v > -1e9 ? v < 1e9 ? v : 1e9 : -1e9; /* also NaN */
            ends[k] = v < 0 ? -floor_of(0.5 - v) : floor_of(v + 0.5);
        }
        int64_t low = (int64_t)ends[0], size = (int64_t)ends[1] - low + 1, bins = p->y.dims[2 + i];
        int64_t most = p->x.dims[2 + i];
        size = size < 1 ? 1 : size;
        from[i] = low + at[i] * size / bins;
        to[i] = low + ((at[i] + 1) * size + bins - 1) / bins;
        from[i] = from[i] < 0 ? 0 : from[i];
        to[i] = to[i] > most ? most : to[i];
    }
    bool any = false;
    double largest = 0;
    for (int64_t i = from[0]; i < to[0]; i++)
        for (int64_t k = from[1]; k < to[1]; k++) {
            double value = load(&p->x, base + i * p->x.strides[2] + k * p->x.strides[3]);
            largest = !any || value > largest ? value : largest;
            any = true;
        }
    return largest;
}

void qn_roi_align_run(const struct qn_roi_align_params *p, int64_t begin, int64_t end)
{
    int64_t bins = p->y.dims[2] * p->y.dims[3];
    for (int64_t i = begin; i < end; i++) {
        int64_t r = i / bins, at[2] = {i % bins / p->y.dims[3], i % p->y.dims[3]};
        const char *index = (const char *)p->batch_indices.data +
                            r * p->batch_indices.strides[0] * qn_element_bytes(p->batch_indices.dtype);
        int64_t n = qn_load_index(index, p->batch_indices.dtype);
        bool valid = n >= 0 && n < p->x.dims[0];
        if (!valid)
            qn_fault_report(p->fault, QN_FAULT_INDEX);
        n = valid ? n : 0;
        struct region region = region_of(p, r);
        struct sample samples[SAMPLES];
        int64_t count = p->whole ? 0 : region.points[0] * region.points[1];
        for (int64_t k = 0; k < count && count <= SAMPLES; k++)
            samples[k] = sample_of(p, &region, at, k);
        const struct sample *known = count <= SAMPLES ? samples : NULL;
        int64_t to = r * p->y.strides[0] + at[0] * p->y.strides[2] + at[1] * p->y.strides[3];
        for (int64_t c = 0; c < p->y.dims[1]; c++) {
            int64_t base = n * p->x.strides[0] + c * p->x.strides[1];
            double value = !valid     ? 0
                           : p->whole ? roi_largest(p, r, at, base)
                                      : roi_channel(p, &region, at, known, base);
            store(&p->y, to + c * p->y.strides[1], value);
        }
    }
}
