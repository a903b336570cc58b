/* Depthwise convolution with channels last: vectors of channels, a few pixels of a row at a time.
 *
 * The window's rows that lie in the image are cut into lines of 7, 5, 3 or 1 taps side by side. A line's weights stay
 * in registers while its pixels pass: each is loaded once for all outputs of the tile that it is a part of. Steps of
 * more than 2 pixels and dilated windows have lines of one tap. Weights are [tap][channels padded to whole vectors]. A
 * tile of the index space is a row of output pixels.
 *
 * An output's sum runs along the taps, whatever tile it lies in. */
#ifndef QN_KERNELS_CONV_DEPTHWISE_VEC_H
#define QN_KERNELS_CONV_DEPTHWISE_VEC_H

enum {
    DEPTHWISE_PIXELS = 8,
    DEPTHWISE_TAPS = 7,
    DEPTHWISE_CHANNELS = 256, /* at once: their weights and pixels stay near */
};

struct depthwise_line {
    const float *x; /* of its first tap, for a window that starts at column 0 */
    const float *w;
    int64_t column; /* of its first tap in the window */
    int64_t taps;
};

static int64_t depthwise_tiles(const struct qn_conv_params *p)
{
    return p->batch * p->window.out[0] * p->window.out[1];
}

static int64_t depthwise_scratch(const struct qn_conv_params *p)
{
    return qn_window_taps(&p->window) * (int64_t)sizeof(struct depthwise_line);
}

struct depthwise_row {
    const struct qn_conv_params *p;
    float *y; /* of the row's first pixel */
    const float *residual;
    struct depthwise_line *lines;
    int64_t line_count;
    int64_t first_inside, last_inside; /* pixels whose taps all lie in the row */
    int64_t width;                     /* channels padded to whole vectors */
    float least, most;                 /* y is clipped to them */
};

/* Sums to y: what all pixels share is loaded once. Activations but relu and clipping follow when the row is done. */
QN_INLINE void depthwise_finish(const struct depthwise_row *r, const int pixels, int64_t first, int64_t c, int64_t left,
                                const vf *sums)
{
    const struct qn_conv_params *p = r->p;
    vf bias = p->bias ? vf_load_up_to((const float *)p->bias + c, left) : vf_zero();
    vf scale = p->scale ? vf_load_up_to((const float *)p->scale + c, left) : vf_set(1.0f);
    vf low = vf_set(r->least), high = vf_set(r->most);
    float *y = r->y + first * p->y.axis[2] + c;
    const float *residual = r->residual ? r->residual + first * p->residual.axis[2] + c : NULL;
    QN_UNROLL
    for (int i = 0; i < pixels; i++) {
        vf v = vf_add(p->scale ? vf_mul(sums[i], scale) : sums[i], bias);
        if (residual)
            v = vf_add(v, vf_load_up_to(residual + i * p->residual.axis[2], left));
        v = vf_min(high, vf_max(low, v)); /* NaN stays */
        vf_store_up_to(y + i * p->y.axis[2], v, left);
    }
}

/* Adds what `taps` taps give to pixels whose windows are `stride` columns apart; stride 0: as far as the window says,
 * and one tap. `column` is where the first of them lies. */
QN_INLINE void depthwise_taps(const int taps, const int pixels, const int stride, bool inside,
                              const struct qn_conv_params *p, const float *x, const float *w, int64_t width,
                              int64_t column, int64_t left, vf *sums)
{
    const int64_t apart = stride ? 1 : p->window.stride[2], step = apart * p->x.axis[2];
    const int by = stride ? stride : 1, columns = (pixels - 1) * by + taps;
    vf weights[DEPTHWISE_TAPS];
    QN_UNROLL
    for (int j = 0; j < taps; j++)
        weights[j] = vf_load(w + j * width);
    QN_UNROLL
    for (int q = 0; q < columns; q++) {
        int64_t at = column + q * apart;
        if (!inside && (at < 0 || at >= p->window.in[2]))
            continue;
        vf v = vf_load_up_to(x + q * step, left);
        QN_UNROLL
        for (int j = 0; j < taps; j++)
            if (q >= j && (q - j) % by == 0 && (q - j) / by < pixels)
                sums[(q - j) / by] = vf_fma(v, weights[j], sums[(q - j) / by]);
    }
}

/* `pixels` output pixels from `first` on, channels c .. of one vector. `inside`: all of their taps lie in the row. */
QN_INLINE void depthwise_tile(const int pixels, const int stride, bool inside, const struct depthwise_row *r,
                              int64_t first, int64_t c, int64_t left)
{
    const struct qn_conv_params *p = r->p;
    int64_t start = first * p->window.stride[2] - p->window.begin[2];
    vf sums[DEPTHWISE_PIXELS];
    QN_UNROLL
    for (int i = 0; i < pixels; i++)
        sums[i] = vf_zero();
    for (int64_t l = 0; l < r->line_count; l++) {
        const struct depthwise_line *line = &r->lines[l];
        const float *x = line->x + start * p->x.axis[2] + c, *w = line->w + c;
        int64_t column = start + line->column;
        switch (stride ? line->taps : 1) {
        case 7:
            depthwise_taps(7, pixels, stride, inside, p, x, w, r->width, column, left, sums);
            break;
        case 5:
            depthwise_taps(5, pixels, stride, inside, p, x, w, r->width, column, left, sums);
            break;
        case 3:
            depthwise_taps(3, pixels, stride, inside, p, x, w, r->width, column, left, sums);
            break;
        default:
            depthwise_taps(1, pixels, stride, inside, p, x, w, r->width, column, left, sums);
        }
    }
    depthwise_finish(r, pixels, first, c, left, sums);
}

