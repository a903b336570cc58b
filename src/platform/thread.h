/* Threads, and the two calls on which the pool sleeps and wakes. */
#ifndef QN_PLATFORM_THREAD_H
#define QN_PLATFORM_THREAD_H

#include <stdint.h>

#include "base/status.h"

struct qn_thread {
    unsigned long id; /* of the system */
};

/* `run` gets `context`. The name (at most 15 characters) is what top and debuggers show. */
qn_status qn_thread_start(struct qn_thread *thread, const char *name, void (*run)(void *context),
                          void *context) QN_MUST_USE;
void qn_thread_join(struct qn_thread *thread);

/* Sleeps while *word == expected, until woken; may also wake for no reason, so that callers look again. */
void qn_futex_wait(uint32_t *word, uint32_t expected);
/* Wakes up to `count` sleepers on word. */
void qn_futex_wake(uint32_t *word, uint32_t count);

/* Tells the core that this is a spin loop. */
static inline void qn_cpu_relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb" ::: "memory");
#endif
}

/* Physical cores that this process may use: its affinity, one thread a core, and the CPU limit of its container.
 * At least 1. */
uint32_t qn_physical_cores(void);

#endif
