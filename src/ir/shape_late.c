/* Shape rules of sizes that depend on data, of objects, calls and chains. */
#include <inttypes.h>

#include "ir/chain.h"
#include "ir/shape.h"

#define TEXT(c, i) qn_type_text((c)->graph, (c)->inputs[i]).text

/* Whatever has elements of its own: no blocks, no objects. */
static qn_status take_plain(const struct qn_shape_context *c, uint32_t i)
{
    enum qn_dtype_class class = qn_dtype_info(c->inputs[i]->dtype)->class_;
    if (class == QN_DTYPE_CLASS_BLOCK || class == QN_DTYPE_CLASS_OBJECT || c->inputs[i]->encoding)
        return QN_ERROR(QN_INVALID_ARGUMENT, "input %u is %s: expected plain elements", i, TEXT(c, i));
    return NULL;
}

static qn_status take_axis(const struct qn_shape_context *c, int64_t axis)
{
    if (axis < 0 || axis >= c->inputs[0]->rank)
        return QN_ERROR(QN_INVALID_ARGUMENT, "axis %" PRId64 " of %s", axis, TEXT(c, 0));
    return NULL;
}

/* ---- sizes that depend on data -------------------------------------------------------------------------------- */

qn_status qn_shape_nonzero(const struct qn_shape_context *c)
{
    const struct qn_attr_count *attr = c->attr;
    uint32_t rank = c->inputs[0]->rank;
    QN_TRY(take_plain(c, 0));
    c->outputs[0] = (struct qn_type){.dtype = QN_DTYPE_I64, .rank = 2, .dims = {rank ? rank : 1, attr->count}};
    return NULL;
}

qn_status qn_shape_nms(const struct qn_shape_context *c)
{
    const struct qn_attr_nms *attr = c->attr;
    const struct qn_type *boxes = c->inputs[0], *scores = c->inputs[1];
    bool fits = boxes->rank == 3 && scores->rank == 3 && boxes->dims[2] == 4 && boxes->dtype == QN_DTYPE_F32 &&
                scores->dtype == QN_DTYPE_F32;
    qn_dim dim;
    if (fits)
        QN_TRY(qn_shape_equal(c, boxes->dims[0], scores->dims[0], &dim, &fits));
    if (fits)
        QN_TRY(qn_shape_equal(c, boxes->dims[1], scores->dims[2], &dim, &fits));
    if (!fits)
        return QN_ERROR(QN_INVALID_ARGUMENT, "boxes are %s and scores %s: expected f32 [b, n, 4] and [b, c, n]",
                        TEXT(c, 0), TEXT(c, 1));
    c->outputs[0] = (struct qn_type){.dtype = QN_DTYPE_I64, .rank = 2, .dims = {attr->count, 3}};
    return NULL;
}

static qn_status element_count(const struct qn_shape_context *c, qn_dim *out)
{
    *out = 1;
    for (uint32_t i = 0; i < c->inputs[0]->rank; i++)
        QN_TRY(qn_graph_expr(c->graph, QN_EXPR_MUL, *out, c->inputs[0]->dims[i], out));
    return NULL;
}

qn_status qn_shape_unique(const struct qn_shape_context *c)
{
    const struct qn_attr_unique *attr = c->attr;
    QN_TRY(take_plain(c, 0));
    struct qn_type count = {.dtype = QN_DTYPE_I64, .rank = 1, .dims = {attr->count}}, inverse = count;
    if (attr->flat) {
        c->outputs[0] = count;
        c->outputs[0].dtype = c->inputs[0]->dtype;
        QN_TRY(element_count(c, &inverse.dims[0]));
    } else {
        QN_TRY(take_axis(c, attr->axis));
        c->outputs[0] = *c->inputs[0];
        inverse.dims[0] = c->inputs[0]->dims[attr->axis];
        c->outputs[0].dims[attr->axis] = attr->count;
    }
    c->outputs[1] = count;
    c->outputs[2] = inverse;
    c->outputs[3] = count;
    return NULL;
}

