/* A vocabulary from a GGUF file's metadata. */
#include "text/tokenizer/vocab.h"

#include <ctype.h>

#include "format/gguf/gguf.h"
#include "format/model.h"
#include "text/tokenizer/pre.h"

/* What is read, with memory that lives during the build. */
struct reader {
    const struct qn_gguf *gguf;
    struct qn_arena arena;
    struct qn_vocab_desc desc;
};

#define KEY(name) "tokenizer.ggml." name

/* ---- arrays --------------------------------------------------------------------------------------------------- */

/* *value NULL when the key is absent. */
static qn_status find_array(const struct reader *r, const char *key, bool text, const struct qn_gguf_value **value)
{
    const struct qn_gguf_value *v = qn_gguf_find(r->gguf, key);
    *value = v;
    if (!v)
        return NULL;
    bool number = v->elem_type != QN_GGUF_STRING && v->elem_type != QN_GGUF_ARRAY && v->elem_type != QN_GGUF_BOOL;
    if (v->type != QN_GGUF_ARRAY || (text ? v->elem_type != QN_GGUF_STRING : !number))
        return QN_ERROR(QN_INVALID_FILE, "'%s' is not an array of %s", key, text ? "strings" : "numbers");
    if (v->count > INT32_MAX)
        return QN_ERROR(QN_INVALID_FILE, "'%s' has %llu elements", key, (unsigned long long)v->count);
    return NULL;
}

/* Arrays that have one element a token. Longer ones occur, where a vocabulary was cut. */
static qn_status check_count(const struct reader *r, const char *key, const struct qn_gguf_value *value)
{
    if (value->count < r->desc.count)
        return QN_ERROR(QN_INVALID_FILE, "'%s' has %llu elements for the %u of '" KEY("tokens") "'", key,
                        (unsigned long long)value->count, r->desc.count);
    return NULL;
}

static qn_status read_tokens(struct reader *r)
{
    const struct qn_gguf_value *tokens;
    QN_TRY(find_array(r, KEY("tokens"), true, &tokens));
    if (!tokens)
        return QN_ERROR(QN_INVALID_FILE, "'" KEY("tokens") "' is missing");
    r->desc.count = (uint32_t)tokens->count;
    r->desc.texts = tokens->as.strings;
    return NULL;
}

static qn_status read_scores(struct reader *r)
{
    const struct qn_gguf_value *value;
    QN_TRY(find_array(r, KEY("scores"), false, &value));
    if (!value)
        return NULL;
    QN_TRY(check_count(r, KEY("scores"), value));
    float *scores = QN_ARENA_ARRAY(&r->arena, float, r->desc.count);
    if (!scores)
        return QN_OOM();
    for (uint32_t i = 0; i < r->desc.count; i++)
        scores[i] = (float)qn_gguf_item_f64(value, i);
    r->desc.scores = scores;
    return NULL;
}

static qn_status read_types(struct reader *r)
{
    static const uint8_t flags[] = {
        0, QN_TOKEN_NORMAL, QN_TOKEN_UNKNOWN, QN_TOKEN_CONTROL, QN_TOKEN_USER_DEFINED, QN_TOKEN_UNUSED, QN_TOKEN_BYTE};
    const struct qn_gguf_value *value;
    QN_TRY(find_array(r, KEY("token_type"), false, &value));
    if (!value)
        return NULL;
    QN_TRY(check_count(r, KEY("token_type"), value));
    uint8_t *types = QN_ARENA_ARRAY(&r->arena, uint8_t, r->desc.count);
    if (!types)
        return QN_OOM();
    for (uint32_t i = 0; i < r->desc.count; i++) {
        int64_t type = qn_gguf_item_i64(value, i);
        if (type < 0 || type >= (int64_t)sizeof flags)
            return QN_ERROR(QN_INVALID_FILE, "'" KEY("token_type") "': token %u has type %lld, which does not exist", i,
                            (long long)type);
        types[i] = flags[type];
    }
    r->desc.types = types;
    return NULL;
}

