/* Lines of a tensor along one axis, taken in blocks of neighbours, so that memory is read in order whichever axis it
 * is: where the axis is the innermost in memory a block is one line, otherwise up to QN_LINES lines side by side. */
#ifndef QN_KERNELS_LINES_H
#define QN_KERNELS_LINES_H

#include "kernels/walk.h"

enum { QN_LINES = 64 };

/* The view without its axis: one element a line. */
static inline struct qn_view qn_lines_base(const struct qn_view *view, uint32_t axis)
{
    struct qn_view base = {.data = view->data, .dtype = view->dtype};
    for (uint32_t i = 0; i < view->rank; i++) {
        if (i == axis)
            continue;
        base.dims[base.rank] = view->dims[i];
        base.strides[base.rank++] = view->strides[i];
    }
    return base;
}

static inline int64_t qn_lines(const struct qn_view *view, uint32_t axis)
{
    struct qn_view base = qn_lines_base(view, axis);
    return qn_view_elems(&base);
}

/* Lines in a tile: enough for about 4,096 elements. */
static inline int64_t qn_lines_a_tile(int64_t length)
{
    return length >= 4096 / QN_LINES ? QN_LINES : 4096 / (length > 0 ? length : 1);
}

#endif
