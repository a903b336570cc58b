#include "kernels/element.h"

#include "quant/half.h"
#include "quant/narrow/narrow.h"
#include "quant/quant.h"

#define AT(type, base, i) (*(type *)((char *)(base) + (i)*step))
/* At any address: large constants lie as their file has them. */
#define READ(type, from)                                  \
    ({                                                    \
        type value_;                                      \
        __builtin_memcpy(&value_, (from), sizeof value_); \
        value_;                                           \
    })
#define GET(type, base, i) READ(type, (const char *)(base) + (i)*step)

/* A double with an odd last bit where the integer does not fit. */
static double odd_f64(uint64_t size, bool negative)
{
    if (size >> 53) {
        int shift = 11 - __builtin_clzll(size);
        bool lost = size & ((1ull << shift) - 1);
        size = size >> shift << shift | (uint64_t)lost << shift;
    }
    return negative ? -(double)size : (double)size;
}

static double odd_i64(int64_t x)
{
    return odd_f64(x < 0 ? 0 - (uint64_t)x : (uint64_t)x, x < 0);
}

static double odd_u64(uint64_t x)
{
    return odd_f64(x, false);
}

#define NARROW_FLOATS(CASE)              \
    CASE(F8E4M3FN, qn_narrow_e4m3fn)     \
    CASE(F8E4M3FNUZ, qn_narrow_e4m3fnuz) \
    CASE(F8E5M2, qn_narrow_e5m2)         \
    CASE(F8E5M2FNUZ, qn_narrow_e5m2fnuz) \
    CASE(F4E2M1, qn_narrow_e2m1)

/* Integers of 4 and 2 bits: the low bits, sign-extended for the signed kinds. */
static inline int8_t low_signed(int64_t x, int bits)
{
    return (int8_t)((int64_t)((uint64_t)x << (64 - bits)) >> (64 - bits));
}

static inline uint8_t low_unsigned(int64_t x, int bits)
{
    return (uint8_t)((uint64_t)x & ((1u << bits) - 1));
}

void qn_load_f64(double *out, const void *from, int64_t step, qn_dtype dtype, int64_t n)
{
#define LOAD(NAME, type, expression)      \
    case QN_DTYPE_##NAME:                 \
        for (int64_t i = 0; i < n; i++) { \
            type x = GET(type, from, i);  \
            out[i] = expression;          \
        }                                 \
        break;
    switch (dtype) {
        LOAD(F32, float, (double)x)
        LOAD(F64, double, x)
        LOAD(F16, uint16_t, (double)qn_half_load(x))
        LOAD(BF16, uint16_t, (double)qn_bf16_to_f32(x))
        LOAD(I8, int8_t, x)
        LOAD(I16, int16_t, x)
        LOAD(I32, int32_t, x)
        LOAD(I64, int64_t, odd_i64(x))
        LOAD(U8, uint8_t, x)
        LOAD(U16, uint16_t, x)
        LOAD(U32, uint32_t, x)
        LOAD(U64, uint64_t, odd_u64(x))
        LOAD(BOOL, uint8_t, x != 0)
        LOAD(I4, int8_t, x)
        LOAD(I2, int8_t, x)
        LOAD(U4, uint8_t, x)
        LOAD(U2, uint8_t, x)
        LOAD(F8E8M0, uint8_t, (double)qn_e8m0_load(x))
#define LOAD_NARROW(NAME, kind) LOAD(NAME, uint8_t, (double)qn_narrow_load(&kind, x))
        NARROW_FLOATS(LOAD_NARROW)
    default:
        for (int64_t i = 0; i < n; i++)
            out[i] = 0;
    }
}

/* Rounds to odd, so that a second rounding to a shorter format gives what one rounding would have given. */
static float narrow_odd(double x)
{
    float f = (float)x;
    if ((double)f == x || x != x || (qn_f32_bits(f) & 1))
        return f;
    bool up = (double)f < x;
    uint32_t bits = qn_f32_bits(f);
    return qn_bits_f32(up == (f > 0 || (f == 0 && x > 0)) ? bits + 1 : bits - 1);
}

static int64_t to_i64(double x)
{
    if (x != x)
        return 0;
    if (x >= 0x1p63)
        return INT64_MAX;
    return x < -0x1p63 ? INT64_MIN : (int64_t)x;
}

static uint64_t to_u64(double x)
{
    if (!(x > 0))
        return 0;
    return x >= 0x1p64 ? UINT64_MAX : (uint64_t)x;
}

static int64_t clamp_i64(double x, int64_t low, int64_t high)
{
    int64_t v = to_i64(x);
    return v < low ? low : v > high ? high : v;
}

