#include <stdio.h>
#include <string.h>

#include "format/hf/hf.h"

static const struct qn_hf_arch *const archs[] = {
#define QN_HF_ARCH(name) &qn_hf_arch_##name,
#include "format/hf/hf_archs.def"
#undef QN_HF_ARCH
};

const struct qn_hf_arch *qn_hf_arch_at(size_t index)
{
    return index < sizeof archs / sizeof archs[0] ? archs[index] : NULL;
}

static const struct qn_hf_arch *find_arch(struct qn_str type)
{
    for (size_t i = 0; i < sizeof archs / sizeof archs[0]; i++)
        if (qn_str_is(type, archs[i]->model_type))
            return archs[i];
    return NULL;
}

static const char *beside(struct qn_hf *hf, const char *name)
{
    return qn_arena_printf(&hf->arena, "%s%s", hf->folder.data, name).data;
}

/* ---- config.json ---------------------------------------------------------------------------------------------- */

static qn_status read_config(struct qn_hf *hf)
{
    QN_TRY(qn_file_map(hf->config_path.data, &hf->config_map));
    struct qn_str text = {(const char *)hf->config_map.data, (size_t)hf->config_map.size};
    const struct qn_json_options options = {.name = hf->config_path.data};
    QN_TRY(qn_json_read(text, &options, &hf->arena, &hf->config));
    if (hf->config->kind != QN_JSON_OBJECT)
        return QN_ERROR(QN_INVALID_FILE, "%s: %s; expected an object", hf->config_path.data,
                        qn_json_kind_name(hf->config->kind));
    const struct qn_json *inner = qn_json_member(hf->config, "text_config");
    hf->text = inner && inner->kind == QN_JSON_OBJECT ? inner : hf->config;
    const struct qn_json *outer_type = qn_json_member(hf->config, "model_type");
    const struct qn_json *inner_type = qn_json_member(hf->text, "model_type");
    if (!outer_type || outer_type->kind != QN_JSON_STRING)
        return QN_ERROR(QN_INVALID_FILE, "%s: key 'model_type' is %s; expected a string", hf->config_path.data,
                        outer_type ? qn_json_kind_name(outer_type->kind) : "missing");
    hf->arch = find_arch(qn_json_str(outer_type));
    if (!hf->arch && inner_type && inner_type->kind == QN_JSON_STRING)
        hf->arch = find_arch(qn_json_str(inner_type));
    return hf->arch && hf->arch->defaults
               ? qn_json_read(qn_str_from(hf->arch->defaults), NULL, &hf->arena, &hf->defaults)
               : NULL;
}

/* ---- weights -------------------------------------------------------------------------------------------------- */

/* In the order of transformers. */
static const struct {
    const char *name;
    bool index;
} weight_files[] = {
    {"model.safetensors", false},
    {"model.safetensors.index.json", true},
    {"pytorch_model.bin", false},
    {"pytorch_model.bin.index.json", true},
};

static qn_status read_weights(struct qn_hf *hf)
{
    for (size_t i = 0; i < sizeof weight_files / sizeof weight_files[0]; i++) {
        const char *path = beside(hf, weight_files[i].name);
        if (!path)
            return QN_OOM();
        if (qn_file_exists(path))
            return weight_files[i].index ? qn_set_add_index(&hf->set, path) : qn_set_add_file(&hf->set, path);
    }
    return QN_ERROR(QN_NOT_FOUND,
                    "%s: no weights; expected model.safetensors, model.safetensors.index.json, pytorch_model.bin or "
                    "pytorch_model.bin.index.json",
                    hf->folder.data);
}

/* ---- the whole ------------------------------------------------------------------------------------------------ */

static qn_status open_all(struct qn_hf *hf, const char *folder)
{
    size_t size = strlen(folder);
    hf->folder = qn_arena_printf(&hf->arena, "%s%s", folder, size && folder[size - 1] == '/' ? "" : "/");
    if (!hf->folder.data)
        return QN_OOM();
    hf->config_path = qn_str_from(beside(hf, "config.json"));
    if (!hf->config_path.data || !qn_map_init(&hf->meta_map, &hf->arena, 64) ||
        !qn_map_init(&hf->tensor_map, &hf->arena, 64))
        return QN_OOM();
    QN_TRY(read_config(hf));
    QN_TRY(qn_set_init(&hf->set, hf->allocator));
    QN_TRY(read_weights(hf));
    qn_status status = qn_hf_make_sources(hf);
    if (!status)
        status = qn_hf_make_tensors(hf);
    if (!status)
        status = qn_hf_make_metas(hf);
    return qn_status_note(status, "%s", hf->config_path.data);
}

qn_status qn_hf_open(const char *folder, const struct qn_allocator *allocator, struct qn_hf **out)
{
    *out = NULL;
    struct qn_hf *hf = qn_calloc(allocator, 1, sizeof *hf);
    if (!hf)
        return QN_OOM();
    hf->allocator = allocator;
    qn_arena_init(&hf->arena, allocator);
    qn_status status = open_all(hf, folder);
    if (status)
        qn_hf_close(hf);
    else
        *out = hf;
    return status;
}

void qn_hf_deinit(struct qn_hf *hf)
{
    const struct qn_allocator *allocator = hf->allocator;
    for (uint32_t i = 0; i < hf->tensors.count; i++)
        qn_array_free(&hf->tensors.items[i].pieces, allocator);
    qn_array_free(&hf->tensors, allocator);
    qn_array_free(&hf->sources, allocator);
    qn_array_free(&hf->metas, allocator);
    qn_set_deinit(&hf->set);
    qn_file_unmap(&hf->config_map);
    qn_arena_deinit(&hf->arena);
}

void qn_hf_close(struct qn_hf *hf)
{
    if (!hf)
        return;
    qn_hf_deinit(hf);
    qn_free(hf->allocator, hf, sizeof *hf);
}
