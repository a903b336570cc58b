/* What a sentence-transformers folder says of pooling, as far as GGUF has keys for it. The whole of it is read by
 * llm/sentence.c. */
#include <string.h>

#include "format/hf/hf.h"

enum { MODULES_MAX = 16 };

/* JSON of a file beneath the folder; NULL where there is none that can be read: the engine names what is wrong. */
static const struct qn_json *read_json(struct qn_hf *hf, const char *path)
{
    struct qn_file_map map;
    const struct qn_json *root = NULL;
    qn_status status = qn_file_map_beneath(hf->folder.data, path, &map);
    if (!status) {
        struct qn_str text = qn_arena_str(&hf->arena, (struct qn_str){(const char *)map.data, (size_t)map.size});
        qn_file_unmap(&map);
        status = text.data ? qn_json_read(text, NULL, &hf->arena, &root) : QN_OOM();
    }
    qn_status_free(status);
    return status ? NULL : root;
}

static bool is_on(const struct qn_json *object, const char *key)
{
    const struct qn_json *value = qn_json_member(object, key);
    return value && value->kind == QN_JSON_BOOL && value->boolean;
}

/* GGUF's numbers: 1 mean, 2 CLS, 3 last token. */
static uint32_t pooling_type(const struct qn_json *config)
{
    static const struct {
        const char *name, *flag;
        uint32_t type;
    } kinds[] = {{"mean", "pooling_mode_mean_tokens", 1},
                 {"cls", "pooling_mode_cls_token", 2},
                 {"lasttoken", "pooling_mode_lasttoken", 3}};
    const struct qn_json *mode = qn_json_member(config, "pooling_mode");
    for (size_t i = 0; i < 3; i++)
        if (mode ? mode->kind == QN_JSON_STRING && qn_str_is(qn_json_str(mode), kinds[i].name)
                 : is_on(config, kinds[i].flag))
            return kinds[i].type;
    return 0;
}

void qn_hf_put_pooling(struct qn_hf *hf)
{
    const struct qn_json *modules = hf->folder.data ? read_json(hf, "modules.json") : NULL;
    bool normalizes = false;
    if (!modules || modules->kind != QN_JSON_ARRAY || modules->size > MODULES_MAX)
        return;
    const struct qn_json *module = qn_json_first(modules);
    for (uint32_t i = 0; i < modules->size; i++, module = qn_json_next(module)) {
        const struct qn_json *type = qn_json_member(module, "type"), *path = qn_json_member(module, "path");
        if (!type || type->kind != QN_JSON_STRING || !path || path->kind != QN_JSON_STRING)
            return;
        if (qn_str_ends(qn_json_str(type), QN_STR(".Pooling"))) {
            struct qn_str config = qn_arena_printf(&hf->arena, "%.*s/config.json", QN_STR_ARG(qn_json_str(path)));
            uint32_t pooling = config.data ? pooling_type(read_json(hf, config.data)) : 0;
            if (pooling)
                qn_hf_put_u32(hf, "pooling_type", pooling);
        }
        normalizes |= qn_str_ends(qn_json_str(type), QN_STR(".Normalize"));
    }
    if (!normalizes)
        qn_hf_put_bool(hf, "normalize_embeddings", false);
}
