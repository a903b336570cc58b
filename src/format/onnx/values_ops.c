/* Shape arithmetic without nodes: what small tensors hold, through the ops that models compute sizes with. */
#include <math.h>

#include "format/onnx/import_state.h"

enum { MAX_INPUTS = 16, MAX_OUTPUTS = 8 };

struct follow {
    struct qn_onnx_import *im;
    const struct qn_onnx_step *step;
    struct qn_graph *g;
    const struct qn_contents *in[MAX_INPUTS]; /* NULL: absent or not known */
    uint32_t count;
    struct qn_contents out[MAX_OUTPUTS];
    uint32_t outs;
};

typedef bool (*follow_fn)(struct follow *f);

static const struct qn_onnx_attr *attr_of(const struct follow *f, const char *name)
{
    return qn_onnx_find_attr(f->step->frame, f->step->node, name);
}

static int64_t attr_i(const struct follow *f, const char *name, int64_t otherwise)
{
    const struct qn_onnx_attr *attr = attr_of(f, name);
    return attr && attr->kind == QN_ONNX_ATTR_INT ? attr->i : otherwise;
}

static bool named(const struct follow *f, const char *name)
{
    return qn_str_is(f->step->node->op_type, name);
}

static bool has(const struct follow *f, uint32_t i)
{
    return i < f->step->input_count && f->step->inputs[i] &&
           qn_onnx_entry_of(f->im, f->step->inputs[i])->state != QN_ONNX_ABSENT;
}

/* ---- one element ---------------------------------------------------------------------------------------------- */

static struct qn_item real_item(qn_dtype dtype, double value)
{
    return (struct qn_item){.known = true, .real = dtype == QN_DTYPE_F32 ? (double)(float)value : value};
}

static struct qn_item truth(int value)
{
    return value == 2 ? (struct qn_item){0} : qn_item_number(value);
}

static struct qn_item binary_real(const struct follow *f, qn_dtype dtype, double a, double b)
{
    if (named(f, "Add"))
        return real_item(dtype, a + b);
    if (named(f, "Sub"))
        return real_item(dtype, a - b);
    if (named(f, "Mul"))
        return real_item(dtype, a * b);
    if (named(f, "Div"))
        return real_item(dtype, a / b);
    if (named(f, "Min") && !isnan(a) && !isnan(b))
        return real_item(dtype, a < b ? a : b);
    if (named(f, "Max") && !isnan(a) && !isnan(b))
        return real_item(dtype, a > b ? a : b);
    return (struct qn_item){0};
}

static struct qn_item binary_integer(const struct follow *f, const struct qn_item *a, const struct qn_item *b)
{
    if (named(f, "Add"))
        return qn_item_add(f->g, a, b);
    if (named(f, "Sub"))
        return qn_item_sub(f->g, a, b);
    if (named(f, "Mul"))
        return qn_item_mul(f->g, a, b);
    if (named(f, "Div"))
        return qn_item_div(f->g, a, b);
    if (named(f, "Mod") && !attr_i(f, "fmod", 0))
        return qn_item_mod(f->g, a, b);
    if (named(f, "Min") || named(f, "Max"))
        return qn_item_min(f->g, a, b, named(f, "Max"));
    return (struct qn_item){0};
}

/* Numbers outside 32 bits would have wrapped. */
static struct qn_item in_range(qn_dtype dtype, struct qn_item item)
{
    int64_t number;
    if (dtype == QN_DTYPE_I32 && qn_item_get(&item, &number) && number != (int32_t)number)
        return (struct qn_item){0};
    return item;
}

/* ---- elementwise ---------------------------------------------------------------------------------------------- */

/* The shape of two that broadcast; an element of each. */
static bool join_shapes(const struct qn_contents *a, const struct qn_contents *b, struct qn_contents *out)
{
    if (a->count != b->count && a->count != 1 && b->count != 1)
        return false;
    out->rank = a->rank > b->rank ? a->rank : b->rank;
    out->count = a->count == 1 ? b->count : a->count;
    return true;
}

static const struct qn_item *item_at(const struct qn_contents *c, uint32_t i)
{
    return &c->items[c->count == 1 ? 0 : i];
}

