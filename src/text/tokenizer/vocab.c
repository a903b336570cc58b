#include "text/tokenizer/vocab.h"

#include <stdio.h>

#include "text/tokenizer/byte_level.h"
#include "text/tokenizer/pipeline.h"
#include "text/tokenizer/vocab_build.h"

enum { NEVER_MATCHED = QN_TOKEN_CONTROL | QN_TOKEN_UNKNOWN | QN_TOKEN_BYTE };

/* ---- what text can become ------------------------------------------------------------------------------------- */

/* The text that becomes this token; false when none does. Control tokens are left out on purpose: the merges must not
 * spell them out of untrusted text. */
static bool match_text(const struct qn_tokenizer *t, const struct qn_token *token, const char **text, uint32_t *size)
{
    if ((token->flags & NEVER_MATCHED) || token->text_size == 0)
        return false;
    *text = token->text;
    *size = token->text_size;
    if (!qn_vocab_is_byte_level(t))
        return true;
    *text = token->piece;
    *size = token->piece_size;
    for (uint32_t i = 0; i < token->text_size && *text == token->text; i++)
        if (token->text[i] < 0x21 || token->text[i] > 0x7e)
            return false; /* a text that GPT-2's alphabet changes, or cannot write, and that was left as it is */
    return true;
}

static qn_status map_matches(struct qn_tokenizer *t)
{
    if (!qn_text_ids_init(&t->by_match, t))
        return QN_OOM();
    for (uint32_t i = 0; i < t->count; i++) {
        const char *text;
        uint32_t size;
        if (match_text(t, &t->tokens[i], &text, &size) && !qn_text_ids_put(&t->by_match, text, size, i))
            return QN_OOM();
    }
    return NULL;
}

static void find_bytes(struct qn_tokenizer *t)
{
    bool byte_level = qn_vocab_is_byte_level(t);
    t->has_all_bytes = true;
    for (int byte = 0; byte < 256; byte++) {
        char name[8], single = (char)byte;
        snprintf(name, sizeof name, "<0x%02X>", byte);
        int32_t id = byte_level ? -1 : qn_text_ids_find(&t->by_text, name, 6);
        t->byte_ids[byte] = id >= 0 ? id : qn_text_ids_find(&t->by_match, &single, 1);
        t->has_all_bytes &= t->byte_ids[byte] >= 0;
    }
}

/* The tokens with any of these flags; words: by what they match, otherwise by their text. */
static qn_status make_trie(struct qn_tokenizer *t, struct qn_text_trie *trie, uint32_t flags, bool words)
{
    uint32_t count = 0;
    size_t bytes = sizeof(struct qn_text_trie_key) * t->count;
    struct qn_text_trie_key *keys = qn_alloc(t->arena.allocator, bytes);
    if (!keys)
        return QN_OOM();
    for (uint32_t i = 0; i < t->count; i++) {
        struct qn_text_trie_key key = {t->tokens[i].text, t->tokens[i].text_size, (int32_t)i};
        if (!(t->tokens[i].flags & flags) || (words && !match_text(t, &t->tokens[i], &key.text, &key.size)))
            continue;
        if (key.size)
            keys[count++] = key;
    }
    qn_status status = qn_text_trie_init(trie, keys, count, t->arena.allocator);
    qn_free(t->arena.allocator, keys, bytes);
    return status;
}

static qn_status index_special(struct qn_tokenizer *t)
{
    QN_TRY(make_trie(t, &t->special, QN_TOKEN_CONTROL | QN_TOKEN_USER_DEFINED | QN_TOKEN_UNKNOWN, false));
    for (uint32_t i = 0; i < t->count; i++) {
        const struct qn_token *token = &t->tokens[i];
        if (!token->text_size || !(token->flags & (QN_TOKEN_CONTROL | QN_TOKEN_USER_DEFINED | QN_TOKEN_UNKNOWN)))
            continue;
        t->begins_special[(uint8_t)token->text[0]] = true;
        if (!(token->flags & (QN_TOKEN_CONTROL | QN_TOKEN_UNKNOWN)))
            t->begins_user_defined[(uint8_t)token->text[0]] = true;
    }
    return NULL;
}

/* ---- BPE ------------------------------------------------------------------------------------------------------ */

static void put_merge(struct qn_tokenizer *t, int32_t left, int32_t right, uint32_t rank, int32_t merged)
{
    uint64_t pair = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    uint32_t at = qn_merge_hash(pair);
    struct qn_merge_slot *slot = &t->merges[at & t->merge_mask];
    while (slot->merged >= 0 && slot->pair != pair)
        slot = &t->merges[++at & t->merge_mask];
    if (slot->merged < 0) /* a pair that stands twice: the first counts */
        *slot = (struct qn_merge_slot){pair, rank, merged};
}

