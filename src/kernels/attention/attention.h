/* Family ATTENTION: softmax(q k^T * scale + mask) v in one pass over the keys, for a dense call and for a paged cache.
 * A cap bends the scaled scores s to cap * tanh(s / cap) before the mask.
 * q and y are of any float dtype; k and v share one: f32, f16, bf16, f64, or for the paged form a block type (head
 * sizes whole blocks; strides of block views in blocks). Sums run in f32 or better.
 *
 * A query's bits depend on its own q, its own visible keys in their order, and nothing else: fast kernels take keys in
 * partitions of QN_ATTENTION_PART absolute positions, each with its own maximum, and merge them in rising order, the
 * same whether partitions run one after the other or on several threads. A key outside a query's range is not touched
 * for it; one that a mask hides has weight 0.
 *
 * A query's sink is the score of one more key, whose value is 0; it is added when all keys have passed.
 *
 * DENSE: q [..., m, d], k [..., l, d], v [..., l, e], mask [..., m, l] (data NULL: none; f32 added, or bool: false
 * hides the key), y [..., m, e]; all views have y's rank, broadcast axes have stride 0. A query without a visible key
 * gives NaN. A tile is (batch, block of queries).
 *
 * PAGED: q [n, kv_heads, group, d], k [r, kv_heads, d], v [r, kv_heads, e], y [n, kv_heads, group, e]. Query i sees
 * the cache rows rows[seq[i], j] for pos[i] - window < j <= pos[i] (window 0: from 0). A sequence, position or row
 * outside its table reports a fault; the result is then of no use. A tile is (block of queries, kv head), times a
 * partition of the keys where `shared` is given and queries are few.
 */
#ifndef QN_KERNELS_ATTENTION_H
#define QN_KERNELS_ATTENTION_H

#include <stdbool.h>

#include "kernels/fault.h"
#include "kernels/kernel.h"
#include "quant/quant.h"

enum { QN_ATTENTION_PART = 256 }; /* positions */

struct qn_attention_params {
    bool paged;
    float scale, cap; /* cap 0: none */
    int64_t window;   /* PAGED; 0: all */
    struct qn_view q, k, v, y;
    struct qn_view mask;           /* DENSE; data NULL: none */
    struct qn_view sinks;          /* f32, of y's dims but with 1 for e; data NULL: none */
    struct qn_view rows, seq, pos; /* PAGED: i32 [s, l], [n], [n] */
    qn_dequantise_fn dequantise;   /* of k's dtype, where that is a block type */
    void *shared;                  /* PAGED: qn_attention_shared_bytes, zeroed before the first use; or NULL */
    int32_t *fault;                /* enum qn_fault, or NULL */
};

/* The generic kernel; the others hand it calls in which something is f64. */
extern const struct qn_kernel qn_attention_ref;

/* Bytes of the memory that the tiles of one call share when its keys are split over threads; an upper bound for every
 * call with at most n queries and l positions. 0: such calls are never split. */
int64_t qn_attention_shared_bytes(int64_t n, int64_t kv_heads, int64_t group, int64_t e, int64_t l);

#endif
