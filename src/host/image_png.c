/* PNG by libpng: every depth and colour type, interlaced or not; the alpha channel is left out, 16 bits become 8. */
#include <setjmp.h>

#include <png.h>

#include "host/raster.h"
#include "platform/library.h"

/* clang-format off */
#define FUNCTIONS(X) \
    X(png_create_info_struct) X(png_create_read_struct) X(png_destroy_read_struct) X(png_error) X(png_get_error_ptr) \
    X(png_get_image_height) X(png_get_image_width) X(png_get_io_ptr) X(png_get_rowbytes) X(png_read_info) \
    X(png_read_row) X(png_read_update_info) X(png_set_expand) X(png_set_gray_to_rgb) X(png_set_interlace_handling) \
    X(png_set_longjmp_fn) X(png_set_read_fn) X(png_set_scale_16) X(png_set_strip_alpha) X(png_set_user_limits)
/* clang-format on */

static struct {
    FUNCTIONS(QN_LIBRARY_POINTER)
} libpng;
static struct qn_library_use library = {QN_LIBRARY_PNG, FUNCTIONS(QN_LIBRARY_SYMBOL), &libpng};

struct source {
    const uint8_t *bytes;
    size_t size, at;
    char words[160];
};

/* png_jmpbuf of png.h, through the table. */
static jmp_buf *jump_of(png_structp png)
{
    return libpng.png_set_longjmp_fn(png, longjmp, sizeof(jmp_buf));
}

static void read_bytes(png_structp png, png_bytep to, size_t size)
{
    struct source *source = libpng.png_get_io_ptr(png);
    if (size > source->size - source->at)
        libpng.png_error(png, "the data end too early");
    memcpy(to, source->bytes + source->at, size);
    source->at += size;
}

static void fail(png_structp png, png_const_charp words)
{
    struct source *source = libpng.png_get_error_ptr(png);
    size_t n = strlen(words);
    n = n < sizeof source->words ? n : sizeof source->words - 1;
    memcpy(source->words, words, n);
    source->words[n] = 0;
    longjmp(*jump_of(png), 1);
}

static void stay_silent(png_structp png, png_const_charp words)
{
    (void)png;
    (void)words;
}

static qn_status read_image(png_structp png, png_infop info, struct qn_raster *out)
{
    libpng.png_set_user_limits(png, 1000000, 1000000);
    libpng.png_read_info(png, info);
    libpng.png_set_expand(png);
    libpng.png_set_scale_16(png);
    libpng.png_set_strip_alpha(png);
    libpng.png_set_gray_to_rgb(png);
    int passes = libpng.png_set_interlace_handling(png);
    libpng.png_read_update_info(png, info);
    QN_TRY(qn_raster_take(out, libpng.png_get_image_width(png, info), libpng.png_get_image_height(png, info)));
    if (libpng.png_get_rowbytes(png, info) != (size_t)out->width * 3)
        return QN_ERROR(QN_INTERNAL, "rows of %zu bytes", libpng.png_get_rowbytes(png, info));
    for (int pass = 0; pass < passes; pass++)
        for (uint32_t y = 0; y < out->height; y++)
            libpng.png_read_row(png, out->rgb + (size_t)y * out->width * 3, NULL);
    return NULL;
}

qn_status qn_image_read_png(const uint8_t *bytes, size_t size, struct qn_raster *out)
{
    QN_TRY(qn_library_need(&library));
    struct source source = {.bytes = bytes, .size = size};
    png_structp png = libpng.png_create_read_struct(PNG_LIBPNG_VER_STRING, &source, fail, stay_silent);
    png_infop info = png ? libpng.png_create_info_struct(png) : NULL;
    if (!info) {
        libpng.png_destroy_read_struct(&png, NULL, NULL);
        return QN_OOM();
    }
    qn_status status;
    if (setjmp(*jump_of(png))) {
        status = QN_ERROR(QN_INVALID_FILE, "%s", source.words);
    } else {
        libpng.png_set_read_fn(png, &source, read_bytes);
        status = read_image(png, info, out);
    }
    libpng.png_destroy_read_struct(&png, &info, NULL);
    return status;
}
