/* DeepSeek V2 and V3. */
#include <math.h>

#include "format/hf/hf_back.h"

static const struct qn_hf_key keys[] = {
    {"vocab_size", "vocab_size", QN_HF_U32, false},
    {"max_position_embeddings", "context_length", QN_HF_U32, true},
    {"hidden_size", "embedding_length", QN_HF_U32, true},
    {"intermediate_size", "feed_forward_length", QN_HF_U32, true},
    {"rms_norm_eps", "attention.layer_norm_rms_epsilon", QN_HF_F32, false},
    {"q_lora_rank", "attention.q_lora_rank", QN_HF_U32, false},
    {"kv_lora_rank", "attention.kv_lora_rank", QN_HF_U32, true},
    {"n_routed_experts", "expert_count", QN_HF_U32, false},
    {"num_experts_per_tok", "expert_used_count", QN_HF_U32, false},
    {"moe_intermediate_size", "expert_feed_forward_length", QN_HF_U32, false},
    {"routed_scaling_factor", "expert_weights_scale", QN_HF_F32, false},
    {0},
};

#define LAYER "model.layers.{}."

static const struct qn_hf_name names[] = {
    {"model.embed_tokens.weight", "token_embd.weight", "vocab_size,hidden_size"},
    {"model.norm.weight", "output_norm.weight", "hidden_size"},
    {"lm_head.weight", "output.weight", "vocab_size,hidden_size"},
    {LAYER "self_attn.q_proj.weight", "blk.{}.attn_q.weight", "?,hidden_size"},
    {LAYER "self_attn.q_a_proj.weight", "blk.{}.attn_q_a.weight", "q_lora_rank,hidden_size"},
    {LAYER "self_attn.q_a_proj.bias", "blk.{}.attn_q_a.bias", "q_lora_rank"},
    {LAYER "self_attn.q_a_layernorm.weight", "blk.{}.attn_q_a_norm.weight", "q_lora_rank"},
    {LAYER "self_attn.q_b_proj.weight", "blk.{}.attn_q_b.weight", "?,q_lora_rank"},
    {LAYER "self_attn.kv_a_proj_with_mqa.weight", "blk.{}.attn_kv_a_mqa.weight", "?,hidden_size"},
    {LAYER "self_attn.kv_a_proj_with_mqa.bias", "blk.{}.attn_kv_a_mqa.bias"},
    {LAYER "self_attn.kv_a_layernorm.weight", "blk.{}.attn_kv_a_norm.weight", "kv_lora_rank"},
    {LAYER "self_attn.kv_b_proj.weight", "blk.{}.attn_k_b.weight", "?,kv_lora_rank", .take = "qk_nope_head_dim",
     .rest = "v_head_dim", .turn = true},
    {LAYER "self_attn.kv_b_proj.weight", "blk.{}.attn_v_b.weight", "?,kv_lora_rank", .skip = "qk_nope_head_dim",
     .take = "v_head_dim"},
    {LAYER "self_attn.o_proj.weight", "blk.{}.attn_output.weight", "hidden_size,num_attention_heads*v_head_dim"},
    {LAYER "self_attn.o_proj.bias", "blk.{}.attn_output.bias", "hidden_size"},
    {LAYER "self_attn.rotary_emb.inv_freq", NULL},
    {LAYER "input_layernorm.weight", "blk.{}.attn_norm.weight", "hidden_size"},
    {LAYER "post_attention_layernorm.weight", "blk.{}.ffn_norm.weight", "hidden_size"},
    {LAYER "mlp.gate_proj.weight", "blk.{}.ffn_gate.weight", "intermediate_size,hidden_size"},
    {LAYER "mlp.up_proj.weight", "blk.{}.ffn_up.weight", "intermediate_size,hidden_size"},
    {LAYER "mlp.down_proj.weight", "blk.{}.ffn_down.weight", "hidden_size,intermediate_size"},
    {LAYER "mlp.gate.weight", "blk.{}.ffn_gate_inp.weight", "n_routed_experts,hidden_size"},
    {LAYER "mlp.gate.e_score_correction_bias", "blk.{}.exp_probs_b.bias", "n_routed_experts"},
    {LAYER "mlp.experts.{}.gate_proj.weight", "blk.{}.ffn_gate_exps.weight", "moe_intermediate_size,hidden_size"},
    {LAYER "mlp.experts.{}.up_proj.weight", "blk.{}.ffn_up_exps.weight", "moe_intermediate_size,hidden_size"},
    {LAYER "mlp.experts.{}.down_proj.weight", "blk.{}.ffn_down_exps.weight", "hidden_size,moe_intermediate_size"},
    {LAYER "mlp.experts.gate_up_proj", "blk.{}.ffn_gate_exps.weight",
     "n_routed_experts,2*moe_intermediate_size,hidden_size", .split = 2, .part = 0},
    {LAYER "mlp.experts.gate_up_proj", "blk.{}.ffn_up_exps.weight",
     "n_routed_experts,2*moe_intermediate_size,hidden_size", .split = 2, .part = 1},
    {LAYER "mlp.experts.down_proj", "blk.{}.ffn_down_exps.weight",
     "n_routed_experts,hidden_size,moe_intermediate_size"},
    {LAYER "mlp.shared_experts.gate_proj.weight", "blk.{}.ffn_gate_shexp.weight",
     "n_shared_experts*moe_intermediate_size,hidden_size"},
    {LAYER "mlp.shared_experts.up_proj.weight", "blk.{}.ffn_up_shexp.weight",
     "n_shared_experts*moe_intermediate_size,hidden_size"},
    {LAYER "mlp.shared_experts.down_proj.weight", "blk.{}.ffn_down_shexp.weight",
     "hidden_size,n_shared_experts*moe_intermediate_size"},
    {0},
};

