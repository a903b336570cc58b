/* A GGUF file behind the format-independent view of quern/model.h. */
#include <string.h>

#include "format/format.h"
#include "format/gguf/gguf.h"
#include "format/model.h"

static enum qn_meta_kind kind_of(enum qn_gguf_type type)
{
    switch (type) {
    case QN_GGUF_BOOL:
        return QN_META_BOOL;
    case QN_GGUF_I8:
    case QN_GGUF_I16:
    case QN_GGUF_I32:
    case QN_GGUF_I64:
        return QN_META_INT;
    case QN_GGUF_U8:
    case QN_GGUF_U16:
    case QN_GGUF_U32:
    case QN_GGUF_U64:
        return QN_META_UINT;
    case QN_GGUF_F32:
        return QN_META_FLOAT32;
    case QN_GGUF_F64:
        return QN_META_FLOAT64;
    case QN_GGUF_STRING:
        return QN_META_TEXT;
    case QN_GGUF_ARRAY:
        return QN_META_ARRAY;
    }
    return QN_META_NONE;
}

static void close_gguf(void *impl)
{
    qn_gguf_close(impl);
}

static uint64_t elements_of(const struct qn_gguf_tensor *tensor)
{
    uint64_t elements = 1; /* cannot overflow: the tensor lies inside its file, 4 bits or more an element */
    for (uint32_t i = 0; i < tensor->rank; i++)
        elements *= tensor->dims[i];
    return elements;
}

static uint64_t context_length(const struct qn_gguf *gguf, struct qn_model_text architecture)
{
    static const char suffix[] = ".context_length";
    char key[256];
    if (architecture.size > sizeof key - sizeof suffix)
        return 0;
    if (architecture.size)
        memcpy(key, architecture.data, architecture.size);
    memcpy(key + architecture.size, suffix, sizeof suffix);
    uint64_t length = 0;
    bool found;
    qn_status_free(qn_gguf_get_u64(gguf, key, &length, &found)); /* the importer complains of a wrong type */
    return length;
}

static struct qn_model_text find_text(const struct qn_gguf *gguf, const char *key)
{
    const struct qn_gguf_value *value = qn_gguf_find(gguf, key);
    if (!value || value->type != QN_GGUF_STRING)
        return (struct qn_model_text){0};
    return (struct qn_model_text){value->as.str.data, value->as.str.size};
}

static void info(const void *impl, struct qn_model_info *out)
{
    const struct qn_gguf *gguf = impl;
    out->format_version = gguf->version;
    out->architecture = find_text(gguf, "general.architecture");
    out->name = find_text(gguf, "general.name");
    out->context_length = context_length(gguf, out->architecture);
    for (uint32_t i = 0; i < gguf->tensor_count; i++) {
        out->parameters += elements_of(&gguf->tensors[i]);
        out->tensor_bytes += gguf->tensors[i].bytes;
    }
    for (uint32_t i = 0; i < gguf->file_count; i++)
        out->file_bytes += gguf->files[i].map.size;
    out->file_count = gguf->file_count;
    out->meta_count = gguf->kv_count;
    out->tensor_count = gguf->tensor_count;
}

static void file(const void *impl, uint32_t index, struct qn_model_file *out)
{
    const struct qn_gguf *gguf = impl;
    out->path = gguf->files[index].path.data;
    out->bytes = gguf->files[index].map.size;
}

static void meta(const void *impl, uint32_t index, struct qn_model_meta *out)
{
    const struct qn_gguf *gguf = impl;
    const struct qn_gguf_value *value = &gguf->kvs[index].value;
    enum qn_gguf_type elem_type = value->type == QN_GGUF_ARRAY ? value->elem_type : value->type;
    out->key = gguf->kvs[index].key.data;
    out->kind = kind_of(value->type);
    out->elem_kind = kind_of(elem_type);
    out->type_name = qn_gguf_type_name(elem_type);
    out->count = value->count;
}

static void meta_item(const void *impl, uint32_t index, uint64_t item, struct qn_meta_item *out)
{
    const struct qn_gguf *gguf = impl;
    const struct qn_gguf_value *value = &gguf->kvs[index].value;
    bool is_array = value->type == QN_GGUF_ARRAY;
    out->kind = kind_of(is_array ? value->elem_type : value->type);
    switch (out->kind) {
    case QN_META_TEXT: {
        struct qn_str text = is_array ? value->as.strings[item] : value->as.str;
        out->as.text = (struct qn_model_text){text.data, text.size};
        break;
    }
    case QN_META_FLOAT32:
    case QN_META_FLOAT64:
        out->as.f = qn_gguf_item_f64(value, item);
        break;
    case QN_META_BOOL:
        out->as.b = qn_gguf_item_i64(value, item) != 0;
        break;
    case QN_META_INT:
    case QN_META_UINT:
        out->as.i = qn_gguf_item_i64(value, item); /* the same bits, read as as.u for UINT */
        break;
    case QN_META_ARRAY:
    case QN_META_NONE:
        break;
    }
}

static uint32_t find_meta(const void *impl, struct qn_str key)
{
    const uint32_t *index = qn_map_get(&((const struct qn_gguf *)impl)->kv_map, key);
    return index ? *index : UINT32_MAX;
}

static void tensor(const void *impl, uint32_t index, struct qn_model_tensor *out)
{
    const struct qn_gguf *gguf = impl;
    const struct qn_gguf_tensor *from = &gguf->tensors[index];
    out->name = from->name.data;
    out->dtype = from->dtype;
    out->rank = from->rank;
    memcpy(out->dims, from->dims, sizeof out->dims);
    out->elements = elements_of(from);
    out->bytes = from->bytes;
    out->file = from->file;
    out->offset = from->offset;
    out->data = qn_gguf_tensor_data(gguf, from);
}

static uint32_t find_tensor(const void *impl, struct qn_str name)
{
    const uint32_t *index = qn_map_get(&((const struct qn_gguf *)impl)->tensor_map, name);
    return index ? *index : UINT32_MAX;
}

static const struct qn_file_map *file_map(const void *impl, uint32_t index)
{
    return &((const struct qn_gguf *)impl)->files[index].map;
}

static const struct qn_format_ops ops = {
    .close = close_gguf,
    .info = info,
    .file = file,
    .meta = meta,
    .meta_item = meta_item,
    .find_meta = find_meta,
    .tensor = tensor,
    .find_tensor = find_tensor,
    .file_map = file_map,
};

bool qn_gguf_probe(const uint8_t *head, uint64_t size)
{
    return size >= 4 && memcmp(head, "GGUF", 4) == 0;
}

qn_status qn_gguf_open_model(const struct qn_format_source *source, struct qn_model *model)
{
    struct qn_gguf *gguf;
    if (source->in_memory)
        QN_TRY(qn_gguf_open_memory(source->data, (size_t)source->size, source->path, model->allocator, &gguf));
    else
        QN_TRY(qn_gguf_open(source->path, model->allocator, &gguf));
    model->ops = &ops;
    model->impl = gguf;
    return NULL;
}

struct qn_gguf *qn_model_gguf(const struct qn_model *model)
{
    return model->ops == &ops ? model->impl : NULL;
}
