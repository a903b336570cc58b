#include "format/onnx/ops/generation.h"

#include <inttypes.h>
#include <math.h>

#include "format/onnx/ops/control.h"
#include "format/onnx/ops/elementwise.h"

/* model_type */
enum { GPT = 0, ENCODER_DECODER, SPEECH };
/* What goes from round to round; of GPT also the two after rows. The pasts follow. */
enum { STATE = 0, TOKENS, ROWS, POSITIONS, MASK };
enum { MOST_INPUTS = 16 };

/* ---- the region of a round ------------------------------------------------------------------------------------ */

static bool has_name(const struct qn_onnx_program *p, const uint32_t *slots, uint32_t count, uint32_t i,
                     const char *name)
{
    return i < count && qn_str_is(p->slots.items[slots[i]].name, name);
}

/* How the inputs of a round's step lie: the node's, what is carried, values for the decoder that stay. */
struct layout {
    uint32_t carried, first_past; /* carried: all, and what comes before the pasts */
    uint32_t kept;                /* one for each input of the decoder; those that do not stay are absent */
};

static struct layout layout_of(const struct qn_onnx_program *p, const struct qn_onnx_region *decoder)
{
    bool positions = has_name(p, decoder->inputs, decoder->input_count, 1, "position_ids");
    struct layout at = {.first_past = positions ? MASK + 1 : ROWS + 1, .kept = decoder->input_count};
    at.carried = at.first_past + (decoder->output_count ? decoder->output_count - 1 : 0);
    return at;
}

static const struct qn_onnx_region *find_region(const struct qn_onnx_step *step, const char *name)
{
    for (uint32_t i = 0; i < step->region_count; i++)
        if (qn_str_is(step->region_names[i], name))
            return step->regions[i];
    return NULL;
}

static qn_status new_slots(struct qn_onnx_program *p, uint32_t *slots, uint32_t count, const char *name)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!qn_array_push(&p->slots, p->allocator, (struct qn_onnx_slot){.name = qn_str_from(name), .uses = 1}))
            return QN_OOM();
        slots[i] = p->slots.count - 1;
    }
    return NULL;
}

static void lower_round(struct qn_lower *l);

/* What the round reads of the graph around it: what the decoder captures, the inputs of the node, what stays. */
static qn_status capture(struct qn_onnx_program *p, const struct qn_onnx_step *step,
                         const struct qn_onnx_region *decoder, const uint32_t *kept, uint32_t kept_count,
                         struct qn_onnx_region *region)
{
    uint32_t *list =
        QN_ARENA_ARRAY(&p->arena, uint32_t, (size_t)decoder->captured_count + step->input_count + kept_count + 1);
    uint32_t count = decoder->captured_count;
    if (!list)
        return QN_OOM();
    memcpy(list, decoder->captured, count * sizeof *list);
    for (uint32_t i = 0; i < step->input_count; i++) {
        bool listed = !step->inputs[i];
        for (uint32_t k = 0; k < count && !listed; k++)
            listed = list[k] == step->inputs[i];
        if (!listed)
            list[count++] = step->inputs[i];
    }
    memcpy(list + count, kept, kept_count * sizeof *list);
    region->captured = list;
    region->captured_count = count + kept_count;
    return NULL;
}

/* ---- the node and its subgraphs ------------------------------------------------------------------------------- */

/* One search under way. */
struct search {
    const struct qn_onnx_program *program;
    const struct qn_onnx_step *step;
    const struct qn_onnx_region *decoder, *encoder, *first, *rounds; /* first: of GPT, for the first run */
    struct layout at;
    enum qn_search_kind kind;
    int64_t model;
    uint32_t past;           /* the decoder's first input for a past */
    uint32_t hidden, memory; /* the decoder's inputs for the encoder's output and mask; 0: none */
    bool whole;              /* the decoder reads all tokens, not the last */
    qn_dim rows, vocab;
};

static qn_status named(const struct search *s, const struct qn_onnx_region *r, const char *graph, bool output,
                       uint32_t i, const char *name)
{
    const uint32_t *slots = output ? r->outputs : r->inputs;
    uint32_t count = output ? r->output_count : r->input_count;
    if (has_name(s->program, slots, count, i, name))
        return NULL;
    struct qn_str found = i < count ? s->program->slots.items[slots[i]].name : QN_STR("missing");
    return QN_ERROR(QN_INVALID_FILE, "%s: %s %" PRIu32 " is '%.*s', expected '%s'", graph, output ? "output" : "input",
                    i, QN_STR_ARG(found), name);
}