void qn_store_f64(void *to, int64_t step, qn_dtype dtype, const double *in, int64_t n)
{
#define STORE(NAME, type, expression)             \
    case QN_DTYPE_##NAME:                         \
        for (int64_t i = 0; i < n; i++) {         \
            double x = in[i];                     \
            AT(type, to, i) = (type)(expression); \
        }                                         \
        break;
    switch (dtype) {
        STORE(F32, float, x)
        STORE(F64, double, x)
        STORE(F16, uint16_t, qn_half_store(narrow_odd(x)))
        STORE(BF16, uint16_t, qn_bfloat_store(narrow_odd(x)))
        STORE(I8, int8_t, clamp_i64(x, INT8_MIN, INT8_MAX))
        STORE(I16, int16_t, clamp_i64(x, INT16_MIN, INT16_MAX))
        STORE(I32, int32_t, clamp_i64(x, INT32_MIN, INT32_MAX))
        STORE(I64, int64_t, to_i64(x))
        STORE(U8, uint8_t, clamp_i64(x, 0, UINT8_MAX))
        STORE(U16, uint16_t, clamp_i64(x, 0, UINT16_MAX))
        STORE(U32, uint32_t, clamp_i64(x, 0, UINT32_MAX))
        STORE(U64, uint64_t, to_u64(x))
        STORE(BOOL, uint8_t, x != 0)
        STORE(I4, int8_t, low_signed(to_i64(x), 4))
        STORE(I2, int8_t, low_signed(to_i64(x), 2))
        STORE(U4, uint8_t, low_unsigned(to_i64(x), 4))
        STORE(U2, uint8_t, low_unsigned(to_i64(x), 2))
        STORE(F8E8M0, uint8_t, qn_e8m0_store(narrow_odd(x), QN_E8M0_UP, false))
#define STORE_NARROW(NAME, kind) STORE(NAME, uint8_t, qn_narrow_store(&kind, narrow_odd(x), false))
        NARROW_FLOATS(STORE_NARROW)
    default:
        break;
    }
}

void qn_load_i64(int64_t *out, const void *from, int64_t step, qn_dtype dtype, int64_t n)
{
#define LOAD_INT(NAME, type, expression)    \
    case QN_DTYPE_##NAME:                   \
        for (int64_t i = 0; i < n; i++) {   \
            type x = GET(type, from, i);    \
            out[i] = (int64_t)(expression); \
        }                                   \
        break;
    switch (dtype) {
        LOAD_INT(F32, float, to_i64((double)x))
        LOAD_INT(F64, double, to_i64(x))
        LOAD_INT(F16, uint16_t, to_i64((double)qn_half_load(x)))
        LOAD_INT(BF16, uint16_t, to_i64((double)qn_bf16_to_f32(x)))
        LOAD_INT(I8, int8_t, x)
        LOAD_INT(I16, int16_t, x)
        LOAD_INT(I32, int32_t, x)
        LOAD_INT(I64, int64_t, x)
        LOAD_INT(U8, uint8_t, x)
        LOAD_INT(U16, uint16_t, x)
        LOAD_INT(U32, uint32_t, x)
        LOAD_INT(U64, uint64_t, x)
        LOAD_INT(BOOL, uint8_t, x != 0)
        LOAD_INT(I4, int8_t, x)
        LOAD_INT(I2, int8_t, x)
        LOAD_INT(U4, uint8_t, x)
        LOAD_INT(U2, uint8_t, x)
        LOAD_INT(F8E8M0, uint8_t, to_i64((double)qn_e8m0_load(x)))
#define LOAD_INT_NARROW(NAME, kind) LOAD_INT(NAME, uint8_t, to_i64((double)qn_narrow_load(&kind, x)))
        NARROW_FLOATS(LOAD_INT_NARROW)
    default:
        for (int64_t i = 0; i < n; i++)
            out[i] = 0;
    }
}

void qn_store_i64(void *to, int64_t step, qn_dtype dtype, const int64_t *in, int64_t n)
{
#define STORE_INT(NAME, type)              \
    case QN_DTYPE_##NAME:                  \
        for (int64_t i = 0; i < n; i++)    \
            AT(type, to, i) = (type)in[i]; \
        break;
    switch (dtype) {
        STORE_INT(I8, int8_t)
        STORE_INT(I16, int16_t)
        STORE_INT(I32, int32_t)
        STORE_INT(I64, int64_t)
        STORE_INT(U8, uint8_t)
        STORE_INT(U16, uint16_t)
        STORE_INT(U32, uint32_t)
        STORE_INT(U64, uint64_t)
    case QN_DTYPE_BOOL:
        for (int64_t i = 0; i < n; i++)
            AT(uint8_t, to, i) = in[i] != 0;
        break;
#define STORE_LOW(NAME, low, bits)                          \
    case QN_DTYPE_##NAME:                                   \
        for (int64_t i = 0; i < n; i++)                     \
            AT(uint8_t, to, i) = (uint8_t)low(in[i], bits); \
        break;
        STORE_LOW(I4, low_signed, 4)
        STORE_LOW(I2, low_signed, 2)
        STORE_LOW(U4, low_unsigned, 4)
        STORE_LOW(U2, low_unsigned, 2)
    default:
        break;
    }
}

