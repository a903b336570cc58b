/* Monotonic time. */
#ifndef QN_PLATFORM_CLOCK_H
#define QN_PLATFORM_CLOCK_H

#include <stdint.h>

uint64_t qn_clock_ns(void);

#endif