static qn_status counted(const struct qn_onnx_region *r, const char *graph, uint32_t inputs, uint32_t outputs)
{
    if (r->input_count == inputs && r->output_count == outputs)
        return NULL;
    return QN_ERROR(QN_INVALID_FILE,
                    "%s: has %" PRIu32 " inputs and %" PRIu32 " outputs, expected %" PRIu32 " and %" PRIu32, graph,
                    r->input_count, r->output_count, inputs, outputs);
}

static const struct qn_onnx_type_proto *type_of_slot(const struct search *s, uint32_t slot)
{
    return s->program->slots.items[slot].type;
}

/* What the model says of the first inputs: tokens and the like are i32. */
static qn_status takes_tokens(const struct search *s, const struct qn_onnx_region *r, const char *graph, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct qn_onnx_type_proto *type = type_of_slot(s, r->inputs[i]);
        qn_dtype dtype = type ? qn_onnx_dtype(type->elem_type) : QN_DTYPE_I32;
        if (dtype != QN_DTYPE_I32)
            return QN_ERROR(QN_INVALID_FILE, "%s: input '%.*s' is %s, expected i32", graph,
                            QN_STR_ARG(s->program->slots.items[r->inputs[i]].name), qn_dtype_name(dtype));
    }
    return NULL;
}

/* The shape of a past of no tokens, which the model must say: heads are what they are. */
static qn_status past_shape(const struct search *s, uint32_t input, qn_dim batch, qn_dim *dims, uint32_t *rank)
{
    const struct qn_onnx_type_proto *type = type_of_slot(s, s->decoder->inputs[input]);
    uint32_t rows = s->model == GPT ? 1 : 0;
    *rank = s->model == GPT ? 5 : 4;
    qn_dtype dtype = type ? qn_onnx_dtype(type->elem_type) : QN_DTYPE_NONE;
    bool fits = type && type->has_shape && type->rank == *rank && (dtype == QN_DTYPE_F32 || dtype == QN_DTYPE_F16);
    for (uint32_t i = 0; i < *rank && fits; i++) {
        bool given = i != rows && i != *rank - 2;
        fits = !given || (type->dims[i].kind == QN_ONNX_DIM_VALUE && type->dims[i].value > 0);
        dims[i] = i == rows ? batch : given && fits ? type->dims[i].value : 0;
    }
    if (fits && (s->model != GPT || dims[0] == 2))
        return NULL;
    return QN_ERROR(QN_INVALID_FILE,
                    "decoder: the shape of input '%.*s' is not said to be floats %s with known heads and size",
                    QN_STR_ARG(s->program->slots.items[s->decoder->inputs[input]].name),
                    s->model == GPT ? "[2, batch, heads, past, size]" : "[batch, heads, past, size]");
}

static qn_status check_gpt(const struct search *s, const struct qn_onnx_region *r, const char *graph)
{
    static const char *const names[] = {"input_ids", "position_ids", "attention_mask", "past_0"};
    for (uint32_t i = 0; i < 4; i++)
        QN_TRY(named(s, r, graph, false, i, names[i]));
    QN_TRY(named(s, r, graph, true, 0, "logits"));
    QN_TRY(named(s, r, graph, true, 1, "present_0"));
    QN_TRY(counted(r, graph, s->decoder->output_count + 2, s->decoder->output_count));
    return takes_tokens(s, r, graph, 3);
}

static qn_status check_encoder(const struct search *s)
{
    const struct qn_onnx_region *r = s->encoder;
    bool speech = s->model == SPEECH, starts = speech || r->input_count > 2;
    uint32_t at = speech ? 1 : 2, presents = s->decoder->output_count - 1;
    QN_TRY(named(s, r, "encoder", false, 0, "encoder_input_ids"));
    if (!speech) {
        QN_TRY(named(s, r, "encoder", false, 1, "encoder_attention_mask"));
        QN_TRY(takes_tokens(s, r, "encoder", 2));
    }
    if (!starts) {
        QN_TRY(named(s, r, "encoder", true, 0, "present_key_cross_0"));
        if (s->hidden)
            return QN_ERROR(QN_INVALID_FILE, "decoder: takes 'encoder_hidden_states', which the encoder does not give");
        return counted(r, "encoder", at, presents);
    }
    QN_TRY(named(s, r, "encoder", false, at, "decoder_input_ids"));
    QN_TRY(named(s, r, "encoder", true, 0, "logits"));
    QN_TRY(named(s, r, "encoder", true, 1, "encoder_hidden_states"));
    QN_TRY(named(s, r, "encoder", true, 2, "present_key_self_0"));
    return counted(r, "encoder", at + 1, 2 + 2 * presents);
}

