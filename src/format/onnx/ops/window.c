/* Windows of signal processing, and the weights from spectrum to mel bands. */
#include <math.h>

#include "format/onnx/ops/elementwise.h"

/* a - b cos(2 pi n / N) + c cos(4 pi n / N) */
QN_ONNX_LOWER(window)
{
    static const struct {
        const char *name;
        double a, b, c;
    } windows[] = {{"HannWindow", 0.5, 0.5, 0},
                   {"HammingWindow", 25.0 / 46, 1 - 25.0 / 46, 0},
                   {"BlackmanWindow", 0.42, 0.5, 0.08}};
    size_t kind = 0;
    while (kind < 2 && !qn_str_is(l->node->op_type, windows[kind].name))
        kind++;
    qn_dtype dtype = qn_onnx_attr_dtype(l, "output_datatype");
    bool periodic = qn_onnx_attr_i(l, "periodic", 1) != 0;
    struct qn_sizes size;
    if (!qn_onnx_sizes(l, 0, &size) || l->b->status)
        return;
    struct qn_attr_iota attr = {.count = qn_onnx_size_dim(l, &size.items[0]), .dtype = QN_DTYPE_F64};
    qn_value n = qn_build_node(l->b, QN_OP_iota, NULL, 0, &attr, NULL);
    qn_value length = qn_build_cast(l->b, qn_onnx_in(l, 0), QN_DTYPE_F64);
    if (!periodic)
        length = qn_lower_with_number(l, QN_OP_sub, length, 1);
    qn_value turn = qn_lower_binary(l, QN_OP_div, qn_lower_with_number(l, QN_OP_mul, n, 2 * M_PI), length);
    qn_value wave = qn_lower_with_number(l, QN_OP_mul, qn_lower_unary(l, QN_OP_cos, turn), windows[kind].b);
    qn_value y = qn_lower_number_first(l, QN_OP_sub, windows[kind].a, wave);
    if (windows[kind].c != 0) {
        qn_value twice = qn_lower_unary(l, QN_OP_cos, qn_lower_with_number(l, QN_OP_mul, turn, 2));
        y = qn_lower_binary(l, QN_OP_add, y, qn_lower_with_number(l, QN_OP_mul, twice, windows[kind].c));
    }
    qn_onnx_out(l, 0, qn_build_cast(l->b, y, dtype ? dtype : QN_DTYPE_F32));
}

static double to_mel(double hertz)
{
    return 2595 * log10(1 + hertz / 700);
}

/* Triangles: bin i rises from edge i to edge i + 1 and falls to edge i + 2; edges lie evenly in mel. */
static void mel_weights(float *out, int64_t bands, int64_t bins, const double *edges)
{
    for (int64_t band = 0; band < bands; band++) {
        int64_t left = (int64_t)edges[band], middle = (int64_t)edges[band + 1], right = (int64_t)edges[band + 2];
        for (int64_t i = left; i <= middle && i < bins; i++)
            if (i >= 0)
                out[i * bands + band] = left == middle ? 1 : (float)((double)(i - left) / (double)(middle - left));
        for (int64_t i = middle; i < right && i < bins; i++)
            if (i >= 0)
                out[i * bands + band] = (float)((double)(right - i) / (double)(right - middle));
    }
}

static bool scalar(struct qn_lower *l, uint32_t i, double *out)
{
    const void *data = qn_onnx_constant(l, i);
    qn_value x = qn_onnx_in(l, i);
    if (!data || l->b->status)
        return false;
    if (!qn_lower_number_of(qn_onnx_type_of(l, x), data, out))
        qn_onnx_fail(l, "input %u is no number", i);
    return !l->b->status;
}

QN_ONNX_LOWER(mel_weight_matrix)
{
    enum { BANDS, LENGTH, RATE, LOW, HIGH, COUNT };
    double in[COUNT];
    qn_dtype dtype = qn_onnx_attr_dtype(l, "output_datatype");
    for (uint32_t i = 0; i < COUNT; i++)
        if (!scalar(l, i, &in[i]))
            return;
    if (!(in[BANDS] >= 1 && in[BANDS] <= 1e5 && in[LENGTH] >= 1 && in[LENGTH] <= 1e6 && in[RATE] >= 1 && in[LOW] >= 0 &&
          in[LOW] <= 1e9 && in[HIGH] >= 0 && in[HIGH] <= 1e9 && in[BANDS] * in[LENGTH] <= 1e8)) {
        qn_onnx_fail(l, "%g bands of %g samples at %g Hz, from %g to %g Hz", in[BANDS], in[LENGTH], in[RATE], in[LOW],
                     in[HIGH]);
        return;
    }
    int64_t bands = (int64_t)in[BANDS], bins = (int64_t)in[LENGTH] / 2 + 1;
    const struct qn_allocator *allocator = l->b->graph->allocator;
    uint64_t edge_bytes = (uint64_t)(bands + 2) * sizeof(double), bytes = (uint64_t)(bands * bins) * sizeof(float);
    double *edges = qn_alloc(allocator, edge_bytes);
    float *weights = qn_alloc(allocator, bytes);
    if (edges && weights) {
        double low = to_mel(in[LOW]), step = (to_mel(in[HIGH]) - low) / (double)(bands + 2);
        for (int64_t i = 0; i < bands + 2; i++) {
            double hertz = 700 * (pow(10, (low + (double)i * step) / 2595) - 1);
            edges[i] = floor((in[LENGTH] + 1) * hertz / in[RATE]);
        }
        memset(weights, 0, bytes);
        mel_weights(weights, bands, bins, edges);
        int64_t dims[2] = {bins, bands};
        qn_value y = qn_onnx_data(l, QN_DTYPE_F32, 2, dims, weights);
        qn_onnx_out(l, 0, qn_build_cast(l->b, y, dtype ? dtype : QN_DTYPE_F32));
    } else if (!l->b->status) {
        l->b->status = QN_OOM();
    }
    qn_free(allocator, edges, edge_bytes);
    qn_free(allocator, weights, bytes);
}