static bool follow_arithmetic(struct follow *f)
{
    if (!f->in[0])
        return false;
    struct qn_contents sum = *f->in[0];
    qn_dtype dtype = sum.dtype;
    bool real = qn_contents_real(dtype);
    if (!real && dtype != QN_DTYPE_I32 && dtype != QN_DTYPE_I64)
        return false;
    for (uint32_t k = 1; k < f->count; k++) {
        struct qn_contents next = {.dtype = dtype};
        if (!f->in[k] || f->in[k]->dtype != dtype || !join_shapes(&sum, f->in[k], &next))
            return false;
        for (uint32_t i = 0; i < next.count; i++) {
            const struct qn_item *a = item_at(&sum, i), *b = item_at(f->in[k], i);
            if (a->known && b->known)
                next.items[i] =
                    real ? binary_real(f, dtype, a->real, b->real) : in_range(dtype, binary_integer(f, a, b));
        }
        sum = next;
    }
    f->out[0] = sum;
    return f->count > 1 || named(f, "Min") || named(f, "Max");
}

static bool follow_compare(struct follow *f)
{
    const struct qn_contents *a = f->in[0], *b = f->in[1];
    struct qn_contents *out = &f->out[0];
    if (!a || !b || qn_contents_real(a->dtype) || a->dtype != b->dtype || !join_shapes(a, b, out))
        return false;
    out->dtype = QN_DTYPE_BOOL;
    for (uint32_t i = 0; i < out->count; i++) {
        const struct qn_item *x = item_at(a, i), *y = item_at(b, i);
        int order = x->known && y->known ? qn_item_compare(f->g, x, y) : 2;
        if (order == 2)
            continue;
        bool result = named(f, "Equal")         ? order == 0
                      : named(f, "Less")        ? order < 0
                      : named(f, "LessOrEqual") ? order <= 0
                      : named(f, "Greater")     ? order > 0
                                                : order >= 0;
        out->items[i] = truth(result);
    }
    return true;
}

static bool follow_logic(struct follow *f)
{
    const struct qn_contents *a = f->in[0], *b = named(f, "Not") ? f->in[0] : f->in[1];
    struct qn_contents *out = &f->out[0];
    if (!a || !b || a->dtype != QN_DTYPE_BOOL || b->dtype != QN_DTYPE_BOOL || !join_shapes(a, b, out))
        return false;
    out->dtype = QN_DTYPE_BOOL;
    for (uint32_t i = 0; i < out->count; i++) {
        int64_t x, y;
        bool known = qn_item_get(item_at(a, i), &x) && qn_item_get(item_at(b, i), &y);
        if (known)
            out->items[i] = truth(named(f, "Not") ? !x : named(f, "And") ? x && y : x || y);
    }
    return true;
}

static bool same_item(const struct qn_item *a, const struct qn_item *b)
{
    return a->known && b->known && a->plus == b->plus && a->minus == b->minus && a->real == b->real;
}

static bool follow_where(struct follow *f)
{
    const struct qn_contents *c = f->in[0], *a = f->in[1], *b = f->in[2];
    struct qn_contents *out = &f->out[0], both = {0};
    if (!c || !a || !b || a->dtype != b->dtype || !join_shapes(a, b, &both) || !join_shapes(&both, c, out))
        return false;
    out->dtype = a->dtype;
    for (uint32_t i = 0; i < out->count; i++) {
        const struct qn_item *x = item_at(a, i), *y = item_at(b, i);
        int64_t choice;
        if (qn_item_get(item_at(c, i), &choice))
            out->items[i] = choice ? *x : *y;
        else if (same_item(x, y))
            out->items[i] = *x;
    }
    return true;
}

static bool follow_unary(struct follow *f)
{
    const struct qn_contents *a = f->in[0];
    struct qn_contents *out = &f->out[0];
    if (!a || a->dtype == QN_DTYPE_BOOL || a->dtype == QN_DTYPE_U8 || a->dtype == QN_DTYPE_I8)
        return false;
    *out = *a;
    for (uint32_t i = 0; i < a->count; i++) {
        const struct qn_item *x = &a->items[i];
        struct qn_item *y = &out->items[i];
        *y = (struct qn_item){0};
        if (!x->known)
            continue;
        if (!qn_contents_real(a->dtype)) {
            bool negate = named(f, "Neg") || (named(f, "Abs") && x->plus == 0);
            if (negate)
                *y = (struct qn_item){.known = true, .plus = x->minus, .minus = x->plus};
            else if (named(f, "Abs") && x->minus == 0)
                *y = *x;
        } else if (named(f, "Neg")) {
            *y = real_item(a->dtype, -x->real);
        } else if (named(f, "Abs")) {
            *y = real_item(a->dtype, fabs(x->real));
        } else if (named(f, "Floor")) {
            *y = real_item(a->dtype, floor(x->real));
        } else if (named(f, "Ceil")) {
            *y = real_item(a->dtype, ceil(x->real));
        } else if (named(f, "Round")) {
            *y = real_item(a->dtype, nearbyint(x->real));
        } else if (named(f, "Sqrt")) {
            *y = real_item(a->dtype, sqrt(x->real));
        }
    }
    return true;
}

