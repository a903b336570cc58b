/* Choosing the next tokens: the likeliest, one that is drawn, or by beams. */
#include <math.h>

#include "host/token_search.h"

/* ---- one a row ------------------------------------------------------------------------------------------------ */

void qn_search_likeliest(const struct qn_search_view *s, int64_t vocab, const float *scores, int32_t *next)
{
    for (int64_t i = 0; i < s->rows; i++) {
        const float *row = scores + i * vocab;
        int64_t best = 0;
        for (int64_t k = 1; k < vocab; k++)
            best = row[k] > row[best] ? k : best;
        next[i] = (int32_t)best;
    }
}

static bool before(const float *scores, bool falling, int32_t a, int32_t b)
{
    return scores[a] != scores[b] ? (scores[a] > scores[b]) == falling : a < b;
}

static void sift(const float *scores, bool falling, int32_t *order, int64_t at, int64_t count)
{
    for (int64_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && before(scores, falling, order[child], order[child + 1]))
            child++;
        if (!before(scores, falling, order[at], order[child]))
            return;
        int32_t swap = order[at];
        order[at] = order[child];
        order[child] = swap;
    }
}

/* Tokens in the order of their scores, by heap. */
static void sort(const float *scores, bool falling, int32_t *order, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        order[i] = (int32_t)i;
    for (int64_t i = count / 2; i-- > 0;)
        sift(scores, falling, order, i, count);
    for (int64_t end = count - 1; end > 0; end--) {
        int32_t swap = order[0];
        order[0] = order[end];
        order[end] = swap;
        sift(scores, falling, order, 0, end);
    }
}

/* Leaves those tokens that together have the probability top_p. sums: running sums of the probabilities in order. */
static void filter(const struct qn_attr_search *a, float *scores, int64_t vocab, const int32_t *order,
                   const float *sums)
{
    float bound = a->falling ? a->top_p : 1 - a->top_p;
    if (a->falling) {
        for (int64_t i = 0; i + 1 < vocab; i++)
            if (sums[i] > bound)
                scores[order[i + 1]] = a->filtered;
        return;
    }
    for (int64_t i = 0; i < vocab && (i == 0 || i < vocab - a->least); i++)
        if (sums[i] <= bound)
            scores[order[i]] = a->filtered;
}

/* minstd_rand0, and a number in [0, 1) of two of its draws. */
static double draw(uint32_t *random)
{
    double sum = 0, scale = 1, range = 2147483646.0;
    for (int i = 0; i < 2; i++) {
        *random = (uint32_t)((uint64_t)*random * 16807 % 2147483647);
        sum += (*random - 1.0) * scale;
        scale *= range;
    }
    return sum / scale < 1 ? sum / scale : nextafter(1.0, 0.0);
}

/* The token at which the running sum of exp(score - largest) passes a share of the whole that is drawn. */
static int32_t pick(const float *scores, int64_t vocab, uint32_t *random)
{
    double total = 0, sum = 0;
    float most = -INFINITY;
    for (int64_t i = 0; i < vocab; i++)
        most = isfinite(scores[i]) && scores[i] > most ? scores[i] : most;
    for (int64_t i = 0; i < vocab; i++)
        total += isfinite(scores[i]) ? exp((double)scores[i] - (double)most) : 0;
    double wanted = draw(random) * total;
    for (int64_t i = 0; i < vocab; i++) {
        sum += isfinite(scores[i]) ? exp((double)scores[i] - (double)most) : 0;
        if (sum > wanted)
            return (int32_t)i;
    }
    return (int32_t)(vocab - 1);
}

void qn_search_draw(struct qn_search_view *s, int64_t vocab, float *scores, int32_t *order, float *spare, int32_t *next)
{
    const struct qn_attr_search *a = &s->head->attr;
    for (int64_t i = 0; i < s->rows; i++) {
        float *row = scores + i * vocab, sum = 0;
        sort(row, a->falling, order, vocab);
        float most = row[order[a->falling ? 0 : vocab - 1]];
        for (int64_t k = 0; k < vocab; k++)
            sum += spare[k] = expf(row[order[k]] - most);
        for (int64_t k = 0; k < vocab; k++)
            spare[k] = spare[k] / sum + (k ? spare[k - 1] : 0);
        filter(a, row, vocab, order, spare);
        next[i] = pick(row, vocab, &s->head->random);
    }
}

/* ---- beams ---------------------------------------------------------------------------------------------------- */

