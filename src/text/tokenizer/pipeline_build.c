#include "text/tokenizer/pipeline_build.h"

#include <stdio.h>

#include "base/utf8.h"
#include "text/tokenizer/byte_level.h"
#include "text/tokenizer/tokenizer_json.h"
#include "text/tokenizer/vocab_build.h"

qn_status qn_pipeline_create(const struct qn_allocator *allocator, struct qn_tokenizer **out)
{
    allocator = allocator ? allocator : qn_allocator_default();
    struct qn_tokenizer *t = qn_calloc(allocator, 1, sizeof *t);
    if (!t)
        return QN_OOM();
    qn_arena_init(&t->arena, allocator);
    t->special.allocator = t->words.allocator = allocator;
    for (int role = 0; role < QN_TOKEN_ROLE_COUNT; role++)
        t->roles[role] = QN_TOKEN_NONE;
    t->pipeline = QN_ARENA_NEW(&t->arena, struct qn_pipeline);
    if (!t->pipeline) {
        qn_tokenizer_free(t);
        return QN_OOM();
    }
    t->pipeline->added_raw.allocator = t->pipeline->added_normalized.allocator = allocator;
    *out = t;
    return NULL;
}

qn_status qn_pipeline_from_json(struct qn_str text, const char *name, const struct qn_tokenizer_extras *extras,
                                qn_pipeline_build build, const struct qn_allocator *allocator,
                                struct qn_tokenizer **out)
{
    struct qn_json_options options = {.name = name};
    struct qn_arena scratch;
    const struct qn_json *root;
    struct qn_tokenizer *t = NULL;
    allocator = allocator ? allocator : qn_allocator_default();
    qn_arena_init(&scratch, allocator);
    qn_status status = qn_json_read(text, &options, &scratch, &root);
    if (!status)
        status = qn_pipeline_create(allocator, &t);
    if (!status) {
        status = build(t, root, extras, &scratch);
        status = status ? qn_status_note(status, "tokenizer of '%s'", name) : NULL;
    }
    qn_arena_deinit(&scratch);
    if (status) {
        qn_tokenizer_free(t);
        return status;
    }
    *out = t;
    return NULL;
}

void qn_pipeline_deinit(struct qn_pipeline *p, const struct qn_allocator *allocator)
{
    (void)allocator;
    for (uint32_t i = 0; i < p->regex_count; i++)
        qn_regex_free(p->regexes[i]);
    qn_text_trie_deinit(&p->added_raw);
    qn_text_trie_deinit(&p->added_normalized);
}

/* ---- the vocabulary ------------------------------------------------------------------------------------------- */

qn_status qn_pipeline_reserve(struct qn_tokenizer *t, uint32_t count, uint32_t texts)
{
    t->count = count;
    t->tokens = QN_ARENA_ARRAY(&t->arena, struct qn_token, count);
    if (!t->tokens || !qn_map_init(&t->by_text.map, &t->arena, texts + texts / 2))
        return QN_OOM();
    return NULL;
}

qn_status qn_pipeline_put(struct qn_tokenizer *t, int32_t id, struct qn_str text)
{
    struct qn_token *token = &t->tokens[id];
    token->text = text.data;
    token->text_size = (uint32_t)text.size;
    token->flags = QN_TOKEN_NORMAL;
    return qn_text_ids_put(&t->by_text, text.data, (uint32_t)text.size, (uint32_t)id) ? NULL : QN_OOM();
}

/* ---- steps ---------------------------------------------------------------------------------------------------- */

qn_status qn_pipeline_set_steps(struct qn_tokenizer *t, const struct qn_step_texts *steps)
{
    static qn_status (*const readers[])(struct qn_pipeline_reader *, const struct qn_json *) = {
        qn_read_normalizers, qn_read_cutters, qn_read_decoders};
    struct qn_pipeline_reader r = {.pipeline = t->pipeline, .arena = &t->arena};
    const struct qn_str texts[] = {steps->normalizer, steps->cutter, steps->decoder};
    struct qn_arena scratch;
    qn_status status = NULL;
    qn_arena_init(&scratch, t->arena.allocator);
    for (int i = 0; i < 3 && !status; i++) {
        const struct qn_json *value = NULL;
        status = texts[i].data ? qn_json_read(texts[i], NULL, &scratch, &value) : NULL;
        if (!status)
            status = readers[i](&r, value);
    }
    qn_arena_deinit(&scratch);
    t->pipeline->steps = *steps;
    return status;
}

