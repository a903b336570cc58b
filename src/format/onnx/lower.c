#include "format/onnx/lower.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "format/onnx/import_state.h"

/* ---- the table ------------------------------------------------------------------------------------------------ */

static const struct qn_lower_row rows[] = {
#define QN_LOWER_ROW(domain, name, since, function) {domain, name, since, qn_lower_##function},
#include "format/onnx/lower.def"
#undef QN_LOWER_ROW
    {NULL, NULL, 0, NULL},
};

const struct qn_lower_row *qn_lower_find(struct qn_str domain, struct qn_str name, uint32_t version)
{
    const struct qn_lower_row *best = NULL;
    for (const struct qn_lower_row *row = rows; row->name; row++)
        if (row->since <= version && (!best || row->since > best->since) && qn_str_is(name, row->name) &&
            qn_str_is(domain, row->domain))
            best = row;
    return best;
}

/* ---- stopping ------------------------------------------------------------------------------------------------- */

static qn_status *status_of(struct qn_lower *l)
{
    return &l->b->status;
}

void qn_onnx_fail(struct qn_lower *l, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (!*status_of(l))
        *status_of(l) = QN_ERROR(QN_INVALID_FILE, "%s", text);
}

void qn_onnx_defer(struct qn_lower *l, const char *why)
{
    if (*status_of(l))
        return;
    l->import->deferred = true;
    *status_of(l) = QN_ERROR(QN_UNSUPPORTED, "%s", why);
}

bool qn_onnx_static(struct qn_lower *l, qn_value v)
{
    if (*status_of(l))
        return false;
    const struct qn_type *type = qn_onnx_type_of(l, v);
    for (uint32_t i = 0; i < type->rank; i++)
        if (type->dims[i] < 0) {
            qn_onnx_defer(l, "a size is not known before the run");
            return false;
        }
    return true;
}

/* ---- inputs and outputs --------------------------------------------------------------------------------------- */

static uint32_t slot_of(const struct qn_lower *l, uint32_t i)
{
    return i < l->input_count ? l->import->step->inputs[i] : 0;
}

static struct qn_onnx_bound *entry_of(const struct qn_lower *l, uint32_t i)
{
    return qn_onnx_entry_of(l->import, slot_of(l, i));
}

qn_value qn_onnx_in_any(struct qn_lower *l, uint32_t i)
{
    return *status_of(l) || !slot_of(l, i) ? 0 : qn_onnx_entry_value(l->import, slot_of(l, i));
}

qn_value qn_onnx_in(struct qn_lower *l, uint32_t i)
{
    qn_value v = qn_onnx_in_any(l, i);
    if (!v || qn_onnx_type_of(l, v)->dtype != QN_DTYPE_OBJECT)
        return v;
    if (entry_of(l, i)->type.kind == QN_ONNX_SEQUENCE || entry_of(l, i)->type.kind == QN_ONNX_MAP)
        qn_onnx_fail(l, "input %" PRIu32 " is a sequence or map, expected a tensor", i);
    qn_onnx_defer(l, "the type of an input is not known before the run");
    return 0;
}

bool qn_onnx_has(const struct qn_lower *l, uint32_t i)
{
    return slot_of(l, i) && entry_of(l, i)->state != QN_ONNX_ABSENT;
}

struct qn_onnx_type qn_onnx_in_type(const struct qn_lower *l, uint32_t i)
{
    return slot_of(l, i) ? entry_of(l, i)->type : (struct qn_onnx_type){0};
}

bool qn_onnx_wants(const struct qn_lower *l, uint32_t i)
{
    const struct qn_onnx_import *im = l->import;
    uint32_t slot = i < l->output_count ? im->step->outputs[i] : 0;
    return slot && im->program->slots.items[slot].uses > 0;
}

static struct qn_onnx_bound *output_of(struct qn_lower *l, uint32_t i)
{
    uint32_t slot = i < l->output_count ? l->import->step->outputs[i] : 0;
    return slot ? &l->import->entries[slot] : NULL;
}

