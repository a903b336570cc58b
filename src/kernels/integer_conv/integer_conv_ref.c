#include "kernels/integer_conv/integer_conv.h"

/* A tile is one output pixel of one batch. */
static int64_t tiles(const void *params)
{
    return qn_integer_conv_rows(params);
}

static int32_t sum_of(const struct qn_integer_conv_params *p, const struct qn_integer_pixel *pixel, int64_t channel)
{
    int64_t per_group = p->c / p->groups, group = channel / (p->o / p->groups), taps = qn_integer_conv_taps(p);
    int32_t x_zero = p->x_zero ? qn_integer_byte(p->x_zero, 0, p->x_signed) : 0;
    int32_t w_zero = p->w_zero ? qn_integer_byte(p->w_zero, channel * p->w_zero_step, p->w_signed) : 0;
    const char *x = (const char *)p->x + pixel->batch * p->x_n + group * per_group * p->x_c;
    const char *w = (const char *)p->w + channel * per_group * taps;
    uint32_t sum = 0;
    for (int64_t tap = 0; tap < taps; tap++) {
        int64_t offset = 0, rest = tap;
        bool inside = true;
        for (int i = 2; i >= 0; i--) {
            int64_t at = pixel->at[i] * p->strides[i] + rest % p->kernel[i] * p->dilations[i] - p->begin[i];
            rest /= p->kernel[i];
            inside = inside && at >= 0 && at < p->in[i];
            offset += at * p->x_s[i];
        }
        for (int64_t c = 0; inside && c < per_group; c++)
            sum += (uint32_t)((qn_integer_byte(x + offset, c * p->x_c, p->x_signed) - x_zero) *
                              (qn_integer_byte(w, c * taps + tap, p->w_signed) - w_zero));
    }
    return (int32_t)sum;
}

static void run(const void *params, int64_t begin, int64_t end, void *scratch)
{
    (void)scratch;
    const struct qn_integer_conv_params *p = params;
    int64_t bytes = qn_integer_out_bytes(&p->out);
    for (int64_t row = begin; row < end; row++) {
        struct qn_integer_pixel pixel = qn_integer_conv_pixel(p, row);
        int64_t at = pixel.batch * p->y_n;
        for (int i = 0; i < 3; i++)
            at += pixel.at[i] * p->y_s[i];
        for (int64_t o = 0; o < p->o; o++)
            qn_integer_store(&p->out, (char *)p->out.y + (at + o * p->y_c) * bytes, o, sum_of(p, &pixel, o));
    }
}

const struct qn_kernel qn_integer_conv_ref = {
    .serial = 2800,
    .name = "integer_conv_ref",
    .family = QN_FAMILY_INTEGER_CONV,
    .tiles = tiles,
    .run = run,
};
