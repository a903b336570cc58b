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

/* The next node of one row's walk; a leaf stays where it is. */
static int32_t NAME(next)(const struct qn_trees_params *p, const REAL *x, int32_t at)
{
    const struct qn_tree_node *node = &p->node[at];
    if (node->what >> QN_TREE_FEATURE_BITS == QN_TREE_LEQ) { /* by far the most frequent */
        REAL v = x[node->what], threshold = ((const REAL *)p->threshold)[at];
        return v <= threshold ? node->yes : node->no;
    }
    if ((node->what >> QN_TREE_FEATURE_BITS & 7) == QN_TREE_LEAF)
        return at;
    REAL v = x[node->what & ((1 << QN_TREE_FEATURE_BITS) - 1)];
    return NAME(takes)(p, node, ((const REAL *)p->threshold)[at], v) ? node->yes : node->no;
}

/* `lanes` walks at once, each to its leaf; leaf holds where they start. */
static void NAME(walk)(const struct qn_trees_params *p, const REAL *const *x, int64_t lanes, int32_t *leaf)
{
    for (bool moved = true; moved;) {
        moved = false;
        for (int64_t i = 0; i < lanes; i++) {
            int32_t at = NAME(next)(p, x[i], leaf[i]);
            moved |= at != leaf[i];
            leaf[i] = at;
        }
    }
}

static void NAME(vote)(const struct qn_trees_params *p, int32_t leaf, REAL *y, uint8_t *seen)
{
    for (int32_t i = p->node[leaf].yes; i < p->node[leaf].no; i++) {
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
        for (int64_t i = 0; i < together * count; i++)
            row[i] = x + i % count * p->features;
        __builtin_memset(seen, 0, (size_t)(count * p->targets));
        for (int64_t i = 0; i < count * p->targets; i++)
            y[i] = 0;
        for (int64_t t = 0; t < p->trees; t += together) {
            int64_t lanes = (p->trees - t < together ? p->trees - t : together) * count;
            for (int64_t i = 0; i < lanes; i++)
                leaf[i] = p->root[t + i / count];
            NAME(walk)(p, row, lanes, leaf);
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
