#include "kernels/move/move.h"

#include "ir/ir.h"
#include "kernels/walk.h"

enum { TILE_ELEMS = 4096 };

static int64_t rows_of(const struct qn_view *view)
{
    int64_t rows = 1;
    for (uint32_t i = 0; i + 1 < view->rank; i++)
        rows *= view->dims[i];
    return rows;
}

static int64_t last_dim(const struct qn_view *view)
{
    return view->rank ? view->dims[view->rank - 1] : 1;
}

/* Rows of `elems` elements that a tile takes. */
static int64_t rows_a_tile(int64_t elems)
{
    return elems >= TILE_ELEMS ? 1 : TILE_ELEMS / (elems > 0 ? elems : 1);
}

static int64_t elems_between(const struct qn_view *view, uint32_t first, uint32_t last)
{
    int64_t n = 1;
    for (uint32_t i = first; i < last; i++)
        n *= view->dims[i];
    return n;
}

/* The axes from `first` on, as a view of their own. */
static struct qn_view tail_of(const struct qn_view *view, uint32_t first)
{
    struct qn_view out = {.data = view->data, .dtype = view->dtype};
    for (uint32_t i = first; i < view->rank; i++) {
        out.dims[out.rank] = view->dims[i];
        out.strides[out.rank++] = view->strides[i];
    }
    return out;
}

/* Bytes from the start to element `number` in row-major order of the axes first .. last - 1. */
static int64_t offset_of(const struct qn_view *view, uint32_t first, uint32_t last, int64_t number)
{
    int64_t offset = 0;
    for (uint32_t i = last; i-- > first;) {
        offset += number % view->dims[i] * view->strides[i];
        number /= view->dims[i];
    }
    return offset * qn_element_bytes(view->dtype);
}

/* ---- pad ------------------------------------------------------------------------------------------------------ */

/* Where element `at` of a padded axis comes from; -1: from the value. */
static int64_t padded_from(int32_t mode, int64_t at, int64_t size)
{
    if (at >= 0 && at < size)
        return at;
    if (size <= 0)
        return -1;
    switch (mode) {
    case QN_PAD_REFLECT: {
        int64_t period = 2 * (size - 1);
        if (period == 0)
            return 0;
        at = (at % period + period) % period;
        return at < size ? at : period - at;
    }
    case QN_PAD_EDGE:
        return at < 0 ? 0 : size - 1;
    case QN_PAD_WRAP:
        return (at % size + size) % size;
    default:
        return -1;
    }
}

static void pad_row(const struct qn_move_params *p, char *y, const char *x, const void *value)
{
    uint32_t last = p->y.rank - 1;
    int64_t bytes = qn_element_bytes(p->y.dtype), d = p->y.dims[last], size = p->x.dims[last];
    int64_t y_step = p->y.strides[last] * bytes, x_step = p->x.strides[last] * bytes, begin = p->begin[last];
    if (!x) {
        qn_move_elements(y, y_step, value, 0, bytes, d);
        return;
    }
    int64_t inside = size < d - begin ? size : d - begin;
    qn_move_elements(y + begin * y_step, y_step, x, x_step, bytes, inside);
    if (p->mode == QN_PAD_CONSTANT) {
        int64_t after = begin + inside;
        qn_move_elements(y, y_step, value, 0, bytes, begin);
        qn_move_elements(y + after * y_step, y_step, value, 0, bytes, d - after);
        return;
    }
    for (int64_t i = 0; i < d; i++) {
        if (i == begin)
            i += inside;
        if (i >= d)
            break;
        int64_t from = padded_from(p->mode, i - begin, size);
        qn_move_elements(y + i * y_step, 0, from < 0 ? value : x + from * x_step, 0, bytes, 1);
    }
}

static void run_pad(const struct qn_move_params *p, int64_t begin, int64_t end)
{
    static const uint64_t zero[2];
    const void *value = p->updates.data ? p->updates.data : (const void *)zero;
    int64_t bytes = qn_element_bytes(p->y.dtype);
    if (p->y.rank == 0) {
        qn_move_elements(p->y.data, 0, p->x.data, 0, bytes, 1);
        return;
    }
    uint32_t last = p->y.rank - 1;
    for (int64_t row = begin; row < end; row++) {
        char *y = p->y.data;
        const char *x = p->x.data;
        int64_t rest = row;
        for (uint32_t i = last; i-- > 0;) {
            int64_t at = rest % p->y.dims[i], from = padded_from(p->mode, at - p->begin[i], p->x.dims[i]);
            rest /= p->y.dims[i];
            y += at * p->y.strides[i] * bytes;
            x = from < 0 || !x ? NULL : x + from * p->x.strides[i] * bytes;
        }
        pad_row(p, y, p->x.dims[last] ? x : NULL, value);
    }
}

