#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "ir/ir.h"
#include "ir/share.h"

/* Normal form. A dimension is a sum of terms, a term is a coefficient times a sorted list of factors, a factor is a
 * symbol or a DIV, MOD, MIN or MAX whose operands are in normal form. Equal polynomials thus become the same chain of
 * hash-consed nodes: terms of higher degree first, the constant last, subtractions after all additions. */

enum { MAX_TERMS = 64, MAX_FACTORS = 16, MAX_SIZE = 1000 };

struct term {
    int64_t coefficient;
    uint32_t count;
    qn_dim factors[MAX_FACTORS];
};

struct poly {
    uint32_t count;
    struct term terms[MAX_TERMS];
};

static qn_status too_large(void)
{
    return QN_ERROR(QN_OUT_OF_RANGE, "dimension expression is too large or overflows 63 bits");
}

static qn_status below_zero(int64_t a, int64_t b)
{
    return QN_ERROR(QN_OUT_OF_RANGE, "dimension %lld - %lld is below zero", (long long)a, (long long)b);
}

static uint32_t dim_size(const struct qn_graph *g, qn_dim dim)
{
    return dim >= 0 ? 1 : g->exprs.items[~dim].size;
}

/* An order that depends on the structure alone, not on ids: text that is parsed again keeps it. */
static int compare_dims(const struct qn_graph *g, qn_dim a, qn_dim b)
{
    if (a == b)
        return 0;
    if (a >= 0 || b >= 0) {
        if (a >= 0 && b >= 0)
            return a < b ? -1 : 1;
        return a >= 0 ? 1 : -1;
    }
    const struct qn_expr *x = &g->exprs.items[~a], *y = &g->exprs.items[~b];
    if (x->op != y->op)
        return x->op < y->op ? -1 : 1;
    if (x->op == QN_EXPR_SYMBOL)
        return x->a < y->a ? -1 : 1;
    int order = compare_dims(g, x->a, y->a);
    return order ? order : compare_dims(g, x->b, y->b);
}

static int compare_terms(const struct qn_graph *g, const struct term *a, const struct term *b)
{
    if (a->count != b->count)
        return a->count > b->count ? -1 : 1;
    for (uint32_t i = 0; i < a->count; i++) {
        int order = compare_dims(g, a->factors[i], b->factors[i]);
        if (order)
            return order;
    }
    return 0;
}

static bool term_multiply_factor(const struct qn_graph *g, struct term *term, qn_dim factor)
{
    if (factor >= 0)
        return !__builtin_mul_overflow(term->coefficient, factor, &term->coefficient);
    if (term->count == MAX_FACTORS)
        return false;
    uint32_t at = term->count++;
    for (; at > 0 && compare_dims(g, term->factors[at - 1], factor) > 0; at--)
        term->factors[at] = term->factors[at - 1];
    term->factors[at] = factor;
    return true;
}

/* Multiplies a term by a product chain. */
static bool term_multiply(const struct qn_graph *g, struct term *term, qn_dim dim)
{
    if (dim < 0 && g->exprs.items[~dim].op == QN_EXPR_MUL)
        return term_multiply(g, term, g->exprs.items[~dim].a) && term_multiply(g, term, g->exprs.items[~dim].b);
    return term_multiply_factor(g, term, dim);
}

/* Adds a term, joined with an equal one; terms stay sorted. */
static bool poly_add_term(const struct qn_graph *g, struct poly *poly, const struct term *term)
{
    if (term->coefficient == 0)
        return true;
    uint32_t at = 0;
    int order = 1;
    while (at < poly->count && (order = compare_terms(g, &poly->terms[at], term)) < 0)
        at++;
    if (at < poly->count && order == 0) {
        struct term *same = &poly->terms[at];
        if (__builtin_add_overflow(same->coefficient, term->coefficient, &same->coefficient))
            return false;
        if (same->coefficient == 0)
            memmove(same, same + 1, (--poly->count - at) * sizeof *same);
        return true;
    }
    if (poly->count == MAX_TERMS)
        return false;
    memmove(&poly->terms[at + 1], &poly->terms[at], (poly->count++ - at) * sizeof *term);
    poly->terms[at] = *term;
    return true;
}