/* Channels that are no whole vector. */
static void depthwise_tail(const struct depthwise_row *r, int64_t first, int64_t pixels, int64_t c, int64_t left)
{
    for (int64_t i = first; i < first + pixels; i++)
        depthwise_tile(1, 1, false, r, i, c, left);
}

QN_INLINE void depthwise_span(const int pixels, const int stride, const struct depthwise_row *r, int64_t first,
                              int64_t begin, int64_t end)
{
    int64_t c = begin;
    if (first >= r->first_inside && first + pixels - 1 <= r->last_inside)
        for (; c + VF_LANES <= end; c += VF_LANES)
            depthwise_tile(pixels, stride, true, r, first, c, VF_LANES);
    else
        for (; c + VF_LANES <= end; c += VF_LANES)
            depthwise_tile(pixels, stride, false, r, first, c, VF_LANES);
    if (c < end)
        depthwise_tail(r, first, pixels, c, end - c);
}

/* The row's pixels for channels [begin, end). Rows are often multiples of 7 pixels long. */
QN_INLINE void depthwise_channels(const int stride, const struct depthwise_row *r, int64_t begin, int64_t end)
{
    for (int64_t at = 0, left = r->p->window.out[2], done; left > 0; at += done, left -= done) {
        done = left >= 8 && left % 7 != 0 ? 8 : left >= 7 ? 7 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
        switch (done) {
        case 8:
            depthwise_span(8, stride, r, at, begin, end);
            break;
        case 7:
            depthwise_span(7, stride, r, at, begin, end);
            break;
        case 4:
            depthwise_span(4, stride, r, at, begin, end);
            break;
        case 2:
            depthwise_span(2, stride, r, at, begin, end);
            break;
        default:
            depthwise_span(1, stride, r, at, begin, end);
        }
    }
}

/* Steps that lines of several taps serve; 0 for others. */
static int depthwise_stride(const struct qn_window *w)
{
    return w->dilation[2] == 1 && w->stride[2] <= 2 ? (int)w->stride[2] : 0;
}

/* The lines of the window whose first row is `high`, in the plane `deep`; x is the image. */
static void depthwise_lines(struct depthwise_row *r, const float *x, int64_t deep, int64_t high)
{
    const struct qn_conv_params *p = r->p;
    const struct qn_window *w = &p->window;
    const float *weights = p->w;
    bool single = depthwise_stride(w) == 0;
    r->line_count = 0;
    for (int64_t i = 0; i < w->kernel[0] * w->kernel[1]; i++, weights += w->kernel[2] * r->width) {
        int64_t z = deep + i / w->kernel[1] * w->dilation[0], y = high + i % w->kernel[1] * w->dilation[1];
        if (z < 0 || z >= w->in[0] || y < 0 || y >= w->in[1])
            continue;
        for (int64_t j = 0, taps; j < w->kernel[2]; j += taps) {
            int64_t left = w->kernel[2] - j, column = j * w->dilation[2];
            taps = single || left < 3 ? 1 : left < 5 ? 3 : left < 7 ? 5 : 7;
            r->lines[r->line_count++] = (struct depthwise_line){
                .x = x + z * p->x.axis[0] + y * p->x.axis[1] + column * p->x.axis[2],
                .w = weights + j * r->width,
                .column = column,
                .taps = taps,
            };
        }
    }
}

static void depthwise_run_row(const struct depthwise_row *r)
{
    const struct qn_conv_params *p = r->p;
    int stride = depthwise_stride(&p->window);
    for (int64_t c = 0; c < p->o; c += DEPTHWISE_CHANNELS) {
        int64_t end = p->o - c < DEPTHWISE_CHANNELS ? p->o : c + DEPTHWISE_CHANNELS;
        if (stride == 1)
            depthwise_channels(1, r, c, end);
        else if (stride == 2)
            depthwise_channels(2, r, c, end);
        else
            depthwise_channels(0, r, c, end);
    }
    if (p->activation > QN_ACTIVATION_CLIP)
        vf_activate_block(p->activation, p->alpha, p->beta, r->y, p->y.axis[2], p->window.out[2], p->o);
}

static void run_depthwise(const struct qn_conv_params *p, int64_t begin, int64_t end, void *scratch)
{
    const struct qn_window *w = &p->window;
    bool relu = p->activation == QN_ACTIVATION_RELU, clip = p->activation == QN_ACTIVATION_CLIP;
    int64_t room = w->in[2] - 1 - (w->kernel[2] - 1) * w->dilation[2] + w->begin[2]; /* the last start inside */
    struct depthwise_row row = {.p = p,
                                .lines = scratch,
                                .first_inside = (w->begin[2] + w->stride[2] - 1) / w->stride[2],
                                .last_inside = room < 0 ? -1 : room / w->stride[2],
                                .width = (p->o + VF_LANES - 1) / VF_LANES * VF_LANES,
                                .least = relu   ? 0
                                         : clip ? p->alpha
                                                : -__builtin_inff(),
                                .most = clip ? p->beta : __builtin_inff()};
    for (int64_t i = begin; i < end; i++) {
        int64_t at[QN_WINDOW_AXES] = {i / w->out[1] % w->out[0], i % w->out[1], 0}, n = i / w->out[1] / w->out[0];
        row.y = (float *)p->y.data + qn_pixels_offset(&p->y, n, at);
        row.residual = NULL;
        if (p->residual.data)
            row.residual = (const float *)p->residual.data + qn_pixels_offset(&p->residual, n, at);
        depthwise_lines(&row, (const float *)p->x.data + n * p->x.batch, at[0] * w->stride[0] - w->begin[0],
                        at[1] * w->stride[1] - w->begin[1]);
        depthwise_run_row(&row);
    }
}

#endif