/* ---- gathers -------------------------------------------------------------------------------------------------- */

/* An index made non-negative; -1 and a report where it is outside. */
static int64_t checked(const struct qn_move_params *p, const char *at, int64_t size)
{
    int64_t index = qn_load_index(at, p->indices.dtype);
    index += index < 0 ? size : 0;
    if (index >= 0 && index < size)
        return index;
    qn_fault_report(p->fault, QN_FAULT_INDEX);
    return -1;
}

static void run_gather_elements(const struct qn_move_params *p, int64_t begin, int64_t end)
{
    if (p->y.rank == 0)
        return;
    uint32_t last = p->y.rank - 1, axis = p->axis;
    int64_t bytes = qn_element_bytes(p->y.dtype), index_bytes = qn_element_bytes(p->indices.dtype);
    int64_t y_step = p->y.strides[last] * bytes, i_step = p->indices.strides[last] * index_bytes;
    int64_t axis_step = p->x.strides[axis] * bytes, x_step = axis == last ? 0 : p->x.strides[last] * bytes;
    for (int64_t row = begin; row < end; row++) {
        char *y = (char *)p->y.data;
        const char *x = p->x.data, *at = p->indices.data;
        int64_t rest = row;
        for (uint32_t i = last; i-- > 0;) {
            int64_t k = rest % p->y.dims[i];
            rest /= p->y.dims[i];
            y += k * p->y.strides[i] * bytes;
            at += k * p->indices.strides[i] * index_bytes;
            x += i == axis ? 0 : k * p->x.strides[i] * bytes;
        }
        for (int64_t j = 0; j < p->y.dims[last]; j++) {
            int64_t index = checked(p, at + j * i_step, p->x.dims[axis]);
            if (index < 0)
                qn_zero_elements(y + j * y_step, 0, bytes, 1);
            else
                qn_move_elements(y + j * y_step, 0, x + j * x_step + index * axis_step, 0, bytes, 1);
        }
    }
}

/* Sum of the coordinate's parts along data's axes from `first` on, in bytes; -1 where one is outside. */
static int64_t coordinate(const struct qn_move_params *p, const struct qn_view *data, uint32_t first, const char *at)
{
    uint32_t last = p->indices.rank - 1;
    int64_t step = p->indices.strides[last] * qn_element_bytes(p->indices.dtype), offset = 0;
    bool valid = true;
    for (int64_t k = 0; k < p->indices.dims[last]; k++) {
        int64_t index = checked(p, at + k * step, data->dims[first + k]);
        valid &= index >= 0;
        offset += index * data->strides[first + k];
    }
    return valid ? offset * qn_element_bytes(data->dtype) : -1;
}

static void copy_slice(const struct qn_view *y, const struct qn_view *x)
{
    struct qn_walk walk;
    qn_walk_start(&walk, (const struct qn_view *[]){y, x}, 2, 0);
    int64_t bytes = qn_element_bytes(y->dtype);
    for (int64_t left = qn_view_elems(y), n; left > 0; left -= n) {
        n = qn_walk_run(&walk, left);
        qn_move_elements(walk.at[0], qn_walk_step(&walk, 0), walk.at[1], qn_walk_step(&walk, 1), bytes, n);
        qn_walk_advance(&walk, n);
    }
}

static void run_gather_nd(const struct qn_move_params *p, int64_t begin, int64_t end)
{
    static const uint64_t zero[2];
    uint32_t heads = p->indices.rank - 1, q = (uint32_t)p->indices.dims[heads];
    int64_t each = elems_between(&p->indices, p->batch, heads);
    struct qn_view x = tail_of(&p->x, p->batch + q), y = tail_of(&p->y, heads), nothing = y;
    nothing.data = (void *)(uintptr_t)zero;
    __builtin_memset(nothing.strides, 0, sizeof nothing.strides);
    for (int64_t i = begin; i < end; i++) {
        const char *at = (const char *)p->indices.data + offset_of(&p->indices, 0, heads, i);
        int64_t offset = coordinate(p, &p->x, p->batch, at);
        x.data = (char *)p->x.data + offset_of(&p->x, 0, p->batch, i / (each ? each : 1)) + (offset < 0 ? 0 : offset);
        y.data = (char *)p->y.data + offset_of(&p->y, 0, heads, i);
        copy_slice(&y, offset < 0 ? &nothing : &x);
    }
}

/* ---- scatters ------------------------------------------------------------------------------------------------- */

