/* The CPU backend's bind functions: how a step's tensors become the parameters of its kernels.
 *
 * Each bind_*.c writes the parameter structs of a few kernel families; cpu_backend.c is the table that names them.
 * While a plan is made data pointers are NULL, so what lies behind them is read only where a function checks.
 */
#ifndef QN_BACKEND_CPU_BIND_H
#define QN_BACKEND_CPU_BIND_H

#include <assert.h>
#include <string.h>

#include "backend/backend.h"

/* ---- for those who write one ---------------------------------------------------------------------------------- */

static inline void *qn_params_zeroed(struct qn_params *params, size_t size)
{
    assert(size <= sizeof params->bytes);
    return memset(params->bytes, 0, size);
}

/* The family's struct inside the parameter buffer, zeroed. */
#define QN_PARAMS(type, params) ((struct type *)qn_params_zeroed((params), sizeof(struct type)))

/* Input i, NULL where it is absent. */
static inline const struct qn_view *qn_bind_operand(const struct qn_bind *b, uint32_t i)
{
    return i < b->in_count && b->in[i].dtype != QN_DTYPE_NONE ? &b->in[i] : NULL;
}

static inline const void *qn_bind_data(const struct qn_bind *b, uint32_t i)
{
    return i < b->in_count ? b->in[i].data : NULL;
}

/* An axis that may count from the end. */
static inline uint32_t qn_bind_axis(int64_t axis, uint32_t rank)
{
    return (uint32_t)(axis < 0 ? axis + rank : axis);
}

static inline int64_t qn_dims_product(const int64_t *dims, uint32_t count)
{
    int64_t all = 1;
    for (uint32_t i = 0; i < count; i++)
        all *= dims[i];
    return all;
}

/* x seen under y's dims: numpy broadcasting by stride 0, missing leading axes added. */
static inline struct qn_view qn_view_broadcast(const struct qn_view *x, const struct qn_view *y)
{
    struct qn_view view = {.data = x->data, .dtype = x->dtype, .rank = y->rank};
    uint32_t lead = y->rank - x->rank;
    for (uint32_t i = 0; i < y->rank; i++) {
        view.dims[i] = y->dims[i];
        view.strides[i] = i < lead || x->dims[i - lead] == 1 ? 0 : x->strides[i - lead];
    }
    return view;
}

/* Where the element that lies `units` (as strides count) behind the first one is. */
static inline void *qn_view_advance(const struct qn_view *view, int64_t units)
{
    return view->data ? (char *)view->data + units * qn_dtype_info(view->dtype)->block_bytes : NULL;
}

/* ---- what the table names ------------------------------------------------------------------------------------- */

/* bind_elements.c */
qn_bind_fn qn_bind_unary, qn_bind_is_inf, qn_bind_binary, qn_bind_where, qn_bind_chain;
qn_bind_fn qn_bind_random, qn_bind_iota, qn_bind_dims;

/* bind_moves.c. concat: a call an input. Scattering: the copy of what is scattered into, then the updates. */
qn_bind_fn qn_bind_copy, qn_bind_transpose, qn_bind_slice, qn_bind_reverse, qn_bind_concat, qn_bind_pad;
qn_bind_fn qn_bind_gather, qn_bind_gather_elements, qn_bind_gather_nd, qn_bind_scatter_rows, qn_bind_scatter;
qn_bind_count_fn qn_concat_calls, qn_scatter_calls;

/* bind_axes.c */
qn_bind_fn qn_bind_reduce, qn_bind_arg, qn_bind_cumulate, qn_bind_softmax, qn_bind_topk, qn_bind_norm, qn_bind_rope;

/* bind_matmul.c. Weights [n, k] that the kernel reads as they lie; plain weights that may be packed; plain operands;
 * expert_matmul: a call an expert that was chosen. */
qn_backend_accepts_fn qn_takes_matmul, qn_takes_gemm, qn_takes_batch_matmul;
qn_bind_fn qn_bind_matmul, qn_bind_gemm, qn_bind_batch_matmul, qn_bind_expert_matmul;
qn_bind_count_fn qn_bind_gemm_bytes, qn_expert_calls, qn_expert_shared_bytes;
qn_bind_pack_fn qn_bind_gemm_pack;

/* bind_attention.c */
qn_bind_fn qn_bind_attention, qn_bind_paged_attention;
qn_bind_count_fn qn_paged_shared_bytes;

/* bind_quant.c. matmul_integer: a call a matrix of the result, or one where b is a single matrix. conv_integer packs
 * input 1, q_linear and q_conv input 3. dynamic_quantize: the range, then the quantisation. */
qn_bind_fn qn_bind_matmul_integer, qn_bind_q_linear, qn_bind_conv_integer, qn_bind_q_conv, qn_bind_q_add;
qn_bind_fn qn_bind_quantize, qn_bind_dynamic_quantize;
qn_bind_count_fn qn_matmul_integer_calls, qn_dynamic_quantize_calls, qn_dynamic_quantize_shared_bytes;
qn_bind_count_fn qn_bind_matmul_integer_bytes, qn_bind_q_linear_bytes, qn_bind_conv_integer_bytes, qn_bind_q_conv_bytes;
qn_bind_pack_fn qn_bind_matmul_integer_pack, qn_bind_q_linear_pack, qn_bind_conv_integer_pack, qn_bind_q_conv_pack;

/* bind_image.c */
qn_bind_fn qn_bind_conv, qn_bind_conv_transpose, qn_bind_deform_conv, qn_bind_col2im, qn_bind_pool;
qn_bind_fn qn_bind_resize, qn_bind_grid_sample, qn_bind_roi_align, qn_bind_group_norm;
qn_bind_count_fn qn_bind_conv_bytes;
qn_bind_pack_fn qn_bind_conv_pack;

/* bind_recurrent.c */
qn_bind_fn qn_bind_recurrent, qn_bind_state_space, qn_bind_fft, qn_bind_det, qn_bind_trees;

#endif
