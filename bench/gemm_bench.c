/* How close the packed matrix products come to what the machine can do, at the shapes of BERT-base, GPT-2 and ResNet.
 *
 *   gemm_bench [-t threads] [-r repeats] [m n k]
 *
 * For each shape and each kernel of GEMM that this CPU runs (QUERN_CPU caps it): operations (a multiplication and an
 * addition are two) a second, and their share of the peak of fused multiply-adds, measured in the same run with the
 * same threads by a loop that does nothing else; for one row also bytes of weights a second. Medians. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/gemm/gemm.h"
#include "kernels/integer_gemm/integer_gemm.h"
#include "platform/clock.h"
#include "platform/cpu.h"
#include "pool/pool.h"

static struct qn_pool *pool;
static uint32_t threads = 2, features;
static int repeats = 15;

enum { PEAK_LOOPS = 1000000, PEAK_CHAINS = 12 };

/* Fused multiply-adds in registers and nothing else, on vectors of `bytes`. */
#if defined(__x86_64__)
#define PEAK_TARGET(isa) __attribute__((target(isa)))
#define PEAK_STEP(sum, a, c) __asm__ volatile("vfmadd231ps %1, %2, %0" : "+v"(sum) : "v"(a), "v"(c))
#else
#define PEAK_TARGET(isa)
#define PEAK_STEP(sum, a, c) sum += a * c
#endif
#define PEAK(function, isa, bytes)                                                                    \
    PEAK_TARGET(isa) static void function(void *context, int64_t begin, int64_t end, uint32_t thread) \
    {                                                                                                 \
        typedef float vector __attribute__((vector_size(bytes)));                                     \
        (void)begin, (void)end, (void)thread;                                                         \
        vector sum[PEAK_CHAINS] = {{0}}, a = {0}, c = {0}, total = {0};                               \
        for (int i = 0; i < PEAK_LOOPS; i++) {                                                        \
            _Pragma("GCC unroll 12") for (int j = 0; j < PEAK_CHAINS; j++) PEAK_STEP(sum[j], a, c);   \
        }                                                                                             \
        _Pragma("GCC unroll 12") for (int j = 0; j < PEAK_CHAINS; j++) total += sum[j];               \
        *(volatile float *)context = total[0];                                                        \
    }
PEAK(peak_narrow, "avx2,fma", 32)
#if defined(__x86_64__)
PEAK(peak_wide, "avx512f", 64)
#else
#define peak_wide peak_narrow
#endif

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Gflop/s of all threads. */
static double peak(void)
{
    bool is_wide = features & QN_CPU_AVX512;
    double rates[5];
    float sink;
    for (int r = 0; r < 5; r++) {
        uint64_t start = qn_clock_ns();
        qn_pool_for(pool, threads, 1, is_wide ? peak_wide : peak_narrow, &sink);
        rates[r] = 2.0 * (is_wide ? 16 : 8) * PEAK_LOOPS * PEAK_CHAINS * threads / (double)(qn_clock_ns() - start);
    }
    qsort(rates, 5, sizeof rates[0], by_value);
    return rates[2];
}

struct call {
    const struct qn_kernel *kernel;
    const void *params;
    char *scratch;
    int64_t scratch_bytes;
};

static void run_tiles(void *context, int64_t begin, int64_t end, uint32_t thread)
{
    const struct call *call = context;
    call->kernel->run(call->params, begin, end, call->scratch + thread * call->scratch_bytes);
}

/* Median seconds of a kernel over its whole index space. */
static double seconds(const struct qn_kernel *kernel, const void *params)
{
    double times[64];
    int64_t need = kernel->scratch ? (kernel->scratch(params) + 127) / 64 * 64 : 64;
    struct call call = {kernel, params, aligned_alloc(64, (size_t)need * threads), need};
    int count = repeats < 64 ? repeats : 64;
    for (int r = -1; r < count; r++) {
        uint64_t start = qn_clock_ns();
        qn_pool_for(pool, kernel->tiles(params), 1, run_tiles, &call);
        if (r >= 0)
            times[r] = (double)(qn_clock_ns() - start) * 1e-9;
    }
    free(call.scratch);
    qsort(times, (size_t)count, sizeof times[0], by_value);
    return times[count / 2];
}

static float *numbers(int64_t count)
{
    float *x = aligned_alloc(64, ((size_t)count * sizeof *x + 63) / 64 * 64);
    uint32_t state = 1;
    for (int64_t i = 0; i < count; i++) {
        state = state * 1664525 + 1013904223;
        x[i] = (float)(state >> 8) * 0x1p-23f - 1;
    }
    return x;
}

static void bench_f32(int64_t m, int64_t n, int64_t k, double limit)
{
    float *a = numbers(m * k), *b = numbers(k * n), *bias = numbers(n), *y = numbers(m * n);
    void *packed = aligned_alloc(64, (size_t)qn_gemm_packed_bytes(k, n, 4) + 64);
    struct qn_gemm_pack_params pack = {
        .b = b, .k = k, .n = n, .b_k = n * 4, .b_n = 4, .element_bytes = 4, .out = packed};
    for (uint32_t i = 0; i < qn_kernel_count; i++) {
        const struct qn_kernel *kernel = qn_kernels[i];
        if (kernel->family == QN_FAMILY_PACK && kernel->pack == QN_PACK_PANELS_F32)
            kernel->run(&pack, 0, kernel->tiles(&pack), NULL);
    }
    struct qn_gemm_params p = {.a = a,
                               .a_stride = k,
                               .b = packed,
                               .b_dtype = QN_DTYPE_F32,
                               .y = y,
                               .y_stride = n,
                               .bias = bias,
                               .m = m,
                               .n = n,
                               .k = k};
    for (uint32_t i = 0; i < qn_kernel_count; i++) {
        const struct qn_kernel *kernel = qn_kernels[i];
        if (kernel->family != QN_FAMILY_GEMM || kernel->pack != QN_PACK_PANELS_F32 || (kernel->needs & ~features) ||
            kernel->dtype != QN_DTYPE_F32)
            continue;
        double s = seconds(kernel, &p), rate = 2.0 * (double)m * (double)n * (double)k / s * 1e-9;
        printf("%5lld x %5lld x %5lld  %-20s %9.1f us %8.1f Gflop/s %5.1f %% of peak %7.2f GB/s of weights\n",
               (long long)m, (long long)n, (long long)k, kernel->name, s * 1e6, rate, 100 * rate / limit,
               (double)(k * n * 4) / s * 1e-9);
    }
    free(a);
    free(b);
    free(bias);
    free(y);
    free(packed);
}