qn_status qn_shape_compress(const struct qn_shape_context *c)
{
    const struct qn_attr_compress *attr = c->attr;
    QN_TRY(take_plain(c, 0));
    if (c->inputs[1]->dtype != QN_DTYPE_BOOL || c->inputs[1]->rank != 1)
        return QN_ERROR(QN_INVALID_ARGUMENT, "the condition is %s: expected bool of rank 1", TEXT(c, 1));
    if (attr->flat) {
        c->outputs[0] = (struct qn_type){.dtype = c->inputs[0]->dtype, .rank = 1, .dims = {attr->count}};
        return NULL;
    }
    QN_TRY(take_axis(c, attr->axis));
    c->outputs[0] = *c->inputs[0];
    c->outputs[0].dims[attr->axis] = attr->count;
    return NULL;
}

qn_status qn_shape_time_warp(const struct qn_shape_context *c)
{
    const struct qn_attr_count *attr = c->attr;
    if (c->inputs[0]->dtype != QN_DTYPE_F32 || c->inputs[0]->rank != 2)
        return QN_ERROR(QN_INVALID_ARGUMENT, "input 0 is %s: expected f32 of rank 2", TEXT(c, 0));
    c->outputs[0] = (struct qn_type){.dtype = QN_DTYPE_I32, .rank = 2, .dims = {2, attr->count}};
    return NULL;
}

qn_status qn_shape_accept_draft(const struct qn_shape_context *c)
{
    const struct qn_attr_accept_draft *attr = c->attr;
    for (uint32_t i = 0; i < c->input_count; i++) {
        bool scalar = i == 2 && c->inputs[i]->rank == 0;
        if (c->inputs[i] && (c->inputs[i]->dtype != QN_DTYPE_I64 || (c->inputs[i]->rank != 1 && !scalar)))
            return QN_ERROR(QN_INVALID_ARGUMENT, "input %u is %s: expected i64 of rank 1", i, TEXT(c, i));
    }
    if (attr->least < 1 || attr->most < attr->least)
        return QN_ERROR(QN_INVALID_ARGUMENT, "n-grams of %" PRId64 " to %" PRId64 " tokens", attr->least, attr->most);
    c->outputs[0] = (struct qn_type){.dtype = QN_DTYPE_I64, .rank = 1, .dims = {attr->count}};
    c->outputs[1] = *c->inputs[2];
    return NULL;
}

/* ---- objects and calls ---------------------------------------------------------------------------------------- */

static qn_status give(const struct qn_shape_context *c, qn_dtype dtype)
{
    c->outputs[0] = (struct qn_type){.dtype = dtype};
    return NULL;
}

qn_status qn_shape_object(const struct qn_shape_context *c)
{
    return give(c, QN_DTYPE_OBJECT);
}

qn_status qn_shape_object_bool(const struct qn_shape_context *c)
{
    return give(c, QN_DTYPE_BOOL);
}

qn_status qn_shape_object_length(const struct qn_shape_context *c)
{
    if (c->inputs[0]->dtype != QN_DTYPE_OBJECT)
        return QN_ERROR(QN_INVALID_ARGUMENT, "input 0 is %s: expected an object", TEXT(c, 0));
    return give(c, QN_DTYPE_I64);
}

qn_status qn_shape_object_tensor(const struct qn_shape_context *c)
{
    const struct qn_attr_object_tensor *attr = c->attr;
    const struct qn_dtype_info *info = qn_dtype_info((qn_dtype)attr->dtype);
    if (c->inputs[0]->dtype != QN_DTYPE_OBJECT)
        return QN_ERROR(QN_INVALID_ARGUMENT, "input 0 is %s: expected an object", TEXT(c, 0));
    if (!info->name || info->class_ == QN_DTYPE_CLASS_OBJECT || info->class_ == QN_DTYPE_CLASS_BLOCK)
        return QN_ERROR(QN_INVALID_ARGUMENT, "a tensor of dtype %s", qn_dtype_name((qn_dtype)attr->dtype));
    c->outputs[0] = (struct qn_type){.dtype = (qn_dtype)attr->dtype, .rank = attr->dims.count};
    for (uint32_t i = 0; i < attr->dims.count; i++)
        c->outputs[0].dims[i] = attr->dims.items[i];
    return NULL;
}

