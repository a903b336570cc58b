#include "cli/interrupt.h"

#include <signal.h>
#include <stddef.h>

static void (*volatile cancel_work)(void *work);
static void *volatile current;
static volatile sig_atomic_t came;
static struct sigaction before_int, before_term;
static bool has_term;

static void on_interrupt(int number)
{
    (void)number;
    came = 1;
    if (cancel_work)
        cancel_work(current);
}

void qn_interrupt_begin(void (*cancel)(void *work), void *work, int flags)
{
    struct sigaction action = {.sa_handler = on_interrupt,
                               .sa_flags = flags & QN_INTERRUPT_ONCE ? (int)SA_RESETHAND : 0};
    came = 0;
    current = work;
    cancel_work = cancel;
    has_term = flags & QN_INTERRUPT_TERM;
    sigaction(SIGINT, &action, &before_int);
    if (has_term)
        sigaction(SIGTERM, &action, &before_term);
}

void qn_interrupt_end(void)
{
    sigaction(SIGINT, &before_int, NULL);
    if (has_term)
        sigaction(SIGTERM, &before_term, NULL);
    cancel_work = NULL;
}

bool qn_interrupt_came(void)
{
    return came;
}
