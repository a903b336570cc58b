#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "ir/ir.h"
#include "quern/tensor.h"

/* ---- dims and types ------------------------------------------------------------------------------------------- */

static bool plain_name(struct qn_str name)
{
    if (name.size == 0)
        return false;
    for (size_t i = 0; i < name.size; i++) {
        char c = name.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        bool digit = (c >= '0' && c <= '9') || c == '.';
        if (!letter && !(digit && i > 0))
            return false;
    }
    return !qn_str_is(name, "min") && !qn_str_is(name, "max");
}

/* In quotes; what is not printable ASCII as \xx. */
static void print_quoted(struct qn_str text, struct qn_strbuf *out)
{
    qn_strbuf_add(out, "\"");
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c == '"' || c == '\\')
            qn_strbuf_printf(out, "\\%c", c);
        else if (c < 32 || c == 127)
            qn_strbuf_printf(out, "\\x%02x", c);
        else
            qn_strbuf_append(out, &c, 1);
    }
    qn_strbuf_add(out, "\"");
}

static void print_name(struct qn_str name, struct qn_strbuf *out)
{
    if (plain_name(name))
        qn_strbuf_append(out, name.data, name.size);
    else
        print_quoted(name, out);
}

/* How tightly an operator binds: operands that bind less get parentheses. */
static int strength(const struct qn_graph *g, qn_dim dim)
{
    if (dim >= 0)
        return 3;
    switch (g->exprs.items[~dim].op) {
    case QN_EXPR_ADD:
    case QN_EXPR_SUB:
        return 1;
    case QN_EXPR_MUL:
    case QN_EXPR_DIV:
    case QN_EXPR_MOD:
        return 2;
    default:
        return 3;
    }
}

static void print_operand(const struct qn_graph *g, qn_dim dim, int needed, struct qn_strbuf *out)
{
    bool parentheses = strength(g, dim) < needed;
    if (parentheses)
        qn_strbuf_add(out, "(");
    qn_dim_print(g, dim, out);
    if (parentheses)
        qn_strbuf_add(out, ")");
}

void qn_dim_print(const struct qn_graph *g, qn_dim dim, struct qn_strbuf *out)
{
    static const char *const operators[] = {
        [QN_EXPR_ADD] = "+", [QN_EXPR_SUB] = "-", [QN_EXPR_MUL] = "*", [QN_EXPR_DIV] = "/", [QN_EXPR_MOD] = "%"};
    if (dim >= 0) {
        qn_strbuf_printf(out, "%" PRId64, dim);
        return;
    }
    if ((uint64_t)~dim >= g->exprs.count) { /* only in messages about a broken graph */
        qn_strbuf_add(out, "?");
        return;
    }
    const struct qn_expr *expr = &g->exprs.items[~dim];
    if (expr->op == QN_EXPR_SYMBOL) {
        print_name(g->symbols.items[expr->a].name, out);
    } else if (expr->op == QN_EXPR_MIN || expr->op == QN_EXPR_MAX) {
        qn_strbuf_add(out, expr->op == QN_EXPR_MIN ? "min(" : "max(");
        qn_dim_print(g, expr->a, out);
        qn_strbuf_add(out, ",");
        qn_dim_print(g, expr->b, out);
        qn_strbuf_add(out, ")");
    } else {
        print_operand(g, expr->a, strength(g, dim), out);
        qn_strbuf_add(out, operators[expr->op]);
        print_operand(g, expr->b, strength(g, dim) + 1, out);
    }
}

static void print_dims(const struct qn_graph *g, const qn_dim *dims, uint32_t count, struct qn_strbuf *out)
{
    qn_strbuf_add(out, "[");
    for (uint32_t i = 0; i < count && i < QN_MAX_RANK; i++) {
        if (i)
            qn_strbuf_add(out, ",");
        qn_dim_print(g, dims[i], out);
    }
    qn_strbuf_add(out, "]");
}

void qn_type_print(const struct qn_graph *g, const struct qn_type *type, struct qn_strbuf *out)
{
    qn_strbuf_add(out, qn_dtype_name(type->dtype));
    if (type->encoding)
        qn_strbuf_printf(out, "<%" PRIu32 ">", type->encoding);
    print_dims(g, type->dims, type->rank, out);
}

