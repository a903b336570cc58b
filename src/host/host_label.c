/* label_encode and tfidf: tables from keys or n-grams to values. */
#include "base/hash.h"
#include "host/host_call.h"
#include "ir/ir.h"

/* A hash index over numbered entries: slot -> entry + 1. Its memory is the store's. */
struct index {
    uint32_t *slots;
    uint64_t mask;
};

static qn_status make_index(struct qn_store *store, uint64_t entries, struct index *index)
{
    uint64_t size = 16;
    while (size < entries * 2)
        size *= 2;
    if (entries > UINT32_MAX / 4)
        return QN_ERROR(QN_OUT_OF_RANGE, "a table of %" PRIu64 " entries", entries);
    index->slots = qn_store_take(store, size * sizeof *index->slots);
    if (!index->slots)
        return QN_OOM();
    memset(index->slots, 0, size * sizeof *index->slots);
    index->mask = size - 1;
    return NULL;
}

static bool same_string(const struct qn_string *a, const struct qn_string *b)
{
    return a->size == b->size && (a->size == 0 || memcmp(a->data, b->data, a->size) == 0);
}

/* ---- keys of a tensor ----------------------------------------------------------------------------------------- */

struct keys {
    struct qn_view view;
    struct index index;
};

static uint64_t hash_key(const struct qn_view *x, int64_t i)
{
    if (x->dtype == QN_DTYPE_STRING) {
        const struct qn_string *text = (const struct qn_string *)x->data + i;
        return qn_hash(text->data, text->size);
    }
    uint64_t key = qn_element_key((const char *)x->data + i * (int64_t)qn_host_unit(x->dtype), x->dtype);
    return qn_hash(&key, sizeof key);
}

static bool same_key(const struct qn_view *a, int64_t i, const struct qn_view *b, int64_t k)
{
    if (a->dtype == QN_DTYPE_STRING)
        return same_string((const struct qn_string *)a->data + i, (const struct qn_string *)b->data + k);
    int64_t unit = (int64_t)qn_host_unit(a->dtype);
    return qn_element_key((const char *)a->data + i * unit, a->dtype) ==
           qn_element_key((const char *)b->data + k * unit, b->dtype);
}

/* Of equal keys the last counts. */
static qn_status index_keys(struct qn_store *store, const struct qn_view *view, struct keys *keys)
{
    int64_t n = qn_view_elems(view);
    keys->view = *view;
    QN_TRY(make_index(store, (uint64_t)n, &keys->index));
    for (int64_t i = 0; i < n; i++) {
        uint64_t at = hash_key(view, i) & keys->index.mask;
        while (keys->index.slots[at] && !same_key(view, keys->index.slots[at] - 1, view, i))
            at = (at + 1) & keys->index.mask;
        keys->index.slots[at] = (uint32_t)i + 1;
    }
    return NULL;
}

/* Number of the key that element i of x is; -1 for none. */
static int64_t find_key(const struct keys *keys, const struct qn_view *x, int64_t i)
{
    uint64_t at = hash_key(x, i) & keys->index.mask;
    while (keys->index.slots[at] && !same_key(&keys->view, keys->index.slots[at] - 1, x, i))
        at = (at + 1) & keys->index.mask;
    return (int64_t)keys->index.slots[at] - 1;
}

qn_status qn_host_label_encode(const struct qn_host_call *c)
{
    struct qn_view x, keys, values, other;
    QN_TRY(qn_host_tensor(c, 0, &x));
    QN_TRY(qn_host_tensor(c, 1, &keys));
    QN_TRY(qn_host_tensor(c, 2, &values));
    QN_TRY(qn_host_tensor(c, 3, &other));
    if (x.dtype != keys.dtype || values.dtype != other.dtype || qn_view_elems(&keys) != qn_view_elems(&values) ||
        qn_view_elems(&other) != 1)
        return QN_ERROR(QN_INVALID_ARGUMENT, "keys and values do not fit");
    QN_TRY(qn_object_tensor(c->store, values.dtype, x.rank, x.dims, &c->out[0]));
    struct keys table;
    QN_TRY(index_keys(c->store, &keys, &table));
    size_t unit = qn_host_unit(values.dtype);
    char *out = c->out[0]->tensor.data;
    qn_status status = NULL;
    for (int64_t i = 0, n = qn_view_elems(&x); i < n && !(status = qn_host_go_on(c)); i++, out += unit) {
        int64_t found = find_key(&table, &x, i);
        memcpy(out, found < 0 ? (const char *)other.data : (const char *)values.data + (size_t)found * unit, unit);
    }
    qn_store_give(c->store, table.index.slots);
    return status;
}