static qn_status check_decoder(struct search *s)
{
    const struct qn_onnx_region *r = s->decoder;
    QN_TRY(named(s, r, "decoder", false, 0, "input_ids"));
    if (s->model == ENCODER_DECODER) {
        QN_TRY(named(s, r, "decoder", false, s->memory = 1, "encoder_attention_mask"));
        QN_TRY(takes_tokens(s, r, "decoder", 2));
    }
    s->past = s->memory + 1;
    if (has_name(s->program, r->inputs, r->input_count, s->past, "encoder_hidden_states"))
        s->hidden = s->past++;
    QN_TRY(named(s, r, "decoder", false, s->past, "past_key_self_0"));
    QN_TRY(named(s, r, "decoder", true, 0, "logits"));
    if (r->output_count < 3 || r->output_count % 2 == 0)
        return QN_ERROR(QN_INVALID_FILE, "decoder: has %" PRIu32 " outputs, expected logits and two presents a layer",
                        r->output_count);
    QN_TRY(counted(r, "decoder", s->past + 2 * (r->output_count - 1), r->output_count));
    const struct qn_onnx_type_proto *ids = type_of_slot(s, r->inputs[0]);
    s->whole =
        !ids || !ids->has_shape || ids->rank != 2 || ids->dims[1].kind != QN_ONNX_DIM_VALUE || ids->dims[1].value != 1;
    return takes_tokens(s, r, "decoder", 1);
}

/* What the node asks for that is not there. */
static qn_status refuse(const struct search *s)
{
    const struct qn_onnx_step *step = s->step;
    const struct qn_onnx_attr *crossed = qn_onnx_find_attr(step->frame, step->node, "decoder_output_cross_qk");
    const char *what = NULL;
    if (s->kind == QN_SEARCH_DRAW && step->output_count > 1 && step->outputs[1])
        what = "output 'filtered_logits'";
    else if ((step->output_count > 3 && step->outputs[3]) || (crossed && crossed->i))
        what = "output 'cross_qk'";
    else if (step->output_count > 4 && step->outputs[4])
        what = "output 'non_speech_probs'";
    else if (step->input_count > 13 && step->inputs[13])
        what = "input 'extra_decoding_ids'";
    for (uint32_t i = 0; i < s->decoder->input_count; i++) /* buffers that both share are a matter of GPUs */
        if (has_name(s->program, s->decoder->inputs, s->decoder->input_count, i, "past_sequence_length"))
            what = "a decoder with the input 'past_sequence_length'";
    return what ? QN_ERROR(QN_UNSUPPORTED, "%s is not supported", what) : NULL;
}

/* Tokens are i32, and the one that starts a sequence must be there. */
static qn_status check_attributes(const struct search *s)
{
    const struct qn_onnx_step *step = s->step;
    const struct qn_onnx_attr *start = qn_onnx_find_attr(step->frame, step->node, "decoder_start_token_id");
    bool given = s->model == SPEECH && step->input_count > 10 && step->inputs[10];
    for (uint32_t i = 0; i < step->node->attr_count; i++) {
        const struct qn_onnx_attr *attr = qn_onnx_find_attr_named(step->frame, step->node, step->node->attrs[i].name);
        if (attr && attr->kind == QN_ONNX_ATTR_INT && (attr->i < INT32_MIN || attr->i > INT32_MAX))
            return QN_ERROR(QN_INVALID_FILE, "attribute '%.*s' is %" PRId64 ", expected an i32",
                            QN_STR_ARG(step->node->attrs[i].name), attr->i);
    }
    if (s->model != GPT && !given && (!start || start->i < 0))
        return QN_ERROR(QN_INVALID_FILE, "attribute 'decoder_start_token_id' is missing");
    return NULL;
}

/* Looks at the node and its subgraphs; the same for the node's own step and that of a round. */
static qn_status open_search(const struct qn_onnx_program *p, const struct qn_onnx_step *step, struct search *s)
{
    const struct qn_onnx_attr *model = qn_onnx_find_attr(step->frame, step->node, "model_type");
    bool speech = qn_str_is(step->node->op_type, "WhisperBeamSearch");
    *s = (struct search){.program = p,
                         .step = step,
                         .decoder = find_region(step, "decoder"),
                         .encoder = find_region(step, "encoder"),
                         .first = find_region(step, "init_decoder"),
                         .model = model    ? model->i
                                  : speech ? SPEECH
                                           : GPT};
    s->kind = qn_str_is(step->node->op_type, "GreedySearch") ? QN_SEARCH_GREEDY
              : qn_str_is(step->node->op_type, "Sampling")   ? QN_SEARCH_DRAW
                                                             : QN_SEARCH_BEAMS;
    int64_t least = speech ? SPEECH : GPT, most = s->kind == QN_SEARCH_BEAMS ? SPEECH : GPT;
    if (!s->decoder)
        return QN_ERROR(QN_INVALID_FILE, "attribute 'decoder' is no graph");
    s->at = layout_of(p, s->decoder);
    if (s->model < least || s->model > most)
        return QN_ERROR(QN_INVALID_FILE, "model_type is %" PRId64 ", expected %" PRId64 " to %" PRId64, s->model, least,
                        most);
    if (s->model != GPT) {
        if (!s->encoder)
            return QN_ERROR(QN_INVALID_FILE, "attribute 'encoder' is missing, which model_type %" PRId64 " needs",
                            s->model);
        QN_TRY(check_decoder(s));
        return check_encoder(s);
    }
    s->past = 3;
    s->first = s->first ? s->first : s->decoder;
    QN_TRY(check_gpt(s, s->decoder, "decoder"));
    return check_gpt(s, s->first, "init_decoder");
}

