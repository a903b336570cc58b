#include "quern/sampler.h"

#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/status.h"
#include "text/sampler/weight.h"

/* A token that is still in the race. */
struct candidate {
    float logit;
    int32_t id;
};

/* What was accepted of late: how often each token, and which tokens at all. */
struct history {
    uint32_t length;    /* tokens to look back over; 0: all */
    int32_t *ring;      /* the last `length`; NULL when all count */
    uint32_t next, held;
    uint32_t *counts;   /* a token */
    int32_t *distinct;  /* tokens whose count is not 0 */
    uint32_t *place;    /* of a token in `distinct` */
    uint32_t distinct_count;
};

struct qn_sampler {
    struct qn_arena arena; /* holds all arrays */
    struct qn_sampler_options options;
    uint32_t vocabulary;
    struct qn_random random;
    struct history history; /* counts NULL: no penalty needs it */
    float *logits;
    struct candidate *candidates;
    uint64_t *weights;
};

/* ---- creation ---------------------------------------------------------------------------------------------- */

static qn_status check_range(const char *name, float value, float low, float high)
{
    if (!(value >= low && value <= high))
        return QN_ERROR(QN_INVALID_ARGUMENT, "%s is %g; expected %g to %g", name, (double)value, (double)low,
                        (double)high);
    return NULL;
}

static qn_status check_options(const struct qn_sampler_options *o, uint32_t vocabulary)
{
    const float most = 1e6f;
    QN_TRY(check_range("temperature", o->temperature, 0, most));
    QN_TRY(check_range("top_p", o->top_p, 0, 1));
    QN_TRY(check_range("min_p", o->min_p, 0, 1));
    QN_TRY(check_range("repeat_penalty", o->repeat_penalty, 0, most));
    QN_TRY(check_range("frequency_penalty", o->frequency_penalty, -most, most));
    QN_TRY(check_range("presence_penalty", o->presence_penalty, -most, most));
    if (o->repeat_last_n < -1)
        return QN_ERROR(QN_INVALID_ARGUMENT, "repeat_last_n is %d; expected -1 or more", o->repeat_last_n);
    if (vocabulary == 0 || vocabulary > 1u << 22)
        return QN_ERROR(QN_INVALID_ARGUMENT, "a vocabulary of %u tokens; expected 1 to %u", vocabulary, 1u << 22);
    for (size_t i = 0; i < o->bias_count; i++) {
        if (o->biases[i].token < 0 || (uint32_t)o->biases[i].token >= vocabulary)
            return QN_ERROR(QN_INVALID_ARGUMENT, "a logit bias for token %d; the vocabulary has %u",
                            o->biases[i].token, vocabulary);
        if (!(o->biases[i].bias < INFINITY))
            return QN_ERROR(QN_INVALID_ARGUMENT, "the logit bias of token %d is %g", o->biases[i].token,
                            (double)o->biases[i].bias);
    }
    return NULL;
}

static bool has_penalties(const struct qn_sampler_options *o)
{
    return (o->repeat_penalty != 0 && o->repeat_penalty != 1) || o->frequency_penalty != 0 || o->presence_penalty != 0;
}

static bool init_history(struct qn_sampler *s)
{
    enum { USUAL_LENGTH = 64 };
    struct history *h = &s->history;
    int32_t n = s->options.repeat_last_n;
    h->length = n < 0 ? 0 : n == 0 ? USUAL_LENGTH : (uint32_t)n;
    if (h->length)
        h->ring = QN_ARENA_ARRAY(&s->arena, int32_t, h->length);
    h->counts = QN_ARENA_ARRAY(&s->arena, uint32_t, s->vocabulary);
    h->distinct = QN_ARENA_ARRAY(&s->arena, int32_t, s->vocabulary);
    h->place = QN_ARENA_ARRAY(&s->arena, uint32_t, s->vocabulary);
    return (h->ring || !h->length) && h->counts && h->distinct && h->place;
}

static qn_status init(struct qn_sampler *s, const struct qn_sampler_options *options)
{
    s->options.struct_size = sizeof s->options;
    if (options && options->struct_size < sizeof options->struct_size)
        return QN_ERROR(QN_INVALID_ARGUMENT, "qn_sampler_options: struct_size is not set");
    if (options)
        memcpy(&s->options, options,
               options->struct_size < sizeof s->options ? options->struct_size : sizeof s->options);
    QN_TRY(check_options(&s->options, s->vocabulary));
    if (s->options.bias_count) {
        struct qn_logit_bias *biases = QN_ARENA_ARRAY(&s->arena, struct qn_logit_bias, s->options.bias_count);
        if (!biases)
            return QN_OOM();
        memcpy(biases, s->options.biases, s->options.bias_count * sizeof *biases);
        s->options.biases = biases;
    }
    s->logits = QN_ARENA_ARRAY(&s->arena, float, s->vocabulary);
    s->candidates = QN_ARENA_ARRAY(&s->arena, struct candidate, s->vocabulary);
    s->weights = QN_ARENA_ARRAY(&s->arena, uint64_t, s->vocabulary);
    if (!s->logits || !s->candidates || !s->weights || (has_penalties(&s->options) && !init_history(s)))
        return QN_OOM();
    qn_random_seed(&s->random, s->options.seed);
    return NULL;
}

