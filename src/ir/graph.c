#include <inttypes.h>

#include "base/checked.h"
#include "ir/ir.h"
#include "ir/shape.h"
#include "ir/share.h"
#include "quern/tensor.h"

bool qn_type_equal(const struct qn_type *a, const struct qn_type *b)
{
    return a->dtype == b->dtype && a->encoding == b->encoding && a->rank == b->rank &&
           (a->rank == 0 || memcmp(a->dims, b->dims, a->rank * sizeof a->dims[0]) == 0);
}

bool qn_type_bytes(const struct qn_type *type, uint64_t *bytes)
{
    uint64_t count = 1;
    for (uint32_t i = 0; i < type->rank; i++)
        if (type->dims[i] < 0)
            return false;
    for (uint32_t i = 0; i + 1 < type->rank; i++)
        if (!qn_mul_u64(count, (uint64_t)type->dims[i], &count))
            return false;
    uint64_t row;
    uint64_t last = type->rank ? (uint64_t)type->dims[type->rank - 1] : 1;
    return qn_dtype_row_bytes(type->dtype, last, &row) && qn_mul_u64(count, row, bytes);
}

qn_status qn_graph_create(const struct qn_allocator *allocator, struct qn_str name, struct qn_graph **out)
{
    if (!allocator)
        allocator = qn_allocator_default();
    struct qn_graph *g = qn_calloc(allocator, 1, sizeof *g);
    if (!g)
        return QN_OOM();
    g->allocator = allocator;
    qn_arena_init(&g->arena, allocator);
    g->name = qn_arena_str(&g->arena, name);
    if (!g->name.data || !qn_array_push(&g->encodings, allocator, (struct qn_encoding){0}) ||
        !qn_array_push(&g->values, allocator, (struct qn_value_info){0}) ||
        !qn_array_push(&g->nodes, allocator, (struct qn_node_info){0}) || !qn_array_reserve(&g->edges, allocator, 1) ||
        !qn_array_reserve(&g->attrs, allocator, 1)) {
        qn_graph_destroy(g);
        return QN_OOM();
    }
    *out = g;
    return NULL;
}

void qn_graph_destroy(struct qn_graph *g)
{
    if (!g)
        return;
    qn_array_free(&g->symbols, g->allocator);
    qn_array_free(&g->exprs, g->allocator);
    qn_array_free(&g->checks, g->allocator);
    qn_array_free(&g->encodings, g->allocator);
    for (uint32_t i = 0; i < g->blobs.count; i++)
        qn_bytes_release(g->blobs.items[i].owner);
    qn_array_free(&g->blobs, g->allocator);
    qn_array_free(&g->values, g->allocator);
    qn_array_free(&g->nodes, g->allocator);
    qn_array_free(&g->edges, g->allocator);
    qn_array_free(&g->attrs, g->allocator);
    qn_array_free(&g->inputs, g->allocator);
    qn_array_free(&g->outputs, g->allocator);
    qn_array_free(&g->states, g->allocator);
    qn_array_free(&g->files, g->allocator);
    qn_array_free(&g->share, g->allocator);
    qn_arena_deinit(&g->arena);
    qn_free(g->allocator, g, sizeof *g);
}

/* ---- types ---------------------------------------------------------------------------------------------------- */

static qn_status check_dim(const struct qn_graph *g, qn_dim dim)
{
    if (dim < 0 && (uint64_t)~dim >= g->exprs.count)
        return QN_ERROR(QN_INVALID_ARGUMENT, "dimension refers to expression %" PRId64 ", the graph has %u", ~dim,
                        g->exprs.count);
    return NULL;
}