/* ---- resolving ------------------------------------------------------------------------------------------------ */

qn_status qn_search_add_rounds(struct qn_onnx_program *p, struct qn_onnx_step *step)
{
    static const struct qn_lower_row row = {"com.microsoft", "round", 1, lower_round};
    struct search s;
    QN_TRY(open_search(p, step, &s));
    QN_TRY(refuse(&s));
    QN_TRY(check_attributes(&s));
    if (step->input_count > MOST_INPUTS)
        return QN_ERROR(QN_INVALID_FILE, "has %" PRIu32 " inputs", step->input_count);
    struct layout at = s.at;
    qn_dim dims[5];
    uint32_t rank;
    if (s.model == GPT || s.encoder->input_count == s.memory + 1) /* begins with an empty past */
        QN_TRY(past_shape(&s, s.past, 0, dims, &rank));
    struct qn_onnx_region *region = QN_ARENA_NEW(&p->arena, struct qn_onnx_region);
    struct qn_onnx_step *round = QN_ARENA_NEW(&p->arena, struct qn_onnx_step);
    struct qn_onnx_step **steps = QN_ARENA_NEW(&p->arena, struct qn_onnx_step *);
    uint32_t scores = step->output_count > 2 && step->outputs[2] ? 1 : 0, outputs = 1 + at.carried + scores;
    uint32_t *inputs = QN_ARENA_ARRAY(&p->arena, uint32_t, (size_t)MOST_INPUTS + at.carried + at.kept);
    uint32_t *own = QN_ARENA_ARRAY(&p->arena, uint32_t, (size_t)2 + at.carried);
    uint32_t *outs = QN_ARENA_ARRAY(&p->arena, uint32_t, outputs);
    if (!region || !round || !steps || !inputs || !own || !outs)
        return QN_OOM();
    QN_TRY(new_slots(p, own, 2 + at.carried, "carried"));
    QN_TRY(new_slots(p, outs, outputs, "carried on"));
    memcpy(inputs, step->inputs, step->input_count * sizeof *inputs);
    memcpy(inputs + MOST_INPUTS, own + 2, at.carried * sizeof *inputs);
    uint32_t *kept = inputs + MOST_INPUTS + at.carried;
    QN_TRY(new_slots(p, kept, at.kept, "kept"));
    *round = *step;
    round->row = &row;
    round->signature = NULL;
    round->inputs = inputs;
    round->input_count = MOST_INPUTS + at.carried + at.kept;
    round->outputs = outs;
    round->output_count = outputs;
    *steps = round;
    *region = (struct qn_onnx_region){.name = QN_STR("round"),
                                      .steps = steps,
                                      .step_count = 1,
                                      .inputs = own,
                                      .outputs = outs,
                                      .input_count = 2 + at.carried,
                                      .output_count = outputs};
    QN_TRY(capture(p, step, s.decoder, kept, at.kept, region));
    step->regions[step->region_count] = region; /* there is room for one more than the attributes */
    step->region_names[step->region_count++] = (struct qn_str){0};
    return NULL;
}

/* ---- the first run -------------------------------------------------------------------------------------------- */

/* x, one number, in the shape of `dims`. */
static qn_value fill(struct qn_lower *l, qn_value x, uint32_t rank, const qn_dim *dims)
{
    struct qn_attr_reshape shape = {.dims = {.count = rank}};
    memcpy(shape.dims.items, dims, rank * sizeof *dims);
    return qn_build_node(l->b, QN_OP_expand, &x, 1, &shape, NULL);
}

/* Numbers of the node's inputs; 0: the op has none. */
struct numbers {
    uint8_t min_length, beams, returned, length_penalty, repetition_penalty, temperature, seed, processor;
    uint8_t allowed, allowed_first, present, mask, prompt;
};

static struct numbers numbers_of(const struct search *s)
{
    if (s->kind == QN_SEARCH_BEAMS)
        return (struct numbers){.min_length = 2,
                                .beams = 3,
                                .returned = 4,
                                .length_penalty = 5,
                                .repetition_penalty = 6,
                                .temperature = 14,
                                .processor = 11,
                                .allowed = 7,
                                .allowed_first = 8,
                                .mask = 9,
                                .prompt = 10};
    return (struct numbers){
        .min_length = 2, .repetition_penalty = 3, .seed = 8, .allowed = 4, .allowed_first = 5, .mask = 6, .present = 7};
}

