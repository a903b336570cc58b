/* GGUF's lists back to tokenizer.json and tokenizer_config.json. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "convert/convert_files.h"
#include "convert/gguf_vocab.h"
#include "format/model.h"
#include "platform/file.h"
#include "text/tokenizer/pre.h"

#define KEY(name) "tokenizer.ggml." name
#define MARK "\xe2\x96\x81" /* SentencePiece's space */

enum role { BOS, EOS, UNK, SEP, PAD, CLS, MASK, EOT, ROLE_COUNT };

static const struct {
    const char *key, *name;
} roles[ROLE_COUNT] = {
    [BOS] = {KEY("bos_token_id"), "bos_token"},     [EOS] = {KEY("eos_token_id"), "eos_token"},
    [UNK] = {KEY("unknown_token_id"), "unk_token"}, [SEP] = {KEY("seperator_token_id"), "sep_token"},
    [PAD] = {KEY("padding_token_id"), "pad_token"}, [CLS] = {KEY("cls_token_id"), "cls_token"},
    [MASK] = {KEY("mask_token_id"), "mask_token"},  [EOT] = {KEY("eot_token_id"), NULL},
};

struct back {
    const struct qn_gguf *gguf;
    const struct qn_allocator *allocator;
    struct qn_arena arena;
    struct qn_json_writer w;
    struct qn_str model; /* "gpt2", "llama", "bert", "t5" */
    const struct qn_pre *pre;
    uint32_t count;
    struct qn_str *tokens; /* as tokenizer.json has them */
    uint8_t *types;
    float *scores; /* NULL: none */
    struct qn_map ids;
    int64_t role[ROLE_COUNT]; /* -1: none */
    bool add_bos, add_eos, add_sep, add_space, remove_spaces, lowercase, strip_accents;
};

/* ---- reading the metadata ------------------------------------------------------------------------------------- */

static bool flag(const struct back *b, const char *key, bool fallback)
{
    const struct qn_gguf_value *value = qn_gguf_find(b->gguf, key);
    return value && value->type == QN_GGUF_BOOL ? value->as.u != 0 : fallback;
}

static struct qn_str text(const struct back *b, const char *key)
{
    const struct qn_gguf_value *value = qn_gguf_find(b->gguf, key);
    return value && value->type == QN_GGUF_STRING ? value->as.str : (struct qn_str){0};
}

/* A list of one element a token, of text or of numbers; NULL where there is none that fits. */
static const struct qn_gguf_value *list(const struct back *b, const char *key, bool strings, uint64_t count)
{
    const struct qn_gguf_value *value = qn_gguf_find(b->gguf, key);
    bool number = value && value->elem_type != QN_GGUF_STRING && value->elem_type != QN_GGUF_ARRAY;
    bool kind = value && value->type == QN_GGUF_ARRAY && (strings ? value->elem_type == QN_GGUF_STRING : number);
    return kind && value->count >= count && value->count <= INT32_MAX ? value : NULL;
}

static bool is_filler(struct qn_str token, uint32_t id)
{
    char name[24];
    snprintf(name, sizeof name, "[PAD%u]", id);
    return qn_str_is(token, name);
}

/* llama.cpp's WordPiece marks the beginnings of words, tokenizer.json what goes on: "##". */
static qn_status unmark_word(struct back *b, struct qn_str *token)
{
    bool bracketed = qn_str_starts(*token, QN_STR("[")) && qn_str_ends(*token, QN_STR("]"));
    if (qn_str_starts(*token, QN_STR(MARK)))
        *token = (struct qn_str){token->data + 3, token->size - 3};
    else if (!bracketed)
        *token = qn_arena_printf(&b->arena, "##%.*s", QN_STR_ARG(*token));
    return token->data ? NULL : QN_OOM();
}

