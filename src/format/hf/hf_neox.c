/* GPT-NeoX (Pythia) and GPT-J. */
#include "format/hf/hf_back.h"

static const struct qn_hf_key keys_neox[] = {
    {"vocab_size", "vocab_size", QN_HF_U32, false},
    {"max_position_embeddings", "context_length", QN_HF_U32, true},
    {"hidden_size", "embedding_length", QN_HF_U32, true},
    {"intermediate_size", "feed_forward_length", QN_HF_U32, true},
    {"num_attention_heads", "attention.head_count", QN_HF_U32, true},
    {"layer_norm_eps", "attention.layer_norm_epsilon", QN_HF_F32, false},
    {0},
};

#define NEOX "gpt_neox.layers.{}."
/* [heads, 3, head size] rows become [3, heads, head size] */
#define SPLIT(n) .split = 3, .part = n, .slot = n, .split_each = QN_HF_QUERY_HEADS

static const struct qn_hf_name names_neox[] = {
    {"gpt_neox.embed_in.weight", "token_embd.weight", "vocab_size,hidden_size"},
    {"gpt_neox.final_layer_norm.weight", "output_norm.weight", "hidden_size"},
    {"gpt_neox.final_layer_norm.bias", "output_norm.bias", "hidden_size"},
    {"embed_out.weight", "output.weight", "vocab_size,hidden_size"},
    {"lm_head.weight", "output.weight", "vocab_size,hidden_size"},
    {NEOX "attention.query_key_value.weight", "blk.{}.attn_qkv.weight", "3*hidden_size,hidden_size", SPLIT(0)},
    {NEOX "attention.query_key_value.weight", "blk.{}.attn_qkv.weight", NULL, SPLIT(1)},
    {NEOX "attention.query_key_value.weight", "blk.{}.attn_qkv.weight", NULL, SPLIT(2)},
    {NEOX "attention.query_key_value.bias", "blk.{}.attn_qkv.bias", "3*hidden_size", SPLIT(0)},
    {NEOX "attention.query_key_value.bias", "blk.{}.attn_qkv.bias", NULL, SPLIT(1)},
    {NEOX "attention.query_key_value.bias", "blk.{}.attn_qkv.bias", NULL, SPLIT(2)},
    {NEOX "attention.dense.weight", "blk.{}.attn_output.weight", "hidden_size,hidden_size"},
    {NEOX "attention.dense.bias", "blk.{}.attn_output.bias", "hidden_size"},
    {NEOX "attention.bias", NULL}, /* the causal mask */
    {NEOX "attention.masked_bias", NULL},
    {NEOX "attention.rotary_emb.inv_freq", NULL},
    {NEOX "input_layernorm.weight", "blk.{}.attn_norm.weight", "hidden_size"},
    {NEOX "input_layernorm.bias", "blk.{}.attn_norm.bias", "hidden_size"},
    {NEOX "post_attention_layernorm.weight", "blk.{}.ffn_norm.weight", "hidden_size"},
    {NEOX "post_attention_layernorm.bias", "blk.{}.ffn_norm.bias", "hidden_size"},
    {NEOX "mlp.dense_h_to_4h.weight", "blk.{}.ffn_up.weight", "intermediate_size,hidden_size"},
    {NEOX "mlp.dense_h_to_4h.bias", "blk.{}.ffn_up.bias", "intermediate_size"},
    {NEOX "mlp.dense_4h_to_h.weight", "blk.{}.ffn_down.weight", "hidden_size,intermediate_size"},
    {NEOX "mlp.dense_4h_to_h.bias", "blk.{}.ffn_down.bias", "hidden_size"},
    {0},
};

/* transformers 4 writes rotary_pct and rotary_emb_base, 5 rope_parameters. */
static void finish_neox(struct qn_hf *hf)
{
    const struct qn_json *rope = qn_hf_json(hf, "rope_parameters");
    uint64_t head_dim = qn_hf_head_dim(hf);
    double part = qn_hf_member_f64(hf, rope, "partial_rotary_factor", qn_hf_f64(hf, "rotary_pct", 0.25));
    if (!(part > 0 && part <= 1) && !hf->status)
        hf->status = QN_ERROR(QN_INVALID_FILE, "key 'rotary_pct' is %g; expected more than 0, at most 1", part);
    if (hf->status)
        return;
    qn_hf_rope_keys(hf, (uint64_t)(part * (double)head_dim), NULL);
    if (!qn_json_member(rope, "rope_theta") && !qn_hf_json(hf, "rope_theta"))
        qn_hf_put_f32(hf, "rope.freq_base", qn_hf_f64(hf, "rotary_emb_base", 10000));
    qn_hf_put_bool(hf, "use_parallel_residual", qn_hf_bool(hf, "use_parallel_residual", true));
    qn_hf_activation_key(hf, "hidden_act", "gelu");
}

