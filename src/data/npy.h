/* .npy, numpy's file of one array (versions 1 to 3; C and Fortran order; either byte order is read, little-endian
 * written). */
#ifndef QN_DATA_NPY_H
#define QN_DATA_NPY_H

#include "base/status.h"
#include "quern/tensor.h"

/* Reads an array out of a file's bytes into memory of its own (*out->data, one block of out->bytes and the text of its
 * strings behind the elements), to be freed with qn_free(allocator, data, bytes). Unicode and byte strings become
 * dtype string, complex numbers c64 and c128. `name` stands in messages. */
qn_status qn_npy_read(const void *bytes, uint64_t size, const char *name, const struct qn_allocator *allocator,
                      struct qn_tensor *out) QN_MUST_USE;

/* Writes a tensor to `path`, aside and renamed. Types that numpy lacks: see quern/data.h. */
qn_status qn_npy_write(const char *path, const struct qn_tensor *tensor,
                       const struct qn_allocator *allocator) QN_MUST_USE;

#endif
