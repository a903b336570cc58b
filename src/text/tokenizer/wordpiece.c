/* WordPiece as BERT has it: clean, cut at white space, punctuation and Chinese characters, then the longest tokens of
 * each word from its beginning on. GGUF writes a token that begins a word with U+2581 before it. */
#include <utf8proc.h>

#include "text/tokenizer/encoding.h"
#include "base/utf8.h"

static bool is_white(uint32_t c)
{
    return (c >= 9 && c <= 13) || c == ' ' || c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) ||
           c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

/* The ranges that BERT's tokenizer surrounds with spaces; the fifth begins a little late there too. */
static bool is_chinese(uint32_t c)
{
    return (c >= 0x4e00 && c <= 0x9fff) || (c >= 0x3400 && c <= 0x4dbf) || (c >= 0x20000 && c <= 0x2a6df) ||
           (c >= 0x2a700 && c <= 0x2b73f) || (c >= 0x2b740 && c <= 0x2b81f) || (c >= 0x2b920 && c <= 0x2ceaf) ||
           (c >= 0xf900 && c <= 0xfaff) || (c >= 0x2f800 && c <= 0x2fa1f);
}

static bool is_punctuation(uint32_t c)
{
    if (c < 0x80)
        return (c >= 0x21 && c <= 0x2f) || (c >= 0x3a && c <= 0x40) || (c >= 0x5b && c <= 0x60) ||
               (c >= 0x7b && c <= 0x7e);
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)c);
    return category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO;
}

/* Control, format, surrogate and private use characters: dropped. */
static bool is_hidden(uint32_t c)
{
    if (c == 0 || c == 0xfffd)
        return true;
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)c);
    return category >= UTF8PROC_CATEGORY_CC && category <= UTF8PROC_CATEGORY_CO;
}

/* Appends the tokens of the word in e->text, or the unknown token when they do not cover it. */
static qn_status flush_word(struct qn_encoding *e)
{
    const struct qn_tokenizer *t = e->tokenizer;
    const char *word = e->text.data;
    size_t size = e->text.size, before = e->out->count;
    if (e->text.failed)
        return QN_OOM();
    if (size <= 3)
        return NULL; /* nothing but the mark */
    for (size_t at = 0; at < size;) {
        size_t length = 0;
        int32_t best = -1;
        uint32_t node = 0;
        bool marked = at && size - at >= 3 && memcmp(word + at, QN_SPACE_MARK, 3) == 0; /* by the text, not by us */
        for (size_t k = at; t->words.nodes.count && !marked && k < size; k++) {
            node = qn_text_trie_step(&t->words, node, (uint8_t)word[k]);
            if (!node)
                break;
            if (t->words.nodes.items[node].id >= 0) {
                best = t->words.nodes.items[node].id;
                length = k + 1 - at;
            }
        }
        if (best < 0) {
            e->out->count = before;
            best = t->roles[QN_TOKEN_UNK];
            length = size - at;
        }
        if (!qn_encoding_emit(e, best))
            return QN_OOM();
        at += length;
    }
    e->text.size = 3;
    return NULL;
}

/* Adds a character to the word, after the word's end was dealt with. */
static qn_status add_char(struct qn_encoding *e, uint32_t c, bool alone)
{
    char utf8[4];
    if (alone)
        QN_TRY(flush_word(e));
    qn_strbuf_append(&e->text, utf8, qn_utf8_encode(c, utf8));
    return alone ? flush_word(e) : NULL;
}

/* One character that accents are already taken from. */
static qn_status add_lower(struct qn_encoding *e, uint32_t c, bool chinese)
{
    if (e->tokenizer->lower_case && c == 0x130) { /* the one letter whose small form is two */
        QN_TRY(add_char(e, 'i', false));
        c = 0x307;
    } else if (e->tokenizer->lower_case) {
        c = (uint32_t)utf8proc_tolower((utf8proc_int32_t)c);
    }
    return add_char(e, c, chinese || is_punctuation(c));
}

static qn_status add_cleaned(struct qn_encoding *e, uint32_t c)
{
    enum { MOST = 18 }; /* characters in the longest decomposition */
    bool chinese = is_chinese(c);
    if (!e->tokenizer->strip_accents || c < 0x80)
        return add_lower(e, c, chinese);
    utf8proc_int32_t parts[MOST];
    int boundary = 0;
    utf8proc_ssize_t count = utf8proc_decompose_char((utf8proc_int32_t)c, parts, MOST, UTF8PROC_DECOMPOSE, &boundary);
    if (count < 0 || count > MOST)
        return add_lower(e, c, chinese);
    for (utf8proc_ssize_t i = 0; i < count; i++)
        if (utf8proc_category(parts[i]) != UTF8PROC_CATEGORY_MN)
            QN_TRY(add_lower(e, (uint32_t)parts[i], chinese));
    return NULL;
}

qn_status qn_encode_wordpiece(struct qn_encoding *e, const char *text, size_t size)
{
    qn_strbuf_clear(&e->text);
    qn_strbuf_append(&e->text, QN_SPACE_MARK, 3);
    if (e->text.failed)
        return QN_OOM();
    for (size_t at = 0; at < size;) {
        uint32_t c = 0xfffd;
        size_t length = qn_utf8_decode(text + at, size - at, &c);
        at += length ? length : 1;
        if (!length || (is_hidden(c) && c != '\t' && c != '\n' && c != '\r'))
            continue; /* U+0085 and the like vanish before they could separate anything */
        QN_TRY(is_white(c) ? flush_word(e) : add_cleaned(e, c));
    }
    return flush_word(e);
}
