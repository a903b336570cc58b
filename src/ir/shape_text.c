/* Shape rules of ops on strings. */
#include <inttypes.h>

#include "ir/shape.h"

#define TEXT(c, i) qn_type_text((c)->graph, (c)->inputs[i]).text

static qn_status take_string(const struct qn_shape_context *c, uint32_t i)
{
    if (c->inputs[i]->dtype != QN_DTYPE_STRING)
        return QN_ERROR(QN_INVALID_ARGUMENT, "input %u is %s: expected strings", i, TEXT(c, i));
    return NULL;
}

/* A list or a single word beside x. */
static qn_status take_words(const struct qn_shape_context *c, uint32_t i, uint32_t rank)
{
    if (i >= c->input_count || !c->inputs[i])
        return NULL;
    QN_TRY(take_string(c, i));
    if (c->inputs[i]->rank != rank)
        return QN_ERROR(QN_INVALID_ARGUMENT, "input %u is %s: expected rank %u", i, TEXT(c, i), rank);
    return NULL;
}

qn_status qn_shape_string_concat(const struct qn_shape_context *c)
{
    QN_TRY(take_string(c, 0));
    QN_TRY(take_string(c, 1));
    const struct qn_type *a = c->inputs[0], *b = c->inputs[1];
    uint32_t rank = a->rank > b->rank ? a->rank : b->rank;
    c->outputs[0] = (struct qn_type){.dtype = QN_DTYPE_STRING, .rank = rank};
    for (uint32_t i = 0; i < rank; i++) {
        qn_dim x = i + a->rank < rank ? 1 : a->dims[i + a->rank - rank];
        qn_dim y = i + b->rank < rank ? 1 : b->dims[i + b->rank - rank];
        if (x != y && x != 1 && y != 1)
            return QN_ERROR(QN_INVALID_ARGUMENT, "inputs 0 and 1 are %s and %s: they do not broadcast", TEXT(c, 0),
                            TEXT(c, 1));
        c->outputs[0].dims[i] = x == 1 ? y : x;
    }
    return NULL;
}

qn_status qn_shape_string_split(const struct qn_shape_context *c)
{
    const struct qn_attr_string_split *attr = c->attr;
    QN_TRY(take_string(c, 0));
    QN_TRY(take_words(c, 1, 0));
    if (c->inputs[0]->rank + 1 > QN_MAX_RANK)
        return QN_ERROR(QN_UNSUPPORTED, "input 0 is %s: no room for another axis", TEXT(c, 0));
    c->outputs[0] = c->outputs[1] = *c->inputs[0];
    c->outputs[0].dims[c->outputs[0].rank++] = attr->count;
    c->outputs[1].dtype = QN_DTYPE_I64;
    return NULL;
}

qn_status qn_shape_murmur_hash(const struct qn_shape_context *c)
{
    const struct qn_dtype_info *info = qn_dtype_info(c->inputs[0]->dtype);
    bool number = (info->class_ == QN_DTYPE_CLASS_FLOAT || info->class_ == QN_DTYPE_CLASS_INT ||
                   info->class_ == QN_DTYPE_CLASS_UINT) &&
                  (info->block_bytes == 4 || info->block_bytes == 8);
    if (!number && c->inputs[0]->dtype != QN_DTYPE_STRING)
        return QN_ERROR(QN_INVALID_ARGUMENT, "input 0 is %s: expected strings, or numbers of 4 or 8 bytes", TEXT(c, 0));
    c->outputs[0] = *c->inputs[0];
    c->outputs[0].dtype = QN_DTYPE_U32;
    return NULL;
}

qn_status qn_shape_tokenize(const struct qn_shape_context *c)
{
    const struct qn_attr_tokenize *attr = c->attr;
    QN_TRY(take_string(c, 0));
    QN_TRY(take_words(c, 1, 1));
    QN_TRY(take_words(c, 2, 0));
    if (c->inputs[0]->rank + 1 > QN_MAX_RANK)
        return QN_ERROR(QN_UNSUPPORTED, "input 0 is %s: no room for another axis", TEXT(c, 0));
    c->outputs[0] = *c->inputs[0];
    c->outputs[0].dims[c->outputs[0].rank++] = attr->count;
    return NULL;
}

qn_status qn_shape_string_normalize(const struct qn_shape_context *c)
{
    const struct qn_attr_string_normalize *attr = c->attr;
    const struct qn_type *x = c->inputs[0];
    QN_TRY(take_string(c, 0));
    QN_TRY(take_words(c, 1, 1));
    if (x->rank < 1 || x->rank > 2 || (x->rank == 2 && x->dims[0] != 1))
        return QN_ERROR(QN_INVALID_ARGUMENT, "input 0 is %s: expected [n] or [1, n]", TEXT(c, 0));
    if (attr->letter_case < 0 || attr->letter_case > 2)
        return QN_ERROR(QN_INVALID_ARGUMENT, "letter case %" PRId64, attr->letter_case);
    c->outputs[0] = *x;
    c->outputs[0].dims[x->rank - 1] = attr->count;
    return NULL;
}

qn_status qn_shape_regex_match(const struct qn_shape_context *c)
{
    QN_TRY(take_string(c, 0));
    QN_TRY(take_words(c, 1, 0));
    c->outputs[0] = *c->inputs[0];
    c->outputs[0].dtype = QN_DTYPE_BOOL;
    return NULL;
}

qn_status qn_shape_to_string(const struct qn_shape_context *c)
{
    enum qn_dtype_class class_ = qn_dtype_info(c->inputs[0]->dtype)->class_;
    if (class_ == QN_DTYPE_CLASS_BLOCK || class_ == QN_DTYPE_CLASS_OBJECT || class_ == QN_DTYPE_CLASS_COMPLEX)
        return QN_ERROR(QN_INVALID_ARGUMENT, "input 0 is %s: expected numbers", TEXT(c, 0));
    c->outputs[0] = *c->inputs[0];
    c->outputs[0].dtype = QN_DTYPE_STRING;
    return NULL;
}

qn_status qn_shape_from_string(const struct qn_shape_context *c)
{
    const struct qn_attr_cast *attr = c->attr;
    QN_TRY(take_string(c, 0));
    enum qn_dtype_class class_ = qn_dtype_info((qn_dtype)attr->dtype)->class_;
    if (class_ != QN_DTYPE_CLASS_FLOAT && class_ != QN_DTYPE_CLASS_INT && class_ != QN_DTYPE_CLASS_UINT &&
        class_ != QN_DTYPE_CLASS_BOOL)
        return QN_ERROR(QN_INVALID_ARGUMENT, "dtype %s: expected a number", qn_dtype_name((qn_dtype)attr->dtype));
    c->outputs[0] = *c->inputs[0];
    c->outputs[0].dtype = (qn_dtype)attr->dtype;
    return NULL;
}
