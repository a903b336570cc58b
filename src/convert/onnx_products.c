#include "convert/onnx_products.h"

#include <inttypes.h>
#include <stdio.h>

#include "convert/tensor_types.h"

/* A value of the model that is known: a tensor, or what Identity and Transpose make of one. */
struct constant {
    const struct qn_onnx_tensor *tensor;
    const struct qn_onnx_graph *graph; /* where the tensor stands */
    const struct qn_onnx_node *maker;  /* NULL for an initialiser */
    struct qn_str name;                /* of the tensor's value */
    uint32_t from;                     /* the constant that the maker reads; NONE */
    uint32_t root;                     /* where it all comes from; itself otherwise */
    uint32_t weights[2];               /* of a root: number of the weight as [k, n], as [n, k]; NONE */
    uint64_t uses;
    bool turned, touched; /* touched: products no longer use it */
};

/* A node that could be a MatMulNBits. */
struct candidate {
    const struct qn_onnx_node *node;
    uint32_t constant;
    bool rows; /* the product is with the constant's transpose */
    enum qn_onnx_fate fate;
};

/* Names of one graph: the constant's number, NONE for anything else. */
struct scope {
    struct qn_map names;
    const struct qn_onnx_graph *graph;
    const struct scope *outer;
};

enum { NONE = UINT32_MAX };

struct finder {
    const struct qn_onnx_model *model;
    struct qn_onnx_products *out;
    const struct qn_allocator *allocator;
    QN_ARRAY(struct constant) constants;
    QN_ARRAY(struct candidate) candidates;
    struct qn_map used; /* every name of the model */
};

/* ---- names ---------------------------------------------------------------------------------------------------- */

static uint32_t look_up(const struct scope *scope, struct qn_str name)
{
    for (; scope; scope = scope->outer) {
        const uint32_t *found = qn_map_get(&scope->names, name);
        if (found)
            return *found;
    }
    return NONE;
}

static qn_status put(struct qn_map *map, struct qn_str name, uint32_t value)
{
    return !name.size || qn_map_put(map, name, value) != QN_MAP_FAILED ? NULL : QN_OOM();
}

static qn_status define(struct finder *f, struct scope *scope, struct qn_str name, uint32_t constant)
{
    QN_TRY(put(&f->used, name, 0));
    return put(&scope->names, name, constant);
}

/* A name made of another, in no use before. */
static qn_status new_name(struct finder *f, struct qn_str base, const char *suffix, struct qn_str *out)
{
    struct qn_arena *arena = &f->out->arena;
    struct qn_str tail = qn_str_from(suffix);
    char *text = qn_arena_alloc(arena, base.size + tail.size + 16, 1);
    if (!text)
        return QN_OOM();
    if (base.size)
        memcpy(text, base.data, base.size);
    memcpy(text + base.size, tail.data, tail.size);
    *out = (struct qn_str){text, base.size + tail.size};
    for (uint32_t i = 1; qn_map_get(&f->used, *out); i++)
        out->size = base.size + tail.size + (size_t)snprintf(text + base.size + tail.size, 16, "_%" PRIu32, i);
    return put(&f->used, *out, 0);
}

/* ---- attributes ----------------------------------------------------------------------------------------------- */

static const struct qn_onnx_attr *attr_of(const struct qn_onnx_node *node, const char *name)
{
    for (uint32_t i = 0; i < node->attr_count; i++)
        if (qn_str_is(node->attrs[i].name, name))
            return &node->attrs[i];
    return NULL;
}

static int64_t attr_i(const struct qn_onnx_node *node, const char *name)
{
    const struct qn_onnx_attr *attr = attr_of(node, name);
    return attr ? attr->i : 0;
}

static bool is_one(const struct qn_onnx_node *node, const char *name)
{
    const struct qn_onnx_attr *attr = attr_of(node, name);
    return !attr || attr->f == 1;
}

static bool is_core(struct qn_str domain)
{
    return domain.size == 0 || qn_str_is(domain, "ai.onnx");
}

