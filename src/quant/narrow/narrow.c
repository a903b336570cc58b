/* Floats of eight bits and less, a byte an element: float8 in its four signed kinds, the exponent-only e8m0, and e2m1.
 * Storing rounds to nearest even and saturates to the largest finite value; NaN stays NaN where the kind has one. */
#include <math.h>

#include "quant/type.h"

struct narrow {
    int exponent_bits, mantissa_bits, bias;
    float largest;
    int nan; /* code of the (positive) NaN, -1: none */
    int infinity; /* code of positive infinity, -1: none */
    bool unsigned_zero; /* FNUZ: the code of minus zero is the NaN */
};

static const struct narrow e4m3fn = {4, 3, 7, 448, 0x7f, -1, false};
static const struct narrow e4m3fnuz = {4, 3, 8, 240, 0x80, -1, true};
static const struct narrow e5m2 = {5, 2, 15, 57344, 0x7f, 0x7c, false};
static const struct narrow e5m2fnuz = {5, 2, 16, 57344, 0x80, -1, true};
static const struct narrow e2m1 = {2, 1, 1, 6, -1, -1, false};

static float decode(const struct narrow *kind, unsigned code)
{
    int bits = kind->exponent_bits + kind->mantissa_bits;
    unsigned magnitude = code & ((1u << bits) - 1), negative = code >> bits & 1;
    if (kind->unsigned_zero ? code == (unsigned)kind->nan : kind->nan >= 0 && magnitude >= (unsigned)kind->nan)
        return NAN;
    if (kind->infinity >= 0 && magnitude == (unsigned)kind->infinity)
        return negative ? -INFINITY : INFINITY;
    if (kind->infinity >= 0 && magnitude > (unsigned)kind->infinity)
        return NAN;
    int exponent = (int)(magnitude >> kind->mantissa_bits);
    float mantissa = (float)(magnitude & ((1u << kind->mantissa_bits) - 1));
    float scale = (float)(1 << kind->mantissa_bits);
    float value = exponent ? ldexpf(1 + mantissa / scale, exponent - kind->bias) : ldexpf(mantissa / scale, 1 - kind->bias);
    return negative ? -value : value;
}

static unsigned encode(const struct narrow *kind, float value)
{
    int bits = kind->exponent_bits + kind->mantissa_bits;
    unsigned sign = signbit(value) ? 1u << bits : 0;
    float magnitude = fabsf(value);
    if (isnan(value))
        return kind->nan < 0 ? 0 : (unsigned)kind->nan | (kind->unsigned_zero ? 0 : sign);
    if (magnitude > kind->largest)
        magnitude = kind->largest;
    int exponent = magnitude > 0 ? ilogbf(magnitude) : -100;
    if (exponent < 1 - kind->bias)
        exponent = 1 - kind->bias;
    /* steps of the last mantissa bit at this exponent; rounding up may carry into the next exponent, as it should */
    unsigned steps = (unsigned)rintf(ldexpf(magnitude, kind->mantissa_bits - exponent));
    unsigned code = steps + ((unsigned)(exponent + kind->bias - 1) << kind->mantissa_bits);
    return code == 0 && kind->unsigned_zero ? 0 : code | sign;
}

#define KIND(NAME, kind)                                                                               \
    static void load_##kind(const void *blocks, float *out, int64_t elems)                             \
    {                                                                                                  \
        for (int64_t i = 0; i < elems; i++)                                                            \
            out[i] = decode(&kind, ((const uint8_t *)blocks)[i]);                                      \
    }                                                                                                  \
    static void store_##kind(const float *in, void *blocks, int64_t elems, const float *importance)    \
    {                                                                                                  \
        (void)importance;                                                                              \
        for (int64_t i = 0; i < elems; i++)                                                            \
            ((uint8_t *)blocks)[i] = (uint8_t)encode(&kind, in[i]);                                    \
    }                                                                                                  \
    QN_QUANT_TYPE(NAME, load_##kind, store_##kind);

KIND(F8E4M3FN, e4m3fn)
KIND(F8E4M3FNUZ, e4m3fnuz)
KIND(F8E5M2, e5m2)
KIND(F8E5M2FNUZ, e5m2fnuz)
KIND(F4E2M1, e2m1)

/* e8m0: a power of two, 255 is NaN. Storing rounds up, as a block's scale must not be too small. */
static void load_e8m0(const void *blocks, float *out, int64_t elems)
{
    const uint8_t *in = blocks;
    for (int64_t i = 0; i < elems; i++)
        out[i] = in[i] == 255 ? NAN : ldexpf(1, in[i] - 127);
}

static void store_e8m0(const float *in, void *blocks, int64_t elems, const float *importance)
{
    (void)importance;
    uint8_t *out = blocks;
    for (int64_t i = 0; i < elems; i++) {
        int exponent;
        float fraction = frexpf(fabsf(in[i]), &exponent); /* [0.5, 1) times 2^exponent */
        int code = fraction > 0.5f ? exponent + 127 : exponent + 126;
        out[i] = isnan(in[i]) ? 255 : (uint8_t)(code < 0 || fraction == 0 ? 0 : code > 254 ? 254 : code);
    }
}

QN_QUANT_TYPE(F8E8M0, load_e8m0, store_e8m0);
