/* The tokens of a vocabulary: their texts, what they are, which have a role, and their pieces of text. */
#include <math.h>

#include "base/checked.h"
#include "text/tokenizer/byte_level.h"
#include "text/tokenizer/pre.h"
#include "text/tokenizer/vocab_build.h"

bool qn_text_ids_init(struct qn_text_ids *ids, struct qn_tokenizer *t)
{
    ids->longest = 0;
    return qn_map_init(&ids->map, &t->arena, t->count + t->count / 2); /* loosely filled: searches are short */
}

bool qn_text_ids_put(struct qn_text_ids *ids, const char *text, uint32_t size, uint32_t id)
{
    if (size > ids->longest)
        ids->longest = size;
    return qn_map_put(&ids->map, (struct qn_str){text, size}, id) != QN_MAP_FAILED;
}

/* ---- texts ---------------------------------------------------------------------------------------------------- */

qn_status qn_vocab_copy_tokens(struct qn_tokenizer *t, const struct qn_vocab_desc *desc)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < desc->count; i++)
        if (desc->texts[i].size > UINT32_MAX / 4 || !qn_add_u64(total, desc->texts[i].size, &total))
            return QN_ERROR(QN_INVALID_FILE, "'%.*s': token %u has %zu bytes", QN_STR_ARG(desc->tokens_name), i,
                            desc->texts[i].size);
    t->tokens = QN_ARENA_ARRAY(&t->arena, struct qn_token, desc->count);
    char *texts = qn_arena_alloc(&t->arena, (size_t)total, 1);
    if (!t->tokens || !texts || !qn_text_ids_init(&t->by_text, t))
        return QN_OOM();
    for (uint32_t i = 0; i < desc->count; i++) {
        struct qn_token *token = &t->tokens[i];
        uint32_t size = (uint32_t)desc->texts[i].size;
        if (size)
            memcpy(texts, desc->texts[i].data, size);
        *token = (struct qn_token){.text = texts, .text_size = size, .flags = QN_TOKEN_NORMAL};
        if (desc->types)
            token->flags = desc->types[i];
        if (desc->scores)
            token->score = desc->scores[i];
        if (isnan(token->score))
            return QN_ERROR(QN_INVALID_FILE, "'%.*s': the score of token %u is not a number",
                            QN_STR_ARG(desc->scores_name), i);
        if (size && !qn_text_ids_put(&t->by_text, token->text, size, i))
            return QN_OOM();
        texts += size;
    }
    return NULL;
}

/* ---- roles and ends of a generation --------------------------------------------------------------------------- */

enum { NO_ROLE = QN_TOKEN_ROLE_COUNT }; /* of rows of special.def that give none */

static const struct special_row {
    const char *text;
    int role;
    bool eog;
} special_rows[] = {
#define ROLE_NONE NO_ROLE
#define ROLE_EOT QN_TOKEN_EOT
#define ROLE_EOM QN_TOKEN_EOM
#define ROLE_FIM_PREFIX QN_TOKEN_FIM_PREFIX
#define ROLE_FIM_SUFFIX QN_TOKEN_FIM_SUFFIX
#define ROLE_FIM_MIDDLE QN_TOKEN_FIM_MIDDLE
#define ROLE_FIM_PAD QN_TOKEN_FIM_PAD
#define ROLE_FIM_REPO QN_TOKEN_FIM_REPO
#define ROLE_FIM_FILE QN_TOKEN_FIM_FILE
#define QN_SPECIAL(text, role, eog) {text, ROLE_##role, eog},
#include "text/tokenizer/special.def"
#undef QN_SPECIAL
};

static int32_t find(const struct qn_tokenizer *t, const char *text)
{
    return qn_text_ids_find(&t->by_text, text, strlen(text));
}

static void set_flags(struct qn_tokenizer *t, int32_t id, uint32_t set, uint32_t clear)
{
    if (id >= 0)
        t->tokens[id].flags = (t->tokens[id].flags & ~clear) | set;
}

