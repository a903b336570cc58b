/* Encoding by a pipeline: the text goes through all steps, then its tokens get their places in the original. */
#include "base/hash.h"
#include "base/utf8.h"
#include "text/tokenizer/surround.h"

enum { CACHED_PIECES = 1 << 13, CACHED_BYTES = 64, LONG_TEXT = 1024 };

/* The units of a piece that came before. */
struct piece_slot {
    const char *text;
    uint32_t size, first, count;
};

struct encoder {
    const struct qn_tokenizer *tokenizer;
    const struct qn_encode_call *call;
    const struct qn_allocator *allocator;
    struct qn_arena arena;
    struct qn_pretext pretext;
    struct qn_units units;
    struct piece_slot *slots; /* NULL for short texts */
};

/* ---- the text as it came -------------------------------------------------------------------------------------- */

/* How many bytes at text[0..size) belong together when no character is there: the beginning of one, or one byte. */
static size_t broken_length(const char *text, size_t size)
{
    size_t length = 1;
    while (length < size && length < 3 && qn_utf8_is_cut(text, length + 1))
        length++;
    return length;
}

static size_t step_of(const char *text, size_t size, bool *broken)
{
    uint32_t c;
    size_t length = (uint8_t)text[0] < 0x80 ? 1 : qn_utf8_decode(text, size, &c);
    *broken = length == 0;
    return length ? length : broken_length(text, size);
}

static qn_status load(struct encoder *e, struct qn_str text)
{
    struct qn_aligned *a = &e->pretext.scratch[0];
    a->text.count = a->spans.count = 0;
    a->original = 0;
    a->original_end = (uint32_t)text.size;
    if (text.size > INT32_MAX / 2)
        return QN_ERROR(QN_OUT_OF_RANGE, "a text of %zu bytes is too long for one call", text.size);
    if (!qn_array_reserve(&a->text, a->allocator, text.size) || !qn_array_reserve(&a->spans, a->allocator, text.size))
        return QN_OOM();
    for (size_t at = 0; at < text.size;) {
        bool broken;
        size_t size = step_of(text.data + at, text.size - at, &broken);
        struct qn_span span = {(uint32_t)at, (uint32_t)(at + size)};
        bool ok = broken ? qn_aligned_append_at(a, "\xef\xbf\xbd", 3, span)
                         : qn_aligned_append_at(a, text.data + at, size, span);
        if (!ok)
            return QN_OOM();
        at += size;
    }
    return NULL;
}

/* The index of the character that each byte belongs to. */
static qn_status count_characters(struct encoder *e, struct qn_str text, uint32_t **map)
{
    uint32_t *characters = QN_ARENA_ARRAY(&e->arena, uint32_t, text.size);
    if (!characters)
        return QN_OOM();
    uint32_t index = 0;
    for (size_t at = 0; at < text.size; index++) {
        bool broken;
        size_t end = at + step_of(text.data + at, text.size - at, &broken);
        while (at < end)
            characters[at++] = index;
    }
    *map = characters;
    return NULL;
}

/* Byte offsets to those of characters, as the package does it with ones that lie behind the end. */
static void convert(struct qn_encoded_token *token, const uint32_t *map, size_t size)
{
    uint32_t begin = token->begin, end = token->end;
    if (begin >= size)
        return;
    token->begin = map[begin];
    token->end = end < size ? map[end] : end - 1 < size ? map[end - 1] + 1 : token->begin + 2;
}

/* ---- pieces to tokens ----------------------------------------------------------------------------------------- */

static struct piece_slot *slot_of(struct encoder *e, struct qn_str piece)
{
    if (!e->slots || piece.size > CACHED_BYTES)
        return NULL;
    return &e->slots[(uint32_t)qn_hash(piece.data, piece.size) & (CACHED_PIECES - 1)];
}

/* Appends the units of a piece, or copies those that the same piece had before. */
static qn_status tokenize(struct encoder *e, struct qn_str piece)
{
    struct qn_units *u = &e->units;
    struct piece_slot *slot = slot_of(e, piece);
    uint32_t first = u->list.count;
    if (slot && slot->text && slot->size == piece.size && memcmp(slot->text, piece.data, piece.size) == 0) {
        if (slot->count == 0) /* the list may not have storage yet */
            return NULL;
        if (!qn_array_reserve(&u->list, u->allocator, (uint64_t)first + slot->count))
            return QN_OOM();
        memcpy(u->list.items + first, u->list.items + slot->first, slot->count * sizeof *u->list.items);
        u->list.count += slot->count;
        return NULL;
    }
    QN_TRY(qn_unit_tokenize(e->tokenizer, piece, u));
    if (slot)
        *slot = (struct piece_slot){piece.data, (uint32_t)piece.size, first, u->list.count - first};
    return NULL;
}

static struct qn_item make_item(const struct encoder *e, const struct qn_fragment *f, const struct qn_unit *unit,
                                uint32_t word, uint32_t sequence)
{
    const struct qn_tokenizer *t = e->tokenizer;
    struct qn_item item = {.token = {.id = unit->id,
                                     .type_id = sequence,
                                     .begin = unit->begin,
                                     .end = unit->end,
                                     .word = (int32_t)word,
                                     .sequence = (int8_t)sequence,
                                     .attended = true},
                           .text = unit->text};
    if (!unit->text.data)
        item.text = (struct qn_str){t->tokens[unit->id].text, t->tokens[unit->id].text_size};
    /* what a suffix spelt in bytes adds lies behind the piece: its place stays as it is */
    if (unit->begin < unit->end && unit->end <= f->end - f->begin) {
        item.token.begin = e->pretext.text.spans.items[f->begin + unit->begin].begin;
        item.token.end = e->pretext.text.spans.items[f->begin + unit->end - 1].end;
    }
    return item;
}

