/* Weights transformed for Winograd's way and laid in panels. */
#include <string.h>

#include "kernels/conv/winograd.h"

enum { CHUNK = 8, TAPS = 9, QUAD = 4, WIDEST = QN_WINOGRAD_WIDE * 16 };

typedef float quad __attribute__((vector_size(16))); /* four output channels */

static inline quad all(float value)
{
    return (quad){value, value, value, value};
}

/* The three weights of a line as the points of an axis. */
static inline void line_points(int64_t size, const quad *g, quad *u)
{
    if (size == 2) {
        quad even = (g[0] + g[2]) * all(0.5f), odd = g[1] * all(0.5f);
        u[0] = g[0];
        u[1] = even + odd;
        u[2] = even - odd;
        u[3] = g[2];
        return;
    }
    const float root = 0.70710678118654752f; /* sqrt(1/2) */
    quad near = (g[0] + g[2] * all(0.5f)) * all(-2.0f / 3), far = (g[0] + g[2] * all(2)) * all(1.0f / 6);
    quad near_odd = g[1] * all(root * -2.0f / 3), far_odd = g[1] * all(2 * root / 6);
    u[0] = g[0];
    u[1] = near + near_odd;
    u[2] = near - near_odd;
    u[3] = far + far_odd;
    u[4] = far - far_odd;
    u[5] = g[2];
}

/* Four columns: taps[9], `stride` floats apart, to all points, `step` floats apart. */
static inline void quad_points(int64_t size, const float *taps, int64_t stride, float *to, int64_t step)
{
    quad half[QN_WINOGRAD_MOST][3], line[3], out[QN_WINOGRAD_MOST];
    int64_t edge = size + 2;
    for (int64_t x = 0; x < 3; x++) {
        for (int64_t y = 0; y < 3; y++)
            memcpy(&line[y], taps + (y * 3 + x) * stride, sizeof line[y]);
        line_points(size, line, out);
        for (int64_t y = 0; y < edge; y++)
            half[y][x] = out[y];
    }
    for (int64_t y = 0; y < edge; y++) {
        line_points(size, half[y], out);
        for (int64_t x = 0; x < edge; x++)
            memcpy(to + (y * edge + x) * step, &out[x], sizeof out[x]);
    }
}

static void pack_panel(const struct qn_conv_pack_params *p, const struct qn_winograd_plan *plan, int64_t panel)
{
    _Alignas(16) float taps[TAPS * CHUNK * WIDEST];
    int64_t c = p->conv.c, o = p->conv.o, first = panel * plan->panel, width = qn_winograd_width(plan, o, panel);
    float *to = p->to + first * plan->points * c;
    memset(taps, 0, sizeof taps);
    for (int64_t chunk = 0; chunk < c; chunk += CHUNK) {
        int64_t n = c - chunk < CHUNK ? c - chunk : CHUNK;
        struct qn_panel_words words = {.columns = o - first < width ? o - first : width,
                                       .count = n * TAPS,
                                       .taps = TAPS,
                                       .tap_rows = CHUNK,
                                       .to = (uint32_t *)(void *)taps,
                                       .width = width};
        qn_conv_copy_weights(p, (first * c + chunk) * TAPS, c * TAPS, &words);
        for (int64_t i = 0; i < n; i++) {
            for (int64_t j = 0; j < width; j += QUAD) {
                const float *from = taps + i * width + j;
                float *at = to + (chunk + i) * width + j;
                if (plan->size == 2)
                    quad_points(2, from, CHUNK * width, at, c * width);
                else
                    quad_points(4, from, CHUNK * width, at, c * width);
            }
        }
    }
}

static void pack(const struct qn_conv_pack_params *p, int64_t lanes, int64_t begin, int64_t end)
{
    struct qn_winograd_plan plan = qn_winograd_plan(&p->conv, lanes);
    for (int64_t i = begin; i < end && plan.size; i++)
        pack_panel(p, &plan, i);
}

static int64_t tiles_8(const void *params)
{
    const struct qn_conv_pack_params *p = params;
    return qn_winograd_plan(&p->conv, 8).panels;
}

static int64_t tiles_16(const void *params)
{
    const struct qn_conv_pack_params *p = params;
    return qn_winograd_plan(&p->conv, 16).panels;
}

static void run_8(const void *params, int64_t begin, int64_t end, void *scratch)
{
    (void)scratch;
    pack(params, 8, begin, end);
}

static void run_16(const void *params, int64_t begin, int64_t end, void *scratch)
{
    (void)scratch;
    pack(params, 16, begin, end);
}

const struct qn_kernel qn_pack_winograd_8 = {
    .serial = 1707,
    .name = "pack_winograd_8",
    .family = QN_FAMILY_PACK,
    .tiles = tiles_8,
    .run = run_8,
    .pack = QN_PACK_WINOGRAD_8,
};

const struct qn_kernel qn_pack_winograd_16 = {
    .serial = 1708,
    .name = "pack_winograd_16",
    .family = QN_FAMILY_PACK,
    .tiles = tiles_16,
    .run = run_16,
    .pack = QN_PACK_WINOGRAD_16,
};
