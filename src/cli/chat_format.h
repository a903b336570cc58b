/* How a conversation is written for a model: four common formats, recognised by the markers in the model's own
 * template, and plain turns for all others. */
#ifndef QN_CLI_CHAT_FORMAT_H
#define QN_CLI_CHAT_FORMAT_H

#include <stdbool.h>
#include <stddef.h>

struct qn_chat_format {
    const char *name;
    const char *marker; /* text that only this format's templates hold; NULL: the last resort */
    const char *system_before, *system_after;
    const char *user_before, *user_after; /* user_after ends where the answer begins */
    const char *answer_after;             /* what closes an answer in the history */
    const char *stop;                     /* text that ends an answer where no token does, or NULL */
};

/* The format for a template (tokenizer.chat_template; NULL or size 0: the model has none). Static storage. */
const struct qn_chat_format *qn_chat_format_find(const char *chat_template, size_t size);
/* The format with this name, or NULL. */
const struct qn_chat_format *qn_chat_format_named(const char *name);
/* "chatml, llama3, ..." Static storage. */
const char *qn_chat_format_names(void);

#endif
