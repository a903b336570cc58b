/* How the fast f32 kernels go about a convolution. */
#include "kernels/conv/winograd.h"
#include "kernels/element.h"

#include "ir/ir.h"

enum {
    ROW_CHANNELS = 8,    /* fewer channels than this, and a row of the window is one run */
    PANEL_BYTES = 36864, /* of a panel, that one chunk of channels touches: stays in the first cache level */
};

static int64_t round_up(int64_t n, int64_t unit)
{
    return (n + unit - 1) / unit * unit;
}

/* ---- parts ------------------------------------------------------------------------------------------------------ */

int64_t qn_conv_parts(const struct qn_conv_params *p)
{
    const int64_t *stride = p->window.stride;
    return p->op == QN_OP_conv_transpose ? stride[0] * stride[1] * stride[2] : 1;
}

/* Output pixel `at` sees input pixel (at + begin - tap * dilation) / stride, where that is whole. So the taps whose
 * tap * dilation leaves `rest` belong to the pixels whose at + begin does. Which taps these are is told by the weights'
 * shape, the stride and the dilation alone. Walked from the last to the first, they are a window. */
static void part_axis(struct qn_conv_params *part, int i, int64_t rest, struct qn_conv_taps *taps)
{
    struct qn_window *w = &part->window;
    int64_t stride = w->stride[i], dilation = w->dilation[i], first = -1, step = 0, count = 0;
    for (int64_t tap = 0; tap < w->kernel[i]; tap++) {
        if (tap * dilation % stride != rest)
            continue;
        step = count == 1 ? tap - first : step;
        first = count++ ? first : tap;
    }
    int64_t at = ((rest - w->begin[i]) % stride + stride) % stride;
    int64_t reach = step * dilation / stride; /* input pixels between two taps */
    w->begin[i] = count ? (count - 1) * reach - (at + w->begin[i] - first * dilation) / stride : 0;
    w->end[i] = 0; /* nobody asks */
    w->out[i] = w->out[i] > at ? (w->out[i] - at + stride - 1) / stride : 0;
    w->kernel[i] = count;
    w->stride[i] = 1;
    w->dilation[i] = reach ? reach : 1;
    if (part->y.data)
        part->y.data = (char *)part->y.data + at * part->y.axis[i] * qn_element_bytes(part->y.dtype);
    part->y.axis[i] *= stride;
    taps->first[i] = count ? first + (count - 1) * step : 0;
    taps->step[i] = -step;
}

struct qn_conv_params qn_conv_part(const struct qn_conv_params *p, int64_t part, struct qn_conv_taps *taps)
{
    struct qn_conv_params plain = *p;
    struct qn_conv_taps own = {.step = {1, 1, 1}};
    if (p->op == QN_OP_conv_transpose) {
        plain.op = QN_OP_conv;
        for (int i = QN_WINDOW_AXES - 1; i >= 0; i--) {
            part_axis(&plain, i, part % p->window.stride[i], &own);
            part /= p->window.stride[i];
        }
    }
    if (taps)
        *taps = own;
    return plain;
}

/* ---- the plan --------------------------------------------------------------------------------------------------- */

static void plan_depthwise(struct qn_conv_plan *plan, const struct qn_conv_params *p)
{
    plan->way = QN_CONV_WAY_DEPTHWISE;
    plan->taps = qn_window_taps(&p->window);
    plan->floats = plan->taps * round_up(p->o, plan->lanes);
}

struct qn_conv_plan qn_conv_f32_plan(const struct qn_conv_params *p, int64_t lanes, int64_t wide)
{
    struct qn_conv_plan plan = {.lanes = lanes};
    const struct qn_window *w = &p->window;
    int64_t channels = p->c / p->groups;
    if (p->op != QN_OP_conv || channels < 1 || p->o < 1)
        return plan;
    plan.columns = p->o / p->groups;
    if (channels == 1 && plan.columns == 1 && p->groups > 1) {
        plan_depthwise(&plan, p);
        return plan;
    }
    bool rows = p->groups == 1 && channels < ROW_CHANNELS && w->kernel[2] > 1 && w->dilation[2] == 1;
    plan.way = rows ? QN_CONV_WAY_ROWS : QN_CONV_WAY_TAPS;
    plan.taps = rows ? w->kernel[0] * w->kernel[1] : qn_window_taps(w);
    plan.run = rows ? w->kernel[2] * channels : channels;
    plan.panel = wide * lanes;
    plan.panels = (plan.columns + plan.panel - 1) / plan.panel;
    plan.chunk = PANEL_BYTES / 4 / (plan.panel * (plan.taps ? plan.taps : 1)) / lanes * lanes;
    plan.chunk = plan.chunk < lanes ? lanes : plan.chunk;
    if (plan.chunk < plan.run) /* chunks of one size */
        plan.chunk = round_up(
            (plan.run + (plan.run + plan.chunk - 1) / plan.chunk - 1) / ((plan.run + plan.chunk - 1) / plan.chunk), 4);
    else
        plan.chunk = plan.run;
    plan.group_floats = plan.taps * plan.run * round_up(plan.columns, lanes);
    plan.floats = p->groups * plan.group_floats;
    return plan;
}

bool qn_conv_form(enum qn_pack pack, int64_t *lanes, int64_t *wide)
{
    *lanes = pack == QN_PACK_CONV_F32_16 ? 16 : 8;
    *wide = pack == QN_PACK_CONV_F32_16 ? QN_CONV_WIDE_16 : QN_CONV_WIDE_8;
    return pack == QN_PACK_CONV_F32_16 || pack == QN_PACK_CONV_F32_8;
}

int64_t qn_conv_packed_bytes(const struct qn_conv_params *p, enum qn_pack pack)
{
    int64_t lanes, wide, floats = 0;
    if (pack == QN_PACK_WINOGRAD_8 || pack == QN_PACK_WINOGRAD_16)
        return qn_winograd_plan(p, pack == QN_PACK_WINOGRAD_16 ? 16 : 8).floats * (int64_t)sizeof(float);
    if (!qn_conv_form(pack, &lanes, &wide))
        return 0;
    for (int64_t i = 0; i < qn_conv_parts(p); i++) {
        struct qn_conv_params part = qn_conv_part(p, i, NULL);
        floats += qn_conv_f32_plan(&part, lanes, wide).floats;
    }
    return floats * (int64_t)sizeof(float);
}
