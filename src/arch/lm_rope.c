/* Rotary position embedding of language models: the angles, shared by the layers, and the rotation. */
#include "arch/lm_blocks.h"

/* Divisors of the frequencies that the source has as a tensor of `half` numbers; NULL when it has none, or on error. */
static const float *divisors(struct qn_lm *lm, const char *name, bool required, uint32_t half)
{
    struct qn_lm_tensor tensor;
    if (lm->b.status)
        return NULL;
    if (!lm->source->find(lm->source->context, qn_str_from(name), &tensor)) {
        if (required)
            lm->b.status = QN_ERROR(QN_INVALID_FILE, "tensor '%s' is missing", name);
        return NULL;
    }
    if (tensor.type.dtype != QN_DTYPE_F32 || tensor.blob.bytes != half * sizeof(float) || !tensor.data) {
        lm->b.status = QN_ERROR(QN_INVALID_FILE, "tensor '%s': expected f32 [%u]", name, half);
        return NULL;
    }
    float *copy = QN_ARENA_ARRAY(&lm->b.graph->arena, float, half);
    if (!copy)
        lm->b.status = QN_OOM();
    else
        memcpy(copy, tensor.data, half * sizeof(float)); /* the file may hold it unaligned */
    return copy;
}

/* Frequencies of each token, [1 or N, half], and the magnitude of cos and sin. */
static qn_value frequencies(struct qn_lm *lm, const struct qn_rope_config *rope, bool local, float *magnitude)
{
    struct qn_build *b = &lm->b;
    uint32_t half = rope->dims / 2;
    const float *factors[2] = {NULL};
    uint32_t sets = 1;
    if (lm->stretch && !local) {
        factors[0] = divisors(lm, "rope_factors_short.weight", true, half);
        factors[1] = divisors(lm, "rope_factors_long.weight", true, half);
        sets = 2;
    } else if (!local) {
        factors[0] = divisors(lm, "rope_freqs.weight", false, half);
    }
    float *table = b->status ? NULL : QN_ARENA_ARRAY(&b->graph->arena, float, (size_t)sets *half);
    if (!table) {
        if (!b->status)
            b->status = QN_OOM();
        return 0;
    }
    for (uint32_t i = 0; i < sets; i++)
        qn_rope_frequencies(rope, factors[i], table + (size_t)i * half, magnitude);
    struct qn_type type = {.dtype = QN_DTYPE_F32, .rank = 2, .dims = {sets, half}};
    qn_value out = 0;
    b->status = qn_graph_add_data(b->graph, local ? QN_STR("rope_frequencies_local") : QN_STR("rope_frequencies"),
                                  &type, table, &out);
    return sets == 1 ? out : qn_build_gather(b, out, lm->stretch, 0, QN_DTYPE_NONE);
}

/* cos and sin of pos * frequency, for the current layer's kind. */
static struct qn_lm_angles *angles(struct qn_lm *lm)
{
    struct qn_build *b = &lm->b;
    bool local = lm->window && lm->config->rope_local.dims;
    struct qn_lm_angles *out = &lm->angles[local];
    if (b->status || out->cos)
        return out;
    float magnitude = 1;
    qn_value turns = frequencies(lm, local ? &lm->config->rope_local : &lm->config->rope, local, &magnitude);
    qn_value pos = qn_build_cast(b, lm->pos, QN_DTYPE_F32);
    turns = qn_build_binary(b, QN_OP_mul, qn_build_reshape(b, pos, 2, (qn_dim[]){lm->n, 1}), turns);
    out->cos = qn_build_unary(b, QN_OP_cos, turns);
    out->sin = qn_build_unary(b, QN_OP_sin, turns);
    if (magnitude != 1.0f) {
        out->cos = qn_build_binary(b, QN_OP_mul, out->cos, qn_build_scalar(b, magnitude));
        out->sin = qn_build_binary(b, QN_OP_mul, out->sin, qn_build_scalar(b, magnitude));
    }
    return out;
}

qn_value qn_lm_rope(struct qn_lm *lm, qn_value x, enum qn_lm_rope_kind kind)
{
    struct qn_build *b = &lm->b;
    const struct qn_lm_angles *turn = angles(lm);
    if (b->status)
        return 0;
    int64_t r = lm->config->rope.dims, d = qn_build_dim(b, x, 2);
    qn_dim heads = qn_build_dim(b, x, 1);
    qn_value rest = r < d ? qn_build_slice(b, x, 2, r, d) : 0;
    qn_value part = r < d ? qn_build_slice(b, x, 2, 0, r) : x;
    qn_value first, second, rotated;
    if (kind == QN_LM_ROPE_INTERLEAVED) {
        part = qn_build_reshape(b, part, 4, (qn_dim[]){lm->n, heads, r / 2, 2});
        first = qn_build_slice(b, part, 3, 0, 1);
        second = qn_build_slice(b, part, 3, 1, 2);
    } else {
        first = qn_build_slice(b, part, 2, 0, r / 2);
        second = qn_build_slice(b, part, 2, r / 2, r);
    }
    uint32_t rank = kind == QN_LM_ROPE_INTERLEAVED ? 4 : 3;
    qn_dim shape[4] = {lm->n, 1, r / 2, 1};
    qn_value c = qn_build_reshape(b, turn->cos, rank, shape), s = qn_build_reshape(b, turn->sin, rank, shape);
    qn_value x0 = qn_build_binary(b, QN_OP_sub, qn_build_binary(b, QN_OP_mul, first, c),
                                  qn_build_binary(b, QN_OP_mul, second, s));
    qn_value x1 = qn_build_binary(b, QN_OP_add, qn_build_binary(b, QN_OP_mul, first, s),
                                  qn_build_binary(b, QN_OP_mul, second, c));
    rotated = qn_build_concat(b, x0, x1, rank - 1);
    if (kind == QN_LM_ROPE_INTERLEAVED)
        rotated = qn_build_reshape(b, rotated, 3, (qn_dim[]){lm->n, heads, r});
    return rest ? qn_build_concat(b, rotated, rest, 2) : rotated;
}
