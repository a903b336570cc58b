#include "kernels/walk.h"

/* Axis `from` continues axis `to` in every operand. */
static bool mergeable(const struct qn_walk *walk, uint32_t to, int64_t from_dim, const int64_t *from_steps)
{
    for (uint32_t o = 0; o < walk->operands; o++)
        if (walk->steps[o][to] != from_steps[o] * from_dim)
            return false;
    return true;
}

void qn_walk_start(struct qn_walk *walk, const struct qn_view *const *views, uint32_t operands, int64_t first)
{
    walk->operands = operands;
    walk->rank = 0;
    for (uint32_t o = 0; o < operands; o++)
        walk->at[o] = views[o]->data;
    for (uint32_t axis = 0; axis < views[0]->rank; axis++) {
        int64_t dim = views[0]->dims[axis], steps[QN_WALK_OPERANDS];
        if (dim == 1)
            continue;
        for (uint32_t o = 0; o < operands; o++)
            steps[o] = views[o]->strides[axis] * qn_element_bytes(views[o]->dtype);
        bool merge = walk->rank > 0 && mergeable(walk, walk->rank - 1, dim, steps);
        uint32_t to = merge ? walk->rank - 1 : walk->rank++;
        walk->dims[to] = merge ? walk->dims[to] * dim : dim;
        for (uint32_t o = 0; o < operands; o++)
            walk->steps[o][to] = steps[o];
    }
    if (walk->rank == 0) {
        walk->rank = 1;
        walk->dims[0] = 1;
        for (uint32_t o = 0; o < operands; o++)
            walk->steps[o][0] = 0;
    }
    for (uint32_t axis = walk->rank; axis-- > 0;) {
        int64_t dim = walk->dims[axis];
        walk->index[axis] = dim ? first % dim : 0;
        first = dim ? first / dim : 0;
        for (uint32_t o = 0; o < operands && walk->index[axis]; o++)
            walk->at[o] += walk->index[axis] * walk->steps[o][axis];
    }
}

/* An absent operand stands at NULL and has steps of 0: C allows not even that sum on pointers. */
static inline char *moved(char *at, int64_t bytes)
{
    return (char *)((uintptr_t)at + (uintptr_t)bytes);
}

void qn_walk_advance(struct qn_walk *walk, int64_t n)
{
    for (uint32_t axis = walk->rank; axis-- > 0; n = 1) {
        for (uint32_t o = 0; o < walk->operands; o++)
            walk->at[o] = moved(walk->at[o], n * walk->steps[o][axis]);
        walk->index[axis] += n;
        if (walk->index[axis] < walk->dims[axis] || axis == 0)
            return;
        for (uint32_t o = 0; o < walk->operands; o++)
            walk->at[o] = moved(walk->at[o], -walk->dims[axis] * walk->steps[o][axis]);
        walk->index[axis] = 0;
    }
}

char *qn_view_row(const struct qn_view *view, uint32_t axis, int64_t row, int64_t unit)
{
    int64_t offset = 0; /* bytes */
    for (uint32_t i = view->rank; i-- > 0;) {
        if (i == axis)
            continue;
        offset += row % view->dims[i] * view->strides[i] * unit;
        row /= view->dims[i];
    }
    return offset ? (char *)view->data + offset : view->data; /* no arithmetic on NULL, of which nothing is read */
}