/* ---- merges --------------------------------------------------------------------------------------------------- */

qn_status qn_pipeline_begin_merges(struct qn_tokenizer *t, uint32_t count)
{
    uint64_t size = 8;
    while (size < (uint64_t)count * 3 / 2) /* a smaller table is filled faster */
        size *= 2;
    t->merges = size > UINT32_MAX ? NULL : QN_ARENA_ARRAY(&t->arena, struct qn_merge_slot, size);
    if (!t->merges)
        return QN_OOM();
    t->merge_mask = (uint32_t)(size - 1);
    for (uint64_t i = 0; i < size; i++)
        t->merges[i].merged = -1;
    return NULL;
}

static bool is_text_of(const struct qn_tokenizer *t, int64_t id, struct qn_str left, struct qn_str right)
{
    if (id < 0 || id >= t->count || !t->tokens[id].text || t->tokens[id].text_size != left.size + right.size)
        return false;
    const char *text = t->tokens[id].text;
    return memcmp(text, left.data, left.size) == 0 && memcmp(text + left.size, right.data, right.size) == 0;
}

/* The token of both texts together. Vocabularies usually list the tokens in the order of the merges, so the one after
 * the last is looked at first. */
static qn_status find_joined(struct qn_tokenizer *t, struct qn_str left, struct qn_str right, int32_t *id)
{
    struct qn_unit_model *m = &t->pipeline->model;
    if (is_text_of(t, (int64_t)m->last_merged + 1, left, right)) {
        *id = ++m->last_merged;
        return NULL;
    }
    char small[128];
    size_t size = left.size + right.size;
    char *joined = size <= sizeof small ? small : qn_arena_alloc(&t->arena, size, 1);
    if (!joined)
        return QN_OOM();
    memcpy(joined, left.data, left.size);
    memcpy(joined + left.size, right.data, right.size);
    *id = qn_text_ids_find(&t->by_text, joined, size);
    if (*id >= 0)
        m->last_merged = *id;
    return NULL;
}

qn_status qn_pipeline_put_merge(struct qn_tokenizer *t, uint32_t rank, struct qn_str left, struct qn_str right)
{
    const struct qn_unit_model *m = &t->pipeline->model;
    int32_t first = qn_text_ids_find(&t->by_text, left.data, left.size);
    int32_t second = qn_text_ids_find(&t->by_text, right.data, right.size), merged = -1;
    if (first < 0 || second < 0)
        return QN_ERROR(QN_INVALID_FILE, "'merges': merge %u needs the token '%.*s', which 'vocab' lacks", rank,
                        QN_STR_ARG(first < 0 ? left : right));
    if (m->has_prefix && right.size < m->prefix.size)
        return QN_ERROR(QN_INVALID_FILE, "'merges': merge %u: '%.*s' is shorter than the prefix '%.*s'", rank,
                        QN_STR_ARG(right), QN_STR_ARG(m->prefix));
    struct qn_str rest = right;
    if (m->has_prefix)
        rest = (struct qn_str){right.data + m->prefix.size, right.size - m->prefix.size};
    QN_TRY(find_joined(t, left, rest, &merged));
    if (merged < 0)
        return QN_ERROR(QN_INVALID_FILE, "'merges': merge %u needs the token '%.*s%.*s', which 'vocab' lacks", rank,
                        QN_STR_ARG(left), QN_STR_ARG(rest));
    uint64_t pair = (uint64_t)(uint32_t)first << 32 | (uint32_t)second;
    uint32_t at = qn_merge_hash(pair);
    struct qn_merge_slot *slot = &t->merges[at & t->merge_mask];
    while (slot->merged >= 0 && slot->pair != pair)
        slot = &t->merges[++at & t->merge_mask];
    *slot = (struct qn_merge_slot){pair, rank, merged};
    return NULL;
}

/* ---- the model ------------------------------------------------------------------------------------------------ */

static qn_status index_characters(struct qn_tokenizer *t)
{
    struct qn_unit_model *m = &t->pipeline->model;
    m->character_ids = QN_ARENA_ARRAY(&t->arena, int32_t, QN_QUICK_CHARACTERS);
    if (!m->character_ids)
        return QN_OOM();
    for (uint32_t c = 0; c < QN_QUICK_CHARACTERS; c++) {
        char utf8[4];
        m->character_ids[c] = qn_text_ids_find(&t->by_text, utf8, qn_utf8_encode(c, utf8));
    }
    return NULL;
}

