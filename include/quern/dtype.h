/* Element types: plain numbers and quantised blocks, from the one table dtypes.def. */
#ifndef QUERN_DTYPE_H
#define QUERN_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum qn_dtype {
    QN_DTYPE_NONE = 0,
#define QN_DTYPE_ROW(serial, NAME, text, class, block_elems, block_bytes, gguf) QN_DTYPE_##NAME = serial,
#include "quern/dtypes.def"
#undef QN_DTYPE_ROW
    QN_DTYPE_LIMIT = 64, /* all serials stay below: tables are indexed by dtype */
} qn_dtype;

enum qn_dtype_class {
    QN_DTYPE_CLASS_NONE = 0,
    QN_DTYPE_CLASS_FLOAT,
    QN_DTYPE_CLASS_INT,
    QN_DTYPE_CLASS_UINT,
    QN_DTYPE_CLASS_BOOL,
    QN_DTYPE_CLASS_STRING,
    QN_DTYPE_CLASS_BLOCK,
    QN_DTYPE_CLASS_COMPLEX,
    QN_DTYPE_CLASS_OBJECT,
};

struct qn_dtype_info {
    const char *name; /* "q4_0"; NULL where the serial is unused */
    enum qn_dtype_class class_;
    uint32_t block_elems;
    uint32_t block_bytes;
    int32_t gguf; /* GGUF type number or -1 */
};

/* The row of a dtype; for a number that is no dtype, a row whose name is NULL. Static storage. */
const struct qn_dtype_info *qn_dtype_info(qn_dtype dtype);

/* Shown name, "?" for a number that is no dtype. */
const char *qn_dtype_name(qn_dtype dtype);

/* The dtype with this name in any letter case (name need not be terminated), or QN_DTYPE_NONE. */
qn_dtype qn_dtype_from_name(const char *name, size_t length);

/* The dtype with this GGUF type number, or QN_DTYPE_NONE. */
qn_dtype qn_dtype_from_gguf(uint32_t gguf_type);

static inline bool qn_dtype_is_block(qn_dtype dtype)
{
    return qn_dtype_info(dtype)->class_ == QN_DTYPE_CLASS_BLOCK;
}

/* Bytes of a row of `elems` elements. False when elems is no multiple of the block size or the size overflows. */
bool qn_dtype_row_bytes(qn_dtype dtype, uint64_t elems, uint64_t *bytes);

#ifdef __cplusplus
}
#endif
#endif
