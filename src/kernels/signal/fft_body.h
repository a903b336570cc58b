/* The FFT itself, in double, split real and imaginary parts so that compilers make vectors of the inner loops; included
 * once an instruction set by the kernels. Nothing is contracted to multiply-add, so that all give the same bits.
 *
 * Decimation in frequency, self-sorting (Stockham): a pass of radix r turns x[s][r][m] into y[s * r][m]... in terms of
 * lines: of n = r * m points at stride s, point q + s (p + m j), j < r, gives q + s (r p + i). Between passes the two
 * buffers change places. Twiddle factors are one table of the whole circle. */
#ifndef QN_KERNELS_SIGNAL_FFT_BODY_H
#define QN_KERNELS_SIGNAL_FFT_BODY_H

#include "kernels/math.h"

struct lines {
    double *re, *im;
};

/* e^(-2 pi i k / n), folded into the first eighth of the circle. */
static void twiddle(struct lines w, int64_t k, int64_t n)
{
    const double turn = 6.283185307179586476925286766559;
    int64_t octant = 8 * k / n, rest = 8 * k - octant * n;
    int64_t t = octant & 1 ? n - rest : rest; /* the angle is t / 8n of the circle */
    double angle = turn * (double)t / (8.0 * (double)n), c = qn_cos_kernel(angle), s = qn_sin_kernel(angle);
    bool swapped = (octant + 1) >> 1 & 1;
    double x = swapped ? s : c, y = swapped ? c : s;
    w.re[k] = octant >= 2 && octant < 6 ? -x : x;
    w.im[k] = octant < 4 ? -y : y;
}

/* The whole circle: about 2 sqrt(n) angles are computed, the others are one product of two of them. */
static void make_twiddles(struct lines w, int64_t n)
{
    int64_t row = 1;
    while (row * row < n)
        row *= 2;
    for (int64_t k = 0; k < n; k += k < row ? 1 : row)
        twiddle(w, k, n);
    for (int64_t k = row; k < n; k += row) {
        for (int64_t i = 1; i < row && k + i < n; i++) {
            w.re[k + i] = w.re[k] * w.re[i] - w.im[k] * w.im[i];
            w.im[k + i] = w.re[k] * w.im[i] + w.im[k] * w.re[i];
        }
    }
}

static void pass_two(struct lines x, struct lines y, int64_t m, int64_t s, struct lines w, int64_t step)
{
    for (int64_t p = 0; p < m; p++) {
        double wr = w.re[p * step], wi = w.im[p * step];
        const double *ar = x.re + s * p, *ai = x.im + s * p, *br = x.re + s * (p + m), *bi = x.im + s * (p + m);
        double *cr = y.re + s * 2 * p, *ci = y.im + s * 2 * p, *dr = cr + s, *di = ci + s;
        for (int64_t q = 0; q < s; q++) {
            double tr = ar[q] - br[q], ti = ai[q] - bi[q];
            cr[q] = ar[q] + br[q];
            ci[q] = ai[q] + bi[q];
            dr[q] = tr * wr - ti * wi;
            di[q] = tr * wi + ti * wr;
        }
    }
}

static void pass_four(struct lines x, struct lines y, int64_t m, int64_t s, struct lines w, int64_t step)
{
    for (int64_t p = 0; p < m; p++) {
        double w1r = w.re[p * step], w1i = w.im[p * step], w2r = w.re[2 * p * step], w2i = w.im[2 * p * step];
        double w3r = w.re[3 * p * step], w3i = w.im[3 * p * step];
        const double *re = x.re + s * p, *im = x.im + s * p;
        double *or_ = y.re + s * 4 * p, *oi = y.im + s * 4 * p;
        int64_t hop = s * m;
        for (int64_t q = 0; q < s; q++) {
            double ar = re[q] + re[q + 2 * hop], ai = im[q] + im[q + 2 * hop];
            double br = re[q] - re[q + 2 * hop], bi = im[q] - im[q + 2 * hop];
            double cr = re[q + hop] + re[q + 3 * hop], ci = im[q + hop] + im[q + 3 * hop];
            double dr = re[q + hop] - re[q + 3 * hop], di = im[q + hop] - im[q + 3 * hop];
            double t1r = br + di, t1i = bi - dr, t2r = ar - cr, t2i = ai - ci, t3r = br - di, t3i = bi + dr;
            or_[q] = ar + cr;
            oi[q] = ai + ci;
            or_[q + s] = t1r * w1r - t1i * w1i;
            oi[q + s] = t1r * w1i + t1i * w1r;
            or_[q + 2 * s] = t2r * w2r - t2i * w2i;
            oi[q + 2 * s] = t2r * w2i + t2i * w2r;
            or_[q + 3 * s] = t3r * w3r - t3i * w3i;
            oi[q + 3 * s] = t3r * w3i + t3i * w3r;
        }
    }
}

