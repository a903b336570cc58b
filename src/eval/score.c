/* Perplexity, and divergence from a reference run.
 *
 * File of a reference run, little-endian, as llama.cpp writes it: "_logits_", i32 context, i32 vocabulary, i32 chunks,
 * i32 tokens of all chunks; then for each scored position (from the middle of a chunk to the last but one) f32 scale,
 * f32 least, and a u16 a token of the vocabulary (rounded up to an even number): log p = scale * u16 + least.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "eval/chunks.h"
#include "platform/clock.h"
#include "platform/file.h"

static const char magic[8] = {'_', 'l', 'o', 'g', 'i', 't', 's', '_'};
enum { HEAD_BYTES = 20, ROOM_ROWS = 64 };

/* What one scored position gives. */
struct score {
    float nll, base_nll, kl;
    bool same_top;
};

struct job {
    struct qn_chunks chunks;
    uint32_t vocabulary, scored; /* scored: first position of a chunk whose logits count */
    struct qn_file_writer *writer;
    const uint8_t *base; /* rows of a reference run, NULL: none */
    uint64_t row_bytes;
    float *logits;        /* ROOM_ROWS rows */
    uint8_t *rows;        /* as many rows for the writer */
    struct score *scores; /* of all scored positions so far */
    size_t score_count, score_capacity;
    double sum; /* of nll */
    uint32_t chunk;
    /* Of the piece under way */
    const float *piece;
    uint32_t position;
};

static uint64_t row_bytes_of(uint32_t vocabulary)
{
    return ((uint64_t)vocabulary + 1) / 2 * 4 + 8;
}

/* ---- one position --------------------------------------------------------------------------------------------- */

/* The largest logit, where it stands, and the logarithm of the sum of exponentials above it. */
static float log_sum(const float *logits, uint32_t n, uint32_t *top, double *log_total)
{
    uint32_t at = 0;
    for (uint32_t i = 1; i < n; i++)
        at = logits[i] > logits[at] ? i : at;
    double total = 0;
    for (uint32_t i = 0; i < n; i++)
        total += (double)expf(logits[i] - logits[at]);
    *top = at;
    *log_total = log(total);
    return logits[at];
}

static void pack_row(const float *logits, uint32_t n, float largest, double log_total, uint8_t *row)
{
    float least = largest;
    for (uint32_t i = 0; i < n; i++)
        least = logits[i] < least ? logits[i] : least;
    least = least < largest - 16 ? largest - 16 : least; /* what is less likely than e^-16 counts as that */
    float scale = (largest - least) / 65535.0f, offset = (float)((double)least - (double)largest - log_total);
    memcpy(row, &scale, sizeof scale);
    memcpy(row + 4, &offset, sizeof offset);
    for (uint32_t i = 0; i < n; i++) {
        uint16_t level = scale > 0 && logits[i] > least ? (uint16_t)lrintf((logits[i] - least) / scale) : 0;
        memcpy(row + 8 + (size_t)2 * i, &level, sizeof level);
    }
}

/* KL divergence of the distribution in `row` (the reference) from that of the logits. */
static void compare_row(const uint8_t *row, const float *logits, uint32_t n, double log_normal, int32_t token,
                        uint32_t top, struct score *score)
{
    float scale, offset, best = 0;
    uint32_t base_top = 0;
    double sum = 0;
    memcpy(&scale, row, sizeof scale);
    memcpy(&offset, row + 4, sizeof offset);
    for (uint32_t i = 0; i < n; i++) {
        uint16_t level;
        memcpy(&level, row + 8 + (size_t)2 * i, sizeof level);
        float base = scale * (float)level + offset;
        if (i == 0 || base > best) {
            best = base;
            base_top = i;
        }
        if (base > -16)
            sum += (double)expf(base) * ((double)base - (double)logits[i] + log_normal);
        if (i == (uint32_t)token)
            score->base_nll = -base;
    }
    score->kl = (float)sum;
    score->same_top = base_top == top;
}

static void score_rows(void *context, int64_t begin, int64_t end, uint32_t thread)
{
    struct job *job = context;
    const int32_t *tokens = qn_chunk_tokens(&job->chunks, job->chunk);
    uint32_t n = job->vocabulary, per_chunk = job->chunks.options.context - 1 - job->scored;
    (void)thread;
    for (int64_t r = begin; r < end; r++) {
        const float *logits = job->piece + (size_t)r * n;
        uint32_t position = job->position + (uint32_t)r, top;
        int32_t token = tokens[position + 1];
        double log_total;
        float largest = log_sum(logits, n, &top, &log_total);
        struct score *score = &job->scores[job->score_count + (size_t)r];
        *score = (struct score){.nll = (float)((double)largest + log_total - (double)logits[token])};
        if (job->writer)
            pack_row(logits, n, largest, log_total, job->rows + (size_t)r * job->row_bytes);
        size_t row = (size_t)job->chunk * per_chunk + position - job->scored;
        if (job->base)
            compare_row(job->base + row * job->row_bytes, logits, n, (double)largest + log_total, token, top, score);
    }
}

