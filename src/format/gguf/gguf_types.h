/* Names and numbers of GGUF that are of use to its reader and writer alone. */
#ifndef QN_FORMAT_GGUF_TYPES_H
#define QN_FORMAT_GGUF_TYPES_H

#include "format/gguf/gguf.h"

/* The deepest nesting of arrays in arrays that is read or written. */
enum { QN_GGUF_MAX_NESTING = 8 };

/* What a tensor type number outside dtypes.def stands for: a name ("iq2_xxs") and why it cannot be read; NULL for a
 * number that no known version of the format assigns. Static storage. */
struct qn_gguf_foreign_type {
    const char *name;
    const char *reason;
};
const struct qn_gguf_foreign_type *qn_gguf_foreign_type(uint32_t number);

/* Whether a key or tensor name can be shown: not empty, valid UTF-8, no control characters. */
bool qn_gguf_name_is_printable(struct qn_str name);

/* Measures `count` elements of an array at data[0..size): their bytes, checked to lie inside, arrays within arrays
 * included. An error tells the byte at which it went wrong, counted from data. */
qn_status qn_gguf_measure_array(const uint8_t *data, uint64_t size, enum qn_gguf_type elem_type, uint64_t count,
                                uint32_t nesting, uint64_t *bytes) QN_MUST_USE;

/* Little-endian loads from any address. */
static inline uint32_t qn_gguf_load_u32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t qn_gguf_load_u64(const uint8_t *p)
{
    return (uint64_t)qn_gguf_load_u32(p) | (uint64_t)qn_gguf_load_u32(p + 4) << 32;
}

#endif
