/* CHAIN on vectors: what the vector kernels of UNARY and BINARY do themselves runs here without a detour. */
#include "kernels/chain/chain_program.h"
#include "kernels/element.h"
#include "kernels/simd/vec_ops.h"

/* Elements of a plain dtype to another, where that is what C does. */
static bool cast(const struct qn_chain_value *v, const struct qn_chain_value *out, int64_t n)
{
    switch ((int)v->dtype << 8 | (int)out->dtype) {
#define QN_CHAIN_CAST(FROM, from, TO, to)        \
    case QN_DTYPE_##FROM << 8 | QN_DTYPE_##TO: { \
        const from *a = v->at;                   \
        to *y = out->at;                         \
        for (int64_t i = 0; i < n; i++)          \
            y[i] = (to)a[i];                     \
        return true;                             \
    }
        QN_CHAIN_CAST(I64, int64_t, F32, float)
        QN_CHAIN_CAST(I32, int32_t, F32, float)
        QN_CHAIN_CAST(I32, int32_t, I64, int64_t)
#undef QN_CHAIN_CAST
#define QN_CHAIN_CAST(TO, to)                  \
    case QN_DTYPE_BOOL << 8 | QN_DTYPE_##TO: { \
        const uint8_t *a = v->at;              \
        to *y = out->at;                       \
        for (int64_t i = 0; i < n; i++)        \
            y[i] = a[i] != 0;                  \
        return true;                           \
    }
        QN_CHAIN_CAST(F32, float)
        QN_CHAIN_CAST(I32, int32_t)
        QN_CHAIN_CAST(I64, int64_t)
#undef QN_CHAIN_CAST
    default:
        return false;
    }
}

typedef uint32_t four_bytes __attribute__((may_alias));
typedef uint64_t eight_bytes __attribute__((may_alias));

/* Bits of four or eight bytes, whatever they mean. */
static bool where(const struct qn_chain_value *v, const struct qn_chain_value *out, int64_t n)
{
    const uint8_t *condition = v[0].at;
    int64_t c = !v[0].one, a = !v[1].one, b = !v[2].one;
    switch (qn_element_bytes(out->dtype)) {
#define QN_CHAIN_WHERE(bytes, type)                               \
    case bytes: {                                                 \
        const type *yes = v[1].at, *no = v[2].at;                 \
        type *y = out->at;                                        \
        if (c && a && b)                                          \
            for (int64_t i = 0; i < n; i++)                       \
                y[i] = condition[i] ? yes[i] : no[i];             \
        else if (c && !a && !b) {                                 \
            type one = yes[0], other = no[0];                     \
            for (int64_t i = 0; i < n; i++)                       \
                y[i] = condition[i] ? one : other;                \
        } else                                                    \
            for (int64_t i = 0; i < n; i++)                       \
                y[i] = condition[i * c] ? yes[i * a] : no[i * b]; \
        return true;                                              \
    }
        QN_CHAIN_WHERE(4, four_bytes)
        QN_CHAIN_WHERE(8, eight_bytes)
#undef QN_CHAIN_WHERE
    default:
        return false;
    }
}

static bool fast(uint16_t op, const struct qn_chain_value *v, const struct qn_chain_value *out, int64_t n)
{
    qn_dtype dtype = v[0].dtype;
    if (op == QN_OP_where)
        return where(v, out, n);
    if (op == QN_OP_cast)
        return cast(v, out, n);
    if (dtype == QN_DTYPE_F32 && vf_has_unary(op)) {
        vf_apply_unary(op, v[0].at, out->at, n);
        return true;
    }
    struct vf_operands o = {v[0].at, v[1].at, v[0].one, v[1].one};
    if (dtype == QN_DTYPE_F32 && vf_has_binary(op)) {
        vf_apply_binary(op, &o, out->at, n);
        return true;
    }
    return vf_apply_plain(op, dtype, &o, out->at, n);
}

#include "kernels/chain/chain_body.h"
