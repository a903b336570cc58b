#include "ir/ir.h"
#include "ir/lex.h"
#include "ir/shape.h"
#include "ir/share.h"
#include "quern/tensor.h"

/* A statement a line, in the order that print.c writes; '#' starts a comment, and the types of a node's outputs may be
 * left out. Nothing is allocated that the text's own length does not justify, and nesting is bounded. */

enum { MAX_NESTING = 64, MIN_IDS = 1024 };

struct parser {
    struct qn_lex lex;
    struct qn_arena strings; /* unquoted strings */
    uint32_t nesting;
    struct qn_graph *g;
    QN_ARRAY(qn_value) values; /* of the text's numbers; 0 where one is not defined yet */
    QN_ARRAY(uint8_t) named;   /* by number: it stands left of a '=' */
};

/* ---- dims and types ------------------------------------------------------------------------------------------- */

static qn_status parse_dim(struct parser *p, qn_dim *out);

static qn_status parse_symbol(struct parser *p, struct qn_str name, size_t start, qn_dim *out)
{
    if (qn_share_find(p->g, QN_SHARE_SYMBOL, &name) != UINT32_MAX)
        return qn_graph_symbol(p->g, name, 0, 0, out);
    return qn_lex_note(&p->lex, start, QN_ERROR(QN_INVALID_FILE, "unknown symbol '%.*s'", QN_STR_ARG(name)));
}

static qn_status parse_min_or_max(struct parser *p, enum qn_expr_op op, qn_dim *out)
{
    qn_dim a, b;
    size_t start = p->lex.at;
    QN_TRY(qn_lex_expect(&p->lex, '('));
    QN_TRY(parse_dim(p, &a));
    QN_TRY(qn_lex_expect(&p->lex, ','));
    QN_TRY(parse_dim(p, &b));
    QN_TRY(qn_lex_expect(&p->lex, ')'));
    return qn_lex_note(&p->lex, start, qn_graph_expr(p->g, op, a, b, out));
}

static qn_status parse_atom(struct parser *p, qn_dim *out)
{
    qn_lex_skip_blanks(&p->lex);
    size_t start = p->lex.at;
    if (qn_lex_is_digit(qn_lex_peek(&p->lex))) {
        uint64_t value;
        QN_TRY(qn_lex_u64(&p->lex, INT64_MAX, &value));
        *out = (qn_dim)value;
        return NULL;
    }
    if (qn_lex_accept(&p->lex, '(')) {
        QN_TRY(parse_dim(p, out));
        return qn_lex_expect(&p->lex, ')');
    }
    struct qn_str name;
    if (qn_lex_peek(&p->lex) == '"') {
        QN_TRY(qn_lex_string(&p->lex, &name));
        return parse_symbol(p, name, start, out);
    }
    name = qn_lex_word(&p->lex);
    if (name.size == 0)
        return qn_lex_fail(&p->lex, "a dimension");
    if (qn_str_is(name, "min"))
        return parse_min_or_max(p, QN_EXPR_MIN, out);
    if (qn_str_is(name, "max"))
        return parse_min_or_max(p, QN_EXPR_MAX, out);
    return parse_symbol(p, name, start, out);
}

static qn_status parse_product(struct parser *p, qn_dim *out)
{
    QN_TRY(parse_atom(p, out));
    for (;;) {
        qn_lex_skip_blanks(&p->lex);
        size_t start = p->lex.at;
        char c = qn_lex_peek(&p->lex);
        if (c != '*' && c != '/' && c != '%')
            return NULL;
        p->lex.at++;
        qn_dim right;
        QN_TRY(parse_atom(p, &right));
        enum qn_expr_op op = c == '*' ? QN_EXPR_MUL : c == '/' ? QN_EXPR_DIV : QN_EXPR_MOD;
        QN_TRY(qn_lex_note(&p->lex, start, qn_graph_expr(p->g, op, *out, right, out)));
    }
}

