/* REDUCE on vectors: f32, f16 and bf16 that lie contiguously, over their innermost axes or over axes around those that
 * stay; the rest goes to the generic kernel. A file for an instruction set defines KERNEL, SERIAL, NAME, NEEDS and
 * RANK and includes this.
 *
 * Order of a sum. Innermost axes: lane j of four vectors takes the elements j modulo 4 VF_LANES of a run of up to
 * 4,096, the vectors fold, and runs add up in f64. Axes around: an element at a time, 64 in f32, then those in f64.
 * Neither depends on what else is computed. */
#include "ir/ir.h"
#include "kernels/reduce/reduce.h"
#include "kernels/simd/vec_element.h"
#include "kernels/simd/vec_math.h"
#include "kernels/walk.h"

extern const struct qn_kernel qn_reduce_ref;

enum { RUN = 4096, COLUMNS = 256, ROWS = 64 };

/* x's axes with neighbours of a kind joined: those that stay and those that are reduced, outermost first. */
struct axes {
    uint32_t kept, reduced;
    int64_t kept_dims[8], kept_x[8], kept_y[8], reduced_dims[8], reduced_x[8]; /* strides in elements */
    int64_t outputs, count;
    bool inner; /* the innermost axis is a reduced one */
};

static bool sort_axes(const struct qn_reduce_params *p, struct axes *a)
{
    *a = (struct axes){.outputs = 1, .count = 1};
    int kind = -1;
    for (uint32_t i = 0; i < p->x.rank; i++) {
        int64_t dim = p->x.dims[i], x = p->x.strides[i], y = p->y.strides[i];
        bool reduced = p->axes >> i & 1;
        *(reduced ? &a->count : &a->outputs) *= dim;
        if (dim == 1)
            continue;
        uint32_t r = a->reduced, k = a->kept;
        if (reduced && kind == 1 && a->reduced_x[r - 1] == dim * x) {
            a->reduced_dims[r - 1] *= dim;
            a->reduced_x[r - 1] = x;
        } else if (reduced) {
            a->reduced_dims[r] = dim;
            a->reduced_x[a->reduced++] = x;
        } else if (kind == 0 && a->kept_x[k - 1] == dim * x && a->kept_y[k - 1] == dim * y) {
            a->kept_dims[k - 1] *= dim;
            a->kept_x[k - 1] = x;
            a->kept_y[k - 1] = y;
        } else {
            a->kept_dims[k] = dim;
            a->kept_x[k] = x;
            a->kept_y[a->kept++] = y;
        }
        kind = reduced;
    }
    if (a->outputs == 0 || a->count == 0 || kind < 0)
        return false;
    a->inner = kind == 1;
    return a->inner ? a->reduced_x[a->reduced - 1] == 1
                    : a->kept_x[a->kept - 1] == 1 && a->kept_y[a->kept - 1] == 1 && a->reduced > 0;
}

static bool takes(const struct qn_reduce_params *p, struct axes *a)
{
    return vf_takes(p->x.dtype) && p->op != QN_OP_reduce_prod && sort_axes(p, a);
}

static int64_t outputs_a_tile(const struct axes *a)
{
    return a->count >= 8192 ? 1 : 8192 / a->count;
}

static int64_t tiles(const void *params)
{
    struct axes a;
    if (!takes(params, &a))
        return qn_reduce_ref.tiles(params);
    if (a.inner) {
        int64_t each = outputs_a_tile(&a);
        return (a.outputs + each - 1) / each;
    }
    int64_t last = a.kept_dims[a.kept - 1];
    return a.outputs / last * ((last + COLUMNS - 1) / COLUMNS);
}

static void offsets(const struct axes *a, uint32_t axes, int64_t number, int64_t *x, int64_t *y)
{
    *x = *y = 0;
    for (uint32_t i = axes; i-- > 0;) {
        *x += number % a->kept_dims[i] * a->kept_x[i];
        *y += number % a->kept_dims[i] * a->kept_y[i];
        number /= a->kept_dims[i];
    }
}

static int64_t reduced_offset(const struct axes *a, uint32_t axes, int64_t number)
{
    int64_t x = 0;
    for (uint32_t i = axes; i-- > 0;) {
        x += number % a->reduced_dims[i] * a->reduced_x[i];
        number /= a->reduced_dims[i];
    }
    return x;
}

/* NaN wins, as in the generic kernel. */
QN_INLINE vf largest_of(vf a, vf b)
{
    return vf_select(vf_nan(a), a, vf_max(a, b));
}

QN_INLINE vf smallest_of(vf a, vf b)
{
    return vf_select(vf_nan(a), a, vf_min(a, b));
}

static double joined(uint16_t op, double a, double b)
{
    if (op == QN_OP_reduce_max)
        return a > b || a != a ? a : b;
    if (op == QN_OP_reduce_min)
        return a < b || a != a ? a : b;
    return a + b;
}

QN_INLINE float fold_run(uint16_t op, vf (*f)(vf, vf), vf start, const float *v, int64_t n)
{
    vf s[4] = {start, start, start, start};
    int64_t i = 0;
    for (; i + 4 * VF_LANES <= n; i += 4 * VF_LANES) {
        QN_UNROLL
        for (int k = 0; k < 4; k++)
            s[k] = f(s[k], vf_load(v + i + k * VF_LANES));
    }
    for (int k = 0; i < n; i += VF_LANES, k++) {
        int64_t m = n - i;
        vf x = m >= VF_LANES ? vf_load(v + i) : vf_select(vf_range(0, m), vf_load_part(v + i, m), start);
        s[k & 3] = f(s[k & 3], x);
    }
    float lanes[VF_LANES];
    vf_store(lanes, f(f(s[0], s[1]), f(s[2], s[3])));
    for (int half = VF_LANES / 2; half > 0; half /= 2)
        for (int k = 0; k < half; k++)
            lanes[k] = (float)joined(op, (double)lanes[k], (double)lanes[k + half]);
    return lanes[0];
}

