#include "kernels/attention/attention_share.h"

/* Calls with more tokens than this have tiles enough without a split along the keys. */
enum { SPLIT_TOKENS = 16 };

static int64_t parts_of(int64_t positions)
{
    return (positions + QN_ATTENTION_PART - 1) / QN_ATTENTION_PART;
}

/* The shared memory: a count for each (block, head), then the slots. */
static int64_t count_bytes(int64_t blocks, int64_t heads)
{
    return (blocks * heads * 4 + 63) & ~(int64_t)63;
}

int64_t qn_attention_shared_bytes(int64_t n, int64_t kv_heads, int64_t group, int64_t e, int64_t l)
{
    int64_t tokens = qn_attention_tokens(group), rows = tokens * group;
    n = n < SPLIT_TOKENS ? n : SPLIT_TOKENS;
    int64_t blocks = (n + tokens - 1) / tokens;
    return count_bytes(blocks, kv_heads) + blocks * kv_heads * parts_of(l) * rows * (e + 2) * 4;
}

int64_t qn_attention_splits(const struct qn_attention_params *p)
{
    if (!p->shared || p->q.dims[0] > SPLIT_TOKENS)
        return 1;
    int64_t most = 1;
    for (int64_t i = 0; i < p->q.dims[0]; i++) {
        int64_t low, high;
        qn_attention_range(p, i, &low, &high);
        most = high > most ? high : most;
    }
    return parts_of(most);
}

float *qn_attention_slot(const struct qn_attention_params *p, int64_t block, int64_t head, int64_t split, int64_t row)
{
    int64_t group = p->q.dims[2], rows = qn_attention_tokens(group) * group;
    char *slots = (char *)p->shared + count_bytes(qn_attention_blocks(p), p->q.dims[1]);
    int64_t number = ((block * p->q.dims[1] + head) * parts_of(p->rows.dims[1]) + split) * rows + row;
    return (float *)(void *)slots + number * (p->y.dims[3] + 2);
}

bool qn_attention_arrive(const struct qn_attention_params *p, int64_t block, int64_t head, int64_t splits)
{
    int32_t *count = (int32_t *)p->shared + block * p->q.dims[1] + head;
    if (__atomic_add_fetch(count, 1, __ATOMIC_ACQ_REL) < splits)
        return false;
    __atomic_store_n(count, 0, __ATOMIC_RELAXED);
    return true;
}