static qn_status parse_dim(struct parser *p, qn_dim *out)
{
    if (++p->nesting > MAX_NESTING)
        return qn_lex_fail(&p->lex, "fewer parentheses");
    QN_TRY(parse_product(p, out));
    for (;;) {
        qn_lex_skip_blanks(&p->lex);
        size_t start = p->lex.at;
        char c = qn_lex_peek(&p->lex);
        if (c != '+' && c != '-')
            break;
        p->lex.at++;
        qn_dim right;
        QN_TRY(parse_product(p, &right));
        QN_TRY(
            qn_lex_note(&p->lex, start, qn_graph_expr(p->g, c == '+' ? QN_EXPR_ADD : QN_EXPR_SUB, *out, right, out)));
    }
    p->nesting--;
    return NULL;
}

/* [a,b,c] of dims or of plain integers */
static qn_status parse_list(struct parser *p, bool dims, int64_t *items, uint32_t *count)
{
    *count = 0;
    QN_TRY(qn_lex_expect(&p->lex, '['));
    if (qn_lex_accept(&p->lex, ']'))
        return NULL;
    do {
        if (*count == QN_MAX_RANK)
            return qn_lex_fail(&p->lex, "at most 8 entries");
        QN_TRY(dims ? parse_dim(p, &items[*count]) : qn_lex_i64(&p->lex, &items[*count]));
        ++*count;
    } while (qn_lex_accept(&p->lex, ','));
    return qn_lex_expect(&p->lex, ']');
}

static qn_status parse_dtype(struct parser *p, qn_dtype *out)
{
    qn_lex_skip_blanks(&p->lex);
    size_t start = p->lex.at;
    struct qn_str name = qn_lex_word(&p->lex);
    *out = name.size ? qn_dtype_from_name(name.data, name.size) : QN_DTYPE_NONE;
    return *out == QN_DTYPE_NONE ? qn_lex_fail_at(&p->lex, start, "a dtype") : NULL;
}

static qn_status parse_type(struct parser *p, struct qn_type *out)
{
    *out = (struct qn_type){0};
    QN_TRY(parse_dtype(p, &out->dtype));
    if (qn_lex_accept(&p->lex, '<')) {
        QN_TRY(qn_lex_u32(&p->lex, &out->encoding));
        QN_TRY(qn_lex_expect(&p->lex, '>'));
    }
    return parse_list(p, true, out->dims, &out->rank);
}

/* ---- values --------------------------------------------------------------------------------------------------- */

/* A new number of the text: %7. Numbers cannot be larger than a text of this length could need. */
static qn_status parse_new_id(struct parser *p, uint32_t *out)
{
    size_t start = p->lex.at;
    uint64_t most = p->lex.text.size < MIN_IDS ? MIN_IDS : p->lex.text.size, id;
    QN_TRY(qn_lex_expect(&p->lex, '%'));
    QN_TRY(qn_lex_u64(&p->lex, most < UINT32_MAX / 2 ? most : UINT32_MAX / 2, &id));
    if (id == 0)
        return qn_lex_note(&p->lex, start, QN_ERROR(QN_INVALID_FILE, "%%0 is no value"));
    if (!qn_array_reserve(&p->values, p->g->allocator, id + 1))
        return QN_OOM();
    while (p->values.count <= id)
        p->values.items[p->values.count++] = 0;
    if (p->values.items[id])
        return qn_lex_note(&p->lex, start, QN_ERROR(QN_INVALID_FILE, "%%%u is defined twice", (uint32_t)id));
    *out = (uint32_t)id;
    return NULL;
}

static qn_status parse_value(struct parser *p, qn_value *out)
{
    qn_lex_skip_blanks(&p->lex);
    size_t start = p->lex.at;
    uint32_t id;
    QN_TRY(qn_lex_expect(&p->lex, '%'));
    QN_TRY(qn_lex_u32(&p->lex, &id));
    if (id >= p->values.count || p->values.items[id] == 0)
        return qn_lex_note(&p->lex, start, QN_ERROR(QN_INVALID_FILE, "%%%u is not defined above", id));
    *out = p->values.items[id];
    return NULL;
}

/* ---- constants ------------------------------------------------------------------------------------------------ */

static qn_status fail_range(const struct parser *p, size_t start, qn_dtype dtype)
{
    return qn_lex_note(&p->lex, start, QN_ERROR(QN_INVALID_FILE, "number does not fit %s", qn_dtype_name(dtype)));
}

