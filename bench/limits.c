/* What the machine can do, for comparison with what a model reaches: float multiply-adds, 8-bit multiply-adds, and read
 * bandwidth, for a number of threads. One line of JSON:
 *
 *     limits [threads]   ->  {"threads": 2, "f32_gmac_s": ..., "i8_gmac_s": ..., "read_gb_s": ...}
 *
 * A G MAC/s is 10^9 multiply-adds a second. Best of several short rounds: the limit, not the mean.
 */
#if defined(__x86_64__)
#include <immintrin.h>
#endif
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ROUNDS = 7, STEPS = 10000000, CHAINS = 12, BYTES = 256 << 20 };

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

struct work {
    void (*run)(struct work *work);
    const uint8_t *memory;
    uint64_t sink;
};

#if defined(__x86_64__)
__attribute__((target("avx512f"))) static void fma_avx512(struct work *work)
{
    __m512 sums[CHAINS], a = _mm512_set1_ps(1.0001f), b = _mm512_set1_ps(0.9999f);
#pragma GCC unroll 12 /* all three: an element that a loop counts to lives in memory */
    for (int i = 0; i < CHAINS; i++)
        sums[i] = _mm512_set1_ps((float)i);
    for (int step = 0; step < STEPS; step++)
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++)
            sums[i] = _mm512_fmadd_ps(sums[i], a, b);
#pragma GCC unroll 12
    for (int i = 0; i < CHAINS; i++)
        work->sink += (uint64_t)_mm512_reduce_add_ps(sums[i]);
}

__attribute__((target("avx2,fma"))) static void fma_avx2(struct work *work)
{
    __m256 sums[CHAINS], a = _mm256_set1_ps(1.0001f), b = _mm256_set1_ps(0.9999f);
#pragma GCC unroll 12
    for (int i = 0; i < CHAINS; i++)
        sums[i] = _mm256_set1_ps((float)i);
    for (int step = 0; step < STEPS; step++)
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++)
            sums[i] = _mm256_fmadd_ps(sums[i], a, b);
#pragma GCC unroll 12
    for (int i = 0; i < CHAINS; i++)
        work->sink += (uint64_t)_mm256_cvtss_f32(sums[i]);
}

__attribute__((target("avx512f,avx512vnni"))) static void dot_vnni(struct work *work)
{
    __m512i sums[CHAINS], a = _mm512_set1_epi8(3), b = _mm512_set1_epi8(-5);
#pragma GCC unroll 12
    for (int i = 0; i < CHAINS; i++)
        sums[i] = _mm512_set1_epi32(i);
    for (int step = 0; step < STEPS; step++)
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++)
            sums[i] = _mm512_dpbusd_epi32(sums[i], a, b);
#pragma GCC unroll 12
    for (int i = 0; i < CHAINS; i++)
        work->sink += (uint64_t)_mm512_reduce_add_epi32(sums[i]);
}

__attribute__((target("avx2"))) static void dot_avx2(struct work *work)
{
    __m256i sums[CHAINS], a = _mm256_set1_epi16(3), b = _mm256_set1_epi16(-5);
#pragma GCC unroll 12
    for (int i = 0; i < CHAINS; i++)
        sums[i] = _mm256_set1_epi32(i);
    for (int step = 0; step < STEPS; step++)
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++) {
            __m256i products; /* written out: the same product in every step is worth one to a compiler */
            __asm__("vpmaddwd %3, %2, %1\n\tvpaddd %1, %0, %0" : "+x"(sums[i]), "=&x"(products) : "x"(a), "x"(b));
        }
#pragma GCC unroll 12
    for (int i = 0; i < CHAINS; i++)
        work->sink += (uint64_t)_mm256_extract_epi32(sums[i], 0);
}
#endif

static void read_memory(struct work *work)
{
    const uint64_t *words = (const uint64_t *)(const void *)work->memory;
    uint64_t sums[16] = {0};
    for (size_t i = 0; i < BYTES / 8; i += 16) {
        __builtin_prefetch(words + i + 256);
        for (int k = 0; k < 16; k++)
            sums[k] += words[i + (size_t)k];
    }
    for (int k = 0; k < 16; k++)
        work->sink += sums[k];
}

static void *thread(void *argument)
{
    struct work *work = argument;
    work->run(work);
    return NULL;
}

/* Best seconds of a round in which every thread does the work once. */
static double best(void (*run)(struct work *), struct work *works, int threads)
{
    double least = 1e9;
    for (int round = 0; round < ROUNDS; round++) {
        pthread_t ids[64];
        double start = now_s();
        for (int i = 0; i < threads; i++) {
            works[i].run = run;
            pthread_create(&ids[i], NULL, thread, &works[i]);
        }
        for (int i = 0; i < threads; i++)
            pthread_join(ids[i], NULL);
        double took = now_s() - start;
        least = took < least ? took : least;
    }
    return least;
}

int main(int argc, char **argv)
{
    int threads = argc > 1 ? atoi(argv[1]) : 1;
    if (threads < 1 || threads > 64) {
        fprintf(stderr, "limits [threads], 1 to 64\n");
        return 2;
    }
    struct work works[64] = {0};
    uint8_t *memory = malloc((size_t)threads * BYTES);
    if (!memory)
        return 1;
    for (size_t i = 0; i < (size_t)threads * BYTES; i += 4096)
        memory[i] = (uint8_t)i;
    for (int i = 0; i < threads; i++)
        works[i].memory = memory + (size_t)i * BYTES;
    double f32 = 0, i8 = 0;
#if defined(__x86_64__)
    double total = 1e-9 * (double)threads * STEPS * CHAINS;
    bool wide = __builtin_cpu_supports("avx512f"), vnni = wide && __builtin_cpu_supports("avx512vnni");
    f32 = total * (wide ? 16 : 8) / best(wide ? fma_avx512 : fma_avx2, works, threads);
    i8 = total * (vnni ? 64 : 16) / best(vnni ? dot_vnni : dot_avx2, works, threads);
#endif
    double gb = 1e-9 * (double)threads * BYTES / best(read_memory, works, threads);
    printf("{\"threads\": %d, \"f32_gmac_s\": %.1f, \"i8_gmac_s\": %.1f, \"read_gb_s\": %.2f}\n", threads, f32, i8, gb);
    free(memory);
    return works[0].sink == 42;
}
