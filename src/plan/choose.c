/* Which backend takes a node, by which row, with which kernel. */
#include <assert.h>
#include <stdio.h>

#include "kernels/matmul/matmul.h"
#include "plan/planner.h"

enum { CANDIDATES = 64 };

uint32_t qn_planner_kernel_index(const struct qn_kernel *kernel)
{
    for (uint32_t i = 0; i < qn_kernel_count; i++)
        if (qn_kernels[i] == kernel)
            return i;
    assert(false);
    return 0;
}

/* ---- a bind at planning sizes --------------------------------------------------------------------------------- */

static void view_of(const struct qn_planner *p, qn_value v, struct qn_view *view)
{
    const struct qn_type *type = qn_graph_type(p->graph, v);
    *view = (struct qn_view){.dtype = type->dtype, .rank = type->rank};
    int64_t stride = 1;
    uint32_t block = v ? qn_dtype_info(type->dtype)->block_elems : 1;
    for (uint32_t i = type->rank; i-- > 0;) {
        int64_t dim = type->dims[i] >= 0 ? type->dims[i] : p->sizes.items[~type->dims[i]];
        view->dims[i] = dim < 0 ? 0 : dim;
        view->strides[i] = stride;
        int64_t units = i + 1 == type->rank && block > 1 ? (view->dims[i] + block - 1) / block : view->dims[i];
        if (__builtin_mul_overflow(stride, units, &stride))
            stride = INT64_MAX / 64;
    }
}

bool qn_planner_bind(struct qn_planner *p, qn_node n, const struct qn_kernel *kernel, struct qn_bind *bind,
                     void *attr_room)
{
    const struct qn_node_info *node = qn_graph_node(p->graph, n);
    const struct qn_op_info *info = qn_op_info(node->op);
    struct qn_view *in = p->views, *out = p->views + node->input_count;
    for (uint32_t i = 0; i < node->input_count; i++)
        view_of(p, qn_graph_input_of(p->graph, n, i), &in[i]);
    for (uint32_t i = 0; i < node->output_count; i++)
        view_of(p, node->first_output + i, &out[i]);
    if (info->attr_size)
        memcpy(attr_room, qn_graph_attr(p->graph, n), info->attr_size);
    for (uint32_t i = 0; i < info->field_count; i++) {
        void *at = (uint8_t *)attr_room + info->fields[i].offset;
        bool one = info->fields[i].kind == QN_ATTR_dim;
        if (!one && info->fields[i].kind != QN_ATTR_dims)
            continue;
        qn_dim *dims = one ? at : ((struct qn_ints *)at)->items;
        for (uint32_t k = 0; k < (one ? 1 : ((struct qn_ints *)at)->count); k++)
            if (dims[k] < 0)
                dims[k] = p->sizes.items[~dims[k]];
    }
    *bind = (struct qn_bind){.op = node->op,
                             .attr = info->attr_size ? attr_room : NULL,
                             .kernel = kernel,
                             .in = in,
                             .out = out,
                             .in_count = node->input_count,
                             .out_count = node->output_count};
    return true;
}

/* ---- kernels of a row ----------------------------------------------------------------------------------------- */

static qn_dtype row_dtype(const struct qn_planner *p, qn_node n, const struct qn_backend_row *row)
{
    const struct qn_node_info *node = qn_graph_node(p->graph, n);
    if (row->dtype_operand >= node->input_count)
        return QN_DTYPE_NONE;
    return qn_graph_type(p->graph, qn_graph_input_of(p->graph, n, row->dtype_operand))->dtype;
}

static uint32_t candidates(const struct qn_planner *p, qn_node n, const struct qn_backend_row *row,
                           const struct qn_kernel **list)
{
    int act = row->family == QN_FAMILY_MATMUL && p->options->f32_activations ? QN_ACT_F32 : -1;
    return qn_kernel_candidates(row->family, row_dtype(p, n, row), act, p->options->features, list, CANDIDATES);
}

bool qn_planner_is_constant(const struct qn_planner *p, qn_value v)
{
    return v && qn_graph_value(p->graph, p->root[v])->kind == QN_VALUE_CONSTANT;
}

/* The kernel that makes the form in which another reads its weights. */
static const struct qn_kernel *pack_kernel(const struct qn_planner *p, qn_node n, const struct qn_backend_row *row,
                                           enum qn_pack form)
{
    const struct qn_kernel *list[CANDIDATES];
    if (!row->bind_pack || !row->packed_bytes)
        return NULL;
    qn_value weights = qn_graph_input_of(p->graph, n, row->pack_operand);
    bool constant = qn_planner_is_constant(p, weights);
    qn_dtype dtype = qn_graph_type(p->graph, weights)->dtype;
    uint32_t count = qn_kernel_candidates(QN_FAMILY_PACK, dtype, -1, p->options->features, list, CANDIDATES);
    for (uint32_t i = 0; i < count; i++)
        if (list[i]->pack == form && (constant || !list[i]->packs_once))
            return list[i];
    return NULL;
}

