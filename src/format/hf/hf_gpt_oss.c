/* gpt-oss: experts as MXFP4 blocks and scales, as they are published, or as plain numbers. */
#include "format/hf/hf_back.h"

static const struct qn_hf_key keys[] = {
    {"vocab_size", "vocab_size", QN_HF_U32, false},
    {"max_position_embeddings", "context_length", QN_HF_U32, true},
    {"hidden_size", "embedding_length", QN_HF_U32, true},
    {"intermediate_size", "feed_forward_length", QN_HF_U32, true},
    {"intermediate_size", "expert_feed_forward_length", QN_HF_U32, true},
    {"rms_norm_eps", "attention.layer_norm_rms_epsilon", QN_HF_F32, false},
    {"num_local_experts", "expert_count", QN_HF_U32, true},
    {"num_experts_per_tok", "expert_used_count", QN_HF_U32, true},
    {0},
};

#define LAYER "model.layers.{}."

static const struct qn_hf_name names[] = {
    {"model.embed_tokens.weight", "token_embd.weight", "vocab_size,hidden_size"},
    {"model.norm.weight", "output_norm.weight", "hidden_size"},
    {"lm_head.weight", "output.weight", "vocab_size,hidden_size"},
    {LAYER "self_attn.q_proj.weight", "blk.{}.attn_q.weight", "num_attention_heads*head_dim,hidden_size"},
    {LAYER "self_attn.k_proj.weight", "blk.{}.attn_k.weight", "num_key_value_heads*head_dim,hidden_size"},
    {LAYER "self_attn.v_proj.weight", "blk.{}.attn_v.weight", "num_key_value_heads*head_dim,hidden_size"},
    {LAYER "self_attn.o_proj.weight", "blk.{}.attn_output.weight", "hidden_size,num_attention_heads*head_dim"},
    {LAYER "self_attn.q_proj.bias", "blk.{}.attn_q.bias", "num_attention_heads*head_dim"},
    {LAYER "self_attn.k_proj.bias", "blk.{}.attn_k.bias", "num_key_value_heads*head_dim"},
    {LAYER "self_attn.v_proj.bias", "blk.{}.attn_v.bias", "num_key_value_heads*head_dim"},
    {LAYER "self_attn.o_proj.bias", "blk.{}.attn_output.bias", "hidden_size"},
    {LAYER "self_attn.sinks", "blk.{}.attn_sinks.weight", "num_attention_heads"},
    {LAYER "input_layernorm.weight", "blk.{}.attn_norm.weight", "hidden_size"},
    {LAYER "post_attention_layernorm.weight", "blk.{}.post_attention_norm.weight", "hidden_size"},
    {LAYER "mlp.router.weight", "blk.{}.ffn_gate_inp.weight", "num_local_experts,hidden_size"},
    {LAYER "mlp.router.bias", "blk.{}.ffn_gate_inp.bias", "num_local_experts"},
    /* gate and up take turns */
    {LAYER "mlp.experts.gate_up_proj_bias", "blk.{}.ffn_gate_exps.bias", "num_local_experts,2*intermediate_size",
     .split = 2, .part = 0, .alternate = true, .elements = true},
    {LAYER "mlp.experts.gate_up_proj_bias", "blk.{}.ffn_up_exps.bias", "num_local_experts,2*intermediate_size",
     .split = 2, .part = 1, .alternate = true, .elements = true},
    {LAYER "mlp.experts.down_proj_bias", "blk.{}.ffn_down_exps.bias", "num_local_experts,hidden_size"},
    /* plain numbers are [in, out], MXFP4 is [out, in] */
    {LAYER "mlp.experts.gate_up_proj", "blk.{}.ffn_gate_exps.weight", "num_local_experts", .transpose = true,
     .split = 2, .part = 0, .alternate = true},
    {LAYER "mlp.experts.gate_up_proj", "blk.{}.ffn_up_exps.weight", "num_local_experts", .transpose = true, .split = 2,
     .part = 1, .alternate = true},
    {LAYER "mlp.experts.down_proj", "blk.{}.ffn_down_exps.weight", "num_local_experts", .transpose = true},
    {0},
};

/* GGUF files have no word for what the released models share; a configuration that differs says so. */
static void finish(struct qn_hf *hf)
{
    qn_hf_attention_keys(hf);
    qn_hf_window_keys(hf, qn_hf_u64(hf, "sliding_window", 0), 2);
    if (qn_hf_f64(hf, "swiglu_limit", 7) != 7)
        qn_hf_put_f32(hf, "swiglu_limit", qn_hf_f64(hf, "swiglu_limit", 7));
    if (qn_hf_f64(hf, "swiglu_alpha", 1.702) != 1.702)
        qn_hf_put_f32(hf, "swiglu_alpha", qn_hf_f64(hf, "swiglu_alpha", 1.702));
}

static void back(struct qn_hf_back *back)
{
    qn_hf_back_attention(back);
    qn_hf_back_window(back, 2, true);
    qn_hf_back_put_str(back, "hidden_act", QN_STR("silu"));
    qn_hf_back_put_bool(back, "attention_bias", qn_hf_back_has(back, "blk.0.attn_q.bias"));
    qn_hf_back_put_f64(back, "swiglu_limit", qn_hf_back_f64(back, "swiglu_limit", 7));
    if (qn_hf_back_f64(back, "swiglu_alpha", 1.702) != 1.702)
        qn_hf_back_put_f64(back, "swiglu_alpha", qn_hf_back_f64(back, "swiglu_alpha", 1.702));
}

const struct qn_hf_arch qn_hf_arch_gpt_oss = {
    .model_type = "gpt_oss",
    .gguf = "gpt-oss",
    .prefix = "model.",
    .layers = "num_hidden_layers",
    .keys = keys,
    .names = names,
    .finish = finish,
    .exact_ramp = true,
    .class_ = "GptOssForCausalLM",
    .back = back,
};