static qn_status read_tokens(struct back *b)
{
    const struct qn_gguf_value *tokens = list(b, KEY("tokens"), true, 1);
    if (!tokens)
        return QN_ERROR(QN_INVALID_FILE, "'" KEY("tokens") "' is missing");
    b->count = (uint32_t)tokens->count;
    const struct qn_gguf_value *types = list(b, KEY("token_type"), false, b->count),
                               *scores = list(b, KEY("scores"), false, b->count);
    b->tokens = QN_ARENA_ARRAY(&b->arena, struct qn_str, b->count);
    b->types = QN_ARENA_ARRAY(&b->arena, uint8_t, b->count);
    b->scores = scores ? QN_ARENA_ARRAY(&b->arena, float, b->count) : NULL;
    if (!b->tokens || !b->types || (scores && !b->scores) || !qn_map_init(&b->ids, &b->arena, b->count))
        return QN_OOM();
    for (uint32_t i = 0; i < b->count; i++) {
        int64_t type = types ? qn_gguf_item_i64(types, i) : QN_GGUF_TOKEN_NORMAL;
        b->tokens[i] = tokens->as.strings[i];
        b->types[i] = type >= 1 && type <= 6 ? (uint8_t)type : QN_GGUF_TOKEN_NORMAL;
        if (scores)
            b->scores[i] = (float)qn_gguf_item_f64(scores, i);
        if (qn_str_is(b->model, "bert") && !is_filler(b->tokens[i], i))
            QN_TRY(unmark_word(b, &b->tokens[i]));
        if (qn_map_put(&b->ids, b->tokens[i], i) == QN_MAP_FAILED)
            return QN_OOM();
    }
    return NULL;
}

static void read_roles(struct back *b)
{
    for (int i = 0; i < ROLE_COUNT; i++) {
        const struct qn_gguf_value *value = qn_gguf_find(b->gguf, roles[i].key);
        bool number = value && value->type <= QN_GGUF_I32 && value->as.u < b->count;
        b->role[i] = number ? (int64_t)value->as.u : -1;
    }
    bool bert = qn_str_is(b->model, "bert");
    if (b->role[CLS] < 0 && bert)
        b->role[CLS] = b->role[BOS];
    if (b->role[UNK] < 0)
        for (uint32_t i = 0; i < b->count && b->role[UNK] < 0; i++)
            if (b->types[i] == QN_GGUF_TOKEN_UNKNOWN || (bert && qn_str_is(b->tokens[i], "[UNK]")))
                b->role[UNK] = i;
}

/* *known false: not one of the four kinds that both sides have. */
static qn_status read_all(struct back *b, bool *known)
{
    b->model = text(b, KEY("model"));
    struct qn_str pre = text(b, KEY("pre"));
    bool llama = b->model.data && qn_str_is(b->model, "llama"), bpe = b->model.data && qn_str_is(b->model, "gpt2");
    enum { OTHERS = QN_PRE_CHARACTERS | QN_PRE_SPACE_MARK | QN_PRE_NEWLINES | QN_PRE_DROP_SPACE };
    *known = llama || bpe || (b->model.data && (qn_str_is(b->model, "bert") || qn_str_is(b->model, "t5")));
    b->pre = bpe ? qn_pre_find(pre.data ? pre : QN_STR("default")) : NULL;
    *known = *known && !(bpe && (!b->pre || b->pre->flags & OTHERS));
    if (!*known)
        return NULL;
    b->add_bos = flag(b, KEY("add_bos_token"), llama || (bpe && b->pre->flags & QN_PRE_ADD_BOS));
    b->add_eos = flag(b, KEY("add_eos_token"), qn_str_is(b->model, "t5"));
    b->add_sep = flag(b, KEY("add_sep_token"), false);
    b->add_space = flag(b, KEY("add_space_prefix"), llama);
    b->remove_spaces = flag(b, KEY("remove_extra_whitespaces"), false);
    b->lowercase = flag(b, KEY("normalizer.lowercase"), true);
    b->strip_accents = flag(b, KEY("normalizer.strip_accents"), b->lowercase);
    QN_TRY(read_tokens(b));
    read_roles(b);
    return NULL;
}

/* ---- small things of JSON ------------------------------------------------------------------------------------- */

static void put_text(struct back *b, const char *key, const char *value)
{
    qn_json_key(&b->w, key);
    qn_json_write_text(&b->w, value);
}

static void put_str(struct back *b, const char *key, struct qn_str value)
{
    qn_json_key(&b->w, key);
    qn_json_write_str(&b->w, value);
}

static void put_bool(struct back *b, const char *key, bool value)
{
    qn_json_key(&b->w, key);
    qn_json_write_bool(&b->w, value);
}

static void put_null(struct back *b, const char *key)
{
    qn_json_key(&b->w, key);
    qn_json_write_null(&b->w);
}

static void begin_step(struct back *b, const char *type)
{
    qn_json_begin_object(&b->w);
    put_text(b, "type", type);
}