/* The first kernel of the row that computes the node; sets `kernel` to NULL when there is none. */
static void choose_kernel(struct qn_planner *p, qn_node n, const struct qn_backend_row *row, struct qn_choice *choice)
{
    const struct qn_kernel *list[CANDIDATES];
    struct qn_params params;
    struct qn_bind bind;
    int32_t fault = 0;
    _Alignas(16) uint8_t attr[1024];
    uint32_t count = candidates(p, n, row, list);
    choice->kernel = NULL;
    assert(qn_op_info(qn_graph_node(p->graph, n)->op)->attr_size <= sizeof attr);
    for (uint32_t i = 0; i < count && !choice->kernel; i++) {
        choice->pack = NULL;
        if (list[i]->pack && !(choice->pack = pack_kernel(p, n, row, list[i]->pack)))
            continue;
        if (list[i]->fits) {
            memset(&params, 0, sizeof params);
            qn_planner_bind(p, n, list[i], &bind, attr);
            bind.fault = &fault;
            row->bind(&bind, 0, &params);
            if (!list[i]->fits(params.bytes))
                continue;
        }
        choice->kernel = list[i];
    }
}

static qn_status no_kernel(const struct qn_planner *p, qn_node n, qn_dtype dtype)
{
    const struct qn_plan *plan = p->plan;
    return QN_ERROR(QN_UNSUPPORTED, "node '%.*s': backend %s has no kernel for op %s on %s",
                    QN_STR_ARG(qn_planner_name(p, n)), plan->backends[plan->backend_count - 1]->name,
                    qn_op_info(qn_graph_node(p->graph, n)->op)->name, dtype ? qn_dtype_name(dtype) : "these operands");
}

qn_status qn_planner_choose(struct qn_planner *p, qn_node n, struct qn_choice *choice)
{
    struct qn_plan *plan = p->plan;
    qn_dtype dtype = QN_DTYPE_NONE;
    QN_TRY(qn_planner_sizes(p));
    for (uint32_t b = p->choice[n] ? p->choice[n] - 1u : 0; b < plan->backend_count; b++) {
        const struct qn_backend_row *row = NULL;
        while ((row = qn_backend_next_row(plan->backends[b], p->graph, n, row))) {
            *choice = (struct qn_choice){.backend = (uint8_t)b, .row = row};
            if (row->host)
                return NULL;
            choose_kernel(p, n, row, choice);
            if (choice->kernel)
                return NULL;
            dtype = row_dtype(p, n, row);
        }
    }
    return no_kernel(p, n, dtype);
}

/* ---- partition ------------------------------------------------------------------------------------------------ */

/* Whether a backend with rows has one for the node, with a kernel for its dtype; says why not. */
static bool has_row(const struct qn_planner *p, const struct qn_backend *backend, qn_node n, char *why, size_t size)
{
    const struct qn_kernel *list[CANDIDATES];
    const struct qn_backend_row *row = NULL;
    const char *op = qn_op_info(qn_graph_node(p->graph, n)->op)->name;
    bool listed = false;
    for (uint32_t i = 0; i < backend->row_count; i++)
        listed |= backend->rows[i].op == qn_graph_node(p->graph, n)->op;
    snprintf(why, size, listed ? "no row of op %s takes these operands" : "op %s is not in its table", op);
    while ((row = qn_backend_next_row(backend, p->graph, n, row))) {
        if (row->host || candidates(p, n, row, list))
            return true;
        snprintf(why, size, "no kernel of op %s for %s on this machine", op, qn_dtype_name(row_dtype(p, n, row)));
    }
    return false;
}

static bool is_free(const struct qn_planner *p, qn_node n)
{
    uint16_t op = qn_graph_node(p->graph, n)->op;
    return (qn_op_info(op)->traits & QN_OP_VIEW) || op == QN_OP_call;
}

/* Groups are runs of nodes in the graph's order: what lies between two of its nodes is never another's, so that a group
 * can run as one step. */
qn_status qn_planner_assign(struct qn_planner *p)
{
    struct qn_plan *plan = p->plan;
    const struct qn_graph *g = p->graph;
    uint32_t groups = 0, open = UINT32_MAX; /* the backend of the run under way */
    char why[160];
    for (qn_node n = 1; n < g->nodes.count; n++) {
        if (!p->live[n])
            continue;
        uint32_t chosen = UINT32_MAX;
        bool plain = !(qn_op_info(g->nodes.items[n].op)->traits & QN_OP_INPLACE) &&
                     g->nodes.items[n].op != QN_OP_bind_dims && g->nodes.items[n].op != QN_OP_call;
        for (uint32_t b = 0; b < plan->backend_count && chosen == UINT32_MAX; b++) {
            const struct qn_backend *backend = plan->backends[b];
            bool takes;
            snprintf(why, sizeof why, "it does not take this node");
            if (backend->claim)
                takes = plain && backend->claim(backend, g, n, why, sizeof why);
            else if (is_free(p, n))
                continue;
            else
                takes = has_row(p, backend, n, why, sizeof why);
            if (p->options->partition)
                p->options->partition(p->options->partition_context, g, n, backend, takes ? NULL : why);
            if (takes)
                chosen = b;
        }
        bool claimed = chosen != UINT32_MAX && plan->backends[chosen]->claim;
        groups += claimed && (chosen != open || p->plan->backends[chosen]->single);
        open = claimed ? chosen : UINT32_MAX;
        p->choice[n] = chosen == UINT32_MAX ? 0 : (uint8_t)(chosen + 1);
        p->group[n] = claimed ? groups : 0;
    }
    return NULL;
}
