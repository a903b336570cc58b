/* BERT, RoBERTa, XLM-RoBERTa, DistilBERT and Nomic BERT, with the heads that transformers puts on them. A head counts
 * where the first name in `architectures` says so: other models of these families carry parts of heads that they do not
 * use. */
#include <stdio.h>
#include <string.h>

#include "format/hf/hf_back.h"

#define SEQUENCE "ForSequenceClassification"
#define TOKENS "ForTokenClassification"
#define ANSWER "ForQuestionAnswering"
#define FILL "ForMaskedLM"
/* A tied decoder has the same bias once more, one that is not its own. */
#define FILL_OUTPUT(place)                                                        \
    {place "bias", "mlm.output.bias", .of = FILL, .rival = place "decoder.bias"}, \
        {place "decoder.bias", "mlm.output.bias", .of = FILL, .untied = true},    \
    {                                                                             \
        place "decoder.weight", "mlm.output.weight", .of = FILL                   \
    }

/* clang-format off */
/* A weight and its bias. */
#define BOTH(from, to, shape) {from ".weight", to ".weight", shape}, {from ".bias", to ".bias"}
/* Of a norm, with the names that TensorFlow gave them too. */
#define NORM(from, to) \
    {from ".weight", to ".weight"}, {from ".bias", to ".bias"}, \
    {from ".gamma", to ".weight"}, {from ".beta", to ".bias"}
#define HEAD(from, to, model) {from ".weight", to ".weight", .of = model}, {from ".bias", to ".bias", .of = model}
#define UNUSED(from) {from ".weight", NULL}, {from ".bias", NULL}
/* clang-format on */

/* ---- BERT and RoBERTa ----------------------------------------------------------------------------------------- */

static const struct qn_hf_key bert_keys[] = {
    {"vocab_size", "vocab_size", QN_HF_U32, false},
    {"hidden_size", "embedding_length", QN_HF_U32, true},
    {"intermediate_size", "feed_forward_length", QN_HF_U32, true},
    {"num_attention_heads", "attention.head_count", QN_HF_U32, true},
    {"layer_norm_eps", "attention.layer_norm_epsilon", QN_HF_F32, false},
    {0},
};

#define LAYERS(prefix)                                                                                           \
    BOTH(prefix "encoder.layer.{}.attention.self.query", "blk.{}.attn_q", "hidden_size,hidden_size"),            \
        BOTH(prefix "encoder.layer.{}.attention.self.key", "blk.{}.attn_k", "hidden_size,hidden_size"),          \
        BOTH(prefix "encoder.layer.{}.attention.self.value", "blk.{}.attn_v", "hidden_size,hidden_size"),        \
        BOTH(prefix "encoder.layer.{}.attention.output.dense", "blk.{}.attn_output", "hidden_size,hidden_size"), \
        NORM(prefix "encoder.layer.{}.attention.output.LayerNorm", "blk.{}.attn_output_norm"),                   \
        BOTH(prefix "encoder.layer.{}.intermediate.dense", "blk.{}.ffn_up", "intermediate_size,hidden_size"),    \
        BOTH(prefix "encoder.layer.{}.output.dense", "blk.{}.ffn_down", "hidden_size,intermediate_size"),        \
        NORM(prefix "encoder.layer.{}.output.LayerNorm", "blk.{}.layer_output_norm")

static const struct qn_hf_name bert_names[] = {
    {"bert.embeddings.word_embeddings.weight", "token_embd.weight", "vocab_size,hidden_size"},
    {"bert.embeddings.token_type_embeddings.weight", "token_types.weight", "type_vocab_size,hidden_size"},
    {"bert.embeddings.position_embeddings.weight", "position_embd.weight", "max_position_embeddings,hidden_size"},
    {"bert.embeddings.position_ids", NULL},
    NORM("bert.embeddings.LayerNorm", "token_embd_norm"),
    LAYERS("bert."),
    HEAD("bert.pooler.dense", "cls", SEQUENCE),
    HEAD("classifier", "cls.output", SEQUENCE),
    HEAD("classifier", "cls.output", TOKENS),
    HEAD("qa_outputs", "cls.output", ANSWER),
    HEAD("cls.predictions.transform.dense", "mlm.dense", FILL),
    HEAD("cls.predictions.transform.LayerNorm", "mlm.norm", FILL),
    {"cls.predictions.transform.LayerNorm.gamma", "mlm.norm.weight", .of = FILL},
    {"cls.predictions.transform.LayerNorm.beta", "mlm.norm.bias", .of = FILL},
    FILL_OUTPUT("cls.predictions."),
    UNUSED("cls.seq_relationship"),
    {0},
};

