/* Host functions: ops that are no kernels, because they allocate or find out the size of their outputs while they run:
 * sequences, optionals, strings, nonzero, unique, non-maximum suppression, decoding of images. One file a group; the
 * backend's table says which op runs which function.
 */
#ifndef QN_HOST_HOST_H
#define QN_HOST_HOST_H

#include "host/object.h"

struct qn_pool;
struct qn_body_source;

struct qn_host_call {
    uint16_t op;
    const void *attr; /* dims resolved where they are known before the step */
    /* For each input a tensor's view (in[i].dtype is not OBJECT), an object, or both where the tensor is an object that
     * may be held. An absent optional input has dtype NONE and no object. */
    const struct qn_view *in;
    struct qn_object *const *in_objects;
    uint32_t in_count;
    /* To be filled with one reference each; a tensor of a typed output is an object too, and the executor checks it
     * against the type and binds its late dims. */
    struct qn_object **out;
    uint32_t out_count;
    struct qn_store *store;
    struct qn_pool *pool;
    const volatile int *cancel;          /* may be NULL; long work looks at it */
    void *context;                       /* of the backend's row */
    const struct qn_body_source *source; /* of the program: custom nodes; NULL: none */
};

/* Errors say what was wrong with which input; the executor adds the node. */
typedef qn_status (*qn_host_fn)(const struct qn_host_call *call);

#define QN_HOST_ROW(function) qn_status qn_host_##function(const struct qn_host_call *call) QN_MUST_USE;
#include "host/host.def"
#undef QN_HOST_ROW

#endif
