/* How a paged call is cut into tiles, and the memory that its tiles share when keys are split: what all fast attention
 * kernels have in common. Internal to the family. */
#ifndef QN_KERNELS_ATTENTION_SHARE_H
#define QN_KERNELS_ATTENTION_SHARE_H

#include "kernels/attention/attention.h"

enum { QN_ATTENTION_ROWS = 64 }; /* queries times group that a tile takes on; one token at least */

/* Tokens in a block. */
static inline int64_t qn_attention_tokens(int64_t group)
{
    return group < QN_ATTENTION_ROWS ? QN_ATTENTION_ROWS / group : 1;
}

static inline int64_t qn_attention_blocks(const struct qn_attention_params *p)
{
    int64_t tokens = qn_attention_tokens(p->q.dims[2]);
    return (p->q.dims[0] + tokens - 1) / tokens;
}

static inline int64_t qn_attention_seq(const struct qn_attention_params *p, int64_t token)
{
    int64_t seq = ((const int32_t *)p->seq.data)[token * p->seq.strides[0]];
    return seq < 0 || seq >= p->rows.dims[0] ? -1 : seq;
}

/* Positions [low, high) that a token sees; empty when its sequence or position lies outside the table. */
static inline void qn_attention_range(const struct qn_attention_params *p, int64_t token, int64_t *low, int64_t *high)
{
    int64_t pos = ((const int32_t *)p->pos.data)[token * p->pos.strides[0]];
    if (pos < 0 || pos >= p->rows.dims[1] || qn_attention_seq(p, token) < 0) {
        *low = *high = 0;
        return;
    }
    *low = p->window > 0 && pos >= p->window ? pos - p->window + 1 : 0;
    *high = pos + 1;
}

/* Partitions that are tiles of their own; 1 where a tile walks through all of them. */
int64_t qn_attention_splits(const struct qn_attention_params *p);

/* Where a partition's maximum, sum of exponentials and sums [e] of one row of a block are left. */
float *qn_attention_slot(const struct qn_attention_params *p, int64_t block, int64_t head, int64_t split, int64_t row);

/* Counts a partition of (block, head) as done. True for the last one, which then sees what the others wrote; the count
 * starts anew. */
bool qn_attention_arrive(const struct qn_attention_params *p, int64_t block, int64_t head, int64_t splits);

#endif