qn_status qn_type_check(const struct qn_graph *g, const struct qn_type *type)
{
    const struct qn_dtype_info *info = qn_dtype_info(type->dtype);
    if (!info->name)
        return QN_ERROR(QN_INVALID_ARGUMENT, "unknown dtype %d", (int)type->dtype);
    if (type->rank > QN_MAX_RANK)
        return QN_ERROR(QN_INVALID_ARGUMENT, "rank %u, at most %d", type->rank, QN_MAX_RANK);
    for (uint32_t i = 0; i < type->rank; i++)
        QN_TRY(check_dim(g, type->dims[i]));
    if (type->encoding >= g->encodings.count)
        return QN_ERROR(QN_INVALID_ARGUMENT, "encoding %u, the graph has %u", type->encoding, g->encodings.count - 1);
    if (info->block_elems > 1 &&
        (type->rank == 0 || type->dims[type->rank - 1] < 0 || type->dims[type->rank - 1] % info->block_elems))
        return QN_ERROR(QN_INVALID_ARGUMENT, "%s: the last dim is no multiple of %u", qn_type_text(g, type).text,
                        info->block_elems);
    return NULL;
}

static struct qn_type clean_type(const struct qn_type *type)
{
    struct qn_type clean = {.dtype = type->dtype, .encoding = type->encoding, .rank = type->rank};
    for (uint32_t i = 0; i < type->rank; i++)
        clean.dims[i] = type->dims[i];
    return clean;
}

/* ---- values --------------------------------------------------------------------------------------------------- */

static qn_status copy_name(struct qn_graph *g, struct qn_str name, struct qn_str *copy)
{
    *copy = qn_arena_str(&g->arena, name);
    return copy->data ? NULL : QN_OOM();
}

/* Room for `values` more values, so that pushing cannot fail. */
static qn_status reserve_values(struct qn_graph *g, uint32_t values)
{
    if (g->values.count > QN_SHARE_MAX_ID - values)
        return QN_ERROR(QN_OUT_OF_RANGE, "graph has too many values");
    if (!qn_array_reserve(&g->values, g->allocator, (uint64_t)g->values.count + values) || !qn_share_reserve(g))
        return QN_OOM();
    return NULL;
}

static qn_value push_value(struct qn_graph *g, struct qn_value_info info)
{
    g->values.items[g->values.count] = info;
    return g->values.count++;
}

static qn_status check_new_name(const struct qn_graph *g, enum qn_share_kind kind, struct qn_str name, const char *what)
{
    if (name.size == 0)
        return QN_ERROR(QN_INVALID_ARGUMENT, "an %s has no name", what);
    if (qn_share_find(g, kind, &name) != UINT32_MAX)
        return QN_ERROR(QN_INVALID_ARGUMENT, "two %ss are named '%.*s'", what, QN_STR_ARG(name));
    return NULL;
}

qn_status qn_graph_file(struct qn_graph *g, struct qn_str path, uint32_t *file)
{
    *file = qn_share_find(g, QN_SHARE_FILE, &path);
    if (*file != UINT32_MAX)
        return NULL;
    if (g->files.count > QN_SHARE_MAX_ID)
        return QN_ERROR(QN_OUT_OF_RANGE, "graph has too many files");
    struct qn_str copy;
    QN_TRY(copy_name(g, path, &copy));
    if (!qn_share_reserve(g) || !qn_array_push(&g->files, g->allocator, copy))
        return QN_OOM();
    *file = g->files.count - 1;
    qn_share_add(g, QN_SHARE_FILE, *file);
    return NULL;
}

qn_status qn_graph_add_input(struct qn_graph *g, struct qn_str name, const struct qn_type *type, qn_value *out)
{
    QN_TRY(qn_status_note(qn_type_check(g, type), "input '%.*s'", QN_STR_ARG(name)));
    QN_TRY(check_new_name(g, QN_SHARE_INPUT, name, "input"));
    QN_TRY(reserve_values(g, 1));
    struct qn_value_info info = {.type = clean_type(type), .kind = QN_VALUE_INPUT, .index = g->inputs.count};
    QN_TRY(copy_name(g, name, &info.name));
    if (!qn_array_push(&g->inputs, g->allocator, (struct qn_graph_slot){info.name, g->values.count}))
        return QN_OOM();
    *out = push_value(g, info);
    qn_share_add(g, QN_SHARE_INPUT, info.index);
    return NULL;
}

