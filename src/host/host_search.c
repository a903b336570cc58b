/* search_begin, search_step, search_end and pick_rows: decoding of token sequences, a step at a time. */
#include <math.h>

#include "host/token_search.h"

/* ---- the state ------------------------------------------------------------------------------------------------ */

static uint64_t align(uint64_t bytes)
{
    return (bytes + 63) & ~(uint64_t)63;
}

/* Where the lists lie; returns the bytes of all. `data` NULL: only that. */
static uint64_t place(struct qn_search *head, char *data, struct qn_search_view *out)
{
    uint64_t rows = (uint64_t)(head->batch * head->beams), room = (uint64_t)head->max_length, at = align(sizeof *head);
    const uint64_t sizes[] = {rows * room, rows, rows * room, rows, rows, (uint64_t)head->batch, (uint64_t)head->batch};
    void *lists[sizeof sizes / sizeof sizes[0]] = {NULL};
    for (uint32_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        lists[i] = data ? data + at : NULL;
        at += align(sizes[i] * 4);
    }
    *out = (struct qn_search_view){.head = head,
                                   .rows = (int64_t)rows,
                                   .tokens = lists[0],
                                   .scores = lists[1],
                                   .ended = lists[2],
                                   .lengths = lists[3],
                                   .ended_scores = lists[4],
                                   .ended_count = lists[5],
                                   .done = lists[6]};
    return at;
}

static bool head_fits(const struct qn_search *h)
{
    return h->batch >= 0 && h->batch <= INT32_MAX && h->beams >= 1 && h->beams <= QN_SEARCH_MOST_BEAMS &&
           h->max_length >= 1 && h->max_length <= QN_SEARCH_MOST_TOKENS && h->length >= 0 &&
           h->length <= h->max_length && h->returned >= 1 && h->returned <= h->beams;
}

qn_status qn_search_open(const struct qn_view *state, struct qn_search_view *out)
{
    struct qn_search *head = state->data;
    bool fits = state->dtype == QN_DTYPE_U8 && state->rank == 1 && state->dims[0] >= (int64_t)sizeof *head &&
                head_fits(head) && place(head, state->data, out) == (uint64_t)state->dims[0];
    for (int64_t i = 0; fits && i < head->batch; i++) {
        fits &= out->ended_count[i] >= 0 && out->ended_count[i] <= head->beams;
        for (int64_t k = 0; fits && k < out->ended_count[i]; k++)
            fits = out->lengths[i * head->beams + k] >= 0 && out->lengths[i * head->beams + k] <= head->max_length;
    }
    return fits ? NULL : QN_ERROR(QN_INVALID_ARGUMENT, "input 0 is no state of a search");
}

static qn_status make_state(const struct qn_host_call *c, struct qn_search *head, struct qn_search_view *out)
{
    int64_t bytes = (int64_t)place(head, NULL, out);
    QN_TRY(qn_object_tensor(c->store, QN_DTYPE_U8, 1, &bytes, &c->out[0]));
    char *data = c->out[0]->tensor.data;
    memset(data, 0, (size_t)bytes);
    memcpy(data, head, sizeof *head);
    place((struct qn_search *)(void *)data, data, out);
    return NULL;
}

/* A copy of input 0 as output 0. */
static qn_status copy_state(const struct qn_host_call *c, struct qn_search_view *out)
{
    struct qn_view state;
    QN_TRY(qn_host_tensor(c, 0, &state));
    QN_TRY(qn_search_open(&state, out));
    QN_TRY(qn_object_tensor(c->store, QN_DTYPE_U8, 1, state.dims, &c->out[0]));
    memcpy(c->out[0]->tensor.data, state.data, (size_t)state.dims[0]);
    return qn_search_open(&c->out[0]->tensor, out);
}

/* ---- search_begin --------------------------------------------------------------------------------------------- */

