/* Kernels: the pure functions that compute, and the one table they stand in.
 *
 * A kernel reads one parameter struct of its family (kernels/<family>/<family>.h) and works on tiles [begin, end) of
 * an index space that its family defines. No libc calls, no globals, no allocation, no locks. The bits that a tile
 * writes depend on the parameters alone: not on which other tiles run beside it, nor on how many rows there are.
 *
 * One line of kernels.def is the declaration, the dispatch, the test against the reference and the benchmark.
 */
#ifndef QN_KERNELS_KERNEL_H
#define QN_KERNELS_KERNEL_H

#include <stdbool.h>
#include <stdint.h>

#include "quern/dtype.h"

/* Strided tensor operand; strides in elements (in storage units of the innermost axis for block types, which are
 * always contiguous along it). */
struct qn_view {
    void *data;
    qn_dtype dtype;
    uint32_t rank;
    int64_t dims[8];
    int64_t strides[8];
};

/* Families. The number is stable. */
enum qn_family {
    QN_FAMILY_NONE = 0,
    QN_FAMILY_MATMUL = 1, /* y = x w^T, w [n][k] in any dtype: matmul/matmul.h */
    QN_FAMILY_BATCH_MATMUL = 2,
    QN_FAMILY_ATTENTION = 3, /* dense and paged */
    QN_FAMILY_NORM = 4,      /* rms_norm, layer_norm */
    QN_FAMILY_ROPE = 5,
    QN_FAMILY_SOFTMAX = 6,
    QN_FAMILY_UNARY = 7,
    QN_FAMILY_BINARY = 8, /* also comparisons and glu */
    QN_FAMILY_WHERE = 9,
    QN_FAMILY_REDUCE = 10,
    QN_FAMILY_COPY = 11, /* strided copy and cast: transpose, slice, concat, expand, cast */
    QN_FAMILY_GATHER = 12,
    QN_FAMILY_SCATTER_ROWS = 13,
    QN_FAMILY_IOTA = 14,
    QN_FAMILY_TOPK = 15,
    QN_FAMILY_ACTIVATION = 16, /* f32 rows to the form that a matmul kernel reads */
    QN_FAMILY_PACK = 17,       /* constant weights to the form that a kernel reads (enum qn_pack) */
    QN_FAMILY_MOVE = 18,       /* pad, reverse, gather_elements, gather_nd, scatter_elements, scatter_nd */
    QN_FAMILY_SCAN = 19,       /* cumsum, cumprod */
    QN_FAMILY_ARG = 20,        /* argmax, argmin */
    QN_FAMILY_CHAIN = 21,      /* fused elementwise programs */
    QN_FAMILY_RANDOM = 22,
    QN_FAMILY_CONV = 23, /* also conv_transpose, deform_conv, col2im */
    QN_FAMILY_POOL = 24,
    QN_FAMILY_IMAGE = 25, /* resize, grid_sample, roi_align */
    QN_FAMILY_GEMM = 26,  /* y = x b with b [k][n], packed or as it lies */
    QN_FAMILY_INTEGER_GEMM = 27,
    QN_FAMILY_INTEGER_CONV = 28,
    QN_FAMILY_QUANTIZE = 29,  /* quantize, dequantize, dynamic_quantize */
    QN_FAMILY_RECURRENT = 30, /* lstm, gru, rnn */
    QN_FAMILY_SIGNAL = 31,    /* fft, det */
    QN_FAMILY_TREES = 32,
    QN_FAMILY_GROUP_NORM = 33,
    QN_FAMILY_Q_ADD = 34,
    QN_FAMILY_STATE_SPACE = 35, /* causal_conv, selective_scan */
    QN_FAMILY_LIMIT = 64,
};

/* The form in which a matmul kernel reads its left operand. Rows are row_bytes(k) apart, 64-byte aligned. */
enum qn_act {
    QN_ACT_F32 = 0,
    QN_ACT_BF16 = 1,
    QN_ACT_Q8_32 = 2, /* int8 with an f32 scale for 32 elements */
    QN_ACT_LIMIT = 8,
};

/* The form in which a kernel reads its constant weights, if not as they lie in the file: made by the PACK kernel of
 * that form when they are wanted (exec/weights.c), and then the only copy (the file's pages are let go). */
enum qn_pack {
    QN_PACK_NONE = 0,
    QN_PACK_PANELS_F32 = 1, /* gemm/gemm.h */
    QN_PACK_PANELS_16 = 2,
    QN_PACK_PANELS_I8 = 3,  /* integer_gemm/integer_gemm.h */
    QN_PACK_CONV_I8 = 4,    /* integer_conv/integer_conv.h */
    QN_PACK_CONV_F32_8 = 5, /* conv/conv.h, by the floats in a vector */
    QN_PACK_CONV_F32_16 = 6,
    QN_PACK_WINOGRAD_8 = 7, /* conv/winograd.h, likewise */
    QN_PACK_WINOGRAD_16 = 8,
    QN_PACK_SORTED_I8 = 9, /* integer_gemm/integer_gemm.h */
    QN_PACK_LIMIT = 32,
};

struct qn_kernel {
    uint32_t serial; /* stable, never reused */
    const char *name;
    enum qn_family family;
    uint32_t needs;  /* bits of enum qn_cpu_feature */
    qn_dtype dtype;  /* of the operand that selects it (w, kv cache, ...); QN_DTYPE_NONE: any, generic */
    enum qn_act act; /* MATMUL: how it reads x; ACTIVATION: what it writes */
    int32_t rank;    /* among the kernels that fit, the highest wins */
    int64_t (*tiles)(const void *params);   /* size of the index space */
    int64_t (*scratch)(const void *params); /* bytes of scratch a thread needs, 64-byte aligned; NULL: none */
    void (*run)(const void *params, int64_t begin, int64_t end, void *scratch);
    enum qn_pack pack; /* of its weights; PACK: what it writes */
    bool packs_once;   /* PACK: takes too long for weights that change, which are packed in every run */
    /* Whether the kernel computes a call with these parameters (data pointers are NULL); NULL: any. */
    bool (*fits)(const void *params);
};

/* All kernels built into this binary, the reference ones included. */
extern const struct qn_kernel *const qn_kernels[];
extern const uint32_t qn_kernel_count;

/* The best kernel of a family for a dtype among those whose needs are met by `features`: an exact dtype before the
 * generic one, then rank. act < 0: any form. NULL when none fits. */
const struct qn_kernel *qn_kernel_select(enum qn_family family, qn_dtype dtype, int act, uint32_t features);

/* All of them, best first, at most `room`; gives how many there are. */
uint32_t qn_kernel_candidates(enum qn_family family, qn_dtype dtype, int act, uint32_t features,
                              const struct qn_kernel **out, uint32_t room);

#endif
