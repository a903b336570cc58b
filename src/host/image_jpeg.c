/* JPEG by libjpeg-turbo: baseline and progressive, gray, YCbCr, RGB, CMYK and YCCK. */
#include <setjmp.h>
#include <stdio.h>

#include <jpeglib.h>

#include "host/raster.h"
#include "platform/library.h"

/* clang-format off */
#define FUNCTIONS(X) \
    X(jpeg_std_error) X(jpeg_CreateDecompress) X(jpeg_destroy_decompress) X(jpeg_mem_src) X(jpeg_read_header) \
    X(jpeg_read_scanlines) X(jpeg_start_decompress)
/* clang-format on */

static struct {
    FUNCTIONS(QN_LIBRARY_POINTER)
} jpeg;
static struct qn_library_use library = {QN_LIBRARY_JPEG, FUNCTIONS(QN_LIBRARY_SYMBOL), &jpeg};

struct catcher {
    struct jpeg_error_mgr manager;
    jmp_buf back;
    char words[JMSG_LENGTH_MAX];
};

static void fail(j_common_ptr info)
{
    struct catcher *catcher = (struct catcher *)(void *)info->err;
    catcher->manager.format_message(info, catcher->words);
    longjmp(catcher->back, 1);
}

static void stay_silent(j_common_ptr info)
{
    (void)info;
}

/* Four inks, inverted as Adobe writes them, to RGB in place of the row's first three quarters. */
static void from_inks(const uint8_t *row, uint32_t width, bool inverted, uint8_t *rgb)
{
    for (uint32_t i = 0; i < width; i++, row += 4, rgb += 3) {
        uint32_t k = inverted ? row[3] : 255u - row[3];
        for (int c = 0; c < 3; c++)
            rgb[c] = (uint8_t)(((inverted ? row[c] : 255u - row[c]) * k + 127) / 255);
    }
}

static qn_status read_rows(struct jpeg_decompress_struct *info, uint8_t *inks, struct qn_raster *out)
{
    while (info->output_scanline < info->output_height) {
        uint8_t *row = out->rgb + (size_t)info->output_scanline * out->width * 3;
        JSAMPROW target = inks ? inks : row;
        if (jpeg.jpeg_read_scanlines(info, &target, 1) != 1)
            return QN_ERROR(QN_INVALID_FILE, "the data end too early");
        if (inks)
            from_inks(inks, out->width, info->saw_Adobe_marker, row);
    }
    return NULL;
}

qn_status qn_image_read_jpeg(const uint8_t *bytes, size_t size, struct qn_raster *out)
{
    QN_TRY(qn_library_need(&library));
    struct jpeg_decompress_struct info;
    struct catcher catcher;
    uint8_t *volatile inks = NULL;
    volatile size_t inks_size = 0;
    memset(&info, 0, sizeof info);
    info.err = jpeg.jpeg_std_error(&catcher.manager);
    catcher.manager.error_exit = fail;
    catcher.manager.output_message = stay_silent;
    qn_status status = NULL;
    if (setjmp(catcher.back)) {
        jpeg.jpeg_destroy_decompress(&info);
        qn_free(out->allocator, inks, inks_size);
        return QN_ERROR(QN_INVALID_FILE, "%s", catcher.words);
    }
    jpeg.jpeg_CreateDecompress(&info, JPEG_LIB_VERSION, sizeof info);
    jpeg.jpeg_mem_src(&info, bytes, (unsigned long)size);
    jpeg.jpeg_read_header(&info, TRUE);
    bool has_inks = info.jpeg_color_space == JCS_CMYK || info.jpeg_color_space == JCS_YCCK;
    info.out_color_space = has_inks ? JCS_CMYK : JCS_RGB;
    status = qn_raster_take(out, info.image_width, info.image_height);
    if (!status && has_inks) {
        inks_size = (size_t)out->width * 4;
        inks = qn_alloc(out->allocator, inks_size);
        status = inks ? NULL : QN_OOM();
    }
    if (!status) {
        jpeg.jpeg_start_decompress(&info);
        status = read_rows(&info, inks, out);
    }
    jpeg.jpeg_destroy_decompress(&info);
    qn_free(out->allocator, inks, inks_size);
    return status;
}
