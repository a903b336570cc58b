/* Pictures of one kind each: bytes in, RGB out. picture_decode.c knows which kind it is and does the rest. */
#ifndef QN_HOST_RASTER_H
#define QN_HOST_RASTER_H

#include <stddef.h>

#include "base/arena.h"
#include "base/status.h"
#include "quern/allocator.h"

struct qn_raster {
    const struct qn_allocator *allocator;
    uint32_t width, height;
    uint8_t *rgb; /* [height, width, 3] */
};

enum { QN_IMAGE_MAX_PIXELS = 1 << 28 };

/* Takes memory for the pixels; an error when there are none, or too many. A reader may do so once; what it took is
 * released by its caller, also after an error. */
qn_status qn_raster_take(struct qn_raster *raster, uint64_t width, uint64_t height) QN_MUST_USE;

/* Each may be missing from a build (NULL in the table of picture_decode.c). Errors are QN_INVALID_FILE with the words
 * of the library. */
qn_status qn_image_read_jpeg(const uint8_t *bytes, size_t size, struct qn_raster *out) QN_MUST_USE;
qn_status qn_image_read_png(const uint8_t *bytes, size_t size, struct qn_raster *out) QN_MUST_USE;
qn_status qn_image_read_bmp(const uint8_t *bytes, size_t size, struct qn_raster *out) QN_MUST_USE;
qn_status qn_image_read_pnm(const uint8_t *bytes, size_t size, struct qn_raster *out) QN_MUST_USE;
qn_status qn_image_read_webp(const uint8_t *bytes, size_t size, struct qn_raster *out) QN_MUST_USE;
qn_status qn_image_read_tiff(const uint8_t *bytes, size_t size, struct qn_raster *out) QN_MUST_USE;
qn_status qn_image_read_jpeg2000(const uint8_t *bytes, size_t size, struct qn_raster *out) QN_MUST_USE;

#endif