static float fold(uint16_t op, const float *v, int64_t n)
{
    switch (op) {
    case QN_OP_reduce_max:
        return fold_run(op, largest_of, vf_set(-__builtin_inff()), v, n);
    case QN_OP_reduce_min:
        return fold_run(op, smallest_of, vf_set(__builtin_inff()), v, n);
    default:
        return fold_run(op, vf_add, vf_zero(), v, n);
    }
}

static double nothing(uint16_t op)
{
    return op == QN_OP_reduce_max ? -__builtin_inf() : op == QN_OP_reduce_min ? __builtin_inf() : 0;
}

static void run_inner(const struct qn_reduce_params *p, const struct axes *a, int64_t first, int64_t last)
{
    int64_t bytes = qn_element_bytes(p->x.dtype), length = a->reduced_dims[a->reduced - 1], x_at, y_at;
    bool direct = p->x.dtype == QN_DTYPE_F32;
    float stage[RUN];
    for (int64_t output = first; output < last; output++) {
        double result = nothing(p->op);
        offsets(a, a->kept, output, &x_at, &y_at);
        for (int64_t line = 0; line < a->count / length; line++) {
            const char *x = (const char *)p->x.data + (x_at + reduced_offset(a, a->reduced - 1, line)) * bytes;
            for (int64_t i = 0, n; i < length; i += n) {
                n = length - i < RUN ? length - i : RUN;
                if (!direct)
                    vf_load_run(stage, x + i * bytes, bytes, p->x.dtype, n);
                const float *v = direct ? (const float *)(const void *)x + i : stage;
                result = joined(p->op, result, (double)fold(p->op, v, n));
            }
        }
        if (p->op == QN_OP_reduce_mean)
            result /= (double)a->count;
        qn_store_f64((char *)p->y.data + y_at * bytes, 0, p->y.dtype, &result, 1);
    }
}

QN_INLINE void add_row(vf (*f)(vf, vf), float *sums, const float *v, int64_t n)
{
    int64_t i = 0;
    for (; i + VF_LANES <= n; i += VF_LANES)
        vf_store(sums + i, f(vf_load(sums + i), vf_load(v + i)));
    if (i < n)
        vf_store_part(sums + i, f(vf_load_part(sums + i, n - i), vf_load_part(v + i, n - i)), n - i);
}

static void run_outer(const struct qn_reduce_params *p, const struct axes *a, int64_t tile)
{
    int64_t bytes = qn_element_bytes(p->x.dtype), width = a->kept_dims[a->kept - 1];
    int64_t across = (width + COLUMNS - 1) / COLUMNS, column = tile % across * COLUMNS, x_at, y_at;
    int64_t n = width - column < COLUMNS ? width - column : COLUMNS;
    offsets(a, a->kept - 1, tile / across, &x_at, &y_at);
    float sums[COLUMNS], stage[COLUMNS];
    double totals[COLUMNS];
    for (int64_t i = 0; i < n; i++)
        totals[i] = nothing(p->op);
    for (int64_t row = 0; row < a->count; row += ROWS) {
        int64_t rows = a->count - row < ROWS ? a->count - row : ROWS;
        for (int64_t k = 0; k < rows; k++) {
            int64_t offset = x_at + column + reduced_offset(a, a->reduced, row + k);
            const char *x = (const char *)p->x.data + offset * bytes;
            const float *v = (const float *)(const void *)x;
            if (p->x.dtype != QN_DTYPE_F32) {
                vf_load_run(stage, x, bytes, p->x.dtype, n);
                v = stage;
            }
            if (k == 0)
                __builtin_memcpy(sums, v, (size_t)n * 4);
            else if (p->op == QN_OP_reduce_max)
                add_row(largest_of, sums, v, n);
            else if (p->op == QN_OP_reduce_min)
                add_row(smallest_of, sums, v, n);
            else
                add_row(vf_add, sums, v, n);
        }
        for (int64_t i = 0; i < n; i++)
            totals[i] = joined(p->op, totals[i], (double)sums[i]);
    }
    for (int64_t i = 0; i < n && p->op == QN_OP_reduce_mean; i++)
        totals[i] /= (double)a->count;
    qn_store_f64((char *)p->y.data + (y_at + column) * bytes, bytes, p->y.dtype, totals, n);
}

static void run(const void *params, int64_t begin, int64_t end, void *scratch)
{
    const struct qn_reduce_params *p = params;
    struct axes a;
    if (!takes(p, &a)) {
        qn_reduce_ref.run(params, begin, end, scratch);
        return;
    }
    if (a.inner) {
        int64_t each = outputs_a_tile(&a), last = end * each;
        run_inner(p, &a, begin * each, last < a.outputs ? last : a.outputs);
        return;
    }
    for (int64_t tile = begin; tile < end; tile++)
        run_outer(p, &a, tile);
}

const struct qn_kernel KERNEL = {
    .serial = SERIAL,
    .name = NAME,
    .family = QN_FAMILY_REDUCE,
    .needs = NEEDS,
    .rank = RANK,
    .tiles = tiles,
    .run = run,
};