static const struct qn_hf_name roberta_names[] = {
    {"roberta.embeddings.word_embeddings.weight", "token_embd.weight", "vocab_size,hidden_size"},
    {"roberta.embeddings.token_type_embeddings.weight", "token_types.weight", "type_vocab_size,hidden_size"},
    {"roberta.embeddings.position_embeddings.weight", "position_embd.weight", "max_position_embeddings,hidden_size",
     .after = "pad_token_id"},
    {"roberta.embeddings.position_ids", NULL},
    NORM("roberta.embeddings.LayerNorm", "token_embd_norm"),
    LAYERS("roberta."),
    UNUSED("roberta.pooler.dense"),
    HEAD("classifier.dense", "cls", SEQUENCE),
    HEAD("classifier.out_proj", "cls.output", SEQUENCE),
    HEAD("classifier", "cls.output", TOKENS),
    HEAD("qa_outputs", "cls.output", ANSWER),
    HEAD("lm_head.dense", "mlm.dense", FILL),
    HEAD("lm_head.layer_norm", "mlm.norm", FILL),
    FILL_OUTPUT("lm_head."),
    {0},
};

/* ---- DistilBERT ----------------------------------------------------------------------------------------------- */

static const struct qn_hf_key distilbert_keys[] = {
    {"vocab_size", "vocab_size", QN_HF_U32, false},
    {"dim", "embedding_length", QN_HF_U32, true},
    {"hidden_dim", "feed_forward_length", QN_HF_U32, true},
    {"n_heads", "attention.head_count", QN_HF_U32, true},
    {0},
};

#define DISTIL_LAYER "distilbert.transformer.layer.{}."

static const struct qn_hf_name distilbert_names[] = {
    {"distilbert.embeddings.word_embeddings.weight", "token_embd.weight", "vocab_size,dim"},
    {"distilbert.embeddings.position_embeddings.weight", "position_embd.weight", "max_position_embeddings,dim"},
    {"distilbert.embeddings.position_ids", NULL},
    NORM("distilbert.embeddings.LayerNorm", "token_embd_norm"),
    BOTH(DISTIL_LAYER "attention.q_lin", "blk.{}.attn_q", "dim,dim"),
    BOTH(DISTIL_LAYER "attention.k_lin", "blk.{}.attn_k", "dim,dim"),
    BOTH(DISTIL_LAYER "attention.v_lin", "blk.{}.attn_v", "dim,dim"),
    BOTH(DISTIL_LAYER "attention.out_lin", "blk.{}.attn_output", "dim,dim"),
    NORM(DISTIL_LAYER "sa_layer_norm", "blk.{}.attn_output_norm"),
    BOTH(DISTIL_LAYER "ffn.lin1", "blk.{}.ffn_up", "hidden_dim,dim"),
    BOTH(DISTIL_LAYER "ffn.lin2", "blk.{}.ffn_down", "dim,hidden_dim"),
    NORM(DISTIL_LAYER "output_layer_norm", "blk.{}.layer_output_norm"),
    HEAD("pre_classifier", "cls", SEQUENCE),
    HEAD("classifier", "cls.output", SEQUENCE),
    HEAD("classifier", "cls.output", TOKENS),
    HEAD("qa_outputs", "cls.output", ANSWER),
    HEAD("vocab_transform", "mlm.dense", FILL),
    HEAD("vocab_layer_norm", "mlm.norm", FILL),
    HEAD("vocab_projector", "mlm.output", FILL),
    {0},
};

/* ---- Nomic BERT ----------------------------------------------------------------------------------------------- */

#define NOMIC_OLD "nomic_bert.encoder.layers.{}."
#define NOMIC "nomic_bert.layers.{}."

