/* Winograd's way through a convolution of 3x3 with steps of 1: the inputs under a square of size x size output pixels
 * are transformed into (size + 2)^2 points, so are the weights of each pair of channels, and the sums over channels are
 * taken point by point: (size + 2)^2 products a square instead of 9 size^2.
 *
 * Size 2 takes the points 0, 1, -1 and infinity; size 4 takes 0, +-sqrt(1/2), +-sqrt(2) and infinity, whose error is a
 * third of that of the usual 0, +-1, +-2. Against a sum in f64, of its range (normal inputs behind a ReLU, 64 and 256
 * channels): 2e-7 and 3e-7 for size 2, 7e-7 and 1.1e-6 for size 4; the plain sum has 2e-7.
 *
 * Packed weights: [panel][point][channel][width] floats, a panel being up to two vectors of output channels. */
#ifndef QN_KERNELS_WINOGRAD_H
#define QN_KERNELS_WINOGRAD_H

#include "kernels/conv/conv.h"

enum { QN_WINOGRAD_WIDE = 2, QN_WINOGRAD_MOST = 6 }; /* vectors in a full panel; points along an axis, at most */

struct qn_winograd_plan {
    int64_t size, edge, points; /* pixels along an axis, size + 2, edge^2 */
    int64_t lanes;              /* floats in a vector */
    int64_t panel, panels;      /* output channels in a full panel; panels, the last one padded to whole vectors */
    int64_t floats;             /* packed */
};

/* size is 0 where the convolution is not of the kind, or p->winograd does not ask for it. */
static inline struct qn_winograd_plan qn_winograd_plan(const struct qn_conv_params *p, int64_t lanes)
{
    const struct qn_window *w = &p->window;
    bool plain = p->groups == 1 && p->c > 0 && p->o > 0 && w->kernel[0] == 1 && w->in[0] == 1 && w->out[0] == 1 &&
                 w->begin[0] == 0 && w->kernel[1] == 3 && w->kernel[2] == 3;
    for (int i = 1; i < QN_WINDOW_AXES; i++)
        plain = plain && w->stride[i] == 1 && w->dilation[i] == 1;
    if (!plain || (p->winograd != 2 && p->winograd != 4))
        return (struct qn_winograd_plan){0};
    struct qn_winograd_plan plan = {.size = p->winograd, .edge = p->winograd + 2, .lanes = lanes};
    plan.points = plan.edge * plan.edge;
    plan.panel = QN_WINOGRAD_WIDE * lanes;
    plan.panels = (p->o + plan.panel - 1) / plan.panel;
    plan.floats = plan.points * p->c * ((p->o + lanes - 1) / lanes * lanes);
    return plan;
}

/* Floats in a row of a panel. */
static inline int64_t qn_winograd_width(const struct qn_winograd_plan *plan, int64_t o, int64_t panel)
{
    int64_t left = o - panel * plan->panel;
    left = left < plan->panel ? left : plan->panel;
    return (left + plan->lanes - 1) / plan->lanes * plan->lanes;
}

#endif
