/* Texts through an encoder: checked, sorted by length, packed into runs, and each result handed on. */
#include <stdlib.h>
#include <string.h>

#include "llm/encoder_impl.h"

/* ---- runs ----------------------------------------------------------------------------------------------------- */

struct entry {
    size_t text, count;
};

/* The longest first; equal ones in their order. */
static int compare_entries(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->count != y->count)
        return x->count < y->count ? 1 : -1;
    return x->text < y->text ? -1 : x->text > y->text;
}

static qn_status check_text(const struct qn_encoder *e, const struct qn_encoder_text *text, size_t index)
{
    const struct qn_encoder_config *c = &e->config;
    uint32_t types = c->token_types ? c->token_types : 2; /* a model without types takes pairs all the same */
    if (text->count == 0 || text->count > c->lm.context)
        return QN_ERROR(QN_OUT_OF_RANGE, "text %zu has %zu tokens; this model takes 1 to %u", index, text->count,
                        c->lm.context);
    for (size_t i = 0; i < text->count; i++) {
        if (text->tokens[i] < 0 || (uint32_t)text->tokens[i] >= c->lm.vocabulary)
            return QN_ERROR(QN_INVALID_ARGUMENT, "text %zu: token %zu is %d; the vocabulary has %u", index, i,
                            text->tokens[i], c->lm.vocabulary);
        if (text->types && (text->types[i] < 0 || (uint32_t)text->types[i] >= types))
            return QN_ERROR(QN_INVALID_ARGUMENT, "text %zu: the type of token %zu is %d; this model has %u", index, i,
                            text->types[i], types);
    }
    return NULL;
}

/* Entries that run together: as many as the chunk and the table of rows hold. */
static size_t batch_end(const struct qn_encoder *e, const struct entry *entries, size_t first, size_t count)
{
    size_t tokens = 0, longest = entries[first].count, end = first;
    while (end < count && tokens + entries[end].count <= e->chunk && (end + 1 - first) * longest <= e->step.row_count)
        tokens += entries[end++].count;
    return end;
}

static void fill_step(const struct qn_encoder *e, const struct qn_encoder_job *job, const struct entry *entries,
                      size_t count)
{
    const struct qn_encoder_step *step = &e->step;
    size_t at = 0, longest = entries[0].count;
    memset(step->rows, 0, count * longest * sizeof *step->rows);
    for (size_t s = 0; s < count; s++) {
        const struct qn_encoder_text *text = &job->texts[entries[s].text];
        for (size_t i = 0; i < text->count; i++, at++) {
            step->tokens[at] = text->tokens[i];
            step->types[at] = text->types && e->config.token_types ? text->types[i] : 0;
            step->pos[at] = (int32_t)i;
            step->last[at] = (int32_t)(text->count - 1);
            step->seq[at] = (int32_t)s;
            step->rows[s * longest + i] = (int32_t)at;
        }
    }
}

/* The tokens that the head looks at; one where it is not asked. */
static size_t fill_out_rows(const struct qn_encoder *e, const struct qn_encoder_job *job, const struct entry *entries,
                            size_t count, size_t tokens)
{
    int32_t *out = e->step.out_rows;
    out[0] = 0;
    if (!job->logits)
        return 1;
    if (job->positions) {
        for (size_t i = 0; i < job->position_count; i++)
            out[i] = (int32_t)job->positions[i];
        return job->position_count;
    }
    if (e->config.head == QN_ENCODER_HEAD_SEQUENCE) {
        for (size_t s = 0, at = 0; s < count; at += entries[s++].count)
            out[s] = (int32_t)at;
        return count;
    }
    for (size_t i = 0; i < tokens; i++)
        out[i] = (int32_t)i;
    return tokens;
}

static void hand_on(const struct qn_encoder *e, const struct qn_encoder_job *job, const struct entry *entries,
                    size_t count, const struct qn_exec_tensor *output)
{
    struct qn_encoder_result result = {.data = output->data, .columns = (size_t)output->dims[1]};
    for (size_t s = 0; s < count; s++) {
        result.text = entries[s].text;
        result.rows = entries[s].count;
        if (job->positions)
            result.rows = job->position_count;
        else if (job->logits && e->config.head == QN_ENCODER_HEAD_SEQUENCE)
            result.rows = 1;
        job->take(job->context, &result);
        result.data += result.rows * result.columns;
    }
}