static const struct qn_hf_name nomic_names[] = {
    {"nomic_bert.embeddings.word_embeddings.weight", "token_embd.weight", "vocab_size,?"},
    {"nomic_bert.embeddings.token_type_embeddings.weight", "token_types.weight", "type_vocab_size,?"},
    NORM("nomic_bert.emb_ln", "token_embd_norm"),
    NORM("nomic_bert.embeddings.LayerNorm", "token_embd_norm"),
    BOTH(NOMIC_OLD "attn.Wqkv", "blk.{}.attn_qkv", NULL),
    BOTH(NOMIC_OLD "attn.out_proj", "blk.{}.attn_output", NULL),
    {NOMIC_OLD "attn.rotary_emb.inv_freq", NULL},
    NORM(NOMIC_OLD "norm1", "blk.{}.attn_output_norm"),
    BOTH(NOMIC_OLD "mlp.fc11", "blk.{}.ffn_up", NULL),
    BOTH(NOMIC_OLD "mlp.fc1", "blk.{}.ffn_up", NULL),
    BOTH(NOMIC_OLD "mlp.fc12", "blk.{}.ffn_gate", NULL),
    BOTH(NOMIC_OLD "mlp.fc2", "blk.{}.ffn_down", NULL),
    NORM(NOMIC_OLD "norm2", "blk.{}.layer_output_norm"),
    BOTH(NOMIC "self_attn.q_proj", "blk.{}.attn_q", NULL),
    BOTH(NOMIC "self_attn.k_proj", "blk.{}.attn_k", NULL),
    BOTH(NOMIC "self_attn.v_proj", "blk.{}.attn_v", NULL),
    BOTH(NOMIC "self_attn.o_proj", "blk.{}.attn_output", NULL),
    NORM(NOMIC "post_attention_layernorm", "blk.{}.attn_output_norm"),
    BOTH(NOMIC "mlp.up_proj", "blk.{}.ffn_up", NULL),
    BOTH(NOMIC "mlp.gate_proj", "blk.{}.ffn_gate", NULL),
    BOTH(NOMIC "mlp.down_proj", "blk.{}.ffn_down", NULL),
    NORM(NOMIC "post_mlp_layernorm", "blk.{}.layer_output_norm"),
    HEAD("nomic_bert.pooler.dense", "cls", SEQUENCE),
    HEAD("classifier", "cls.output", SEQUENCE),
    HEAD("classifier", "cls.output", TOKENS),
    HEAD("cls.predictions.transform.dense", "mlm.dense", FILL),
    HEAD("cls.predictions.transform.layer_norm", "mlm.norm", FILL),
    HEAD("cls.predictions.transform.LayerNorm", "mlm.norm", FILL),
    FILL_OUTPUT("cls.predictions."),
    {0},
};

/* ---- what tables cannot say ----------------------------------------------------------------------------------- */

static struct qn_str activation_name(struct qn_hf *hf, const char *key)
{
    static const struct {
        const char *theirs, *ours;
    } known[] = {
        {"gelu", "gelu"},           {"gelu_new", "gelu_tanh"}, {"gelu_pytorch_tanh", "gelu_tanh"},
        {"gelu_fast", "gelu_tanh"}, {"relu", "relu"},          {"silu", "silu"},
        {"swish", "silu"},          {"swiglu", "silu"},        {"geglu", "gelu"},
    };
    struct qn_str name = qn_hf_str(hf, key);
    for (size_t i = 0; name.data && i < sizeof known / sizeof known[0]; i++)
        if (qn_str_is(name, known[i].theirs))
            return qn_str_from(known[i].ours);
    if (name.data && !hf->status)
        hf->status = QN_ERROR(QN_UNSUPPORTED, "key '%s' is '%.*s'; expected gelu, gelu_new, relu or silu", key,
                              QN_STR_ARG(name));
    return (struct qn_str){0};
}

