#include "pool/pool.h"

#include <string.h>
#include <time.h>

#include "base/status.h"
#include "platform/thread.h"
#include "support/testing.h"

enum { MOST_TILES = 20000, MOST_THREADS = 8 };

struct record {
    int64_t tiles, grain;
    uint32_t threads;
    uint8_t runs[MOST_TILES];    /* how often each tile ran: each tile has one writer at a time */
    uint32_t busy[MOST_THREADS]; /* is this thread number at work */
    uint32_t faults;
    uint32_t ranges;
};

static void fault(struct record *record)
{
    __atomic_add_fetch(&record->faults, 1, __ATOMIC_RELAXED);
}

static void record_range(void *context, int64_t begin, int64_t end, uint32_t thread)
{
    struct record *record = context;
    if (thread >= record->threads || begin < 0 || begin >= end || end > record->tiles) {
        fault(record);
        return;
    }
    if (end - begin < record->grain && end != record->tiles)
        fault(record);
    if (__atomic_exchange_n(&record->busy[thread], 1, __ATOMIC_RELAXED))
        fault(record); /* this number is in use by somebody else now */
    for (int64_t tile = begin; tile < end; tile++)
        record->runs[tile]++;
    __atomic_add_fetch(&record->ranges, 1, __ATOMIC_RELAXED);
    __atomic_store_n(&record->busy[thread], 0, __ATOMIC_RELAXED);
}

static void check_once(struct qn_pool *pool, struct record *record, int64_t tiles, int64_t grain)
{
    memset(record, 0, sizeof *record);
    record->tiles = tiles;
    record->grain = grain;
    record->threads = qn_pool_threads(pool);
    qn_pool_for(pool, tiles, grain, record_range, record);
    assert_int_equal(record->faults, 0);
    for (int64_t tile = 0; tile < MOST_TILES; tile++)
        assert_int_equal(record->runs[tile], tile < tiles);
}

static void every_tile_runs_once(void **state)
{
    (void)state;
    static struct record record;
    static const int64_t sizes[] = {1, 2, 3, 5, 16, 63, 64, 65, 1000, MOST_TILES};
    for (uint32_t threads = 1; threads <= MOST_THREADS; threads++) {
        struct qn_pool *pool;
        qn_assert_ok(qn_pool_create(threads, NULL, &pool));
        assert_int_equal(qn_pool_threads(pool), threads);
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
            for (int64_t grain = 1; grain <= 2 * sizes[i]; grain *= 5)
                check_once(pool, &record, sizes[i], grain);
        qn_pool_destroy(pool);
    }
}

static void nothing_to_do(void **state)
{
    (void)state;
    struct qn_pool *pool;
    qn_assert_ok(qn_pool_create(2, NULL, &pool));
    struct record record = {.threads = 2};
    qn_pool_for(pool, 0, 1, record_range, &record);
    qn_pool_for(pool, -5, 1, record_range, &record);
    assert_int_equal(record.ranges, 0);
    record.tiles = 7;
    qn_pool_for(pool, 7, 7, record_range, &record); /* no more than a grain: one range, by the caller */
    assert_int_equal(record.ranges, 1);
    record.tiles = 1;
    qn_pool_for(pool, 1, 0, record_range, &record);
    assert_int_equal(record.ranges, 2);
    assert_int_equal(record.faults, 0);
    qn_pool_destroy(pool);
}

/* Sums of floats, one a tile: must be the same bits whoever runs the tile. */
struct sums {
    float out[512];
};

static void sum_tiles(void *context, int64_t begin, int64_t end, uint32_t thread)
{
    (void)thread;
    struct sums *sums = context;
    for (int64_t tile = begin; tile < end; tile++) {
        float sum = 0;
        for (int i = 1; i < 200; i++)
            sum += 1.0f / (float)(i + tile);
        sums->out[tile] = sum;
    }
}

