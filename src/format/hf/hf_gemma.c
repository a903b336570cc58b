/* Gemma 1, 2 and 3 (text). Their norms multiply by one more than the weight, which GGUF has added already. */
#include <math.h>

#include "format/hf/hf_back.h"

static const struct qn_hf_key keys[] = {
    {"vocab_size", "vocab_size", QN_HF_U32, false},
    {"max_position_embeddings", "context_length", QN_HF_U32, true},
    {"hidden_size", "embedding_length", QN_HF_U32, true},
    {"intermediate_size", "feed_forward_length", QN_HF_U32, true},
    {"rms_norm_eps", "attention.layer_norm_rms_epsilon", QN_HF_F32, false},
    {0},
};

#define LAYER "model.layers.{}."
#define NORM .value = QN_HF_PLUS_ONE

#define COMMON                                                                                                      \
    {"model.embed_tokens.weight", "token_embd.weight", "vocab_size,hidden_size"},                                   \
        {"model.norm.weight", "output_norm.weight", "hidden_size", NORM},                                           \
        {"lm_head.weight", "output.weight", "vocab_size,hidden_size"},                                              \
        {LAYER "self_attn.q_proj.weight", "blk.{}.attn_q.weight", "num_attention_heads*head_dim,hidden_size"},      \
        {LAYER "self_attn.k_proj.weight", "blk.{}.attn_k.weight", "num_key_value_heads*head_dim,hidden_size"},      \
        {LAYER "self_attn.v_proj.weight", "blk.{}.attn_v.weight", "num_key_value_heads*head_dim,hidden_size"},      \
        {LAYER "self_attn.o_proj.weight", "blk.{}.attn_output.weight", "hidden_size,num_attention_heads*head_dim"}, \
        {LAYER "self_attn.q_proj.bias", "blk.{}.attn_q.bias", "num_attention_heads*head_dim"},                      \
        {LAYER "self_attn.k_proj.bias", "blk.{}.attn_k.bias", "num_key_value_heads*head_dim"},                      \
        {LAYER "self_attn.v_proj.bias", "blk.{}.attn_v.bias", "num_key_value_heads*head_dim"},                      \
        {LAYER "self_attn.o_proj.bias", "blk.{}.attn_output.bias", "hidden_size"},                                  \
        {LAYER "self_attn.rotary_emb.inv_freq", NULL},                                                              \
        {LAYER "input_layernorm.weight", "blk.{}.attn_norm.weight", "hidden_size", NORM},                           \
        {LAYER "mlp.gate_proj.weight", "blk.{}.ffn_gate.weight", "intermediate_size,hidden_size"},                  \
        {LAYER "mlp.up_proj.weight", "blk.{}.ffn_up.weight", "intermediate_size,hidden_size"},                      \
    {                                                                                                               \
        LAYER "mlp.down_proj.weight", "blk.{}.ffn_down.weight", "hidden_size,intermediate_size"                     \
    }

static const struct qn_hf_name names_1[] = {
    COMMON,
    {LAYER "post_attention_layernorm.weight", "blk.{}.ffn_norm.weight", "hidden_size", NORM},
    {0},
};

/* From the second on a norm stands before and after each block. */
static const struct qn_hf_name names_2[] = {
    COMMON,
    {LAYER "self_attn.q_norm.weight", "blk.{}.attn_q_norm.weight", "head_dim", NORM},
    {LAYER "self_attn.k_norm.weight", "blk.{}.attn_k_norm.weight", "head_dim", NORM},
    {LAYER "post_attention_layernorm.weight", "blk.{}.post_attention_norm.weight", "hidden_size", NORM},
    {LAYER "pre_feedforward_layernorm.weight", "blk.{}.ffn_norm.weight", "hidden_size", NORM},
    {LAYER "post_feedforward_layernorm.weight", "blk.{}.post_ffw_norm.weight", "hidden_size", NORM},
    {0},
};

