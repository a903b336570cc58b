#include "platform/pages.h"

#include <sys/mman.h>

void *qn_pages_alloc(size_t size)
{
    if (size == 0)
        return NULL;
    void *pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return pages == MAP_FAILED ? NULL : pages;
}

void qn_pages_free(void *pages, size_t size)
{
    if (pages)
        munmap(pages, size);
}

void qn_pages_want_large(void *pages, size_t size)
{
#ifdef MADV_HUGEPAGE
    if (pages && size >= (size_t)4 << 20)
        (void)madvise(pages, size, MADV_HUGEPAGE);
#else
    (void)pages;
    (void)size;
#endif
}
