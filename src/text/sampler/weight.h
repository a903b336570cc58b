/* Probabilities as integers: exp(x - max) as a whole number of 2^-42, by integer arithmetic alone, so that no machine,
 * compiler or maths library can give another result. */
#ifndef QN_TEXT_WEIGHT_H
#define QN_TEXT_WEIGHT_H

#include <stdint.h>

enum { QN_WEIGHT_BITS = 42 }; /* the weight of the highest logit is 2^42: four million of them fit in 64 bits */

/* exp(difference) * 2^42, rounded down, for difference <= 0. What is below 2^-42 is 0. */
uint64_t qn_weight(double difference);

/* Random numbers: xoshiro256** of Blackman and Vigna, seeded by splitmix64. */
struct qn_random {
    uint64_t state[4];
};

void qn_random_seed(struct qn_random *random, uint64_t seed);
uint64_t qn_random_next(struct qn_random *random);

#endif
