#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conformance/internal.h"
#include "platform/cpu.h"

enum { SCRATCH_GUARD = 64 };

void cf_case(struct cf *cf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(cf->what, sizeof cf->what, format, args);
    va_end(args);
}

void cf_fail(struct cf *cf, const char *format, ...)
{
    char text[200];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (cf->failures++ < 5)
        printf("  %s, %s: %s\n", cf->kernel->name, cf->what, text);
}

void cf_run(struct cf *cf, const void *params, const struct qn_view *const *outputs, uint32_t output_count)
{
    const struct qn_kernel *kernel = cf->kernel;
    int64_t tiles = kernel->tiles(params), need = kernel->scratch ? kernel->scratch(params) : 0;
    size_t size = (size_t)(need + 63) / 64 * 64 + 2 * SCRATCH_GUARD;
    unsigned char *scratch = aligned_alloc(64, size);
    assert(scratch);
    for (int64_t begin = 0, step; begin < tiles; begin += step) {
        memset(scratch, 0x5a, size); /* what lies in scratch must not matter */
        step = 1 + (int64_t)(cf_random() >> 32) % (tiles < 7 ? 3 : tiles / 2);
        step = step < tiles - begin ? step : tiles - begin;
        kernel->run(params, begin, begin + step, scratch + SCRATCH_GUARD);
        for (size_t i = 0; i < SCRATCH_GUARD; i++) {
            if (scratch[i] != 0x5a || scratch[SCRATCH_GUARD + (size_t)need + i] != 0x5a) {
                cf_fail(cf, "wrote outside its scratch");
                break;
            }
        }
    }
    free(scratch);
    if (cf->mutated)
        for (uint32_t i = 0; i < output_count; i++)
            cf_falsify(outputs[i]);
    cf->cases++;
}

const struct qn_kernel *cf_next_kernel(enum qn_family family, uint32_t *at)
{
    uint32_t features;
    qn_status status = qn_cpu_features(&features);
    if (status) {
        qn_status_free(status);
        return NULL;
    }
    while (*at < qn_kernel_count) {
        const struct qn_kernel *kernel = qn_kernels[(*at)++];
        if (kernel->family == family && (kernel->needs & ~features) == 0)
            return kernel;
    }
    return NULL;
}

void cf_run_tiles(const struct qn_kernel *kernel, const void *params, int64_t begin, int64_t end)
{
    size_t need = kernel->scratch ? (size_t)kernel->scratch(params) : 0;
    void *scratch = aligned_alloc(64, (need + 127) / 64 * 64);
    assert(scratch);
    kernel->run(params, begin, end, scratch);
    free(scratch);
}

void cf_run_all(const struct qn_kernel *kernel, const void *params)
{
    cf_run_tiles(kernel, params, 0, kernel->tiles(params));
}

void cf_check(struct cf *cf, const struct cf_tensor *y, const double *want, double relative, double absolute)
{
    double *got = cf_values(&y->view);
    int64_t n = cf_elems(&y->view);
    for (int64_t i = 0; i < n; i++) {
        double room = absolute + relative * fabs(want[i]);
        if (got[i] == want[i] || (isnan(got[i]) && isnan(want[i])) || fabs(got[i] - want[i]) <= room)
            continue;
        cf_fail(cf, "element %lld is %.9g, not %.9g (off by %.2g, allowed %.2g)", (long long)i, got[i], want[i],
                fabs(got[i] - want[i]), room);
        break;
    }
    free(got);
    if (!cf_only_view_written(y))
        cf_fail(cf, "wrote outside its output");
}

double cf_rounding(qn_dtype dtype)
{
    switch (dtype) {
    case QN_DTYPE_F64:
        return 0x1p-53;
    case QN_DTYPE_F32:
        return 0x1p-24;
    case QN_DTYPE_F16:
        return 0x1p-11;
    case QN_DTYPE_BF16:
        return 0x1p-8;
    default:
        return 0;
    }
}
