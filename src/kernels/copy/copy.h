/* Family COPY: y = x with the same dims under any strides, converted when the dtypes differ. With the views that the
 * backend makes it is transpose, slice (strides), one piece of a concat (y is a part of the output), expand (stride 0
 * in x), materialised reshape, and cast.
 *
 * Conversions: float to integer truncates towards zero, saturates (4 and 2 bits wrap), and NaN gives 0; integer to
 * integer wraps; anything to bool is x != 0; to a float of 8 bits or less what is out of range saturates unless
 * `wrap`. A block type can only be the source or both: x's innermost axis is then contiguous and whole blocks long
 * (dims count elements on every axis; the strides of a block view count blocks), and `dequantise` is needed unless y
 * has the same dtype. To a block type from another: `quantise`.
 *
 * A tile is QN_ELEMENT_TILE elements of y in row-major order; where a block type takes part, one row along the
 * innermost axis; where x and y have different innermost axes (a transposition), a square of 64 by 64 along those two
 * (longer where one of them has few elements: the channels of a picture).
 */
#ifndef QN_KERNELS_COPY_H
#define QN_KERNELS_COPY_H

#include "kernels/kernel.h"
#include "quant/quant.h"

struct qn_copy_params {
    struct qn_view x, y;
    qn_dequantise_fn dequantise; /* of x's dtype, where that is a block type */
    qn_quantise_fn quantise;     /* of y's dtype, where that is a block type */
    bool wrap;                   /* to a float of 8 bits: as in struct qn_attr_cast */
    uint8_t rounding;
};

#endif
