/* The elementwise ops on arrays: what UNARY, BINARY and CHAIN of an instruction set share, so that an op gives the same
 * bits in a chain as alone. Floats are f32; 16-bit floats pass through f32. */
#ifndef QN_SIMD_VEC_OPS_H
#define QN_SIMD_VEC_OPS_H

#include "ir/ir.h"
#include "kernels/simd/vec_element.h"
#include "kernels/simd/vec_math.h"

/* ---- one input ------------------------------------------------------------------------------------------------ */

QN_INLINE vf vf_negate(vf x)
{
    return vf_xor(x, vf_set(-0.0f));
}

QN_INLINE vf vf_reciprocal(vf x)
{
    return vf_div(vf_set(1.0f), x);
}

QN_INLINE vf vf_reciprocal_root(vf x)
{
    return vf_div(vf_set(1.0f), vf_sqrt(x));
}

QN_INLINE vf vf_ceiling(vf x)
{
    return vf_negate(vf_floor(vf_negate(x)));
}

QN_INLINE vf vf_signum(vf x)
{
    vf one = vf_copysign(vf_set(1.0f), x);
    return vf_select(vf_less(vf_zero(), vf_abs(x)), one, x);
}

QN_INLINE void vf_each(vf (*f)(vf), const float *x, float *y, int64_t n)
{
    int64_t i = 0;
    for (; i + VF_LANES <= n; i += VF_LANES)
        vf_store(y + i, f(vf_load(x + i)));
    if (i < n)
        vf_store_part(y + i, f(vf_load_part(x + i, n - i)), n - i);
}

/* clang-format off */
#define QN_VF_UNARY_OPS(CASE)                                                                                     \
    CASE(neg, vf_negate)                                                                                          \
    CASE(abs, vf_abs)                                                                                             \
    CASE(exp, vf_exp)                                                                                             \
    CASE(expm1, vf_expm1)                                                                                         \
    CASE(log, vf_log)                                                                                             \
    CASE(log1p, vf_log1p) CASE(sqrt, vf_sqrt) CASE(rsqrt, vf_reciprocal_root) CASE(reciprocal, vf_reciprocal)     \
        CASE(tanh, vf_tanh) CASE(sigmoid, vf_sigmoid) CASE(erf, vf_erf) CASE(relu, vf_relu) CASE(floor, vf_floor) \
            CASE(ceil, vf_ceiling) CASE(round, vf_nearest) CASE(sign, vf_signum) CASE(silu, vf_silu)              \
                CASE(gelu_tanh, vf_gelu_tanh) CASE(gelu_erf, vf_gelu_erf)
/* clang-format on */

static inline bool vf_has_unary(uint16_t op)
{
    switch (op) {
#define HAS(name, f) case QN_OP_##name:
        QN_VF_UNARY_OPS(HAS)
#undef HAS
        return true;
    default:
        return false;
    }
}

/* y may be x. */
static inline void vf_apply_unary(uint16_t op, const float *x, float *y, int64_t n)
{
    switch (op) {
#define APPLY(name, f)       \
    case QN_OP_##name:       \
        vf_each(f, x, y, n); \
        break;
        QN_VF_UNARY_OPS(APPLY)
#undef APPLY
    default:
        break;
    }
}

/* ---- two inputs ----------------------------------------------------------------------------------------------- */

/* NaN wins, as in the generic kernel. */
QN_INLINE vf vf_maximum(vf a, vf b)
{
    return vf_select(vf_nan(a), a, vf_max(a, b));
}

QN_INLINE vf vf_minimum(vf a, vf b)
{
    return vf_select(vf_nan(a), a, vf_min(a, b));
}

/* Elements at a and b, one for all where `_one` is set. */
struct vf_operands {
    const void *a, *b;
    bool a_one, b_one;
};

QN_INLINE void vf_each_pair(vf (*f)(vf, vf), const struct vf_operands *o, float *y, int64_t n)
{
    const float *a = o->a, *b = o->b;
    int64_t i = 0;
    if (o->a_one || o->b_one) {
        vf a0 = vf_set(*a), b0 = vf_set(*b);
        for (; i + VF_LANES <= n; i += VF_LANES)
            vf_store(y + i, f(o->a_one ? a0 : vf_load(a + i), o->b_one ? b0 : vf_load(b + i)));
        if (i < n) {
            vf x = o->a_one ? a0 : vf_load_part(a + i, n - i), z = o->b_one ? b0 : vf_load_part(b + i, n - i);
            vf_store_part(y + i, f(x, z), n - i);
        }
        return;
    }
    for (; i + VF_LANES <= n; i += VF_LANES)
        vf_store(y + i, f(vf_load(a + i), vf_load(b + i)));
    if (i < n)
        vf_store_part(y + i, f(vf_load_part(a + i, n - i), vf_load_part(b + i, n - i)), n - i);
}

