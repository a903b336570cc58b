/* Qwen 2 and 3, dense and of experts. */
#include <stdio.h>
#include <string.h>

#include "format/hf/hf_back.h"

static const struct qn_hf_key keys[] = {
    {"vocab_size", "vocab_size", QN_HF_U32, false},
    {"max_position_embeddings", "context_length", QN_HF_U32, true},
    {"hidden_size", "embedding_length", QN_HF_U32, true},
    {"intermediate_size", "feed_forward_length", QN_HF_U32, true},
    {"rms_norm_eps", "attention.layer_norm_rms_epsilon", QN_HF_F32, false},
    {"num_experts", "expert_count", QN_HF_U32, false},
    {"num_local_experts", "expert_count", QN_HF_U32, false}, /* transformers 5 */
    {"num_experts_per_tok", "expert_used_count", QN_HF_U32, false},
    {"moe_intermediate_size", "expert_feed_forward_length", QN_HF_U32, false},
    {"shared_expert_intermediate_size", "expert_shared_feed_forward_length", QN_HF_U32, false},
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
    {LAYER "mlp.gate.weight", "blk.{}.ffn_gate_inp.weight", "num_experts,hidden_size"},
    /* an expert a tensor (transformers 4), or all stacked with gate and up as one (5) */
    {LAYER "mlp.experts.{}.gate_proj.weight", "blk.{}.ffn_gate_exps.weight", "moe_intermediate_size,hidden_size"},
    {LAYER "mlp.experts.{}.up_proj.weight", "blk.{}.ffn_up_exps.weight", "moe_intermediate_size,hidden_size"},
    {LAYER "mlp.experts.{}.down_proj.weight", "blk.{}.ffn_down_exps.weight", "hidden_size,moe_intermediate_size"},
    {LAYER "mlp.experts.gate_up_proj", "blk.{}.ffn_gate_exps.weight", "num_experts,2*moe_intermediate_size,hidden_size",
     .split = 2, .part = 0},
    {LAYER "mlp.experts.gate_up_proj", "blk.{}.ffn_up_exps.weight", "num_experts,2*moe_intermediate_size,hidden_size",
     .split = 2, .part = 1},
    {LAYER "mlp.experts.down_proj", "blk.{}.ffn_down_exps.weight", "num_experts,hidden_size,moe_intermediate_size"},
    {LAYER "mlp.shared_expert.gate_proj.weight", "blk.{}.ffn_gate_shexp.weight",
     "shared_expert_intermediate_size,hidden_size"},
    {LAYER "mlp.shared_expert.up_proj.weight", "blk.{}.ffn_up_shexp.weight",
     "shared_expert_intermediate_size,hidden_size"},
    {LAYER "mlp.shared_expert.down_proj.weight", "blk.{}.ffn_down_shexp.weight",
     "hidden_size,shared_expert_intermediate_size"},
    {LAYER "mlp.shared_expert_gate.weight", "blk.{}.ffn_gate_inp_shexp.weight", "1,hidden_size"},
    {0},
};

/* What configurations without layer_types mean: windows from layer max_window_layers on; in Qwen 2 with experts in
 * every second layer before it; in Qwen 3 with experts in all. */
static bool has_window(const struct qn_hf *hf, uint64_t layer, uint64_t from)
{
    if (qn_str_is(qn_str_from(hf->arch->gguf), "qwen3moe"))
        return true;
    return qn_str_is(qn_str_from(hf->arch->gguf), "qwen2moe") ? layer % 2 == 0 && layer < from : layer >= from;
}