/* A past of no tokens. */
static qn_value empty_past(struct qn_lower *l, const struct search *s, uint32_t input, qn_dim batch)
{
    uint32_t rank;
    qn_dim dims[5];
    const struct qn_onnx_type_proto *type = type_of_slot(s, s->decoder->inputs[input]);
    if (!l->b->status)
        l->b->status = past_shape(s, input, batch, dims, &rank);
    return l->b->status ? 0 : fill(l, qn_onnx_number(l, qn_onnx_dtype(type->elem_type), 0), rank, dims);
}

/* 1 where the token is not padding, and how many such there are up to it. */
static qn_value not_padding(struct qn_lower *l, qn_value ids, qn_value *counted)
{
    qn_value is = qn_lower_binary(l, QN_OP_equal, ids,
                                  qn_onnx_number(l, QN_DTYPE_I32, (double)qn_onnx_attr_i(l, "pad_token_id", -1)));
    is = qn_lower_number_first(l, QN_OP_sub, 1, qn_build_cast(l->b, is, QN_DTYPE_I32));
    *counted = qn_build_node(l->b, QN_OP_cumsum, &is, 1, &(struct qn_attr_cumulate){.axis = 1}, NULL);
    return is;
}

/* What a first run gives: logits, presents, and values that stay, by input of the decoder. */
struct start {
    qn_value prompt, logits;
    qn_value positions, mask; /* of GPT, for the first round */
    qn_value *presents, *kept;
};

static qn_value *room_for(struct qn_lower *l, uint64_t count)
{
    qn_value *out = l->b->status ? NULL : qn_arena_array(&l->import->arena, count + 1, sizeof *out, 8);
    if (!out && !l->b->status)
        l->b->status = QN_OOM();
    return out;
}

static void start_gpt(struct qn_lower *l, const struct search *s, qn_value ids, struct start *out)
{
    struct numbers n = numbers_of(s);
    qn_dim batch = qn_build_dim(l->b, ids, 0), length = qn_build_dim(l->b, ids, 1);
    qn_value counted, is = not_padding(l, ids, &counted);
    qn_value *in = room_for(l, s->first->input_count), *outs = room_for(l, s->first->output_count);
    if (l->b->status)
        return;
    in[0] = out->prompt = ids;
    in[1] = qn_lower_binary(l, QN_OP_mul, is, qn_lower_with_number(l, QN_OP_sub, counted, 1));
    in[2] = out->mask = qn_onnx_has(l, n.mask) ? qn_onnx_in(l, n.mask) : is;
    for (uint32_t i = s->past; i < s->first->input_count; i++)
        in[i] = empty_past(l, s, i, batch);
    out->positions = qn_build_slice(l->b, counted, 1, qn_build_expr(l->b, QN_EXPR_SUB, length, 1), length);
    qn_control_run(l, s->first, in, outs);
    out->logits = outs[0];
    out->presents = outs + 1;
}

/* The token that starts a sequence, for each of the batch; speech may come with more. */
static qn_value start_tokens(struct qn_lower *l, const struct search *s, qn_dim batch)
{
    struct numbers n = numbers_of(s);
    int64_t token = qn_onnx_attr_i(l, "decoder_start_token_id", -1);
    if (s->model == SPEECH && qn_onnx_has(l, n.prompt))
        return qn_onnx_in(l, n.prompt);
    return fill(l, qn_onnx_number(l, QN_DTYPE_I32, (double)token), 2, (qn_dim[]){batch, 1});
}

static void start_encoder(struct qn_lower *l, const struct search *s, qn_value x, struct start *out)
{
    struct numbers n = numbers_of(s);
    const struct qn_onnx_region *e = s->encoder, *d = s->decoder;
    uint32_t presents = d->output_count - 1, at = 0;
    qn_dim batch = qn_build_dim(l->b, x, 0);
    qn_value in[3] = {x}, *outs = room_for(l, e->output_count), counted;
    out->prompt = start_tokens(l, s, batch);
    if (l->b->status)
        return;
    if (s->memory) {
        not_padding(l, x, &counted);
        in[++at] = qn_onnx_has(l, n.mask)
                       ? qn_onnx_in(l, n.mask)
                       : qn_build_cast(l->b, qn_lower_number_first(l, QN_OP_less, 0, counted), QN_DTYPE_I32);
        out->kept[s->memory] = in[at];
    }
    in[++at] = out->prompt;
    qn_control_run(l, e, in, outs);
    bool starts = e->input_count > at;
    for (uint32_t i = 0; i < presents && !l->b->status; i++)
        out->kept[s->past + presents + i] = outs[(starts ? 2 + presents : 0) + i];
    if (s->hidden)
        out->kept[s->hidden] = outs[1];
    out->logits = outs[0];
    out->presents = outs + 2;
    if (starts || l->b->status)
        return;
    qn_value *feeds = room_for(l, d->input_count), *given = room_for(l, d->output_count);
    if (l->b->status)
        return;
    memcpy(feeds, out->kept, d->input_count * sizeof *feeds);
    feeds[0] = out->prompt;
    for (uint32_t i = 0; i < presents; i++)
        feeds[s->past + i] = empty_past(l, s, s->past + i, batch);
    qn_control_run(l, d, feeds, given);
    out->logits = given[0];
    out->presents = given + 1;
}

