/* What a chain (op `chain`, struct qn_chain) may be made of: the pass that builds chains and the kernels that run them
 * agree here. */
#ifndef QN_IR_CHAIN_H
#define QN_IR_CHAIN_H

#include "ir/ir.h"

/* An instruction of this op on operands of this dtype (where: of its last two) can stand in a chain. For a cast ask for
 * both its dtypes. Ops whose record says more than an instruction can hold (glu, is_inf) never can. */
bool qn_chain_takes(uint16_t op, qn_dtype dtype);

#endif