/* poly += coefficient * dim */
static bool poly_add(const struct qn_graph *g, struct poly *poly, qn_dim dim, int64_t coefficient)
{
    if (dim < 0) {
        const struct qn_expr *expr = &g->exprs.items[~dim];
        if (expr->op == QN_EXPR_ADD || expr->op == QN_EXPR_SUB)
            return poly_add(g, poly, expr->a, coefficient) &&
                   poly_add(g, poly, expr->b, expr->op == QN_EXPR_ADD ? coefficient : -coefficient);
    }
    struct term term = {.coefficient = coefficient};
    return term_multiply(g, &term, dim) && poly_add_term(g, poly, &term);
}

static bool poly_multiply(const struct qn_graph *g, const struct poly *a, const struct poly *b, struct poly *out)
{
    for (uint32_t i = 0; i < a->count; i++) {
        for (uint32_t j = 0; j < b->count; j++) {
            struct term term = a->terms[i];
            if (__builtin_mul_overflow(term.coefficient, b->terms[j].coefficient, &term.coefficient))
                return false;
            for (uint32_t f = 0; f < b->terms[j].count; f++)
                if (!term_multiply_factor(g, &term, b->terms[j].factors[f]))
                    return false;
            if (!poly_add_term(g, out, &term))
                return false;
        }
    }
    return true;
}

/* Takes the factors of `by` out of a term; false when it lacks one or the coefficient has a rest. */
static bool term_divide(struct term *term, const struct term *by)
{
    if (term->coefficient % by->coefficient)
        return false;
    term->coefficient /= by->coefficient;
    for (uint32_t i = 0; i < by->count; i++) {
        uint32_t at = 0;
        while (at < term->count && term->factors[at] != by->factors[i])
            at++;
        if (at == term->count)
            return false;
        memmove(&term->factors[at], &term->factors[at + 1], (--term->count - at) * sizeof(qn_dim));
    }
    return true;
}

/* out = a / by when every term divides without rest. */
static bool poly_divide(const struct qn_graph *g, const struct poly *a, const struct poly *by, struct poly *out)
{
    if (by->count != 1 || by->terms[0].coefficient <= 0)
        return false;
    for (uint32_t i = 0; i < a->count; i++) {
        struct term term = a->terms[i];
        if (!term_divide(&term, &by->terms[0]) || !poly_add_term(g, out, &term))
            return false;
    }
    return true;
}

static qn_status intern(struct qn_graph *g, enum qn_expr_op op, qn_dim a, qn_dim b, qn_dim *out)
{
    uint32_t size = op == QN_EXPR_SYMBOL ? 1 : 1 + dim_size(g, a) + dim_size(g, b);
    struct qn_expr key = {.op = op, .size = size, .a = a, .b = b};
    uint32_t id = qn_share_find(g, QN_SHARE_EXPR, &key);
    if (id == UINT32_MAX) {
        if (size > MAX_SIZE || g->exprs.count > QN_SHARE_MAX_ID)
            return too_large();
        if (!qn_share_reserve(g) || !qn_array_push(&g->exprs, g->allocator, key))
            return QN_OOM();
        id = g->exprs.count - 1;
        qn_share_add(g, QN_SHARE_EXPR, id);
    }
    *out = ~(qn_dim)id;
    return NULL;
}

