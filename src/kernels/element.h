/* Plain elements in memory: sizes, conversion of short strided runs to and from double, int64 and float, and the
 * order of elements of any dtype. The generic kernels work on runs of at most QN_ELEMENT_RUN in local arrays. */
#ifndef QN_KERNELS_ELEMENT_H
#define QN_KERNELS_ELEMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "quern/dtype.h"

enum {
    QN_ELEMENT_TILE = 4096, /* elements in a tile of the elementwise families */
    QN_ELEMENT_RUN = 256,   /* elements that a generic kernel stages at once */
};

/* Bytes of an element of a plain dtype; 0 for block types. Strings and complex numbers can only be moved. */
static inline int64_t qn_element_bytes(qn_dtype dtype)
{
    switch (dtype) {
    case QN_DTYPE_I8:
    case QN_DTYPE_U8:
    case QN_DTYPE_BOOL:
    case QN_DTYPE_F8E4M3FN:
    case QN_DTYPE_F8E4M3FNUZ:
    case QN_DTYPE_F8E5M2:
    case QN_DTYPE_F8E5M2FNUZ:
    case QN_DTYPE_F8E8M0:
    case QN_DTYPE_F4E2M1:
    case QN_DTYPE_I4:
    case QN_DTYPE_U4:
    case QN_DTYPE_I2:
    case QN_DTYPE_U2:
        return 1;
    case QN_DTYPE_F16:
    case QN_DTYPE_BF16:
    case QN_DTYPE_I16:
    case QN_DTYPE_U16:
        return 2;
    case QN_DTYPE_F32:
    case QN_DTYPE_I32:
    case QN_DTYPE_U32:
        return 4;
    case QN_DTYPE_F64:
    case QN_DTYPE_I64:
    case QN_DTYPE_U64:
    case QN_DTYPE_C64:
        return 8;
    case QN_DTYPE_STRING:
    case QN_DTYPE_C128:
        return 16;
    default:
        return 0;
    }
}

static inline bool qn_element_is_float(qn_dtype dtype)
{
    switch (dtype) {
    case QN_DTYPE_F32:
    case QN_DTYPE_F64:
    case QN_DTYPE_F16:
    case QN_DTYPE_BF16:
    case QN_DTYPE_F8E4M3FN:
    case QN_DTYPE_F8E4M3FNUZ:
    case QN_DTYPE_F8E5M2:
    case QN_DTYPE_F8E5M2FNUZ:
    case QN_DTYPE_F8E8M0:
    case QN_DTYPE_F4E2M1:
        return true;
    default:
        return false;
    }
}

static inline bool qn_element_is_unsigned(qn_dtype dtype)
{
    return dtype == QN_DTYPE_U8 || dtype == QN_DTYPE_U16 || dtype == QN_DTYPE_U32 || dtype == QN_DTYPE_U64 ||
           dtype == QN_DTYPE_BOOL || dtype == QN_DTYPE_U4 || dtype == QN_DTYPE_U2;
}

/* Element i of a run lies at from + i * step bytes. */

/* Any dtype with numbers; 64-bit integers round to odd, so that a rounding to a shorter float after it is the only
 * one. */
void qn_load_f64(double *out, const void *from, int64_t step, qn_dtype dtype, int64_t n);
/* Rounds once to the dtype (nearest even), floats of 8 bits and less saturate; to integers it truncates, saturates
 * (those of 4 and 2 bits wrap), and NaN gives 0. */
void qn_store_f64(void *to, int64_t step, qn_dtype dtype, const double *in, int64_t n);
/* Any dtype with numbers; u64 keeps its bits, floats convert as qn_store_f64 does to i64. */
void qn_load_i64(int64_t *out, const void *from, int64_t step, qn_dtype dtype, int64_t n);
/* Integers and bool (x != 0): wraps. */
void qn_store_i64(void *to, int64_t step, qn_dtype dtype, const int64_t *in, int64_t n);
/* Float dtypes. */
void qn_load_f32(float *out, const void *from, int64_t step, qn_dtype dtype, int64_t n);
void qn_store_f32(void *to, int64_t step, qn_dtype dtype, const float *in, int64_t n);

/* n elements of `bytes` (1, 2, 4, 8, 16) each. */
void qn_move_elements(void *to, int64_t to_step, const void *from, int64_t from_step, int64_t bytes, int64_t n);
/* n elements converted from one plain dtype to another. */
void qn_convert_elements(void *to, int64_t to_step, qn_dtype to_dtype, const void *from, int64_t from_step,
                         qn_dtype from_dtype, int64_t n);
/* The same to a float of 8 bits: `wrap` and `rounding` as in struct qn_attr_cast. */
void qn_convert_narrow(void *to, int64_t to_step, qn_dtype to_dtype, const void *from, int64_t from_step,
                       qn_dtype from_dtype, int64_t n, bool wrap, int rounding);
void qn_zero_elements(void *to, int64_t step, int64_t bytes, int64_t n);

/* A number that orders the elements of a dtype; NaN is the largest, -0 equals 0. */
uint64_t qn_element_key(const void *element, qn_dtype dtype);

/* One i32 or i64 index, at any address: large constants lie as their file has them. */
static inline int64_t qn_load_index(const void *from, qn_dtype dtype)
{
    int64_t wide;
    int32_t narrow;
    if (dtype == QN_DTYPE_I64)
        memcpy(&wide, from, sizeof wide);
    else
        memcpy(&narrow, from, sizeof narrow);
    return dtype == QN_DTYPE_I64 ? wide : narrow;
}

#endif
