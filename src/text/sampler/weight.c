#include "text/sampler/weight.h"

/* 2^(fraction / 2^32) in units of 2^-62: sixteenths from a table, the rest by the series of exp(f ln 2) and Horner's
 * rule. Its six terms are exact to 2^-36 of the result. */
static uint64_t exp2_fraction(uint32_t fraction)
{
    static const uint64_t sixteenths[16] = {
        4611686018427387904, 4815862801830788490, 5029079263719320435, 5251735624851448219,
        5484249825272419512, 5727058308814112983, 5980616842327661685, 6245401371186603363,
        6521908912666391106, 6810658488877194079, 7112192101001162095, 7427075746662858866,
        7755900482342532474, 8099283532826439817, 8457869449776733335, 8832331321595618838,
    };
    static const uint64_t terms[6] = {
        /* (ln 2)^k / k! in units of 2^-62, k from 5 down to 0 */
        6149018367977265,    44355791529079737,   255967521894832113,
        1107849223398934356, 3196577161300663915, 4611686018427387904,
    };
    uint64_t sum = terms[0], rest = fraction & 0x0fffffff;
    for (unsigned k = 1; k < sizeof terms / sizeof terms[0]; k++)
        sum = terms[k] + (uint64_t)((unsigned __int128)sum * rest >> 32);
    return (uint64_t)((unsigned __int128)sum * sixteenths[fraction >> 28] >> 62);
}

uint64_t qn_weight(double difference)
{
    const double smallest = -29.2, log2_e = 0x1.71547652b82fep+32; /* below 2^-42; log2(e) in units of 2^-32 */
    if (!(difference > smallest))
        return 0;
    int64_t exponent = (int64_t)(difference * log2_e); /* of two, in units of 2^-32; not above 0 */
    uint64_t whole = (uint64_t) - (exponent >> 32);
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