static qn_status emit_term(struct qn_graph *g, const struct term *term, qn_dim *out)
{
    if (term->coefficient == INT64_MIN)
        return too_large();
    int64_t coefficient = llabs(term->coefficient);
    if (term->count == 0) {
        *out = coefficient;
        return NULL;
    }
    qn_dim product = term->factors[0];
    for (uint32_t i = 1; i < term->count; i++)
        QN_TRY(intern(g, QN_EXPR_MUL, product, term->factors[i], &product));
    if (coefficient != 1)
        QN_TRY(intern(g, QN_EXPR_MUL, product, coefficient, &product));
    *out = product;
    return NULL;
}

static qn_status emit_poly(struct qn_graph *g, const struct poly *poly, qn_dim *out)
{
    qn_dim sum = 0;
    bool first = true;
    for (int pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < poly->count; i++) {
            if ((poly->terms[i].coefficient < 0) != (pass == 1))
                continue;
            qn_dim term;
            QN_TRY(emit_term(g, &poly->terms[i], &term));
            if (first && pass == 0)
                sum = term;
            else if (sum >= 0 && term >= 0)
                return below_zero(sum, term);
            else
                QN_TRY(intern(g, pass == 0 ? QN_EXPR_ADD : QN_EXPR_SUB, sum, term, &sum));
            first = false;
        }
    }
    *out = sum;
    return NULL;
}

static qn_status divide(struct qn_graph *g, enum qn_expr_op op, qn_dim a, qn_dim b, qn_dim *out)
{
    if (b == 0)
        return QN_ERROR(QN_OUT_OF_RANGE, "dimension expression divides by zero");
    if (a >= 0 && b >= 0) {
        *out = op == QN_EXPR_DIV ? a / b : a % b;
        return NULL;
    }
    struct poly dividend = {0}, divisor = {0}, quotient = {0};
    if (!poly_add(g, &dividend, a, 1) || !poly_add(g, &divisor, b, 1))
        return too_large();
    if (poly_divide(g, &dividend, &divisor, &quotient)) {
        *out = 0;
        return op == QN_EXPR_DIV ? emit_poly(g, &quotient, out) : NULL;
    }
    return intern(g, op, a, b, out);
}

/* ---- comparing ------------------------------------------------------------------------------------------------ */

/* A term that is above zero for all values of the symbols, but for its sign. */
static bool never_zero(const struct qn_graph *g, const struct term *term)
{
    for (uint32_t i = 0; i < term->count; i++) {
        const struct qn_expr *factor = &g->exprs.items[~term->factors[i]];
        if (factor->op != QN_EXPR_SYMBOL || g->symbols.items[factor->a].min < 1)
            return false;
    }
    return true;
}

enum qn_dim_relation qn_dim_compare(const struct qn_graph *g, qn_dim a, qn_dim b)
{
    if (a == b)
        return QN_DIM_EQUAL;
    if (a >= 0 && b >= 0)
        return QN_DIM_DIFFERENT;
    struct poly difference = {0};
    if (!poly_add(g, &difference, a, 1) || !poly_add(g, &difference, b, -1))
        return QN_DIM_UNKNOWN;
    if (difference.count == 0)
        return QN_DIM_EQUAL;
    bool positive = difference.terms[0].coefficient > 0, apart = false;
    for (uint32_t i = 0; i < difference.count; i++) {
        if ((difference.terms[i].coefficient > 0) != positive)
            return QN_DIM_UNKNOWN;
        apart |= never_zero(g, &difference.terms[i]);
    }
    return apart ? QN_DIM_DIFFERENT : QN_DIM_UNKNOWN;
}

static const struct qn_expr *expr_of(const struct qn_graph *g, qn_dim dim, enum qn_expr_op op)
{
    return dim < 0 && g->exprs.items[~dim].op == op ? &g->exprs.items[~dim] : NULL;
}

