/* Family CONV: convolutions over images in either layout.
 *
 * conv: y[n][o] = activation(sum(w[o][c][tap] x[n][group c][window]) * scale[o] + bias[o] + residual[n][o]), weights
 * [o][c / groups][taps] contiguous, or, for a kernel with `pack`, as qn_conv_f32_plan lays them out. conv_transpose:
 * weights [c][o / groups][taps] (or packed, part after part), window.in is x and window.out is y. deform_conv: two
 * spatial axes; each tap is moved by `offset` [n][offset group, tap, (y, x)][pixel], read bilinearly and scaled by
 * `mask` [n][offset group, tap][pixel]. col2im: x [n][c, tap][position] added up into y [n][c]; window.in is y (the
 * image), window.out are the positions, in x's axis strides.
 *
 * Dtypes f32, f16, bf16, f64, all operands alike, but that weights of f32 images may be halves: packing widens them.
 * The reference adds in f64. A tile of the reference is one output
 * pixel with all its channels; those of the fast kernels are theirs. An output's bits do not depend on the tiles.
 */
#ifndef QN_KERNELS_CONV_H
#define QN_KERNELS_CONV_H

#include "kernels/conv/window.h"
#include "kernels/panel_words.h"

struct qn_conv_params {
    uint16_t op; /* QN_OP_conv, conv_transpose, deform_conv, col2im */
    struct qn_window window;
    int64_t batch, c, o, groups;
    struct qn_pixels x, y, residual; /* residual.data NULL: none */
    const void *w;
    qn_dtype w_dtype;
    const void *bias, *scale; /* [o] or NULL */
    int64_t bias_stride, scale_stride;
    bool has_residual;  /* while a plan is made there are no pointers */
    int32_t activation; /* enum qn_activation */
    float alpha, beta;
    struct qn_pixels offset, mask; /* deform_conv; mask.data NULL: all 1 */
    int64_t offset_groups;
    int64_t
        winograd; /* 2, 4: outputs along an axis of a square that Winograd's way may do at once (winograd.h); 0: none */
};

/* The generic kernel; the others hand it what they do not do themselves. */
extern const struct qn_kernel qn_conv_ref;

/* PACK: weights [o][c / groups][taps], f32 or halves, to the form of a fast kernel, f32. `conv` carries the geometry
 * and w_dtype alone. */
struct qn_conv_pack_params {
    struct qn_conv_params conv;
    const void *from; /* as the file has them: at any address */
    float *to;
};

/* Copies weights to a panel, as `words` says but for where they come from: the first is element `at` of p->from,
 * columns lie `row` elements apart. At most QN_CONV_COPY_MOST weights of a column, but for f32. */
enum { QN_CONV_COPY_MOST = 4096 };
void qn_conv_copy_weights(const struct qn_conv_pack_params *p, int64_t at, int64_t row,
                          const struct qn_panel_words *words);

enum { QN_CONV_WIDE_8 = 2, QN_CONV_WIDE_16 = 4 }; /* vectors in a full panel, by the floats in a vector */

/* How the fast f32 kernels go about a convolution: told by the weights' shape and the steps of the window alone, so
 * that the packed form serves every size of image. */
enum qn_conv_way {
    QN_CONV_WAY_NONE = 0,
    QN_CONV_WAY_TAPS,      /* implicit GEMM: for each tap, a run of channels */
    QN_CONV_WAY_ROWS,      /* the same with a row of the window and its few channels as one run */
    QN_CONV_WAY_DEPTHWISE, /* one input channel an output channel */
};

struct qn_conv_plan {
    enum qn_conv_way way;
    int64_t lanes;                /* floats in a vector */
    int64_t taps, run;            /* GEMM: K = taps * run, of which a run is contiguous in x */
    int64_t chunk;                /* of a run is done before the next tap */
    int64_t columns;              /* output channels a group */
    int64_t panel, panels;        /* output channels in a panel; panels a group, the last one padded to whole vectors */
    int64_t group_floats, floats; /* packed size: of a group, of all */
};

/* A transposed convolution is a plain one for each class of output pixels: those that see the same taps, a stride
 * apart. A convolution has one part, itself. */
int64_t qn_conv_parts(const struct qn_conv_params *p);

/* Number `part` as a plain convolution. w stays as it is: the packed weights of the parts lie one behind the other.
 * `taps`, if not NULL: where its taps lie in the weights of p. */
struct qn_conv_taps {
    int64_t first[QN_WINDOW_AXES], step[QN_WINDOW_AXES]; /* its tap j along an axis is tap first + j * step of p */
};
struct qn_conv_params qn_conv_part(const struct qn_conv_params *p, int64_t part, struct qn_conv_taps *taps);

/* Of one part. lanes: 16 or 8; wide: vectors in a full panel. */
struct qn_conv_plan qn_conv_f32_plan(const struct qn_conv_params *p, int64_t lanes, int64_t wide);

/* Where column 0 of a panel of a group starts, in floats; the panel is [chunk][tap][run in chunk][width]. */
static inline int64_t qn_conv_panel_at(const struct qn_conv_plan *plan, int64_t group, int64_t panel)
{
    return group * plan->group_floats + panel * plan->panel * plan->taps * plan->run;
}

/* Floats in a row of a panel. */
static inline int64_t qn_conv_panel_width(const struct qn_conv_plan *plan, int64_t panel)
{
    int64_t left = plan->columns - panel * plan->panel;
    left = left < plan->panel ? left : plan->panel;
    return (left + plan->lanes - 1) / plan->lanes * plan->lanes;
}

/* Lanes and vectors in a full panel of a form; false where it is none of these kernels'. */
bool qn_conv_form(enum qn_pack pack, int64_t *lanes, int64_t *wide);

/* Bytes of the packed form for a kernel's pack; 0 where the kernel does not pack. */
int64_t qn_conv_packed_bytes(const struct qn_conv_params *p, enum qn_pack pack);

#endif
