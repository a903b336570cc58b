/* nonzero, compress, unique: how much comes out depends on what is in. */
#include "host/host_call.h"
#include "ir/ir.h"

/* ---- nonzero -------------------------------------------------------------------------------------------------- */

/* Truth of n elements; floats of any width are zero when all bits but the sign are. */
static bool is_zero(const char *element, qn_dtype dtype)
{
    switch (dtype) {
    case QN_DTYPE_STRING:
        return ((const struct qn_string *)(const void *)element)->size == 0;
    case QN_DTYPE_F16:
    case QN_DTYPE_BF16:
        return (*(const uint16_t *)(const void *)element & 0x7fff) == 0;
    case QN_DTYPE_F32:
        return *(const float *)(const void *)element == 0;
    case QN_DTYPE_F64:
        return *(const double *)(const void *)element == 0;
    default: {
        uint64_t any = 0;
        for (uint64_t i = 0; i < qn_host_unit(dtype); i++)
            any |= (uint8_t)element[i];
        return any == 0;
    }
    }
}

qn_status qn_host_nonzero(const struct qn_host_call *c)
{
    struct qn_view x;
    QN_TRY(qn_host_tensor(c, 0, &x));
    int64_t elems = qn_view_elems(&x), unit = (int64_t)qn_host_unit(x.dtype);
    int64_t dims[2] = {x.rank ? x.rank : 1, 0}; /* a single number counts as a list of one */
    for (int64_t i = 0; i < elems; i++)
        dims[1] += !is_zero((const char *)x.data + i * unit, x.dtype);
    QN_TRY(qn_object_tensor(c->store, QN_DTYPE_I64, 2, dims, &c->out[0]));
    int64_t *out = c->out[0]->tensor.data, index[QN_MAX_RANK] = {0}, found = 0;
    for (int64_t i = 0; i < elems; i++) {
        if (!is_zero((const char *)x.data + i * unit, x.dtype)) {
            for (int64_t k = 0; k < dims[0]; k++)
                out[k * dims[1] + found] = index[k];
            found++;
        }
        for (uint32_t k = x.rank; k-- > 0 && ++index[k] == x.dims[k];)
            index[k] = 0;
    }
    return NULL;
}

/* ---- compress ------------------------------------------------------------------------------------------------- */

qn_status qn_host_compress(const struct qn_host_call *c)
{
    const struct qn_attr_compress *attr = c->attr;
    struct qn_view x, condition;
    QN_TRY(qn_host_tensor(c, 0, &x));
    QN_TRY(qn_host_tensor(c, 1, &condition));
    if (condition.dtype != QN_DTYPE_BOOL)
        return QN_ERROR(QN_INVALID_ARGUMENT, "the condition is %s, not bool", qn_dtype_name(condition.dtype));
    int64_t axis = attr->axis + (attr->axis < 0 ? (int64_t)x.rank : 0);
    if (!attr->flat && (axis < 0 || axis >= (int64_t)x.rank))
        return QN_ERROR(QN_INVALID_ARGUMENT, "axis %" PRId64 " of a tensor of rank %u", attr->axis, x.rank);
    struct qn_view y = x;
    int64_t outer = 1, inner = (int64_t)qn_host_unit(x.dtype), size = qn_view_elems(&x);
    if (attr->flat) {
        y.rank = 1;
        axis = 0;
    } else {
        size = x.dims[axis];
        for (uint32_t i = 0; i < x.rank; i++)
            *((int64_t)i < axis ? &outer : &inner) *= (int64_t)i == axis ? 1 : x.dims[i];
    }
    const uint8_t *takes = condition.data;
    int64_t listed = qn_view_elems(&condition), count = 0;
    for (int64_t i = 0; i < listed; i++) {
        if (takes[i] && i >= size)
            return QN_ERROR(QN_OUT_OF_RANGE, "the condition takes element %" PRId64 " of %" PRId64, i, size);
        count += takes[i] != 0;
    }
    y.dims[axis] = count;
    QN_TRY(qn_object_tensor(c->store, x.dtype, y.rank, y.dims, &c->out[0]));
    char *to = c->out[0]->tensor.data;
    for (int64_t o = 0; o < outer; o++) {
        for (int64_t i = 0; i < listed && inner; i++) {
            if (!takes[i])
                continue;
            memcpy(to, (const char *)x.data + (o * size + i) * inner, (size_t)inner);
            to += inner;
        }
    }
    return NULL;
}

