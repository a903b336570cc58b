#include "arch/lm_blocks.h"

#include <math.h>
#include <stdio.h>

/* "blk.3.attn_q" + ".weight" inside a layer, the plain name outside. */
static struct qn_str full_name(const struct qn_lm *lm, const char *name, const char *suffix, char buffer[192])
{
    int size = lm->b.scope.size ? snprintf(buffer, 192, "%.*s.%s%s", QN_STR_ARG(lm->b.scope), name, suffix)
                                : snprintf(buffer, 192, "%s%s", name, suffix);
    return (struct qn_str){buffer, size < 192 ? (size_t)size : 191};
}

static void fail_shape(struct qn_lm *lm, struct qn_str name, const struct qn_type *type, uint32_t rank,
                       const uint32_t *dims)
{
    char found[128] = "", wanted[128] = "";
    for (uint32_t i = 0, at = 0; i < type->rank && at < 100; i++)
        at += (uint32_t)snprintf(found + at, sizeof found - at, "%s%lld", i ? ", " : "", (long long)type->dims[i]);
    for (uint32_t i = 0, at = 0; i < rank; i++)
        at += (uint32_t)snprintf(wanted + at, sizeof wanted - at, "%s%u", i ? ", " : "", dims[i]);
    lm->b.status = QN_ERROR(QN_INVALID_FILE, "tensor '%.*s' has shape [%s], the configuration asks for [%s]",
                            QN_STR_ARG(name), found, wanted);
}

qn_value qn_lm_weight(struct qn_lm *lm, const char *name, const char *suffix, bool required, uint32_t rank,
                      const uint32_t *dims)
{
    if (lm->b.status)
        return 0;
    char buffer[192];
    struct qn_str full = full_name(lm, name, suffix, buffer);
    struct qn_lm_tensor tensor;
    if (!lm->source->find(lm->source->context, full, &tensor)) {
        if (required)
            lm->b.status = QN_ERROR(QN_INVALID_FILE, "tensor '%.*s' is missing", QN_STR_ARG(full));
        return 0;
    }
    struct qn_type type = tensor.type;
    enum qn_dtype_class class_ = qn_dtype_info(type.dtype)->class_;
    if (class_ != QN_DTYPE_CLASS_FLOAT && class_ != QN_DTYPE_CLASS_BLOCK) {
        lm->b.status = QN_ERROR(QN_INVALID_FILE, "tensor '%.*s' is of type %s; expected floats or quantised blocks",
                                QN_STR_ARG(full), qn_dtype_name(type.dtype));
        return 0;
    }
    uint32_t skip = 0; /* leading ones: a GGUF tensor may be written with more dimensions than it needs */
    while (type.rank - skip > rank && type.dims[skip] == 1)
        skip++;
    if (type.rank == 1 && rank == 2 && dims[0] == 1) { /* a single row may have come as a vector */
        type.dims[1] = type.dims[0];
        type.dims[0] = 1;
        type.rank = 2;
    }
    bool same = type.rank - skip == rank;
    for (uint32_t i = 0; same && i < rank; i++)
        same = type.dims[skip + i] == dims[i];
    if (!same) {
        fail_shape(lm, full, &tensor.type, rank, dims);
        return 0;
    }
    for (uint32_t i = 0; i < rank; i++)
        type.dims[i] = type.dims[skip + i];
    type.rank = rank;
    qn_value out = 0;
    lm->b.status = qn_graph_add_constant(lm->b.graph, full, &type, &tensor.blob, &out);
    return lm->b.status ? 0 : out;
}

qn_value qn_lm_vector(struct qn_lm *lm, const char *name, const char *suffix, bool required, uint32_t size)
{
    qn_value value = qn_lm_weight(lm, name, suffix, required, 1, &size);
    if (lm->b.status || !value || lm->b.graph->values.items[value].type.dtype == QN_DTYPE_F32)
        return value;
    struct qn_attr_cast cast = {.dtype = QN_DTYPE_F32};
    return qn_build_node(&lm->b, QN_OP_cast, &value, 1, &cast, NULL);
}

qn_value qn_lm_table(struct qn_lm *lm, const char *name, const char *suffix, uint32_t rank, const uint32_t *dims)
{
    qn_value value = qn_lm_weight(lm, name, suffix, true, rank, dims);
    if (lm->b.status || lm->b.graph->values.items[value].type.dtype == QN_DTYPE_F32)
        return value;
    return qn_build_cast(&lm->b, value, QN_DTYPE_F32);
}

