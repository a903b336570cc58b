/* SIGNAL for one instruction set: the including file defines KERNEL, SERIAL, NAME, NEEDS and RANK. */
#include "kernels/element.h"
#include "kernels/signal/fft_body.h"
#include "kernels/signal/signal.h"

/* Where things lie in scratch, in doubles. size: points that a buffer holds. A real line of even length runs as a
 * complex one of half of it. */
struct layout {
    bool halved, smooth;
    int64_t points; /* of the complex transform */
    int64_t size;
    int64_t doubles;
};

static struct layout layout_of(const struct qn_signal_params *p)
{
    struct layout l = {.halved = p->x_components == 1 && !p->half_given && p->length % 2 == 0 && p->length > 0};
    l.points = l.halved ? p->length / 2 : p->length;
    l.smooth = is_smooth(l.points);
    l.size = l.points;
    if (!l.smooth)
        for (l.size = 4; l.size < 2 * l.points;)
            l.size *= 2;
    /* two buffers, twiddles; the whole circle of a halved line; chirp, kernel and the circle of 2n for Bluestein */
    l.doubles = 6 * l.size + (l.halved ? 2 * p->length : 0) + (l.smooth ? 0 : 2 * l.points + 2 * l.size + 4 * l.points);
    return l;
}

static int64_t scratch_bytes(const void *params)
{
    const struct qn_signal_params *p = params;
    if (p->det)
        return p->n * p->n * (int64_t)sizeof(double);
    return (layout_of(p).doubles + 8) * (int64_t)sizeof(double);
}

/* Lines of a tile: enough to make the tables worth while. */
static int64_t lines_of(const struct qn_signal_params *p)
{
    int64_t lines = p->length > 0 ? 32768 / p->length : 1;
    return lines < 1 ? 1 : lines > 64 ? 64 : lines;
}

static int64_t tiles(const void *params)
{
    const struct qn_signal_params *p = params;
    return p->det ? p->outer : (p->outer * p->inner + lines_of(p) - 1) / lines_of(p);
}

struct plan {
    const struct qn_signal_params *p;
    struct layout l;
    struct lines a, b, w, circle;
    struct bluestein z;
};

static struct lines take(double **memory, int64_t n)
{
    struct lines lines = {*memory, *memory + n};
    *memory += 2 * n;
    return lines;
}

static void open_plan(struct plan *f, double *memory)
{
    f->l = layout_of(f->p);
    f->a = take(&memory, f->l.size);
    f->b = take(&memory, f->l.size);
    f->w = take(&memory, f->l.size);
    make_twiddles(f->w, f->l.size);
    if (f->l.halved) {
        f->circle = take(&memory, f->p->length);
        make_twiddles(f->circle, f->p->length);
    }
    if (f->l.smooth)
        return;
    f->z.n = f->l.points;
    f->z.big = f->l.size;
    f->z.chirp = take(&memory, f->z.n);
    f->z.kernel = take(&memory, f->z.big);
    struct lines twice = take(&memory, 2 * f->z.n);
    make_twiddles(twice, 2 * f->z.n);
    make_chirp(&f->z, twice);
    struct lines k = f->a, spare = f->b;
    for (int64_t i = 0; i < f->z.big; i++) {
        int64_t at = i < f->z.n ? i : f->z.big - i < f->z.n ? f->z.big - i : -1;
        k.re[i] = at < 0 ? 0 : f->z.chirp.re[at];
        k.im[i] = at < 0 ? 0 : -f->z.chirp.im[at];
    }
    transform(&k, &spare, f->z.big, f->w);
    for (int64_t i = 0; i < f->z.big; i++) {
        f->z.kernel.re[i] = k.re[i];
        f->z.kernel.im[i] = k.im[i];
    }
}

static void run_points(struct plan *f)
{
    if (f->l.smooth)
        transform(&f->a, &f->b, f->l.points, f->w);
    else
        bluestein(&f->z, &f->a, &f->b, f->w);
}

static double read_at(const struct qn_signal_params *p, int64_t i)
{
    return p->dtype == QN_DTYPE_F64 ? ((const double *)p->x)[i] : (double)((const float *)p->x)[i];
}

static void write_at(const struct qn_signal_params *p, int64_t i, double value)
{
    if (p->dtype == QN_DTYPE_F64)
        ((double *)p->y)[i] = value;
    else
        ((float *)p->y)[i] = (float)value;
}

/* Point k of the line. The inverse transform is the conjugate of the forward one of the conjugate. */
static void read_point(const struct qn_signal_params *p, int64_t base, int64_t k, double *re, double *im)
{
    bool mirrored = p->half_given && k >= p->length / 2 + 1;
    int64_t at = mirrored ? p->length - k : k;
    *re = *im = 0;
    if (at >= p->x_size)
        return;
    int64_t i = base + at * p->inner * p->x_components;
    *re = read_at(p, i);
    *im = p->x_components == 2 ? read_at(p, i + 1) : 0;
    if (mirrored != p->inverse)
        *im = -*im;
}