/* ---- steps ---------------------------------------------------------------------------------------------------- */

/* An input of one f32, which some models have in f16. */
static qn_value real(struct qn_lower *l, uint32_t i)
{
    return i && qn_onnx_has(l, i) ? qn_build_cast(l->b, qn_onnx_in(l, i), QN_DTYPE_F32) : 0;
}

static qn_value optional(struct qn_lower *l, uint32_t i)
{
    return i && qn_onnx_has(l, i) ? qn_onnx_in_any(l, i) : 0;
}

static void begin(struct qn_lower *l, const struct search *s, qn_value prompt, qn_value *outs)
{
    struct numbers n = numbers_of(s);
    struct qn_attr_search attr = {.kind = s->kind,
                                  .vocab = qn_onnx_attr_i(l, "vocab_size", 0),
                                  .end = qn_onnx_attr_i(l, "eos_token_id", -1),
                                  .pad = qn_onnx_attr_i(l, "pad_token_id", -1),
                                  .ngram = qn_onnx_attr_i(l, "no_repeat_ngram_size", 0),
                                  .early_stopping = qn_onnx_attr_i(l, "early_stopping", 0) == 1,
                                  .temperature = qn_onnx_attr_f(l, "temperature", 1),
                                  .presence_penalty = qn_onnx_attr_f(l, "presence_penalty", 0),
                                  .top_p = qn_onnx_attr_f(l, "top_p", 0),
                                  .filtered = qn_onnx_attr_f(l, "filter_value", -INFINITY),
                                  .least = qn_onnx_attr_i(l, "min_tokens_to_keep", 0),
                                  .falling = qn_onnx_attr_i(l, "custom", 0) != 0,
                                  .speech = s->model == SPEECH,
                                  .start = qn_onnx_attr_i(l, "decoder_start_token_id", -1),
                                  .translate = qn_onnx_attr_i(l, "translate_token_id", -1),
                                  .transcribe = qn_onnx_attr_i(l, "transcribe_token_id", -1),
                                  .start_of_lm = qn_onnx_attr_i(l, "start_of_lm_token_id", -1),
                                  .no_times = qn_onnx_attr_i(l, "no_timestamps_token_id", -1),
                                  .first_time = qn_onnx_attr_i(l, "beginning_timestamp_token_id", -1)};
    qn_value in[] = {prompt,
                     optional(l, 1),
                     optional(l, n.min_length),
                     optional(l, n.beams),
                     optional(l, n.returned),
                     real(l, n.length_penalty),
                     real(l, n.repetition_penalty),
                     real(l, n.temperature),
                     optional(l, n.seed),
                     optional(l, n.processor)};
    qn_onnx_node(l, QN_OP_search_begin, in, sizeof in / sizeof in[0], &attr, outs, 2);
}

/* outs: the state, tokens, rows, whether it goes on, scores. */
static void add_step(struct qn_lower *l, const struct search *s, qn_value state, qn_value logits, qn_value *outs)
{
    struct numbers n = numbers_of(s);
    struct qn_attr_search_step attr = {.rows = s->rows, .length = 1, .vocab = s->vocab, .whole = s->whole};
    qn_dtype dtype = qn_onnx_type_of(l, logits)->dtype;
    if (s->whole)
        attr.length = qn_onnx_late(l, "tokens");
    qn_value in[] = {state, dtype == QN_DTYPE_OBJECT ? logits : qn_build_cast(l->b, logits, QN_DTYPE_F32),
                     optional(l, n.allowed), optional(l, n.allowed_first), optional(l, n.present)};
    qn_onnx_node(l, QN_OP_search_step, in, sizeof in / sizeof in[0], &attr, outs, 5);
}

static qn_value pick(struct qn_lower *l, qn_value x, qn_value rows, int64_t axis)
{
    qn_value in[] = {x, rows};
    return qn_build_node(l->b, QN_OP_pick_rows, in, 2, &(struct qn_attr_axis){.axis = axis}, NULL);
}