bool qn_lm_has(struct qn_lm *lm, const char *name)
{
    char buffer[192];
    struct qn_lm_tensor tensor;
    return lm->source->find(lm->source->context, full_name(lm, name, ".weight", buffer), &tensor);
}

/* Which layers see a window only: attention.sliding_window_pattern says it for each layer, or as a period P, where
 * layers P - 1, 2 P - 1, ... see everything. */
static uint32_t layer_window(struct qn_lm *lm, uint32_t layer)
{
    const char *key = "attention.sliding_window_pattern";
    uint32_t window = lm->config->window, period = lm->arch->window_period;
    struct qn_lm_value value;
    if (!window)
        return 0;
    if (qn_lm_key_find(&lm->keys, key, &value)) {
        if (value.array || value.item.kind == QN_META_BOOL)
            return qn_lm_key_bool_at(&lm->keys, key, layer, true) ? window : 0;
        period = qn_lm_key_u32(&lm->keys, key, period);
    }
    return period == 0 || layer % period + 1 < period ? window : 0;
}

/* Token i sees position j when j <= pos[i] and, with a window, j > pos[i] - window. */
static qn_value make_mask(struct qn_lm *lm)
{
    struct qn_build *b = &lm->b;
    qn_value *out = &lm->masks[lm->window != 0];
    if (*out || b->status)
        return *out;
    struct qn_attr_iota attr = {.count = lm->l, .dtype = QN_DTYPE_I32};
    qn_value key = qn_build_node(b, QN_OP_iota, NULL, 0, &attr, NULL);
    key = qn_build_reshape(b, key, 2, (qn_dim[]){1, lm->l});
    qn_value query = qn_build_reshape(b, lm->pos, 2, (qn_dim[]){lm->n, 1});
    qn_value visible = qn_build_binary(b, QN_OP_less_equal, key, query);
    if (lm->window) {
        qn_value oldest = qn_build_binary(b, QN_OP_sub, query, qn_build_scalar_i32(b, (int32_t)lm->window));
        visible = qn_build_binary(b, QN_OP_and, visible, qn_build_binary(b, QN_OP_less, oldest, key));
    }
    qn_value choice[3] = {visible, qn_build_scalar(b, 0.0f), qn_build_scalar(b, -INFINITY)};
    qn_value mask = qn_build_node(b, QN_OP_where, choice, 3, NULL, NULL);
    *out = qn_build_reshape(b, mask, 4, (qn_dim[]){lm->n, 1, 1, lm->l});
    return *out;
}

void qn_lm_begin_layer(struct qn_lm *lm, uint32_t layer)
{
    lm->layer = layer;
    if (lm->b.status)
        return;
    if (!lm->encoder) { /* an encoder has one mask of its own */
        lm->kv = lm->config->kv;
        lm->window = layer_window(lm, layer);
        if (lm->window) {
            lm->kv.kind = lm->kv.kind == QN_LM_KV_FULL ? QN_LM_KV_WINDOW : lm->kv.kind;
            lm->kv.window = lm->window;
        }
        if (lm->kv.kind != QN_LM_KV_RECURRENT)
            lm->mask = make_mask(lm);
    }
    lm->b.scope = qn_arena_printf(&lm->b.graph->arena, "blk.%u", layer);
    if (!lm->b.scope.data)
        lm->b.status = QN_OOM();
}

void qn_lm_end_layer(struct qn_lm *lm)
{
    lm->b.scope = (struct qn_str){0};
}

qn_value qn_lm_embedding(struct qn_lm *lm, const char *name, uint32_t rows, qn_value indices)
{
    qn_value table = qn_lm_weight(lm, name, ".weight", true, 2, (uint32_t[]){rows, lm->config->dim});
    struct qn_attr_gather attr = {.dtype = QN_DTYPE_F32};
    return qn_build_node(&lm->b, QN_OP_gather, (qn_value[]){table, indices}, 2, &attr, name);
}

qn_value qn_lm_linear(struct qn_lm *lm, qn_value x, const char *name, uint32_t in, uint32_t out)
{
    struct qn_attr_matmul attr = {.trans_b = true, .packs = lm->packs};
    qn_value w = qn_lm_weight(lm, name, ".weight", true, 2, (uint32_t[]){out, in});
    qn_value y = qn_build_node(&lm->b, QN_OP_matmul, (qn_value[]){x, w}, 2, &attr, name);
    qn_value scale = qn_lm_vector(lm, name, ".scale", false, 1);
    if (scale)
        y = qn_build_binary(&lm->b, QN_OP_mul, y, scale);
    qn_value bias = qn_lm_vector(lm, name, ".bias", false, out);
    return bias ? qn_lm_add(lm, y, bias) : y;
}

