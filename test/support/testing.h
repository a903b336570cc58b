/* What tests share: cmocka with its headers, statuses in assertions, an allocator that fails on request, temporary
 * folders, the conformance data, and .npy files. Include it as "support/testing.h". */
#ifndef QN_TEST_SUPPORT_TESTING_H
#define QN_TEST_SUPPORT_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "quern/allocator.h"
#include "quern/dtype.h"
#include "quern/status.h"

/* Whether QUERN_TEST_BRIEF is set: each instruction is emulated, and what does not depend on the instruction set is
 * only sampled, since it is tested in full elsewhere. */
bool qn_test_brief(void);

/* ---- statuses ------------------------------------------------------------------------------------------------- */

/* Fails the test with the status' words unless it is OK. */
#define qn_assert_ok(expr) qn_test_ok((expr), #expr, __FILE__, __LINE__)
/* Fails unless the status has this code and its message contains `words` (NULL: any). Releases it. */
#define qn_assert_fails(expr, code, words) qn_test_fails((expr), (code), (words), #expr, __FILE__, __LINE__)

void qn_test_ok(qn_status status, const char *expr, const char *file, int line);
void qn_test_fails(qn_status status, enum qn_code code, const char *words, const char *expr, const char *file,
                   int line);

/* ---- memory --------------------------------------------------------------------------------------------------- */

/* Counts blocks and bytes, checks every size that it is told, and fails the `fail_at`-th request for memory (1 is the
 * first; 0: none) and all later ones. Pass &t.allocator on. May be used from several threads. */
struct qn_test_allocator {
    struct qn_allocator allocator;
    uint64_t fail_at;
    uint64_t requests; /* for memory: allocations and growths */
    int64_t live_blocks, live_bytes;
    uint64_t largest; /* bytes of the largest request */
};

void qn_test_allocator_init(struct qn_test_allocator *allocator, uint64_t fail_at);
/* Fails the test when a block is still live. */
void qn_test_allocator_done(struct qn_test_allocator *allocator);

/* Runs `step` with an allocator that fails at request 1, 2, 3, ... until it succeeds (in brief at some of them):
 * each failure must be a QN_OUT_OF_MEMORY status and leave nothing behind. `step` releases what it made when it
 * succeeds. Gives the number of requests of the run that succeeded. */
uint64_t qn_test_every_allocation(qn_status (*step)(const struct qn_allocator *allocator, void *context),
                                  void *context);
/* The same at ever fewer of them: where most requests are those of a step that is tested in full beside it. */
uint64_t qn_test_some_allocations(qn_status (*step)(const struct qn_allocator *allocator, void *context),
                                  void *context);

/* ---- files ---------------------------------------------------------------------------------------------------- */

/* A path in a temporary folder of this process, which goes with everything in it when the process ends. The text is
 * valid until the process ends. */
const char *qn_test_temp(const char *name);
/* Number of entries of the temporary folder. */
int qn_test_temp_count(void);
void qn_test_write_file(const char *path, const void *data, size_t size);
/* Whole content, terminated; free() it. Fails the test when it cannot be read. */
char *qn_test_read_file(const char *path, size_t *size);
/* Fails unless both files hold the same bytes. */
void qn_test_same_files(const char *a, const char *b);

/* Path of a file or folder of the repository, for example "fuzz/corpus/json". Valid until the process ends. */
const char *qn_test_source(const char *relative);

/* Path in the conformance data: $QUERN_CONFORMANCE, or ../shared/conformance beside the source. Where it is absent
 * the test is skipped, or fails when QUERN_CONFORMANCE_REQUIRED is set. Valid until the process ends. */
#define qn_test_conformance(relative) qn_test_conformance_at((relative), __FILE__, __LINE__)
const char *qn_test_conformance_at(const char *relative, const char *file, int line);

/* ---- .npy ----------------------------------------------------------------------------------------------------- */

struct qn_test_npy {
    qn_dtype dtype;
    uint32_t rank;
    int64_t dims[8];
    uint64_t count; /* elements */
    const void *data;
    char *file; /* owned */
};

/* Little-endian, C order; numbers and bool. Fails the test on anything else. */
void qn_test_npy_read(const char *path, struct qn_test_npy *npy);
void qn_test_npy_free(struct qn_test_npy *npy);

#endif
