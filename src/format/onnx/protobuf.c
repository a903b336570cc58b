#include "format/onnx/protobuf.h"

#include <inttypes.h>
#include <string.h>

#include "base/checked.h"
#include "base/str.h"
#include "format/onnx/protobuf_write.h"

enum wire { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_GROUP = 3, WIRE_GROUP_END = 4, WIRE_32 = 5 };

static const char *const wire_names[8] = {"a varint",           "64 bits", "bytes",   "a group",
                                          "the end of a group", "32 bits", "nothing", "nothing"};

struct decoder {
    const uint8_t *base; /* of the outermost message, for offsets in words */
    struct qn_arena *arena;
    uint64_t budget; /* bytes that tables may still take */
    uint64_t size;   /* of the outermost message */
};

struct entry {
    uint32_t number;
    enum wire wire;
    uint64_t value;      /* VARINT, WIRE_32, WIRE_64 */
    const uint8_t *data; /* BYTES */
    uint64_t size;
    const uint8_t *start; /* of the tag */
};

/* ---- the wire ------------------------------------------------------------------------------------------------- */

/* NULL when the bytes end or the number takes more than 64 bits. */
static const uint8_t *read_varint(const uint8_t *at, const uint8_t *end, uint64_t *out)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70 && at < end; shift += 7) {
        uint8_t byte = *at++;
        if (shift == 63 && byte > 1)
            return NULL;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out = value;
            return at;
        }
    }
    return NULL;
}

static uint64_t read_fixed(const uint8_t *at, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++)
        value |= (uint64_t)at[i] << (8 * i);
    return value;
}

/* The entry at `at` < end; words of what is wrong in *bad when the result is NULL. */
static const uint8_t *read_entry(const uint8_t *at, const uint8_t *end, struct entry *out, const char **bad)
{
    uint64_t tag;
    *out = (struct entry){.start = at};
    at = read_varint(at, end, &tag);
    *bad = "a field's number is cut off or too large";
    if (!at || tag >> 3 == 0 || tag >> 3 > (1u << 29) - 1)
        return NULL;
    out->number = (uint32_t)(tag >> 3);
    out->wire = (enum wire)(tag & 7);
    switch (out->wire) {
    case WIRE_VARINT:
        *bad = "a varint is cut off or longer than 64 bits";
        return read_varint(at, end, &out->value);
    case WIRE_64:
    case WIRE_32: {
        unsigned bytes = out->wire == WIRE_64 ? 8 : 4;
        *bad = "a number is cut off";
        if ((uint64_t)(end - at) < bytes)
            return NULL;
        out->value = read_fixed(at, bytes);
        return at + bytes;
    }
    case WIRE_BYTES:
        *bad = "a length is cut off or longer than 64 bits";
        at = read_varint(at, end, &out->size);
        if (!at)
            return NULL;
        *bad = "a length reaches past the end of the message";
        if (out->size > (uint64_t)(end - at))
            return NULL;
        out->data = at;
        return at + out->size;
    case WIRE_GROUP:
    case WIRE_GROUP_END:
        *bad = "groups are not used in this format";
        return NULL;
    }
    *bad = "an unknown wire type";
    return NULL;
}

bool qn_pb_next(const uint8_t *data, uint64_t size, uint64_t *offset, struct qn_pb_span *out)
{
    struct entry entry;
    const char *bad;
    if (*offset >= size)
        return false;
    const uint8_t *next = read_entry(data + *offset, data + size, &entry, &bad);
    if (!next)
        return false;
    *out = (struct qn_pb_span){entry.number, entry.wire, entry.start, (uint64_t)(next - entry.start),
                               entry.data,   entry.size};
    *offset += out->whole;
    return true;
}

/* ---- fields --------------------------------------------------------------------------------------------------- */

static qn_status fail_entry(const struct decoder *d, const struct qn_pb_message *message, const struct entry *entry,
                            const char *bad)
{
    return QN_ERROR(QN_INVALID_FILE, "%s at byte %" PRIu64 ": %s", message->name, (uint64_t)(entry->start - d->base),
                    bad);
}