static void results_do_not_depend_on_threads(void **state)
{
    (void)state;
    static struct sums serial, parallel;
    sum_tiles(&serial, 0, 512, 0);
    for (uint32_t threads = 1; threads <= MOST_THREADS; threads++) {
        struct qn_pool *pool;
        qn_assert_ok(qn_pool_create(threads, NULL, &pool));
        memset(&parallel, 0xff, sizeof parallel);
        qn_pool_for(pool, 512, 3, sum_tiles, &parallel);
        assert_memory_equal(&serial, &parallel, sizeof serial);
        qn_pool_destroy(pool);
    }
}

/* Each call reads what the call before wrote, with plain loads and stores: the pool alone orders them. */
struct chain {
    uint64_t values[64];
    uint64_t next[64];
};

static void chain_step(void *context, int64_t begin, int64_t end, uint32_t thread)
{
    (void)thread;
    struct chain *chain = context;
    for (int64_t i = begin; i < end; i++)
        chain->next[i] = chain->values[i] * 3 + chain->values[(i + 1) % 64];
}

static void chain_copy(void *context, int64_t begin, int64_t end, uint32_t thread)
{
    (void)thread;
    struct chain *chain = context;
    for (int64_t i = begin; i < end; i++)
        chain->values[i] = chain->next[i];
}

static void calls_follow_each_other(void **state)
{
    (void)state;
    struct chain expected = {0}, chain = {0};
    for (uint64_t i = 0; i < 64; i++)
        expected.values[i] = chain.values[i] = i;
    enum { CALLS = 5000 };
    for (int i = 0; i < CALLS; i++) {
        chain_step(&expected, 0, 64, 0);
        chain_copy(&expected, 0, 64, 0);
    }
    struct qn_pool *pool;
    qn_assert_ok(qn_pool_create(4, NULL, &pool));
    for (int i = 0; i < CALLS; i++) {
        qn_pool_for(pool, 64, 1, chain_step, &chain);
        if (i % 500 == 499) { /* let the workers fall asleep now and then */
            struct timespec pause = {0, 1000000};
            nanosleep(&pause, NULL);
        }
        qn_pool_for(pool, 64, 7, chain_copy, &chain);
    }
    assert_memory_equal(expected.values, chain.values, sizeof chain.values);
    qn_pool_destroy(pool);
}

/* A tile that takes long makes the caller sleep; the last worker must wake it. */
static void slow_tiles(void *context, int64_t begin, int64_t end, uint32_t thread)
{
    for (int64_t i = begin; i < end; i++) {
        struct timespec pause = {0, thread ? 3000000 : 0};
        nanosleep(&pause, NULL);
        __atomic_add_fetch((uint32_t *)context, 1, __ATOMIC_RELAXED);
    }
}

static void caller_sleeps_and_is_woken(void **state)
{
    (void)state;
    struct qn_pool *pool;
    qn_assert_ok(qn_pool_create(3, NULL, &pool));
    uint32_t count = 0;
    for (int i = 0; i < 40; i++)
        qn_pool_for(pool, 6, 1, slow_tiles, &count);
    assert_int_equal(count, 240);
    qn_pool_destroy(pool);
}

/* Callers at the same time: one has the workers, the others run their tiles alone; a tile may call, too. */
struct caller {
    struct qn_pool *pool;
    uint32_t counted;
    bool nested;
    struct qn_thread thread;
};

static void count_tiles(void *context, int64_t begin, int64_t end, uint32_t thread)
{
    struct caller *c = context;
    (void)thread;
    if (c->nested) {
        struct caller inner = {.pool = c->pool};
        qn_pool_for(c->pool, 5, 1, count_tiles, &inner);
        __atomic_add_fetch(&c->counted, inner.counted == 5 ? 0 : 1000, __ATOMIC_RELAXED);
    }
    __atomic_add_fetch(&c->counted, (uint32_t)(end - begin), __ATOMIC_RELAXED);
}

static void call_often(void *context)
{
    struct caller *c = context;
    for (int i = 0; i < 500; i++)
        qn_pool_for(c->pool, 40, 1, count_tiles, c);
}

