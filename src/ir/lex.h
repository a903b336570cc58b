/* Words, numbers and strings of the IR text, with the place of every mistake. Private to src/ir.
 *
 * Functions skip blanks (not the ends of lines) before what they read. */
#ifndef QN_IR_LEX_H
#define QN_IR_LEX_H

#include "base/arena.h"
#include "base/status.h"

struct qn_lex {
    struct qn_str text;
    size_t at, line_start; /* bytes */
    uint32_t line;         /* from 1 */
    struct qn_arena *strings;
};

static inline char qn_lex_peek(const struct qn_lex *p)
{
    return p->at < p->text.size ? p->text.data[p->at] : 0;
}

static inline bool qn_lex_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline bool qn_lex_is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static inline int qn_lex_hex_digit(char c)
{
    return qn_lex_is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "3:14: expected ..., found ..." at the current place or another of the same line. */
qn_status qn_lex_fail(const struct qn_lex *p, const char *expected) QN_MUST_USE;
qn_status qn_lex_fail_at(const struct qn_lex *p, size_t at, const char *expected) QN_MUST_USE;
/* Puts the place before a message. */
qn_status qn_lex_note(const struct qn_lex *p, size_t at, qn_status status) QN_MUST_USE;

void qn_lex_skip_blanks(struct qn_lex *p);
/* Takes the character if it is next. */
bool qn_lex_accept(struct qn_lex *p, char c);
qn_status qn_lex_expect(struct qn_lex *p, char c) QN_MUST_USE;
/* Letters, digits, '_' and '.', not starting with a digit; empty where there is none. A view of the text. */
struct qn_str qn_lex_word(struct qn_lex *p);
qn_status qn_lex_expect_word(struct qn_lex *p, const char *expected) QN_MUST_USE;

qn_status qn_lex_u64(struct qn_lex *p, uint64_t most, uint64_t *out) QN_MUST_USE;
qn_status qn_lex_u32(struct qn_lex *p, uint32_t *out) QN_MUST_USE;
qn_status qn_lex_i64(struct qn_lex *p, int64_t *out) QN_MUST_USE;
/* A decimal number, inf, -inf or nan; its point is a point in every locale. */
qn_status qn_lex_f64(struct qn_lex *p, double *out) QN_MUST_USE;
qn_status qn_lex_f32(struct qn_lex *p, float *out) QN_MUST_USE;
/* A quoted string, in which \xx is a byte; the copy lies in the arena. An absent optional one is empty. */
qn_status qn_lex_string(struct qn_lex *p, struct qn_str *out) QN_MUST_USE;
qn_status qn_lex_optional_string(struct qn_lex *p, struct qn_str *out) QN_MUST_USE;

/* Goes to the next line past blanks and a comment; *clean tells whether nothing else stood there. False at the end of
 * the text, too. */
bool qn_lex_next_line(struct qn_lex *p, bool *clean);

#endif
