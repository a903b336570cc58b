/* A folder behind the format-independent view of quern/model.h. File 0 is config.json, the others hold weights. */
#include <stdio.h>
#include <string.h>

#include "format/hf/hf.h"
#include "format/model.h"

static void close_folder(void *impl)
{
    qn_hf_close(impl);
}

static const struct qn_hf_meta *find(const struct qn_hf *hf, const char *key)
{
    const uint32_t *index = qn_map_get(&hf->meta_map, qn_str_from(key));
    return index ? &hf->metas.items[*index] : NULL;
}

static void info(const void *impl, struct qn_model_info *out)
{
    const struct qn_hf *hf = impl;
    char key[128];
    out->architecture = find(hf, "general.architecture")->value.as.text;
    out->name = find(hf, "general.name")->value.as.text;
    snprintf(key, sizeof key, "%s.context_length", hf->arch ? hf->arch->gguf : "");
    const struct qn_hf_meta *context = find(hf, key);
    out->context_length = context && context->kind == QN_META_UINT ? context->value.as.u : 0;
    for (uint32_t i = 0; i < hf->tensors.count; i++)
        out->parameters += hf->tensors.items[i].elements;
    out->file_bytes = hf->config_map.size;
    for (uint32_t i = 0; i < hf->set.files.count; i++)
        out->file_bytes += hf->set.files.items[i].map.size;
    for (uint32_t i = 0; i < hf->set.tensors.count; i++)
        out->tensor_bytes += hf->set.tensors.items[i].stored;
    out->file_count = hf->set.files.count + 1;
    out->meta_count = hf->metas.count;
    out->tensor_count = hf->tensors.count;
}

static void file(const void *impl, uint32_t index, struct qn_model_file *out)
{
    const struct qn_hf *hf = impl;
    out->path = index ? hf->set.files.items[index - 1].path.data : hf->config_path.data;
    out->bytes = index ? hf->set.files.items[index - 1].map.size : hf->config_map.size;
}

static void meta(const void *impl, uint32_t index, struct qn_model_meta *out)
{
    const struct qn_hf_meta *from = &((const struct qn_hf *)impl)->metas.items[index];
    out->key = from->key.data;
    out->kind = from->kind;
    out->elem_kind = from->elem_kind;
    out->type_name = from->type_name;
    out->count = from->count;
}

static void meta_item(const void *impl, uint32_t index, uint64_t item, struct qn_meta_item *out)
{
    const struct qn_hf_meta *from = &((const struct qn_hf *)impl)->metas.items[index];
    *out = from->kind == QN_META_ARRAY ? from->items[item] : from->value;
}

static uint32_t find_meta(const void *impl, struct qn_str key)
{
    const uint32_t *index = qn_map_get(&((const struct qn_hf *)impl)->meta_map, key);
    return index ? *index : UINT32_MAX;
}

static void tensor(const void *impl, uint32_t index, struct qn_model_tensor *out)
{
    const struct qn_hf *hf = impl;
    const struct qn_hf_tensor *from = &hf->tensors.items[index];
    out->name = from->name.data;
    out->dtype = from->dtype;
    out->rank = from->rank;
    memcpy(out->dims, from->dims, sizeof out->dims);
    out->elements = from->elements;
    out->bytes = from->bytes;
    out->offset = UINT64_MAX;
    out->data = from->data;
    if (from->direct) {
        out->file = from->direct->file + 1;
        out->offset = from->direct->offset;
        out->data = from->direct->data;
    } else if (from->pieces.count) {
        out->file = hf->sources.items[from->pieces.items[0].source].parts[0]->file + 1;
    }
}

static uint32_t find_tensor(const void *impl, struct qn_str name)
{
    const uint32_t *index = qn_map_get(&((const struct qn_hf *)impl)->tensor_map, name);
    return index ? *index : UINT32_MAX;
}

static qn_status read_rows(const void *impl, uint32_t index, uint64_t first, uint64_t count, void *out)
{
    const struct qn_hf *hf = impl;
    return qn_hf_read(hf, &hf->tensors.items[index], first, count, out);
}

static const struct qn_file_map *file_map(const void *impl, uint32_t index)
{
    const struct qn_hf *hf = impl;
    return index ? &hf->set.files.items[index - 1].map : &hf->config_map;
}

static const struct qn_format_ops ops = {
    .close = close_folder,
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

qn_status qn_hf_open_model(const struct qn_format_source *source, struct qn_model *model)
{
    struct qn_hf *hf;
    QN_TRY(qn_hf_open(source->path, model->allocator, &hf));
    model->ops = &ops;
    model->impl = hf;
    return NULL;
}

bool qn_model_float_activations(const struct qn_model *model)
{
    return model->ops == &ops && ((const struct qn_hf *)model->impl)->float_activations;
}

const char *qn_model_folder(const struct qn_model *model)
{
    return model->ops == &ops ? ((const struct qn_hf *)model->impl)->folder.data : NULL;
}
