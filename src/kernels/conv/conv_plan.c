/* How the fast f32 kernels go about a convolution, and the weights in the form that they read. */
#include <string.h>

#include "kernels/conv/conv.h"
#include "kernels/panel_words.h"

#include "ir/ir.h"

enum {
    ROW_CHANNELS = 8,    /* fewer channels than this, and a row of the window is one run */
    PANEL_BYTES = 36864, /* of a panel, that one chunk of channels touches: stays in the first cache level */
};

static int64_t round_up(int64_t n, int64_t unit)
{
    return (n + unit - 1) / unit * unit;
}

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
    plan.chunk = PANEL_BYTES / 4 / (plan.panel * plan.taps) / lanes * lanes;
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

/* Lanes and vectors in a full panel of a form. */
static bool form_of(enum qn_pack pack, int64_t *lanes, int64_t *wide)
{
    *lanes = pack == QN_PACK_CONV_F32_16 ? 16 : 8;
    *wide = pack == QN_PACK_CONV_F32_16 ? QN_CONV_WIDE_16 : QN_CONV_WIDE_8;
    return pack == QN_PACK_CONV_F32_16 || pack == QN_PACK_CONV_F32_8;
}

int64_t qn_conv_packed_bytes(const struct qn_conv_params *p, enum qn_pack pack)
{
    int64_t lanes, wide;
    if (!form_of(pack, &lanes, &wide))
        return 0;
    return qn_conv_f32_plan(p, lanes, wide).floats * (int64_t)sizeof(float);
}

/* ---- packing --------------------------------------------------------------------------------------------------- */

static struct qn_conv_plan pack_plan(const struct qn_conv_pack_params *p, enum qn_pack pack)
{
    int64_t lanes, wide;
    form_of(pack, &lanes, &wide);
    return qn_conv_f32_plan(&p->conv, lanes, wide);
}

static int64_t pack_tiles(const struct qn_conv_plan *plan, const struct qn_conv_params *p)
{
    return plan->way == QN_CONV_WAY_DEPTHWISE ? 1 : p->groups * plan->panels;
}

/* [tap][channel], channels padded with zeros to whole vectors */
static inline float weight(const struct qn_conv_pack_params *p, int64_t index)
{
    float value;
    memcpy(&value, (const char *)p->from + index * (int64_t)sizeof value, sizeof value);
    return value;
}

static void pack_depthwise(const struct qn_conv_plan *plan, const struct qn_conv_pack_params *p)
{
    int64_t width = round_up(p->conv.o, plan->lanes);
    for (int64_t tap = 0; tap < plan->taps; tap++)
        for (int64_t c = 0; c < width; c++)
            p->to[tap * width + c] = c < p->conv.o ? weight(p, c * plan->taps + tap) : 0;
}

/* Weight of column o for element r of a row of the window. */
static int64_t row_weight_at(const struct qn_conv_plan *plan, const struct qn_conv_params *p, int64_t o, int64_t tap,
                             int64_t r)
{
    int64_t channels = p->c / p->groups, columns = p->window.kernel[2];
    return ((o * channels + r % channels) * plan->taps + tap) * columns + r / channels;
}

/* A chunk of a panel: for each tap, rows chunk .. chunk + n of its run. */
static void pack_chunk(const struct qn_conv_plan *plan, const struct qn_conv_pack_params *p, int64_t first,
                       int64_t columns, int64_t chunk, int64_t n, int64_t width, float *to)
{
    if (columns < width)
        memset(to, 0, (size_t)(plan->taps * n * width) * sizeof *to);
    if (plan->way == QN_CONV_WAY_TAPS) {
        int64_t row = plan->run * plan->taps;
        struct qn_panel_words words = {.from = (const char *)p->from + (first * row + chunk * plan->taps) * 4,
                                       .row_bytes = row * 4,
                                       .columns = columns,
                                       .count = n * plan->taps,
                                       .taps = plan->taps,
                                       .tap_rows = n,
                                       .to = (uint32_t *)(void *)to,
                                       .width = width};
        qn_panel_words_copy(&words);
        return;
    }
    for (int64_t tap = 0; tap < plan->taps; tap++)
        for (int64_t r = chunk; r < chunk + n; r++, to += width)
            for (int64_t i = 0; i < columns; i++)
                to[i] = weight(p, row_weight_at(plan, &p->conv, first + i, tap, r));
}

static void pack_panel(const struct qn_conv_plan *plan, const struct qn_conv_pack_params *p, int64_t group,
                       int64_t panel)
{
    float *to = p->to + qn_conv_panel_at(plan, group, panel);
    int64_t width = qn_conv_panel_width(plan, panel), first = panel * plan->panel;
    int64_t columns = plan->columns - first < width ? plan->columns - first : width;
    for (int64_t chunk = 0; chunk < plan->run; chunk += plan->chunk) {
        int64_t left = plan->run - chunk, n = left < plan->chunk ? left : plan->chunk;
        pack_chunk(plan, p, group * plan->columns + first, columns, chunk, n, width, to);
        to += plan->taps * n * width;
    }
}

static void pack(const struct qn_conv_pack_params *p, enum qn_pack form, int64_t begin, int64_t end)
{
    struct qn_conv_plan plan = pack_plan(p, form);
    for (int64_t i = begin; i < end; i++) {
        if (plan.way == QN_CONV_WAY_DEPTHWISE)
            pack_depthwise(&plan, p);
        else if (plan.panels > 0)
            pack_panel(&plan, p, i / plan.panels, i % plan.panels);
    }
}

static int64_t tiles_8(const void *params)
{
    const struct qn_conv_pack_params *p = params;
    struct qn_conv_plan plan = pack_plan(p, QN_PACK_CONV_F32_8);
    return pack_tiles(&plan, &p->conv);
}

static int64_t tiles_16(const void *params)
{
    const struct qn_conv_pack_params *p = params;
    struct qn_conv_plan plan = pack_plan(p, QN_PACK_CONV_F32_16);
    return pack_tiles(&plan, &p->conv);
}

static void run_8(const void *params, int64_t begin, int64_t end, void *scratch)
{
    (void)scratch;
    pack(params, QN_PACK_CONV_F32_8, begin, end);
}

static void run_16(const void *params, int64_t begin, int64_t end, void *scratch)
{
    (void)scratch;
    pack(params, QN_PACK_CONV_F32_16, begin, end);
}

const struct qn_kernel qn_pack_conv_f32_8 = {
    .serial = 1705,
    .name = "pack_conv_f32_8",
    .family = QN_FAMILY_PACK,
    .tiles = tiles_8,
    .run = run_8,
    .pack = QN_PACK_CONV_F32_8,
};

const struct qn_kernel qn_pack_conv_f32_16 = {
    .serial = 1706,
    .name = "pack_conv_f32_16",
    .family = QN_FAMILY_PACK,
    .tiles = tiles_16,
    .run = run_16,
    .pack = QN_PACK_CONV_F32_16,
};
