/* GATHER, SCATTER_ROWS and TOPK. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "conformance/conformance.h"
#include "kernels/element.h"
#include "kernels/gather/gather.h"
#include "kernels/scatter_rows/scatter_rows.h"
#include "kernels/topk/topk.h"

static const qn_dtype plain_types[] = {
    QN_DTYPE_F32, QN_DTYPE_F64, QN_DTYPE_F16, QN_DTYPE_BF16, QN_DTYPE_I8,  QN_DTYPE_I16,  QN_DTYPE_I32,
    QN_DTYPE_I64, QN_DTYPE_U8,  QN_DTYPE_U16, QN_DTYPE_U32,  QN_DTYPE_U64, QN_DTYPE_BOOL,
};
enum { PLAIN_TYPES = 13 };

struct gather_case {
    uint32_t rank, axis, index_rank;
    int64_t dims[4], index_dims[2];
};

static const struct gather_case gather_cases[] = {
    {2, 0, 1, {11, 37}, {5}},  {2, 1, 2, {3, 9}, {2, 4}},       {3, 1, 1, {2, 7, 1300}, {3}}, {1, 0, 2, {50}, {3, 7}},
    {3, 2, 1, {2, 3, 5}, {4}}, {4, 1, 2, {2, 3, 4, 5}, {2, 2}}, {2, 0, 0, {4, 6}, {0}},       {2, 0, 1, {5, 8}, {0}},
};
enum { GATHER_CASES = sizeof gather_cases / sizeof gather_cases[0] };

/* One wrong index is put in when `spoil`: its part must be 0 and the fault reported. */
static void gather_case(struct cf *cf, const struct gather_case *c, qn_dtype from, qn_dtype to, int number, bool spoil)
{
    bool block = qn_dtype_is_block(from);
    cf_case(cf, "%s to %s case %d number %d%s", qn_dtype_name(from), qn_dtype_name(to), (int)(c - gather_cases), number,
            spoil ? " spoiled" : "");
    int64_t dims[8], out_dims[8];
    uint32_t out_rank = 0;
    for (uint32_t i = 0; i < c->rank; i++)
        dims[i] = block && i == c->rank - 1 ? 256 : c->dims[i];
    for (uint32_t i = 0; i < c->rank; i++) {
        for (uint32_t j = 0; i == c->axis && j < c->index_rank; j++)
            out_dims[out_rank++] = c->index_dims[j];
        if (i != c->axis)
            out_dims[out_rank++] = dims[i];
    }
    struct cf_tensor data = cf_tensor(from, block ? number & 1 : number % CF_LAYOUTS, c->rank, dims);
    struct cf_tensor index =
        cf_tensor(number & 2 ? QN_DTYPE_I64 : QN_DTYPE_I32, (number + 1) % CF_LAYOUTS, c->index_rank, c->index_dims);
    struct cf_tensor y = cf_tensor(to, (number + 2) % CF_LAYOUTS, out_rank, out_dims);
    cf_fill(&data, qn_element_is_unsigned(from) ? 0 : -50, 50);
    cf_fill(&index, 0, (double)dims[c->axis] - 0.01);
    double *in = cf_values(&data.view), *at = cf_values(&index.view), *want = cf_values(&y.view);
    int64_t count = cf_elems(&index.view), inner = 1, n = cf_elems(&y.view);
    spoil &= count > 0;
    if (spoil) {
        at[count / 2] = number & 1 ? -1 : (double)dims[c->axis];
        cf_set(&index, at);
    }
    for (uint32_t i = c->axis + 1; i < c->rank; i++)
        inner *= dims[i];
    for (int64_t i = 0; i < n; i++) {
        int64_t outer = i / inner / count, k = (int64_t)at[i / inner % count];
        bool valid = k >= 0 && k < dims[c->axis];
        want[i] = valid ? in[(outer * dims[c->axis] + k) * inner + i % inner] : 0;
    }
    int32_t fault = 0;
    struct qn_gather_params p = {data.view, index.view, y.view, c->axis, qn_quant(from)->dequantise, &fault, false};
    cf_run(cf, &p, (const struct qn_view *[]){&y.view}, 1);
    cf_check(cf, &y, want, cf_rounding(to), to == QN_DTYPE_F16 ? 0x1p-25 : 0);
    if (fault != (spoil ? QN_FAULT_INDEX : QN_FAULT_NONE))
        cf_fail(cf, "fault %d", (int)fault);
    cf_ran(cf, "gather", from);
    free(in);
    free(at);
    free(want);
    cf_release(&data);
    cf_release(&index);
    cf_release(&y);
}

