/* WebP by libwebp; of an animation the first picture is not read: libwebp's decoder refuses it. */
#ifdef QN_LIBRARY_WEBP
#include <webp/decode.h>

#include "host/raster.h"
#include "platform/library.h"

#define FUNCTIONS(X) X(WebPGetInfo) X(WebPDecodeRGBInto)

static struct {
    FUNCTIONS(QN_LIBRARY_POINTER)
} webp;
static struct qn_library_use library = {QN_LIBRARY_WEBP, FUNCTIONS(QN_LIBRARY_SYMBOL), &webp};

qn_status qn_image_read_webp(const uint8_t *bytes, size_t size, struct qn_raster *out)
{
    QN_TRY(qn_library_need(&library));
    int width, height;
    if (!webp.WebPGetInfo(bytes, size, &width, &height) || width <= 0 || height <= 0)
        return QN_ERROR(QN_INVALID_FILE, "the header is damaged");
    QN_TRY(qn_raster_take(out, (uint64_t)width, (uint64_t)height));
    size_t room = (size_t)width * (size_t)height * 3;
    if (!webp.WebPDecodeRGBInto(bytes, size, out->rgb, room, width * 3))
        return QN_ERROR(QN_INVALID_FILE, "the data are damaged");
    return NULL;
}
#else
typedef int qn_no_webp;
#endif