/* Between integers and floats; numbers that do not fit are not followed. */
static struct qn_item cast_item(const struct qn_item *x, qn_dtype from, qn_dtype to)
{
    int64_t number = 0;
    bool real = qn_contents_real(from);
    if (!x->known)
        return *x;
    if (real && qn_contents_real(to))
        return real_item(to, x->real);
    if (real && to != QN_DTYPE_BOOL) {
        if (!(x->real > -9e15 && x->real < 9e15))
            return (struct qn_item){0};
        number = (int64_t)x->real;
    } else if (real) {
        return qn_item_number(x->real != 0);
    } else if (!qn_item_get(x, &number)) {
        return to == QN_DTYPE_I64 || to == QN_DTYPE_I32 ? *x : (struct qn_item){0};
    }
    switch (to) {
    case QN_DTYPE_F32:
    case QN_DTYPE_F64:
        return real_item(to, (double)number);
    case QN_DTYPE_BOOL:
        return qn_item_number(number != 0);
    case QN_DTYPE_I8:
        return number == (int8_t)number ? qn_item_number(number) : (struct qn_item){0};
    case QN_DTYPE_U8:
        return number == (uint8_t)number ? qn_item_number(number) : (struct qn_item){0};
    default:
        return in_range(to, qn_item_number(number));
    }
}

static bool follow_cast(struct follow *f)
{
    const struct qn_onnx_attr *attr = attr_of(f, "to");
    if (!f->in[0] || !attr || attr->kind != QN_ONNX_ATTR_INT)
        return false;
    qn_dtype to = attr->i > 0 && attr->i < 100 ? qn_onnx_dtype((int32_t)attr->i) : QN_DTYPE_NONE;
    if (!qn_contents_dtype(to))
        return false;
    f->out[0] = *f->in[0];
    f->out[0].dtype = to;
    for (uint32_t i = 0; i < f->out[0].count; i++)
        f->out[0].items[i] = cast_item(&f->in[0]->items[i], f->in[0]->dtype, to);
    return true;
}

/* ---- moves ---------------------------------------------------------------------------------------------------- */

static bool follow_squeeze(struct follow *f)
{
    if (!f->in[0] || f->in[0]->rank != 1)
        return false;
    f->out[0] = *f->in[0];
    if (f->in[0]->count == 1)
        f->out[0].rank = 0;
    return f->in[0]->count == 1 || (!attr_of(f, "axes") && !has(f, 1));
}

static bool follow_unsqueeze(struct follow *f)
{
    const struct qn_onnx_attr *attr = attr_of(f, "axes");
    uint64_t axes = attr ? attr->count : f->in[1] ? f->in[1]->count : 0;
    if (!f->in[0] || f->in[0]->rank != 0 || axes != 1)
        return false;
    f->out[0] = *f->in[0];
    f->out[0].rank = 1;
    return true;
}

static bool follow_reshape(struct follow *f)
{
    if (!f->in[0])
        return false;
    const struct qn_onnx_attr *attr = attr_of(f, "shape");
    uint64_t rank = attr && attr->kind == QN_ONNX_ATTR_INTS ? attr->count : f->in[1] ? f->in[1]->count : 2;
    int64_t size = 0;
    if (attr && rank == 1)
        size = attr->ints[0];
    else if (rank == 1 && !qn_item_get(&f->in[1]->items[0], &size))
        return false;
    f->out[0] = *f->in[0];
    f->out[0].rank = (uint32_t)rank;
    bool fits = size == -1 || size == f->in[0]->count || (size == 0 && f->in[0]->rank == 1);
    return rank == 1 ? fits : rank == 0 && f->in[0]->count == 1;
}