static qn_status integer(const struct qn_host_call *c, uint32_t i, const char *name, int64_t otherwise, int64_t *out)
{
    *out = otherwise;
    return qn_host_has(c, i) ? qn_status_note(qn_host_integer(c, i, out), "%s", name) : NULL;
}

static qn_status real(const struct qn_host_call *c, uint32_t i, const char *name, float otherwise, float *out)
{
    struct qn_view view;
    *out = otherwise;
    if (!qn_host_has(c, i))
        return NULL;
    QN_TRY(qn_host_tensor(c, i, &view));
    if (view.dtype != QN_DTYPE_F32 || qn_view_elems(&view) != 1)
        return QN_ERROR(QN_INVALID_ARGUMENT, "%s: input %u is no f32 of one element", name, i);
    *out = *(const float *)view.data;
    return NULL;
}

static qn_status in_range(const char *name, int64_t value, int64_t least, int64_t most)
{
    if (value < least || value > most)
        return QN_ERROR(QN_OUT_OF_RANGE, "%s is %" PRId64 ", expected %" PRId64 " to %" PRId64, name, value, least,
                        most);
    return NULL;
}

static qn_status read_numbers(const struct qn_host_call *c, struct qn_search *h)
{
    int64_t seed, processor;
    QN_TRY(integer(c, 1, "max_length", 0, &h->max_length));
    if (h->max_length <= h->length)
        return QN_ERROR(QN_OUT_OF_RANGE,
                        "max_length is %" PRId64 ", expected more than the %" PRId64 " tokens that are given",
                        h->max_length, h->length);
    QN_TRY(in_range("max_length", h->max_length, 1, QN_SEARCH_MOST_TOKENS));
    QN_TRY(integer(c, 2, "min_length", 0, &h->min_length));
    QN_TRY(integer(c, 3, "num_beams", 1, &h->beams));
    QN_TRY(in_range("num_beams", h->beams, 1, h->attr.kind == QN_SEARCH_BEAMS ? QN_SEARCH_MOST_BEAMS : 1));
    QN_TRY(integer(c, 4, "num_return_sequences", 1, &h->returned));
    QN_TRY(in_range("num_return_sequences", h->returned, 1, h->beams));
    QN_TRY(real(c, 5, "length_penalty", 1, &h->length_penalty));
    QN_TRY(real(c, 6, "repetition_penalty", 1, &h->repetition_penalty));
    if (!(h->repetition_penalty > 0))
        return QN_ERROR(QN_OUT_OF_RANGE, "repetition_penalty is %g, expected more than 0",
                        (double)h->repetition_penalty);
    QN_TRY(real(c, 7, "temperature", h->attr.temperature, &h->temperature));
    QN_TRY(integer(c, 8, "seed", 0, &seed));
    QN_TRY(in_range("seed", seed, 0, INT32_MAX));
    QN_TRY(integer(c, 9, "logits_processor", 0, &processor));
    QN_TRY(in_range("logits_processor", processor, 0, INT32_MAX));
    h->random = (uint32_t)(seed % INT32_MAX ? seed % INT32_MAX : 1);
    h->speech = h->attr.speech && processor == 1;
    return NULL;
}

qn_status qn_host_search_begin(const struct qn_host_call *c)
{
    struct qn_search head = {.attr = *(const struct qn_attr_search *)c->attr};
    struct qn_search_view s;
    struct qn_view prompt;
    QN_TRY(qn_host_tensor(c, 0, &prompt));
    if (prompt.dtype != QN_DTYPE_I32 || prompt.rank != 2)
        return QN_ERROR(QN_INVALID_ARGUMENT, "the tokens that are given are %s of rank %u, expected i32 [b, s]",
                        qn_dtype_name(prompt.dtype), prompt.rank);
    head.batch = prompt.dims[0];
    head.length = prompt.dims[1];
    QN_TRY(in_range("the batch", head.batch, 0, INT32_MAX));
    QN_TRY(read_numbers(c, &head));
    QN_TRY(make_state(c, &head, &s));
    for (int64_t i = 0; i < s.rows; i++) {
        const int32_t *from = (const int32_t *)prompt.data + i / head.beams * head.length;
        if (head.length)
            memcpy(s.tokens + i * head.max_length, from, (size_t)head.length * sizeof *from);
        s.scores[i] = i % head.beams ? -1e9f : 0; /* the first step continues one beam of those that are all equal */
    }
    QN_TRY(qn_object_tensor(c->store, QN_DTYPE_I64, 0, NULL, &c->out[1]));
    *(int64_t *)c->out[1]->tensor.data = head.max_length - head.length - 1;
    return NULL;
}