/* The node that makes an output goes by the output's name in messages, profiles and comparisons of runs, unless an
 * earlier output has named it: equal nodes are one. */
static void name_producer(struct qn_lower *l, uint32_t i, qn_value value)
{
    struct qn_graph *graph = l->b->graph;
    const struct qn_value_info *info = &graph->values.items[value];
    struct qn_str name = l->import->program->slots.items[l->import->step->outputs[i]].name;
    if (info->kind != QN_VALUE_NODE || !name.size || graph->nodes.items[info->producer].name.size)
        return;
    name = qn_arena_str(&graph->arena, name);
    if (name.data)
        graph->nodes.items[info->producer].name = name;
    else
        *status_of(l) = QN_OOM();
}

void qn_onnx_out(struct qn_lower *l, uint32_t i, qn_value value)
{
    struct qn_onnx_bound *out = output_of(l, i);
    if (*status_of(l) || !out || !value)
        return;
    name_producer(l, i, value);
    out->value = value;
    out->state = QN_ONNX_READY;
    out->type = (struct qn_onnx_type){.kind = QN_ONNX_TENSOR, .dtype = qn_onnx_type_of(l, value)->dtype};
}

void qn_onnx_out_same(struct qn_lower *l, uint32_t i, uint32_t input)
{
    struct qn_onnx_bound *out = output_of(l, i);
    if (!*status_of(l) && out)
        out->alias = slot_of(l, input);
}

void qn_onnx_out_contents(struct qn_lower *l, uint32_t i, const struct qn_contents *contents)
{
    struct qn_onnx_bound *out = output_of(l, i);
    if (*status_of(l) || !out)
        return;
    struct qn_contents *kept = QN_ARENA_NEW(&l->import->arena, struct qn_contents);
    if (!kept) {
        *status_of(l) = QN_OOM();
        return;
    }
    *kept = *contents;
    out->contents = kept;
    out->state = QN_ONNX_READY;
    out->type = (struct qn_onnx_type){.kind = QN_ONNX_TENSOR, .dtype = kept->dtype};
}

const struct qn_contents *qn_onnx_in_contents(struct qn_lower *l, uint32_t i)
{
    return *status_of(l) || !qn_onnx_has(l, i) ? NULL : qn_onnx_entry_contents(l->import, slot_of(l, i));
}

/* A tensor in an object, brought to the type that the model declares. */
static qn_value typed(struct qn_lower *l, uint32_t i, qn_value value, qn_dtype dtype)
{
    const struct qn_onnx_import *im = l->import;
    const struct qn_onnx_type_proto *proto = im->program->slots.items[im->step->outputs[i]].type;
    struct qn_type type;
    struct qn_attr_object_tensor attr = {0};
    if (!qn_onnx_declared_type(l->import, proto, &type) || (dtype && dtype != type.dtype))
        return 0;
    attr.dtype = type.dtype;
    attr.dims.count = type.rank;
    memcpy(attr.dims.items, type.dims, type.rank * sizeof type.dims[0]);
    return qn_build_node(l->b, QN_OP_object_tensor, &value, 1, &attr, NULL);
}

void qn_onnx_out_object(struct qn_lower *l, uint32_t i, qn_value value, struct qn_onnx_type type)
{
    struct qn_onnx_bound *out = output_of(l, i);
    if (*status_of(l) || !out || !value)
        return;
    if (qn_onnx_type_of(l, value)->dtype != QN_DTYPE_OBJECT) {
        qn_onnx_out(l, i, value);
        return;
    }
    qn_value tensor = type.kind == QN_ONNX_TENSOR ? typed(l, i, value, type.dtype) : 0;
    if (tensor) {
        qn_onnx_out(l, i, tensor);
        return;
    }
    out->value = value;
    out->state = QN_ONNX_READY;
    out->type = type;
}

