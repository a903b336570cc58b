/* How close the matmul kernels come to what the machine can do, at the shapes of a 1.1B llama.
 *
 *   matmul_bench [-t threads] [-m rows] [-r repeats] [type ...]
 *
 * For each type and each kernel of it that this CPU runs (QUERN_CPU caps it): with many rows of x, operations (a
 * multiplication and an addition are two) a second and their share of the peak of the best instruction for the form of
 * activations; with one row, bytes of weights a second and their share of the read bandwidth. Both limits are measured
 * in the same run with the same threads, by loops that do nothing else. Best of the repeats. Weights for one row are
 * spread over 512 MB, so that no cache holds them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/matmul/matmul.h"
#include "platform/clock.h"
#include "platform/cpu.h"
#include "pool/pool.h"
#include "quant/quant.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { STREAM_BYTES = 512 << 20, CHUNK = 1 << 20 };

static struct qn_pool *pool;
static uint32_t threads = 2, features;
static int64_t many = 512;
static int repeats = 5;
static uint8_t *stream;

/* ---- limits --------------------------------------------------------------------------------------------------- */

static void sum_chunks(void *context, int64_t begin, int64_t end, uint32_t thread)
{
    (void)thread;
    typedef uint64_t wide __attribute__((vector_size(64), aligned(1)));
    const wide *data = (const wide *)(const void *)(stream + begin * CHUNK);
    wide sums[4] = {{0}};
    for (int64_t i = 0; i < (end - begin) * CHUNK / 64; i += 4)
        for (int j = 0; j < 4; j++) {
            __builtin_prefetch((const char *)(data + i + j) + 12288);
            sums[j] += data[i + j];
        }
    sums[0] += sums[1] + sums[2] + sums[3];
    __atomic_fetch_add((uint64_t *)context, sums[0][0], __ATOMIC_RELAXED);
}

/* Bytes a second, in units of 1e9. */
static double read_bandwidth(void)
{
    double best = 0;
    for (int r = 0; r < repeats; r++) {
        uint64_t sum = 0, start = qn_clock_ns();
        qn_pool_for(pool, STREAM_BYTES / CHUNK, 8, sum_chunks, &sum);
        double rate = (double)STREAM_BYTES / (double)(qn_clock_ns() - start);
        best = rate > best ? rate : best;
    }
    return best;
}

enum { PEAK_LOOPS = 4000000, PEAK_CHAINS = 12 };

#if defined(__x86_64__)
#define PEAK(name, isa, type, zero, operation)                                                     \
    __attribute__((target(isa))) static void name(void *context, int64_t b, int64_t e, uint32_t t) \
    {                                                                                              \
        (void)b, (void)e, (void)t;                                                                 \
        type sum[PEAK_CHAINS], a = zero, c = zero;                                                 \
        __asm__ volatile("" : "+v"(a), "+v"(c));                                                   \
        for (int j = 0; j < PEAK_CHAINS; j++)                                                      \
            sum[j] = zero;                                                                         \
        for (int i = 0; i < PEAK_LOOPS; i++) {                                                     \
            for (int j = 0; j < PEAK_CHAINS; j++)                                                  \
                sum[j] = operation;                                                                \
            __asm__ volatile("" : "+v"(a), "+v"(c));                                               \
        }                                                                                          \
        for (int j = 0; j < PEAK_CHAINS; j++)                                                      \
            __asm__ volatile("" : "+v"(sum[j]));                                                   \
        (void)context;                                                                             \
    }
PEAK(peak_fma256, "avx2,fma", __m256, _mm256_setzero_ps(), _mm256_fmadd_ps(a, c, sum[j]))
PEAK(peak_maddubs, "avx2", __m256i, _mm256_setzero_si256(),
     _mm256_add_epi32(sum[j], _mm256_madd_epi16(_mm256_maddubs_epi16(a, c), a)))
