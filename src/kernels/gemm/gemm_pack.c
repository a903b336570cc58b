/* Panels for GEMM, in plain C: it is a copy. */
#include <stddef.h>

#include "kernels/gemm/gemm.h"

int64_t qn_gemm_packed_bytes(int64_t k, int64_t n, int64_t element_bytes)
{
    int64_t panels = (n + QN_GEMM_PANEL - 1) / QN_GEMM_PANEL, row = QN_GEMM_PANEL * element_bytes, bytes;
    if (__builtin_mul_overflow(panels, k, &bytes) || __builtin_mul_overflow(bytes, row, &bytes))
        return INT64_MAX;
    return bytes;
}

static int64_t tiles(const void *params)
{
    const struct qn_gemm_pack_params *p = params;
    return (p->n + QN_GEMM_PANEL - 1) / QN_GEMM_PANEL;
}

/* k's of a transposed source that are taken at once: a cache line of each column. */
enum { STEP = 16 };

/* Sources may lie at any address. `bytes` is a constant where this is called. */
static inline __attribute__((always_inline)) void pack_panel(const size_t bytes, const struct qn_gemm_pack_params *p,
                                                             int64_t panel)
{
    int64_t first = panel * QN_GEMM_PANEL, n = p->n - first < QN_GEMM_PANEL ? p->n - first : QN_GEMM_PANEL;
    int64_t row_bytes = QN_GEMM_PANEL * (int64_t)bytes;
    char *out = (char *)p->out + panel * p->k * row_bytes;
    const char *from = (const char *)p->b + first * p->b_n;
    if (n < QN_GEMM_PANEL)
        __builtin_memset(out, 0, (size_t)(p->k * row_bytes));
    if (p->b_n == (int64_t)bytes) {
        for (int64_t k = 0; k < p->k; k++)
            __builtin_memcpy(out + k * row_bytes, from + k * p->b_k, (size_t)n * bytes);
        return;
    }
    for (int64_t k = 0; k < p->k; k += STEP) {
        int64_t count = p->k - k < STEP ? p->k - k : STEP;
        for (int64_t j = 0; j < n; j++) {
            const char *line = from + j * p->b_n + k * p->b_k;
            char *to = out + k * row_bytes + j * (int64_t)bytes;
            for (int64_t i = 0; i < count; i++)
                __builtin_memcpy(to + i * row_bytes, line + i * p->b_k, bytes);
        }
    }
}

static void run(const void *params, int64_t begin, int64_t end, void *scratch)
{
    (void)scratch;
    const struct qn_gemm_pack_params *p = params;
    for (int64_t panel = begin; panel < end; panel++) {
        if (p->element_bytes == 4)
            pack_panel(4, p, panel);
        else
            pack_panel(2, p, panel);
    }
}

const struct qn_kernel qn_pack_panels_f32 = {
    .serial = 1700,
    .name = "pack_panels_f32",
    .family = QN_FAMILY_PACK,
    .tiles = tiles,
    .run = run,
    .pack = QN_PACK_PANELS_F32,
};

const struct qn_kernel qn_pack_panels_16 = {
    .serial = 1701,
    .name = "pack_panels_16",
    .family = QN_FAMILY_PACK,
    .tiles = tiles,
    .run = run,
    .pack = QN_PACK_PANELS_16,
};