static void back_neox(struct qn_hf_back *back)
{
    uint64_t heads = qn_hf_back_u64(back, "attention.head_count", 0), dim = qn_hf_back_u64(back, "embedding_length", 0),
             size = heads ? dim / heads : 0;
    qn_hf_back_rope(back);
    qn_hf_back_put_f64(back, "rotary_emb_base", qn_hf_back_f64(back, "rope.freq_base", 10000));
    if (size)
        qn_hf_back_put_f64(back, "rotary_pct",
                           (double)qn_hf_back_u64(back, "rope.dimension_count", size) / (double)size);
    qn_hf_back_put_bool(back, "use_parallel_residual", qn_hf_back_bool(back, "use_parallel_residual", true));
    qn_hf_back_put_bool(back, "attention_bias", qn_hf_back_has(back, "blk.0.attn_qkv.bias"));
    qn_hf_back_activation(back, "hidden_act", "gelu");
}

static void back_j(struct qn_hf_back *back)
{
    qn_hf_back_put_u64(back, "n_inner", qn_hf_back_u64(back, "feed_forward_length", 0));
    qn_hf_back_activation(back, "activation_function", "gelu_new");
}

const struct qn_hf_arch qn_hf_arch_gpt_neox = {
    .model_type = "gpt_neox",
    .gguf = "gptneox",
    .prefix = "gpt_neox.",
    .layers = "num_hidden_layers",
    .keys = keys_neox,
    .names = names_neox,
    .finish = finish_neox,
    .class_ = "GPTNeoXForCausalLM",
    .back = back_neox,
};

static const struct qn_hf_key keys_j[] = {
    {"vocab_size", "vocab_size", QN_HF_U32, false},
    {"n_positions", "context_length", QN_HF_U32, true},
    {"n_embd", "embedding_length", QN_HF_U32, true},
    {"n_head", "attention.head_count", QN_HF_U32, true},
    {"layer_norm_epsilon", "attention.layer_norm_epsilon", QN_HF_F32, false},
    {"rotary_dim", "rope.dimension_count", QN_HF_U32, true},
    {0},
};

#define J "transformer.h.{}."

static const struct qn_hf_name names_j[] = {
    {"transformer.wte.weight", "token_embd.weight", "vocab_size,n_embd"},
    {"transformer.ln_f.weight", "output_norm.weight", "n_embd"},
    {"transformer.ln_f.bias", "output_norm.bias", "n_embd"},
    {"lm_head.weight", "output.weight", "vocab_size,n_embd"},
    {"lm_head.bias", "output.bias", "vocab_size"},
    {J "ln_1.weight", "blk.{}.attn_norm.weight", "n_embd"},
    {J "ln_1.bias", "blk.{}.attn_norm.bias", "n_embd"},
    {J "attn.q_proj.weight", "blk.{}.attn_q.weight", "n_embd,n_embd"},
    {J "attn.k_proj.weight", "blk.{}.attn_k.weight", "n_embd,n_embd"},
    {J "attn.v_proj.weight", "blk.{}.attn_v.weight", "n_embd,n_embd"},
    {J "attn.out_proj.weight", "blk.{}.attn_output.weight", "n_embd,n_embd"},
    {J "attn.bias", NULL}, /* the causal mask */
    {J "attn.masked_bias", NULL},
    {J "attn.embed_positions", NULL},
    {J "mlp.fc_in.weight", "blk.{}.ffn_up.weight", "n_inner,n_embd"},
    {J "mlp.fc_in.bias", "blk.{}.ffn_up.bias", "n_inner"},
    {J "mlp.fc_out.weight", "blk.{}.ffn_down.weight", "n_embd,n_inner"},
    {J "mlp.fc_out.bias", "blk.{}.ffn_down.bias", "n_embd"},
    {0},
};

static void finish_j(struct qn_hf *hf)
{
    qn_hf_put_u32(hf, "feed_forward_length", qn_hf_u64(hf, "n_inner", 4 * qn_hf_need_u64(hf, "n_embd")));
    qn_hf_activation_key(hf, "activation_function", "gelu_new");
}

const struct qn_hf_arch qn_hf_arch_gptj = {
    .model_type = "gptj",
    .gguf = "gptj",
    .prefix = "transformer.",
    .layers = "n_layer",
    .keys = keys_j,
    .names = names_j,
    .finish = finish_j,
    .class_ = "GPTJForCausalLM",
    .back = back_j,
};
