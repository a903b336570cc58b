#include "ir/ir.h"
#include "kernels/math.h"
#include "kernels/pool/pooling.h"

static int64_t index_of(const struct qn_pool_params *p, int64_t n, int64_t c, const int64_t *at)
{
    const int64_t *in = p->window.in;
    int64_t plane = in[0] * in[1] * in[2];
    int64_t pixel = p->column_major ? at[0] + in[0] * (at[1] + in[1] * at[2]) : (at[0] * in[1] + at[1]) * in[2] + at[2];
    return (n * p->c + c) * plane + pixel;
}

/* Largest by the dtype's order; NaN is larger than all. */
static void run_max(const struct qn_pool_params *p, int64_t n, int64_t c, const int64_t *at, int64_t to)
{
    int64_t taps = qn_window_taps(&p->window), index = 0;
    uint64_t best = 0;
    const void *largest = NULL;
    for (int64_t tap = 0; tap < taps; tap++) {
        int64_t from[QN_WINDOW_AXES];
        if (!qn_window_tap(&p->window, at, tap, from))
            continue;
        const void *element = qn_pixels_at(&p->x, qn_pixels_offset(&p->x, n, from) + c * p->x.channel);
        uint64_t key = qn_element_key(element, p->x.dtype);
        if (!largest || key > best) {
            best = key;
            largest = element;
            index = index_of(p, n, c, from);
        }
    }
    void *y = qn_pixels_at(&p->y, to);
    double lowest = -__builtin_inf();
    if (largest)
        qn_move_elements(y, 0, largest, 0, qn_element_bytes(p->x.dtype), 1);
    else
        qn_store_f64(y, 0, p->y.dtype, &lowest, 1);
    if (p->indices.data)
        ((int64_t *)p->indices.data)[qn_pixels_offset(&p->indices, n, at) + c * p->indices.channel] = index;
}

/* Taps inside the padded image. */
static int64_t padded_taps(const struct qn_window *w, const int64_t *at)
{
    int64_t count = 1;
    for (int i = 0; i < QN_WINDOW_AXES; i++) {
        int64_t first = at[i] * w->stride[i] - w->begin[i], left = w->in[i] + w->end[i] - first;
        int64_t most = left <= 0 ? 0 : (left + w->dilation[i] - 1) / w->dilation[i];
        count *= most < w->kernel[i] ? most : w->kernel[i];
    }
    return count;
}

static double power(double x, int64_t p)
{
    x = qn_abs(x);
    return p == 1 ? x : p == 2 ? x * x : qn_pow(x, (double)p);
}

static void run_mean(const struct qn_pool_params *p, int64_t n, int64_t c, const int64_t *at, int64_t to)
{
    int64_t taps = qn_window_taps(&p->window), count = 0;
    double sum = 0, x;
    bool norm = p->op == QN_OP_lp_pool;
    for (int64_t tap = 0; tap < taps; tap++) {
        int64_t from[QN_WINDOW_AXES];
        if (!qn_window_tap(&p->window, at, tap, from))
            continue;
        qn_load_f64(&x, qn_pixels_at(&p->x, qn_pixels_offset(&p->x, n, from) + c * p->x.channel), 0, p->x.dtype, 1);
        sum += norm ? power(x, p->p) : x;
        count++;
    }
    if (p->count_padding)
        count = padded_taps(&p->window, at);
    if (norm)
        sum = p->p == 1 ? sum : p->p == 2 ? __builtin_sqrt(sum) : qn_pow(sum, 1 / (double)p->p);
    else
        sum = count ? sum / (double)count : 0;
    qn_store_f64(qn_pixels_at(&p->y, to), 0, p->y.dtype, &sum, 1);
}

static int64_t tiles(const void *params)
{
    const struct qn_pool_params *p = params;
    return p->batch * qn_window_out(&p->window);
}

static void run(const void *params, int64_t begin, int64_t end, void *scratch)
{
    (void)scratch;
    const struct qn_pool_params *p = params;
    int64_t pixels = qn_window_out(&p->window);
    for (int64_t i = begin; i < end; i++) {
        int64_t at[QN_WINDOW_AXES], n = i / pixels;
        qn_window_position(p->window.out, i % pixels, at);
        for (int64_t c = 0; c < p->c; c++) {
            int64_t to = qn_pixels_offset(&p->y, n, at) + c * p->y.channel;
            if (p->op == QN_OP_avg_pool || p->op == QN_OP_lp_pool)
                run_mean(p, n, c, at, to);
            else
                run_max(p, n, c, at, to);
        }
    }
}

const struct qn_kernel qn_pool_ref = {
    .serial = 2400,
    .name = "pool_ref",
    .family = QN_FAMILY_POOL,
    .tiles = tiles,
    .run = run,
};