static qn_status score_piece(void *context, const float *logits, uint32_t position, uint32_t rows)
{
    struct job *job = context;
    if (position + rows == job->chunks.options.context)
        rows--; /* nothing follows the last token */
    job->piece = logits;
    job->position = position;
    qn_pool_for(job->chunks.llm->compiled.pool, rows, 1, score_rows, job);
    for (uint32_t r = 0; r < rows; r++)
        job->sum += (double)job->scores[job->score_count + r].nll;
    job->score_count += rows;
    return job->writer ? qn_file_writer_write(job->writer, job->rows, (size_t)(rows * job->row_bytes)) : NULL;
}

/* ---- all positions -------------------------------------------------------------------------------------------- */

static qn_status prepare(struct job *job)
{
    struct qn_chunks *c = &job->chunks;
    const struct qn_allocator *a = c->llm->allocator;
    job->vocabulary = c->llm->config.vocabulary;
    job->scored = c->options.context / 2;
    job->row_bytes = row_bytes_of(job->vocabulary);
    job->score_capacity = (size_t)c->count * (c->options.context - 1 - job->scored);
    job->scores = qn_calloc(a, job->score_capacity, sizeof *job->scores);
    job->logits = qn_calloc(a, ROOM_ROWS, job->vocabulary * sizeof(float));
    job->rows = qn_calloc(a, ROOM_ROWS, (size_t)job->row_bytes);
    if (!job->scores || !job->logits || !job->rows)
        return QN_OOM();
    for (size_t i = 0; i < (size_t)c->count * c->options.context; i++)
        if (c->tokens.ids[i] < 0 || (uint32_t)c->tokens.ids[i] >= job->vocabulary)
            return QN_ERROR(QN_INVALID_FILE, "token %zu is %d; the model's vocabulary has %u", i, c->tokens.ids[i],
                            job->vocabulary);
    return NULL;
}

static void release(struct job *job)
{
    const struct qn_allocator *a = job->chunks.llm->allocator;
    qn_file_writer_discard(job->writer);
    qn_free(a, job->rows, ROOM_ROWS * (size_t)job->row_bytes);
    qn_free(a, job->logits, ROOM_ROWS * job->vocabulary * sizeof(float));
    qn_free(a, job->scores, job->score_capacity * sizeof *job->scores);
    qn_chunks_free(&job->chunks);
}

static qn_status run(struct job *job)
{
    for (job->chunk = 0; job->chunk < job->chunks.count; job->chunk++) {
        QN_TRY(qn_chunks_eval(&job->chunks, job->chunk, job->scored, job->logits, ROOM_ROWS, score_piece, job));
        QN_TRY(qn_chunks_progress(&job->chunks, job->chunk + 1, exp(job->sum / (double)job->score_count)));
    }
    return NULL;
}