/* A size that a constant input says, else one that the run finds out. */
static qn_dim size_of_input(struct qn_lower *l, uint32_t i, qn_dim otherwise, const char *name)
{
    struct qn_sizes sizes;
    if (!i || !qn_onnx_has(l, i))
        return otherwise;
    if (qn_onnx_try_sizes(l, i, &sizes) && sizes.count == 1 && !sizes.items[0].symbolic && sizes.items[0].number > 0)
        return sizes.items[0].number;
    return qn_onnx_late(l, name);
}

static qn_dim vocab_of(struct qn_lower *l, qn_value logits)
{
    const struct qn_type *type = qn_onnx_type_of(l, logits);
    int64_t vocab = qn_onnx_attr_i(l, "vocab_size", 0);
    if (vocab > 0)
        return vocab;
    return type->dtype != QN_DTYPE_OBJECT && type->rank == 3 ? type->dims[2] : qn_onnx_late(l, "vocab");
}

/* ---- a round -------------------------------------------------------------------------------------------------- */

static void lower_round(struct qn_lower *l)
{
    struct search s;
    l->b->status = open_search(l->import->program, l->import->step, &s);
    if (l->b->status)
        return;
    uint32_t in = MOST_INPUTS, kept = MOST_INPUTS + s.at.carried, presents = s.decoder->output_count - 1;
    qn_value *feeds = room_for(l, s.decoder->input_count), *given = room_for(l, s.decoder->output_count), outs[5] = {0};
    qn_value tokens = qn_onnx_in(l, in + TOKENS), rows = qn_onnx_in_any(l, in + ROWS);
    if (l->b->status)
        return;
    feeds[0] = tokens;
    if (s.model == GPT) {
        qn_dim one[2] = {qn_build_dim(l->b, tokens, 0), 1};
        feeds[1] = qn_onnx_in(l, in + POSITIONS);
        feeds[2] =
            qn_build_concat(l->b, qn_onnx_in(l, in + MASK), fill(l, qn_onnx_number(l, QN_DTYPE_I32, 1), 2, one), 1);
        qn_onnx_out(l, 1 + POSITIONS, qn_lower_with_number(l, QN_OP_add, feeds[1], 1));
        qn_onnx_out(l, 1 + MASK, feeds[2]);
    }
    for (uint32_t i = 1; i < s.decoder->input_count && s.model != GPT; i++)
        if (i < s.past || i >= s.past + presents)
            feeds[i] = qn_onnx_in_any(l, kept + i);
    for (uint32_t i = 0; i < presents && !l->b->status; i++)
        feeds[s.past + i] = pick(l, qn_onnx_in_any(l, in + s.at.first_past + i), rows, s.model == GPT ? 1 : 0);
    qn_control_run(l, s.decoder, feeds, given);
    s.rows = qn_build_dim(l->b, tokens, 0);
    s.vocab = vocab_of(l, given[0]);
    add_step(l, &s, qn_onnx_in_any(l, in + STATE), given[0], outs);
    qn_onnx_out(l, 0, outs[3]);
    qn_onnx_out_object(l, 1 + STATE, outs[0], (struct qn_onnx_type){.dtype = QN_DTYPE_U8});
    qn_onnx_out(l, 1 + TOKENS, outs[1]);
    qn_onnx_out(l, 1 + ROWS, outs[2]);
    for (uint32_t i = 0; i < presents; i++)
        qn_onnx_out_object(l, 1 + s.at.first_past + i, given[1 + i], (struct qn_onnx_type){0});
    qn_onnx_out(l, 1 + s.at.carried, outs[4]);
}

/* ---- the node ------------------------------------------------------------------------------------------------- */

/* What stays, for each beam, where the rounds read it. */
static void bind_kept(struct qn_lower *l, const struct search *s, const struct start *start, qn_value rows)
{
    const struct qn_onnx_step *round = s->rounds->steps[0];
    for (uint32_t i = 0; i < s->decoder->input_count && !l->b->status; i++) {
        struct qn_onnx_bound *entry = &l->import->entries[round->inputs[MOST_INPUTS + s->at.carried + i]];
        *entry = (struct qn_onnx_bound){.state = QN_ONNX_ABSENT};
        if (!start->kept[i])
            continue;
        qn_value value = pick(l, start->kept[i], rows, 0);
        qn_dtype dtype = qn_onnx_type_of(l, value)->dtype;
        *entry = (struct qn_onnx_bound){.value = value, .state = QN_ONNX_READY};
        entry->type.dtype = dtype == QN_DTYPE_OBJECT ? QN_DTYPE_NONE : dtype;
    }
}

