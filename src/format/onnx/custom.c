/* Ops of extensions: the node as the extension sees it, and its place in the graph. */
#include "format/onnx/import_state.h"
#include "ir/node_view.h"
#include "quern/extension.h"

/* Attributes of kinds that extensions read; others are left out. */
static qn_status take_attr(const struct qn_onnx_attr *attr, struct qn_arena *arena, struct qn_node_view_attr *out)
{
    *out = (struct qn_node_view_attr){.name = attr->name, .count = (uint32_t)attr->count};
    int64_t *number;
    switch (attr->kind) {
    case QN_ONNX_ATTR_INT:
        if (!(number = QN_ARENA_NEW(arena, int64_t)))
            return QN_OOM();
        *number = attr->i;
        out->single = true;
        out->count = 1;
        out->ints = number;
        return NULL;
    case QN_ONNX_ATTR_INTS:
        out->ints = attr->ints;
        return NULL;
    case QN_ONNX_ATTR_FLOAT:
        out->kind = QN_NODE_VIEW_FLOATS;
        out->single = true;
        out->count = 1;
        out->floats = &attr->f;
        return NULL;
    case QN_ONNX_ATTR_FLOATS:
        out->kind = QN_NODE_VIEW_FLOATS;
        out->floats = attr->floats;
        return NULL;
    case QN_ONNX_ATTR_STRING:
        out->kind = QN_NODE_VIEW_TEXT;
        out->text = attr->s;
        return NULL;
    default:
        out->count = 0;
        return NULL;
    }
}

/* The view of a step's node, in the program's arena. */
static qn_status make_view(struct qn_onnx_import *im, const struct qn_onnx_step *step, struct qn_tensor *inputs,
                           struct qn_node_view **out)
{
    struct qn_arena *arena = &im->program->arena;
    const struct qn_onnx_node *node = step->node;
    struct qn_node_view *view = QN_ARENA_NEW(arena, struct qn_node_view);
    struct qn_node_view_attr *attrs = QN_ARENA_ARRAY(arena, struct qn_node_view_attr, node->attr_count + 1);
    struct qn_str op = qn_arena_str(arena, node->op_type), name = qn_arena_str(arena, node->name);
    if (!view || !attrs || !op.data || !name.data)
        return QN_OOM();
    for (uint32_t i = 0; i < node->attr_count; i++) {
        char key[256];
        struct qn_str attr_name = node->attrs[i].name;
        if (attr_name.size >= sizeof key)
            return QN_ERROR(QN_UNSUPPORTED, "an attribute's name is longer than %zu", sizeof key - 1);
        memcpy(key, attr_name.data, attr_name.size);
        key[attr_name.size] = 0;
        const struct qn_onnx_attr *attr =
            qn_onnx_find_attr(step->frame, node, key); /* that of a function's caller too */
        if (attr)
            QN_TRY(take_attr(attr, arena, &attrs[i]));
        attrs[i].name = attr_name;
    }
    *view = (struct qn_node_view){.op = op.data,
                                  .name = name.data,
                                  .attrs = attrs,
                                  .attr_count = node->attr_count,
                                  .input_count = step->input_count,
                                  .output_count = step->output_count,
                                  .inputs = inputs};
    *out = view;
    return NULL;
}

/* Types as the op's rule gives them; a size that it does not know yet is a late symbol. */
static qn_status output_types(struct qn_onnx_import *im, const struct qn_onnx_step *step,
                              const struct qn_node_view *view, struct qn_type *types)
{
    const struct qn_custom_op *op = step->custom;
    struct qn_tensor *outputs = QN_ARENA_ARRAY(&im->arena, struct qn_tensor, op->outputs + 1);
    if (!outputs)
        return QN_OOM();
    QN_TRY(op->shape(op->context, view, outputs));
    for (uint32_t i = 0; i < step->output_count; i++) {
        const struct qn_tensor *from = &outputs[i];
        if (!qn_dtype_info(from->dtype)->name || from->rank > QN_MAX_RANK)
            return QN_ERROR(QN_INVALID_ARGUMENT, "the op's rule gives output %u no dtype or rank", i);
        types[i] = (struct qn_type){.dtype = from->dtype, .rank = from->rank};
        for (uint32_t k = 0; k < from->rank; k++) {
            types[i].dims[k] = from->dims[k];
            if (from->dims[k] < 0)
                QN_TRY(qn_graph_fresh_symbol(im->graph, "custom", true, &types[i].dims[k]));
        }
    }
    return NULL;
}

qn_status qn_onnx_lower_custom(struct qn_onnx_import *im, struct qn_onnx_step *step)
{
    struct qn_onnx_program *program = im->program;
    qn_value *values = QN_ARENA_ARRAY(&im->arena, qn_value, step->input_count + step->output_count + 1);
    struct qn_type *types = QN_ARENA_ARRAY(&im->arena, struct qn_type, step->output_count + 1);
    if (!values || !types)
        return QN_OOM();
    if (step->output_count > step->custom->outputs)
        return QN_ERROR(QN_UNSUPPORTED, "it has %u outputs, the op at most %u", step->output_count,
                        step->custom->outputs);
    for (uint32_t i = 0; i < step->input_count; i++)
        values[i] = step->inputs[i] ? qn_onnx_entry_value(im, step->inputs[i]) : 0;
    QN_TRY(im->b.status);
    qn_onnx_lock(program);
    struct qn_tensor *inputs = QN_ARENA_ARRAY(&program->arena, struct qn_tensor, step->input_count + 1);
    struct qn_node_view *view = NULL;
    struct qn_custom_node *node = QN_ARENA_NEW(&program->arena, struct qn_custom_node);
    qn_status status = inputs && node ? make_view(im, step, inputs, &view) : QN_OOM();
    uint32_t number = program->customs.count;
    if (!status) {
        *node = (struct qn_custom_node){step->custom, view};
        if (!qn_array_push(&program->customs, program->allocator, node))
            status = QN_OOM();
    }
    qn_onnx_unlock(program);
    QN_TRY(status);
    for (uint32_t i = 0; i < step->input_count; i++)
        inputs[i] = qn_node_view_type(qn_graph_type(im->graph, values[i]));
    QN_TRY(output_types(im, step, view, types));
    struct qn_attr_call attr = {.body = number};
    QN_TRY(qn_graph_add_call(im->graph, QN_OP_custom, values, step->input_count, &attr, step->node->name, types,
                             step->output_count, values + step->input_count));
    for (uint32_t i = 0; i < step->output_count; i++)
        if (step->outputs[i])
            *qn_onnx_entry_of(im, step->outputs[i]) =
                (struct qn_onnx_bound){.state = QN_ONNX_READY,
                                       .value = values[step->input_count + i],
                                       .type = {.kind = QN_ONNX_TENSOR, .dtype = types[i].dtype}};
    return NULL;
}
