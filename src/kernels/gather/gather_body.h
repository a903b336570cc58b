/* GATHER. A file for an instruction set defines CONVERT (as qn_convert_elements), KERNEL, SERIAL, NAME, NEEDS and RANK
 * and includes this. */
#include "kernels/gather/gather.h"
#include "kernels/walk.h"

/* A tile is as many (outer, index) pairs as make about this many elements. */
enum { TILE_ELEMS = 1024, PIECE = 512 };

static int64_t inner_elems(const struct qn_gather_params *p)
{
    int64_t n = 1;
    for (uint32_t i = p->axis + 1; i < p->data.rank; i++)
        n *= p->data.dims[i];
    return n;
}

static int64_t pairs(const struct qn_gather_params *p)
{
    int64_t n = qn_view_elems(&p->indices);
    for (uint32_t i = 0; i < p->axis; i++)
        n *= p->data.dims[i];
    return n;
}

static int64_t pairs_a_tile(const struct qn_gather_params *p)
{
    int64_t inner = inner_elems(p);
    return inner >= TILE_ELEMS || inner == 0 ? 1 : TILE_ELEMS / inner;
}

static int64_t tiles(const void *params)
{
    const struct qn_gather_params *p = params;
    int64_t step = pairs_a_tile(p);
    return (pairs(p) + step - 1) / step;
}

/* What lies behind `axis`: views whose data is set for each pair. */
static struct qn_view tail(const struct qn_view *view, uint32_t skip)
{
    struct qn_view out = {.dtype = view->dtype};
    for (uint32_t i = skip; i < view->rank; i++) {
        out.dims[out.rank] = view->dims[i];
        out.strides[out.rank++] = view->strides[i];
    }
    return out;
}

static int64_t head_offset(const struct qn_view *view, uint32_t first, uint32_t count, int64_t number)
{
    int64_t offset = 0;
    for (uint32_t i = first + count; i-- > first;) {
        offset += number % view->dims[i] * view->strides[i];
        number /= view->dims[i];
    }
    return offset;
}

static void copy_tail(const struct qn_view *y, const struct qn_view *x)
{
    struct qn_walk walk;
    qn_walk_start(&walk, (const struct qn_view *[]){y, x}, 2, 0);
    int64_t left = qn_view_elems(y), y_step = qn_walk_step(&walk, 0), x_step = qn_walk_step(&walk, 1);
    for (int64_t n; left > 0; left -= n) {
        n = qn_walk_run(&walk, left);
        CONVERT(walk.at[0], y_step, y->dtype, walk.at[1], x_step, x->dtype, n);
        qn_walk_advance(&walk, n);
    }
}

static void dequantise_tail(const struct qn_gather_params *p, const struct qn_view *y, const struct qn_view *x)
{
    const struct qn_dtype_info *info = qn_dtype_info(x->dtype);
    uint32_t last = x->rank - 1;
    int64_t d = x->dims[last], rows = qn_view_elems(x) / (d ? d : 1), bytes = qn_element_bytes(y->dtype);
    int64_t y_step = y->strides[last] * bytes;
    float v[PIECE];
    for (int64_t row = 0; row < rows; row++) {
        const char *from = qn_view_row(x, last, row, info->block_bytes);
        char *to = qn_view_row(y, last, row, bytes);
        for (int64_t i = 0, n; i < d; i += n) {
            n = d - i < PIECE ? d - i : PIECE;
            p->dequantise(from + i / info->block_elems * info->block_bytes, v, n);
            CONVERT(to + i * y_step, y_step, y->dtype, v, 4, QN_DTYPE_F32, n);
        }
    }
}

/* Axes first .. of a view are row-major without gaps. */
static bool is_packed(const struct qn_view *view, uint32_t first)
{
    int64_t stride = 1;
    for (uint32_t i = view->rank; i-- > first; stride *= view->dims[i])
        if (view->dims[i] != 1 && view->strides[i] != stride)
            return false;
    return true;
}