/* Whether the node is an op of ONNX itself, which no function of the model stands in for. */
static bool is_op(const struct finder *f, const struct qn_onnx_node *node, const char *op)
{
    if (!is_core(node->domain) || !qn_str_is(node->op_type, op))
        return false;
    for (uint32_t i = 0; i < f->model->function_count; i++)
        if (is_core(f->model->functions[i].domain) && qn_str_is(f->model->functions[i].name, op))
            return false;
    return true;
}

/* ---- constants ------------------------------------------------------------------------------------------------ */

static qn_status add_constant(struct finder *f, struct scope *scope, struct constant constant, struct qn_str name)
{
    uint32_t number = f->constants.count;
    constant.root = constant.from == NONE ? number : f->constants.items[constant.from].root;
    constant.weights[0] = constant.weights[1] = NONE;
    if (!qn_array_push(&f->constants, f->allocator, constant))
        return QN_OOM();
    return define(f, scope, name, number);
}

/* An initialiser that is an input as well may be given by the caller, except in old models, where all are inputs. */
static qn_status define_initializers(struct finder *f, struct scope *scope)
{
    const struct qn_onnx_graph *graph = scope->graph;
    for (uint32_t i = 0; i < graph->input_count; i++)
        QN_TRY(define(f, scope, graph->inputs[i].name, NONE));
    for (uint32_t i = 0; i < graph->initializer_count; i++) {
        const struct qn_onnx_tensor *t = &graph->initializers[i];
        if (f->model->ir_version >= 4 && qn_map_get(&scope->names, t->name))
            continue;
        QN_TRY(add_constant(f, scope, (struct constant){.tensor = t, .graph = graph, .name = t->name, .from = NONE},
                            t->name));
    }
    for (uint32_t i = 0; i < graph->sparse_count; i++)
        QN_TRY(define(f, scope, graph->sparse_initializers[i].values.name, NONE));
    return NULL;
}

static bool turns(const struct qn_onnx_node *node)
{
    const struct qn_onnx_attr *perm = attr_of(node, "perm");
    return !perm || (perm->kind == QN_ONNX_ATTR_INTS && perm->count == 2 && perm->ints[0] == 1 && perm->ints[1] == 0);
}

static qn_status define_outputs(struct finder *f, struct scope *scope, const struct qn_onnx_node *node)
{
    const struct qn_onnx_attr *value = is_op(f, node, "Constant") ? attr_of(node, "value") : NULL;
    bool same = is_op(f, node, "Identity"), turned = is_op(f, node, "Transpose");
    uint32_t from = (same || turned) && node->input_count == 1 ? look_up(scope, node->inputs[0]) : NONE;
    struct constant c = {.graph = scope->graph, .maker = node, .from = from};
    if (node->output_count == 1 && value && value->kind == QN_ONNX_ATTR_TENSOR && value->t) {
        c.tensor = value->t;
        c.name = node->outputs[0];
        return add_constant(f, scope, c, c.name);
    }
    if (node->output_count == 1 && from != NONE) {
        const struct constant *source = &f->constants.items[from];
        c.tensor = source->tensor;
        c.graph = source->graph;
        c.name = source->name;
        c.turned = source->turned != turned;
        if (same || (source->tensor->dim_count == 2 && turns(node)))
            return add_constant(f, scope, c, node->outputs[0]);
    }
    for (uint32_t i = 0; i < node->output_count; i++)
        QN_TRY(define(f, scope, node->outputs[i], NONE));
    return NULL;
}

/* ---- products ------------------------------------------------------------------------------------------------- */

static bool is_weight(const struct constant *c)
{
    qn_dtype dtype = qn_onnx_dtype(c->tensor->data_type);
    return c->tensor->dim_count == 2 && (dtype == QN_DTYPE_F32 || dtype == QN_DTYPE_F16) && c->tensor->dims[0] > 0 &&
           c->tensor->dims[1] > 0;
}

static int64_t core_version(const struct qn_onnx_model *model)
{
    for (uint32_t i = 0; i < model->opset_count; i++)
        if (is_core(model->opsets[i].domain))
            return model->opsets[i].version;
    return 0;
}

/* How C of a Gemm is added: a vector of the product's columns by the op itself, anything else by an Add, which
 * broadcasts as Gemm does since version 7. False: not at all. */
