#include "pool/pool.h"

#include <stdbool.h>

#include "base/arena.h"
#include "platform/clock.h"
#include "platform/thread.h"

enum {
    MAX_THREADS = 1024,
    WORKER_SPIN_NS = 50000, /* an idle worker looks for the next call this long, then sleeps */
    JOIN_SPIN_NS = 20000,   /* the caller waits awake this long for the last tiles of others, then sleeps */
    PAUSES_A_LOOK = 16,     /* spin loops read the clock only this often */
    CACHE_LINE = 64,
};

struct worker {
    struct qn_pool *pool;
    uint32_t thread; /* number in the pool, 1 and up: the caller is 0 */
    struct qn_thread handle;
};

/* How a call runs: the caller closes `claim` with a new generation that has no chunks left, writes the job, then opens
 * it by storing chunk 0. Who works reads `claim`, reads the job, and claims chunks by exchanging the very value that it
 * read. When the exchange succeeds, `claim` had not been closed, so nothing of the job read in between was of the next
 * one: without the closing, a job with more chunks than the one before would look like more of that. A worker that
 * comes late, or never, holds nobody up: the caller waits for claimed chunks alone. */
struct qn_pool {
    const struct qn_allocator *allocator;
    uint32_t threads;
    uint32_t started; /* workers that exist */
    struct worker *workers;
    uint32_t generation; /* of the caller alone */
    bool busy;           /* a caller is inside; whoever comes meanwhile does its tiles alone */

    char pad0[CACHE_LINE];
    uint64_t claim; /* generation << 32 | next chunk */
    qn_pool_fn fn;
    void *context;
    int64_t tiles, chunk_tiles;
    uint32_t chunks;

    char pad1[CACHE_LINE];
    uint32_t done; /* chunks of this generation that are finished; the caller sleeps on it */
    uint32_t caller_sleeps;

    char pad2[CACHE_LINE];
    uint32_t epoch; /* the generation, as the word that idle workers sleep on */
    uint32_t sleepers;
    uint32_t stop;
};

#define LOAD(place) __atomic_load_n(&(place), __ATOMIC_RELAXED)
#define STORE(place, value) __atomic_store_n(&(place), (value), __ATOMIC_RELAXED)

struct job {
    qn_pool_fn fn;
    void *context;
    int64_t tiles, chunk_tiles;
    uint32_t chunks;
};

#define CLOSED UINT32_MAX /* a next chunk that no job has */

static uint64_t claim_word(uint32_t generation, uint32_t next)
{
    return (uint64_t)generation << 32 | next;
}

/* Claims and runs chunks of one generation until none is left; gives the number of chunks that it ran. Ranges shrink
 * towards the end, so that nobody waits long for the last one. */
