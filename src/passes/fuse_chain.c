/* chain: elementwise ops of one shape whose results nobody else reads become one step, evaluated piece by piece.
 *
 * From its last node a chain takes in whatever makes its inputs, as long as all readers of that are in the chain, its
 * dims are those of the last node (nothing is computed more than once) and the program stays within its limits. */
#include "ir/chain.h"
#include "passes/match.h"
#include "passes/pass.h"

enum { MAX_CHAIN_INPUTS = 8 };

struct chain {
    uint32_t count, input_count;
    qn_node nodes[QN_CHAIN_MAX]; /* ascending; the root is last */
    qn_value inputs[MAX_CHAIN_INPUTS];
};

static bool same_dims(const struct qn_type *a, const struct qn_type *b)
{
    bool same = a->rank == b->rank;
    for (uint32_t i = 0; same && i < a->rank; i++)
        same = a->dims[i] == b->dims[i];
    return same;
}

/* The node can be an instruction. */
static bool takes(const struct qn_rewrite *r, qn_node n)
{
    const struct qn_node_info *node = qn_graph_node(r->from, n);
    const struct qn_type *out = qn_match_type(r, node->first_output);
    if (!(qn_op_info(node->op)->traits & QN_OP_ELEMENTWISE) || node->output_count != 1 || node->input_count == 0 ||
        out->encoding || !qn_chain_takes(node->op, out->dtype))
        return false;
    for (uint32_t i = 0; i < node->input_count; i++) {
        const struct qn_type *type = qn_match_type(r, qn_match_input(r, n, i));
        if (type->encoding || !qn_chain_takes(node->op, type->dtype))
            return false;
    }
    if (node->op != QN_OP_cast)
        return true;
    const struct qn_attr_cast *cast = qn_graph_attr(r->from, n);
    return !cast->wrap && !cast->rounding;
}

static uint32_t position(const struct chain *c, const struct qn_rewrite *r, qn_value v)
{
    const struct qn_value_info *value = qn_graph_value(r->from, v);
    for (uint32_t i = 0; value->kind == QN_VALUE_NODE && i < c->count; i++)
        if (c->nodes[i] == value->producer)
            return i;
    return UINT32_MAX;
}

/* Lists what the nodes read from outside; false when that is too much. */
static bool list_inputs(const struct qn_rewrite *r, struct chain *c)
{
    c->input_count = 0;
    for (uint32_t i = 0; i < c->count; i++) {
        for (uint32_t k = 0; k < qn_graph_node(r->from, c->nodes[i])->input_count; k++) {
            qn_value v = qn_match_input(r, c->nodes[i], k);
            uint32_t at = 0;
            if (position(c, r, v) != UINT32_MAX)
                continue;
            while (at < c->input_count && c->inputs[at] != v)
                at++;
            if (at == MAX_CHAIN_INPUTS)
                return false;
            c->inputs[at] = v;
            c->input_count += at == c->input_count;
        }
    }
    return true;
}

static uint32_t reads_inside(const struct qn_rewrite *r, const struct chain *c, qn_value v)
{
    uint32_t reads = 0;
    for (uint32_t i = 0; i < c->count; i++)
        for (uint32_t k = 0; k < qn_graph_node(r->from, c->nodes[i])->input_count; k++)
            reads += qn_match_input(r, c->nodes[i], k) == v;
    return reads;
}

/* Takes in one more node; false when there is none. */
static bool grow(const struct qn_rewrite *r, struct chain *c)
{
    const struct qn_type *type = qn_match_type(r, qn_match_result(r, c->nodes[c->count - 1]));
    for (uint32_t i = 0; i < c->input_count && c->count < QN_CHAIN_MAX; i++) {
        qn_value v = c->inputs[i];
        const struct qn_value_info *value = qn_graph_value(r->from, v);
        if (value->kind != QN_VALUE_NODE || !same_dims(&value->type, type) || !takes(r, value->producer) ||
            reads_inside(r, c, v) != r->uses[v])
            continue;
        struct chain more = *c;
        uint32_t at = more.count++;
        for (; at > 0 && more.nodes[at - 1] > value->producer; at--)
            more.nodes[at] = more.nodes[at - 1];
        more.nodes[at] = value->producer;
        if (!list_inputs(r, &more))
            continue;
        *c = more;
        return true;
    }
    return false;
}

static void write_program(const struct qn_rewrite *r, const struct chain *c, struct qn_attr_chain *attr)
{
    attr->length = c->count;
    for (uint32_t i = 0; i < c->count; i++) {
        const struct qn_node_info *node = qn_graph_node(r->from, c->nodes[i]);
        uint8_t operands[3] = {0};
        for (uint32_t k = 0; k < node->input_count; k++) {
            qn_value v = qn_match_input(r, c->nodes[i], k);
            uint32_t at = position(c, r, v), input = 0;
            while (at == UINT32_MAX && c->inputs[input] != v)
                input++;
            operands[k] = (uint8_t)(at == UINT32_MAX ? QN_CHAIN_INPUT + input : at);
        }
        attr->code.steps[i] = (struct qn_chain_step){
            .op = node->op,
            .a = operands[0],
            .b = operands[1],
            .c = operands[2],
            .dtype = (uint8_t)qn_match_type(r, node->first_output)->dtype,
        };
    }
}

static bool match_chain(const struct qn_rewrite *r, qn_node root, struct qn_match *match)
{
    struct chain c = {.count = 1, .nodes = {root}};
    if (!takes(r, root) || !list_inputs(r, &c))
        return false;
    while (grow(r, &c)) {
    }
    if (c.count < 2)
        return false;
    write_program(r, &c, (struct qn_attr_chain *)match->attr);
    qn_match_set(match, QN_OP_chain, c.inputs, c.input_count);
    return true;
}

qn_status qn_pass_fuse_chain(const struct qn_graph *from, struct qn_graph *to)
{
    return qn_rewrite_run(from, to, match_chain);
}
