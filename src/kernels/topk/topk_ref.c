#include "kernels/topk/topk.h"
#include "kernels/walk.h"

struct entry {
    uint64_t key;
    int64_t index;
};

/* a comes before b in the result. */
static bool before(struct entry a, struct entry b)
{
    return a.key > b.key || (a.key == b.key && a.index < b.index);
}

/* A heap whose root is the entry that comes last: `count` entries from `root` on, the root's place is free for e. */
static void sift(struct entry *heap, int64_t count, int64_t root, struct entry e)
{
    for (int64_t child; (child = 2 * root + 1) < count; root = child) {
        if (child + 1 < count && before(heap[child], heap[child + 1]))
            child++;
        if (!before(e, heap[child]))
            break;
        heap[root] = heap[child];
    }
    heap[root] = e;
}

static int64_t tiles(const void *params)
{
    const struct qn_topk_params *p = params;
    int64_t rows = 1;
    for (uint32_t i = 0; i + 1 < p->x.rank; i++)
        rows *= p->x.dims[i];
    return rows;
}

static int64_t scratch_bytes(const void *params)
{
    return ((const struct qn_topk_params *)params)->k * (int64_t)sizeof(struct entry);
}

static void select_row(const struct qn_topk_params *p, const char *x, int64_t step, struct entry *heap)
{
    int64_t n = p->x.dims[p->x.rank - 1], k = p->k;
    for (int64_t i = n; i < k; i++) /* sizes that are only known in a run may disagree */
        heap[i] = (struct entry){0, 0};
    k = k < n ? k : n;
    uint64_t flip = p->smallest ? UINT64_MAX : 0;
    for (int64_t i = 0; i < n; i++) {
        struct entry e = {qn_element_key(x + i * step, p->x.dtype) ^ flip, i};
        if (i < k) {
            heap[i] = e;
            if (i == k - 1)
                for (int64_t root = k / 2; root-- > 0;)
                    sift(heap, k, root, heap[root]);
        } else if (before(e, heap[0])) {
            sift(heap, k, 0, e);
        }
    }
    for (int64_t last = k - 1; last > 0; last--) {
        struct entry e = heap[last];
        heap[last] = heap[0];
        sift(heap, last, 0, e);
    }
}

static void run(const void *params, int64_t begin, int64_t end, void *scratch)
{
    const struct qn_topk_params *p = params;
    struct entry *heap = scratch;
    if (p->k == 0)
        return;
    uint32_t axis = p->x.rank - 1;
    int64_t bytes = qn_element_bytes(p->x.dtype), index_bytes = qn_element_bytes(p->indices.dtype);
    int64_t step = p->x.strides[axis] * bytes;
    int64_t values_step = p->values.strides[axis] * bytes, indices_step = p->indices.strides[axis] * index_bytes;
    for (int64_t row = begin; row < end; row++) {
        const char *x = qn_view_row(&p->x, axis, row, bytes);
        char *values = qn_view_row(&p->values, axis, row, bytes);
        char *indices = qn_view_row(&p->indices, axis, row, index_bytes);
        select_row(p, x, step, heap);
        for (int64_t i = 0; i < p->k; i++) {
            if (p->x.dims[axis] == 0)
                qn_zero_elements(values + i * values_step, 0, bytes, 1);
            else
                qn_move_elements(values + i * values_step, 0, x + heap[i].index * step, 0, bytes, 1);
            qn_store_i64(indices + i * indices_step, 0, p->indices.dtype, &heap[i].index, 1);
        }
    }
}

const struct qn_kernel qn_topk_ref = {
    .serial = 1500,
    .name = "topk_ref",
    .family = QN_FAMILY_TOPK,
    .tiles = tiles,
    .scratch = scratch_bytes,
    .run = run,
};
