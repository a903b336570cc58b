/* A file of tensors by itself, behind the format-independent view of quern/model.h. */
#include <string.h>

#include "format/format.h"
#include "format/tensor_set.h"

static void close_set(void *impl)
{
    struct qn_tensor_set *set = impl;
    const struct qn_allocator *allocator = set->allocator;
    qn_set_deinit(set);
    qn_free(allocator, set, sizeof *set);
}

static void info(const void *impl, struct qn_model_info *out)
{
    const struct qn_tensor_set *set = impl;
    for (uint32_t i = 0; i < set->tensors.count; i++) {
        out->parameters += set->tensors.items[i].elements;
        out->tensor_bytes += set->tensors.items[i].stored;
    }
    for (uint32_t i = 0; i < set->files.count; i++)
        out->file_bytes += set->files.items[i].map.size;
    out->file_count = set->files.count;
    out->meta_count = set->texts.count;
    out->tensor_count = set->tensors.count;
}

static void file(const void *impl, uint32_t index, struct qn_model_file *out)
{
    const struct qn_tensor_set *set = impl;
    out->path = set->files.items[index].path.data;
    out->bytes = set->files.items[index].map.size;
}

static void meta(const void *impl, uint32_t index, struct qn_model_meta *out)
{
    out->key = ((const struct qn_tensor_set *)impl)->texts.items[index].key.data;
    out->kind = out->elem_kind = QN_META_TEXT;
    out->type_name = "string";
    out->count = 1;
}

static void meta_item(const void *impl, uint32_t index, uint64_t item, struct qn_meta_item *out)
{
    (void)item; /* always 0 */
    struct qn_str text = ((const struct qn_tensor_set *)impl)->texts.items[index].text;
    out->kind = QN_META_TEXT;
    out->as.text = (struct qn_model_text){text.data, text.size};
}

static uint32_t find_meta(const void *impl, struct qn_str key)
{
    const struct qn_tensor_set *set = impl;
    for (uint32_t i = 0; i < set->texts.count; i++)
        if (qn_str_eq(set->texts.items[i].key, key))
            return i;
    return UINT32_MAX;
}

static void tensor(const void *impl, uint32_t index, struct qn_model_tensor *out)
{
    const struct qn_set_tensor *from = &((const struct qn_tensor_set *)impl)->tensors.items[index];
    bool plain = qn_set_is_plain(from);
    out->name = from->name.data;
    out->dtype = from->dtype;
    out->rank = from->rank;
    memcpy(out->dims, from->dims, sizeof out->dims);
    out->elements = from->elements;
    out->bytes = from->bytes;
    out->file = from->file;
    out->offset = plain ? from->offset : UINT64_MAX;
    out->data = plain ? from->data : NULL;
}

static uint32_t find_tensor(const void *impl, struct qn_str name)
{
    const struct qn_tensor_set *set = impl;
    const struct qn_set_tensor *found = qn_set_find(set, name);
    return found ? (uint32_t)(found - set->tensors.items) : UINT32_MAX;
}

static qn_status read_rows(const void *impl, uint32_t index, uint64_t first, uint64_t count, void *out)
{
    const struct qn_set_tensor *t = &((const struct qn_tensor_set *)impl)->tensors.items[index];
    uint64_t columns = t->rank ? t->dims[t->rank - 1] : 1;
    qn_set_read(t, first * columns, count * columns, out);
    return NULL;
}

static const struct qn_file_map *file_map(const void *impl, uint32_t index)
{
    return &((const struct qn_tensor_set *)impl)->files.items[index].map;
}

static const struct qn_format_ops ops = {
    .close = close_set,
    .info = info,
    .file = file,
    .meta = meta,
    .meta_item = meta_item,
    .find_meta = find_meta,
    .tensor = tensor,
    .find_tensor = find_tensor,
    .read = read_rows,
    .file_map = file_map,
};

qn_status qn_set_open_model(const struct qn_format_source *source, struct qn_model *model)
{
    struct qn_tensor_set *set = qn_calloc(model->allocator, 1, sizeof *set);
    if (!set)
        return QN_OOM();
    qn_status status = qn_set_init(set, model->allocator);
    if (!status && source->in_memory)
        status = qn_set_add_memory(set, source->data, source->size, source->path);
    else if (!status)
        status = qn_set_add_file(set, source->path);
    if (status) {
        close_set(set);
        return status;
    }
    model->ops = &ops;
    model->impl = set;
    return NULL;
}
