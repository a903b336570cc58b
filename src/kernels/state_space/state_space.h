/* Family STATE_SPACE: what a recurrent layer does with the tokens of a step, and the state that a sequence carries from
 * step to step. All floats are f32 and contiguous.
 *
 * CONV: each channel of token i is the sum of its last `width` inputs by the weights w [c, width], oldest first. The
 * state [s, width - 1, c] holds the inputs before the step, oldest first.
 *
 * SCAN: h = exp(dt a) h + dt b x for each of `width` numbers h of a channel, y = the sum of h by c over them. The state
 * [s, c, width] holds h.
 *
 * Token i belongs to sequence seq[i]; the tokens of a sequence stand in the order of their positions. Position 0 finds
 * a state of zeros, whatever lies there. A sequence without a state reports a fault, and its token gives 0. States are
 * rounded after each token, so that nothing depends on how tokens are cut into steps.
 *
 * A tile is a block of channels, with all tokens.
 */
#ifndef QN_KERNELS_STATE_SPACE_H
#define QN_KERNELS_STATE_SPACE_H

#include <stdbool.h>
#include <stddef.h>

#include "kernels/fault.h"
#include "kernels/kernel.h"

enum { QN_STATE_SPACE_BLOCK = 32 }; /* channels */

struct qn_state_space_params {
    bool scan; /* otherwise CONV */
    int64_t tokens, sequences, channels, width;
    float *state;
    const float *x;              /* [n, channels] */
    float *y;                    /* [n, channels] */
    const float *w;              /* CONV */
    const float *dt, *a, *b, *c; /* SCAN: [n, channels], [channels, width], [n, width], [n, width] */
    const int32_t *seq, *pos;    /* [n] */
    int32_t *fault;              /* enum qn_fault, or NULL */
};

int64_t qn_state_space_tiles(const void *params);

/* Channels of a tile: [first, end). */
static inline void qn_state_space_range(const struct qn_state_space_params *p, int64_t tile, int64_t *first,
                                        int64_t *end)
{
    *first = tile * QN_STATE_SPACE_BLOCK;
    *end = *first + QN_STATE_SPACE_BLOCK < p->channels ? *first + QN_STATE_SPACE_BLOCK : p->channels;
}

/* The state of a token's sequence; NULL with a fault where there is none. */
static inline float *qn_state_space_at(const struct qn_state_space_params *p, int64_t token)
{
    int64_t sequence = p->seq[token], size = (p->scan ? p->width : p->width - 1) * p->channels;
    if (sequence >= 0 && sequence < p->sequences)
        return p->state + sequence * size;
    qn_fault_report(p->fault, QN_FAULT_INDEX);
    return NULL;
}

#endif