/* ---- n-grams -------------------------------------------------------------------------------------------------- */

/* The pool's words get numbers; an n-gram is a run of numbers in `words`. */
struct grams {
    struct keys keys;
    const int64_t *starts; /* where the n-grams of length i + 1 begin in the pool */
    int64_t lengths, pool;
    const int64_t *columns; /* of n-gram i */
    const float *weights;   /* of n-gram i, or NULL */
    int64_t count, outputs;
    int32_t *words;
    int64_t *where; /* n-gram i begins at words[where[i]] */
    uint8_t *length;
    struct index index;
};

static uint64_t hash_gram(const int32_t *words, int64_t n)
{
    return qn_hash(words, (size_t)n * sizeof *words);
}

static qn_status number_grams(const struct qn_host_call *c, struct grams *g)
{
    int64_t gram = 0;
    for (int64_t i = 0; i < g->lengths; i++) {
        int64_t start = g->starts[i], end = i + 1 < g->lengths ? g->starts[i + 1] : g->pool, n = i + 1;
        if (start < 0 || end < start || end > g->pool || (end - start) % n || n > 255)
            return QN_ERROR(QN_INVALID_ARGUMENT, "%" PRId64 "-grams from %" PRId64 " to %" PRId64 " of %" PRId64, n,
                            start, end, g->pool);
        for (int64_t at = start; at < end; at += n, gram++) {
            if (gram >= g->count)
                return QN_ERROR(QN_INVALID_ARGUMENT, "more n-grams than the %" PRId64 " indexes", g->count);
            g->where[gram] = at;
            g->length[gram] = (uint8_t)n;
        }
    }
    g->count = gram;
    QN_TRY(make_index(c->store, (uint64_t)gram, &g->index));
    for (int64_t i = 0; i < gram; i++) {
        if (g->columns[i] < 0 || g->columns[i] >= g->outputs)
            return QN_ERROR(QN_INVALID_ARGUMENT, "index %" PRId64 " of %" PRId64 " outputs", g->columns[i], g->outputs);
        uint64_t at = hash_gram(g->words + g->where[i], g->length[i]) & g->index.mask;
        while (g->index.slots[at])
            at = (at + 1) & g->index.mask;
        g->index.slots[at] = (uint32_t)i + 1;
    }
    return NULL;
}

static void count_gram(const struct grams *g, const int32_t *words, int64_t n, float *counts)
{
    uint64_t at = hash_gram(words, n) & g->index.mask;
    for (; g->index.slots[at]; at = (at + 1) & g->index.mask) {
        int64_t gram = g->index.slots[at] - 1;
        if (g->length[gram] == n && memcmp(g->words + g->where[gram], words, (size_t)n * sizeof *words) == 0) {
            counts[gram] += 1;
            return;
        }
    }
}

/* Counts of all n-grams of a row, with 0 to max_skip words skipped between neighbours. */
static void count_row(const struct grams *g, const struct qn_attr_tfidf *attr, const int32_t *row, int64_t size,
                      float *counts)
{
    int32_t gram[256];
    for (int64_t n = attr->min_length; n <= attr->max_length && n <= 255; n++) {
        int64_t skips = n == 1 ? 0 : attr->max_skip;
        for (int64_t skip = 0; skip <= skips && (n - 1) * (skip + 1) < size; skip++) {
            for (int64_t start = 0; start + (n - 1) * (skip + 1) < size; start++) {
                bool known = true;
                for (int64_t k = 0; k < n && known; k++) {
                    gram[k] = row[start + k * (skip + 1)];
                    known = gram[k] >= 0;
                }
                if (known)
                    count_gram(g, gram, n, counts);
            }
        }
    }
}