static qn_status run_batch(struct qn_encoder *e, const struct qn_encoder_job *job, const struct entry *entries,
                           size_t count)
{
    struct qn_encoder_step *step = &e->step;
    int64_t n = 0, longest = (int64_t)entries[0].count;
    for (size_t s = 0; s < count; s++)
        n += (int64_t)entries[s].count;
    fill_step(e, job, entries, count);
    int64_t wanted = (int64_t)fill_out_rows(e, job, entries, count, (size_t)n);
    struct qn_exec_tensor inputs[] = {
        {.data = step->tokens, .rank = 1, .dims = {n}},
        {.data = step->types, .rank = 1, .dims = {n}},
        {.data = step->pos, .rank = 1, .dims = {n}},
        {.data = step->last, .rank = 1, .dims = {n}},
        {.data = step->seq, .rank = 1, .dims = {n}},
        {.data = step->rows, .rank = 2, .dims = {(int64_t)count, longest}},
        {.data = step->out_rows, .rank = 1, .dims = {wanted}},
    };
    struct qn_exec_tensor outputs[2] = {0};
    QN_TRY(qn_frame_run(e->frame, inputs, outputs, &e->cancelled));
    hand_on(e, job, entries, count, &outputs[job->logits ? 1 : 0]);
    return NULL;
}

static qn_status run_entries(struct qn_encoder *e, const struct qn_encoder_job *job, const struct entry *entries)
{
    for (size_t first = 0, end; first < job->count; first = end) {
        end = batch_end(e, entries, first, job->count);
        QN_TRY(run_batch(e, job, entries + first, end - first));
    }
    return NULL;
}

qn_status qn_encoder_run(struct qn_encoder *e, const struct qn_encoder_job *job)
{
    for (size_t i = 0; i < job->count; i++)
        QN_TRY(check_text(e, &job->texts[i], i));
    if (e->config.head != QN_ENCODER_HEAD_NONE) {
        QN_TRY(qn_frame_want(e->frame, 0, !job->logits));
        QN_TRY(qn_frame_want(e->frame, 1, job->logits));
    }
    struct entry *entries = qn_calloc(e->allocator, job->count + 1, sizeof *entries);
    if (!entries)
        return QN_OOM();
    for (size_t i = 0; i < job->count; i++)
        entries[i] = (struct entry){.text = i, .count = job->texts[i].count};
    qsort(entries, job->count, sizeof *entries, compare_entries);
    qn_status status = run_entries(e, job, entries);
    qn_free(e->allocator, entries, (job->count + 1) * sizeof *entries);
    if (qn_status_code(status) == QN_CANCELLED)
        __atomic_store_n(&e->cancelled, 0, __ATOMIC_RELAXED);
    return status;
}

/* ---- hidden states and logits --------------------------------------------------------------------------------- */

/* Results that are copied to where their text's rows begin. */
struct placed {
    float *out;
    size_t *rows; /* of out, before each text */
};

static void place(void *context, const struct qn_encoder_result *result)
{
    const struct placed *p = context;
    memcpy(p->out + p->rows[result->text] * result->columns, result->data,
           result->rows * result->columns * sizeof *p->out);
}

static qn_status run_placed(struct qn_encoder *e, struct qn_encoder_job job, bool one_row, float *out)
{
    struct placed placed = {.out = out, .rows = qn_calloc(e->allocator, job.count + 1, sizeof *placed.rows)};
    if (!placed.rows)
        return QN_OOM();
    for (size_t i = 0; i < job.count; i++)
        placed.rows[i + 1] = placed.rows[i] + (one_row ? 1 : job.texts[i].count);
    job.take = place;
    job.context = &placed;
    qn_status status = qn_encoder_run(e, &job);
    qn_free(e->allocator, placed.rows, (job.count + 1) * sizeof *placed.rows);
    return status;
}

qn_status qn_encoder_hidden(struct qn_encoder *e, const struct qn_encoder_text *texts, size_t count, float *out)
{
    return run_placed(e, (struct qn_encoder_job){.texts = texts, .count = count}, false, out);
}

static qn_status need_head(const struct qn_encoder *e)
{
    if (e->config.head != QN_ENCODER_HEAD_NONE)
        return NULL;
    struct qn_model_file file = {.struct_size = sizeof file};
    QN_TRY(qn_model_file(e->model, 0, &file));
    return QN_ERROR(QN_UNSUPPORTED, "%s: this model has no head: it gives hidden states and embeddings, no logits",
                    file.path);
}

qn_status qn_encoder_logits(struct qn_encoder *e, const struct qn_encoder_text *texts, size_t count, float *out)
{
    QN_TRY(need_head(e));
    struct qn_encoder_job job = {.texts = texts, .count = count, .logits = true};
    return run_placed(e, job, e->config.head == QN_ENCODER_HEAD_SEQUENCE, out);
}

