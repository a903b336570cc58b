/* Pictures as inputs of a model. */
#ifndef QN_DATA_PICTURE_H
#define QN_DATA_PICTURE_H

#include "quern/data.h"

/* Decodes a picture, scales it (with averaging where it shrinks) and lays it out as the slot wants: [n, c, h, w] or
 * [n, h, w, c], or without n; c 1 or 3; f32, f16 or u8. */
qn_status qn_picture_load(const void *bytes, uint64_t size, const char *name, const struct qn_slot_info *slot,
                          const struct qn_image_options *options, const struct qn_allocator *allocator,
                          struct qn_data *out) QN_MUST_USE;

#endif
