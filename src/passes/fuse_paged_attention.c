/* paged_attention: attention whose keys and values are rows of two states, gathered by page tables, and whose mask says
 * "up to my own position" and perhaps "no further back than a window". Then nothing need be gathered and no mask
 * computed: the kernel walks the rows that each query sees.
 *
 *   k = transpose(gather(k_state, gather(rows [s, l], seq [n])), (0, 2, 1, 3)), v likewise
 *   where v may be the front of such rows: a slice of what is gathered
 *   mask [n, 1, 1, l] = where(j <= pos and j > pos - window, 0, -infinity), j = iota(l), pos [n] */
#include "passes/match.h"
#include "passes/pass.h"

#define ABYSS (-1e30) /* as far below zero as no score is */

struct pages {
    qn_value k_state, v_state, rows, seq, pos;
    qn_dim n, l;
    int64_t window, value_dim;
};

/* v [n, kv_heads, l, d]: the state whose rows it holds, and their numbers [n, l]. */
static qn_value state_of(const struct qn_rewrite *r, qn_value v, qn_value *indices)
{
    qn_node transpose = qn_match_op(r, v, QN_OP_transpose);
    qn_node gather = transpose ? qn_match_op(r, qn_match_input(r, transpose, 0), QN_OP_gather) : 0;
    if (!gather || ((const struct qn_attr_gather *)qn_graph_attr(r->from, gather))->axis != 0)
        return 0;
    const struct qn_ints *perm = &((const struct qn_attr_transpose *)qn_graph_attr(r->from, transpose))->perm;
    const int64_t wanted[] = {0, 2, 1, 3};
    if (perm->count != 4 || memcmp(perm->items, wanted, sizeof wanted) != 0)
        return 0;
    qn_value state = qn_match_input(r, gather, 0);
    *indices = qn_match_input(r, gather, 1);
    const struct qn_type *type = qn_match_type(r, state);
    bool fits = type->rank == 3 && type->dtype != QN_DTYPE_F64 && qn_match_type(r, *indices)->rank == 2 &&
                qn_match_type(r, v)->dtype == QN_DTYPE_F32; /* the kernel computes in f32 */
    return fits ? state : 0;
}

/* v is the front of rows of a state: the whole rows, and the size of the front; otherwise v itself. */
static qn_value whole_rows(const struct qn_rewrite *r, qn_value v, int64_t *front)
{
    const struct qn_type *type = qn_match_type(r, v);
    qn_value whole = type->rank == 4 && type->dims[3] > 0 ? qn_match_slice(r, v, 3, 0, type->dims[3]) : 0;
    *front = whole ? type->dims[3] : 0;
    return whole ? whole : v;
}

/* indices [n, l] = rows[seq] */
static bool find_table(const struct qn_rewrite *r, qn_value indices, struct pages *p)
{
    qn_node gather = qn_match_op(r, indices, QN_OP_gather);
    if (!gather || ((const struct qn_attr_gather *)qn_graph_attr(r->from, gather))->axis != 0)
        return false;
    p->rows = qn_match_input(r, gather, 0);
    p->seq = qn_match_input(r, gather, 1);
    const struct qn_type *rows = qn_match_type(r, p->rows), *seq = qn_match_type(r, p->seq);
    return rows->rank == 2 && seq->rank == 1 && rows->dtype == QN_DTYPE_I32 && seq->dtype == QN_DTYPE_I32;
}

/* [.., n, .., l] with ones elsewhere: the plane of queries and positions under another shape */
static bool is_plane(const struct qn_rewrite *r, qn_value v, qn_dim n, qn_dim l)
{
    const struct qn_type *type = qn_match_type(r, v);
    uint32_t found = 0;
    if (type->rank < 2 || type->dims[type->rank - 1] != l)
        return false;
    for (uint32_t i = 0; i + 1 < type->rank; i++) {
        if (type->dims[i] != 1 && type->dims[i] != n)
            return false;
        found += type->dims[i] == n;
    }
    return n == 1 || found == 1;
}

static qn_value through_planes(const struct qn_rewrite *r, qn_value v, const struct pages *p)
{
    qn_node n;
    while (is_plane(r, v, p->n, p->l) && (n = qn_match_op(r, v, QN_OP_reshape)))
        v = qn_match_input(r, n, 0);
    return is_plane(r, v, p->n, p->l) ? v : 0;
}

/* The numbers of the positions, 0 to l - 1, along the last axis. */
static bool is_position(const struct qn_rewrite *r, qn_value v, const struct pages *p)
{
    const struct qn_type *type = qn_match_type(r, v);
    for (uint32_t i = 0; i < type->rank; i++)
        if (type->dims[i] != (i + 1 == type->rank ? p->l : 1))
            return false;
    qn_node iota = qn_match_op(r, qn_match_through_reshape(r, v), QN_OP_iota);
    return iota && type->rank > 0 && ((const struct qn_attr_iota *)qn_graph_attr(r->from, iota))->count == p->l;
}

/* Each query's own position down a column: sets p->pos, or agrees with it. */
static bool is_query(const struct qn_rewrite *r, qn_value v, struct pages *p)
{
    if (!is_plane(r, v, p->n, 1))
        return false;
    qn_value pos = qn_match_through_reshape(r, v);
    const struct qn_type *type = qn_match_type(r, pos);
    if (type->rank != 1 || type->dtype != QN_DTYPE_I32 || type->dims[0] != p->n || (p->pos && p->pos != pos))
        return false;
    p->pos = pos;
    return true;
}

