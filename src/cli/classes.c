#include "cli/classes.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/terminal.h"

/* A half as a number. */
static double half(uint16_t bits)
{
    int exponent = bits >> 10 & 31;
    double mantissa = bits & 1023, value;
    if (exponent == 31)
        value = mantissa != 0 ? NAN : INFINITY;
    else
        value = exponent ? ldexp(mantissa + 1024, exponent - 25) : ldexp(mantissa, -24);
    return bits >> 15 ? -value : value;
}

/* Floats of a byte: sign, exponent and `mantissa` bits. */
static double narrow(uint8_t bits, uint32_t exponent_bits, uint32_t mantissa_bits, int bias)
{
    uint32_t exponent = bits >> mantissa_bits & ((1u << exponent_bits) - 1),
             mantissa = bits & ((1u << mantissa_bits) - 1);
    bool minus = bits >> (exponent_bits + mantissa_bits) & 1;
    double size = exponent ? ldexp(1 + ldexp(mantissa, -(int)mantissa_bits), (int)exponent - bias)
                           : ldexp(mantissa, 1 - bias - (int)mantissa_bits);
    return minus ? -size : size;
}

static double narrow_float(qn_dtype dtype, uint8_t bits)
{
    switch (dtype) {
    case QN_DTYPE_F8E4M3FN:
        return (bits & 0x7f) == 0x7f ? NAN : narrow(bits, 4, 3, 7);
    case QN_DTYPE_F8E4M3FNUZ:
        return bits == 0x80 ? NAN : narrow(bits, 4, 3, 8);
    case QN_DTYPE_F8E5M2:
        if ((bits & 0x7f) < 0x7c)
            return narrow(bits, 5, 2, 15);
        return bits & 3 ? NAN : bits & 0x80 ? -INFINITY : INFINITY;
    case QN_DTYPE_F8E5M2FNUZ:
        return bits == 0x80 ? NAN : narrow(bits, 5, 2, 16);
    case QN_DTYPE_F8E8M0:
        return bits == 0xff ? NAN : ldexp(1, bits - 127);
    default: /* f4e2m1 */
        return narrow(bits & 15, 2, 1, 1);
    }
}

bool qn_tensor_number(const struct qn_tensor *tensor, uint64_t i, double *out)
{
    const void *data = tensor->data;
    union {
        uint32_t u;
        float f;
    } wide;
    switch (tensor->dtype) {
    case QN_DTYPE_F32:
        *out = (double)((const float *)data)[i];
        return true;
    case QN_DTYPE_F64:
        *out = ((const double *)data)[i];
        return true;
    case QN_DTYPE_F16:
        *out = half(((const uint16_t *)data)[i]);
        return true;
    case QN_DTYPE_BF16:
        wide.u = (uint32_t)((const uint16_t *)data)[i] << 16;
        *out = (double)wide.f;
        return true;
    case QN_DTYPE_F8E4M3FN:
    case QN_DTYPE_F8E4M3FNUZ:
    case QN_DTYPE_F8E5M2:
    case QN_DTYPE_F8E5M2FNUZ:
    case QN_DTYPE_F8E8M0:
    case QN_DTYPE_F4E2M1:
        *out = narrow_float(tensor->dtype, ((const uint8_t *)data)[i]);
        return true;
    case QN_DTYPE_I8:
    case QN_DTYPE_I4:
    case QN_DTYPE_I2:
        *out = ((const int8_t *)data)[i];
        return true;
    case QN_DTYPE_U8:
    case QN_DTYPE_U4:
    case QN_DTYPE_U2:
    case QN_DTYPE_BOOL:
        *out = ((const uint8_t *)data)[i];
        return true;
    case QN_DTYPE_I16:
        *out = ((const int16_t *)data)[i];
        return true;
    case QN_DTYPE_U16:
        *out = ((const uint16_t *)data)[i];
        return true;
    case QN_DTYPE_I32:
        *out = ((const int32_t *)data)[i];
        return true;
    case QN_DTYPE_U32:
        *out = ((const uint32_t *)data)[i];
        return true;
    case QN_DTYPE_I64:
        *out = (double)((const int64_t *)data)[i];
        return true;
    case QN_DTYPE_U64:
        *out = (double)((const uint64_t *)data)[i];
        return true;
    default:
        return false;
    }
}

/* ---- labels --------------------------------------------------------------------------------------------------- */

struct labels {
    char *text;
    char **lines;
    uint64_t count;
};

static void free_labels(struct labels *labels)
{
    free(labels->text);
    free(labels->lines);
}

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    char *text = NULL;
    size_t size = 0, capacity = 0, got = 1;
    while (file && got > 0) {
        if (size + 65536 > capacity) {
            char *grown = realloc(text, capacity = 2 * capacity + 65536 + 1);
            if (!grown)
                break;
            text = grown;
        }
        got = fread(text + size, 1, 65536, file);
        size += got;
    }
    if (file)
        fclose(file);
    if (text)
        text[size] = 0;
    return text;
}

