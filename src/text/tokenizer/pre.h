/* The pre-tokenisers that GGUF files name in tokenizer.ggml.pre. */
#ifndef QN_TEXT_PRE_H
#define QN_TEXT_PRE_H

#include "base/str.h"

enum { QN_PRE_PATTERNS_MAX = 6 };

enum qn_pre_flag {
    QN_PRE_WHOLE_WORDS = 1 << 0, /* a piece that is a token is not put through the merges */
    QN_PRE_ADD_BOS = 1 << 1,     /* unless the file says otherwise */
    QN_PRE_FORCE_BOS = 1 << 6,   /* even where the file says otherwise: early files of that model were wrong */
    QN_PRE_CHARACTERS = 1 << 2,  /* merges work on characters as they are, not on bytes in GPT-2's alphabet */
    QN_PRE_SPACE_MARK = 1 << 3,  /* a space is written U+2581 */
    QN_PRE_NEWLINES = 1 << 4,    /* a piece of newlines that is a token is not put through the merges */
    QN_PRE_DROP_SPACE = 1 << 5,  /* white space separates and is dropped; letters become small where the file asks */
};

struct qn_pre {
    const char *name;
    const char *patterns[QN_PRE_PATTERNS_MAX]; /* applied one after the other, each to the pieces of the one before */
    uint32_t flags;
};

/* The row of a name, or NULL. Static storage. */
const struct qn_pre *qn_pre_find(struct qn_str name);

#endif