void cf_gather(struct cf *cf)
{
    static const qn_dtype to[] = {QN_DTYPE_F32, QN_DTYPE_F16, QN_DTYPE_BF16};
    for (int i = 0; i < GATHER_CASES; i++) {
        for (int t = 0; t < PLAIN_TYPES; t++) {
            gather_case(cf, &gather_cases[i], plain_types[t], plain_types[t], i + t, false);
            gather_case(cf, &gather_cases[i], plain_types[t], plain_types[t], i + t, true);
        }
        gather_case(cf, &gather_cases[i], QN_DTYPE_F16, QN_DTYPE_F32, i, false);
        gather_case(cf, &gather_cases[i], QN_DTYPE_BF16, QN_DTYPE_F32, i, false);
        for (int from = 0; from < QN_DTYPE_LIMIT; from++)
            if (qn_dtype_is_block((qn_dtype)from) && qn_quant((qn_dtype)from)->quantise &&
                gather_cases[i].axis + 1 < gather_cases[i].rank)
                for (int k = 0; k < 3; k++)
                    gather_case(cf, &gather_cases[i], (qn_dtype)from, to[k], i + k, k == 1);
    }
}

/* ---- scatter_rows --------------------------------------------------------------------------------------------- */

/* indices: a permutation's beginning, so that no row is written twice. */
static void scatter_case(struct cf *cf, qn_dtype state_type, qn_dtype row_type, uint32_t rank, int number, bool spoil)
{
    bool block = qn_dtype_is_block(state_type);
    int64_t r = 13, n = 1 + number % 6, inner = block ? 512 : 24 + number;
    int64_t state_dims[] = {r, rank == 3 ? 2 : inner, inner}, row_dims[] = {n, state_dims[1], inner};
    cf_case(cf, "%s rows to %s rank %u number %d%s", qn_dtype_name(row_type), qn_dtype_name(state_type), rank, number,
            spoil ? " spoiled" : "");
    struct cf_tensor state = cf_tensor(state_type, block ? number & 1 : number % CF_LAYOUTS, rank, state_dims);
    struct cf_tensor rows = cf_tensor(row_type, (number + 1) % CF_LAYOUTS, rank, row_dims);
    struct cf_tensor index = cf_tensor(number & 1 ? QN_DTYPE_I64 : QN_DTYPE_I32, number % CF_LAYOUTS, 1, &n);
    bool is_unsigned = qn_element_is_unsigned(state_type) || qn_element_is_unsigned(row_type);
    cf_fill(&state, is_unsigned ? 0 : -9, 9);
    cf_fill(&rows, is_unsigned ? 0 : -9, 9);
    double at[8], *before = cf_values(&state.view), *in = cf_values(&rows.view);
    for (int64_t i = 0; i < n; i++)
        at[i] = (double)((i * 5 + number) % r);
    if (spoil)
        at[n - 1] = number & 1 ? -3 : 1e6;
    cf_set(&index, at);
    int64_t row_elems = cf_elems(&rows.view) / n;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; at[i] >= 0 && at[i] < (double)r && j < row_elems; j++)
            before[(int64_t)at[i] * row_elems + j] = in[i * row_elems + j];
    if (block) { /* what the reference quantiser makes of it */
        struct cf_tensor expected = cf_tensor(state_type, CF_CONTIGUOUS, rank, state_dims);
        cf_set(&expected, before);
        double *old = cf_values(&state.view), *new = cf_values(&expected.view);
        for (int64_t i = 0; i < r * row_elems; i++)
            before[i] = old[i];
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = 0; at[i] >= 0 && at[i] < (double)r && j < row_elems; j++)
                before[(int64_t)at[i] * row_elems + j] = new[(int64_t)at[i] * row_elems + j];
        free(old);
        free(new);
        cf_release(&expected);
    }
    int32_t fault = 0;
    struct qn_scatter_rows_params p = {state.view, index.view, rows.view, qn_quant(state_type)->quantise, &fault};
    cf_run(cf, &p, (const struct qn_view *[]){&state.view}, 1);
    double room = state_type == row_type || block ? 0 : cf_rounding(state_type);
    cf_check(cf, &state, before, room, state_type == QN_DTYPE_F16 ? 0x1p-25 : 0);
    if (fault != (spoil ? QN_FAULT_INDEX : QN_FAULT_NONE))
        cf_fail(cf, "fault %d", (int)fault);
    cf_ran(cf, "scatter_rows", state_type);
    free(before);
    free(in);
    cf_release(&state);
    cf_release(&rows);
    cf_release(&index);
}

