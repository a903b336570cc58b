/* What is done to the scores of the next token before one is chosen. */
#include <float.h>
#include <math.h>

#include "host/token_search.h"

enum { FIRST_TIMES = 50 }; /* the first time that is spoken at is among so many */

void qn_search_log_softmax(float *row, int64_t vocab)
{
    float most = -INFINITY;
    double sum = 0;
    for (int64_t i = 0; i < vocab; i++)
        most = row[i] > most ? row[i] : most;
    for (int64_t i = 0; i < vocab; i++)
        sum += (double)expf(row[i] - most);
    float log_sum = (float)log(sum);
    for (int64_t i = 0; i < vocab; i++)
        row[i] = row[i] - most - log_sum;
}

/* ---- one row -------------------------------------------------------------------------------------------------- */

/* A row of scores and the sequence that it continues. */
struct row {
    const struct qn_search *head;
    float *scores;
    int64_t vocab;
    const int32_t *tokens;
    int64_t length;
};

static void forbid(const struct row *r, int64_t token)
{
    if (token >= 0 && token < r->vocab)
        r->scores[token] = -FLT_MAX;
}

static void forbid_range(const struct row *r, int64_t from, int64_t to)
{
    for (int64_t i = from < 0 ? 0 : from; i < to && i < r->vocab; i++)
        r->scores[i] = -FLT_MAX;
}

/* Once for each token of the sequence, however often it stands there. */
static void penalise_repetition(const struct row *r, uint8_t *seen)
{
    float penalty = r->head->repetition_penalty;
    memset(seen, 0, (size_t)r->vocab);
    for (int64_t i = 0; i < r->length; i++) {
        int32_t token = r->tokens[i];
        if (token < 0 || token >= r->vocab || seen[token])
            continue;
        seen[token] = 1;
        r->scores[token] = r->scores[token] < 0 ? r->scores[token] * penalty : r->scores[token] / penalty;
    }
}

static void forbid_ngrams(const struct row *r)
{
    int64_t n = r->head->attr.ngram;
    if (n > r->length)
        return;
    const int32_t *prefix = r->tokens + r->length - (n - 1);
    for (int64_t i = 0; i + n <= r->length; i++)
        if (n == 1 || memcmp(prefix, r->tokens + i, (size_t)(n - 1) * sizeof *prefix) == 0)
            forbid(r, r->tokens[i + n - 1]);
}

static void forbid_masked(const struct row *r, const int32_t *mask)
{
    for (int64_t i = 0; i < r->vocab; i++)
        if (mask[i] == 0)
            r->scores[i] = -FLT_MAX;
}

/* ---- times of what is spoken ---------------------------------------------------------------------------------- */

static float largest(const float *scores, int64_t from, int64_t to)
{
    float most = -INFINITY;
    for (int64_t i = from; i < to; i++)
        most = scores[i] > most ? scores[i] : most;
    return most;
}

/* A time is said where all times together are likelier than the likeliest word. */
static void prefer_times(const struct row *r, int64_t first)
{
    float most = largest(r->scores, first, r->vocab), sum = 0;
    for (int64_t i = first; i < r->vocab; i++)
        if (r->scores[i] > -FLT_MAX)
            sum += expf(r->scores[i] - most);
    float times = sum > 0 ? logf(sum) + most : -FLT_MAX;
    if (times > largest(r->scores, 0, first))
        forbid_range(r, 0, first);
}

/* Times come in pairs, but for the first, and do not fall. */
static void rule_times(const struct row *r)
{
    const struct qn_attr_search *a = &r->head->attr;
    int64_t first = a->first_time, begin = 0, last = -1;
    while (begin < r->length && r->tokens[begin++] < first)
        ;
    for (int64_t i = 0; i < r->length; i++)
        last = r->tokens[i] >= first ? r->tokens[i] : last;
    forbid(r, a->no_times);
    forbid(r, a->start_of_lm);
    if (r->length > begin) {
        forbid(r, a->start);
        forbid(r, a->translate);
        forbid(r, a->transcribe);
    }
    bool timed = r->length > 0 && r->tokens[r->length - 1] >= first;
    bool paired = r->length <= begin || r->tokens[r->length - 2] >= first;
    if (timed)
        forbid_range(r, paired ? first : 0, paired ? r->vocab : a->end);
    if (last >= 0)
        forbid_range(r, first, timed && !paired ? last : last + 1);
    if (r->length == begin)
        forbid_range(r, first + FIRST_TIMES + 1, r->vocab);
    prefer_times(r, first);
}

/* ---- all of them ---------------------------------------------------------------------------------------------- */

void qn_search_adjust(const struct qn_search_view *s, const struct qn_search_masks *masks, int64_t vocab, float *scores,
                      uint8_t *seen)
{
    const struct qn_search *h = s->head;
    for (int64_t i = 0; i < s->rows; i++) {
        int64_t of = i / h->beams;
        struct row r = {h, scores + i * vocab, vocab, s->tokens + i * h->max_length, h->length};
        if (h->repetition_penalty != 1)
            penalise_repetition(&r, seen);
        if (h->attr.ngram > 0)
            forbid_ngrams(&r);
        if (masks->allowed)
            forbid_masked(&r, masks->allowed);
        if (masks->first && h->steps == 0)
            forbid_masked(&r, masks->first + of * vocab);
        if (h->length < h->min_length)
            forbid(&r, h->attr.end);
        for (int64_t k = 0; k < vocab && h->temperature > 0 && h->temperature != 1; k++)
            r.scores[k] /= h->temperature;
        for (int64_t k = 0; k < vocab && masks->present; k++)
            r.scores[k] -= (float)masks->present[of * vocab + k] * h->attr.presence_penalty;
        if (h->speech)
            rule_times(&r);
    }
}