qn_status qn_graph_add_state(struct qn_graph *g, struct qn_str name, const struct qn_type *type, qn_value *in)
{
    QN_TRY(qn_status_note(qn_type_check(g, type), "state '%.*s'", QN_STR_ARG(name)));
    QN_TRY(check_new_name(g, QN_SHARE_STATE, name, "state"));
    QN_TRY(reserve_values(g, 1));
    struct qn_value_info info = {.type = clean_type(type), .kind = QN_VALUE_STATE, .index = g->states.count};
    QN_TRY(copy_name(g, name, &info.name));
    if (!qn_array_push(&g->states, g->allocator, (struct qn_state){info.name, g->values.count, g->values.count}))
        return QN_OOM();
    *in = push_value(g, info);
    qn_share_add(g, QN_SHARE_STATE, info.index);
    return NULL;
}

void qn_graph_set_state(struct qn_graph *g, qn_value in, qn_value out)
{
    if (in < g->values.count && g->values.items[in].kind == QN_VALUE_STATE)
        g->states.items[g->values.items[in].index].out = out;
}

qn_status qn_graph_add_output(struct qn_graph *g, struct qn_str name, qn_value value)
{
    if (value == 0 || value >= g->values.count)
        return QN_ERROR(QN_INVALID_ARGUMENT, "output '%.*s' is value %u, which does not exist", QN_STR_ARG(name),
                        value);
    QN_TRY(check_new_name(g, QN_SHARE_OUTPUT, name, "output"));
    struct qn_graph_slot slot = {.value = value};
    QN_TRY(copy_name(g, name, &slot.name));
    if (g->outputs.count > QN_SHARE_MAX_ID)
        return QN_ERROR(QN_OUT_OF_RANGE, "graph has too many outputs");
    if (!qn_share_reserve(g) || !qn_array_push(&g->outputs, g->allocator, slot))
        return QN_OOM();
    qn_share_add(g, QN_SHARE_OUTPUT, g->outputs.count - 1);
    return NULL;
}

qn_status qn_blob_check(const struct qn_graph *g, const struct qn_type *type, const struct qn_blob *blob)
{
    uint64_t bytes, end;
    QN_TRY(qn_type_check(g, type));
    if (!qn_type_bytes(type, &bytes))
        return QN_ERROR(QN_INVALID_ARGUMENT, "%s has no size in bytes", qn_type_text(g, type).text);
    if (bytes != blob->bytes)
        return QN_ERROR(QN_INVALID_ARGUMENT, "%s takes %" PRIu64 " bytes, its data has %" PRIu64,
                        qn_type_text(g, type).text, bytes, blob->bytes);
    enum qn_dtype_class class = qn_dtype_info(type->dtype)->class_;
    if (class == QN_DTYPE_CLASS_OBJECT || (class == QN_DTYPE_CLASS_STRING && blob->place == QN_BLOB_FILE))
        return QN_ERROR(QN_INVALID_ARGUMENT, "%s cannot be a constant in this place", qn_type_text(g, type).text);
    if (blob->place == QN_BLOB_FILE && blob->file >= g->files.count)
        return QN_ERROR(QN_INVALID_ARGUMENT, "data lies in file %u, the graph has %u", blob->file, g->files.count);
    if (blob->place == QN_BLOB_FILE && !qn_add_u64(blob->offset, blob->bytes, &end))
        return QN_ERROR(QN_INVALID_ARGUMENT, "data ends past 2^64");
    return NULL;
}

enum { SHARED_FROM = 1 << 14 /* bytes of a constant that graphs share instead of copying them */ };