static void write_point(const struct qn_signal_params *p, int64_t base, int64_t k, double re, double im)
{
    if (k >= p->y_size)
        return;
    double scale = p->inverse ? 1.0 / (double)p->length : 1;
    int64_t i = base + k * p->inner * p->y_components;
    write_at(p, i, re * scale);
    if (p->y_components == 2)
        write_at(p, i + 1, p->inverse ? -im * scale : im);
}

/* A real line x as z[k] = x[2k] + i x[2k + 1]; X[k] = E[k] + w^k O[k] with E, O from Z[k] and conj Z[m - k]. */
static void run_halved(struct plan *f, int64_t x, int64_t y)
{
    const struct qn_signal_params *p = f->p;
    int64_t m = f->l.points;
    double unused;
    for (int64_t k = 0; k < m; k++) {
        read_point(p, x, 2 * k, &f->a.re[k], &unused);
        read_point(p, x, 2 * k + 1, &f->a.im[k], &unused);
    }
    run_points(f);
    for (int64_t k = 0; k <= m; k++) {
        int64_t i = k == m ? 0 : k, j = k == 0 ? 0 : m - k;
        double ar = f->a.re[i], ai = f->a.im[i], br = f->a.re[j], bi = -f->a.im[j];
        double er = 0.5 * (ar + br), ei = 0.5 * (ai + bi), dr = 0.5 * (ar - br), di = 0.5 * (ai - bi);
        double wr = k == m ? -1 : f->circle.re[k], wi = k == m ? 0 : f->circle.im[k];
        /* O = -i D */
        double re = er + (di * wr + dr * wi), im = ei + (di * wi - dr * wr);
        write_point(p, y, k, re, im);
        if (k > 0 && k < m)
            write_point(p, y, p->length - k, re, -im);
    }
}

static void run_line(struct plan *f, int64_t line)
{
    const struct qn_signal_params *p = f->p;
    int64_t outer = line / p->inner, inner = line % p->inner;
    int64_t x = (outer * p->x_size * p->inner + inner) * p->x_components;
    int64_t y = (outer * p->y_size * p->inner + inner) * p->y_components;
    if (f->l.halved) {
        run_halved(f, x, y);
        return;
    }
    for (int64_t k = 0; k < p->length; k++)
        read_point(p, x, k, &f->a.re[k], &f->a.im[k]);
    run_points(f);
    for (int64_t k = 0; k < p->length; k++)
        write_point(p, y, k, f->a.re[k], f->a.im[k]);
}

static double determinant(double *m, int64_t n)
{
    double det = 1;
    for (int64_t k = 0; k < n; k++) {
        int64_t pivot = k;
        for (int64_t i = k + 1; i < n; i++)
            pivot = qn_abs(m[i * n + k]) > qn_abs(m[pivot * n + k]) ? i : pivot;
        if (m[pivot * n + k] == 0)
            return 0;
        for (int64_t j = 0; j < n && pivot != k; j++) {
            double swap = m[k * n + j];
            m[k * n + j] = m[pivot * n + j];
            m[pivot * n + j] = swap;
        }
        det = pivot != k ? -det : det;
        det *= m[k * n + k];
        for (int64_t i = k + 1; i < n; i++) {
            double factor = m[i * n + k] / m[k * n + k];
            for (int64_t j = k + 1; j < n; j++)
                m[i * n + j] -= factor * m[k * n + j];
        }
    }
    return det;
}

static void run(const void *params, int64_t begin, int64_t end, void *scratch)
{
    struct plan f = {.p = params};
    if (!f.p->det && begin < end)
        open_plan(&f, scratch);
    for (int64_t i = begin; i < end; i++) {
        if (!f.p->det) {
            int64_t lines = lines_of(f.p), all = f.p->outer * f.p->inner;
            for (int64_t line = i * lines; line < (i + 1) * lines && line < all; line++)
                run_line(&f, line);
            continue;
        }
        int64_t elems = f.p->n * f.p->n;
        double *m = scratch;
        for (int64_t k = 0; k < elems; k++)
            m[k] = read_at(f.p, i * elems + k);
        write_at(f.p, i, determinant(m, f.p->n));
    }
}

const struct qn_kernel KERNEL = {
    .serial = SERIAL,
    .name = NAME,
    .family = QN_FAMILY_SIGNAL,
    .needs = NEEDS,
    .rank = RANK,
    .tiles = tiles,
    .scratch = scratch_bytes,
    .run = run,
};
