/* tokenizer.json as GGUF's lists of tokens, types, scores and merges. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "convert/gguf_vocab.h"

/* ---- the list ------------------------------------------------------------------------------------------------- */

qn_status qn_gguf_vocab_start(struct qn_gguf_vocab *v, bool scores)
{
    v->tokens = QN_ARENA_ARRAY(v->arena, struct qn_str, v->count);
    v->types = QN_ARENA_ARRAY(v->arena, int32_t, v->count);
    v->scores = scores ? QN_ARENA_ARRAY(v->arena, float, v->count) : NULL;
    bool ok = v->tokens && v->types && (v->scores || !scores) && qn_map_init(&v->ids, v->arena, v->count);
    for (uint32_t i = 0; ok && i < v->count; i++) {
        v->types[i] = QN_GGUF_TOKEN_UNUSED;
        if (scores)
            v->scores[i] = -10000.0f;
    }
    return ok ? NULL : QN_OOM();
}

qn_status qn_gguf_vocab_put(struct qn_gguf_vocab *v, uint64_t id, struct qn_str text, int32_t type)
{
    if (id >= v->count)
        return QN_ERROR(QN_INVALID_FILE, "token '%.*s' has id %" PRIu64 ", the model's embedding has %u rows",
                        QN_STR_ARG(text), id, v->count);
    v->tokens[id] = text.data ? text : QN_STR("");
    v->types[id] = type;
    return qn_map_put(&v->ids, v->tokens[id], (uint32_t)id) == QN_MAP_FAILED ? QN_OOM() : NULL;
}

/* ---- added tokens --------------------------------------------------------------------------------------------- */

static bool wrapped(struct qn_str text, const char *begin, const char *end)
{
    return qn_str_starts(text, qn_str_from(begin)) && qn_str_ends(text, qn_str_from(end));
}

/* Some tokenizers forget to say that a token is special. */
static bool looks_special(struct qn_str text)
{
    return qn_str_is(text, "<pad>") || qn_str_is(text, "<mask>") || qn_str_is(text, "<2mass>") ||
           qn_str_is(text, "[@BOS@]") || wrapped(text, "<|", "|>") || wrapped(text, "<\xef\xbd\x9c", "\xef\xbd\x9c>") ||
           wrapped(text, "<unused", ">");
}

/* U+2581 for a space, as SentencePiece writes it, back to a space. */
static struct qn_str with_spaces(struct qn_gguf_vocab *v, struct qn_str text)
{
    char *copy = qn_arena_alloc(v->arena, text.size + 1, 1);
    size_t size = 0;
    if (!copy)
        return (struct qn_str){0};
    for (size_t i = 0; i < text.size; i++) {
        bool mark = text.size - i >= 3 && memcmp(text.data + i, "\xe2\x96\x81", 3) == 0;
        copy[size++] = mark ? ' ' : text.data[i];
        i += mark ? 2 : 0;
    }
    return (struct qn_str){copy, size};
}

qn_status qn_gguf_vocab_add(struct qn_gguf_vocab *v, uint64_t id, struct qn_str text, bool special)
{
    struct qn_str shown = text;
    if (id >= v->count)
        return NULL; /* the model never makes it, llama.cpp has no row for it */
    bool control = special || looks_special(text);
    if (!control && !(shown = with_spaces(v, text)).data)
        return QN_OOM();
    bool unknown = v->types[id] == QN_GGUF_TOKEN_UNKNOWN;
    QN_TRY(qn_gguf_vocab_put(v, id, shown,
                             unknown   ? QN_GGUF_TOKEN_UNKNOWN
                             : control ? QN_GGUF_TOKEN_CONTROL
                                       : QN_GGUF_TOKEN_USER_DEFINED));
    return qn_map_put(&v->ids, text, (uint32_t)id) == QN_MAP_FAILED ? QN_OOM() : NULL;
}

