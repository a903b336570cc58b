#include "backend/backend.h"

const struct qn_backend_row *qn_backend_next_row(const struct qn_backend *backend, const struct qn_graph *graph,
                                                 qn_node node, const struct qn_backend_row *after)
{
    uint16_t op = qn_graph_node(graph, node)->op;
    for (uint32_t i = after ? (uint32_t)(after - backend->rows) + 1 : 0; i < backend->row_count; i++) {
        const struct qn_backend_row *row = &backend->rows[i];
        if (row->op == op && (!row->accepts || row->accepts(graph, node)))
            return row;
    }
    return NULL;
}

const struct qn_backend_row *qn_backend_row(const struct qn_backend *backend, const struct qn_graph *graph,
                                            qn_node node)
{
    return qn_backend_next_row(backend, graph, node, NULL);
}