struct qn_type_text qn_type_text(const struct qn_graph *g, const struct qn_type *type)
{
    struct qn_type_text fixed = {"?"};
    struct qn_strbuf buf;
    qn_strbuf_init(&buf, g->allocator);
    qn_type_print(g, type, &buf);
    if (!buf.failed)
        snprintf(fixed.text, sizeof fixed.text, "%.*s", QN_STR_ARG(qn_strbuf_view(&buf)));
    qn_strbuf_deinit(&buf);
    return fixed;
}

/* ---- numbers -------------------------------------------------------------------------------------------------- */

/* The shortest form that reads back as the same number, with a point whatever the locale. */
static void print_number(double value, bool single, struct qn_strbuf *out)
{
    char text[40];
    if (isnan(value) || isinf(value)) {
        qn_strbuf_add(out, isnan(value) ? "nan" : value > 0 ? "inf" : "-inf");
        return;
    }
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        double back = strtod(text, NULL);
        if (single ? (float)back == (float)value : back == value)
            break;
    }
    for (char *c = text; *c; c++)
        if (*c == ',')
            *c = '.';
    qn_strbuf_add(out, text);
}

static void print_element(qn_dtype dtype, const void *data, struct qn_strbuf *out)
{
    const struct qn_dtype_info *info = qn_dtype_info(dtype);
    uint32_t rest = 64 - 8 * info->block_bytes;
    uint64_t bits = 0;
    float single;
    double wide;
    if (dtype == QN_DTYPE_STRING) {
        const struct qn_string *string = data;
        print_quoted((struct qn_str){string->data, string->size}, out);
        return;
    }
    switch (dtype) {
    case QN_DTYPE_F32:
        memcpy(&single, data, sizeof single);
        print_number((double)single, true, out);
        return;
    case QN_DTYPE_F64:
        memcpy(&wide, data, sizeof wide);
        print_number(wide, false, out);
        return;
    default:
        memcpy(&bits, data, info->block_bytes); /* an integer of any width; blobs are little-endian */
        if (info->class_ == QN_DTYPE_CLASS_INT)
            qn_strbuf_printf(out, "%" PRId64, (int64_t)(bits << rest) >> rest);
        else
            qn_strbuf_printf(out, "%" PRIu64, bits);
        return;
    }
}

static bool is_nan(qn_dtype dtype, const void *data)
{
    float single;
    double wide;
    if (dtype == QN_DTYPE_F32) {
        memcpy(&single, data, sizeof single);
        return isnan(single);
    }
    memcpy(&wide, data, sizeof wide);
    return dtype == QN_DTYPE_F64 && isnan(wide);
}

/* Short lists of numbers as numbers, everything else in hexadecimal. */
static bool prints_as_numbers(const struct qn_type *type, const struct qn_blob *blob)
{
    enum { MOST = 16 };
    const struct qn_dtype_info *info = qn_dtype_info(type->dtype);
    if (info->class_ == QN_DTYPE_CLASS_STRING)
        return true; /* however many */
    if (info->class_ == QN_DTYPE_CLASS_COMPLEX)
        return false;
    bool half = info->class_ == QN_DTYPE_CLASS_FLOAT && info->block_bytes < 4;
    if (half || info->class_ == QN_DTYPE_CLASS_BLOCK || blob->bytes / info->block_bytes > MOST)
        return false;
    if (info->class_ == QN_DTYPE_CLASS_FLOAT)
        for (uint64_t at = 0; at < blob->bytes; at += info->block_bytes)
            if (is_nan(type->dtype, (const char *)blob->data + at))
                return false; /* its bits would be lost */
    return true;
}

/* ---- the graph ------------------------------------------------------------------------------------------------ */

static void print_blob(const struct qn_type *type, const struct qn_blob *blob, struct qn_strbuf *out)
{
    const uint8_t *bytes = blob->data;
    if (blob->place == QN_BLOB_FILE) {
        qn_strbuf_printf(out, "@%" PRIu32 ":%" PRIu64 ":%" PRIu64, blob->file, blob->offset, blob->bytes);
    } else if (prints_as_numbers(type, blob)) {
        uint32_t step = qn_dtype_info(type->dtype)->block_bytes;
        qn_strbuf_add(out, "{");
        for (uint64_t at = 0; at < blob->bytes; at += step) {
            qn_strbuf_add(out, at ? ", " : "");
            print_element(type->dtype, bytes + at, out);
        }
        qn_strbuf_add(out, "}");
    } else {
        qn_strbuf_add(out, "x\"");
        for (uint64_t at = 0; at < blob->bytes; at++)
            qn_strbuf_printf(out, "%02x", bytes[at]);
        qn_strbuf_add(out, "\"");
    }
}