static uint32_t work(struct qn_pool *pool, uint32_t generation, uint32_t thread, uint32_t *chunks)
{
    uint32_t ran = 0;
    uint64_t seen = __atomic_load_n(&pool->claim, __ATOMIC_ACQUIRE);
    struct job job = {LOAD(pool->fn), LOAD(pool->context), LOAD(pool->tiles), LOAD(pool->chunk_tiles),
                      LOAD(pool->chunks)};
    __atomic_thread_fence(__ATOMIC_ACQUIRE); /* read before `claim` is looked at again */
    while (seen >> 32 == generation && (uint32_t)seen < job.chunks) {
        uint32_t next = (uint32_t)seen, left = job.chunks - next, take = left / (2 * pool->threads);
        if (take == 0)
            take = 1;
        if (!__atomic_compare_exchange_n(&pool->claim, &seen, seen + take, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
            continue;
        *chunks = job.chunks;
        int64_t begin = next * job.chunk_tiles, end = (next + (int64_t)take) * job.chunk_tiles;
        job.fn(job.context, begin, end < job.tiles ? end : job.tiles, thread);
        ran += take;
        seen = __atomic_load_n(&pool->claim, __ATOMIC_ACQUIRE);
    }
    return ran;
}

/* Adds finished chunks; true when they were the last ones. */
static bool finish(struct qn_pool *pool, uint32_t ran, uint32_t chunks)
{
    return ran && __atomic_add_fetch(&pool->done, ran, __ATOMIC_SEQ_CST) == chunks;
}

/* ---- workers -------------------------------------------------------------------------------------------------- */

static bool epoch_moved(struct qn_pool *pool, uint32_t seen)
{
    return __atomic_load_n(&pool->epoch, __ATOMIC_SEQ_CST) != seen;
}

/* Waits until the epoch differs from `seen`: awake for a short time, then asleep. */
static uint32_t next_epoch(struct qn_pool *pool, uint32_t seen)
{
    uint64_t until = qn_clock_ns() + WORKER_SPIN_NS;
    do {
        for (int i = 0; i < PAUSES_A_LOOK; i++) {
            if (epoch_moved(pool, seen))
                return __atomic_load_n(&pool->epoch, __ATOMIC_ACQUIRE);
            qn_cpu_relax();
        }
    } while (qn_clock_ns() < until);
    __atomic_add_fetch(&pool->sleepers, 1, __ATOMIC_SEQ_CST);
    while (!epoch_moved(pool, seen))
        qn_futex_wait(&pool->epoch, seen);
    __atomic_sub_fetch(&pool->sleepers, 1, __ATOMIC_SEQ_CST);
    return __atomic_load_n(&pool->epoch, __ATOMIC_ACQUIRE);
}

static void worker_main(void *context)
{
    struct worker *self = context;
    struct qn_pool *pool = self->pool;
    uint32_t epoch = 0;
    for (;;) {
        epoch = next_epoch(pool, epoch);
        if (__atomic_load_n(&pool->stop, __ATOMIC_ACQUIRE))
            return;
        uint32_t chunks = 0, ran = work(pool, epoch, self->thread, &chunks);
        if (finish(pool, ran, chunks) && __atomic_load_n(&pool->caller_sleeps, __ATOMIC_SEQ_CST))
            qn_futex_wake(&pool->done, 1);
    }
}

/* ---- the caller ----------------------------------------------------------------------------------------------- */

/* Opens a job to the workers, and wakes as many sleeping ones as can find work. */
static void publish(struct qn_pool *pool, const struct job *job)
{
    uint32_t generation = ++pool->generation;
    STORE(pool->claim, claim_word(generation, CLOSED));
    __atomic_thread_fence(__ATOMIC_RELEASE); /* closed before anything of the job is seen */
    STORE(pool->fn, job->fn);
    STORE(pool->context, job->context);
    STORE(pool->tiles, job->tiles);
    STORE(pool->chunk_tiles, job->chunk_tiles);
    STORE(pool->chunks, job->chunks);
    STORE(pool->done, 0);
    __atomic_store_n(&pool->claim, claim_word(generation, 0), __ATOMIC_RELEASE);
    __atomic_store_n(&pool->epoch, generation, __ATOMIC_SEQ_CST);
    uint32_t sleepers = __atomic_load_n(&pool->sleepers, __ATOMIC_SEQ_CST);
    if (sleepers)
        qn_futex_wake(&pool->epoch, sleepers < job->chunks - 1 ? sleepers : job->chunks - 1);
}

/* Waits for the chunks that others have claimed. */
static void join(struct qn_pool *pool, uint32_t chunks)
{
    uint64_t until = 0;
    do {
        for (int i = 0; i < PAUSES_A_LOOK; i++) {
            if (__atomic_load_n(&pool->done, __ATOMIC_ACQUIRE) == chunks)
                return;
            qn_cpu_relax();
        }
        if (!until)
            until = qn_clock_ns() + JOIN_SPIN_NS;
    } while (qn_clock_ns() < until);
    __atomic_store_n(&pool->caller_sleeps, 1, __ATOMIC_SEQ_CST);
    for (;;) {
        uint32_t done = __atomic_load_n(&pool->done, __ATOMIC_SEQ_CST);
        if (done == chunks)
            break;
        qn_futex_wait(&pool->done, done);
    }
    STORE(pool->caller_sleeps, 0);
}

void qn_pool_for(struct qn_pool *pool, int64_t tiles, int64_t grain, qn_pool_fn fn, void *context)
{
    if (tiles <= 0)
        return;
    if (grain < 1)
        grain = 1;
    if (pool->started == 0 || tiles <= grain || __atomic_exchange_n(&pool->busy, true, __ATOMIC_ACQUIRE)) {
        fn(context, 0, tiles, 0);
        return;
    }
    /* Chunk numbers have 31 bits; nobody needs as many. */
    while (tiles / grain >= INT32_MAX)
        grain *= 2;
    struct job job = {fn, context, tiles, grain, (uint32_t)((tiles + grain - 1) / grain)};
    publish(pool, &job);
    uint32_t chunks = job.chunks, ran = work(pool, pool->generation, 0, &chunks);
    if (!finish(pool, ran, chunks))
        join(pool, chunks);
    __atomic_store_n(&pool->busy, false, __ATOMIC_RELEASE);
}

/* ---- life ----------------------------------------------------------------------------------------------------- */

qn_status qn_pool_create(uint32_t threads, const struct qn_allocator *allocator, struct qn_pool **out)
{
    *out = NULL;
    if (!allocator)
        allocator = qn_allocator_default();
    if (threads == 0)
        threads = qn_physical_cores();
    if (threads > MAX_THREADS)
        return QN_ERROR(QN_INVALID_ARGUMENT, "%u threads asked for, at most %d are possible", threads, MAX_THREADS);
    struct qn_pool *pool = qn_calloc(allocator, 1, sizeof *pool);
    if (!pool)
        return QN_OOM();
    pool->allocator = allocator;
    pool->threads = threads;
    pool->workers = qn_calloc(allocator, threads, sizeof *pool->workers);
    qn_status status = pool->workers ? NULL : QN_OOM();
    for (uint32_t i = 1; i < threads && !status; i++) {
        struct worker *worker = &pool->workers[i - 1];
        *worker = (struct worker){.pool = pool, .thread = i};
        status = qn_thread_start(&worker->handle, "quern-pool", worker_main, worker);
        pool->started += !status;
    }
    if (status) {
        qn_pool_destroy(pool);
        return qn_status_note(status, "thread pool of %u", threads);
    }
    *out = pool;
    return NULL;
}

void qn_pool_destroy(struct qn_pool *pool)
{
    if (!pool)
        return;
    __atomic_store_n(&pool->stop, 1, __ATOMIC_RELEASE);
    __atomic_store_n(&pool->epoch, pool->generation + 1, __ATOMIC_SEQ_CST);
    qn_futex_wake(&pool->epoch, MAX_THREADS);
    for (uint32_t i = 0; i < pool->started; i++)
        qn_thread_join(&pool->workers[i].handle);
    if (pool->workers)
        qn_free(pool->allocator, pool->workers, pool->threads * sizeof *pool->workers);
    qn_free(pool->allocator, pool, sizeof *pool);
}

uint32_t qn_pool_threads(const struct qn_pool *pool)
{
    return pool->threads;
}