static qn_status parse_integer_element(struct parser *p, qn_dtype dtype, struct qn_strbuf *out)
{
    const struct qn_dtype_info *info = qn_dtype_info(dtype);
    uint32_t bits = info->block_bytes * 8;
    size_t start = p->lex.at;
    uint64_t value;
    if (info->class_ == QN_DTYPE_CLASS_INT) {
        int64_t number;
        QN_TRY(qn_lex_i64(&p->lex, &number));
        if (bits < 64 && (number >= (int64_t)1 << (bits - 1) || number < -((int64_t)1 << (bits - 1))))
            return fail_range(p, start, dtype);
        value = (uint64_t)number;
    } else {
        QN_TRY(qn_lex_u64(&p->lex, UINT64_MAX, &value));
        if (bits < 64 && value >> bits)
            return fail_range(p, start, dtype);
    }
    for (uint32_t i = 0; i < bits; i += 8) { /* blobs are little-endian */
        uint8_t byte = (uint8_t)(value >> i);
        qn_strbuf_append(out, &byte, 1);
    }
    return NULL;
}

static qn_status parse_element(struct parser *p, qn_dtype dtype, struct qn_strbuf *out)
{
    switch (qn_dtype_info(dtype)->class_) {
    case QN_DTYPE_CLASS_FLOAT:
        if (dtype == QN_DTYPE_F32) {
            float single;
            QN_TRY(qn_lex_f32(&p->lex, &single));
            qn_strbuf_append(out, &single, sizeof single);
            return NULL;
        }
        if (dtype == QN_DTYPE_F64) {
            double wide;
            QN_TRY(qn_lex_f64(&p->lex, &wide));
            qn_strbuf_append(out, &wide, sizeof wide);
            return NULL;
        }
        break;
    case QN_DTYPE_CLASS_INT:
    case QN_DTYPE_CLASS_UINT:
    case QN_DTYPE_CLASS_BOOL:
        return parse_integer_element(p, dtype, out);
    case QN_DTYPE_CLASS_STRING: {
        struct qn_str text;
        QN_TRY(qn_lex_string(&p->lex, &text));
        struct qn_string string = {text.data, text.size};
        qn_strbuf_append(out, &string, sizeof string);
        return NULL;
    }
    default:
        break;
    }
    return qn_lex_fail(&p->lex, "hexadecimal data (x\"...\") for this dtype");
}

static qn_status parse_numbers(struct parser *p, qn_dtype dtype, struct qn_strbuf *out)
{
    if (qn_lex_accept(&p->lex, '}'))
        return NULL;
    do
        QN_TRY(parse_element(p, dtype, out));
    while (qn_lex_accept(&p->lex, ','));
    return qn_lex_expect(&p->lex, '}');
}

static qn_status parse_hex(struct parser *p, struct qn_strbuf *out)
{
    if (qn_lex_peek(&p->lex) != '"')
        return qn_lex_fail(&p->lex, "'\"'");
    for (p->lex.at++; qn_lex_peek(&p->lex) != '"'; p->lex.at += 2) {
        int high = qn_lex_hex_digit(qn_lex_peek(&p->lex));
        int low =
            high >= 0 && p->lex.at + 1 < p->lex.text.size ? qn_lex_hex_digit(p->lex.text.data[p->lex.at + 1]) : -1;
        if (low < 0)
            return qn_lex_fail(&p->lex, "two hexadecimal digits");
        uint8_t byte = (uint8_t)(high << 4 | low);
        qn_strbuf_append(out, &byte, 1);
    }
    p->lex.at++;
    return NULL;
}

static qn_status parse_file_range(struct parser *p, struct qn_blob *blob)
{
    QN_TRY(qn_lex_u32(&p->lex, &blob->file));
    QN_TRY(qn_lex_expect(&p->lex, ':'));
    QN_TRY(qn_lex_u64(&p->lex, UINT64_MAX, &blob->offset));
    QN_TRY(qn_lex_expect(&p->lex, ':'));
    return qn_lex_u64(&p->lex, UINT64_MAX, &blob->bytes);
}

