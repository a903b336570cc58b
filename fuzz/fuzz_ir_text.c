/* IR text: whatever the bytes are, parsing ends with a graph or an error and takes no more memory than the text is
 * worth. A graph prints as text that parses and prints the same again; every fused node comes apart into nodes of its
 * type; the passes leave a graph that verifies. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ir/ir.h"
#include "passes/pass.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t limit;

static void *limited_resize(void *context, void *ptr, size_t old_size, size_t new_size)
{
    const struct qn_allocator *heap = qn_allocator_default();
    (void)context;
    if (new_size > limit)
        abort();
    return heap->resize(heap->context, ptr, old_size, new_size);
}

static const struct qn_allocator limited = {NULL, limited_resize};

static void check(bool holds)
{
    if (!holds)
        abort();
}

/* Bugs are ours; running into a bound is the input's affair. */
static bool allowed(qn_status status)
{
    if (!status)
        return true;
    bool bound = qn_status_code(status) == QN_OUT_OF_RANGE || qn_status_code(status) == QN_UNSUPPORTED;
    if (!bound) {
        fprintf(stderr, "%s\n", qn_status_message(status));
        abort();
    }
    qn_status_free(status);
    return false;
}

static void check_text(const struct qn_graph *graph)
{
    struct qn_strbuf once, twice;
    struct qn_graph *again;
    qn_strbuf_init(&once, NULL);
    qn_strbuf_init(&twice, NULL);
    check(!qn_graph_print(graph, &once));
    check(allowed(qn_graph_parse(qn_strbuf_view(&once), NULL, &again)));
    check(!qn_graph_print(again, &twice));
    check(qn_str_eq(qn_strbuf_view(&once), qn_strbuf_view(&twice)));
    qn_graph_destroy(again);
    qn_strbuf_deinit(&once);
    qn_strbuf_deinit(&twice);
}

/* One type but for the names of dims: of two that the run will find equal a rule may keep either. */
static bool same_type(const struct qn_graph *graph, const struct qn_type *a, const struct qn_type *b)
{
    bool same = a->dtype == b->dtype && a->rank == b->rank;
    for (uint32_t i = 0; same && i < a->rank; i++)
        same = qn_dim_compare(graph, a->dims[i], b->dims[i]) != QN_DIM_DIFFERENT;
    return same;
}

static void check_decompositions(struct qn_graph *graph)
{
    uint32_t count = graph->nodes.count;
    for (qn_node n = 1; n < count && n < 64; n++) {
        const struct qn_node_info node = *qn_graph_node(graph, n);
        const struct qn_op_info *info = qn_op_info(node.op);
        qn_value inputs[16], outs[4];
        _Alignas(8) char attr[256];
        if (!info->decompose)
            continue;
        for (uint32_t i = 0; i < node.input_count; i++)
            inputs[i] = qn_graph_input_of(graph, n, i);
        memcpy(attr, qn_graph_attr(graph, n), info->attr_size);
        if (!allowed(info->decompose(graph, inputs, node.input_count, attr, outs)))
            continue;
        for (uint32_t i = 0; i < node.output_count; i++)
            check(same_type(graph, qn_graph_type(graph, node.first_output + i), qn_graph_type(graph, outs[i])));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct qn_graph *graph;
    struct qn_pass_options options = {.verify = true};
    limit = 65536 + 256 * size;
    qn_status status = qn_graph_parse((struct qn_str){(const char *)data, size}, &limited, &graph);
    if (status) {
        check(!graph && qn_status_code(status) != QN_INTERNAL);
        qn_status_free(status);
        return 0;
    }
    check(!qn_graph_verify(graph));
    check_text(graph);
    limit = SIZE_MAX; /* folding and decomposing make what the text only asks for */
    if (allowed(qn_pass_run_all(&graph, &options)))
        check_text(graph);
    check_decompositions(graph);
    qn_graph_destroy(graph);
    return 0;
}
