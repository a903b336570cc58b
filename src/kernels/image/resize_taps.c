/* Which input elements an output position of a resized axis takes, and their weights. */
#include "ir/ir.h"
#include "kernels/image/resample.h"
#include "kernels/math.h"

enum { NEAREST, LINEAR, CUBIC };

static int64_t floor_of(double x)
{
    int64_t whole = (int64_t)x;
    return whole - ((double)whole > x);
}

static bool stays(const struct qn_resize_params *p, const struct qn_resize_axis *a)
{
    return a->in == a->out && (!a->given || a->scale == 1) && p->coordinates != QN_RESIZE_CROP;
}

bool qn_resize_stays(const struct qn_resize_params *p, uint32_t axis)
{
    return stays(p, &p->axes[axis]);
}

static double shrink(const struct qn_resize_params *p, const struct qn_resize_axis *a)
{
    return p->antialias && a->scale < 1 ? a->scale : 1;
}

int64_t qn_resize_tap_count(const struct qn_resize_params *p, uint32_t axis)
{
    const struct qn_resize_axis *a = &p->axes[axis];
    if (stays(p, a) || p->mode == NEAREST)
        return 1;
    double reach = p->mode == LINEAR ? 1 : 2;
    int64_t first = floor_of(-reach / shrink(p, a)) + 1; /* relative to the element at or left of the position */
    return 2 - 2 * first;
}

/* x / scale; for the nearest element in f32, as others compute it: what is whole in numbers of few digits (3 / 0.6)
 * comes out whole, and is not floored to the element before. */
static double unscaled(const struct qn_resize_params *p, const struct qn_resize_axis *a, double x)
{
    return p->mode == NEAREST ? (double)((float)x / (float)a->scale) : x / a->scale;
}

static double origin(const struct qn_resize_params *p, const struct qn_resize_axis *a, int64_t position)
{
    double x = (double)position, in = (double)a->in, width = a->given ? a->scale * in : (double)a->out;
    switch ((enum qn_resize_coordinates)p->coordinates) {
    case QN_RESIZE_ALIGN_CORNERS:
        return width == 1 ? 0 : x * (in - 1) / (width - 1);
    case QN_RESIZE_ASYMMETRIC:
        return unscaled(p, a, x);
    case QN_RESIZE_CROP:
        if (width == 1)
            return 0.5 * (a->roi_begin + a->roi_end) * (in - 1);
        return a->roi_begin * (in - 1) + x * (a->roi_end - a->roi_begin) * (in - 1) / (width - 1);
    case QN_RESIZE_PYTORCH_HALF_PIXEL:
        return a->out > 1 ? unscaled(p, a, x + 0.5) - 0.5 : 0;
    case QN_RESIZE_HALF_PIXEL_SYMMETRIC:
        return in / 2 * (1 - (double)a->out / width) + unscaled(p, a, x + 0.5) - 0.5;
    case QN_RESIZE_HALF_PIXEL:
        break;
    }
    return unscaled(p, a, x + 0.5) - 0.5;
}

static int64_t nearest(int32_t rounding, double x)
{
    int64_t below = floor_of(x);
    double rest = x - (double)below;
    switch (rounding) {
    case 0:
        return below + (rest > 0.5);
    case 1:
        return below + (rest >= 0.5);
    case 2:
        return below;
    default:
        return below + (rest > 0);
    }
}

static double weight_at(const struct qn_resize_params *p, double distance)
{
    double x = qn_abs(distance), a = p->cubic_a;
    if (p->mode == LINEAR)
        return x < 1 ? 1 - x : 0;
    if (x <= 1)
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

static int64_t clamp(int64_t index, int64_t size)
{
    return index < 0 ? 0 : index >= size ? size - 1 : index;
}

static void fill_position(const struct qn_resize_params *p, const struct qn_resize_axis *a, double x, int64_t count,
                          struct qn_resize_tap *taps)
{
    double scale = shrink(p, a), sum = 0;
    int64_t left = floor_of(x);
    if ((double)left == x) /* the element left of a position that falls on one is the one before */
        left--;
    int64_t first = left + 1 - count / 2;
    for (int64_t i = 0; i < count; i++) {
        double weight = weight_at(p, (x - (double)(first + i)) * scale);
        bool outside = first + i < 0 || first + i >= a->in;
        taps[i] = (struct qn_resize_tap){clamp(first + i, a->in), p->exclude_outside && outside ? 0 : weight};
        sum += taps[i].weight;
    }
    if ((p->exclude_outside || scale < 1) && sum != 0)
        for (int64_t i = 0; i < count; i++)
            taps[i].weight /= sum;
}

void qn_resize_fill(const struct qn_resize_params *p, uint32_t axis, struct qn_resize_tap *taps)
{
    const struct qn_resize_axis *a = &p->axes[axis];
    int64_t count = qn_resize_tap_count(p, axis);
    for (int64_t i = 0; i < a->out; i++, taps += count) {
        if (stays(p, a)) {
            taps[0] = (struct qn_resize_tap){i, 1};
            continue;
        }
        double x = origin(p, a, i), most = (double)a->in + 1e6;
        x = x > -1e6 ? x < most ? x : most : -1e6; /* also where it is NaN */
        if (p->coordinates == QN_RESIZE_CROP && (x < 0 || x > (double)(a->in - 1)))
            for (int64_t k = 0; k < count; k++)
                taps[k] = (struct qn_resize_tap){-1, 0};
        else if (p->mode == NEAREST)
            taps[0] = (struct qn_resize_tap){clamp(nearest(p->rounding, x), a->in), 1};
        else
            fill_position(p, a, x, count, taps);
    }
}