static bool bias_fate(const struct finder *f, const struct scope *scope, const struct qn_onnx_node *node, int64_t n,
                      enum qn_onnx_fate *fate)
{
    *fate = QN_ONNX_PRODUCT;
    if (node->input_count < 3 || !node->inputs[2].size)
        return true;
    uint32_t bias = look_up(scope, node->inputs[2]);
    const struct qn_onnx_tensor *t = bias == NONE ? NULL : f->constants.items[bias].tensor;
    *fate = t && t->dim_count == 1 && t->dims[0] == n ? QN_ONNX_PRODUCT_BIAS : QN_ONNX_PRODUCT_ADD;
    return is_one(node, "beta") && core_version(f->model) >= 7;
}

static qn_status note_product(struct finder *f, const struct scope *scope, const struct qn_onnx_node *node)
{
    bool gemm = is_op(f, node, "Gemm");
    if ((!gemm && !is_op(f, node, "MatMul")) || node->input_count < 2 || node->output_count != 1)
        return NULL;
    struct candidate c = {.node = node, .constant = look_up(scope, node->inputs[1]), .fate = QN_ONNX_PRODUCT};
    const struct constant *w = c.constant == NONE ? NULL : &f->constants.items[c.constant];
    if (!w || !is_weight(w))
        return NULL;
    bool turned = gemm && attr_i(node, "transB");
    c.rows = w->turned != turned;
    if (gemm && (attr_i(node, "transA") || !is_one(node, "alpha") ||
                 !bias_fate(f, scope, node, w->tensor->dims[c.rows ? 0 : 1], &c.fate)))
        return NULL;
    return qn_array_push(&f->candidates, f->allocator, c) ? NULL : QN_OOM();
}

static qn_status walk(struct finder *f, const struct qn_onnx_graph *graph, const struct scope *outer);

static qn_status use(struct finder *f, const struct scope *scope, struct qn_str name)
{
    uint32_t constant = look_up(scope, name);
    if (constant != NONE)
        f->constants.items[constant].uses++;
    return put(&f->used, name, 0);
}

static qn_status walk_node(struct finder *f, const struct qn_onnx_node *node, const struct scope *scope)
{
    for (uint32_t i = 0; i < node->input_count; i++)
        QN_TRY(use(f, scope, node->inputs[i]));
    for (uint32_t a = 0; a < node->attr_count; a++) {
        const struct qn_onnx_attr *attr = &node->attrs[a];
        if (attr->kind == QN_ONNX_ATTR_GRAPH && attr->g)
            QN_TRY(walk(f, attr->g, scope));
        for (uint64_t i = 0; i < attr->count && attr->kind == QN_ONNX_ATTR_GRAPHS; i++)
            QN_TRY(walk(f, &attr->graphs[i], scope));
    }
    return note_product(f, scope, node);
}

/* All names first: a file need not have its nodes in order, and a use that is missed would cost a tensor. */
static qn_status walk(struct finder *f, const struct qn_onnx_graph *graph, const struct scope *outer)
{
    struct qn_arena arena;
    struct scope scope = {.graph = graph, .outer = outer};
    qn_arena_init(&arena, f->allocator);
    qn_status status = qn_map_init(&scope.names, &arena, graph->node_count) ? NULL : QN_OOM();
    if (!status)
        status = define_initializers(f, &scope);
    for (uint32_t i = 0; i < graph->node_count && !status; i++)
        status = define_outputs(f, &scope, &graph->nodes[i]);
    for (uint32_t i = 0; i < graph->node_count && !status; i++)
        status = walk_node(f, &graph->nodes[i], &scope);
    for (uint32_t i = 0; i < graph->output_count && !status; i++)
        status = use(f, &scope, graph->outputs[i].name);
    qn_arena_deinit(&arena);
    return status;
}

/* ---- which type ----------------------------------------------------------------------------------------------- */

