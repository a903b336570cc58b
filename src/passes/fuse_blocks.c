/* Weights in few bits: a product of floats with a constant that is dequantised for it reads the codes in blocks of 32
 * with their scales, as it reads those of a quantised model, instead of a matrix of floats that every run makes anew.
 *
 *     matmul(x, dequantize(w))              w of 4 or 8 bits, [k, n]; [n, k] with trans_b
 *     matmul(x, transpose(dequantize(w)))   the other way round
 *
 * One scale, one a column, or one a column and block of k, of whole blocks of 32; so with zero points. The blocks hold
 * the dequantised values to the last bit: scales in f32, codes and zero points counted from the least code. */
#include <string.h>

#include "passes/match.h"
#include "passes/pass.h"
#include "quant/q4_f32/q4_f32.h"
#include "quant/q8_f32/q8_f32.h"
#include "quant/quant.h"

enum { BLOCK = 32, COLUMNS = 64 /* that are written together: their codes share cache lines */ };

struct weight {
    qn_value codes, scales, zeros; /* constants; zeros may be 0 */
    bool by_rows;                  /* [n, k] */
    int64_t n, k;
    int64_t n_step, k_step, k_block; /* number of (n, k)'s scale: n * n_step + k / k_block * k_step */
    int bits, least;                 /* of a code */
};

static const void *data_of(const struct qn_rewrite *r, qn_value v)
{
    const struct qn_value_info *value = qn_graph_value(r->from, v);
    return value->kind == QN_VALUE_CONSTANT && !value->type.encoding ? r->from->blobs.items[value->index].data : NULL;
}

/* ---- what is recognised --------------------------------------------------------------------------------------- */

static bool take_dtype(qn_dtype dtype, struct weight *w)
{
    w->bits = dtype == QN_DTYPE_U4 || dtype == QN_DTYPE_I4 ? 4 : 8;
    w->least = dtype == QN_DTYPE_I4 ? -8 : dtype == QN_DTYPE_I8 ? -128 : 0;
    return w->least || dtype == QN_DTYPE_U4 || dtype == QN_DTYPE_U8;
}

/* Where the scales lie: one, one a column, or one a column and block. */
static bool take_scales(const struct qn_type *scales, const struct qn_attr_quantize *attr, struct weight *w)
{
    const int64_t n_axis = w->by_rows ? 0 : 1, k_axis = 1 - n_axis;
    w->k_block = w->k;
    if (scales->rank == 0 || (scales->rank == 1 && scales->dims[0] == 1))
        return true;
    if (attr->block_size == 0) {
        w->n_step = 1;
        return attr->axis == n_axis;
    }
    w->k_block = attr->block_size;
    w->n_step = w->by_rows ? scales->dims[1] : 1;
    w->k_step = w->by_rows ? 1 : w->n;
    return attr->axis == k_axis && attr->block_size % BLOCK == 0;
}

/* v, read once, is a constant matrix dequantised to f32. */
static bool find_dequantized(const struct qn_rewrite *r, qn_value v, struct weight *w)
{
    qn_node n = qn_match_inner(r, v, QN_OP_dequantize);
    if (!n || qn_match_type(r, v)->dtype != QN_DTYPE_F32 || qn_match_type(r, v)->rank != 2)
        return false;
    w->codes = qn_match_input(r, n, 0);
    w->scales = qn_match_input(r, n, 1);
    w->zeros = qn_match_input(r, n, 2);
    const struct qn_type *codes = qn_match_type(r, w->codes), *scales = qn_match_type(r, w->scales);
    struct qn_type like = *scales;
    like.dtype = codes->dtype;
    if (r->uses[w->codes] != 1 || !data_of(r, w->codes) || !data_of(r, w->scales) ||
        (w->zeros && (!data_of(r, w->zeros) || !qn_type_equal(qn_match_type(r, w->zeros), &like))))
        return false;
    w->n = codes->dims[w->by_rows ? 0 : 1];
    w->k = codes->dims[w->by_rows ? 1 : 0];
    bool wide = scales->dtype == QN_DTYPE_F32 || scales->dtype == QN_DTYPE_F16 || scales->dtype == QN_DTYPE_BF16;
    return wide && w->n > 0 && w->k > 0 && w->k % BLOCK == 0 && take_dtype(codes->dtype, w) &&
           take_scales(scales, qn_graph_attr(r->from, n), w);
}

/* The weight of a product of floats. */
static bool find_weight(const struct qn_rewrite *r, qn_node root, struct weight *w)
{
    if (qn_graph_node(r->from, root)->op != QN_OP_matmul ||
        qn_match_type(r, qn_match_input(r, root, 0))->dtype != QN_DTYPE_F32)
        return false;
    const struct qn_attr_matmul *attr = qn_graph_attr(r->from, root);
    qn_value v = qn_match_input(r, root, 1);
    qn_node turn = qn_match_type(r, v)->rank == 2 ? qn_match_inner(r, v, QN_OP_transpose) : 0;
    *w = (struct weight){.by_rows = attr->trans_b};
    if (turn) {
        const struct qn_attr_transpose *transpose = qn_graph_attr(r->from, turn);
        w->by_rows ^= transpose->perm.items[0] == 1;
        v = qn_match_input(r, turn, 0);
    }
    return find_dequantized(r, v, w);
}

