#include "kernels/attention/attention_share.h"

/* Calls with more tokens, or with more (block, head) pairs, have tiles enough without a split along the keys. */
enum { SPLIT_TOKENS = 8, SPLIT_PAIRS = 64 };

static int64_t parts_of(int64_t positions)
{
    return (positions + QN_ATTENTION_PART - 1) / QN_ATTENTION_PART;
}

/* Shared memory: SPLIT_PAIRS counts, zero between calls, then the slots. The counts lie at the same place for every
 * call, so that calls of different shapes may follow each other on the same memory. */
enum { COUNT_BYTES = SPLIT_PAIRS * 4 };

/* Rows of a block, where a call has n tokens. */
static int64_t slot_rows(int64_t n, int64_t group)
{
    int64_t tokens = qn_attention_tokens(group);
    return (n < tokens ? n : tokens) * group;
}

static int64_t blocks_of(int64_t n, int64_t group)
{
    int64_t tokens = qn_attention_tokens(group);
    return (n + tokens - 1) / tokens;
}

int64_t qn_attention_shared_bytes(int64_t n, int64_t kv_heads, int64_t group, int64_t e, int64_t l)
{
    n = n < SPLIT_TOKENS ? n : SPLIT_TOKENS;
    while (n > 0 && blocks_of(n, group) * kv_heads > SPLIT_PAIRS)
        n--;
    return COUNT_BYTES + blocks_of(n, group) * kv_heads * parts_of(l) * slot_rows(n, group) * (e + 2) * 4;
}

int64_t qn_attention_splits(const struct qn_attention_params *p)
{
    int64_t n = p->q.dims[0];
    if (!p->shared || n > SPLIT_TOKENS || blocks_of(n, p->q.dims[2]) * p->q.dims[1] > SPLIT_PAIRS)
        return 1;
    int64_t most = 1;
    for (int64_t i = 0; i < n; i++) {
        int64_t low, high;
        qn_attention_range(p, i, &low, &high);
        most = high > most ? high : most;
    }
    return parts_of(most);
}

float *qn_attention_slot(const struct qn_attention_params *p, int64_t block, int64_t head, int64_t split, int64_t row)
{
    int64_t rows = slot_rows(p->q.dims[0], p->q.dims[2]);
    int64_t number = ((block * p->q.dims[1] + head) * parts_of(p->rows.dims[1]) + split) * rows + row;
    return (float *)(void *)((char *)p->shared + COUNT_BYTES) + number * (p->y.dims[3] + 2);
}

bool qn_attention_arrive(const struct qn_attention_params *p, int64_t block, int64_t head, int64_t splits)
{
    int32_t *count = (int32_t *)p->shared + block * p->q.dims[1] + head;
    if (__atomic_add_fetch(count, 1, __ATOMIC_ACQ_REL) < splits)
        return false;
    __atomic_store_n(count, 0, __ATOMIC_RELAXED);
    return true;
}