static qn_status put_added(struct qn_gguf_vocab *v, const struct qn_json *root)
{
    const struct qn_json *list = qn_json_member(root, "added_tokens");
    if (!list || list->kind != QN_JSON_ARRAY)
        return NULL;
    const struct qn_json *item = qn_json_first(list);
    for (uint32_t i = 0; i < list->size; i++, item = qn_json_next(item)) {
        const struct qn_json *id = qn_json_member(item, "id"), *content = qn_json_member(item, "content"),
                             *special = qn_json_member(item, "special");
        if (!id || id->kind != QN_JSON_INT || id->integer < 0 || !content || content->kind != QN_JSON_STRING)
            return QN_ERROR(QN_INVALID_FILE, "added token %u: expected 'id' and 'content'", i);
        QN_TRY(qn_gguf_vocab_add(v, (uint64_t)id->integer, qn_json_str(content),
                                 special && special->kind == QN_JSON_BOOL && special->boolean));
    }
    return NULL;
}

/* ---- the models ----------------------------------------------------------------------------------------------- */

/* Whether a step of that type stands anywhere in a pipeline (a step, or a Sequence of them). */
static const struct qn_json *find_step(const struct qn_json *step, const char *type)
{
    const struct qn_json *name = qn_json_member(step, "type");
    if (!name || name->kind != QN_JSON_STRING)
        return NULL;
    if (qn_str_is(qn_json_str(name), type))
        return step;
    static const char *const lists[] = {"normalizers", "pretokenizers", "decoders", "processors"};
    for (size_t k = 0; k < sizeof lists / sizeof lists[0]; k++) {
        const struct qn_json *list = qn_json_member(step, lists[k]);
        const struct qn_json *item = list && list->kind == QN_JSON_ARRAY ? qn_json_first(list) : NULL;
        for (uint32_t i = 0; item && i < list->size; i++, item = qn_json_next(item)) {
            const struct qn_json *found = find_step(item, type);
            if (found)
                return found;
        }
    }
    return NULL;
}

static qn_status put_vocab_object(struct qn_gguf_vocab *v, const struct qn_json *vocab)
{
    if (!vocab || vocab->kind != QN_JSON_OBJECT)
        return QN_ERROR(QN_INVALID_FILE, "'model.vocab' is %s; expected an object",
                        vocab ? qn_json_kind_name(vocab->kind) : "missing");
    const struct qn_json *item = qn_json_first(vocab);
    for (uint32_t i = 0; i < vocab->size; i++) {
        struct qn_str text = qn_json_str(item);
        item = qn_json_next(item);
        if (item->kind != QN_JSON_INT || item->integer < 0)
            return QN_ERROR(QN_INVALID_FILE, "'model.vocab': token '%.*s' has no id", QN_STR_ARG(text));
        QN_TRY(qn_gguf_vocab_put(v, (uint64_t)item->integer, text, QN_GGUF_TOKEN_NORMAL));
        item = qn_json_next(item);
    }
    return NULL;
}

/* "a b", or ["a", "b"] as newer files have it: both to "a b". */
static qn_status merge_text(struct qn_gguf_vocab *v, const struct qn_json *item, struct qn_str *left,
                            struct qn_str *right, struct qn_str *out)
{
    if (item->kind == QN_JSON_STRING) {
        *out = qn_json_str(item);
        const char *gap = memchr(out->data, ' ', out->size);
        if (gap) {
            *left = (struct qn_str){out->data, (size_t)(gap - out->data)};
            *right = (struct qn_str){gap + 1, out->size - left->size - 1};
            return NULL;
        }
    } else if (item->kind == QN_JSON_ARRAY && item->size == 2 && qn_json_first(item)->kind == QN_JSON_STRING &&
               qn_json_next(qn_json_first(item))->kind == QN_JSON_STRING) {
        *left = qn_json_str(qn_json_first(item));
        *right = qn_json_str(qn_json_next(qn_json_first(item)));
        *out = qn_arena_printf(v->arena, "%.*s %.*s", (int)left->size, left->data, (int)right->size, right->data);
        return out->data ? NULL : QN_OOM();
    }
    return QN_ERROR(QN_INVALID_FILE, "'model.merges': expected two tokens a merge");
}

