/* Pooling, dense layers and normalisation. Sums run in double, in order: the same bits whatever runs beside. */
#include <math.h>
#include <string.h>

#include "ir/ir.h"
#include "llm/sentence.h"

/* sum of weight(row) * row over rows [skip, rows), by `divisor` */
static void add_rows(const float *data, size_t rows, size_t dim, size_t skip, bool weighted, double divisor, float *out)
{
    for (size_t i = 0; i < dim; i++) {
        double sum = 0;
        for (size_t row = skip; row < rows; row++)
            sum += (weighted ? (double)(row + 1) : 1.0) * data[row * dim + i];
        out[i] = (float)(sum / divisor);
    }
}

static void take_largest(const float *data, size_t rows, size_t dim, size_t skip, float *out)
{
    memcpy(out, data + skip * dim, dim * sizeof *out);
    for (size_t row = skip + 1; row < rows; row++)
        for (size_t i = 0; i < dim; i++)
            out[i] = data[row * dim + i] > out[i] ? data[row * dim + i] : out[i];
}

static double weight_of(enum qn_pooling kind, size_t rows, size_t skip)
{
    double count = (double)(rows - skip);
    if (kind == QN_POOLING_MEAN_SQRT_LEN)
        return sqrt(count);
    return kind == QN_POOLING_WEIGHTED_MEAN ? count * (double)(rows + skip + 1) / 2 : count;
}

void qn_sentence_pool(uint32_t pooling, const float *data, size_t rows, size_t dim, size_t skip, float *out)
{
    for (uint32_t bit = QN_POOLING_CLS; bit <= QN_POOLING_LAST; bit <<= 1) {
        if (!(pooling & bit))
            continue;
        if (skip >= rows)
            memset(out, 0, dim * sizeof *out);
        else if (bit == QN_POOLING_CLS)
            memcpy(out, data + skip * dim, dim * sizeof *out);
        else if (bit == QN_POOLING_LAST)
            memcpy(out, data + (rows - 1) * dim, dim * sizeof *out);
        else if (bit == QN_POOLING_MAX)
            take_largest(data, rows, dim, skip, out);
        else
            add_rows(data, rows, dim, skip, bit == QN_POOLING_WEIGHTED_MEAN,
                     weight_of((enum qn_pooling)bit, rows, skip), out);
        out += dim;
    }
}

static double activate(int64_t activation, double x)
{
    switch (activation) {
    case QN_ACTIVATION_TANH:
        return tanh(x);
    case QN_ACTIVATION_RELU:
        return x > 0 ? x : 0;
    case QN_ACTIVATION_SIGMOID:
        return 1 / (1 + exp(-x));
    case QN_ACTIVATION_GELU_ERF:
        return 0.5 * x * (1 + erf(x * 0.70710678118654752440));
    case QN_ACTIVATION_SILU:
        return x / (1 + exp(-x));
    default:
        return x;
    }
}

static double dot(const float *a, const float *b, size_t size)
{
    double sum = 0;
    for (size_t i = 0; i < size; i++)
        sum += (double)a[i] * b[i];
    return sum;
}

void qn_sentence_dense(const struct qn_sentence_dense *dense, const float *x, float *out)
{
    for (size_t i = 0; i < dense->out; i++) {
        double y = dot(dense->weight + i * dense->in, x, dense->in) + (dense->bias ? dense->bias[i] : 0);
        y = activate(dense->activation, y);
        if (dense->residual)
            y += dense->skip ? dot(dense->skip + i * dense->in, x, dense->in) : x[i];
        out[i] = (float)y;
    }
}

void qn_sentence_normalize(float *x, size_t size)
{
    double length = sqrt(dot(x, x, size));
    for (size_t i = 0; i < size && length > 0; i++)
        x[i] = (float)(x[i] / length);
}
