/* Numbers as the formats of printf and str.format write them. */
#ifndef QN_TEXT_TEMPLATE_FORMAT_H
#define QN_TEXT_TEMPLATE_FORMAT_H

#include "text/template/template_machine.h"

struct qn_tpl_spec {
    struct qn_str fill; /* one character */
    char align;         /* '<' '>' '^' '=', 0: the kind's own */
    char sign;          /* '-' '+' ' ' */
    char grouping;      /* ',' '_' or 0 */
    char type;          /* 0: none */
    bool alternate;
    int64_t width, precision; /* -1: none */
};

/* Pads prefix (a sign, "0x") and body to the width. */
bool qn_tpl_put_padded(struct qn_tpl *t, const struct qn_tpl_spec *spec, char align, struct qn_str prefix,
                       struct qn_str body, struct qn_strbuf *out);
/* type: d b o x X c */
bool qn_tpl_put_int(struct qn_tpl *t, const struct qn_tpl_spec *spec, int64_t value, struct qn_strbuf *out);
/* type: e E f F g G %, 0: as repr does */
bool qn_tpl_put_float(struct qn_tpl *t, const struct qn_tpl_spec *spec, double value, struct qn_strbuf *out);
bool qn_tpl_put_str(struct qn_tpl *t, const struct qn_tpl_spec *spec, struct qn_str text, struct qn_strbuf *out);

#endif
