/* Speed of tokenizers and of the sampler, on one thread.
 *
 *   tokenizer_bench [TEXT [MODEL...]]
 *
 * TEXT: a file of plain English (default: this repository's own documents, repeated). MODEL: GGUF files (default: the
 * vocabularies of the conformance data). For each: MB/s over the whole text in one call, line by line (no words are
 * remembered between calls), and back from the tokens; the best of 5. Then microseconds a sampled token.
 */
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/clock.h"
#include "quern/model.h"
#include "quern/sampler.h"
#include "quern/tokenizer.h"

enum { ROUNDS = 5, TEXT_BYTES = 8 << 20 };

struct text {
    char *data;
    size_t size;
};

/* Ends the program with the words of a failed status. */
static void check(qn_status status)
{
    if (!status)
        return;
    fprintf(stderr, "%s\n", qn_status_message(status));
    exit(1);
}

/* ---- the text ---------------------------------------------------------------------------------------------- */

static void add_file(struct text *text, const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return;
    text->size += fread(text->data + text->size, 1, TEXT_BYTES - text->size, file);
    fclose(file);
}

static struct text read_text(const char *path)
{
    struct text text = {malloc(TEXT_BYTES), 0};
    if (!text.data)
        exit(1);
    if (path) {
        add_file(&text, path);
    } else {
        static const char *const patterns[] = {QN_SOURCE_DIR "/*.md", QN_SOURCE_DIR "/docs/*.md",
                                               QN_SOURCE_DIR "/tools/*/*.md"};
        for (size_t i = 0; i < 3; i++) {
            glob_t found;
            if (glob(patterns[i], 0, NULL, &found) == 0)
                for (size_t k = 0; k < found.gl_pathc; k++)
                    add_file(&text, found.gl_pathv[k]);
            globfree(&found);
        }
    }
    if (!text.size) {
        fprintf(stderr, "no text\n");
        exit(1);
    }
    for (size_t once = text.size; text.size + once <= TEXT_BYTES; text.size += once)
        memcpy(text.data + text.size, text.data, once);
    return text;
}

/* ---- tokenizers -------------------------------------------------------------------------------------------- */

static double mb_per_s(size_t bytes, uint64_t ns)
{
    return (double)bytes * 1e3 / (double)ns;
}

static uint64_t encode_lines(const struct qn_tokenizer *t, const struct text *text, struct qn_tokens *tokens)
{
    static const struct qn_encode_options bare = {.struct_size = sizeof bare, .bare = true};
    uint64_t start = qn_clock_ns();
    tokens->count = 0;
    for (const char *at = text->data, *end = at + text->size; at < end;) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t size = newline ? (size_t)(newline - at) + 1 : (size_t)(end - at);
        check(qn_tokenizer_encode(t, at, size, &bare, tokens));
        at += size;
    }
    return qn_clock_ns() - start;
}

static void bench_model(const char *path, const struct text *text)
{
    struct qn_model *model;
    struct qn_tokenizer *t;
    uint64_t start = qn_clock_ns();
    check(qn_model_open(path, NULL, &model));
    check(qn_tokenizer_create(model, NULL, &t));
    double load_ms = (double)(qn_clock_ns() - start) / 1e6;
    qn_model_close(model);
    uint64_t whole = UINT64_MAX, lines = UINT64_MAX, back = UINT64_MAX;
    struct qn_tokens tokens = {0};
    size_t count = 0;
    for (int round = 0; round < ROUNDS; round++) {
        struct qn_text decoded = {0};
        uint64_t ns = encode_lines(t, text, &tokens);
        lines = ns < lines ? ns : lines;
        tokens.count = 0;
        start = qn_clock_ns();
        check(qn_tokenizer_encode(t, text->data, text->size, NULL, &tokens));
        ns = qn_clock_ns() - start;
        whole = ns < whole ? ns : whole;
        count = tokens.count;
        start = qn_clock_ns();
        check(qn_tokenizer_decode(t, tokens.ids, tokens.count, NULL, &decoded));
        ns = qn_clock_ns() - start;
        back = ns < back ? ns : back;
        qn_text_free(&decoded);
    }
    const char *name = strrchr(path, '/');
    printf("%-36s %7u tokens  load %7.1f ms  encode %6.1f MB/s (lines %6.1f)  decode %7.1f MB/s  %.2f bytes/token\n",
           name ? name + 1 : path, qn_tokenizer_count(t), load_ms, mb_per_s(text->size, whole),
           mb_per_s(text->size, lines), mb_per_s(text->size, back), (double)text->size / (double)count);
    qn_tokens_free(&tokens);
    qn_tokenizer_free(t);
}

static void bench_default_models(const struct text *text)
{
    const char *folder = getenv("QUERN_CONFORMANCE");
    char pattern[4096];
    glob_t found;
    snprintf(pattern, sizeof pattern, "%s/text/vocab/*.gguf", folder ? folder : QN_SOURCE_DIR "/../shared/conformance");
    if (glob(pattern, 0, NULL, &found) == 0)
        for (size_t i = 0; i < found.gl_pathc; i++)
            bench_model(found.gl_pathv[i], text);
    else
        printf("tokenizers: skipped, no vocabularies at %s\n", pattern);
    globfree(&found);
}

/* ---- the sampler ------------------------------------------------------------------------------------------- */

static void bench_sampler(const char *name, struct qn_sampler_options options)
{
    enum { VOCABULARY = 128 << 10, TOKENS = 300 };
    static float logits[VOCABULARY];
    uint64_t state = 1;
    struct qn_sampler *sampler;
    int32_t token;
    for (int i = 0; i < VOCABULARY; i++) { /* twelve uniform numbers add up to a bell curve; spread as in a model */
        float sum = -6;
        for (int k = 0; k < 12; k++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            sum += (float)(state >> 40) / (float)(1 << 24);
        }
        logits[i] = sum * 3;
    }
    options.struct_size = sizeof options;
    check(qn_sampler_create(&options, VOCABULARY, NULL, &sampler));
    uint64_t start = qn_clock_ns();
    for (int i = 0; i < TOKENS; i++) {
        check(qn_sampler_sample(sampler, logits, VOCABULARY, &token));
        check(qn_sampler_accept(sampler, token));
    }
    printf("sampler, %d tokens, %-44s %7.1f us a token\n", VOCABULARY, name,
           (double)(qn_clock_ns() - start) / 1e3 / TOKENS);
    qn_sampler_free(sampler);
}

int main(int argc, char **argv)
{
    struct text text = read_text(argc > 1 ? argv[1] : NULL);
    for (int i = 2; i < argc; i++)
        bench_model(argv[i], &text);
    if (argc < 3)
        bench_default_models(&text);
    bench_sampler("greedy", (struct qn_sampler_options){0});
    bench_sampler("temperature", (struct qn_sampler_options){.temperature = 1});
    bench_sampler("top-k 40", (struct qn_sampler_options){.temperature = 1, .top_k = 40});
    bench_sampler("top-p 0.95", (struct qn_sampler_options){.temperature = 1, .top_p = 0.95f});
    bench_sampler("top-k 40, top-p 0.95, min-p 0.05, penalties",
                  (struct qn_sampler_options){
                      .temperature = 0.8f, .top_k = 40, .top_p = 0.95f, .min_p = 0.05f, .repeat_penalty = 1.1f});
    free(text.data);
    return 0;
}
