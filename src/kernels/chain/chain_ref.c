#include "kernels/chain/chain_program.h"

static bool fast(uint16_t op, const struct qn_chain_value *v, const struct qn_chain_value *out, int64_t n)
{
    (void)op;
    (void)v;
    (void)out;
    (void)n;
    return false;
}

#define UNARY qn_unary_ref
#define BINARY qn_binary_ref
#define COPY qn_copy_ref
#define KERNEL qn_chain_ref
#define SERIAL 2100
#define NAME "chain_ref"
#define NEEDS 0
#define RANK 0
#include "kernels/chain/chain_body.h"
