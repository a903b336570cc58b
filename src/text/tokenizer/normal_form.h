/* Unicode's normal forms as changes of a text, so that each character keeps the place it came from. */
#ifndef QN_TEXT_NORMAL_FORM_H
#define QN_TEXT_NORMAL_FORM_H

#include "text/tokenizer/aligned.h"

enum qn_normal_form {
    QN_NFD = 0,
    QN_NFC = 1,  /* bit 0: composed */
    QN_NFKD = 2, /* bit 1: by compatibility */
    QN_NFKC = 3,
};

/* Appends the characters of the text in that form. The text must be valid UTF-8. */
qn_status qn_normal_form(enum qn_normal_form form, struct qn_str text, const struct qn_allocator *allocator,
                         struct qn_changes *out) QN_MUST_USE;

/* Whether the text is the same in every form: nothing in it has a decomposition or a place in the order of marks. */
bool qn_normal_already(struct qn_str text);

#endif