/* "left right": the first space behind the first byte divides. */
static qn_status read_merge(const void *context, uint32_t i, struct qn_str *left, struct qn_str *right)
{
    const struct qn_gguf_value *merges = context;
    struct qn_str merge = merges->as.strings[i];
    const char *space = merge.size > 1 ? memchr(merge.data + 1, ' ', merge.size - 1) : NULL;
    if (!space || space + 1 == merge.data + merge.size)
        return QN_ERROR(QN_INVALID_FILE, "'" KEY("merges") "': merge %u is '%.*s', not two tokens with a space between",
                        i, QN_STR_ARG(merge));
    *left = (struct qn_str){merge.data, (size_t)(space - merge.data)};
    *right = (struct qn_str){space + 1, merge.size - left->size - 1};
    return NULL;
}

static qn_status read_merges(struct reader *r)
{
    const struct qn_gguf_value *merges;
    QN_TRY(find_array(r, KEY("merges"), true, &merges));
    if (!merges)
        return QN_ERROR(QN_INVALID_FILE, "'" KEY("merges") "' is missing: a BPE vocabulary needs it");
    r->desc.merge_count = (uint32_t)merges->count;
    r->desc.merge = read_merge;
    r->desc.merge_context = merges;
    return NULL;
}

static qn_status read_charsmap(struct reader *r)
{
    const struct qn_gguf_value *value;
    QN_TRY(find_array(r, KEY("precompiled_charsmap"), false, &value));
    if (!value)
        return NULL;
    if (value->elem_type != QN_GGUF_U8 && value->elem_type != QN_GGUF_I8)
        return QN_ERROR(QN_INVALID_FILE, "'" KEY("precompiled_charsmap") "' is not an array of bytes");
    r->desc.charsmap = (struct qn_str){(const char *)value->as.items, (size_t)value->count};
    return NULL;
}

/* ---- kinds ---------------------------------------------------------------------------------------------------- */

static qn_status set_pre(struct reader *r, struct qn_str name)
{
    const struct qn_pre *pre = qn_pre_find(name);
    if (!pre)
        return QN_ERROR(QN_UNSUPPORTED, "'" KEY("pre") "' is '%.*s', a pre-tokeniser that Quern does not know",
                        QN_STR_ARG(name));
    r->desc.patterns = pre->patterns;
    while (r->desc.pattern_count < QN_PRE_PATTERNS_MAX && pre->patterns[r->desc.pattern_count])
        r->desc.pattern_count++;
    r->desc.pre_flags = pre->flags;
    r->desc.adds[QN_TOKEN_BOS] = pre->flags & QN_PRE_ADD_BOS;
    return NULL;
}

static qn_status read_bpe(struct reader *r, const char *pre_of_model)
{
    struct qn_str pre = qn_str_from(pre_of_model ? pre_of_model : "default");
    bool found;
    r->desc.kind = QN_TOKENIZER_BPE;
    if (!pre_of_model)
        QN_TRY(qn_gguf_get_str(r->gguf, KEY("pre"), &pre, &found));
    QN_TRY(set_pre(r, pre));
    return read_merges(r);
}

/* Kind, and what that kind has where the file does not say. */
static qn_status read_kind(struct reader *r)
{
    struct qn_str model;
    bool found;
    QN_TRY(qn_gguf_get_str(r->gguf, KEY("model"), &model, &found));
    if (!found || qn_str_is(model, "no_vocab") || qn_str_is(model, "none"))
        return NULL;
    if (qn_str_is(model, "gpt2") || qn_str_is(model, "whitespace"))
        return read_bpe(r, NULL);
    if (qn_str_is(model, "gemma4"))
        return read_bpe(r, "gemma4");
    int32_t *roles = r->desc.roles;
    if (qn_str_is(model, "llama")) {
        r->desc.kind = QN_TOKENIZER_SPM;
        r->desc.add_space_prefix = r->desc.adds[QN_TOKEN_BOS] = true;
        roles[QN_TOKEN_UNK] = 0;
        roles[QN_TOKEN_BOS] = 1;
        roles[QN_TOKEN_EOS] = 2;
    } else if (qn_str_is(model, "bert")) {
        r->desc.kind = QN_TOKENIZER_WORDPIECE;
        r->desc.adds[QN_TOKEN_BOS] = r->desc.adds[QN_TOKEN_SEP] = true;
        roles[QN_TOKEN_PAD] = 0;
        roles[QN_TOKEN_UNK] = 100;
        roles[QN_TOKEN_BOS] = 101;
        roles[QN_TOKEN_SEP] = 102;
        roles[QN_TOKEN_MASK] = 103;
    } else if (qn_str_is(model, "t5")) {
        r->desc.kind = QN_TOKENIZER_UNIGRAM;
        r->desc.adds[QN_TOKEN_EOS] = true;
        roles[QN_TOKEN_PAD] = 0;
        roles[QN_TOKEN_EOS] = 1;
        roles[QN_TOKEN_UNK] = 2;
    } else {
        return QN_ERROR(QN_UNSUPPORTED, "'" KEY("model") "' is '%.*s', a tokenizer that Quern does not know",
                        QN_STR_ARG(model));
    }
    return NULL;
}