static void many_callers(void **state)
{
    enum { CALLERS = 6 };
    (void)state;
    struct qn_pool *pool;
    struct caller callers[CALLERS];
    qn_assert_ok(qn_pool_create(3, NULL, &pool));
    for (int i = 0; i < CALLERS; i++) {
        callers[i] = (struct caller){.pool = pool, .nested = i % 2};
        qn_assert_ok(qn_thread_start(&callers[i].thread, "caller", call_often, &callers[i]));
    }
    for (int i = 0; i < CALLERS; i++)
        qn_thread_join(&callers[i].thread);
    for (int i = 0; i < CALLERS; i++)
        assert_int_equal(callers[i].counted, 500 * 40);
    qn_pool_destroy(pool);
}

static uint64_t process_cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

struct call {
    uint32_t *total; /* of this call: tiles that ran */
    int64_t tiles;
    uint32_t strays; /* tiles that are not this call's */
};

static void count_call(void *context, int64_t begin, int64_t end, uint32_t thread)
{
    (void)thread;
    struct call *call = context;
    if (begin < 0 || begin >= end || end > call->tiles)
        __atomic_add_fetch(&call->strays, 1, __ATOMIC_RELAXED);
    __atomic_add_fetch(call->total, (uint32_t)(end - begin), __ATOMIC_RELAXED);
}

/* Short calls with few and with many chunks in turn: a worker that comes late to the end of one call must not take
 * the beginning of the next, half written, for more of it. */
static void late_workers_find_the_end(void **state)
{
    (void)state;
    enum { CALLS = 300000, THREADS = 4 };
    static uint32_t totals[2];
    struct qn_pool *pool;
    qn_assert_ok(qn_pool_create(THREADS, NULL, &pool));
    for (uint32_t i = 0; i < CALLS; i++) {
        struct call call = {.total = &totals[i % 2], .tiles = i % 2 ? 64 : 2};
        totals[i % 2] = 0;
        qn_pool_for(pool, call.tiles, 1, count_call, &call);
        assert_int_equal(call.strays, 0);
        assert_int_equal(totals[i % 2], call.tiles);
    }
    qn_pool_destroy(pool);
}

static void idle_pool_uses_no_cpu(void **state)
{
    (void)state;
    struct qn_pool *pool;
    qn_assert_ok(qn_pool_create(4, NULL, &pool));
    static struct sums sums;
    qn_pool_for(pool, 512, 1, sum_tiles, &sums);
    struct timespec settle = {0, 100000000}, idle = {0, 300000000};
    nanosleep(&settle, NULL);
    uint64_t before = process_cpu_ns();
    nanosleep(&idle, NULL);
    assert_true(process_cpu_ns() - before < 3000000); /* under 1 % of one core */
    qn_pool_for(pool, 512, 1, sum_tiles, &sums);      /* and it still works */
    qn_pool_destroy(pool);
}

static qn_status create_and_use(const struct qn_allocator *allocator, void *context)
{
    (void)context;
    struct qn_pool *pool;
    QN_TRY(qn_pool_create(3, allocator, &pool));
    static struct sums sums;
    qn_pool_for(pool, 512, 1, sum_tiles, &sums);
    qn_pool_destroy(pool);
    return NULL;
}

static void creation(void **state)
{
    (void)state;
    assert_true(qn_test_every_allocation(create_and_use, NULL) >= 1);
    struct qn_pool *pool;
    qn_assert_ok(qn_pool_create(0, NULL, &pool));
    assert_true(qn_pool_threads(pool) >= 1);
    qn_pool_destroy(pool);
    qn_assert_fails(qn_pool_create(UINT32_MAX, NULL, &pool), QN_INVALID_ARGUMENT, "4294967295");
    assert_null(pool);
    qn_pool_destroy(NULL);
    for (int i = 0; i < 50; i++) { /* destroyed before the workers have come up, and after */
        qn_assert_ok(qn_pool_create(4, NULL, &pool));
        qn_pool_destroy(pool);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_tile_runs_once),
        cmocka_unit_test(nothing_to_do),
        cmocka_unit_test(results_do_not_depend_on_threads),
        cmocka_unit_test(calls_follow_each_other),
        cmocka_unit_test(caller_sleeps_and_is_woken),
        cmocka_unit_test(many_callers),
        cmocka_unit_test(late_workers_find_the_end),
        cmocka_unit_test(idle_pool_uses_no_cpu),
        cmocka_unit_test(creation),
    };
    return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
