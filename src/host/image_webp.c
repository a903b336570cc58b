/* WebP by libwebp; of an animation the first picture is not read: libwebp's decoder refuses it. */
#if QN_HAVE_WEBP
#include <webp/decode.h>

#include "host/raster.h"

qn_status qn_image_read_webp(const uint8_t *bytes, size_t size, struct qn_raster *out)
{
    int width, height;
    if (!WebPGetInfo(bytes, size, &width, &height) || width <= 0 || height <= 0)
        return QN_ERROR(QN_INVALID_FILE, "the header is damaged");
    QN_TRY(qn_raster_take(out, (uint64_t)width, (uint64_t)height));
    size_t room = (size_t)width * (size_t)height * 3;
    if (!WebPDecodeRGBInto(bytes, size, out->rgb, room, width * 3))
        return QN_ERROR(QN_INVALID_FILE, "the data are damaged");
    return NULL;
}
#else
typedef int qn_no_webp;
#endif