static void finish(struct qn_hf *hf)
{
    enum { MAX = 4096 };
    bool windows[MAX], any = false, all = true;
    uint64_t layers = qn_hf_need_u64(hf, "num_hidden_layers"), from = qn_hf_u64(hf, "max_window_layers", 28);
    uint64_t window = qn_hf_bool(hf, "use_sliding_window", false) ? qn_hf_u64(hf, "sliding_window", 4096) : 0;
    qn_hf_attention_keys(hf);
    qn_hf_activation_key(hf, "hidden_act", "silu");
    if (!window || layers > MAX || qn_hf_json(hf, "layer_types")) {
        qn_hf_window_keys(hf, window, 0);
        return;
    }
    for (uint64_t i = 0; i < layers; i++) {
        windows[i] = has_window(hf, i, from);
        any = any || windows[i];
        all = all && windows[i];
    }
    if (any)
        qn_hf_put_u32(hf, "attention.sliding_window", window);
    if (any && !all)
        qn_hf_put_bools(hf, "attention.sliding_window_pattern", windows, (uint32_t)layers);
}

/* GGUF's models of experts have a rule each for the shares of the chosen ones; a model with another says so. */
static void finish_experts(struct qn_hf *hf)
{
    bool scaled = qn_hf_bool(hf, "norm_topk_prob", false), usual = qn_str_is(qn_str_from(hf->arch->gguf), "qwen3moe");
    finish(hf);
    if (scaled != usual)
        qn_hf_put_bool(hf, "expert_weights_norm", scaled);
}

static void back_dense(struct qn_hf_back *back)
{
    bool window = qn_hf_back_u64(back, "attention.sliding_window", 0) != 0;
    qn_hf_back_attention(back);
    qn_hf_back_activation(back, "hidden_act", "silu");
    qn_hf_back_put_bool(back, "attention_bias", qn_hf_back_has(back, "blk.0.attn_q.bias"));
    qn_hf_back_put_bool(back, "use_sliding_window", window);
    qn_hf_back_window(back, 0, true);
}

/* Layers without experts are listed. */
static void back_experts(struct qn_hf_back *back)
{
    bool usual = strcmp(back->view.arch->gguf, "qwen3moe") == 0;
    uint64_t layers = qn_hf_back_u64(back, "block_count", 0);
    back_dense(back);
    qn_hf_back_put_bool(back, "qkv_bias", qn_hf_back_has(back, "blk.0.attn_q.bias"));
    qn_hf_back_put_bool(back, "norm_topk_prob", qn_hf_back_bool(back, "expert_weights_norm", usual));
    qn_hf_back_put_u64(back, "decoder_sparse_step", 1);
    qn_json_key(&back->json, "mlp_only_layers");
    qn_json_begin_array(&back->json);
    for (uint64_t i = 0; i < layers; i++) {
        char name[64];
        snprintf(name, sizeof name, "blk.%llu.ffn_gate_inp.weight", (unsigned long long)i);
        if (!qn_hf_back_has(back, name))
            qn_json_write_uint(&back->json, i);
    }
    qn_json_end_array(&back->json);
}

const struct qn_hf_arch qn_hf_arch_qwen2 = {
    .model_type = "qwen2",
    .gguf = "qwen2",
    .prefix = "model.",
    .layers = "num_hidden_layers",
    .keys = keys,
    .names = names,
    .finish = finish,
    .class_ = "Qwen2ForCausalLM",
    .back = back_dense,
};

const struct qn_hf_arch qn_hf_arch_qwen3 = {
    .model_type = "qwen3",
    .gguf = "qwen3",
    .prefix = "model.",
    .layers = "num_hidden_layers",
    .keys = keys,
    .names = names,
    .finish = finish,
    .class_ = "Qwen3ForCausalLM",
    .back = back_dense,
};

const struct qn_hf_arch qn_hf_arch_qwen2_moe = {
    .model_type = "qwen2_moe",
    .gguf = "qwen2moe",
    .prefix = "model.",
    .layers = "num_hidden_layers",
    .keys = keys,
    .names = names,
    .finish = finish_experts,
    .class_ = "Qwen2MoeForCausalLM",
    .back = back_experts,
};

const struct qn_hf_arch qn_hf_arch_qwen3_moe = {
    .model_type = "qwen3_moe",
    .gguf = "qwen3moe",
    .prefix = "model.",
    .layers = "num_hidden_layers",
    .keys = keys,
    .names = names,
    .finish = finish_experts,
    .class_ = "Qwen3MoeForCausalLM",
    .back = back_experts,
};
