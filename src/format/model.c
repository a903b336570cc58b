#include "format/model.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "format/format.h"
#include "platform/file.h"

struct format {
    const char *name, *extension;
    qn_format_probe_fn *probe;
    qn_format_open_fn *open;
};

static const struct format formats[] = {
#define QN_FORMAT(id, name, extension, probe, open) {name, extension, probe, open},
#include "format/formats.def"
};

struct folder_format {
    const char *name, *marker;
    qn_format_open_fn *open;
};

static const struct folder_format folder_formats[] = {
#define QN_FOLDER_FORMAT(id, name, marker, open) {name, marker, open},
#include "format/formats.def"
};

enum {
    FORMAT_COUNT = sizeof formats / sizeof formats[0],
    FOLDER_FORMAT_COUNT = sizeof folder_formats / sizeof folder_formats[0],
};

/* ---- opening -------------------------------------------------------------------------------------------------- */

static bool has_extension(const char *path, const char *extension)
{
    size_t size = strlen(path), extension_size = strlen(extension);
    return size > extension_size && strcasecmp(path + size - extension_size, extension) == 0;
}

static qn_status find_folder_format(const struct qn_format_source *source, const struct format **out,
                                    struct format *made)
{
    char known[256] = "";
    for (size_t i = 0, used = 0; i < FOLDER_FORMAT_COUNT; i++) {
        const struct folder_format *f = &folder_formats[i];
        char path[4096];
        if (snprintf(path, sizeof path, "%s/%s", source->path, f->marker) < (int)sizeof path && qn_file_exists(path)) {
            *made = (struct format){.name = f->name, .open = f->open};
            *out = made;
            return NULL;
        }
        if (used < sizeof known)
            used += (size_t)snprintf(known + used, sizeof known - used, "%s%s (%s)", i ? ", " : "", f->marker, f->name);
    }
    return QN_ERROR(QN_INVALID_ARGUMENT, "%s: a folder without %s", source->path, known);
}

static qn_status find_format(const struct qn_format_source *source, const struct format **out, struct format *made)
{
    if (source->folder)
        return find_folder_format(source, out, made);
    for (size_t i = 0; i < FORMAT_COUNT; i++)
        if (formats[i].probe(source->data, source->size)) {
            *out = &formats[i];
            return NULL;
        }
    /* The format that the name promises says best what is wrong. */
    for (size_t i = 0; i < FORMAT_COUNT; i++)
        if (has_extension(source->path, formats[i].extension)) {
            *out = &formats[i];
            return NULL;
        }
    char known[256] = "";
    for (size_t i = 0, used = 0; i < FORMAT_COUNT && used < sizeof known; i++)
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s (%s)", i ? ", " : "", formats[i].name,
                                 formats[i].extension);
    return QN_ERROR(QN_UNSUPPORTED, "%s: not a model file of a known format; known are %s", source->path, known);
}

/* Options of any earlier struct_size, brought to the size of today. */
static qn_status read_options(const struct qn_model_options *given, struct qn_model_options *options)
{
    *options = (struct qn_model_options){.struct_size = sizeof *options};
    if (given && given->struct_size < sizeof given->struct_size)
        return QN_ERROR(QN_INVALID_ARGUMENT, "qn_model_options: struct_size is not set");
    if (given)
        memcpy(options, given, given->struct_size < sizeof *options ? given->struct_size : sizeof *options);
    if (!options->allocator)
        options->allocator = qn_allocator_default();
    return NULL;
}

static qn_status open_source(const struct qn_format_source *source, const struct qn_model_options *options,
                             struct qn_model **out)
{
    const struct format *format = NULL;
    struct format made;
    QN_TRY(find_format(source, &format, &made));
    struct qn_model *model = qn_calloc(options->allocator, 1, sizeof *model);
    if (!model)
        return QN_OOM();
    model->allocator = options->allocator;
    qn_status status = format->open(source, model);
    if (!status) {
        model->ops->info(model->impl, &model->info);
        model->info.format = format->name;
        uint64_t bytes = model->info.file_bytes;
        if (options->progress && !options->progress(options->progress_context, bytes, bytes))
            status = QN_ERROR(QN_CANCELLED, "%s: opening was cancelled", source->path);
    }
    if (status)
        qn_model_close(model);
    else
        *out = model;
    return status;
}

qn_status qn_model_open(const char *path, const struct qn_model_options *options, struct qn_model **out)
{
    struct qn_model_options full;
    struct qn_file_map map;
    *out = NULL;
    QN_TRY(read_options(options, &full));
    if (qn_folder_exists(path)) {
        const struct qn_format_source folder = {.path = path, .folder = true};
        return open_source(&folder, &full, out);
    }
    QN_TRY(qn_file_map(path, &map));
    const struct qn_format_source source = {.path = path, .data = map.data, .size = map.size};
    qn_status status = open_source(&source, &full, out);
    qn_file_unmap(&map);
    return status;
}

