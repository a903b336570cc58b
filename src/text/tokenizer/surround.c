#include "text/tokenizer/surround.h"

#include "base/checked.h"
#include "base/utf8.h"
#include "text/tokenizer/character_set.h"

/* ---- cutting to length ---------------------------------------------------------------------------------------- */

/* The parts of `length` tokens: begin of the i-th, which ends `max` further. False behind the last. */
static bool part_at(size_t i, size_t length, size_t max, size_t stride, bool left, size_t *begin, size_t *end)
{
    size_t step = max - stride;
    if (i && (i - 1) * step + max >= length) /* the one before it reached the other end */
        return false;
    if (!left) {
        *begin = i * step;
        *end = *begin + max < length ? *begin + max : length;
    } else {
        *end = length - i * step;
        *begin = *end > max ? *end - max : 0;
    }
    return true;
}

static qn_status cut(struct qn_items *e, size_t max, const struct qn_truncation *truncation, struct qn_arena *arena)
{
    size_t count = e->count, begin, end, parts = 0;
    if (max >= count)
        return NULL;
    if (max == 0) {
        struct qn_items *whole = QN_ARENA_NEW(arena, struct qn_items);
        if (!whole)
            return QN_OOM();
        *whole = (struct qn_items){.items = e->items, .count = count};
        *e = (struct qn_items){.overflow = whole, .overflow_count = 1};
        return NULL;
    }
    if (truncation->stride >= max)
        return QN_ERROR(QN_INVALID_ARGUMENT, "truncation: a stride of %zu tokens is not less than the %zu that fit",
                        truncation->stride, max);
    while (part_at(parts, count, max, truncation->stride, truncation->left, &begin, &end))
        parts++;
    struct qn_items *overflow = QN_ARENA_ARRAY(arena, struct qn_items, parts);
    if (!overflow)
        return QN_OOM();
    struct qn_item *items = e->items;
    for (size_t i = 0; i < parts; i++) {
        part_at(i, count, max, truncation->stride, truncation->left, &begin, &end);
        overflow[i] = (struct qn_items){.items = items + begin, .count = end - begin};
    }
    *e = overflow[0];
    e->overflow = overflow + 1;
    e->overflow_count = parts - 1;
    return NULL;
}

/* How many tokens each of two texts keeps when the longer one loses first. */
static void share(size_t max, size_t *first, size_t *second)
{
    size_t low = *first < *second ? *first : *second, high;
    bool swapped = *first > *second;
    high = low > max ? low : low > max - low ? low : max - low;
    if (low > max || low + high > max) {
        low = max / 2;
        high = low + max % 2;
    }
    *first = swapped ? high : low;
    *second = swapped ? low : high;
}

qn_status qn_truncate(struct qn_items *texts, uint32_t count, const struct qn_truncation *truncation, size_t added,
                      struct qn_arena *arena)
{
    size_t total = texts[0].count + (count > 1 ? texts[1].count : 0);
    size_t max = truncation->max_length - added;
    if (added > truncation->max_length) /* no room for any text: then the package does not cut at all */
        return NULL;
    if (max == 0) {
        QN_TRY(cut(&texts[0], 0, truncation, arena));
        return count > 1 ? cut(&texts[1], 0, truncation, arena) : NULL;
    }
    if (total <= max)
        return NULL;
    if (truncation->strategy == QN_TRUNCATE_LONGEST_FIRST && count == 1)
        return cut(&texts[0], max, truncation, arena);
    if (truncation->strategy == QN_TRUNCATE_LONGEST_FIRST) {
        size_t first = texts[0].count, second = texts[1].count;
        share(max, &first, &second);
        QN_TRY(cut(&texts[0], first, truncation, arena));
        return cut(&texts[1], second, truncation, arena);
    }
    uint32_t which = truncation->strategy == QN_TRUNCATE_ONLY_SECOND;
    if (which >= count)
        return QN_ERROR(QN_INVALID_ARGUMENT, "truncation of the second text only, and there is one text");
    if (texts[which].count <= total - max)
        return QN_ERROR(QN_INVALID_ARGUMENT,
                        "truncation to %zu tokens: the text that may be cut has %zu, and %zu have to go",
                        truncation->max_length, texts[which].count, total - max);
    return cut(&texts[which], texts[which].count - (total - max), truncation, arena);
}

