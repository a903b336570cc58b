#include "plan/plan.h"

#include <assert.h>

#include "base/checked.h"
#include "kernels/matmul/matmul.h"

void qn_plan_destroy(struct qn_plan *plan)
{
    if (!plan)
        return;
    const struct qn_allocator *a = plan->allocator;
    qn_array_free(&plan->tensors, a);
    qn_array_free(&plan->steps, a);
    qn_array_free(&plan->operands, a);
    qn_array_free(&plan->attrs, a);
    qn_array_free(&plan->text, a);
    qn_array_free(&plan->exprs, a);
    qn_array_free(&plan->symbols, a);
    qn_array_free(&plan->symbol_names, a);
    qn_array_free(&plan->blobs, a);
    qn_array_free(&plan->data, a);
    qn_array_free(&plan->inputs, a);
    qn_array_free(&plan->outputs, a);
    qn_array_free(&plan->states, a);
    qn_free(a, plan, sizeof *plan);
}

static bool eval_expr(const struct qn_expr *expr, const int64_t *symbols, const int64_t *values, int64_t *out)
{
    if (expr->op == QN_EXPR_SYMBOL) {
        *out = symbols[expr->a];
        return true;
    }
    int64_t a = qn_plan_dim(expr->a, values), b = qn_plan_dim(expr->b, values);
    switch (expr->op) {
    case QN_EXPR_ADD:
        return !__builtin_add_overflow(a, b, out);
    case QN_EXPR_SUB:
        return !__builtin_sub_overflow(a, b, out);
    case QN_EXPR_MUL:
        return !__builtin_mul_overflow(a, b, out);
    case QN_EXPR_DIV:
        return b > 0 && ((*out = a / b), true);
    case QN_EXPR_MOD:
        return b > 0 && ((*out = a % b), true);
    case QN_EXPR_MIN:
        *out = a < b ? a : b;
        return true;
    case QN_EXPR_MAX:
        *out = a > b ? a : b;
        return true;
    default:
        return false;
    }
}

bool qn_plan_eval(const struct qn_plan *plan, const int64_t *symbols, int64_t *values)
{
    for (uint32_t i = 0; i < plan->exprs.count; i++)
        if (!eval_expr(&plan->exprs.items[i], symbols, values, &values[i]) || values[i] < 0)
            return false;
    return true;
}

bool qn_plan_view(const struct qn_plan_tensor *tensor, const int64_t *values, struct qn_view *view, uint64_t *bytes)
{
    *view = (struct qn_view){.dtype = tensor->dtype, .rank = tensor->rank};
    const struct qn_dtype_info *info = qn_dtype_info(tensor->dtype);
    uint64_t units = 1;
    for (uint32_t i = tensor->rank; i-- > 0;) {
        view->dims[i] = qn_plan_dim(tensor->dims[i], values);
        view->strides[i] = (int64_t)units;
        uint64_t count = (uint64_t)view->dims[i];
        if (i + 1 == tensor->rank)
            count = (count + info->block_elems - 1) / info->block_elems;
        if (!qn_mul_u64(units, count, &units) || units > INT64_MAX)
            return false;
    }
    return qn_mul_u64(units, info->block_bytes, bytes);
}

const void *qn_plan_attr(const struct qn_plan *plan, const struct qn_plan_step *step, const int64_t *values,
                         void *buffer, size_t buffer_size)
{
    const struct qn_op_info *info = qn_op_info(step->op);
    if (info->attr_size == 0 || plan->attrs.count == 0)
        return NULL; /* no attributes, or none at all to point into: then the planner made this step itself */
    const uint8_t *record = plan->attrs.items + step->attr;
    bool copied = false;
    for (uint32_t i = 0; i < info->field_count; i++) {
        if (info->fields[i].kind != QN_ATTR_dim)
            continue;
        if (!copied) {
            assert(info->attr_size <= buffer_size);
            memcpy(buffer, record, info->attr_size);
            copied = true;
        }
        qn_dim *field = (qn_dim *)((uint8_t *)buffer + info->fields[i].offset);
        *field = qn_plan_dim(*field, values);
    }
    (void)buffer_size;
    return copied ? buffer : record;
}

bool qn_plan_bind(const struct qn_plan *plan, const struct qn_plan_step *step, const int64_t *values,
                  struct qn_step_views *views, struct qn_bind *bind)
{
    const uint32_t *operands = plan->operands.items + step->first_operand;
    uint64_t bytes;
    for (uint32_t i = 0; i < step->in_count; i++)
        if (!qn_plan_view(&plan->tensors.items[operands[i]], values, &views->in[i], &bytes))
            return false;
    for (uint32_t i = 0; i < step->out_count; i++)
        if (!qn_plan_view(&plan->tensors.items[operands[step->in_count + i]], values, &views->out[i], &bytes))
            return false;
    *bind = (struct qn_bind){
        .op = step->op,
        .attr = qn_plan_attr(plan, step, values, views->attr, sizeof views->attr),
        .kernel = qn_kernels[step->kernel],
        .in = views->in,
        .out = views->out,
        .in_count = step->in_count,
        .out_count = step->out_count,
    };
    return true;
}
