/* Family INTEGER_CONV: convolution of u8 or i8 by u8 or i8, summed exactly in 32 bits, then brought to y's dtype as in
 * INTEGER_GEMM (integer_gemm.h); padding counts as x_zero, which is 0 once the zero point is taken off.
 *
 * The generic kernel reads any layout and weights as they lie, [o][c / groups][taps]. The vector kernels read channels
 * last and packed weights (QN_PACK_CONV_I8): for each group panels with k = tap * (c / groups) + channel; or, where
 * each channel is a group of its own with one output (depthwise), bytes [taps / 4 rounded up][c rounded up to
 * QN_INTEGER_PANEL][4], zeros behind the last tap and channel, unsigned weights less 128. */
#ifndef QN_KERNELS_INTEGER_CONV_H
#define QN_KERNELS_INTEGER_CONV_H

#include "kernels/integer_gemm/integer_gemm.h"

struct qn_integer_conv_params {
    const void *x, *w;
    bool x_signed, w_signed;
    const void *x_zero, *w_zero; /* NULL: 0 */
    int64_t w_zero_step;         /* 1: one an output channel */
    int64_t n, c, o, groups;
    /* Spatial axes, outermost first; with fewer than three the leading ones have size 1. */
    int64_t in[3], size[3], kernel[3], strides[3], dilations[3], begin[3];
    int64_t x_n, x_c, x_s[3];  /* bytes between neighbours */
    int64_t y_n, y_c, y_s[3];  /* elements */
    struct qn_integer_out out; /* scales, bias: one an output channel; stride is not used */
};

struct qn_integer_conv_pack_params {
    const void *w; /* [o][c / groups][taps] */
    bool w_signed, depthwise;
    int64_t o, group_channels, groups, taps;
    void *out;
};

int64_t qn_integer_conv_packed_bytes(int64_t o, int64_t group_channels, int64_t groups, int64_t taps);

static inline bool qn_integer_conv_is_depthwise(int64_t o, int64_t group_channels, int64_t groups)
{
    return group_channels == 1 && o == groups && groups > 1;
}

static inline int64_t qn_integer_conv_taps(const struct qn_integer_conv_params *p)
{
    return p->kernel[0] * p->kernel[1] * p->kernel[2];
}

/* Where output pixel `row` (batch, then spatial axes) lies. */
struct qn_integer_pixel {
    int64_t batch, at[3];
};
static inline struct qn_integer_pixel qn_integer_conv_pixel(const struct qn_integer_conv_params *p, int64_t row)
{
    struct qn_integer_pixel pixel;
    for (int i = 2; i >= 0; i--) {
        pixel.at[i] = row % p->size[i];
        row /= p->size[i];
    }
    pixel.batch = row;
    return pixel;
}

static inline int64_t qn_integer_conv_rows(const struct qn_integer_conv_params *p)
{
    return p->n * p->size[0] * p->size[1] * p->size[2];
}

/* Channels last, without gaps. */
static inline bool qn_integer_conv_is_dense(const struct qn_integer_conv_params *p)
{
    int64_t x = p->c, y = p->o;
    if ((p->x_c != 1 && p->c > 1) || (p->y_c != 1 && p->o > 1))
        return false;
    for (int i = 2; i >= 0; i--) {
        if ((p->in[i] > 1 && p->x_s[i] != x) || (p->size[i] > 1 && p->y_s[i] != y))
            return false;
        x *= p->in[i];
        y *= p->size[i];
    }
    return p->n <= 1 || (p->x_n == x && p->y_n == y);
}

extern const struct qn_kernel qn_integer_conv_ref;

#endif