/* Parts that are not known count by their sizes. */
static bool part_of(struct follow *f, uint32_t i, struct qn_contents *out)
{
    if (f->in[i]) {
        *out = *f->in[i];
        return out->rank == 1;
    }
    struct qn_onnx_bound *bound = f->step->inputs[i] ? qn_onnx_entry_of(f->im, f->step->inputs[i]) : NULL;
    const struct qn_type *type = bound && bound->value ? qn_graph_type(f->g, bound->value) : NULL;
    if (!type || type->rank != 1 || type->dims[0] < 0 || type->dims[0] > QN_CONTENTS_MAX)
        return false;
    *out = (struct qn_contents){.dtype = type->dtype, .rank = 1, .count = (uint32_t)type->dims[0]};
    return qn_contents_dtype(type->dtype);
}

static bool follow_concat(struct follow *f)
{
    struct qn_contents *out = &f->out[0];
    bool any = false;
    for (uint32_t i = 0; i < f->step->input_count; i++) {
        struct qn_contents part;
        if (i >= MAX_INPUTS || !part_of(f, i, &part) || out->count + part.count > QN_CONTENTS_MAX ||
            (i > 0 && part.dtype != out->dtype))
            return false;
        out->dtype = part.dtype;
        for (uint32_t k = 0; k < part.count; k++)
            out->items[out->count++] = part.items[k];
        any |= f->in[i] != NULL;
    }
    out->rank = 1;
    return any;
}

static bool follow_gather(struct follow *f)
{
    const struct qn_contents *data = f->in[0], *at = f->in[1];
    if (!data || !at || data->rank != 1 || qn_contents_real(at->dtype))
        return false;
    f->out[0] = (struct qn_contents){.dtype = data->dtype, .rank = at->rank, .count = at->count};
    for (uint32_t i = 0; i < at->count; i++) {
        int64_t k;
        if (!qn_item_get(&at->items[i], &k))
            return false;
        k = k < 0 ? k + data->count : k;
        if (k < 0 || k >= data->count)
            return false;
        f->out[0].items[i] = data->items[k];
    }
    return true;
}

/* Bound i of a slice: from the attribute of version 1 or the input. */
static bool bound_of(const struct follow *f, const char *name, uint32_t input, int64_t otherwise, int64_t *out)
{
    const struct qn_onnx_attr *attr = attr_of(f, name);
    *out = otherwise;
    if (attr && attr->kind == QN_ONNX_ATTR_INTS) {
        *out = attr->count ? attr->ints[0] : otherwise;
        return attr->count == 1;
    }
    if (!has(f, input))
        return input > 2;
    if (!f->in[input] || f->in[input]->count != 1)
        return false;
    const struct qn_item *item = &f->in[input]->items[0];
    *out = -INT64_MAX;
    return item->lowest || qn_item_get(item, out);
}

static int64_t clamp(int64_t x, int64_t low, int64_t high)
{
    return x < low ? low : x > high ? high : x;
}

static bool follow_slice(struct follow *f)
{
    const struct qn_contents *x = f->in[0];
    int64_t start, end, step;
    if (!x || x->rank != 1 || !bound_of(f, "starts", 1, 0, &start) || !bound_of(f, "ends", 2, 0, &end) ||
        !bound_of(f, "steps", 4, 1, &step) || step == 0 || step == INT64_MIN)
        return false;
    int64_t count = x->count;
    start = start < 0 ? start + count : start;
    end = end < 0 && end > -INT32_MAX ? end + count : end;
    start = clamp(start, step < 0 ? -1 : 0, step < 0 ? count - 1 : count);
    end = clamp(end, step < 0 ? -1 : 0, count);
    f->out[0] = (struct qn_contents){.dtype = x->dtype, .rank = 1};
    for (int64_t i = start; step > 0 ? i < end : i > end; i += clamp(step, -count - 1, count + 1))
        f->out[0].items[f->out[0].count++] = x->items[i];
    return true;
}

static bool follow_split(struct follow *f)
{
    const struct qn_contents *x = f->in[0];
    const struct qn_onnx_attr *attr = attr_of(f, "split");
    uint32_t parts = f->step->output_count, at = 0;
    if (!x || x->rank != 1 || parts == 0 || parts > MAX_OUTPUTS || (has(f, 1) && !f->in[1]))
        return false;
    for (uint32_t i = 0; i < parts; i++) {
        int64_t size = (x->count + parts - 1) / parts, left = (int64_t)x->count - at;
        size = size < left ? size : left;
        if (attr && attr->kind == QN_ONNX_ATTR_INTS && i < attr->count)
            size = attr->ints[i];
        else if (f->in[1] && (i >= f->in[1]->count || !qn_item_get(&f->in[1]->items[i], &size)))
            return false;
        if (size < 0 || size > left)
            return false;
        f->out[i] = (struct qn_contents){.dtype = x->dtype, .rank = 1, .count = (uint32_t)size};
        for (uint32_t k = 0; k < size; k++)
            f->out[i].items[k] = x->items[at++];
    }
    f->outs = parts;
    return true;
}

