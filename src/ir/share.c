#include "ir/share.h"

#include "quern/tensor.h"

static uint32_t mix(uint64_t hash)
{
    hash ^= hash >> 32;
    hash *= 0xd6e8feb86659fd93u;
    hash ^= hash >> 32;
    return (uint32_t)hash;
}

static uint64_t add_word(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
    return hash ^ hash >> 29;
}

static uint64_t add_bytes(uint64_t hash, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    hash = add_word(hash, size);
    for (; size >= 8; size -= 8, bytes += 8) {
        uint64_t word;
        memcpy(&word, bytes, 8);
        hash = add_word(hash, word);
    }
    uint64_t rest = 0;
    if (size)
        memcpy(&rest, bytes, size);
    return add_word(hash, rest);
}

static bool swaps(const struct qn_op_info *info, uint32_t input_count)
{
    return (info->traits & QN_OP_COMMUTATIVE) && input_count >= 2;
}

static uint32_t hash_node(const struct qn_share_node *key)
{
    const struct qn_op_info *info = qn_op_info(key->op);
    uint64_t hash = add_word(QN_SHARE_NODE, key->op);
    uint32_t i = 0;
    if (swaps(info, key->input_count)) {
        qn_value a = key->inputs[0], b = key->inputs[1];
        hash = add_word(add_word(hash, a < b ? a : b), a < b ? b : a);
        i = 2;
    }
    for (; i < key->input_count; i++)
        hash = add_word(hash, key->inputs[i]);
    return mix(add_bytes(hash, key->attr, info->attr_size));
}

static uint32_t hash_constant(const struct qn_share_constant *key)
{
    enum { MOST = 256 }; /* bytes at either end: they tell tables apart, and each is hashed once a pass */
    uint64_t hash = add_word(QN_SHARE_CONSTANT, (uint64_t)key->type->dtype << 32 | key->type->rank);
    hash = add_word(hash, (uint64_t)key->blob->place << 32 | key->blob->file);
    hash = add_word(add_word(hash, key->blob->offset), key->blob->bytes);
    const struct qn_string *strings = key->blob->data;
    if (key->type->dtype == QN_DTYPE_STRING)
        for (uint64_t i = 0; i < key->blob->bytes / sizeof *strings; i++)
            hash = add_bytes(hash, strings[i].data, strings[i].size);
    else if (key->blob->place == QN_BLOB_MEMORY && key->blob->bytes <= 2 * MOST)
        hash = add_bytes(hash, key->blob->data, key->blob->bytes);
    else if (key->blob->place == QN_BLOB_MEMORY)
        hash = add_bytes(add_bytes(hash, key->blob->data, MOST),
                         (const uint8_t *)key->blob->data + key->blob->bytes - MOST, MOST);
    return mix(hash);
}

static uint32_t hash_key(enum qn_share_kind kind, const void *key)
{
    if (kind == QN_SHARE_NODE)
        return hash_node(key);
    if (kind == QN_SHARE_CONSTANT)
        return hash_constant(key);
    if (kind == QN_SHARE_EXPR) {
        const struct qn_expr *expr = key;
        return mix(add_word(add_word(add_word(kind, expr->op), (uint64_t)expr->a), (uint64_t)expr->b));
    }
    const struct qn_str *name = key;
    return mix(add_bytes(kind, name->data, name->size));
}

static struct qn_str name_of(const struct qn_graph *g, enum qn_share_kind kind, uint32_t id)
{
    switch (kind) {
    case QN_SHARE_SYMBOL:
        return g->symbols.items[id].name;
    case QN_SHARE_FILE:
        return g->files.items[id];
    case QN_SHARE_INPUT:
        return g->inputs.items[id].name;
    case QN_SHARE_OUTPUT:
        return g->outputs.items[id].name;
    default:
        return g->states.items[id].name;
    }
}

static struct qn_share_node node_key(const struct qn_graph *g, qn_node n)
{
    const struct qn_node_info *node = qn_graph_node(g, n);
    return (struct qn_share_node){node->op, g->edges.items + node->first_input, node->input_count, qn_graph_attr(g, n)};
}

static struct qn_share_constant constant_key(const struct qn_graph *g, qn_value v)
{
    const struct qn_value_info *value = qn_graph_value(g, v);
    return (struct qn_share_constant){&value->type, &g->blobs.items[value->index]};
}

