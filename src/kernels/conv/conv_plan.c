/* How the fast f32 kernels go about a convolution, and the weights in the form that they read. */
#include <string.h>

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

/* Lanes and vectors in a full panel of a form. */
static bool form_of(enum qn_pack pack, int64_t *lanes, int64_t *wide)
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
    if (!form_of(pack, &lanes, &wide))
        return 0;
    for (int64_t i = 0; i < qn_conv_parts(p); i++) {
        struct qn_conv_params part = qn_conv_part(p, i, NULL);
        floats += qn_conv_f32_plan(&part, lanes, wide).floats;
    }
    return floats * (int64_t)sizeof(float);
}

/* ---- packing --------------------------------------------------------------------------------------------------- */

void qn_conv_copy_weights(const struct qn_conv_pack_params *p, int64_t at, int64_t row,
                          const struct qn_panel_words *words)
{
    qn_dtype dtype = p->conv.w_dtype;
    int64_t bytes = qn_element_bytes(dtype), count = words->count;
    const char *from = (const char *)p->from + at * bytes;
    struct qn_panel_words some = *words;
    if (dtype == QN_DTYPE_F32) {
        some.from = from;
        some.row_bytes = row * bytes;
        qn_panel_words_copy(&some);
        return;
    }
    float floats[QN_CONV_COPY_MOST]; /* of some columns */
    int64_t most = count ? QN_CONV_COPY_MOST / count : 0;
    most = most > 4 ? most / 4 * 4 : most;
    some.from = (const char *)floats;
    some.row_bytes = count * (int64_t)sizeof *floats;
    for (int64_t j = 0; j < words->columns && most; j += most) {
        some.columns = words->columns - j < most ? words->columns - j : most;
        some.to = words->to + j;
        for (int64_t i = 0; i < some.columns; i++)
            qn_load_f32(floats + i * count, from + (j + i) * row * bytes, bytes, dtype, count);
        qn_panel_words_copy(&some);
    }
}

/* A part to pack: where its weights lie among those of the file, and where it goes. */
struct source {
    const struct qn_conv_pack_params *p;
    struct qn_conv_params part;
    struct qn_conv_taps taps;
    struct qn_conv_plan plan;
    float *to;
};

static struct source source_of(const struct qn_conv_pack_params *p, int64_t part, enum qn_pack pack)
{
    int64_t lanes, wide;
    struct source s = {.p = p};
    form_of(pack, &lanes, &wide);
    s.part = qn_conv_part(&p->conv, part, &s.taps);
    s.plan = qn_conv_f32_plan(&s.part, lanes, wide);
    return s;
}

static int64_t pack_tiles(const struct source *s)
{
    return s->plan.way == QN_CONV_WAY_DEPTHWISE ? 1 : s->part.groups * s->plan.panels;
}

/* Weight of output channel o for input channel c of its group and a tap of the part. */
static float weight(const struct source *s, int64_t o, int64_t c, int64_t tap)
{
    const struct qn_conv_params *all = &s->p->conv;
    const int64_t *part = s->part.window.kernel, *kernel = all->window.kernel;
    int64_t channels = all->c / all->groups, columns = all->o / all->groups, from[QN_WINDOW_AXES];
    qn_window_position(part, tap, from);
    for (int i = 0; i < QN_WINDOW_AXES; i++)
        from[i] = s->taps.first[i] + from[i] * s->taps.step[i];
    int64_t row =
        all->op == QN_OP_conv_transpose ? (o / columns * channels + c) * columns + o % columns : o * channels + c;
    int64_t index = ((row * kernel[0] + from[0]) * kernel[1] + from[1]) * kernel[2] + from[2];
    float value;
    int64_t bytes = qn_element_bytes(all->w_dtype);
    qn_load_f32(&value, (const char *)s->p->from + index * bytes, bytes, all->w_dtype, 1);
    return value;
}

/* Whether the weights of n channels lie as the file has them, channel after channel with its taps, and are turned in
 * blocks: floats, or as many as are widened first. */
static bool copies(const struct source *s, int64_t n)
{
    const struct qn_conv_params *conv = &s->p->conv;
    return conv->op == QN_OP_conv && (conv->w_dtype == QN_DTYPE_F32 || n * s->plan.taps <= QN_CONV_COPY_MOST);
}

