/* Data in files: what is fed to a model and what comes out of it.
 *
 * Threads: any. Ownership: what is loaded belongs to the caller, to be released by qn_data_free.
 */
#ifndef QUERN_DATA_H
#define QUERN_DATA_H

#include "quern/allocator.h"
#include "quern/session.h"
#include "quern/status.h"
#include "quern/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How a picture becomes a tensor of the model's: (value / 255 - mean) / deviation for each of R, G, B. */
struct qn_image_options {
    size_t struct_size;
    float mean[3], deviation[3]; /* deviation 0: 1 */
    bool bgr;                    /* blue first */
    bool stretch;                /* to the model's size without keeping proportions; otherwise scaled and cut */
    bool raw;                    /* 0 .. 255 as they are */
};

/* Reads a file for an input. By the file's name: .npy (numpy), .pb (ONNX TensorProto, SequenceProto or OptionalProto,
 * by the slot's kind), .png .jpg .jpeg .bmp .ppm (picture: to the slot's shape, [n, c, h, w] or [n, h, w, c], n = 1),
 * .wav (mono samples, [1, t] or [t]). slot gives the dtype and shape expected: a picture needs them, the others are
 * checked by the run. image may be NULL: 0 .. 1. Errors name the file. */
qn_status qn_data_load(const char *path, const struct qn_slot_info *slot, const struct qn_image_options *image,
                       const struct qn_allocator *allocator, struct qn_data *out) QN_MUST_USE;
/* The same from the bytes of an ONNX TensorProto, SequenceProto or OptionalProto (its content; kind NONE: empty). */
qn_status qn_data_decode(const void *bytes, uint64_t size, const char *name, enum qn_data_message message,
                         const struct qn_allocator *allocator, struct qn_data *out) QN_MUST_USE;
/* Random numbers for a slot: normal for floats, 0 or 1 for the rest (indices into small tables); symbolic dims by name
 * from `dims`, 1 where not named. */
qn_status qn_data_random(const struct qn_slot_info *slot, const struct qn_dim_size *dims, uint32_t dim_count,
                         uint64_t seed, const struct qn_allocator *allocator, struct qn_data *out) QN_MUST_USE;
void qn_data_free(struct qn_data *data, const struct qn_allocator *allocator);

/* Writes a tensor to <stem>.npy, element i of a sequence to <stem>.<i>.npy, a map to <stem>.0.npy (keys) and
 * <stem>.1.npy (values). Types that numpy lacks are written as float32 (float kinds), or int8 and uint8 (4 and 2
 * bits); strings as numpy unicode. Files are written aside and renamed. An optional without content writes nothing. */
qn_status qn_data_save(const struct qn_data *data, const char *stem, const struct qn_allocator *allocator) QN_MUST_USE;

#ifdef __cplusplus
}
#endif
#endif
