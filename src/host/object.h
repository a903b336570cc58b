/* What only a run knows: tensors whose size or type comes out of data, sequences, optionals and maps.
 *
 * An object is immutable once made and counted by reference. Its memory comes from a store, which keeps what is given
 * back: after the first runs of the same sizes a store takes nothing from the system any more.
 *
 * Threads: a store and its objects belong to one run at a time.
 */
#ifndef QN_HOST_OBJECT_H
#define QN_HOST_OBJECT_H

#include "base/status.h"
#include "base/str.h"
#include "kernels/kernel.h"
#include "quern/tensor.h"

struct qn_store;

qn_status qn_store_create(const struct qn_allocator *allocator, struct qn_store **out) QN_MUST_USE;
void qn_store_destroy(struct qn_store *store); /* NULL is allowed; all objects must be gone */
/* A block of at least `bytes`, 64-byte aligned, not zeroed; NULL when there is no memory. */
void *qn_store_take(struct qn_store *store, uint64_t bytes);
void qn_store_give(struct qn_store *store, void *block); /* NULL is allowed */
/* Bytes of strings live until the store's next qn_store_reset: elements of string tensors point there. */
char *qn_store_text(struct qn_store *store, size_t size);
void qn_store_reset(struct qn_store *store);           /* drops text; blocks in use stay */
uint64_t qn_store_bytes(const struct qn_store *store); /* held from the system: the high-water mark */

enum qn_object_kind {
    QN_OBJECT_TENSOR = 0,
    QN_OBJECT_SEQUENCE,
    QN_OBJECT_OPTIONAL, /* an optional that holds nothing (count 0) or items[0] */
    QN_OBJECT_MAP,      /* items[0]: keys [n], items[1]: values [n, ...] */
};

struct qn_object {
    uint32_t references;
    enum qn_object_kind kind;
    struct qn_store *store;
    struct qn_view tensor; /* TENSOR: contiguous; data NULL only when it has no elements */
    bool borrowed;         /* tensor.data belongs to somebody else and outlives the run */
    uint32_t count;
    struct qn_object **items;
};

/* New objects have one reference. dims are those of a contiguous tensor; *out->tensor.data may be written until the
 * object is shared. */
qn_status qn_object_tensor(struct qn_store *store, qn_dtype dtype, uint32_t rank, const int64_t *dims,
                           struct qn_object **out) QN_MUST_USE;
/* A tensor over memory of somebody else. */
qn_status qn_object_borrow(struct qn_store *store, const struct qn_view *tensor, struct qn_object **out) QN_MUST_USE;
/* A sequence, optional or map; takes a reference to each item. */
qn_status qn_object_group(struct qn_store *store, enum qn_object_kind kind, struct qn_object *const *items,
                          uint32_t count, struct qn_object **out) QN_MUST_USE;
struct qn_object *qn_object_hold(struct qn_object *object); /* NULL gives NULL */
void qn_object_release(struct qn_object *object);           /* NULL is allowed */

/* A contiguous view as the public API shows tensors. */
static inline struct qn_tensor qn_view_tensor(const struct qn_view *view)
{
    struct qn_tensor tensor = {.data = view->data, .dtype = view->dtype, .rank = view->rank};
    tensor.bytes = qn_dtype_info(view->dtype)->block_bytes;
    for (uint32_t i = 0; i < view->rank; i++) {
        tensor.dims[i] = view->dims[i];
        tensor.bytes *= (size_t)view->dims[i];
    }
    return tensor;
}

#endif
