/* Models that are well-formed files and bad models: metadata missing, absurd or against the tensors. Each must give an
 * error that names the file and the key or tensor. Every case is a small good model with one thing changed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/gguf/gguf.h"
#include "support/models.h"

struct change {
    const char *base; /* file under test/data/models, without its extension */
    const char *key;  /* metadata to drop, or to set */
    bool set;
    struct qn_gguf_value value;
    const char *drop_tensor, *reshape_tensor, *retype_tensor;
    enum qn_code code;
    const char *words;
};

static qn_status add_tensors(const struct qn_gguf *gguf, const struct change *c, struct qn_gguf_writer *writer)
{
    for (uint32_t i = 0; i < gguf->tensor_count; i++) {
        const struct qn_gguf_tensor *t = &gguf->tensors[i];
        if (c->drop_tensor && qn_str_is(t->name, c->drop_tensor))
            continue;
        uint64_t dims[8];
        memcpy(dims, t->dims, sizeof dims);
        if (c->reshape_tensor && qn_str_is(t->name, c->reshape_tensor))
            dims[0] -= 1;
        qn_dtype dtype = c->retype_tensor && qn_str_is(t->name, c->retype_tensor) ? QN_DTYPE_I32 : t->dtype;
        qn_status status = qn_gguf_writer_add_tensor(writer, t->name, dtype, t->rank, dims);
        if (status)
            return status;
    }
    qn_status status = qn_gguf_writer_begin_data(writer);
    for (uint32_t i = 0; i < gguf->tensor_count && !status; i++) {
        const struct qn_gguf_tensor *t = &gguf->tensors[i];
        if (c->drop_tensor && qn_str_is(t->name, c->drop_tensor))
            continue;
        uint64_t bytes = t->bytes;
        if (c->reshape_tensor && qn_str_is(t->name, c->reshape_tensor))
            bytes -= bytes / t->dims[0];
        status = qn_gguf_writer_write(writer, qn_gguf_tensor_data(gguf, t), bytes);
    }
    return status;
}

/* Writes the changed model and returns its path. */
static const char *write_changed(const struct change *c)
{
    char name[200];
    snprintf(name, sizeof name, "test/data/models/%s.gguf", c->base ? c->base : "llama");
    struct qn_gguf *gguf = NULL;
    qn_assert_ok(qn_gguf_open(qn_test_source(name), NULL, &gguf));
    const char *path = qn_test_temp("changed.gguf");
    struct qn_gguf_writer *writer = NULL;
    qn_assert_ok(qn_gguf_writer_create(path, NULL, &writer));
    for (uint32_t i = 0; i < gguf->kv_count; i++)
        if (!c->key || !qn_str_is(gguf->kvs[i].key, c->key))
            qn_assert_ok(qn_gguf_writer_set(writer, gguf->kvs[i].key, &gguf->kvs[i].value));
    if (c->set)
        qn_assert_ok(qn_gguf_writer_set(writer, qn_str_from(c->key), &c->value));
    qn_assert_ok(add_tensors(gguf, c, writer));
    qn_assert_ok(qn_gguf_writer_commit(writer));
    qn_gguf_close(gguf);
    return path;
}

static void check(void **state)
{
    const struct change *c = *state;
    qn_test_changed_model(write_changed(c), c->code, c->words, "changed.gguf");
}

#define U32(x)                                       \
    {                                                \
        .type = QN_GGUF_U32, .count = 1, .as.u = (x) \
    }
#define F32(x)                                       \
    {                                                \
        .type = QN_GGUF_F32, .count = 1, .as.f = (x) \
    }
#define TEXT(x)                                                 \
    {                                                           \
        .type = QN_GGUF_STRING, .count = 1, .as.str = QN_STR(x) \
    }
#define SET(name, v, code_, words_)                                          \
    {                                                                        \
        .key = name, .set = true, .value = v, .code = code_, .words = words_ \
    }
#define DROP(name, words_)                                    \
    {                                                         \
        .key = name, .code = QN_INVALID_FILE, .words = words_ \
    }

#define ON(model, name, v, code_, words_)                                                   \
    {                                                                                       \
        .base = model, .key = name, .set = true, .value = v, .code = code_, .words = words_ \
    }

