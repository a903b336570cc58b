/* The backends that a session asks for by name: the CPU, and those of extensions behind the interface of backend.h. */
#ifndef QN_EXEC_CUSTOM_BACKEND_H
#define QN_EXEC_CUSTOM_BACKEND_H

#include "backend/backend.h"
#include "quern/extension.h"

enum { QN_MAX_BACKENDS = 16 };

struct qn_backends {
    const struct qn_allocator *allocator;
    const struct qn_backend *preferred[QN_MAX_BACKENDS]; /* before the CPU, which takes what is left */
    uint32_t count;
    struct qn_backend *made; /* QN_MAX_BACKENDS */
};

/* names: "a,b,cpu", what stands behind cpu is never asked; NULL: the CPU alone. An unknown name is an error that lists
 * the known ones. The extensions must outlive the backends. */
qn_status qn_backends_init(struct qn_backends *backends, const char *names,
                           const struct qn_extension *const *extensions, uint32_t extension_count,
                           const struct qn_allocator *allocator) QN_MUST_USE;
/* extension.c: whether all is there that a session calls or reads; QN_UNSUPPORTED names what is not. */
qn_status qn_extension_check(const struct qn_extension *extension) QN_MUST_USE;

void qn_backends_deinit(struct qn_backends *backends);

#endif
