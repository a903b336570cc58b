#include "format/onnx/values.h"

bool qn_contents_dtype(qn_dtype dtype)
{
    switch (dtype) {
    case QN_DTYPE_BOOL:
    case QN_DTYPE_I8:
    case QN_DTYPE_U8:
    case QN_DTYPE_I32:
    case QN_DTYPE_I64:
    case QN_DTYPE_F32:
    case QN_DTYPE_F64:
        return true;
    default:
        return false;
    }
}

struct qn_item qn_item_number(int64_t number)
{
    if (number == INT64_MIN)
        return (struct qn_item){.lowest = true};
    return (struct qn_item){.known = true, .plus = number > 0 ? number : 0, .minus = number < 0 ? -number : 0};
}

struct qn_item qn_item_dim(qn_dim dim)
{
    return (struct qn_item){.known = true, .plus = dim};
}

bool qn_item_get(const struct qn_item *item, int64_t *out)
{
    if (!item->known || item->plus < 0 || item->minus < 0)
        return false;
    *out = item->plus - item->minus;
    return true;
}

bool qn_contents_known(const struct qn_contents *contents)
{
    for (uint32_t i = 0; i < contents->count; i++)
        if (!contents->items[i].known)
            return false;
    return true;
}

bool qn_contents_numbers(const struct qn_contents *contents)
{
    int64_t number;
    for (uint32_t i = 0; i < contents->count; i++)
        if (qn_contents_real(contents->dtype) ? !contents->items[i].known : !qn_item_get(&contents->items[i], &number))
            return false;
    return true;
}

/* ---- bytes ---------------------------------------------------------------------------------------------------- */

static int64_t read_integer(qn_dtype dtype, const void *at)
{
    int8_t i8;
    uint8_t u8;
    int32_t i32;
    int64_t i64;
    switch (dtype) {
    case QN_DTYPE_I8:
        return memcpy(&i8, at, sizeof i8), i8;
    case QN_DTYPE_I32:
        return memcpy(&i32, at, sizeof i32), i32;
    case QN_DTYPE_I64:
        return memcpy(&i64, at, sizeof i64), i64;
    case QN_DTYPE_BOOL:
        return memcpy(&u8, at, sizeof u8), u8 != 0;
    default:
        return memcpy(&u8, at, sizeof u8), u8;
    }
}

bool qn_contents_read(struct qn_contents *contents, const void *data)
{
    if (!qn_contents_dtype(contents->dtype) || contents->count > QN_CONTENTS_MAX)
        return false;
    uint32_t size = qn_dtype_info(contents->dtype)->block_bytes;
    for (uint32_t i = 0; i < contents->count; i++) {
        const char *at = (const char *)data + (size_t)i * size;
        struct qn_item *item = &contents->items[i];
        float f32;
        *item = (struct qn_item){.known = true};
        if (contents->dtype == QN_DTYPE_F32) {
            memcpy(&f32, at, sizeof f32);
            item->real = (double)f32;
        } else if (contents->dtype == QN_DTYPE_F64) {
            memcpy(&item->real, at, sizeof item->real);
        } else {
            *item = qn_item_number(read_integer(contents->dtype, at));
        }
    }
    return true;
}

void qn_contents_write(const struct qn_contents *contents, void *data)
{
    uint32_t size = qn_dtype_info(contents->dtype)->block_bytes;
    for (uint32_t i = 0; i < contents->count; i++) {
        char *at = (char *)data + (size_t)i * size;
        int64_t number = 0;
        float f32 = (float)contents->items[i].real;
        if (contents->dtype == QN_DTYPE_F32) {
            memcpy(at, &f32, sizeof f32);
        } else if (contents->dtype == QN_DTYPE_F64) {
            memcpy(at, &contents->items[i].real, sizeof contents->items[i].real);
        } else {
            qn_item_get(&contents->items[i], &number);
            memcpy(at, &number, size); /* little-endian: the low bytes */
        }
    }
}

/* ---- arithmetic ----------------------------------------------------------------------------------------------- */

static bool expr(struct qn_graph *g, enum qn_expr_op op, qn_dim a, qn_dim b, qn_dim *out)
{
    qn_status status = qn_graph_expr(g, op, a, b, out);
    bool ok = !status;
    qn_status_ignore(status);
    return ok;
}

/* Terms that stand in both go: plus - minus in normal form, then its subtractions moved over. */
static struct qn_item difference(struct qn_graph *g, qn_dim plus, qn_dim minus)
{
    struct qn_item item = {.known = true, .plus = plus, .minus = minus};
    qn_dim all;
    if (minus == 0)
        return item;
    if (plus >= 0 && minus >= 0)
        return qn_item_number(plus - minus);
    if (expr(g, QN_EXPR_SUB, plus, minus, &all)) {
        item.plus = all;
        item.minus = 0;
        while (item.plus < 0 && g->exprs.items[~item.plus].op == QN_EXPR_SUB) {
            struct qn_expr e = g->exprs.items[~item.plus];
            if (!expr(g, QN_EXPR_ADD, item.minus, e.b, &item.minus))
                return (struct qn_item){0};
            item.plus = e.a;
        }
    } else if (expr(g, QN_EXPR_SUB, minus, plus, &all)) {
        item.plus = 0;
        item.minus = all;
    }
    return item;
}

