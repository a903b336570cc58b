#include "kernels/iota/iota.h"
#include "kernels/walk.h"

static int64_t tiles(const void *params)
{
    return qn_view_tiles(&((const struct qn_iota_params *)params)->y);
}

static void run(const void *params, int64_t begin, int64_t end, void *scratch)
{
    (void)scratch;
    const struct qn_iota_params *p = params;
    const struct qn_view *y = &p->y;
    int64_t first = begin * QN_ELEMENT_TILE, last = end * QN_ELEMENT_TILE, bytes = qn_element_bytes(y->dtype);
    last = last < y->dims[0] ? last : y->dims[0];
    int64_t step = y->strides[0] * bytes, v[QN_ELEMENT_RUN];
    for (int64_t i = first, n; i < last; i += n) {
        n = last - i < QN_ELEMENT_RUN ? last - i : QN_ELEMENT_RUN;
        for (int64_t j = 0; j < n; j++)
            v[j] = p->listed ? p->numbers[i + j] : i + j;
        qn_convert_elements((char *)y->data + i * step, step, y->dtype, v, 8, QN_DTYPE_I64, n);
    }
}

const struct qn_kernel qn_iota_ref = {
    .serial = 1400,
    .name = "iota_ref",
    .family = QN_FAMILY_IOTA,
    .tiles = tiles,
    .run = run,
};
