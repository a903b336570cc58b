/* Llama and its kin: llama, mistral, mixtral. */
#include "format/hf/hf_back.h"

static const struct qn_hf_key keys[] = {
    {"vocab_size", "vocab_size", QN_HF_U32, false},
    {"max_position_embeddings", "context_length", QN_HF_U32, true},
    {"hidden_size", "embedding_length", QN_HF_U32, true},
    {"intermediate_size", "feed_forward_length", QN_HF_U32, true},
    {"rms_norm_eps", "attention.layer_norm_rms_epsilon", QN_HF_F32, false},
    {"num_local_experts", "expert_count", QN_HF_U32, false},
    {"num_experts_per_tok", "expert_used_count", QN_HF_U32, false},
    {0},
};

#define LAYER "model.layers.{}."

static const struct qn_hf_name names[] = {
    {"model.embed_tokens.weight", "token_embd.weight", "vocab_size,hidden_size"},
    {"model.norm.weight", "output_norm.weight", "hidden_size"},
    {"lm_head.weight", "output.weight", "vocab_size,hidden_size"},
    {LAYER "self_attn.q_proj.weight", "blk.{}.attn_q.weight", "num_attention_heads*head_dim,hidden_size",
     .interleave = QN_HF_QUERY_HEADS},
    {LAYER "self_attn.k_proj.weight", "blk.{}.attn_k.weight", "num_key_value_heads*head_dim,hidden_size",
     .interleave = QN_HF_KEY_HEADS},
    {LAYER "self_attn.v_proj.weight", "blk.{}.attn_v.weight", "num_key_value_heads*head_dim,hidden_size"},
    {LAYER "self_attn.o_proj.weight", "blk.{}.attn_output.weight", "hidden_size,num_attention_heads*head_dim"},
    {LAYER "self_attn.q_proj.bias", "blk.{}.attn_q.bias", "num_attention_heads*head_dim",
     .interleave = QN_HF_QUERY_HEADS},
    {LAYER "self_attn.k_proj.bias", "blk.{}.attn_k.bias", "num_key_value_heads*head_dim",
     .interleave = QN_HF_KEY_HEADS},
    {LAYER "self_attn.v_proj.bias", "blk.{}.attn_v.bias", "num_key_value_heads*head_dim"},
    {LAYER "self_attn.o_proj.bias", "blk.{}.attn_output.bias", "hidden_size"},
    {LAYER "self_attn.rotary_emb.inv_freq", NULL},
    {LAYER "input_layernorm.weight", "blk.{}.attn_norm.weight", "hidden_size"},
    {LAYER "post_attention_layernorm.weight", "blk.{}.ffn_norm.weight", "hidden_size"},
    {LAYER "mlp.gate_proj.weight", "blk.{}.ffn_gate.weight", "intermediate_size,hidden_size"},
    {LAYER "mlp.up_proj.weight", "blk.{}.ffn_up.weight", "intermediate_size,hidden_size"},
    {LAYER "mlp.down_proj.weight", "blk.{}.ffn_down.weight", "hidden_size,intermediate_size"},
    {LAYER "mlp.gate_proj.bias", "blk.{}.ffn_gate.bias", "intermediate_size"},
    {LAYER "mlp.up_proj.bias", "blk.{}.ffn_up.bias", "intermediate_size"},
    {LAYER "mlp.down_proj.bias", "blk.{}.ffn_down.bias", "hidden_size"},
    /* mixtral: an expert a tensor (transformers 4), or all stacked with gate and up as one (5) */
    {LAYER "block_sparse_moe.gate.weight", "blk.{}.ffn_gate_inp.weight", "num_local_experts,hidden_size"},
    {LAYER "block_sparse_moe.experts.{}.w1.weight", "blk.{}.ffn_gate_exps.weight", "intermediate_size,hidden_size"},
    {LAYER "block_sparse_moe.experts.{}.w2.weight", "blk.{}.ffn_down_exps.weight", "hidden_size,intermediate_size"},
    {LAYER "block_sparse_moe.experts.{}.w3.weight", "blk.{}.ffn_up_exps.weight", "intermediate_size,hidden_size"},
    {LAYER "mlp.gate.weight", "blk.{}.ffn_gate_inp.weight", "num_local_experts,hidden_size"},
    {LAYER "mlp.experts.gate_up_proj", "blk.{}.ffn_gate_exps.weight",
     "num_local_experts,2*intermediate_size,hidden_size", .split = 2, .part = 0},
    {LAYER "mlp.experts.gate_up_proj", "blk.{}.ffn_up_exps.weight", "num_local_experts,2*intermediate_size,hidden_size",
     .split = 2, .part = 1},
    {LAYER "mlp.experts.down_proj", "blk.{}.ffn_down_exps.weight", "num_local_experts,hidden_size,intermediate_size"},
    {0},
};

static void finish_llama(struct qn_hf *hf)
{
    qn_hf_attention_keys(hf);
    qn_hf_activation_key(hf, "hidden_act", "silu");
}

/* Mistral's window binds where it is set. */
static void finish_mistral(struct qn_hf *hf)
{
    finish_llama(hf);
    qn_hf_window_keys(hf, qn_hf_u64(hf, "sliding_window", 0), 0);
}

static void back_llama(struct qn_hf_back *back)
{
    qn_hf_back_attention(back);
    qn_hf_back_activation(back, "hidden_act", "silu");
    qn_hf_back_put_bool(back, "attention_bias", qn_hf_back_has(back, "blk.0.attn_q.bias"));
    qn_hf_back_put_bool(back, "mlp_bias", qn_hf_back_has(back, "blk.0.ffn_up.bias"));
}

static bool has_window(const struct qn_hf_back *back)
{
    return qn_hf_back_u64(back, "attention.sliding_window", 0) != 0;
}

static bool has_experts(const struct qn_hf_back *back)
{
    return qn_hf_back_u64(back, "expert_count", 0) != 0;
}

static void back_mistral(struct qn_hf_back *back)
{
    qn_hf_back_attention(back);
    qn_hf_back_activation(back, "hidden_act", "silu");
    qn_hf_back_window(back, 0, false);
}

const struct qn_hf_arch qn_hf_arch_llama = {
    .model_type = "llama",
    .gguf = "llama",
    .prefix = "model.",
    .layers = "num_hidden_layers",
    .keys = keys,
    .names = names,
    .finish = finish_llama,
    .class_ = "LlamaForCausalLM",
    .back = back_llama,
};

const struct qn_hf_arch qn_hf_arch_mistral = {
    .model_type = "mistral",
    .gguf = "llama",
    .prefix = "model.",
    .layers = "num_hidden_layers",
    .keys = keys,
    .names = names,
    .finish = finish_mistral,
    .class_ = "MistralForCausalLM",
    .claims = has_window,
    .back = back_mistral,
};

const struct qn_hf_arch qn_hf_arch_mixtral = {
    .model_type = "mixtral",
    .gguf = "llama",
    .prefix = "model.",
    .layers = "num_hidden_layers",
    .keys = keys,
    .names = names,
    .finish = finish_mistral,
    .class_ = "MixtralForCausalLM",
    .claims = has_experts,
    .back = back_mistral,
};
