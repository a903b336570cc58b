#include "cli/run_encoder.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/json_out.h"
#include "cli/terminal.h"

enum { ANSWER_TOKENS = 15 }; /* the longest answer, as transformers' pipeline has it */

/* One text of the call, with its logits. */
struct job {
    const struct qn_run_encoder *args;
    struct qn_encoder_run run;
    struct qn_json_out json;
    struct qn_encoder_string string;
    struct qn_encoded encoded;
    struct qn_encoder_text text;
    int32_t *ids, *types;
    float *logits; /* rows of run.info.labels */
};

struct choice {
    double score;
    uint32_t index;
};

/* The best first; equal ones in their order. */
static int compare_choices(const void *a, const void *b)
{
    const struct choice *x = a, *y = b;
    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    return (x->index > y->index) - (x->index < y->index);
}

/* ---- numbers -------------------------------------------------------------------------------------------------- */

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

/* Probabilities of count classes, best first; NULL on lack of memory. */
static struct choice *rank(const float *logits, uint32_t count, bool independent)
{
    struct choice *out = calloc(count + 1, sizeof *out);
    float most = -INFINITY;
    double total = 0;
    if (!out) {
        qn_terminal_error("out of memory");
        return NULL;
    }
    for (uint32_t i = 0; i < count; i++)
        most = logits[i] > most ? logits[i] : most;
    for (uint32_t i = 0; i < count; i++) {
        out[i] = (struct choice){
            .score = independent ? sigmoid((double)logits[i]) : exp((double)logits[i] - (double)most), .index = i};
        total += out[i].score;
    }
    for (uint32_t i = 0; i < count && !independent; i++)
        out[i].score /= total;
    qsort(out, count, sizeof *out, compare_choices);
    return out;
}

static uint32_t top_of(const struct job *job, uint32_t count)
{
    return job->args->top < count ? (uint32_t)job->args->top : count;
}

/* ---- texts ---------------------------------------------------------------------------------------------------- */

static void clear(struct job *job)
{
    qn_encoded_free(&job->encoded);
    free(job->ids);
    free(job->types);
    free(job->logits);
    job->encoded = (struct qn_encoded){0};
    job->ids = job->types = NULL;
    job->logits = NULL;
}

/* Tokens of the text and a pair (NULL: none). */
static int tokenize(struct job *job, const char *pair, bool special)
{
    clear(job);
    job->string = (struct qn_encoder_string){
        .text = job->args->text, .size = job->args->size, .pair = pair, .pair_size = pair ? strlen(pair) : 0};
    int code = qn_command_status(
        qn_encoder_tokenize(job->run.encoder, job->run.tokenizer, &job->string, NULL, special, &job->encoded));
    if (code != QN_EXIT_OK)
        return code;
    size_t count = job->encoded.count;
    job->ids = calloc(count + 1, sizeof *job->ids);
    job->types = calloc(count + 1, sizeof *job->types);
    if (!job->ids || !job->types) {
        qn_terminal_error("out of memory");
        return QN_EXIT_FAILED;
    }
    for (size_t i = 0; i < count; i++) {
        job->ids[i] = job->encoded.tokens[i].id;
        job->types[i] =
            job->encoded.tokens[i].type_id < job->run.info.types ? (int32_t)job->encoded.tokens[i].type_id : 0;
    }
    job->text = (struct qn_encoder_text){.tokens = job->ids, .types = job->types, .count = count};
    return QN_EXIT_OK;
}

/* Logits of all tokens, or the one row of a classifier. */
static int evaluate(struct job *job)
{
    size_t rows = job->run.info.task == QN_ENCODER_CLASSIFY ? 1 : job->text.count;
    job->logits = calloc(rows * job->run.info.labels + 1, sizeof *job->logits);
    if (!job->logits) {
        qn_terminal_error("no memory for the logits of %zu tokens", rows);
        return QN_EXIT_FAILED;
    }
    return qn_command_status(qn_encoder_logits(job->run.encoder, &job->text, 1, job->logits));
}

/* A part of the text or the pair, as it was given. */
static const char *part_of(const struct job *job, int sequence, uint32_t begin, uint32_t end, size_t *size)
{
    const char *text = sequence == 1 ? job->string.pair : job->string.text;
    *size = end - begin;
    return text + begin;
}

