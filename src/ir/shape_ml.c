/* Shape rules of classic machine learning: trees, label tables, n-grams, pictures. */
#include <inttypes.h>

#include "ir/shape.h"

#define TEXT(c, i) qn_type_text((c)->graph, (c)->inputs[i]).text

qn_status qn_shape_tree_ensemble(const struct qn_shape_context *c)
{
    const struct qn_attr_trees *attr = c->attr;
    const struct qn_type *x = c->inputs[0];
    if ((x->dtype != QN_DTYPE_F32 && x->dtype != QN_DTYPE_F64) || x->rank != 2 || x->encoding)
        return QN_ERROR(QN_INVALID_ARGUMENT, "input 0 is %s: expected f32 or f64 [rows, features]", TEXT(c, 0));
    if (attr->targets <= 0 || attr->targets > 1 << 20 || attr->aggregate < 0 || attr->aggregate > 3)
        return QN_ERROR(QN_INVALID_ARGUMENT, "%" PRId64 " targets, aggregate %" PRId64, attr->targets, attr->aggregate);
    if (attr->version != 2)
        return QN_ERROR(QN_UNSUPPORTED, "version %" PRId64 " of the operands", attr->version);
    if (x->dims[1] < attr->features)
        return QN_ERROR(QN_INVALID_ARGUMENT, "input 0 is %s: the trees read %" PRId64 " features", TEXT(c, 0),
                        attr->features);
    for (uint32_t i = 1; i < c->input_count; i++) {
        qn_dtype dtype = i == 1 || i == 3 || i == 4 ? QN_DTYPE_I32 : x->dtype;
        if (!c->inputs[i] || c->inputs[i]->dtype != dtype || c->inputs[i]->rank != (i == 1 ? 2 : 1) ||
            (i == 1 && c->inputs[i]->dims[1] != 4) || (i == 7 && c->inputs[i]->dims[0] != attr->targets))
            return QN_ERROR(QN_INVALID_ARGUMENT, "input %u does not have the layout of kernels/trees/trees.h", i);
    }
    c->outputs[0] = (struct qn_type){.dtype = x->dtype, .rank = 2, .dims = {x->dims[0], attr->targets}};
    return NULL;
}

qn_status qn_shape_label_encode(const struct qn_shape_context *c)
{
    const struct qn_type *x = c->inputs[0], *keys = c->inputs[1], *values = c->inputs[2], *other = c->inputs[3];
    if (keys->rank != 1 || keys->dtype != x->dtype)
        return QN_ERROR(QN_INVALID_ARGUMENT, "inputs 0 and 1 are %s and %s: expected keys [n] of one dtype with x",
                        TEXT(c, 0), TEXT(c, 1));
    if (values->rank != 1 || values->dims[0] != keys->dims[0])
        return QN_ERROR(QN_INVALID_ARGUMENT, "inputs 1 and 2 are %s and %s: expected as many values as keys",
                        TEXT(c, 1), TEXT(c, 2));
    if (other->rank != 0 || other->dtype != values->dtype)
        return QN_ERROR(QN_INVALID_ARGUMENT, "inputs 2 and 3 are %s and %s: expected one value of the same dtype",
                        TEXT(c, 2), TEXT(c, 3));
    c->outputs[0] = *x;
    c->outputs[0].dtype = values->dtype;
    return NULL;
}

qn_status qn_shape_tfidf(const struct qn_shape_context *c)
{
    const struct qn_attr_tfidf *attr = c->attr;
    const struct qn_type *x = c->inputs[0], *pool = c->inputs[1];
    bool text = x->dtype == QN_DTYPE_STRING, whole = x->dtype == QN_DTYPE_I32 || x->dtype == QN_DTYPE_I64;
    if ((!text && !whole) || x->rank < 1 || x->rank > 2)
        return QN_ERROR(QN_INVALID_ARGUMENT, "input 0 is %s: expected i32, i64 or string [n] or [rows, n]", TEXT(c, 0));
    if (pool->rank != 1 || pool->dtype != (text ? QN_DTYPE_STRING : QN_DTYPE_I64))
        return QN_ERROR(QN_INVALID_ARGUMENT, "input 1 is %s: expected %s [n]", TEXT(c, 1), text ? "string" : "i64");
    for (uint32_t i = 2; i < 4; i++)
        if (c->inputs[i]->rank != 1 || c->inputs[i]->dtype != QN_DTYPE_I64)
            return QN_ERROR(QN_INVALID_ARGUMENT, "input %u is %s: expected i64 [n]", i, TEXT(c, i));
    if (c->input_count > 4 && c->inputs[4] &&
        (c->inputs[4]->dtype != QN_DTYPE_F32 || c->inputs[4]->rank != 1 ||
         c->inputs[4]->dims[0] != c->inputs[3]->dims[0]))
        return QN_ERROR(QN_INVALID_ARGUMENT, "input 4 is %s: expected a f32 weight for each n-gram", TEXT(c, 4));
    if (attr->outputs < 0 || attr->min_length < 1 || attr->max_length < attr->min_length || attr->max_skip < 0)
        return QN_ERROR(QN_INVALID_ARGUMENT, "n-grams of %" PRId64 " to %" PRId64 " with %" PRId64 " skipped",
                        attr->min_length, attr->max_length, attr->max_skip);
    c->outputs[0] = (struct qn_type){.dtype = QN_DTYPE_F32, .rank = x->rank};
    c->outputs[0].dims[0] = x->dims[0];
    c->outputs[0].dims[x->rank - 1] = attr->outputs;
    return NULL;
}

qn_status qn_shape_pair_coupling(const struct qn_shape_context *c)
{
    const struct qn_attr_classes *attr = c->attr;
    const struct qn_type *x = c->inputs[0];
    if (attr->classes < 2 || attr->classes > 1 << 16)
        return QN_ERROR(QN_INVALID_ARGUMENT, "%" PRId64 " classes", attr->classes);
    if (x->dtype != QN_DTYPE_F32 || x->rank != 2 || x->dims[1] != attr->classes * (attr->classes - 1) / 2)
        return QN_ERROR(QN_INVALID_ARGUMENT,
                        "input 0 is %s: expected f32 [rows, %" PRId64 "], a pair of classes a column", TEXT(c, 0),
                        attr->classes * (attr->classes - 1) / 2);
    c->outputs[0] = *x;
    c->outputs[0].dims[1] = attr->classes;
    return NULL;
}

qn_status qn_shape_image_decode(const struct qn_shape_context *c)
{
    const struct qn_attr_image_decode *attr = c->attr;
    if (c->inputs[0]->dtype != QN_DTYPE_U8 || c->inputs[0]->rank != 1)
        return QN_ERROR(QN_INVALID_ARGUMENT, "input 0 is %s: expected u8 [n]", TEXT(c, 0));
    if (attr->pixels < 0 || attr->pixels > 2)
        return QN_ERROR(QN_INVALID_ARGUMENT, "pixel format %" PRId64, attr->pixels);
    c->outputs[0] = (struct qn_type){
        .dtype = QN_DTYPE_U8, .rank = 3, .dims = {attr->height, attr->width, attr->pixels == 2 ? 1 : 3}};
    return NULL;
}
