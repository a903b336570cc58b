/* What only constants decide is computed once, when the graph is compiled, and not in every run: weights that a model
 * makes from others (normalised, quantised, joined).
 *
 * Not what would become larger than the constants it is made from: weights are kept in few bits on purpose. Not moves
 * alone: the planner reads through most of them. And not dequantised values: passes look for what is behind them. */
#include <stdio.h>

#include "exec/compiled.h"
#include "ir/ir.h"
#include "passes/rewrite.h"

enum { SMALL_BYTES = 1 << 14 }; /* results that may be larger than what they are made from */

struct search {
    const struct qn_allocator *allocator;
    const struct qn_graph *graph;
    uint32_t value_count, node_count;
    uint64_t *bytes;      /* by value: of the largest constant that it is made from; 0: it is not constant */
    uint8_t *is_computed; /* by node: computed here, should somebody read it */
    uint8_t *is_moved;    /* by value: constants or moves of them alone */
    uint32_t *number;     /* by node: of its first output among the results, counted from 1; 0: it is none */
    uint32_t results;
    qn_value *copies; /* by value: in the graph of what is computed */
};

static qn_status create_search(const struct qn_graph *g, const struct qn_allocator *allocator, struct search *s)
{
    *s = (struct search){
        .allocator = allocator, .graph = g, .value_count = g->values.count, .node_count = g->nodes.count};
    s->bytes = qn_calloc(allocator, g->values.count, sizeof *s->bytes);
    s->is_computed = qn_calloc(allocator, g->nodes.count, 1);
    s->is_moved = qn_calloc(allocator, g->values.count, 1);
    s->number = qn_calloc(allocator, g->nodes.count, sizeof *s->number);
    s->copies = qn_calloc(allocator, g->values.count, sizeof *s->copies);
    return s->bytes && s->is_computed && s->is_moved && s->number && s->copies ? NULL : QN_OOM();
}

static void destroy_search(struct search *s)
{
    qn_free(s->allocator, s->bytes, s->value_count * sizeof *s->bytes);
    qn_free(s->allocator, s->is_computed, s->node_count);
    qn_free(s->allocator, s->is_moved, s->value_count);
    qn_free(s->allocator, s->number, s->node_count * sizeof *s->number);
    qn_free(s->allocator, s->copies, s->value_count * sizeof *s->copies);
}

/* A tensor of plain numbers whose dims are known. */
static bool is_plain(const struct qn_type *type, uint64_t *bytes)
{
    enum qn_dtype_class class = qn_dtype_info(type->dtype)->class_;
    bool numbers = class == QN_DTYPE_CLASS_FLOAT || class == QN_DTYPE_CLASS_INT || class == QN_DTYPE_CLASS_UINT ||
                   class == QN_DTYPE_CLASS_BOOL;
    return numbers && !type->encoding && qn_type_bytes(type, bytes) && *bytes > 0;
}

static bool is_move(uint16_t op)
{
    return (qn_op_info(op)->traits & QN_OP_VIEW) || op == QN_OP_transpose || op == QN_OP_slice || op == QN_OP_concat ||
           op == QN_OP_expand || op == QN_OP_cast;
}

/* Marks what one node makes of constants. */
static void visit(struct search *s, qn_node n)
{
    const struct qn_graph *g = s->graph;
    const struct qn_node_info *node = qn_graph_node(g, n);
    uint64_t most = 0, bytes;
    bool moved = is_move(node->op), fits = true;
    if (!(qn_op_info(node->op)->traits & QN_OP_PURE) || node->op == QN_OP_dequantize)
        return;
    for (uint32_t i = 0; i < node->input_count; i++) {
        qn_value v = qn_graph_input_of(g, n, i);
        if (!v)
            continue;
        if (!s->bytes[v])
            return;
        most = s->bytes[v] > most ? s->bytes[v] : most;
        moved = moved && s->is_moved[v];
    }
    for (uint32_t i = 0; i < node->output_count; i++) {
        if (!is_plain(qn_graph_type(g, node->first_output + i), &bytes))
            return;
        fits = fits && (bytes <= most || bytes <= SMALL_BYTES);
    }
    for (uint32_t i = 0; i < node->output_count && most; i++) {
        s->bytes[node->first_output + i] = most;
        s->is_moved[node->first_output + i] = moved;
    }
    s->is_computed[n] = most && fits && !moved;
}

/* The results: what is computed here and read by something that is not. */
static void find_results(struct search *s)
{
    const struct qn_graph *g = s->graph;
    for (qn_value v = 1; v < g->values.count; v++)
        if (qn_graph_value(g, v)->kind == QN_VALUE_CONSTANT && is_plain(qn_graph_type(g, v), &s->bytes[v]))
            s->is_moved[v] = 1;
        else
            s->bytes[v] = 0;
    for (qn_node n = 1; n < g->nodes.count; n++)
        visit(s, n);
    for (qn_node n = g->nodes.count - 1; n > 0; n--)
        for (uint32_t i = 0; i < qn_graph_node(g, n)->input_count && !s->is_computed[n]; i++)
            s->number[qn_graph_value(g, qn_graph_input_of(g, n, i))->producer] = 1;
    for (uint32_t i = 0; i < g->outputs.count; i++)
        s->number[qn_graph_value(g, g->outputs.items[i].value)->producer] = 1;
    for (qn_node n = 1; n < g->nodes.count; n++) {
        bool is_result = s->number[n] && s->is_computed[n];
        s->number[n] = is_result ? s->results + 1 : 0;
        s->results += is_result ? qn_graph_node(g, n)->output_count : 0;
    }
}

