/* Walking strided operands of the same dims: in row-major order, in runs along the innermost axis. Axes that lie
 * behind one another in every operand are merged, so that contiguous operands are one long run. */
#ifndef QN_KERNELS_WALK_H
#define QN_KERNELS_WALK_H

#include "kernels/element.h"
#include "kernels/kernel.h"

enum { QN_WALK_OPERANDS = 4 };

struct qn_walk {
    uint32_t rank, operands;
    int64_t dims[8], index[8];
    int64_t steps[QN_WALK_OPERANDS][8]; /* bytes */
    char *at[QN_WALK_OPERANDS];
};

/* Elements of a view (1 for rank 0). */
static inline int64_t qn_view_elems(const struct qn_view *view)
{
    int64_t n = 1;
    for (uint32_t i = 0; i < view->rank; i++)
        n *= view->dims[i];
    return n;
}

/* Tiles of QN_ELEMENT_TILE elements. */
static inline int64_t qn_view_tiles(const struct qn_view *view)
{
    return (qn_view_elems(view) + QN_ELEMENT_TILE - 1) / QN_ELEMENT_TILE;
}

/* Starts at element `first` in row-major order; the dims are those of views[0]. All dtypes are plain. */
void qn_walk_start(struct qn_walk *walk, const struct qn_view *const *views, uint32_t operands, int64_t first);

/* Elements up to the end of the innermost axis, at most `limit`. Operand o lies at walk->at[o], its elements
 * qn_walk_step(walk, o) bytes apart. */
static inline int64_t qn_walk_run(const struct qn_walk *walk, int64_t limit)
{
    int64_t left = walk->dims[walk->rank - 1] - walk->index[walk->rank - 1];
    return left < limit ? left : limit;
}

static inline int64_t qn_walk_step(const struct qn_walk *walk, uint32_t operand)
{
    return walk->steps[operand][walk->rank - 1];
}

/* n is at most what qn_walk_run gave. */
void qn_walk_advance(struct qn_walk *walk, int64_t n);

/* Address of the first element of row `row`, rows being the lines along `axis` in row-major order of the other axes;
 * unit: bytes of a storage unit. */
char *qn_view_row(const struct qn_view *view, uint32_t axis, int64_t row, int64_t unit);

#endif
