/* conv_bench [threads-less]: the convolutions of ResNet-50 and MobileNetV2 on one thread, kernel by kernel: GFLOP/s and
 * the share of what this core's multiply-adds reach in the same run (of floats, for kernels of integers too).
 *
 *     conv_bench [kernel name] [repetitions] [squares: 2 or 4, of Winograd kernels]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ir/ir.h"
#include "kernels/conv/conv.h"
#include "kernels/integer_conv/integer_conv.h"
#include "platform/cpu.h"

struct layer {
    const char *model;
    int64_t size, c, o, kernel, stride, groups, count;
};

static const struct layer layers[] = {
    {"resnet50", 224, 3, 64, 7, 2, 1, 1},          {"resnet50", 56, 64, 64, 1, 1, 1, 1},
    {"resnet50", 56, 64, 64, 3, 1, 1, 3},          {"resnet50", 56, 64, 256, 1, 1, 1, 4},
    {"resnet50", 56, 256, 64, 1, 1, 1, 2},         {"resnet50", 56, 256, 128, 1, 1, 1, 1},
    {"resnet50", 56, 128, 128, 3, 2, 1, 1},        {"resnet50", 28, 128, 128, 3, 1, 1, 3},
    {"resnet50", 28, 128, 512, 1, 1, 1, 4},        {"resnet50", 28, 512, 128, 1, 1, 1, 3},
    {"resnet50", 56, 256, 512, 1, 2, 1, 1},        {"resnet50", 28, 512, 256, 1, 1, 1, 1},
    {"resnet50", 28, 256, 256, 3, 2, 1, 1},        {"resnet50", 14, 256, 256, 3, 1, 1, 5},
    {"resnet50", 14, 256, 1024, 1, 1, 1, 6},       {"resnet50", 14, 1024, 256, 1, 1, 1, 5},
    {"resnet50", 28, 512, 1024, 1, 2, 1, 1},       {"resnet50", 14, 1024, 512, 1, 1, 1, 1},
    {"resnet50", 14, 512, 512, 3, 2, 1, 1},        {"resnet50", 7, 512, 512, 3, 1, 1, 2},
    {"resnet50", 7, 512, 2048, 1, 1, 1, 3},        {"resnet50", 7, 2048, 512, 1, 1, 1, 2},
    {"resnet50", 14, 1024, 2048, 1, 2, 1, 1},      {"mobilenetv2", 224, 3, 32, 3, 2, 1, 1},
    {"mobilenetv2", 112, 32, 32, 3, 1, 32, 1},     {"mobilenetv2", 112, 32, 16, 1, 1, 1, 1},
    {"mobilenetv2", 112, 16, 96, 1, 1, 1, 1},      {"mobilenetv2", 112, 96, 96, 3, 2, 96, 1},
    {"mobilenetv2", 56, 96, 24, 1, 1, 1, 1},       {"mobilenetv2", 56, 24, 144, 1, 1, 1, 2},
    {"mobilenetv2", 56, 144, 144, 3, 1, 144, 1},   {"mobilenetv2", 56, 144, 24, 1, 1, 1, 1},
    {"mobilenetv2", 56, 144, 144, 3, 2, 144, 1},   {"mobilenetv2", 28, 144, 32, 1, 1, 1, 1},
    {"mobilenetv2", 28, 32, 192, 1, 1, 1, 3},      {"mobilenetv2", 28, 192, 192, 3, 1, 192, 2},
    {"mobilenetv2", 28, 192, 32, 1, 1, 1, 2},      {"mobilenetv2", 28, 192, 192, 3, 2, 192, 1},
    {"mobilenetv2", 14, 192, 64, 1, 1, 1, 1},      {"mobilenetv2", 14, 64, 384, 1, 1, 1, 4},
    {"mobilenetv2", 14, 384, 384, 3, 1, 384, 4},   {"mobilenetv2", 14, 384, 64, 1, 1, 1, 3},
    {"mobilenetv2", 14, 384, 96, 1, 1, 1, 1},      {"mobilenetv2", 14, 96, 576, 1, 1, 1, 3},
    {"mobilenetv2", 14, 576, 576, 3, 1, 576, 2},   {"mobilenetv2", 14, 576, 96, 1, 1, 1, 2},
    {"mobilenetv2", 14, 576, 576, 3, 2, 576, 1},   {"mobilenetv2", 7, 576, 160, 1, 1, 1, 1},
    {"mobilenetv2", 7, 160, 960, 1, 1, 1, 3},      {"mobilenetv2", 7, 960, 960, 3, 1, 960, 3},
    {"mobilenetv2", 7, 960, 160, 1, 1, 1, 2},      {"mobilenetv2", 7, 960, 320, 1, 1, 1, 1},
    {"mobilenetv2", 7, 320, 1280, 1, 1, 1, 1},     {"super_resolution", 224, 1, 64, 5, 1, 1, 1},
    {"super_resolution", 224, 64, 64, 3, 1, 1, 1}, {"super_resolution", 224, 64, 32, 3, 1, 1, 1},
    {"super_resolution", 224, 32, 9, 3, 1, 1, 1},
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static float *random_floats(int64_t n)
{
    float *v = aligned_alloc(64, (size_t)(n * 4 + 63) / 64 * 64);
    if (!v)
        exit(1);
    for (int64_t i = 0; i < n; i++)
        v[i] = (float)rand() / (float)RAND_MAX - 0.5f;
    return v;
}

#if defined(__x86_64__)
#include <immintrin.h>
/* Multiply-adds a second that one core reaches with full vectors. */
__attribute__((target("avx512f"))) static double peak_avx512(void)
{
    __m512 s[12], a = _mm512_set1_ps(0.999f), b = _mm512_set1_ps(0.5f);
    for (int i = 0; i < 12; i++)
        s[i] = _mm512_set1_ps((float)i);
    double start = now();
    for (int i = 0; i < 2000000; i++) {
#pragma GCC unroll 12
        for (int k = 0; k < 12; k++)
            s[k] = _mm512_fmadd_ps(s[k], a, b);
    }
    double seconds = now() - start;
    for (int i = 1; i < 12; i++)
        s[0] = _mm512_add_ps(s[0], s[i]);
    volatile float keep = _mm512_cvtss_f32(s[0]);
    (void)keep;
    return 2000000.0 * 12 * 16 / seconds;
}

