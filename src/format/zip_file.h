/* The members of a zip file (PyTorch's .bin and .pt, numpy's .npz): where each lies, from the central directory, zip64
 * included. Everything is checked against the file; members that are encrypted or compressed otherwise than by deflate
 * are refused when they are asked for. */
#ifndef QN_FORMAT_ZIP_FILE_H
#define QN_FORMAT_ZIP_FILE_H

#include "base/arena.h"
#include "base/status.h"
#include "base/str.h"

struct qn_zip_member {
    struct qn_str name; /* a view into the file */
    uint32_t method;    /* 0 stored, 8 deflate */
    uint32_t crc;
    bool encrypted;
    uint64_t packed, size; /* bytes in the file, and unpacked */
    uint64_t header;       /* of its local header in the file */
};

struct qn_zip {
    const uint8_t *data;
    uint64_t size;
    struct qn_zip_member *members;
    uint32_t count;
};

bool qn_zip_probe(const uint8_t *data, uint64_t size);
/* Reads the directory; members lie in the arena. */
qn_status qn_zip_open(const uint8_t *data, uint64_t size, struct qn_arena *arena, struct qn_zip *out) QN_MUST_USE;
/* NULL when absent. */
const struct qn_zip_member *qn_zip_find(const struct qn_zip *zip, struct qn_str name);
/* Where the member's bytes begin in the file. */
qn_status qn_zip_place(const struct qn_zip *zip, const struct qn_zip_member *member, uint64_t *offset) QN_MUST_USE;
/* Unpacks a member into out[0..member->size), and checks its sum. */
qn_status qn_zip_unpack(const struct qn_zip *zip, const struct qn_zip_member *member, void *out) QN_MUST_USE;

#endif
