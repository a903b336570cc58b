/* Folders whose config.json is a good one with one thing changed: each must give an error that names the file and the
 * key, the tensor or both. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/models.h"

struct change {
    const char *folder; /* under test/data/models */
    const char *from, *to;
    const char *words; /* NULL: it runs all the same */
};

static const char *write_changed(const struct change *c)
{
    char path[700], weights[700];
    size_t size;
    const char *folder = qn_test_temp("changed");
    mkdir(folder, 0700);
    snprintf(path, sizeof path, "test/data/models/%s/config.json", c->folder);
    char *text = qn_test_read_file(qn_test_source(path), &size);
    const char *found = strstr(text, c->from);
    if (!found)
        fail_msg("'%s' is not in %s", c->from, path);
    snprintf(path, sizeof path, "%s/config.json", folder);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    fwrite(text, 1, (size_t)(found - text), file);
    fputs(c->to, file);
    fputs(found + strlen(c->from), file);
    assert_int_equal(fclose(file), 0);
    free(text);
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    snprintf(weights, sizeof weights, QN_SOURCE_DIR "/test/data/models/%s/model.safetensors", c->folder);
    unlink(path);
    assert_int_equal(symlink(weights, path), 0);
    return folder;
}

static void check(void **state)
{
    const struct change *c = *state;
    qn_test_changed_model(write_changed(c), QN_OK, c->words, "config.json");
}

static struct change changes[] = {
    {"gemma2", "\"sliding_window\": 7", "\"sliding_window\": null", NULL},
    {"gemma2", "\"sliding_window\": 7", "\"sliding_window\": \"7\"", "key 'sliding_window'"},
    {"gemma2", "\"sliding_attention\"", "\"chunked_attention\"", "layer 0 is 'chunked_attention'"},
    {"gemma2", "\"layer_types\": [", "\"layer_types\": [], \"was\": [", "key 'layer_types'"},
    {"gemma2", "\"query_pre_attn_scalar\": 5", "\"query_pre_attn_scalar\": 0", "'query_pre_attn_scalar' is 0"},
    {"gemma2", "\"head_dim\": 8", "\"head_dim\": 16", "num_key_value_heads*head_dim' is 16"},
    {"gemma3", "\"use_bidirectional_attention\": false", "\"use_bidirectional_attention\": true",
     "use_bidirectional_attention"},
    {"gemma3", "\"hidden_activation\": \"gelu_pytorch_tanh\"", "\"hidden_activation\": \"snake\"", "'snake'"},
    {"gptneox", "\"partial_rotary_factor\": 0.5", "\"partial_rotary_factor\": 1.5", "rotary_pct"},
    {"gptneox", "\"num_attention_heads\": 2", "\"num_attention_heads\": 3", "query_key_value"},
    {"gptj", "\"rotary_dim\": 4", "\"rotary_dim\": null", "key 'rotary_dim'"},
    {"gptj", "\"rotary_dim\": 4", "\"rotary_dim\": 10", "rope dimension count 10"},
    {"phi3_long", "\"long_factor\": [", "\"long_factor\": [1.0, ", "key 'long_factor': expected a list of 4 numbers"},
    {"phi3_long", "\"long_factor\": [", "\"long_factor\": [-1, 1, 1, 1], \"was\": [", "element 0 is -1"},
    {"phi3_long", "\"short_factor\"", "\"short_factors\"", "key 'short_factor'"},
    {"phi3", "\"intermediate_size\": 24", "\"intermediate_size\": 25", "key 'intermediate_size' is 25"},
    {"qwen2moe", "\"num_experts_per_tok\": 2", "\"num_experts_per_tok\": 6", "6 experts used of 5"},
    {"qwen2moe", "\"moe_intermediate_size\": 12", "\"moe_intermediate_size\": 10", "moe_intermediate_size"},
    {"qwen3moe", "\"norm_topk_prob\": true", "\"norm_topk_prob\": 1", "key 'norm_topk_prob'"},
    {"tiny_qwen2", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1", "num_hidden_layers"},
    {"tiny_mistral", "\"rope_type\": \"yarn\"", "\"rope_type\": \"magic\"", "'magic'"},
    {"tiny_mistral", "\"rms_norm_eps\"",
     "\"quantization_config\": {\"quant_method\": 4, \"bits\": 4}, \"rms_norm_eps\"", "key 'quant_method'"},
};

int main(void)
{
    enum { COUNT = sizeof changes / sizeof changes[0] };
    struct CMUnitTest tests[COUNT];
    for (size_t i = 0; i < COUNT; i++)
        tests[i] = (struct CMUnitTest){changes[i].to, check, NULL, NULL, &changes[i]};
    return cmocka_run_group_tests_name("bad configurations of folders", tests, NULL, NULL);
}
