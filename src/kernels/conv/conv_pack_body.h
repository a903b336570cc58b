/* Weights for the fast f32 kernels, packed as qn_conv_f32_plan says. A file in plain C and one an instruction set
 * include this: they differ in how qn_panel_words_copy turns the weights. */
#include <string.h>

#include "kernels/conv/conv.h"
#include "kernels/element.h"

#include "ir/ir.h"

static void copy_weights(const struct qn_conv_pack_params *p, int64_t at, int64_t row,
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
    qn_conv_form(pack, &lanes, &wide);
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
    int64_t width = s->plan.floats / s->plan.taps, taps = s->plan.taps;
    if (copies(s, 1)) {
        struct qn_panel_words words = {.columns = s->part.o,
                                       .count = taps,
                                       .taps = taps,
                                       .tap_rows = 1,
                                       .to = (uint32_t *)(void *)s->to,
                                       .width = width};
        for (int64_t tap = 0; tap < taps; tap++)
            memset(s->to + tap * width + s->part.o, 0, (size_t)(width - s->part.o) * sizeof *s->to);
        copy_weights(s->p, 0, taps, &words);
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
        copy_weights(s->p, first * row + chunk * plan->taps, row, &words);
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

/* The PACK kernel of a form. */
#define QN_CONV_PACK(number, kernel_name, kernel_needs, kernel_rank, form)                       \
    static int64_t kernel_name##_tiles(const void *params)                                       \
    {                                                                                            \
        return all_tiles(params, form);                                                          \
    }                                                                                            \
    static void kernel_name##_run(const void *params, int64_t begin, int64_t end, void *scratch) \
    {                                                                                            \
        (void)scratch;                                                                           \
        pack(params, form, begin, end);                                                          \
    }                                                                                            \
    const struct qn_kernel qn_##kernel_name = {                                                  \
        .serial = number,                                                                        \
        .name = #kernel_name,                                                                    \
        .family = QN_FAMILY_PACK,                                                                \
        .needs = kernel_needs,                                                                   \
        .rank = kernel_rank,                                                                     \
        .tiles = kernel_name##_tiles,                                                            \
        .run = kernel_name##_run,                                                                \
        .pack = form,                                                                            \
    }
