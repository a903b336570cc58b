/* One import: steps in order, each lowered by its row of lower.def, into a graph. */
#include "format/onnx/import.h"

#include <inttypes.h>
#include <stdio.h>

#include "format/onnx/import_state.h"
#include "format/onnx/signature.h"
#include "platform/thread.h"

enum { COPIED_BYTES = 4096, COPIED_UNALIGNED = 1 << 16 };

/* ---- locks ---------------------------------------------------------------------------------------------------- */

/* Held for the making of a list entry, by the few threads that import at once. */
void qn_onnx_lock(struct qn_onnx_program *program)
{
    uint32_t expected = 0;
    while (!__atomic_compare_exchange_n(&program->lock, &expected, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
        qn_futex_wait(&program->lock, 1);
        expected = 0;
    }
}

void qn_onnx_unlock(struct qn_onnx_program *program)
{
    __atomic_store_n(&program->lock, 0, __ATOMIC_RELEASE);
    qn_futex_wake(&program->lock, 1);
}

/* ---- entries -------------------------------------------------------------------------------------------------- */

struct qn_onnx_bound *qn_onnx_entry_of(struct qn_onnx_import *im, uint32_t slot)
{
    struct qn_onnx_bound *entry = &im->entries[slot];
    while (entry->alias)
        entry = &im->entries[entry->alias];
    const struct qn_onnx_slot *s = &im->program->slots.items[entry - im->entries];
    if (entry->state == QN_ONNX_UNDEFINED && (s->tensor || s->sparse)) {
        const struct qn_onnx_tensor *t = s->tensor ? s->tensor : &s->sparse->values;
        entry->state = QN_ONNX_READY;
        entry->type = (struct qn_onnx_type){.kind = QN_ONNX_TENSOR, .dtype = qn_onnx_dtype(t->data_type)};
    }
    return entry;
}

static qn_status add_tensor(struct qn_onnx_import *im, const struct qn_onnx_slot *slot, qn_value *out)
{
    struct qn_onnx_content content;
    QN_TRY(slot->sparse ? qn_onnx_resolve_sparse(im->program->file, slot->sparse, &im->graph->arena, &content)
                        : qn_onnx_resolve(im->program->file, slot->tensor, &im->graph->arena, &content));
    struct qn_type type = {.dtype = content.dtype, .rank = content.rank};
    memcpy(type.dims, content.dims, content.rank * sizeof type.dims[0]);
    struct qn_blob blob = {.place = QN_BLOB_MEMORY, .bytes = content.bytes, .data = content.data};
    bool copied = content.bytes <= COPIED_BYTES || (!content.aligned && content.bytes <= COPIED_UNALIGNED);
    if (content.in_file && !copied) {
        blob.place = QN_BLOB_FILE;
        blob.file = content.file;
        blob.offset = content.offset;
    }
    return qn_graph_add_constant(im->graph, slot->name, &type, &blob, out);
}

/* One of the two parts of each item, as i64. */
static qn_value add_sizes(struct qn_onnx_import *im, const struct qn_contents *c, bool minus)
{
    qn_value parts[QN_CONTENTS_MAX / QN_MAX_RANK + 1];
    uint32_t part_count = 0;
    for (uint32_t i = 0; i < c->count; i += QN_MAX_RANK) {
        struct qn_attr_dims attr = {.scalar = c->rank == 0};
        for (uint32_t k = i; k < c->count && k < i + QN_MAX_RANK; k++)
            attr.dims.items[attr.dims.count++] = minus ? c->items[k].minus : c->items[k].plus;
        parts[part_count++] = qn_build_node(&im->b, QN_OP_dims, NULL, 0, &attr, NULL);
    }
    return part_count == 1
               ? parts[0]
               : qn_build_node(&im->b, QN_OP_concat, parts, part_count, &(struct qn_attr_axis){.axis = 0}, NULL);
}

/* Contents as IR: a constant, or sizes that a run writes down. */
static qn_status add_contents(struct qn_onnx_import *im, const struct qn_contents *c, qn_value *out)
{
    _Alignas(8) uint8_t bytes[QN_CONTENTS_MAX * 8];
    struct qn_type type = {.dtype = c->dtype, .rank = c->rank, .dims = {c->count}};
    if (qn_contents_numbers(c)) {
        qn_contents_write(c, bytes);
        return qn_graph_add_data(im->graph, (struct qn_str){0}, &type, bytes, out);
    }
    bool negative = false;
    for (uint32_t i = 0; i < c->count; i++)
        negative |= c->items[i].minus != 0;
    *out = add_sizes(im, c, false);
    if (negative)
        *out = qn_build_binary(&im->b, QN_OP_sub, *out, add_sizes(im, c, true));
    *out = qn_build_cast(&im->b, *out, c->dtype);
    qn_status status = im->b.status;
    im->b.status = NULL;
    return status;
}

qn_value qn_onnx_entry_value(struct qn_onnx_import *im, uint32_t slot)
{
    struct qn_onnx_bound *entry = qn_onnx_entry_of(im, slot);
    if (im->b.status || entry->state == QN_ONNX_ABSENT)
        return 0;
    if (entry->value)
        return entry->value;
    const struct qn_onnx_slot *s = &im->program->slots.items[entry - im->entries];
    qn_status status;
    if (s->tensor || s->sparse)
        status = add_tensor(im, s, &entry->value);
    else if (entry->contents)
        status = add_contents(im, entry->contents, &entry->value);
    else
        status = QN_ERROR(QN_INVALID_FILE, "value '%.*s' is read before it is there", QN_STR_ARG(s->name));
    im->b.status = status;
    return status ? 0 : entry->value;
}

static const struct qn_contents *look_at(struct qn_onnx_import *im, const struct qn_onnx_bound *entry)
{
    const struct qn_onnx_slot *s = &im->program->slots.items[entry - im->entries];
    struct qn_contents read = {0};
    const void *data = NULL;
    struct qn_onnx_content content = {0};
    if (s->tensor) {
        uint64_t count = s->tensor->dim_count == 1 ? (uint64_t)s->tensor->dims[0] : 1;
        if (s->tensor->dim_count > 1 || count > QN_CONTENTS_MAX ||
            !qn_contents_dtype(qn_onnx_dtype(s->tensor->data_type)))
            return NULL;
        qn_status status = qn_onnx_resolve(im->program->file, s->tensor, &im->arena, &content);
        bool ok = !status;
        qn_status_ignore(status);
        if (!ok)
            return NULL;
        read = (struct qn_contents){content.dtype, content.rank, (uint32_t)count, true, 0, {{0}}};
        data = content.data;
    } else if (entry->input && im->inputs) {
        const struct qn_body_input *input = &im->inputs[entry->input - 1];
        if (!input->data || input->rank > 1 || (input->symbolic & 1) || entry->input > 64 ||
            (input->rank == 1 && input->dims[0] > QN_CONTENTS_MAX))
            return NULL;
        read = (struct qn_contents){input->dtype,
                                    input->rank,
                                    input->rank ? (uint32_t)input->dims[0] : 1,
                                    false,
                                    (uint64_t)1 << (entry->input - 1),
                                    {{0}}};
        data = input->data;
    }
    struct qn_contents *kept =
        data && qn_contents_read(&read, data) ? QN_ARENA_NEW(&im->arena, struct qn_contents) : NULL;
    if (kept)
        *kept = read;
    return kept;
}

const struct qn_contents *qn_onnx_entry_contents(struct qn_onnx_import *im, uint32_t slot)
{
    if (!slot)
        return NULL;
    struct qn_onnx_bound *entry = qn_onnx_entry_of(im, slot);
    if (!entry->contents && !entry->looked && entry->state == QN_ONNX_READY) {
        entry->looked = true;
        entry->contents = look_at(im, entry);
    }
    return entry->contents;
}

void qn_onnx_pin(struct qn_onnx_import *im, const struct qn_contents *contents)
{
    for (uint32_t i = 0; i < im->input_count && i < 64; i++)
        if (contents->inputs >> i & 1)
            im->inputs[i].pinned = true;
}

/* ---- types ---------------------------------------------------------------------------------------------------- */

struct qn_onnx_type qn_onnx_proto_type(const struct qn_onnx_type_proto *proto)
{
    struct qn_onnx_type type = {0};
    if (!proto)
        return type;
    const struct qn_onnx_type_proto *inner = proto;
    if (proto->kind == QN_ONNX_TYPE_SEQUENCE)
        type.kind = QN_ONNX_SEQUENCE;
    else if (proto->kind == QN_ONNX_TYPE_OPTIONAL)
        type.kind = QN_ONNX_OPTIONAL;
    else if (proto->kind == QN_ONNX_TYPE_MAP)
        type.kind = QN_ONNX_MAP;
    if (type.kind != QN_ONNX_TENSOR && type.kind != QN_ONNX_MAP && proto->elem) {
        inner = proto->elem;
        type.of_sequence = inner->kind == QN_ONNX_TYPE_SEQUENCE || inner->kind == QN_ONNX_TYPE_MAP;
    }
    if (inner->kind == QN_ONNX_TYPE_MAP)
        type.key = qn_onnx_dtype(inner->elem_type);
    while (inner->elem)
        inner = inner->elem;
    type.dtype = qn_onnx_dtype(inner->elem_type);
    return type;
}

static bool is_typed(const struct qn_onnx_type_proto *proto)
{
    return proto && qn_onnx_is_tensor(proto) && proto->has_shape && proto->rank <= QN_MAX_RANK &&
           qn_onnx_dtype(proto->elem_type) != QN_DTYPE_NONE;
}

bool qn_onnx_declared_type(struct qn_onnx_import *im, const struct qn_onnx_type_proto *proto, struct qn_type *type)
{
    if (im->b.status || !is_typed(proto))
        return false;
    *type = (struct qn_type){.dtype = qn_onnx_dtype(proto->elem_type), .rank = proto->rank};
    for (uint32_t i = 0; i < proto->rank && !im->b.status; i++) {
        if (proto->dims[i].kind == QN_ONNX_DIM_VALUE && proto->dims[i].value >= 0)
            type->dims[i] = proto->dims[i].value;
        else
            im->b.status = qn_graph_fresh_symbol(im->graph, "late", true, &type->dims[i]);
    }
    return !im->b.status;
}

static bool has_symbols(const struct qn_type *type)
{
    for (uint32_t i = 0; i < type->rank; i++)
        if (type->dims[i] < 0)
            return true;
    return false;
}

/* ---- steps ---------------------------------------------------------------------------------------------------- */

/* Some input's size or contents are not numbers: with numbers at hand the step may go well. */
static bool is_open(struct qn_onnx_import *im, const struct qn_onnx_step *step)
{
    for (uint32_t i = 0; i < step->input_count; i++) {
        if (!step->inputs[i])
            continue;
        struct qn_onnx_bound *entry = qn_onnx_entry_of(im, step->inputs[i]);
        if (entry->value && has_symbols(qn_graph_type(im->graph, entry->value)))
            return true;
        if (entry->contents && !qn_contents_numbers(entry->contents))
            return true;
    }
    return false;
}

static bool waits(struct qn_onnx_import *im, const struct qn_onnx_step *step)
{
    for (uint32_t i = 0; i < step->input_count; i++)
        if (step->inputs[i] && qn_onnx_entry_of(im, step->inputs[i])->state == QN_ONNX_DEFERRED)
            return true;
    for (uint32_t k = 0; k < step->region_count; k++)
        for (uint32_t i = 0; i < step->regions[k]->captured_count; i++)
            if (qn_onnx_entry_of(im, step->regions[k]->captured[i])->state == QN_ONNX_DEFERRED)
                return true;
    return false;
}

/* Types of a step's inputs as far as they are known: those of deferred values by the signatures of their ops. */
static struct qn_onnx_type *types_of_inputs(struct qn_onnx_import *im, const struct qn_onnx_step *step)
{
    struct qn_onnx_type *types = QN_ARENA_ARRAY(&im->arena, struct qn_onnx_type, (size_t)step->input_count + 1);
    for (uint32_t i = 0; types && i < step->input_count; i++) {
        const struct qn_onnx_bound *entry = qn_onnx_entry_of(im, step->inputs[i]);
        if (entry->state == QN_ONNX_READY || entry->state == QN_ONNX_DEFERRED)
            types[i] = entry->type;
    }
    return types;
}

/* types: of the inputs; NULL: not asked for. */
static qn_status defer_step(struct qn_onnx_import *im, struct qn_onnx_step *step, const struct qn_onnx_type *types)
{
    for (uint32_t i = 0; i < step->output_count; i++) {
        struct qn_onnx_bound *entry = &im->entries[step->outputs[i]];
        if (!step->outputs[i])
            continue;
        *entry = (struct qn_onnx_bound){.state = QN_ONNX_DEFERRED};
        if (types)
            entry->type.dtype = qn_onnx_output_dtype(step->signature, types, step->input_count, i);
    }
    return qn_array_push(&im->rest, im->program->allocator, step) ? NULL : QN_OOM();
}

/* The reason of the first deferral is kept for the message of one that cannot be. */
static void note_why(struct qn_onnx_import *im, qn_status status)
{
    if (!im->why.size && status)
        qn_strbuf_printf(&im->why, "node '%.*s' (%.*s): %s", QN_STR_ARG(qn_onnx_node_name(im->step->node)),
                         QN_STR_ARG(im->step->node->op_type), qn_status_message(status));
}

static qn_status lower_step(struct qn_onnx_import *im, struct qn_onnx_step *step)
{
    struct qn_lower l = {.import = im,
                         .b = &im->b,
                         .node = step->node,
                         .opset = step->opset,
                         .input_count = step->input_count,
                         .output_count = step->output_count};
    if (step->custom)
        QN_TRY(qn_onnx_lower_custom(im, step));
    else
        step->row->lower(&l);
    qn_status status = im->b.status;
    im->b.status = NULL;
    return status;
}

/* What the step gave is complete. */
static qn_status check_outputs(struct qn_onnx_import *im, const struct qn_onnx_step *step)
{
    for (uint32_t i = 0; i < step->output_count; i++) {
        if (!step->outputs[i] || !im->program->slots.items[step->outputs[i]].uses)
            continue;
        struct qn_onnx_bound *entry = &im->entries[step->outputs[i]];
        if (entry->state == QN_ONNX_UNDEFINED && !entry->alias)
            return QN_ERROR(QN_UNSUPPORTED, "output %" PRIu32 " '%.*s' is not supported", i,
                            QN_STR_ARG(im->program->slots.items[step->outputs[i]].name));
    }
    return NULL;
}

static qn_status import_step(struct qn_onnx_import *im, struct qn_onnx_step *step)
{
    struct qn_onnx_step *outer = im->step;
    uint32_t checks = im->graph->checks.count;
    struct qn_onnx_type *types = NULL;
    if (step->signature) { /* wrong types are wrong in every run */
        if (!(types = types_of_inputs(im, step)))
            return QN_OOM();
        QN_TRY(qn_status_note(qn_onnx_check_types(step->signature, types, step->input_count), "node '%.*s' (%.*s)",
                              QN_STR_ARG(qn_onnx_node_name(step->node)), QN_STR_ARG(step->node->op_type)));
    }
    if (waits(im, step))
        return defer_step(im, step, types);
    im->step = step;
    im->deferred = false;
    qn_status status = NULL;
    if (step->custom || !qn_onnx_follow(im, step))
        status = lower_step(im, step);
    if (!status && !im->deferred)
        status = check_outputs(im, step);
    if (status) {
        enum qn_code code = qn_status_code(status);
        bool retry = im->deferred || (code != QN_OUT_OF_MEMORY && code != QN_UNSUPPORTED && is_open(im, step));
        if (retry) {
            note_why(im, status);
            qn_status_ignore(status);
            im->graph->checks.count = checks; /* of nodes that nobody reads */
            status = defer_step(im, step, types);
        } else {
            status = qn_status_note(status, "node '%.*s' (%.*s)", QN_STR_ARG(qn_onnx_node_name(step->node)),
                                    QN_STR_ARG(step->node->op_type));
        }
    }
    im->deferred = false;
    im->step = outer;
    return status;
}

qn_status qn_onnx_import_steps(struct qn_onnx_import *im, struct qn_onnx_step *const *steps, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        QN_TRY(import_step(im, steps[i]));
    return NULL;
}

/* ---- whole graphs --------------------------------------------------------------------------------------------- */

static qn_status begin(struct qn_onnx_import *im, struct qn_onnx_program *program, struct qn_str name,
                       const struct qn_allocator *allocator)
{
    *im = (struct qn_onnx_import){.program = program, .concrete = true};
    qn_arena_init(&im->arena, program->allocator);
    qn_strbuf_init(&im->why, program->allocator);
    QN_TRY(qn_graph_create(allocator, name, &im->graph));
    im->b.graph = im->graph;
    im->entries = qn_calloc(program->allocator, program->slots.count, sizeof *im->entries);
    if (!im->entries)
        return QN_OOM();
    im->entries[0].state = QN_ONNX_ABSENT;
    for (uint32_t i = 0; i < program->file->source_count; i++) {
        uint32_t file; /* the same number, since paths differ */
        QN_TRY(qn_graph_file(im->graph, program->file->sources[i].path, &file));
    }
    return NULL;
}

static void end(struct qn_onnx_import *im, bool failed)
{
    qn_status_ignore(im->b.status);
    qn_free(im->program->allocator, im->entries, im->program->slots.count * sizeof *im->entries);
    qn_array_free(&im->rest, im->program->allocator);
    qn_strbuf_deinit(&im->why);
    qn_arena_deinit(&im->arena);
    if (failed) {
        qn_graph_destroy(im->graph);
        im->graph = NULL;
    }
}

static void set_ready(struct qn_onnx_import *im, uint32_t slot, qn_value value, struct qn_onnx_type type)
{
    im->entries[slot] = (struct qn_onnx_bound){.value = value, .state = QN_ONNX_READY, .type = type};
}

static const struct qn_dim_size *find_size(const struct qn_onnx_program *p, struct qn_str name)
{
    for (uint32_t i = 0; i < p->options.dim_count; i++)
        if (qn_str_is(name, p->options.dims[i].name))
            return &p->options.dims[i];
    return NULL;
}

static qn_status input_dim(struct qn_onnx_import *im, const struct qn_onnx_dim *dim, struct qn_str input, uint32_t axis,
                           qn_dim *out)
{
    if (dim->kind == QN_ONNX_DIM_VALUE && dim->value >= 0) {
        *out = dim->value;
        return NULL;
    }
    const struct qn_dim_size *size = dim->kind == QN_ONNX_DIM_PARAM ? find_size(im->program, dim->param) : NULL;
    if (size && size->size < 0)
        return QN_ERROR(QN_INVALID_ARGUMENT, "dimension '%s' has the size %" PRId64, size->name, size->size);
    if (size) {
        *out = size->size;
        return NULL;
    }
    im->concrete = false;
    if (dim->kind == QN_ONNX_DIM_PARAM && dim->param.size)
        return qn_graph_symbol(im->graph, dim->param, 0, QN_UNBOUNDED, out);
    char hint[64];
    snprintf(hint, sizeof hint, "%.40s_%" PRIu32, input.size ? input.data : "dim", axis);
    for (char *c = hint; *c; c++)
        if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9')))
            *c = '_';
    return qn_graph_fresh_symbol(im->graph, hint, false, out);
}

static qn_status add_input(struct qn_onnx_import *im, uint32_t slot)
{
    const struct qn_onnx_slot *s = &im->program->slots.items[slot];
    struct qn_type type = {.dtype = QN_DTYPE_OBJECT};
    struct qn_onnx_type kind = qn_onnx_proto_type(s->type);
    qn_value value;
    if (s->tensor || s->sparse)
        return NULL;
    if (is_typed(s->type)) {
        char name[41] = "";
        memcpy(name, s->name.data, s->name.size < 40 ? s->name.size : 40);
        type = (struct qn_type){.dtype = kind.dtype, .rank = s->type->rank};
        for (uint32_t i = 0; i < type.rank; i++)
            QN_TRY(input_dim(im, &s->type->dims[i], qn_str_from(name), i, &type.dims[i]));
        if (im->program->options.sizes_at_hand && has_symbols(&type))
            type = (struct qn_type){.dtype = QN_DTYPE_OBJECT};
    }
    QN_TRY(qn_graph_add_input(im->graph, s->name, &type, &value));
    set_ready(im, slot, value, kind);
    return NULL;
}

/* Programs read an output as what the model says that it is. Shapes are often stated wrongly, and mean no harm. */
static qn_status check_declared(const struct qn_onnx_import *im, const struct qn_onnx_value_info *output,
                                qn_value value)
{
    const struct qn_onnx_type_proto *type = &output->type;
    qn_dtype dtype = qn_graph_type(im->graph, value)->dtype;
    if (!qn_onnx_is_tensor(type) || dtype == QN_DTYPE_OBJECT)
        return NULL;
    qn_dtype declared = qn_onnx_dtype(type->elem_type);
    if (declared == QN_DTYPE_NONE || declared == dtype)
        return NULL;
    return QN_ERROR(QN_INVALID_FILE, "output '%.*s' is said to be %s, its node gives %s", QN_STR_ARG(output->name),
                    qn_dtype_name(declared), qn_dtype_name(dtype));
}

static qn_status import_main(struct qn_onnx_import *im)
{
    const struct qn_onnx_region *region = im->program->main;
    for (uint32_t i = 0; i < region->input_count; i++)
        QN_TRY(qn_status_note(add_input(im, region->inputs[i]), "input '%.*s'",
                              QN_STR_ARG(im->program->slots.items[region->inputs[i]].name)));
    QN_TRY(qn_onnx_import_steps(im, region->steps, region->step_count));
    QN_TRY(qn_onnx_cut(im, region->outputs, region->output_count));
    const struct qn_onnx_graph *graph = &im->program->file->model.graph;
    for (uint32_t i = 0; i < region->output_count; i++) {
        qn_value value = qn_onnx_entry_value(im, region->outputs[i]);
        QN_TRY(im->b.status);
        if (!value)
            return QN_ERROR(QN_INVALID_FILE, "output '%.*s' has no value", QN_STR_ARG(graph->outputs[i].name));
        QN_TRY(check_declared(im, &graph->outputs[i], value));
        QN_TRY(qn_graph_add_output(im->graph, graph->outputs[i].name, value));
    }
    return NULL;
}

qn_status qn_onnx_program_graph(struct qn_onnx_program *program, const struct qn_allocator *allocator,
                                struct qn_graph **out)
{
    struct qn_onnx_import im;
    qn_status status = begin(&im, program, program->file->model.graph.name, allocator);
    if (!status)
        status = import_main(&im);
    if (status && status == im.b.status)
        im.b.status = NULL;
    end(&im, status != NULL);
    *out = im.graph;
    return status;
}

/* ---- bodies --------------------------------------------------------------------------------------------------- */

static qn_status add_body_input(struct qn_onnx_import *im, const struct qn_onnx_body *body, uint32_t i)
{
    const struct qn_body_input *input = &im->inputs[i];
    struct qn_type type = {.dtype = input->dtype, .rank = input->rank};
    struct qn_onnx_bound *entry = &im->entries[body->inputs[i]];
    char name[24];
    if (input->dtype == QN_DTYPE_NONE) {
        *entry = (struct qn_onnx_bound){.state = QN_ONNX_ABSENT};
        return NULL;
    }
    for (uint32_t k = 0; k < type.rank; k++) {
        snprintf(name, sizeof name, "d%" PRIu32 "_%" PRIu32, i, k);
        if (input->symbolic >> k & 1)
            QN_TRY(qn_graph_symbol(im->graph, qn_str_from(name), 0, QN_UNBOUNDED, &type.dims[k]));
        else
            type.dims[k] = input->dims[k];
        im->concrete &= !(input->symbolic >> k & 1);
    }
    snprintf(name, sizeof name, "%" PRIu32, i);
    qn_value value;
    QN_TRY(qn_graph_add_input(im->graph, qn_str_from(name), &type, &value));
    struct qn_onnx_type kind = body->input_types[i];
    if (type.dtype != QN_DTYPE_OBJECT)
        kind = (struct qn_onnx_type){.kind = QN_ONNX_TENSOR, .dtype = type.dtype};
    set_ready(im, body->inputs[i], value, kind);
    entry->input = i + 1;
    return NULL;
}

static qn_status import_body(struct qn_onnx_import *im, const struct qn_onnx_body *body)
{
    for (uint32_t i = 0; i < body->fixed_count; i++) {
        struct qn_onnx_bound *entry = &im->entries[body->fixed[i].slot];
        const struct qn_contents *contents = body->fixed[i].contents;
        entry->alias = body->fixed[i].same;
        if (entry->alias)
            continue;
        *entry = (struct qn_onnx_bound){.state = contents ? QN_ONNX_READY : QN_ONNX_ABSENT,
                                        .contents = contents,
                                        .type = {.dtype = contents ? contents->dtype : QN_DTYPE_NONE}};
    }
    for (uint32_t i = 0; i < body->input_count; i++)
        QN_TRY(add_body_input(im, body, i));
    for (uint32_t i = 0; i < body->alias_count; i++)
        im->entries[body->aliases[i][0]].alias = body->aliases[i][1];
    QN_TRY(qn_onnx_import_steps(im, body->steps, body->step_count));
    QN_TRY(qn_onnx_cut(im, body->outputs, body->output_count));
    for (uint32_t i = 0; i < body->output_count; i++) {
        char name[16];
        snprintf(name, sizeof name, "%" PRIu32, i);
        qn_value value = qn_onnx_entry_value(im, body->outputs[i]);
        QN_TRY(im->b.status);
        if (!value)
            return QN_ERROR(QN_INVALID_FILE, "output '%.*s' has no value",
                            QN_STR_ARG(im->program->slots.items[body->outputs[i]].name));
        QN_TRY(qn_graph_add_output(im->graph, qn_str_from(name), value));
    }
    return NULL;
}

static qn_status try_body(struct qn_onnx_program *program, const struct qn_onnx_body *body,
                          struct qn_body_input *inputs, uint32_t count, uint32_t depth,
                          const struct qn_allocator *allocator, struct qn_graph **out, struct qn_onnx_type *kinds,
                          bool *cut)
{
    struct qn_onnx_import im;
    qn_status status = begin(&im, program, QN_STR("body"), allocator);
    im.inputs = inputs;
    im.input_count = count;
    im.depth = depth;
    if (!status)
        status = import_body(&im, body);
    if (status && status == im.b.status)
        im.b.status = NULL;
    *cut = im.rest.count > 0;
    for (uint32_t i = 0; i < body->output_count && kinds && !status; i++)
        kinds[i] = qn_onnx_entry_of(&im, body->outputs[i])->type;
    if (!status && im.rest.count == body->step_count && im.concrete && depth == 0 && body->step_count)
        status = QN_ERROR(QN_UNSUPPORTED, "%s: not known even when it is run", im.why.data ? im.why.data : "");
    end(&im, status != NULL);
    *out = im.graph;
    return status;
}

qn_status qn_onnx_import_body(struct qn_onnx_program *program, uint32_t number, struct qn_body_input *inputs,
                              uint32_t count, uint32_t depth, const struct qn_allocator *allocator,
                              struct qn_graph **out, struct qn_onnx_type *kinds)
{
    const struct qn_onnx_body *body = NULL;
    qn_onnx_lock(program);
    if (number < program->bodies.count)
        body = program->bodies.items[number];
    qn_onnx_unlock(program);
    if (!body || body->input_count != count)
        return QN_ERROR(QN_INVALID_ARGUMENT, "body %" PRIu32 " with %" PRIu32 " inputs", number, count);
    bool symbolic = false, cut = false;
    for (uint32_t i = 0; i < count; i++) {
        inputs[i].pinned = false;
        symbolic |= inputs[i].symbolic != 0;
    }
    qn_status status = try_body(program, body, inputs, count, depth, allocator, out, kinds, &cut);
    if (!symbolic || depth || (!status && !cut))
        return status;
    /* With symbols some sizes cannot be told: numbers do. */
    if (!status)
        qn_graph_destroy(*out);
    qn_status_ignore(status);
    for (uint32_t i = 0; i < count; i++) {
        inputs[i].symbolic = 0;
        inputs[i].pinned = false;
    }
    return try_body(program, body, inputs, count, depth, allocator, out, kinds, &cut);
}

/* ---- programs ------------------------------------------------------------------------------------------------- */

static qn_status source_graph(void *context, uint32_t body, struct qn_body_input *inputs, uint32_t count,
                              const struct qn_allocator *allocator, struct qn_graph **out)
{
    return qn_onnx_import_body(context, body, inputs, count, 0, allocator, out, NULL);
}

static bool source_declared(void *context, uint32_t number, uint32_t output, struct qn_type *out)
{
    struct qn_onnx_program *program = context;
    qn_onnx_lock(program);
    const struct qn_onnx_body *body = number < program->bodies.count ? program->bodies.items[number] : NULL;
    qn_onnx_unlock(program);
    const struct qn_onnx_type_proto *type =
        body && output < body->output_count ? program->slots.items[body->outputs[output]].type : NULL;
    if (!type || !qn_onnx_is_tensor(type) || type->rank > QN_MAX_RANK)
        return false;
    *out = (struct qn_type){.dtype = qn_onnx_dtype(type->elem_type), .rank = type->has_shape ? type->rank : 0};
    for (uint32_t i = 0; i < out->rank; i++)
        out->dims[i] = type->dims[i].kind == QN_ONNX_DIM_VALUE && type->dims[i].value >= 0 ? type->dims[i].value : -1;
    return out->dtype != QN_DTYPE_NONE;
}

static const struct qn_scan *source_scan(void *context, uint32_t scan)
{
    struct qn_onnx_program *program = context;
    qn_onnx_lock(program);
    const struct qn_scan *found = scan < program->scans.count ? program->scans.items[scan] : NULL;
    qn_onnx_unlock(program);
    return found;
}

static const struct qn_custom_node *source_custom(void *context, uint32_t number)
{
    struct qn_onnx_program *program = context;
    qn_onnx_lock(program);
    const struct qn_custom_node *found = number < program->customs.count ? program->customs.items[number] : NULL;
    qn_onnx_unlock(program);
    return found;
}

static void source_destroy(void *context)
{
    qn_onnx_program_destroy(context);
}

qn_status qn_onnx_program_create(const struct qn_onnx_file *file, const struct qn_onnx_import_options *options,
                                 const struct qn_allocator *allocator, struct qn_onnx_program **out)
{
    *out = NULL;
    allocator = allocator ? allocator : qn_allocator_default();
    struct qn_onnx_program *program = qn_calloc(allocator, 1, sizeof *program);
    if (!program)
        return QN_OOM();
    program->allocator = allocator;
    program->file = file;
    if (options)
        program->options = *options;
    qn_arena_init(&program->arena, allocator);
    program->source = (struct qn_body_source){.context = program,
                                              .graph = source_graph,
                                              .declared = source_declared,
                                              .scan = source_scan,
                                              .custom = source_custom,
                                              .destroy = source_destroy};
    qn_status status = qn_onnx_resolve_program(program);
    if (status)
        qn_onnx_program_destroy(program);
    else
        *out = program;
    return status;
}

void qn_onnx_program_destroy(struct qn_onnx_program *program)
{
    if (!program)
        return;
    qn_array_free(&program->slots, program->allocator);
    qn_array_free(&program->bodies, program->allocator);
    qn_array_free(&program->scans, program->allocator);
    qn_array_free(&program->customs, program->allocator);
    qn_arena_deinit(&program->arena);
    qn_free(program->allocator, program, sizeof *program);
}

struct qn_body_source *qn_onnx_program_source(struct qn_onnx_program *program)
{
    return &program->source;
}