int64_t qn_onnx_axis(struct qn_lower *l, int64_t axis, uint32_t rank, uint32_t extra)
{
    int64_t size = (int64_t)rank + extra;
    int64_t positive = axis < 0 ? axis + size : axis;
    if (*status_of(l))
        return 0;
    if (positive < 0 || positive >= size) {
        qn_onnx_fail(l, "axis %" PRId64 " of rank %" PRIu32, axis, rank);
        return 0;
    }
    return positive;
}

/* ---- attributes ----------------------------------------------------------------------------------------------- */

static const struct qn_onnx_attr *find(const struct qn_lower *l, const char *name)
{
    return qn_onnx_find_attr(l->import->step->frame, l->node, name);
}

static const struct qn_onnx_attr *find_kind(struct qn_lower *l, const char *name, enum qn_onnx_attr_kind kind,
                                            const char *kind_name)
{
    const struct qn_onnx_attr *attr = find(l, name);
    if (attr && attr->kind != kind) {
        qn_onnx_fail(l, "attribute '%s': expected %s", name, kind_name);
        return NULL;
    }
    return attr;
}

bool qn_onnx_has_attr(const struct qn_lower *l, const char *name)
{
    return find(l, name) != NULL;
}

int64_t qn_onnx_attr_i(struct qn_lower *l, const char *name, int64_t otherwise)
{
    const struct qn_onnx_attr *attr = find_kind(l, name, QN_ONNX_ATTR_INT, "an integer");
    return attr ? attr->i : otherwise;
}

float qn_onnx_attr_f(struct qn_lower *l, const char *name, float otherwise)
{
    const struct qn_onnx_attr *attr = find_kind(l, name, QN_ONNX_ATTR_FLOAT, "a float");
    return attr ? attr->f : otherwise;
}

struct qn_str qn_onnx_attr_s(struct qn_lower *l, const char *name, const char *otherwise)
{
    const struct qn_onnx_attr *attr = find_kind(l, name, QN_ONNX_ATTR_STRING, "a string");
    return attr ? attr->s : qn_str_from(otherwise);
}

int64_t qn_onnx_attr_choice(struct qn_lower *l, const char *name, int64_t otherwise, const char *const *names)
{
    const struct qn_onnx_attr *attr = find_kind(l, name, QN_ONNX_ATTR_STRING, "a string");
    if (!attr)
        return otherwise;
    char known[256] = "";
    size_t used = 0;
    for (int64_t i = 0; names[i]; i++) {
        if (qn_str_is(attr->s, names[i]))
            return i;
        if (used < sizeof known)
            used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "", names[i]);
    }
    qn_onnx_fail(l, "attribute '%s' is '%.*s'; known are %s", name, QN_STR_ARG(attr->s), known);
    return otherwise;
}

bool qn_onnx_attr_ints(struct qn_lower *l, const char *name, struct qn_ints *out)
{
    *out = (struct qn_ints){0};
    const struct qn_onnx_attr *attr = find_kind(l, name, QN_ONNX_ATTR_INTS, "a list of integers");
    if (!attr)
        return false;
    if (attr->count > QN_MAX_RANK) {
        qn_onnx_fail(l, "attribute '%s' has %" PRIu64 " entries, at most %d", name, attr->count, QN_MAX_RANK);
        return false;
    }
    out->count = (uint32_t)attr->count;
    for (uint32_t i = 0; i < out->count; i++)
        out->items[i] = attr->ints[i];
    return true;
}

const int64_t *qn_onnx_attr_i64s(struct qn_lower *l, const char *name, uint64_t *count)
{
    const struct qn_onnx_attr *attr = find_kind(l, name, QN_ONNX_ATTR_INTS, "a list of integers");
    *count = attr ? attr->count : 0;
    return attr ? attr->ints : NULL;
}

