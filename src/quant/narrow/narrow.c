/* Floats of eight bits and less as types that can be turned into floats and back: storing saturates, e8m0 rounds up, as
 * a block's scale must not be too small. */
#include "quant/narrow/narrow.h"

#include "quant/type.h"

#define KIND(NAME, kind)                                                                            \
    static void load_##kind(const void *blocks, float *out, int64_t elems)                          \
    {                                                                                               \
        for (int64_t i = 0; i < elems; i++)                                                         \
            out[i] = qn_narrow_load(&qn_narrow_##kind, ((const uint8_t *)blocks)[i]);               \
    }                                                                                               \
    static void store_##kind(const float *in, void *blocks, int64_t elems, const float *importance) \
    {                                                                                               \
        (void)importance;                                                                           \
        for (int64_t i = 0; i < elems; i++)                                                         \
            ((uint8_t *)blocks)[i] = qn_narrow_store(&qn_narrow_##kind, in[i], false);              \
    }                                                                                               \
    QN_QUANT_TYPE(NAME, load_##kind, store_##kind);

KIND(F8E4M3FN, e4m3fn)
KIND(F8E4M3FNUZ, e4m3fnuz)
KIND(F8E5M2, e5m2)
KIND(F8E5M2FNUZ, e5m2fnuz)
KIND(F4E2M1, e2m1)

static void load_e8m0(const void *blocks, float *out, int64_t elems)
{
    for (int64_t i = 0; i < elems; i++)
        out[i] = qn_e8m0_load(((const uint8_t *)blocks)[i]);
}

static void store_e8m0(const float *in, void *blocks, int64_t elems, const float *importance)
{
    (void)importance;
    for (int64_t i = 0; i < elems; i++)
        ((uint8_t *)blocks)[i] = qn_e8m0_store(in[i], QN_E8M0_UP, false);
}

QN_QUANT_TYPE(F8E8M0, load_e8m0, store_e8m0);
