/* Largest elements of u8 and i8 images with channels last. A file for an instruction set includes this and
 * names its two kernels; the loops over channels are plain C that compilers bring onto vectors. A tile
 * is a row of output pixels. */
#include "ir/ir.h"
#include "kernels/pool/pooling.h"
#include "kernels/simd/simd.h"

/* The first and last tap, exclusive, that lie inside the image along an axis. */
static void inside(const struct qn_window *w, int axis, int64_t start, int64_t *low, int64_t *high)
{
    *low = 0;
    *high = w->kernel[axis];
    while (*low < *high && start + *low * w->dilation[axis] < 0)
        ++*low;
    while (*low < *high && start + (*high - 1) * w->dilation[axis] >= w->in[axis])
        --*high;
}

QN_INLINE void take_larger_u8(uint8_t *restrict y, const uint8_t *restrict x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i] > y[i] ? x[i] : y[i];
}

QN_INLINE void take_larger_i8(int8_t *restrict y, const int8_t *restrict x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i] > y[i] ? x[i] : y[i];
}

QN_INLINE void bytes_pixel(const struct qn_pool_params *p, const char *x, char *y, const int64_t *start, bool is_signed)
{
    const struct qn_window *w = &p->window;
    int64_t low[QN_WINDOW_AXES], high[QN_WINDOW_AXES];
    for (int axis = 0; axis < QN_WINDOW_AXES; axis++)
        inside(w, axis, start[axis], &low[axis], &high[axis]);
    for (int64_t i = 0; i < p->c; i++)
        y[i] = (char)(is_signed ? 0x80 : 0);
    for (int64_t a = low[0]; a < high[0]; a++)
        for (int64_t b = low[1]; b < high[1]; b++)
            for (int64_t c = low[2]; c < high[2]; c++) {
                const char *from = x + (start[0] + a * w->dilation[0]) * p->x.axis[0] +
                                   (start[1] + b * w->dilation[1]) * p->x.axis[1] +
                                   (start[2] + c * w->dilation[2]) * p->x.axis[2];
                if (is_signed)
                    take_larger_i8((int8_t *)y, (const int8_t *)from, p->c);
                else
                    take_larger_u8((uint8_t *)y, (const uint8_t *)from, p->c);
            }
}

QN_INLINE void bytes_rows(const struct qn_pool_params *p, int64_t begin, int64_t end, bool is_signed)
{
    const struct qn_window *w = &p->window;
    for (int64_t i = begin; i < end; i++) {
        int64_t n = i / w->out[1] / w->out[0], at[QN_WINDOW_AXES] = {i / w->out[1] % w->out[0], i % w->out[1], 0};
        const char *x = (const char *)p->x.data + n * p->x.batch;
        for (; at[2] < w->out[2]; at[2]++) {
            int64_t start[QN_WINDOW_AXES];
            for (int axis = 0; axis < QN_WINDOW_AXES; axis++)
                start[axis] = at[axis] * w->stride[axis] - w->begin[axis];
            bytes_pixel(p, x, (char *)p->y.data + qn_pixels_offset(&p->y, n, at), start, is_signed);
        }
    }
}

static int64_t tiles(const void *params)
{
    const struct qn_pool_params *p = params;
    return p->batch * p->window.out[0] * p->window.out[1];
}

static void run_u8(const void *params, int64_t begin, int64_t end, void *scratch)
{
    (void)scratch;
    bytes_rows(params, begin, end, false);
}

static void run_i8(const void *params, int64_t begin, int64_t end, void *scratch)
{
    (void)scratch;
    bytes_rows(params, begin, end, true);
}

static bool fits(const void *params)
{
    const struct qn_pool_params *p = params;
    return p->op == QN_OP_max_pool && (p->c == 1 || (p->x.channel == 1 && p->y.channel == 1));
}