static qn_status put_merges(struct qn_gguf_vocab *v, const struct qn_json *merges)
{
    if (!merges || merges->kind != QN_JSON_ARRAY)
        return QN_ERROR(QN_INVALID_FILE, "'model.merges' is %s; expected an array",
                        merges ? qn_json_kind_name(merges->kind) : "missing");
    v->merges = QN_ARENA_ARRAY(v->arena, struct qn_str, merges->size);
    if (!v->merges)
        return QN_OOM();
    v->merge_count = merges->size;
    const struct qn_json *item = qn_json_first(merges);
    char joined[1024];
    for (uint32_t i = 0; i < merges->size; i++, item = qn_json_next(item)) {
        struct qn_str left, right;
        QN_TRY(merge_text(v, item, &left, &right, &v->merges[i]));
        if (!v->scores || left.size + right.size > sizeof joined)
            continue;
        memcpy(joined, left.data, left.size);
        memcpy(joined + left.size, right.data, right.size);
        const uint32_t *id = qn_map_get(&v->ids, (struct qn_str){joined, left.size + right.size});
        if (id && v->scores[*id] == -10000.0f) /* SentencePiece's score of a merge is its rank, below zero */
            v->scores[*id] = -(float)i;
    }
    return NULL;
}

static bool is_byte_token(struct qn_str text)
{
    return text.size == 6 && memcmp(text.data, "<0x", 3) == 0 && text.data[5] == '>';
}

static void mark_unknown(struct qn_gguf_vocab *v, const struct qn_json *model)
{
    const struct qn_json *unk = qn_json_member(model, "unk_token");
    const uint32_t *id = unk && unk->kind == QN_JSON_STRING ? qn_map_get(&v->ids, qn_json_str(unk)) : NULL;
    if (id)
        v->types[*id] = QN_GGUF_TOKEN_UNKNOWN;
}

static qn_status read_bpe(struct qn_gguf_vocab *v, const struct qn_json *root, const struct qn_json *model)
{
    bool bytes = find_step(qn_json_member(root, "pre_tokenizer"), "ByteLevel") ||
                 find_step(qn_json_member(root, "decoder"), "ByteLevel");
    QN_TRY(qn_gguf_vocab_start(v, !bytes));
    QN_TRY(put_vocab_object(v, qn_json_member(model, "vocab")));
    QN_TRY(put_merges(v, qn_json_member(model, "merges")));
    v->model = bytes ? "gpt2" : "llama";
    if (bytes)
        return NULL;
    mark_unknown(v, model);
    for (uint32_t i = 0; i < v->count; i++)
        if (v->types[i] == QN_GGUF_TOKEN_NORMAL && is_byte_token(v->tokens[i]))
            v->types[i] = QN_GGUF_TOKEN_BYTE;
    v->merges = NULL; /* the scores say it all */
    v->merge_count = 0;
    const struct qn_json *metaspace = find_step(qn_json_member(root, "pre_tokenizer"), "Metaspace");
    const struct qn_json *scheme = qn_json_member(metaspace, "prepend_scheme");
    bool prepends = metaspace && !(scheme && scheme->kind == QN_JSON_STRING && qn_str_is(qn_json_str(scheme), "never"));
    v->add_space = prepends || find_step(qn_json_member(root, "normalizer"), "Prepend");
    return NULL;
}

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static qn_status read_charsmap(struct qn_gguf_vocab *v, const struct qn_json *root)
{
    const struct qn_json *step = find_step(qn_json_member(root, "normalizer"), "Precompiled");
    const struct qn_json *text = qn_json_member(step, "precompiled_charsmap");
    if (!text || text->kind != QN_JSON_STRING)
        return NULL;
    uint8_t *out = qn_arena_alloc(v->arena, text->size, 1);
    uint32_t bits = 0, held = 0;
    if (!out)
        return QN_OOM();
    for (uint32_t i = 0; i < text->size && text->text[i] != '='; i++) {
        int digit = base64_digit(text->text[i]);
        if (digit < 0)
            return QN_ERROR(QN_INVALID_FILE, "'precompiled_charsmap' is no base64");
        held = held << 6 | (uint32_t)digit;
        bits += 6;
        if (bits >= 8)
            out[v->charsmap_size++] = (uint8_t)(held >> (bits -= 8));
    }
    v->charsmap = out;
    return NULL;
}

