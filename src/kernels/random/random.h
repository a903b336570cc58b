/* Family RANDOM: numbers that follow from a seed and their place alone, so that they are the same for every number of
 * threads. Uniform: low <= y < high; normal: mean `low`, standard deviation `high`. y is contiguous, any float dtype.
 *
 * A tile is QN_ELEMENT_TILE elements.
 */
#ifndef QN_KERNELS_RANDOM_H
#define QN_KERNELS_RANDOM_H

#include "kernels/kernel.h"

struct qn_random_params {
    uint16_t op; /* random_uniform, random_normal */
    uint64_t seed;
    double low, high;
    struct qn_view y;
};

#endif
