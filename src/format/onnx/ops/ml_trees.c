/* Tree ensembles: node lists of TreeEnsembleClassifier, TreeEnsembleRegressor and TreeEnsemble become the operands of
 * tree_ensemble (src/kernels/trees/trees.h). */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "format/onnx/import_state.h"
#include "format/onnx/ops/ml.h"
#include "kernels/trees/trees.h"
#include "quant/quant.h"

/* ---- a forest as files have it -------------------------------------------------------------------------------- */

struct vote {
    int64_t target;
    double weight;
};

/* Nodes by number, children and leaves resolved. */
struct forest {
    int64_t count, root_count;
    uint8_t *modes; /* enum qn_tree_mode */
    const int64_t *features;
    const double *splits;
    int64_t *yes, *no;      /* nodes; ~leaf for a leaf of TreeEnsemble 5 */
    const int64_t *missing; /* or NULL */
    int64_t *roots;
    int64_t *first_vote; /* [count + 1], of nodes; or of leaves where there are leaf numbers */
    struct vote *votes;
    int64_t leaf_count;                   /* 0: leaves are nodes */
    const int64_t *set_first, *set_count; /* of MEMBER nodes */
    const double *members;
    int64_t member_count;
};

static void *take(struct qn_lower *l, uint64_t count, size_t size)
{
    void *memory = count > SIZE_MAX / size / 2 ? NULL : qn_arena_alloc(&l->import->arena, (count + 1) * size, 16);
    if (!memory)
        qn_onnx_fail(l, "no memory for %" PRIu64 " nodes", count);
    else
        memset(memory, 0, (count + 1) * size);
    return memory;
}

/* Numbers under two names: a list of floats, or a tensor. */
static const double *read_numbers(struct qn_lower *l, const char *floats, const char *tensor, int64_t *count)
{
    qn_dtype dtype = QN_DTYPE_F32;
    const void *data = NULL;
    if (qn_onnx_has_attr(l, tensor)) {
        if (!qn_ml_tensor(l, tensor, &dtype, count, &data))
            return NULL;
    } else {
        uint64_t n;
        data = floats ? (const void *)qn_onnx_attr_f32s(l, floats, &n) : NULL;
        *count = floats ? (int64_t)n : 0;
    }
    double *out = take(l, (uint64_t)*count, sizeof *out);
    int64_t unit = qn_dtype_info(dtype)->block_bytes;
    for (int64_t i = 0; out && i < *count; i++) {
        const char *at = (const char *)data + i * unit;
        if (dtype == QN_DTYPE_F64)
            memcpy(&out[i], at, sizeof out[i]);
        else if (dtype == QN_DTYPE_F32) {
            float value;
            memcpy(&value, at, sizeof value);
            out[i] = (double)value;
        } else if (dtype == QN_DTYPE_F16) {
            uint16_t half;
            memcpy(&half, at, sizeof half);
            out[i] = (double)qn_f16_to_f32(half);
        } else {
            qn_onnx_fail(l, "%s is %s", tensor, qn_dtype_name(dtype));
            return NULL;
        }
    }
    return out;
}

static const int64_t *read_ints(struct qn_lower *l, const char *name, int64_t count, bool needed)
{
    uint64_t given;
    const int64_t *list = qn_onnx_attr_i64s(l, name, &given);
    if (!given && !needed)
        return NULL;
    if ((int64_t)given != count) {
        qn_onnx_fail(l, "%s has %" PRIu64 " elements, expected %" PRId64, name, given, count);
        return NULL;
    }
    return list;
}

/* ---- operands ------------------------------------------------------------------------------------------------- */

struct operands {
    struct qn_tree_node *nodes;
    double *thresholds;
    int32_t *roots, *targets;
    double *weights;
    int64_t count, votes, features;
};