static qn_status read_unigram(struct qn_gguf_vocab *v, const struct qn_json *root, const struct qn_json *model)
{
    const struct qn_json *vocab = qn_json_member(model, "vocab"), *unk = qn_json_member(model, "unk_id");
    if (!vocab || vocab->kind != QN_JSON_ARRAY)
        return QN_ERROR(QN_INVALID_FILE, "'model.vocab' is %s; expected an array",
                        vocab ? qn_json_kind_name(vocab->kind) : "missing");
    QN_TRY(qn_gguf_vocab_start(v, true));
    const struct qn_json *item = qn_json_first(vocab);
    for (uint32_t i = 0; i < vocab->size; i++, item = qn_json_next(item)) {
        const struct qn_json *text = item->kind == QN_JSON_ARRAY && item->size == 2 ? qn_json_first(item) : NULL;
        const struct qn_json *score = text ? qn_json_next(text) : NULL;
        if (!text || text->kind != QN_JSON_STRING || (score->kind != QN_JSON_DOUBLE && score->kind != QN_JSON_INT))
            return QN_ERROR(QN_INVALID_FILE, "'model.vocab': entry %u is no token with a score", i);
        bool unknown = unk && unk->kind == QN_JSON_INT && unk->integer == i;
        QN_TRY(qn_gguf_vocab_put(v, i, qn_json_str(text), unknown ? QN_GGUF_TOKEN_UNKNOWN : QN_GGUF_TOKEN_NORMAL));
        v->scores[i] = score->kind == QN_JSON_INT ? (float)score->integer : (float)score->number;
    }
    v->model = "t5";
    v->add_space = find_step(qn_json_member(root, "pre_tokenizer"), "Metaspace") != NULL;
    v->remove_spaces = find_step(qn_json_member(root, "normalizer"), "Precompiled") ||
                       find_step(qn_json_member(root, "normalizer"), "Replace") || /* of runs of spaces */
                       find_step(qn_json_member(root, "pre_tokenizer"), "WhitespaceSplit");
    return read_charsmap(v, root);
}

/* llama.cpp marks the beginnings of words instead of their continuations. */
static qn_status read_wordpiece(struct qn_gguf_vocab *v, const struct qn_json *model)
{
    QN_TRY(qn_gguf_vocab_start(v, false));
    QN_TRY(put_vocab_object(v, qn_json_member(model, "vocab")));
    v->model = "bert";
    return NULL;
}

static qn_status mark_words(struct qn_gguf_vocab *v)
{
    for (uint32_t i = 0; i < v->count; i++) {
        struct qn_str *text = &v->tokens[i];
        if (!text->data || wrapped(*text, "[", "]"))
            continue;
        if (qn_str_starts(*text, QN_STR("##"))) {
            *text = (struct qn_str){text->data + 2, text->size - 2};
            continue;
        }
        *text = qn_arena_printf(v->arena, "\xe2\x96\x81%.*s", (int)text->size, text->data);
        if (!text->data)
            return QN_OOM();
    }
    return NULL;
}

/* ---- what is put around a text -------------------------------------------------------------------------------- */

/* Item `index` of a template as a special token; data NULL when it is none. */
static struct qn_str special_at(const struct qn_json *items, uint32_t index)
{
    const struct qn_json *item =
        items && items->kind == QN_JSON_ARRAY && index < items->size ? qn_json_first(items) : NULL;
    for (uint32_t i = 0; item && i < index; i++)
        item = qn_json_next(item);
    const struct qn_json *id = qn_json_member(qn_json_member(item, "SpecialToken"), "id");
    return id && id->kind == QN_JSON_STRING ? qn_json_str(id) : (struct qn_str){0};
}

