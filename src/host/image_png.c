/* PNG by libpng: every depth and colour type, interlaced or not; the alpha channel is left out, 16 bits become 8. */
#include <setjmp.h>

#include <png.h>

#include "host/raster.h"

struct source {
    const uint8_t *bytes;
    size_t size, at;
    char words[160];
};

static void read_bytes(png_structp png, png_bytep to, size_t size)
{
    struct source *source = png_get_io_ptr(png);
    if (size > source->size - source->at)
        png_error(png, "the data end too early");
    memcpy(to, source->bytes + source->at, size);
    source->at += size;
}

static void fail(png_structp png, png_const_charp words)
{
    struct source *source = png_get_error_ptr(png);
    size_t n = strlen(words);
    n = n < sizeof source->words ? n : sizeof source->words - 1;
    memcpy(source->words, words, n);
    source->words[n] = 0;
    longjmp(png_jmpbuf(png), 1);
}

static void stay_silent(png_structp png, png_const_charp words)
{
    (void)png;
    (void)words;
}

static qn_status read_image(png_structp png, png_infop info, struct qn_raster *out)
{
    png_set_user_limits(png, 1000000, 1000000);
    png_read_info(png, info);
    png_set_expand(png);
    png_set_scale_16(png);
    png_set_strip_alpha(png);
    png_set_gray_to_rgb(png);
    int passes = png_set_interlace_handling(png);
    png_read_update_info(png, info);
    QN_TRY(qn_raster_take(out, png_get_image_width(png, info), png_get_image_height(png, info)));
    if (png_get_rowbytes(png, info) != (size_t)out->width * 3)
        return QN_ERROR(QN_INTERNAL, "rows of %zu bytes", png_get_rowbytes(png, info));
    for (int pass = 0; pass < passes; pass++)
        for (uint32_t y = 0; y < out->height; y++)
            png_read_row(png, out->rgb + (size_t)y * out->width * 3, NULL);
    return NULL;
}

qn_status qn_image_read_png(const uint8_t *bytes, size_t size, struct qn_raster *out)
{
    struct source source = {.bytes = bytes, .size = size};
    png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &source, fail, stay_silent);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    if (!info) {
        png_destroy_read_struct(&png, NULL, NULL);
        return QN_OOM();
    }
    qn_status status;
    if (setjmp(png_jmpbuf(png))) {
        status = QN_ERROR(QN_INVALID_FILE, "%s", source.words);
    } else {
        png_set_read_fn(png, &source, read_bytes);
        status = read_image(png, info, out);
    }
    png_destroy_read_struct(&png, &info, NULL);
    return status;
}