/* Nodes and then the leaves that stand beside them, by one number; -1: there is no such node. */
static int64_t place_of(const struct forest *f, int64_t node)
{
    if (node < 0)
        return ~node < f->leaf_count ? f->count + ~node : -1;
    return node < f->count ? node : -1;
}

static bool add_leaf(struct qn_lower *l, const struct forest *f, struct operands *o, int64_t leaf, int64_t targets)
{
    struct qn_tree_node *node = &o->nodes[o->count];
    node->what = QN_TREE_LEAF << QN_TREE_FEATURE_BITS;
    node->yes = node->no = (int32_t)o->count;
    node->set = (int32_t)o->votes;
    o->thresholds[o->count] = (double)(f->first_vote[leaf + 1] - f->first_vote[leaf]);
    if (o->thresholds[o->count] > 1 << 24) { /* which f32 can count */
        qn_onnx_fail(l, "a leaf has %.0f votes", o->thresholds[o->count]);
        return false;
    }
    for (int64_t i = f->first_vote[leaf]; i < f->first_vote[leaf + 1]; i++) {
        if (f->votes[i].target < 0 || f->votes[i].target >= targets) {
            qn_onnx_fail(l, "target %" PRId64 " of %" PRId64, f->votes[i].target, targets);
            return false;
        }
        o->targets[o->votes] = (int32_t)f->votes[i].target;
        o->weights[o->votes++] = f->votes[i].weight;
    }
    return true;
}

static double number_before(double t, qn_dtype dtype)
{
    return dtype == QN_DTYPE_F64 ? nextafter(t, -HUGE_VAL) : (double)nextafterf((float)t, -HUGE_VALF);
}

/* Comparisons by order as LEQ, which the kernel is fastest at. Where NaN goes the way of true, the opposite is asked
 * and the branches change places; above t means that -x is below -t, and that is to be at most the number before it.
 * Thresholds that have none before them, and NaN, keep their mode. */
static void write_as_leq(struct qn_tree_node *node, double *threshold, qn_dtype dtype)
{
    static const uint8_t opposite[] = {QN_TREE_GT, QN_TREE_GTE, QN_TREE_LT, QN_TREE_LEQ};
    int mode = node->what >> QN_TREE_FEATURE_BITS & 7;
    bool turned = node->what & QN_TREE_MISSING_TRUE;
    if (mode > QN_TREE_GT)
        return;
    mode = turned ? opposite[mode] : mode;
    bool negated = mode == QN_TREE_GT || mode == QN_TREE_GTE;
    double t = dtype == QN_DTYPE_F64 ? *threshold : (double)(float)*threshold;
    t = negated ? -t : t;
    if (!(t > -HUGE_VAL))
        return;
    *threshold = mode == QN_TREE_LT || mode == QN_TREE_GT ? number_before(t, dtype) : t;
    node->what &= (1 << QN_TREE_FEATURE_BITS) - 1;
    node->what |= QN_TREE_LEQ << QN_TREE_FEATURE_BITS | (negated ? QN_TREE_NEGATED : 0);
    if (turned) {
        int32_t yes = node->yes;
        node->yes = node->no;
        node->no = yes;
    }
}

/* An inner node, whose children are numbered already. */
static bool add_inner(struct qn_lower *l, const struct forest *f, struct operands *o, int64_t from,
                      const int32_t *numbers, qn_dtype dtype)
{
    struct qn_tree_node *node = &o->nodes[o->count];
    int64_t feature = f->features[from];
    if (feature < 0 || feature >= 1 << QN_TREE_FEATURE_BITS) {
        qn_onnx_fail(l, "node %" PRId64 " looks at feature %" PRId64, from, feature);
        return false;
    }
    o->features = feature >= o->features ? feature + 1 : o->features;
    node->what = (int32_t)feature | (int32_t)f->modes[from] << QN_TREE_FEATURE_BITS;
    if (f->missing && f->missing[from])
        node->what |= QN_TREE_MISSING_TRUE;
    node->yes = numbers[place_of(f, f->yes[from])];
    node->no = numbers[place_of(f, f->no[from])];
    o->thresholds[o->count] = f->splits[from];
    if (f->modes[from] == QN_TREE_MEMBER) {
        node->set = (int32_t)f->set_first[from];
        o->thresholds[o->count] = (double)f->set_count[from];
    }
    write_as_leq(node, &o->thresholds[o->count], dtype);
    return true;
}