qn_value qn_lm_rms_norm(struct qn_lm *lm, qn_value x, const char *name, uint32_t dim)
{
    struct qn_build *b = &lm->b;
    qn_value w = qn_lm_vector(lm, name, ".weight", true, dim);
    qn_value mean = qn_build_reduce(b, QN_OP_reduce_mean, qn_build_binary(b, QN_OP_mul, x, x), -1, true);
    qn_value epsilon = qn_build_scalar(b, (float)lm->config->norm_epsilon);
    qn_value scale = qn_build_unary(b, QN_OP_rsqrt, qn_build_binary(b, QN_OP_add, mean, epsilon));
    return qn_build_node(b, QN_OP_mul, (qn_value[]){qn_build_binary(b, QN_OP_mul, x, scale), w}, 2, NULL, name);
}

qn_value qn_lm_layer_norm(struct qn_lm *lm, qn_value x, const char *name, uint32_t dim)
{
    struct qn_build *b = &lm->b;
    qn_value w = qn_lm_vector(lm, name, ".weight", true, dim);
    qn_value bias = qn_lm_vector(lm, name, ".bias", true, dim);
    qn_value centred = qn_build_binary(b, QN_OP_sub, x, qn_build_reduce(b, QN_OP_reduce_mean, x, -1, true));
    qn_value square = qn_build_binary(b, QN_OP_mul, centred, centred);
    qn_value variance = qn_build_reduce(b, QN_OP_reduce_mean, square, -1, true);
    qn_value epsilon = qn_build_scalar(b, (float)lm->config->norm_epsilon);
    qn_value scale = qn_build_unary(b, QN_OP_rsqrt, qn_build_binary(b, QN_OP_add, variance, epsilon));
    qn_value scaled = qn_build_binary(b, QN_OP_mul, qn_build_binary(b, QN_OP_mul, centred, scale), w);
    return qn_build_node(b, QN_OP_add, (qn_value[]){scaled, bias}, 2, NULL, name);
}

qn_value qn_lm_heads(struct qn_lm *lm, qn_value x, uint32_t heads)
{
    return qn_build_reshape(&lm->b, x, 3, (qn_dim[]){lm->n, heads, lm->config->head_dim});
}

void qn_lm_qkv(struct qn_lm *lm, qn_value x, qn_value *q, qn_value *k, qn_value *v)
{
    const struct qn_lm_config *c = lm->config;
    int64_t q_size = (int64_t)c->heads * c->head_dim, kv_size = (int64_t)c->kv_heads * c->head_dim;
    if (!qn_lm_has(lm, "attn_qkv")) {
        *q = qn_lm_project(lm, x, "attn_q", c->heads);
        *k = qn_lm_project(lm, x, "attn_k", c->kv_heads);
        *v = qn_lm_project(lm, x, "attn_v", c->kv_heads);
        return;
    }
    qn_value all = qn_lm_linear(lm, x, "attn_qkv", c->dim, (uint32_t)(q_size + 2 * kv_size));
    *q = qn_lm_heads(lm, qn_build_slice(&lm->b, all, 1, 0, q_size), c->heads);
    *k = qn_lm_heads(lm, qn_build_slice(&lm->b, all, 1, q_size, q_size + kv_size), c->kv_heads);
    *v = qn_lm_heads(lm, qn_build_slice(&lm->b, all, 1, q_size + kv_size, q_size + 2 * kv_size), c->kv_heads);
}

qn_value qn_lm_self_attention(struct qn_lm *lm, qn_value x, enum qn_lm_rope_kind kind)
{
    const struct qn_lm_config *c = lm->config;
    qn_value q, k, v;
    qn_lm_qkv(lm, x, &q, &k, &v);
    if (lm->head_norms) {
        q = qn_lm_rms_norm(lm, q, "attn_q_norm", c->head_dim);
        k = qn_lm_rms_norm(lm, k, "attn_k_norm", c->head_dim);
    }
    if (kind != QN_LM_ROPE_NONE) {
        q = qn_lm_rope(lm, q, kind);
        k = qn_lm_rope(lm, k, kind);
    }
    return qn_lm_linear(lm, qn_lm_attention(lm, q, k, v), "attn_output", c->heads * c->head_dim, c->dim);
}

qn_value qn_lm_project(struct qn_lm *lm, qn_value x, const char *name, uint32_t heads)
{
    return qn_lm_heads(lm, qn_lm_linear(lm, x, name, lm->config->dim, heads * lm->config->head_dim), heads);
}

