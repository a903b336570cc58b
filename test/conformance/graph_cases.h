/* What each op is tried on: table graph_cases.c, run by graph_ops.c. */
#ifndef QN_CONFORMANCE_GRAPH_CASES_H
#define QN_CONFORMANCE_GRAPH_CASES_H

#include <stdbool.h>
#include <stdint.h>

enum cf_operand_type {
    CF_ABSENT,
    CF_THIS,    /* the type under test */
    CF_FLOATS,  /* f32 */
    CF_TRUTHS,  /* bool */
    CF_NUMBERS, /* i32 */
    CF_BYTES,   /* u8 */
    CF_SIGNED   /* i8 */
};

struct cf_operand {
    enum cf_operand_type type;
    uint32_t rank;
    int64_t dims[4];
    double low, high;
    bool state;
};

enum { CF_OPERANDS = 8 };

struct cf_op_case {
    uint16_t op;
    const void *attr;
    bool blocks; /* block types too */
    struct cf_operand operands[CF_OPERANDS];
};

extern const struct cf_op_case cf_op_cases[];
extern const uint32_t cf_op_case_count;

#endif