/* The places of all nodes that roots lead to, each behind its children and the one of the true branch last, so that
 * read from the end it follows at once. Several parents may share a node, as in what is made of a split by categories.
 * Gives their number, or -1. */
static int64_t order_nodes(struct qn_lower *l, const struct forest *f, int64_t *order)
{
    enum { UNSEEN, OPEN, DONE };
    int64_t *stack = take(l, (uint64_t)f->count * 2 + 2, sizeof *stack), count = 0;
    uint8_t *states = take(l, (uint64_t)(f->count + f->leaf_count), 1);
    for (int64_t t = f->root_count; t-- > 0 && !l->b->status;) {
        int64_t depth = 0;
        stack[depth++] = place_of(f, f->roots[t]);
        while (depth) {
            int64_t at = stack[depth - 1];
            if (at < 0 || states[at] != UNSEEN || at >= f->count || f->modes[at] == QN_TREE_LEAF) {
                depth--;
                if (at >= 0 && states[at] != DONE)
                    order[count++] = at;
                if (at < 0) {
                    qn_onnx_fail(l, "tree %" PRId64 " has a node that does not exist", t);
                    return -1;
                }
                states[at] = DONE;
                continue;
            }
            states[at] = OPEN;
            stack[depth++] = place_of(f, f->yes[at]);
            stack[depth++] = place_of(f, f->no[at]);
            for (int side = 1; side <= 2; side++)
                if (stack[depth - side] >= 0 && states[stack[depth - side]] == OPEN) {
                    qn_onnx_fail(l, "node %" PRId64 " is below itself", stack[depth - side]);
                    return -1;
                }
        }
    }
    return l->b->status ? -1 : count;
}

/* Every node once, before its children. */
static void write_trees(struct qn_lower *l, const struct forest *f, struct operands *o, int64_t targets, qn_dtype dtype)
{
    int64_t *order = take(l, (uint64_t)(f->count + f->leaf_count), sizeof *order);
    int32_t *numbers = take(l, (uint64_t)(f->count + f->leaf_count), sizeof *numbers);
    int64_t count = l->b->status ? -1 : order_nodes(l, f, order);
    for (int64_t i = 0; i < count; i++)
        numbers[order[i]] = (int32_t)(count - 1 - i);
    for (int64_t i = count; i-- > 0;) {
        int64_t at = order[i];
        bool leaf = at >= f->count || f->modes[at] == QN_TREE_LEAF;
        if (!(leaf ? add_leaf(l, f, o, at >= f->count ? at - f->count : at, targets)
                   : add_inner(l, f, o, at, numbers, dtype)))
            return;
        o->count++;
    }
    for (int64_t t = 0; t < f->root_count && count >= 0; t++)
        o->roots[t] = numbers[place_of(f, f->roots[t])];
}

static qn_value real_list(struct qn_lower *l, qn_dtype dtype, const double *values, int64_t count)
{
    if (dtype == QN_DTYPE_F64)
        return qn_onnx_data(l, dtype, 1, &count, values);
    float *narrow = take(l, (uint64_t)count, sizeof *narrow);
    for (int64_t i = 0; narrow && i < count; i++)
        narrow[i] = (float)values[i];
    return qn_onnx_data(l, dtype, 1, &count, narrow);
}

