#include "support/testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- statuses ------------------------------------------------------------------------------------------------- */

void qn_test_ok(qn_status status, const char *expr, const char *file, int line)
{
    if (!status)
        return;
    print_error("%s: %s (raised at %s)\n", expr, qn_status_message(status), qn_status_origin(status));
    qn_status_free(status);
    _fail(file, line);
}

void qn_test_fails(qn_status status, enum qn_code code, const char *words, const char *expr, const char *file, int line)
{
    const char *message = qn_status_message(status);
    bool as_expected = qn_status_code(status) == code && (!words || strstr(message, words));
    if (!as_expected)
        print_error("%s: %s: %s; expected %s with '%s'\n", expr, qn_code_name(qn_status_code(status)), message,
                    qn_code_name(code), words ? words : "");
    qn_status_free(status);
    if (!as_expected)
        _fail(file, line);
}

/* ---- memory --------------------------------------------------------------------------------------------------- */

enum { BLOCK_HEADER = 16, BLOCK_MARK = 0x71756572 };

struct block {
    uint64_t size;
    uint64_t mark;
};

static void check(bool holds, const char *what)
{
    if (!holds)
        fail_msg("allocator: %s", what);
}

static void *counting_resize(void *context, void *ptr, size_t old_size, size_t new_size)
{
    struct qn_test_allocator *self = context;
    struct block *block = ptr ? (struct block *)((char *)ptr - BLOCK_HEADER) : NULL;
    if (block) {
        check(block->mark == BLOCK_MARK, "a block that is not its own, or was freed");
        check(block->size == old_size, "the size told is not the size of the block");
    }
    if (new_size == 0) {
        if (block) {
            __atomic_sub_fetch(&self->live_blocks, 1, __ATOMIC_RELAXED);
            __atomic_sub_fetch(&self->live_bytes, (int64_t)old_size, __ATOMIC_RELAXED);
            block->mark = 0;
        }
        free(block);
        return NULL;
    }
    uint64_t request = __atomic_add_fetch(&self->requests, 1, __ATOMIC_RELAXED);
    uint64_t largest = __atomic_load_n(&self->largest, __ATOMIC_RELAXED);
    while (new_size > largest && !__atomic_compare_exchange_n(&self->largest, &largest, new_size, false,
                                                              __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
    if ((self->fail_at && request >= self->fail_at) || new_size > SIZE_MAX - BLOCK_HEADER)
        return NULL;
    struct block *grown = realloc(block, new_size + BLOCK_HEADER);
    if (!grown)
        return NULL;
    *grown = (struct block){new_size, BLOCK_MARK};
    __atomic_add_fetch(&self->live_blocks, block ? 0 : 1, __ATOMIC_RELAXED);
    __atomic_add_fetch(&self->live_bytes, (int64_t)new_size - (int64_t)(block ? old_size : 0), __ATOMIC_RELAXED);
    return (char *)grown + BLOCK_HEADER;
}

void qn_test_allocator_init(struct qn_test_allocator *allocator, uint64_t fail_at)
{
    *allocator = (struct qn_test_allocator){.allocator = {allocator, counting_resize}, .fail_at = fail_at};
}

void qn_test_allocator_done(struct qn_test_allocator *allocator)
{
    if (allocator->live_blocks || allocator->live_bytes)
        fail_msg("%lld blocks of %lld bytes were not freed (request %llu was made to fail)",
                 (long long)allocator->live_blocks, (long long)allocator->live_bytes,
                 (unsigned long long)allocator->fail_at);
}

bool qn_test_brief(void)
{
    return getenv("QUERN_TEST_BRIEF") != NULL;
}

static uint64_t fail_allocations(qn_status (*step)(const struct qn_allocator *allocator, void *context), void *context,
                                 bool some)
{
    for (uint64_t fail_at = 1;; fail_at += 1 + (some ? fail_at / 16 : 0)) {
        struct qn_test_allocator allocator;
        qn_test_allocator_init(&allocator, fail_at);
        qn_status status = step(&allocator.allocator, context);
        qn_test_allocator_done(&allocator);
        if (!status) {
            /* A request that failed unnoticed would make this loop end too early. */
            assert_true(allocator.requests < fail_at);
            return allocator.requests;
        }
        qn_assert_fails(status, QN_OUT_OF_MEMORY, NULL);
    }
}

uint64_t qn_test_every_allocation(qn_status (*step)(const struct qn_allocator *allocator, void *context), void *context)
{
    return fail_allocations(step, context, qn_test_brief());
}

uint64_t qn_test_some_allocations(qn_status (*step)(const struct qn_allocator *allocator, void *context), void *context)
{
    return fail_allocations(step, context, true);
}