__attribute__((target("avx2,fma"))) static double peak_avx2(void)
{
    __m256 s[12], a = _mm256_set1_ps(0.999f), b = _mm256_set1_ps(0.5f);
    for (int i = 0; i < 12; i++)
        s[i] = _mm256_set1_ps((float)i);
    double start = now();
    for (int i = 0; i < 2000000; i++) {
#pragma GCC unroll 12
        for (int k = 0; k < 12; k++)
            s[k] = _mm256_fmadd_ps(s[k], a, b);
    }
    double seconds = now() - start;
    for (int i = 1; i < 12; i++)
        s[0] = _mm256_add_ps(s[0], s[i]);
    volatile float keep = _mm256_cvtss_f32(s[0]);
    (void)keep;
    return 2000000.0 * 12 * 8 / seconds;
}
#endif

static double peak(const struct qn_kernel *kernel)
{
    double best = 1e-9;
#if defined(__x86_64__)
    for (int i = 0; i < 3; i++) {
        double p = kernel->needs & QN_CPU_AVX512 ? peak_avx512() : kernel->needs & QN_CPU_AVX2 ? peak_avx2() : 1e9;
        best = p > best ? p : best;
    }
#else
    (void)kernel;
#endif
    return best;
}

/* Least seconds of a call, of processor time: other programs may run beside it. */
static double least_time(const struct qn_kernel *kernel, const void *params, int repetitions)
{
    double least = 1e9;
    void *scratch = kernel->scratch ? random_floats(kernel->scratch(params) / 4 + 16) : NULL;
    for (int i = 0; i < repetitions; i++) {
        double start = now();
        kernel->run(params, 0, kernel->tiles(params), scratch);
        double seconds = now() - start;
        least = seconds < least ? seconds : least;
    }
    free(scratch);
    return least;
}

static void pack_weights(enum qn_pack pack, const void *params)
{
    for (uint32_t i = 0; i < qn_kernel_count; i++) {
        const struct qn_kernel *kernel = qn_kernels[i];
        if (kernel->family != QN_FAMILY_PACK || kernel->pack != pack)
            continue;
        void *scratch = kernel->scratch ? random_floats(kernel->scratch(params) / 4 + 16) : NULL;
        kernel->run(params, 0, kernel->tiles(params), scratch);
        free(scratch);
    }
}

static struct qn_conv_params params_of(const struct layer *l)
{
    int64_t out = l->stride == 1 ? l->size : (l->size + 1) / 2, pad = l->kernel / 2;
    struct qn_conv_params p = {
        .op = QN_OP_conv, .batch = 1, .c = l->c, .o = l->o, .groups = l->groups, .w_dtype = QN_DTYPE_F32};
    p.window = (struct qn_window){.in = {1, l->size, l->size},
                                  .out = {1, out, out},
                                  .kernel = {1, l->kernel, l->kernel},
                                  .stride = {1, l->stride, l->stride},
                                  .dilation = {1, 1, 1},
                                  .begin = {0, pad, pad},
                                  .end = {0, pad, pad}};
    p.x = (struct qn_pixels){NULL, QN_DTYPE_F32, l->size * l->size * l->c, 1, {0, l->size * l->c, l->c}};
    p.y = (struct qn_pixels){NULL, QN_DTYPE_F32, out * out * l->o, 1, {0, out * l->o, l->o}};
    p.activation = QN_ACTIVATION_RELU;
    p.bias_stride = 1;
    return p;
}

