#include "kernels/kernel.h"

#include <stdbool.h>
#include <stddef.h>

#include "quant/quant.h"

#define QN_KERNEL(serial, symbol) extern const struct qn_kernel symbol;
#include "kernels/kernels.def"
#undef QN_KERNEL

#define QN_KERNEL(serial, symbol) &symbol,
const struct qn_kernel *const qn_kernels[] = {
#include "kernels/kernels.def"
};
#undef QN_KERNEL

const uint32_t qn_kernel_count = sizeof(qn_kernels) / sizeof(qn_kernels[0]);

/* A generic matmul reads its weights through dequantise, so it serves exactly the dtypes that have one. */
static bool serves_dtype(const struct qn_kernel *kernel, qn_dtype dtype)
{
    if (kernel->dtype != QN_DTYPE_NONE)
        return kernel->dtype == dtype;
    return kernel->family != QN_FAMILY_MATMUL || qn_quant(dtype)->dequantise;
}

static bool is_better(const struct qn_kernel *kernel, const struct qn_kernel *than)
{
    bool exact = kernel->dtype != QN_DTYPE_NONE, than_exact = than->dtype != QN_DTYPE_NONE;
    return exact == than_exact ? kernel->rank > than->rank : exact;
}

uint32_t qn_kernel_candidates(enum qn_family family, qn_dtype dtype, int act, uint32_t features,
                              const struct qn_kernel **out, uint32_t room)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < qn_kernel_count; i++) {
        const struct qn_kernel *kernel = qn_kernels[i];
        if (kernel->family != family || (kernel->needs & ~features) || (act >= 0 && (int)kernel->act != act) ||
            !serves_dtype(kernel, dtype))
            continue;
        uint32_t at = count < room ? count++ : room; /* past the end: the worst one goes */
        for (; at > 0 && is_better(kernel, out[at - 1]); at--)
            if (at < room)
                out[at] = out[at - 1];
        if (at < room)
            out[at] = kernel;
    }
    return count;
}

const struct qn_kernel *qn_kernel_select(enum qn_family family, qn_dtype dtype, int act, uint32_t features)
{
    const struct qn_kernel *best = NULL;
    return qn_kernel_candidates(family, dtype, act, features, &best, 1) ? best : NULL;
}