const float *qn_onnx_attr_f32s(struct qn_lower *l, const char *name, uint64_t *count)
{
    const struct qn_onnx_attr *attr = find_kind(l, name, QN_ONNX_ATTR_FLOATS, "a list of floats");
    *count = attr ? attr->count : 0;
    return attr ? attr->floats : NULL;
}

const struct qn_str *qn_onnx_attr_strs(struct qn_lower *l, const char *name, uint64_t *count)
{
    const struct qn_onnx_attr *attr = find_kind(l, name, QN_ONNX_ATTR_STRINGS, "a list of strings");
    *count = attr ? attr->count : 0;
    return attr ? attr->strings : NULL;
}

qn_dtype qn_onnx_attr_dtype(struct qn_lower *l, const char *name)
{
    const struct qn_onnx_attr *attr = find_kind(l, name, QN_ONNX_ATTR_INT, "a data type");
    if (!attr || attr->i == 0)
        return QN_DTYPE_NONE;
    qn_dtype dtype = attr->i > 0 && attr->i < 1000 ? qn_onnx_dtype((int32_t)attr->i) : QN_DTYPE_NONE;
    if (dtype == QN_DTYPE_NONE)
        qn_onnx_fail(l, "attribute '%s': unknown data type %" PRId64, name, attr->i);
    return dtype;
}

qn_value qn_onnx_attr_tensor(struct qn_lower *l, const char *name)
{
    const struct qn_onnx_attr *attr = find_kind(l, name, QN_ONNX_ATTR_TENSOR, "a tensor");
    struct qn_onnx_content content;
    qn_value out = 0;
    if (!attr || *status_of(l))
        return 0;
    *status_of(l) = qn_onnx_resolve(l->import->program->file, attr->t, &l->b->graph->arena, &content);
    if (*status_of(l))
        return 0;
    struct qn_type type = {.dtype = content.dtype, .rank = content.rank};
    memcpy(type.dims, content.dims, content.rank * sizeof type.dims[0]);
    *status_of(l) = qn_graph_add_data(l->b->graph, attr->t->name, &type, content.data, &out);
    return *status_of(l) ? 0 : out;
}

/* ---- contents ------------------------------------------------------------------------------------------------- */

static bool to_size(struct qn_lower *l, const struct qn_item *item, struct qn_size *out)
{
    *out = (struct qn_size){0};
    if (qn_item_get(item, &out->number))
        return true;
    out->symbolic = true;
    return qn_item_size(l->b->graph, item, &out->dim);
}

static bool is_integer(qn_dtype dtype)
{
    enum qn_dtype_class class_ = qn_dtype_info(dtype)->class_;
    return class_ == QN_DTYPE_CLASS_INT || class_ == QN_DTYPE_CLASS_UINT;
}

qn_dim qn_onnx_size_dim(struct qn_lower *l, const struct qn_size *size)
{
    if (!size->symbolic && size->number < 0)
        qn_onnx_fail(l, "the size %" PRId64 " is negative", size->number);
    return size->symbolic ? size->dim : size->number < 0 ? 0 : size->number;
}

bool qn_onnx_try_sizes(struct qn_lower *l, uint32_t i, struct qn_sizes *out)
{
    const struct qn_contents *c = qn_onnx_in_contents(l, i);
    *out = (struct qn_sizes){0};
    if (!c || c->inputs || !is_integer(c->dtype))
        return false;
    out->count = c->count;
    for (uint32_t k = 0; k < c->count; k++)
        if (!to_size(l, &c->items[k], &out->items[k]))
            return false;
    return true;
}

/* The run binds a late symbol to element k of x. */
static bool bind_late(struct qn_lower *l, qn_value x, uint32_t k, struct qn_size *out)
{
    const struct qn_type *type = qn_onnx_type_of(l, x);
    if (type->rank == 1 && type->dims[0] != 1)
        x = qn_build_slice(l->b, x, 0, k, k + 1);
    struct qn_attr_bind_dims attr = {.dims = {.count = 1, .items = {qn_onnx_late(l, "size")}}};
    qn_build_node(l->b, QN_OP_bind_dims, &x, 1, &attr, NULL);
    *out = (struct qn_size){.symbolic = true, .dim = attr.dims.items[0]};
    return !*status_of(l);
}