static enum wire wire_of(enum qn_pb_kind kind)
{
    switch (kind) {
    case QN_PB_I64:
    case QN_PB_I32:
    case QN_PB_I64S:
    case QN_PB_I32S:
        return WIRE_VARINT;
    case QN_PB_F32:
    case QN_PB_F32S:
    case QN_PB_FIXED32S:
        return WIRE_32;
    case QN_PB_FIXED64S:
        return WIRE_64;
    default:
        return WIRE_BYTES;
    }
}

static bool is_number_list(enum qn_pb_kind kind)
{
    return kind >= QN_PB_I64S;
}

static unsigned fixed_bytes(enum qn_pb_kind kind)
{
    return kind == QN_PB_FIXED64S ? 8 : 4;
}

/* Entries that a wire entry brings to its field; no decoding is needed: the last byte of a varint is below 0x80. */
static qn_status count_entry(const struct decoder *d, const struct qn_pb_message *message,
                             const struct qn_pb_field *field, const struct entry *entry, uint64_t *count)
{
    enum wire expected = wire_of(field->kind);
    *count = 1;
    if (entry->wire == expected)
        return NULL;
    if (entry->wire != WIRE_BYTES || !is_number_list(field->kind))
        return QN_ERROR(QN_INVALID_FILE, "%s at byte %" PRIu64 ": field '%s' (%" PRIu32 ") is %s, expected %s",
                        message->name, (uint64_t)(entry->start - d->base), field->name, field->number,
                        wire_names[entry->wire], wire_names[expected]);
    if (expected == WIRE_VARINT) {
        uint64_t ends = 0;
        for (uint64_t i = 0; i < entry->size; i++)
            ends += entry->data[i] < 0x80;
        *count = ends;
        if (entry->size && entry->data[entry->size - 1] >= 0x80)
            return fail_entry(d, message, entry, "the last of a list of varints is cut off");
        return NULL;
    }
    unsigned bytes = fixed_bytes(field->kind);
    *count = entry->size / bytes;
    if (entry->size % bytes)
        return QN_ERROR(QN_INVALID_FILE,
                        "%s at byte %" PRIu64 ": field '%s' has %" PRIu64 " bytes, no whole number of %u",
                        message->name, (uint64_t)(entry->start - d->base), field->name, entry->size, bytes);
    return NULL;
}

static const struct qn_pb_field *find_field(const struct qn_pb_message *message, uint32_t number)
{
    for (uint32_t i = 0; i < message->field_count; i++)
        if (message->fields[i].number == number)
            return &message->fields[i];
    return NULL;
}

/* Memory for a table: NULL with the status when there is none, or the file asks for more than its share. */
static qn_status take(struct decoder *d, uint64_t count, size_t size, size_t align, void **out)
{
    uint64_t bytes;
    if (!qn_mul_u64(count, size, &bytes) || bytes > d->budget)
        return QN_ERROR(QN_INVALID_FILE,
                        "%" PRIu64 " entries of nearly no bytes: tables would take more than %d times the %" PRIu64
                        " bytes of the message",
                        count, QN_PB_TABLE_FACTOR, d->size);
    d->budget -= bytes;
    *out = qn_arena_array(d->arena, (size_t)count, size, align);
    return *out ? NULL : QN_OOM();
}

static size_t item_size(const struct qn_pb_field *field)
{
    switch (field->kind) {
    case QN_PB_TEXTS:
        return sizeof(struct qn_str);
    case QN_PB_MESSAGES:
        return field->message->size;
    case QN_PB_I64S:
    case QN_PB_FIXED64S:
        return 8;
    default:
        return 4;
    }
}

struct list {
    uint8_t *items; /* in the arena; NULL where the field is a view or not repeated */
    uint64_t used;
};

/* Makes room for what has been counted. FIXED lists that stand packed in one piece stay where they are. */
static qn_status make_list(struct decoder *d, const struct qn_pb_field *field, uint64_t count, bool one_piece,
                           uint8_t *object, struct list *list)
{
    bool fixed = field->kind == QN_PB_FIXED32S || field->kind == QN_PB_FIXED64S;
    if (field->kind < QN_PB_TEXTS || !count || (fixed && one_piece))
        return NULL;
    void *items;
    QN_TRY(take(d, count, item_size(field), field->kind == QN_PB_MESSAGES ? field->message->align : 8, &items));
    list->items = items;
    if (fixed) {
        struct qn_onnx_bytes bytes = {items, count * item_size(field), false};
        memcpy(object + field->offset, &bytes, sizeof bytes);
    } else {
        memcpy(object + field->offset, &items, sizeof items);
    }
    return NULL;
}