/* ---- unique --------------------------------------------------------------------------------------------------- */

/* What is compared: `count` items of `width` cells, ordered by number (keys) or as strings. */
struct items {
    int64_t count, width;
    const uint64_t *keys;            /* count * width, NULL for strings */
    const struct qn_string *strings; /* count * width */
};

static int compare_cells(const struct items *items, int64_t a, int64_t b)
{
    if (items->keys)
        return items->keys[a] < items->keys[b] ? -1 : items->keys[a] > items->keys[b];
    const struct qn_string *x = &items->strings[a], *y = &items->strings[b];
    size_t n = x->size < y->size ? x->size : y->size;
    int order = n ? memcmp(x->data, y->data, n) : 0;
    return order ? order : x->size < y->size ? -1 : x->size > y->size;
}

static int compare_items(const struct items *items, int64_t a, int64_t b)
{
    int order = 0;
    for (int64_t i = 0; i < items->width && order == 0; i++)
        order = compare_cells(items, a * items->width + i, b * items->width + i);
    return order;
}

/* Merge sort of item numbers, stable: of equal items the first stays first. */
static qn_status sort_items(const struct qn_host_call *c, const struct items *items, int64_t *order, int64_t *spare)
{
    int64_t *from = order, *to = spare, n = items->count;
    for (int64_t run = 1; run < n; run *= 2) {
        for (int64_t start = 0; start < n; start += 2 * run) {
            int64_t middle = start + run < n ? start + run : n, end = start + 2 * run < n ? start + 2 * run : n;
            int64_t a = start, b = middle;
            for (int64_t i = start; i < end; i++) {
                QN_TRY(qn_host_go_on(c));
                bool left = b >= end || (a < middle && compare_items(items, from[a], from[b]) <= 0);
                to[i] = left ? from[a++] : from[b++];
            }
        }
        int64_t *swap = from;
        from = to;
        to = swap;
    }
    if (from != order && n)
        memcpy(order, from, (size_t)n * sizeof *order);
    return NULL;
}

struct unique {
    const struct qn_host_call *call;
    struct qn_view x;
    bool flat, sorted;
    uint32_t axis;
    int64_t outer, inner; /* elements around the axis */
    struct items items;
    void *cells;
    int64_t *order, *spare, *first, *number; /* first and number: by group in the order of the output */
    int64_t groups;
};

/* Brings each slice's elements into a row of its own, as keys or strings. */
static qn_status gather_items(struct unique *u)
{
    const struct qn_view *x = &u->x;
    bool text = x->dtype == QN_DTYPE_STRING;
    u->outer = u->inner = 1;
    u->items.count = u->flat ? qn_view_elems(x) : x->dims[u->axis];
    for (uint32_t i = 0; i < x->rank && !u->flat; i++)
        *(i < u->axis ? &u->outer : &u->inner) *= i == u->axis ? 1 : x->dims[i];
    u->items.width = u->outer * u->inner;
    uint64_t total = (uint64_t)u->items.count * (uint64_t)u->items.width;
    u->cells = qn_store_take(u->call->store, total * (text ? sizeof(struct qn_string) : sizeof(uint64_t)) + 1);
    if (!u->cells)
        return QN_OOM();
    int64_t unit = (int64_t)qn_host_unit(x->dtype);
    for (int64_t item = 0, at = 0; item < u->items.count; item++) {
        for (int64_t o = 0; o < u->outer; o++) {
            for (int64_t i = 0; i < u->inner; i++, at++) {
                int64_t from = (o * u->items.count + item) * u->inner + i;
                if (text)
                    ((struct qn_string *)u->cells)[at] = ((const struct qn_string *)x->data)[from];
                else
                    ((uint64_t *)u->cells)[at] = qn_element_key((const char *)x->data + from * unit, x->dtype);
            }
        }
    }
    u->items.keys = text ? NULL : u->cells;
    u->items.strings = text ? u->cells : NULL;
    return NULL;
}

/* Numbers the groups of equal items: inverse[item] and, by group, the first item and how many. In the order of values,
 * or where not sorted of first items. */
