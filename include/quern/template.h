/* Templates: the Jinja language of chat templates, from a template text and variables in JSON to a text.
 *
 *     struct qn_template *template = NULL;
 *     struct qn_text out = {0};
 *     status = qn_template_compile(text, size, NULL, &template);
 *     status = qn_template_render(template, json, json_size, NULL, &out);
 *     ... out.data[0 .. out.size) ...
 *     qn_text_free(&out);
 *     qn_template_free(template);
 *
 * The language is Jinja2's in the sandbox that transformers renders chat templates in: trim_blocks and lstrip_blocks,
 * break and continue, `generation` blocks, tojson, strftime_now and raise_exception as transformers defines them, no
 * automatic escaping. docs/chat-templates.md lists the filters, tests, methods and the few differences. Nothing
 * outside the variables can be reached: no file, no network, no environment.
 *
 * Every error names the template, the line and the column. Work is bounded by steps, memory, output and depth, so that
 * no template hangs or exhausts its caller.
 *
 * Threads: a template never changes after its compilation and may be rendered by many threads at once.
 */
#ifndef QUERN_TEMPLATE_H
#define QUERN_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quern/allocator.h"
#include "quern/status.h"
#include "quern/tokenizer.h"

#ifdef __cplusplus
extern "C" {
#endif

struct qn_template;

/* Zero is the default of every field but struct_size. */
struct qn_template_options {
    size_t struct_size;
    const char *name; /* for messages; NULL: "template" */
    const struct qn_allocator *allocator;
};

/* Reads a template; text[0..size) is UTF-8 and is copied. options NULL means zero. QN_INVALID_FILE for a mistake in the
 * template, QN_UNSUPPORTED for include, import and extends, which need other templates. */
qn_status qn_template_compile(const char *text, size_t size, const struct qn_template_options *options,
                              struct qn_template **out) QN_MUST_USE;
void qn_template_free(struct qn_template *template); /* NULL is allowed */

/* The moment that strftime_now() shows: a civil time without a zone. */
struct qn_template_time {
    int32_t year;                              /* 1 .. 9999 */
    int32_t month, day;                        /* from 1 */
    int32_t hour, minute, second, microsecond; /* from 0 */
};

/* Zero is the default of every field but struct_size. */
struct qn_template_render_options {
    size_t struct_size;
    uint64_t max_steps; /* evaluations, with long texts counted by their length; 0: 50 million, about a second */
    size_t max_memory;  /* bytes that values may take; 0: 256 MiB */
    size_t max_output;  /* bytes; 0: 64 MiB */
    uint32_t max_depth; /* nested evaluations; 0: 1500, which takes up to 1 MiB of stack */
    const struct qn_template_time *now; /* NULL: the system's local time */
    /* Called after the render for each part that a `generation` block outside of macros wrote, in the order of the
     * text: bytes [begin, end) of the output. NULL: nobody listens. */
    void (*on_generation)(void *context, size_t begin, size_t end);
    void *context;
};

/* Renders with the members of a JSON object as variables (size 0: none) and appends to *out. On failure *out is as
 * before. QN_INVALID_ARGUMENT for what the template cannot do with these variables, and for its own raise_exception();
 * QN_OUT_OF_RANGE names the limit that was passed; QN_UNSUPPORTED names a filter, test or function that is not known.
 */
qn_status qn_template_render(const struct qn_template *template, const char *json, size_t size,
                             const struct qn_template_render_options *options, struct qn_text *out) QN_MUST_USE;

/* Whether the template reads a variable of this name anywhere ("tools", "enable_thinking"). */
bool qn_template_reads(const struct qn_template *template, const char *name);

#ifdef __cplusplus
}
#endif
#endif