/* Seconds of a layer and *macs, its multiply-adds. 0: a layer that the kernel does not take. */
static double measure(const struct qn_kernel *kernel, const struct layer *l, int repetitions, int64_t squares,
                      double *macs)
{
    struct qn_conv_params p = params_of(l);
    p.winograd = squares;
    if (kernel->fits && !kernel->fits(&p))
        return 0;
    int64_t weights = l->o * l->c / l->groups * l->kernel * l->kernel;
    float *w = random_floats(weights), *x = random_floats(p.x.batch), *y = random_floats(p.y.batch);
    float *bias = random_floats(l->o), *packed = w;
    p.x.data = x;
    p.y.data = y;
    p.bias = bias;
    *macs = (double)weights * (double)qn_window_out(&p.window);
    if (kernel->pack) {
        packed = random_floats(qn_conv_packed_bytes(&p, kernel->pack) / 4);
        struct qn_conv_pack_params pack = {.conv = p, .from = w, .to = packed};
        pack_weights(kernel->pack, &pack);
    }
    p.w = packed;
    double seconds = least_time(kernel, &p, repetitions);
    if (packed != w)
        free(packed);
    free(w);
    free(x);
    free(y);
    free(bias);
    return seconds;
}

/* The same for bytes, signed weights. */
static double measure_integers(const struct qn_kernel *kernel, const struct layer *l, int repetitions, double *macs)
{
    int64_t size = l->stride == 1 ? l->size : (l->size + 1) / 2, pad = l->kernel / 2, per_group = l->c / l->groups;
    int64_t taps = l->kernel * l->kernel, weights = l->o * per_group * taps;
    float a_scale = 1, b_scale = 0.01f, y_scale = 1;
    void *w = random_floats(weights / 4 + 1), *x = random_floats(l->size * l->size * l->c / 4 + 1);
    void *y = random_floats(size * size * l->o / 4 + 1), *bias = random_floats(l->o);
    void *packed = random_floats(qn_integer_conv_packed_bytes(l->o, per_group, l->groups, taps) / 4 + 16);
    struct qn_integer_conv_params p = {
        .x = x,
        .w = kernel->pack ? packed : w,
        .w_signed = true,
        .n = 1,
        .c = l->c,
        .o = l->o,
        .groups = l->groups,
        .in = {1, l->size, l->size},
        .size = {1, size, size},
        .kernel = {1, l->kernel, l->kernel},
        .strides = {1, l->stride, l->stride},
        .dilations = {1, 1, 1},
        .begin = {0, pad, pad},
        .x_n = l->size * l->size * l->c,
        .x_c = 1,
        .x_s = {l->size * l->size * l->c, l->size * l->c, l->c},
        .y_n = size * size * l->o,
        .y_c = 1,
        .y_s = {size * size * l->o, size * l->o, l->o},
        .out = {.y = y,
                .dtype = QN_DTYPE_U8,
                .a_scale = &a_scale,
                .b_scale = &b_scale,
                .bias = bias,
                .y_scale = &y_scale,
                .activation = QN_ACTIVATION_NONE},
    };
    struct qn_integer_conv_pack_params pack = {
        w, true, qn_integer_conv_is_depthwise(l->o, per_group, l->groups), l->o, per_group, l->groups, taps, packed};
    pack_weights(kernel->pack, &pack);
    *macs = (double)weights * (double)(size * size);
    double seconds = least_time(kernel, &p, repetitions);
    free(w);
    free(x);
    free(y);
    free(bias);
    free(packed);
    return seconds;
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "conv_f32_avx512";
    int repetitions = argc > 2 ? atoi(argv[2]) : 9;
    int64_t squares = argc > 3 ? atoi(argv[3]) : 0;
    const struct qn_kernel *kernel = NULL;
    for (uint32_t i = 0; i < qn_kernel_count; i++)
        if (strcmp(qn_kernels[i]->name, name) == 0)
            kernel = qn_kernels[i];
    if (!kernel || repetitions < 1 || repetitions > 1000) {
        fprintf(stderr, "usage: conv_bench [kernel] [1..1000]\n");
        return 2;
    }
    double most = peak(kernel), total = 0, total_macs = 0;
    const char *model = layers[0].model;
    printf("%s, peak %.0f GFLOP/s\n", name, 2e-9 * most);
    for (size_t i = 0; i <= sizeof layers / sizeof layers[0]; i++) {
        const struct layer *l = &layers[i];
        if (i == sizeof layers / sizeof layers[0] || strcmp(model, l->model) != 0) {
            printf("%-12s %8.2f ms, %.0f GFLOP/s, %.0f %% of peak\n", model, total * 1e3, 2e-9 * total_macs / total,
                   100 * total_macs / total / most);
            if (i == sizeof layers / sizeof layers[0])
                break;
            model = l->model;
            total = total_macs = 0;
        }
        double macs, seconds = kernel->family == QN_FAMILY_INTEGER_CONV
                                   ? measure_integers(kernel, l, repetitions, &macs)
                                   : measure(kernel, l, repetitions, squares, &macs);
        if (seconds == 0)
            continue;
        total += seconds * (double)l->count;
        total_macs += macs * (double)l->count;
        printf("  %3d px %4d -> %4d, %dx%d / %d, groups %3d: %8.1f us %6.0f GFLOP/s %4.0f %%\n", (int)l->size,
               (int)l->c, (int)l->o, (int)l->kernel, (int)l->kernel, (int)l->stride, (int)l->groups, seconds * 1e6,
               2e-9 * macs / seconds, 100 * macs / seconds / most);
    }
    return 0;
}