/* All texts of the vocabulary, for searches of the longest. */
static qn_status index_words(struct qn_tokenizer *t)
{
    const struct qn_allocator *allocator = t->arena.allocator;
    size_t bytes = sizeof(struct qn_text_trie_key) * t->count;
    struct qn_text_trie_key *keys = qn_alloc(allocator, bytes ? bytes : 1);
    uint32_t count = 0, never = QN_TOKEN_CONTROL | QN_TOKEN_UNKNOWN | QN_TOKEN_BYTE;
    bool sentence = t->pipeline->model.kind == QN_UNIT_SENTENCE_UNIGRAM;
    if (!keys)
        return QN_OOM();
    for (uint32_t i = 0; i < t->count; i++)
        if (t->tokens[i].text_size && !(sentence && (t->tokens[i].flags & never)))
            keys[count++] = (struct qn_text_trie_key){t->tokens[i].text, t->tokens[i].text_size, (int32_t)i};
    qn_status status = qn_text_trie_init(&t->words, keys, count, allocator);
    qn_free(allocator, keys, bytes ? bytes : 1);
    return status;
}

static qn_status index_model(struct qn_tokenizer *t)
{
    static const enum qn_tokenizer_kind kinds[] = {QN_TOKENIZER_BPE,       QN_TOKENIZER_UNIGRAM, QN_TOKENIZER_WORDPIECE,
                                                   QN_TOKENIZER_WORDLEVEL, QN_TOKENIZER_SPM,     QN_TOKENIZER_UNIGRAM};
    struct qn_unit_model *m = &t->pipeline->model;
    t->kind = kinds[m->kind];
    for (int byte = 0; byte < 256; byte++) {
        char name[8];
        snprintf(name, sizeof name, "<0x%02X>", (unsigned)byte);
        m->byte_ids[byte] = qn_text_ids_find(&t->by_text, name, 6);
        if (m->byte_fallback && m->byte_ids[byte] >= 0 && m->kind < QN_UNIT_SENTENCE_BPE)
            t->tokens[m->byte_ids[byte]].flags = QN_TOKEN_BYTE;
    }
    if (m->unknown >= 0)
        t->tokens[m->unknown].flags = QN_TOKEN_UNKNOWN;
    if (m->kind == QN_UNIT_BPE)
        return index_characters(t);
    return m->kind == QN_UNIT_WORDLEVEL || m->kind == QN_UNIT_SENTENCE_BPE ? NULL : index_words(t);
}

/* ---- added tokens --------------------------------------------------------------------------------------------- */

/* The text of the token as it stands in a normalised text. */
static qn_status normalize_added(struct qn_tokenizer *t, struct qn_added_token *token)
{
    const struct qn_allocator *allocator = t->arena.allocator;
    struct qn_pretext p = {.allocator = allocator};
    p.scratch[0].allocator = p.scratch[1].allocator = allocator;
    qn_status status = NULL;
    size_t size;
    for (size_t at = 0; at < token->content.size && !status; at += size) {
        size = qn_utf8_step(token->content.data + at, token->content.size - at);
        struct qn_span span = {(uint32_t)at, (uint32_t)(at + size)};
        if (!qn_aligned_append_at(&p.scratch[0], token->content.data + at, size, span))
            status = QN_OOM();
    }
    p.scratch[0].original_end = (uint32_t)token->content.size;
    if (!status)
        status = qn_normalize(t->pipeline, &p);
    if (!status) {
        token->pattern = qn_arena_str(&t->arena, qn_aligned_view(&p.scratch[0]));
        status = token->pattern.data ? NULL : QN_OOM();
    }
    qn_aligned_deinit(&p.scratch[0]);
    qn_aligned_deinit(&p.scratch[1]);
    qn_array_free(&p.changes.list, allocator);
    qn_matcher_free(p.matcher);
    return status;
}

/* A token whose content stands in the vocabulary has that id, others follow its end: what the file says is not asked,
 * as in the package. Of equal contents the last one counts. */