/* ---- search_step ---------------------------------------------------------------------------------------------- */

static qn_status read_mask(const struct qn_host_call *c, uint32_t i, const char *name, int64_t rows, int64_t vocab,
                           const int32_t **out)
{
    struct qn_view view;
    uint32_t rank = rows < 0 ? 1 : 2;
    *out = NULL;
    if (!qn_host_has(c, i))
        return NULL;
    QN_TRY(qn_host_tensor(c, i, &view));
    if (view.dtype != QN_DTYPE_I32 || view.rank != rank || view.dims[rank - 1] != vocab ||
        (rank == 2 && view.dims[0] != rows))
        return QN_ERROR(
            QN_INVALID_ARGUMENT, "%s has rank %u and %" PRId64 " columns, expected i32 for %" PRId64 " tokens%s", name,
            view.rank, view.rank ? view.dims[view.rank - 1] : 1, vocab, rank == 2 ? " of each sequence" : "");
    *out = view.data;
    return NULL;
}

/* One step under way. */
struct step {
    const struct qn_host_call *call;
    struct qn_search_view s;
    struct qn_search_masks masks;
    struct qn_view logits;
    int64_t vocab;
    float *scores; /* [rows, vocab] */
    int32_t *next; /* [rows] */
    int64_t *from; /* [rows] */
};

/* The last logits of each row. */
static void take_logits(const struct step *t)
{
    const float *logits = t->logits.data;
    int64_t length = t->logits.dims[1], wide = t->logits.dims[2], beams = t->s.head->beams;
    for (int64_t i = 0; i < t->s.rows; i++) {
        int64_t row = t->logits.dims[0] == t->s.rows ? i : i / beams;
        memcpy(t->scores + i * t->vocab, logits + ((row + 1) * length - 1) * wide, (size_t)t->vocab * sizeof(float));
    }
}

static qn_status choose(struct step *t)
{
    struct qn_search *h = t->s.head;
    struct qn_store *store = t->call->store;
    if (h->attr.kind == QN_SEARCH_BEAMS) {
        struct qn_search_candidate *room = qn_store_take(store, (uint64_t)t->s.rows * 2 * sizeof *room + 1);
        if (!room)
            return QN_OOM();
        qn_search_beams(&t->s, t->vocab, t->scores, room, t->next, t->from);
        qn_store_give(store, room);
        return NULL;
    }
    if (h->attr.kind == QN_SEARCH_DRAW) {
        int32_t *order = qn_store_take(store, (uint64_t)t->vocab * sizeof *order);
        float *spare = qn_store_take(store, (uint64_t)t->vocab * sizeof *spare);
        if (order && spare)
            qn_search_draw(&t->s, t->vocab, t->scores, order, spare, t->next);
        qn_store_give(store, order);
        qn_store_give(store, spare);
        if (!order || !spare)
            return QN_OOM();
    } else {
        qn_search_likeliest(&t->s, t->vocab, t->scores, t->next);
    }
    for (int64_t i = 0; i < t->s.rows; i++) {
        t->from[i] = i;
        t->s.done[i] |= h->attr.end >= 0 && t->next[i] == h->attr.end;
        if (t->s.done[i])
            t->next[i] = (int32_t)h->attr.pad;
    }
    return NULL;
}

