/* Raising and passing on statuses inside the library (the receiving side is quern/status.h). */
#ifndef QN_BASE_STATUS_H
#define QN_BASE_STATUS_H

#include "quern/status.h"

/* Raises a status: return QN_ERROR(QN_INVALID_FILE, "tensor '%s': ...", name); */
#define QN_ERROR(code, ...) qn_status_raised(qn_status_make((code), __FILE__, __LINE__, __VA_ARGS__))

/* Raises the out-of-memory status without allocating. */
#define QN_OOM() qn_status_raised(qn_status_oom())

/* Returns from the calling function when expr fails. */
#define QN_TRY(expr)                      \
    do {                                  \
        qn_status qn_try_status = (expr); \
        if (qn_try_status)                \
            return qn_try_status;         \
    } while (0)

/* Jumps to label when expr fails; `status` must be a qn_status variable in scope. */
#define QN_TRY_GOTO(expr, label) \
    do {                         \
        if ((status = (expr)))   \
            goto label;          \
    } while (0)

qn_status qn_status_oom(void) QN_MUST_USE __attribute__((returns_nonnull));

/* A raised status is never NULL. Compilers and analysers must see it, or they warn of what a failed call left unset. */
static inline QN_MUST_USE qn_status qn_status_raised(qn_status status)
{
    if (!status)
        __builtin_unreachable();
    return status;
}

/* Prefixes a note ("file 'x.gguf'") to a status and returns it; NULL stays NULL. */
qn_status qn_status_note(qn_status status, const char *fmt, ...) QN_PRINTF(2, 3) QN_MUST_USE;

/* For the rare caller that can do without the failed step. */
static inline void qn_status_ignore(qn_status status)
{
    qn_status_free(status);
}

#endif
