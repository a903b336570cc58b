/* The header of numpy's .npy files, for those who read the elements in their own way. */
#ifndef QN_FORMAT_NPY_HEADER_H
#define QN_FORMAT_NPY_HEADER_H

#include "base/status.h"
#include "quern/tensor.h"

struct qn_npy_header {
    char order, kind; /* '<' '>' '|'; 'f' 'i' 'u' 'b' 'U' 'S' 'c' */
    uint64_t width;   /* as written behind the kind: bytes, or characters of U */
    bool fortran;
    uint32_t rank;
    int64_t dims[QN_TENSOR_MAX_RANK];
    const uint8_t *data;
    uint64_t bytes; /* from data to the end of the file */
};

/* `name` stands in messages. */
qn_status qn_npy_read_header(const uint8_t *bytes, uint64_t size, const char *name,
                             struct qn_npy_header *h) QN_MUST_USE;
/* NONE for an element type that Quern lacks; bytes of an element in the file. */
qn_dtype qn_npy_dtype(const struct qn_npy_header *h, uint64_t *element_bytes);

#endif
