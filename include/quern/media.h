/* Pictures and sound from the bytes of a file.
 *
 * Threads: any. Ownership: results belong to the caller, to be released by the _free functions with the same allocator.
 * Errors: damaged data are QN_INVALID_FILE, kinds that Quern does not read QN_UNSUPPORTED; both name the file.
 */
#ifndef QUERN_MEDIA_H
#define QUERN_MEDIA_H

#include <stddef.h>
#include <stdint.h>

#include "quern/allocator.h"
#include "quern/status.h"

#ifdef __cplusplus
extern "C" {
#endif

struct qn_image {
    size_t struct_size;
    uint32_t width, height, channels; /* channels: 1 or 3 as asked for */
    uint8_t *pixels;                  /* [height, width, channels] */
};

/* PNG, JPEG, BMP, PNM and whatever else this build reads, known by content. channels: 1 (gray) or 3 (RGB). */
qn_status qn_image_decode(const void *bytes, size_t size, const char *name, uint32_t channels,
                          const struct qn_allocator *allocator, struct qn_image *out) QN_MUST_USE;
void qn_image_free(struct qn_image *image, const struct qn_allocator *allocator);

struct qn_sound {
    size_t struct_size;
    uint32_t channels, rate; /* frames a second */
    uint64_t frames;
    float *samples; /* [frames, channels], -1 .. 1 */
};

/* WAV: PCM of 8, 16, 24 and 32 bits, float of 32 and 64. */
qn_status qn_sound_decode(const void *bytes, size_t size, const char *name, const struct qn_allocator *allocator,
                          struct qn_sound *out) QN_MUST_USE;
void qn_sound_free(struct qn_sound *sound, const struct qn_allocator *allocator);

#ifdef __cplusplus
}
#endif
#endif
