#include "kernels/batch_matmul/batch_matmul.h"
#include "kernels/walk.h"

/* A tile is one row of one matrix; its columns are taken COLUMNS at a time. */
enum { COLUMNS = 64 };

static int64_t tiles(const void *params)
{
    const struct qn_view *y = &((const struct qn_batch_matmul_params *)params)->y;
    int64_t rows = 1;
    for (uint32_t i = 0; i + 1 < y->rank; i++)
        rows *= y->dims[i];
    return rows;
}

struct row {
    const char *a, *b;
    char *y;
    int64_t a_step, b_row_step, b_step, y_step, k;
};

static void columns_f64(const struct qn_batch_matmul_params *p, const struct row *row, int64_t n)
{
    double sums[COLUMNS] = {0}, b[COLUMNS], a;
    for (int64_t k = 0; k < row->k; k++) {
        qn_load_f64(&a, row->a + k * row->a_step, 0, p->a.dtype, 1);
        qn_load_f64(b, row->b + k * row->b_row_step, row->b_step, p->b.dtype, n);
        for (int64_t j = 0; j < n; j++)
            sums[j] += a * b[j];
    }
    qn_store_f64(row->y, row->y_step, p->y.dtype, sums, n);
}

static void columns_i64(const struct qn_batch_matmul_params *p, const struct row *row, int64_t n)
{
    int64_t sums[COLUMNS] = {0}, b[COLUMNS], a;
    for (int64_t k = 0; k < row->k; k++) {
        qn_load_i64(&a, row->a + k * row->a_step, 0, p->a.dtype, 1);
        qn_load_i64(b, row->b + k * row->b_row_step, row->b_step, p->b.dtype, n);
        for (int64_t j = 0; j < n; j++)
            sums[j] = (int64_t)((uint64_t)sums[j] + (uint64_t)a * (uint64_t)b[j]);
    }
    qn_store_i64(row->y, row->y_step, p->y.dtype, sums, n);
}

static void run(const void *params, int64_t begin, int64_t end, void *scratch)
{
    (void)scratch;
    const struct qn_batch_matmul_params *p = params;
    uint32_t last = p->y.rank - 1;
    int64_t a_bytes = qn_element_bytes(p->a.dtype), b_bytes = qn_element_bytes(p->b.dtype);
    int64_t y_bytes = qn_element_bytes(p->y.dtype), m = p->y.dims[last - 1], columns = p->y.dims[last];
    struct qn_view b_rows = p->b; /* b as seen from a row of y: the same matrix for all m rows */
    b_rows.dims[last - 1] = m;
    b_rows.strides[last - 1] = 0;
    for (int64_t tile = begin; tile < end; tile++) {
        struct row row = {
            .a_step = p->a.strides[last] * a_bytes,
            .b_row_step = p->b.strides[last - 1] * b_bytes,
            .b_step = p->b.strides[last] * b_bytes,
            .y_step = p->y.strides[last] * y_bytes,
            .k = p->a.dims[last],
        };
        row.a = qn_view_row(&p->a, last, tile, a_bytes);
        row.b = qn_view_row(&b_rows, last, tile, b_bytes);
        row.y = qn_view_row(&p->y, last, tile, y_bytes);
        for (int64_t j = 0, n; j < columns; j += n) {
            n = columns - j < COLUMNS ? columns - j : COLUMNS;
            if (qn_element_is_float(p->y.dtype))
                columns_f64(p, &row, n);
            else
                columns_i64(p, &row, n);
            row.b += n * row.b_step;
            row.y += n * row.y_step;
        }
    }
}

const struct qn_kernel qn_batch_matmul_ref = {
    .serial = 200,
    .name = "batch_matmul_ref",
    .family = QN_FAMILY_BATCH_MATMUL,
    .tiles = tiles,
    .run = run,
};