/* ---- joining -------------------------------------------------------------------------------------------------- */

static bool join(struct qn_arena *arena, const struct qn_items *a, const struct qn_items *b, struct qn_items *out)
{
    struct qn_item *items = QN_ARENA_ARRAY(arena, struct qn_item, a->count + b->count);
    if (!items)
        return false;
    if (a->count)
        memcpy(items, a->items, a->count * sizeof *items);
    if (b->count)
        memcpy(items + a->count, b->items, b->count * sizeof *items);
    out->items = items;
    out->count = a->count + b->count;
    return true;
}

/* Puts b behind a: each part of a with b and with each part of b, then a with each part of b. */
static qn_status append(struct qn_items *a, const struct qn_items *b, struct qn_arena *arena)
{
    enum { PARTS_MAX = 1 << 20 };
    size_t count, n = 0;
    if (!qn_mul_size(a->overflow_count + 1, b->overflow_count + 1, &count) || count > PARTS_MAX)
        return QN_ERROR(QN_OUT_OF_RANGE, "truncation cuts the texts into too many parts");
    count--;
    struct qn_items *overflow = QN_ARENA_ARRAY(arena, struct qn_items, count);
    bool ok = overflow != NULL;
    for (size_t i = 0; i < a->overflow_count && ok; i++) {
        ok = join(arena, &a->overflow[i], b, &overflow[n++]);
        for (size_t k = 0; k < b->overflow_count && ok; k++)
            ok = join(arena, &a->overflow[i], &b->overflow[k], &overflow[n++]);
    }
    for (size_t k = 0; k < b->overflow_count && ok; k++)
        ok = join(arena, a, &b->overflow[k], &overflow[n++]);
    if (!ok || !join(arena, a, b, a))
        return QN_OOM();
    a->overflow = overflow;
    a->overflow_count = n;
    return NULL;
}

/* ---- the tokens around ---------------------------------------------------------------------------------------- */

static struct qn_item special_item(int32_t id, uint32_t type_id)
{
    return (struct qn_item){
        .token = {.id = id, .type_id = type_id, .word = -1, .sequence = -1, .special = true, .attended = true},
        .text = {"", 0},
    };
}

/* Tokens before and behind; -1: none. The parts that were cut off get them too. */
static qn_status wrap(struct qn_items *e, int32_t before, int32_t behind, uint32_t type_id, struct qn_arena *arena)
{
    for (size_t i = 0; i <= e->overflow_count; i++) {
        struct qn_items *part = i ? &e->overflow[i - 1] : e;
        struct qn_item *items = QN_ARENA_ARRAY(arena, struct qn_item, part->count + 2);
        size_t count = 0;
        if (!items)
            return QN_OOM();
        if (before >= 0)
            items[count++] = special_item(before, type_id);
        for (size_t k = 0; k < part->count; k++) {
            items[count] = part->items[k];
            items[count++].token.special = false;
        }
        if (behind >= 0)
            items[count++] = special_item(behind, type_id);
        part->items = items;
        part->count = count;
    }
    return NULL;
}

static void set_types(struct qn_items *e, uint32_t type_id, bool overflow)
{
    for (size_t i = 0; i < e->count; i++)
        e->items[i].token.type_id = type_id;
    for (size_t i = 0; overflow && i < e->overflow_count; i++)
        set_types(&e->overflow[i], type_id, false);
}

/* Items of parts that overlap (a stride) are the same memory: each part gets its own. */
static qn_status own(struct qn_items *e, struct qn_arena *arena)
{
    struct qn_items none = {0};
    for (size_t i = 0; i <= e->overflow_count; i++) {
        struct qn_items *part = i ? &e->overflow[i - 1] : e;
        if (!join(arena, part, &none, part))
            return QN_OOM();
    }
    return NULL;
}

/* ---- offsets without white space ------------------------------------------------------------------------------ */

static bool is_trimmed(uint32_t c)
{
    return c == 0x120 || qn_is_white(c); /* a space as the byte alphabet writes it */
}