static void combine(int32_t mode, qn_dtype dtype, void *y, const void *update)
{
    if (mode == QN_SCATTER_SET) {
        qn_move_elements(y, 0, update, 0, qn_element_bytes(dtype), 1);
    } else if (qn_element_is_float(dtype)) {
        double a, b;
        qn_load_f64(&a, y, 0, dtype, 1);
        qn_load_f64(&b, update, 0, dtype, 1);
        bool keep = mode == QN_SCATTER_MAX ? a > b || a != a : a < b || a != a;
        a = mode == QN_SCATTER_ADD ? a + b : mode == QN_SCATTER_MUL ? a * b : keep ? a : b;
        qn_store_f64(y, 0, dtype, &a, 1);
    } else {
        int64_t a, b;
        qn_load_i64(&a, y, 0, dtype, 1);
        qn_load_i64(&b, update, 0, dtype, 1);
        bool below = qn_element_is_unsigned(dtype) ? (uint64_t)a < (uint64_t)b : a < b;
        a = mode == QN_SCATTER_ADD              ? (int64_t)((uint64_t)a + (uint64_t)b)
            : mode == QN_SCATTER_MUL            ? (int64_t)((uint64_t)a * (uint64_t)b)
            : below == (mode == QN_SCATTER_MAX) ? b
                                                : a;
        qn_store_i64(y, 0, dtype, &a, 1);
    }
}

static void run_scatter_elements(const struct qn_move_params *p, int64_t begin, int64_t end)
{
    uint32_t axis = p->axis;
    int64_t bytes = qn_element_bytes(p->y.dtype), index_bytes = qn_element_bytes(p->indices.dtype);
    int64_t y_step = p->y.strides[axis] * bytes, u_step = p->updates.strides[axis] * bytes;
    int64_t i_step = p->indices.strides[axis] * index_bytes;
    for (int64_t line = begin; line < end; line++) {
        char *y = p->y.data;
        const char *update = p->updates.data, *at = p->indices.data;
        int64_t rest = line;
        for (uint32_t i = p->y.rank; i-- > 0;) {
            if (i == axis)
                continue;
            int64_t k = rest % p->indices.dims[i];
            rest /= p->indices.dims[i];
            y += k * p->y.strides[i] * bytes;
            update += k * p->updates.strides[i] * bytes;
            at += k * p->indices.strides[i] * index_bytes;
        }
        for (int64_t j = 0; j < p->indices.dims[axis]; j++) {
            int64_t index = checked(p, at + j * i_step, p->y.dims[axis]);
            if (index >= 0)
                combine(p->mode, p->y.dtype, y + index * y_step, update + j * u_step);
        }
    }
}

/* Row-major without gaps. */
static bool is_packed(const struct qn_view *view)
{
    int64_t stride = 1;
    for (uint32_t i = view->rank; i-- > 0; stride *= view->dims[i])
        if (view->dims[i] != 1 && view->strides[i] != stride)
            return false;
    return true;
}

/* Slices that lie in one piece, and so do their updates. */
static void scatter_pieces(const struct qn_move_params *p, int64_t count, int64_t first, int64_t last)
{
    uint32_t q = (uint32_t)p->indices.dims[p->indices.rank - 1];
    int64_t bytes = qn_element_bytes(p->y.dtype), slice = elems_between(&p->y, q, p->y.rank) * bytes;
    int64_t index_bytes = q * qn_element_bytes(p->indices.dtype);
    const char *at = p->indices.data, *update = (const char *)p->updates.data + first * bytes;
    for (int64_t i = 0; i < count; i++, at += index_bytes, update += slice) {
        int64_t offset = coordinate(p, &p->y, 0, at);
        if (offset < 0)
            continue;
        char *y = (char *)p->y.data + offset + first * bytes;
        if (p->mode == QN_SCATTER_SET)
            qn_move_elements(y, bytes, update, bytes, bytes, last - first);
        for (int64_t k = 0; p->mode != QN_SCATTER_SET && k < last - first; k++)
            combine(p->mode, p->y.dtype, y + k * bytes, update + k * bytes);
    }
}