bool qn_onnx_sizes(struct qn_lower *l, uint32_t i, struct qn_sizes *out)
{
    *out = (struct qn_sizes){0};
    if (*status_of(l) || !qn_onnx_has(l, i))
        return false;
    const struct qn_contents *c = qn_onnx_in_contents(l, i);
    qn_value x = c && !c->inputs && qn_contents_known(c) ? 0 : qn_onnx_in(l, i);
    if (*status_of(l))
        return false;
    qn_dtype dtype = x ? qn_onnx_type_of(l, x)->dtype : c->dtype;
    uint32_t rank = x ? qn_onnx_rank(l, x) : c->rank;
    if (!is_integer(dtype) || rank > 1) {
        qn_onnx_fail(l, "input %" PRIu32 ": expected a list of integers", i);
        return false;
    }
    if (x && rank == 1 && (qn_onnx_type_of(l, x)->dims[0] < 0 || qn_onnx_type_of(l, x)->dims[0] > QN_CONTENTS_MAX)) {
        qn_onnx_defer(l, "the length of a list of sizes is not known before the run");
        return false;
    }
    out->count = x ? rank ? (uint32_t)qn_onnx_type_of(l, x)->dims[0] : 1 : c->count;
    if (x && dtype != QN_DTYPE_I32 && dtype != QN_DTYPE_I64)
        x = qn_build_cast(l->b, x, QN_DTYPE_I64);
    for (uint32_t k = 0; k < out->count && !*status_of(l); k++)
        if (!c || c->inputs || !to_size(l, &c->items[k], &out->items[k]))
            bind_late(l, x ? x : qn_onnx_in(l, i), k, &out->items[k]);
    return !*status_of(l);
}

bool qn_onnx_known(struct qn_lower *l, uint32_t i, struct qn_ints *out)
{
    *out = (struct qn_ints){0};
    if (*status_of(l) || !qn_onnx_has(l, i))
        return false;
    const struct qn_contents *c = qn_onnx_in_contents(l, i);
    if (!c || !qn_contents_numbers(c)) {
        qn_onnx_defer(l, "the contents of an input are not known before the run");
        return false;
    }
    if (!is_integer(c->dtype) || c->count > QN_MAX_RANK) {
        qn_onnx_fail(l, "input %" PRIu32 ": expected at most %d integers", i, QN_MAX_RANK);
        return false;
    }
    qn_onnx_pin(l->import, c);
    out->count = c->count;
    for (uint32_t k = 0; k < c->count; k++)
        qn_item_get(&c->items[k], &out->items[k]);
    return true;
}

/* Bytes that every run finds the same; `pin`: also those that this body was given. */
static const void *constant(const struct qn_lower *l, uint32_t i, bool pin)
{
    struct qn_onnx_import *im = l->import;
    const struct qn_onnx_bound *entry = entry_of(l, i);
    const struct qn_onnx_slot *s = &im->program->slots.items[entry - im->entries];
    struct qn_onnx_content content;
    if (s->tensor || s->sparse) {
        qn_status status = s->sparse ? qn_onnx_resolve_sparse(im->program->file, s->sparse, &im->arena, &content)
                                     : qn_onnx_resolve(im->program->file, s->tensor, &im->arena, &content);
        bool ok = !status;
        qn_status_ignore(status);
        if (!ok)
            return NULL;
        if (content.aligned || !content.in_file)
            return content.data;
        void *copy = qn_arena_alloc(&im->arena, content.bytes, 64);
        return copy ? memcpy(copy, content.data, content.bytes) : NULL;
    }
    if (entry->input && im->inputs && pin && !im->inputs[entry->input - 1].symbolic) {
        struct qn_body_input *input = &im->inputs[entry->input - 1];
        input->pinned |= input->data != NULL;
        return input->data;
    }
    const struct qn_contents *c = qn_onnx_entry_contents(im, slot_of(l, i));
    if (c && qn_contents_numbers(c) && (pin || !c->inputs)) {
        void *bytes = qn_arena_alloc(&im->arena, (size_t)c->count * 8, 64);
        if (bytes)
            qn_contents_write(c, bytes);
        qn_onnx_pin(im, c);
        return bytes;
    }
    if (entry->value && im->graph->values.items[entry->value].kind == QN_VALUE_CONSTANT) {
        const struct qn_blob *blob = &im->graph->blobs.items[im->graph->values.items[entry->value].index];
        return blob->place == QN_BLOB_MEMORY ? blob->data : NULL;
    }
    return NULL;
}

