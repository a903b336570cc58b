/* Panels of bytes for INTEGER_GEMM, in plain C: it is a copy. */
#include <stddef.h>

#include "kernels/integer_gemm/integer_gemm.h"

int64_t qn_integer_packed_bytes(int64_t k, int64_t n)
{
    int64_t panels = (n + QN_INTEGER_PANEL - 1) / QN_INTEGER_PANEL, bytes;
    if (k > INT64_MAX / 256 || __builtin_mul_overflow(panels, qn_integer_panel_bytes(k), &bytes))
        return INT64_MAX;
    return bytes;
}

static int64_t panels_of(const struct qn_integer_pack_params *p)
{
    return (p->n + QN_INTEGER_PANEL - 1) / QN_INTEGER_PANEL;
}

static int64_t tiles(const void *params)
{
    const struct qn_integer_pack_params *p = params;
    return p->batches * panels_of(p);
}

static void pack_panel(const struct qn_integer_pack_params *p, int64_t batch, int64_t panel)
{
    int64_t first = panel * QN_INTEGER_PANEL, n = p->n - first < QN_INTEGER_PANEL ? p->n - first : QN_INTEGER_PANEL;
    char *out = (char *)p->out + (batch * panels_of(p) + panel) * qn_integer_panel_bytes(p->k);
    const char *from = (const char *)p->b + batch * p->b_batch + first * p->b_n;
    char flip = p->b_signed ? 0 : (char)0x80;
    int32_t sums[QN_INTEGER_PANEL] = {0};
    __builtin_memset(out, 0, (size_t)qn_integer_panel_bytes(p->k));
    for (int64_t k = 0; k < p->k; k++) {
        char *to = out + k / 4 * (QN_INTEGER_PANEL * 4) + k % 4;
        for (int64_t j = 0; j < n; j++) {
            char value = (char)(from[k * p->b_k + j * p->b_n] ^ flip);
            to[j * 4] = value;
            sums[j] += (int8_t)value;
        }
    }
    __builtin_memcpy(out + (p->k + 3) / 4 * (QN_INTEGER_PANEL * 4), sums, sizeof sums);
}

static void run(const void *params, int64_t begin, int64_t end, void *scratch)
{
    (void)scratch;
    const struct qn_integer_pack_params *p = params;
    for (int64_t tile = begin; tile < end; tile++)
        pack_panel(p, tile / panels_of(p), tile % panels_of(p));
}

const struct qn_kernel qn_pack_panels_i8 = {
    .serial = 1702,
    .name = "pack_panels_i8",
    .family = QN_FAMILY_PACK,
    .tiles = tiles,
    .run = run,
    .pack = QN_PACK_PANELS_I8,
};