/* Elements first .. last - 1 of the slice that each coordinate names. */
static void run_scatter_nd(const struct qn_move_params *p, int64_t first, int64_t last)
{
    uint32_t heads = p->indices.rank - 1, q = (uint32_t)p->indices.dims[heads];
    int64_t count = elems_between(&p->indices, 0, heads), bytes = qn_element_bytes(p->y.dtype);
    struct qn_view y = tail_of(&p->y, q), update = tail_of(&p->updates, heads);
    if (count > 0 && is_packed(&y) && is_packed(&p->updates) && is_packed(&p->indices)) {
        scatter_pieces(p, count, first, last);
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        const char *at = (const char *)p->indices.data + offset_of(&p->indices, 0, heads, i);
        int64_t offset = coordinate(p, &p->y, 0, at);
        if (offset < 0)
            continue;
        y.data = (char *)p->y.data + offset;
        update.data = (char *)p->updates.data + offset_of(&p->updates, 0, heads, i);
        struct qn_walk walk;
        qn_walk_start(&walk, (const struct qn_view *[]){&y, &update}, 2, first);
        for (int64_t left = last - first, n; left > 0; left -= n) {
            n = qn_walk_run(&walk, left);
            int64_t y_step = qn_walk_step(&walk, 0), u_step = qn_walk_step(&walk, 1);
            if (p->mode == QN_SCATTER_SET)
                qn_move_elements(walk.at[0], y_step, walk.at[1], u_step, bytes, n);
            for (int64_t k = 0; p->mode != QN_SCATTER_SET && k < n; k++)
                combine(p->mode, p->y.dtype, walk.at[0] + k * y_step, walk.at[1] + k * u_step);
            qn_walk_advance(&walk, n);
        }
    }
}

/* ---- operands that do not belong together --------------------------------------------------------------------- */

/* Sizes that are only known in a run may disagree: nothing outside the operands may then be touched. */
static bool belong_together(const struct qn_move_params *p)
{
    const struct qn_view *i = &p->indices, *data = p->op == QN_OP_gather_elements ? &p->x : &p->y;
    bool good = true;
    switch (p->op) {
    case QN_OP_gather_elements:
    case QN_OP_scatter_elements:
        for (uint32_t k = 0; k < i->rank; k++) {
            int64_t other = p->op == QN_OP_scatter_elements ? p->updates.dims[k] : p->y.dims[k];
            good &= other == i->dims[k] && (k == p->axis || i->dims[k] <= data->dims[k]);
        }
        return good;
    case QN_OP_gather_nd:
        for (uint32_t k = 0; k < p->batch; k++)
            good &= i->dims[k] == p->x.dims[k];
        return good;
    case QN_OP_scatter_nd:
        for (uint32_t k = 0; k < p->updates.rank; k++) {
            bool head = k + 1 < i->rank;
            uint32_t axis = head ? k : k - (i->rank - 1) + (uint32_t)i->dims[i->rank - 1];
            good &= p->updates.dims[k] == (head ? i->dims[k] : p->y.dims[axis]);
        }
        return good;
    default:
        return true;
    }
}

/* ---- the kernel ----------------------------------------------------------------------------------------------- */

/* Size of what is cut into tiles, and how many of it a tile takes. */
static int64_t units(const struct qn_move_params *p, int64_t *a_tile)
{
    switch (p->op) {
    case QN_OP_gather_nd: {
        uint32_t heads = p->indices.rank - 1;
        *a_tile = rows_a_tile(elems_between(&p->y, heads, p->y.rank));
        return elems_between(&p->indices, 0, heads);
    }
    case QN_OP_scatter_elements: {
        int64_t along = p->indices.dims[p->axis];
        *a_tile = rows_a_tile(along);
        return along ? qn_view_elems(&p->indices) / along : 0;
    }
    case QN_OP_scatter_nd:
        *a_tile = TILE_ELEMS;
        return elems_between(&p->y, (uint32_t)p->indices.dims[p->indices.rank - 1], p->y.rank);
    default: /* rows of y */
        *a_tile = rows_a_tile(last_dim(&p->y));
        return rows_of(&p->y);
    }
}

static int64_t tiles(const void *params)
{
    int64_t a_tile, all = units(params, &a_tile);
    return (all + a_tile - 1) / a_tile;
}

static void run(const void *params, int64_t begin, int64_t end, void *scratch)
{
    (void)scratch;
    const struct qn_move_params *p = params;
    int64_t a_tile, all = units(p, &a_tile), first = begin * a_tile, last = end * a_tile;
    last = last < all ? last : all;
    if (!belong_together(p)) {
        qn_fault_report(p->fault, QN_FAULT_INDEX);
        return;
    }
    switch (p->op) {
    case QN_OP_pad:
        run_pad(p, first, last);
        break;
    case QN_OP_gather_elements:
        run_gather_elements(p, first, last);
        break;
    case QN_OP_gather_nd:
        run_gather_nd(p, first, last);
        break;
    case QN_OP_scatter_elements:
        run_scatter_elements(p, first, last);
        break;
    default:
        run_scatter_nd(p, first, last);
        break;
    }
}

const struct qn_kernel qn_move_ref = {
    .serial = 1800,
    .name = "move_ref",
    .family = QN_FAMILY_MOVE,
    .tiles = tiles,
    .run = run,
};
