/* Types of ops that make tensors out of sizes. */
#include "ir/shape.h"

qn_status qn_shape_dims(const struct qn_shape_context *c)
{
    const struct qn_attr_dims *attr = c->attr;
    if (attr->scalar && attr->dims.count != 1)
        return QN_ERROR(QN_INVALID_ARGUMENT, "%u sizes as one number", attr->dims.count);
    c->outputs[0] = (struct qn_type){.dtype = QN_DTYPE_I64, .rank = attr->scalar ? 0 : 1};
    if (!attr->scalar)
        c->outputs[0].dims[0] = attr->dims.count;
    return NULL;
}