static qn_status check_rules(const struct finder *f, const struct qn_convert_options *options)
{
    for (size_t k = 0; k < options->keep_count; k++) {
        const struct qn_convert_keep *rule = &options->keeps[k];
        bool used = false;
        if (rule->dtype != QN_DTYPE_NONE && !qn_nbits_bits(rule->dtype))
            return QN_ERROR(QN_INVALID_ARGUMENT,
                            "rule '%s=%s': MatMulNBits cannot hold that type; Q4_0, Q4_1 and Q8_0 work", rule->pattern,
                            qn_dtype_name(rule->dtype));
        for (uint32_t i = 0; i < f->candidates.count && !used; i++) {
            struct qn_str name = f->constants.items[f->candidates.items[i].constant].name;
            used = qn_keep_matches(rule, name.data); /* terminated: see note_names */
        }
        if (!used)
            return QN_ERROR(QN_INVALID_ARGUMENT, "rule '%s' names no weight of a product", rule->pattern);
    }
    return NULL;
}

/* Rules match terminated texts, which the file has not. */
static qn_status terminate_names(struct finder *f)
{
    for (uint32_t i = 0; i < f->candidates.count; i++) {
        struct qn_str *name = &f->constants.items[f->candidates.items[i].constant].name;
        *name = qn_arena_str(&f->out->arena, *name);
        if (!name->data)
            return QN_OOM();
    }
    return NULL;
}

/* NONE: it stays as it is. */
static qn_dtype type_for(const struct qn_convert_options *options, qn_dtype type, const char *name)
{
    for (size_t k = 0; k < options->keep_count; k++)
        if (qn_keep_matches(&options->keeps[k], name))
            return options->keeps[k].dtype;
    return type;
}

/* ---- changes -------------------------------------------------------------------------------------------------- */

static struct qn_str key_of(const void *const *what)
{
    return (struct qn_str){(const char *)what, sizeof *what};
}

static qn_status add_change(struct qn_onnx_products *out, struct qn_onnx_change change)
{
    return qn_array_push(&out->changes, out->arena.allocator, change) ? NULL : QN_OOM();
}

static uint64_t new_bytes(const struct qn_nbits *w)
{
    return qn_nbits_code_bytes(w) + qn_nbits_scale_bytes(w) + qn_nbits_zero_bytes(w);
}

/* The weight that a candidate reads, made when it is the first. */
static qn_status weight_of(struct finder *f, const struct constant *c, const struct qn_nbits *shape, uint32_t *out)
{
    struct qn_onnx_products *p = f->out;
    uint32_t *known = &f->constants.items[c->root].weights[shape->rows];
    *out = *known;
    if (*known != NONE)
        return NULL;
    *known = *out = p->weights.count;
    struct qn_onnx_weight w = {.tensor = c->tensor, .graph = c->graph, .name = c->name, .shape = *shape};
    QN_TRY(new_name(f, c->name, qn_nbits_bits(shape->type) == 4 ? "_Q4" : "_Q8", &w.codes));
    QN_TRY(new_name(f, c->name, "_scales", &w.scales));
    if (qn_nbits_zero_bytes(shape))
        QN_TRY(new_name(f, c->name, "_zero_points", &w.zeros));
    p->bytes_out += new_bytes(shape);
    p->type_counts[shape->type]++;
    p->tensors++;
    return qn_array_push(&p->weights, p->arena.allocator, w) ? NULL : QN_OOM();
}

static qn_status change_candidate(struct finder *f, const struct candidate *c, qn_dtype type)
{
    struct constant *w = &f->constants.items[c->constant];
    struct qn_nbits shape = {.type = type, .dtype = qn_onnx_dtype(w->tensor->data_type), .rows = c->rows};
    shape.n = (uint64_t)w->tensor->dims[c->rows ? 0 : 1];
    shape.k = (uint64_t)w->tensor->dims[c->rows ? 1 : 0];
    struct qn_onnx_change change = {.what = c->node, .fate = c->fate};
    if (shape.k < QN_NBITS_BLOCK || new_bytes(&shape) >= shape.n * shape.k * qn_dtype_info(shape.dtype)->block_bytes)
        return NULL; /* precision would go, and hardly a byte */
    QN_TRY(weight_of(f, w, &shape, &change.weight));
    if (c->fate == QN_ONNX_PRODUCT_ADD)
        QN_TRY(new_name(f, c->node->outputs[0], "_product", &change.sum));
    w->uses--;
    w->touched = true;
    return add_change(f->out, change);
}