qn_status qn_encoder_logits_at(struct qn_encoder *e, const struct qn_encoder_text *text, const uint32_t *positions,
                               size_t wanted, float *out)
{
    QN_TRY(need_head(e));
    if (e->config.head == QN_ENCODER_HEAD_SEQUENCE)
        return QN_ERROR(QN_INVALID_ARGUMENT, "this model classifies whole texts: its logits have no positions");
    if (wanted == 0 || wanted > text->count)
        return QN_ERROR(QN_INVALID_ARGUMENT, "%zu positions wanted of a text of %zu tokens", wanted, text->count);
    for (size_t i = 0; i < wanted; i++)
        if (positions[i] >= text->count)
            return QN_ERROR(QN_INVALID_ARGUMENT, "position %u of a text of %zu tokens", positions[i], text->count);
    struct qn_encoder_job job = {
        .texts = text, .count = 1, .logits = true, .positions = positions, .position_count = wanted};
    return run_placed(e, job, false, out);
}

/* ---- embeddings ----------------------------------------------------------------------------------------------- */

struct embedding {
    const struct qn_sentence *sentence;
    struct qn_embed_options options;
    uint32_t pooling, dense_count;
    bool normalize;
    size_t size;       /* of an embedding */
    size_t wide;       /* the most elements on the way to it */
    float *line, *two; /* wide floats each */
    float *out;
};

static uint32_t bit_count(uint32_t bits)
{
    return (uint32_t)__builtin_popcount(bits);
}

static qn_status read_options(const struct qn_encoder *e, const struct qn_embed_options *given, struct embedding *out)
{
    const struct qn_sentence *s = &e->sentence;
    struct embedding all = {.sentence = s};
    if (given && given->struct_size < sizeof given->struct_size)
        return QN_ERROR(QN_INVALID_ARGUMENT, "qn_embed_options: struct_size is not set");
    if (given)
        memcpy(&all.options, given, given->struct_size < sizeof all.options ? given->struct_size : sizeof all.options);
    uint32_t known = 2 * QN_POOLING_LAST - 1;
    if (all.options.pooling & ~known)
        return QN_ERROR(QN_INVALID_ARGUMENT, "pooling %#x; expected a set of bits of enum qn_pooling",
                        all.options.pooling);
    bool own = !all.options.pooling || all.options.pooling == s->pooling;
    all.pooling = own ? s->pooling : all.options.pooling;
    all.dense_count = own ? s->dense_count : 0;
    all.normalize = all.options.normalize == QN_CHOICE_MODEL ? s->normalizes : all.options.normalize == QN_CHOICE_YES;
    all.size = all.wide = (size_t)bit_count(all.pooling) * e->config.lm.dim;
    for (uint32_t i = 0; i < all.dense_count; i++) {
        all.size = s->dense[i].out;
        all.wide = all.size > all.wide ? all.size : all.wide;
    }
    if (all.options.dims && all.options.dims < all.size)
        all.size = all.options.dims;
    *out = all;
    return NULL;
}

uint32_t qn_encoder_embedding_size(const struct qn_encoder *e, const struct qn_embed_options *options)
{
    struct embedding all = {0};
    qn_status status = read_options(e, options, &all);
    qn_status_free(status);
    return (uint32_t)all.size;
}

static void take_embedding(void *context, const struct qn_encoder_result *result)
{
    struct embedding *m = context;
    size_t skip = m->sentence->without_prompt ? m->options.prompt_tokens : 0;
    float *x = m->line, *y = m->two, *out = m->out + result->text * m->size;
    qn_sentence_pool(m->pooling, result->data, result->rows, result->columns, skip, x);
    for (uint32_t i = 0; i < m->dense_count; i++) {
        qn_sentence_dense(&m->sentence->dense[i], x, y);
        float *swap = x;
        x = y;
        y = swap;
    }
    memcpy(out, x, m->size * sizeof *out);
    if (m->normalize)
        qn_sentence_normalize(out, m->size);
}

qn_status qn_encoder_embed(struct qn_encoder *e, const struct qn_encoder_text *texts, size_t count,
                           const struct qn_embed_options *options, float *out)
{
    struct embedding m;
    QN_TRY(read_options(e, options, &m));
    m.line = qn_calloc(e->allocator, 2 * m.wide, sizeof *m.line);
    if (!m.line)
        return QN_OOM();
    m.two = m.line + m.wide;
    m.out = out;
    struct qn_encoder_job job = {.texts = texts, .count = count, .take = take_embedding, .context = &m};
    qn_status status = qn_encoder_run(e, &job);
    qn_free(e->allocator, m.line, 2 * m.wide * sizeof *m.line);
    return status;
}
