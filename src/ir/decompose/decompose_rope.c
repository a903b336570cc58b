#include "ir/build.h"
#include "ir/decompose.h"

/* (a, b) -> (a cos - b sin, a sin + b cos) for each pair of the first 2 * half elements. Interleaved pairs are
 * neighbours: [n, h, half, 2]. Otherwise the pair is (i, i + half). */
QN_DECOMPOSE(rope)
{
    const struct qn_attr_rope *a = attr;
    struct qn_build b = {.graph = to};
    (void)input_count;
    const struct qn_type x = *qn_graph_type(to, inputs[0]);
    qn_dim n = x.dims[0], heads = x.dims[1], d = x.dims[2], half = qn_graph_type(to, inputs[1])->dims[1];
    qn_dim rotated = half * 2; /* the shape rule has made sure that both are constants */
    qn_value head = rotated == d ? inputs[0] : qn_build_slice(&b, inputs[0], 2, 0, rotated);
    int64_t axis = a->interleaved ? 3 : 2;
    uint32_t rank = a->interleaved ? 4 : 3;
    qn_value pairs = a->interleaved ? qn_build_reshape(&b, head, 4, (qn_dim[]){n, heads, half, 2}) : head;
    qn_value first = qn_build_slice(&b, pairs, axis, 0, a->interleaved ? 1 : half);
    qn_value second = qn_build_slice(&b, pairs, axis, a->interleaved ? 1 : half, a->interleaved ? 2 : rotated);
    qn_value cosine = qn_build_reshape(&b, inputs[1], rank, (qn_dim[]){n, 1, half, 1});
    qn_value sine = qn_build_reshape(&b, inputs[2], rank, (qn_dim[]){n, 1, half, 1});
    qn_value turned[2] = {
        qn_build_binary(&b, QN_OP_sub, qn_build_binary(&b, QN_OP_mul, first, cosine),
                        qn_build_binary(&b, QN_OP_mul, second, sine)),
        qn_build_binary(&b, QN_OP_add, qn_build_binary(&b, QN_OP_mul, first, sine),
                        qn_build_binary(&b, QN_OP_mul, second, cosine)),
    };
    qn_value out = qn_build_concat(&b, turned[0], turned[1], axis);
    if (a->interleaved)
        out = qn_build_reshape(&b, out, 3, (qn_dim[]){n, heads, rotated});
    if (rotated != d)
        out = qn_build_concat(&b, out, qn_build_slice(&b, inputs[0], 2, rotated, d), 2);
    outs[0] = out;
    return b.status;
}
