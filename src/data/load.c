/* Files to inputs, by the ending of their names. */
#include <string.h>

#include "base/arena.h"
#include "base/checked.h"
#include "base/str.h"
#include "data/npy.h"
#include "data/picture.h"
#include "format/onnx/proto.h"
#include "platform/file.h"
#include "quern/data.h"
#include "quern/media.h"

static bool ends(const char *path, const char *const *endings)
{
    size_t size = strlen(path);
    for (; *endings; endings++) {
        size_t length = strlen(*endings);
        if (size >= length && strcasecmp(path + size - length, *endings) == 0)
            return true;
    }
    return false;
}

/* ---- memory --------------------------------------------------------------------------------------------------- */

void qn_data_free(struct qn_data *data, const struct qn_allocator *allocator)
{
    const struct qn_allocator *a = allocator ? allocator : qn_allocator_default();
    for (uint32_t i = 0; i < data->count; i++)
        qn_data_free(&data->items[i], a);
    qn_free(a, data->items, data->count * sizeof *data->items);
    if (data->kind == QN_DATA_TENSOR)
        qn_free(a, data->tensor.data, data->tensor.bytes);
    *data = (struct qn_data){0};
}

/* A copy of a tensor that stands in an arena or a file; strings take their text along. */
static qn_status own_tensor(struct qn_tensor *tensor, const void *data, uint64_t bytes, const struct qn_allocator *a)
{
    uint64_t total = bytes;
    const struct qn_string *from = data;
    uint64_t count = tensor->dtype == QN_DTYPE_STRING ? bytes / sizeof *from : 0;
    for (uint64_t i = 0; i < count; i++)
        if (!qn_add_u64(total, from[i].size, &total))
            return QN_OOM();
    tensor->bytes = total ? total : 1;
    tensor->data = qn_alloc(a, tensor->bytes);
    if (!tensor->data)
        return QN_OOM();
    if (bytes)
        memcpy(tensor->data, data, bytes);
    char *text = (char *)tensor->data + bytes;
    struct qn_string *to = tensor->data;
    for (uint64_t i = 0; i < count; i++) {
        if (from[i].size)
            memcpy(text, from[i].data, from[i].size);
        to[i].data = text;
        text += from[i].size;
    }
    return NULL;
}

/* ---- ONNX protobuf -------------------------------------------------------------------------------------------- */

static qn_status take_tensor(const struct qn_onnx_tensor *from, const char *name, struct qn_arena *arena,
                             const struct qn_allocator *a, struct qn_data *out)
{
    const void *data;
    uint64_t bytes;
    bool in_file;
    if (from->external)
        return QN_ERROR(QN_UNSUPPORTED, "%s: its data lie in another file", name);
    if (from->dim_count > QN_TENSOR_MAX_RANK)
        return QN_ERROR(QN_UNSUPPORTED, "%s: more than %d dimensions", name, QN_TENSOR_MAX_RANK);
    struct qn_tensor tensor = {.dtype = qn_onnx_dtype(from->data_type), .rank = from->dim_count};
    for (uint32_t i = 0; i < tensor.rank; i++)
        tensor.dims[i] = from->dims[i];
    QN_TRY(qn_status_note(qn_onnx_tensor_bytes(from, arena, &data, &bytes, &in_file), "%s", name));
    QN_TRY(own_tensor(&tensor, data, bytes, a));
    *out = (struct qn_data){.kind = QN_DATA_TENSOR, .tensor = tensor};
    return NULL;
}

static qn_status take_sequence(const struct qn_onnx_sequence *from, const char *name, struct qn_arena *arena,
                               const struct qn_allocator *a, struct qn_data *out)
{
    if (from->count && !from->tensors && !from->sequences)
        return QN_ERROR(QN_UNSUPPORTED, "%s: a sequence of neither tensors nor sequences", name);
    *out = (struct qn_data){.kind = QN_DATA_SEQUENCE};
    if (!from->count)
        return NULL;
    out->items = qn_calloc(a, from->count, sizeof *out->items);
    if (!out->items)
        return QN_OOM();
    out->count = from->count;
    qn_status status = NULL;
    for (uint32_t i = 0; i < from->count && !status; i++)
        status = from->tensors ? take_tensor(&from->tensors[i], name, arena, a, &out->items[i])
                               : take_sequence(&from->sequences[i], name, arena, a, &out->items[i]);
    if (status)
        qn_data_free(out, a);
    return status;
}

/* An optional gives its content, or kind NONE. */
static qn_status take_optional(const struct qn_onnx_sequence *from, const char *name, struct qn_arena *arena,
                               const struct qn_allocator *a, struct qn_data *out)
{
    *out = (struct qn_data){0};
    if (from->count == 0)
        return NULL;
    return from->tensors     ? take_tensor(&from->tensors[0], name, arena, a, out)
           : from->sequences ? take_sequence(&from->sequences[0], name, arena, a, out)
                             : QN_ERROR(QN_UNSUPPORTED, "%s: an optional of neither tensor nor sequence", name);
}

