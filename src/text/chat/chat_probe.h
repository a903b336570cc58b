/* Learning what a template writes: answers that are known are rendered and looked at. */
#ifndef QN_TEXT_CHAT_PROBE_H
#define QN_TEXT_CHAT_PROBE_H

#include "text/chat/chat_parts.h"

/* Words of the probes. */
#define QN_PROBE_USER "{\"role\": \"user\", \"content\": \"qnprobeuser\"}"
#define QN_PROBE_TOOL "qnprobetool"

struct qn_chat_prober {
    struct qn_chat *chat;
    struct qn_text prompt; /* ends where an answer begins; with tools or without */
    bool prompted, prompt_tools;
    struct qn_text text; /* of the last probe */
};

/* Renders messages behind QN_PROBE_USER, with a tool where `tools` is set, into p->text; empty where the template
 * refuses. *answer is what the template writes behind the prompt. The only errors are lack of memory. */
qn_status qn_chat_probe_answer(struct qn_chat_prober *p, const char *messages, bool tools, struct qn_str *answer);

/* The position of the words in the text, or SIZE_MAX. */
size_t qn_chat_word(struct qn_str text, const char *words);

/* The part of the text at [begin, end). */
static inline struct qn_str qn_chat_part_of(struct qn_str text, size_t begin, size_t end)
{
    return (struct qn_str){text.data + begin, end > begin ? end - begin : 0};
}

/* How many bytes both begin with, and end with; a tag that both begin or end only in part does not count. */
size_t qn_chat_common_begin(struct qn_str a, struct qn_str b);
size_t qn_chat_common_end(struct qn_str a, struct qn_str b);

/* Copies the text, without white space around it, into the arena. */
qn_status qn_chat_keep(struct qn_chat *chat, struct qn_str text, struct qn_str *out);

/* Takes off what a text shares with the beginning of a plain answer, and reasoning that is empty. */
struct qn_str qn_chat_without_lead(const struct qn_chat_prober *p, struct qn_str text);

/* Learns how calls are written. */
void qn_chat_forget_calls(struct qn_chat *chat);
qn_status qn_chat_learn_calls(struct qn_chat_prober *p);

#endif
