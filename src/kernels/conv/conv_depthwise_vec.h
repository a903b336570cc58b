/* Depthwise convolution with channels last: vectors of channels, a few pixels of a row at a time, so that a tap's
 * weights are loaded once for them. Weights are [tap][channels padded to whole vectors]. A tile of the index space is a
 * row of output pixels. */
#ifndef QN_KERNELS_CONV_DEPTHWISE_VEC_H
#define QN_KERNELS_CONV_DEPTHWISE_VEC_H

enum { DEPTHWISE_PIXELS = 8, DEPTHWISE_CHANNELS = 256 /* at once: their weights and pixels stay near */ };

static int64_t depthwise_tiles(const struct qn_conv_params *p)
{
    return p->batch * p->window.out[0] * p->window.out[1];
}

static int64_t depthwise_scratch(const struct qn_conv_params *p)
{
    (void)p;
    return 0;
}

struct depthwise_row {
    const struct qn_conv_params *p;
    const float *x; /* of the image */
    float *y;       /* of the row's first pixel */
    const float *residual;
    int64_t deep, high; /* where the window starts */
    int64_t width;      /* channels padded to whole vectors */
    float least, most;  /* y is clipped to them */
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

/* `pixels` output pixels from `first` on, channels c .. of one vector. `inside`: no tap of theirs falls beside a row.
 *  */
QN_INLINE void depthwise_tile(const struct depthwise_row *r, const int pixels, bool inside, int64_t first, int64_t c,
                              int64_t left)
{
    const struct qn_conv_params *p = r->p;
    const struct qn_window *w = &p->window;
    const float *weights = (const float *)p->w + c;
    int64_t step = w->stride[2] * p->x.axis[2], start = first * w->stride[2] - w->begin[2];
    vf sums[DEPTHWISE_PIXELS];
    QN_UNROLL
    for (int i = 0; i < pixels; i++)
        sums[i] = vf_zero();
    for (int64_t z = 0; z < w->kernel[0]; z++) {
        int64_t deep = r->deep + z * w->dilation[0];
        for (int64_t k = 0; k < w->kernel[1]; k++, weights += w->kernel[2] * r->width) {
            int64_t high = r->high + k * w->dilation[1];
            if (deep < 0 || deep >= w->in[0] || high < 0 || high >= w->in[1])
                continue;
            const float *row = r->x + deep * p->x.axis[0] + high * p->x.axis[1] + c;
            for (int64_t j = 0; j < w->kernel[2]; j++) {
                vf weight = vf_load(weights + j * r->width);
                int64_t at = start + j * w->dilation[2];
                const float *x = row + at * p->x.axis[2];
                QN_UNROLL
                for (int i = 0; i < pixels; i++) {
                    int64_t column = at + i * w->stride[2];
                    if (inside || (column >= 0 && column < w->in[2]))
                        sums[i] = vf_fma(vf_load_up_to(x + i * step, left), weight, sums[i]);
                }
            }
        }
    }
    depthwise_finish(r, pixels, first, c, left, sums);
}

/* Pixels from `pixel` on, all channels: as many as lie inside (`inside`) and fit a tile; gives their number. */
QN_INLINE int64_t depthwise_pixels(const struct depthwise_row *r, int64_t inside, int64_t pixel, int64_t begin,
                                   int64_t end)
{
    int64_t count = inside >= DEPTHWISE_PIXELS ? DEPTHWISE_PIXELS : inside >= 4 ? 4 : inside >= 2 ? 2 : 1;
    for (int64_t c = begin; c < end; c += VF_LANES) {
        int64_t left = end - c;
#define QN_DEPTHWISE_STEP(pixels, whole)                          \
    if (left >= VF_LANES)                                         \
        depthwise_tile(r, (pixels), (whole), pixel, c, VF_LANES); \
    else                                                          \
        depthwise_tile(r, (pixels), (whole), pixel, c, left)
        switch (count) {
        case DEPTHWISE_PIXELS:
            QN_DEPTHWISE_STEP(DEPTHWISE_PIXELS, true);
            break;
        case 4:
            QN_DEPTHWISE_STEP(4, true);
            break;
        case 2:
            QN_DEPTHWISE_STEP(2, true);
            break;
        default:
            QN_DEPTHWISE_STEP(1, false);
        }
#undef QN_DEPTHWISE_STEP
    }
    return count;
}

static void depthwise_channels(const struct depthwise_row *r, int64_t begin, int64_t end)
{
    const struct qn_window *w = &r->p->window;
    int64_t reach = (w->kernel[2] - 1) * w->dilation[2], pixel = 0;
    int64_t room = w->in[2] - 1 - reach + w->begin[2]; /* the last start of a window inside */
    int64_t last = room < 0 ? -1 : room / w->stride[2];
    last = last < w->out[2] - 1 ? last : w->out[2] - 1;
    while (pixel < w->out[2])
        pixel += depthwise_pixels(r, pixel * w->stride[2] >= w->begin[2] ? last - pixel + 1 : 0, pixel, begin, end);
}

static void run_depthwise(const struct qn_conv_params *p, int64_t begin, int64_t end, void *scratch)
{
    (void)scratch;
    const struct qn_window *w = &p->window;
    for (int64_t i = begin; i < end; i++) {
        int64_t at[QN_WINDOW_AXES] = {i / w->out[1] % w->out[0], i % w->out[1], 0}, n = i / w->out[1] / w->out[0];
        bool relu = p->activation == QN_ACTIVATION_RELU, clip = p->activation == QN_ACTIVATION_CLIP;
        struct depthwise_row row = {.p = p,
                                    .least = relu   ? 0
                                             : clip ? p->alpha
                                                    : -__builtin_inff(),
                                    .most = clip ? p->beta : __builtin_inff(),
                                    .width = (p->o + VF_LANES - 1) / VF_LANES * VF_LANES};
        row.x = (const float *)p->x.data + n * p->x.batch;
        row.y = (float *)p->y.data + qn_pixels_offset(&p->y, n, at);
        if (p->residual.data)
            row.residual = (const float *)p->residual.data + qn_pixels_offset(&p->residual, n, at);
        row.deep = at[0] * w->stride[0] - w->begin[0];
        row.high = at[1] * w->stride[1] - w->begin[1];
        for (int64_t c = 0; c < p->o; c += DEPTHWISE_CHANNELS)
            depthwise_channels(&row, c, p->o - c < DEPTHWISE_CHANNELS ? p->o : c + DEPTHWISE_CHANNELS);
        if (p->activation > QN_ACTIVATION_CLIP)
            vf_activate_block(p->activation, p->alpha, p->beta, row.y, p->y.axis[2], w->out[2], p->o);
    }
}

#endif