static void write_row(const struct grams *g, int64_t mode, const float *counts, float *y)
{
    for (int64_t i = 0; i < g->count; i++) {
        float weight = mode != 0 && g->weights ? g->weights[i] : 1;
        if (counts[i] > 0)
            y[g->columns[i]] += mode == 1 ? weight : counts[i] * weight;
    }
}

/* The element as the pool's dtype: i32 x is looked up in an i64 pool. */
static int32_t word_of(const struct grams *g, const struct qn_view *x, int64_t i)
{
    if (x->dtype != QN_DTYPE_I32)
        return (int32_t)find_key(&g->keys, x, i);
    int64_t wide = ((const int32_t *)x->data)[i];
    struct qn_view one = {.data = &wide, .dtype = QN_DTYPE_I64};
    return (int32_t)find_key(&g->keys, &one, 0);
}

static qn_status vectorise(const struct qn_host_call *c, struct grams *g, const struct qn_view *x, char *memory)
{
    const struct qn_attr_tfidf *attr = c->attr;
    int64_t size = x->dims[x->rank - 1], rows = x->rank == 2 ? x->dims[0] : 1, dims[2] = {rows, g->outputs};
    g->where = (void *)memory;
    float *counts = (void *)(g->where + g->count);
    g->words = (void *)(counts + g->count);
    int32_t *row = g->words + g->pool;
    g->length = (void *)(row + size);
    for (int64_t i = 0; i < g->pool; i++)
        g->words[i] = (int32_t)find_key(&g->keys, &g->keys.view, i);
    QN_TRY(number_grams(c, g));
    QN_TRY(qn_object_tensor(c->store, QN_DTYPE_F32, x->rank, dims + (x->rank == 1), &c->out[0]));
    float *y = c->out[0]->tensor.data;
    for (int64_t r = 0; r < rows; r++, y += g->outputs) {
        QN_TRY(qn_host_go_on(c));
        if (g->outputs)
            memset(y, 0, (size_t)g->outputs * sizeof *y);
        if (g->count)
            memset(counts, 0, (size_t)g->count * sizeof *counts);
        for (int64_t i = 0; i < size; i++)
            row[i] = word_of(g, x, r * size + i);
        count_row(g, attr, row, size, counts);
        write_row(g, attr->mode, counts, y);
    }
    return NULL;
}

qn_status qn_host_tfidf(const struct qn_host_call *c)
{
    const struct qn_attr_tfidf *attr = c->attr;
    struct qn_view x, pool, starts, columns, weights = {0};
    QN_TRY(qn_host_tensor(c, 0, &x));
    QN_TRY(qn_host_tensor(c, 1, &pool));
    QN_TRY(qn_host_tensor(c, 2, &starts));
    QN_TRY(qn_host_tensor(c, 3, &columns));
    if (qn_host_has(c, 4))
        QN_TRY(qn_host_tensor(c, 4, &weights));
    if (x.rank < 1 || x.rank > 2 || starts.dtype != QN_DTYPE_I64 || columns.dtype != QN_DTYPE_I64 ||
        (weights.data && (weights.dtype != QN_DTYPE_F32 || qn_view_elems(&weights) < qn_view_elems(&columns))))
        return QN_ERROR(QN_INVALID_ARGUMENT, "the operands do not fit");
    struct grams g = {.starts = starts.data,
                      .lengths = qn_view_elems(&starts),
                      .pool = qn_view_elems(&pool),
                      .columns = columns.data,
                      .weights = weights.data,
                      .count = qn_view_elems(&columns),
                      .outputs = attr->outputs};
    QN_TRY(index_keys(c->store, &pool, &g.keys));
    uint64_t bytes = (uint64_t)g.count * (sizeof(int64_t) + sizeof(float) + 1) +
                     (uint64_t)(g.pool + x.dims[x.rank - 1]) * sizeof(int32_t) + 1;
    char *memory = qn_store_take(c->store, bytes);
    qn_status status = memory ? vectorise(c, &g, &x, memory) : QN_OOM();
    qn_store_give(c->store, memory);
    qn_store_give(c->store, g.index.slots);
    qn_store_give(c->store, g.keys.index.slots);
    return status;
}