static qn_status parse_blob(struct parser *p, qn_dtype dtype, struct qn_blob *blob, struct qn_strbuf *bytes)
{
    *blob = (struct qn_blob){.place = QN_BLOB_MEMORY};
    if (qn_lex_accept(&p->lex, '@')) {
        blob->place = QN_BLOB_FILE;
        return parse_file_range(p, blob);
    }
    if (qn_lex_accept(&p->lex, '{'))
        QN_TRY(parse_numbers(p, dtype, bytes));
    else if (qn_lex_accept(&p->lex, 'x'))
        QN_TRY(parse_hex(p, bytes));
    else
        return qn_lex_fail(&p->lex, "@file:offset:bytes, {numbers} or x\"hexadecimal\"");
    if (bytes->failed)
        return QN_OOM();
    blob->data = qn_strbuf_view(bytes).data;
    blob->bytes = bytes->size;
    return NULL;
}

static qn_status parse_constant(struct parser *p, const struct qn_type *type, size_t start, qn_value *out)
{
    struct qn_blob blob;
    struct qn_strbuf bytes;
    struct qn_str name;
    qn_strbuf_init(&bytes, p->g->allocator);
    qn_status status = parse_blob(p, type->dtype, &blob, &bytes);
    if (!status)
        status = qn_lex_optional_string(&p->lex, &name);
    if (!status)
        status = qn_lex_note(&p->lex, start, qn_graph_add_constant(p->g, name, type, &blob, out));
    qn_strbuf_deinit(&bytes);
    return status;
}

/* ---- nodes ---------------------------------------------------------------------------------------------------- */

static qn_status parse_floats(struct parser *p, struct qn_floats *floats)
{
    QN_TRY(qn_lex_expect(&p->lex, '['));
    if (qn_lex_accept(&p->lex, ']'))
        return NULL;
    do {
        if (floats->count == QN_MAX_RANK)
            return qn_lex_fail(&p->lex, "at most 8 numbers");
        QN_TRY(qn_lex_f32(&p->lex, &floats->items[floats->count++]));
    } while (qn_lex_accept(&p->lex, ','));
    return qn_lex_expect(&p->lex, ']');
}

static qn_status parse_chain(struct parser *p, struct qn_chain *chain)
{
    uint32_t count = 0;
    QN_TRY(qn_lex_expect(&p->lex, '['));
    do {
        if (count == QN_CHAIN_MAX)
            return qn_lex_fail(&p->lex, "fewer instructions");
        struct qn_chain_step *step = &chain->steps[count++];
        qn_dtype dtype;
        uint64_t operand[3];
        qn_lex_skip_blanks(&p->lex);
        step->op = qn_op_from_name(qn_lex_word(&p->lex));
        if (step->op == QN_OP_NONE || !(qn_op_info(step->op)->traits & QN_OP_ELEMENTWISE))
            return qn_lex_fail(&p->lex, "an elementwise op");
        qn_lex_skip_blanks(&p->lex);
        QN_TRY(parse_dtype(p, &dtype));
        for (uint32_t i = 0; i < 3; i++) {
            qn_lex_skip_blanks(&p->lex);
            QN_TRY(qn_lex_u64(&p->lex, 255, &operand[i]));
        }
        step->dtype = (uint8_t)dtype;
        step->a = (uint8_t)operand[0];
        step->b = (uint8_t)operand[1];
        step->c = (uint8_t)operand[2];
    } while (qn_lex_accept(&p->lex, ','));
    return qn_lex_expect(&p->lex, ']');
}

static qn_status parse_field(struct parser *p, const struct qn_attr_field *field, void *at)
{
    struct qn_ints *ints = at;
    uint64_t flag;
    qn_dtype dtype;
    switch (field->kind) {
    case QN_ATTR_bool_:
        QN_TRY(qn_lex_u64(&p->lex, 1, &flag));
        *(uint8_t *)at = (uint8_t)flag;
        return NULL;
    case QN_ATTR_i64:
        return qn_lex_i64(&p->lex, at);
    case QN_ATTR_f32:
        return qn_lex_f32(&p->lex, at);
    case QN_ATTR_dtype:
        QN_TRY(parse_dtype(p, &dtype));
        *(uint32_t *)at = dtype;
        return NULL;
    case QN_ATTR_ints:
        return parse_list(p, false, ints->items, &ints->count);
    case QN_ATTR_dim:
        return parse_dim(p, at);
    case QN_ATTR_dims:
        return parse_list(p, true, ints->items, &ints->count);
    case QN_ATTR_floats:
        return parse_floats(p, at);
    case QN_ATTR_chain:
        return parse_chain(p, at);
    }
    return qn_lex_fail(&p->lex, "a field");
}

