/* Ops whose output sizes depend on data: NonZero, NonMaxSuppression, Unique, Compress. */
#include "format/onnx/lower.h"

QN_ONNX_LOWER(nonzero)
{
    qn_value x = qn_onnx_in(l, 0);
    struct qn_attr_count attr = {.count = qn_onnx_late(l, "nonzero")};
    qn_onnx_out(l, 0, qn_build_node(l->b, QN_OP_nonzero, &x, 1, &attr, NULL));
}

QN_ONNX_LOWER(non_max_suppression)
{
    qn_value in[5];
    for (uint32_t i = 0; i < 5; i++)
        in[i] = qn_onnx_has(l, i) ? qn_onnx_in(l, i) : 0;
    struct qn_attr_nms attr = {.count = qn_onnx_late(l, "selected"),
                               .center = qn_onnx_attr_i(l, "center_point_box", 0) != 0};
    qn_onnx_out(l, 0, qn_build_node(l->b, QN_OP_nms, in, 5, &attr, NULL));
}

QN_ONNX_LOWER(unique)
{
    qn_value x = qn_onnx_in(l, 0), outs[4];
    bool flat = !qn_onnx_has_attr(l, "axis");
    struct qn_attr_unique attr = {
        .count = qn_onnx_late(l, "unique"),
        .axis = flat ? 0 : qn_onnx_axis(l, qn_onnx_attr_i(l, "axis", 0), qn_onnx_rank(l, x), 0),
        .flat = flat,
        .unsorted = qn_onnx_attr_i(l, "sorted", 1) == 0,
    };
    qn_onnx_node(l, QN_OP_unique, &x, 1, &attr, outs, 4);
    for (uint32_t i = 0; i < l->output_count && i < 4; i++)
        if (qn_onnx_wants(l, i))
            qn_onnx_out(l, i, outs[i]);
}

QN_ONNX_LOWER(compress)
{
    qn_value in[] = {qn_onnx_in(l, 0), qn_onnx_in(l, 1)};
    bool flat = !qn_onnx_has_attr(l, "axis");
    struct qn_attr_compress attr = {
        .count = qn_onnx_late(l, "taken"),
        .axis = flat ? 0 : qn_onnx_axis(l, qn_onnx_attr_i(l, "axis", 0), qn_onnx_rank(l, in[0]), 0),
        .flat = flat,
    };
    qn_onnx_out(l, 0, qn_build_node(l->b, QN_OP_compress, in, 2, &attr, NULL));
}
