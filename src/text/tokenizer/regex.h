/* Regular expressions of pre-tokenisers: written for Oniguruma (as Hugging Face tokenizers read them) or for Rust's
 * regex crate, run by PCRE2 with its JIT.
 */
#ifndef QN_TEXT_REGEX_H
#define QN_TEXT_REGEX_H

#include "base/arena.h"
#include "base/status.h"

/* A compiled pattern. It never changes: any number of threads may search with it, each with its own matcher. */
struct qn_regex;

/* Errors (QN_INVALID_ARGUMENT, QN_UNSUPPORTED) name the pattern and the place in it. */
qn_status qn_regex_create(struct qn_str pattern, const struct qn_allocator *allocator,
                          struct qn_regex **out) QN_MUST_USE;
void qn_regex_free(struct qn_regex *regex); /* NULL is allowed */

/* The working memory of one thread, for any number of patterns. */
struct qn_matcher;
qn_status qn_matcher_create(const struct qn_allocator *allocator, struct qn_matcher **out) QN_MUST_USE;
void qn_matcher_free(struct qn_matcher *matcher); /* NULL is allowed */

/* The first match in text[0..size) that begins at or after `start`. The text must be valid UTF-8. *found false: there
 * is none. An error (QN_OUT_OF_RANGE) when the pattern backtracks without end on this text. */
qn_status qn_regex_find(const struct qn_regex *regex, struct qn_matcher *matcher, const char *text, size_t size,
                        size_t start, size_t *begin, size_t *end, bool *found) QN_MUST_USE;

/* Appends the pattern to *out as PCRE2 (UTF, UCP, multi-line, newline is \n) understands it with the same meaning. */
qn_status qn_regex_translate(struct qn_str pattern, struct qn_strbuf *out) QN_MUST_USE;

#endif
