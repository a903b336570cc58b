#include "plan/plan.h"

#include <assert.h>

#include "base/checked.h"

void qn_plan_destroy(struct qn_plan *plan)
{
    if (!plan)
        return;
    const struct qn_allocator *a = plan->allocator;
    for (uint32_t i = 0; i < plan->groups.count; i++)
        plan->groups.items[i].backend->release(plan->groups.items[i].backend, plan->groups.items[i].program);
    qn_free(a, plan->offsets, (plan->buffers.count + 1) * sizeof *plan->offsets);
    qn_free(a, plan->backends, (plan->backend_count + 1) * sizeof *plan->backends);
    qn_array_free(&plan->tensors, a);
    qn_array_free(&plan->buffers, a);
    qn_array_free(&plan->steps, a);
    qn_array_free(&plan->operands, a);
    qn_array_free(&plan->releases, a);
    qn_array_free(&plan->attrs, a);
    qn_array_free(&plan->text, a);
    qn_array_free(&plan->exprs, a);
    qn_array_free(&plan->symbols, a);
    qn_array_free(&plan->symbol_names, a);
    for (uint32_t i = 0; i < plan->blobs.count; i++)
        qn_bytes_release(plan->blobs.items[i].owner);
    qn_array_free(&plan->blobs, a);
    qn_array_free(&plan->data, a);
    qn_array_free(&plan->inputs, a);
    qn_array_free(&plan->outputs, a);
    qn_array_free(&plan->states, a);
    qn_array_free(&plan->packed, a);
    qn_array_free(&plan->groups, a);
    qn_array_free(&plan->checks, a);
    qn_free(a, plan, sizeof *plan);
}

/* ---- expressions ---------------------------------------------------------------------------------------------- */

