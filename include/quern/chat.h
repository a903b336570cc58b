/* Conversations: messages in, the text that a model wants out, by the model's own chat template.
 *
 *     struct qn_chat *chat = NULL;
 *     status = qn_chat_create(model, tokenizer, NULL, &chat);
 *     status = qn_chat_encode(chat, "{\"messages\": [{\"role\": \"user\", \"content\": \"Hello\"}],"
 *                             " \"add_generation_prompt\": true}", size, &tokens);
 *     ... qn_llm_generate with these tokens, its text through a qn_chat_parser ...
 *     qn_chat_free(chat);
 *
 * No template is recognised: what a model writes around its reasoning and around tool calls is found by rendering a
 * conversation whose reasoning and tool calls are known.
 *
 * A request is a JSON object. Its members are the template's variables: messages (each with role, content,
 * reasoning_content, tool_calls, ...), tools, documents, add_generation_prompt, and whatever else the template reads
 * (enable_thinking). tools and documents that are absent are none; bos_token, eos_token and the other special tokens
 * come from the tokenizer. "continue_final_message": true leaves the last message open for the model to go on.
 *
 * Threads: a qn_chat never changes after its creation and may be used by many threads at once. A qn_chat_parser belongs
 * to one thread at a time.
 */
#ifndef QUERN_CHAT_H
#define QUERN_CHAT_H

#include "quern/template.h"

#ifdef __cplusplus
extern "C" {
#endif

struct qn_model;
struct qn_chat;

/* Zero is the default of every field but struct_size. */
struct qn_chat_options {
    size_t struct_size;
    const char *template_text; /* instead of the model's own; not terminated */
    size_t template_size;
    const char *template_file;          /* its name for messages; NULL: "template" */
    const struct qn_template_time *now; /* for strftime_now; NULL: the system's time at each render. Copied. */
    const struct qn_allocator *allocator;
};

/* The templates of a model: tokenizer.chat_template and tokenizer.chat_template.<name> of a GGUF file; of a folder
 * chat_template.jinja and additional_chat_templates/tool_use.jinja, chat_template.json, or chat_template in
 * tokenizer_config.json, a text or a list. A model without one gets the plain template of docs/chat-templates.md. The
 * tokenizer must outlive the qn_chat, the model need not; either may be NULL. */
qn_status qn_chat_create(const struct qn_model *model, const struct qn_tokenizer *tokenizer,
                         const struct qn_chat_options *options, struct qn_chat **out) QN_MUST_USE;
void qn_chat_free(struct qn_chat *chat); /* NULL is allowed */

/* Whether the model has a template of its own, or one was given. */
bool qn_chat_has_template(const struct qn_chat *chat);
/* Text that ends an answer although no token does ("\nUser:" of the plain template), or NULL. */
const char *qn_chat_stop(const struct qn_chat *chat);

/* Appends the text of a request. Of several templates "tool_use" is taken where the request has tools, else "default".
 * Arguments of tool calls that are texts with a JSON object become that object. */
qn_status qn_chat_render(const struct qn_chat *chat, const char *request, size_t size, struct qn_text *out) QN_MUST_USE;

/* Appends its tokens: control tokens are read where the template wrote them, and stay text where they come from
 * messages of users, tools and systems, so that nobody can type a role. */
qn_status qn_chat_encode(const struct qn_chat *chat, const char *request, size_t size,
                         struct qn_tokens *tokens) QN_MUST_USE;

/* ---- answers -------------------------------------------------------------------------------------------------- */

enum qn_chat_part {
    QN_CHAT_CONTENT = 0,
    QN_CHAT_REASONING = 1,
    QN_CHAT_TOOL_CALL = 2, /* a whole call: {"name": ..., "arguments": ...} */
};

/* What the template writes around reasoning and around calls of tools; "" where it writes none. They live as long as
 * the qn_chat. An answer is to be generated with control tokens shown where the markers are control tokens. */
struct qn_chat_markers {
    size_t struct_size;
    const char *reasoning_begin, *reasoning_end;
    const char *tool_begin, *tool_end;
    bool special; /* a marker is a control token: generate with qn_generate_options.special */
};
void qn_chat_get_markers(const struct qn_chat *chat, struct qn_chat_markers *out);

/* Cuts an answer that comes in pieces into reasoning, content and tool calls. `prompt` is the text that the answer
 * follows: where it ends within reasoning, the answer begins there. */
struct qn_chat_parser;
qn_status qn_chat_parser_create(const struct qn_chat *chat, const char *prompt, size_t size,
                                struct qn_chat_parser **out) QN_MUST_USE;
/* The tools of the request, a JSON list: their schemas tell what an argument is that the model writes without a sign of
 * its type ("5": a text or a number). Without them what can be read as JSON is taken for that. Each is {"name": ...,
 * "parameters": schema}, or has such an object as "function"; others are QN_INVALID_ARGUMENT. Copied. */
qn_status qn_chat_parser_set_tools(struct qn_chat_parser *parser, const char *tools, size_t size) QN_MUST_USE;
typedef void qn_chat_sink(void *context, enum qn_chat_part part, const char *text, size_t size);
/* Takes the next piece and gives out what is certain. */
qn_status qn_chat_parser_push(struct qn_chat_parser *parser, const char *text, size_t size, qn_chat_sink *sink,
                              void *context) QN_MUST_USE;
/* The end: gives out what was held back. A call that is not whole is given out as content. */
qn_status qn_chat_parser_finish(struct qn_chat_parser *parser, qn_chat_sink *sink, void *context) QN_MUST_USE;
void qn_chat_parser_free(struct qn_chat_parser *parser); /* NULL is allowed */

#ifdef __cplusplus
}
#endif
#endif