static void begin_sequence(struct back *b, const char *steps)
{
    begin_step(b, "Sequence");
    qn_json_key(&b->w, steps);
    qn_json_begin_array(&b->w);
}

static void end_sequence(struct back *b)
{
    qn_json_end_array(&b->w);
    qn_json_end_object(&b->w);
}

/* {"type": "Replace", "pattern": {"String": from}, "content": to} */
static void put_replace(struct back *b, const char *from, const char *to)
{
    begin_step(b, "Replace");
    qn_json_key(&b->w, "pattern");
    qn_json_begin_object(&b->w);
    put_text(b, "String", from);
    qn_json_end_object(&b->w);
    put_text(b, "content", to);
    qn_json_end_object(&b->w);
}

/* ---- the pipeline --------------------------------------------------------------------------------------------- */

static void put_charsmap(struct back *b)
{
    const struct qn_gguf_value *map = list(b, KEY("precompiled_charsmap"), false, 1);
    if (!map || (map->elem_type != QN_GGUF_U8 && map->elem_type != QN_GGUF_I8))
        return;
    begin_step(b, "Precompiled");
    qn_json_key(&b->w, "precompiled_charsmap");
    qn_json_write_base64(&b->w, map->as.items, (size_t)map->count);
    qn_json_end_object(&b->w);
}

static void put_normalizer(struct back *b)
{
    qn_json_key(&b->w, "normalizer");
    if (qn_str_is(b->model, "bert")) {
        begin_step(b, "BertNormalizer");
        put_bool(b, "clean_text", true);
        put_bool(b, "handle_chinese_chars", true);
        if (b->strip_accents == b->lowercase)
            put_null(b, "strip_accents");
        else
            put_bool(b, "strip_accents", b->strip_accents);
        put_bool(b, "lowercase", b->lowercase);
        qn_json_end_object(&b->w);
    } else if (qn_str_is(b->model, "llama")) {
        begin_sequence(b, "normalizers");
        if (b->add_space) {
            begin_step(b, "Prepend");
            put_text(b, "prepend", MARK);
            qn_json_end_object(&b->w);
        }
        put_replace(b, " ", MARK);
        end_sequence(b);
    } else if (qn_str_is(b->model, "t5")) {
        begin_sequence(b, "normalizers");
        put_charsmap(b);
        end_sequence(b);
    } else {
        qn_json_write_null(&b->w);
    }
}

static void put_byte_level(struct back *b, bool add_space, bool trim, bool regex)
{
    begin_step(b, "ByteLevel");
    put_bool(b, "add_prefix_space", add_space);
    put_bool(b, "trim_offsets", trim);
    put_bool(b, "use_regex", regex);
    qn_json_end_object(&b->w);
}

static void put_metaspace(struct back *b)
{
    begin_step(b, "Metaspace");
    put_text(b, "replacement", MARK);
    put_text(b, "prepend_scheme", b->add_space ? "always" : "never");
    put_bool(b, "split", true);
    qn_json_end_object(&b->w);
}

static void put_pre_tokenizer(struct back *b)
{
    qn_json_key(&b->w, "pre_tokenizer");
    if (qn_str_is(b->model, "bert")) {
        begin_step(b, "BertPreTokenizer");
        qn_json_end_object(&b->w);
    } else if (qn_str_is(b->model, "t5")) {
        begin_sequence(b, "pretokenizers");
        if (b->remove_spaces) {
            begin_step(b, "WhitespaceSplit");
            qn_json_end_object(&b->w);
        }
        put_metaspace(b);
        end_sequence(b);
    } else if (!b->pre) {
        qn_json_write_null(&b->w);
    } else if (strcmp(b->pre->patterns[0], qn_pre_find(QN_STR("gpt-2"))->patterns[0]) == 0) {
        put_byte_level(b, b->add_space, true, true); /* it knows that pattern itself */
    } else {
        begin_sequence(b, "pretokenizers");
        for (uint32_t i = 0; i < QN_PRE_PATTERNS_MAX && b->pre->patterns[i]; i++) {
            begin_step(b, "Split");
            qn_json_key(&b->w, "pattern");
            qn_json_begin_object(&b->w);
            put_text(b, "Regex", b->pre->patterns[i]);
            qn_json_end_object(&b->w);
            put_text(b, "behavior", "Isolated");
            put_bool(b, "invert", false);
            qn_json_end_object(&b->w);
        }
        put_byte_level(b, b->add_space, true, false);
        end_sequence(b);
    }
}

