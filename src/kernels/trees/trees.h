/* Family TREES: ensembles of decision trees over rows of numbers, f32 or f64 throughout.
 *
 * The operands of tree_ensemble after x, all constants (record field `version` 2):
 *   nodes       i32 [n, 4]: feature | mode << 24 (enum qn_tree_mode) | flags, then the node of the true branch, of the
 *               false branch, and a set: the first member for mode MEMBER, the first vote of a leaf, else 0. A leaf has
 *               mode LEAF, and is its own branches.
 *   thresholds  x's dtype [n]; of mode MEMBER: how many members; of a leaf: how many votes
 *   roots       i32 [trees]
 *   targets     i32 [votes]
 *   weights     x's dtype [votes]
 *   members     x's dtype [any number]
 *   base        x's dtype [targets], added at the end
 * Nodes stand before their children, so that every walk ends; parents may share a child. Whoever makes the operands has
 * checked the numbers in them, and that x has all features. The kernel is fastest at LEQ without QN_TREE_MISSING_TRUE,
 * as which every comparison by order can be written.
 *
 * A tile is QN_TREES_ROWS rows, which go down a tree together (few rows go down several trees): their walks are
 * independent, so the processor overlaps them. Votes are added in the order of the trees. */
#ifndef QN_KERNELS_TREES_TREES_H
#define QN_KERNELS_TREES_TREES_H

#include <stdint.h>

#include "kernels/kernel.h"

enum qn_tree_mode {
    QN_TREE_LEQ = 0, /* numbers of TreeEnsemble 5 */
    QN_TREE_LT,
    QN_TREE_GTE,
    QN_TREE_GT,
    QN_TREE_EQ,
    QN_TREE_NEQ,
    QN_TREE_MEMBER,
    QN_TREE_LEAF,
};

enum {
    QN_TREE_FEATURE_BITS = 24,
    QN_TREE_MISSING_TRUE = 1 << 28, /* NaN goes the way of true */
    QN_TREE_NEGATED = INT32_MIN,    /* -x is compared, by order */
    QN_TREES_ROWS = 16,
};

struct qn_tree_node {
    int32_t what, yes, no, set;
};

struct qn_trees_params {
    qn_dtype dtype;
    const void *x;
    void *y;
    int64_t rows, features, targets, trees, nodes, votes, members;
    int32_t aggregate; /* 0 sum, 1 average, 2 min, 3 max */
    const struct qn_tree_node *node;
    const void *threshold;
    const int32_t *root;
    const int32_t *target;
    const void *weight, *member, *base;
};

#endif