bool qn_dim_at_most(const struct qn_graph *g, qn_dim a, qn_dim b)
{
    const struct qn_expr *e;
    if (a == b || a == 0 || (a >= 0 && b >= 0))
        return a <= b || a == 0 || a == b;
    if ((e = expr_of(g, a, QN_EXPR_SYMBOL)) && b >= 0 && g->symbols.items[e->a].max <= b)
        return true;
    if ((e = expr_of(g, b, QN_EXPR_SYMBOL)) && a >= 0 && g->symbols.items[e->a].min >= a)
        return true;
    if ((e = expr_of(g, a, QN_EXPR_MIN)) && (qn_dim_at_most(g, e->a, b) || qn_dim_at_most(g, e->b, b)))
        return true;
    if ((e = expr_of(g, b, QN_EXPR_MAX)) && (qn_dim_at_most(g, a, e->a) || qn_dim_at_most(g, a, e->b)))
        return true;
    if ((e = expr_of(g, a, QN_EXPR_DIV)) && qn_dim_at_most(g, e->a, b))
        return true;
    struct poly difference = {0};
    if (!poly_add(g, &difference, b, 1) || !poly_add(g, &difference, a, -1))
        return false;
    for (uint32_t i = 0; i < difference.count; i++)
        if (difference.terms[i].coefficient < 0)
            return false;
    return true;
}

static qn_status min_or_max(struct qn_graph *g, enum qn_expr_op op, qn_dim a, qn_dim b, qn_dim *out)
{
    if (compare_dims(g, a, b) > 0) {
        qn_dim swap = a;
        a = b;
        b = swap;
    }
    if (a == b || (op == QN_EXPR_MAX && b == 0))
        *out = a;
    else if (a >= 0) /* then b is a constant too, and the larger one */
        *out = op == QN_EXPR_MIN ? a : b;
    else if (op == QN_EXPR_MIN && b == 0)
        *out = 0;
    else if (qn_dim_at_most(g, a, b))
        *out = op == QN_EXPR_MIN ? a : b;
    else if (qn_dim_at_most(g, b, a))
        *out = op == QN_EXPR_MIN ? b : a;
    else
        return intern(g, op, a, b, out);
    return NULL;
}

static bool dim_exists(const struct qn_graph *g, qn_dim dim)
{
    return dim >= 0 || (uint64_t)~dim < g->exprs.count;
}

/* Cases that need no polynomials. */
static bool is_plain(enum qn_expr_op op, qn_dim a, qn_dim b, qn_dim *out)
{
    switch (op) {
    case QN_EXPR_ADD:
        if (a == 0 || b == 0)
            return (*out = a == 0 ? b : a), true;
        return a >= 0 && b >= 0 && !__builtin_add_overflow(a, b, out);
    case QN_EXPR_SUB:
        if (a == b || b == 0)
            return (*out = b == 0 ? a : 0), true;
        return a >= 0 && b >= 0 && a >= b && ((*out = a - b), true);
    case QN_EXPR_MUL:
        if (a == 1 || b == 1)
            return (*out = a == 1 ? b : a), true;
        return a >= 0 && b >= 0 && !__builtin_mul_overflow(a, b, out);
    default:
        return false;
    }
}

qn_status qn_graph_expr(struct qn_graph *g, enum qn_expr_op op, qn_dim a, qn_dim b, qn_dim *out)
{
    if (!dim_exists(g, a) || !dim_exists(g, b))
        return QN_ERROR(QN_INVALID_ARGUMENT, "dimension refers to an expression that the graph lacks");
    if (is_plain(op, a, b, out))
        return NULL;
    struct poly sum = {0};
    switch (op) {
    case QN_EXPR_ADD:
    case QN_EXPR_SUB:
        if (op == QN_EXPR_SUB && a >= 0 && b > a)
            return below_zero(a, b);
        if (!poly_add(g, &sum, a, 1) || !poly_add(g, &sum, b, op == QN_EXPR_ADD ? 1 : -1))
            return too_large();
        return emit_poly(g, &sum, out);
    case QN_EXPR_MUL: {
        struct poly x = {0}, y = {0};
        if (!poly_add(g, &x, a, 1) || !poly_add(g, &y, b, 1) || !poly_multiply(g, &x, &y, &sum))
            return too_large();
        return emit_poly(g, &sum, out);
    }
    case QN_EXPR_DIV:
    case QN_EXPR_MOD:
        return divide(g, op, a, b, out);
    case QN_EXPR_MIN:
    case QN_EXPR_MAX:
        return min_or_max(g, op, a, b, out);
    case QN_EXPR_SYMBOL:
        break;
    }
    return QN_ERROR(QN_INVALID_ARGUMENT, "dimension expression of unknown kind %d", (int)op);
}