static void put_decoder(struct back *b)
{
    qn_json_key(&b->w, "decoder");
    if (qn_str_is(b->model, "bert")) {
        begin_step(b, "WordPiece");
        put_text(b, "prefix", "##");
        put_bool(b, "cleanup", true);
        qn_json_end_object(&b->w);
    } else if (qn_str_is(b->model, "t5")) {
        put_metaspace(b);
    } else if (b->pre) {
        put_byte_level(b, true, true, true);
    } else {
        begin_sequence(b, "decoders");
        put_replace(b, MARK, " ");
        begin_step(b, "ByteFallback");
        qn_json_end_object(&b->w);
        begin_step(b, "Fuse");
        qn_json_end_object(&b->w);
        if (b->add_space) {
            begin_step(b, "Strip");
            put_text(b, "content", " ");
            qn_json_key(&b->w, "start");
            qn_json_write_uint(&b->w, 1);
            qn_json_key(&b->w, "stop");
            qn_json_write_uint(&b->w, 0);
            qn_json_end_object(&b->w);
        }
        end_sequence(b);
    }
}

/* ---- what is put around a text -------------------------------------------------------------------------------- */

static void put_special(struct back *b, int64_t id, int type)
{
    if (id < 0)
        return;
    qn_json_begin_object(&b->w);
    qn_json_key(&b->w, "SpecialToken");
    qn_json_begin_object(&b->w);
    put_str(b, "id", b->tokens[id]);
    qn_json_key(&b->w, "type_id");
    qn_json_write_int(&b->w, type);
    qn_json_end_object(&b->w);
    qn_json_end_object(&b->w);
}

static void put_sequence(struct back *b, const char *id, int type)
{
    qn_json_begin_object(&b->w);
    qn_json_key(&b->w, "Sequence");
    qn_json_begin_object(&b->w);
    put_text(b, "id", id);
    qn_json_key(&b->w, "type_id");
    qn_json_write_int(&b->w, type);
    qn_json_end_object(&b->w);
    qn_json_end_object(&b->w);
}

static void put_template(struct back *b, int64_t first, int64_t last, int64_t between, int type)
{
    qn_json_key(&b->w, "single");
    qn_json_begin_array(&b->w);
    put_special(b, first, 0);
    put_sequence(b, "A", 0);
    put_special(b, last, 0);
    qn_json_end_array(&b->w);
    qn_json_key(&b->w, "pair");
    qn_json_begin_array(&b->w);
    put_special(b, first, 0);
    put_sequence(b, "A", 0);
    put_special(b, last, 0);
    put_special(b, between, 0);
    put_sequence(b, "B", type);
    put_special(b, last, type);
    qn_json_end_array(&b->w);
}

static void put_post_processor(struct back *b)
{
    bool bert = qn_str_is(b->model, "bert");
    int64_t first = bert         ? b->role[CLS]
                    : b->add_bos ? b->role[BOS]
                                 : -1,
            last = bert         ? b->role[SEP]
                   : b->add_eos ? b->role[EOS]
                                : -1,
            separator = b->role[SEP] >= 0 ? b->role[SEP] : b->role[EOS], between = !bert && b->add_sep ? separator : -1;
    int64_t ids[] = {first, last != first ? last : -1, between != first && between != last ? between : -1};
    qn_json_key(&b->w, "post_processor");
    if (first < 0 && last < 0 && between < 0) {
        if (b->pre)
            put_byte_level(b, true, false, true);
        else
            qn_json_write_null(&b->w);
        return;
    }
    begin_step(b, "TemplateProcessing");
    put_template(b, first, last, between, bert);
    qn_json_key(&b->w, "special_tokens");
    qn_json_begin_object(&b->w);
    for (int i = 0; i < 3; i++) {
        struct qn_str name = ids[i] < 0 ? (struct qn_str){0} : qn_arena_str(&b->arena, b->tokens[ids[i]]);
        if (!name.data)
            continue;
        qn_json_key(&b->w, name.data);
        qn_json_begin_object(&b->w);
        put_str(b, "id", name);
        qn_json_key(&b->w, "ids");
        qn_json_begin_array(&b->w);
        qn_json_write_int(&b->w, ids[i]);
        qn_json_end_array(&b->w);
        qn_json_key(&b->w, "tokens");
        qn_json_begin_array(&b->w);
        qn_json_write_str(&b->w, name);
        qn_json_end_array(&b->w);
        qn_json_end_object(&b->w);
    }
    qn_json_end_object(&b->w);
    qn_json_end_object(&b->w);
}