static qn_status number_added(struct qn_tokenizer *t)
{
    struct qn_pipeline *p = t->pipeline;
    uint32_t kept = 0, next = p->vocab_size;
    if (!qn_map_init(&p->added_ids.map, &t->arena, p->added_count + p->added_count / 2))
        return QN_OOM();
    for (uint32_t i = 0; i < p->added_count; i++) {
        struct qn_added_token token = p->added[i];
        if (token.content.size == 0)
            continue;
        int32_t index = qn_text_ids_find(&p->added_ids, token.content.data, token.content.size);
        token.id =
            index >= 0 ? p->added[index].id : qn_text_ids_find(&t->by_text, token.content.data, token.content.size);
        if (token.id < 0)
            token.id = (int32_t)next++;
        token.pattern = token.content;
        if (token.normalized)
            QN_TRY(normalize_added(t, &token));
        uint32_t place = index >= 0 ? (uint32_t)index : kept++;
        p->added[place] = token;
        if (!qn_text_ids_put(&p->added_ids, token.content.data, (uint32_t)token.content.size, place))
            return QN_OOM();
    }
    p->added_count = kept;
    return NULL;
}

static qn_status trie_of_added(struct qn_tokenizer *t, bool normalized, struct qn_text_trie *trie, bool *starts)
{
    struct qn_pipeline *p = t->pipeline;
    struct qn_text_trie_key *keys = QN_ARENA_ARRAY(&t->arena, struct qn_text_trie_key, p->added_count);
    uint32_t count = 0;
    if (!keys)
        return QN_OOM();
    for (uint32_t i = 0; i < p->added_count; i++) {
        const struct qn_added_token *token = &p->added[i];
        if (token->normalized != normalized || token->pattern.size == 0)
            continue;
        /* normalising may make two alike: special ones go first, then those that were added first */
        uint32_t weight = (token->special ? 2 : 1) * p->added_count - i;
        keys[count++] =
            (struct qn_text_trie_key){token->pattern.data, (uint32_t)token->pattern.size, (int32_t)i, weight};
        starts[(uint8_t)token->pattern.data[0]] = true;
    }
    return qn_text_trie_init(trie, keys, count, t->arena.allocator);
}

/* Room for the added tokens' ids, their texts, and whether decoding leaves them out. */
static qn_status place_added(struct qn_tokenizer *t)
{
    struct qn_pipeline *p = t->pipeline;
    uint32_t count = t->count;
    for (uint32_t i = 0; i < p->added_count; i++)
        count = (uint32_t)p->added[i].id >= count ? (uint32_t)p->added[i].id + 1 : count;
    struct qn_token *tokens = count > t->count ? QN_ARENA_ARRAY(&t->arena, struct qn_token, count) : t->tokens;
    p->hidden = QN_ARENA_ARRAY(&t->arena, bool, count);
    if (!tokens || !p->hidden)
        return QN_OOM();
    if (tokens != t->tokens && t->count)
        memcpy(tokens, t->tokens, t->count * sizeof *tokens);
    t->tokens = tokens;
    t->count = count;
    for (uint32_t i = 0; i < p->added_count; i++) {
        const struct qn_added_token *added = &p->added[i];
        struct qn_token *token = &tokens[added->id];
        token->text = added->pattern.data;
        token->text_size = (uint32_t)added->pattern.size;
        uint32_t unknown = token->flags & QN_TOKEN_UNKNOWN;
        token->flags = unknown ? unknown : added->special ? QN_TOKEN_CONTROL : QN_TOKEN_USER_DEFINED;
        token->flags |= (added->lstrip ? QN_TOKEN_LSTRIP : 0u) | (added->rstrip ? QN_TOKEN_RSTRIP : 0u);
    }
    for (uint32_t i = 0; i < p->added_count; i++) { /* it is the shown text that must be that of a special token */
        int32_t index = qn_text_ids_find(&p->added_ids, p->added[i].pattern.data, p->added[i].pattern.size);
        p->hidden[p->added[i].id] = index >= 0 && p->added[index].special;
    }
    return NULL;
}

/* ---- what is known of a token besides ------------------------------------------------------------------------- */

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}

/* The text with spaces for marks, or the bytes that GPT-2's alphabet spells. *buffer has room for it. */
static size_t plain_text(const struct qn_token *token, bool bytes, char *buffer)
{
    size_t size = 0;
    if (bytes)
        return qn_byte_level_decode(token->text, token->text_size, buffer, &size) ? size : 0;
    for (uint32_t at = 0; at < token->text_size;) {
        bool mark = token->text_size - at >= 3 && memcmp(token->text + at, QN_SPACE_MARK, 3) == 0;
        buffer[size++] = mark ? ' ' : token->text[at];
        at += mark ? 3 : 1;
    }
    return size;
}

