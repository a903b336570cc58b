/* The conformance suite: every kernel of the table on generated cases, against what the op means, computed here in
 * double with libm. Outputs lie among guard bytes, in odd layouts, and are computed in odd pieces of the index space.
 *
 * QN_MUTATE=<kernel name> falsifies what that kernel wrote by 1e-2, and QN_CONFORMANCE=<kernel name> runs that kernel
 * alone: tools/mutate uses both to see that the suite notices each.
 */
#ifndef QN_CONFORMANCE_H
#define QN_CONFORMANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/kernel.h"

/* ---- tensors -------------------------------------------------------------------------------------------------- */

enum cf_layout {
    CF_CONTIGUOUS,
    CF_PADDED,     /* rows along the last axis lie apart */
    CF_STRIDED,    /* so do the elements of a row */
    CF_TRANSPOSED, /* the first axis is the fastest */
    CF_LAYOUTS,
};

struct cf_tensor {
    struct qn_view view;
    unsigned char *memory;
    size_t size;
};

/* Zero elements of memory outside the view; all bytes start as guard bytes. Block types: CONTIGUOUS or PADDED. */
struct cf_tensor cf_tensor(qn_dtype dtype, enum cf_layout layout, uint32_t rank, const int64_t *dims);
void cf_release(struct cf_tensor *tensor);

/* The view with stride 0 on the axes of the mask, whose dim becomes `dims[axis]`. */
struct qn_view cf_broadcast(const struct cf_tensor *tensor, uint32_t axes, const int64_t *dims);

/* Numbers spread over [low, high], rounded by the dtype; the generator is cf_random. */
void cf_fill(struct cf_tensor *tensor, double low, double high);
void cf_set(struct cf_tensor *tensor, const double *values);
/* Elements in row-major order; block types are dequantised. The caller frees. */
double *cf_values(const struct qn_view *view);
int64_t cf_elems(const struct qn_view *view);

uint64_t cf_random(void);
void cf_seed(uint64_t seed);
double cf_uniform(double low, double high);

/* ---- running -------------------------------------------------------------------------------------------------- */

/* One kernel under test. */
struct cf {
    const struct qn_kernel *kernel;
    bool mutated;
    int64_t cases, failures;
    char what[160]; /* the case, for messages */
};

void cf_case(struct cf *cf, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Runs the kernel over its index space in pieces of varying size, its scratch among guard bytes; falsifies `outputs` if
 * the kernel is the mutated one. */
void cf_run(struct cf *cf, const void *params, const struct qn_view *const *outputs, uint32_t output_count);

/* For tests of one family: its kernels that this machine can run, one after the other (*at starts at 0; NULL at the
 * end), and a run over a range of tiles with scratch of its own. */
const struct qn_kernel *cf_next_kernel(enum qn_family family, uint32_t *at);
void cf_run_tiles(const struct qn_kernel *kernel, const void *params, int64_t begin, int64_t end);
void cf_run_all(const struct qn_kernel *kernel, const void *params);

/* y against what it should be: |y - want| <= absolute + relative |want|; both NaN agree. Then checks that nothing
 * outside the view was written, and notes op and dtype for the table. */
void cf_check(struct cf *cf, const struct cf_tensor *y, const double *want, double relative, double absolute);
void cf_fail(struct cf *cf, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Half an ulp of 1 in a float dtype, 0 for integers: what rounding the result alone may cost. */
double cf_rounding(qn_dtype dtype);

/* ---- the table ------------------------------------------------------------------------------------------------ */

/* A cell: this op ran on this type by this kernel (its ISA is the column). */
void cf_ran(const struct cf *cf, const char *op, qn_dtype dtype);
/* Prints op x type x ISA and why cells are empty; the features are the machine's. */
void cf_print_table(uint32_t features);

/* ---- the families' cases (cases_*.c) -------------------------------------------------------------------------- */

void cf_unary(struct cf *cf);
void cf_binary(struct cf *cf);
void cf_where(struct cf *cf);
void cf_copy(struct cf *cf);
void cf_iota(struct cf *cf);
void cf_reduce(struct cf *cf);
void cf_gather(struct cf *cf);
void cf_scatter_rows(struct cf *cf);
void cf_topk(struct cf *cf);
void cf_norm(struct cf *cf);
void cf_softmax(struct cf *cf);
void cf_rope(struct cf *cf);
void cf_attention(struct cf *cf);
void cf_batch_matmul(struct cf *cf);
void cf_matmul(struct cf *cf);
void cf_activation(struct cf *cf);
void cf_move(struct cf *cf);
void cf_cumulate(struct cf *cf);
void cf_arg(struct cf *cf);
void cf_chain(struct cf *cf);
void cf_random_numbers(struct cf *cf);
void cf_conv(struct cf *cf);
void cf_pack_conv(struct cf *cf); /* PACK, forms of conv/conv.h */
void cf_gemm(struct cf *cf);
void cf_integer_gemm(struct cf *cf);
void cf_integer_conv(struct cf *cf);
void cf_quantize(struct cf *cf);
void cf_q_add(struct cf *cf);
void cf_pack(struct cf *cf); /* every form */
void cf_pool(struct cf *cf);
void cf_image(struct cf *cf);
void cf_group_norm(struct cf *cf);
void cf_recurrent(struct cf *cf);
void cf_state_space(struct cf *cf);
void cf_signal(struct cf *cf);
void cf_trees(struct cf *cf);

#endif
