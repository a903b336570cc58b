/* Mamba. */
#include "format/hf/hf_back.h"

static const struct qn_hf_key keys[] = {
    {"vocab_size", "vocab_size", QN_HF_U32, false},
    {"hidden_size", "embedding_length", QN_HF_U32, true},
    {"conv_kernel", "ssm.conv_kernel", QN_HF_U32, true},
    {"state_size", "ssm.state_size", QN_HF_U32, true},
    {"layer_norm_epsilon", "attention.layer_norm_rms_epsilon", QN_HF_F32, false},
    {0},
};

#define LAYER "backbone.layers.{}."

static const struct qn_hf_name names[] = {
    {"backbone.embeddings.weight", "token_embd.weight", "vocab_size,hidden_size"},
    {"backbone.norm_f.weight", "output_norm.weight", "hidden_size"},
    {"lm_head.weight", "output.weight", "vocab_size,hidden_size"},
    {LAYER "norm.weight", "blk.{}.attn_norm.weight", "hidden_size"},
    {LAYER "mixer.in_proj.weight", "blk.{}.ssm_in.weight", "?,hidden_size"},
    {LAYER "mixer.in_proj.bias", "blk.{}.ssm_in.bias"},
    {LAYER "mixer.conv1d.weight", "blk.{}.ssm_conv1d.weight", "?,1,conv_kernel", .squeeze = true},
    {LAYER "mixer.conv1d.bias", "blk.{}.ssm_conv1d.bias"},
    {LAYER "mixer.x_proj.weight", "blk.{}.ssm_x.weight"},
    {LAYER "mixer.dt_proj.weight", "blk.{}.ssm_dt.weight"},
    {LAYER "mixer.dt_proj.bias", "blk.{}.ssm_dt.bias"},
    {LAYER "mixer.A_log", "blk.{}.ssm_a", "?,state_size", .value = QN_HF_MINUS_EXP},
    {LAYER "mixer.D", "blk.{}.ssm_d"},
    {LAYER "mixer.out_proj.weight", "blk.{}.ssm_out.weight", "hidden_size"},
    {LAYER "mixer.out_proj.bias", "blk.{}.ssm_out.bias", "hidden_size"},
    {0},
};

/* There is no limit to the context, no head and no feed-forward layer; GGUF has numbers for them all the same. */
static void finish(struct qn_hf *hf)
{
    uint64_t size = qn_hf_need_u64(hf, "hidden_size");
    const struct qn_json *rank = qn_hf_json(hf, "time_step_rank");
    bool automatic = !rank || rank->kind == QN_JSON_STRING; /* "auto" */
    qn_hf_put_u32(hf, "context_length", 1u << 20);
    qn_hf_put_u32(hf, "feed_forward_length", 0);
    qn_hf_put_u32(hf, "attention.head_count", 0);
    qn_hf_put_u32(hf, "ssm.inner_size", qn_hf_u64(hf, "intermediate_size", qn_hf_u64(hf, "expand", 2) * size));
    qn_hf_put_u32(hf, "ssm.time_step_rank",
                  automatic ? size / 16 + (size % 16 != 0) : qn_hf_u64(hf, "time_step_rank", 0));
    qn_hf_put_bool(hf, "ssm.dt_b_c_rms", false);
    qn_hf_activation_key(hf, "hidden_act", "silu");
}

static void back(struct qn_hf_back *back)
{
    uint64_t inner = qn_hf_back_u64(back, "ssm.inner_size", 0), size = qn_hf_back_u64(back, "embedding_length", 0);
    qn_hf_back_put_u64(back, "intermediate_size", inner);
    if (size && inner % size == 0)
        qn_hf_back_put_u64(back, "expand", inner / size);
    qn_hf_back_put_u64(back, "time_step_rank", qn_hf_back_u64(back, "ssm.time_step_rank", 0));
    qn_hf_back_put_bool(back, "use_bias", qn_hf_back_has(back, "blk.0.ssm_in.bias"));
    qn_hf_back_put_bool(back, "use_conv_bias", qn_hf_back_has(back, "blk.0.ssm_conv1d.bias"));
    qn_hf_back_activation(back, "hidden_act", "silu");
}

const struct qn_hf_arch qn_hf_arch_mamba = {
    .model_type = "mamba",
    .gguf = "mamba",
    .prefix = "backbone.",
    .layers = "num_hidden_layers",
    .keys = keys,
    .names = names,
    .finish = finish,
    .class_ = "MambaForCausalLM",
    .back = back,
};
