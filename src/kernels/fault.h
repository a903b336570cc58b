/* What a kernel can find wrong only while it runs: an index that comes from data. The kernel treats the element as
 * absent, never reads or writes outside its operands, and says so here; the backend turns it into an error. */
#ifndef QN_KERNELS_FAULT_H
#define QN_KERNELS_FAULT_H

#include <stdint.h>

enum qn_fault {
    QN_FAULT_NONE = 0,
    QN_FAULT_INDEX = 1,    /* an index below 0 or at or above the size of its axis */
    QN_FAULT_POSITION = 2, /* attention: a position or sequence number outside its table */
};

/* Any thread may report; NULL is allowed. */
static inline void qn_fault_report(int32_t *fault, enum qn_fault what)
{
    if (fault)
        __atomic_store_n(fault, (int32_t)what, __ATOMIC_RELAXED);
}

#endif