/* ---- blocks --------------------------------------------------------------------------------------------------- */

/* The constants' bytes. */
struct source {
    const uint8_t *codes, *zeros; /* zeros may be NULL */
    const uint8_t *scales;
    qn_dtype scale_dtype;
};

static float scale_at(const struct source *s, int64_t i)
{
    const uint8_t *at = s->scales + i * qn_dtype_info(s->scale_dtype)->block_bytes;
    float value;
    if (s->scale_dtype == QN_DTYPE_F32)
        memcpy(&value, at, sizeof value);
    else
        qn_quant(s->scale_dtype)->dequantise(at, &value, 1);
    return value;
}

/* Block [k, k + BLOCK) of column n. */
static void fill_block(const struct weight *w, const struct source *s, int64_t n, int64_t k, uint8_t *out)
{
    const int64_t at = n * w->n_step + k / w->k_block * w->k_step, step = w->by_rows ? 1 : w->n;
    const uint8_t *from = s->codes + (w->by_rows ? n * w->k + k : k * w->n + n);
    const uint8_t zero_code = (uint8_t)((s->zeros ? s->zeros[at] : 0) - w->least);
    const float scale = scale_at(s, at), zero = (float)zero_code;
    memcpy(out, &scale, sizeof scale);
    memcpy(out + sizeof scale, &zero, sizeof zero);
    out += sizeof scale + sizeof zero;
    for (int i = 0; i < BLOCK; i += 2, from += 2 * step) {
        uint8_t even = (uint8_t)(from[0] - w->least), odd = (uint8_t)(from[step] - w->least);
        if (w->bits == 4) {
            *out++ = (uint8_t)((even & 15) | odd << 4);
        } else {
            *out++ = even;
            *out++ = odd;
        }
    }
}

/* A row of blocks for each column of the product. */
static void fill(const struct weight *w, const struct source *s, int64_t block_bytes, uint8_t *out)
{
    for (int64_t first = 0; first < w->n; first += COLUMNS)
        for (int64_t k = 0; k < w->k; k += BLOCK)
            for (int64_t n = first; n < w->n && n < first + COLUMNS; n++)
                fill_block(w, s, n, k, out + (n * w->k + k) / BLOCK * block_bytes);
}

static qn_status emit_blocks(struct qn_rewrite *r, qn_node root, const struct qn_match *match, const qn_value *inputs,
                             qn_value *outs)
{
    const struct qn_attr_matmul product = {.trans_b = true};
    struct weight w;
    struct qn_blob blob = {.place = QN_BLOB_MEMORY};
    (void)match;
    if (!find_weight(r, root, &w))
        return QN_ERROR(QN_INTERNAL, "a weight is gone");
    _Static_assert(sizeof(struct qn_q4_f32) == 8 + BLOCK / 2 && sizeof(struct qn_q8_f32) == 8 + BLOCK, "blocks");
    struct qn_type type = {.dtype = w.bits == 4 ? QN_DTYPE_Q4_F32 : QN_DTYPE_Q8_F32, .rank = 2, .dims = {w.n, w.k}};
    struct source source = {.codes = data_of(r, w.codes),
                            .scales = data_of(r, w.scales),
                            .zeros = w.zeros ? data_of(r, w.zeros) : NULL,
                            .scale_dtype = qn_match_type(r, w.scales)->dtype};
    if (qn_type_bytes(&type, &blob.bytes))
        blob.owner = qn_bytes_create(r->to->allocator, blob.bytes);
    if (!blob.owner)
        return QN_OOM();
    blob.data = qn_bytes_data(blob.owner);
    fill(&w, &source, qn_dtype_info(type.dtype)->block_bytes, qn_bytes_data(blob.owner));
    qn_value in[2] = {inputs[0], 0};
    qn_status status = qn_graph_add_constant(r->to, qn_graph_value(r->from, w.codes)->name, &type, &blob, &in[1]);
    qn_bytes_release(blob.owner);
    return status ? status
                  : qn_graph_add_node(r->to, QN_OP_matmul, in, 2, &product, qn_graph_node(r->from, root)->name, outs);
}

static bool match_blocks(const struct qn_rewrite *r, qn_node root, struct qn_match *match)
{
    struct weight w;
    if (!find_weight(r, root, &w))
        return false;
    qn_value x = qn_match_input(r, root, 0);
    qn_match_set(match, QN_OP_matmul, &x, 1);
    match->emit = emit_blocks;
    return true;
}

qn_status qn_pass_fuse_blocks(const struct qn_graph *from, struct qn_graph *to)
{
    return qn_rewrite_run(from, to, match_blocks);
}