void qn_load_f32(float *out, const void *from, int64_t step, qn_dtype dtype, int64_t n)
{
    switch (dtype) {
    case QN_DTYPE_F32:
        for (int64_t i = 0; i < n; i++)
            out[i] = GET(float, from, i);
        break;
    case QN_DTYPE_F64:
        for (int64_t i = 0; i < n; i++)
            out[i] = (float)GET(double, from, i);
        break;
    case QN_DTYPE_F16:
        for (int64_t i = 0; i < n; i++)
            out[i] = qn_half_load(GET(uint16_t, from, i));
        break;
    case QN_DTYPE_BF16:
        for (int64_t i = 0; i < n; i++)
            out[i] = qn_bf16_to_f32(GET(uint16_t, from, i));
        break;
    default:
        for (int64_t i = 0; i < n; i++) {
            double x;
            qn_load_f64(&x, (const char *)from + i * step, 0, dtype, 1);
            out[i] = (float)x;
        }
    }
}

void qn_store_f32(void *to, int64_t step, qn_dtype dtype, const float *in, int64_t n)
{
    switch (dtype) {
    case QN_DTYPE_F32:
        for (int64_t i = 0; i < n; i++)
            AT(float, to, i) = in[i];
        break;
    case QN_DTYPE_F64:
        for (int64_t i = 0; i < n; i++)
            AT(double, to, i) = (double)in[i];
        break;
    case QN_DTYPE_F16:
        for (int64_t i = 0; i < n; i++)
            AT(uint16_t, to, i) = qn_half_store(in[i]);
        break;
    case QN_DTYPE_BF16:
        for (int64_t i = 0; i < n; i++)
            AT(uint16_t, to, i) = qn_bfloat_store(in[i]);
        break;
    default:
        for (int64_t i = 0; i < n; i++)
            qn_store_f64((char *)to + i * step, 0, dtype, &(double){(double)in[i]}, 1);
    }
}

struct pair { /* 16 bytes: a string, a complex number */
    uint64_t first, second;
};

void qn_move_elements(void *to, int64_t to_step, const void *from, int64_t from_step, int64_t bytes, int64_t n)
{
    if (to_step == bytes && from_step == bytes) {
        __builtin_memmove(to, from, (size_t)(n * bytes));
        return;
    }
    char *y = to;
    const char *x = from;
#define MOVE(size, type)                                              \
    case size:                                                        \
        for (int64_t i = 0; i < n; i++, y += to_step, x += from_step) \
            *(type *)y = READ(type, x);                               \
        break;
    switch (bytes) {
        MOVE(1, uint8_t)
        MOVE(2, uint16_t)
        MOVE(4, uint32_t)
        MOVE(8, uint64_t)
        MOVE(16, struct pair)
    default:
        break;
    }
}

void qn_zero_elements(void *to, int64_t step, int64_t bytes, int64_t n)
{
    static const uint64_t zero[2];
    qn_move_elements(to, step, zero, 0, bytes, n);
}