static qn_status set_count(const struct qn_pb_message *message, const struct qn_pb_field *field, uint64_t count,
                           uint8_t *object)
{
    uint32_t small = (uint32_t)count;
    if (field->count_size == 4 && count > UINT32_MAX)
        return QN_ERROR(QN_INVALID_FILE, "%s: %" PRIu64 " entries of '%s'", message->name, count, field->name);
    if (field->count_size == 4)
        memcpy(object + field->count_offset, &small, sizeof small);
    else if (field->count_size == 8)
        memcpy(object + field->count_offset, &count, sizeof count);
    return NULL;
}

static void put_number(const struct qn_pb_field *field, struct list *list, uint64_t value)
{
    if (item_size(field) == 8) {
        memcpy(list->items + 8 * list->used++, &value, 8);
        return;
    }
    uint32_t low = (uint32_t)value; /* negative int32 are written as 64 bits */
    memcpy(list->items + 4 * list->used++, &low, 4);
}

static qn_status put_numbers(const struct decoder *d, const struct qn_pb_message *message,
                             const struct qn_pb_field *field, const struct entry *entry, struct list *list,
                             uint8_t *object)
{
    if (!list->items) { /* one piece, as it lies; empty pieces leave no trace */
        struct qn_onnx_bytes bytes = {entry->data, entry->size, true};
        if (entry->size)
            memcpy(object + field->offset, &bytes, sizeof bytes);
        return NULL;
    }
    if (entry->wire != WIRE_BYTES) {
        put_number(field, list, entry->value);
        return NULL;
    }
    if (wire_of(field->kind) != WIRE_VARINT) {
        if (entry->size)
            memcpy(list->items + list->used * item_size(field), entry->data, (size_t)entry->size);
        list->used += entry->size / item_size(field);
        return NULL;
    }
    const uint8_t *at = entry->data, *end = at + entry->size;
    while (at < end) {
        uint64_t value;
        at = read_varint(at, end, &value);
        if (!at)
            return fail_entry(d, message, entry, "a varint is longer than 64 bits");
        put_number(field, list, value);
    }
    return NULL;
}

/* ---- messages ------------------------------------------------------------------------------------------------- */

static qn_status decode(struct decoder *d, const struct qn_pb_message *message, const uint8_t *data, uint64_t size,
                        uint8_t *object, uint32_t depth);

static qn_status decode_inner(struct decoder *d, const struct qn_pb_field *field, const struct entry *entry,
                              struct list *list, uint8_t *object, uint32_t depth)
{
    const struct qn_pb_message *inner = field->message;
    uint8_t *target = object;
    if (depth >= QN_PB_MAX_DEPTH)
        return QN_ERROR(QN_INVALID_FILE, "%s at byte %" PRIu64 ": messages nest deeper than %d", inner->name,
                        (uint64_t)(entry->start - d->base), QN_PB_MAX_DEPTH);
    if (field->kind == QN_PB_MESSAGE) {
        target = object + field->offset;
        memset(target, 0, inner->size);
    } else if (field->kind == QN_PB_POINTER) {
        void *made;
        QN_TRY(take(d, 1, inner->size, inner->align, &made));
        memcpy(object + field->offset, &made, sizeof made);
        target = made;
    } else if (field->kind == QN_PB_MESSAGES) {
        uint64_t index = list->used++;
        target = list->items + index * inner->size;
        return qn_status_note(decode(d, inner, entry->data, entry->size, target, depth + 1), "%s[%" PRIu64 "]",
                              field->name, index);
    }
    return decode(d, inner, entry->data, entry->size, target, depth + 1);
}

