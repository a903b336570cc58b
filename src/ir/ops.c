#include <stddef.h>

#include "ir/decompose.h"
#include "ir/ir.h"
#include "ir/shape.h"

/* One array of fields a record, then one row an op: both expanded from the tables. */

#define QN_ATTR_BEGIN(record) static const struct qn_attr_field fields_##record[] = {
#define QN_ATTR_FIELD(record, kind, field)                                       \
    {#field, QN_ATTR_##kind, (uint32_t)offsetof(struct qn_attr_##record, field), \
     (uint32_t)sizeof(((struct qn_attr_##record *)0)->field)},
#define QN_ATTR_END(record) \
    }                       \
    ;
#include "ir/attrs.def"
#undef QN_ATTR_BEGIN
#undef QN_ATTR_FIELD
#undef QN_ATTR_END

#define QN_OP_ROW(serial, op_name, min, max, outs, attr_record, op_traits, shape_rule, decomposition) \
    [serial] = {.name = #op_name,                                                                     \
                .min_inputs = min,                                                                    \
                .max_inputs = max,                                                                    \
                .outputs = outs,                                                                      \
                .traits = op_traits,                                                                  \
                .record = #attr_record,                                                               \
                .fields = fields_##attr_record,                                                       \
                .field_count = sizeof fields_##attr_record / sizeof fields_##attr_record[0],          \
                .attr_size = sizeof(struct qn_attr_##attr_record),                                    \
                .shape = qn_shape_##shape_rule,                                                       \
                .decompose = qn_decompose_##decomposition},
static const struct qn_op_info rows[QN_OP_LIMIT] = {
#include "ir/ops.def"
};
#undef QN_OP_ROW

const struct qn_op_info *qn_op_info(uint16_t op)
{
    return &rows[op < QN_OP_LIMIT ? op : QN_OP_NONE];
}

uint16_t qn_op_from_name(struct qn_str name)
{
    for (uint32_t op = 1; op < QN_OP_LIMIT; op++)
        if (rows[op].name && qn_str_is(name, rows[op].name))
            return (uint16_t)op;
    return QN_OP_NONE;
}
