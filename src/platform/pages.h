/* Large zero-filled memory straight from the operating system: a page costs nothing before it is touched. */
#ifndef QN_PLATFORM_PAGES_H
#define QN_PLATFORM_PAGES_H

#include <stddef.h>
#include <stdint.h>

/* NULL on lack of memory. size 0 gives NULL. Aligned to a page; from 4 MiB on to 2 MiB, the size of a large one. */
void *qn_pages_alloc(size_t size);
void qn_pages_free(void *pages, size_t size); /* NULL is allowed; the size it was allocated with */
/* A hint for memory that is read often: fewer, larger pages where the system has them. */
void qn_pages_want_large(void *pages, size_t size);
/* Bytes that the process can still fill: what the machine has left, swap included, and not more than its container is
 * given. UINT64_MAX where the system does not tell. Takes some ten microseconds. The system hands out memory that it
 * does not have and ends the process that fills it: who is about to fill much asks here first. */
uint64_t qn_memory_left(void);

#endif