qn_status qn_model_open_memory(const void *data, size_t size, const char *name, const struct qn_model_options *options,
                               struct qn_model **out)
{
    struct qn_model_options full;
    *out = NULL;
    QN_TRY(read_options(options, &full));
    const struct qn_format_source source = {.path = name, .in_memory = true, .data = data, .size = size};
    return open_source(&source, &full, out);
}

void qn_model_close(struct qn_model *model)
{
    if (!model)
        return;
    if (model->impl)
        model->ops->close(model->impl);
    qn_free(model->allocator, model, sizeof *model);
}

/* ---- views ---------------------------------------------------------------------------------------------------- */

/* Copies as much of a view as the caller's struct has room for. */
static qn_status give_view(void *out, const void *view, size_t view_size, const char *type)
{
    size_t size;
    memcpy(&size, out, sizeof size);
    if (size < sizeof size)
        return QN_ERROR(QN_INVALID_ARGUMENT, "%s: struct_size is not set", type);
    memcpy(out, view, size < view_size ? size : view_size);
    memcpy(out, &size, sizeof size);
    return NULL;
}

static qn_status check_index(uint64_t index, uint64_t count, const char *what)
{
    if (index < count)
        return NULL;
    return QN_ERROR(QN_OUT_OF_RANGE, "%s %" PRIu64 " of %" PRIu64, what, index, count);
}

qn_status qn_model_info(const struct qn_model *model, struct qn_model_info *out)
{
    return give_view(out, &model->info, sizeof model->info, "qn_model_info");
}

qn_status qn_model_file(const struct qn_model *model, uint32_t index, struct qn_model_file *out)
{
    struct qn_model_file view = {0};
    QN_TRY(check_index(index, model->info.file_count, "file"));
    model->ops->file(model->impl, index, &view);
    return give_view(out, &view, sizeof view, "qn_model_file");
}

qn_status qn_model_meta(const struct qn_model *model, uint32_t index, struct qn_model_meta *out)
{
    struct qn_model_meta view = {0};
    QN_TRY(check_index(index, model->info.meta_count, "metadata entry"));
    model->ops->meta(model->impl, index, &view);
    return give_view(out, &view, sizeof view, "qn_model_meta");
}

qn_status qn_model_meta_item(const struct qn_model *model, uint32_t index, uint64_t item, struct qn_meta_item *out)
{
    struct qn_model_meta meta = {.struct_size = sizeof meta};
    QN_TRY(qn_model_meta(model, index, &meta));
    QN_TRY(check_index(item, meta.count, "element"));
    *out = (struct qn_meta_item){0};
    model->ops->meta_item(model->impl, index, item, out);
    return NULL;
}

bool qn_model_find_meta(const struct qn_model *model, const char *key, uint32_t *index)
{
    *index = model->ops->find_meta(model->impl, qn_str_from(key));
    return *index != UINT32_MAX;
}

qn_status qn_model_tensor(const struct qn_model *model, uint32_t index, struct qn_model_tensor *out)
{
    struct qn_model_tensor view = {0};
    QN_TRY(check_index(index, model->info.tensor_count, "tensor"));
    model->ops->tensor(model->impl, index, &view);
    return give_view(out, &view, sizeof view, "qn_model_tensor");
}

bool qn_model_find_tensor(const struct qn_model *model, const char *name, uint32_t *index)
{
    *index = model->ops->find_tensor(model->impl, qn_str_from(name));
    return *index != UINT32_MAX;
}

qn_status qn_model_read_rows(const struct qn_model *model, uint32_t index, uint64_t first, uint64_t count, void *out)
{
    struct qn_model_tensor tensor = {0};
    QN_TRY(check_index(index, model->info.tensor_count, "tensor"));
    model->ops->tensor(model->impl, index, &tensor);
    uint64_t columns = tensor.rank ? tensor.dims[tensor.rank - 1] : 1, rows = 1, bytes;
    for (uint32_t i = 0; i + 1 < tensor.rank; i++)
        rows *= tensor.dims[i]; /* cannot overflow: the elements are counted */
    if (first > rows || count > rows - first)
        return QN_ERROR(QN_OUT_OF_RANGE, "tensor '%s': rows %" PRIu64 " to %" PRIu64 " of %" PRIu64, tensor.name, first,
                        first + count, rows);
    if (!tensor.data) {
        if (!model->ops->read)
            return QN_ERROR(QN_UNSUPPORTED, "tensor '%s': its bytes cannot be read by rows", tensor.name);
        return model->ops->read(model->impl, index, first, count, out);
    }
    if (!qn_dtype_row_bytes(tensor.dtype, columns, &bytes))
        return QN_ERROR(QN_INVALID_FILE, "tensor '%s': a row is no whole number of blocks", tensor.name);
    if (count)
        memcpy(out, (const uint8_t *)tensor.data + first * bytes, (size_t)(count * bytes));
    return NULL;
}