const void *qn_onnx_try_constant(const struct qn_lower *l, uint32_t i)
{
    return l->b->status || !qn_onnx_has(l, i) ? NULL : constant(l, i, false);
}

const void *qn_onnx_constant(struct qn_lower *l, uint32_t i)
{
    if (*status_of(l) || !qn_onnx_has(l, i))
        return NULL;
    const void *data = constant(l, i, true);
    if (!data)
        qn_onnx_defer(l, "the contents of an input are not known before the run");
    return data;
}

void qn_onnx_out_sizes(struct qn_lower *l, uint32_t i, const struct qn_sizes *sizes)
{
    struct qn_onnx_bound *out = output_of(l, i);
    if (*status_of(l) || !out || sizes->count > QN_CONTENTS_MAX)
        return;
    struct qn_contents *c = QN_ARENA_NEW(&l->import->arena, struct qn_contents);
    if (!c)
        return;
    const struct qn_type *type = out->value ? qn_onnx_type_of(l, out->value) : NULL;
    c->dtype = type ? type->dtype : QN_DTYPE_I64;
    c->rank = type ? type->rank : 1;
    c->count = sizes->count;
    for (uint32_t k = 0; k < sizes->count; k++)
        c->items[k] =
            sizes->items[k].symbolic ? qn_item_dim(sizes->items[k].dim) : qn_item_number(sizes->items[k].number);
    if (c->rank > 1 || !qn_contents_dtype(c->dtype))
        return;
    out->contents = c;
    out->state = QN_ONNX_READY;
    out->type = (struct qn_onnx_type){.kind = QN_ONNX_TENSOR, .dtype = c->dtype};
}

/* ---- building ------------------------------------------------------------------------------------------------- */

qn_dim qn_onnx_late(struct qn_lower *l, const char *hint)
{
    qn_dim out = 0;
    if (!*status_of(l))
        *status_of(l) = qn_graph_fresh_symbol(l->b->graph, hint, true, &out);
    return *status_of(l) ? 0 : out;
}

void qn_onnx_node(struct qn_lower *l, uint16_t op, const qn_value *inputs, uint32_t count, const void *attr,
                  qn_value *outs, uint32_t outputs)
{
    if (!*status_of(l))
        *status_of(l) = qn_graph_add_node(l->b->graph, op, inputs, count, attr, l->node->name, outs);
    for (uint32_t i = 0; i < outputs && *status_of(l); i++)
        outs[i] = 0;
}

qn_value qn_onnx_data(struct qn_lower *l, qn_dtype dtype, uint32_t rank, const int64_t *dims, const void *data)
{
    struct qn_type type = {.dtype = dtype, .rank = rank};
    qn_value out = 0;
    if (*status_of(l))
        return 0;
    for (uint32_t i = 0; i < rank; i++)
        type.dims[i] = dims ? dims[i] : 1;
    *status_of(l) = qn_graph_add_data(l->b->graph, (struct qn_str){0}, &type, data, &out);
    return *status_of(l) ? 0 : out;
}

