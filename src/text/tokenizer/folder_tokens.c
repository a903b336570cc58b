#include "text/tokenizer/folder_tokens.h"

#include <stdlib.h>

static const char *const named_keys[QN_NAMED_COUNT] = {
    [QN_NAMED_BOS] = "bos_token",   [QN_NAMED_EOS] = "eos_token", [QN_NAMED_UNK] = "unk_token",
    [QN_NAMED_SEP] = "sep_token",   [QN_NAMED_PAD] = "pad_token", [QN_NAMED_CLS] = "cls_token",
    [QN_NAMED_MASK] = "mask_token",
};

/* ---- one token ------------------------------------------------------------------------------------------------ */

static bool flag_of(const struct qn_json *object, const char *key, bool otherwise)
{
    const struct qn_json *value = qn_json_member(object, key);
    return value && value->kind == QN_JSON_BOOL ? value->boolean : otherwise;
}

/* "<s>" or {"content": "<s>", ...}. A token is looked for in the normalised text unless it is special. False: it is
 * neither. */
static bool read_token(const struct qn_json *value, bool special, struct qn_added_token *out)
{
    const struct qn_json *content = value && value->kind == QN_JSON_OBJECT ? qn_json_member(value, "content") : value;
    *out = (struct qn_added_token){0};
    if (!content || content->kind != QN_JSON_STRING)
        return false;
    if (content != value)
        special = special || flag_of(value, "special", false);
    out->content = qn_json_str(content);
    out->special = special;
    out->normalized = !special;
    if (content != value) {
        out->single_word = flag_of(value, "single_word", false);
        out->lstrip = flag_of(value, "lstrip", false);
        out->rstrip = flag_of(value, "rstrip", false);
        out->normalized = flag_of(value, "normalized", out->normalized);
    }
    return true;
}

static bool holds(const struct qn_tokenizer_extras *extras, struct qn_str text)
{
    for (int i = 0; i < QN_NAMED_COUNT; i++)
        if (extras->named[i].content.size && qn_str_eq(extras->named[i].content, text))
            return true;
    for (uint32_t i = 0; i < extras->more.count; i++)
        if (qn_str_eq(extras->more.items[i].content, text))
            return true;
    return false;
}

/* ---- lists ---------------------------------------------------------------------------------------------------- */

/* A list of tokens, or an object whose values they are. */
static qn_status read_more(const struct qn_json *list, struct qn_arena *arena, struct qn_added_list *out)
{
    bool named = list && list->kind == QN_JSON_OBJECT;
    if (!list || (list->kind != QN_JSON_ARRAY && !named))
        return NULL;
    out->items = QN_ARENA_ARRAY(arena, struct qn_added_token, list->size);
    if (!out->items)
        return QN_OOM();
    const struct qn_json *item = qn_json_first(list);
    for (uint32_t i = 0; i < list->size; i++, item = qn_json_next(item)) {
        item = named ? qn_json_next(item) : item;
        out->count += read_token(item, true, &out->items[out->count]);
    }
    return NULL;
}

struct numbered {
    int64_t id;
    struct qn_added_token token;
};

static int compare_numbered(const void *a, const void *b)
{
    int64_t left = ((const struct numbered *)a)->id, right = ((const struct numbered *)b)->id;
    return left < right ? -1 : left > right;
}

/* {"32000": {"content": "<a>", ...}} of tokenizer_config.json. */
static qn_status read_by_id(const struct qn_json *key, struct numbered *out)
{
    struct qn_str text = qn_json_str(key);
    char digits[16] = "", *end;
    memcpy(digits, text.data, text.size < sizeof digits - 1 ? text.size : sizeof digits - 1);
    out->id = strtoll(digits, &end, 10);
    if (end == digits || *end || out->id < 0)
        return QN_ERROR(QN_INVALID_FILE, "'added_tokens_decoder': '%.*s' is no token id", QN_STR_ARG(text));
    if (qn_json_next(key)->kind != QN_JSON_OBJECT || !read_token(qn_json_next(key), false, &out->token))
        return QN_ERROR(QN_INVALID_FILE, "'added_tokens_decoder', token %lld: 'content' is missing",
                        (long long)out->id);
    return NULL;
}

