/* Shared libraries opened while the program runs. */
#ifndef QN_PLATFORM_LIBRARY_H
#define QN_PLATFORM_LIBRARY_H

#include "base/status.h"

struct qn_library;

/* Errors name the path and the loader's reason. A path without a slash is looked for in the system. */
qn_status qn_library_open(const char *path, struct qn_library **out) QN_MUST_USE;
void qn_library_close(struct qn_library *library);                     /* NULL is allowed */
void *qn_library_find(struct qn_library *library, const char *symbol); /* NULL when absent */

#endif
