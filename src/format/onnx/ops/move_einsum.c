/* Einsum as transposes, reshapes, matrix products and sums: the operands are joined one by one from the left, and an
 * index is summed as soon as neither the output nor a later operand has it. */
#include "format/onnx/ops/elementwise.h"

/* Labels: letters stand for themselves; the axes of "..." are DOTS, DOTS + 1, ... from the right. */
enum { DOTS = 128, LABELS = 256, MAX_TERMS = 32 };

struct term {
    qn_value x;
    uint32_t rank;
    uint8_t labels[QN_MAX_RANK];
};

static bool letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool has(const struct term *t, uint8_t label)
{
    for (uint32_t i = 0; i < t->rank; i++)
        if (t->labels[i] == label)
            return true;
    return false;
}

static uint32_t place_of(const struct term *t, uint8_t label)
{
    uint32_t i = 0;
    while (i < t->rank && t->labels[i] != label)
        i++;
    return i;
}

/* Labels of one part of the equation for a tensor of this rank; `dots` axes stand for "...". */
static bool read_labels(struct qn_lower *l, struct qn_str text, uint32_t dots, struct term *t)
{
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        bool many = c == '.' && i + 2 < text.size && text.data[i + 1] == '.' && text.data[i + 2] == '.';
        uint32_t count = many ? dots : 1;
        if (c == ' ')
            continue;
        if ((!many && !letter(c)) || t->rank + count > QN_MAX_RANK) {
            qn_onnx_fail(l, "\"%.*s\" is no list of at most %d indices", QN_STR_ARG(text), QN_MAX_RANK);
            return false;
        }
        for (uint32_t k = 0; k < count; k++)
            t->labels[t->rank++] = many ? (uint8_t)(DOTS + dots - 1 - k) : (uint8_t)c;
        i += many ? 2 : 0;
    }
    return true;
}

static uint32_t count_letters(struct qn_str text, bool *dots)
{
    uint32_t n = 0;
    for (size_t i = 0; i < text.size; i++) {
        n += letter(text.data[i]);
        *dots |= text.data[i] == '.';
    }
    return n;
}

/* ---- steps on one term ---------------------------------------------------------------------------------------- */

static void reorder(struct qn_lower *l, struct term *t, const uint8_t *labels)
{
    int64_t perm[QN_MAX_RANK];
    bool same = true;
    if (l->b->status)
        return;
    for (uint32_t i = 0; i < t->rank; i++) {
        perm[i] = place_of(t, labels[i]);
        same &= perm[i] == i;
    }
    if (same)
        return;
    t->x = qn_build_transpose(l->b, t->x, t->rank, perm);
    for (uint32_t i = 0; i < t->rank && i < QN_MAX_RANK; i++)
        t->labels[i] = labels[i];
}

/* An index that stands twice: both axes as one of n n elements, of which every n + 1st is taken. */
static bool take_diagonals(struct qn_lower *l, struct term *t)
{
    for (uint32_t j = 1; j < t->rank; j++) {
        uint32_t i = place_of(t, t->labels[j]);
        if (i == j)
            continue;
        if (!qn_onnx_static(l, t->x))
            return false;
        int64_t perm[QN_MAX_RANK], n = qn_build_dim(l->b, t->x, i);
        struct term out = {.rank = 0};
        qn_dim dims[QN_MAX_RANK];
        if (n != qn_build_dim(l->b, t->x, j)) {
            qn_onnx_fail(l, "an index stands for axes of different sizes");
            return false;
        }
        for (uint32_t k = 0; k < t->rank && k < QN_MAX_RANK; k++) {
            if (k == i || k == j)
                continue;
            dims[out.rank] = qn_build_dim(l->b, t->x, k);
            perm[out.rank] = k;
            out.labels[out.rank++] = t->labels[k];
        }
        perm[out.rank] = i;
        perm[out.rank + 1] = j;
        dims[out.rank] = n * n;
        out.labels[out.rank++] = t->labels[i];
        out.x = qn_build_reshape(l->b, qn_build_transpose(l->b, t->x, t->rank, perm), out.rank, dims);
        struct qn_attr_slice attr = {.axis = out.rank - 1, .start = 0, .stop = n * n, .step = n + 1};
        out.x = qn_build_node(l->b, QN_OP_slice, &out.x, 1, &attr, NULL);
        *t = out;
        j = 0;
        if (l->b->status)
            return false;
    }
    return true;
}

