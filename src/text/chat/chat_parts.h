/* The parts of a qn_chat. */
#ifndef QN_TEXT_CHAT_PARTS_H
#define QN_TEXT_CHAT_PARTS_H

#include "base/arena.h"
#include "base/array.h"
#include "base/json.h"
#include "quern/chat.h"

/* How a template writes a call of a tool. */
enum qn_chat_tool_style {
    QN_CHAT_TOOL_NONE = 0, /* not at all, or in a way that is not understood */
    QN_CHAT_TOOL_OBJECT,   /* {"name": ..., "arguments": {...}} between the markers */
    QN_CHAT_TOOL_NAMED,    /* the name, `middle`, {...} between the markers */
};

struct qn_chat {
    const struct qn_allocator *allocator;
    const struct qn_tokenizer *tokenizer;
    struct qn_arena arena;
    struct qn_template *usual, *with_tools; /* with_tools NULL: the usual one */
    struct qn_str source;                   /* of the usual one */
    bool own;                               /* the model's or the caller's, not the plain one */
    bool timed;
    struct qn_template_time now;
    QN_ARRAY(struct qn_str) controls; /* texts of the control tokens */
    struct qn_str reasoning_begin, reasoning_end, tool_begin, tool_middle, tool_end, name_key, arguments_key;
    struct qn_str reasoning_rest; /* what may follow reasoning_end before the content */
    enum qn_chat_tool_style tool_style;
};

/* Renders a request; marked: control tokens of untrusted texts stand between U+FDD0 and U+FDD1. */
qn_status qn_chat_render_marked(const struct qn_chat *chat, struct qn_str request, bool marked, struct qn_text *out);

/* Finds the markers. What cannot be found stays empty; the only errors are lack of memory. */
qn_status qn_chat_probe(struct qn_chat *chat);

/* The end of the JSON object or array that begins at text[at], 0 while it is not whole. */
size_t qn_chat_json_end(struct qn_str text, size_t at);

#endif