/* The classes' names in their order: id2label {"0": "negative", ...}. */
static void put_labels(struct qn_hf *hf, uint32_t count)
{
    const struct qn_json *names = qn_hf_json(hf, "id2label");
    struct qn_str *labels = QN_ARENA_ARRAY(&hf->arena, struct qn_str, count);
    for (uint32_t i = 0; labels && i < count; i++) {
        char key[24];
        snprintf(key, sizeof key, "%u", i);
        const struct qn_json *name = qn_json_member(names, key);
        labels[i] =
            name && name->kind == QN_JSON_STRING ? qn_json_str(name) : qn_arena_printf(&hf->arena, "LABEL_%u", i);
    }
    if (!labels && !hf->status)
        hf->status = QN_OOM();
    qn_hf_put_strs(hf, "classifier.output_labels", labels, count);
}

/* Which head, and what belongs to it. The tensors are there already. */
static void put_head(struct qn_hf *hf, const char *dense_activation, struct qn_str fill_activation)
{
    static const struct {
        const char *model, *head, *tensor;
    } heads[] = {
        {SEQUENCE, "sequence_classification", "cls.output.weight"},
        {TOKENS, "token_classification", "cls.output.weight"},
        {ANSWER, "question_answering", "cls.output.weight"},
        {FILL, "fill_mask", "mlm.dense.weight"},
    };
    const uint64_t *dims;
    uint32_t rank;
    for (uint32_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        if (!qn_hf_is_model(hf, heads[i].model) || !qn_hf_has(hf, heads[i].tensor, &rank, &dims))
            continue;
        qn_hf_put_str(hf, "head", qn_str_from(heads[i].head));
        if (strcmp(heads[i].model, FILL) == 0) {
            if (fill_activation.data)
                qn_hf_put_str(hf, "head_activation", fill_activation);
        } else if (rank == 2 && dims[0] <= 1 << 20) {
            put_labels(hf, (uint32_t)dims[0]);
            qn_hf_put_str(hf, "head_activation", qn_str_from(dense_activation));
        }
    }
    struct qn_str problem = qn_hf_str(hf, "problem_type");
    if (problem.data && qn_str_is(problem, "multi_label_classification"))
        qn_hf_put_bool(hf, "multi_label", true);
}

/* `usual` is the activation that GGUF does not name. */
static void put_common(struct qn_hf *hf, uint64_t positions, const char *activation_key, const char *usual)
{
    struct qn_str activation = activation_name(hf, activation_key);
    qn_hf_put_u32(hf, "context_length", positions);
    qn_hf_put_bool(hf, "attention.causal", false);
    qn_hf_put_general_u32(hf, "tokenizer.ggml.token_type_count", qn_hf_u64(hf, "type_vocab_size", 1));
    if (activation.data && !qn_str_is(activation, usual))
        qn_hf_put_str(hf, "hidden_activation", activation);
    qn_hf_put_pooling(hf);
}

static void finish_bert(struct qn_hf *hf)
{
    struct qn_str kind = qn_hf_str(hf, "position_embedding_type");
    if (kind.data && !qn_str_is(kind, "absolute") && !hf->status)
        hf->status =
            QN_ERROR(QN_UNSUPPORTED, "key 'position_embedding_type' is '%.*s'; expected absolute", QN_STR_ARG(kind));
    if (!qn_hf_json(hf, "layer_norm_eps"))
        qn_hf_put_f32(hf, "attention.layer_norm_epsilon", 1e-12);
    put_common(hf, qn_hf_need_u64(hf, "max_position_embeddings"), "hidden_act", "gelu");
    put_head(hf, "tanh", activation_name(hf, "hidden_act"));
}

/* Positions count from behind the padding token's number; the rows up to that are left out. */
static void finish_roberta(struct qn_hf *hf)
{
    uint64_t rows = qn_hf_need_u64(hf, "max_position_embeddings"), first = qn_hf_u64(hf, "pad_token_id", 1) + 1;
    if (rows <= first && !hf->status)
        hf->status = QN_ERROR(QN_INVALID_FILE,
                              "key 'max_position_embeddings' is %llu; expected more than pad_token_id "
                              "+ 1 = %llu",
                              (unsigned long long)rows, (unsigned long long)first);
    if (!qn_hf_json(hf, "layer_norm_eps"))
        qn_hf_put_f32(hf, "attention.layer_norm_epsilon", 1e-12);
    put_common(hf, rows - first, "hidden_act", "gelu");
    put_head(hf, "tanh", QN_STR("gelu"));
}

