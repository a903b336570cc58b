/* Family RECURRENT: lstm, gru and rnn over whole sequences. Operands are contiguous, of one dtype (f32 or f64), laid
 * out as ops.def says; gates in ONNX's order (lstm: i o f c, gru: z r h).
 *
 * A tile is one direction of up to QN_RECURRENT_BATCH neighbouring sequences of the batch, from its first step to its
 * last. Steps past a sequence's length give zeros in y and leave its state alone; the reverse direction starts at the
 * sequence's own end. */
#ifndef QN_KERNELS_RECURRENT_RECURRENT_H
#define QN_KERNELS_RECURRENT_RECURRENT_H

#include "kernels/kernel.h"

enum { QN_RECURRENT_BATCH = 4 };

struct qn_recurrent_params {
    int32_t gates; /* 4: lstm, 3: gru, 1: rnn */
    qn_dtype dtype;
    int64_t time, batch, inputs, hidden, directions;
    bool reverse; /* direction 0 runs backwards (direction 1 always does) */
    bool input_forget, linear_before_reset;
    float clip;               /* of what goes into a gate's activation; 0: none */
    int32_t activation[6];    /* enum qn_activation, by direction: lstm 3, gru 2, rnn 1 */
    float alpha[6], beta[6];  /* of each */
    const void *x, *w, *r;    /* [t, b, i], [d, g h, i], [d, g h, h] */
    const void *bias, *peeps; /* [d, 2 g h], [d, 3 h]; may be NULL */
    const int32_t *lengths;   /* [b], or NULL: all of t; clipped to 0 .. t */
    const void *h0, *c0;      /* [d, b, h]; NULL: zero */
    void *y, *h, *c;          /* [t, d, b, h], [d, b, h], [d, b, h]; c NULL but for lstm */
};

static inline int64_t qn_recurrent_length(const struct qn_recurrent_params *p, int64_t row)
{
    int64_t length = p->lengths ? p->lengths[row] : p->time;
    return length < 0 ? 0 : length > p->time ? p->time : length;
}

/* The place in time of step s of a sequence. */
static inline int64_t qn_recurrent_time(const struct qn_recurrent_params *p, int64_t direction, int64_t length,
                                        int64_t s)
{
    return direction == 1 || p->reverse ? length - 1 - s : s;
}

/* The generic kernel, in double. */
extern const struct qn_kernel qn_recurrent_ref;

#endif
