#include "ir/node_view.h"

const char *qn_node_view_op(const struct qn_node_view *view)
{
    return view->op;
}

const char *qn_node_view_name(const struct qn_node_view *view)
{
    return view->name;
}

/* ---- attributes ----------------------------------------------------------------------------------------------- */

static const struct qn_node_view_attr *find(const struct qn_node_view *view, const char *name, int kind)
{
    for (uint32_t i = 0; i < view->attr_count; i++)
        if (qn_str_is(view->attrs[i].name, name) && (int)view->attrs[i].kind == kind)
            return &view->attrs[i];
    return NULL;
}

bool qn_node_view_int(const struct qn_node_view *view, const char *name, int64_t *out)
{
    const struct qn_node_view_attr *attr = find(view, name, QN_NODE_VIEW_INTS);
    if (attr && attr->single)
        *out = attr->ints[0];
    return attr && attr->single;
}

bool qn_node_view_float(const struct qn_node_view *view, const char *name, double *out)
{
    const struct qn_node_view_attr *attr = find(view, name, QN_NODE_VIEW_FLOATS);
    if (attr && attr->single)
        *out = (double)attr->floats[0];
    return attr && attr->single;
}

bool qn_node_view_ints(const struct qn_node_view *view, const char *name, int64_t *out, uint32_t room, uint32_t *count)
{
    const struct qn_node_view_attr *attr = find(view, name, QN_NODE_VIEW_INTS);
    *count = attr ? attr->count : 0;
    for (uint32_t i = 0; i < *count && i < room; i++)
        out[i] = attr->ints[i];
    return attr;
}

bool qn_node_view_floats(const struct qn_node_view *view, const char *name, float *out, uint32_t room, uint32_t *count)
{
    const struct qn_node_view_attr *attr = find(view, name, QN_NODE_VIEW_FLOATS);
    *count = attr ? attr->count : 0;
    for (uint32_t i = 0; i < *count && i < room; i++)
        out[i] = attr->floats[i];
    return attr;
}

bool qn_node_view_text(const struct qn_node_view *view, const char *name, const char **data, size_t *size)
{
    const struct qn_node_view_attr *attr = find(view, name, QN_NODE_VIEW_TEXT);
    if (attr) {
        *data = attr->text.data;
        *size = attr->text.size;
    }
    return attr;
}

/* ---- types ---------------------------------------------------------------------------------------------------- */

uint32_t qn_node_view_input_count(const struct qn_node_view *view)
{
    return view->input_count;
}

uint32_t qn_node_view_output_count(const struct qn_node_view *view)
{
    return view->output_count;
}

void qn_node_view_input(const struct qn_node_view *view, uint32_t index, struct qn_tensor *type)
{
    *type = index < view->input_count ? view->inputs[index] : (struct qn_tensor){0};
}

void qn_node_view_output(const struct qn_node_view *view, uint32_t index, struct qn_tensor *type)
{
    *type = view->outputs && index < view->output_count ? view->outputs[index] : (struct qn_tensor){0};
}

/* ---- from a graph --------------------------------------------------------------------------------------------- */

struct qn_tensor qn_node_view_type(const struct qn_type *type)
{
    struct qn_tensor tensor = {.dtype = type->dtype, .rank = type->rank};
    for (uint32_t i = 0; i < type->rank; i++)
        tensor.dims[i] = type->dims[i] < 0 ? -1 : type->dims[i];
    return tensor;
}

/* Integers of any width as a list in the arena. */
static const int64_t *integers(struct qn_arena *arena, const int64_t *from, uint32_t count, bool dims)
{
    int64_t *list = qn_arena_alloc(arena, (count + 1) * sizeof *list, 8);
    for (uint32_t i = 0; list && i < count; i++)
        list[i] = dims && from[i] < 0 ? -1 : from[i];
    return list;
}

static bool take_field(const struct qn_attr_field *field, const void *at, struct qn_arena *arena,
                       struct qn_node_view_attr *out)
{
    const struct qn_ints *ints = at;
    const struct qn_floats *floats = at;
    int64_t number = 0;
    *out = (struct qn_node_view_attr){.name = qn_str_from(field->name), .single = true, .count = 1};
    switch (field->kind) {
    case QN_ATTR_bool_:
        number = *(const uint8_t *)at;
        break;
    case QN_ATTR_dtype:
        number = *(const uint32_t *)at;
        break;
    case QN_ATTR_i64:
    case QN_ATTR_dim:
        number = *(const int64_t *)at;
        break;
    case QN_ATTR_f32:
        out->kind = QN_NODE_VIEW_FLOATS;
        out->floats = at;
        return true;
    case QN_ATTR_floats:
        out->kind = QN_NODE_VIEW_FLOATS;
        out->single = false;
        out->count = floats->count;
        out->floats = floats->items;
        return true;
    case QN_ATTR_ints:
    case QN_ATTR_dims:
        out->single = false;
        out->count = ints->count;
        out->ints = integers(arena, ints->items, ints->count, field->kind == QN_ATTR_dims);
        return out->ints;
    case QN_ATTR_chain: /* a program, no attribute */
        out->count = 0;
        break;
    }
    out->kind = QN_NODE_VIEW_INTS;
    out->ints = integers(arena, &number, 1, field->kind == QN_ATTR_dim);
    return out->ints;
}

qn_status qn_node_view_make(const struct qn_graph *g, qn_node n, struct qn_arena *arena, struct qn_node_view **out)
{
    const struct qn_node_info *node = qn_graph_node(g, n);
    const struct qn_op_info *info = qn_op_info(node->op);
    struct qn_node_view *view = qn_arena_alloc(arena, sizeof *view, 8);
    struct qn_node_view_attr *attrs = qn_arena_alloc(arena, (info->field_count + 1) * sizeof *attrs, 8);
    uint32_t types = (uint32_t)node->input_count + node->output_count;
    struct qn_tensor *tensors = qn_arena_alloc(arena, (types + 1) * sizeof *tensors, 8);
    uint8_t *record = qn_arena_alloc(arena, info->attr_size + 1, 16); /* fields point into a copy that stays */
    struct qn_str name = qn_arena_str(arena, node->name);
    if (!view || !attrs || !tensors || !record || !name.data)
        return QN_OOM();
    memcpy(record, qn_graph_attr(g, n), info->attr_size);
    for (uint32_t i = 0; i < info->field_count; i++)
        if (!take_field(&info->fields[i], record + info->fields[i].offset, arena, &attrs[i]))
            return QN_OOM();
    for (uint32_t i = 0; i < types; i++) {
        qn_value v =
            i < node->input_count ? qn_graph_input_of(g, n, i) : qn_graph_output_of(g, n, i - node->input_count);
        tensors[i] = qn_node_view_type(qn_graph_type(g, v));
    }
    *view = (struct qn_node_view){.op = info->name,
                                  .name = name.data,
                                  .attrs = attrs,
                                  .attr_count = info->field_count,
                                  .input_count = node->input_count,
                                  .output_count = node->output_count,
                                  .inputs = tensors,
                                  .outputs = tensors + node->input_count};
    *out = view;
    return NULL;
}
