/* GPT-2: its linear layers are Conv1D, [in, out]. */
#include "format/hf/hf_back.h"

static const struct qn_hf_key keys[] = {
    {"vocab_size", "vocab_size", QN_HF_U32, false},
    {"n_positions", "context_length", QN_HF_U32, true},
    {"n_embd", "embedding_length", QN_HF_U32, true},
    {"n_head", "attention.head_count", QN_HF_U32, true},
    {"layer_norm_epsilon", "attention.layer_norm_epsilon", QN_HF_F32, false},
    {0},
};

#define LAYER "transformer.h.{}."

static const struct qn_hf_name names[] = {
    {"transformer.wte.weight", "token_embd.weight", "vocab_size,n_embd"},
    {"transformer.wpe.weight", "position_embd.weight", "n_positions,n_embd"},
    {"transformer.ln_f.weight", "output_norm.weight", "n_embd"},
    {"transformer.ln_f.bias", "output_norm.bias", "n_embd"},
    {"lm_head.weight", "output.weight", "vocab_size,n_embd"},
    {LAYER "ln_1.weight", "blk.{}.attn_norm.weight", "n_embd"},
    {LAYER "ln_1.bias", "blk.{}.attn_norm.bias", "n_embd"},
    {LAYER "attn.c_attn.weight", "blk.{}.attn_qkv.weight", "n_embd,3*n_embd", .transpose = true},
    {LAYER "attn.c_attn.bias", "blk.{}.attn_qkv.bias", "3*n_embd"},
    {LAYER "attn.c_proj.weight", "blk.{}.attn_output.weight", "n_embd,n_embd", .transpose = true},
    {LAYER "attn.c_proj.bias", "blk.{}.attn_output.bias", "n_embd"},
    {LAYER "attn.bias", NULL}, /* the causal mask */
    {LAYER "attn.masked_bias", NULL},
    {LAYER "ln_2.weight", "blk.{}.ffn_norm.weight", "n_embd"},
    {LAYER "ln_2.bias", "blk.{}.ffn_norm.bias", "n_embd"},
    {LAYER "mlp.c_fc.weight", "blk.{}.ffn_up.weight", "n_embd,n_inner", .transpose = true},
    {LAYER "mlp.c_fc.bias", "blk.{}.ffn_up.bias", "n_inner"},
    {LAYER "mlp.c_proj.weight", "blk.{}.ffn_down.weight", "n_inner,n_embd", .transpose = true},
    {LAYER "mlp.c_proj.bias", "blk.{}.ffn_down.bias", "n_embd"},
    {0},
};

static void finish(struct qn_hf *hf)
{
    qn_hf_activation_key(hf, "activation_function", "gelu_new");
    if ((qn_hf_bool(hf, "scale_attn_by_inverse_layer_idx", false) || !qn_hf_bool(hf, "scale_attn_weights", true)) &&
        !hf->status)
        hf->status = QN_ERROR(QN_UNSUPPORTED, "attention scores scaled by layer, or not at all, are not supported");
    qn_hf_put_u32(hf, "feed_forward_length", qn_hf_u64(hf, "n_inner", 4 * qn_hf_need_u64(hf, "n_embd")));
}

static void back(struct qn_hf_back *back)
{
    qn_hf_back_put_u64(back, "n_ctx", qn_hf_back_u64(back, "context_length", 0));
    qn_hf_back_put_u64(back, "n_inner", qn_hf_back_u64(back, "feed_forward_length", 0));
    qn_hf_back_activation(back, "activation_function", "gelu_new");
}

const struct qn_hf_arch qn_hf_arch_gpt2 = {
    .model_type = "gpt2",
    .gguf = "gpt2",
    .prefix = "transformer.",
    .layers = "n_layer",
    .keys = keys,
    .names = names,
    .finish = finish,
    .class_ = "GPT2LMHeadModel",
    .back = back,
};
