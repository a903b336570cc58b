/* Ctrl-C ends the work at hand, not the command. */
#ifndef QN_CLI_INTERRUPT_H
#define QN_CLI_INTERRUPT_H

#include <stdbool.h>

enum {
    QN_INTERRUPT_TERM = 1, /* SIGTERM does the same as Ctrl-C */
    QN_INTERRUPT_ONCE = 2, /* a second one ends the command */
};

/* From here to the end an interrupt calls cancel(work), which must be safe in a signal handler; NULL: it is only noted.
 * One at a time. */
void qn_interrupt_begin(void (*cancel)(void *work), void *work, int flags);
void qn_interrupt_end(void);

/* Whether one came since the last beginning. */
bool qn_interrupt_came(void);

#endif
