#include "platform/pages.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
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

/* The limit of a container, which sees its own there; files are missing, or hold "max", where there is none. */
static uint64_t container_limit(void)
{
    static const char *const paths[] = {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"};
    uint64_t limit = UINT64_MAX;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        FILE *file = fopen(paths[i], "re");
        uint64_t bytes;
        if (!file)
            continue;
        if (fscanf(file, "%" SCNu64, &bytes) == 1 && bytes < limit)
            limit = bytes;
        fclose(file);
    }
    return limit;
}

uint64_t qn_memory_left(void)
{
    uint64_t left = 0, limit = container_limit();
    bool told = false;
    FILE *file = fopen("/proc/meminfo", "re");
    if (!file)
        return limit;
    char line[128];
    while (fgets(line, sizeof line, file)) {
        uint64_t kib;
        if (sscanf(line, "MemAvailable: %" SCNu64, &kib) == 1) {
            told = true;
            left += kib << 10;
        } else if (sscanf(line, "SwapFree: %" SCNu64, &kib) == 1) {
            left += kib << 10;
        }
    }
    fclose(file);
    return told && left < limit ? left : limit;
}