static qn_status put_entry(struct decoder *d, const struct qn_pb_message *message, const struct qn_pb_field *field,
                           const struct entry *entry, struct list *list, uint8_t *object, uint32_t depth)
{
    struct qn_str text = {(const char *)entry->data, (size_t)entry->size};
    struct qn_onnx_bytes bytes = {entry->data, entry->size, true};
    uint32_t low = (uint32_t)entry->value;
    switch (field->kind) {
    case QN_PB_I64:
        memcpy(object + field->offset, &entry->value, sizeof entry->value);
        return NULL;
    case QN_PB_I32:
    case QN_PB_F32:
        memcpy(object + field->offset, &low, sizeof low);
        return NULL;
    case QN_PB_TEXT:
        memcpy(object + field->offset, &text, sizeof text);
        return NULL;
    case QN_PB_BYTES:
        memcpy(object + field->offset, &bytes, sizeof bytes);
        return NULL;
    case QN_PB_SEEN:
        return NULL;
    case QN_PB_TEXTS:
        memcpy(list->items + list->used++ * sizeof text, &text, sizeof text);
        return NULL;
    case QN_PB_MESSAGE:
    case QN_PB_INLINE:
    case QN_PB_POINTER:
    case QN_PB_MESSAGES:
        return decode_inner(d, field, entry, list, object, depth);
    default:
        return put_numbers(d, message, field, entry, list, object);
    }
}

struct tally {
    uint64_t counts[QN_PB_MAX_FIELDS];
    bool pieces[QN_PB_MAX_FIELDS]; /* more than one wire entry with content, or one that is not packed */
};

static qn_status count_fields(const struct decoder *d, const struct qn_pb_message *message, const uint8_t *at,
                              const uint8_t *end, struct tally *tally)
{
    struct entry entry;
    const char *bad;
    while (at < end) {
        at = read_entry(at, end, &entry, &bad);
        if (!at)
            return fail_entry(d, message, &entry, bad);
        const struct qn_pb_field *field = find_field(message, entry.number);
        if (!field)
            continue;
        size_t index = (size_t)(field - message->fields);
        uint64_t count;
        QN_TRY(count_entry(d, message, field, &entry, &count));
        if (count && (tally->counts[index] || entry.wire != WIRE_BYTES))
            tally->pieces[index] = true;
        tally->counts[index] += count;
    }
    return NULL;
}

/* Texts that the message leaves out are empty, never NULL: readers may walk and point into any of them. */
static void clear_texts(const struct qn_pb_message *message, uint8_t *object)
{
    static const struct qn_str empty = {"", 0};
    for (uint32_t i = 0; i < message->field_count; i++) {
        const struct qn_pb_field *field = &message->fields[i];
        if (field->kind == QN_PB_TEXT)
            memcpy(object + field->offset, &empty, sizeof empty);
        else if (field->kind == QN_PB_MESSAGE)
            clear_texts(field->message, object + field->offset);
    }
}

static qn_status decode(struct decoder *d, const struct qn_pb_message *message, const uint8_t *data, uint64_t size,
                        uint8_t *object, uint32_t depth)
{
    struct tally tally = {0};
    struct list lists[QN_PB_MAX_FIELDS] = {0};
    const uint8_t *at = data, *end = size ? data + size : data;
    clear_texts(message, object);
    QN_TRY(count_fields(d, message, at, end, &tally));
    for (uint32_t i = 0; i < message->field_count; i++) {
        const struct qn_pb_field *field = &message->fields[i];
        QN_TRY(make_list(d, field, tally.counts[i], !tally.pieces[i], object, &lists[i]));
        if (field->kind >= QN_PB_TEXTS)
            QN_TRY(set_count(message, field, tally.counts[i], object));
    }
    while (at < end) {
        struct entry entry;
        const char *bad;
        at = read_entry(at, end, &entry, &bad);
        if (!at)
            return fail_entry(d, message, &entry, bad);
        const struct qn_pb_field *field = find_field(message, entry.number);
        if (field)
            QN_TRY(put_entry(d, message, field, &entry, &lists[field - message->fields], object, depth));
    }
    return message->finish ? message->finish(object, tally.counts) : NULL;
}

qn_status qn_pb_decode(const struct qn_pb_message *message, const void *data, uint64_t size, struct qn_arena *arena,
                       void *out)
{
    struct decoder d = {.base = data, .arena = arena, .size = size};
    if (!qn_mul_u64(size, QN_PB_TABLE_FACTOR, &d.budget) || !qn_add_u64(d.budget, QN_PB_TABLE_FLOOR, &d.budget))
        d.budget = UINT64_MAX;
    return decode(&d, message, data, size, out, 0);
}
