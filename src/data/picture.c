#include "data/picture.h"

#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/status.h"
#include "quant/half.h"
#include "quern/media.h"

/* The slot's axes. */
struct layout {
    uint32_t channels, height, width; /* 0: any */
    bool last;                        /* channels stand last */
};

static qn_status find_layout(const char *name, const struct qn_slot_info *slot, struct layout *out)
{
    uint32_t lead = slot->rank == 4;
    if (slot->kind != QN_DATA_TENSOR && slot->rank == 0)
        return QN_ERROR(QN_INVALID_ARGUMENT, "%s: the model gives input '%s' no shape; a picture needs one", name,
                        slot->name);
    if (slot->rank != 3 && slot->rank != 4)
        return QN_ERROR(QN_INVALID_ARGUMENT, "%s: input '%s' has rank %u; a picture needs [n, c, h, w] or [n, h, w, c]",
                        name, slot->name, slot->rank);
    const int64_t *d = slot->dims + lead;
    out->last = (d[2] == 1 || d[2] == 3) && d[0] != 1 && d[0] != 3;
    int64_t channels = out->last ? d[2] : d[0], height = out->last ? d[0] : d[1], width = out->last ? d[1] : d[2];
    if (channels != 1 && channels != 3 && channels != -1)
        return QN_ERROR(QN_INVALID_ARGUMENT, "%s: input '%s' has %lld channels; a picture has 1 or 3", name, slot->name,
                        (long long)channels);
    if (height > 65536 || width > 65536)
        return QN_ERROR(QN_INVALID_ARGUMENT, "%s: input '%s' is larger than any picture", name, slot->name);
    out->channels = channels < 0 ? 3 : (uint32_t)channels;
    out->height = height < 0 ? 0 : (uint32_t)height;
    out->width = width < 0 ? 0 : (uint32_t)width;
    return NULL;
}

/* Weights of source positions [first, first + count) for one target position: a triangle as wide as the scale, so that
 * shrinking averages and growing interpolates. */
static void weigh(double at, double scale, int64_t size, int64_t *first, int64_t *count, float *weights)
{
    double reach = scale > 1 ? scale : 1, centre = (at + 0.5) * scale - 0.5, sum = 0;
    int64_t from = (int64_t)ceil(centre - reach), to = (int64_t)floor(centre + reach);
    *first = from < 0 ? 0 : from;
    *count = (to >= size ? size - 1 : to) - *first + 1;
    for (int64_t i = 0; i < *count; i++)
        sum += weights[i] = (float)fmax(0, 1 - fabs((double)(*first + i) - centre) / reach);
    for (int64_t i = 0; i < *count; i++)
        weights[i] = (float)(weights[i] / sum);
}

struct window {
    double left, top, scale_x, scale_y; /* source pixels a target pixel covers */
};

/* Rows first, then columns: `rows` is [height out, width in, c]. */
static void scale_picture(const struct qn_image *in, const struct window *w, uint32_t height, uint32_t width,
                          float *rows, float *weights, float *out)
{
    uint32_t c = in->channels;
    int64_t first, count;
    for (uint32_t y = 0; y < height; y++) {
        weigh(y + w->top / w->scale_y, w->scale_y, in->height, &first, &count, weights);
        float *row = rows + (size_t)y * in->width * c;
        memset(row, 0, (size_t)in->width * c * sizeof *row);
        for (int64_t i = 0; i < count; i++)
            for (uint32_t x = 0; x < in->width * c; x++)
                row[x] += weights[i] * (float)in->pixels[(size_t)(first + i) * in->width * c + x];
    }
    for (uint32_t x = 0; x < width; x++) {
        weigh(x + w->left / w->scale_x, w->scale_x, in->width, &first, &count, weights);
        for (uint32_t y = 0; y < height; y++)
            for (uint32_t k = 0; k < c; k++) {
                float sum = 0;
                for (int64_t i = 0; i < count; i++)
                    sum += weights[i] * rows[((size_t)y * in->width + (size_t)(first + i)) * c + k];
                out[((size_t)y * width + x) * c + k] = sum;
            }
    }
}

