/* QUANTIZE on vectors: f32 to bytes and bytes to f32, with one scale or one for each slice of an axis; the rest goes to
 * the generic kernel. A file for an instruction set defines KERNEL, NAME, SERIAL, NEEDS and RANK and includes this. */
#include "kernels/quantize/quantize.h"
#include "kernels/simd/vec_bytes.h"

static bool is_byte(qn_dtype dtype)
{
    return dtype == QN_DTYPE_U8 || dtype == QN_DTYPE_I8;
}

/* Runs of one scale, or with scales along the last axis. */
static bool takes(const struct qn_quantize_params *p)
{
    if (p->mode > QN_DEQUANTIZE)
        return true;
    qn_dtype wide = p->mode == QN_QUANTIZE ? p->x_dtype : p->y_dtype;
    qn_dtype narrow = p->mode == QN_QUANTIZE ? p->y_dtype : p->x_dtype;
    if (wide != QN_DTYPE_F32 || !is_byte(narrow) || p->scale_dtype != QN_DTYPE_F32 ||
        (p->zero && p->zero_dtype != narrow))
        return false;
    return qn_quantize_is_plain(p) || (p->scale_outer == 0 && p->scale_inner == 0 && p->block == 1);
}

/* n floats to bytes; step 0: one scale and zero point, 1: one an element. */
QN_INLINE void quantize_run(uint8_t *y, const float *x, int64_t n, const float *scales, const void *zeros,
                            const int64_t step, const bool is_signed)
{
    float least = is_signed ? -128 : 0;
    vf scale = vf_set(scales[0]);
    int32_t first = !zeros ? 0 : is_signed ? *(const int8_t *)zeros : *(const uint8_t *)zeros;
    vi zero = vi_set(first);
    for (int64_t i = 0; i < n; i += VF_LANES) {
        bool whole = n - i >= VF_LANES;
        float part[VF_LANES];
        uint8_t bytes[VF_LANES] = {0};
        if (step) {
            scale = whole ? vf_load(scales + i) : vf_load_part(scales + i, n - i);
            if (zeros && whole) {
                zero = vi_load_bytes((const char *)zeros + i, is_signed);
            } else if (zeros) {
                for (int64_t j = 0; j < n - i; j++)
                    bytes[j] = ((const uint8_t *)zeros)[i + j];
                zero = vi_load_bytes(bytes, is_signed);
            }
        }
        vf v = vf_div(whole ? vf_load(x + i) : vf_load_part(x + i, n - i), scale);
        vf shift = vi_float(zero);
        v = vf_min(vf_max(v, vf_sub(vf_set(least), shift)), vf_sub(vf_set(least + 255), shift)); /* NaN: the lowest */
        vi rounded = vi_add(vi_nearest(v), zero);
        if (whole) {
            vi_store_bytes(y + i, rounded);
            continue;
        }
        vi_store_bytes(part, rounded);
        for (int64_t j = 0; j < n - i; j++)
            y[i + j] = ((const uint8_t *)part)[j];
    }
}

QN_INLINE void dequantize_run(float *y, const uint8_t *x, int64_t n, const float *scales, const void *zeros,
                              const int64_t step, const bool is_signed)
{
    vf scale = vf_set(scales[0]);
    vi zero = vi_set(!zeros ? 0 : is_signed ? *(const int8_t *)zeros : *(const uint8_t *)zeros);
    for (int64_t i = 0; i < n; i += VF_LANES) {
        bool whole = n - i >= VF_LANES;
        uint8_t bytes[2][VF_LANES] = {{0}};
        for (int64_t j = 0; j < n - i && !whole; j++) {
            bytes[0][j] = x[i + j];
            bytes[1][j] = step && zeros ? ((const uint8_t *)zeros)[i + j] : 0;
        }
        if (step) {
            scale = whole ? vf_load(scales + i) : vf_load_part(scales + i, n - i);
            if (zeros)
                zero = vi_load_bytes(whole ? (const uint8_t *)zeros + i : bytes[1], is_signed);
        }
        vf v = vf_mul(vi_float(vi_sub(vi_load_bytes(whole ? x + i : bytes[0], is_signed), zero)), scale);
        if (whole)
            vf_store(y + i, v);
        else
            vf_store_part(y + i, v, n - i);
    }
}