/* ---- classes -------------------------------------------------------------------------------------------------- */

static int show_classes(struct job *job, const char *pair)
{
    uint32_t labels = job->run.info.labels;
    struct choice *choices = rank(job->logits, labels, job->run.info.multi_label || labels == 1);
    if (!choices)
        return QN_EXIT_FAILED;
    if (job->args->json) {
        qn_json_out_object(&job->json, NULL);
        if (pair)
            qn_json_out_string(&job->json, "pair", pair);
        qn_json_out_array(&job->json, "classes");
    } else if (pair) {
        qn_terminal_text(stdout, pair, strlen(pair), 100);
        putchar('\n');
    }
    for (uint32_t i = 0; i < top_of(job, labels); i++) {
        const char *label = qn_encoder_label(job->run.encoder, choices[i].index);
        if (job->args->json) {
            qn_json_out_object(&job->json, NULL);
            qn_json_out_string(&job->json, "label", label);
            qn_json_out_f64(&job->json, "score", choices[i].score);
            qn_json_out_f32(&job->json, "logit", job->logits[choices[i].index]);
            qn_json_out_end(&job->json);
        } else {
            printf("%8.6f  ", choices[i].score);
            qn_terminal_text(stdout, label, strlen(label), 0);
            putchar('\n');
        }
    }
    if (job->args->json) {
        qn_json_out_end(&job->json);
        qn_json_out_end(&job->json);
    }
    free(choices);
    return QN_EXIT_OK;
}

/* One class: a score for each pair, the best first. */
static int show_ranking(struct job *job)
{
    const struct qn_arg_list *pairs = &job->args->pairs;
    struct choice scores[QN_ARG_LIST_MAX];
    for (size_t i = 0; i < pairs->count; i++) {
        int code = tokenize(job, pairs->items[i], false);
        code = code ? code : evaluate(job);
        if (code)
            return code;
        scores[i] = (struct choice){(double)job->logits[0], (uint32_t)i};
    }
    qsort(scores, pairs->count, sizeof *scores, compare_choices);
    for (size_t i = 0; i < pairs->count; i++) {
        const char *pair = pairs->items[scores[i].index];
        if (job->args->json) {
            qn_json_out_object(&job->json, NULL);
            qn_json_out_u64(&job->json, "index", scores[i].index);
            qn_json_out_f64(&job->json, "score", sigmoid(scores[i].score));
            qn_json_out_f64(&job->json, "logit", scores[i].score);
            qn_json_out_string(&job->json, "text", pair);
            qn_json_out_end(&job->json);
        } else {
            printf("%8.6f  ", sigmoid(scores[i].score));
            qn_terminal_text(stdout, pair, strlen(pair), 100);
            putchar('\n');
        }
    }
    return QN_EXIT_OK;
}

static int run_classes(struct job *job)
{
    const struct qn_arg_list *pairs = &job->args->pairs;
    if (job->run.info.labels == 1 && pairs->count)
        return show_ranking(job);
    int code = QN_EXIT_OK;
    for (size_t i = 0; i < (pairs->count ? pairs->count : 1) && code == QN_EXIT_OK; i++) {
        const char *pair = pairs->count ? pairs->items[i] : NULL;
        code = tokenize(job, pair, false);
        code = code ? code : evaluate(job);
        code = code ? code : show_classes(job, pair);
    }
    return code;
}

/* ---- entities ------------------------------------------------------------------------------------------------- */

/* Tokens of one kind that follow each other. */
struct entity {
    const char *kind;
    double score; /* sum over tokens */
    uint32_t tokens, begin, end;
};

static void show_entity(struct job *job, const struct entity *e)
{
    size_t size;
    const char *text = part_of(job, 0, e->begin, e->end, &size);
    if (e->tokens == 0 || strcmp(e->kind, "O") == 0)
        return;
    if (job->args->json) {
        qn_json_out_object(&job->json, NULL);
        qn_json_out_string(&job->json, "entity_group", e->kind);
        qn_json_out_f64(&job->json, "score", e->score / e->tokens);
        qn_json_out_text(&job->json, "word", text, size);
        qn_json_out_u64(&job->json, "start", e->begin);
        qn_json_out_u64(&job->json, "end", e->end);
        qn_json_out_end(&job->json);
    } else {
        printf("%8.6f  %-12s  %6u..%-6u  ", e->score / e->tokens, e->kind, e->begin, e->end);
        qn_terminal_text(stdout, text, size, 0);
        putchar('\n');
    }
}