static void count_white(struct qn_str text, uint32_t *leading, uint32_t *trailing)
{
    bool all = true;
    *leading = *trailing = 0;
    for (size_t at = 0; at < text.size;) {
        uint32_t c = 0xfffd;
        size_t size = qn_utf8_decode(text.data + at, text.size - at, &c);
        at += size ? size : 1;
        bool white = is_trimmed(c);
        all &= white;
        *leading += all;
        *trailing = white ? *trailing + 1 : 0;
    }
}

static void trim(struct qn_items *e, bool prefix_space)
{
    for (size_t i = 0; i < e->count; i++) {
        struct qn_encoded_token *token = &e->items[i].token;
        uint32_t leading, trailing;
        count_white(e->items[i].text, &leading, &trailing);
        if (leading) {
            bool put_by_us = (i == 0 || token->begin == 0) && prefix_space && leading == 1;
            uint32_t begin = token->begin + (put_by_us ? 0 : leading);
            token->begin = begin < token->end ? begin : token->end;
        }
        if (trailing && token->end >= trailing)
            token->end = token->end - trailing > token->begin ? token->end - trailing : token->begin;
    }
}

static void trim_all(struct qn_items *e, bool prefix_space)
{
    trim(e, prefix_space);
    for (size_t i = 0; i < e->overflow_count; i++)
        trim(&e->overflow[i], prefix_space);
}

/* ---- the post-processors -------------------------------------------------------------------------------------- */

/* Encodings on their way through the post-processors: a template turns two into many. */
struct sequence {
    struct qn_items *list;
    uint32_t count;
};

static qn_status apply_template(const struct qn_surround *s, struct sequence *e, bool special, struct qn_arena *arena)
{
    const struct qn_template *template = e->count == 2 ? &s->pair : &s->single;
    if (e->count > 2)
        return QN_ERROR(QN_UNSUPPORTED, "post_processor: a template behind a template");
    struct qn_items *list = QN_ARENA_ARRAY(arena, struct qn_items, template->count);
    if (!list)
        return QN_OOM();
    uint32_t count = 0;
    for (uint32_t i = 0; i < template->count; i++) {
        const struct qn_template_part *part = &template->parts[i];
        struct qn_items *to = &list[count];
        if (part->sequence >= (int32_t)e->count)
            return QN_ERROR(QN_INVALID_ARGUMENT, "post_processor: the template for one text names a second one");
        if (part->sequence >= 0) {
            *to = e->list[part->sequence];
            if (to->overflow_count) {
                to->overflow = QN_ARENA_ARRAY(arena, struct qn_items, to->overflow_count);
                if (!to->overflow)
                    return QN_OOM();
                memcpy(to->overflow, e->list[part->sequence].overflow, to->overflow_count * sizeof *to->overflow);
            }
            QN_TRY(own(to, arena));
            set_types(to, part->type_id, false);
            count++;
        } else if (special) {
            to->items = QN_ARENA_ARRAY(arena, struct qn_item, part->count);
            if (!to->items)
                return QN_OOM();
            to->count = part->count;
            for (uint32_t k = 0; k < part->count; k++)
                to->items[k] = special_item(part->ids[k], part->type_id);
            count++;
        }
    }
    *e = (struct sequence){list, count};
    return NULL;
}

static qn_status apply(const struct qn_surround *s, struct sequence *e, bool special, struct qn_arena *arena)
{
    if (s->kind == QN_SURROUND_TEMPLATE)
        return apply_template(s, e, special, arena);
    if (s->kind != QN_SURROUND_BERT && s->trim_offsets)
        for (uint32_t i = 0; i < e->count; i++)
            trim_all(&e->list[i], s->prefix_space);
    if (s->kind == QN_SURROUND_BYTE_LEVEL)
        return NULL;
    bool roberta = s->kind == QN_SURROUND_ROBERTA;
    for (uint32_t i = 0; i < e->count && roberta; i++)
        set_types(&e->list[i], 0, special);
    for (uint32_t i = 0; i < e->count && special; i++) {
        int32_t before = i == 0 ? s->first : roberta ? s->separator : -1;
        QN_TRY(wrap(&e->list[i], before, s->separator, i && !roberta, arena));
    }
    return NULL;
}

