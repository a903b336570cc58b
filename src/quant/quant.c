#include "quant/quant.h"

#include "quant/half.h"

/* Each folder defines one object, named after its row in dtypes.def: const struct qn_quant qn_quant_Q4_0 = {...}.
 * FLOAT and BLOCK rows have one, the others none. */
#define HAS_FLOAT(NAME) extern const struct qn_quant qn_quant_##NAME;
#define HAS_BLOCK(NAME) extern const struct qn_quant qn_quant_##NAME;
#define HAS_INT(NAME)
#define HAS_UINT(NAME)
#define HAS_BOOL(NAME)
#define HAS_STRING(NAME)
#define HAS_COMPLEX(NAME)
#define HAS_OBJECT(NAME)
#define QN_DTYPE_ROW(serial, NAME, text, class, elems, bytes, gguf) HAS_##class(NAME)
#include "quern/dtypes.def"
#undef QN_DTYPE_ROW

#define AT_FLOAT(NAME) [QN_DTYPE_##NAME] = &qn_quant_##NAME,
#define AT_BLOCK(NAME) [QN_DTYPE_##NAME] = &qn_quant_##NAME,
#define AT_INT(NAME)
#define AT_UINT(NAME)
#define AT_BOOL(NAME)
#define AT_STRING(NAME)
#define AT_COMPLEX(NAME)
#define AT_OBJECT(NAME)
#define QN_DTYPE_ROW(serial, NAME, text, class, elems, bytes, gguf) AT_##class(NAME)
static const struct qn_quant *const table[QN_DTYPE_LIMIT] = {
#include "quern/dtypes.def"
};
#undef QN_DTYPE_ROW

const struct qn_quant *qn_quant(qn_dtype dtype)
{
    static const struct qn_quant none;
    const struct qn_quant *quant = (unsigned)dtype < QN_DTYPE_LIMIT ? table[dtype] : NULL;
    return quant ? quant : &none;
}

float qn_f16_to_f32(uint16_t half)
{
    return qn_half_load(half);
}

uint16_t qn_f32_to_f16(float value)
{
    return qn_half_store(value);
}

uint16_t qn_f32_to_bf16(float value)
{
    return qn_bfloat_store(value);
}