/* The node tree_ensemble over x; base NULL: zeros. */
static qn_value run_forest(struct qn_lower *l, const struct forest *f, qn_value x, int64_t targets, int64_t aggregate,
                           const double *base)
{
    struct operands o = {0};
    int64_t votes = l->b->status ? 0 : f->first_vote[f->leaf_count ? f->leaf_count : f->count];
    if (l->b->status || targets <= 0 || f->count > INT32_MAX / 8 || f->root_count > INT32_MAX / 8) {
        if (!l->b->status)
            qn_onnx_fail(l, "%" PRId64 " nodes, %" PRId64 " targets", f->count, targets);
        return 0;
    }
    int64_t room = f->count + f->leaf_count;
    o.nodes = take(l, (uint64_t)room, sizeof *o.nodes);
    o.thresholds = take(l, (uint64_t)room, sizeof *o.thresholds);
    o.roots = take(l, (uint64_t)f->root_count, sizeof *o.roots);
    o.targets = take(l, (uint64_t)votes, sizeof *o.targets);
    o.weights = take(l, (uint64_t)votes, sizeof *o.weights);
    double *zeros = take(l, (uint64_t)targets, sizeof *zeros);
    qn_dtype dtype = qn_onnx_type_of(l, x)->dtype;
    if (!l->b->status)
        write_trees(l, f, &o, targets, dtype);
    if (l->b->status)
        return 0;
    if (qn_build_dim(l->b, x, 1) < 0 && !qn_onnx_static(l, x))
        return 0;
    qn_value in[] = {
        x,
        qn_onnx_data(l, QN_DTYPE_I32, 2, (const int64_t[]){o.count, 4}, o.nodes),
        real_list(l, dtype, o.thresholds, o.count),
        qn_onnx_data(l, QN_DTYPE_I32, 1, &f->root_count, o.roots),
        qn_onnx_data(l, QN_DTYPE_I32, 1, &o.votes, o.targets),
        real_list(l, dtype, o.weights, o.votes),
        real_list(l, dtype, f->members, f->member_count),
        real_list(l, dtype, base ? base : zeros, targets),
    };
    struct qn_attr_trees attr = {.targets = targets, .aggregate = aggregate, .version = 2, .features = o.features};
    return qn_build_node(l->b, QN_OP_tree_ensemble, in, 8, &attr, NULL);
}

/* ---- the lists of versions 1 to 3 ----------------------------------------------------------------------------- */

struct name { /* of a node, and its number */
    int64_t tree, node, number;
};

static int compare_names(const void *a, const void *b)
{
    const struct name *x = a, *y = b;
    if (x->tree != y->tree)
        return x->tree < y->tree ? -1 : 1;
    return x->node < y->node ? -1 : x->node > y->node;
}

static int64_t find_node(const struct name *names, int64_t count, int64_t tree, int64_t node)
{
    struct name key = {tree, node, 0};
    const struct name *found = bsearch(&key, names, (size_t)count, sizeof key, compare_names);
    return found ? found->number : -1;
}

static const char *const mode_names[] = {"BRANCH_LEQ", "BRANCH_LT",  "BRANCH_GTE",    "BRANCH_GT",
                                         "BRANCH_EQ",  "BRANCH_NEQ", "BRANCH_MEMBER", "LEAF"};

static void read_modes(struct qn_lower *l, struct forest *f)
{
    uint64_t count;
    const struct qn_str *modes = qn_onnx_attr_strs(l, "nodes_modes", &count);
    f->modes = take(l, (uint64_t)f->count, 1);
    if ((int64_t)count != f->count)
        qn_onnx_fail(l, "%" PRIu64 " modes for %" PRId64 " nodes", count, f->count);
    for (int64_t i = 0; i < f->count && !l->b->status; i++) {
        uint8_t mode = 0;
        while (mode <= QN_TREE_LEAF && !qn_str_is(modes[i], mode_names[mode]))
            mode++;
        if (mode > QN_TREE_LEAF || mode == QN_TREE_MEMBER)
            qn_onnx_fail(l, "node %" PRId64 " has mode '%.*s'", i, QN_STR_ARG(modes[i]));
        f->modes[i] = mode;
    }
}