static void finish_distilbert(struct qn_hf *hf)
{
    qn_hf_put_f32(hf, "attention.layer_norm_epsilon", 1e-12);
    put_common(hf, qn_hf_need_u64(hf, "max_position_embeddings"), "activation", "gelu");
    put_head(hf, "relu", activation_name(hf, "activation"));
}

/* Keys of transformers, or those of the code that the first models came with. */
static uint64_t either(struct qn_hf *hf, const char *now, const char *before)
{
    return qn_hf_json(hf, now) ? qn_hf_need_u64(hf, now) : qn_hf_need_u64(hf, before);
}

static void check_nomic(struct qn_hf *hf)
{
    if (hf->status)
        return;
    if (qn_hf_u64(hf, "moe_every_n_layers", 0))
        hf->status = QN_ERROR(QN_UNSUPPORTED, "key 'moe_every_n_layers': layers of experts are not supported");
    else if (qn_hf_bool(hf, "prenorm", false) || qn_hf_bool(hf, "parallel_block", false) ||
             qn_hf_bool(hf, "rotary_emb_interleaved", false) || qn_hf_bool(hf, "causal", false) ||
             qn_hf_f64(hf, "rotary_emb_fraction", 1) != 1)
        hf->status =
            QN_ERROR(QN_UNSUPPORTED, "keys 'prenorm', 'parallel_block', 'rotary_emb_interleaved', 'causal' and "
                                     "'rotary_emb_fraction': expected false, false, false, false and 1");
}

static void finish_nomic(struct qn_hf *hf)
{
    uint64_t dim = either(hf, "hidden_size", "n_embd"), heads = either(hf, "num_attention_heads", "n_head"),
             positions = either(hf, "max_position_embeddings", "n_positions"),
             trained = qn_hf_u64(hf, "max_trained_positions", 0);
    const char *activation = qn_hf_json(hf, "hidden_act") ? "hidden_act" : "activation_function";
    check_nomic(hf);
    qn_hf_put_u32(hf, "vocab_size", qn_hf_need_u64(hf, "vocab_size"));
    qn_hf_put_u32(hf, "embedding_length", dim);
    qn_hf_put_u32(hf, "attention.head_count", heads);
    qn_hf_put_u32(hf, "attention.key_length", heads ? dim / heads : 0);
    qn_hf_put_u32(hf, "attention.value_length", heads ? dim / heads : 0);
    qn_hf_put_u32(hf, "feed_forward_length", either(hf, "intermediate_size", "n_inner"));
    qn_hf_put_f32(hf, "attention.layer_norm_epsilon",
                  qn_hf_f64(hf, "layer_norm_eps", qn_hf_f64(hf, "layer_norm_epsilon", 1e-12)));
    if (qn_hf_json(hf, "rope_parameters"))
        qn_hf_rope_keys(hf, heads ? dim / heads : 0, NULL);
    else
        qn_hf_put_f32(hf, "rope.freq_base", qn_hf_f64(hf, "rotary_emb_base", 1000));
    const char *usual = qn_hf_has(hf, "blk.0.ffn_gate.weight", NULL, NULL) ? "silu" : "gelu";
    put_common(hf, trained && trained < positions ? trained : positions, activation, usual);
    put_head(hf, "tanh", activation_name(hf, activation));
}

/* ---- the way back --------------------------------------------------------------------------------------------- */

static bool has_vocabulary(const struct qn_hf_back *back, const char *name)
{
    struct qn_str model = qn_hf_back_general(back, "tokenizer.ggml.model");
    return model.data && qn_str_is(model, name);
}

static bool is_roberta(const struct qn_hf_back *back)
{
    return has_vocabulary(back, "gpt2");
}

static bool is_xlm_roberta(const struct qn_hf_back *back)
{
    return has_vocabulary(back, "t5") || has_vocabulary(back, "llama");
}

/* The only one without types of tokens. */
static bool is_distilbert(const struct qn_hf_back *back)
{
    return !qn_hf_back_has(back, "token_types.weight") && !is_roberta(back) && !is_xlm_roberta(back);
}