/* Loops between the dtypes that models convert most, both contiguous. False, and nothing done, for all others. */
static bool convert_plain(void *to, qn_dtype to_dtype, const void *from, qn_dtype from_dtype, int64_t n)
{
    switch ((int)from_dtype << 8 | (int)to_dtype) {
#define PAIR(FROM, from_type, TO, to_type, expression) \
    case QN_DTYPE_##FROM << 8 | QN_DTYPE_##TO: {       \
        const from_type *in = from;                    \
        to_type *out = to;                             \
        for (int64_t i = 0; i < n; i++) {              \
            from_type x = in[i];                       \
            out[i] = (to_type)(expression);            \
        }                                              \
        return true;                                   \
    }
/* truncated, saturated, NaN to 0; the bounds are floats */
#define CUT(x, low, high) ((x) != (x) ? 0 : (x) < (low) ? (low) : (x) > (high) ? (high) : (x))
        PAIR(I64, int64_t, F32, float, x)
        PAIR(I32, int32_t, F32, float, x)
        PAIR(U8, uint8_t, F32, float, x)
        PAIR(I8, int8_t, F32, float, x)
        PAIR(BOOL, uint8_t, F32, float, x != 0)
        PAIR(F64, double, F32, float, x)
        PAIR(F32, float, F64, double, x)
        PAIR(F32, float, I64, int64_t, x >= 0x1p63f ? INT64_MAX : x < -0x1p63f ? INT64_MIN : x != x ? 0 : (int64_t)x)
        PAIR(F32, float, I32, int32_t, x >= 0x1p31f ? INT32_MAX : x < -0x1p31f ? INT32_MIN : x != x ? 0 : (int32_t)x)
        PAIR(F32, float, U8, uint8_t, (int32_t)CUT(x, 0.0f, 255.0f))
        PAIR(F32, float, I8, int8_t, (int32_t)CUT(x, -128.0f, 127.0f))
        PAIR(F32, float, BOOL, uint8_t, x != 0)
        PAIR(I64, int64_t, I32, int32_t, x)
        PAIR(I32, int32_t, I64, int64_t, x)
        PAIR(BOOL, uint8_t, I64, int64_t, x != 0)
        PAIR(BOOL, uint8_t, I32, int32_t, x != 0)
        PAIR(I64, int64_t, BOOL, uint8_t, x != 0)
        PAIR(I32, int32_t, BOOL, uint8_t, x != 0)
    default:
        return false;
    }
}

void qn_convert_elements(void *to, int64_t to_step, qn_dtype to_dtype, const void *from, int64_t from_step,
                         qn_dtype from_dtype, int64_t n)
{
    if (to_dtype == from_dtype) {
        qn_move_elements(to, to_step, from, from_step, qn_element_bytes(to_dtype), n);
        return;
    }
    if (to_step == qn_element_bytes(to_dtype) && from_step == qn_element_bytes(from_dtype) &&
        convert_plain(to, to_dtype, from, from_dtype, n))
        return;
    if (to_dtype == QN_DTYPE_F64 && (from_dtype == QN_DTYPE_I64 || from_dtype == QN_DTYPE_U64)) {
        for (int64_t i = 0; i < n; i++) {
            const char *x = (const char *)from + i * from_step;
            double y = from_dtype == QN_DTYPE_I64 ? (double)READ(int64_t, x) : (double)READ(uint64_t, x);
            *(double *)((char *)to + i * to_step) = y;
        }
        return;
    }
    bool through_integers = !qn_element_is_float(to_dtype) && !qn_element_is_float(from_dtype);
    for (int64_t i = 0; i < n; i += QN_ELEMENT_RUN) {
        int64_t run = n - i < QN_ELEMENT_RUN ? n - i : QN_ELEMENT_RUN;
        union {
            double f[QN_ELEMENT_RUN];
            int64_t i[QN_ELEMENT_RUN];
        } stage;
        const char *x = (const char *)from + i * from_step;
        char *y = (char *)to + i * to_step;
        if (through_integers) {
            qn_load_i64(stage.i, x, from_step, from_dtype, run);
            qn_store_i64(y, to_step, to_dtype, stage.i, run);
        } else {
            qn_load_f64(stage.f, x, from_step, from_dtype, run);
            qn_store_f64(y, to_step, to_dtype, stage.f, run);
        }
    }
}

void qn_convert_narrow(void *to, int64_t to_step, qn_dtype to_dtype, const void *from, int64_t from_step,
                       qn_dtype from_dtype, int64_t n, bool wrap, int rounding)
{
    const struct qn_narrow_kind *kind = qn_narrow_kind(to_dtype);
    uint8_t *y = to;
    for (int64_t i = 0; i < n; i++, y += to_step) {
        double x;
        qn_load_f64(&x, (const char *)from + i * from_step, 0, from_dtype, 1);
        float f = narrow_odd(x);
        *y = kind ? qn_narrow_store(kind, f, wrap) : qn_e8m0_store(f, (enum qn_e8m0_rounding)rounding, wrap);
    }
}

uint64_t qn_element_key(const void *element, qn_dtype dtype)
{
    if (qn_element_is_float(dtype)) {
        union {
            double f;
            uint64_t u;
        } bits;
        qn_load_f64(&bits.f, element, 0, dtype, 1);
        if (bits.f != bits.f)
            return UINT64_MAX;
        if (bits.f == 0)
            bits.f = 0;
        return bits.u >> 63 ? ~bits.u : bits.u | 1ull << 63;
    }
    int64_t value;
    qn_load_i64(&value, element, 0, dtype, 1);
    return qn_element_is_unsigned(dtype) ? (uint64_t)value : (uint64_t)value ^ 1ull << 63;
}
