/* Character classes and properties on the way from Oniguruma to PCRE2 (part of regex_translate.c). */
#ifndef QN_TEXT_REGEX_CLASS_H
#define QN_TEXT_REGEX_CLASS_H

#include "base/status.h"
#include "base/str.h"

struct qn_regex_reader {
    struct qn_str pattern;
    size_t at;
    uint32_t depth; /* of groups and nested classes */
};

enum { QN_REGEX_DEPTH_MAX = 100 };

/* Raises QN_INVALID_ARGUMENT that shows the pattern and the position. */
qn_status qn_regex_fail(const struct qn_regex_reader *reader, const char *what) QN_MUST_USE;

static inline bool qn_regex_at(const struct qn_regex_reader *reader, const char *text)
{
    struct qn_str rest = {reader->pattern.data + reader->at, reader->pattern.size - reader->at};
    return qn_str_starts(rest, qn_str_from(text));
}

/* A character, or an escape that stands for one, at the reader's place; moves past it. inside: within a class. */
qn_status qn_regex_read_char(struct qn_regex_reader *reader, bool inside, uint32_t *codepoint) QN_MUST_USE;

/* Writes a literal so that no engine option gives it another meaning. */
void qn_regex_write_char(struct qn_strbuf *out, uint32_t codepoint);

/* The members of \d, \s, \w, \h (lower case letter given), as they stand between the brackets of a class. NULL for
 * another letter. 'W' gives those of \w outside brackets: there Oniguruma decides the first 256 code points by a table
 * of its own, in which the superscripts and fractions are word characters. */
const char *qn_regex_shorthand(char letter);

/* A property after \p or \P ("{L}", "{^Han}", "L"): its members as between the brackets of a class, and whether the
 * complement is meant. Moves past it. */
qn_status qn_regex_read_property(struct qn_regex_reader *reader, char letter, struct qn_strbuf *members,
                                 bool *negated) QN_MUST_USE;

/* A bracketed class at the reader's '[', with nested classes, && and POSIX names; writes an equivalent that matches
 * one character; moves past it. */
qn_status qn_regex_class(struct qn_regex_reader *reader, struct qn_strbuf *out) QN_MUST_USE;

#endif