/* {"<a>": 32000} of added_tokens.json. */
static qn_status read_by_text(const struct qn_json *key, const struct qn_tokenizer_extras *extras, struct numbered *out)
{
    struct qn_str text = qn_json_str(key);
    const struct qn_json *id = qn_json_next(key);
    if (id->kind != QN_JSON_INT || id->integer < 0)
        return QN_ERROR(QN_INVALID_FILE, "added_tokens.json: the id of '%.*s' is no token id", QN_STR_ARG(text));
    bool special = holds(extras, text);
    out->id = id->integer;
    out->token = (struct qn_added_token){.content = text, .special = special, .normalized = !special};
    return NULL;
}

/* The ids are only an order: each token that is new follows the vocabulary's end, as in the package. */
static qn_status read_added(const struct qn_json *decoder, const struct qn_json *file, struct qn_arena *arena,
                            struct qn_tokenizer_extras *extras)
{
    const struct qn_json *from = decoder ? decoder : file;
    if (from && from->kind != QN_JSON_OBJECT)
        return QN_ERROR(QN_INVALID_FILE, "'%s' is a %s, expected an object",
                        decoder ? "added_tokens_decoder" : "added_tokens.json", qn_json_kind_name(from->kind));
    uint32_t count = from ? from->size : 0;
    struct numbered *list = QN_ARENA_ARRAY(arena, struct numbered, count);
    extras->added.items = QN_ARENA_ARRAY(arena, struct qn_added_token, count);
    if (!list || !extras->added.items)
        return QN_OOM();
    const struct qn_json *key = count ? qn_json_first(from) : NULL;
    for (uint32_t i = 0; i < count; i++, key = qn_json_next(qn_json_next(key)))
        QN_TRY(decoder ? read_by_id(key, &list[i]) : read_by_text(key, extras, &list[i]));
    if (count)
        qsort(list, count, sizeof *list, compare_numbered);
    for (uint32_t i = 0; i < count; i++)
        extras->added.items[i] = list[i].token;
    extras->added.count = count;
    return NULL;
}

/* ---- the folder ----------------------------------------------------------------------------------------------- */

static const struct qn_json *member(const struct qn_json *object, const char *key)
{
    const struct qn_json *value = qn_json_member(object, key);
    return value && value->kind != QN_JSON_NULL ? value : NULL;
}

static int switch_of(const struct qn_json *config, const char *key)
{
    const struct qn_json *value = member(config, key);
    return value && value->kind == QN_JSON_BOOL ? value->boolean : -1;
}

static struct qn_str text_of(const struct qn_json *object, const char *key)
{
    const struct qn_json *value = member(object, key);
    return value && value->kind == QN_JSON_STRING ? qn_json_str(value) : (struct qn_str){0};
}

qn_status qn_folder_tokens(const struct qn_folder_files *files, struct qn_arena *arena, struct qn_tokenizer_extras *out)
{
    const struct qn_json *config = files->config, *decoder = member(config, "added_tokens_decoder");
    /* with added_tokens_decoder the configuration is complete; before that the map had the last word */
    const struct qn_json *sources[] = {decoder ? config : files->specials, decoder ? files->specials : config};
    static const char *const lists[] = {"extra_special_tokens", "additional_special_tokens"};
    *out = (struct qn_tokenizer_extras){.add_bos = switch_of(config, "add_bos_token"),
                                        .add_eos = switch_of(config, "add_eos_token"),
                                        .prefix_space = switch_of(config, "add_prefix_space"),
                                        .legacy = switch_of(config, "legacy"),
                                        .lower_case = switch_of(config, "do_lower_case"),
                                        .cut_chinese = switch_of(config, "tokenize_chinese_chars"),
                                        .strip_accents = switch_of(config, "strip_accents"),
                                        .class_name = text_of(config, "tokenizer_class"),
                                        .model_type = text_of(files->model, "model_type")};
    if (!out->class_name.size)
        out->class_name = text_of(files->model, "tokenizer_class");
    for (int i = 0; i < QN_NAMED_COUNT; i++)
        for (int from = 0; from < 2 && !out->named[i].content.size; from++)
            read_token(member(sources[from], named_keys[i]), true, &out->named[i]);
    for (int i = 0; i < 4 && !out->more.count; i++)
        QN_TRY(read_more(member(sources[i / 2], lists[i % 2]), arena, &out->more));
    return read_added(decoder, files->added, arena, out);
}

/* ---- into the tokenizer --------------------------------------------------------------------------------------- */

struct additions {
    struct qn_tokenizer *tokenizer;
    struct qn_map known;
};