PEAK(peak_fma512, "avx512f", __m512, _mm512_setzero_ps(), _mm512_fmadd_ps(a, c, sum[j]))
PEAK(peak_dpbusd, "avx512f,avx512vnni", __m512i, _mm512_setzero_si512(), _mm512_dpbusd_epi32(sum[j], a, c))
PEAK(peak_dpbf16, "avx512f,avx512bf16", __m512, _mm512_setzero_ps(),
     _mm512_dpbf16_ps(sum[j], (__m512bh)_mm512_castps_si512(a), (__m512bh)_mm512_castps_si512(c)))

static double rate_of(qn_pool_fn loop, int operations)
{
    double best = 0;
    for (int r = 0; r < repeats; r++) {
        uint64_t start = qn_clock_ns();
        qn_pool_for(pool, threads, 1, loop, NULL);
        double rate = (double)operations * PEAK_LOOPS * PEAK_CHAINS * threads / (double)(qn_clock_ns() - start);
        best = rate > best ? rate : best;
    }
    return best;
}
#endif

/* Operations a second in units of 1e9 of the instruction that a kernel of this form lives on; 0 where unknown. */
static double peak(enum qn_act act)
{
#if defined(__x86_64__)
    if (act == QN_ACT_BF16)
        return rate_of(peak_dpbf16, 64);
    if (act == QN_ACT_F32)
        return features & QN_CPU_AVX512 ? rate_of(peak_fma512, 32)
               : features & QN_CPU_AVX2 ? rate_of(peak_fma256, 16)
                                        : 0;
    return features & QN_CPU_AVX512VNNI ? rate_of(peak_dpbusd, 128)
           : features & QN_CPU_AVX2     ? rate_of(peak_maddubs, 64)
                                        : 0;
#else
    (void)act;
    return 0;
#endif
}

/* ---- kernels -------------------------------------------------------------------------------------------------- */

struct job {
    const struct qn_kernel *kernel;
    struct qn_matmul_params params;
    uint8_t *scratch;
    int64_t scratch_stride;
};

static void run_tiles(void *context, int64_t begin, int64_t end, uint32_t thread)
{
    const struct job *job = context;
    job->kernel->run(&job->params, begin, end, job->scratch + thread * job->scratch_stride);
}

/* Nanoseconds of one product, the mean over weights laid one behind the other in the stream. */
static double time_matmul(const struct qn_kernel *kernel, qn_dtype dtype, int64_t m, int64_t n, int64_t k)
{
    uint64_t row_bytes;
    if (!qn_dtype_row_bytes(dtype, (uint64_t)k, &row_bytes))
        return 0;
    struct job job = {.kernel = kernel,
                      .params = {.w_dtype = dtype, .w_stride = (int64_t)row_bytes, .m = m, .n = n, .k = k}};
    job.params.x_stride = kernel->act == QN_ACT_F32 ? k * 4 : qn_act_row_bytes(kernel->act, k);
    job.params.c_stride = n;
    float *x = calloc((size_t)(m * k), sizeof(float));
    void *form = calloc(1, (size_t)(m * job.params.x_stride) + 64);
    float *c = calloc((size_t)(m * n), sizeof(float));
    for (int64_t i = 0; i < m * k; i++)
        x[i] = (float)(i * 7919 % 1009) / 1009 - 0.5f;
    uint8_t *aligned = (uint8_t *)(((uintptr_t)form + 63) & ~(uintptr_t)63);
    const struct qn_kernel *activation =
        qn_kernel_select(QN_FAMILY_ACTIVATION, QN_DTYPE_NONE, (int)kernel->act, features);
    if (kernel->act == QN_ACT_F32) {
        memcpy(aligned, x, (size_t)(m * k) * sizeof(float));
    } else {
        struct qn_activation_params a = {.x = x, .x_stride = k, .out = aligned, .rows = m, .k = k};
        activation->run(&a, 0, m, NULL);
    }
    job.params.x = aligned;
    job.params.c = c;
    job.scratch_stride = ((kernel->scratch ? kernel->scratch(&job.params) : 0) + 4095) & ~(int64_t)4095;
    job.scratch = aligned_alloc(4096, (size_t)(job.scratch_stride * threads) + 4096);
    int64_t copies = m == 1 ? STREAM_BYTES / (int64_t)(row_bytes * (uint64_t)n) : 1, tiles = kernel->tiles(&job.params);
    double best = 1e30;
    for (int r = 0; r < repeats; r++) {
        uint64_t start = qn_clock_ns();
        for (int64_t i = 0; i < copies; i++) {
            job.params.w = stream + i * (int64_t)row_bytes * n;
            qn_pool_for(pool, tiles, m == 1 && tiles > 16 * threads ? tiles / (16 * threads) : 1, run_tiles, &job);
        }
        double time = (double)(qn_clock_ns() - start) / (double)copies;
        best = time < best ? time : best;
    }
    free(x);
    free(form);
    free(c);
    free(job.scratch);
    return best;
}