/* "B-PER" begins a PER, "I-PER" goes on with one; other names go on with themselves. */
static int run_entities(struct job *job)
{
    int code = tokenize(job, NULL, false);
    code = code ? code : evaluate(job);
    if (code)
        return code;
    struct entity entity = {0};
    uint32_t labels = job->run.info.labels;
    for (size_t i = 0; i < job->text.count; i++) {
        const struct qn_encoded_token *token = &job->encoded.tokens[i];
        if (token->special)
            continue;
        struct choice *choices = rank(job->logits + i * labels, labels, false);
        if (!choices)
            return QN_EXIT_FAILED;
        const char *label = qn_encoder_label(job->run.encoder, choices[0].index);
        bool tagged = (label[0] == 'B' || label[0] == 'I') && label[1] == '-';
        const char *kind = tagged ? label + 2 : label;
        if (entity.tokens == 0 || strcmp(entity.kind, kind) != 0 || (tagged && label[0] == 'B')) {
            show_entity(job, &entity);
            entity = (struct entity){.kind = kind, .begin = token->begin};
        }
        entity.score += choices[0].score;
        entity.tokens++;
        entity.end = token->end;
        free(choices);
    }
    show_entity(job, &entity);
    return QN_EXIT_OK;
}

/* ---- answers -------------------------------------------------------------------------------------------------- */

struct answer {
    double score;
    size_t first, last; /* tokens */
};

/* The most probable span of the context: start and end each by a softmax over the context's tokens. */
static struct answer find_answer(const struct job *job)
{
    struct answer best = {.score = -1};
    double most[2] = {-INFINITY, -INFINITY}, total[2] = {0, 0};
    const struct qn_encoded_token *tokens = job->encoded.tokens;
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < job->text.count; i++)
            for (int k = 0; k < 2 && tokens[i].sequence == 1; k++) {
                double x = (double)job->logits[2 * i + (size_t)k];
                most[k] = pass ? most[k] : fmax(most[k], x);
                total[k] += pass ? exp(x - most[k]) : 0;
            }
    for (size_t i = 0; i < job->text.count; i++)
        for (size_t j = i; j < job->text.count && j < i + ANSWER_TOKENS && tokens[i].sequence == 1; j++) {
            if (tokens[j].sequence != 1)
                continue;
            double score = exp((double)job->logits[2 * i] - most[0]) / total[0] *
                           (exp((double)job->logits[2 * j + 1] - most[1]) / total[1]);
            if (score > best.score)
                best = (struct answer){score, i, j};
        }
    return best;
}

static int show_answer(struct job *job)
{
    struct answer answer = find_answer(job);
    if (answer.score < 0) {
        qn_terminal_error("the context has no tokens");
        return QN_EXIT_FAILED;
    }
    uint32_t begin = job->encoded.tokens[answer.first].begin, end = job->encoded.tokens[answer.last].end;
    size_t size;
    const char *text = part_of(job, 1, begin, end, &size);
    if (job->args->json) {
        qn_json_out_object(&job->json, NULL);
        qn_json_out_f64(&job->json, "score", answer.score);
        qn_json_out_u64(&job->json, "start", begin);
        qn_json_out_u64(&job->json, "end", end);
        qn_json_out_text(&job->json, "answer", text, size);
        qn_json_out_end(&job->json);
    } else {
        printf("%8.6f  %6u..%-6u  ", answer.score, begin, end);
        qn_terminal_text(stdout, text, size, 0);
        putchar('\n');
    }
    return QN_EXIT_OK;
}

static int run_answers(struct job *job, const struct qn_args *command)
{
    const struct qn_arg_list *pairs = &job->args->pairs;
    if (!pairs->count)
        return qn_args_fail(command, "this model answers questions: give the question as --prompt, the text that it is "
                                     "about as --pair");
    int code = QN_EXIT_OK;
    for (size_t i = 0; i < pairs->count && code == QN_EXIT_OK; i++) {
        code = tokenize(job, pairs->items[i], false);
        code = code ? code : evaluate(job);
        code = code ? code : show_answer(job);
    }
    return code;
}