/* ---- made and reduced ----------------------------------------------------------------------------------------- */

static bool follow_constant_of_shape(struct follow *f)
{
    const struct qn_contents *shape = f->in[0];
    const struct qn_onnx_attr *attr = attr_of(f, "value");
    struct qn_contents *out = &f->out[0];
    int64_t count = 1;
    if (!shape || shape->count > 1 || (shape->count == 1 && !qn_item_get(&shape->items[0], &count)) || count < 0 ||
        count > QN_CONTENTS_MAX)
        return false;
    *out = (struct qn_contents){.dtype = QN_DTYPE_F32, .rank = shape->count, .count = 1};
    out->items[0] = real_item(QN_DTYPE_F32, 0);
    if (attr) {
        struct qn_onnx_content content = {0};
        qn_status status = attr->t ? qn_onnx_resolve(f->im->program->file, attr->t, &f->im->arena, &content) : NULL;
        bool read = !status && content.data && content.bytes > 0;
        qn_status_ignore(status);
        out->dtype = content.dtype;
        if (!read || !qn_contents_read(out, content.data))
            return false;
    }
    out->count = (uint32_t)count;
    for (uint32_t i = 1; i < out->count; i++)
        out->items[i] = out->items[0];
    return true;
}

static bool follow_range(struct follow *f)
{
    int64_t v[3];
    for (uint32_t i = 0; i < 3; i++)
        if (i >= f->count || !f->in[i] || qn_contents_real(f->in[i]->dtype) || f->in[i]->count != 1 ||
            !qn_item_get(&f->in[i]->items[0], &v[i]) || v[i] > INT32_MAX || v[i] < -INT32_MAX)
            return false;
    if (v[2] == 0)
        return false;
    struct qn_contents *out = &f->out[0];
    *out = (struct qn_contents){.dtype = f->in[0]->dtype, .rank = 1};
    for (int64_t x = v[0]; v[2] > 0 ? x < v[1] : x > v[1]; x += v[2]) {
        if (out->count == QN_CONTENTS_MAX)
            return false;
        out->items[out->count++] = qn_item_number(x);
    }
    return true;
}

static bool follow_reduce(struct follow *f)
{
    const struct qn_contents *x = f->in[0];
    if (!x || x->rank != 1 || x->count == 0 || (x->dtype != QN_DTYPE_I64 && x->dtype != QN_DTYPE_I32) ||
        (attr_i(f, "noop_with_empty_axes", 0) && !has(f, 1)))
        return false;
    struct qn_item sum = x->items[0];
    for (uint32_t i = 1; i < x->count; i++) {
        const struct qn_item *next = &x->items[i];
        sum = named(f, "ReduceProd")  ? qn_item_mul(f->g, &sum, next)
              : named(f, "ReduceSum") ? qn_item_add(f->g, &sum, next)
                                      : qn_item_min(f->g, &sum, next, named(f, "ReduceMax"));
    }
    f->out[0] = (struct qn_contents){
        .dtype = x->dtype, .rank = attr_i(f, "keepdims", 1) ? 1 : 0, .count = 1, .items = {in_range(x->dtype, sum)}};
    return sum.known;
}

static bool follow_repeat(struct follow *f)
{
    const struct qn_contents *x = f->in[0], *by = f->in[1];
    int64_t times;
    if (f->step->opset < 6 || !x || !by || by->count != 1 || by->rank != 1 || x->count == 0 ||
        !qn_item_get(&by->items[0], &times) || times < 0 || times > QN_CONTENTS_MAX)
        return false;
    if (named(f, "Expand")) {
        if (x->count != 1 && times != 1 && times != x->count)
            return false;
        times = x->count == 1 ? times : 1;
    } else if (x->rank != 1) {
        return false;
    }
    if (times * x->count > QN_CONTENTS_MAX)
        return false;
    f->out[0] = (struct qn_contents){.dtype = x->dtype, .rank = 1, .count = (uint32_t)(times * x->count)};
    for (uint32_t i = 0; i < f->out[0].count; i++)
        f->out[0].items[i] = x->items[i % x->count];
    return true;
}

