/* Unigram as SentencePiece has it: normalise, then the split into tokens whose scores have the highest sum. */
#include <float.h>

#include "text/tokenizer/encoding.h"
#include "base/utf8.h"

/* ---- normalising ---------------------------------------------------------------------------------------------- */

struct normalizer {
    struct qn_encoding *e;
    bool prefix; /* put a space before the first word */
    bool in_word, any;
};

static void add_bytes(struct normalizer *n, const char *text, size_t size)
{
    struct qn_strbuf *out = &n->e->text;
    bool merge = n->e->tokenizer->merge_spaces;
    for (size_t i = 0; i < size; i++) {
        if (text[i] == ' ') {
            n->in_word = false;
            if (!merge)
                qn_strbuf_append(out, QN_SPACE_MARK, 3);
            continue;
        }
        if (!n->in_word && ((n->prefix && !n->any) || (merge && n->any)))
            qn_strbuf_append(out, QN_SPACE_MARK, 3);
        n->in_word = n->any = true;
        qn_strbuf_append(out, text + i, 1);
    }
}

/* The longest user-defined token at the text, which stays as it is. */
static size_t user_defined_at(const struct qn_tokenizer *t, const char *text, size_t size)
{
    size_t best = 0;
    uint32_t node = 0;
    if (!t->begins_user_defined[(uint8_t)text[0]])
        return 0;
    for (size_t at = 0; at < size && (node = qn_text_trie_step(&t->special, node, (uint8_t)text[at])); at++)
        if (qn_token_is(t, t->special.nodes.items[node].id, QN_TOKEN_USER_DEFINED))
            best = at + 1;
    return best;
}

static qn_status normalize(struct qn_encoding *e, const char *text, size_t size, bool prefix)
{
    const struct qn_tokenizer *t = e->tokenizer;
    struct normalizer n = {e, prefix && (t->add_space_prefix || t->merge_spaces), false, false};
    qn_strbuf_clear(&e->text);
    for (size_t at = 0; at < size;) {
        struct qn_str replacement;
        uint32_t c;
        size_t length = user_defined_at(t, text + at, size - at);
        if (!length && (length = qn_charsmap_find(&t->charsmap, text + at, size - at, true, &replacement))) {
            add_bytes(&n, replacement.data, replacement.size);
        } else if (length || (length = qn_utf8_decode(text + at, size - at, &c))) {
            add_bytes(&n, text + at, length);
        } else {
            length = 1;
            add_bytes(&n, "\xef\xbf\xbd", 3);
        }
        at += length;
    }
    return e->text.failed ? QN_OOM() : NULL;
}

/* ---- the best split ------------------------------------------------------------------------------------------- */

/* How the text up to here is best split: its last token, where that begins, and the sum of scores. */
struct best {
    double score;
    uint32_t from;
    int32_t id;
};

static void improve(struct best *best, double score, size_t from, int32_t id)
{
    if (score > best->score)
        *best = (struct best){score, (uint32_t)from, id};
}

static void find_best(const struct qn_tokenizer *t, const char *text, size_t size, struct best *bests)
{
    for (size_t i = 1; i <= size; i++)
        bests[i].score = -DBL_MAX;
    bests[0] = (struct best){0, 0, -1};
    for (size_t at = 0; at < size;) {
        size_t step = qn_utf8_step(text + at, size - at);
        uint32_t node = 0;
        bool covered = false;
        for (size_t end = at; t->words.nodes.count && end < size; end++) {
            node = qn_text_trie_step(&t->words, node, (uint8_t)text[end]);
            if (!node)
                break;
            int32_t id = t->words.nodes.items[node].id;
            if (id < 0)
                continue;
            covered |= end + 1 - at == step;
            double score = t->tokens[id].flags & QN_TOKEN_USER_DEFINED ? 0.0 : (double)t->tokens[id].score;
            improve(&bests[end + 1], bests[at].score + score, at, id);
        }
        if (!covered)
            improve(&bests[at + step], bests[at].score + (double)t->unknown_score, at, t->roles[QN_TOKEN_UNK]);
        at += step;
    }
}

qn_status qn_encode_unigram(struct qn_encoding *e, const char *text, size_t size, bool prefix)
{
    const struct qn_tokenizer *t = e->tokenizer;
    QN_TRY(normalize(e, text, size, prefix));
    size_t length = e->text.size, before = e->out->count;
    if (length == 0)
        return NULL;
    if (length > INT32_MAX)
        return QN_ERROR(QN_OUT_OF_RANGE, "a text of %zu bytes is too long for one call", size);
    struct best *bests = qn_calloc(e->allocator, length + 1, sizeof *bests);
    if (!bests)
        return QN_OOM();
    find_best(t, e->text.data, length, bests);
    bool ok = true, unknown = false;
    for (size_t at = length; at && ok; at = bests[at].from) { /* from the end; unknown ones in a row become one */
        bool again = unknown && bests[at].id == t->roles[QN_TOKEN_UNK];
        unknown = bests[at].id == t->roles[QN_TOKEN_UNK];
        ok = again || qn_encoding_emit(e, bests[at].id);
    }
    for (size_t i = before, k = e->out->count; ok && i + 1 < k; i++) {
        int32_t swap = e->out->ids[i];
        e->out->ids[i] = e->out->ids[--k];
        e->out->ids[k] = swap;
    }
    qn_free(e->allocator, bests, (length + 1) * sizeof *bests);
    return ok ? NULL : QN_OOM();
}