static void finish_1(struct qn_hf *hf)
{
    struct qn_str activation = qn_hf_str(hf, "hidden_act");
    qn_hf_attention_keys(hf);
    if (activation.data && !qn_str_is(activation, "gelu")) /* by which old folders mean its tanh form */
        qn_hf_activation_key(hf, "hidden_act", "gelu_pytorch_tanh");
}

static void finish_both(struct qn_hf *hf, uint32_t window_period, uint64_t layers_of_27b)
{
    uint64_t layers = qn_hf_need_u64(hf, "num_hidden_layers"), heads = qn_hf_need_u64(hf, "num_attention_heads");
    double scalar = qn_hf_f64(hf, "query_pre_attn_scalar", 256);
    uint64_t usual = layers == layers_of_27b && heads ? qn_hf_need_u64(hf, "hidden_size") / heads : qn_hf_head_dim(hf);
    if (qn_hf_bool(hf, "use_bidirectional_attention", false) && !hf->status)
        hf->status = QN_ERROR(QN_UNSUPPORTED, "key 'use_bidirectional_attention' is true; expected false");
    if (!(scalar > 0) && !hf->status)
        hf->status = QN_ERROR(QN_INVALID_FILE, "key 'query_pre_attn_scalar' is %g; expected more than 0", scalar);
    if (scalar != (double)usual)
        qn_hf_put_f32(hf, "attention.scale", 1 / sqrt(scalar));
    qn_hf_activation_key(hf, "hidden_activation", "gelu_pytorch_tanh");
    qn_hf_window_keys(hf, qn_hf_u64(hf, "sliding_window", 4096), window_period);
}

/* null means that there is no cap, which is 0 in GGUF; absent is the usual cap. */
static void put_cap(struct qn_hf *hf, const char *key, double usual)
{
    const struct qn_json *value = qn_json_member(hf->text, key);
    qn_hf_put_f32(hf, key, value && value->kind == QN_JSON_NULL ? 0 : qn_hf_f64(hf, key, usual));
}

static void finish_2(struct qn_hf *hf)
{
    qn_hf_attention_keys(hf);
    finish_both(hf, 2, 46);
    put_cap(hf, "attn_logit_softcapping", 50);
    put_cap(hf, "final_logit_softcapping", 30);
}

static void finish_3(struct qn_hf *hf)
{
    const struct qn_json *all = qn_hf_json(hf, "rope_parameters"), *local = qn_json_member(all, "sliding_attention");
    uint64_t period = qn_hf_u64(hf, "sliding_window_pattern", 6);
    qn_hf_heads_keys(hf);
    qn_hf_rope_keys(hf, qn_hf_head_dim(hf), "full_attention");
    if (!qn_json_member(qn_json_member(all, "full_attention"), "rope_theta") && !qn_hf_json(hf, "rope_theta"))
        qn_hf_put_f32(hf, "rope.freq_base", 1000000);
    qn_hf_put_f32(hf, "rope.freq_base_swa",
                  qn_hf_member_f64(hf, local, "rope_theta", qn_hf_f64(hf, "rope_local_base_freq", 10000)));
    if (period != 6 && !qn_hf_json(hf, "layer_types"))
        qn_hf_put_u32(hf, "attention.sliding_window_pattern", period);
    finish_both(hf, 6, 62);
    if (qn_hf_json(hf, "final_logit_softcapping")) /* that of scores is in the configuration, and of no effect */
        put_cap(hf, "final_logit_softcapping", 0);
    struct qn_str kind = qn_hf_member_str(hf, local, "rope_type");
    if (kind.data && !qn_str_is(kind, "default") && !hf->status)
        hf->status =
            QN_ERROR(QN_UNSUPPORTED, "rope scaling '%.*s' of 'sliding_attention'; expected default", QN_STR_ARG(kind));
}