static qn_status fail_merge(const struct qn_vocab_desc *desc, uint32_t i, struct qn_str left, struct qn_str right,
                            struct qn_str missing)
{
    return QN_ERROR(QN_INVALID_FILE, "'%.*s': merge %u ('%.*s' with '%.*s') needs the token '%.*s', which '%.*s' lacks",
                    QN_STR_ARG(desc->merges_name), i, QN_STR_ARG(left), QN_STR_ARG(right), QN_STR_ARG(missing),
                    QN_STR_ARG(desc->tokens_name));
}

static qn_status read_merges(struct qn_tokenizer *t, const struct qn_vocab_desc *desc, struct qn_strbuf *joined)
{
    for (uint32_t i = 0; i < desc->merge_count; i++) {
        struct qn_str left, right;
        QN_TRY(desc->merge(desc->merge_context, i, &left, &right));
        qn_strbuf_clear(joined);
        qn_strbuf_append(joined, left.data, left.size);
        qn_strbuf_append(joined, right.data, right.size);
        if (joined->failed)
            return QN_OOM();
        struct qn_str parts[3] = {left, right, qn_strbuf_view(joined)};
        int32_t ids[3];
        bool known = true, matched = true;
        for (int k = 0; k < 3; k++) {
            ids[k] = qn_text_ids_find(&t->by_text, parts[k].data, parts[k].size);
            /* Converters rewrite user-defined tokens of character vocabularies, so that merges can name what is gone */
            if (ids[k] < 0 && qn_vocab_is_byte_level(t))
                return fail_merge(desc, i, left, right, parts[k]);
            known &= ids[k] >= 0;
            matched &= ids[k] >= 0 && !(t->tokens[ids[k]].flags & NEVER_MATCHED);
        }
        if (known && matched)
            put_merge(t, ids[0], ids[1], i, ids[2]);
    }
    return NULL;
}

static qn_status build_bpe(struct qn_tokenizer *t, const struct qn_vocab_desc *desc)
{
    uint64_t size = 8;
    while (size < (uint64_t)desc->merge_count * 2)
        size *= 2;
    t->merges = size > UINT32_MAX ? NULL : QN_ARENA_ARRAY(&t->arena, struct qn_merge_slot, size);
    if (!t->merges)
        return QN_OOM();
    t->merge_mask = (uint32_t)(size - 1);
    for (uint64_t i = 0; i < size; i++)
        t->merges[i].merged = -1;
    struct qn_strbuf joined;
    qn_strbuf_init(&joined, t->arena.allocator);
    qn_status status = read_merges(t, desc, &joined);
    qn_strbuf_deinit(&joined);
    for (uint32_t i = 0; i < desc->pattern_count && !status; i++) {
        if (i == QN_SPLITS_MAX)
            return QN_ERROR(QN_UNSUPPORTED, "a pre-tokeniser of more than %d patterns", QN_SPLITS_MAX);
        t->splits[i].behavior = t->pre_flags & QN_PRE_DROP_SPACE ? QN_SPLIT_REMOVED : QN_SPLIT_ISOLATED;
        status = qn_regex_create(qn_str_from(desc->patterns[i]), t->arena.allocator, &t->splits[i].regex);
        t->split_count += !status;
    }
    return status;
}

/* ---- the other kinds ------------------------------------------------------------------------------------------ */

static bool has_inner_mark(const struct qn_token *token)
{
    bool text_before = false;
    for (uint32_t at = 0; at < token->text_size;) {
        bool mark = token->text_size - at >= 3 && memcmp(token->text + at, QN_SPACE_MARK, 3) == 0;
        if (mark && text_before)
            return true;
        text_before |= !mark;
        at += mark ? 3 : 1;
    }
    return false;
}

static qn_status build_spm(struct qn_tokenizer *t)
{
    t->cuts_at_marks = true;
    for (uint32_t i = 0; i < t->count && t->cuts_at_marks; i++)
        t->cuts_at_marks = (t->tokens[i].flags & NEVER_MATCHED) || !has_inner_mark(&t->tokens[i]);
    return NULL;
}

static qn_status build_unigram(struct qn_tokenizer *t, const struct qn_vocab_desc *desc)
{
    enum { UNKNOWN_PENALTY = 10 };
    float lowest = 0;
    bool any = false;
    for (uint32_t i = 0; i < t->count; i++)
        if (t->tokens[i].flags & QN_TOKEN_NORMAL) {
            lowest = !any || t->tokens[i].score < lowest ? t->tokens[i].score : lowest;
            any = true;
        }
    t->unknown_score = lowest - UNKNOWN_PENALTY;
    if (t->roles[QN_TOKEN_UNK] < 0)
        return QN_ERROR(QN_INVALID_FILE, "a unigram vocabulary needs an unknown token");
    QN_TRY(qn_charsmap_init(&t->charsmap, desc->charsmap, &t->arena));
    return make_trie(t, &t->words, QN_TOKEN_NORMAL | QN_TOKEN_USER_DEFINED | QN_TOKEN_UNUSED, true);
}