/* ---- the table ------------------------------------------------------------------------------------------------ */

static const struct {
    const char *name;
    follow_fn follow;
} table[] = {
    {"Add", follow_arithmetic},
    {"Sub", follow_arithmetic},
    {"Mul", follow_arithmetic},
    {"Div", follow_arithmetic},
    {"Mod", follow_arithmetic},
    {"Min", follow_arithmetic},
    {"Max", follow_arithmetic},
    {"Equal", follow_compare},
    {"Less", follow_compare},
    {"LessOrEqual", follow_compare},
    {"Greater", follow_compare},
    {"GreaterOrEqual", follow_compare},
    {"Not", follow_logic},
    {"And", follow_logic},
    {"Or", follow_logic},
    {"Where", follow_where},
    {"Neg", follow_unary},
    {"Abs", follow_unary},
    {"Floor", follow_unary},
    {"Ceil", follow_unary},
    {"Round", follow_unary},
    {"Sqrt", follow_unary},
    {"Cast", follow_cast},
    {"Squeeze", follow_squeeze},
    {"Unsqueeze", follow_unsqueeze},
    {"Reshape", follow_reshape},
    {"Concat", follow_concat},
    {"Gather", follow_gather},
    {"Slice", follow_slice},
    {"Split", follow_split},
    {"ConstantOfShape", follow_constant_of_shape},
    {"Range", follow_range},
    {"ReduceProd", follow_reduce},
    {"ReduceSum", follow_reduce},
    {"ReduceMax", follow_reduce},
    {"ReduceMin", follow_reduce},
    {"Tile", follow_repeat},
    {"Expand", follow_repeat},
};

static follow_fn find_row(const struct qn_onnx_node *node)
{
    if (node->domain.size && !qn_str_is(node->domain, "ai.onnx"))
        return NULL;
    for (uint32_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (qn_str_is(node->op_type, table[i].name))
            return table[i].follow;
    return NULL;
}

/* What the outputs hold follows from these inputs. */
static void set_origin(struct follow *f)
{
    bool fixed = true;
    uint64_t inputs = 0;
    for (uint32_t i = 0; i < f->step->input_count; i++)
        if (has(f, i)) {
            fixed &= i < f->count && f->in[i] && f->in[i]->fixed;
            inputs |= i < f->count && f->in[i] ? f->in[i]->inputs : 0;
        }
    for (uint32_t i = 0; i < f->outs; i++) {
        f->out[i].fixed = fixed;
        f->out[i].inputs = inputs;
    }
}

static bool keep(struct follow *f, uint32_t i)
{
    struct qn_onnx_bound *bound = &f->im->entries[f->step->outputs[i]];
    struct qn_contents *kept = f->step->outputs[i] ? QN_ARENA_NEW(&f->im->arena, struct qn_contents) : NULL;
    if (!kept)
        return !f->step->outputs[i];
    *kept = f->out[i];
    bound->contents = kept;
    bound->type = (struct qn_onnx_type){.kind = QN_ONNX_TENSOR, .dtype = kept->dtype};
    return true;
}

bool qn_onnx_follow(struct qn_onnx_import *im, struct qn_onnx_step *step)
{
    follow_fn row = find_row(step->node);
    struct follow f;
    if (!row)
        return false;
    memset(&f, 0, sizeof f);
    f.im = im;
    f.step = step;
    f.g = im->graph;
    f.outs = 1;
    f.count = step->input_count < MAX_INPUTS ? step->input_count : MAX_INPUTS;
    bool any = step->input_count == 0;
    for (uint32_t i = 0; i < f.count; i++) {
        f.in[i] = has(&f, i) ? qn_onnx_entry_contents(im, step->inputs[i]) : NULL;
        any |= f.in[i] != NULL;
    }
    if (!any || (step->input_count > MAX_INPUTS && row != follow_concat) || !row(&f))
        return false;
    set_origin(&f);
    bool complete = true;
    for (uint32_t i = 0; i < f.outs; i++)
        complete &= keep(&f, i) && qn_contents_known(&f.out[i]) && f.out[i].inputs == 0;
    for (uint32_t i = 0; i < f.outs && complete; i++)
        if (step->outputs[i])
            im->entries[step->outputs[i]].state = QN_ONNX_READY;
    return complete;
}