static int compare_floats(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Between neighbours of the sorted values. */
static double quantile(const float *sorted, size_t count, double share)
{
    double at = share * (double)(count - 1);
    size_t low = (size_t)at, high = low + 1 < count ? low + 1 : low;
    return (double)sorted[low] + (at - (double)low) * ((double)sorted[high] - (double)sorted[low]);
}

static qn_status divergence_stats(const struct job *job, struct qn_perplexity_stats *out)
{
    const struct qn_allocator *a = job->chunks.llm->allocator;
    size_t n = job->score_count, same = 0;
    double base = 0, sum = 0, squares = 0;
    float *sorted = qn_calloc(a, n, sizeof *sorted);
    if (!sorted)
        return QN_OOM();
    for (size_t i = 0; i < n; i++) {
        sorted[i] = job->scores[i].kl;
        base += (double)job->scores[i].base_nll;
        sum += (double)sorted[i];
        squares += (double)sorted[i] * (double)sorted[i];
        same += job->scores[i].same_top;
    }
    qsort(sorted, n, sizeof *sorted, compare_floats);
    double count = (double)n, variance = squares / count - sum / count * (sum / count);
    out->base_perplexity = exp(base / count);
    out->kl_mean = sum / count;
    out->kl_error = variance > 0 && n > 1 ? sqrt(variance / (count - 1)) : 0;
    out->kl_median = quantile(sorted, n, 0.5);
    out->kl_p99 = quantile(sorted, n, 0.99);
    out->kl_max = (double)sorted[n - 1];
    out->same_top = (double)same / count;
    out->same_top_error = n > 1 ? sqrt(out->same_top * (1 - out->same_top) / (count - 1)) : 0;
    qn_free(a, sorted, n * sizeof *sorted);
    return NULL;
}

static qn_status give_stats(const struct job *job, uint64_t start, struct qn_perplexity_stats *stats)
{
    struct qn_perplexity_stats all = {
        .struct_size = stats ? stats->struct_size : 0, .chunks = job->chunks.count, .tokens = job->score_count};
    if (!stats)
        return NULL;
    double n = (double)job->score_count, squares = 0;
    for (size_t i = 0; i < job->score_count; i++)
        squares += (double)job->scores[i].nll * (double)job->scores[i].nll;
    double mean = job->sum / n, variance = squares / n - mean * mean;
    all.perplexity = exp(mean);
    all.error = variance > 0 && n > 1 ? all.perplexity * sqrt(variance / (n - 1)) : 0;
    if (job->base)
        QN_TRY(divergence_stats(job, &all));
    all.seconds = (double)(qn_clock_ns() - start) * 1e-9;
    memcpy(stats, &all, stats->struct_size < sizeof all ? stats->struct_size : sizeof all);
    return NULL;
}

/* ---- perplexity ----------------------------------------------------------------------------------------------- */

static qn_status begin_save(struct job *job, const char *path)
{
    const struct qn_chunks *c = &job->chunks;
    uint32_t numbers[3] = {c->options.context, job->vocabulary, c->count};
    QN_TRY(qn_file_writer_open(path, &job->writer));
    QN_TRY(qn_file_writer_write(job->writer, magic, sizeof magic));
    QN_TRY(qn_file_writer_write(job->writer, numbers, sizeof numbers));
    return qn_file_writer_write(job->writer, c->tokens.ids,
                                (size_t)c->count * c->options.context * sizeof *c->tokens.ids);
}

static qn_status perplexity(struct job *job, const char *save)
{
    QN_TRY(prepare(job));
    if (save)
        QN_TRY(begin_save(job, save));
    QN_TRY(run(job));
    struct qn_file_writer *writer = job->writer;
    job->writer = NULL;
    return writer ? qn_file_writer_commit(writer) : NULL;
}

qn_status qn_perplexity(struct qn_llm *llm, const struct qn_tokenizer *tokenizer, const char *text, size_t size,
                        const char *save, const struct qn_eval_options *options, struct qn_perplexity_stats *stats)
{
    uint64_t start = qn_clock_ns();
    struct job job = {0};
    qn_status status = qn_chunks_init(&job.chunks, llm, tokenizer, text, size, 2, options);
    if (!status)
        status = perplexity(&job, save);
    if (!status)
        status = give_stats(&job, start, stats);
    release(&job);
    return status;
}

/* ---- divergence ----------------------------------------------------------------------------------------------- */

static qn_status divergence(struct job *job, struct qn_llm *llm, const struct qn_tokenizer *tokenizer,
                            const struct qn_file_map *map, const struct qn_eval_options *options)
{
    int32_t numbers[3];
    if (map->size < HEAD_BYTES || memcmp(map->data, magic, sizeof magic) != 0)
        return QN_ERROR(QN_INVALID_FILE, "no log-probabilities of a reference run: it does not begin with '_logits_'");
    memcpy(numbers, map->data + sizeof magic, sizeof numbers);
    int32_t context = numbers[0], vocabulary = numbers[1], chunks = numbers[2];
    if (context < 4 || vocabulary < 1 || chunks < 1)
        return QN_ERROR(QN_INVALID_FILE, "%d chunks of %d tokens over a vocabulary of %d", chunks, context, vocabulary);
    if ((uint32_t)vocabulary != llm->config.vocabulary)
        return QN_ERROR(QN_INVALID_FILE, "made with a vocabulary of %d tokens; the model has %u", vocabulary,
                        llm->config.vocabulary);
    uint64_t rows, bytes, all = (uint64_t)context * (uint64_t)chunks * sizeof(int32_t);
    if (!qn_mul_u64((uint64_t)chunks, (uint64_t)(context - 1 - context / 2), &rows) ||
        !qn_mul_u64(rows, row_bytes_of((uint32_t)vocabulary), &bytes) || map->size - HEAD_BYTES < all ||
        map->size - HEAD_BYTES - all < bytes)
        return QN_ERROR(QN_INVALID_FILE, "%llu bytes are too few for %d chunks of %d tokens over a vocabulary of %d",
                        (unsigned long long)map->size, chunks, context, vocabulary);
    struct qn_eval_options given = {.struct_size = sizeof given};
    if (options)
        memcpy(&given, options, options->struct_size < sizeof given ? options->struct_size : sizeof given);
    given.struct_size = sizeof given;
    given.context = (uint32_t)context;
    QN_TRY(qn_chunks_init_tokens(&job->chunks, llm, tokenizer, (const int32_t *)(map->data + HEAD_BYTES),
                                 (uint32_t)chunks, &given));
    job->base = map->data + HEAD_BYTES + all;
    QN_TRY(prepare(job));
    return run(job);
}

qn_status qn_divergence(struct qn_llm *llm, const struct qn_tokenizer *tokenizer, const char *base,
                        const struct qn_eval_options *options, struct qn_perplexity_stats *stats)
{
    uint64_t start = qn_clock_ns();
    struct job job = {.chunks = {.llm = llm}};
    struct qn_file_map map;
    QN_TRY(qn_file_map(base, &map));
    qn_status status = divergence(&job, llm, tokenizer, &map, options);
    if (!status)
        status = give_stats(&job, start, stats);
    release(&job);
    qn_file_unmap(&map);
    return qn_status_note(status, "%s", base);
}