static uint32_t hash_entry(const struct qn_graph *g, enum qn_share_kind kind, uint32_t id)
{
    if (kind == QN_SHARE_NODE) {
        struct qn_share_node key = node_key(g, id);
        return hash_node(&key);
    }
    if (kind == QN_SHARE_CONSTANT) {
        struct qn_share_constant key = constant_key(g, id);
        return hash_constant(&key);
    }
    if (kind == QN_SHARE_EXPR)
        return hash_key(kind, &g->exprs.items[id]);
    struct qn_str name = name_of(g, kind, id);
    return hash_key(kind, &name);
}

static bool node_equals(const struct qn_share_node *a, const struct qn_share_node *b)
{
    const struct qn_op_info *info = qn_op_info(a->op);
    if (a->op != b->op || a->input_count != b->input_count)
        return false;
    uint32_t i = 0;
    if (swaps(info, a->input_count)) {
        if (!(a->inputs[0] == b->inputs[0] && a->inputs[1] == b->inputs[1]) &&
            !(a->inputs[0] == b->inputs[1] && a->inputs[1] == b->inputs[0]))
            return false;
        i = 2;
    }
    for (; i < a->input_count; i++)
        if (a->inputs[i] != b->inputs[i])
            return false;
    return memcmp(a->attr, b->attr, info->attr_size) == 0;
}

static bool constant_equals(const struct qn_share_constant *a, const struct qn_share_constant *b)
{
    const struct qn_blob *x = a->blob, *y = b->blob;
    if (!qn_type_equal(a->type, b->type) || x->place != y->place || x->bytes != y->bytes)
        return false;
    if (x->place == QN_BLOB_FILE)
        return x->file == y->file && x->offset == y->offset;
    const struct qn_string *s = x->data, *t = y->data;
    if (a->type->dtype == QN_DTYPE_STRING) {
        for (uint64_t i = 0; i < x->bytes / sizeof *s; i++)
            if (s[i].size != t[i].size || (s[i].size && memcmp(s[i].data, t[i].data, s[i].size) != 0))
                return false;
        return true;
    }
    return x->bytes == 0 || memcmp(x->data, y->data, x->bytes) == 0;
}

static bool entry_equals(const struct qn_graph *g, enum qn_share_kind kind, uint32_t id, const void *key)
{
    if (kind == QN_SHARE_NODE) {
        struct qn_share_node entry = node_key(g, id);
        return node_equals(&entry, key);
    }
    if (kind == QN_SHARE_CONSTANT) {
        struct qn_share_constant entry = constant_key(g, id);
        return constant_equals(&entry, key);
    }
    if (kind == QN_SHARE_EXPR) {
        const struct qn_expr *entry = &g->exprs.items[id], *expr = key;
        return entry->op == expr->op && entry->a == expr->a && entry->b == expr->b;
    }
    return qn_str_eq(name_of(g, kind, id), *(const struct qn_str *)key);
}

uint32_t qn_share_find(const struct qn_graph *g, enum qn_share_kind kind, const void *key)
{
    if (g->share.count == 0)
        return UINT32_MAX;
    uint32_t mask = g->share.capacity - 1;
    for (uint32_t at = hash_key(kind, key) & mask; g->share.items[at]; at = (at + 1) & mask) {
        uint32_t entry = g->share.items[at];
        if ((entry & 15) == (uint32_t)kind && entry_equals(g, kind, entry >> 4, key))
            return entry >> 4;
    }
    return UINT32_MAX;
}

static void place(const struct qn_graph *g, uint32_t *slots, uint32_t capacity, uint32_t entry)
{
    uint32_t mask = capacity - 1, at = hash_entry(g, (enum qn_share_kind)(entry & 15), entry >> 4) & mask;
    while (slots[at])
        at = (at + 1) & mask;
    slots[at] = entry;
}

bool qn_share_reserve(struct qn_graph *g)
{
    if ((uint64_t)g->share.count * 2 + 2 <= g->share.capacity)
        return true;
    if (g->share.capacity > UINT32_MAX / 4)
        return false;
    uint32_t capacity = g->share.capacity ? g->share.capacity * 2 : 64;
    uint32_t *slots = qn_calloc(g->allocator, capacity, sizeof *slots);
    if (!slots)
        return false;
    for (uint32_t i = 0; i < g->share.capacity; i++)
        if (g->share.items[i])
            place(g, slots, capacity, g->share.items[i]);
    qn_free(g->allocator, g->share.items, (size_t)g->share.capacity * sizeof *slots);
    g->share.items = slots;
    g->share.capacity = capacity;
    return true;
}

void qn_share_add(struct qn_graph *g, enum qn_share_kind kind, uint32_t id)
{
    place(g, g->share.items, g->share.capacity, id << 4 | (uint32_t)kind);
    g->share.count++;
}