static double magnitude(double factor, double scale)
{
    return factor > 1 ? 0.1 * scale * log(factor) + 1 : 1;
}

/* YaRN: the number before the logarithm that scales the scores; where that of the angles is another, what is left of
 * their magnitude. */
static void put_magnitudes(struct qn_hf *hf)
{
    const struct qn_json *rope = qn_hf_json(hf, "rope_parameters");
    rope = rope ? rope : qn_hf_json(hf, "rope_scaling");
    double factor = qn_hf_member_f64(hf, rope, "factor", 1), all = qn_hf_member_f64(hf, rope, "mscale_all_dim", 0);
    double own = qn_hf_member_f64(hf, rope, "mscale", 0);
    if (!rope || all == 0)
        return;
    qn_hf_put_f32(hf, "rope.scaling.yarn_log_multiplier", 0.1 * all);
    double usual = own != 0 ? magnitude(factor, own) / magnitude(factor, all) : magnitude(factor, 1);
    double given = qn_hf_member_f64(hf, rope, "attention_factor", usual);
    if (given != 1 || qn_json_member(rope, "attention_factor")) /* qn_hf_rope_keys has put another one */
        qn_hf_put_f32(hf, "rope.scaling.attn_factor", given);
}

static void finish_attention(struct qn_hf *hf)
{
    uint64_t rank = qn_hf_need_u64(hf, "kv_lora_rank"), turned = qn_hf_need_u64(hf, "qk_rope_head_dim");
    qn_hf_put_u32(hf, "attention.head_count", qn_hf_need_u64(hf, "num_attention_heads"));
    qn_hf_put_u32(hf, "attention.head_count_kv", 1);
    qn_hf_put_u32(hf, "attention.key_length", rank + turned);
    qn_hf_put_u32(hf, "attention.value_length", rank);
    qn_hf_put_u32(hf, "attention.key_length_mla", qn_hf_need_u64(hf, "qk_nope_head_dim") + turned);
    qn_hf_put_u32(hf, "attention.value_length_mla", qn_hf_need_u64(hf, "v_head_dim"));
    qn_hf_rope_keys(hf, turned, NULL);
    put_magnitudes(hf);
    qn_hf_activation_key(hf, "hidden_act", "silu");
}

static void finish_experts(struct qn_hf *hf, bool grouped)
{
    bool experts = qn_hf_json(hf, "n_routed_experts") != NULL;
    uint64_t layers = qn_hf_need_u64(hf, "num_hidden_layers");
    qn_hf_put_u32(hf, "leading_dense_block_count", qn_hf_u64(hf, "first_k_dense_replace", experts ? 0 : layers));
    qn_hf_put_u32(hf, "expert_shared_count", qn_hf_u64(hf, "n_shared_experts", 0));
    if (qn_hf_json(hf, "n_group") && (grouped || qn_hf_u64(hf, "n_group", 1) == 1)) {
        qn_hf_put_u32(hf, "expert_group_count", qn_hf_u64(hf, "n_group", 1));
        qn_hf_put_u32(hf, "expert_group_used_count", qn_hf_u64(hf, "topk_group", 1));
    }
}

