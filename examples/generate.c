/* Text from a language model in C: open, compile, encode, generate, close.
 *
 *     cc generate.c $(pkg-config --cflags --libs quern) -o generate
 *     ./generate model.gguf "Once upon a time"
 */
#include <quern/llm.h>
#include <quern/model.h>
#include <quern/sampler.h>
#include <quern/tokenizer.h>
#include <stdio.h>
#include <string.h>

static bool print(void *context, const char *text, size_t size)
{
    (void)context;
    return fwrite(text, 1, size, stdout) == size && fflush(stdout) == 0; /* false stops the generation */
}

static qn_status generate(struct qn_llm *llm, const struct qn_tokenizer *tokenizer, struct qn_sampler *sampler,
                          const char *prompt)
{
    struct qn_tokens tokens = {0};
    qn_status status = qn_tokenizer_encode(tokenizer, prompt, strlen(prompt), NULL, &tokens);
    struct qn_generate_options options = {.struct_size = sizeof options, .max_tokens = 200, .on_text = print};
    struct qn_generate_stats stats = {.struct_size = sizeof stats};
    if (!status)
        status = qn_llm_generate(llm, tokenizer, sampler, tokens.ids, tokens.count, &options, &stats);
    if (!status)
        fprintf(stderr, "\n%u tokens in %.2f s\n", stats.generated_tokens, stats.decode_s);
    qn_tokens_free(&tokens);
    return status;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: generate MODEL PROMPT\n");
        return 2;
    }
    struct qn_model *model = NULL;
    struct qn_tokenizer *tokenizer = NULL;
    struct qn_llm *llm = NULL;
    struct qn_sampler *sampler = NULL;
    qn_status status = qn_model_open(argv[1], NULL, &model);
    if (!status)
        status = qn_tokenizer_create(model, NULL, &tokenizer);
    if (!status)
        status = qn_llm_create(model, NULL, &llm);
    struct qn_sampler_options options = {.struct_size = sizeof options, .temperature = 0.8f, .top_k = 40, .seed = 1};
    struct qn_llm_info info = {.struct_size = sizeof info};
    if (!status) {
        qn_llm_get_info(llm, &info); /* the logits may have more entries than the tokenizer has tokens */
        status = qn_sampler_create(&options, info.vocabulary, NULL, &sampler);
    }
    if (!status)
        status = generate(llm, tokenizer, sampler, argv[2]);
    if (status)
        fprintf(stderr, "generate: %s\n", qn_status_message(status));
    int code = status != NULL;
    qn_status_free(status);
    qn_sampler_free(sampler);
    qn_llm_destroy(llm);
    qn_tokenizer_free(tokenizer);
    qn_model_close(model);
    return code;
}