/* Each row goes on from the one it continues, by the next token. */
static qn_status append(struct step *t)
{
    struct qn_search *h = t->s.head;
    struct qn_view before;
    struct qn_search_view old;
    QN_TRY(qn_host_tensor(t->call, 0, &before));
    QN_TRY(qn_search_open(&before, &old));
    for (int64_t i = 0; i < t->s.rows; i++) {
        int32_t *tokens = t->s.tokens + i * h->max_length;
        memcpy(tokens, old.tokens + t->from[i] * h->max_length, (size_t)h->length * sizeof *tokens);
        tokens[h->length] = t->next[i];
    }
    h->length++;
    h->steps++;
    return NULL;
}

static qn_status give_step(const struct step *t)
{
    const struct qn_host_call *c = t->call;
    const struct qn_attr_search_step *attr = c->attr;
    const struct qn_search *h = t->s.head;
    int64_t dims[2] = {t->s.rows, attr->whole ? h->length : 1}, going = 0;
    QN_TRY(qn_object_tensor(c->store, QN_DTYPE_I32, 2, dims, &c->out[1]));
    QN_TRY(qn_object_tensor(c->store, QN_DTYPE_I64, 1, dims, &c->out[2]));
    QN_TRY(qn_object_tensor(c->store, QN_DTYPE_BOOL, 0, NULL, &c->out[3]));
    int32_t *tokens = c->out[1]->tensor.data;
    int64_t *from = c->out[2]->tensor.data;
    for (int64_t i = 0; i < t->s.rows; i++) {
        memcpy(tokens + i * dims[1], t->s.tokens + i * h->max_length + h->length - dims[1],
               (size_t)dims[1] * sizeof *tokens);
        from[i] = t->logits.dims[0] == t->s.rows ? t->from[i] : i / h->beams;
    }
    for (int64_t i = 0; i < h->batch; i++)
        going |= !t->s.done[i];
    *(uint8_t *)c->out[3]->tensor.data = going != 0;
    return NULL;
}

static qn_status read_step(struct step *t)
{
    const struct qn_host_call *c = t->call;
    QN_TRY(copy_state(c, &t->s));
    const struct qn_search *h = t->s.head;
    QN_TRY(qn_host_tensor(c, 1, &t->logits));
    const struct qn_view *logits = &t->logits;
    if (h->length >= h->max_length)
        return QN_ERROR(QN_OUT_OF_RANGE, "the sequences are %" PRId64 " tokens long, no more are wanted", h->length);
    if (logits->dtype != QN_DTYPE_F32 || logits->rank != 3 || logits->dims[1] < 1 ||
        (logits->dims[0] != h->batch && logits->dims[0] != t->s.rows))
        return QN_ERROR(QN_INVALID_ARGUMENT,
                        "the logits are %s of rank %u, expected f32 [%" PRId64 ", tokens, vocabulary]",
                        qn_dtype_name(logits->dtype), logits->rank, t->s.rows);
    t->vocab = h->attr.vocab > 0 ? h->attr.vocab : logits->dims[2];
    if (t->vocab < 2 || t->vocab > logits->dims[2])
        return QN_ERROR(QN_INVALID_ARGUMENT, "a vocabulary of %" PRId64 " tokens with %" PRId64 " logits", t->vocab,
                        logits->dims[2]);
    QN_TRY(read_mask(c, 2, "vocab_mask", -1, t->vocab, &t->masks.allowed));
    QN_TRY(read_mask(c, 3, "prefix_vocab_mask", h->batch, t->vocab, &t->masks.first));
    QN_TRY(read_mask(c, 4, "presence_mask", h->batch, t->vocab, &t->masks.present));
    if (h->speech && (h->attr.first_time < 1 || h->attr.first_time >= t->vocab))
        return QN_ERROR(QN_INVALID_ARGUMENT,
                        "beginning_timestamp_token_id is %" PRId64 ", expected a token of the vocabulary of %" PRId64,
                        h->attr.first_time, t->vocab);
    return NULL;
}