static bool is_eog(const struct qn_tokenizer *t, const char *text)
{
    int32_t id = find(t, text);
    return id >= 0 && (t->tokens[id].flags & QN_TOKEN_EOG);
}

/* Cases in which a text that usually is special is not. */
static void correct_flags(struct qn_tokenizer *t)
{
    enum { KINDS = QN_TOKEN_NORMAL | QN_TOKEN_UNKNOWN | QN_TOKEN_CONTROL | QN_TOKEN_USER_DEFINED | QN_TOKEN_UNUSED };
    /* gpt-oss writes its channels with these: they belong into the shown text */
    static const char *const shown[] = {"<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"};
    for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++)
        set_flags(t, find(t, shown[i]), QN_TOKEN_USER_DEFINED, KINDS);
    /* <|end|> ends a message and not the answer where tokens for the latter exist */
    bool calls = is_eog(t, "<|call|>") || is_eog(t, "<|calls|>");
    if (calls && (is_eog(t, "<|return|>") || is_eog(t, "<|flush|>")) && is_eog(t, "<|end|>"))
        set_flags(t, find(t, "<|end|>"), QN_TOKEN_USER_DEFINED, KINDS | QN_TOKEN_EOG);
    /* Gemma 4 and PLaMo have </s> as plain text */
    if ((is_eog(t, "<|tool_response>") || is_eog(t, "<|plamo:eos|>")) && is_eog(t, "</s>"))
        set_flags(t, find(t, "</s>"), QN_TOKEN_NORMAL, KINDS | QN_TOKEN_EOG);
}

static bool contains(const struct qn_token *token, const char *word)
{
    size_t size = strlen(word);
    for (size_t at = 0; at + size <= token->text_size; at++)
        if (memcmp(token->text + at, word, size) == 0)
            return true;
    return false;
}

void qn_vocab_find_special(struct qn_tokenizer *t, const struct qn_vocab_desc *desc)
{
    for (int role = 0; role < QN_TOKEN_ROLE_COUNT; role++)
        t->roles[role] = desc->roles[role];
    for (size_t i = 0; i < sizeof special_rows / sizeof special_rows[0]; i++) {
        const struct special_row *row = &special_rows[i];
        int32_t id = find(t, row->text);
        if (id < 0)
            continue;
        bool unclaimed = row->role != NO_ROLE && t->roles[row->role] < 0;
        if (unclaimed)
            t->roles[row->role] = id;
        /* a fill-in-the-middle token counts only where it has its role */
        bool fim = row->role >= QN_TOKEN_FIM_PREFIX && row->role <= QN_TOKEN_FIM_FILE;
        if (unclaimed || !fim)
            set_flags(t, id, QN_TOKEN_CONTROL | (row->eog ? QN_TOKEN_EOG : 0), 0);
    }
    static const uint8_t ending[] = {QN_TOKEN_EOS,     QN_TOKEN_EOT,      QN_TOKEN_EOM,
                                     QN_TOKEN_FIM_PAD, QN_TOKEN_FIM_REPO, QN_TOKEN_FIM_FILE};
    for (size_t i = 0; i < sizeof ending; i++)
        set_flags(t, t->roles[ending[i]], QN_TOKEN_EOG, 0);
    correct_flags(t);
    for (uint32_t i = 0; i < t->count; i++) {
        struct qn_token *token = &t->tokens[i];
        if ((token->flags & QN_TOKEN_CONTROL) && contains(token, "unused"))
            token->flags |= QN_TOKEN_UNUSED;
        bool strips =
            desc->strip_after_special && (token->flags & (QN_TOKEN_CONTROL | QN_TOKEN_USER_DEFINED | QN_TOKEN_UNKNOWN));
        if (strips)
            token->flags |= QN_TOKEN_RSTRIP;
    }
    static const char *const keep[] = {"<unk>", "<s>", "<|endoftext|>"};
    for (size_t i = 0; i < sizeof keep / sizeof keep[0] && desc->strip_after_special; i++)
        set_flags(t, find(t, keep[i]), 0, QN_TOKEN_RSTRIP);
    if (desc->strip_before)
        set_flags(t, find(t, desc->strip_before), QN_TOKEN_LSTRIP, 0);
}