qn_status qn_sampler_create(const struct qn_sampler_options *options, uint32_t vocabulary,
                            const struct qn_allocator *allocator, struct qn_sampler **out)
{
    allocator = allocator ? allocator : qn_allocator_default();
    struct qn_sampler *s = qn_calloc(allocator, 1, sizeof *s);
    if (!s)
        return QN_OOM();
    qn_arena_init(&s->arena, allocator);
    s->vocabulary = vocabulary;
    qn_status status = init(s, options);
    if (status) {
        qn_sampler_free(s);
        return status;
    }
    *out = s;
    return NULL;
}

void qn_sampler_free(struct qn_sampler *s)
{
    if (!s)
        return;
    const struct qn_allocator *allocator = s->arena.allocator;
    qn_arena_deinit(&s->arena);
    qn_free(allocator, s, sizeof *s);
}

/* ---- history ----------------------------------------------------------------------------------------------- */

static void count_up(struct history *h, int32_t token)
{
    if (h->counts[token] == UINT32_MAX)
        return;
    if (h->counts[token]++ == 0) {
        h->place[token] = h->distinct_count;
        h->distinct[h->distinct_count++] = token;
    }
}

static void count_down(struct history *h, int32_t token)
{
    if (--h->counts[token])
        return;
    int32_t last = h->distinct[--h->distinct_count];
    h->distinct[h->place[token]] = last;
    h->place[last] = h->place[token];
}

qn_status qn_sampler_accept(struct qn_sampler *s, int32_t token)
{
    struct history *h = &s->history;
    if (token < 0 || (uint32_t)token >= s->vocabulary)
        return QN_ERROR(QN_INVALID_ARGUMENT, "token %d is not in the vocabulary of %u tokens", token, s->vocabulary);
    if (!h->counts)
        return NULL;
    if (h->length) {
        if (h->held == h->length)
            count_down(h, h->ring[h->next]);
        else
            h->held++;
        h->ring[h->next] = token;
        h->next = (h->next + 1) % h->length;
    }
    count_up(h, token);
    return NULL;
}

void qn_sampler_reset(struct qn_sampler *s, uint64_t seed)
{
    struct history *h = &s->history;
    while (h->distinct_count)
        h->counts[h->distinct[--h->distinct_count]] = 0;
    h->next = h->held = 0;
    qn_random_seed(&s->random, seed);
}

/* ---- steps of the chain ------------------------------------------------------------------------------------ */

static qn_status copy_logits(struct qn_sampler *s, const float *logits, uint32_t count)
{
    if (count == 0 || count > s->vocabulary)
        return QN_ERROR(QN_INVALID_ARGUMENT, "%u logits for a vocabulary of %u tokens", count, s->vocabulary);
    bool bad = false;
    for (uint32_t i = 0; i < count; i++) {
        s->logits[i] = logits[i];
        bad |= !(logits[i] < INFINITY);
    }
    for (uint32_t i = 0; bad && i < count; i++)
        if (!(logits[i] < INFINITY))
            return QN_ERROR(QN_INVALID_ARGUMENT, "the logit of token %u is %s", i, isnan(logits[i]) ? "NaN" : "+infinity");
    return NULL;
}

static void apply_biases(struct qn_sampler *s, uint32_t count)
{
    for (size_t i = 0; i < s->options.bias_count; i++)
        if ((uint32_t)s->options.biases[i].token < count)
            s->logits[s->options.biases[i].token] += s->options.biases[i].bias;
}

static void apply_penalties(struct qn_sampler *s, uint32_t count)
{
    const struct qn_sampler_options *o = &s->options;
    const struct history *h = &s->history;
    float penalty = o->repeat_penalty != 0 ? o->repeat_penalty : 1;
    for (uint32_t i = 0; h->counts && i < h->distinct_count; i++) {
        int32_t token = h->distinct[i];
        if ((uint32_t)token >= count)
            continue;
        float logit = s->logits[token];
        logit = logit > 0 ? logit / penalty : logit * penalty;
        float frequency = (float)h->counts[token] * o->frequency_penalty; /* a rounded product, never fused */
        s->logits[token] = logit - frequency - o->presence_penalty;
    }
}

/* The highest logit, the lowest id of several. */
static int32_t find_highest(const float *logits, uint32_t count)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < count; i++)
        if (logits[i] > logits[best])
            best = i;
    return (int32_t)best;
}