void cf_scatter_rows(struct cf *cf)
{
    for (int number = 0; number < 8; number++) {
        for (int t = 0; t < PLAIN_TYPES; t++)
            scatter_case(cf, plain_types[t], plain_types[t], 2 + (uint32_t)(t & 1), number, number == 3);
        for (int t = 1; t < 4; t++) /* f64, f16, bf16 from f32 */
            scatter_case(cf, plain_types[t], QN_DTYPE_F32, 3, number, number == 2);
        scatter_case(cf, QN_DTYPE_Q8_0, QN_DTYPE_F32, 3, number, number == 4);
        scatter_case(cf, QN_DTYPE_Q4_0, QN_DTYPE_F32, 2, number, false);
    }
}

/* ---- topk ----------------------------------------------------------------------------------------------------- */

static void topk_case(struct cf *cf, qn_dtype dtype, int64_t n, int64_t k, int number)
{
    bool smallest = number % 3 == 2;
    int64_t dims[] = {3, n}, out_dims[] = {3, k};
    cf_case(cf, "%s %lld of %lld number %d", qn_dtype_name(dtype), (long long)k, (long long)n, number);
    struct cf_tensor x = cf_tensor(dtype, number % CF_LAYOUTS, 2, dims);
    struct cf_tensor values = cf_tensor(dtype, (number + 1) % CF_LAYOUTS, 2, out_dims);
    struct cf_tensor indices =
        cf_tensor(number & 1 ? QN_DTYPE_I64 : QN_DTYPE_I32, (number + 2) % CF_LAYOUTS, 2, out_dims);
    cf_fill(&x, qn_element_is_unsigned(dtype) ? 0 : -20, 20); /* few values: many ties */
    double *in = cf_values(&x.view), *want = cf_values(&values.view), *want_index = cf_values(&indices.view);
    for (int64_t row = 0; row < 3; row++) {
        double *v = in + row * n;
        for (int64_t i = 0; i < k; i++) {
            int64_t best = -1;
            for (int64_t j = 0; j < n; j++)
                if (!isnan(v[j]) && (best < 0 || (smallest ? v[j] < v[best] : v[j] > v[best])))
                    best = j;
            want[row * k + i] = v[best];
            want_index[row * k + i] = (double)best;
            v[best] = NAN; /* taken */
        }
    }
    struct qn_topk_params p = {x.view, values.view, indices.view, k, smallest};
    cf_run(cf, &p, (const struct qn_view *[]){&values.view, &indices.view}, 2);
    cf_check(cf, &values, want, 0, 0);
    cf_check(cf, &indices, want_index, 0, 0);
    cf_ran(cf, "topk", dtype);
    free(in);
    free(want);
    free(want_index);
    cf_release(&x);
    cf_release(&values);
    cf_release(&indices);
}

void cf_topk(struct cf *cf)
{
    static const struct {
        int64_t n, k;
    } sizes[] = {{1, 1}, {50, 5}, {50, 50}, {300, 17}, {7, 0}, {64, 2}};
    for (int t = 0; t < PLAIN_TYPES; t++)
        for (int i = 0; i < 6; i++)
            topk_case(cf, plain_types[t], sizes[i].n, sizes[i].k, i + t);
}