static void print_ints(const struct qn_ints *ints, struct qn_strbuf *out)
{
    qn_strbuf_add(out, "[");
    for (uint32_t i = 0; i < ints->count; i++)
        qn_strbuf_printf(out, "%s%" PRId64, i ? "," : "", ints->items[i]);
    qn_strbuf_add(out, "]");
}

static void print_floats(const struct qn_floats *floats, struct qn_strbuf *out)
{
    qn_strbuf_add(out, "[");
    for (uint32_t i = 0; i < floats->count && i < QN_MAX_RANK; i++) {
        qn_strbuf_add(out, i ? "," : "");
        print_number((double)floats->items[i], true, out);
    }
    qn_strbuf_add(out, "]");
}

/* [add f32 128 129 0, relu f32 0 0 0]: an instruction's op, dtype and operands. */
static void print_chain(const struct qn_chain *chain, struct qn_strbuf *out)
{
    qn_strbuf_add(out, "[");
    for (uint32_t i = 0; i < QN_CHAIN_MAX && chain->steps[i].op; i++) {
        const struct qn_chain_step *step = &chain->steps[i];
        qn_strbuf_printf(out, "%s%s %s %u %u %u", i ? ", " : "", qn_op_info(step->op)->name,
                         qn_dtype_name((qn_dtype)step->dtype), step->a, step->b, step->c);
    }
    qn_strbuf_add(out, "]");
}

static void print_field(const struct qn_graph *g, enum qn_attr_kind kind, const void *at, struct qn_strbuf *out)
{
    const struct qn_ints *ints = at;
    switch (kind) {
    case QN_ATTR_bool_:
        qn_strbuf_printf(out, "%u", *(const uint8_t *)at);
        break;
    case QN_ATTR_i64:
        qn_strbuf_printf(out, "%" PRId64, *(const int64_t *)at);
        break;
    case QN_ATTR_f32:
        print_number((double)*(const float *)at, true, out);
        break;
    case QN_ATTR_dtype:
        qn_strbuf_add(out, qn_dtype_name((qn_dtype) * (const uint32_t *)at));
        break;
    case QN_ATTR_ints:
        print_ints(ints, out);
        break;
    case QN_ATTR_dim:
        qn_dim_print(g, *(const qn_dim *)at, out);
        break;
    case QN_ATTR_dims:
        print_dims(g, ints->items, ints->count, out);
        break;
    case QN_ATTR_floats:
        print_floats(at, out);
        break;
    case QN_ATTR_chain:
        print_chain(at, out);
        break;
    }
}

static bool all_zero(const uint8_t *bytes, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++)
        if (bytes[i])
            return false;
    return true;
}

/* Fields that are zero are left out: zero is every field's default. */
static void print_attr(const struct qn_graph *g, qn_node n, struct qn_strbuf *out)
{
    const struct qn_op_info *info = qn_op_info(qn_graph_node(g, n)->op);
    const uint8_t *attr = qn_graph_attr(g, n);
    const char *before = " {";
    for (uint32_t i = 0; i < info->field_count; i++) {
        const struct qn_attr_field *field = &info->fields[i];
        if (all_zero(attr + field->offset, field->size))
            continue;
        qn_strbuf_printf(out, "%s%s=", before, field->name);
        print_field(g, field->kind, attr + field->offset, out);
        before = ", ";
    }
    if (before[0] == ',')
        qn_strbuf_add(out, "}");
}

static void print_optional_name(struct qn_str name, struct qn_strbuf *out)
{
    if (name.size) {
        qn_strbuf_add(out, " ");
        print_quoted(name, out);
    }
}

static void print_value(const struct qn_graph *g, qn_value v, struct qn_strbuf *out)
{
    qn_strbuf_printf(out, "%%%" PRIu32 ":", v);
    qn_type_print(g, qn_graph_type(g, v), out);
}

static void print_node(const struct qn_graph *g, qn_node n, struct qn_strbuf *out)
{
    const struct qn_node_info *node = qn_graph_node(g, n);
    for (uint32_t i = 0; i < node->output_count; i++) {
        qn_strbuf_add(out, i ? ", " : "");
        print_value(g, node->first_output + i, out);
    }
    qn_strbuf_printf(out, " = %s(", qn_op_info(node->op)->name);
    for (uint32_t i = 0; i < node->input_count; i++) {
        qn_value input = qn_graph_input_of(g, n, i);
        qn_strbuf_add(out, i ? ", " : "");
        if (input)
            qn_strbuf_printf(out, "%%%" PRIu32, input);
        else
            qn_strbuf_add(out, "_");
    }
    qn_strbuf_add(out, ")");
    print_attr(g, n, out);
    print_optional_name(node->name, out);
    qn_strbuf_add(out, "\n");
}

