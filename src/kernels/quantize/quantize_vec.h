/* QUANTIZE on vectors: f32 to integers of 8 or 16 bits and back, with one scale or one for each slice of an axis; the
 * rest goes to the generic kernel. A file for an instruction set defines KERNEL, NAME, SERIAL, NEEDS and RANK and
 * includes this. */
#include "kernels/quantize/quantize.h"
#include "kernels/simd/vec_bytes.h"

/* Bytes of the integers that are taken; 0 for others. */
static int narrow_bytes(qn_dtype dtype)
{
    return dtype == QN_DTYPE_U8 || dtype == QN_DTYPE_I8 ? 1 : dtype == QN_DTYPE_U16 || dtype == QN_DTYPE_I16 ? 2 : 0;
}

/* Runs of one scale, or with scales along the last axis. */
static bool takes(const struct qn_quantize_params *p)
{
    if (p->mode > QN_DEQUANTIZE)
        return true;
    qn_dtype wide = p->mode == QN_QUANTIZE ? p->x_dtype : p->y_dtype;
    qn_dtype narrow = p->mode == QN_QUANTIZE ? p->y_dtype : p->x_dtype;
    if (wide != QN_DTYPE_F32 || !narrow_bytes(narrow) || p->scale_dtype != QN_DTYPE_F32 ||
        (p->zero && p->zero_dtype != narrow))
        return false;
    return qn_quantize_is_plain(p) || (p->scale_outer == 0 && p->scale_inner == 0 && p->block == 1);
}

/* The first n lanes from integers of `bytes` bytes; the others are 0. */
QN_INLINE vi load_narrow(const void *from, int64_t n, const int bytes, bool is_signed)
{
    char part[VF_LANES * 2] = {0};
    if (n < VF_LANES) {
        for (int64_t i = 0; i < n * bytes; i++)
            part[i] = ((const char *)from)[i];
        from = part;
    }
    return bytes == 1 ? vi_load_bytes(from, is_signed) : vi_load_words(from, is_signed);
}

QN_INLINE void store_narrow(void *to, vi v, int64_t n, const int bytes)
{
    char part[VF_LANES * 2];
    void *at = n < VF_LANES ? part : to;
    if (bytes == 1)
        vi_store_bytes(at, v);
    else
        vi_store_words(at, v);
    for (int64_t i = 0; n < VF_LANES && i < n * bytes; i++)
        ((char *)to)[i] = part[i];
}

QN_INLINE int32_t zero_of(const void *zeros, const int bytes, bool is_signed)
{
    if (bytes == 1)
        return is_signed ? *(const int8_t *)zeros : *(const uint8_t *)zeros;
    return is_signed ? *(const int16_t *)zeros : *(const uint16_t *)zeros;
}

/* How a run's integers lie, and where its scales start. */
struct narrow {
    int bytes;
    bool is_signed;
    const float *scales;
    const void *zeros; /* or NULL */
    int64_t step;      /* 0: one scale and zero point, 1: one an element */
};

/* n floats to integers. */
QN_INLINE void quantize_run(void *y, const float *x, int64_t n, const struct narrow r)
{
    float least = !r.is_signed ? 0 : r.bytes == 1 ? -128 : -32768, most = least + (r.bytes == 1 ? 255 : 65535);
    vf scale = vf_set(r.scales[0]);
    int32_t first = r.zeros ? zero_of(r.zeros, r.bytes, r.is_signed) : 0;
    vi zero = vi_set(first);
    for (int64_t i = 0; i < n; i += VF_LANES) {
        if (r.step)
            scale = n - i >= VF_LANES ? vf_load(r.scales + i) : vf_load_part(r.scales + i, n - i);
        if (r.step && r.zeros)
            zero = load_narrow((const char *)r.zeros + i * r.bytes, n - i, r.bytes, r.is_signed);
        vf v = vf_div(n - i >= VF_LANES ? vf_load(x + i) : vf_load_part(x + i, n - i), scale);
        vf shift = vi_float(zero);
        v = vf_min(vf_max(v, vf_sub(vf_set(least), shift)), vf_sub(vf_set(most), shift)); /* NaN: the lowest */
        store_narrow((char *)y + i * r.bytes, vi_add(vi_nearest(v), zero), n - i, r.bytes);
    }
}

QN_INLINE void dequantize_run(float *y, const void *x, int64_t n, const struct narrow r)
{
    vf scale = vf_set(r.scales[0]);
    vi zero = vi_set(r.zeros ? zero_of(r.zeros, r.bytes, r.is_signed) : 0);
    for (int64_t i = 0; i < n; i += VF_LANES) {
        if (r.step)
            scale = n - i >= VF_LANES ? vf_load(r.scales + i) : vf_load_part(r.scales + i, n - i);
        if (r.step && r.zeros)
            zero = load_narrow((const char *)r.zeros + i * r.bytes, n - i, r.bytes, r.is_signed);
        vi v = load_narrow((const char *)x + i * r.bytes, n - i, r.bytes, r.is_signed);
        vf product = vf_mul(vi_float(vi_sub(v, zero)), scale);
        if (n - i >= VF_LANES)
            vf_store(y + i, product);
        else
            vf_store_part(y + i, product, n - i);
    }
}

/* A run of n elements from element `begin` whose scales start at `at`. */
QN_INLINE void convert_as(const struct qn_quantize_params *p, int64_t begin, int64_t n, int64_t at, const int64_t step,
                          const int bytes, const bool is_signed)
{
    const struct narrow run = {.bytes = bytes,
                               .is_signed = is_signed,
                               .scales = (const float *)p->scale + at,
                               .zeros = p->zero ? (const char *)p->zero + at * bytes : NULL,
                               .step = step};
    if (p->mode == QN_QUANTIZE)
        quantize_run((char *)p->y + begin * bytes, (const float *)p->x + begin, n, run);
    else
        dequantize_run((float *)p->y + begin, (const char *)p->x + begin * bytes, n, run);
}

static void convert_run(const struct qn_quantize_params *p, int64_t begin, int64_t n, int64_t at, int64_t step)
{
    qn_dtype narrow = p->mode == QN_QUANTIZE ? p->y_dtype : p->x_dtype;
    bool is_signed = narrow == QN_DTYPE_I8 || narrow == QN_DTYPE_I16;
    if (narrow_bytes(narrow) == 2)
        convert_as(p, begin, n, at, step, 2, is_signed);
    else if (step)
        convert_as(p, begin, n, at, 1, 1, is_signed);
    else if (is_signed)
        convert_as(p, begin, n, at, 0, 1, true);
    else
        convert_as(p, begin, n, at, 0, 1, false);
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
    const struct narrow run = {.bytes = 1, .scales = &scale, .zeros = &zero};
    quantize_run((uint8_t *)p->y + begin, (const float *)p->x + begin, end - begin, run);
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