/* The bytes in the graph's arena, those of strings too, or, where they are many, on their own. */
static const void *copy_data(struct qn_graph *g, qn_dtype dtype, struct qn_blob *blob)
{
    void *copy = NULL;
    if (blob->bytes < SHARED_FROM || dtype == QN_DTYPE_STRING)
        copy = qn_arena_alloc(&g->arena, blob->bytes, 64);
    else if ((blob->owner = qn_bytes_create(g->allocator, blob->bytes)))
        copy = qn_bytes_data(blob->owner);
    if (!copy)
        return NULL;
    if (blob->bytes)
        memcpy(copy, blob->data, blob->bytes);
    struct qn_string *strings = copy;
    for (uint64_t i = 0; dtype == QN_DTYPE_STRING && i < blob->bytes / sizeof *strings; i++) {
        struct qn_str text = qn_arena_str(&g->arena, (struct qn_str){strings[i].data, strings[i].size});
        if (!text.data)
            return NULL;
        strings[i].data = text.data;
    }
    return copy;
}

qn_status qn_graph_add_constant(struct qn_graph *g, struct qn_str name, const struct qn_type *type,
                                const struct qn_blob *blob, qn_value *out)
{
    QN_TRY(qn_status_note(qn_blob_check(g, type, blob), "constant '%.*s'", QN_STR_ARG(name)));
    struct qn_blob clean = {.place = blob->place, .bytes = blob->bytes, .data = blob->data};
    if (blob->place == QN_BLOB_FILE) {
        clean.file = blob->file;
        clean.offset = blob->offset;
    }
    struct qn_share_constant key = {type, &clean};
    uint32_t found = qn_share_find(g, QN_SHARE_CONSTANT, &key);
    if (found != UINT32_MAX) {
        *out = found;
        return NULL;
    }
    QN_TRY(reserve_values(g, 1));
    struct qn_value_info info = {.type = clean_type(type), .kind = QN_VALUE_CONSTANT, .index = g->blobs.count};
    QN_TRY(copy_name(g, name, &info.name));
    if (clean.place == QN_BLOB_MEMORY && blob->owner)
        clean.owner = qn_bytes_hold(blob->owner);
    else if (clean.place == QN_BLOB_MEMORY && !(clean.data = copy_data(g, type->dtype, &clean)))
        return QN_OOM();
    if (!qn_array_push(&g->blobs, g->allocator, clean)) {
        qn_bytes_release(clean.owner);
        return QN_OOM();
    }
    *out = push_value(g, info);
    qn_share_add(g, QN_SHARE_CONSTANT, *out);
    return NULL;
}

qn_status qn_graph_add_data(struct qn_graph *g, struct qn_str name, const struct qn_type *type, const void *data,
                            qn_value *out)
{
    struct qn_blob blob = {.place = QN_BLOB_MEMORY, .data = data};
    if (!qn_type_bytes(type, &blob.bytes))
        return QN_ERROR(QN_INVALID_ARGUMENT, "constant '%.*s': its type has no size in bytes", QN_STR_ARG(name));
    return qn_graph_add_constant(g, name, type, &blob, out);
}

qn_status qn_graph_add_encoding(struct qn_graph *g, const struct qn_encoding *encoding, uint32_t *out)
{
    const qn_value constants[] = {encoding->scales, encoding->zero_points};
    for (int i = 0; i < 2; i++)
        if (constants[i] >= g->values.count || (i == 0 && constants[i] == 0) ||
            (constants[i] && g->values.items[constants[i]].kind != QN_VALUE_CONSTANT))
            return QN_ERROR(QN_INVALID_ARGUMENT, "encoding: value %u is no constant", constants[i]);
    if (encoding->axis < -1 || encoding->axis >= QN_MAX_RANK)
        return QN_ERROR(QN_INVALID_ARGUMENT, "encoding: axis %d", encoding->axis);
    for (uint32_t i = 1; i < g->encodings.count; i++)
        if (memcmp(&g->encodings.items[i], encoding, sizeof *encoding) == 0) {
            *out = i;
            return NULL;
        }
    if (!qn_array_push(&g->encodings, g->allocator, *encoding))
        return QN_OOM();
    *out = g->encodings.count - 1;
    return NULL;
}

/* ---- nodes ---------------------------------------------------------------------------------------------------- */

enum { ATTR_ALIGN = 8 };

