/* Sliding windows as ONNX's attributes give them: kernel_shape, strides, dilations, pads, auto_pad. */
#ifndef QN_FORMAT_ONNX_WINDOW_H
#define QN_FORMAT_ONNX_WINDOW_H

#include "format/onnx/lower.h"

enum qn_auto_pad { QN_AUTO_PAD_NOTSET = 0, QN_AUTO_PAD_UPPER, QN_AUTO_PAD_LOWER, QN_AUTO_PAD_VALID };

struct qn_onnx_window {
    uint32_t spatial, first; /* spatial axes, and the first of them */
    struct qn_ints kernel, strides, dilations;
    struct qn_ints begin, end; /* qn_dims */
    enum qn_auto_pad auto_pad;
};

/* Reads the window of an op over x [n, c, spatial...] (channels_last: [n, spatial..., c]); the kernel comes from
 * kernel_shape, or from the weights [., ., kernel...] where there are any (0: none). Padding is worked out from
 * auto_pad; what is negative is cut off *x. False after an error, or when it has been put off until dims are known. */
bool qn_onnx_window(struct qn_lower *l, qn_value *x, qn_value weights, bool channels_last, struct qn_onnx_window *w);

/* The record of a pool over x, all but what one kind of pool has of its own. False as above. */
bool qn_onnx_read_pool(struct qn_lower *l, qn_value *x, bool channels_last, struct qn_attr_pool *attr);

/* An attribute that counts groups, 1 where it is absent; less is an error. */
int64_t qn_onnx_groups(struct qn_lower *l, const char *name);

/* Elements from the first to the last of a window along axis i. */
int64_t qn_onnx_window_reach(const struct qn_onnx_window *w, uint32_t i);

#endif
