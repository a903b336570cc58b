/* TREES for one element type: the including file defines REAL and NAME. Who makes the operands has checked each index
 * in them. */

/* Whether the node's branch is the true one; NaN compares false. */
static bool NAME(takes)(const struct qn_trees_params *p, const struct qn_tree_node *node, REAL threshold, REAL v)
{
    bool missing = v != v && node->what & QN_TREE_MISSING_TRUE;
    switch (node->what >> QN_TREE_FEATURE_BITS & 7) {
    case QN_TREE_LEQ:
        return v <= threshold || missing;
    case QN_TREE_LT:
        return v < threshold || missing;
    case QN_TREE_GTE:
        return v >= threshold || missing;
    case QN_TREE_GT:
        return v > threshold || missing;
    case QN_TREE_EQ:
        return v == threshold || missing;
    case QN_TREE_NEQ:
        return v != threshold || missing;
    default: {
        int64_t first = node->set, count = (int64_t)threshold;
        bool found = missing;
        for (int64_t i = first < 0 ? 0 : first; i < first + count && i < p->members && !found; i++)
            found = ((const REAL *)p->member)[i] == v;
        return found;
    }
    }
}

/* The next node of one row's walk; a leaf stays where it is. LEQ and leaves without branches: which way a row goes is
 * what a processor cannot foretell. */
static inline int32_t NAME(next)(const struct qn_trees_params *p, const struct qn_tree_node *nodes,
                                 const REAL *thresholds, const REAL *x, int32_t at)
{
    enum { LEQ_OR_LEAF = 6 << QN_TREE_FEATURE_BITS }; /* bits of mode + 1 that neither has */
    const struct qn_tree_node *node = &nodes[at];
    int32_t what = node->what;
    REAL v = NAME(turn)(x[what & ((1 << QN_TREE_FEATURE_BITS) - 1)], what), threshold = thresholds[at];
    if (__builtin_expect(
            ((uint32_t)what + (1u << QN_TREE_FEATURE_BITS)) & (uint32_t)(LEQ_OR_LEAF | QN_TREE_MISSING_TRUE), 0))
        return NAME(takes)(p, node, threshold, v) ? node->yes : node->no;
    return (&node->yes)[!(v <= threshold)];
}

/* `lanes` walks, a whole number of WALKS, each to its leaf; leaf holds where they start. */
static void NAME(walk)(const struct qn_trees_params *p, const REAL *const *x, int64_t lanes, int32_t *leaf)
{
    const struct qn_tree_node *nodes = p->node;
    const REAL *thresholds = p->threshold;
    for (int64_t first = 0; first < lanes; first += WALKS) {
        int32_t at[WALKS];
        for (int i = 0; i < WALKS; i++)
            at[i] = leaf[first + i];
        for (int32_t moved = 1; moved;) {
            moved = 0;
            QN_UNROLL
            for (int i = 0; i < WALKS; i++) {
                int32_t to = NAME(next)(p, nodes, thresholds, x[first + i], at[i]);
                moved |= to ^ at[i];
                at[i] = to;
            }
        }
        for (int i = 0; i < WALKS; i++)
            leaf[first + i] = at[i];
    }
}

static void NAME(vote)(const struct qn_trees_params *p, int32_t leaf, REAL *y, uint8_t *seen)
{
    int64_t first = p->node[leaf].set, end = first + (int64_t)((const REAL *)p->threshold)[leaf];
    for (int64_t i = first; i < end; i++) {
        int32_t target = p->target[i];
        REAL weight = ((const REAL *)p->weight)[i];
        if (p->aggregate < 2)
            y[target] += weight;
        else if (!seen[target] || (p->aggregate == 2 ? weight < y[target] : weight > y[target]))
            y[target] = weight;
        seen[target] = 1;
    }
}

static void NAME(run)(const struct qn_trees_params *p, int64_t begin, int64_t end, uint8_t *seen)
{
    for (int64_t tile = begin; tile < end; tile++) {
        int64_t first = tile * QN_TREES_ROWS, left = p->rows - first;
        int64_t count = left < QN_TREES_ROWS ? left : QN_TREES_ROWS;
        const REAL *x = (const REAL *)p->x + first * p->features;
        REAL *y = (REAL *)p->y + first * p->targets;
        int64_t together = QN_TREES_ROWS / count; /* trees that few rows go down at once */
        const REAL *row[QN_TREES_ROWS];
        int32_t leaf[QN_TREES_ROWS];
        for (int64_t i = 0; i < QN_TREES_ROWS; i++)
            row[i] = x + i % count * p->features;
        __builtin_memset(seen, 0, (size_t)(count * p->targets));
        for (int64_t i = 0; i < count * p->targets; i++)
            y[i] = 0;
        for (int64_t t = 0; t < p->trees; t += together) {
            int64_t lanes = (p->trees - t < together ? p->trees - t : together) * count;
            int64_t whole = (lanes + WALKS - 1) / WALKS * WALKS; /* what is too much goes the way of the last */
            for (int64_t i = 0; i < whole; i++)
                leaf[i] = p->root[t + (i < lanes ? i : lanes - 1) / count];
            if (p->features) /* else all trees are leaves, and rows are empty */
                NAME(walk)(p, row, whole, leaf);
            for (int64_t i = 0; i < lanes; i++)
                NAME(vote)(p, leaf[i], y + i % count * p->targets, seen + i % count * p->targets);
        }
        for (int64_t i = 0; i < count * p->targets; i++) {
            if (p->aggregate == 1 && p->trees)
                y[i] /= (REAL)p->trees;
            y[i] += ((const REAL *)p->base)[i % p->targets];
        }
    }
}

#undef REAL
#undef NAME