struct qn_item qn_item_add(struct qn_graph *g, const struct qn_item *a, const struct qn_item *b)
{
    qn_dim plus, minus;
    if (!a->known || !b->known || !expr(g, QN_EXPR_ADD, a->plus, b->plus, &plus) ||
        !expr(g, QN_EXPR_ADD, a->minus, b->minus, &minus))
        return (struct qn_item){0};
    return difference(g, plus, minus);
}

struct qn_item qn_item_sub(struct qn_graph *g, const struct qn_item *a, const struct qn_item *b)
{
    struct qn_item negative = {.known = b->known, .plus = b->minus, .minus = b->plus};
    return qn_item_add(g, a, &negative);
}

struct qn_item qn_item_mul(struct qn_graph *g, const struct qn_item *a, const struct qn_item *b)
{
    qn_dim pp, mm, pm, mp;
    if (!a->known || !b->known || !expr(g, QN_EXPR_MUL, a->plus, b->plus, &pp) ||
        !expr(g, QN_EXPR_MUL, a->minus, b->minus, &mm) || !expr(g, QN_EXPR_MUL, a->plus, b->minus, &pm) ||
        !expr(g, QN_EXPR_MUL, a->minus, b->plus, &mp) || !expr(g, QN_EXPR_ADD, pp, mm, &pp) ||
        !expr(g, QN_EXPR_ADD, pm, mp, &pm))
        return (struct qn_item){0};
    return difference(g, pp, pm);
}

struct qn_item qn_item_div(struct qn_graph *g, const struct qn_item *a, const struct qn_item *b)
{
    int64_t x, y;
    qn_dim size, by, out;
    if (qn_item_get(b, &y) && y == 0)
        return (struct qn_item){0};
    if (qn_item_get(a, &x) && qn_item_get(b, &y))
        return qn_item_number(x / y);
    if (!qn_item_size(g, a, &size) || !qn_item_size(g, b, &by) || !expr(g, QN_EXPR_DIV, size, by, &out))
        return (struct qn_item){0};
    return qn_item_dim(out);
}

struct qn_item qn_item_mod(struct qn_graph *g, const struct qn_item *a, const struct qn_item *b)
{
    int64_t x, y;
    qn_dim size, by, out;
    if (qn_item_get(b, &y) && y == 0)
        return (struct qn_item){0};
    if (qn_item_get(a, &x) && qn_item_get(b, &y)) {
        int64_t rest = x % y;
        return qn_item_number(rest && (rest < 0) != (y < 0) ? rest + y : rest);
    }
    if (!qn_item_size(g, a, &size) || !qn_item_size(g, b, &by) || !expr(g, QN_EXPR_MOD, size, by, &out))
        return (struct qn_item){0};
    return qn_item_dim(out);
}

int qn_item_compare(struct qn_graph *g, const struct qn_item *a, const struct qn_item *b)
{
    struct qn_item d = qn_item_sub(g, a, b);
    int64_t number;
    if (qn_item_get(&d, &number))
        return number < 0 ? -1 : number > 0;
    if (!d.known)
        return 2;
    /* A sum of products is at least its constant part. */
    qn_dim sum = d.minus == 0 ? d.plus : d.plus == 0 ? d.minus : 0;
    if (sum < 0 && g->exprs.items[~sum].op == QN_EXPR_ADD && g->exprs.items[~sum].b > 0)
        return d.minus == 0 ? 1 : -1;
    return 2;
}

struct qn_item qn_item_min(struct qn_graph *g, const struct qn_item *a, const struct qn_item *b, bool max)
{
    if (!a->known || !b->known)
        return (struct qn_item){0};
    int order = qn_item_compare(g, a, b);
    if (order != 2)
        return (order < 0) == max ? *b : *a;
    qn_dim x, y, out;
    if (!qn_item_size(g, a, &x) || !qn_item_size(g, b, &y) || !expr(g, max ? QN_EXPR_MAX : QN_EXPR_MIN, x, y, &out))
        return (struct qn_item){0};
    return qn_item_dim(out);
}

bool qn_item_size(struct qn_graph *g, const struct qn_item *item, qn_dim *out)
{
    if (!item->known)
        return false;
    if (item->minus == 0) {
        *out = item->plus;
        return true;
    }
    return expr(g, QN_EXPR_SUB, item->plus, item->minus, out);
}