static qn_status number_groups(struct unique *u, int64_t *inverse)
{
    for (int64_t i = 0; i < u->items.count; i++)
        u->order[i] = i;
    QN_TRY(sort_items(u->call, &u->items, u->order, u->spare));
    int64_t groups = 0;
    for (int64_t i = 0; i < u->items.count; i++) {
        int64_t item = u->order[i];
        if (i == 0 || compare_items(&u->items, u->order[i - 1], item) != 0) {
            u->first[groups] = item;
            u->number[groups++] = 0;
        }
        inverse[item] = groups - 1;
        u->number[groups - 1]++;
    }
    u->groups = groups;
    if (u->sorted)
        return NULL;
    int64_t next = 0; /* spare: new number of each group; order: by new number the old one */
    for (int64_t i = 0; i < u->items.count; i++) {
        if (u->first[inverse[i]] == i) {
            u->order[next] = inverse[i];
            u->spare[inverse[i]] = next++;
        }
    }
    for (int64_t i = 0; i < u->items.count; i++)
        inverse[i] = u->spare[inverse[i]];
    for (int64_t i = 0; i < groups; i++)
        u->spare[i] = u->number[u->order[i]];
    memcpy(u->number, u->spare, (size_t)groups * sizeof *u->number);
    for (int64_t i = 0; i < groups; i++)
        u->spare[i] = u->first[u->order[i]];
    memcpy(u->first, u->spare, (size_t)groups * sizeof *u->first);
    return NULL;
}

static qn_status give_numbers(const struct unique *u, uint32_t out, const int64_t *numbers, int64_t count)
{
    if (out >= u->call->out_count)
        return NULL;
    QN_TRY(qn_object_tensor(u->call->store, QN_DTYPE_I64, 1, &count, &u->call->out[out]));
    if (count)
        memcpy(u->call->out[out]->tensor.data, numbers, (size_t)count * sizeof *numbers);
    return NULL;
}

static qn_status give_values(const struct unique *u)
{
    const struct qn_view *x = &u->x;
    int64_t dims[QN_MAX_RANK];
    memcpy(dims, x->dims, sizeof dims);
    dims[u->flat ? 0 : u->axis] = u->groups;
    QN_TRY(qn_object_tensor(u->call->store, x->dtype, u->flat ? 1 : x->rank, dims, &u->call->out[0]));
    size_t run = (size_t)u->inner * qn_host_unit(x->dtype);
    char *to = u->call->out[0]->tensor.data;
    for (int64_t o = 0; o < u->outer; o++)
        for (int64_t i = 0; i < u->groups && run; i++, to += run)
            memcpy(to, (const char *)x->data + (size_t)(o * u->items.count + u->first[i]) * run, run);
    return NULL;
}

qn_status qn_host_unique(const struct qn_host_call *c)
{
    const struct qn_attr_unique *attr = c->attr;
    struct unique u;
    memset(&u, 0, sizeof u);
    u.call = c;
    u.flat = attr->flat;
    u.sorted = !attr->unsorted;
    QN_TRY(qn_host_tensor(c, 0, &u.x));
    int64_t axis = attr->axis + (attr->axis < 0 ? (int64_t)u.x.rank : 0);
    if (!u.flat && (axis < 0 || axis >= (int64_t)u.x.rank))
        return QN_ERROR(QN_INVALID_ARGUMENT, "axis %" PRId64 " of a tensor of rank %u", attr->axis, u.x.rank);
    u.axis = u.flat ? 0 : (uint32_t)axis;
    qn_status status = gather_items(&u);
    size_t room = ((size_t)u.items.count + 1) * sizeof(int64_t);
    int64_t *memory = status ? NULL : qn_store_take(c->store, 5 * room);
    if (!status && !memory)
        status = QN_OOM();
    if (!status) {
        int64_t step = u.items.count + 1, *inverse = memory + 4 * step;
        u.order = memory;
        u.spare = memory + step;
        u.first = memory + 2 * step;
        u.number = memory + 3 * step;
        status = number_groups(&u, inverse);
        if (!status)
            status = give_values(&u);
        if (!status)
            status = give_numbers(&u, 1, u.first, u.groups);
        if (!status)
            status = give_numbers(&u, 2, inverse, u.items.count);
        if (!status)
            status = give_numbers(&u, 3, u.number, u.groups);
    }
    qn_store_give(c->store, memory);
    qn_store_give(c->store, u.cells);
    return status;
}
