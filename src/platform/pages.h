/* Large zero-filled memory straight from the operating system: a page costs nothing before it is touched. */
#ifndef QN_PLATFORM_PAGES_H
#define QN_PLATFORM_PAGES_H

#include <stddef.h>

/* NULL on lack of memory. size 0 gives NULL. Aligned to a page. */
void *qn_pages_alloc(size_t size);
void qn_pages_free(void *pages, size_t size); /* NULL is allowed; the size it was allocated with */
/* A hint for memory that is read often: fewer, larger pages where the system has them. */
void qn_pages_want_large(void *pages, size_t size);

#endif