static qn_status parse_attr(struct parser *p, const struct qn_op_info *info, char *attr)
{
    uint32_t seen = 0;
    if (!qn_lex_accept(&p->lex, '{'))
        return NULL;
    do {
        qn_lex_skip_blanks(&p->lex);
        size_t start = p->lex.at;
        struct qn_str name = qn_lex_word(&p->lex);
        uint32_t i = 0;
        while (i < info->field_count && !qn_str_is(name, info->fields[i].name))
            i++;
        if (i == info->field_count || seen & 1u << i)
            return qn_lex_note(&p->lex, start,
                               QN_ERROR(QN_INVALID_FILE, "%s has no such attribute, or it is given twice: '%.*s'",
                                        info->name, QN_STR_ARG(name)));
        seen |= 1u << i;
        QN_TRY(qn_lex_expect(&p->lex, '='));
        QN_TRY(parse_field(p, &info->fields[i], attr + info->fields[i].offset));
    } while (qn_lex_accept(&p->lex, ','));
    return qn_lex_expect(&p->lex, '}');
}

/* What stands left of '=', and a node's inputs: as many as there are. One line at a time uses them. */
struct definition {
    uint32_t id;
    struct qn_type type;
};
struct line {
    QN_ARRAY(struct definition) defs;
    QN_ARRAY(qn_value) inputs;
    QN_ARRAY(qn_value) outs;
    QN_ARRAY(struct qn_type) types;
};

static qn_status parse_inputs(struct parser *p, struct line *line)
{
    QN_TRY(qn_lex_expect(&p->lex, '('));
    if (qn_lex_accept(&p->lex, ')'))
        return NULL;
    do {
        qn_value input = 0;
        if (!qn_lex_accept(&p->lex, '_'))
            QN_TRY(parse_value(p, &input));
        if (!qn_array_push(&line->inputs, p->g->allocator, input))
            return QN_OOM();
    } while (qn_lex_accept(&p->lex, ','));
    return qn_lex_expect(&p->lex, ')');
}

static qn_status add_node(struct parser *p, struct line *line, uint16_t op, const void *attr, struct qn_str name)
{
    struct qn_graph *g = p->g;
    if (!qn_op_is_call(op))
        return qn_graph_add_node(g, op, line->inputs.items, line->inputs.count, attr, name, line->outs.items);
    for (uint32_t i = 0; i < line->defs.count; i++) {
        if (line->defs.items[i].type.dtype == QN_DTYPE_NONE)
            return QN_ERROR(QN_INVALID_FILE, "%s needs the types of its outputs: %%%u:f32[...]", qn_op_info(op)->name,
                            line->defs.items[i].id);
        if (!qn_array_push(&line->types, g->allocator, line->defs.items[i].type))
            return QN_OOM();
    }
    return qn_graph_add_call(g, op, line->inputs.items, line->inputs.count, attr, name, line->types.items,
                             line->types.count, line->outs.items);
}

static qn_status parse_node(struct parser *p, struct line *line, uint16_t op, size_t start)
{
    const struct qn_op_info *info = qn_op_info(op);
    union qn_attr_any attr;
    struct qn_str name;
    memset(&attr, 0, sizeof attr);
    QN_TRY(parse_inputs(p, line));
    QN_TRY(parse_attr(p, info, (char *)&attr));
    QN_TRY(qn_lex_optional_string(&p->lex, &name));
    if (info->outputs != QN_ANY && line->defs.count != info->outputs)
        return qn_lex_note(
            &p->lex, start,
            QN_ERROR(QN_INVALID_FILE, "%s has %u outputs, %u are named", info->name, info->outputs, line->defs.count));
    if (!qn_array_reserve(&line->outs, p->g->allocator, line->defs.count))
        return QN_OOM();
    QN_TRY(qn_lex_note(&p->lex, start, add_node(p, line, op, &attr, name)));
    for (uint32_t i = 0; i < line->defs.count; i++) {
        const struct qn_type *type = qn_graph_type(p->g, line->outs.items[i]);
        const struct definition *def = &line->defs.items[i];
        if (def->type.dtype != QN_DTYPE_NONE && !qn_type_equal(type, &def->type))
            return qn_lex_note(&p->lex, start,
                               QN_ERROR(QN_INVALID_FILE, "%%%u is %s, the text says %s", def->id,
                                        qn_type_text(p->g, type).text, qn_type_text(p->g, &def->type).text));
        p->values.items[def->id] = line->outs.items[i];
    }
    return NULL;
}