/* Children by number; roots are the first nodes of each tree that are nobody's child. */
static void link_nodes(struct qn_lower *l, struct forest *f, const int64_t *trees, const struct name *names)
{
    const int64_t *yes = read_ints(l, "nodes_truenodeids", f->count, true);
    const int64_t *no = read_ints(l, "nodes_falsenodeids", f->count, true);
    uint8_t *child = take(l, (uint64_t)f->count, 1);
    f->yes = take(l, (uint64_t)f->count, sizeof *f->yes);
    f->no = take(l, (uint64_t)f->count, sizeof *f->no);
    f->roots = take(l, (uint64_t)f->count, sizeof *f->roots);
    for (int64_t i = 0; i < f->count && !l->b->status; i++) {
        if (f->modes[i] == QN_TREE_LEAF)
            continue;
        f->yes[i] = find_node(names, f->count, trees[i], yes[i]);
        f->no[i] = find_node(names, f->count, trees[i], no[i]);
        if (f->yes[i] < 0 || f->no[i] < 0)
            qn_onnx_fail(l, "node %" PRId64 " of tree %" PRId64 " has no child %" PRId64, i, trees[i],
                         f->yes[i] < 0 ? yes[i] : no[i]);
        else
            child[f->yes[i]] = child[f->no[i]] = 1;
    }
    bool rooted = false;
    for (int64_t i = 0; i < f->count && !l->b->status; i++) {
        rooted = rooted && i > 0 && trees[i] == trees[i - 1];
        if (child[i] || rooted)
            continue;
        rooted = true;
        f->roots[f->root_count++] = i;
    }
    if (!f->root_count)
        qn_onnx_fail(l, "no tree has a root");
}

/* Votes sorted by node: a counting sort that keeps their order. */
static void read_votes(struct qn_lower *l, struct forest *f, const struct name *names, bool classes)
{
    int64_t count;
    const double *weights = read_numbers(l, classes ? "class_weights" : "target_weights",
                                         classes ? "class_weights_as_tensor" : "target_weights_as_tensor", &count);
    if (l->b->status)
        return;
    const int64_t *trees = read_ints(l, classes ? "class_treeids" : "target_treeids", count, true);
    const int64_t *nodes = read_ints(l, classes ? "class_nodeids" : "target_nodeids", count, true);
    const int64_t *ids = read_ints(l, classes ? "class_ids" : "target_ids", count, true);
    int64_t *where = take(l, (uint64_t)count, sizeof *where);
    f->first_vote = take(l, (uint64_t)f->count + 1, sizeof *f->first_vote);
    f->votes = take(l, (uint64_t)count, sizeof *f->votes);
    for (int64_t i = 0; i < count && !l->b->status; i++) {
        where[i] = find_node(names, f->count, trees[i], nodes[i]);
        if (where[i] < 0)
            qn_onnx_fail(l, "a vote at node %" PRId64 " of tree %" PRId64 ", which does not exist", nodes[i], trees[i]);
        else
            f->first_vote[where[i] + 1]++;
    }
    if (l->b->status)
        return;
    for (int64_t i = 0; i < f->count; i++)
        f->first_vote[i + 1] += f->first_vote[i];
    for (int64_t i = count; i-- > 0;) /* from the end of each run: first_vote[w + 1] walks down to its start */
        f->votes[--f->first_vote[where[i] + 1]] = (struct vote){ids[i], weights[i]};
    for (int64_t i = 0; i < f->count; i++) /* now [w + 1] holds the start of w */
        f->first_vote[i] = f->first_vote[i + 1];
    f->first_vote[f->count] = count;
}