static bool has_value(int64_t value)
{
    return value > QN_SIZE_INVALID;
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* b > 0 for divisions. */
static int64_t apply(enum qn_expr_op op, int64_t a, int64_t b)
{
    int64_t out = QN_SIZE_INVALID;
    bool overflow = false;
    switch (op) {
    case QN_EXPR_ADD:
        overflow = __builtin_add_overflow(a, b, &out);
        break;
    case QN_EXPR_SUB:
        overflow = __builtin_sub_overflow(a, b, &out);
        break;
    case QN_EXPR_MUL:
        overflow = __builtin_mul_overflow(a, b, &out);
        break;
    case QN_EXPR_DIV:
        return b > 0 ? floor_div(a, b) : QN_SIZE_INVALID;
    case QN_EXPR_MOD:
        return b > 0 ? a - floor_div(a, b) * b : QN_SIZE_INVALID;
    case QN_EXPR_MIN:
        return a < b ? a : b;
    case QN_EXPR_MAX:
        return a > b ? a : b;
    default:
        break;
    }
    return overflow || !has_value(out) ? QN_SIZE_INVALID : out;
}

void qn_plan_eval(const struct qn_plan *plan, const int64_t *symbols, int64_t *values)
{
    for (uint32_t i = 0; i < plan->exprs.count; i++) {
        const struct qn_expr *e = &plan->exprs.items[i];
        if (e->op == QN_EXPR_SYMBOL) {
            values[i] = symbols[e->a];
            continue;
        }
        int64_t a = qn_plan_dim(e->a, values), b = qn_plan_dim(e->b, values);
        if (has_value(a) && has_value(b))
            values[i] = apply(e->op, a, b);
        else
            values[i] = a == QN_SIZE_INVALID || b == QN_SIZE_INVALID ? QN_SIZE_INVALID : QN_SIZE_UNKNOWN;
    }
}

/* The least and largest of a op b for a in [a0, a1], b in [b0, b1]. */
static void bound(enum qn_expr_op op, int64_t a0, int64_t a1, int64_t b0, int64_t b1, int64_t *least, int64_t *largest)
{
    if (op == QN_EXPR_SUB) {
        *least = apply(op, a0, b1);
        *largest = apply(op, a1, b0);
        return;
    }
    if (op == QN_EXPR_MOD) {
        *least = 0;
        *largest = b1 > 0 ? b1 - 1 : 0;
        if (a0 >= 0 && a1 < *largest)
            *largest = a1;
        return;
    }
    if (op == QN_EXPR_DIV && b0 < 1) /* a divisor of 0 is an error of the run */
        b0 = 1;
    if (op == QN_EXPR_DIV && b1 < b0)
        b1 = b0;
    int64_t corners[4] = {apply(op, a0, b0), apply(op, a0, b1), apply(op, a1, b0), apply(op, a1, b1)};
    *least = *largest = corners[0];
    for (int i = 0; i < 4; i++) {
        if (!has_value(corners[i])) {
            *least = *largest = QN_SIZE_INVALID;
            return;
        }
        *least = corners[i] < *least ? corners[i] : *least;
        *largest = corners[i] > *largest ? corners[i] : *largest;
    }
}

void qn_plan_bounds(const struct qn_plan *plan, const int64_t *low, const int64_t *high, int64_t *least,
                    int64_t *largest)
{
    for (uint32_t i = 0; i < plan->exprs.count; i++) {
        const struct qn_expr *e = &plan->exprs.items[i];
        if (e->op == QN_EXPR_SYMBOL) {
            bool late = plan->symbols.items[e->a].late;
            least[i] = late ? QN_SIZE_UNKNOWN : low[e->a];
            largest[i] = late ? QN_SIZE_UNKNOWN : high[e->a];
            continue;
        }
        int64_t a0 = qn_plan_dim(e->a, least), a1 = qn_plan_dim(e->a, largest);
        int64_t b0 = qn_plan_dim(e->b, least), b1 = qn_plan_dim(e->b, largest);
        if (!has_value(a0) || !has_value(b0) || !has_value(a1) || !has_value(b1)) {
            bool unknown = a0 == QN_SIZE_UNKNOWN || b0 == QN_SIZE_UNKNOWN;
            least[i] = largest[i] = unknown ? QN_SIZE_UNKNOWN : QN_SIZE_INVALID;
            continue;
        }
        bound(e->op, a0, a1, b0, b1, &least[i], &largest[i]);
    }
}

/* ---- tensors and attributes ----------------------------------------------------------------------------------- */

bool qn_plan_view(const struct qn_plan_tensor *tensor, const int64_t *values, struct qn_view *view, uint64_t *bytes)
{
    *view = (struct qn_view){.dtype = tensor->dtype, .rank = tensor->rank};
    const struct qn_dtype_info *info = qn_dtype_info(tensor->dtype);
    uint64_t units = 1, full = 1;
    for (uint32_t i = tensor->rank; i-- > 0;) {
        int64_t dim = qn_plan_dim(tensor->dims[i], values);
        if (dim < 0)
            return false;
        view->dims[i] = dim;
        view->strides[i] = (int64_t)units;
        uint64_t count = (uint64_t)dim;
        if (i + 1 == tensor->rank && info->block_elems > 1)
            count = (count + info->block_elems - 1) / info->block_elems;
        if (!qn_mul_u64(units, count, &full) || full > INT64_MAX)
            return false;
        units = full;
    }
    return qn_mul_u64(units, info->block_bytes, bytes);
}

bool qn_plan_attr(const struct qn_plan *plan, const struct qn_plan_step *step, const int64_t *values, void *buffer,
                  const void **attr)
{
    const struct qn_op_info *info = qn_op_info(step->op);
    *attr = NULL;
    if (info->attr_size == 0 || plan->attrs.count == 0 || step->kind == QN_STEP_GROUP)
        return true; /* no attributes, or none at all to point into: then the planner made this step itself */
    const uint8_t *record = plan->attrs.items + step->attr;
    *attr = record;
    for (uint32_t i = 0; i < info->field_count; i++) {
        enum qn_attr_kind kind = info->fields[i].kind;
        if (kind != QN_ATTR_dim && kind != QN_ATTR_dims)
            continue;
        if (*attr != buffer) {
            assert(info->attr_size <= plan->max_attr);
            memcpy(buffer, record, info->attr_size);
            *attr = buffer;
        }
        void *field = (uint8_t *)buffer + info->fields[i].offset;
        qn_dim *dims = kind == QN_ATTR_dim ? field : ((struct qn_ints *)field)->items;
        uint32_t count = kind == QN_ATTR_dim ? 1 : ((struct qn_ints *)field)->count;
        for (uint32_t k = 0; k < count; k++) {
            dims[k] = qn_plan_dim(dims[k], values);
            if (dims[k] == QN_SIZE_UNKNOWN && step->kind == QN_STEP_HOST)
                dims[k] = -1; /* it is the function that finds out */
            else if (dims[k] < 0)
                return false;
        }
    }
    return true;
}

bool qn_step_views_init(struct qn_step_views *views, const struct qn_plan *plan, const struct qn_allocator *allocator)
{
    views->in = qn_calloc(allocator, plan->max_in + 1, sizeof *views->in);
    views->out = qn_calloc(allocator, plan->max_out + 1, sizeof *views->out);
    views->attr = qn_calloc(allocator, plan->max_attr + 1, 1);
    return views->in && views->out && views->attr;
}

void qn_step_views_deinit(struct qn_step_views *views, const struct qn_plan *plan, const struct qn_allocator *allocator)
{
    qn_free(allocator, views->in, (plan->max_in + 1) * sizeof *views->in);
    qn_free(allocator, views->out, (plan->max_out + 1) * sizeof *views->out);
    qn_free(allocator, views->attr, plan->max_attr + 1);
}

bool qn_plan_bind(const struct qn_plan *plan, const struct qn_plan_step *step, const int64_t *values,
                  const struct qn_step_views *views, struct qn_bind *bind)
{
    const uint32_t *operands = plan->operands.items + step->first_operand;
    uint64_t bytes;
    *bind = (struct qn_bind){
        .op = step->op,
        .kernel = qn_kernels[step->kernel],
        .in = views->in,
        .out = views->out,
        .in_count = step->in_count,
        .out_count = step->out_count,
    };
    for (uint32_t i = 0; i < step->in_count; i++)
        if (!qn_plan_view(&plan->tensors.items[operands[i]], values, &views->in[i], &bytes))
            return false;
    for (uint32_t i = 0; i < step->out_count; i++)
        if (!qn_plan_view(&plan->tensors.items[operands[step->in_count + i]], values, &views->out[i], &bytes))
            return false;
    return qn_plan_attr(plan, step, values, views->attr, &bind->attr);
}
