#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "ir/ir.h"

/* ---- dims and types ----------------------------------------------------------------------------------------- */

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
    static const char *const operators[] = {[QN_EXPR_ADD] = "+", [QN_EXPR_SUB] = "-", [QN_EXPR_MUL] = "*",
                                            [QN_EXPR_DIV] = "/", [QN_EXPR_MOD] = "%"};
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