static void read_forest(struct qn_lower *l, struct forest *f, bool classes)
{
    uint64_t count;
    int64_t splits;
    const int64_t *ids = qn_onnx_attr_i64s(l, "nodes_nodeids", &count);
    *f = (struct forest){.count = (int64_t)count};
    if (!count || count > INT32_MAX / 8) {
        qn_onnx_fail(l, "%" PRIu64 " nodes", count);
        return;
    }
    const int64_t *trees = read_ints(l, "nodes_treeids", f->count, true);
    f->features = read_ints(l, "nodes_featureids", f->count, true);
    f->missing = read_ints(l, "nodes_missing_value_tracks_true", f->count, false);
    f->splits = read_numbers(l, "nodes_values", "nodes_values_as_tensor", &splits);
    if (!l->b->status && splits != f->count)
        qn_onnx_fail(l, "%" PRId64 " values for %" PRId64 " nodes", splits, f->count);
    read_modes(l, f);
    struct name *names = take(l, count, sizeof *names);
    if (l->b->status)
        return;
    for (int64_t i = 0; i < f->count; i++)
        names[i] = (struct name){trees[i], ids[i], i};
    qsort(names, count, sizeof *names, compare_names);
    for (uint64_t i = 1; i < count; i++)
        if (compare_names(&names[i - 1], &names[i]) == 0)
            qn_onnx_fail(l, "node %" PRId64 " of tree %" PRId64 " stands there twice", names[i].node, names[i].tree);
    link_nodes(l, f, trees, names);
    if (!l->b->status)
        read_votes(l, f, names, classes);
}

/* x as trees compare it: f64 stays, everything else is f32. */
static qn_value tree_rows(struct qn_lower *l)
{
    qn_value x = qn_onnx_in(l, 0);
    if (qn_onnx_type_of(l, x)->dtype != QN_DTYPE_F64)
        x = qn_build_cast(l->b, x, QN_DTYPE_F32);
    if (qn_onnx_rank(l, x) == 1)
        x = qn_onnx_unsqueeze(l, x, &(struct qn_ints){1, {0}});
    return x;
}

static const double *read_base(struct qn_lower *l, int64_t targets, int64_t *count)
{
    const double *base = read_numbers(l, "base_values", "base_values_as_tensor", count);
    if (!l->b->status && *count && *count != targets && *count != 1)
        qn_onnx_fail(l, "%" PRId64 " base values for %" PRId64 " targets", *count, targets);
    return *count && !l->b->status ? base : NULL;
}

QN_ONNX_LOWER(tree_ensemble_regressor)
{
    static const char *const names[] = {"SUM", "AVERAGE", "MIN", "MAX", NULL};
    struct forest f;
    int64_t targets = qn_onnx_attr_i(l, "n_targets", 1), bases;
    int64_t aggregate = qn_onnx_attr_choice(l, "aggregate_function", 0, names);
    read_forest(l, &f, false);
    const double *base = read_base(l, targets, &bases);
    if (bases == 1 && targets > 1)
        base = NULL;
    qn_value y = run_forest(l, &f, tree_rows(l), targets, aggregate, base);
    qn_onnx_out(l, 0, qn_ml_post(l, qn_build_cast(l->b, y, QN_DTYPE_F32), qn_ml_post_of(l)));
}

/* What the votes of a classifier with two labels look like. */
struct votes {
    bool first, second; /* there are votes for the first, the second label */
    bool positive;      /* no weight is below zero */
};

/* One score stands for both labels: a probability, or where weights may be negative a margin. */
static qn_value single_score(struct qn_lower *l, qn_value score, bool positive, enum qn_ml_post post)
{
    qn_value margin = qn_ml_both(l, qn_lower_unary(l, QN_OP_neg, score), score);
    if (post == QN_ML_LOGISTIC)
        return qn_ml_post(l, margin, post);
    return positive ? qn_ml_both(l, qn_lower_number_first(l, QN_OP_sub, 1, score), score) : margin;
}

/* Two labels, as ONNX Runtime decides: by the second label's score where it has votes, else by the first's; above one
 * half when all weights are positive and only one label is voted for, above zero otherwise. Base values: one belongs to
 * the first label, of two the second replaces what the votes for the second label gave. y is [n, 2] without base. */
