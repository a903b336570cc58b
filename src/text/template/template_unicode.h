/* Characters as Python's str sees them: case, classes, white space. */
#ifndef QN_TEXT_TEMPLATE_UNICODE_H
#define QN_TEXT_TEMPLATE_UNICODE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

bool qn_uni_is_space(uint32_t c);
bool qn_uni_is_line_break(uint32_t c);
bool qn_uni_is_alpha(uint32_t c);
bool qn_uni_is_decimal(uint32_t c);
bool qn_uni_is_digit(uint32_t c);
bool qn_uni_is_numeric(uint32_t c);
bool qn_uni_is_printable(uint32_t c);
bool qn_uni_is_lower(uint32_t c);
bool qn_uni_is_upper(uint32_t c);
bool qn_uni_is_title(uint32_t c);
bool qn_uni_is_word(uint32_t c); /* \w of Python's re */

enum qn_uni_case {
    QN_UNI_UPPER,
    QN_UNI_LOWER,
    QN_UNI_TITLE,      /* the first letter of each run of letters */
    QN_UNI_CAPITALIZE, /* the first character */
    QN_UNI_SWAP,
    QN_UNI_FOLD,
};

/* Appends the text in another case. The text is valid UTF-8, as it is for all functions here. */
void qn_uni_change_case(struct qn_str text, enum qn_uni_case how, struct qn_strbuf *out);

/* Without the white space at its ends. */
struct qn_str qn_uni_strip(struct qn_str text, bool left, bool right);
/* Without the characters of `chars` at its ends. */
struct qn_str qn_uni_strip_chars(struct qn_str text, struct qn_str chars, bool left, bool right);
/* Length in bytes of the last character of a text that is not empty. */
uint32_t qn_uni_last(struct qn_str text, size_t *size);
/* The first character; size: its bytes. */
uint32_t qn_uni_first(struct qn_str text, size_t *size);

#endif
