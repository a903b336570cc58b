#include "ir/build.h"
#include "ir/decompose.h"

/* Each instruction as a node of its own. */
QN_DECOMPOSE(chain)
{
    const struct qn_attr_chain *record = attr;
    struct qn_build b = {.graph = to};
    qn_value registers[QN_CHAIN_MAX] = {0};
    (void)input_count;
    for (uint32_t i = 0; i < record->length; i++) {
        const struct qn_chain_step *step = &record->code.steps[i];
        const uint8_t numbers[3] = {step->a, step->b, step->c};
        struct qn_attr_cast cast = {.dtype = step->dtype};
        qn_value operands[3] = {0};
        uint32_t count = qn_op_info(step->op)->max_inputs;
        for (uint32_t k = 0; k < count; k++)
            operands[k] = numbers[k] < QN_CHAIN_INPUT ? registers[numbers[k]] : inputs[numbers[k] - QN_CHAIN_INPUT];
        registers[i] = qn_build_node(&b, step->op, operands, count, step->op == QN_OP_cast ? &cast : NULL, NULL);
    }
    outs[0] = registers[record->length - 1];
    return b.status;
}
