/* Maps: ZipMap makes them, DictVectorizer and CastMap take them apart. */
#include "host/host_call.h"
#include "ir/ir.h"

static qn_status check_keys(const struct qn_view *keys, int64_t count)
{
    if (keys->rank != 1 || (keys->dtype != QN_DTYPE_I64 && keys->dtype != QN_DTYPE_STRING))
        return QN_ERROR(QN_INVALID_ARGUMENT, "keys are i64 or string [n]");
    if (keys->dims[0] != count)
        return QN_ERROR(QN_INVALID_ARGUMENT, "%" PRId64 " keys for %" PRId64 " values", keys->dims[0], count);
    return NULL;
}

qn_status qn_host_map(const struct qn_host_call *c)
{
    struct qn_object *items[2] = {NULL, NULL};
    struct qn_view keys, values;
    QN_TRY(qn_host_tensor(c, 0, &keys));
    QN_TRY(qn_host_tensor(c, 1, &values));
    QN_TRY(check_keys(&keys, values.rank ? values.dims[0] : -1));
    QN_TRY(qn_host_hold(c, 0, &items[0]));
    qn_status status = qn_host_hold(c, 1, &items[1]);
    if (!status)
        status = qn_object_group(c->store, QN_OBJECT_MAP, items, 2, &c->out[0]);
    qn_object_release(items[0]);
    qn_object_release(items[1]);
    return status;
}

static qn_status row_map(const struct qn_host_call *c, struct qn_object *keys, const struct qn_view *values,
                         int64_t row, struct qn_object **out)
{
    struct qn_object *items[2] = {keys, NULL};
    int64_t n = values->dims[values->rank - 1];
    uint64_t bytes = (uint64_t)n * qn_host_unit(values->dtype);
    QN_TRY(qn_object_tensor(c->store, values->dtype, 1, &n, &items[1]));
    if (bytes)
        memcpy(items[1]->tensor.data, (const char *)values->data + (uint64_t)row * bytes, bytes);
    qn_status status = qn_object_group(c->store, QN_OBJECT_MAP, items, 2, out);
    qn_object_release(items[1]);
    return status;
}

/* values [rows, n], or [n] for one row */
qn_status qn_host_map_sequence(const struct qn_host_call *c)
{
    struct qn_view keys, values;
    QN_TRY(qn_host_tensor(c, 0, &keys));
    QN_TRY(qn_host_tensor(c, 1, &values));
    if (values.rank < 1 || values.rank > 2)
        return QN_ERROR(QN_INVALID_ARGUMENT, "values of rank %u: expected [rows, n]", values.rank);
    QN_TRY(check_keys(&keys, values.dims[values.rank - 1]));
    int64_t rows = values.rank == 2 ? values.dims[0] : 1;
    if (rows > UINT32_MAX)
        return QN_ERROR(QN_OUT_OF_RANGE, "%" PRId64 " rows", rows);
    struct qn_object *shared;
    QN_TRY(qn_host_hold(c, 0, &shared));
    struct qn_object **items = qn_store_take(c->store, (uint64_t)(rows + 1) * sizeof *items);
    qn_status status = items ? NULL : QN_OOM();
    uint32_t count = 0;
    while (!status && count < rows)
        if (!(status = row_map(c, shared, &values, count, &items[count])))
            count++;
    if (!status)
        status = qn_object_group(c->store, QN_OBJECT_SEQUENCE, items, count, &c->out[0]);
    for (uint32_t i = 0; items && i < count; i++)
        qn_object_release(items[i]);
    qn_store_give(c->store, items);
    qn_object_release(shared);
    return status;
}

static qn_status take_map(const struct qn_host_call *c, struct qn_view *keys, struct qn_view *values)
{
    const struct qn_object *map = c->in_objects[0];
    if (!map || map->kind != QN_OBJECT_MAP || map->count != 2 || map->items[1]->kind != QN_OBJECT_TENSOR ||
        map->items[1]->tensor.rank != 1)
        return QN_ERROR(QN_INVALID_ARGUMENT, "input 0 is no map of numbers or strings");
    *keys = map->items[0]->tensor;
    *values = map->items[1]->tensor;
    return check_keys(keys, values->dims[0]);
}

static bool same_key(const struct qn_view *a, int64_t i, const struct qn_view *b, int64_t k)
{
    if (a->dtype == QN_DTYPE_I64)
        return ((const int64_t *)a->data)[i] == ((const int64_t *)b->data)[k];
    const struct qn_string *x = (const struct qn_string *)a->data + i, *y = (const struct qn_string *)b->data + k;
    return x->size == y->size && (x->size == 0 || memcmp(x->data, y->data, x->size) == 0);
}

/* The map's values in the order of the keys asked for; a key that it lacks gives 0 or an empty string. */
qn_status qn_host_map_lookup(const struct qn_host_call *c)
{
    struct qn_view keys, values, wanted;
    QN_TRY(take_map(c, &keys, &values));
    QN_TRY(qn_host_tensor(c, 1, &wanted));
    if (wanted.dtype != keys.dtype || wanted.rank != 1)
        return QN_ERROR(QN_INVALID_ARGUMENT, "the map's keys are %s, those asked for %s", qn_dtype_name(keys.dtype),
                        qn_dtype_name(wanted.dtype));
    QN_TRY(qn_object_tensor(c->store, values.dtype, 1, wanted.dims, &c->out[0]));
    size_t unit = qn_host_unit(values.dtype);
    char *out = c->out[0]->tensor.data;
    for (int64_t i = 0; i < wanted.dims[0]; i++) {
        int64_t at = 0;
        while (at < keys.dims[0] && !same_key(&keys, at, &wanted, i))
            at++;
        if (at < keys.dims[0])
            memcpy(out + (size_t)i * unit, (const char *)values.data + (size_t)at * unit, unit);
        else
            memset(out + (size_t)i * unit, 0, unit);
    }
    return NULL;
}

/* The map's values, ordered by their i64 keys. */
qn_status qn_host_map_values(const struct qn_host_call *c)
{
    struct qn_view keys, values;
    QN_TRY(take_map(c, &keys, &values));
    if (keys.dtype != QN_DTYPE_I64)
        return QN_ERROR(QN_UNSUPPORTED, "a map with %s keys has no order", qn_dtype_name(keys.dtype));
    QN_TRY(qn_object_tensor(c->store, values.dtype, 1, values.dims, &c->out[0]));
    size_t unit = qn_host_unit(values.dtype);
    const int64_t *key = keys.data;
    for (int64_t i = 0; i < keys.dims[0]; i++) {
        int64_t before = 0;
        for (int64_t k = 0; k < keys.dims[0]; k++)
            before += key[k] < key[i] || (key[k] == key[i] && k < i);
        memcpy((char *)c->out[0]->tensor.data + (size_t)before * unit, (const char *)values.data + (size_t)i * unit,
               unit);
    }
    return NULL;
}