static qn_status build_kind(struct qn_tokenizer *t, const struct qn_vocab_desc *desc)
{
    switch (t->kind) {
    case QN_TOKENIZER_SPM:
        return build_spm(t);
    case QN_TOKENIZER_BPE:
        return build_bpe(t, desc);
    case QN_TOKENIZER_WORDPIECE:
        if (t->roles[QN_TOKEN_UNK] < 0)
            return QN_ERROR(QN_INVALID_FILE, "a WordPiece vocabulary needs an unknown token");
        return make_trie(t, &t->words, ~0u, true);
    case QN_TOKENIZER_UNIGRAM:
        return build_unigram(t, desc);
    case QN_TOKENIZER_WORDLEVEL:
    case QN_TOKENIZER_NONE:
        break;
    }
    return NULL;
}

/* ---- all together --------------------------------------------------------------------------------------------- */

static qn_status build(struct qn_tokenizer *t, const struct qn_vocab_desc *desc)
{
    t->kind = desc->kind;
    t->pre_flags = desc->pre_flags;
    t->space_mark = t->kind != QN_TOKENIZER_BPE || (t->pre_flags & QN_PRE_SPACE_MARK);
    bool sentences = t->kind == QN_TOKENIZER_SPM || t->kind == QN_TOKENIZER_UNIGRAM; /* as SentencePiece has them */
    t->add_space_prefix = desc->add_space_prefix && sentences;
    t->merge_spaces = desc->merge_spaces && t->kind == QN_TOKENIZER_UNIGRAM;
    t->lower_case = desc->lower_case && (t->kind == QN_TOKENIZER_WORDPIECE || (t->pre_flags & QN_PRE_DROP_SPACE));
    t->strip_accents = desc->strip_accents;
    t->count = desc->count;
    for (int role = 0; role < QN_TOKEN_ROLE_COUNT; role++) {
        t->roles[role] = desc->roles[role];
        t->adds[role] = desc->adds[role];
    }
    if (t->kind == QN_TOKENIZER_NONE)
        return NULL;
    if (t->count == 0)
        return QN_ERROR(QN_INVALID_FILE, "'%.*s' is empty", QN_STR_ARG(desc->tokens_name));
    bool scored = t->kind == QN_TOKENIZER_SPM || t->kind == QN_TOKENIZER_UNIGRAM;
    if (scored && !desc->scores)
        return QN_ERROR(QN_INVALID_FILE, "'%.*s' is missing: this kind of vocabulary needs it",
                        QN_STR_ARG(desc->scores_name));
    QN_TRY(qn_vocab_copy_tokens(t, desc));
    qn_vocab_find_special(t, desc);
    QN_TRY(qn_vocab_make_pieces(t, desc));
    QN_TRY(map_matches(t));
    find_bytes(t);
    QN_TRY(index_special(t));
    return build_kind(t, desc);
}

qn_status qn_tokenizer_build(const struct qn_vocab_desc *desc, const struct qn_allocator *allocator,
                             struct qn_tokenizer **out)
{
    allocator = allocator ? allocator : qn_allocator_default();
    struct qn_tokenizer *t = qn_calloc(allocator, 1, sizeof *t);
    if (!t)
        return QN_OOM();
    qn_arena_init(&t->arena, allocator);
    t->special.allocator = t->words.allocator = allocator;
    for (int role = 0; role < QN_TOKEN_ROLE_COUNT; role++)
        t->roles[role] = QN_TOKEN_NONE;
    qn_status status = build(t, desc);
    if (status) {
        qn_tokenizer_free(t);
        return qn_status_note(status, "tokenizer of '%.*s'", QN_STR_ARG(desc->origin));
    }
    *out = t;
    return NULL;
}

void qn_tokenizer_free(struct qn_tokenizer *t)
{
    if (!t)
        return;
    for (uint32_t i = 0; i < t->split_count; i++)
        qn_regex_free(t->splits[i].regex);
    qn_text_trie_deinit(&t->special);
    qn_text_trie_deinit(&t->words);
    if (t->pipeline)
        qn_pipeline_deinit(t->pipeline, t->arena.allocator);
    const struct qn_allocator *allocator = t->arena.allocator;
    qn_arena_deinit(&t->arena);
    qn_free(allocator, t, sizeof *t);
}
