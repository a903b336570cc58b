/* F32, F64, F16 and BF16: one number an element. Rounding is to nearest even. */
#include <string.h>

#include "quant/search.h"
#include "quant/type.h"

static void load_f32(const void *blocks, float *out, int64_t elems)
{
    memcpy(out, blocks, (size_t)elems * sizeof *out);
}

static void store_f32(const float *in, void *blocks, int64_t elems, const float *importance)
{
    (void)importance;
    memcpy(blocks, in, (size_t)elems * sizeof *in);
}

static void load_f64(const void *blocks, float *out, int64_t elems)
{
    const double *in = blocks;
    for (int64_t i = 0; i < elems; i++)
        out[i] = (float)in[i];
}

static void store_f64(const float *in, void *blocks, int64_t elems, const float *importance)
{
    (void)importance;
    double *out = blocks;
    for (int64_t i = 0; i < elems; i++)
        out[i] = in[i];
}

static void load_f16(const void *blocks, float *out, int64_t elems)
{
    qn_search_isa()->load_halves(blocks, out, elems);
}

static void store_f16(const float *in, void *blocks, int64_t elems, const float *importance)
{
    (void)importance;
    uint16_t *out = blocks;
    for (int64_t i = 0; i < elems; i++)
        out[i] = qn_half_store(in[i]);
}

static void load_bf16(const void *blocks, float *out, int64_t elems)
{
    const uint16_t *in = blocks;
    for (int64_t i = 0; i < elems; i++)
        out[i] = qn_bf16_to_f32(in[i]);
}

static void store_bf16(const float *in, void *blocks, int64_t elems, const float *importance)
{
    (void)importance;
    uint16_t *out = blocks;
    for (int64_t i = 0; i < elems; i++)
        out[i] = qn_bfloat_store(in[i]);
}

QN_QUANT_TYPE(F32, load_f32, store_f32);
QN_QUANT_TYPE(F64, load_f64, store_f64);
QN_QUANT_TYPE(F16, load_f16, store_f16);
QN_QUANT_TYPE(BF16, load_bf16, store_bf16);