static qn_status parse_leaf(struct parser *p, const struct line *line, struct qn_str what, size_t start)
{
    qn_value out = 0;
    struct qn_str name;
    const struct definition *def = &line->defs.items[0];
    if (line->defs.count != 1)
        return qn_lex_note(
            &p->lex, start,
            QN_ERROR(QN_INVALID_FILE, "%.*s defines one value, %u are named", QN_STR_ARG(what), line->defs.count));
    if (def->type.dtype == QN_DTYPE_NONE)
        return qn_lex_note(&p->lex, start,
                           QN_ERROR(QN_INVALID_FILE, "%.*s needs a type: %%%u:f32[...]", QN_STR_ARG(what), def->id));
    if (qn_str_is(what, "const")) {
        QN_TRY(parse_constant(p, &def->type, start, &out));
    } else {
        QN_TRY(qn_lex_string(&p->lex, &name));
        QN_TRY(qn_lex_note(&p->lex, start,
                           qn_str_is(what, "input") ? qn_graph_add_input(p->g, name, &def->type, &out)
                                                    : qn_graph_add_state(p->g, name, &def->type, &out)));
    }
    p->values.items[def->id] = out;
    return NULL;
}

/* %7:f32[N,32], %8:i32[N,32] = what... */
static qn_status parse_line(struct parser *p, struct line *line)
{
    do {
        struct definition def = {0};
        qn_lex_skip_blanks(&p->lex);
        size_t start = p->lex.at;
        QN_TRY(parse_new_id(p, &def.id));
        if (p->named.count <= def.id) {
            if (!qn_array_reserve(&p->named, p->g->allocator, (uint64_t)def.id + 1))
                return QN_OOM();
            while (p->named.count <= def.id)
                p->named.items[p->named.count++] = 0;
        }
        if (p->named.items[def.id])
            return qn_lex_note(&p->lex, start, QN_ERROR(QN_INVALID_FILE, "%%%u is defined twice", def.id));
        p->named.items[def.id] = 1;
        if (qn_lex_accept(&p->lex, ':'))
            QN_TRY(parse_type(p, &def.type));
        if (!qn_array_push(&line->defs, p->g->allocator, def))
            return QN_OOM();
    } while (qn_lex_accept(&p->lex, ','));
    QN_TRY(qn_lex_expect(&p->lex, '='));
    qn_lex_skip_blanks(&p->lex);
    size_t start = p->lex.at;
    struct qn_str what = qn_lex_word(&p->lex);
    if (qn_str_is(what, "input") || qn_str_is(what, "state") || qn_str_is(what, "const"))
        return parse_leaf(p, line, what, start);
    uint16_t op = qn_op_from_name(what);
    if (op == QN_OP_NONE)
        return qn_lex_note(&p->lex, start, QN_ERROR(QN_INVALID_FILE, "unknown op '%.*s'", QN_STR_ARG(what)));
    return parse_node(p, line, op, start);
}

static qn_status parse_definition(struct parser *p)
{
    struct line line = {0};
    qn_status status = parse_line(p, &line);
    qn_array_free(&line.defs, p->g->allocator);
    qn_array_free(&line.inputs, p->g->allocator);
    qn_array_free(&line.outs, p->g->allocator);
    qn_array_free(&line.types, p->g->allocator);
    return status;
}

/* ---- statements ----------------------------------------------------------------------------------------------- */

