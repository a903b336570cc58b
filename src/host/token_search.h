/* The state of a search for token sequences: one tensor u8 [bytes] which starts with struct qn_search, the lists behind
 * it. A step copies the state it is given and writes into the copy. "rows" are the sequences under way: of each of the
 * batch as many as there are beams, which lie together.
 *
 * Search is greedy, sampled, or by beams (Wu et al., "Google's Neural Machine Translation System", 2016: the score of
 * a sequence that has ended is its log probability over length^penalty). Where implementations differ, it is done as in
 * ONNX Runtime's com.microsoft ops.
 *
 * Threads: pure but for the state's own memory. */
#ifndef QN_HOST_TOKEN_SEARCH_H
#define QN_HOST_TOKEN_SEARCH_H

#include "host/host_call.h"
#include "ir/ir.h"

enum { QN_SEARCH_MOST_TOKENS = 4096, QN_SEARCH_MOST_BEAMS = 128 };

/* The head of the state, as it lies there. */
struct qn_search {
    struct qn_attr_search attr;
    int64_t batch, beams, returned;
    int64_t max_length, min_length, length; /* tokens: room, least, now */
    int64_t steps;                          /* done */
    int64_t speech;                         /* the rules for times hold */
    float length_penalty, repetition_penalty, temperature;
    uint32_t random; /* state of the generator */
};

/* The state with its lists found. */
struct qn_search_view {
    struct qn_search *head;
    int64_t rows;
    int32_t *tokens;      /* [rows, max_length] */
    float *scores;        /* [rows], sums of log probabilities */
    int32_t *ended;       /* [rows, max_length]: by sequence of the batch the ones that have ended, best first */
    int32_t *lengths;     /* [rows], of those */
    float *ended_scores;  /* [rows] */
    int32_t *ended_count; /* [batch] */
    int32_t *done;        /* [batch] */
};

/* Finds the lists; an error where the tensor is no such state. */
qn_status qn_search_open(const struct qn_view *state, struct qn_search_view *out) QN_MUST_USE;

/* What a step is given beside the state; NULL where it is absent. */
struct qn_search_masks {
    const int32_t *allowed; /* [vocab] */
    const int32_t *first;   /* [batch, vocab]: allowed in the first step */
    const int32_t *present; /* [batch, vocab]: penalised */
};
/* Changes scores [rows, vocab] as the search's settings and the masks want it. They are logits, for beams log
 * probabilities. `seen`: room for vocab bytes. */
void qn_search_adjust(const struct qn_search_view *s, const struct qn_search_masks *masks, int64_t vocab, float *scores,
                      uint8_t *seen);
/* Log probabilities in the place of one row's logits. */
void qn_search_log_softmax(float *row, int64_t vocab);

/* The next token of each row: the likeliest, or drawn. `order` and `spare`: room for vocab numbers each. */
void qn_search_likeliest(const struct qn_search_view *s, int64_t vocab, const float *scores, int32_t *next);
void qn_search_draw(struct qn_search_view *s, int64_t vocab, float *scores, int32_t *order, float *spare,
                    int32_t *next);
/* A continuation of one of a sequence's beams. */
struct qn_search_candidate {
    float score;
    int64_t at; /* beam * vocab + token */
};
/* Of each sequence of the batch the best continuations of its beams: next tokens, and the rows (of all) that they
 * continue; sequences that end are kept in the state. Adds what the rows have to their scores. `room`: for 2 * rows.
 * The vocabulary has 2 tokens at least. */
void qn_search_beams(struct qn_search_view *s, int64_t vocab, float *scores, struct qn_search_candidate *room,
                     int32_t *next, int64_t *rows);
/* Sequences that have not ended count as if they had. */
void qn_search_finish(struct qn_search_view *s);

#endif
