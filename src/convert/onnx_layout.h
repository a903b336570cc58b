/* The files of a quantised ONNX model as lists of pieces: ranges of the source, what is written anew, and weights that
 * are still to be quantised. All lengths are known before a byte is written. */
#ifndef QN_CONVERT_ONNX_LAYOUT_H
#define QN_CONVERT_ONNX_LAYOUT_H

#include "convert/onnx_products.h"

enum qn_onnx_part { QN_ONNX_BYTES, QN_ONNX_CODES, QN_ONNX_SCALES, QN_ONNX_ZEROS };

struct qn_onnx_piece {
    enum qn_onnx_part part;
    uint32_t weight;     /* of the parts of a weight, which follow each other: codes first */
    const uint8_t *data; /* BYTES */
    uint64_t size;
};

struct qn_onnx_pieces {
    QN_ARRAY(struct qn_onnx_piece) list;
    uint64_t size;
};

struct qn_onnx_layout {
    struct qn_arena arena;
    struct qn_onnx_pieces model, data; /* data: of the file beside it; empty where there is none */
};

/* All that the products leave alone is carried over byte for byte. Tensors in other files move to one file beside the
 * model, `location` (terminated, relative), and the new weights go there as well; so they do where the model would be
 * too large for protobuf without. Everything points into `file`, `products` and the layout. Release in any case. */
qn_status qn_onnx_layout_make(const struct qn_onnx_file *file, const struct qn_onnx_products *products,
                              const char *location, const struct qn_allocator *allocator,
                              struct qn_onnx_layout *out) QN_MUST_USE;
void qn_onnx_layout_deinit(struct qn_onnx_layout *layout); /* a zeroed one is allowed */

#endif