static qn_status check_inputs(const struct qn_graph *g, const struct qn_op_info *info, const qn_value *inputs,
                              uint32_t count)
{
    uint32_t most = info->max_inputs == QN_ANY ? QN_MAX_OPERANDS : info->max_inputs;
    if (count < info->min_inputs || count > most)
        return QN_ERROR(QN_INVALID_ARGUMENT, "has %u inputs, takes %u to %u", count, info->min_inputs, most);
    for (uint32_t i = 0; i < count; i++) {
        if (inputs[i] >= g->values.count)
            return QN_ERROR(QN_INVALID_ARGUMENT, "input %u is value %u, the graph has %u", i, inputs[i],
                            g->values.count - 1);
        if (inputs[i] == 0 && i < info->min_inputs)
            return QN_ERROR(QN_INVALID_ARGUMENT, "input %u is absent", i);
    }
    return NULL;
}

qn_status qn_attr_check(const struct qn_graph *g, uint16_t op, const void *attr)
{
    const struct qn_op_info *info = qn_op_info(op);
    for (uint32_t i = 0; i < info->field_count; i++) {
        const struct qn_attr_field *field = &info->fields[i];
        const void *at = (const char *)attr + field->offset;
        if (field->kind == QN_ATTR_dim)
            QN_TRY(qn_status_note(check_dim(g, *(const qn_dim *)at), "%s", field->name));
        if (field->kind == QN_ATTR_floats && ((const struct qn_floats *)at)->count > QN_MAX_RANK)
            return QN_ERROR(QN_INVALID_ARGUMENT, "%s has more than %d entries", field->name, QN_MAX_RANK);
        if (field->kind != QN_ATTR_ints && field->kind != QN_ATTR_dims)
            continue;
        const struct qn_ints *ints = at;
        if (ints->count > QN_MAX_RANK)
            return QN_ERROR(QN_INVALID_ARGUMENT, "%s has %u entries, at most %d", field->name, ints->count,
                            QN_MAX_RANK);
        for (uint32_t k = 0; k < ints->count && field->kind == QN_ATTR_dims; k++)
            QN_TRY(qn_status_note(check_dim(g, ints->items[k]), "%s", field->name));
    }
    return NULL;
}

static qn_status infer(const struct qn_op_info *info, const qn_value *inputs, const struct qn_type **types,
                       const struct qn_shape_context *c)
{
    for (uint32_t i = 0; i < c->input_count; i++)
        types[i] = inputs[i] ? qn_graph_type(c->graph, inputs[i]) : NULL;
    QN_TRY(info->shape(c));
    for (uint32_t i = 0; i < info->outputs; i++)
        QN_TRY(qn_status_note(qn_type_check(c->graph, &c->outputs[i]), "output %u", i));
    return NULL;
}

qn_status qn_shape_infer(struct qn_graph *g, uint16_t op, const qn_value *inputs, uint32_t count, const void *attr,
                         struct qn_type *outputs)
{
    const struct qn_type *few[QN_MAX_INPUTS], **types = few;
    struct qn_shape_context context = {.graph = g, .input_count = count, .attr = attr, .outputs = outputs};
    if (count > QN_MAX_INPUTS && !(types = qn_calloc(g->allocator, count, sizeof(*types))))
        return QN_OOM();
    context.inputs = types;
    qn_status status = infer(qn_op_info(op), inputs, types, &context);
    if (types != few)
        qn_free(g->allocator, types, count * sizeof(*types));
    return status;
}

