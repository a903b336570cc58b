/* Reading one GGUF file's header: what gguf_open.c puts together. */
#ifndef QN_FORMAT_GGUF_READ_H
#define QN_FORMAT_GGUF_READ_H

#include "format/gguf/gguf.h"

struct qn_gguf_part {
    uint32_t version;
    uint64_t alignment;
    struct qn_gguf_kv *kvs;
    uint32_t kv_count;
    struct qn_gguf_tensor *tensors; /* offsets from the file's start, checked to lie inside */
    uint32_t tensor_count;
};

/* Parses data[0..size) as file number `file`. Memory comes from the arena; errors name the key or tensor, not yet the
 * file. Repeated names are not looked for here. */
qn_status qn_gguf_read_part(const uint8_t *data, uint64_t size, uint32_t file, struct qn_arena *arena,
                            struct qn_gguf_part *part) QN_MUST_USE;

#endif