/* ---- masks ---------------------------------------------------------------------------------------------------- */

static int show_mask(struct job *job, uint32_t position)
{
    uint32_t vocabulary = job->run.info.labels;
    free(job->logits);
    job->logits = calloc(vocabulary, sizeof *job->logits);
    if (!job->logits)
        return QN_EXIT_FAILED;
    int code = qn_command_status(qn_encoder_logits_at(job->run.encoder, &job->text, &position, 1, job->logits));
    struct choice *choices = code ? NULL : rank(job->logits, vocabulary, false);
    if (!choices)
        return code ? code : QN_EXIT_FAILED;
    if (job->args->json)
        qn_json_out_array(&job->json, NULL);
    for (uint32_t i = 0; i < top_of(job, vocabulary); i++) {
        size_t size;
        int32_t id = (int32_t)choices[i].index;
        const char *text = qn_tokenizer_piece(job->run.tokenizer, id, &size);
        if (job->args->json) {
            qn_json_out_object(&job->json, NULL);
            qn_json_out_f64(&job->json, "score", choices[i].score);
            qn_json_out_i64(&job->json, "token", id);
            qn_json_out_text(&job->json, "token_str", text, size);
            qn_json_out_u64(&job->json, "position", position);
            qn_json_out_end(&job->json);
        } else {
            printf("%8.6f  %6d  ", choices[i].score, id);
            qn_terminal_text(stdout, text, size, 0);
            putchar('\n');
        }
    }
    if (job->args->json)
        qn_json_out_end(&job->json);
    free(choices);
    return QN_EXIT_OK;
}

static int run_masks(struct job *job)
{
    int32_t mask = qn_tokenizer_role(job->run.tokenizer, QN_TOKEN_MASK);
    uint32_t found = 0;
    int code = tokenize(job, NULL, true);
    for (size_t i = 0; i < job->text.count && code == QN_EXIT_OK; i++)
        if (job->ids[i] == mask && mask >= 0) {
            if (found++ && !job->args->json)
                putchar('\n');
            code = show_mask(job, (uint32_t)i);
        }
    if (code != QN_EXIT_OK || found)
        return code;
    size_t size = 0;
    const char *text = mask >= 0 ? qn_tokenizer_text(job->run.tokenizer, mask, &size) : "";
    qn_terminal_error(mask >= 0 ? "the text has no mask token %.*s to be filled in"
                                : "the vocabulary has no mask token%.*s",
                      (int)size, text);
    return QN_EXIT_FAILED;
}

/* ---- the whole ------------------------------------------------------------------------------------------------ */

qn_status qn_run_is_encoder(const char *path, bool *out)
{
    struct qn_model *model;
    QN_COMMAND_TRY(qn_model_open(path, NULL, &model));
    *out = qn_encoder_takes(model);
    qn_model_close(model);
    return NULL;
}

static int run_head(struct job *job, const struct qn_args *command)
{
    switch (job->run.info.task) {
    case QN_ENCODER_CLASSIFY:
        return run_classes(job);
    case QN_ENCODER_CLASSIFY_TOKENS:
        return run_entities(job);
    case QN_ENCODER_ANSWER:
        return run_answers(job, command);
    case QN_ENCODER_FILL_MASK:
        return run_masks(job);
    case QN_ENCODER_EMBED:
        break;
    }
    qn_terminal_error("%s has no head to run; for its embeddings: quern embed", job->args->open.path);
    return QN_EXIT_UNSUPPORTED;
}

int qn_run_encoder(const struct qn_run_encoder *args, const struct qn_args *command)
{
    struct job job = {.args = args};
    int code = qn_command_status(qn_encoder_open(&args->open, true, &job.run));
    if (code == QN_EXIT_OK) {
        qn_encoder_interrupt_begin(job.run.encoder);
        if (args->json) {
            qn_json_out_begin(&job.json, stdout);
            qn_json_out_array(&job.json, NULL);
        }
        code = run_head(&job, command);
        if (args->json) {
            qn_json_out_end(&job.json);
            qn_json_out_finish(&job.json);
        }
        qn_interrupt_end();
    }
    clear(&job);
    qn_encoder_close(&job.run);
    return code;
}