/* What only the old products read goes, from the last maker back to the tensor. */
static qn_status drop_unused(struct finder *f)
{
    for (uint32_t i = f->constants.count; i-- > 0;) {
        struct constant *c = &f->constants.items[i];
        if (c->uses || !c->touched)
            continue;
        if (c->from != NONE) {
            f->constants.items[c->from].uses--;
            f->constants.items[c->from].touched = true;
        }
        const void *what = c->maker ? (const void *)c->maker : (const void *)c->tensor;
        QN_TRY(add_change(f->out, (struct qn_onnx_change){.what = what, .fate = QN_ONNX_DROPPED}));
    }
    return NULL;
}

static qn_status count_tensors(struct finder *f)
{
    struct qn_onnx_products *p = f->out;
    for (uint32_t i = 0; i < f->constants.count; i++) {
        const struct constant *c = &f->constants.items[i];
        uint64_t elements, bytes;
        if (c->from != NONE)
            continue;
        QN_TRY(qn_onnx_tensor_stored(c->tensor, &elements, &bytes));
        p->bytes_in += bytes;
        if (c->touched && !c->uses)
            continue;
        p->bytes_out += bytes;
        p->tensors++;
        p->type_counts[qn_onnx_dtype(c->tensor->data_type)]++;
    }
    return NULL;
}

static qn_status decide(struct finder *f, qn_dtype type, const struct qn_convert_options *options)
{
    struct qn_onnx_products *p = f->out;
    if (!f->candidates.count)
        return QN_ERROR(QN_UNSUPPORTED, "no MatMul or plain Gemm has a constant matrix of f32 or f16: there is nothing "
                                        "that could be quantised");
    QN_TRY(terminate_names(f));
    QN_TRY(check_rules(f, options));
    for (uint32_t i = 0; i < f->candidates.count; i++) {
        const struct candidate *c = &f->candidates.items[i];
        qn_dtype to = type_for(options, type, f->constants.items[c->constant].name.data);
        if (to != QN_DTYPE_NONE)
            QN_TRY(change_candidate(f, c, to));
    }
    QN_TRY(drop_unused(f));
    QN_TRY(count_tensors(f));
    if (!qn_map_init(&p->change_map, &p->arena, p->changes.count))
        return QN_OOM();
    for (uint32_t i = 0; i < p->changes.count; i++)
        QN_TRY(put(&p->change_map, key_of(&p->changes.items[i].what), i));
    return NULL;
}

/* ---- calls ---------------------------------------------------------------------------------------------------- */

qn_status qn_onnx_products_find(const struct qn_onnx_file *file, qn_dtype type,
                                const struct qn_convert_options *options, struct qn_onnx_products *out)
{
    struct finder f = {.model = &file->model, .out = out, .allocator = options->allocator};
    struct qn_arena names;
    *out = (struct qn_onnx_products){0};
    qn_arena_init(&out->arena, options->allocator);
    qn_arena_init(&names, options->allocator);
    qn_status status = qn_map_init(&f.used, &names, 0) ? NULL : QN_OOM();
    if (!status)
        status = walk(&f, &file->model.graph, NULL);
    if (!status)
        status = decide(&f, type, options);
    qn_array_free(&f.constants, f.allocator);
    qn_array_free(&f.candidates, f.allocator);
    qn_arena_deinit(&names);
    return status;
}

void qn_onnx_products_deinit(struct qn_onnx_products *products)
{
    const struct qn_allocator *allocator = products->arena.allocator;
    if (!allocator)
        return;
    qn_array_free(&products->weights, allocator);
    qn_array_free(&products->changes, allocator);
    qn_arena_deinit(&products->arena);
}

const struct qn_onnx_change *qn_onnx_change_of(const struct qn_onnx_products *products, const void *what)
{
    const uint32_t *found = qn_map_get(&products->change_map, key_of(&what));
    return found ? &products->changes.items[*found] : NULL;
}
