#include "kernels/element.h"
#include "kernels/math.h"
#include "kernels/quantize/quantize.h"

int64_t qn_quantize_tile(const struct qn_quantize_params *p)
{
    if (qn_quantize_is_plain(p) || p->mode > QN_DEQUANTIZE)
        return QN_QUANTIZE_TILE;
    int64_t row = p->inner == 1 ? p->axis : p->inner;
    return row >= QN_QUANTIZE_TILE || row < 1 ? (row < 1 ? 1 : row) : QN_QUANTIZE_TILE / row * row;
}

int64_t qn_quantize_tiles(const void *params)
{
    const struct qn_quantize_params *p = params;
    int64_t tile = qn_quantize_tile(p);
    return (qn_quantize_elements(p) + tile - 1) / tile;
}

void qn_quantize_choose(const float *ranges, int64_t tiles, float *scale, uint8_t *zero)
{
    float low = 0, high = 0;
    for (int64_t i = 0; i < tiles; i++) {
        low = ranges[2 * i] < low ? ranges[2 * i] : low;
        high = ranges[2 * i + 1] > high ? ranges[2 * i + 1] : high;
    }
    *scale = high > low ? (high - low) / 255 : 1;
    double at = qn_nearest((double)(0 - low / *scale));
    *zero = (uint8_t)(at > 0 ? at < 255 ? at : 255 : 0); /* 0 for NaN too: the range is infinite */
}

/* The integers that a dtype holds; false for floats. */
static bool limits(qn_dtype dtype, double *low, double *high)
{
    int bits = dtype == QN_DTYPE_I2 || dtype == QN_DTYPE_U2   ? 2
               : dtype == QN_DTYPE_I4 || dtype == QN_DTYPE_U4 ? 4
                                                              : (int)qn_element_bytes(dtype) * 8;
    double count = (double)(1ll << (bits < 33 ? bits : 33));
    *low = qn_element_is_unsigned(dtype) ? 0 : -count / 2;
    *high = *low + count - 1;
    return !qn_element_is_float(dtype);
}

static void store(const struct qn_quantize_params *p, int64_t i, float value, double zero, double low, double high,
                  bool integer)
{
    int64_t bytes = qn_element_bytes(p->y_dtype);
    char *to = (char *)p->y + i * bytes;
    if (integer) {
        double whole = qn_nearest((double)value) + zero;
        whole = whole > high ? high : whole > low ? whole : low; /* NaN: the lowest */
        int64_t stored = (int64_t)whole;
        qn_store_i64(to, bytes, p->y_dtype, &stored, 1);
    } else {
        value += (float)zero;
        qn_convert_narrow(to, bytes, p->y_dtype, &value, 4, QN_DTYPE_F32, 1, p->wrap, 0);
    }
}

static float load(const void *from, qn_dtype dtype, int64_t i)
{
    double value;
    qn_load_f64(&value, (const char *)from + i * qn_element_bytes(dtype), 0, dtype, 1);
    return (float)value;
}

static void convert(const struct qn_quantize_params *p, int64_t begin, int64_t end)
{
    double low, high;
    bool integer = limits(p->y_dtype, &low, &high);
    for (int64_t i = begin; i < end; i++) {
        int64_t inner = i % p->inner, axis = i / p->inner % p->axis, outer = i / p->inner / p->axis;
        int64_t at = outer * p->scale_outer + axis / p->block * p->scale_axis + inner * p->scale_inner;
        float scale = load(p->scale, p->scale_dtype, at);
        double zero = 0, x;
        if (p->zero)
            qn_load_f64(&zero, (const char *)p->zero + at * qn_element_bytes(p->zero_dtype), 0, p->zero_dtype, 1);
        if (p->mode == QN_QUANTIZE) {
            store(p, i, load(p->x, p->x_dtype, i) / scale, zero, low, high, integer);
            continue;
        }
        qn_load_f64(&x, (const char *)p->x + i * qn_element_bytes(p->x_dtype), 0, p->x_dtype, 1);
        float value = (float)(x - zero) * scale;
        int64_t bytes = qn_element_bytes(p->y_dtype);
        qn_store_f32((char *)p->y + i * bytes, bytes, p->y_dtype, &value, 1);
    }
}

static void range(const struct qn_quantize_params *p, int64_t tile, int64_t begin, int64_t end)
{
    const float *x = p->x;
    float low = 0, high = 0;
    for (int64_t i = begin; i < end; i++) {
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
    }
    p->shared[2 * tile] = low;
    p->shared[2 * tile + 1] = high;
}

static void dynamic(const struct qn_quantize_params *p, int64_t tile, int64_t begin, int64_t end)
{
    float scale;
    uint8_t zero, *y = p->y;
    qn_quantize_choose(p->shared, qn_quantize_tiles(p), &scale, &zero);
    if (tile == 0) {
        *p->y_scale = scale;
        *p->y_zero = zero;
    }
    for (int64_t i = begin; i < end; i++) {
        double value = qn_nearest((double)(((const float *)p->x)[i] / scale)) + zero;
        y[i] = (uint8_t)(value > 255 ? 255 : value > 0 ? value : 0);
    }
}

static void run(const void *params, int64_t begin, int64_t end, void *scratch)
{
    (void)scratch;
    const struct qn_quantize_params *p = params;
    int64_t size = qn_quantize_tile(p), count = qn_quantize_elements(p);
    for (int64_t tile = begin; tile < end; tile++) {
        int64_t from = tile * size, to = from + size < count ? from + size : count;
        if (p->mode == QN_QUANTIZE_RANGE)
            range(p, tile, from, to);
        else if (p->mode == QN_QUANTIZE_DYNAMIC)
            dynamic(p, tile, from, to);
        else
            convert(p, from, to);
    }
}

const struct qn_kernel qn_quantize_ref = {
    .serial = 2900,
    .name = "quantize_ref",
    .family = QN_FAMILY_QUANTIZE,
    .tiles = qn_quantize_tiles,
    .run = run,
};