static qn_status add(struct additions *a, struct qn_added_token token)
{
    struct qn_pipeline *p = a->tokenizer->pipeline;
    if (!token.content.size || qn_map_get(&a->known, token.content))
        return NULL;
    token.content = qn_arena_str(&a->tokenizer->arena, token.content);
    if (!token.content.data || qn_map_put(&a->known, token.content, p->added_count) == QN_MAP_FAILED)
        return QN_OOM();
    p->added[p->added_count++] = token;
    return NULL;
}

static struct qn_added_token named_token(const struct qn_tokenizer_extras *extras, const char *const *usual, int name)
{
    if (extras && extras->named[name].content.size)
        return extras->named[name];
    struct qn_str text = usual && usual[name] ? qn_str_from(usual[name]) : (struct qn_str){0};
    return (struct qn_added_token){.content = text, .special = true};
}

qn_status qn_pipeline_add_tokens(struct qn_tokenizer *t, const struct qn_tokenizer_extras *extras,
                                 const char *const usual[QN_NAMED_COUNT])
{
    struct qn_pipeline *p = t->pipeline;
    struct additions a = {.tokenizer = t};
    if (!extras)
        return NULL;
    uint64_t count = (uint64_t)p->added_count + extras->added.count + QN_NAMED_COUNT + extras->more.count;
    struct qn_added_token *old = p->added;
    p->added = count > INT32_MAX ? NULL : QN_ARENA_ARRAY(&t->arena, struct qn_added_token, count);
    if (!p->added || !qn_map_init(&a.known, &t->arena, (uint32_t)(count + count / 2)))
        return QN_OOM();
    for (uint32_t i = 0; i < p->added_count; i++) {
        p->added[i] = old[i];
        if (qn_map_put(&a.known, old[i].content, i) == QN_MAP_FAILED)
            return QN_OOM();
    }
    for (uint32_t i = 0; i < extras->added.count; i++) {
        struct qn_added_token token = extras->added.items[i];
        for (int name = 0; name < QN_NAMED_COUNT && !token.special; name++)
            token.special = qn_str_eq(token.content, named_token(extras, usual, name).content);
        QN_TRY(add(&a, token));
    }
    for (int name = 0; name < QN_NAMED_COUNT; name++)
        QN_TRY(add(&a, named_token(extras, usual, name)));
    for (uint32_t i = 0; i < extras->more.count; i++)
        QN_TRY(add(&a, extras->more.items[i]));
    return NULL;
}

static int32_t find_token(const struct qn_tokenizer *t, struct qn_str text)
{
    const struct qn_pipeline *p = t->pipeline;
    int32_t index = text.size ? qn_text_ids_find(&p->added_ids, text.data, text.size) : -1;
    if (index >= 0)
        return p->added[index].id;
    int32_t id = text.size ? qn_text_ids_find(&t->by_text, text.data, text.size) : -1;
    return id >= 0 ? id : QN_TOKEN_NONE;
}

int32_t qn_folder_token(const struct qn_tokenizer *t, const struct qn_tokenizer_extras *extras,
                        const char *const usual[QN_NAMED_COUNT], enum qn_named_token name)
{
    return find_token(t, named_token(extras, usual, name).content);
}

void qn_folder_roles(const struct qn_tokenizer *t, const struct qn_tokenizer_extras *extras,
                     const char *const usual[QN_NAMED_COUNT], int32_t roles[QN_TOKEN_ROLE_COUNT])
{
    static const enum qn_token_role of_name[QN_NAMED_COUNT] = {
        [QN_NAMED_BOS] = QN_TOKEN_BOS,   [QN_NAMED_EOS] = QN_TOKEN_EOS, [QN_NAMED_UNK] = QN_TOKEN_UNK,
        [QN_NAMED_SEP] = QN_TOKEN_SEP,   [QN_NAMED_PAD] = QN_TOKEN_PAD, [QN_NAMED_CLS] = QN_TOKEN_BOS,
        [QN_NAMED_MASK] = QN_TOKEN_MASK,
    };
    for (int role = 0; role < QN_TOKEN_ROLE_COUNT; role++)
        roles[role] = QN_TOKEN_NONE;
    for (int pass = 0; pass < 2; pass++) /* what the folder says goes before what is usual */
        for (enum qn_named_token name = 0; name < QN_NAMED_COUNT; name++) {
            int32_t *role = &roles[of_name[name]];
            if (*role < 0)
                *role = qn_folder_token(t, pass ? NULL : extras, pass ? usual : NULL, name);
        }
}