/* ---- the model ------------------------------------------------------------------------------------------------ */

/* Rows that no token was ever given to have no place in a vocabulary by name. */
static bool is_left_out(const struct back *b, uint32_t id)
{
    return b->types[id] == QN_GGUF_TOKEN_UNUSED && is_filler(b->tokens[id], id);
}

static void put_vocab(struct back *b)
{
    qn_json_key(&b->w, "vocab");
    qn_json_begin_object(&b->w);
    for (uint32_t i = 0; i < b->count; i++) {
        const uint32_t *first = qn_map_get(&b->ids, b->tokens[i]);
        struct qn_str name =
            is_left_out(b, i) || !first || *first != i ? (struct qn_str){0} : qn_arena_str(&b->arena, b->tokens[i]);
        if (!name.data)
            continue;
        qn_json_key(&b->w, name.data);
        qn_json_write_uint(&b->w, i);
    }
    qn_json_end_object(&b->w);
}

struct merge {
    uint32_t whole, left, right;
    float score;
};

static int compare_merges(const void *a, const void *b)
{
    const struct merge *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    if (x->whole != y->whole)
        return x->whole < y->whole ? -1 : 1;
    if (x->left != y->left)
        return x->left < y->left ? -1 : 1;
    return (x->right > y->right) - (x->right < y->right);
}

/* SentencePiece has no list of merges: any two tokens that make a third are joined, the best score first. */
static qn_status find_merges(struct back *b, struct merge **out, uint32_t *count)
{
    QN_ARRAY(struct merge) merges = {0};
    bool ok = true;
    for (uint32_t i = 0; i < b->count && ok && b->scores; i++) {
        if (b->types[i] != QN_GGUF_TOKEN_NORMAL)
            continue;
        struct qn_str whole = b->tokens[i];
        for (size_t k = 1; k < whole.size && ok; k++) {
            if (((uint8_t)whole.data[k] & 0xC0) == 0x80)
                continue; /* inside a character */
            const uint32_t *left = qn_map_get(&b->ids, (struct qn_str){whole.data, k}),
                           *right = left ? qn_map_get(&b->ids, (struct qn_str){whole.data + k, whole.size - k}) : NULL;
            if (right && b->types[*left] == QN_GGUF_TOKEN_NORMAL && b->types[*right] == QN_GGUF_TOKEN_NORMAL)
                ok = qn_array_push(&merges, b->allocator, (struct merge){i, *left, *right, b->scores[i]});
        }
    }
    if (ok && merges.count) {
        qsort(merges.items, merges.count, sizeof *merges.items, compare_merges);
        *out = QN_ARENA_ARRAY(&b->arena, struct merge, merges.count);
        ok = *out != NULL;
        if (ok)
            memcpy(*out, merges.items, merges.count * sizeof *merges.items);
    }
    *count = merges.count;
    qn_array_free(&merges, b->allocator);
    return ok ? NULL : QN_OOM();
}

static void put_merge(struct back *b, struct qn_str left, struct qn_str right)
{
    qn_json_begin_array(&b->w);
    qn_json_write_str(&b->w, left);
    qn_json_write_str(&b->w, right);
    qn_json_end_array(&b->w);
}

static qn_status put_merges(struct back *b)
{
    const struct qn_gguf_value *given = b->pre ? list(b, KEY("merges"), true, 0) : NULL;
    struct merge *merges = NULL;
    uint32_t count = 0;
    if (!b->pre)
        QN_TRY(find_merges(b, &merges, &count));
    qn_json_key(&b->w, "merges");
    qn_json_begin_array(&b->w);
    for (uint32_t i = 0; i < count; i++)
        put_merge(b, b->tokens[merges[i].left], b->tokens[merges[i].right]);
    for (uint64_t i = 0; given && i < given->count; i++) {
        struct qn_str merge = given->as.strings[i];
        const char *gap = merge.size > 1 ? memchr(merge.data + 1, ' ', merge.size - 1) : NULL;
        if (gap)
            put_merge(b, (struct qn_str){merge.data, (size_t)(gap - merge.data)},
                      (struct qn_str){gap + 1, (size_t)(merge.data + merge.size - gap - 1)});
    }
    qn_json_end_array(&b->w);
    return NULL;
}

