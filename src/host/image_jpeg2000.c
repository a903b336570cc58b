/* JPEG 2000 (files and bare code streams) by OpenJPEG: gray, RGB and YCbCr of any depth. */
#ifdef QN_LIBRARY_JPEG2000
#include <math.h>
#include <stdio.h>

#include <openjpeg.h>

#include "host/raster.h"
#include "platform/library.h"

/* clang-format off */
#define FUNCTIONS(X) \
    X(opj_create_decompress) X(opj_decode) X(opj_destroy_codec) X(opj_end_decompress) X(opj_image_destroy) \
    X(opj_read_header) X(opj_set_default_decoder_parameters) X(opj_set_error_handler) X(opj_set_info_handler) \
    X(opj_set_warning_handler) X(opj_setup_decoder) X(opj_stream_create) X(opj_stream_destroy) \
    X(opj_stream_set_read_function) X(opj_stream_set_seek_function) X(opj_stream_set_skip_function) \
    X(opj_stream_set_user_data) X(opj_stream_set_user_data_length)
/* clang-format on */

static struct {
    FUNCTIONS(QN_LIBRARY_POINTER)
} openjpeg;
static struct qn_library_use library = {QN_LIBRARY_JPEG2000, FUNCTIONS(QN_LIBRARY_SYMBOL), &openjpeg};

struct source {
    const uint8_t *bytes;
    uint64_t size, at;
    char words[200];
};

static OPJ_SIZE_T read_bytes(void *to, OPJ_SIZE_T size, void *user)
{
    struct source *source = user;
    uint64_t left = source->size - source->at, n = size < left ? size : left;
    if (!n)
        return (OPJ_SIZE_T)-1;
    memcpy(to, source->bytes + source->at, n);
    source->at += n;
    return n;
}

static OPJ_OFF_T skip(OPJ_OFF_T n, void *user)
{
    struct source *source = user;
    uint64_t left = source->size - source->at;
    if (n < 0)
        return -1;
    n = (uint64_t)n < left ? n : (OPJ_OFF_T)left;
    source->at += (uint64_t)n;
    return n;
}

static OPJ_BOOL seek(OPJ_OFF_T offset, void *user)
{
    struct source *source = user;
    if (offset < 0 || (uint64_t)offset > source->size)
        return OPJ_FALSE;
    source->at = (uint64_t)offset;
    return OPJ_TRUE;
}

static void keep_words(const char *words, void *user)
{
    struct source *source = user;
    if (!source->words[0])
        snprintf(source->words, sizeof source->words, "%s", words);
}

static void stay_silent(const char *words, void *user)
{
    (void)words;
    (void)user;
}

/* Sample of component c at a pixel of the picture, as 0 .. 255. */
static int sample(const opj_image_t *image, uint32_t c, uint32_t x, uint32_t y)
{
    const opj_image_comp_t *comp = &image->comps[c];
    uint32_t column = x / comp->dx, row = y / comp->dy;
    column = column < comp->w ? column : comp->w - 1;
    row = row < comp->h ? row : comp->h - 1;
    int64_t value = comp->data[(size_t)row * comp->w + column] + (comp->sgnd ? (int64_t)1 << (comp->prec - 1) : 0);
    value = comp->prec > 8 ? value >> (comp->prec - 8) : comp->prec < 8 ? value * 255 / ((1 << comp->prec) - 1) : value;
    return value < 0 ? 0 : value > 255 ? 255 : (int)value;
}

static uint8_t clip(double v)
{
    return v < 0 ? 0 : v > 255 ? 255 : (uint8_t)lrint(v);
}

static qn_status convert(const opj_image_t *image, struct qn_raster *out)
{
    if (image->x1 <= image->x0 || image->y1 <= image->y0 || image->numcomps == 0)
        return QN_ERROR(QN_INVALID_FILE, "no pixels");
    uint32_t colors = image->numcomps >= 3 ? 3 : 1;
    for (uint32_t c = 0; c < colors; c++)
        if (!image->comps[c].data || !image->comps[c].w || !image->comps[c].h || image->comps[c].prec == 0 ||
            image->comps[c].prec > 31 || !image->comps[c].dx || !image->comps[c].dy)
            return QN_ERROR(QN_INVALID_FILE, "component %u is damaged", c);
    QN_TRY(qn_raster_take(out, image->comps[0].w, image->comps[0].h));
    bool ycc = colors == 3 && image->color_space == OPJ_CLRSPC_SYCC;
    uint8_t *rgb = out->rgb;
    for (uint32_t y = 0; y < out->height; y++) {
        for (uint32_t x = 0; x < out->width; x++, rgb += 3) {
            int v[3];
            for (uint32_t c = 0; c < 3; c++)
                v[c] = sample(image, c < colors ? c : 0, x * image->comps[0].dx, y * image->comps[0].dy);
            for (int c = 0; c < 3; c++)
                rgb[c] = (uint8_t)v[c];
            if (ycc) {
                double cb = v[1] - 128, cr = v[2] - 128;
                rgb[0] = clip(v[0] + 1.402 * cr);
                rgb[1] = clip(v[0] - 0.344136 * cb - 0.714136 * cr);
                rgb[2] = clip(v[0] + 1.772 * cb);
            }
        }
    }
    return NULL;
}

qn_status qn_image_read_jpeg2000(const uint8_t *bytes, size_t size, struct qn_raster *out)
{
    QN_TRY(qn_library_need(&library));
    struct source source = {.bytes = bytes, .size = size};
    opj_codec_t *codec = openjpeg.opj_create_decompress(bytes[0] == 0xff ? OPJ_CODEC_J2K : OPJ_CODEC_JP2);
    opj_stream_t *stream = openjpeg.opj_stream_create(1 << 16, OPJ_TRUE);
    opj_image_t *image = NULL;
    qn_status status = codec && stream ? NULL : QN_OOM();
    if (!status) {
        opj_dparameters_t parameters;
        openjpeg.opj_set_default_decoder_parameters(&parameters);
        openjpeg.opj_set_error_handler(codec, keep_words, &source);
        openjpeg.opj_set_warning_handler(codec, stay_silent, NULL);
        openjpeg.opj_set_info_handler(codec, stay_silent, NULL);
        openjpeg.opj_stream_set_user_data(stream, &source, NULL);
        openjpeg.opj_stream_set_user_data_length(stream, size);
        openjpeg.opj_stream_set_read_function(stream, read_bytes);
        openjpeg.opj_stream_set_skip_function(stream, skip);
        openjpeg.opj_stream_set_seek_function(stream, seek);
        bool good = openjpeg.opj_setup_decoder(codec, &parameters) && openjpeg.opj_read_header(stream, codec, &image);
        if (good && (uint64_t)(image->x1 - image->x0) * (image->y1 - image->y0) > QN_IMAGE_MAX_PIXELS)
            status = QN_ERROR(QN_INVALID_FILE, "more than %d pixels", QN_IMAGE_MAX_PIXELS);
        else if (!good || !openjpeg.opj_decode(codec, stream, image) || !openjpeg.opj_end_decompress(codec, stream))
            status = QN_ERROR(QN_INVALID_FILE, "%s", source.words[0] ? source.words : "the data are damaged");
        else
            status = convert(image, out);
    }
    openjpeg.opj_image_destroy(image);
    openjpeg.opj_stream_destroy(stream);
    openjpeg.opj_destroy_codec(codec);
    return status;
}
#else
typedef int qn_no_jpeg2000;
#endif