/* The best `count` of n scores, best first; of equal ones the first. */
static void best_of(const float *scores, int64_t n, struct qn_search_candidate *best, int64_t count)
{
    int64_t have = 0;
    for (int64_t i = 0; i < n; i++) {
        if (have == count && !(scores[i] > best[count - 1].score))
            continue;
        int64_t at = have < count ? have++ : count - 1;
        for (; at > 0 && scores[i] > best[at - 1].score; at--)
            best[at] = best[at - 1];
        best[at] = (struct qn_search_candidate){scores[i], i};
    }
}

static float penalised(const struct qn_search *h, float score)
{
    return score / powf((float)h->length, h->length_penalty);
}

/* Row `row`, which has ended, takes its place among those of sequence b that have. */
static void keep(struct qn_search_view *s, int64_t b, int64_t row, float sum)
{
    const struct qn_search *h = s->head;
    int64_t first = b * h->beams, at = s->ended_count[b], room = h->max_length;
    float score = penalised(h, sum), *scores = s->ended_scores + first;
    if (at == h->beams && !(score > scores[at - 1]))
        return;
    if (at == h->beams)
        at--;
    else
        s->ended_count[b]++;
    for (; at > 0 && score > scores[at - 1]; at--) {
        scores[at] = scores[at - 1];
        s->lengths[first + at] = s->lengths[first + at - 1];
        memcpy(s->ended + (first + at) * room, s->ended + (first + at - 1) * room, (size_t)room * sizeof *s->ended);
    }
    scores[at] = score;
    s->lengths[first + at] = (int32_t)h->length;
    memcpy(s->ended + (first + at) * room, s->tokens + row * room, (size_t)h->length * sizeof *s->ended);
}

/* No beam of sequence b can become better than the worst that has ended. `best`: of the candidates that are looked at
 * for that. ONNX Runtime looks from candidate b * beams of the whole batch on, not from 2 * b * beams; its results are
 * what models have been tried with. */
static bool is_done(const struct qn_search_view *s, int64_t b, const struct qn_search_candidate *all)
{
    const struct qn_search *h = s->head;
    if (s->ended_count[b] < h->beams || h->attr.early_stopping)
        return s->ended_count[b] == h->beams;
    const struct qn_search_candidate *looked = all + b * h->beams;
    float best = looked[0].score;
    for (int64_t i = 1; i < 2 * h->beams; i++)
        best = looked[i].score > best ? looked[i].score : best;
    return !(s->ended_scores[(b + 1) * h->beams - 1] < penalised(h, best));
}

/* Continues the best beams of sequence b; those that end are kept. */
static void advance(struct qn_search_view *s, int64_t b, int64_t vocab, const struct qn_search_candidate *best,
                    int32_t *next, int64_t *rows)
{
    const struct qn_search *h = s->head;
    int64_t first = b * h->beams, taken = 0;
    for (int64_t i = 0; i < 2 * h->beams && taken < h->beams; i++) {
        int64_t token = best[i].at % vocab, row = first + best[i].at / vocab;
        if (h->attr.end >= 0 && token == h->attr.end) {
            if (i < h->beams)
                keep(s, b, row, best[i].score);
            continue;
        }
        next[first + taken] = (int32_t)token;
        rows[first + taken] = row;
        s->scores[first + taken++] = best[i].score;
    }
}

void qn_search_beams(struct qn_search_view *s, int64_t vocab, float *scores, struct qn_search_candidate *room,
                     int32_t *next, int64_t *rows)
{
    const struct qn_search *h = s->head;
    for (int64_t i = 0; i < s->rows; i++)
        for (int64_t k = 0; k < vocab; k++)
            scores[i * vocab + k] += s->scores[i];
    for (int64_t b = 0; b < h->batch; b++)
        best_of(scores + b * h->beams * vocab, h->beams * vocab, room + 2 * b * h->beams, 2 * h->beams);
    for (int64_t b = 0; b < h->batch; b++) {
        for (int64_t i = b * h->beams; i < (b + 1) * h->beams && s->done[b]; i++) {
            next[i] = (int32_t)h->attr.pad; /* nobody reads more than its scores, which are as in ONNX Runtime */
            rows[i] = 0;
            s->scores[i] = 0;
        }
        if (s->done[b])
            continue;
        advance(s, b, vocab, room + 2 * b * h->beams, next, rows);
        s->done[b] = is_done(s, b, room);
    }
}

void qn_search_finish(struct qn_search_view *s)
{
    const struct qn_search *h = s->head;
    for (int64_t i = 0; i < s->rows; i++)
        if (!s->done[i / h->beams])
            keep(s, i / h->beams, i, s->scores[i]);
}