static qn_status parse_symbol_line(struct parser *p)
{
    struct qn_str name;
    uint64_t min, max;
    qn_dim dim;
    qn_lex_skip_blanks(&p->lex);
    size_t start = p->lex.at;
    if (qn_lex_peek(&p->lex) == '"')
        QN_TRY(qn_lex_string(&p->lex, &name));
    else
        name = qn_lex_word(&p->lex);
    if (name.size == 0)
        return qn_lex_fail(&p->lex, "a name");
    if (qn_share_find(p->g, QN_SHARE_SYMBOL, &name) != UINT32_MAX)
        return qn_lex_note(&p->lex, start,
                           QN_ERROR(QN_INVALID_FILE, "symbol '%.*s' is declared twice", QN_STR_ARG(name)));
    QN_TRY(qn_lex_u64(&p->lex, INT64_MAX, &min));
    QN_TRY(qn_lex_expect(&p->lex, '.'));
    QN_TRY(qn_lex_expect(&p->lex, '.'));
    QN_TRY(qn_lex_u64(&p->lex, INT64_MAX, &max));
    struct qn_symbol symbol = {.name = name, .min = (int64_t)min, .max = (int64_t)max};
    qn_lex_skip_blanks(&p->lex);
    if (qn_lex_is_letter(qn_lex_peek(&p->lex))) {
        QN_TRY(qn_lex_expect_word(&p->lex, "late"));
        symbol.late = true;
    }
    return qn_lex_note(&p->lex, start, qn_graph_add_symbol(p->g, &symbol, &dim));
}

/* check equal [N,M] "add" */
static qn_status parse_check_line(struct parser *p)
{
    static const char *const words[] = {
        [QN_CHECK_EQUAL] = "equal", [QN_CHECK_EQUAL_OR_ONE] = "equal_or_one", [QN_CHECK_AT_MOST] = "at_most"};
    qn_dim dims[QN_MAX_RANK];
    uint32_t kind = 0, count;
    struct qn_str name;
    qn_lex_skip_blanks(&p->lex);
    size_t start = p->lex.at;
    struct qn_str word = qn_lex_word(&p->lex);
    while (kind < 3 && !qn_str_is(word, words[kind]))
        kind++;
    if (kind == 3)
        return qn_lex_fail_at(&p->lex, start, "equal, equal_or_one or at_most");
    QN_TRY(parse_list(p, true, dims, &count));
    if (count != 2)
        return qn_lex_fail(&p->lex, "two dims");
    QN_TRY(qn_lex_optional_string(&p->lex, &name));
    return qn_graph_add_check(p->g, (enum qn_check_kind)kind, dims[0], dims[1], name);
}

static qn_status parse_file_line(struct parser *p)
{
    uint32_t index, file;
    struct qn_str path;
    size_t start = p->lex.at;
    QN_TRY(qn_lex_u32(&p->lex, &index));
    QN_TRY(qn_lex_string(&p->lex, &path));
    QN_TRY(qn_graph_file(p->g, path, &file));
    if (file != index)
        return qn_lex_note(&p->lex, start,
                           QN_ERROR(QN_INVALID_FILE, "file %u is number %u of the graph, or named twice", index, file));
    return NULL;
}

static qn_status parse_named_number(struct parser *p, const char *name, int64_t min, int64_t max, int64_t *out)
{
    QN_TRY(qn_lex_expect_word(&p->lex, name));
    QN_TRY(qn_lex_expect(&p->lex, '='));
    size_t start = p->lex.at;
    QN_TRY(qn_lex_i64(&p->lex, out));
    if (*out < min || *out > max)
        return qn_lex_note(&p->lex, start, QN_ERROR(QN_INVALID_FILE, "%s is out of range", name));
    return NULL;
}

static qn_status parse_encoding_line(struct parser *p)
{
    struct qn_encoding encoding = {0};
    uint32_t index, found;
    int64_t axis, block;
    size_t start = p->lex.at;
    QN_TRY(qn_lex_u32(&p->lex, &index));
    QN_TRY(parse_named_number(p, "axis", -1, QN_MAX_RANK - 1, &axis));
    QN_TRY(parse_named_number(p, "block", 0, UINT32_MAX, &block));
    encoding.axis = (int32_t)axis;
    encoding.block_size = (uint32_t)block;
    QN_TRY(qn_lex_expect_word(&p->lex, "scales"));
    QN_TRY(qn_lex_expect(&p->lex, '='));
    QN_TRY(parse_value(p, &encoding.scales));
    qn_lex_skip_blanks(&p->lex);
    if (qn_lex_is_letter(qn_lex_peek(&p->lex))) {
        QN_TRY(qn_lex_expect_word(&p->lex, "zero_points"));
        QN_TRY(qn_lex_expect(&p->lex, '='));
        QN_TRY(parse_value(p, &encoding.zero_points));
    }
    QN_TRY(qn_lex_note(&p->lex, start, qn_graph_add_encoding(p->g, &encoding, &found)));
    if (found != index)
        return qn_lex_note(
            &p->lex, start,
            QN_ERROR(QN_INVALID_FILE, "encoding %u is number %u of the graph, or given twice", index, found));
    return NULL;
}