qn_status qn_host_search_step(const struct qn_host_call *c)
{
    struct step t = {.call = c};
    QN_TRY(read_step(&t));
    QN_TRY(qn_object_tensor(c->store, QN_DTYPE_F32, 2, (int64_t[]){t.s.rows, t.vocab}, &c->out[4]));
    t.scores = c->out[4]->tensor.data;
    t.next = qn_store_take(c->store, (uint64_t)t.s.rows * sizeof *t.next + 1);
    t.from = qn_store_take(c->store, (uint64_t)t.s.rows * sizeof *t.from + 1);
    uint8_t *seen = qn_store_take(c->store, (uint64_t)t.vocab);
    qn_status status = t.next && t.from && seen ? qn_host_go_on(c) : QN_OOM();
    if (!status) {
        take_logits(&t);
        for (int64_t i = 0; i < t.s.rows && t.s.head->attr.kind == QN_SEARCH_BEAMS; i++)
            qn_search_log_softmax(t.scores + i * t.vocab, t.vocab);
        qn_search_adjust(&t.s, &t.masks, t.vocab, t.scores, seen);
        status = choose(&t);
    }
    if (!status)
        status = append(&t);
    if (!status)
        status = give_step(&t);
    qn_store_give(c->store, t.next);
    qn_store_give(c->store, t.from);
    qn_store_give(c->store, seen);
    return status;
}

/* ---- search_end ----------------------------------------------------------------------------------------------- */

/* The scores of all steps that there were, zeros for others. */
static qn_status give_scores(const struct qn_host_call *c, const struct qn_search *h, int64_t prompt)
{
    struct qn_view first = {.dims = {0}}, others = {.dims = {0}};
    int64_t dims[4] = {0};
    if (!qn_host_has(c, 1))
        return qn_object_tensor(c->store, QN_DTYPE_F32, 4, dims, &c->out[2]);
    QN_TRY(qn_host_tensor(c, 1, &first));
    if (qn_host_has(c, 2))
        QN_TRY(qn_host_tensor(c, 2, &others));
    int64_t rows = h->batch * h->beams, vocab = first.rank == 2 ? first.dims[1] : -1;
    bool more = others.rank == 3 && others.dims[0] > 0;
    if (first.dtype != QN_DTYPE_F32 || vocab < 0 || first.dims[0] != rows ||
        (more && (others.dtype != QN_DTYPE_F32 || others.dims[1] != rows || others.dims[2] != vocab ||
                  others.dims[0] >= h->max_length - prompt)))
        return QN_ERROR(QN_INVALID_ARGUMENT, "the scores are not those of the search's steps");
    memcpy(dims, (int64_t[]){h->max_length - prompt, h->batch, h->beams, vocab}, sizeof dims);
    QN_TRY(qn_object_tensor(c->store, QN_DTYPE_F32, 4, dims, &c->out[2]));
    int64_t one = rows * vocab, done = more ? others.dims[0] : 0;
    float *out = c->out[2]->tensor.data;
    if (one == 0)
        return NULL;
    memcpy(out, first.data, (size_t)one * sizeof *out);
    if (more)
        memcpy(out + one, others.data, (size_t)(one * done) * sizeof *out);
    memset(out + one * (1 + done), 0, (size_t)(one * (dims[0] - 1 - done)) * sizeof *out);
    return NULL;
}

