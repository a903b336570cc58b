/* What the program keeps in memory beside its model. */
#ifndef QN_CLI_FOOTPRINT_H
#define QN_CLI_FOOTPRINT_H

/* Gives back what loading a model took and running it does not need: the heap's free pages, and the pages of the
 * program and its libraries, those that a run needs coming back from their files at a microsecond for 64 KiB. Call it
 * when the model is ready. Does nothing where the system has no way to do it. */
void qn_footprint_settle(void);

#endif
