/* Outputs to files, and random inputs. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/checked.h"
#include "data/npy.h"
#include "quant/quant.h"
#include "quern/data.h"

enum { PATH_SIZE = 4096, MAX_DEPTH = 8 };

static qn_status save(const struct qn_data *data, char *stem, size_t length, uint32_t depth,
                      const struct qn_allocator *a)
{
    if (data->kind == QN_DATA_NONE)
        return NULL;
    if (depth == MAX_DEPTH || length + 16 > PATH_SIZE)
        return QN_ERROR(QN_INVALID_ARGUMENT, "%s: the data are nested too deep, or the path is too long", stem);
    qn_status status = NULL;
    if (data->kind == QN_DATA_TENSOR) {
        memcpy(stem + length, ".npy", 5);
        status = qn_npy_write(stem, &data->tensor, a);
    }
    for (uint32_t i = 0; i < data->count && !status; i++) {
        int added = snprintf(stem + length, PATH_SIZE - length, ".%u", i);
        status = save(&data->items[i], stem, length + (size_t)added, depth + 1, a);
    }
    stem[length] = 0;
    return status;
}

qn_status qn_data_save(const struct qn_data *data, const char *stem, const struct qn_allocator *allocator)
{
    char path[PATH_SIZE];
    if ((size_t)snprintf(path, sizeof path, "%s", stem) >= sizeof path)
        return QN_ERROR(QN_INVALID_ARGUMENT, "%s: the path is too long", stem);
    return save(data, path, strlen(path), 0, allocator ? allocator : qn_allocator_default());
}

/* ---- random --------------------------------------------------------------------------------------------------- */

/* SplitMix64. */
static uint64_t next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static float normal(uint64_t *state)
{
    double u = ((double)(next(state) >> 11) + 1) * 0x1p-53, v = (double)(next(state) >> 11) * 0x1p-53;
    return (float)(sqrt(-2 * log(u)) * cos(2 * M_PI * v));
}

static qn_status random_size(const struct qn_slot_info *slot, const struct qn_dim_size *dims, uint32_t dim_count,
                             struct qn_tensor *tensor, uint64_t *count)
{
    *count = 1;
    for (uint32_t i = 0; i < slot->rank; i++) {
        tensor->dims[i] = slot->dims[i] < 0 ? 1 : slot->dims[i];
        for (uint32_t k = 0; k < dim_count && slot->dims[i] < 0 && slot->dim_names[i]; k++)
            if (strcmp(dims[k].name, slot->dim_names[i]) == 0)
                tensor->dims[i] = dims[k].size;
        if (tensor->dims[i] < 0 || !qn_mul_u64(*count, (uint64_t)tensor->dims[i], count))
            return QN_ERROR(QN_INVALID_ARGUMENT, "input '%s': its size overflows", slot->name);
    }
    uint64_t bytes;
    if (!qn_mul_u64(*count, qn_dtype_info(slot->dtype)->block_bytes, &bytes))
        return QN_ERROR(QN_INVALID_ARGUMENT, "input '%s': its size overflows", slot->name);
    tensor->bytes = bytes ? bytes : 1;
    return NULL;
}

static void random_fill(qn_dtype dtype, void *data, uint64_t count, uint64_t *state)
{
    const struct qn_dtype_info *info = qn_dtype_info(dtype);
    for (uint64_t i = 0; i < count; i++) {
        uint8_t *at = (uint8_t *)data + i * info->block_bytes;
        if (info->class_ == QN_DTYPE_CLASS_FLOAT) {
            float value = normal(state);
            qn_quant(dtype)->quantise(&value, at, 1, NULL);
        } else {
            memset(at, 0, info->block_bytes);
            *at = (uint8_t)(next(state) % 2);
        }
    }
}

qn_status qn_data_random(const struct qn_slot_info *slot, const struct qn_dim_size *dims, uint32_t dim_count,
                         uint64_t seed, const struct qn_allocator *allocator, struct qn_data *out)
{
    const struct qn_allocator *a = allocator ? allocator : qn_allocator_default();
    const struct qn_dtype_info *info = qn_dtype_info(slot->dtype);
    bool numbers = info->class_ == QN_DTYPE_CLASS_FLOAT || info->class_ == QN_DTYPE_CLASS_INT ||
                   info->class_ == QN_DTYPE_CLASS_UINT || info->class_ == QN_DTYPE_CLASS_BOOL;
    *out = (struct qn_data){0};
    if (slot->kind != QN_DATA_TENSOR || !numbers)
        return QN_ERROR(QN_UNSUPPORTED, "input '%s' is no tensor of numbers: give it with --input", slot->name);
    struct qn_tensor tensor = {.dtype = slot->dtype, .rank = slot->rank};
    uint64_t count, state = seed;
    QN_TRY(random_size(slot, dims, dim_count, &tensor, &count));
    tensor.data = qn_alloc(a, tensor.bytes);
    if (!tensor.data)
        return QN_OOM();
    random_fill(slot->dtype, tensor.data, count, &state);
    *out = (struct qn_data){.kind = QN_DATA_TENSOR, .tensor = tensor};
    return NULL;
}