static void sum_unneeded(struct qn_lower *l, struct term *t, const bool *needed)
{
    struct qn_attr_reduce attr = {.keepdims = 0};
    struct term out = {.x = t->x};
    for (uint32_t i = 0; i < t->rank; i++) {
        if (needed[t->labels[i]])
            out.labels[out.rank++] = t->labels[i];
        else
            attr.axes.items[attr.axes.count++] = i;
    }
    if (attr.axes.count)
        out.x = qn_build_node(l->b, QN_OP_reduce_sum, &t->x, 1, &attr, NULL);
    *t = out;
}

/* Axes of size 1 that another term has larger are dropped. */
static void drop_ones(struct qn_lower *l, struct term *t, const struct term *other)
{
    struct term out = {.rank = 0};
    qn_dim dims[QN_MAX_RANK];
    for (uint32_t i = 0; i < t->rank && !l->b->status; i++) {
        qn_dim dim = qn_build_dim(l->b, t->x, i);
        if (dim == 1 && has(other, t->labels[i]) && qn_build_dim(l->b, other->x, place_of(other, t->labels[i])) != 1)
            continue;
        dims[out.rank] = dim;
        out.labels[out.rank++] = t->labels[i];
    }
    if (out.rank == t->rank)
        return;
    out.x = qn_build_reshape(l->b, t->x, out.rank, dims);
    *t = out;
}

/* ---- two terms ------------------------------------------------------------------------------------------------ */

/* Labels of `t` that are (or are not) in `other` and are (or are not) needed, behind those in `list`. */
static uint32_t select_labels(const struct term *t, const struct term *other, bool shared, const bool *needed,
                              bool wanted, uint8_t *list)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->rank; i++)
        if (has(other, t->labels[i]) == shared && needed[t->labels[i]] == wanted)
            list[n++] = t->labels[i];
    return n;
}

static qn_dim product(struct qn_lower *l, const struct term *t, uint32_t first, uint32_t count)
{
    qn_dim out = 1;
    for (uint32_t i = first; i < first + count; i++)
        out = qn_build_expr(l->b, QN_EXPR_MUL, out, qn_build_dim(l->b, t->x, i));
    return out;
}

static void join(struct qn_lower *l, struct term *a, struct term *b, const bool *needed)
{
    bool either[LABELS];
    for (uint32_t i = 0; i < LABELS; i++)
        either[i] = needed[i];
    drop_ones(l, a, b);
    drop_ones(l, b, a);
    for (uint32_t i = 0; i < a->rank; i++)
        either[a->labels[i]] |= has(b, a->labels[i]);
    sum_unneeded(l, a, either);
    sum_unneeded(l, b, either);
    uint8_t order_a[QN_MAX_RANK], order_b[QN_MAX_RANK];
    uint32_t batch = select_labels(a, b, true, needed, true, order_a);
    uint32_t free_a = select_labels(a, b, false, needed, true, order_a + batch);
    uint32_t inner = select_labels(a, b, true, needed, false, order_a + batch + free_a);
    for (uint32_t i = 0; i < batch; i++)
        order_b[i] = order_a[i];
    for (uint32_t i = 0; i < inner; i++)
        order_b[batch + i] = order_a[batch + free_a + i];
    uint32_t free_b = select_labels(b, a, false, needed, true, order_b + batch + inner);
    if (batch + free_a + free_b > QN_MAX_RANK) {
        qn_onnx_fail(l, "a product has more than %d axes", QN_MAX_RANK);
        return;
    }
    reorder(l, a, order_a);
    reorder(l, b, order_b);
    if (l->b->status)
        return;
    struct term out = {.rank = batch + free_a + free_b};
    qn_dim dims[QN_MAX_RANK];
    for (uint32_t i = 0; i < out.rank; i++) {
        bool of_a = i < batch + free_a;
        uint32_t at = of_a ? i : i - free_a + inner;
        out.labels[i] = of_a ? order_a[i] : order_b[at];
        dims[i] = qn_build_dim(l->b, of_a ? a->x : b->x, at);
    }
    qn_dim shape_a[3] = {product(l, a, 0, batch), product(l, a, batch, free_a), product(l, a, batch + free_a, inner)};
    qn_dim shape_b[3] = {product(l, b, 0, batch), product(l, b, batch, inner), product(l, b, batch + inner, free_b)};
    qn_dtype dtype = qn_onnx_type_of(l, a->x)->dtype;
    uint32_t skip = batch ? 0 : 1; /* without a batch: plain matrices */
    qn_value x = qn_build_reshape(l->b, a->x, 3 - skip, shape_a + skip);
    qn_value y = qn_build_reshape(l->b, b->x, 3 - skip, shape_b + skip);
    qn_value z = inner ? qn_build_matmul(l->b, x, y, false, NULL) : qn_lower_binary(l, QN_OP_mul, x, y);
    out.x = qn_build_reshape(l->b, qn_build_cast(l->b, z, dtype), out.rank, dims);
    *a = out;
}