qn_status qn_graph_add_symbol(struct qn_graph *g, const struct qn_symbol *symbol, qn_dim *out)
{
    uint32_t index = qn_share_find(g, QN_SHARE_SYMBOL, &symbol->name);
    if (index == UINT32_MAX) {
        struct qn_symbol copy = *symbol;
        if (symbol->min < 0 || symbol->max < symbol->min)
            return QN_ERROR(QN_INVALID_ARGUMENT, "symbol '%.*s' has bounds %lld to %lld", QN_STR_ARG(symbol->name),
                            (long long)symbol->min, (long long)symbol->max);
        if (g->symbols.count > QN_SHARE_MAX_ID)
            return QN_ERROR(QN_OUT_OF_RANGE, "graph has too many symbols");
        copy.name = qn_arena_str(&g->arena, symbol->name);
        if (!copy.name.data || !qn_share_reserve(g) || !qn_array_push(&g->symbols, g->allocator, copy))
            return QN_OOM();
        index = g->symbols.count - 1;
        qn_share_add(g, QN_SHARE_SYMBOL, index);
    }
    return intern(g, QN_EXPR_SYMBOL, index, 0, out);
}

qn_status qn_graph_symbol(struct qn_graph *g, struct qn_str name, int64_t min, int64_t max, qn_dim *out)
{
    return qn_graph_add_symbol(g, &(struct qn_symbol){.name = name, .min = min, .max = max}, out);
}

qn_status qn_graph_fresh_symbol(struct qn_graph *g, const char *hint, bool late, qn_dim *out)
{
    char text[64];
    struct qn_symbol symbol = {.max = QN_UNBOUNDED, .late = late};
    for (uint32_t number = g->symbols.count;; number++) {
        snprintf(text, sizeof text, "%.40s.%" PRIu32, hint, number);
        symbol.name = qn_str_from(text);
        if (qn_share_find(g, QN_SHARE_SYMBOL, &symbol.name) == UINT32_MAX)
            return qn_graph_add_symbol(g, &symbol, out);
    }
}

bool qn_graph_eval(const struct qn_graph *g, qn_dim dim, const int64_t *symbol_values, int64_t *out)
{
    if (dim >= 0) {
        *out = dim;
        return true;
    }
    const struct qn_expr *expr = &g->exprs.items[~dim];
    if (expr->op == QN_EXPR_SYMBOL) {
        *out = symbol_values[expr->a];
        return *out >= 0;
    }
    int64_t a, b;
    if (!qn_graph_eval(g, expr->a, symbol_values, &a) || !qn_graph_eval(g, expr->b, symbol_values, &b))
        return false;
    switch (expr->op) {
    case QN_EXPR_ADD:
        return !__builtin_add_overflow(a, b, out);
    case QN_EXPR_SUB:
        *out = a - b;
        return a >= b;
    case QN_EXPR_MUL:
        return !__builtin_mul_overflow(a, b, out);
    case QN_EXPR_DIV:
        *out = b > 0 ? a / b : 0;
        return b > 0;
    case QN_EXPR_MOD:
        *out = b > 0 ? a % b : 0;
        return b > 0;
    case QN_EXPR_MIN:
        *out = a < b ? a : b;
        return true;
    case QN_EXPR_MAX:
        *out = a > b ? a : b;
        return true;
    case QN_EXPR_SYMBOL:
        break;
    }
    return false;
}