#define QN_VF_BINARY_OPS(CASE) \
    CASE(add, vf_add)          \
    CASE(sub, vf_sub)          \
    CASE(mul, vf_mul)          \
    CASE(div, vf_div)          \
    CASE(max, vf_maximum)      \
    CASE(min, vf_minimum)

static inline bool vf_has_binary(uint16_t op)
{
    switch (op) {
#define HAS(name, f) case QN_OP_##name:
        QN_VF_BINARY_OPS(HAS)
#undef HAS
        return true;
    default:
        return false;
    }
}

/* y may be a or b. */
static inline void vf_apply_binary(uint16_t op, const struct vf_operands *o, float *y, int64_t n)
{
    switch (op) {
#define APPLY(name, f)            \
    case QN_OP_##name:            \
        vf_each_pair(f, o, y, n); \
        break;
        QN_VF_BINARY_OPS(APPLY)
#undef APPLY
    default:
        break;
    }
}

/* Loops that the compiler turns into vectors: comparisons, integers, truths, doubles. */
#define LOOP(type, out, expression)            \
    {                                          \
        const type *a = o->a, *b = o->b;       \
        out *r = y;                            \
        if (o->a_one) {                        \
            const type p = *a;                 \
            for (int64_t i = 0; i < n; i++) {  \
                const type q = b[i];           \
                r[i] = (out)(expression);      \
            }                                  \
        } else if (o->b_one) {                 \
            const type q = *b;                 \
            for (int64_t i = 0; i < n; i++) {  \
                const type p = a[i];           \
                r[i] = (out)(expression);      \
            }                                  \
        } else {                               \
            for (int64_t i = 0; i < n; i++) {  \
                const type p = a[i], q = b[i]; \
                r[i] = (out)(expression);      \
            }                                  \
        }                                      \
        return true;                           \
    }

/* False, and nothing done, when there is no loop for the op on this dtype. y may be a or b. */
static inline bool vf_apply_plain(uint16_t op, qn_dtype dtype, const struct vf_operands *o, void *y, int64_t n)
{
    switch ((int)op << 8 | (int)dtype) {
#define CASE(name, DTYPE, type, out, expression) \
    case QN_OP_##name << 8 | QN_DTYPE_##DTYPE:   \
        LOOP(type, out, expression)
#define COMPARISONS(DTYPE, type)              \
    CASE(equal, DTYPE, type, uint8_t, p == q) \
    CASE(less, DTYPE, type, uint8_t, p < q)   \
    CASE(less_equal, DTYPE, type, uint8_t, p <= q)
#define ARITHMETIC(DTYPE, type, unsigned_type)                        \
    CASE(add, DTYPE, type, type, (unsigned_type)p + (unsigned_type)q) \
    CASE(sub, DTYPE, type, type, (unsigned_type)p - (unsigned_type)q) \
    CASE(mul, DTYPE, type, type, (unsigned_type)p *(unsigned_type)q)  \
    CASE(max, DTYPE, type, type, p < q ? q : p)                       \
    CASE(min, DTYPE, type, type, q < p ? q : p)
        COMPARISONS(F32, float)
        COMPARISONS(F64, double)
        COMPARISONS(I32, int32_t)
        COMPARISONS(I64, int64_t)
        COMPARISONS(U8, uint8_t)
        ARITHMETIC(I32, int32_t, uint32_t)
        ARITHMETIC(I64, int64_t, uint64_t)
        ARITHMETIC(U8, uint8_t, uint8_t)
        CASE(add, F64, double, double, p + q)
        CASE(sub, F64, double, double, p - q)
        CASE(mul, F64, double, double, p *q)
        CASE(div, F64, double, double, p / q)
        CASE(and, BOOL, uint8_t, uint8_t, (p != 0) & (q != 0))
        CASE(or, BOOL, uint8_t, uint8_t, (p != 0) | (q != 0))
        CASE(xor, BOOL, uint8_t, uint8_t, (p != 0) ^ (q != 0))
        CASE(equal, BOOL, uint8_t, uint8_t, (p != 0) == (q != 0))
#undef CASE
#undef COMPARISONS
#undef ARITHMETIC
    default:
        return false;
    }
}
#undef LOOP

#endif