static bool has_bytes(const struct back *b)
{
    for (uint32_t i = 0; i < b->count; i++)
        if (b->types[i] == QN_GGUF_TOKEN_BYTE)
            return true;
    return false;
}

static void put_unknown(struct back *b)
{
    if (b->role[UNK] >= 0)
        put_str(b, "unk_token", b->tokens[b->role[UNK]]);
    else
        put_null(b, "unk_token");
}

static qn_status put_bpe(struct back *b)
{
    put_null(b, "dropout");
    if (b->pre)
        put_null(b, "unk_token");
    else
        put_unknown(b);
    put_null(b, "continuing_subword_prefix");
    put_null(b, "end_of_word_suffix");
    put_bool(b, "fuse_unk", !b->pre);
    put_bool(b, "byte_fallback", !b->pre && has_bytes(b));
    put_bool(b, "ignore_merges", b->pre && b->pre->flags & QN_PRE_WHOLE_WORDS);
    put_vocab(b);
    return put_merges(b);
}

static void put_unigram(struct back *b)
{
    qn_json_key(&b->w, "unk_id");
    if (b->role[UNK] >= 0)
        qn_json_write_int(&b->w, b->role[UNK]);
    else
        qn_json_write_null(&b->w);
    qn_json_key(&b->w, "vocab");
    qn_json_begin_array(&b->w);
    for (uint32_t i = 0; i < b->count; i++) {
        qn_json_begin_array(&b->w);
        qn_json_write_str(&b->w, b->tokens[i]);
        qn_json_write_double(&b->w, b->scores ? (double)b->scores[i] : 0);
        qn_json_end_array(&b->w);
    }
    qn_json_end_array(&b->w);
    put_bool(b, "byte_fallback", has_bytes(b));
}

static qn_status put_model(struct back *b)
{
    bool bert = qn_str_is(b->model, "bert"), unigram = qn_str_is(b->model, "t5");
    qn_json_key(&b->w, "model");
    begin_step(b, bert ? "WordPiece" : unigram ? "Unigram" : "BPE");
    if (bert) {
        put_unknown(b);
        put_text(b, "continuing_subword_prefix", "##");
        qn_json_key(&b->w, "max_input_chars_per_word");
        qn_json_write_uint(&b->w, 100);
        put_vocab(b);
    } else if (unigram) {
        put_unigram(b);
    } else {
        QN_TRY(put_bpe(b));
    }
    qn_json_end_object(&b->w);
    return NULL;
}

static void put_added(struct back *b)
{
    qn_json_key(&b->w, "added_tokens");
    qn_json_begin_array(&b->w);
    for (uint32_t i = 0; i < b->count; i++) {
        bool special = b->types[i] == QN_GGUF_TOKEN_CONTROL || b->types[i] == QN_GGUF_TOKEN_UNKNOWN;
        if (!special && b->types[i] != QN_GGUF_TOKEN_USER_DEFINED)
            continue;
        qn_json_begin_object(&b->w);
        qn_json_key(&b->w, "id");
        qn_json_write_uint(&b->w, i);
        put_str(b, "content", b->tokens[i]);
        put_bool(b, "single_word", false);
        put_bool(b, "lstrip", i == b->role[MASK]); /* as the masks of all published encoders with such a token */
        put_bool(b, "rstrip", false);
        put_bool(b, "normalized", false);
        put_bool(b, "special", special);
        qn_json_end_object(&b->w);
    }
    qn_json_end_array(&b->w);
}

static qn_status put_tokenizer(struct back *b)
{
    qn_json_begin_object(&b->w);
    put_text(b, "version", "1.0");
    put_null(b, "truncation");
    put_null(b, "padding");
    put_added(b);
    put_normalizer(b);
    put_pre_tokenizer(b);
    put_post_processor(b);
    put_decoder(b);
    QN_TRY(put_model(b));
    qn_json_end_object(&b->w);
    return NULL;
}

/* ---- tokenizer_config.json ------------------------------------------------------------------------------------ */