/* [tap][channel], channels padded with zeros to whole vectors */
static void pack_depthwise(const struct source *s)
{
    int64_t width = round_up(s->part.o, s->plan.lanes), taps = s->plan.taps;
    if (copies(s, 1)) {
        struct qn_panel_words words = {.columns = s->part.o,
                                       .count = taps,
                                       .taps = taps,
                                       .tap_rows = 1,
                                       .to = (uint32_t *)(void *)s->to,
                                       .width = width};
        for (int64_t tap = 0; tap < taps; tap++)
            memset(s->to + tap * width + s->part.o, 0, (size_t)(width - s->part.o) * sizeof *s->to);
        qn_conv_copy_weights(s->p, 0, taps, &words);
        return;
    }
    for (int64_t tap = 0; tap < s->plan.taps; tap++)
        for (int64_t c = 0; c < width; c++)
            s->to[tap * width + c] = c < s->part.o ? weight(s, c, 0, tap) : 0;
}

/* Weight of column o for element r of run `tap`: of a tap's channels, or of a row of the window. */
static float run_weight(const struct source *s, int64_t o, int64_t tap, int64_t r)
{
    int64_t channels = s->part.c / s->part.groups;
    if (s->plan.way == QN_CONV_WAY_TAPS)
        return weight(s, o, r, tap);
    return weight(s, o, r % channels, tap * s->part.window.kernel[2] + r / channels);
}

/* A chunk of a panel: for each tap, rows chunk .. chunk + n of its run. */
static void pack_chunk(const struct source *s, int64_t first, int64_t columns, int64_t chunk, int64_t n, int64_t width,
                       float *to)
{
    const struct qn_conv_plan *plan = &s->plan;
    if (columns < width)
        memset(to, 0, (size_t)(plan->taps * n * width) * sizeof *to);
    if (plan->way == QN_CONV_WAY_TAPS && copies(s, n)) {
        int64_t row = plan->run * plan->taps;
        struct qn_panel_words words = {.columns = columns,
                                       .count = n * plan->taps,
                                       .taps = plan->taps,
                                       .tap_rows = n,
                                       .to = (uint32_t *)(void *)to,
                                       .width = width};
        qn_conv_copy_weights(s->p, first * row + chunk * plan->taps, row, &words);
        return;
    }
    for (int64_t tap = 0; tap < plan->taps; tap++)
        for (int64_t r = chunk; r < chunk + n; r++, to += width)
            for (int64_t i = 0; i < columns; i++)
                to[i] = run_weight(s, first + i, tap, r);
}

static void pack_panel(const struct source *s, int64_t group, int64_t panel)
{
    const struct qn_conv_plan *plan = &s->plan;
    float *to = s->to + qn_conv_panel_at(plan, group, panel);
    int64_t width = qn_conv_panel_width(plan, panel), first = panel * plan->panel;
    int64_t columns = plan->columns - first < width ? plan->columns - first : width;
    for (int64_t chunk = 0; chunk < plan->run; chunk += plan->chunk) {
        int64_t left = plan->run - chunk, n = left < plan->chunk ? left : plan->chunk;
        pack_chunk(s, group * plan->columns + first, columns, chunk, n, width, to);
        to += plan->taps * n * width;
    }
}

static int64_t all_tiles(const struct qn_conv_pack_params *p, enum qn_pack form)
{
    int64_t sum = 0;
    for (int64_t i = 0; i < qn_conv_parts(&p->conv); i++) {
        struct source s = source_of(p, i, form);
        sum += pack_tiles(&s);
    }
    return sum;
}

static void pack(const struct qn_conv_pack_params *p, enum qn_pack form, int64_t begin, int64_t end)
{
    float *to = p->to;
    int64_t first = 0; /* tile of the part */
    for (int64_t k = 0; k < qn_conv_parts(&p->conv) && first < end; k++) {
        struct source s = source_of(p, k, form);
        int64_t count = pack_tiles(&s), last = end - first < count ? end - first : count;
        s.to = to;
        for (int64_t i = begin > first ? begin - first : 0; i < last; i++) {
            if (s.plan.way == QN_CONV_WAY_DEPTHWISE)
                pack_depthwise(&s);
            else if (s.plan.panels > 0)
                pack_panel(&s, i / s.plan.panels, i % s.plan.panels);
        }
        to += s.plan.floats;
        first += count;
    }
}

static int64_t tiles_8(const void *params)
{
    return all_tiles(params, QN_PACK_CONV_F32_8);
}

static int64_t tiles_16(const void *params)
{
    return all_tiles(params, QN_PACK_CONV_F32_16);
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