static void two_labels(struct qn_lower *l, qn_value y, const struct votes *votes, const double *base, int64_t bases,
                       enum qn_ml_post post, qn_value *above, qn_value *scores)
{
    qn_value first = qn_build_slice(l->b, y, 1, 0, 1), second = qn_build_slice(l->b, y, 1, 1, 2);
    if (bases == 2 && votes->second) {
        second = qn_lower_with_number(l, QN_OP_add, first, base[1]);
        first = votes->first ? qn_lower_unary(l, QN_OP_neg, second) : first;
    } else if (bases && (bases == 2 || votes->first)) {
        first = qn_lower_with_number(l, QN_OP_add, first, base[0]);
    }
    bool half = votes->positive && votes->first != votes->second;
    qn_value decides = votes->second ? second : first;
    *above = qn_lower_binary(l, QN_OP_less, qn_onnx_number(l, QN_DTYPE_F32, half ? 0.5 : 0), decides);
    if (!votes->second && bases != 2)
        *scores = single_score(l, first, votes->positive, post);
    else
        *scores = qn_ml_post(l, qn_ml_both(l, first, second), post);
}

QN_ONNX_LOWER(tree_ensemble_classifier)
{
    static const int64_t zero_one[] = {0, 1};
    struct forest f;
    struct qn_ml_labels labels = qn_ml_labels(l, "classlabels_int64s");
    enum qn_ml_post post = qn_ml_post_of(l);
    int64_t classes = (int64_t)labels.count, bases;
    read_forest(l, &f, true);
    const double *base = read_base(l, classes, &bases);
    if (l->b->status)
        return;
    struct votes votes = {.positive = true};
    for (int64_t i = 0; i < f.first_vote[f.count]; i++) {
        votes.positive = votes.positive && f.votes[i].weight >= 0;
        votes.first = votes.first || f.votes[i].target == 0;
        votes.second = votes.second || f.votes[i].target == 1;
    }
    bool two = classes == 2;
    qn_value y = run_forest(l, &f, tree_rows(l), classes, 0, two || bases != classes ? NULL : base), which, scores;
    y = qn_build_cast(l->b, y, QN_DTYPE_F32);
    if (two) {
        qn_value above;
        two_labels(l, y, &votes, base, base ? bases : 0, post, &above, &scores);
        which = qn_onnx_squeeze(l, qn_build_cast(l->b, above, QN_DTYPE_I64), &(struct qn_ints){1, {1}});
        /* with votes for both, ONNX Runtime gives 0 and 1 whatever the integer labels are */
        if (votes.first && votes.second && !labels.strings)
            labels.numbers = zero_one;
    } else {
        struct qn_attr_arg attr = {.axis = 1};
        which = qn_build_node(l->b, QN_OP_argmax, &y, 1, &attr, NULL);
        scores = qn_ml_post(l, y, post);
    }
    if (qn_onnx_wants(l, 0))
        qn_onnx_out(l, 0, qn_ml_label_of(l, &labels, which));
    if (qn_onnx_wants(l, 1))
        qn_onnx_out(l, 1, scores);
}

/* ---- TreeEnsemble 5 ------------------------------------------------------------------------------------------- */

/* Members of each MEMBER node, in the order of the nodes; NaN ends a list. */
static void read_members(struct qn_lower *l, struct forest *f)
{
    f->members = read_numbers(l, NULL, "membership_values", &f->member_count);
    int64_t *first = take(l, (uint64_t)f->count, sizeof *first), *count = take(l, (uint64_t)f->count, sizeof *count);
    int64_t at = 0;
    for (int64_t i = 0; i < f->count && !l->b->status; i++) {
        if (f->modes[i] != QN_TREE_MEMBER)
            continue;
        first[i] = at;
        while (at < f->member_count && f->members[at] == f->members[at])
            at++;
        count[i] = at - first[i];
        at++;
    }
    f->set_first = first;
    f->set_count = count;
}

