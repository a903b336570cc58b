/* Sequences and optionals: host functions on objects. */
#include "format/onnx/lower.h"

static qn_value position(struct qn_lower *l, uint32_t i)
{
    return qn_onnx_has(l, i) ? qn_onnx_in(l, i) : 0;
}

static struct qn_onnx_type sequence_of(qn_dtype dtype)
{
    return (struct qn_onnx_type){.kind = QN_ONNX_SEQUENCE, .dtype = dtype};
}

/* An object that a sequence or optional gives: a tensor, or for sequences of maps and optional sequences what is in. */
static void out_item(struct qn_lower *l, qn_value item, struct qn_onnx_type of)
{
    struct qn_onnx_type type = {.kind = QN_ONNX_TENSOR, .dtype = of.dtype};
    if (of.of_sequence) {
        type = of;
        type.of_sequence = false;
        type.kind = of.kind == QN_ONNX_OPTIONAL ? QN_ONNX_SEQUENCE : QN_ONNX_MAP;
    }
    qn_onnx_out_object(l, 0, item, type);
}

QN_ONNX_LOWER(sequence_construct)
{
    enum { MOST = 255 };
    qn_value items[MOST];
    if (l->input_count > MOST) {
        qn_onnx_fail(l, "a sequence of %u inputs: at most %d", l->input_count, MOST);
        return;
    }
    for (uint32_t i = 0; i < l->input_count; i++)
        items[i] = qn_onnx_in_any(l, i);
    qn_value out = qn_build_node(l->b, QN_OP_seq_construct, items, l->input_count, NULL, NULL);
    qn_onnx_out_object(l, 0, out, sequence_of(l->input_count ? qn_onnx_in_type(l, 0).dtype : QN_DTYPE_F32));
}

QN_ONNX_LOWER(sequence_empty)
{
    qn_dtype dtype = qn_onnx_has_attr(l, "dtype") ? qn_onnx_attr_dtype(l, "dtype") : QN_DTYPE_F32;
    qn_onnx_out_object(l, 0, qn_build_node(l->b, QN_OP_seq_construct, NULL, 0, NULL, NULL), sequence_of(dtype));
}

QN_ONNX_LOWER(sequence_insert)
{
    qn_value in[] = {qn_onnx_in_any(l, 0), qn_onnx_in_any(l, 1), position(l, 2)};
    qn_onnx_out_object(l, 0, qn_build_node(l->b, QN_OP_seq_insert, in, 3, NULL, NULL), qn_onnx_in_type(l, 0));
}

QN_ONNX_LOWER(sequence_erase)
{
    qn_value in[] = {qn_onnx_in_any(l, 0), position(l, 1)};
    qn_onnx_out_object(l, 0, qn_build_node(l->b, QN_OP_seq_erase, in, 2, NULL, NULL), qn_onnx_in_type(l, 0));
}

QN_ONNX_LOWER(sequence_at)
{
    qn_value in[] = {qn_onnx_in_any(l, 0), qn_onnx_in(l, 1)};
    out_item(l, qn_build_node(l->b, QN_OP_seq_at, in, 2, NULL, NULL), qn_onnx_in_type(l, 0));
}

QN_ONNX_LOWER(sequence_length)
{
    qn_value in = qn_onnx_in_any(l, 0);
    qn_onnx_out(l, 0, qn_build_node(l->b, QN_OP_seq_length, &in, 1, NULL, NULL));
}

QN_ONNX_LOWER(split_to_sequence)
{
    struct qn_attr_seq_split attr = {.axis = qn_onnx_attr_i(l, "axis", 0),
                                     .keepdims = qn_onnx_attr_i(l, "keepdims", 1) != 0};
    qn_value in[] = {qn_onnx_in_any(l, 0), position(l, 1)};
    qn_value out = qn_build_node(l->b, QN_OP_seq_split, in, 2, &attr, NULL);
    qn_onnx_out_object(l, 0, out, sequence_of(qn_onnx_in_type(l, 0).dtype));
}

QN_ONNX_LOWER(concat_from_sequence)
{
    struct qn_attr_seq_split attr = {.axis = qn_onnx_attr_i(l, "axis", 0),
                                     .keepdims = qn_onnx_attr_i(l, "new_axis", 0) != 0};
    if (!qn_onnx_has_attr(l, "axis"))
        qn_onnx_fail(l, "attribute axis is missing");
    qn_value in = qn_onnx_in_any(l, 0);
    struct qn_onnx_type type = {.kind = QN_ONNX_TENSOR, .dtype = qn_onnx_in_type(l, 0).dtype};
    qn_onnx_out_object(l, 0, qn_build_node(l->b, QN_OP_seq_concat, &in, 1, &attr, NULL), type);
}

/* ---- optionals ------------------------------------------------------------------------------------------------ */

/* The dtype at the bottom of a declared type; *sequence where it is a sequence. */
static qn_dtype declared(const struct qn_lower *l, bool *sequence)
{
    *sequence = false;
    for (uint32_t i = 0; i < l->node->attr_count; i++) {
        const struct qn_onnx_type_proto *type = l->node->attrs[i].type;
        if (l->node->attrs[i].kind != QN_ONNX_ATTR_TYPE || !qn_str_is(l->node->attrs[i].name, "type"))
            continue;
        while (type && type->kind != QN_ONNX_TYPE_TENSOR) {
            *sequence |= type->kind == QN_ONNX_TYPE_SEQUENCE;
            type = type->elem;
        }
        return type ? qn_onnx_dtype(type->elem_type) : QN_DTYPE_NONE;
    }
    return QN_DTYPE_NONE;
}

QN_ONNX_LOWER(optional)
{
    struct qn_onnx_type type = {.kind = QN_ONNX_OPTIONAL};
    bool has = qn_onnx_has(l, 0);
    if (has) {
        type.dtype = qn_onnx_in_type(l, 0).dtype;
        type.of_sequence = qn_onnx_in_type(l, 0).kind == QN_ONNX_SEQUENCE;
    } else {
        type.dtype = declared(l, &type.of_sequence);
    }
    qn_value in = has ? qn_onnx_in_any(l, 0) : 0;
    qn_onnx_out_object(l, 0, qn_build_node(l->b, QN_OP_optional, &in, has, NULL, NULL), type);
}

QN_ONNX_LOWER(optional_has_element)
{
    bool has = qn_onnx_has(l, 0);
    if (has && qn_onnx_in_type(l, 0).kind == QN_ONNX_OPTIONAL) {
        qn_value in = qn_onnx_in_any(l, 0);
        qn_onnx_out(l, 0, qn_build_node(l->b, QN_OP_optional_has, &in, 1, NULL, NULL));
        return;
    }
    uint8_t truth = has;
    qn_onnx_out(l, 0, qn_onnx_data(l, QN_DTYPE_BOOL, 0, NULL, &truth));
}

/* Since opset 18 also of what is no optional: then the thing itself. */
QN_ONNX_LOWER(optional_get_element)
{
    if (!qn_onnx_has(l, 0)) {
        qn_onnx_fail(l, "nothing to get: the input is absent");
        return;
    }
    struct qn_onnx_type type = qn_onnx_in_type(l, 0);
    qn_value in = qn_onnx_in_any(l, 0);
    if (type.kind == QN_ONNX_OPTIONAL)
        out_item(l, qn_build_node(l->b, QN_OP_optional_get, &in, 1, NULL, NULL), type);
    else if (qn_onnx_type_of(l, in)->dtype == QN_DTYPE_OBJECT)
        qn_onnx_out_object(l, 0, in, type);
    else
        qn_onnx_out(l, 0, in);
}
