/* Convolutions of 3x3 that Winograd's way (kernels/conv/winograd.h) does in less time are marked with the size of its
 * squares.
 *
 * Its weights are 16/9 or 4 times as large, so they may add only a share of what the graph's constants take; the
 * convolutions with the fewest weights come first, they gain the most for it. */
#include "passes/match.h"
#include "passes/pass.h"

enum {
    SHARE = 15,              /* weights may grow by a fifteenth of the constants */
    LEAST_ROOM = 4 << 20,    /* bytes, that they may grow by in any case */
    UNKNOWN_PIXELS = 64,     /* along an axis whose size only the run knows */
    LANES = 16,              /* output channels are done in whole vectors */
    TRANSFORM_PRODUCTS = 12, /* that the transformations of a channel at a point cost */
    WEIGHT_PRODUCTS = 8,     /* that reading a weight costs */
};
static const double least_gain = 1.15;

struct shape {
    int64_t c, o, pixels[3]; /* input and output channels; images, rows, columns of the output */
};

static bool all_one(const struct qn_ints *list)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (list->items[i] != 1)
            return false;
    return true;
}

/* A convolution of 3x3 in f32 (its weights may be halves) with steps of 1 and constant weights, channels last. */
static bool is_square(const struct qn_rewrite *r, qn_node n, struct shape *s)
{
    const struct qn_graph *g = r->from;
    if (qn_graph_node(g, n)->op != QN_OP_conv)
        return false;
    const struct qn_attr_conv *a = qn_graph_attr(g, n);
    qn_value weights = qn_match_input(r, n, 1);
    const struct qn_type *w = qn_match_type(r, weights), *y = qn_match_type(r, qn_match_result(r, n));
    if (a->winograd || !a->channels_last || a->groups > 1 || !all_one(&a->strides) || !all_one(&a->dilations) ||
        qn_graph_value(g, weights)->kind != QN_VALUE_CONSTANT || w->encoding || y->dtype != QN_DTYPE_F32 ||
        w->rank != 4 || y->rank != 4 || w->dims[2] != 3 || w->dims[3] != 3)
        return false;
    *s = (struct shape){.c = w->dims[1], .o = w->dims[0]};
    for (int i = 0; i < 3; i++)
        s->pixels[i] = y->dims[i] >= 0 ? y->dims[i] : i == 0 ? 1 : UNKNOWN_PIXELS;
    return s->c > 0 && s->o > 0;
}

/* Products that the convolution costs, in squares of `size`; 0: plain. */
static double cost(const struct shape *s, int64_t size)
{
    int64_t edge = size ? size : 1, columns = (s->o + LANES - 1) / LANES * LANES;
    double o = (double)columns, pairs = (double)s->c * o, squares = (double)s->pixels[0];
    for (int i = 1; i < 3; i++) {
        int64_t along = (s->pixels[i] + edge - 1) / edge;
        squares *= (double)along;
    }
    if (size == 0)
        return 9 * pairs * (squares + WEIGHT_PRODUCTS);
    double each = pairs + TRANSFORM_PRODUCTS * ((double)s->c + o);
    return (double)((size + 2) * (size + 2)) * (squares * each + WEIGHT_PRODUCTS * pairs);
}

/* The size of the squares that serve best, 0 where none does. */
static int64_t best_size(const struct shape *s)
{
    double two = cost(s, 2), four = cost(s, 4);
    int64_t size = two <= least_gain * four ? 2 : 4; /* the smaller one wants less memory, too */
    return cost(s, 0) >= least_gain * (size == 2 ? two : four) ? size : 0;
}

/* Bytes by which the weights grow. */
static double growth(const struct shape *s, int64_t size)
{
    double pairs = (double)s->c * (double)s->o;
    return pairs * 4 * (double)((size + 2) * (size + 2) - 9);
}

static double room(const struct qn_graph *g)
{
    double bytes = 0;
    for (qn_value v = 1; v < g->values.count; v++) {
        uint64_t own;
        if (qn_graph_value(g, v)->kind == QN_VALUE_CONSTANT && qn_type_bytes(qn_graph_type(g, v), &own))
            bytes += (double)own;
    }
    return bytes / SHARE > LEAST_ROOM ? bytes / SHARE : LEAST_ROOM;
}

/* Bytes by which the weights of those grow that come before node n with shape s. */
static double growth_before(const struct qn_rewrite *r, qn_node n, const struct shape *s)
{
    double sum = 0;
    for (qn_node i = 1; i < r->from->nodes.count; i++) {
        struct shape other;
        int64_t size = is_square(r, i, &other) ? best_size(&other) : 0;
        double weights = (double)other.c * (double)other.o, own = (double)s->c * (double)s->o;
        if (size && (weights < own || (weights == own && i < n)))
            sum += growth(&other, size);
    }
    return sum;
}

static bool match_winograd(const struct qn_rewrite *r, qn_node root, struct qn_match *match)
{
    struct shape s;
    int64_t size = is_square(r, root, &s) ? best_size(&s) : 0;
    if (!size || growth_before(r, root, &s) + growth(&s, size) > room(r->from))
        return false;
    qn_value inputs[QN_MATCH_INPUTS];
    const struct qn_node_info *node = qn_graph_node(r->from, root);
    for (uint32_t i = 0; i < node->input_count; i++)
        inputs[i] = qn_match_input(r, root, i);
    qn_match_set(match, QN_OP_conv, inputs, node->input_count);
    struct qn_attr_conv *attr = (struct qn_attr_conv *)(void *)match->attr;
    *attr = *(const struct qn_attr_conv *)qn_graph_attr(r->from, root);
    attr->winograd = size;
    return true;
}

qn_status qn_pass_winograd(const struct qn_graph *from, struct qn_graph *to)
{
    return qn_rewrite_run(from, to, match_winograd);
}