static bool same_text(struct qn_str a, struct qn_str b)
{
    return a.data && b.data && qn_str_eq(a, b);
}

/* One text between special tokens, and what stands between the two of a pair. */
static void read_template(struct qn_gguf_vocab *v, const struct qn_json *single, const struct qn_json *pair)
{
    struct qn_gguf_template *t = &v->around;
    if (!single || single->kind != QN_JSON_ARRAY || single->size == 0)
        return;
    t->first = special_at(single, 0);
    if (single->size > 1)
        t->last = special_at(single, single->size - 1);
    v->add_bos = t->first.data != NULL;
    v->add_eos = t->last.data != NULL;
    if (!pair || pair->kind != QN_JSON_ARRAY)
        return;
    uint32_t from = same_text(special_at(pair, 0), t->first) + 1,                               /* behind A */
        to = pair->size - (pair->size && same_text(special_at(pair, pair->size - 1), t->last)); /* B stands before */
    for (uint32_t i = from; i + 1 < to && t->between_count < 2; i++)
        t->between[t->between_count++] = special_at(pair, i);
}

static void read_ends(struct qn_gguf_vocab *v, const struct qn_json *root)
{
    const struct qn_json *processor = qn_json_member(root, "post_processor");
    bool roberta = find_step(processor, "RobertaProcessing") != NULL;
    const struct qn_json *step = find_step(processor, "TemplateProcessing");
    if (roberta || find_step(processor, "BertProcessing"))
        v->add_bos = v->add_eos = 1;
    else if (find_step(processor, "ByteLevel"))
        v->add_bos = v->add_eos = 0;
    if (roberta)
        v->add_sep = 1;
    else if (step)
        read_template(v, qn_json_member(step, "single"), qn_json_member(step, "pair"));
}

static int flag_of(const struct qn_json *step, const char *key, int otherwise)
{
    const struct qn_json *value = qn_json_member(step, key);
    return value && value->kind == QN_JSON_BOOL ? value->boolean : otherwise;
}

static void read_normalizer(struct qn_gguf_vocab *v, const struct qn_json *root)
{
    const struct qn_json *normalizer = qn_json_member(root, "normalizer");
    const struct qn_json *bert = find_step(normalizer, "BertNormalizer");
    v->lowercase = find_step(normalizer, "Lowercase") ? 1 : flag_of(bert, "lowercase", -1);
    v->strip_accents = find_step(normalizer, "StripAccents") ? 1 : flag_of(bert, "strip_accents", -1);
}

qn_status qn_gguf_vocab_json(const struct qn_json *root, struct qn_gguf_vocab *v)
{
    const struct qn_json *model = qn_json_member(root, "model"), *type = qn_json_member(model, "type");
    if (!model || model->kind != QN_JSON_OBJECT)
        return QN_ERROR(QN_INVALID_FILE, "'model' is missing");
    struct qn_str kind = type && type->kind == QN_JSON_STRING ? qn_json_str(type)
                         : qn_json_member(model, "merges")    ? QN_STR("BPE")
                                                              : QN_STR("WordPiece");
    if (qn_str_is(kind, "BPE"))
        QN_TRY(read_bpe(v, root, model));
    else if (qn_str_is(kind, "Unigram"))
        QN_TRY(read_unigram(v, root, model));
    else if (qn_str_is(kind, "WordPiece"))
        QN_TRY(read_wordpiece(v, model));
    else
        return NULL; /* GGUF has no such kind */
    QN_TRY(put_added(v, root));
    if (strcmp(v->model, "bert") == 0)
        QN_TRY(mark_words(v));
    read_ends(v, root);
    read_normalizer(v, root);
    return NULL;
}