/* ---- the op --------------------------------------------------------------------------------------------------- */

/* The indices of the output: as written, or "..." and those that stand once, in alphabetic order. */
static bool read_output(struct qn_lower *l, struct qn_str equation, size_t arrow, uint32_t dots, struct term *out)
{
    if (arrow < equation.size) {
        struct qn_str text = {equation.data + arrow + 2, equation.size - arrow - 2};
        return read_labels(l, text, dots, out);
    }
    uint32_t seen[LABELS] = {0};
    for (size_t i = 0; i < equation.size; i++)
        seen[(uint8_t)equation.data[i]]++;
    for (uint32_t k = dots; k-- > 0;)
        out->labels[out->rank++] = (uint8_t)(DOTS + k);
    for (int c = 'A'; c <= 'z'; c++) {
        if (!letter((char)c) || seen[c] != 1)
            continue;
        if (out->rank == QN_MAX_RANK) {
            qn_onnx_fail(l, "the output has more than %d axes", QN_MAX_RANK);
            return false;
        }
        out->labels[out->rank++] = (uint8_t)c;
    }
    return true;
}

/* The operands' parts of the equation, their labels and diagonals; *dots: axes that "..." stands for. */
static bool read_terms(struct qn_lower *l, struct qn_str equation, size_t arrow, struct term *terms, uint32_t *dots)
{
    struct qn_str parts[MAX_TERMS];
    uint32_t count = 0;
    size_t from = 0;
    for (size_t i = 0; i <= arrow; i++) {
        if (i < arrow && equation.data[i] != ',')
            continue;
        if (count < MAX_TERMS)
            parts[count] = (struct qn_str){equation.data + from, i - from};
        count++;
        from = i + 1;
    }
    if (count != l->input_count || count > MAX_TERMS) {
        qn_onnx_fail(l, "equation \"%.*s\" is for %u inputs, there are %u", QN_STR_ARG(equation), count,
                     l->input_count);
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        bool many = false;
        terms[i].x = qn_onnx_in(l, i);
        uint32_t rank = qn_onnx_rank(l, terms[i].x), letters = count_letters(parts[i], &many), own = rank - letters;
        if (l->b->status)
            return false;
        if (letters > rank || (!many && letters != rank)) {
            qn_onnx_fail(l, "input %u has rank %u, the equation has \"%.*s\"", i, rank, QN_STR_ARG(parts[i]));
            return false;
        }
        if (!read_labels(l, parts[i], own, &terms[i]) || !take_diagonals(l, &terms[i]))
            return false;
        *dots = own > *dots ? own : *dots;
    }
    return true;
}

QN_ONNX_LOWER(einsum)
{
    struct qn_str equation = qn_onnx_attr_s(l, "equation", "");
    struct term terms[MAX_TERMS] = {{0}}, out = {0};
    uint32_t dots = 0, count = l->input_count;
    size_t arrow = 0;
    while (arrow < equation.size &&
           !(equation.data[arrow] == '-' && arrow + 1 < equation.size && equation.data[arrow + 1] == '>'))
        arrow++;
    if (!read_terms(l, equation, arrow, terms, &dots) || !read_output(l, equation, arrow, dots, &out) || count == 0)
        return;
    bool needed[LABELS];
    for (uint32_t i = 0; i < count && !l->b->status; i++) {
        for (uint32_t k = 0; k < LABELS; k++)
            needed[k] = has(&out, (uint8_t)k);
        for (uint32_t later = i + 1; later < count; later++)
            for (uint32_t k = 0; k < terms[later].rank; k++)
                needed[terms[later].labels[k]] = true;
        if (i == 0)
            sum_unneeded(l, &terms[0], needed);
        else
            join(l, &terms[0], &terms[i], needed);
    }
    if (l->b->status)
        return;
    for (uint32_t i = 0; i < out.rank; i++)
        if (!has(&terms[0], out.labels[i]) || terms[0].rank != out.rank) {
            qn_onnx_fail(l, "equation \"%.*s\": the output has an index that no input has, or one twice",
                         QN_STR_ARG(equation));
            return;
        }
    reorder(l, &terms[0], out.labels);
    qn_onnx_out(l, 0, terms[0].x);
}
