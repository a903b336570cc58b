#include "text/sampler/weight.h"

/* 2^(fraction / 2^32) in units of 2^-62: the series of exp(f ln 2) by Horner's rule. Its twelve terms are exact to 2^-43
 * of the result. */
static uint64_t exp2_fraction(uint32_t fraction)
{
    static const uint64_t terms[] = {
        /* (ln 2)^k / k! in units of 2^-62, k from 12 down to 0 */
        118420884,       2050142669,       32535037283,       469381369432,       6094567565682,
        70340819226978,  710362457495793,  6149018367977265,  44355791529079737,  255967521894832113,
        1107849223398934356, 3196577161300663915, 4611686018427387904,
    };
    uint64_t sum = terms[0];
    for (unsigned k = 1; k < sizeof terms / sizeof terms[0]; k++)
        sum = terms[k] + (uint64_t)((unsigned __int128)sum * fraction >> 32);
    return sum;
}

uint64_t qn_weight(double difference)
{
    const double smallest = -29.2, log2_e = 0x1.71547652b82fep+32; /* below 2^-42; log2(e) in units of 2^-32 */
    if (!(difference > smallest))
        return 0;
    int64_t exponent = (int64_t)(difference * log2_e); /* of two, in units of 2^-32; not above 0 */
    uint64_t whole = (uint64_t)-(exponent >> 32);
    return exp2_fraction((uint32_t)exponent) >> (62 - QN_WEIGHT_BITS + whole);
}

void qn_random_seed(struct qn_random *random, uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        seed += 0x9e3779b97f4a7c15u;
        uint64_t z = seed;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        random->state[i] = z ^ z >> 31;
    }
}

static uint64_t rotate(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

uint64_t qn_random_next(struct qn_random *random)
{
    uint64_t *s = random->state, result = rotate(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}
