#define _GNU_SOURCE /* dl_iterate_phdr */
#include "cli/footprint.h"

#include <stdio.h> /* also tells which libc this is */

#if defined(__linux__) && defined(__GLIBC__)

#include <link.h>
#include <malloc.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/terminal.h"

/* A debugger's breakpoints are changed pages of the program, which would be lost. */
static bool is_debugged(void)
{
    return qn_terminal_process_number("TracerPid") != 0;
}

/* Whether the loader has written addresses into the code, as it does for a library that was not built for any place. */
static bool has_changed_code(const struct dl_phdr_info *object)
{
    for (int i = 0; i < object->dlpi_phnum; i++) {
        if (object->dlpi_phdr[i].p_type != PT_DYNAMIC)
            continue;
        const ElfW(Dyn) *entry = (const ElfW(Dyn) *)(object->dlpi_addr + object->dlpi_phdr[i].p_vaddr);
        for (; entry->d_tag != DT_NULL; entry++)
            if (entry->d_tag == DT_TEXTREL || (entry->d_tag == DT_FLAGS && (entry->d_un.d_val & DF_TEXTREL)))
                return true;
    }
    return false;
}

/* Parts that cannot be written are otherwise the same in memory as in the file. */
static int drop_constant_parts(struct dl_phdr_info *object, size_t size, void *context)
{
    (void)size;
    if (has_changed_code(object))
        return 0;
    uintptr_t page = *(const uintptr_t *)context;
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &object->dlpi_phdr[i];
        if (part->p_type != PT_LOAD || (part->p_flags & PF_W))
            continue;
        uintptr_t begin = (object->dlpi_addr + part->p_vaddr) & ~(page - 1);
        uintptr_t end = (object->dlpi_addr + part->p_vaddr + part->p_memsz + page - 1) & ~(page - 1);
        (void)madvise((void *)begin, end - begin, MADV_DONTNEED); /* a hint may fail */
    }
    return 0;
}

void qn_footprint_settle(void)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    malloc_trim(0);
    if (!is_debugged())
        dl_iterate_phdr(drop_constant_parts, &page);
}

#else

void qn_footprint_settle(void)
{
}

#endif