/* Weights in the form that a kernel reads; the caller frees them. */
static void *packed_i8(const struct qn_kernel *kernel, const void *b, int64_t n, int64_t k)
{
    void *packed = aligned_alloc(64, ((size_t)qn_integer_form_bytes(kernel->pack, k, n) + 127) / 64 * 64);
    struct qn_integer_pack_params pack = {b, true, k, n, n, 1, 1, 0, packed};
    for (uint32_t i = 0; i < qn_kernel_count; i++)
        if (qn_kernels[i]->family == QN_FAMILY_PACK && qn_kernels[i]->pack == kernel->pack) {
            double s = seconds(qn_kernels[i], &pack);
            printf("%32s %-24s %9.1f us %26.2f GB/s of weights\n", "", qn_kernels[i]->name, s * 1e6,
                   (double)(k * n) / s * 1e-9);
        }
    return packed;
}

/* Weights as training leaves them, most of them small. */
static int8_t *weights_i8(int64_t count)
{
    int8_t *w = aligned_alloc(64, ((size_t)count + 63) / 64 * 64);
    uint32_t state = 1;
    for (int64_t i = 0; i < count; i++) {
        state = state * 1664525 + 1013904223;
        w[i] = (int8_t)((state >> 24 & 31) + (state >> 18 & 31) + (state >> 12 & 31) - 46);
    }
    return w;
}

/* Bytes by bytes to bytes, one scale a column. */
static void bench_i8(int64_t m, int64_t n, int64_t k)
{
    float *scales = numbers(n), one = 0.01f;
    uint8_t *a = (uint8_t *)numbers(m * k / 4 + 1), zero = 128;
    int8_t *b = weights_i8(k * n);
    uint8_t *y = (uint8_t *)numbers(m * n / 4 + 1);
    struct qn_integer_gemm_params p = {.a = a,
                                       .a_stride = k,
                                       .b_signed = true,
                                       .a_zero = &zero,
                                       .m = m,
                                       .n = n,
                                       .k = k,
                                       .out = {.y = y,
                                               .dtype = QN_DTYPE_U8,
                                               .stride = n,
                                               .a_scale = &one,
                                               .b_scale = scales,
                                               .b_scale_step = 1,
                                               .y_scale = &one,
                                               .y_zero = &zero}};
    for (uint32_t i = 0; i < qn_kernel_count; i++) {
        const struct qn_kernel *kernel = qn_kernels[i];
        if (kernel->family != QN_FAMILY_INTEGER_GEMM || !kernel->pack || (kernel->needs & ~features))
            continue;
        void *packed = packed_i8(kernel, b, n, k);
        p.b = packed;
        double s = seconds(kernel, &p), rate = 2.0 * (double)m * (double)n * (double)k / s * 1e-9;
        free(packed);
        printf("%5lld x %5lld x %5lld  %-24s %9.1f us %8.1f Gop/s %7.2f GB/s of weights\n", (long long)m, (long long)n,
               (long long)k, kernel->name, s * 1e6, rate, (double)(k * n) / s * 1e-9);
    }
    free(scales);
    free(a);
    free(b);
    free(y);
}

int main(int argc, char **argv)
{
    static const int64_t shapes[][3] = {
        {128, 768, 768}, {128, 3072, 768}, {128, 768, 3072}, {1024, 768, 768}, {1, 768, 768},
        {1, 2304, 768},  {1, 50257, 768},  {4, 768, 768},    {3136, 64, 64},   {3136, 64, 576},
        {784, 512, 128}, {196, 1024, 256}, {49, 2048, 512},  {12544, 96, 16},
    };
    int64_t shape[3];
    int at = 1, given = 0;
    for (; at < argc; at++) {
        if (strcmp(argv[at], "-t") == 0 && at + 1 < argc)
            threads = (uint32_t)atoi(argv[++at]);
        else if (strcmp(argv[at], "-r") == 0 && at + 1 < argc)
            repeats = atoi(argv[++at]);
        else if (given < 3)
            shape[given++] = atoll(argv[at]);
    }
    qn_status status = qn_cpu_features(&features);
    if (!status)
        status = qn_pool_create(threads, NULL, &pool);
    if (status) {
        fprintf(stderr, "%s\n", qn_status_message(status));
        return 1;
    }
    double limit = peak();
    printf("%u threads, peak %.1f Gflop/s\n", threads, limit);
    if (given == 3) {
        bench_f32(shape[0], shape[1], shape[2], limit);
        bench_i8(shape[0], shape[1], shape[2]);
    } else {
        for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
            bench_f32(shapes[i][0], shapes[i][1], shapes[i][2], limit);
        for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
            bench_i8(shapes[i][0], shapes[i][1], shapes[i][2]);
    }
    qn_pool_destroy(pool);
    return 0;
}
