#include "cli/footprint.h"

#include <stdio.h> /* also tells which libc this is */

#if defined(__linux__) && defined(__GLIBC__)

#include <malloc.h>
#include <stdbool.h>
#include <sys/mman.h>

/* A mapping as /proc/self/smaps tells of it. */
struct mapping {
    unsigned long begin, end, file; /* file: its inode, 0 for none */
    char rights[5];
};

/* Code and constants of the program and its libraries. Not what belongs to a model, which is mapped as shared. */
static bool is_constant(const struct mapping *m)
{
    return m->file && m->rights[1] == '-' && m->rights[3] == 'p';
}

/* Pages that are the same in memory as in their file may go: they come back when they are used. Those that somebody
 * wrote to (the loader, a debugger with its breakpoints, a tool that patches code) count as anonymous, and a mapping
 * with any of them is left alone. */
static void drop_constants(FILE *smaps)
{
    struct mapping m = {0}, next;
    char line[512];
    while (fgets(line, sizeof line, smaps)) {
        unsigned long changed;
        if (sscanf(line, "%lx-%lx %4s %*x %*x:%*x %lu", &next.begin, &next.end, next.rights, &next.file) == 4)
            m = next;
        else if (sscanf(line, "Anonymous: %lu kB", &changed) == 1 && changed == 0 && is_constant(&m))
            (void)madvise((void *)m.begin, m.end - m.begin, MADV_DONTNEED); /* a hint may fail */
    }
}

void qn_footprint_settle(void)
{
    malloc_trim(0);
    FILE *smaps = fopen("/proc/self/smaps", "re");
    if (smaps) {
        drop_constants(smaps);
        fclose(smaps);
    }
}

#else

void qn_footprint_settle(void)
{
}

#endif