static bool goes_before(struct candidate a, struct candidate b)
{
    return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
}

static void sift_down(struct candidate *heap, uint32_t count, uint32_t at)
{
    struct candidate moved = heap[at];
    for (uint32_t child; (child = 2 * at + 1) < count; at = child) {
        child += child + 1 < count && goes_before(heap[child + 1], heap[child]);
        if (!goes_before(heap[child], moved))
            break;
        heap[at] = heap[child];
    }
    heap[at] = moved;
}

/* The candidates in the race: some stretch of s->candidates. */
struct race {
    struct candidate *items;
    uint32_t count;
};

static uint64_t weight_at(const struct race *race, uint32_t i, double highest)
{
    return qn_weight((double)race->items[i].logit - highest);
}

/* What has to come together for top-p. */
static uint64_t mass_of(const struct race *race, double highest, float top_p)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < race->count; i++)
        total += weight_at(race, i, highest);
    return (uint64_t)((double)total * (double)top_p);
}

/* The `most` likeliest candidates in order, or fewer when those have the weight `enough` together. A heap gives them
 * out one by one, so that no more are sorted than stay. */
static struct race take_best(struct race race, uint32_t most, uint64_t enough, double highest)
{
    uint32_t taken = 0;
    uint64_t mass = 0;
    for (uint32_t i = race.count / 2; i-- > 0;)
        sift_down(race.items, race.count, i);
    while (taken < most && (mass < enough || taken == 0)) {
        struct candidate best = race.items[0];
        uint32_t last = race.count - ++taken;
        race.items[0] = race.items[last];
        sift_down(race.items, last, 0);
        race.items[last] = best;
        mass += weight_at(&race, last, highest);
    }
    struct race best = {race.items + race.count - taken, taken};
    for (uint32_t i = 0, k = taken - 1; i < k; i++, k--) { /* they were put down from the end on */
        struct candidate swap = best.items[i];
        best.items[i] = best.items[k];
        best.items[k] = swap;
    }
    return best;
}

static struct race apply_top(struct qn_sampler *s, struct race race, double highest)
{
    const struct qn_sampler_options *o = &s->options;
    bool by_count = o->top_k && o->top_k < race.count, by_mass = o->top_p > 0 && o->top_p < 1;
    if (!by_count && !by_mass)
        return race;
    if (!by_count)
        return take_best(race, race.count, mass_of(&race, highest, o->top_p), highest);
    race = take_best(race, o->top_k, UINT64_MAX, highest);
    uint64_t enough = by_mass ? mass_of(&race, highest, o->top_p) : UINT64_MAX, mass = 0;
    uint32_t kept = 0;
    while (kept < race.count && (mass < enough || kept == 0))
        mass += weight_at(&race, kept++, highest);
    race.count = kept;
    return race;
}

static void apply_min_p(struct race *race, double highest, float min_p)
{
    uint64_t least = (uint64_t)((double)((uint64_t)1 << QN_WEIGHT_BITS) * (double)min_p);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < race->count; i++)
        if (weight_at(race, i, highest) >= least)
            race->items[kept++] = race->items[i];
    race->count = kept;
}

static int32_t draw(struct qn_sampler *s, const struct race *race, double highest)
{
    uint64_t total = 0;
    double temperature = (double)s->options.temperature;
    for (uint32_t i = 0; i < race->count; i++) {
        s->weights[i] = qn_weight(((double)race->items[i].logit - highest) / temperature);
        total += s->weights[i];
    }
    uint64_t at = (uint64_t)((unsigned __int128)qn_random_next(&s->random) * total >> 64);
    uint32_t i = 0;
    while (at >= s->weights[i])
        at -= s->weights[i++];
    return race->items[i].id;
}

qn_status qn_sampler_sample(struct qn_sampler *s, const float *logits, uint32_t count, int32_t *token)
{
    QN_TRY(copy_logits(s, logits, count));
    apply_biases(s, count);
    apply_penalties(s, count);
    int32_t best = find_highest(s->logits, count);
    float highest = s->logits[best];
    if (!(highest > -INFINITY && highest < INFINITY))
        return QN_ERROR(QN_INVALID_ARGUMENT, "no token can be chosen: the highest logit is %g", (double)highest);
    if (s->options.temperature == 0) {
        *token = best;
        return NULL;
    }
    struct race race = {s->candidates, 0};
    for (uint32_t i = 0; i < count; i++)
        if (s->logits[i] > -INFINITY)
            race.items[race.count++] = (struct candidate){s->logits[i], (int32_t)i};
    race = apply_top(s, race, (double)highest);
    if (s->options.min_p > 0)
        apply_min_p(&race, (double)highest, s->options.min_p);
    *token = draw(s, &race, (double)highest);
    return NULL;
}