/* The bytes that a token adds to a text, where the decoders make that a matter of the token alone. */
static qn_status make_pieces(struct qn_tokenizer *t)
{
    const struct qn_pipeline *p = t->pipeline;
    bool bytes = false, marks = p->model.kind >= QN_UNIT_SENTENCE_BPE;
    size_t total = 0;
    for (uint32_t i = 0; i < p->decoder_count; i++) {
        bytes |= p->decoders[i].kind == QN_DECODE_BYTE_LEVEL;
        marks |= p->decoders[i].kind == QN_DECODE_METASPACE || p->decoders[i].kind == QN_DECODE_REPLACE;
    }
    for (uint32_t i = 0; i < t->count; i++)
        total += t->tokens[i].text_size;
    char *texts = qn_arena_alloc(&t->arena, bytes || marks ? total : 256, 1);
    if (!texts)
        return QN_OOM();
    for (uint32_t i = 0; i < t->count; i++) {
        struct qn_token *token = &t->tokens[i];
        if (!token->text) {
            token->piece = "";
            token->flags = QN_TOKEN_UNUSED;
            continue;
        }
        token->piece = token->text;
        token->piece_size = token->text_size;
        size_t size = 0;
        if ((token->flags & QN_TOKEN_BYTE) && token->text_size == 6) {
            *texts = (char)(hex_digit(token->text[3]) * 16 + hex_digit(token->text[4]));
            size = 1;
        } else if ((bytes || marks) && (token->flags & QN_TOKEN_NORMAL)) {
            size = plain_text(token, bytes, texts);
        }
        if (!size)
            continue;
        token->piece = texts;
        token->piece_size = (uint32_t)size;
        texts += size;
    }
    t->space_mark = marks && !bytes;
    t->pre_flags = bytes ? 0 : QN_PRE_CHARACTERS;
    return NULL;
}

/* Whether the template for one text begins or ends with a token of that role. */
static void find_adds(struct qn_tokenizer *t)
{
    const struct qn_pipeline *p = t->pipeline;
    for (uint32_t i = 0; i < p->surround_count; i++) {
        const struct qn_surround *s = &p->surrounds[i];
        int32_t first = -1, last = -1;
        if (s->kind == QN_SURROUND_BERT || s->kind == QN_SURROUND_ROBERTA) {
            first = s->first;
            last = s->separator;
        } else if (s->kind == QN_SURROUND_TEMPLATE && s->single.count) {
            const struct qn_template_part *begin = &s->single.parts[0], *end = begin + s->single.count - 1;
            first = begin->count ? begin->ids[0] : -1;
            last = end->count ? end->ids[end->count - 1] : -1;
        }
        t->adds[QN_TOKEN_BOS] |= first >= 0 && first == t->roles[QN_TOKEN_BOS];
        t->adds[QN_TOKEN_EOS] |= last >= 0 && last == t->roles[QN_TOKEN_EOS];
        t->adds[QN_TOKEN_SEP] |= last >= 0 && last == t->roles[QN_TOKEN_SEP] && !t->adds[QN_TOKEN_EOS];
    }
}

qn_status qn_pipeline_finish(struct qn_tokenizer *t)
{
    struct qn_pipeline *p = t->pipeline;
    QN_TRY(index_model(t));
    QN_TRY(number_added(t));
    QN_TRY(trie_of_added(t, false, &p->added_raw, p->starts_raw));
    QN_TRY(trie_of_added(t, true, &p->added_normalized, p->starts_normalized));
    QN_TRY(place_added(t));
    return make_pieces(t);
}

void qn_pipeline_set_roles(struct qn_tokenizer *t, const int32_t roles[QN_TOKEN_ROLE_COUNT])
{
    struct qn_vocab_desc desc = {.kind = t->kind};
    for (int role = 0; role < QN_TOKEN_ROLE_COUNT; role++)
        desc.roles[role] = roles[role] < (int32_t)t->count ? roles[role] : QN_TOKEN_NONE;
    if (desc.roles[QN_TOKEN_UNK] < 0)
        desc.roles[QN_TOKEN_UNK] = t->pipeline->model.unknown;
    qn_vocab_find_special(t, &desc);
    find_adds(t);
}