qn_status qn_model_input(const struct qn_model *model, uint32_t index, struct qn_model_port *out)
{
    struct qn_model_port view = {0};
    QN_TRY(check_index(index, model->info.input_count, "input"));
    model->ops->port(model->impl, false, index, &view);
    return give_view(out, &view, sizeof view, "qn_model_port");
}

qn_status qn_model_output(const struct qn_model *model, uint32_t index, struct qn_model_port *out)
{
    struct qn_model_port view = {0};
    QN_TRY(check_index(index, model->info.output_count, "output"));
    model->ops->port(model->impl, true, index, &view);
    return give_view(out, &view, sizeof view, "qn_model_port");
}

qn_status qn_model_op(const struct qn_model *model, uint32_t index, struct qn_model_op *out)
{
    struct qn_model_op view = {0};
    QN_TRY(check_index(index, model->info.op_count, "op"));
    model->ops->op(model->impl, index, &view);
    return give_view(out, &view, sizeof view, "qn_model_op");
}

/* ---- typed values --------------------------------------------------------------------------------------------- */

static qn_status fail_type(const struct qn_model *model, const char *key, const char *expected, uint32_t index)
{
    struct qn_model_file file = {0};
    struct qn_model_meta meta = {0};
    model->ops->file(model->impl, 0, &file);
    model->ops->meta(model->impl, index, &meta);
    if (meta.kind == QN_META_ARRAY)
        return QN_ERROR(QN_INVALID_FILE, "%s: key '%s': expected %s, found an array of %" PRIu64 " %s", file.path, key,
                        expected, meta.count, meta.type_name);
    return QN_ERROR(QN_INVALID_FILE, "%s: key '%s': expected %s, found %s", file.path, key, expected, meta.type_name);
}

/* The value of a key that is no array; its kind is NONE for an array. */
static bool find_value(const struct qn_model *model, const char *key, uint32_t *index, struct qn_meta_item *value)
{
    struct qn_model_meta meta = {0};
    *value = (struct qn_meta_item){0};
    if (!qn_model_find_meta(model, key, index))
        return false;
    model->ops->meta(model->impl, *index, &meta);
    if (meta.kind != QN_META_ARRAY)
        model->ops->meta_item(model->impl, *index, 0, value);
    return true;
}

qn_status qn_model_get_u64(const struct qn_model *model, const char *key, uint64_t *out, bool *found)
{
    uint32_t index;
    struct qn_meta_item value;
    *found = find_value(model, key, &index, &value);
    if (!*found)
        return NULL;
    if (value.kind != QN_META_UINT && !(value.kind == QN_META_INT && value.as.i >= 0))
        return fail_type(model, key, "a whole number of at least 0", index);
    *out = value.as.u;
    return NULL;
}

qn_status qn_model_get_f64(const struct qn_model *model, const char *key, double *out, bool *found)
{
    uint32_t index;
    struct qn_meta_item value;
    *found = find_value(model, key, &index, &value);
    if (!*found)
        return NULL;
    if (value.kind == QN_META_FLOAT32 || value.kind == QN_META_FLOAT64)
        *out = value.as.f;
    else if (value.kind == QN_META_UINT)
        *out = (double)value.as.u;
    else if (value.kind == QN_META_INT)
        *out = (double)value.as.i;
    else
        return fail_type(model, key, "a number", index);
    return NULL;
}

qn_status qn_model_get_bool(const struct qn_model *model, const char *key, bool *out, bool *found)
{
    uint32_t index;
    struct qn_meta_item value;
    *found = find_value(model, key, &index, &value);
    if (!*found)
        return NULL;
    if (value.kind != QN_META_BOOL)
        return fail_type(model, key, "a bool", index);
    *out = value.as.b;
    return NULL;
}

qn_status qn_model_get_text(const struct qn_model *model, const char *key, struct qn_model_text *out, bool *found)
{
    uint32_t index;
    struct qn_meta_item value;
    *found = find_value(model, key, &index, &value);
    if (!*found)
        return NULL;
    if (value.kind != QN_META_TEXT)
        return fail_type(model, key, "text", index);
    *out = value.as.text;
    return NULL;
}