/* v is pos - window. */
static bool is_window_start(const struct qn_rewrite *r, qn_value v, struct pages *p)
{
    double window;
    qn_node sub = qn_match_op(r, qn_match_through_reshape(r, v), QN_OP_sub);
    if (!sub || !is_plane(r, v, p->n, 1) || !qn_match_scalar(r, qn_match_input(r, sub, 1), &window) || window < 1 ||
        !is_query(r, qn_match_input(r, sub, 0), p))
        return false;
    p->window = (int64_t)window;
    return true;
}

/* j <= pos: less_equal(j, pos), not(less(pos, j)) */
static bool is_causal(const struct qn_rewrite *r, qn_value v, struct pages *p)
{
    qn_node n = qn_match_op(r, v, QN_OP_less_equal);
    if (n)
        return is_position(r, qn_match_input(r, n, 0), p) && is_query(r, qn_match_input(r, n, 1), p);
    n = qn_match_op(r, v, QN_OP_not);
    n = n ? qn_match_op(r, qn_match_input(r, n, 0), QN_OP_less) : 0;
    return n && is_query(r, qn_match_input(r, n, 0), p) && is_position(r, qn_match_input(r, n, 1), p);
}

/* j > pos - window: less(pos - window, j), not(less_equal(j, pos - window)) */
static bool is_window(const struct qn_rewrite *r, qn_value v, struct pages *p)
{
    qn_node n = qn_match_op(r, v, QN_OP_less);
    if (n)
        return is_window_start(r, qn_match_input(r, n, 0), p) && is_position(r, qn_match_input(r, n, 1), p);
    n = qn_match_op(r, v, QN_OP_not);
    n = n ? qn_match_op(r, qn_match_input(r, n, 0), QN_OP_less_equal) : 0;
    return n && is_position(r, qn_match_input(r, n, 0), p) && is_window_start(r, qn_match_input(r, n, 1), p);
}

static bool is_visible(const struct qn_rewrite *r, qn_value condition, struct pages *p)
{
    qn_value v = through_planes(r, condition, p);
    if (!v)
        return false;
    qn_node both = qn_match_op(r, v, QN_OP_and);
    if (!both)
        return is_causal(r, v, p);
    for (uint32_t i = 0; i < 2; i++) {
        qn_value first = through_planes(r, qn_match_input(r, both, i), p);
        qn_value second = through_planes(r, qn_match_input(r, both, 1 - i), p);
        struct pages trial = *p;
        if (!first || !second || !is_causal(r, first, &trial) || !is_window(r, second, &trial))
            continue;
        *p = trial;
        return true;
    }
    return false;
}

/* where(visible, 0, -infinity) or where(not visible, -infinity, 0) */
static bool find_mask(const struct qn_rewrite *r, qn_value mask, struct pages *p)
{
    const struct qn_type *type = qn_match_type(r, mask);
    double seen, hidden;
    if (type->rank != 4 || type->dims[0] != p->n || type->dims[1] != 1 || type->dims[2] != 1 || type->dims[3] != p->l)
        return false;
    qn_value v = through_planes(r, mask, p);
    qn_node where = v ? qn_match_op(r, v, QN_OP_where) : 0;
    if (!where || !qn_match_scalar(r, qn_match_input(r, where, 1), &seen) ||
        !qn_match_scalar(r, qn_match_input(r, where, 2), &hidden))
        return false;
    qn_value condition = qn_match_input(r, where, 0);
    if (seen == 0 && hidden <= ABYSS)
        return is_visible(r, condition, p);
    qn_value plane = through_planes(r, condition, p);
    qn_node inverted = plane ? qn_match_op(r, plane, QN_OP_not) : 0;
    return inverted && hidden == 0 && seen <= ABYSS && is_visible(r, qn_match_input(r, inverted, 0), p);
}

static bool match_paged_attention(const struct qn_rewrite *r, qn_node root, struct qn_match *match)
{
    const struct qn_node_info *node = qn_graph_node(r->from, root);
    struct pages p = {0};
    qn_value k_rows, v_rows, q = qn_match_input(r, root, 0);
    if (node->op != QN_OP_attention || node->input_count < 4 || qn_match_type(r, q)->rank != 4 ||
        qn_match_type(r, q)->dtype == QN_DTYPE_F64 || !qn_match_input(r, root, 3))
        return false;
    p.n = qn_match_type(r, q)->dims[0];
    p.k_state = state_of(r, qn_match_input(r, root, 1), &k_rows);
    qn_value v = whole_rows(r, qn_match_input(r, root, 2), &p.value_dim);
    p.v_state = p.k_state ? state_of(r, v, &v_rows) : 0;
    if (!p.v_state || k_rows != v_rows || !find_table(r, k_rows, &p) ||
        qn_match_type(r, p.k_state)->dims[0] != qn_match_type(r, p.v_state)->dims[0])
        return false;
    p.l = qn_match_type(r, k_rows)->dims[1];
    if (!find_mask(r, qn_match_input(r, root, 3), &p))
        return false;
    struct qn_attr_attention *attr = (void *)match->attr;
    *attr = *(const struct qn_attr_attention *)qn_graph_attr(r->from, root);
    attr->window = p.window;
    attr->value_dim = p.value_dim;
    qn_value sinks = node->input_count > 4 ? qn_match_input(r, root, 4) : 0;
    qn_match_set(match, QN_OP_paged_attention, (qn_value[]){q, p.k_state, p.v_state, p.rows, p.seq, p.pos, sinks},
                 sinks ? 7 : 6);
    return true;
}

qn_status qn_pass_fuse_paged_attention(const struct qn_graph *from, struct qn_graph *to)
{
    return qn_rewrite_run(from, to, match_paged_attention);
}