/* All room that the node needs, so that nothing fails half way. */
static qn_status reserve_node(struct qn_graph *g, const struct qn_op_info *info, uint32_t input_count,
                              uint32_t output_count)
{
    if (g->nodes.count >= QN_SHARE_MAX_ID || g->edges.count > UINT32_MAX - QN_MAX_OPERANDS ||
        g->attrs.count > UINT32_MAX - 2 * sizeof(union qn_attr_any))
        return QN_ERROR(QN_OUT_OF_RANGE, "graph has too many nodes");
    QN_TRY(reserve_values(g, output_count));
    if (!qn_array_reserve(&g->nodes, g->allocator, (uint64_t)g->nodes.count + 1) ||
        !qn_array_reserve(&g->edges, g->allocator, (uint64_t)g->edges.count + input_count) ||
        !qn_array_reserve(&g->attrs, g->allocator, (uint64_t)g->attrs.count + info->attr_size + ATTR_ALIGN))
        return QN_OOM();
    return NULL;
}

static void push_node(struct qn_graph *g, const struct qn_op_info *info, const struct qn_share_node *key,
                      const struct qn_type *types, uint32_t output_count, struct qn_str name)
{
    uint32_t attr_end = (info->attr_size + ATTR_ALIGN - 1) / ATTR_ALIGN * ATTR_ALIGN;
    struct qn_node_info node = {.op = key->op,
                                .input_count = (uint16_t)key->input_count,
                                .output_count = (uint16_t)output_count,
                                .first_input = g->edges.count,
                                .first_output = g->values.count,
                                .attr = g->attrs.count,
                                .name = name};
    memset(g->attrs.items + g->attrs.count, 0, attr_end);
    memcpy(g->attrs.items + g->attrs.count, key->attr, info->attr_size);
    g->attrs.count += attr_end;
    for (uint32_t i = 0; i < key->input_count; i++)
        g->edges.items[g->edges.count++] = key->inputs[i];
    qn_node n = g->nodes.count++;
    g->nodes.items[n] = node;
    for (uint32_t i = 0; i < output_count; i++)
        push_value(
            g, (struct qn_value_info){.type = clean_type(&types[i]), .kind = QN_VALUE_NODE, .producer = n, .index = i});
    qn_share_add(g, QN_SHARE_NODE, n);
}

/* Checks that a rule has noted since there were `count` get the node's name, or go when the node is not added. */
static void name_checks(struct qn_graph *g, uint32_t count, const struct qn_op_info *info, struct qn_str name)
{
    for (; count < g->checks.count; count++)
        g->checks.items[count].node = name.size ? name : qn_str_from(info->name);
}

/* A node that does not exist yet. types NULL: the op's rule gives them. */
static qn_status append_node(struct qn_graph *g, const struct qn_op_info *info, const struct qn_share_node *key,
                             const struct qn_type *types, uint32_t output_count, struct qn_str name)
{
    struct qn_type inferred[QN_MAX_OUTPUTS] = {0};
    struct qn_str copy = {0};
    if (!types) {
        QN_TRY(qn_shape_infer(g, key->op, key->inputs, key->input_count, key->attr, inferred));
        types = inferred;
    }
    QN_TRY(reserve_node(g, info, key->input_count, output_count));
    if (name.size)
        QN_TRY(copy_name(g, name, &copy));
    push_node(g, info, key, types, output_count, copy);
    return NULL;
}

static qn_status add_node(struct qn_graph *g, const struct qn_op_info *info, const struct qn_share_node *wanted,
                          const struct qn_type *types, uint32_t output_count, struct qn_str name, qn_value *outs)
{
    union qn_attr_any attr;
    struct qn_share_node normal = *wanted, *key = &normal; /* with the attributes in their normal form */
    memset(&attr, 0, sizeof attr);
    QN_TRY(check_inputs(g, info, key->inputs, key->input_count));
    if (key->attr) {
        QN_TRY(qn_attr_check(g, key->op, key->attr));
        qn_attr_copy(key->op, &attr, key->attr);
    }
    qn_value first = key->input_count ? key->inputs[0] : 0;
    qn_attr_normalise(key->op, &attr, first ? qn_graph_type(g, first) : NULL);
    key->attr = &attr;
    uint32_t found = info->traits & QN_OP_PURE ? qn_share_find(g, QN_SHARE_NODE, key) : UINT32_MAX;
    if (found == UINT32_MAX) {
        uint32_t checks = g->checks.count;
        qn_status status = append_node(g, info, key, types, output_count, name);
        if (status) {
            g->checks.count = checks;
            return status;
        }
        found = g->nodes.count - 1;
        name_checks(g, checks, info, g->nodes.items[found].name);
    }
    for (uint32_t i = 0; i < output_count; i++)
        outs[i] = qn_graph_output_of(g, found, i);
    return NULL;
}

