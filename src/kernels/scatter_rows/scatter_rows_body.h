/* SCATTER_ROWS. A file for an instruction set defines CONVERT (as qn_convert_elements), KERNEL, SERIAL, NAME, NEEDS
 * and RANK and includes this. */
#include "kernels/scatter_rows/scatter_rows.h"
#include "kernels/walk.h"

enum { PIECE = 512 };

static int64_t tiles(const void *params)
{
    return ((const struct qn_scatter_rows_params *)params)->rows.dims[0];
}

/* One row as a view of its own. */
static struct qn_view row_of(const struct qn_view *view, int64_t row, int64_t unit)
{
    struct qn_view out = {.data = (char *)view->data + row * view->strides[0] * unit, .dtype = view->dtype};
    for (uint32_t i = 1; i < view->rank; i++) {
        out.dims[out.rank] = view->dims[i];
        out.strides[out.rank++] = view->strides[i];
    }
    return out;
}

static void store_plain(const struct qn_view *to, const struct qn_view *from)
{
    struct qn_walk walk;
    qn_walk_start(&walk, (const struct qn_view *[]){to, from}, 2, 0);
    int64_t left = qn_view_elems(to), to_step = qn_walk_step(&walk, 0), from_step = qn_walk_step(&walk, 1);
    for (int64_t n; left > 0; left -= n) {
        n = qn_walk_run(&walk, left);
        CONVERT(walk.at[0], to_step, to->dtype, walk.at[1], from_step, from->dtype, n);
        qn_walk_advance(&walk, n);
    }
}

static void store_blocks(const struct qn_scatter_rows_params *p, const struct qn_view *to, const struct qn_view *from)
{
    const struct qn_dtype_info *info = qn_dtype_info(to->dtype);
    uint32_t last = to->rank - 1;
    int64_t d = to->dims[last], lines = qn_view_elems(to) / (d ? d : 1), bytes = qn_element_bytes(from->dtype);
    int64_t step = from->strides[last] * bytes;
    float v[PIECE];
    for (int64_t line = 0; line < lines; line++) {
        char *y = qn_view_row(to, last, line, info->block_bytes);
        const char *x = qn_view_row(from, last, line, bytes);
        for (int64_t i = 0, n; i < d; i += n) {
            n = d - i < PIECE ? d - i : PIECE;
            qn_load_f32(v, x + i * step, step, from->dtype, n);
            p->quantise(v, y + i / info->block_elems * info->block_bytes, n, NULL);
        }
    }
}

static void run(const void *params, int64_t begin, int64_t end, void *scratch)
{
    (void)scratch;
    const struct qn_scatter_rows_params *p = params;
    int64_t unit = qn_dtype_info(p->state.dtype)->block_bytes, row_unit = qn_element_bytes(p->rows.dtype);
    int64_t index_step = p->indices.strides[0] * qn_element_bytes(p->indices.dtype);
    for (int64_t i = begin; i < end; i++) {
        int64_t index = qn_load_index((const char *)p->indices.data + i * index_step, p->indices.dtype);
        if (index < 0 || index >= p->state.dims[0]) {
            qn_fault_report(p->fault, QN_FAULT_INDEX);
            continue;
        }
        struct qn_view to = row_of(&p->state, index, unit), from = row_of(&p->rows, i, row_unit);
        if (qn_element_bytes(to.dtype))
            store_plain(&to, &from);
        else
            store_blocks(p, &to, &from);
    }
}

const struct qn_kernel KERNEL = {
    .serial = SERIAL,
    .name = NAME,
    .family = QN_FAMILY_SCATTER_ROWS,
    .needs = NEEDS,
    .rank = RANK,
    .tiles = tiles,
    .run = run,
};