static qn_status parse_store_line(struct parser *p)
{
    struct qn_str name;
    qn_value value;
    qn_lex_skip_blanks(&p->lex);
    size_t start = p->lex.at;
    QN_TRY(qn_lex_string(&p->lex, &name));
    QN_TRY(qn_lex_expect(&p->lex, '='));
    QN_TRY(parse_value(p, &value));
    uint32_t found = qn_share_find(p->g, QN_SHARE_STATE, &name);
    if (found == UINT32_MAX)
        return qn_lex_note(&p->lex, start, QN_ERROR(QN_INVALID_FILE, "unknown state '%.*s'", QN_STR_ARG(name)));
    const struct qn_state *state = &p->g->states.items[found];
    if (state->out != state->in)
        return qn_lex_note(&p->lex, start, QN_ERROR(QN_INVALID_FILE, "state '%.*s' is stored twice", QN_STR_ARG(name)));
    qn_graph_set_state(p->g, state->in, value);
    return NULL;
}

static qn_status parse_output_line(struct parser *p)
{
    struct qn_str name;
    qn_value value;
    qn_lex_skip_blanks(&p->lex);
    size_t start = p->lex.at;
    QN_TRY(qn_lex_string(&p->lex, &name));
    QN_TRY(qn_lex_expect(&p->lex, '='));
    QN_TRY(parse_value(p, &value));
    return qn_lex_note(&p->lex, start, qn_graph_add_output(p->g, name, value));
}

static qn_status parse_statement(struct parser *p)
{
    static const struct {
        const char *word;
        qn_status (*parse)(struct parser *p);
    } statements[] = {
        {"symbol", parse_symbol_line}, {"file", parse_file_line},     {"encoding", parse_encoding_line},
        {"store", parse_store_line},   {"output", parse_output_line}, {"check", parse_check_line},
    };
    size_t start = p->lex.at;
    if (qn_lex_peek(&p->lex) == '%')
        return parse_definition(p);
    struct qn_str first = qn_lex_word(&p->lex);
    for (size_t i = 0; i < sizeof statements / sizeof statements[0]; i++)
        if (qn_str_is(first, statements[i].word))
            return statements[i].parse(p);
    return qn_lex_fail_at(&p->lex, start, "a statement: symbol, check, file, encoding, store, output or %number");
}

static qn_status parse_lines(struct parser *p)
{
    bool clean = true;
    for (;;) {
        while (qn_lex_next_line(&p->lex, &clean)) {
        }
        if (p->lex.at >= p->lex.text.size)
            return NULL;
        p->nesting = 0;
        QN_TRY(parse_statement(p));
        if (!qn_lex_next_line(&p->lex, &clean) && !clean)
            return qn_lex_fail(&p->lex, "the end of the line");
    }
}

static qn_status parse_graph(struct parser *p, const struct qn_allocator *allocator)
{
    bool clean;
    struct qn_str name;
    while (qn_lex_next_line(&p->lex, &clean)) {
    }
    QN_TRY(qn_lex_expect_word(&p->lex, "graph"));
    QN_TRY(qn_lex_string(&p->lex, &name));
    QN_TRY(qn_graph_create(allocator, name, &p->g));
    if (!qn_lex_next_line(&p->lex, &clean) && !clean)
        return qn_lex_fail(&p->lex, "the end of the line");
    QN_TRY(parse_lines(p));
    return qn_graph_verify(p->g);
}

qn_status qn_graph_parse(struct qn_str text, const struct qn_allocator *allocator, struct qn_graph **out)
{
    struct parser p = {.lex = {.text = text, .line = 1}};
    *out = NULL;
    if (!allocator)
        allocator = qn_allocator_default();
    qn_arena_init(&p.strings, allocator);
    p.lex.strings = &p.strings;
    qn_status status = parse_graph(&p, allocator);
    qn_array_free(&p.values, allocator);
    qn_array_free(&p.named, allocator);
    qn_arena_deinit(&p.strings);
    if (status)
        qn_graph_destroy(p.g);
    else
        *out = p.g;
    return status;
}