/* The best that have ended, or the one that there is. */
static void give_sequences(const struct qn_host_call *c, const struct qn_search_view *s)
{
    const struct qn_search *h = s->head;
    bool beams = h->attr.kind == QN_SEARCH_BEAMS;
    int32_t *out = c->out[0]->tensor.data;
    float *scores = c->out[1]->tensor.data;
    for (int64_t i = 0; i < h->batch * h->returned; i++) {
        int64_t row = i / h->returned * h->beams + i % h->returned, length = beams ? s->lengths[row] : h->length;
        memcpy(out + i * h->max_length, (beams ? s->ended : s->tokens) + row * h->max_length,
               (size_t)length * sizeof *out);
        for (int64_t k = length; k < h->max_length; k++)
            out[i * h->max_length + k] = (int32_t)h->attr.pad;
        scores[i] = beams ? s->ended_scores[row] : 0;
    }
}

qn_status qn_host_search_end(const struct qn_host_call *c)
{
    const struct qn_attr_search_end *attr = c->attr;
    struct qn_search_view s;
    QN_TRY(copy_state(c, &s));
    struct qn_object *state = c->out[0];
    const struct qn_search *h = s.head;
    c->out[0] = NULL;
    int64_t dims[3] = {h->batch, h->returned, h->max_length};
    if (attr->flat)
        dims[1] = h->max_length;
    qn_status status = qn_object_tensor(c->store, QN_DTYPE_I32, attr->flat ? 2 : 3, dims, &c->out[0]);
    if (!status)
        status = qn_object_tensor(c->store, QN_DTYPE_F32, 2, (int64_t[]){h->batch, h->returned}, &c->out[1]);
    if (!status)
        status = give_scores(c, h, h->length - h->steps);
    if (!status && attr->flat && h->returned != 1)
        status = QN_ERROR(QN_INVALID_ARGUMENT, "%" PRId64 " sequences without an axis for them", h->returned);
    if (!status) {
        if (h->attr.kind == QN_SEARCH_BEAMS)
            qn_search_finish(&s);
        give_sequences(c, &s);
    }
    qn_object_release(state);
    return status;
}

/* ---- pick_rows ------------------------------------------------------------------------------------------------ */

static bool in_order(const int64_t *rows, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        if (rows[i] != i)
            return false;
    return true;
}

qn_status qn_host_pick_rows(const struct qn_host_call *c)
{
    const struct qn_attr_axis *attr = c->attr;
    struct qn_view x, rows;
    QN_TRY(qn_host_tensor(c, 0, &x));
    QN_TRY(qn_host_tensor(c, 1, &rows));
    int64_t axis = attr->axis;
    if (axis < 0 || axis >= (int64_t)x.rank || rows.dtype != QN_DTYPE_I64 || rows.rank != 1)
        return QN_ERROR(QN_INVALID_ARGUMENT, "rows along axis %" PRId64 " of a tensor of rank %u", axis, x.rank);
    const int64_t *numbers = rows.data;
    int64_t size = x.dims[axis], count = rows.dims[0], outer = 1, inner = (int64_t)qn_host_unit(x.dtype);
    if (c->in_objects[0] && size == count && in_order(numbers, count))
        return qn_host_hold(c, 0, &c->out[0]);
    for (uint32_t i = 0; i < x.rank; i++)
        *((int64_t)i < axis ? &outer : &inner) *= (int64_t)i == axis ? 1 : x.dims[i];
    for (int64_t i = 0; i < count; i++)
        if (numbers[i] < 0 || numbers[i] >= size)
            return QN_ERROR(QN_OUT_OF_RANGE, "row %" PRId64 " of %" PRId64, numbers[i], size);
    int64_t dims[QN_MAX_RANK];
    memcpy(dims, x.dims, sizeof dims);
    dims[axis] = count;
    QN_TRY(qn_object_tensor(c->store, x.dtype, x.rank, dims, &c->out[0]));
    char *to = c->out[0]->tensor.data;
    for (int64_t o = 0; o < outer && inner; o++)
        for (int64_t i = 0; i < count; i++, to += inner)
            memcpy(to, (const char *)x.data + (o * size + numbers[i]) * inner, (size_t)inner);
    return NULL;
}
