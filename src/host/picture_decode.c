/* Pictures by content: which reader, the pixel format asked for, and the op image_decode. */
#include "host/raster.h"

#include "base/checked.h"
#include "host/host_call.h"
#include "ir/ir.h"
#include "quern/media.h"

qn_status qn_raster_take(struct qn_raster *raster, uint64_t width, uint64_t height)
{
    if (width == 0 || height == 0 || width > QN_IMAGE_MAX_PIXELS || height > QN_IMAGE_MAX_PIXELS / width)
        return QN_ERROR(QN_INVALID_FILE, "%" PRIu64 " x %" PRIu64 " pixels: none, or more than %d", width, height,
                        QN_IMAGE_MAX_PIXELS);
    if (raster->rgb)
        return QN_ERROR(QN_INTERNAL, "the pixels were taken twice");
    raster->rgb = qn_alloc(raster->allocator, (size_t)(width * height * 3));
    if (!raster->rgb)
        return QN_OOM();
    raster->width = (uint32_t)width;
    raster->height = (uint32_t)height;
    return NULL;
}

static void release(struct qn_raster *raster)
{
    qn_free(raster->allocator, raster->rgb, (size_t)raster->width * raster->height * 3);
    raster->rgb = NULL;
}

static bool starts(const uint8_t *bytes, size_t size, const char *magic, size_t length)
{
    return size >= length && memcmp(bytes, magic, length) == 0;
}

static bool is_jpeg(const uint8_t *b, size_t n)
{
    return starts(b, n, "\xff\xd8\xff", 3);
}
static bool is_png(const uint8_t *b, size_t n)
{
    return starts(b, n, "\x89PNG\r\n\x1a\n", 8);
}
static bool is_bmp(const uint8_t *b, size_t n)
{
    return starts(b, n, "BM", 2);
}
static bool is_pnm(const uint8_t *b, size_t n)
{
    return n >= 2 && b[0] == 'P' && b[1] >= '1' && b[1] <= '6';
}
static bool is_webp(const uint8_t *b, size_t n)
{
    return n >= 12 && starts(b, n, "RIFF", 4) && memcmp(b + 8, "WEBP", 4) == 0;
}
static bool is_tiff(const uint8_t *b, size_t n)
{
    return starts(b, n, "II*\0", 4) || starts(b, n, "MM\0*", 4) || starts(b, n, "II+\0", 4) || starts(b, n, "MM\0+", 4);
}
static bool is_jpeg2000(const uint8_t *b, size_t n)
{
    return starts(b, n, "\0\0\0\x0cjP  \r\n\x87\n", 12) || starts(b, n, "\xff\x4f\xff\x51", 4);
}

#ifndef QN_LIBRARY_WEBP
#define qn_image_read_webp NULL
#endif
#ifndef QN_LIBRARY_TIFF
#define qn_image_read_tiff NULL
#endif
#ifndef QN_LIBRARY_JPEG2000
#define qn_image_read_jpeg2000 NULL
#endif

static const struct {
    const char *name;
    bool (*is)(const uint8_t *bytes, size_t size);
    qn_status (*read)(const uint8_t *bytes, size_t size, struct qn_raster *out);
} readers[] = {
    {"JPEG", is_jpeg, qn_image_read_jpeg},
    {"PNG", is_png, qn_image_read_png},
    {"BMP", is_bmp, qn_image_read_bmp},
    {"PNM", is_pnm, qn_image_read_pnm},
    {"WebP", is_webp, qn_image_read_webp},
    {"TIFF", is_tiff, qn_image_read_tiff},
    {"JPEG 2000", is_jpeg2000, qn_image_read_jpeg2000},
};

static qn_status read_any(const uint8_t *bytes, size_t size, struct qn_raster *out)
{
    for (size_t i = 0; i < sizeof readers / sizeof readers[0]; i++) {
        if (!readers[i].is(bytes, size))
            continue;
        if (!readers[i].read)
            return QN_ERROR(QN_UNSUPPORTED, "this build reads no %s", readers[i].name);
        qn_status status = readers[i].read(bytes, size, out);
        if (status)
            release(out);
        return qn_status_note(status, "%s", readers[i].name);
    }
    return QN_ERROR(QN_UNSUPPORTED, "no picture of a kind that Quern reads");
}

/* Luma of ITU-R 601 in 16 bits of fraction. */
static uint8_t gray(const uint8_t *rgb)
{
    return (uint8_t)((rgb[0] * 19595u + rgb[1] * 38470u + rgb[2] * 7471u + 0x8000u) >> 16);
}

qn_status qn_image_decode(const void *bytes, size_t size, const char *name, uint32_t channels,
                          const struct qn_allocator *allocator, struct qn_image *out)
{
    struct qn_raster raster = {.allocator = allocator ? allocator : qn_allocator_default()};
    if (channels != 1 && channels != 3)
        return QN_ERROR(QN_INVALID_ARGUMENT, "'%s': %u channels asked for, not 1 or 3", name, channels);
    QN_TRY(qn_status_note(read_any(bytes, size, &raster), "'%s'", name));
    size_t pixels = (size_t)raster.width * raster.height;
    out->width = raster.width;
    out->height = raster.height;
    out->channels = channels;
    out->pixels = raster.rgb;
    if (channels == 3)
        return NULL;
    out->pixels = qn_alloc(raster.allocator, pixels);
    for (size_t i = 0; out->pixels && i < pixels; i++)
        out->pixels[i] = gray(raster.rgb + 3 * i);
    release(&raster);
    return out->pixels ? NULL : QN_OOM();
}

void qn_image_free(struct qn_image *image, const struct qn_allocator *allocator)
{
    if (!image || !image->pixels)
        return;
    qn_free(allocator ? allocator : qn_allocator_default(), image->pixels,
            (size_t)image->width * image->height * image->channels);
    image->pixels = NULL;
}

/* What cannot be decoded gives an empty picture, as ONNX wants. */
qn_status qn_host_image_decode(const struct qn_host_call *c)
{
    const struct qn_attr_image_decode *attr = c->attr;
    struct qn_view x;
    QN_TRY(qn_host_tensor(c, 0, &x));
    if (x.dtype != QN_DTYPE_U8)
        return QN_ERROR(QN_INVALID_ARGUMENT, "input 0 is %s, not u8", qn_dtype_name(x.dtype));
    struct qn_image image = {.struct_size = sizeof image};
    int64_t dims[3] = {0, 0, attr->pixels == 2 ? 1 : 3};
    qn_status status = qn_image_decode(x.data, (size_t)qn_view_elems(&x), "input 0", (uint32_t)dims[2], NULL, &image);
    enum qn_code code = qn_status_code(status);
    if (code == QN_INVALID_FILE || code == QN_UNSUPPORTED) {
        qn_status_free(status);
        return qn_object_tensor(c->store, QN_DTYPE_U8, 3, dims, &c->out[0]);
    }
    QN_TRY(status);
    dims[0] = image.height;
    dims[1] = image.width;
    status = qn_object_tensor(c->store, QN_DTYPE_U8, 3, dims, &c->out[0]);
    size_t pixels = (size_t)image.width * image.height;
    if (!status) {
        uint8_t *out = c->out[0]->tensor.data;
        memcpy(out, image.pixels, pixels * (size_t)dims[2]);
        for (size_t i = 0; attr->pixels == 1 && i < pixels; i++) {
            out[3 * i] = image.pixels[3 * i + 2];
            out[3 * i + 2] = image.pixels[3 * i];
        }
    }
    qn_image_free(&image, NULL);
    return status;
}