/* Never asked by the builder: types of calls are given. */
qn_status qn_shape_call(const struct qn_shape_context *c)
{
    (void)c;
    return QN_ERROR(QN_INVALID_ARGUMENT, "its output types must be given");
}

/* ---- chains --------------------------------------------------------------------------------------------------- */

static uint32_t operand_count(uint16_t op)
{
    return qn_op_info(op)->max_inputs;
}

static qn_status step_operands(const struct qn_shape_context *c, const struct qn_chain *chain, uint32_t step,
                               const struct qn_type *registers, const struct qn_type **operands)
{
    const uint8_t numbers[3] = {chain->steps[step].a, chain->steps[step].b, chain->steps[step].c};
    for (uint32_t k = 0; k < operand_count(chain->steps[step].op); k++) {
        uint32_t number = numbers[k];
        if (number < QN_CHAIN_INPUT ? number >= step : number - QN_CHAIN_INPUT >= c->input_count)
            return QN_ERROR(QN_INVALID_ARGUMENT, "instruction %u has operand %u", step, number);
        operands[k] = number < QN_CHAIN_INPUT ? &registers[number] : c->inputs[number - QN_CHAIN_INPUT];
    }
    return NULL;
}

qn_status qn_shape_chain(const struct qn_shape_context *c)
{
    const struct qn_attr_chain *attr = c->attr;
    struct qn_type registers[QN_CHAIN_MAX] = {0};
    if (attr->length < 1 || attr->length > QN_CHAIN_MAX)
        return QN_ERROR(QN_INVALID_ARGUMENT, "%" PRId64 " instructions, at most %d", attr->length, QN_CHAIN_MAX);
    for (uint32_t i = 0; i < c->input_count; i++)
        if (!c->inputs[i])
            return QN_ERROR(QN_INVALID_ARGUMENT, "input %u is absent", i);
    for (uint32_t i = 0; i < attr->length; i++) {
        const struct qn_chain_step *step = &attr->code.steps[i];
        const struct qn_type *operands[3] = {0};
        struct qn_attr_cast cast = {.dtype = step->dtype};
        const struct qn_op_info *info = qn_op_info(step->op);
        if (!(info->traits & QN_OP_ELEMENTWISE) || !qn_chain_takes(step->op, (qn_dtype)step->dtype))
            return QN_ERROR(QN_INVALID_ARGUMENT, "instruction %u is op %u", i, step->op);
        QN_TRY(step_operands(c, &attr->code, i, registers, operands));
        if (!qn_chain_takes(step->op, operands[operand_count(step->op) - 1]->dtype))
            return QN_ERROR(QN_INVALID_ARGUMENT, "instruction %u (%s) on %s", i, info->name,
                            qn_dtype_name(operands[operand_count(step->op) - 1]->dtype));
        struct qn_shape_context one = {.graph = c->graph,
                                       .inputs = operands,
                                       .input_count = operand_count(step->op),
                                       .attr = &cast,
                                       .outputs = &registers[i]};
        QN_TRY(qn_status_note(info->shape(&one), "instruction %u (%s)", i, info->name));
        if (registers[i].dtype != (qn_dtype)step->dtype)
            return QN_ERROR(QN_INVALID_ARGUMENT, "instruction %u (%s) gives %s, the program says %s", i, info->name,
                            qn_dtype_name(registers[i].dtype), qn_dtype_name((qn_dtype)step->dtype));
    }
    c->outputs[0] = registers[attr->length - 1];
    return NULL;
}
