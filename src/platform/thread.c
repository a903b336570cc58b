#define _GNU_SOURCE /* affinity, thread names */
#include "platform/thread.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__linux__)
#include <linux/futex.h>
#include <sys/syscall.h>
#endif

/* ---- threads -------------------------------------------------------------------------------------------------- */

struct start {
    void (*run)(void *context);
    void *context;
    char name[16];
};

static void *thread_main(void *argument)
{
    struct start start = *(struct start *)argument;
    free(argument);
#if defined(__linux__)
    pthread_setname_np(pthread_self(), start.name);
#endif
    start.run(start.context);
    return NULL;
}

qn_status qn_thread_start(struct qn_thread *thread, const char *name, void (*run)(void *context), void *context)
{
    struct start *start = malloc(sizeof *start);
    if (!start)
        return QN_OOM();
    *start = (struct start){.run = run, .context = context};
    snprintf(start->name, sizeof start->name, "%s", name);
    /* Signals are the application's business: no thread of ours takes one. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_t id;
    int error = pthread_create(&id, NULL, thread_main, start);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error) {
        free(start);
        return QN_ERROR(QN_OUT_OF_MEMORY, "cannot start thread '%s': %s", name, strerror(error));
    }
    thread->id = (unsigned long)id;
    return NULL;
}

void qn_thread_join(struct qn_thread *thread)
{
    pthread_join((pthread_t)thread->id, NULL);
}

/* ---- sleeping on a word --------------------------------------------------------------------------------------- */

#if defined(__linux__)

void qn_futex_wait(uint32_t *word, uint32_t expected)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, NULL, NULL, 0);
}

void qn_futex_wake(uint32_t *word, uint32_t count)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}

#else

/* One lock and one condition serve all words: every sleeper looks at its own word again. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

void qn_futex_wait(uint32_t *word, uint32_t expected)
{
    pthread_mutex_lock(&lock);
    if (__atomic_load_n(word, __ATOMIC_ACQUIRE) == expected)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

void qn_futex_wake(uint32_t *word, uint32_t count)
{
    (void)word;
    (void)count;
    pthread_mutex_lock(&lock);
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

#endif

/* ---- cores ---------------------------------------------------------------------------------------------------- */

#if defined(__linux__)

/* The lowest logical CPU on the same core as cpu; cpu itself where the system does not say. */
static int first_sibling(int cpu)
{
    char path[96];
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu);
    FILE *file = fopen(path, "re");
    int first = cpu;
    if (file) {
        if (fscanf(file, "%d", &first) != 1)
            first = cpu;
        fclose(file);
    }
    return first;
}

/* CPUs that the container's limit allows, rounded up; a large number without a limit. */
static uint32_t container_limit(void)
{
    long long quota, period;
    FILE *file = fopen("/sys/fs/cgroup/cpu.max", "re");
    if (!file)
        return UINT32_MAX;
    int fields = fscanf(file, "%lld %lld", &quota, &period); /* "max 100000" has no number in front */
    fclose(file);
    if (fields != 2 || quota <= 0 || period <= 0)
        return UINT32_MAX;
    long long cpus = (quota + period - 1) / period;
    return cpus < 1 ? 1 : cpus > 4096 ? 4096 : (uint32_t)cpus;
}

uint32_t qn_physical_cores(void)
{
    cpu_set_t allowed, seen;
    CPU_ZERO(&allowed);
    CPU_ZERO(&seen);
    uint32_t cores = 0;
    if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) {
        for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
            if (!CPU_ISSET(cpu, &allowed))
                continue;
            int first = first_sibling(cpu);
            if (first < 0 || first >= CPU_SETSIZE || CPU_ISSET(first, &seen))
                continue;
            CPU_SET(first, &seen);
            cores++;
        }
    } else { /* more CPUs than the set can name */
        long online = sysconf(_SC_NPROCESSORS_ONLN);
        cores = online < 1 ? 1 : (uint32_t)online;
    }
    uint32_t limit = container_limit();
    if (cores > limit)
        cores = limit;
    return cores ? cores : 1;
}

#else

uint32_t qn_physical_cores(void)
{
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online < 1 ? 1 : (uint32_t)online;
}

#endif
