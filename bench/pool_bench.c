/* What the thread pool costs, and what it keeps when the machine is busy.
 *
 *   pool_bench [threads] [seconds a round] [microseconds a step]
 *
 * 1. Dispatch: microseconds of an empty parallel-for while the workers are awake.
 * 2. Decode-like steps (a token is 250 parallel-fors of 60 microseconds on all threads, compute-bound or
 *    memory-bound): tokens/s on a quiet machine, and with one spinning process pinned to each CPU, same nice, in
 *    turns; medians of 5 and the speed kept.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/clock.h"
#include "pool/pool.h"

enum { STEPS = 250, TILES = 64, ROUNDS = 5, MAX_CPUS = 256 };

struct steps {
    const float *memory;
    size_t floats, at, tile_floats;
    int64_t tile_turns; /* 0: memory-bound */
    float sink[TILES * 16];
};

static void compute_tile(float *sink, int64_t turns)
{
    float a = *sink, b = 1.0f, c = 2.0f, d = 3.0f;
    for (int64_t i = 0; i < turns; i++) {
        a = a * 0.999f + 0.001f;
        b = b * 0.999f + 0.002f;
        c = c * 0.999f + 0.003f;
        d = d * 0.999f + 0.004f;
    }
    *sink = a + b + c + d;
}

static void memory_tile(float *sink, const float *from, size_t count)
{
    float sums[16] = {0};
    for (size_t i = 0; i + 16 <= count; i += 16)
        for (int j = 0; j < 16; j++)
            sums[j] += from[i + (size_t)j];
    for (int j = 0; j < 16; j++)
        *sink += sums[j];
}

static void run_tiles(void *context, int64_t begin, int64_t end, uint32_t thread)
{
    (void)thread;
    struct steps *steps = context;
    for (int64_t tile = begin; tile < end; tile++) {
        float *sink = &steps->sink[tile * 16];
        if (steps->tile_turns)
            compute_tile(sink, steps->tile_turns);
        else
            memory_tile(sink, steps->memory + steps->at + (size_t)tile * steps->tile_floats, steps->tile_floats);
    }
}

static void nothing(void *context, int64_t begin, int64_t end, uint32_t thread)
{
    (void)context;
    (void)begin;
    (void)end;
    (void)thread;
}

/* Tokens a second, over the given time. */
static double token_rate(struct qn_pool *pool, struct steps *steps, double seconds)
{
    uint64_t begin = qn_clock_ns(), now;
    int tokens = 0;
    do {
        for (int i = 0; i < STEPS; i++) {
            if (!steps->tile_turns) {
                steps->at += TILES * steps->tile_floats;
                if (steps->at + TILES * steps->tile_floats > steps->floats)
                    steps->at = 0;
            }
            qn_pool_for(pool, TILES, 1, run_tiles, steps);
        }
        tokens++;
        now = qn_clock_ns();
    } while ((double)(now - begin) < seconds * 1e9);
    return tokens / ((double)(now - begin) * 1e-9);
}

static int start_spinners(pid_t pids[MAX_CPUS])
{
    cpu_set_t allowed;
    int count = 0;
    sched_getaffinity(0, sizeof allowed, &allowed);
    for (int cpu = 0; cpu < CPU_SETSIZE && count < MAX_CPUS; cpu++) {
        if (!CPU_ISSET(cpu, &allowed))
            continue;
        pid_t pid = fork();
        if (pid == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            cpu_set_t one;
            CPU_ZERO(&one);
            CPU_SET(cpu, &one);
            sched_setaffinity(0, sizeof one, &one);
            for (volatile unsigned long turns = 0;; turns++) {
            }
        }
        if (pid > 0)
            pids[count++] = pid;
    }
    return count;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double values[ROUNDS])
{
    qsort(values, ROUNDS, sizeof values[0], by_value);
    return values[ROUNDS / 2];
}

static void measure(const char *name, struct qn_pool *pool, struct steps *steps, double seconds)
{
    double quiet[ROUNDS], busy[ROUNDS];
    token_rate(pool, steps, seconds / 4);
    for (int i = 0; i < ROUNDS; i++) {
        quiet[i] = token_rate(pool, steps, seconds);
        pid_t spinners[MAX_CPUS];
        int count = start_spinners(spinners);
        usleep(20000);
        busy[i] = token_rate(pool, steps, seconds);
        for (int s = 0; s < count; s++)
            kill(spinners[s], SIGKILL);
        while (wait(NULL) > 0) {
        }
    }
    double q = median(quiet), b = median(busy);
    printf(
        "%-8s quiet %.1f tokens/s (%.1f to %.1f; %.1f us a step), busy %.1f tokens/s (%.1f to %.1f): keeps %.0f %%\n",
        name, q, quiet[0], quiet[ROUNDS - 1], 1e6 / (q * STEPS), b, busy[0], busy[ROUNDS - 1], 100 * b / q);
}

int main(int argc, char **argv)
{
    uint32_t threads = argc > 1 ? (uint32_t)atoi(argv[1]) : 0;
    double seconds = argc > 2 ? atof(argv[2]) : 1.0, step_us = argc > 3 ? atof(argv[3]) : 60;
    struct qn_pool *pool;
    qn_status status = qn_pool_create(threads, NULL, &pool);
    static struct steps steps;
    steps.floats = (size_t)64 << 20;
    float *memory = malloc(steps.floats * sizeof *memory);
    if (status || !memory) {
        fprintf(stderr, "%s\n", qn_status_message(status));
        return 1;
    }
    for (size_t i = 0; i < steps.floats; i++)
        memory[i] = (float)(i & 255);
    steps.memory = memory;
    printf("%u threads, spinners on each CPU allowed, rounds of %.2g s\n", qn_pool_threads(pool), seconds);

    enum { CALLS = 100000 };
    double dispatch[ROUNDS];
    for (int r = 0; r < ROUNDS; r++) {
        uint64_t begin = qn_clock_ns();
        for (int i = 0; i < CALLS; i++)
            qn_pool_for(pool, TILES, TILES / 4, nothing, NULL);
        dispatch[r] = (double)(qn_clock_ns() - begin) / CALLS * 1e-3;
    }
    double middle = median(dispatch);
    printf("dispatch and join of an empty call: %.2f us (%.2f to %.2f)\n", middle, dispatch[0], dispatch[ROUNDS - 1]);

    /* Sized so that a step takes about that long on all threads. */
    float sink = 0;
    uint64_t begin = qn_clock_ns();
    compute_tile(&sink, 1000000);
    double turn_ns = (double)(qn_clock_ns() - begin) / 1e6;
    steps.tile_turns = (int64_t)(step_us * 1e3 * qn_pool_threads(pool) / TILES / turn_ns) + 1;
    measure("compute", pool, &steps, seconds);
    begin = qn_clock_ns();
    memory_tile(&sink, memory, steps.floats);
    double float_ns = (double)(qn_clock_ns() - begin) / (double)steps.floats;
    steps.tile_floats = (size_t)(step_us * 1e3 * qn_pool_threads(pool) / TILES / float_ns) / 16 * 16;
    steps.tile_turns = 0;
    measure("memory", pool, &steps, seconds);

    qn_pool_destroy(pool);
    free(memory);
    return sink < 0; /* keeps the work alive */
}