static struct change changes[] = {
    {.words = NULL}, /* nothing changed: the writer and this test are sound */
    DROP("general.architecture", "general.architecture"),
    DROP("llama.block_count", "llama.block_count"),
    DROP("llama.context_length", "llama.context_length"),
    DROP("llama.embedding_length", "llama.embedding_length"),
    DROP("llama.attention.head_count", "llama.attention.head_count"),
    DROP("llama.feed_forward_length", "llama.feed_forward_length"),
    SET("general.architecture", TEXT("nosucharch"), QN_UNSUPPORTED, "'nosucharch' is not supported; known are: "),
    SET("general.architecture", U32(3), QN_INVALID_FILE, "general.architecture"),
    SET("llama.block_count", U32(0), QN_INVALID_FILE, "block count is 0"),
    SET("llama.block_count", U32(3), QN_INVALID_FILE, "'blk.2.attn_norm.weight' is missing"),
    SET("llama.block_count", U32(4000000000u), QN_INVALID_FILE, "block count is 4000000000"),
    SET("llama.block_count", TEXT("two"), QN_INVALID_FILE, "llama.block_count"),
    SET("llama.embedding_length", U32(64), QN_INVALID_FILE, "token_embd.weight"),
    SET("llama.attention.head_count", U32(0), QN_INVALID_FILE, "head count is 0"),
    SET("llama.attention.head_count", U32(3), QN_INVALID_FILE, "multiple of the key-value head count"),
    SET("llama.attention.head_count_kv", U32(0), QN_INVALID_FILE, "key-value head count is 0"),
    SET("llama.attention.head_count_kv", U32(4), QN_INVALID_FILE, "blk.0.attn_k.weight"),
    SET("llama.attention.key_length", U32(7), QN_UNSUPPORTED, "value heads of another size"),
    SET("llama.attention.value_length", U32(16), QN_UNSUPPORTED, "value heads"),
    SET("llama.rope.dimension_count", U32(7), QN_INVALID_FILE, "rope dimension count 7"),
    SET("llama.rope.dimension_count", U32(10), QN_INVALID_FILE, "rope dimension count 10"),
    SET("llama.rope.freq_base", F32(0), QN_INVALID_FILE, "rope base 0"),
    SET("llama.rope.freq_base", F32(__builtin_nanf("")), QN_INVALID_FILE, "llama.rope.freq_base' is not finite"),
    SET("llama.rope.scaling.type", TEXT("magic"), QN_UNSUPPORTED, "'magic'; expected none, linear, yarn or longrope"),
    SET("llama.context_length", U32(0), QN_INVALID_FILE, "context length is 0"),
    SET("llama.feed_forward_length", U32(57), QN_INVALID_FILE, "blk.0.ffn_"),
    SET("llama.expert_count", U32(4), QN_INVALID_FILE, "0 experts used of 4"),
    {.drop_tensor = "token_embd.weight", .code = QN_INVALID_FILE, .words = "'token_embd.weight' is missing"},
    {.drop_tensor = "blk.1.ffn_down.weight", .code = QN_INVALID_FILE, .words = "'blk.1.ffn_down.weight' is missing"},
    {.drop_tensor = "output_norm.weight", .code = QN_INVALID_FILE, .words = "'output_norm.weight' is missing"},
    {.reshape_tensor = "blk.1.attn_v.weight",
     .code = QN_INVALID_FILE,
     .words = "'blk.1.attn_v.weight' has shape [15, 32]"},
    {.reshape_tensor = "blk.0.attn_norm.weight",
     .code = QN_INVALID_FILE,
     .words = "'blk.0.attn_norm.weight' has shape [31]"},
    {.retype_tensor = "blk.0.attn_q.weight", .code = QN_INVALID_FILE, .words = "'blk.0.attn_q.weight' is of type i32"},
    {.base = "mixtral",
     .drop_tensor = "blk.0.ffn_gate_inp.weight",
     .code = QN_INVALID_FILE,
     .words = "blk.0.ffn_gate_inp"},
    {.base = "mixtral",
     .key = "llama.expert_used_count",
     .set = true,
     .value = U32(5),
     .code = QN_INVALID_FILE,
     .words = "5 experts used of 4"},
    {.base = "gpt2", .drop_tensor = "position_embd.weight", .code = QN_INVALID_FILE, .words = "position_embd"},
    {.base = "gpt2",
     .drop_tensor = "blk.0.attn_norm.bias",
     .code = QN_INVALID_FILE,
     .words = "'blk.0.attn_norm.bias' is missing"},
    ON("gemma2", "gemma2.attn_logit_softcapping", F32(-1), QN_INVALID_FILE, "soft caps -1"),
    ON("gemma2", "gemma2.attention.sliding_window_pattern", TEXT("no"), QN_INVALID_FILE,
       "sliding_window_pattern': expected a whole number, found text"),
    ON("gemma3", "gemma3.rope.freq_base_swa", F32(0.5f), QN_INVALID_FILE, "freq_base_swa' is 0.5"),
    ON("gptneox", "gptneox.hidden_activation", TEXT("mish"), QN_UNSUPPORTED, "activation 'mish' is not supported"),
    ON("qwen2moe", "qwen2moe.expert_weights_norm", U32(1), QN_INVALID_FILE, "expert_weights_norm': expected a bool"),
    ON("qwen2moe", "qwen2moe.expert_feed_forward_length", U32(13), QN_INVALID_FILE, "ffn_gate_exps.weight' has shape"),
    {.base = "phi3_long",
     .drop_tensor = "rope_factors_short.weight",
     .code = QN_INVALID_FILE,
     .words = "'rope_factors_short.weight' is missing"},
    {.base = "phi3_long",
     .reshape_tensor = "rope_factors_long.weight",
     .code = QN_INVALID_FILE,
     .words = "'rope_factors_long.weight': expected f32 [4]"},
    {.base = "gemma2",
     .drop_tensor = "blk.1.post_ffw_norm.weight",
     .code = QN_INVALID_FILE,
     .words = "'blk.1.post_ffw_norm.weight' is missing"},
    {.base = "phi3",
     .reshape_tensor = "blk.0.attn_qkv.weight",
     .code = QN_INVALID_FILE,
     .words = "'blk.0.attn_qkv.weight' has shape [31, 16], the configuration asks for [32, 16]"},
    ON("mamba", "mamba.ssm.inner_size", U32(0), QN_INVALID_FILE, "inner size 0"),
    ON("mamba", "mamba.ssm.inner_size", U32(17), QN_INVALID_FILE, "blk.0.ssm_in.weight"),
    ON("mamba", "mamba.ssm.conv_kernel", U32(1), QN_INVALID_FILE, "convolution of 1"),
    ON("mamba", "mamba.ssm.state_size", U32(4000000000u), QN_INVALID_FILE, "state size 4000000000"),
    ON("mamba", "mamba.ssm.time_step_rank", TEXT("auto"), QN_INVALID_FILE, "mamba.ssm.time_step_rank"),
    {.base = "mamba", .drop_tensor = "blk.1.ssm_a", .code = QN_INVALID_FILE, .words = "'blk.1.ssm_a' is missing"},
    ON("deepseek2", "deepseek2.attention.kv_lora_rank", U32(9), QN_INVALID_FILE, "these contradict each other"),
    ON("deepseek2", "deepseek2.attention.key_length_mla", U32(4), QN_INVALID_FILE, "these contradict each other"),
    ON("deepseek2", "deepseek2.attention.value_length", U32(100), QN_INVALID_FILE,
       "value heads of 100 beside key heads of 12"),
    ON("deepseek2", "deepseek2.attention.value_length_mla", U32(11), QN_INVALID_FILE, "blk.0.attn_v_b.weight"),
    ON("deepseek2", "deepseek2.expert_group_count", U32(4), QN_INVALID_FILE, "groups of 4"),
    ON("deepseek2", "deepseek2.expert_group_used_count", U32(0), QN_INVALID_FILE, "in 0 groups of 3"),
    ON("deepseek2", "deepseek2.expert_gating_func", U32(7), QN_UNSUPPORTED, "'expert_gating_func' is 7"),
    {.base = "deepseek2",
     .drop_tensor = "blk.0.attn_k_b.weight",
     .code = QN_INVALID_FILE,
     .words = "'blk.0.attn_k_b.weight' is missing"},
    ON("gpt-oss", "gpt-oss.expert_count", U32(0), QN_INVALID_FILE, "2 experts used of 0"),
    {.base = "gpt-oss", .reshape_tensor = "blk.1.attn_sinks.weight", .code = QN_INVALID_FILE, .words = "has shape [1]"},
    {.base = "gpt-oss",
     .reshape_tensor = "blk.1.ffn_up_exps.bias",
     .code = QN_INVALID_FILE,
     .words = "blk.1.ffn_up_exps.bias"},
    {.base = "llama3", .reshape_tensor = "rope_freqs.weight", .code = QN_INVALID_FILE, .words = "rope_freqs.weight"},
};

int main(void)
{
    enum { COUNT = sizeof changes / sizeof changes[0] };
    struct CMUnitTest tests[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        const char *name = changes[i].words ? changes[i].words : "unchanged";
        tests[i] = (struct CMUnitTest){*name ? name : "changed", check, NULL, NULL, &changes[i]};
    }
    return cmocka_run_group_tests_name("bad models", tests, NULL, NULL);
}