/* ---- tokens with a role, and switches ------------------------------------------------------------------------- */

static qn_status read_role(struct reader *r, const char *key, enum qn_token_role role)
{
    uint64_t id = 0;
    bool found;
    int32_t *out = &r->desc.roles[role];
    QN_TRY(qn_gguf_get_u64(r->gguf, key, &id, &found));
    if (!found && *out >= 0 && (uint32_t)*out >= r->desc.count)
        *out = QN_TOKEN_NONE; /* a default that this vocabulary is too small for */
    if (!found || id == UINT32_MAX)
        return NULL; /* some writers put -1 for none */
    if (id >= r->desc.count)
        return QN_ERROR(QN_INVALID_FILE, "'%s' is token %llu of a vocabulary of %u", key, (unsigned long long)id,
                        r->desc.count);
    *out = (int32_t)id;
    return NULL;
}

static qn_status read_roles(struct reader *r)
{
    static const struct {
        const char *key;
        enum qn_token_role role;
    } rows[] = {
        {KEY("cls_token_id"), QN_TOKEN_BOS},
        {KEY("bos_token_id"), QN_TOKEN_BOS},
        {KEY("eos_token_id"), QN_TOKEN_EOS},
        {KEY("eot_token_id"), QN_TOKEN_EOT},
        {KEY("eom_token_id"), QN_TOKEN_EOM},
        {KEY("unknown_token_id"), QN_TOKEN_UNK},
        {KEY("seperator_token_id"), QN_TOKEN_SEP},
        {KEY("padding_token_id"), QN_TOKEN_PAD},
        {KEY("mask_token_id"), QN_TOKEN_MASK},
        {KEY("prefix_token_id"), QN_TOKEN_FIM_PREFIX},
        {KEY("suffix_token_id"), QN_TOKEN_FIM_SUFFIX},
        {KEY("middle_token_id"), QN_TOKEN_FIM_MIDDLE},
        {KEY("fim_pre_token_id"), QN_TOKEN_FIM_PREFIX},
        {KEY("fim_suf_token_id"), QN_TOKEN_FIM_SUFFIX},
        {KEY("fim_mid_token_id"), QN_TOKEN_FIM_MIDDLE},
        {KEY("fim_pad_token_id"), QN_TOKEN_FIM_PAD},
        {KEY("fim_rep_token_id"), QN_TOKEN_FIM_REPO},
        {KEY("fim_sep_token_id"), QN_TOKEN_FIM_FILE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        QN_TRY(read_role(r, rows[i].key, rows[i].role));
    return NULL;
}

static bool name_contains(struct qn_str text, const char *word)
{
    size_t size = strlen(word);
    for (size_t at = 0; at + size <= text.size; at++) {
        size_t k = 0;
        while (k < size && tolower((unsigned char)text.data[at + k]) == word[k])
            k++;
        if (k == size)
            return true;
    }
    return false;
}

/* Which tokens take white space along is in no key: it is known by the model. */
static qn_status read_stripping(struct reader *r)
{
    struct qn_str name = {0}, pre = {0}, arch = {0};
    bool found;
    QN_TRY(qn_gguf_get_str(r->gguf, "general.name", &name, &found));
    QN_TRY(qn_gguf_get_str(r->gguf, KEY("pre"), &pre, &found));
    QN_TRY(qn_gguf_get_str(r->gguf, "general.architecture", &arch, &found));
    if (name_contains(pre, "jina-v2-de") || name_contains(pre, "jina-v2-es") || name_contains(pre, "jina-v2-code") ||
        name_contains(arch, "nomic-bert-moe") || name_contains(arch, "jina-bert-v3"))
        r->desc.strip_before = "<mask>";
    else if (name_contains(name, "phi-3") || name_contains(name, "phi3"))
        r->desc.strip_after_special = true;
    else if (name_contains(name, "modern-bert"))
        r->desc.strip_before = "[MASK]";
    return NULL;
}

static qn_status read_switches(struct reader *r)
{
    struct qn_vocab_desc *d = &r->desc;
    bool found;
    if (d->kind != QN_TOKENIZER_WORDPIECE) { /* BERT's files say nothing true of these */
        QN_TRY(qn_gguf_get_bool(r->gguf, KEY("add_bos_token"), &d->adds[QN_TOKEN_BOS], &found));
        QN_TRY(qn_gguf_get_bool(r->gguf, KEY("add_eos_token"), &d->adds[QN_TOKEN_EOS], &found));
    }
    d->adds[QN_TOKEN_BOS] |= d->pre_flags & QN_PRE_FORCE_BOS;
    d->adds[QN_TOKEN_SEP] = d->kind == QN_TOKENIZER_WORDPIECE; /* elsewhere it only parts two texts */
    QN_TRY(qn_gguf_get_bool(r->gguf, KEY("add_space_prefix"), &d->add_space_prefix, &found));
    QN_TRY(qn_gguf_get_bool(r->gguf, KEY("remove_extra_whitespaces"), &d->merge_spaces, &found));
    d->lower_case = d->kind == QN_TOKENIZER_WORDPIECE;
    QN_TRY(qn_gguf_get_bool(r->gguf, KEY("normalizer.lowercase"), &d->lower_case, &found));
    d->strip_accents = d->lower_case;
    QN_TRY(qn_gguf_get_bool(r->gguf, KEY("normalizer.strip_accents"), &d->strip_accents, &found));
    return NULL;
}

static qn_status read_all(struct reader *r)
{
    QN_TRY(read_kind(r));
    if (r->desc.kind == QN_TOKENIZER_NONE)
        return NULL;
    QN_TRY(read_tokens(r));
    QN_TRY(read_scores(r));
    QN_TRY(read_types(r));
    if (r->desc.kind == QN_TOKENIZER_UNIGRAM)
        QN_TRY(read_charsmap(r));
    QN_TRY(read_roles(r));
    QN_TRY(read_stripping(r));
    return read_switches(r);
}

qn_status qn_tokenizer_from_gguf(const struct qn_gguf *gguf, const struct qn_allocator *allocator,
                                 struct qn_tokenizer **out)
{
    struct reader r = {.gguf = gguf,
                       .desc = {
                           .origin = gguf->files[0].path,
                           .tokens_name = QN_STR(KEY("tokens")),
                           .scores_name = QN_STR(KEY("scores")),
                           .merges_name = QN_STR(KEY("merges")),
                       }};
    qn_arena_init(&r.arena, allocator);
    for (int role = 0; role < QN_TOKEN_ROLE_COUNT; role++)
        r.desc.roles[role] = QN_TOKEN_NONE;
    qn_status status = read_all(&r);
    if (status)
        status = qn_status_note(status, "tokenizer of '%.*s'", QN_STR_ARG(r.desc.origin));
    else
        status = qn_tokenizer_build(&r.desc, allocator, out);
    qn_arena_deinit(&r.arena);
    return status;
}

qn_status qn_tokenizer_create(const struct qn_model *model, const struct qn_allocator *allocator,
                              struct qn_tokenizer **out)
{
    const struct qn_gguf *gguf = qn_model_gguf(model);
    const char *folder = qn_model_folder(model);
    if (folder)
        return qn_tokenizer_open(folder, allocator, out);
    if (!gguf)
        return QN_ERROR(QN_UNSUPPORTED, "this model's format carries no tokenizer");
    return qn_tokenizer_from_gguf(gguf, allocator, out);
}