/* Any small radix r, as a sum over the roots of unity of its order. */
static void pass_any(struct lines x, struct lines y, int64_t r, int64_t m, int64_t s, struct lines w, int64_t step)
{
    int64_t n = r * m * step, root = m * step; /* n: size of the table */
    for (int64_t p = 0; p < m; p++) {
        for (int64_t i = 0; i < r; i++) {
            int64_t at = i * p * step;
            double wr = w.re[at], wi = w.im[at];
            for (int64_t q = 0; q < s; q++) {
                double sr = 0, si = 0;
                int64_t turn = 0;
                for (int64_t j = 0; j < r; j++) {
                    double xr = x.re[q + s * (p + m * j)], xi = x.im[q + s * (p + m * j)];
                    sr += xr * w.re[turn] - xi * w.im[turn];
                    si += xr * w.im[turn] + xi * w.re[turn];
                    turn += i * root;
                    turn = turn >= n ? turn - n : turn;
                }
                y.re[q + s * (r * p + i)] = sr * wr - si * wi;
                y.im[q + s * (r * p + i)] = sr * wi + si * wr;
            }
        }
    }
}

static int64_t radix_of(int64_t n)
{
    return n % 4 == 0 ? 4 : n % 2 == 0 ? 2 : n % 3 == 0 ? 3 : n % 5 == 0 ? 5 : n % 7 == 0 ? 7 : 0;
}

static int64_t is_smooth(int64_t n)
{
    for (int64_t r; n > 1 && (r = radix_of(n));)
        n /= r;
    return n == 1;
}

/* Forward transform of n smooth points; the result lies in *a, the two buffers may have changed places. */
static void transform(struct lines *a, struct lines *b, int64_t n, struct lines w)
{
    int64_t s = 1;
    for (int64_t left = n; left > 1;) {
        int64_t r = radix_of(left), m = left / r, step = n / left;
        if (r == 4)
            pass_four(*a, *b, m, s, w, step);
        else if (r == 2)
            pass_two(*a, *b, m, s, w, step);
        else
            pass_any(*a, *b, r, m, s, w, step);
        struct lines swap = *a;
        *a = *b;
        *b = swap;
        left = m;
        s *= r;
    }
}

/* Bluestein: a transform of any n as a convolution of size `big`, a power of two of at least 2n - 1. */
struct bluestein {
    int64_t n, big;
    struct lines chirp, kernel; /* e^(-pi i k^2 / n) [n]; its conjugate's transform [big] */
};

static void make_chirp(struct bluestein *z, struct lines circle2n)
{
    for (int64_t k = 0, at = 0; k < z->n; k++) { /* at = k^2 mod 2n */
        z->chirp.re[k] = circle2n.re[at];
        z->chirp.im[k] = circle2n.im[at];
        at = (at + 2 * k + 1) % (2 * z->n);
    }
}

static void bluestein(const struct bluestein *z, struct lines *a, struct lines *b, struct lines w)
{
    for (int64_t k = 0; k < z->big; k++) {
        double xr = k < z->n ? a->re[k] : 0, xi = k < z->n ? a->im[k] : 0;
        double cr = k < z->n ? z->chirp.re[k] : 0, ci = k < z->n ? z->chirp.im[k] : 0;
        a->re[k] = xr * cr - xi * ci;
        a->im[k] = xr * ci + xi * cr;
    }
    transform(a, b, z->big, w);
    for (int64_t k = 0; k < z->big; k++) { /* product, conjugated for the way back */
        double xr = a->re[k], xi = a->im[k];
        a->re[k] = xr * z->kernel.re[k] - xi * z->kernel.im[k];
        a->im[k] = -(xr * z->kernel.im[k] + xi * z->kernel.re[k]);
    }
    transform(a, b, z->big, w);
    double scale = 1.0 / (double)z->big;
    for (int64_t k = 0; k < z->n; k++) {
        double xr = a->re[k] * scale, xi = -a->im[k] * scale;
        double re = xr * z->chirp.re[k] - xi * z->chirp.im[k];
        a->im[k] = xr * z->chirp.im[k] + xi * z->chirp.re[k];
        a->re[k] = re;
    }
}

#endif