qn_status qn_data_decode(const void *bytes, uint64_t size, const char *name, enum qn_data_message message,
                         const struct qn_allocator *allocator, struct qn_data *out)
{
    struct qn_arena arena;
    qn_arena_init(&arena, allocator);
    struct qn_onnx_tensor tensor = {0};
    struct qn_onnx_sequence group = {0};
    qn_status status = NULL;
    switch (message) {
    case QN_DATA_MESSAGE_TENSOR:
        if (!(status = qn_onnx_decode_tensor(bytes, size, name, &arena, &tensor)))
            status = take_tensor(&tensor, name, &arena, allocator, out);
        break;
    case QN_DATA_MESSAGE_SEQUENCE:
        if (!(status = qn_onnx_decode_sequence(bytes, size, name, &arena, &group)))
            status = take_sequence(&group, name, &arena, allocator, out);
        break;
    case QN_DATA_MESSAGE_OPTIONAL:
        if (!(status = qn_onnx_decode_optional(bytes, size, name, &arena, &group)))
            status = take_optional(&group, name, &arena, allocator, out);
        break;
    }
    qn_arena_deinit(&arena);
    return status;
}

/* ---- sound ---------------------------------------------------------------------------------------------------- */

static qn_status load_sound(const struct qn_file_map *map, const char *path, const struct qn_slot_info *slot,
                            const struct qn_allocator *a, struct qn_data *out)
{
    struct qn_sound sound = {.struct_size = sizeof sound};
    QN_TRY(qn_sound_decode(map->data, map->size, path, a, &sound));
    struct qn_tensor tensor = {.dtype = QN_DTYPE_F32, .rank = slot && slot->rank ? slot->rank : 1};
    qn_status status = NULL;
    if (tensor.rank > 2)
        status = QN_ERROR(QN_INVALID_ARGUMENT, "%s: input '%s' is no [t] or [1, t]", path, slot->name);
    tensor.bytes = sound.frames ? sound.frames * sizeof(float) : 1;
    if (!status && !(tensor.data = qn_alloc(a, tensor.bytes)))
        status = QN_OOM();
    if (!status) {
        tensor.dims[0] = 1;
        tensor.dims[tensor.rank - 1] = (int64_t)sound.frames;
        float *mono = tensor.data;
        for (uint64_t i = 0; i < sound.frames; i++) {
            float sum = 0;
            for (uint32_t c = 0; c < sound.channels; c++)
                sum += sound.samples[i * sound.channels + c];
            mono[i] = sum / (float)sound.channels;
        }
        *out = (struct qn_data){.kind = QN_DATA_TENSOR, .tensor = tensor};
    }
    qn_sound_free(&sound, a);
    return status;
}

/* ---- by name -------------------------------------------------------------------------------------------------- */

static qn_status load(const struct qn_file_map *map, const char *path, const struct qn_slot_info *slot,
                      const struct qn_image_options *image, const struct qn_allocator *a, struct qn_data *out)
{
    static const char *const npy[] = {".npy", NULL}, *const pb[] = {".pb", NULL}, *const wav[] = {".wav", NULL};
    static const char *const pictures[] = {".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".pgm", NULL};
    if (ends(path, npy)) {
        *out = (struct qn_data){.kind = QN_DATA_TENSOR};
        return qn_npy_read(map->data, map->size, path, a, &out->tensor);
    }
    if (ends(path, pb)) {
        enum qn_data_message message = slot ? slot->message : QN_DATA_MESSAGE_TENSOR;
        return qn_data_decode(map->data, map->size, path, message, a, out);
    }
    if (ends(path, wav))
        return load_sound(map, path, slot, a, out);
    if (ends(path, pictures))
        return qn_picture_load(map->data, map->size, path, slot, image, a, out);
    return QN_ERROR(QN_UNSUPPORTED, "%s: inputs are read from .npy, .pb, .png, .jpg, .bmp, .ppm and .wav files", path);
}

qn_status qn_data_load(const char *path, const struct qn_slot_info *slot, const struct qn_image_options *image,
                       const struct qn_allocator *allocator, struct qn_data *out)
{
    const struct qn_allocator *a = allocator ? allocator : qn_allocator_default();
    struct qn_file_map map;
    *out = (struct qn_data){0};
    QN_TRY(qn_file_map(path, &map));
    qn_status status = load(&map, path, slot, image, a, out);
    qn_file_unmap(&map);
    if (status)
        *out = (struct qn_data){0};
    return status;
}