static void back_1(struct qn_hf_back *back)
{
    qn_hf_back_attention(back);
    qn_hf_back_activation(back, "hidden_act", "gelu_pytorch_tanh");
    qn_hf_back_activation(back, "hidden_activation", "gelu_pytorch_tanh");
    qn_hf_back_put_bool(back, "attention_bias", qn_hf_back_has(back, "blk.0.attn_q.bias"));
}

static void put_cap_back(struct qn_hf_back *back, const char *key, double usual)
{
    double cap = qn_hf_back_f64(back, key, usual);
    if (cap != 0)
        qn_hf_back_put_f64(back, key, cap);
    else
        qn_hf_back_put_null(back, key);
}

static void back_both(struct qn_hf_back *back, uint64_t period, uint64_t layers_of_27b, bool caps)
{
    uint64_t heads = qn_hf_back_u64(back, "attention.head_count", 0), dim = qn_hf_back_u64(back, "embedding_length", 0),
             size = heads ? dim / heads : 0;
    bool large = qn_hf_back_u64(back, "block_count", 0) == layers_of_27b;
    double scale = qn_hf_back_f64(back, "attention.scale", 0),
           usual = (double)(large ? size : qn_hf_back_u64(back, "attention.key_length", size));
    double scalar = scale > 0 ? 1 / (scale * scale) : usual;
    if (fabs(scalar - round(scalar)) < 1e-4 * scalar)
        qn_hf_back_put_u64(back, "query_pre_attn_scalar", (uint64_t)round(scalar));
    else
        qn_hf_back_put_f64(back, "query_pre_attn_scalar", scalar);
    qn_hf_back_activation(back, "hidden_activation", "gelu_pytorch_tanh");
    qn_hf_back_put_bool(back, "attention_bias", qn_hf_back_has(back, "blk.0.attn_q.bias"));
    put_cap_back(back, "attn_logit_softcapping", caps ? 50 : 0);
    put_cap_back(back, "final_logit_softcapping", caps ? 30 : 0);
    qn_hf_back_window(back, period, true);
}

static void back_2(struct qn_hf_back *back)
{
    qn_hf_back_attention(back);
    back_both(back, 2, 46, true);
}

static void back_3(struct qn_hf_back *back)
{
    qn_hf_back_attention(back);
    qn_hf_back_put_f64(back, "rope_local_base_freq", qn_hf_back_f64(back, "rope.freq_base_swa", 10000));
    back_both(back, 6, 62, false);
}

const struct qn_hf_arch qn_hf_arch_gemma = {
    .model_type = "gemma",
    .gguf = "gemma",
    .prefix = "model.",
    .layers = "num_hidden_layers",
    .keys = keys,
    .names = names_1,
    .finish = finish_1,
    .class_ = "GemmaForCausalLM",
    .back = back_1,
};

const struct qn_hf_arch qn_hf_arch_gemma2 = {
    .model_type = "gemma2",
    .gguf = "gemma2",
    .prefix = "model.",
    .layers = "num_hidden_layers",
    .keys = keys,
    .names = names_2,
    .finish = finish_2,
    .class_ = "Gemma2ForCausalLM",
    .back = back_2,
};

/* The models that see pictures are published with what differs from this alone. */
#define DEFAULTS_3                                                                                             \
    "{\"vocab_size\":262208,\"hidden_size\":2304,\"intermediate_size\":9216,\"num_hidden_layers\":26,"         \
    "\"num_attention_heads\":8,\"num_key_value_heads\":4,\"head_dim\":256,\"max_position_embeddings\":131072," \
    "\"rms_norm_eps\":1e-6}"

const struct qn_hf_arch qn_hf_arch_gemma3_text = {
    .defaults = DEFAULTS_3,
    .model_type = "gemma3_text",
    .gguf = "gemma3",
    .prefix = "model.",
    .layers = "num_hidden_layers",
    .keys = keys,
    .names = names_2,
    .finish = finish_3,
    .class_ = "Gemma3ForCausalLM",
    .back = back_3,
};
