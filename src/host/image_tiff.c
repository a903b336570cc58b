/* TIFF by libtiff, from memory: the first picture of the file. */
#ifdef QN_LIBRARY_TIFF
#include <stdarg.h>
#include <stdio.h>

#include <tiffio.h>

#include "host/raster.h"
#include "platform/library.h"

/* clang-format off */
#define FUNCTIONS(X) \
    X(TIFFOpenOptionsAlloc) X(TIFFOpenOptionsFree) X(TIFFOpenOptionsSetErrorHandlerExtR) \
    X(TIFFOpenOptionsSetWarningHandlerExtR) X(TIFFClientOpenExt) X(TIFFGetField) X(TIFFReadRGBAImageOriented) \
    X(TIFFClose)
/* clang-format on */

static struct {
    FUNCTIONS(QN_LIBRARY_POINTER)
} libtiff;
static struct qn_library_use library = {QN_LIBRARY_TIFF, FUNCTIONS(QN_LIBRARY_SYMBOL), &libtiff};

struct source {
    const uint8_t *bytes;
    uint64_t size, at;
    char words[200];
};

static tmsize_t read_bytes(thandle_t handle, void *to, tmsize_t size)
{
    struct source *source = handle;
    uint64_t left = source->at < source->size ? source->size - source->at : 0;
    uint64_t n = size > 0 ? ((uint64_t)size < left ? (uint64_t)size : left) : 0;
    if (n)
        memcpy(to, source->bytes + source->at, n);
    source->at += n;
    return (tmsize_t)n;
}

static tmsize_t write_bytes(thandle_t handle, void *from, tmsize_t size)
{
    (void)handle;
    (void)from;
    (void)size;
    return 0;
}

static toff_t seek(thandle_t handle, toff_t offset, int whence)
{
    struct source *source = handle;
    uint64_t base = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? source->at : source->size;
    source->at = base + offset;
    return source->at;
}

static int close_source(thandle_t handle)
{
    (void)handle;
    return 0;
}

static toff_t size_of(thandle_t handle)
{
    return ((struct source *)handle)->size;
}

static int keep_words(TIFF *tiff, void *user, const char *module, const char *format, va_list args)
{
    (void)tiff;
    (void)module;
    struct source *source = user;
    if (!source->words[0])
        vsnprintf(source->words, sizeof source->words, format, args);
    return 1;
}

static int stay_silent(TIFF *tiff, void *user, const char *module, const char *format, va_list args)
{
    (void)tiff;
    (void)user;
    (void)module;
    (void)format;
    (void)args;
    return 1;
}

static qn_status read_picture(TIFF *tiff, struct source *source, struct qn_raster *out)
{
    uint32_t width = 0, height = 0;
    libtiff.TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &width);
    libtiff.TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &height);
    QN_TRY(qn_raster_take(out, width, height));
    size_t pixels = (size_t)width * height;
    uint32_t *packed = qn_alloc(out->allocator, pixels * sizeof *packed);
    if (!packed)
        return QN_OOM();
    bool good = libtiff.TIFFReadRGBAImageOriented(tiff, width, height, packed, ORIENTATION_TOPLEFT, 1);
    for (size_t i = 0; good && i < pixels; i++) {
        out->rgb[3 * i] = (uint8_t)TIFFGetR(packed[i]);
        out->rgb[3 * i + 1] = (uint8_t)TIFFGetG(packed[i]);
        out->rgb[3 * i + 2] = (uint8_t)TIFFGetB(packed[i]);
    }
    qn_free(out->allocator, packed, pixels * sizeof *packed);
    return good ? NULL : QN_ERROR(QN_INVALID_FILE, "%s", source->words[0] ? source->words : "the data are damaged");
}

qn_status qn_image_read_tiff(const uint8_t *bytes, size_t size, struct qn_raster *out)
{
    QN_TRY(qn_library_need(&library));
    struct source source = {.bytes = bytes, .size = size};
    TIFFOpenOptions *options = libtiff.TIFFOpenOptionsAlloc();
    if (!options)
        return QN_OOM();
    libtiff.TIFFOpenOptionsSetErrorHandlerExtR(options, keep_words, &source);
    libtiff.TIFFOpenOptionsSetWarningHandlerExtR(options, stay_silent, NULL);
    TIFF *tiff = libtiff.TIFFClientOpenExt("picture", "rm", &source, read_bytes, write_bytes, seek, close_source,
                                           size_of, NULL, NULL, options);
    libtiff.TIFFOpenOptionsFree(options);
    if (!tiff)
        return QN_ERROR(QN_INVALID_FILE, "%s", source.words[0] ? source.words : "the header is damaged");
    qn_status status = read_picture(tiff, &source, out);
    libtiff.TIFFClose(tiff);
    return status;
}
#else
typedef int qn_no_tiff;
#endif
