/* What host functions share: reading small integers, making and copying tensors. */
#ifndef QN_HOST_HOST_CALL_H
#define QN_HOST_HOST_CALL_H

#include <inttypes.h>

#include "base/checked.h"
#include "host/host.h"
#include "kernels/walk.h"

static inline bool qn_host_has(const struct qn_host_call *c, uint32_t i)
{
    return i < c->in_count && (c->in[i].dtype != QN_DTYPE_NONE || c->in_objects[i]);
}

/* Bytes of an element of any dtype that tensors have. */
static inline uint64_t qn_host_unit(qn_dtype dtype)
{
    return qn_dtype_info(dtype)->block_bytes;
}

/* Input i as a tensor; an error when it is absent or a sequence, optional or map. */
static inline qn_status qn_host_tensor(const struct qn_host_call *c, uint32_t i, struct qn_view *out)
{
    if (!qn_host_has(c, i))
        return QN_ERROR(QN_INVALID_ARGUMENT, "input %u is absent", i);
    if (c->in_objects[i] && c->in_objects[i]->kind != QN_OBJECT_TENSOR)
        return QN_ERROR(QN_INVALID_ARGUMENT, "input %u is no tensor", i);
    memcpy(out, c->in_objects[i] ? &c->in_objects[i]->tensor : &c->in[i], sizeof *out);
    if (out->rank > sizeof out->dims / sizeof out->dims[0])
        return QN_ERROR(QN_INTERNAL, "input %u has rank %u", i, out->rank);
    return NULL;
}

/* An i32 or i64 of one element. */
static inline qn_status qn_host_integer(const struct qn_host_call *c, uint32_t i, int64_t *out)
{
    struct qn_view view;
    QN_TRY(qn_host_tensor(c, i, &view));
    if ((view.dtype != QN_DTYPE_I32 && view.dtype != QN_DTYPE_I64) || qn_view_elems(&view) != 1)
        return QN_ERROR(QN_INVALID_ARGUMENT, "input %u is no integer", i);
    *out = qn_load_index(view.data, view.dtype);
    return NULL;
}

/* In the loops of long work, an element or so a round: QN_CANCELLED when the run is to end. */
static inline qn_status qn_host_go_on(const struct qn_host_call *c)
{
    return c->cancel && __atomic_load_n(c->cancel, __ATOMIC_RELAXED) ? QN_ERROR(QN_CANCELLED, "the run was cancelled")
                                                                     : NULL;
}

/* Input i as an object with a reference of its own: a tensor is copied, since its memory is the plan's. */
qn_status qn_host_hold(const struct qn_host_call *c, uint32_t i, struct qn_object **out) QN_MUST_USE;

#endif