static void bench_kernel(const struct qn_kernel *kernel, qn_dtype dtype, double bandwidth)
{
    static const int64_t shapes[][2] = {{2048, 2048}, {5632, 2048}, {2048, 5632}};
    double limit = peak(kernel->act);
    for (size_t s = 0; s < 3; s++) {
        int64_t n = shapes[s][0], k = shapes[s][1];
        uint64_t row_bytes;
        if (!qn_dtype_row_bytes(dtype, (uint64_t)k, &row_bytes))
            continue;
        double operations = 2.0 * (double)(many * n * k) / time_matmul(kernel, dtype, many, n, k);
        double bytes = (double)row_bytes * (double)n / time_matmul(kernel, dtype, 1, n, k);
        printf("%-7s %-28s n %5ld k %5ld  m %ld: %7.1f GOPS %3.0f %% of %6.1f   m 1: %6.2f GB/s %3.0f %% of %.2f\n",
               qn_dtype_name(dtype), kernel->name, (long)n, (long)k, (long)many, operations,
               limit > 0 ? 100 * operations / limit : 0, limit, bytes, 100 * bytes / bandwidth, bandwidth);
        fflush(stdout);
    }
}

static int wanted(qn_dtype dtype, int count, char **names)
{
    for (int i = 0; i < count; i++)
        if (qn_dtype_from_name(names[i], strlen(names[i])) == dtype)
            return 1;
    return count == 0;
}

int main(int argc, char **argv)
{
    int first = 1;
    for (; first + 1 < argc && argv[first][0] == '-'; first += 2) {
        int value = atoi(argv[first + 1]);
        if (argv[first][1] == 't')
            threads = (uint32_t)value;
        else if (argv[first][1] == 'm')
            many = value;
        else
            repeats = value;
    }
    qn_status status = qn_cpu_features(&features);
    if (!status)
        status = qn_pool_create(threads, NULL, &pool);
    stream = aligned_alloc(64, STREAM_BYTES);
    if (status || !stream) {
        fprintf(stderr, "matmul_bench: %s\n", status ? qn_status_message(status) : "out of memory");
        qn_status_free(status);
        return 1;
    }
    for (int64_t i = 0; i < STREAM_BYTES / 4; i++) /* small numbers in every floating-point reading of them */
        ((uint32_t *)(void *)stream)[i] = ((uint32_t)i * 2654435761u & 0x03ff03ffu) | 0x30003000u;
    char text[128];
    double bandwidth = read_bandwidth();
    printf("%s, %u threads, read bandwidth %.2f GB/s\n", qn_cpu_features_text(features, text), threads, bandwidth);
    for (int dtype = 1; dtype < QN_DTYPE_LIMIT; dtype++) {
        if (!qn_quant((qn_dtype)dtype)->dequantise || !wanted((qn_dtype)dtype, argc - first, argv + first))
            continue;
        const struct qn_kernel *kernel = qn_kernel_select(QN_FAMILY_MATMUL, (qn_dtype)dtype, -1, features);
        bench_kernel(kernel, (qn_dtype)dtype, bandwidth);
    }
    qn_pool_destroy(pool);
    free(stream);
    return 0;
}
