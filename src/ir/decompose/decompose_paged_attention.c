#include <math.h>

#include "ir/build.h"
#include "ir/decompose.h"

/* [n, l]: 0 where query i sees cache position j, minus infinity elsewhere. */
static qn_value visible(struct qn_build *b, qn_value pos, qn_dim n, qn_dim l, int64_t window)
{
    struct qn_attr_iota attr = {.count = l, .dtype = QN_DTYPE_I32};
    qn_value column = qn_build_reshape(b, pos, 2, (qn_dim[]){n, 1});
    qn_value j = qn_build_reshape(b, qn_build_node(b, QN_OP_iota, NULL, 0, &attr, NULL), 2, (qn_dim[]){1, l});
    qn_value seen = qn_build_binary(b, QN_OP_less_equal, j, column);
    if (window) {
        qn_value first = qn_build_binary(b, QN_OP_sub, column, qn_build_scalar_i32(b, (int32_t)window));
        seen = qn_build_binary(b, QN_OP_and, seen, qn_build_binary(b, QN_OP_less, first, j));
    }
    return qn_build_where(b, seen, qn_build_scalar(b, 0), qn_build_scalar(b, -INFINITY));
}

/* Gathers each query's cache rows, [n, l, kv_heads, d], brings heads forward and attends densely under a mask. */
QN_DECOMPOSE(paged_attention)
{
    const struct qn_attr_attention *a = attr;
    struct qn_build b = {.graph = to};
    qn_dim n = qn_graph_type(to, inputs[0])->dims[0], l = qn_graph_type(to, inputs[3])->dims[1];
    qn_value rows = qn_build_gather(&b, inputs[3], inputs[4], 0, QN_DTYPE_NONE);
    const int64_t heads_first[] = {0, 2, 1, 3};
    qn_value k = qn_build_transpose(&b, qn_build_gather(&b, inputs[1], rows, 0, QN_DTYPE_F32), 4, heads_first);
    qn_value v = qn_build_transpose(&b, qn_build_gather(&b, inputs[2], rows, 0, QN_DTYPE_F32), 4, heads_first);
    v = a->value_dim ? qn_build_slice(&b, v, 3, 0, a->value_dim) : v;
    qn_value scores = qn_build_matmul(&b, inputs[0], k, true, NULL);
    scores = qn_build_binary(&b, QN_OP_mul, scores, qn_build_scalar(&b, a->scale));
    scores = a->cap != 0 ? qn_build_soft_cap(&b, scores, a->cap) : scores;
    qn_value mask = visible(&b, inputs[5], n, l, a->window);
    mask = qn_build_reshape(&b, mask, 4, (qn_dim[]){n, 1, 1, l});
    scores = qn_build_binary(&b, QN_OP_add, scores, mask);
    qn_value weights = qn_build_sink_softmax(&b, scores, input_count > 6 ? inputs[6] : 0);
    outs[0] = qn_build_matmul(&b, weights, v, false, NULL);
    return b.status;
}