static void store(void *data, qn_dtype dtype, size_t at, float value)
{
    if (dtype == QN_DTYPE_F32)
        ((float *)data)[at] = value;
    else if (dtype == QN_DTYPE_F16)
        ((uint16_t *)data)[at] = qn_half_store(value);
    else
        ((uint8_t *)data)[at] = (uint8_t)fminf(255, fmaxf(0, rintf(value)));
}

/* Pixels [h, w, c] of 0 .. 255 to the tensor's layout and numbers. */
static void lay_out(const float *pixels, const struct layout *to, qn_dtype dtype,
                    const struct qn_image_options *options, void *data)
{
    bool numbers = dtype != QN_DTYPE_U8 && !(options && options->raw);
    size_t area = (size_t)to->height * to->width;
    for (size_t i = 0; i < area; i++)
        for (uint32_t k = 0; k < to->channels; k++) {
            float value = pixels[i * to->channels + k];
            if (numbers)
                value /= 255;
            if (numbers && options)
                value = (value - options->mean[k]) / (options->deviation[k] != 0 ? options->deviation[k] : 1);
            uint32_t channel = options && options->bgr ? to->channels - 1 - k : k;
            store(data, dtype, to->last ? i * to->channels + channel : channel * area + i, value);
        }
}

static qn_status fill(const struct qn_image *image, const struct layout *to, const struct qn_image_options *options,
                      const struct qn_allocator *a, struct qn_tensor *tensor)
{
    struct window window = {0, 0, (double)image->width / to->width, (double)image->height / to->height};
    if (!options || !options->stretch) { /* the middle, in its proportions */
        double scale = fmin(window.scale_x, window.scale_y);
        window = (struct window){(image->width - scale * to->width) / 2, (image->height - scale * to->height) / 2,
                                 scale, scale};
    }
    uint64_t rows = (uint64_t)to->height * image->width * to->channels,
             reach = 2 * (uint64_t)fmax(window.scale_x, window.scale_y) + 8,
             pixels = (uint64_t)to->height * to->width * to->channels, total = (rows + reach + pixels) * sizeof(float);
    tensor->bytes = pixels * qn_dtype_info(tensor->dtype)->block_bytes;
    float *work = qn_alloc(a, total);
    tensor->data = qn_alloc(a, tensor->bytes);
    if (work && tensor->data) {
        scale_picture(image, &window, to->height, to->width, work, work + rows, work + rows + reach);
        lay_out(work + rows + reach, to, tensor->dtype, options, tensor->data);
    }
    qn_free(a, work, total);
    if (work && tensor->data)
        return NULL;
    qn_free(a, tensor->data, tensor->bytes);
    return QN_OOM();
}

qn_status qn_picture_load(const void *bytes, uint64_t size, const char *name, const struct qn_slot_info *slot,
                          const struct qn_image_options *options, const struct qn_allocator *allocator,
                          struct qn_data *out)
{
    struct layout to;
    if (!slot)
        return QN_ERROR(QN_INVALID_ARGUMENT, "%s: a picture needs an input's shape", name);
    if (slot->dtype != QN_DTYPE_F32 && slot->dtype != QN_DTYPE_F16 && slot->dtype != QN_DTYPE_U8)
        return QN_ERROR(QN_INVALID_ARGUMENT, "%s: input '%s' is %s; pictures become f32, f16 or u8", name, slot->name,
                        qn_dtype_name(slot->dtype));
    QN_TRY(find_layout(name, slot, &to));
    struct qn_image image = {.struct_size = sizeof image};
    QN_TRY(qn_image_decode(bytes, size, name, to.channels, allocator, &image));
    to.height = to.height ? to.height : image.height;
    to.width = to.width ? to.width : image.width;
    struct qn_tensor tensor = {.dtype = slot->dtype, .rank = slot->rank};
    uint32_t lead = slot->rank == 4;
    if (lead)
        tensor.dims[0] = 1;
    const int64_t dims[2][3] = {{to.channels, to.height, to.width}, {to.height, to.width, to.channels}};
    memcpy(tensor.dims + lead, dims[to.last], sizeof dims[0]);
    qn_status status = fill(&image, &to, options, allocator, &tensor);
    qn_image_free(&image, allocator);
    if (!status)
        *out = (struct qn_data){.kind = QN_DATA_TENSOR, .tensor = tensor};
    return status;
}
