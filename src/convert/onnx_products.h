/* The products of an ONNX model whose second operand is a constant matrix, and what becomes of the model when those
 * weights are quantised: which nodes are written anew, which nodes and tensors nobody reads any longer. */
#ifndef QN_CONVERT_ONNX_PRODUCTS_H
#define QN_CONVERT_ONNX_PRODUCTS_H

#include "base/array.h"
#include "convert/nbits.h"
#include "format/onnx/onnx_file.h"
#include "quern/convert.h"

/* A matrix that is quantised. Several nodes may read it. */
struct qn_onnx_weight {
    const struct qn_onnx_tensor *tensor;
    const struct qn_onnx_graph *graph; /* which gets the new tensors */
    struct qn_str name;                /* of the tensor, or of the Constant that makes it */
    struct qn_nbits shape;             /* types and sizes; without data */
    struct qn_str codes, scales,
        zeros; /* names of the new tensors, in no use before; zeros: empty where there are none */
};

enum qn_onnx_fate { QN_ONNX_DROPPED, QN_ONNX_PRODUCT, QN_ONNX_PRODUCT_BIAS, QN_ONNX_PRODUCT_ADD };

/* What is not written as it was: a node that is gone, or one that is a product (with a vector added by the op itself,
 * or with an Add behind it). */
struct qn_onnx_change {
    const void *what; /* qn_onnx_node; DROPPED: also qn_onnx_tensor */
    enum qn_onnx_fate fate;
    uint32_t weight;
    struct qn_str sum; /* ADD: name of the product itself */
};

struct qn_onnx_products {
    struct qn_arena arena;
    QN_ARRAY(struct qn_onnx_weight) weights;
    QN_ARRAY(struct qn_onnx_change) changes;
    struct qn_map change_map;
    /* Of all dense constants in the model and in the result, weights included. */
    uint64_t bytes_in, bytes_out, tensors;
    uint64_t type_counts[QN_DTYPE_LIMIT];
};

/* `type` is Q4_0, Q4_1 or Q8_0; rules of options->keeps name weights. Errors: no product to quantise (QN_UNSUPPORTED),
 * a rule that names no weight or a type that cannot be held (QN_INVALID_ARGUMENT), lack of memory. Release it in any
 * case. */
qn_status qn_onnx_products_find(const struct qn_onnx_file *file, qn_dtype type,
                                const struct qn_convert_options *options, struct qn_onnx_products *out) QN_MUST_USE;
void qn_onnx_products_deinit(struct qn_onnx_products *products); /* a zeroed one is allowed */

/* The change of a node or tensor, NULL when it stays. */
const struct qn_onnx_change *qn_onnx_change_of(const struct qn_onnx_products *products, const void *what);

#endif