static void go_round(struct qn_lower *l, const struct search *s, const struct start *start, qn_value count,
                     const qn_value *first, qn_value *outs)
{
    uint32_t presents = s->decoder->output_count - 1;
    qn_value *values = room_for(l, 2 + (uint64_t)s->at.carried);
    uint64_t results = s->rounds->output_count;
    struct qn_onnx_type *kinds = QN_ARENA_ARRAY(&l->import->arena, struct qn_onnx_type, (size_t)s->at.carried + 1);
    struct qn_onnx_type *out_kinds = QN_ARENA_ARRAY(&l->import->arena, struct qn_onnx_type, (size_t)results + 1);
    uint32_t *slots = QN_ARENA_ARRAY(&l->import->arena, uint32_t, (size_t)results + 1);
    if (!l->b->status && (!kinds || !out_kinds || !slots))
        l->b->status = QN_OOM();
    if (l->b->status)
        return;
    values[0] = count;
    values[1] = first[3];
    qn_value *carried = values + 2;
    memcpy(carried, first, (ROWS + 1) * sizeof *carried); /* the state, tokens, rows */
    if (s->model == GPT) {
        carried[POSITIONS] = pick(l, start->positions, first[ROWS], 0);
        carried[MASK] = pick(l, start->mask, first[ROWS], 0);
    }
    memcpy(carried + s->at.first_past, start->presents, presents * sizeof *carried);
    for (uint32_t i = 0; i < s->at.carried; i++) {
        qn_dtype dtype = qn_onnx_type_of(l, carried[i])->dtype;
        kinds[i].dtype = dtype == QN_DTYPE_OBJECT ? QN_DTYPE_NONE : dtype;
    }
    const struct qn_control_rounds rounds = {values, kinds, s->at.carried, slots};
    qn_control_loop(l, s->rounds, &rounds, outs, out_kinds);
}

static void finish(struct qn_lower *l, const struct search *s, const struct start *start, qn_value state,
                   qn_value first_scores, qn_value other_scores)
{
    struct numbers n = numbers_of(s);
    bool beams = s->kind == QN_SEARCH_BEAMS;
    struct qn_attr_search_end attr = {.batch = qn_build_dim(l->b, start->prompt, 0),
                                      .returned = size_of_input(l, n.returned, 1, "returned"),
                                      .max_length = size_of_input(l, 1, 1, "max_length"),
                                      .flat = !beams};
    bool scored = beams && qn_onnx_wants(l, 2);
    if (scored) {
        attr.steps = qn_onnx_late(l, "steps");
        attr.beams = size_of_input(l, n.beams, 1, "beams");
        attr.vocab = s->vocab;
    }
    qn_value in[] = {state, scored ? first_scores : 0, scored ? other_scores : 0}, outs[3] = {0};
    qn_onnx_node(l, QN_OP_search_end, in, 3, &attr, outs, 3);
    qn_onnx_out(l, 0, outs[0]);
    if (beams)
        qn_onnx_out(l, 1, outs[1]);
    if (scored)
        qn_onnx_out(l, 2, outs[2]);
}

QN_ONNX_LOWER(search)
{
    struct search s;
    qn_value x = qn_onnx_in(l, 0), begun[2] = {0}, first[5] = {0};
    const struct qn_onnx_step *step = l->import->step;
    if (!l->b->status)
        l->b->status = open_search(l->import->program, step, &s);
    if (l->b->status)
        return;
    s.rounds = step->regions[step->region_count - 1];
    const struct qn_type type = *qn_onnx_type_of(l, x);
    struct start start = {.kept = room_for(l, s.decoder->input_count)};
    qn_value *outs = room_for(l, s.rounds->output_count);
    if (l->b->status)
        return;
    memset(start.kept, 0, s.decoder->input_count * sizeof *start.kept);
    if (type.rank != (s.model == SPEECH ? 3 : 2) || (s.model != SPEECH && type.dtype != QN_DTYPE_I32)) {
        qn_onnx_fail(l, "input 0 is %s of rank %" PRIu32 ", expected %s", qn_dtype_name(type.dtype), type.rank,
                     s.model == SPEECH ? "features [batch, features, frames]" : "i32 [batch, tokens]");
        return;
    }
    if (s.model == GPT)
        start_gpt(l, &s, x, &start);
    else
        start_encoder(l, &s, x, &start);
    if (l->b->status)
        return;
    begin(l, &s, start.prompt, begun);
    s.vocab = vocab_of(l, start.logits);
    s.rows = s.kind == QN_SEARCH_BEAMS ? qn_onnx_late(l, "rows") : type.dims[0];
    add_step(l, &s, begun[0], start.logits, first);
    bind_kept(l, &s, &start, first[ROWS]);
    go_round(l, &s, &start, begun[1], first, outs);
    finish(l, &s, &start, outs ? outs[STATE] : 0, first[4],
           outs && s.rounds->output_count > 1 + s.at.carried ? outs[s.at.carried] : 0);
}
