/* Custom ops of extensions: types from the op's rule for the sizes at hand, then its function. */
#include <string.h>

#include "host/host.h"
#include "ir/body.h"
#include "ir/ir.h"
#include "ir/node_view.h"

enum { MOST = 32 };

static qn_status check_output(const struct qn_custom_op *op, uint32_t index, const struct qn_tensor *type)
{
    const struct qn_dtype_info *info = qn_dtype_info(type->dtype);
    if (!info->name || info->class_ == QN_DTYPE_CLASS_BLOCK || info->class_ == QN_DTYPE_CLASS_OBJECT ||
        type->rank > QN_MAX_RANK)
        return QN_ERROR(QN_INVALID_ARGUMENT, "custom op %s gives output %u no dtype or rank", op->name, index);
    for (uint32_t k = 0; k < type->rank; k++)
        if (type->dims[k] < 0)
            return QN_ERROR(QN_INVALID_ARGUMENT, "custom op %s gives dimension %u of output %u no size", op->name, k,
                            index);
    return NULL;
}

static qn_status compute(const struct qn_host_call *call, const struct qn_custom_node *node,
                         const struct qn_node_view *view, struct qn_tensor *outputs)
{
    const struct qn_custom_op *op = node->op;
    QN_TRY(op->shape(op->context, view, outputs));
    for (uint32_t i = 0; i < call->out_count; i++) {
        QN_TRY(check_output(op, i, &outputs[i]));
        QN_TRY(qn_object_tensor(call->store, outputs[i].dtype, outputs[i].rank, outputs[i].dims, &call->out[i]));
        outputs[i] = qn_view_tensor(&call->out[i]->tensor);
    }
    return op->compute(op->context, view, view->inputs, call->in_count, outputs, call->out_count);
}

qn_status qn_host_custom(const struct qn_host_call *call)
{
    const struct qn_attr_call *attr = call->attr;
    const struct qn_custom_node *node =
        call->source ? call->source->custom(call->source->context, (uint32_t)attr->body) : NULL;
    if (!node)
        return QN_ERROR(QN_INTERNAL, "custom op %lld is not there", (long long)attr->body);
    if (call->in_count > MOST || call->out_count > MOST)
        return QN_ERROR(QN_UNSUPPORTED, "custom op %s has more than %d inputs or outputs", node->op->name, MOST);
    struct qn_tensor inputs[MOST] = {{0}}, outputs[MOST] = {{0}};
    for (uint32_t i = 0; i < call->in_count; i++) {
        if (call->in_objects[i] && call->in_objects[i]->kind != QN_OBJECT_TENSOR)
            return QN_ERROR(QN_UNSUPPORTED, "custom op %s: input %u is no tensor", node->op->name, i);
        if (call->in_objects[i])
            inputs[i] = qn_view_tensor(&call->in_objects[i]->tensor);
        else if (call->in[i].dtype != QN_DTYPE_NONE)
            inputs[i] = qn_view_tensor(&call->in[i]);
    }
    struct qn_node_view view = *node->view; /* with the types of this run */
    view.inputs = inputs;
    view.input_count = call->in_count;
    return compute(call, node, &view, outputs);
}
