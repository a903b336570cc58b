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

const struct qn_kernel *qn_kernel_select(enum qn_family family, qn_dtype dtype, int act, uint32_t features)
{
    const struct qn_kernel *best = NULL;
    for (uint32_t i = 0; i < qn_kernel_count; i++) {
        const struct qn_kernel *kernel = qn_kernels[i];
        if (kernel->family != family || (kernel->needs & ~features) || (act >= 0 && (int)kernel->act != act) ||
            !serves_dtype(kernel, dtype))
            continue;
        bool exact = kernel->dtype != QN_DTYPE_NONE;
        bool best_exact = best && best->dtype != QN_DTYPE_NONE;
        if (!best || (exact && !best_exact) || (exact == best_exact && kernel->rank > best->rank))
            best = kernel;
    }
    return best;
}
