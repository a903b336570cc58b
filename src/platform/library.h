/* Shared libraries opened while the program runs. */
#ifndef QN_PLATFORM_LIBRARY_H
#define QN_PLATFORM_LIBRARY_H

#include "base/status.h"
#include "platform/mutex.h"

struct qn_library;

/* Errors name the path and the loader's reason. A path without a slash is looked for in the system. */
qn_status qn_library_open(const char *path, struct qn_library **out) QN_MUST_USE;
void qn_library_close(struct qn_library *library);                     /* NULL is allowed */
void *qn_library_find(struct qn_library *library, const char *symbol); /* NULL when absent */

/* A library of which some functions are used. It is opened, with all that it needs in turn, when the first of them is
 * asked for, and stays open: a program that never asks has nothing of it in memory.
 *
 *     #define FUNCTIONS(X) X(WebPGetInfo) X(WebPDecodeRGBInto)
 *     static struct { FUNCTIONS(QN_LIBRARY_POINTER) } webp;
 *     static struct qn_library_use library = {QN_LIBRARY_WEBP, FUNCTIONS(QN_LIBRARY_SYMBOL), &webp};
 *     ...
 *     QN_TRY(qn_library_need(&library));
 *     webp.WebPGetInfo(bytes, size, &width, &height);
 *
 * Such a library needs its headers when Quern is built, and is not linked with. */
struct qn_library_use {
    const char *path;    /* as qn_library_open takes it */
    const char *symbols; /* each with a zero behind it, and one more at the end */
    void *functions;     /* a pointer to each, in the same order */
    struct qn_mutex lock;
    bool ready;
};

#define QN_LIBRARY_POINTER(function) __typeof__(function) *function;
#define QN_LIBRARY_SYMBOL(function) #function "\0"

/* Fills the pointers, once; any thread. Errors: the library is not there, or lacks a function. */
qn_status qn_library_need(struct qn_library_use *use) QN_MUST_USE;

#endif
