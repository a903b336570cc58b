/* Shape rules of the search for token sequences. */
#include <inttypes.h>

#include "ir/shape.h"

#define TEXT(c, i) qn_type_text((c)->graph, (c)->inputs[i]).text

static bool is_object(const struct qn_shape_context *c, uint32_t i)
{
    return c->inputs[i]->dtype == QN_DTYPE_OBJECT;
}

static bool has(const struct qn_shape_context *c, uint32_t i)
{
    return i < c->input_count && c->inputs[i] && c->inputs[i]->dtype != QN_DTYPE_NONE;
}

/* An object's type is found out by the run. */
static qn_status take(const struct qn_shape_context *c, uint32_t i, qn_dtype dtype, uint32_t rank)
{
    if (has(c, i) && !is_object(c, i) && (c->inputs[i]->dtype != dtype || c->inputs[i]->rank != rank))
        return QN_ERROR(QN_INVALID_ARGUMENT, "input %" PRIu32 " is %s: expected %s of rank %" PRIu32, i, TEXT(c, i),
                        qn_dtype_name(dtype), rank);
    return NULL;
}

qn_status qn_shape_search_begin(const struct qn_shape_context *c)
{
    QN_TRY(take(c, 0, QN_DTYPE_I32, 2));
    c->outputs[0] = (struct qn_type){.dtype = QN_DTYPE_OBJECT};
    c->outputs[1] = (struct qn_type){.dtype = QN_DTYPE_I64};
    return NULL;
}

qn_status qn_shape_search_step(const struct qn_shape_context *c)
{
    const struct qn_attr_search_step *attr = c->attr;
    QN_TRY(take(c, 1, QN_DTYPE_F32, 3));
    QN_TRY(take(c, 2, QN_DTYPE_I32, 1));
    QN_TRY(take(c, 3, QN_DTYPE_I32, 2));
    QN_TRY(take(c, 4, QN_DTYPE_I32, 2));
    c->outputs[0] = (struct qn_type){.dtype = QN_DTYPE_OBJECT};
    c->outputs[1] = (struct qn_type){.dtype = QN_DTYPE_I32, .rank = 2, .dims = {attr->rows, attr->length}};
    c->outputs[2] = (struct qn_type){.dtype = QN_DTYPE_I64, .rank = 1, .dims = {attr->rows}};
    c->outputs[3] = (struct qn_type){.dtype = QN_DTYPE_BOOL};
    c->outputs[4] = (struct qn_type){.dtype = QN_DTYPE_F32, .rank = 2, .dims = {attr->rows, attr->vocab}};
    return NULL;
}

qn_status qn_shape_search_end(const struct qn_shape_context *c)
{
    const struct qn_attr_search_end *attr = c->attr;
    QN_TRY(take(c, 1, QN_DTYPE_F32, 2));
    QN_TRY(take(c, 2, QN_DTYPE_F32, 3));
    c->outputs[0] =
        (struct qn_type){.dtype = QN_DTYPE_I32, .rank = 3, .dims = {attr->batch, attr->returned, attr->max_length}};
    if (attr->flat)
        c->outputs[0] = (struct qn_type){.dtype = QN_DTYPE_I32, .rank = 2, .dims = {attr->batch, attr->max_length}};
    c->outputs[1] = (struct qn_type){.dtype = QN_DTYPE_F32, .rank = 2, .dims = {attr->batch, attr->returned}};
    c->outputs[2] = (struct qn_type){.dtype = QN_DTYPE_F32, .rank = 4};
    if (has(c, 1)) {
        c->outputs[2].dims[0] = attr->steps;
        c->outputs[2].dims[1] = attr->batch;
        c->outputs[2].dims[2] = attr->beams;
        c->outputs[2].dims[3] = attr->vocab;
    }
    return NULL;
}

qn_status qn_shape_pick_rows(const struct qn_shape_context *c)
{
    const struct qn_attr_axis *attr = c->attr;
    QN_TRY(take(c, 1, QN_DTYPE_I64, 1));
    if (is_object(c, 0) || is_object(c, 1)) {
        c->outputs[0] = (struct qn_type){.dtype = QN_DTYPE_OBJECT};
        return NULL;
    }
    enum qn_dtype_class class = qn_dtype_info(c->inputs[0]->dtype)->class_;
    if (class == QN_DTYPE_CLASS_BLOCK || c->inputs[0]->encoding || c->inputs[0]->dtype == QN_DTYPE_STRING)
        return QN_ERROR(QN_INVALID_ARGUMENT, "input 0 is %s: expected plain elements", TEXT(c, 0));
    if (attr->axis < 0 || attr->axis >= c->inputs[0]->rank)
        return QN_ERROR(QN_INVALID_ARGUMENT, "axis %" PRId64 " of %s", attr->axis, TEXT(c, 0));
    c->outputs[0] = *c->inputs[0];
    c->outputs[0].dims[attr->axis] = c->inputs[1]->dims[0];
    return NULL;
}