/* The tokens of all fragments; ends[i] units stand up to the end of the i-th. */
static qn_status collect(struct encoder *e, const uint32_t *ends, uint32_t sequence, struct qn_items *out)
{
    struct qn_pretext *p = &e->pretext;
    struct qn_str text = e->call->texts[sequence];
    uint32_t *map = NULL, unit = 0;
    out->items = QN_ARENA_ARRAY(&e->arena, struct qn_item, e->units.list.count);
    if (!out->items)
        return QN_OOM();
    if (e->call->characters)
        QN_TRY(count_characters(e, text, &map));
    for (uint32_t i = 0; i < p->fragments.count; i++)
        for (; unit < ends[i]; unit++) {
            struct qn_item *item = &out->items[out->count++];
            *item = make_item(e, &p->fragments.items[i], &e->units.list.items[unit], i, sequence);
            if (map)
                convert(&item->token, map, text.size);
            const struct qn_unit *made = &e->units.list.items[unit];
            if (made->text.data) { /* it lies in the working text, which the next text takes */
                item->text = qn_arena_str(&e->arena, made->text);
                if (!item->text.data)
                    return QN_OOM();
            }
        }
    return NULL;
}

static qn_status encode_text(struct encoder *e, uint32_t sequence, struct qn_items *out)
{
    const struct qn_pipeline *pipeline = e->tokenizer->pipeline;
    struct qn_pretext *p = &e->pretext;
    struct qn_str text = e->call->texts[sequence];
    *out = (struct qn_items){0};
    p->continued = e->call->continued;
    p->text.text.count = p->text.spans.count = 0;
    p->fragments.count = p->next_fragments.count = 0;
    e->units.list.count = 0;
    QN_TRY(load(e, text));
    QN_TRY(qn_find_added(pipeline, p, e->call->special));
    QN_TRY(qn_cut(pipeline, p));
    uint32_t *ends = QN_ARENA_ARRAY(&e->arena, uint32_t, p->fragments.count);
    if (!ends)
        return QN_OOM();
    if (text.size >= LONG_TEXT) {
        if (!e->slots) /* does without when there is no memory */
            e->slots = qn_alloc(e->allocator, CACHED_PIECES * sizeof *e->slots);
        if (e->slots)
            memset(e->slots, 0, CACHED_PIECES * sizeof *e->slots);
    }
    for (uint32_t i = 0; i < p->fragments.count; i++) {
        const struct qn_fragment *f = &p->fragments.items[i];
        struct qn_str piece = {p->text.text.items + f->begin, f->end - f->begin};
        if (f->added >= 0) {
            struct qn_unit unit = {pipeline->added[f->added].id, 0, f->end - f->begin, piece};
            if (!qn_array_push(&e->units.list, e->allocator, unit))
                return QN_OOM();
        } else {
            QN_TRY(tokenize(e, piece));
        }
        ends[i] = e->units.list.count;
    }
    return collect(e, ends, sequence, out);
}

/* ---- the result ----------------------------------------------------------------------------------------------- */

static qn_status encode(struct encoder *e, struct qn_encoded *out)
{
    const struct qn_encode_call *call = e->call;
    const struct qn_pipeline *pipeline = e->tokenizer->pipeline;
    struct qn_items texts[2] = {{0}}, all;
    for (uint32_t i = 0; i < call->text_count; i++)
        QN_TRY(encode_text(e, i, &texts[i]));
    size_t added = call->bare ? 0 : qn_surround_added(pipeline, call->text_count == 2);
    if (call->truncation)
        QN_TRY(qn_truncate(texts, call->text_count, call->truncation, added, &e->arena));
    QN_TRY(qn_surround(pipeline, texts, call->text_count, !call->bare, &e->arena, &all));
    if (call->padding)
        QN_TRY(qn_pad(&all, call->padding, &e->arena));
    return qn_items_give(&all, out);
}

qn_status qn_pipeline_encode(const struct qn_tokenizer *t, const struct qn_encode_call *call, struct qn_encoded *out)
{
    const struct qn_allocator *allocator = t->arena.allocator;
    struct encoder e = {.tokenizer = t, .call = call, .allocator = allocator};
    struct qn_pretext *p = &e.pretext;
    qn_arena_init(&e.arena, allocator);
    qn_strbuf_init(&e.units.buffer, allocator);
    e.units.allocator = p->allocator = allocator;
    p->text.allocator = p->next.allocator = p->scratch[0].allocator = p->scratch[1].allocator = allocator;
    qn_status status = encode(&e, out);
    if (status)
        qn_encoded_free(out);
    qn_aligned_deinit(&p->text);
    qn_aligned_deinit(&p->next);
    qn_aligned_deinit(&p->scratch[0]);
    qn_aligned_deinit(&p->scratch[1]);
    qn_array_free(&p->fragments, allocator);
    qn_array_free(&p->next_fragments, allocator);
    qn_array_free(&p->pieces.list, allocator);
    qn_array_free(&p->changes.list, allocator);
    qn_matcher_free(p->matcher);
    qn_units_deinit(&e.units);
    qn_free(allocator, e.slots, CACHED_PIECES * sizeof *e.slots);
    qn_arena_deinit(&e.arena);
    return status;
}