static void put_templates(struct back *b)
{
    struct qn_str usual = text(b, "tokenizer.chat_template");
    const struct qn_gguf_value *names = list(b, "tokenizer.chat_templates", true, 1);
    if (!names) {
        if (usual.data)
            put_str(b, "chat_template", usual);
        return;
    }
    qn_json_key(&b->w, "chat_template");
    qn_json_begin_array(&b->w);
    for (uint64_t i = 0; i <= names->count; i++) {
        struct qn_str name = i ? names->as.strings[i - 1] : QN_STR("default"), found = usual,
                      key = qn_arena_printf(&b->arena, "tokenizer.chat_template.%.*s", QN_STR_ARG(name));
        if (i)
            found = key.data ? text(b, key.data) : (struct qn_str){0};
        if (!found.data)
            continue;
        qn_json_begin_object(&b->w);
        put_str(b, "name", name);
        put_str(b, "template", found);
        qn_json_end_object(&b->w);
    }
    qn_json_end_array(&b->w);
}

static void put_config(struct back *b)
{
    int64_t end = b->add_eos && b->role[EOT] >= 0 ? b->role[EOT] : b->role[EOS];
    qn_json_begin_object(&b->w);
    put_text(b, "tokenizer_class", "PreTrainedTokenizerFast");
    put_bool(b, "clean_up_tokenization_spaces", false);
    for (int i = 0; i < EOT; i++) {
        int64_t id = i == EOS ? end : b->role[i];
        if (id >= 0 && !(i == UNK && b->pre))
            put_str(b, roles[i].name, b->tokens[id]);
    }
    if (qn_str_is(b->model, "bert"))
        put_bool(b, "do_lower_case", b->lowercase);
    put_templates(b);
    qn_json_end_object(&b->w);
}

/* ---- the whole ------------------------------------------------------------------------------------------------ */

static qn_status write_file(struct back *b, const char *folder, const char *name)
{
    qn_strbuf_add(b->w.out, "\n");
    qn_status status =
        b->w.out->failed ? QN_OOM() : qn_convert_write_text(folder, name, qn_strbuf_view(b->w.out), b->allocator);
    qn_strbuf_clear(b->w.out);
    b->w = (struct qn_json_writer){.out = b->w.out, .indent = b->w.indent};
    return status;
}

static qn_status write_gguf(struct back *b, const char *folder, bool *found)
{
    QN_TRY(read_all(b, found));
    if (!*found)
        return NULL;
    QN_TRY(put_tokenizer(b));
    QN_TRY(write_file(b, folder, "tokenizer.json"));
    put_config(b);
    return write_file(b, folder, "tokenizer_config.json");
}

/* A folder's own files go over as they are. */
static qn_status copy_files(const char *from, const char *folder, const struct qn_allocator *allocator, bool *found)
{
    static const char *const names[] = {"tokenizer.json",
                                        "tokenizer.model",
                                        "vocab.txt",
                                        "vocab.json",
                                        "merges.txt",
                                        "tokenizer_config.json",
                                        "added_tokens.json",
                                        "special_tokens_map.json",
                                        "chat_template.jinja",
                                        "chat_template.json",
                                        "generation_config.json"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct qn_file_map map;
        qn_status status = qn_file_map_beneath(from, names[i], &map);
        if (qn_status_code(status) == QN_NOT_FOUND) {
            qn_status_free(status);
            continue;
        }
        if (!status) {
            struct qn_str bytes = {map.data ? (const char *)map.data : "", (size_t)map.size};
            status = qn_convert_write_text(folder, names[i], bytes, allocator);
            qn_file_unmap(&map);
        }
        if (status)
            return status;
        *found = *found || i < 4;
    }
    return NULL;
}

qn_status qn_vocab_back_write(const struct qn_model *model, const char *folder, const struct qn_allocator *allocator,
                              bool *found)
{
    struct qn_strbuf out;
    struct back b = {.gguf = qn_model_gguf(model), .allocator = allocator, .w = {.out = &out, .indent = 1}};
    *found = false;
    if (qn_model_folder(model))
        return copy_files(qn_model_folder(model), folder, allocator, found);
    if (!b.gguf)
        return NULL;
    qn_strbuf_init(&out, allocator);
    qn_arena_init(&b.arena, allocator);
    qn_status status = write_gguf(&b, folder, found);
    qn_arena_deinit(&b.arena);
    qn_strbuf_deinit(&out);
    return qn_status_note(status, "tokenizer");
}
