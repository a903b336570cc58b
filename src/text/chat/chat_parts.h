/* The parts of a qn_chat. */
#ifndef QN_TEXT_CHAT_PARTS_H
#define QN_TEXT_CHAT_PARTS_H

#include "base/arena.h"
#include "base/array.h"
#include "base/json.h"
#include "quern/chat.h"

/* How a template writes the name and the arguments of a call. */
enum qn_chat_call_style {
    QN_CHAT_CALL_NONE = 0, /* not at all, or in a way that is not understood */
    QN_CHAT_CALL_OBJECT,   /* {"name": NAME, "arguments": {...}} */
    QN_CHAT_CALL_KEYED,    /* {NAME: {...}} */
    QN_CHAT_CALL_NAMED,    /* NAME name_end {...} */
    QN_CHAT_CALL_TAGGED,   /* NAME name_end, then each argument between markers of its own */
};

/* How a template writes calls, as it was learned from calls that are known:
 *
 *     section_begin (begin CALL end)... section_end
 *
 * Markers have no white space around them, and match whatever white space stands between their tags. Empty: none. */
struct qn_chat_call_shape {
    enum qn_chat_call_style style;
    struct qn_str section_begin, section_end, begin, end;
    struct qn_str id_end;                            /* stands behind an id that follows `begin` */
    struct qn_str name_key, arguments_key;           /* OBJECT */
    struct qn_str name_end;                          /* NAMED, TAGGED: what follows the name */
    struct qn_str name_rest;                         /* TAGGED: stands behind an id that follows name_end */
    struct qn_str param_begin, param_end, separator; /* TAGGED: around each argument, and between two */
    struct qn_str key_again;                         /* param_end, the key once more, this: </KEY> */
    struct qn_str key_end, text_sign, value_begin;   /* between key and value; text_sign only before texts */
    struct qn_str quote;                             /* values are literals, and texts stand between two of these */
    struct qn_str gap_before, gap_behind;            /* white space that is written around a value */
};

struct qn_chat {
    const struct qn_allocator *allocator;
    const struct qn_tokenizer *tokenizer;
    struct qn_arena arena;
    struct qn_template *usual, *with_tools; /* with_tools NULL: the usual one */
    struct qn_str source;                   /* of the usual one */
    bool own;                               /* the model's or the caller's, not the plain one */
    bool arguments_as_text;                 /* the template wants arguments of calls as a text with JSON */
    bool timed;
    struct qn_template_time now;
    QN_ARRAY(struct qn_str) controls; /* texts of the control tokens */
    struct qn_str reasoning_begin, reasoning_end;
    struct qn_str reasoning_rest; /* what may follow reasoning_end before the content */
    struct qn_str content_begin;  /* what may stand before the content */
    struct qn_str content_end;    /* the marker that follows it */
    struct qn_str turn_begin;     /* what a prompt ends with, where each part of an answer has a head of its own */
    struct qn_chat_call_shape call;
    struct qn_str tool_begin; /* section_begin and begin */
};

/* Renders a request; marked: control tokens of untrusted texts stand between U+FDD0 and U+FDD1. */
qn_status qn_chat_render_marked(const struct qn_chat *chat, struct qn_str request, bool marked, struct qn_text *out);

/* Finds the markers. What cannot be found stays empty; the only errors are lack of memory. */
qn_status qn_chat_probe(struct qn_chat *chat);

/* ---- texts ---------------------------------------------------------------------------------------------------- */

static inline bool qn_chat_is_gap(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The text without white space around it. */
struct qn_str qn_chat_trim(struct qn_str text);

/* The tag that the text begins with, else the whole text: "</think>" of "</think>\n\n". */
struct qn_str qn_chat_first_tag(struct qn_str text);

enum qn_chat_match {
    QN_CHAT_NO = 0,
    QN_CHAT_YES,
    QN_CHAT_MORE, /* the text ends before that is certain */
};

/* Whether the marker, which is not empty, stands at text[*at], white space before and between its tags aside; *at moves
 * behind it. */
enum qn_chat_match qn_chat_match(struct qn_str text, size_t *at, struct qn_str marker);

/* Where the marker first stands at or behind text[at]: *begin and *end. MORE: its beginning may stand at *begin. */
enum qn_chat_match qn_chat_find(struct qn_str text, size_t at, struct qn_str marker, size_t *begin, size_t *end);

/* The end of the JSON object or array that begins at text[at], 0 while it is not whole. */
size_t qn_chat_json_end(struct qn_str text, size_t at);

/* ---- calls ---------------------------------------------------------------------------------------------------- */

/* Reads the call that stands at text[*at], behind `begin`: appends {"name": ..., "arguments": {...}} to `out` and moves
 * *at behind it, before `end`. `tools` (NULL: unknown) tells the types of arguments that are written without one. */
qn_status qn_chat_read_call(const struct qn_chat *chat, const struct qn_json *tools, struct qn_str text, size_t *at,
                            struct qn_strbuf *out, enum qn_chat_match *match);

/* One value as a literal of Python or alike, up to what ends it at text[*at], as JSON. */
enum qn_chat_match qn_chat_read_literal(struct qn_str text, size_t *at, struct qn_str quote, struct qn_strbuf *out);

#endif
