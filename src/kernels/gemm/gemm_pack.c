/* Panels for GEMM, in plain C: it is a copy. */
#include <stddef.h>

#include "kernels/gemm/gemm.h"
#include "kernels/panel_words.h"

int64_t qn_gemm_packed_bytes(int64_t k, int64_t n, int64_t element_bytes)
{
    int64_t panels = (n + QN_GEMM_PANEL - 1) / QN_GEMM_PANEL, row = QN_GEMM_PANEL * element_bytes, bytes;
    if (__builtin_mul_overflow(panels, k, &bytes) || __builtin_mul_overflow(bytes, row, &bytes))
        return INT64_MAX;
    return bytes;
}

/* Panels a tile: rows of b are read in stretches of GROUP panels, 1 KiB of floats. */
enum { GROUP = 8 };

static int64_t panels_of(const struct qn_gemm_pack_params *p)
{
    return (p->n + QN_GEMM_PANEL - 1) / QN_GEMM_PANEL;
}

static int64_t tiles(const void *params)
{
    return (panels_of(params) + GROUP - 1) / GROUP;
}

/* Columns of a panel. */
static int64_t columns_of(const struct qn_gemm_pack_params *p, int64_t panel)
{
    int64_t left = p->n - panel * QN_GEMM_PANEL;
    return left < QN_GEMM_PANEL ? left : QN_GEMM_PANEL;
}

/* b with contiguous rows, read row by row. `bytes` is a constant where this is called. */
static inline __attribute__((always_inline)) void pack_rows(const int64_t bytes, const struct qn_gemm_pack_params *p,
                                                            int64_t begin, int64_t end)
{
    int64_t row_bytes = QN_GEMM_PANEL * bytes, panel_bytes = p->k * row_bytes;
    const char *from = (const char *)p->b + begin * row_bytes;
    char *to = (char *)p->out + begin * panel_bytes;
    int64_t full = p->n / QN_GEMM_PANEL < end ? p->n / QN_GEMM_PANEL - begin : end - begin;
    int64_t rest = full < end - begin ? columns_of(p, end - 1) * bytes : 0;
    for (int64_t k = 0; k < p->k; k++, from += p->b_k, to += row_bytes) {
        for (int64_t i = 0; i < full; i++)
            __builtin_memcpy(to + i * panel_bytes, from + i * row_bytes, (size_t)row_bytes);
        if (rest)
            __builtin_memcpy(to + full * panel_bytes, from + full * row_bytes, (size_t)rest);
    }
}

/* k's of any other source that are taken at once: a cache line of each column. */
enum { STEP = 16 };

/* Sources may lie at any address. `bytes` is a constant where this is called. */
static inline __attribute__((always_inline)) void pack_strided(const size_t bytes, const struct qn_gemm_pack_params *p,
                                                               int64_t panel)
{
    int64_t n = columns_of(p, panel), row_bytes = QN_GEMM_PANEL * (int64_t)bytes;
    char *out = (char *)p->out + panel * p->k * row_bytes;
    const char *from = (const char *)p->b + panel * QN_GEMM_PANEL * p->b_n;
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

static void pack_panel(const struct qn_gemm_pack_params *p, int64_t panel)
{
    if (p->element_bytes == 4 && p->b_k == 4) {
        struct qn_panel_words words = {.from = (const char *)p->b + panel * QN_GEMM_PANEL * p->b_n,
                                       .row_bytes = p->b_n,
                                       .columns = columns_of(p, panel),
                                       .count = p->k,
                                       .taps = 1,
                                       .to = (uint32_t *)p->out + panel * p->k * QN_GEMM_PANEL,
                                       .width = QN_GEMM_PANEL};
        qn_panel_words_copy(&words);
    } else if (p->element_bytes == 4) {
        pack_strided(4, p, panel);
    } else {
        pack_strided(2, p, panel);
    }
}

static void run(const void *params, int64_t begin, int64_t end, void *scratch)
{
    (void)scratch;
    const struct qn_gemm_pack_params *p = params;
    int64_t row_bytes = QN_GEMM_PANEL * p->element_bytes;
    for (int64_t tile = begin; tile < end && p->k; tile++) { /* nothing to pack, and out is NULL, where k is 0 */
        int64_t first = tile * GROUP, last = first + GROUP < panels_of(p) ? first + GROUP : panels_of(p);
        if (columns_of(p, last - 1) < QN_GEMM_PANEL)
            __builtin_memset((char *)p->out + (last - 1) * p->k * row_bytes, 0, (size_t)(p->k * row_bytes));
        if (p->b_n == p->element_bytes && p->element_bytes == 4)
            pack_rows(4, p, first, last);
        else if (p->b_n == p->element_bytes)
            pack_rows(2, p, first, last);
        else
            for (int64_t panel = first; panel < last; panel++)
                pack_panel(p, panel);
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