/* A run of n elements from element `begin` whose scales start at `at`. */
static void convert_run(const struct qn_quantize_params *p, int64_t begin, int64_t n, int64_t at, int64_t step)
{
    const float *scales = (const float *)p->scale + at;
    const char *zeros = p->zero ? (const char *)p->zero + at : NULL;
    if (p->mode == QN_QUANTIZE) {
        uint8_t *y = (uint8_t *)p->y + begin;
        const float *x = (const float *)p->x + begin;
        bool is_signed = p->y_dtype == QN_DTYPE_I8;
        if (step)
            quantize_run(y, x, n, scales, zeros, 1, is_signed);
        else if (is_signed)
            quantize_run(y, x, n, scales, zeros, 0, true);
        else
            quantize_run(y, x, n, scales, zeros, 0, false);
        return;
    }
    float *y = (float *)p->y + begin;
    const uint8_t *x = (const uint8_t *)p->x + begin;
    bool is_signed = p->x_dtype == QN_DTYPE_I8;
    if (step)
        dequantize_run(y, x, n, scales, zeros, 1, is_signed);
    else if (is_signed)
        dequantize_run(y, x, n, scales, zeros, 0, true);
    else
        dequantize_run(y, x, n, scales, zeros, 0, false);
}

static void convert(const struct qn_quantize_params *p, int64_t begin, int64_t end)
{
    if (qn_quantize_is_plain(p)) {
        convert_run(p, begin, end - begin, 0, 0);
        return;
    }
    int64_t row = p->inner == 1 ? p->axis : p->inner;
    for (int64_t i = begin; i < end; i += row)
        convert_run(p, i, row, p->inner == 1 ? 0 : i / p->inner % p->axis, p->inner == 1);
}

static void range(const struct qn_quantize_params *p, int64_t tile, int64_t begin, int64_t end)
{
    const float *x = (const float *)p->x + begin;
    int64_t n = end - begin, i = 0;
    vf low[4], high[4];
    for (int j = 0; j < 4; j++)
        low[j] = high[j] = vf_zero();
    for (; i + 4 * VF_LANES <= n; i += 4 * VF_LANES)
        for (int j = 0; j < 4; j++) {
            vf v = vf_load(x + i + j * VF_LANES);
            low[j] = vf_min(v, low[j]); /* the second where one is NaN */
            high[j] = vf_max(v, high[j]);
        }
    for (; i < n; i += VF_LANES) {
        vf v = n - i >= VF_LANES ? vf_load(x + i) : vf_load_part(x + i, n - i);
        low[0] = vf_min(v, low[0]);
        high[0] = vf_max(v, high[0]);
    }
    for (int j = 1; j < 4; j++) {
        low[0] = vf_min(low[0], low[j]);
        high[0] = vf_max(high[0], high[j]);
    }
    p->shared[2 * tile] = -vf_largest(vf_sub(vf_zero(), low[0]));
    p->shared[2 * tile + 1] = vf_largest(high[0]);
}

static void dynamic(const struct qn_quantize_params *p, int64_t tile, int64_t begin, int64_t end)
{
    float scale;
    uint8_t zero;
    qn_quantize_choose(p->shared, qn_quantize_tiles(p), &scale, &zero);
    if (tile == 0) {
        *p->y_scale = scale;
        *p->y_zero = zero;
    }
    quantize_run((uint8_t *)p->y + begin, (const float *)p->x + begin, end - begin, &scale, &zero, 0, false);
}

static void run(const void *params, int64_t begin, int64_t end, void *scratch)
{
    const struct qn_quantize_params *p = params;
    if (!takes(p)) {
        qn_quantize_ref.run(params, begin, end, scratch);
        return;
    }
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

const struct qn_kernel KERNEL = {
    .serial = SERIAL,
    .name = NAME,
    .family = QN_FAMILY_QUANTIZE,
    .needs = NEEDS,
    .rank = RANK,
    .tiles = qn_quantize_tiles,
    .run = run,
};