static void link_leaves(struct qn_lower *l, struct forest *f)
{
    static const char *const names[2][2] = {{"nodes_falsenodeids", "nodes_falseleafs"},
                                            {"nodes_truenodeids", "nodes_trueleafs"}};
    for (int side = 0; side < 2; side++) {
        const int64_t *ids = read_ints(l, names[side][0], f->count, true);
        const int64_t *leaf = read_ints(l, names[side][1], f->count, true);
        int64_t *children = take(l, (uint64_t)f->count, sizeof *children);
        for (int64_t i = 0; i < f->count && !l->b->status; i++) {
            if (ids[i] < 0 || ids[i] >= (leaf[i] ? f->leaf_count : f->count))
                qn_onnx_fail(l, "node %" PRId64 " has no child %" PRId64, i, ids[i]);
            children[i] = leaf[i] ? ~ids[i] : ids[i];
        }
        *(side ? &f->yes : &f->no) = children;
    }
}

static void read_leaf_votes(struct qn_lower *l, struct forest *f)
{
    const double *weights = read_numbers(l, NULL, "leaf_weights", &f->leaf_count);
    const int64_t *targets = read_ints(l, "leaf_targetids", f->leaf_count, true);
    f->votes = take(l, (uint64_t)f->leaf_count, sizeof *f->votes);
    f->first_vote = take(l, (uint64_t)f->leaf_count + 1, sizeof *f->first_vote);
    for (int64_t i = 0; i < f->leaf_count && !l->b->status; i++) {
        f->votes[i] = (struct vote){targets[i], weights[i]};
        f->first_vote[i + 1] = i + 1;
    }
}

QN_ONNX_LOWER(tree_ensemble)
{
    static const int64_t aggregates[] = {1, 0, 2, 3}; /* average comes first there */
    struct forest f = {0};
    uint64_t roots;
    int64_t aggregate = qn_onnx_attr_i(l, "aggregate_function", 1), post = qn_onnx_attr_i(l, "post_transform", 0);
    const int64_t *root = qn_onnx_attr_i64s(l, "tree_roots", &roots);
    qn_dtype dtype = QN_DTYPE_NONE;
    const void *modes = NULL;
    f.splits = read_numbers(l, NULL, "nodes_splits", &f.count);
    int64_t mode_count = 0;
    if (!qn_ml_tensor(l, "nodes_modes", &dtype, &mode_count, &modes) || dtype != QN_DTYPE_U8 || mode_count != f.count ||
        !roots || aggregate < 0 || aggregate > 3 || post < 0 || post > 4) {
        qn_onnx_fail(l, "the attributes do not describe trees");
        return;
    }
    f.modes = take(l, (uint64_t)f.count, 1);
    f.roots = take(l, roots, sizeof *f.roots);
    f.root_count = (int64_t)roots;
    f.features = read_ints(l, "nodes_featureids", f.count, true);
    f.missing = read_ints(l, "nodes_missing_value_tracks_true", f.count, false);
    for (uint64_t i = 0; i < roots && f.roots; i++)
        f.roots[i] = root[i];
    for (int64_t i = 0; i < f.count && f.modes; i++) {
        f.modes[i] = ((const uint8_t *)modes)[i];
        if (f.modes[i] > QN_TREE_MEMBER)
            qn_onnx_fail(l, "node %" PRId64 " has mode %u", i, f.modes[i]);
    }
    read_leaf_votes(l, &f);
    link_leaves(l, &f);
    read_members(l, &f);
    qn_value y = run_forest(l, &f, tree_rows(l), qn_onnx_attr_i(l, "n_targets", 1), aggregates[aggregate], NULL);
    y = qn_ml_post(l, post ? qn_build_cast(l->b, y, QN_DTYPE_F32) : y, (enum qn_ml_post)post);
    qn_lower_out_like(l, y, qn_onnx_in(l, 0));
}
