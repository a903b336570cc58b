/* What a step read and made, for whoever watches. */
#include "exec/frame.h"

static struct qn_tensor from_view(const struct qn_view *view, bool shown)
{
    const struct qn_dtype_info *info = qn_dtype_info(view->dtype);
    struct qn_tensor tensor = {.dtype = view->dtype, .rank = view->rank, .data = shown ? view->data : NULL};
    uint64_t bytes = info->block_bytes;
    for (uint32_t i = 0; i < view->rank; i++) {
        tensor.dims[i] = view->dims[i];
        bytes *= (uint64_t)view->dims[i];
    }
    tensor.bytes = tensor.data ? (size_t)(bytes / (info->block_elems ? info->block_elems : 1)) : 0;
    return tensor;
}

/* The operand as it is now; nothing for what is absent, an object, or of a size that is not known. */
static struct qn_tensor show_operand(struct qn_frame *f, uint32_t index)
{
    const struct qn_plan_tensor *tensor = &f->exec->plan->tensors.items[index];
    struct qn_view view;
    uint64_t bytes;
    if (tensor->place == QN_PLACE_NONE || tensor->dtype == QN_DTYPE_OBJECT)
        return (struct qn_tensor){0};
    if (!qn_plan_view(tensor, f->values, &view, &bytes))
        return (struct qn_tensor){0};
    if (tensor->place == QN_PLACE_SLOT &&
        (!f->slots[tensor->index] || f->slots[tensor->index]->kind != QN_OBJECT_TENSOR))
        return (struct qn_tensor){0};
    view.data = qn_frame_address(f, tensor);
    return from_view(&view, tensor->place != QN_PLACE_PACKED);
}

qn_status qn_frame_show(struct qn_frame *f, const struct qn_observer *observer, uint32_t index)
{
    const struct qn_plan_step *step = &f->exec->plan->steps.items[index];
    const uint32_t *operands = f->exec->plan->operands.items + step->first_operand;
    const struct qn_allocator *a = f->exec->allocator;
    uint32_t count = step->in_count + step->out_count;
    struct qn_tensor few[16], *tensors = few;
    if (count > sizeof few / sizeof few[0])
        tensors = qn_calloc(a, count, sizeof *tensors);
    if (!tensors)
        return QN_OOM();
    for (uint32_t i = 0; i < count; i++)
        tensors[i] = show_operand(f, operands[i]);
    struct qn_observation seen = {.struct_size = sizeof seen,
                                  .name = qn_step_name(f->exec->plan, step),
                                  .op = qn_step_op(step),
                                  .depth = f->depth,
                                  .inputs = tensors,
                                  .outputs = tensors + step->in_count,
                                  .input_count = step->in_count,
                                  .output_count = step->out_count};
    bool go_on = observer->fn(observer->context, &seen);
    if (tensors != few)
        qn_free(a, tensors, count * sizeof *tensors);
    return go_on ? NULL : QN_ERROR(QN_CANCELLED, "the observer ended the run");
}