static qn_status read_labels(const char *path, struct labels *out)
{
    out->text = read_file(path);
    if (!out->text)
        return QN_STATUS(QN_IO, "%s: cannot be read: %s", path, strerror(errno));
    uint64_t lines = 1;
    for (const char *c = out->text; *c; c++)
        lines += *c == '\n';
    out->lines = calloc(lines, sizeof *out->lines);
    if (!out->lines)
        return QN_STATUS(QN_OUT_OF_MEMORY, "%s: no memory for %llu labels", path, (unsigned long long)lines);
    for (char *line = out->text; *line;) {
        size_t length = strcspn(line, "\r\n");
        char *next = line + length + strspn(line + length, "\r\n");
        line[length] = 0;
        if (length)
            out->lines[out->count++] = line;
        line = next;
    }
    return NULL;
}

/* ---- classes -------------------------------------------------------------------------------------------------- */

static bool is_scores(const struct qn_data *data, const struct labels *labels)
{
    const struct qn_tensor *t = &data->tensor;
    if (data->kind != QN_DATA_TENSOR || qn_dtype_info(t->dtype)->class_ != QN_DTYPE_CLASS_FLOAT || t->rank == 0)
        return false;
    uint64_t classes = 1; /* everything but the batch: [1, 1000] or [1, 1000, 1, 1] */
    for (uint32_t i = t->rank > 1; i < t->rank; i++)
        classes *= (uint64_t)t->dims[i];
    return labels->count ? classes == labels->count || classes == labels->count + 1 : classes > 1;
}

static void insert(struct qn_classes *out, uint32_t top, uint64_t index, double score)
{
    uint32_t at = out->count < top ? out->count++ : top;
    while (at > 0 && out->items[at - 1].probability < score) {
        if (at < top)
            out->items[at] = out->items[at - 1];
        at--;
    }
    if (at < top)
        out->items[at] = (struct qn_class){.index = index, .probability = score};
}

static void rank(const struct qn_tensor *tensor, uint64_t count, uint32_t top, struct qn_classes *out)
{
    double sum = 0, least = INFINITY, most = -INFINITY, exponentials = 0, score;
    for (uint64_t i = 0; i < count; i++)
        if (qn_tensor_number(tensor, i, &score)) {
            sum += score;
            least = fmin(least, score);
            most = fmax(most, score);
        }
    bool probabilities = least >= 0 && fabs(sum - 1) < 1e-2;
    for (uint64_t i = 0; i < count && !probabilities; i++)
        if (qn_tensor_number(tensor, i, &score))
            exponentials += exp(score - most);
    for (uint64_t i = 0; i < count; i++)
        if (qn_tensor_number(tensor, i, &score))
            insert(out, top, i, probabilities ? score : exp(score - most) / exponentials);
}

static qn_status find(const struct qn_tensor_run *run, const struct labels *labels, uint32_t top,
                      struct qn_classes *out)
{
    for (uint32_t i = 0; i < run->output_count; i++) {
        struct qn_data data;
        QN_COMMAND_TRY(qn_run_output(run->run, i, &data));
        if (!is_scores(&data, labels))
            continue;
        uint64_t count = 1;
        for (uint32_t k = data.tensor.rank > 1; k < data.tensor.rank; k++)
            count *= (uint64_t)data.tensor.dims[k];
        rank(&data.tensor, count, top < QN_CLASSES_MAX ? top : QN_CLASSES_MAX, out);
        uint64_t offset = labels->count && count == labels->count + 1; /* a background class in front */
        for (uint32_t k = 0; k < out->count && labels->count; k++) {
            uint64_t index = out->items[k].index;
            snprintf(out->items[k].label, QN_CLASS_LABEL_SIZE, "%s",
                     index < offset ? "background" : labels->lines[index - offset]);
        }
        return NULL;
    }
    if (labels->count)
        return QN_STATUS(QN_INVALID_ARGUMENT, "no output has scores for %llu labels",
                         (unsigned long long)labels->count);
    return NULL;
}

qn_status qn_classes_find(const struct qn_tensor_run *run, const char *path, uint32_t top, struct qn_classes *out)
{
    struct labels labels = {0};
    *out = (struct qn_classes){0};
    qn_status status = path ? read_labels(path, &labels) : NULL;
    if (!status)
        status = find(run, &labels, top, out);
    free_labels(&labels);
    return status;
}

void qn_classes_print(const struct qn_classes *classes, FILE *out)
{
    enum { BAR = 30 };
    for (uint32_t i = 0; i < classes->count; i++) {
        const struct qn_class *c = &classes->items[i];
        int filled = (int)(c->probability * BAR + 0.5);
        fprintf(out, "%5.1f %%  ", 100 * c->probability);
        for (int k = 0; k < BAR; k++)
            fputc(k < filled ? '#' : '.', out);
        fputs("  ", out);
        if (c->label[0])
            qn_terminal_text(out, c->label, strlen(c->label), 0);
        else
            fprintf(out, "class %llu", (unsigned long long)c->index);
        fputc('\n', out);
    }
}