qn_value qn_onnx_i64(struct qn_lower *l, int64_t value)
{
    return qn_onnx_data(l, QN_DTYPE_I64, 0, NULL, &value);
}

qn_value qn_onnx_i64_list(struct qn_lower *l, const int64_t *values, uint32_t count)
{
    int64_t dim = count;
    return qn_onnx_data(l, QN_DTYPE_I64, 1, &dim, values);
}

qn_value qn_onnx_strings(struct qn_lower *l, const struct qn_str *values, uint32_t count)
{
    int64_t dim = count;
    struct qn_string *views = QN_ARENA_ARRAY(&l->import->arena, struct qn_string, (size_t)count + 1);
    if (*status_of(l))
        return 0;
    if (!views) {
        *status_of(l) = QN_OOM();
        return 0;
    }
    for (uint32_t i = 0; i < count; i++)
        views[i] = (struct qn_string){values[i].data, values[i].size};
    return qn_onnx_data(l, QN_DTYPE_STRING, 1, &dim, views);
}

qn_value qn_onnx_number(struct qn_lower *l, qn_dtype dtype, double value)
{
    enum qn_dtype_class class_ = qn_dtype_info(dtype)->class_;
    if (*status_of(l))
        return 0;
    if (class_ == QN_DTYPE_CLASS_FLOAT)
        return qn_build_scalar_as(l->b, dtype, value);
    if (class_ != QN_DTYPE_CLASS_INT && class_ != QN_DTYPE_CLASS_UINT && class_ != QN_DTYPE_CLASS_BOOL) {
        qn_onnx_fail(l, "a number as %s", qn_dtype_name(dtype));
        return 0;
    }
    int64_t whole = 0;   /* NaN stays so */
    if (value >= 0x1p63) /* little-endian: low bytes */
        whole = value < 0x1p64 ? (int64_t)(uint64_t)value : -1;
    else if (value == value)
        whole = value > -0x1p63 ? (int64_t)value : INT64_MIN;
    return qn_onnx_data(l, dtype, 0, NULL, &whole);
}

qn_value qn_onnx_squeeze(struct qn_lower *l, qn_value x, const struct qn_ints *axes)
{
    qn_dim dims[QN_MAX_RANK];
    uint32_t rank = 0, taken = 0, old = *status_of(l) ? 0 : qn_onnx_rank(l, x);
    for (uint32_t i = 0; i < axes->count; i++)
        taken |= 1u << qn_onnx_axis(l, axes->items[i], old, 0);
    if (*status_of(l))
        return 0;
    for (uint32_t i = 0; i < old; i++)
        if (!(taken >> i & 1))
            dims[rank++] = qn_onnx_type_of(l, x)->dims[i];
    return qn_build_reshape(l->b, x, rank, dims);
}

qn_value qn_onnx_unsqueeze(struct qn_lower *l, qn_value x, const struct qn_ints *axes)
{
    qn_dim dims[QN_MAX_RANK];
    uint32_t added = 0, old = *status_of(l) ? 0 : qn_onnx_rank(l, x), rank = old + axes->count;
    if (rank > QN_MAX_RANK)
        qn_onnx_fail(l, "rank %" PRIu32 ", at most %d", rank, QN_MAX_RANK);
    for (uint32_t i = 0; i < axes->count; i++) {
        int64_t axis = qn_onnx_axis(l, axes->items[i], old, axes->count);
        if (added >> axis & 1)
            qn_onnx_fail(l, "axis %" PRId64 " is named twice", axis);
        added |= 1u << axis;
    }
    if (*status_of(l))
        return 0;
    for (uint32_t i = 0, from = 0; i < rank; i++)
        dims[i] = added >> i & 1 ? 1 : qn_onnx_type_of(l, x)->dims[from++];
    return qn_build_reshape(l->b, x, rank, dims);
}
