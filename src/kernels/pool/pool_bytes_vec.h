/* Largest elements of u8 and i8 images with channels last. A file for an instruction set includes this and
 * names its two kernels. A tile is a row of output pixels. */
#include <immintrin.h>

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

enum { BYTES = 32 }; /* channels a register */

/* The taps of a pixel that lie inside: counts along the axes, and the address of the first. */
struct taps {
    const char *x;
    int64_t count[QN_WINDOW_AXES], step[QN_WINDOW_AXES];
};

static struct taps taps_of(const struct qn_pool_params *p, const char *x, const int64_t *start)
{
    struct taps t = {.x = x};
    for (int axis = 0; axis < QN_WINDOW_AXES; axis++) {
        int64_t low, high;
        inside(&p->window, axis, start[axis], &low, &high);
        t.step[axis] = p->window.dilation[axis] * p->x.axis[axis];
        t.count[axis] = high - low;
        t.x += start[axis] * p->x.axis[axis] + low * t.step[axis];
    }
    return t;
}

/* The largest over the taps of BYTES channels from `first` on. */
QN_INLINE __m256i largest_32(const struct taps *t, int64_t first, bool is_signed)
{
    __m256i most = is_signed ? _mm256_set1_epi8((char)0x80) : _mm256_setzero_si256();
    const char *x = t->x + first;
    for (int64_t a = 0; a < t->count[0]; a++)
        for (int64_t b = 0; b < t->count[1]; b++)
            for (int64_t c = 0; c < t->count[2]; c++) {
                const void *from = x + a * t->step[0] + b * t->step[1] + c * t->step[2];
                __m256i v = _mm256_loadu_si256(from);
                most = is_signed ? _mm256_max_epi8(most, v) : _mm256_max_epu8(most, v);
            }
    return most;
}

QN_INLINE char largest_1(const struct taps *t, int64_t channel, bool is_signed)
{
    int most = is_signed ? -128 : 0;
    for (int64_t a = 0; a < t->count[0]; a++)
        for (int64_t b = 0; b < t->count[1]; b++)
            for (int64_t c = 0; c < t->count[2]; c++) {
                const char *from = t->x + a * t->step[0] + b * t->step[1] + c * t->step[2] + channel;
                int v = is_signed ? *(const signed char *)from : *(const unsigned char *)from;
                most = v > most ? v : most;
            }
    return (char)most;
}

QN_INLINE void bytes_pixel(const struct qn_pool_params *p, const char *x, char *y, const int64_t *start, bool is_signed)
{
    struct taps t = taps_of(p, x, start);
    int64_t i = 0;
    for (; i + BYTES <= p->c; i += BYTES)
        _mm256_storeu_si256((__m256i *)(void *)(y + i), largest_32(&t, i, is_signed));
    if (i < p->c && p->c >= BYTES) {
        _mm256_storeu_si256((__m256i *)(void *)(y + p->c - BYTES), largest_32(&t, p->c - BYTES, is_signed));
        return;
    }
    for (; i < p->c; i++)
        y[i] = largest_1(&t, i, is_signed);
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
