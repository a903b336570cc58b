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

/* Candidates by how far they are below the highest: counted before any is sorted. */
struct bucket {
    uint64_t mass;
    uint32_t count;
};

enum { BUCKETS = 2048, BUCKETS_PER_UNIT = 64 };

/* What was accepted of late: how often each token, and which tokens at all. */
struct history {
    uint32_t length; /* tokens to look back over; 0: all */
    int32_t *ring;   /* the last `length`; NULL when all count */
    uint32_t next, held;
    uint32_t *counts;  /* a token */
    int32_t *distinct; /* tokens whose count is not 0 */
    uint32_t *place;   /* of a token in `distinct` */
    uint32_t distinct_count;
};

struct qn_sampler {
    struct qn_arena arena; /* holds all arrays */
    struct qn_sampler_options options;
    uint32_t vocabulary;
    struct qn_random random;
    struct history history; /* counts NULL: no penalty needs it */
    float *logits;
    struct candidate *candidates, *scratch;
    uint64_t *weights;
    struct bucket *buckets;
};

/* ---- creation ------------------------------------------------------------------------------------------------- */

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
            return QN_ERROR(QN_INVALID_ARGUMENT, "a logit bias for token %d; the vocabulary has %u", o->biases[i].token,
                            vocabulary);
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
    s->scratch = QN_ARENA_ARRAY(&s->arena, struct candidate, s->vocabulary);
    s->weights = QN_ARENA_ARRAY(&s->arena, uint64_t, s->vocabulary);
    s->buckets = QN_ARENA_ARRAY(&s->arena, struct bucket, BUCKETS);
    if (!s->logits || !s->candidates || !s->scratch || !s->weights || !s->buckets ||
        (has_penalties(&s->options) && !init_history(s)))
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

/* ---- history -------------------------------------------------------------------------------------------------- */

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

/* ---- steps of the chain --------------------------------------------------------------------------------------- */

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
            return QN_ERROR(QN_INVALID_ARGUMENT, "the logit of token %u is %s", i,
                            isnan(logits[i]) ? "NaN" : "+infinity");
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

/* The candidates in the race, always in the order of their ids. */
struct race {
    struct candidate *items;
    uint32_t count;
};

static uint32_t bucket_of(float logit, double highest)
{
    double distance = (highest - (double)logit) * BUCKETS_PER_UNIT;
    return distance < BUCKETS - 1 ? (uint32_t)distance : BUCKETS - 1;
}

/* Sorts what one bucket holds, until the likeliest of it fill up `most` and `enough`; the last one that is needed. */
static struct candidate cut_bucket(struct qn_sampler *s, const struct race *race, uint32_t bucket, uint32_t most,
                                   uint64_t enough, double highest)
{
    struct candidate *heap = s->scratch, last = {0, 0};
    uint32_t count = 0;
    for (uint32_t i = 0; i < race->count; i++)
        if (bucket_of(race->items[i].logit, highest) == bucket)
            heap[count++] = race->items[i];
    for (uint32_t i = count / 2; i-- > 0;)
        sift_down(heap, count, i);
    for (uint64_t mass = 0, taken = 0; count && taken < most && mass < enough; taken++) {
        last = heap[0];
        mass += qn_weight((double)last.logit - highest);
        heap[0] = heap[--count];
        if (count)
            sift_down(heap, count, 0);
    }
    return last;
}

/* Keeps the likeliest: as few as have the `part` of the weight of all, and `most` at most. No more are sorted than
 * share a bucket with the last that stays. */
static void keep_likeliest(struct qn_sampler *s, struct race *race, uint32_t most, float part, double highest)
{
    uint64_t total = 0, mass = 0, enough = UINT64_MAX;
    uint32_t count = 0, bucket = 0;
    memset(s->buckets, 0, BUCKETS * sizeof *s->buckets);
    for (uint32_t i = 0; i < race->count; i++) {
        struct bucket *b = &s->buckets[bucket_of(race->items[i].logit, highest)];
        uint64_t weight = part < 1 ? qn_weight((double)race->items[i].logit - highest) : 0;
        b->count++;
        b->mass += weight;
        total += weight;
    }
    if (part < 1)
        enough = (uint64_t)((double)total * (double)part);
    if (enough == 0)
        enough = 1; /* the likeliest stays in any case */
    while (count + s->buckets[bucket].count < most && mass + s->buckets[bucket].mass < enough && bucket < BUCKETS - 1) {
        count += s->buckets[bucket].count;
        mass += s->buckets[bucket++].mass;
    }
    struct candidate last = cut_bucket(s, race, bucket, most - count, enough - mass, highest);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < race->count; i++)
        if (!goes_before(last, race->items[i]))
            race->items[kept++] = race->items[i];
    race->count = kept;
}

static uint64_t weight_at(const struct race *race, uint32_t i, double highest)
{
    return qn_weight((double)race->items[i].logit - highest);
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
    if (s->options.top_k && s->options.top_k < race.count)
        keep_likeliest(s, &race, s->options.top_k, 1, (double)highest);
    if (s->options.top_p > 0 && s->options.top_p < 1)
        keep_likeliest(s, &race, race.count, s->options.top_p, (double)highest);
    if (s->options.min_p > 0)
        apply_min_p(&race, (double)highest, s->options.min_p);
    *token = draw(s, &race, (double)highest);
    return NULL;
}
