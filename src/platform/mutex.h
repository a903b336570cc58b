/* A lock for short and rare sections: one word, asleep on the futex when somebody else is inside. */
#ifndef QN_PLATFORM_MUTEX_H
#define QN_PLATFORM_MUTEX_H

#include <stdbool.h>

#include "platform/thread.h"

struct qn_mutex {
    uint32_t word; /* 0 free, 1 taken, 2 taken and somebody sleeps */
};

static inline void qn_mutex_lock(struct qn_mutex *mutex)
{
    uint32_t seen = 0;
    if (__atomic_compare_exchange_n(&mutex->word, &seen, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        return;
    while (__atomic_exchange_n(&mutex->word, 2, __ATOMIC_ACQUIRE) != 0)
        qn_futex_wait(&mutex->word, 2);
}

static inline void qn_mutex_unlock(struct qn_mutex *mutex)
{
    if (__atomic_exchange_n(&mutex->word, 0, __ATOMIC_RELEASE) == 2)
        qn_futex_wake(&mutex->word, 1);
}

#endif