/* ---- pieces --------------------------------------------------------------------------------------------------- */

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                  : -1;
}

/* "<0x0A>" -> 10, or -1. */
static int byte_value(const struct qn_token *token)
{
    const char *s = token->text;
    if (token->text_size != 6 || memcmp(s, "<0x", 3) != 0 || s[5] != '>' || hex_digit(s[3]) < 0 || hex_digit(s[4]) < 0)
        return -1;
    return hex_digit(s[3]) * 16 + hex_digit(s[4]);
}

static size_t find_mark(const char *text, size_t size)
{
    const char *at = text;
    while ((at = memchr(at, '\xe2', size - (size_t)(at - text)))) {
        if (size - (size_t)(at - text) >= 3 && memcmp(at, QN_SPACE_MARK, 3) == 0)
            return (size_t)(at - text);
        at++;
    }
    return size;
}

/* The text with U+2581 as spaces; the same bytes where it has none. */
static bool unmark(struct qn_tokenizer *t, struct qn_token *token)
{
    size_t at = find_mark(token->text, token->text_size);
    if (at == token->text_size)
        return true;
    char *piece = qn_arena_alloc(&t->arena, token->text_size, 1);
    if (!piece)
        return false;
    size_t size = 0;
    for (at = 0; at < token->text_size;) {
        size_t next = at + find_mark(token->text + at, token->text_size - at);
        memcpy(piece + size, token->text + at, next - at);
        size += next - at;
        if (next < token->text_size)
            piece[size++] = ' ';
        at = next + 3;
    }
    token->piece = piece;
    token->piece_size = (uint32_t)size;
    return true;
}

static bool set_bytes(struct qn_tokenizer *t, struct qn_token *token, const char *bytes, size_t size)
{
    if (size == token->text_size && memcmp(bytes, token->text, size) == 0)
        return true;
    char *piece = qn_arena_alloc(&t->arena, size, 1);
    if (!piece)
        return false;
    memcpy(piece, bytes, size);
    token->piece = piece;
    token->piece_size = (uint32_t)size;
    return true;
}

qn_status qn_vocab_make_pieces(struct qn_tokenizer *t, const struct qn_vocab_desc *desc)
{
    bool byte_level = qn_vocab_is_byte_level(t);
    char *buffer = qn_arena_alloc(&t->arena, t->by_text.longest, 1);
    if (!buffer)
        return QN_OOM();
    for (uint32_t i = 0; i < t->count; i++) {
        struct qn_token *token = &t->tokens[i];
        token->piece = token->text;
        token->piece_size = token->text_size;
        size_t size;
        bool ok = true;
        if (token->flags & (QN_TOKEN_CONTROL | QN_TOKEN_USER_DEFINED | QN_TOKEN_UNKNOWN))
            continue;
        if (token->flags & QN_TOKEN_BYTE) {
            int value = byte_value(token);
            if (value < 0)
                return QN_ERROR(
                    QN_INVALID_FILE, "'%.*s': token %u is a byte, which is written <0x00> to <0xFF>, and not '%.*s'",
                    QN_STR_ARG(desc->tokens_name), i, QN_STR_ARG(((struct qn_str){token->text, token->text_size})));
            ok = set_bytes(t, token, (const char[]){(char)value}, 1);
        } else if (!byte_level) {
            ok = !t->space_mark || unmark(t, token);
        } else if (qn_byte_level_decode(token->text, token->text_size, buffer, &size)) {
            ok = set_bytes(t, token, buffer, size);
        }
        if (!ok)
            return QN_OOM();
    }
    return NULL;
}