static void back_activation(struct qn_hf_back *back, const char *key, const char *usual)
{
    struct qn_str name = qn_hf_back_str(back, "hidden_activation");
    if (name.data && qn_str_is(name, "gelu_tanh"))
        name = QN_STR("gelu_new");
    qn_hf_back_put_str(back, key, name.data ? name : qn_str_from(usual));
}

/* The classes' names. */
static void back_labels(struct qn_hf_back *back)
{
    struct qn_model_meta meta = {.struct_size = sizeof meta};
    struct qn_meta_item item;
    char key[96];
    uint32_t index;
    uint64_t labels = qn_hf_back_dim(back, "cls.output.weight", 0);
    snprintf(key, sizeof key, "%s.classifier.output_labels", back->view.arch->gguf);
    if (qn_hf_back_bool(back, "multi_label", false))
        qn_hf_back_put_str(back, "problem_type", QN_STR("multi_label_classification"));
    if (!labels || back->status)
        return;
    if (!qn_model_find_meta(back->model, key, &index)) {
        qn_hf_back_put_u64(back, "num_labels", labels);
        return;
    }
    back->status = qn_model_meta(back->model, index, &meta);
    qn_json_key(&back->json, "id2label");
    qn_json_begin_object(&back->json);
    for (uint64_t i = 0; i < meta.count && i < labels && !back->status; i++) {
        char number[24];
        snprintf(number, sizeof number, "%llu", (unsigned long long)i);
        back->status = qn_model_meta_item(back->model, index, i, &item);
        if (!back->status && item.kind == QN_META_TEXT)
            qn_hf_back_put_str(back, number, (struct qn_str){item.as.text.data, item.as.text.size});
    }
    qn_json_end_object(&back->json);
    qn_json_key(&back->json, "label2id");
    qn_json_begin_object(&back->json);
    for (uint64_t i = 0; i < meta.count && i < labels && !back->status; i++) {
        back->status = qn_model_meta_item(back->model, index, i, &item);
        struct qn_str name = qn_arena_str(&back->view.arena, (struct qn_str){item.as.text.data, item.as.text.size});
        if (!back->status && item.kind == QN_META_TEXT && name.data)
            qn_hf_back_put_u64(back, name.data, i);
    }
    qn_json_end_object(&back->json);
}

static void back_common(struct qn_hf_back *back, uint64_t positions)
{
    qn_hf_back_put_u64(back, "max_position_embeddings", positions);
    if (qn_hf_back_has(back, "token_types.weight"))
        qn_hf_back_put_u64(back, "type_vocab_size", qn_hf_back_dim(back, "token_types.weight", 0));
    back_labels(back);
}

static void back_bert(struct qn_hf_back *back)
{
    back_common(back, qn_hf_back_dim(back, "position_embd.weight", 0));
    back_activation(back, "hidden_act", "gelu");
}

static void back_roberta(struct qn_hf_back *back)
{
    struct qn_meta_item pad;
    uint32_t index;
    uint64_t id = 1;
    if (qn_model_find_meta(back->model, "tokenizer.ggml.padding_token_id", &index) && !back->status) {
        back->status = qn_model_meta_item(back->model, index, 0, &pad);
        id = !back->status && pad.kind == QN_META_UINT ? pad.as.u : id;
    } else {
        qn_hf_back_put_u64(back, "pad_token_id", id);
    }
    back_common(back, qn_hf_back_dim(back, "position_embd.weight", 0) + id + 1);
    back_activation(back, "hidden_act", "gelu");
}

static void back_distilbert(struct qn_hf_back *back)
{
    back_common(back, qn_hf_back_dim(back, "position_embd.weight", 0));
    back_activation(back, "activation", "gelu");
}

/* Under the names of transformers and under those of the code that the first models came with; tensors go by what the
 * file has: query, key and value apart, or as one. */
