#include "conformance/onnx_compare.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "kernels/element.h"

/* ---- tensors -------------------------------------------------------------------------------------------------- */

static uint64_t elements_of(const struct qn_tensor *tensor)
{
    uint64_t elements = 1;
    for (uint32_t i = 0; i < tensor->rank; i++)
        elements *= (uint64_t)tensor->dims[i];
    return elements;
}

static void print_shape(const struct qn_tensor *tensor, char *out, size_t size)
{
    size_t used = (size_t)snprintf(out, size, "%s[", qn_dtype_name(tensor->dtype));
    for (uint32_t i = 0; i < tensor->rank && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%" PRId64, i ? "," : "", tensor->dims[i]);
    if (used < size)
        snprintf(out + used, size - used, "]");
}

static bool same_shape(const struct qn_tensor *found, const struct qn_tensor *expected, char *words, size_t size)
{
    bool same = found->dtype == expected->dtype && found->rank == expected->rank &&
                memcmp(found->dims, expected->dims, found->rank * sizeof *found->dims) == 0;
    if (!same) {
        char a[200], b[200];
        print_shape(found, a, sizeof a);
        print_shape(expected, b, sizeof b);
        snprintf(words, size, "%s, expected %s", a, b);
    }
    return same;
}

/* Complex numbers count as two elements. */
static double *as_doubles(const struct qn_tensor *tensor, uint64_t *count)
{
    qn_dtype dtype = tensor->dtype;
    *count = elements_of(tensor);
    if (dtype == QN_DTYPE_C64 || dtype == QN_DTYPE_C128) {
        dtype = dtype == QN_DTYPE_C64 ? QN_DTYPE_F32 : QN_DTYPE_F64;
        *count *= 2;
    }
    double *out = malloc(*count * sizeof *out + 1);
    uint32_t item = qn_dtype_info(dtype)->block_bytes;
    for (uint64_t i = 0; out && i < *count; i += QN_ELEMENT_RUN) {
        uint64_t n = *count - i < QN_ELEMENT_RUN ? *count - i : QN_ELEMENT_RUN;
        qn_load_f64(out + i, (const char *)tensor->data + i * item, item, dtype, (int64_t)n);
    }
    return out;
}

static bool compare_strings(const struct qn_tensor *found, const struct qn_tensor *expected, char *words, size_t size)
{
    const struct qn_string *a = found->data, *b = expected->data;
    uint64_t count = elements_of(found);
    for (uint64_t i = 0; i < count; i++)
        if (a[i].size != b[i].size || (a[i].size && memcmp(a[i].data, b[i].data, a[i].size) != 0)) {
            snprintf(words, size, "element %" PRIu64 " is '%.*s', expected '%.*s'", i, (int)a[i].size, a[i].data,
                     (int)b[i].size, b[i].data);
            return false;
        }
    return true;
}

static double range_of(const double *values, uint64_t count)
{
    double low = INFINITY, high = -INFINITY;
    for (uint64_t i = 0; i < count; i++) {
        low = values[i] < low ? values[i] : low;
        high = values[i] > high ? values[i] : high;
    }
    double range = high - low, size = fabs(high) > fabs(low) ? fabs(high) : fabs(low);
    return range > 0 ? range : size;
}

static bool compare_loosely(const double *a, const double *b, uint64_t count, char *words, size_t size)
{
    double aa = 0, bb = 0, ab = 0;
    uint64_t best_a = 0, best_b = 0;
    for (uint64_t i = 0; i < count; i++) {
        aa += a[i] * a[i];
        bb += b[i] * b[i];
        ab += a[i] * b[i];
        best_a = a[i] > a[best_a] ? i : best_a;
        best_b = b[i] > b[best_b] ? i : best_b;
    }
    double cosine = aa == bb && ab == aa ? 1 : ab / sqrt(aa * bb);
    if (cosine >= 0.999 && b[best_a] == b[best_b])
        return true;
    snprintf(words, size, "cosine %.6f, greatest at %" PRIu64 ", expected at %" PRIu64, cosine, best_a, best_b);
    return false;
}

static bool compare_numbers(const struct qn_tensor *found, const struct qn_tensor *expected,
                            const struct onnx_tolerance *tolerance, char *words, size_t size)
{
    uint64_t count, bad = 0, first = 0;
    double *a = as_doubles(found, &count), *b = as_doubles(expected, &count), worst = 0;
    double slack = tolerance->of_range && count ? tolerance->relative * range_of(b, count) : 0;
    bool good = true;
    if (tolerance->loose && count) {
        good = compare_loosely(a, b, count, words, size);
        free(a);
        free(b);
        return good;
    }
    bool exact = expected->dtype == QN_DTYPE_BOOL;
    for (uint64_t i = 0; i < count; i++) {
        double limit =
            exact ? 0 : tolerance->absolute + (tolerance->of_range ? slack : tolerance->relative * fabs(b[i]));
        if (a[i] == b[i] || (isnan(a[i]) && isnan(b[i])) || (isfinite(b[i]) && fabs(a[i] - b[i]) <= limit))
            continue;
        first = bad++ ? first : i;
        worst = fabs(a[i] - b[i]) > worst ? fabs(a[i] - b[i]) : worst;
    }
    if (bad)
        snprintf(words, size,
                 "%" PRIu64 " of %" PRIu64 " elements differ, by %.3g at most; element %" PRIu64
                 " is %.8g, expected %.8g",
                 bad, count, worst, first, a[first], b[first]);
    free(a);
    free(b);
    return bad == 0;
}

/* ---- data ----------------------------------------------------------------------------------------------------- */

static const char *const kinds[] = {"nothing", "a tensor", "a sequence", "a map"};

bool onnx_compare(const struct qn_data *found, const struct qn_data *expected, const struct onnx_tolerance *tolerance,
                  char *words, size_t size)
{
    if (found->kind != expected->kind) {
        snprintf(words, size, "%s, expected %s", kinds[found->kind], kinds[expected->kind]);
        return false;
    }
    if (found->kind == QN_DATA_TENSOR) {
        const struct qn_tensor *a = &found->tensor, *b = &expected->tensor;
        if (!same_shape(a, b, words, size))
            return false;
        return a->dtype == QN_DTYPE_STRING ? compare_strings(a, b, words, size)
                                           : compare_numbers(a, b, tolerance, words, size);
    }
    if (found->count != expected->count) {
        snprintf(words, size, "%s of %" PRIu32 ", expected %" PRIu32, kinds[found->kind], found->count,
                 expected->count);
        return false;
    }
    for (uint32_t i = 0; i < found->count; i++) {
        char inner[400];
        if (!onnx_compare(&found->items[i], &expected->items[i], tolerance, inner, sizeof inner)) {
            snprintf(words, size, "item %" PRIu32 ": %s", i, inner);
            return false;
        }
    }
    return true;
}

static void mix(uint64_t *hash, const void *data, size_t size)
{
    uint64_t parts[2] = {*hash, size ? qn_hash(data, size) : 0};
    *hash = qn_hash(parts, sizeof parts);
}

void onnx_hash(const struct qn_data *data, uint64_t *hash)
{
    mix(hash, &data->kind, sizeof data->kind);
    if (data->kind == QN_DATA_TENSOR) {
        const struct qn_tensor *tensor = &data->tensor;
        uint64_t elements = elements_of(tensor);
        mix(hash, &tensor->dtype, sizeof tensor->dtype);
        mix(hash, tensor->dims, tensor->rank * sizeof *tensor->dims);
        const struct qn_string *strings = tensor->data;
        for (uint64_t i = 0; i < elements && tensor->dtype == QN_DTYPE_STRING; i++)
            mix(hash, strings[i].data, strings[i].size);
        if (tensor->dtype != QN_DTYPE_STRING)
            mix(hash, tensor->data, (size_t)(elements * qn_dtype_info(tensor->dtype)->block_bytes));
    }
    for (uint32_t i = 0; i < data->count; i++)
        onnx_hash(&data->items[i], hash);
}