/* Pieces of memory that are moved as they are. */
static bool in_pieces(const struct qn_gather_params *p)
{
    return p->data.dtype == p->y.dtype && qn_element_bytes(p->data.dtype) && is_packed(&p->y, 0) &&
           is_packed(&p->indices, 0) && is_packed(&p->data, p->axis + 1);
}

static void run_pieces(const struct qn_gather_params *p, int64_t first, int64_t last)
{
    int64_t count = qn_view_elems(&p->indices), inner = inner_elems(p), bytes = qn_element_bytes(p->y.dtype);
    if (first >= last || inner == 0)
        return;
    int64_t index_bytes = qn_element_bytes(p->indices.dtype), number = first % count, dim = p->data.dims[p->axis];
    int64_t step = p->data.strides[p->axis] * bytes;
    char *y = (char *)p->y.data + first * inner * bytes;
    for (int64_t pair = first; pair < last; number = 0) {
        const char *x = (const char *)p->data.data + head_offset(&p->data, 0, p->axis, pair / count) * bytes;
        const char *at = (const char *)p->indices.data + number * index_bytes;
        for (; number < count && pair < last; number++, pair++, at += index_bytes, y += inner * bytes) {
            int64_t index = qn_load_index(at, p->indices.dtype);
            index += p->from_end && index < 0 ? dim : 0;
            if (index < 0 || index >= dim) {
                qn_fault_report(p->fault, QN_FAULT_INDEX);
                qn_zero_elements(y, bytes, bytes, inner);
            } else if (inner == 1 && bytes == 4) {
                __builtin_memcpy(y, x + index * step, 4);
            } else if (inner == 1 && bytes == 8) {
                __builtin_memcpy(y, x + index * step, 8);
            } else {
                __builtin_memcpy(y, x + index * step, (size_t)(inner * bytes));
            }
        }
    }
}

static void run(const void *params, int64_t begin, int64_t end, void *scratch)
{
    (void)scratch;
    const struct qn_gather_params *p = params;
    static const uint64_t zero[2];
    int64_t count = qn_view_elems(&p->indices), unit = qn_dtype_info(p->data.dtype)->block_bytes;
    int64_t step = pairs_a_tile(p), all = pairs(p), last = end * step < all ? end * step : all;
    if (in_pieces(p)) {
        run_pieces(p, begin * step, last);
        return;
    }
    int64_t index_bytes = qn_element_bytes(p->indices.dtype), y_bytes = qn_element_bytes(p->y.dtype);
    struct qn_view x = tail(&p->data, p->axis + 1), y = tail(&p->y, p->axis + p->indices.rank);
    for (int64_t pair = begin * step; pair < last; pair++) {
        int64_t outer = pair / count, number = pair % count;
        const char *at =
            (const char *)p->indices.data + head_offset(&p->indices, 0, p->indices.rank, number) * index_bytes;
        int64_t index = qn_load_index(at, p->indices.dtype);
        index += p->from_end && index < 0 ? p->data.dims[p->axis] : 0;
        y.data =
            (char *)p->y.data +
            (head_offset(&p->y, 0, p->axis, outer) + head_offset(&p->y, p->axis, p->indices.rank, number)) * y_bytes;
        if (index < 0 || index >= p->data.dims[p->axis]) {
            qn_fault_report(p->fault, QN_FAULT_INDEX);
            struct qn_view nothing = {.data = (void *)(uintptr_t)zero, .dtype = y.dtype, .rank = y.rank};
            copy_tail(&y, &nothing);
            continue;
        }
        x.data =
            (char *)p->data.data + (head_offset(&p->data, 0, p->axis, outer) + index * p->data.strides[p->axis]) * unit;
        if (qn_element_bytes(x.dtype))
            copy_tail(&y, &x);
        else
            dequantise_tail(p, &y, &x);
    }
}

const struct qn_kernel KERNEL = {
    .serial = SERIAL,
    .name = NAME,
    .family = QN_FAMILY_GATHER,
    .needs = NEEDS,
    .rank = RANK,
    .tiles = tiles,
    .run = run,
};