static void back_nomic(struct qn_hf_back *back)
{
    static const char *const sizes[][3] = {{"embedding_length", "hidden_size", "n_embd"},
                                           {"attention.head_count", "num_attention_heads", "n_head"},
                                           {"feed_forward_length", "intermediate_size", "n_inner"}};
    static const char *const off[] = {"causal",  "qkv_proj_bias",  "mlp_fc1_bias",          "mlp_fc2_bias",
                                      "prenorm", "parallel_block", "rotary_emb_interleaved"};
    bool apart = qn_hf_back_has(back, "blk.0.attn_q.weight");
    uint64_t positions = qn_hf_back_u64(back, "context_length", 0);
    double base = qn_hf_back_f64(back, "rope.freq_base", 1000),
           epsilon = qn_hf_back_f64(back, "attention.layer_norm_epsilon", 1e-12);
    for (int i = 0; i < 3; i++)
        for (int k = 1; k < 3; k++)
            qn_hf_back_put_u64(back, sizes[i][k], qn_hf_back_u64(back, sizes[i][0], 0));
    for (size_t i = 0; i < sizeof off / sizeof off[0]; i++)
        qn_hf_back_put_bool(back, off[i], false);
    qn_hf_back_put_f64(back, "layer_norm_eps", epsilon);
    qn_hf_back_put_f64(back, "layer_norm_epsilon", epsilon);
    qn_hf_back_put_u64(back, "n_positions", positions);
    qn_hf_back_put_f64(back, "rotary_emb_fraction", 1);
    qn_hf_back_put_f64(back, "rotary_emb_base", base);
    qn_json_key(&back->json, "rope_parameters");
    qn_json_begin_object(&back->json);
    qn_hf_back_put_str(back, "rope_type", QN_STR("default"));
    qn_hf_back_put_f64(back, "rope_theta", base);
    qn_json_end_object(&back->json);
    back_common(back, positions);
    bool gated = qn_hf_back_has(back, "blk.0.ffn_gate.weight");
    back_activation(back, "hidden_act", gated ? "silu" : "gelu");
    qn_hf_back_put_str(back, "activation_function", gated ? QN_STR("swiglu") : QN_STR("gelu"));
    back->avoid[0] = apart ? "nomic_bert.encoder." : "nomic_bert.layers.";
    back->avoid[1] = apart ? "nomic_bert.emb_ln." : "nomic_bert.embeddings.LayerNorm.";
}

const struct qn_hf_arch qn_hf_arch_bert = {
    .model_type = "bert",
    .gguf = "bert",
    .prefix = "bert.",
    .layers = "num_hidden_layers",
    .keys = bert_keys,
    .names = bert_names,
    .finish = finish_bert,
    .class_ = "Bert",
    .back = back_bert,
};

const struct qn_hf_arch qn_hf_arch_roberta = {
    .model_type = "roberta",
    .gguf = "bert",
    .prefix = "roberta.",
    .layers = "num_hidden_layers",
    .keys = bert_keys,
    .names = roberta_names,
    .finish = finish_roberta,
    .class_ = "Roberta",
    .claims = is_roberta,
    .back = back_roberta,
};

const struct qn_hf_arch qn_hf_arch_xlm_roberta = {
    .model_type = "xlm-roberta",
    .gguf = "bert",
    .prefix = "roberta.",
    .layers = "num_hidden_layers",
    .keys = bert_keys,
    .names = roberta_names,
    .finish = finish_roberta,
    .class_ = "XLMRoberta",
    .claims = is_xlm_roberta,
    .back = back_roberta,
};

const struct qn_hf_arch qn_hf_arch_distilbert = {
    .model_type = "distilbert",
    .gguf = "bert",
    .prefix = "distilbert.",
    .layers = "n_layers",
    .keys = distilbert_keys,
    .names = distilbert_names,
    .finish = finish_distilbert,
    .class_ = "DistilBert",
    .claims = is_distilbert,
    .back = back_distilbert,
};

const struct qn_hf_arch qn_hf_arch_nomic_bert = {
    .model_type = "nomic_bert",
    .gguf = "nomic-bert",
    .prefix = "nomic_bert.",
    .layers = "num_hidden_layers",
    .layers_before = "n_layer",
    .names = nomic_names,
    .finish = finish_nomic,
    .class_ = "NomicBert",
    .back = back_nomic,
};
