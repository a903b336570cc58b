/* The same bits on every instruction set and beside every neighbour. */
#include "quant/search.h"

#include <math.h>
#include <stdlib.h>

#include "quant/quant.h"
#include "support/testing.h"

enum { ELEMS = QN_SEARCH_LANES * QN_SEARCH_MAX };

static const float scale_trials[] = {-8.4f, -8, -7.2f, 6.8f, 7.6f}, affine_trials[] = {14, 15, 15.4f, 17},
                   table_trials[] = {-127, -110, 113}, ternary_trials[] = {0.75f, 1.3f, 2, 4};

#define TRIALS(array) .effort = QN_SEARCH_EFFORT(array, 3)

/* One of each form, with and without groups. */
static const struct qn_search searches[] = {
    {.groups = 1, .size = 32, .lo = -127, .hi = 127},
    {.groups = 1, .size = 32, .lo = -8, .hi = 7, TRIALS(scale_trials)},
    {.groups = 1, .size = 32, .hi = 15, .minimum = true, TRIALS(affine_trials)},
    {.groups = 1, .size = 256, .lo = -1, .hi = 1, TRIALS(ternary_trials)},
    {.groups = 1, .size = 32, .levels = QN_LEVELS_IQ4, .weighing = QN_WEIGH_RMS, TRIALS(table_trials)},
    {.groups = 1, .size = 32, .levels = QN_LEVELS_FP4},
    {.groups = 8,
     .size = 32,
     .levels = QN_LEVELS_IQ4,
     .code_lo = -32,
     .code_hi = 31,
     .weighing = QN_WEIGH_RMS,
     TRIALS(table_trials)},
    {.groups = 16,
     .size = 16,
     .lo = -8,
     .hi = 7,
     .code_lo = -32,
     .code_hi = 31,
     .weighing = QN_WEIGH_ABS,
     TRIALS(scale_trials)},
    {.groups = 8,
     .size = 32,
     .hi = 15,
     .minimum = true,
     .below_zero = true,
     .code_hi = 63,
     .weighing = QN_WEIGH_RMS,
     TRIALS(affine_trials)},
    {.groups = 16,
     .size = 16,
     .hi = 15,
     .minimum = true,
     .below_zero = true,
     .code_hi = 15,
     .weighing = QN_WEIGH_RMS,
     TRIALS(affine_trials)},
};
enum { SEARCHES = sizeof searches / sizeof searches[0] };

static uint32_t random_u32(void)
{
    static uint64_t state = 11;
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 32);
}

/* Products of four uniform numbers: many small values, some large; zeros, what is not finite, and every magnitude. */
static void fill(float *x, int round)
{
    for (int i = 0; i < ELEMS; i++) {
        x[i] = ldexpf(0.02f, (i / 256 * 7 + round * 31) % 200 - 100);
        for (int k = 0; k < 4; k++)
            x[i] *= (float)random_u32() / 0x1p31f - 1;
        if (random_u32() % 64 == 0)
            x[i] = 0;
        if (round % 2 && random_u32() % 256 == 0)
            x[i] = random_u32() % 2 ? INFINITY : NAN;
        if (round > 2 && i / 16 % 5 == 0) /* flat groups, positive ones and zeros */
            x[i] = i / 16 % 10 ? 0.25f : 0;
    }
}

/* What is behind the last group is not compared. */
static void assert_same(const struct qn_search *s, const struct qn_search_found *a, const struct qn_search_found *b,
                        int groups, const char *name)
{
    bool coded = s->groups > 1, same = memcmp(a->q, b->q, (size_t)groups * (size_t)s->size) == 0;
    same &= memcmp(a->d, b->d, (size_t)(groups / s->groups) * sizeof a->d[0]) == 0;
    same &= !s->minimum || memcmp(a->m, b->m, (size_t)(groups / s->groups) * sizeof a->m[0]) == 0;
    same &= !coded || memcmp(a->sc, b->sc, (size_t)groups) == 0;
    same &= !coded || !s->minimum || memcmp(a->mn, b->mn, (size_t)groups) == 0;
    if (!same)
        fail_msg("search %d differs on %s", (int)(s - searches), name);
}

static void every_instruction_set_finds_the_same(void **state)
{
    (void)state;
    static float x[ELEMS + 1], importance[ELEMS];
    static struct qn_search_found expected, found;
    int last = 0;
    while (qn_search_isa_at(last + 1))
        last++;
    assert_string_equal(qn_search_isa_at(last)->name, "ref");
    for (int round = 0; round < 6; round++) {
        fill(x + 1, round); /* at an address that is no multiple of a vector */
        for (int i = 0; i < ELEMS; i++)
            importance[i] = i / 512 % 3 == 2 ? 0 : (float)(random_u32() % 1000);
        for (int i = 0; i < SEARCHES; i++) {
            for (int weighted = 0; weighted < 2; weighted++) {
                const float *w = weighted ? importance : NULL;
                qn_search_isa_at(last)->find(&searches[i], x + 1, w, QN_SEARCH_LANES, &expected);
                for (int isa = 0; isa < last; isa++) {
                    qn_search_isa_at(isa)->find(&searches[i], x + 1, w, QN_SEARCH_LANES, &found);
                    assert_same(&searches[i], &expected, &found, QN_SEARCH_LANES, qn_search_isa_at(isa)->name);
                    qn_search_isa_at(isa)->find(&searches[i], x + 1, w, searches[i].groups, &found);
                    assert_same(&searches[i], &expected, &found, searches[i].groups, "its own");
                }
            }
        }
    }
}

static void every_instruction_set_loads_the_same_halves(void **state)
{
    (void)state;
    static uint16_t halves[65536];
    static float out[65536];
    for (int i = 0; i < 65536; i++)
        halves[i] = (uint16_t)i;
    for (int isa = 0; qn_search_isa_at(isa); isa++) {
        for (int begin = 0; begin < 65536; begin += 1021) { /* vectors and a rest; NaNs only in some */
            int count = 65536 - begin < 1021 ? 65536 - begin : 1021;
            qn_search_isa_at(isa)->load_halves(halves + begin, out + begin, count);
        }
        for (int i = 0; i < 65536; i++) {
            float expected = qn_f16_to_f32((uint16_t)i);
            assert_memory_equal(&out[i], &expected, sizeof expected);
        }
    }
}

static void packs_fifth_bits(void **state)
{
    (void)state;
    for (int i = 0; i < 32; i++) {
        uint8_t q[32], qh[4], qs[16];
        for (int k = 0; k < 32; k++)
            q[k] = k == i ? 31 : 15;
        qn_search_pack_fifth(q, qh);
        for (int k = 0; k < 32; k++)
            assert_int_equal(qh[k / 8] >> k % 8 & 1, k == i);
        for (int k = 0; k < 32; k++)
            q[k] = (uint8_t)(k == i ? 5 : 16);
        qn_search_pack_four(q, qs);
        for (int k = 0; k < 16; k++)
            assert_int_equal(qs[k], k == i ? 5 : k + 16 == i ? 0x50 : 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_instruction_set_finds_the_same),
        cmocka_unit_test(every_instruction_set_loads_the_same_halves),
        cmocka_unit_test(packs_fifth_bits),
    };
    return cmocka_run_group_tests_name("search", tests, NULL, NULL);
}
