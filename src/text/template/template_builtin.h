/* What filters and methods share. */
#ifndef QN_TEXT_TEMPLATE_BUILTIN_H
#define QN_TEXT_TEMPLATE_BUILTIN_H

#include "base/utf8.h"
#include "text/template/template_machine.h"
#include "text/template/template_unicode.h"

/* The end of the line that begins at `at`, without its break, and where the next one begins: Python's splitlines(). */
size_t qn_tpl_line_end(struct qn_str text, size_t at, size_t *next);
/* count < 0: all. */
bool qn_tpl_replace(struct qn_tpl *t, struct qn_str text, struct qn_str old, struct qn_str new, int64_t count,
                    struct qn_val *out);
/* To `width` characters: side < 0: the text stands left, 0: in the middle, > 0: right. */
bool qn_tpl_pad(struct qn_tpl *t, struct qn_val text, int64_t width, struct qn_str fill, int side, struct qn_val *out);
/* The named arguments as a DICT. */
bool qn_tpl_named_dict(struct qn_tpl *t, const struct qn_tpl_args *args, struct qn_val *out);
/* dict(mapping or pairs, **named) */
bool qn_tpl_dict_of(struct qn_tpl *t, const struct qn_tpl_args *args, struct qn_val *out);
/* Adds a mapping's members or pairs to a dict. */
bool qn_tpl_dict_update(struct qn_tpl *t, struct qn_val_dict *dict, struct qn_val source);
/* item.a.0.b for the attribute "a.0.b", or an element for an integer; NONE: the item itself. fallback MISSING: none. */
bool qn_tpl_attr_path(struct qn_tpl *t, struct qn_val item, struct qn_val attribute, struct qn_val fallback,
                      struct qn_val *out);
/* A text in lower case, anything else as it is. */
bool qn_tpl_ignore_case(struct qn_tpl *t, struct qn_val v, struct qn_val *out);

#endif
