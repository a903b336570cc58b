#include "platform/pages.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

/* From this size on memory is aligned to large pages, of which it has room for one at least. */
static const size_t LARGE_PAGE = (size_t)2 << 20, LARGE_FROM = (size_t)4 << 20;

static void *map(size_t size)
{
    void *pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return pages == MAP_FAILED ? NULL : pages;
}

/* Takes a large page more, and gives back what is left over at both ends. */
static void *map_aligned(size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (size > SIZE_MAX - LARGE_PAGE - page)
        return NULL;
    size = (size + page - 1) / page * page;
    uint8_t *whole = map(size + LARGE_PAGE);
    if (!whole)
        return NULL;
    size_t before = (LARGE_PAGE - (uintptr_t)whole % LARGE_PAGE) % LARGE_PAGE, behind = LARGE_PAGE - before;
    if (before)
        munmap(whole, before);
    if (behind)
        munmap(whole + before + size, behind);
    return whole + before;
}

void *qn_pages_alloc(size_t size)
{
    if (size == 0)
        return NULL;
    return size < LARGE_FROM ? map(size) : map_aligned(size);
}

void qn_pages_free(void *pages, size_t size)
{
    if (pages)
        munmap(pages, size);
}

void qn_pages_want_large(void *pages, size_t size)
{
#ifdef MADV_HUGEPAGE
    /* Whole ones only: one that reached beyond the end would be filled for its neighbour, which nobody may use. */
    if (pages && size >= LARGE_FROM)
        (void)madvise(pages, size / LARGE_PAGE * LARGE_PAGE, MADV_HUGEPAGE);
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
