/* Qwen 2 and 3, dense. */
#include "format/hf/hf.h"

static const struct qn_hf_key keys[] = {
    {"vocab_size", "vocab_size", QN_HF_U32, false},
    {"max_position_embeddings", "context_length", QN_HF_U32, true},
    {"hidden_size", "embedding_length", QN_HF_U32, true},
    {"intermediate_size", "feed_forward_length", QN_HF_U32, true},
    {"rms_norm_eps", "attention.layer_norm_rms_epsilon", QN_HF_F32, false},
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
    {LAYER "self_attn.q_norm.weight", "blk.{}.attn_q_norm.weight", "head_dim"},
    {LAYER "self_attn.k_norm.weight", "blk.{}.attn_k_norm.weight", "head_dim"},
    {LAYER "self_attn.rotary_emb.inv_freq", NULL},
    {LAYER "input_layernorm.weight", "blk.{}.attn_norm.weight", "hidden_size"},
    {LAYER "post_attention_layernorm.weight", "blk.{}.ffn_norm.weight", "hidden_size"},
    {LAYER "mlp.gate_proj.weight", "blk.{}.ffn_gate.weight", "intermediate_size,hidden_size"},
    {LAYER "mlp.up_proj.weight", "blk.{}.ffn_up.weight", "intermediate_size,hidden_size"},
    {LAYER "mlp.down_proj.weight", "blk.{}.ffn_down.weight", "hidden_size,intermediate_size"},
    {0},
};

/* A window that only some layers have is refused: GGUF's qwen has none. */
static void finish(struct qn_hf *hf)
{
    uint64_t layers = qn_hf_need_u64(hf, "num_hidden_layers");
    if (qn_hf_bool(hf, "use_sliding_window", false) && qn_hf_u64(hf, "sliding_window", 0) &&
        qn_hf_u64(hf, "max_window_layers", layers) < layers && !hf->status)
        hf->status = QN_ERROR(QN_UNSUPPORTED, "key 'use_sliding_window' is true: windows in some layers only are not "
                                              "supported for this architecture");
    qn_hf_attention_keys(hf);
}

const struct qn_hf_arch qn_hf_arch_qwen2 = {
    .model_type = "qwen2",
    .gguf = "qwen2",
    .prefix = "model.",
    .layers = "num_hidden_layers",
    .keys = keys,
    .names = names,
    .finish = finish,
};

const struct qn_hf_arch qn_hf_arch_qwen3 = {
    .model_type = "qwen3",
    .gguf = "qwen3",
    .prefix = "model.",
    .layers = "num_hidden_layers",
    .keys = keys,
    .names = names,
    .finish = finish,
};
