#include "quant/search.h"

#include "platform/cpu.h"

extern const struct qn_search_isa qn_search_ref;
#if defined(__x86_64__)
extern const struct qn_search_isa qn_search_avx2, qn_search_avx512;
#endif

static const struct qn_search_isa *const all[] = {
#if defined(__x86_64__)
    &qn_search_avx512,
    &qn_search_avx2,
#endif
    &qn_search_ref,
};

const struct qn_search_isa *qn_search_isa_at(int index)
{
    uint32_t features = 0;
    qn_status_ignore(qn_cpu_features(&features)); /* an unknown QUERN_CPU is reported where kernels are chosen */
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (!(all[i]->needs & ~features) && index-- == 0)
            return all[i];
    return NULL;
}

const struct qn_search_isa *qn_search_isa(void)
{
    static const struct qn_search_isa *chosen; /* the same whoever asks first */
    const struct qn_search_isa *isa = __atomic_load_n(&chosen, __ATOMIC_ACQUIRE);
    if (!isa) {
        isa = qn_search_isa_at(0);
        __atomic_store_n(&chosen, isa, __ATOMIC_RELEASE);
    }
    return isa;
}

void qn_search(const struct qn_search *s, const float *in, const float *importance, int64_t elems, void *blocks)
{
    const struct qn_search_isa *isa = qn_search_isa();
    struct qn_search_found found;
    const int block = s->groups * s->size, at_once = QN_SEARCH_LANES / s->groups;
    uint8_t *to = blocks;
    for (int64_t at = 0, left; (left = elems / block - at) > 0; at += at_once) {
        int count = left < at_once ? (int)left : at_once;
        isa->find(s, in + at * block, importance ? importance + at * block : NULL, count * s->groups, &found);
        for (int i = 0; i < count; i++, to += s->block_bytes) {
            struct qn_search_block one = {found.d[i], found.m[i], found.sc + (ptrdiff_t)i * s->groups,
                                          found.mn + (ptrdiff_t)i * s->groups, found.q + (ptrdiff_t)i * block};
            s->pack(to, &one);
        }
    }
}