size_t qn_surround_added(const struct qn_pipeline *pipeline, bool pair)
{
    size_t added = 0;
    for (uint32_t i = 0; i < pipeline->surround_count; i++) {
        const struct qn_surround *s = &pipeline->surrounds[i];
        if (s->kind == QN_SURROUND_TEMPLATE)
            added += pair ? s->pair.added : s->single.added;
        else if (s->kind != QN_SURROUND_BYTE_LEVEL)
            added += !pair ? 2 : s->kind == QN_SURROUND_BERT ? 3 : 4;
    }
    return added;
}

qn_status qn_surround(const struct qn_pipeline *pipeline, struct qn_items *texts, uint32_t count, bool special,
                      struct qn_arena *arena, struct qn_items *out)
{
    struct sequence e = {texts, count};
    for (uint32_t i = 0; i < count; i++) {
        QN_TRY(own(&texts[i], arena));
        if (pipeline->has_surround)
            set_types(&texts[i], i, false);
    }
    for (uint32_t i = 0; i < pipeline->surround_count; i++)
        QN_TRY(apply(&pipeline->surrounds[i], &e, special, arena));
    *out = (struct qn_items){0};
    if (e.count)
        *out = e.list[0];
    for (uint32_t i = 1; i < e.count; i++)
        QN_TRY(append(out, &e.list[i], arena));
    return NULL;
}

/* ---- filling up ----------------------------------------------------------------------------------------------- */

static qn_status pad_one(struct qn_items *e, size_t length, const struct qn_padding *padding, struct qn_arena *arena)
{
    if (e->count >= length)
        return NULL;
    struct qn_item fill = special_item(padding->id, padding->type_id);
    struct qn_item *items = QN_ARENA_ARRAY(arena, struct qn_item, length);
    size_t fills = length - e->count, first = padding->left ? 0 : e->count;
    if (!items)
        return QN_OOM();
    fill.token.attended = false;
    if (e->count)
        memcpy(items + (padding->left ? fills : 0), e->items, e->count * sizeof *items);
    for (size_t i = 0; i < fills; i++)
        items[first + i] = fill;
    e->items = items;
    e->count = length;
    return NULL;
}

qn_status qn_pad(struct qn_items *e, const struct qn_padding *padding, struct qn_arena *arena)
{
    enum { LENGTH_MAX = 1 << 28 };
    size_t length = padding->length ? padding->length : e->count;
    if (padding->multiple_of && length % padding->multiple_of)
        length += padding->multiple_of - length % padding->multiple_of;
    if (length > LENGTH_MAX)
        return QN_ERROR(QN_OUT_OF_RANGE, "padding to %zu tokens", length);
    for (size_t i = 0; i < e->overflow_count; i++)
        QN_TRY(pad_one(&e->overflow[i], length, padding, arena));
    return pad_one(e, length, padding, arena);
}

/* ---- the result ----------------------------------------------------------------------------------------------- */

void qn_encoded_free(struct qn_encoded *e)
{
    const struct qn_allocator *allocator = e->allocator ? e->allocator : qn_allocator_default();
    for (size_t i = 0; i < e->overflow_count; i++)
        qn_encoded_free(&e->overflow[i]);
    qn_free(allocator, e->overflow, e->overflow_count * sizeof *e->overflow);
    qn_free(allocator, e->tokens, e->capacity * sizeof *e->tokens);
    *e = (struct qn_encoded){.allocator = e->allocator};
}

qn_status qn_items_give(const struct qn_items *items, struct qn_encoded *out)
{
    const struct qn_allocator *allocator = out->allocator ? out->allocator : qn_allocator_default();
    if (items->count) {
        out->tokens = qn_calloc(allocator, items->count, sizeof *out->tokens);
        if (!out->tokens)
            return QN_OOM();
    }
    out->count = out->capacity = items->count;
    for (size_t i = 0; i < items->count; i++)
        out->tokens[i] = items->items[i].token;
    if (items->overflow_count) {
        out->overflow = qn_calloc(allocator, items->overflow_count, sizeof *out->overflow);
        if (!out->overflow)
            return QN_OOM();
    }
    out->overflow_count = items->overflow_count;
    for (size_t i = 0; i < items->overflow_count; i++) {
        out->overflow[i].allocator = out->allocator;
        QN_TRY(qn_items_give(&items->overflow[i], &out->overflow[i]));
    }
    return NULL;
}
