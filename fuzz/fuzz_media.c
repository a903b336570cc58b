/* Pictures and sound: whatever the bytes are, decoding ends with pixels or samples, all of which can be read, or with
 * an error that names the file; a picture also becomes a model's input. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "data/picture.h"
#include "quern/media.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A header alone may ask for 768 MiB of pixels, which is its right; here such a picture is one that finds no memory. */
enum { LIMIT = 16 << 20 };

static void *limited_resize(void *context, void *ptr, size_t old_size, size_t new_size)
{
    const struct qn_allocator *heap = qn_allocator_default();
    (void)context;
    return new_size > LIMIT ? NULL : heap->resize(heap->context, ptr, old_size, new_size);
}

static const struct qn_allocator limited = {NULL, limited_resize};

static void touch(const void *data, size_t size)
{
    const uint8_t *bytes = data;
    uint64_t sum = 0;
    for (size_t i = 0; i < size; i++)
        sum += bytes[i];
    __asm__ volatile("" : : "r"(sum));
}

/* True when there is none. Takes the status. */
static bool good(qn_status status)
{
    if (!status)
        return true;
    enum qn_code code = qn_status_code(status);
    if (code != QN_OUT_OF_MEMORY && !strstr(qn_status_message(status), "fuzz.media"))
        abort();
    if (code != QN_OUT_OF_MEMORY && code != QN_INVALID_FILE && code != QN_UNSUPPORTED)
        abort();
    qn_status_free(status);
    return false;
}

static void load(const uint8_t *data, size_t size)
{
    /* One that is laid out with channels first and cut, and one with channels last and stretched, of its own height. */
    const struct qn_slot_info slots[2] = {
        {.struct_size = sizeof slots[0], .name = "x", .dtype = QN_DTYPE_F32, .rank = 4, .dims = {1, 3, 9, 7}},
        {.struct_size = sizeof slots[0], .name = "x", .dtype = QN_DTYPE_U8, .rank = 3, .dims = {-1, 12, 1}},
    };
    for (int i = 0; i < 2; i++) {
        const struct qn_image_options options = {.struct_size = sizeof options, .deviation = {1, 2}, .stretch = i};
        struct qn_data out = {0};
        if (!good(qn_picture_load(data, size, "fuzz.media", &slots[i], &options, &limited, &out)))
            continue;
        touch(out.tensor.data, out.tensor.bytes);
        qn_data_free(&out, &limited);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct qn_image image = {.struct_size = sizeof image};
    struct qn_sound sound = {.struct_size = sizeof sound};
    if (good(qn_image_decode(data, size, "fuzz.media", 3, &limited, &image))) {
        touch(image.pixels, (size_t)image.width * image.height * image.channels);
        qn_image_free(&image, &limited);
        load(data, size);
    }
    if (good(qn_sound_decode(data, size, "fuzz.media", &limited, &sound))) {
        touch(sound.samples, (size_t)(sound.frames * sound.channels) * sizeof *sound.samples);
        qn_sound_free(&sound, &limited);
    }
    return 0;
}