static void print_leaf(const struct qn_graph *g, qn_value v, struct qn_strbuf *out)
{
    const struct qn_value_info *value = qn_graph_value(g, v);
    print_value(g, v, out);
    if (value->kind == QN_VALUE_CONSTANT) {
        qn_strbuf_add(out, " = const ");
        print_blob(&value->type, &g->blobs.items[value->index], out);
        print_optional_name(value->name, out);
    } else {
        qn_strbuf_add(out, value->kind == QN_VALUE_INPUT ? " = input " : " = state ");
        print_quoted(value->name, out);
    }
    qn_strbuf_add(out, "\n");
}

/* Encodings come just before the first value that needs them: the constants they name stand above then. */
static uint32_t print_encodings(const struct qn_graph *g, uint32_t from, uint32_t to, struct qn_strbuf *out)
{
    for (; from < to; from++) {
        const struct qn_encoding *e = &g->encodings.items[from];
        qn_strbuf_printf(out, "encoding %" PRIu32 " axis=%" PRId32 " block=%" PRIu32 " scales=%%%" PRIu32, from,
                         e->axis, e->block_size, e->scales);
        if (e->zero_points)
            qn_strbuf_printf(out, " zero_points=%%%" PRIu32, e->zero_points);
        qn_strbuf_add(out, "\n");
    }
    return from;
}

/* check equal [N,M] "add.3": what rules noted. The nodes of a text would note the same, but in a rewritten graph
 * they may be gone. */
static void print_checks(const struct qn_graph *g, struct qn_strbuf *out)
{
    static const char *const signs[] = {
        [QN_CHECK_EQUAL] = "equal", [QN_CHECK_EQUAL_OR_ONE] = "equal_or_one", [QN_CHECK_AT_MOST] = "at_most"};
    for (uint32_t i = 0; i < g->checks.count; i++) {
        const struct qn_check *check = &g->checks.items[i];
        qn_strbuf_printf(out, "check %s ", signs[check->kind]);
        print_dims(g, (qn_dim[]){check->a, check->b}, 2, out);
        print_optional_name(check->node, out);
        qn_strbuf_add(out, "\n");
    }
}

qn_status qn_graph_print(const struct qn_graph *g, struct qn_strbuf *out)
{
    qn_strbuf_add(out, "graph ");
    print_quoted(g->name, out);
    qn_strbuf_add(out, "\n");
    for (uint32_t i = 0; i < g->symbols.count; i++) {
        const struct qn_symbol *symbol = &g->symbols.items[i];
        qn_strbuf_add(out, "symbol ");
        print_name(symbol->name, out);
        qn_strbuf_printf(out, " %" PRId64 "..%" PRId64 "%s\n", symbol->min, symbol->max, symbol->late ? " late" : "");
    }
    print_checks(g, out);
    for (uint32_t i = 0; i < g->files.count; i++) {
        qn_strbuf_printf(out, "file %" PRIu32 " ", i);
        print_quoted(g->files.items[i], out);
        qn_strbuf_add(out, "\n");
    }
    uint32_t encodings = 1;
    for (qn_value v = 1; v < g->values.count && !out->failed; v++) {
        const struct qn_value_info *value = qn_graph_value(g, v);
        if (value->type.encoding)
            encodings = print_encodings(g, encodings, value->type.encoding + 1, out);
        if (value->kind != QN_VALUE_NODE)
            print_leaf(g, v, out);
        else if (value->index == 0)
            print_node(g, value->producer, out);
    }
    print_encodings(g, encodings, g->encodings.count, out);
    for (uint32_t i = 0; i < g->states.count; i++) {
        const struct qn_state *state = &g->states.items[i];
        if (state->out == state->in)
            continue; /* only read */
        qn_strbuf_add(out, "store ");
        print_quoted(state->name, out);
        qn_strbuf_printf(out, " = %%%" PRIu32 "\n", state->out);
    }
    for (uint32_t i = 0; i < g->outputs.count; i++) {
        qn_strbuf_add(out, "output ");
        print_quoted(g->outputs.items[i].name, out);
        qn_strbuf_printf(out, " = %%%" PRIu32 "\n", g->outputs.items[i].value);
    }
    return out->failed ? QN_OOM() : NULL;
}