/* The shares of the chosen experts stay what they are among all, whatever norm_topk_prob says. */
static void finish_v2(struct qn_hf *hf)
{
    struct qn_str method = qn_hf_str(hf, "topk_method");
    bool grouped = method.data && qn_str_is(method, "group_limited_greedy");
    finish_attention(hf);
    finish_experts(hf, grouped);
    if (method.data && !grouped && !qn_str_is(method, "greedy") && !hf->status)
        hf->status = QN_ERROR(QN_UNSUPPORTED, "key 'topk_method' is '%.*s'; expected greedy or group_limited_greedy",
                              QN_STR_ARG(method));
}

static void finish_v3(struct qn_hf *hf)
{
    finish_attention(hf);
    finish_experts(hf, true);
    qn_hf_put_u32(hf, "expert_gating_func", 2);
    qn_hf_put_bool(hf, "expert_weights_norm", qn_hf_bool(hf, "norm_topk_prob", true));
    if (!qn_hf_bool(hf, "rope_interleave", true) && !hf->status)
        hf->status = QN_ERROR(QN_UNSUPPORTED, "key 'rope_interleave' is false; expected true");
}

static void back_v2(struct qn_hf_back *back)
{
    uint64_t heads = qn_hf_back_u64(back, "attention.head_count", 0),
             turned = qn_hf_back_u64(back, "rope.dimension_count", 0),
             key = qn_hf_back_u64(back, "attention.key_length_mla", 0),
             groups = qn_hf_back_u64(back, "expert_group_count", 1);
    if ((!turned || key <= turned) && !back->status)
        back->status = QN_ERROR(QN_UNSUPPORTED, "key 'deepseek2.attention.key_length_mla' is missing: the file is from "
                                                "before attn_k_b and attn_v_b were apart");
    qn_hf_back_put_u64(back, "num_attention_heads", heads);
    qn_hf_back_put_u64(back, "num_key_value_heads", heads);
    qn_hf_back_put_u64(back, "qk_rope_head_dim", turned);
    qn_hf_back_put_u64(back, "qk_nope_head_dim", key - turned);
    qn_hf_back_put_u64(back, "v_head_dim", qn_hf_back_u64(back, "attention.value_length_mla", 0));
    if (!qn_hf_back_u64(back, "attention.q_lora_rank", 0))
        qn_hf_back_put_null(back, "q_lora_rank");
    qn_hf_back_rope(back);
    qn_hf_back_put_u64(back, "first_k_dense_replace", qn_hf_back_u64(back, "leading_dense_block_count", 0));
    qn_hf_back_put_u64(back, "n_shared_experts", qn_hf_back_u64(back, "expert_shared_count", 0));
    qn_hf_back_put_u64(back, "n_group", groups);
    qn_hf_back_put_u64(back, "topk_group", qn_hf_back_u64(back, "expert_group_used_count", 1));
    qn_hf_back_put_str(back, "topk_method", groups > 1 ? QN_STR("group_limited_greedy") : QN_STR("greedy"));
    qn_hf_back_activation(back, "hidden_act", "silu");
    qn_hf_back_put_bool(back, "attention_bias", qn_hf_back_has(back, "blk.0.attn_output.bias"));
}

/* The choice of experts by a sigmoid is the third's. */
static bool is_v3(const struct qn_hf_back *back)
{
    return qn_hf_back_u64(back, "expert_gating_func", 0) == 2;
}

static void back_v3(struct qn_hf_back *back)
{
    back_v2(back);
    qn_hf_back_put_str(back, "scoring_func", QN_STR("sigmoid"));
    qn_hf_back_put_bool(back, "norm_topk_prob", qn_hf_back_bool(back, "expert_weights_norm", true));
}

const struct qn_hf_arch qn_hf_arch_deepseek_v2 = {
    .model_type = "deepseek_v2",
    .gguf = "deepseek2",
    .prefix = "model.",
    .layers = "num_hidden_layers",
    .keys = keys,
    .names = names,
    .spare_layers = true,
    .finish = finish_v2,
    .class_ = "DeepseekV2ForCausalLM",
    .back = back_v2,
};

const struct qn_hf_arch qn_hf_arch_deepseek_v3 = {
    .model_type = "deepseek_v3",
    .gguf = "deepseek2",
    .prefix = "model.",
    .layers = "num_hidden_layers",
    .keys = keys,
    .names = names,
    .spare_layers = true, /* multi-token prediction */
    .finish = finish_v3,
    .class_ = "DeepseekV3ForCausalLM",
    .claims = is_v3,
    .back = back_v3,
};