/* `inputs` may lie in this graph's edge pool, which grows: the node is made from a copy. */
static qn_status add_copied(struct qn_graph *g, const struct qn_op_info *info, const struct qn_share_node *wanted,
                            const struct qn_type *types, uint32_t output_count, struct qn_str name, qn_value *outs)
{
    qn_value few[QN_MAX_INPUTS], *own = few;
    struct qn_share_node key = *wanted;
    if (key.input_count > QN_MAX_OPERANDS || output_count > QN_MAX_OPERANDS)
        return QN_ERROR(QN_INVALID_ARGUMENT, "has %u inputs and %u outputs, at most %d", key.input_count, output_count,
                        QN_MAX_OPERANDS);
    size_t bytes = key.input_count * sizeof *own;
    if (key.input_count > QN_MAX_INPUTS && !(own = qn_alloc(g->allocator, bytes)))
        return QN_OOM();
    for (uint32_t i = 0; i < key.input_count; i++)
        own[i] = wanted->inputs[i];
    key.inputs = own;
    qn_status status = add_node(g, info, &key, types, output_count, name, outs);
    if (own != few)
        qn_free(g->allocator, own, bytes);
    return status;
}

static qn_status name_error(const struct qn_graph *g, const struct qn_op_info *info, struct qn_str name,
                            qn_status status)
{
    if (name.size)
        return qn_status_note(status, "node '%.*s' (%s)", QN_STR_ARG(name), info->name);
    return qn_status_note(status, "node %u (%s)", g->nodes.count, info->name);
}

qn_status qn_graph_add_node(struct qn_graph *g, uint16_t op, const qn_value *inputs, uint32_t input_count,
                            const void *attr, struct qn_str name, qn_value *outs)
{
    const struct qn_op_info *info = qn_op_info(op);
    if (!info->name)
        return QN_ERROR(QN_INVALID_ARGUMENT, "node '%.*s': unknown op %u", QN_STR_ARG(name), op);
    if (qn_op_is_call(op))
        return QN_ERROR(QN_INVALID_ARGUMENT, "node '%.*s' (%s): its output types must be given", QN_STR_ARG(name),
                        info->name);
    while (input_count > info->min_inputs && inputs[input_count - 1] == 0)
        input_count--; /* absent at the end: equal nodes have equal lists */
    struct qn_share_node key = {op, inputs, input_count, attr};
    return name_error(g, info, name, add_copied(g, info, &key, NULL, info->outputs, name, outs));
}

static qn_status check_call(const struct qn_graph *g, uint16_t op, const struct qn_type *types, uint32_t count)
{
    if (!qn_op_is_call(op))
        return QN_ERROR(QN_INVALID_ARGUMENT, "the output types of this op are inferred");
    for (uint32_t i = 0; i < count; i++)
        QN_TRY(qn_status_note(qn_type_check(g, &types[i]), "output %u", i));
    return NULL;
}

qn_status qn_graph_add_call(struct qn_graph *g, uint16_t op, const qn_value *inputs, uint32_t input_count,
                            const void *attr, struct qn_str name, const struct qn_type *types, uint32_t output_count,
                            qn_value *outs)
{
    const struct qn_op_info *info = qn_op_info(op);
    if (!info->name)
        return QN_ERROR(QN_INVALID_ARGUMENT, "node '%.*s': unknown op %u", QN_STR_ARG(name), op);
    struct qn_share_node key = {op, inputs, input_count, attr};
    qn_status status = check_call(g, op, types, output_count);
    if (!status)
        status = add_copied(g, info, &key, types, output_count, name, outs);
    return name_error(g, info, name, status);
}