/* ---- the graph of what is computed ---------------------------------------------------------------------------- */

static qn_status copy_node(struct search *s, qn_node n, struct qn_graph *to)
{
    const struct qn_node_info *node = qn_graph_node(s->graph, n);
    qn_value inputs[QN_MAX_INPUTS];
    if (node->input_count > QN_MAX_INPUTS)
        return QN_ERROR(QN_UNSUPPORTED, "%u inputs", node->input_count);
    for (uint32_t i = 0; i < node->input_count; i++) {
        qn_value v = qn_graph_input_of(s->graph, n, i);
        const struct qn_value_info *value = qn_graph_value(s->graph, v);
        if (v && !s->copies[v])
            QN_TRY(qn_graph_add_constant(to, value->name, &value->type, &s->graph->blobs.items[value->index],
                                         &s->copies[v]));
        inputs[i] = s->copies[v];
    }
    return qn_graph_add_node(to, node->op, inputs, node->input_count, qn_graph_attr(s->graph, n), node->name,
                             &s->copies[node->first_output]);
}

static qn_status make_graph(struct search *s, struct qn_graph *to)
{
    const struct qn_graph *g = s->graph;
    uint32_t file;
    char name[16];
    uint8_t *needed = qn_calloc(s->allocator, g->nodes.count, 1);
    if (!needed)
        return QN_OOM();
    for (qn_node n = g->nodes.count - 1; n > 0; n--) {
        needed[n] = needed[n] || s->number[n];
        for (uint32_t i = 0; needed[n] && i < qn_graph_node(g, n)->input_count; i++)
            needed[qn_graph_value(g, qn_graph_input_of(g, n, i))->producer] = 1;
    }
    qn_status status = NULL;
    for (uint32_t i = 0; i < g->files.count && !status; i++)
        status = qn_graph_file(to, g->files.items[i], &file);
    for (qn_node n = 1; n < g->nodes.count && !status; n++)
        if (needed[n])
            status = copy_node(s, n, to);
    for (qn_node n = 1; n < g->nodes.count && !status; n++)
        for (uint32_t i = 0; s->number[n] && i < qn_graph_node(g, n)->output_count && !status; i++) {
            snprintf(name, sizeof name, "%u", s->number[n] + i);
            status = qn_graph_add_output(to, qn_str_from(name), s->copies[qn_graph_node(g, n)->first_output + i]);
        }
    qn_free(s->allocator, needed, g->nodes.count);
    return status;
}

/* ---- in place of the nodes ------------------------------------------------------------------------------------ */

struct made {
    const struct search *search;
    const struct qn_exec_tensor *tensors;
};

static qn_status emit_constants(struct qn_rewrite *r, qn_node root, const struct qn_match *match,
                                const qn_value *inputs, qn_value *outs)
{
    (void)match, (void)inputs;
    const struct made *made = r->context;
    const struct qn_node_info *node = qn_graph_node(r->from, root);
    for (uint32_t i = 0; i < node->output_count; i++)
        QN_TRY(qn_graph_add_data(r->to, node->name, qn_graph_type(r->from, node->first_output + i),
                                 made->tensors[made->search->number[root] - 1 + i].data, &outs[i]));
    return NULL;
}

static bool is_result(const struct qn_rewrite *r, qn_node root, struct qn_match *match)
{
    const struct made *made = r->context;
    match->emit = emit_constants;
    return made->search->number[root] != 0;
}

static qn_status replace(struct search *s, struct qn_graph **graph, const struct qn_exec_tensor *tensors)
{
    struct made made = {s, tensors};
    struct qn_graph *to;
    QN_TRY(qn_graph_create((*graph)->allocator, (*graph)->name, &to));
    qn_status status = qn_rewrite_with(*graph, to, is_result, &made);
    qn_graph_destroy(status ? to : *graph);
    if (!status)
        *graph = to;
    return status;
}

static qn_status compute(struct search *s, struct qn_graph **graph, const struct qn_model *model,
                         const struct qn_compile_options *options)
{
    struct qn_graph *part;
    struct qn_compiled compiled;
    struct qn_compile_options inner = {
        .threads = options->threads, .f32_activations = options->f32_activations, .is_inner = true};
    QN_TRY(qn_graph_create((*graph)->allocator, (*graph)->name, &part));
    qn_status status = make_graph(s, part);
    if (status) {
        qn_graph_destroy(part);
        return status;
    }
    QN_TRY(qn_compiled_init(&compiled, part, model, &inner, s->allocator));
    struct qn_exec_tensor none, *tensors = qn_calloc(s->allocator, s->results, sizeof *tensors);
    status = tensors ? qn_exec_run(compiled.exec, &none, tensors, NULL) : QN_OOM();
    if (!status)
        status = replace(s, graph, tensors);
    qn_free(s->allocator, tensors, s->results * sizeof *tensors);
    qn_compiled_deinit(&compiled);
    return status;
}

void qn_precompute(struct qn_graph **graph, const struct qn_model *model, const struct qn_compile_options *options,
                   const struct qn_allocator *allocator)
{
    struct search s;
    if (qn_optimise_leaves_out(options->disabled_passes, "fold"))
        return;
    qn_status status = create_search(*graph, allocator, &s);
    if (!status)
        find_results(&s);
    if (!status && s.results)
        status = compute(&s, graph, model, options);
    destroy_search(&s);
    qn_status_free(status);
}