qn_value qn_lm_state(struct qn_lm *lm, const char *name, const struct qn_type *type)
{
    char buffer[192];
    qn_value before = 0;
    if (!lm->b.status)
        lm->b.status = qn_graph_add_state(lm->b.graph, full_name(lm, name, "", buffer), type, &before);
    return before;
}

/* Writes this step's rows into the layer's cache `which` and reads back all visible ones: [N, kv_heads, L, size]. */
static qn_value through_cache(struct qn_lm *lm, const char *which, qn_value x, uint32_t size)
{
    struct qn_build *b = &lm->b;
    struct qn_type type = {
        .dtype = lm->options->kv_dtype, .rank = 3, .dims = {lm->options->cache_rows, lm->kv.heads, size}};
    qn_value before = qn_lm_state(lm, which, &type);
    qn_value after = qn_build_node(b, QN_OP_scatter_rows, (qn_value[]){before, lm->slot, x}, 3, NULL, which);
    if (b->status)
        return 0;
    qn_graph_set_state(b->graph, before, after);
    qn_value seen = qn_build_gather(b, after, lm->token_rows, 0, QN_DTYPE_F32);
    return qn_build_transpose(b, seen, 4, (int64_t[]){0, 2, 1, 3});
}

qn_value qn_lm_attend(struct qn_lm *lm, qn_value q, qn_value k, qn_value v, qn_value sinks)
{
    struct qn_build *b = &lm->b;
    const struct qn_lm_kv *kv = &lm->kv;
    if (b->status)
        return 0;
    int64_t heads = lm->config->heads, group = heads / kv->heads;
    bool compressed = kv->kind == QN_LM_KV_COMPRESSED;
    k = through_cache(lm, compressed ? "kv" : "k", k, kv->key_dim);
    v = compressed ? qn_build_slice(b, k, 3, 0, kv->value_dim) : through_cache(lm, "v", v, kv->value_dim);
    q = qn_build_reshape(b, q, 4, (qn_dim[]){lm->n, kv->heads, group, kv->key_dim});
    qn_value scores = qn_build_matmul(b, q, k, true, "scores");
    scores = qn_build_binary(b, QN_OP_mul, scores, qn_build_scalar(b, (float)lm->attention_scale));
    if (lm->attention_cap != 0)
        scores = qn_build_soft_cap(b, scores, lm->attention_cap);
    scores = qn_lm_add(lm, scores, lm->mask);
    if (sinks)
        sinks = qn_build_reshape(b, sinks, 4, (qn_dim[]){1, kv->heads, group, 1});
    qn_value mixed = qn_build_matmul(b, qn_build_sink_softmax(b, scores, sinks), v, false, "mixed");
    return qn_build_reshape(b, mixed, 2, (qn_dim[]){lm->n, heads * kv->value_dim});
}

qn_value qn_lm_attention(struct qn_lm *lm, qn_value q, qn_value k, qn_value v)
{
    return qn_lm_attend(lm, q, k, v, 0);
}

qn_value qn_lm_wanted_rows(struct qn_lm *lm, qn_value x)
{
    return qn_build_gather(&lm->b, x, lm->out_rows, 0, QN_DTYPE_NONE);
}

void qn_lm_head(struct qn_lm *lm, qn_value x)
{
    const struct qn_lm_config *c = lm->config;
    bool tied = !qn_lm_has(lm, "output");
    qn_value logits = qn_lm_linear(lm, x, tied ? "token_embd" : "output", c->dim, c->vocabulary);
    qn_value bias = tied ? qn_lm_vector(lm, "output", ".bias", false, c->vocabulary) : 0;
    if (bias)
        logits = qn_lm_add(lm, logits, bias);
    if (lm->logit_cap != 0)
        logits = qn_build_soft_cap(&lm->b, logits, lm->logit_cap);
    if (!lm->b.status)
        lm->b.status = qn_graph_add_output(lm->b.graph, QN_STR("logits"), logits);
}

/* ---- what a step is given ------------------------------------------------------------------------------------- */

qn_value qn_lm_input(struct qn_lm *lm, const char *name, uint32_t rank, qn_dim d0, qn_dim d1)
{
    struct qn_type type = {.dtype = QN_DTYPE_I32, .rank = rank, .dims = {d0, d1}};
    qn_value out = 0;
    if (!lm->b.status)
        lm->b.status = qn_graph_add_input(lm->b.graph, qn_str_from(name), &type, &out);
    return out;
}

qn_dim qn_lm_symbol(struct qn_lm *lm, const char *name, int64_t max)
{
    qn_dim out = 0;
    if (!lm->b.status)
        lm->b.status = qn_graph_symbol(lm->b.graph, qn_str_from(name), 1, max, &out);
    return out;
}
