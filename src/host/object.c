#include "host/object.h"

#include <string.h>

#include "base/arena.h"
#include "base/checked.h"
#include "platform/pages.h"

enum {
    ALIGN = 64,
    SMALLEST = 64,         /* bytes of the smallest block */
    CLASSES = 4 * 58,      /* four sizes an octave */
    TEXT_CHUNK = 64 << 10, /* bytes */
    ASK_FROM = 256 << 20,  /* bytes that a store may hold before it asks the system what is left */
};

/* Stands before a block; the block begins ALIGN bytes after it. */
struct header {
    struct header *next; /* of the free blocks of its class */
    void *memory;        /* what the allocator gave */
    size_t memory_bytes;
    uint32_t class;
};
_Static_assert(sizeof(struct header) <= ALIGN, "a block's header fits in front of it");

struct text {
    struct text *next;
    size_t room, used;
    char data[];
};

struct qn_store {
    const struct qn_allocator *allocator;
    struct header *free[CLASSES];
    struct text *texts, *text; /* all chunks, and the one being filled */
    uint64_t held, limit;      /* bytes */
};

qn_status qn_store_create(const struct qn_allocator *allocator, struct qn_store **out)
{
    if (!allocator)
        allocator = qn_allocator_default();
    struct qn_store *store = qn_calloc(allocator, 1, sizeof *store);
    if (!store)
        return QN_OOM();
    store->allocator = allocator;
    store->limit = ASK_FROM;
    *out = store;
    return NULL;
}

void qn_store_destroy(struct qn_store *store)
{
    if (!store)
        return;
    for (uint32_t i = 0; i < CLASSES; i++)
        for (struct header *block = store->free[i], *next; block; block = next) {
            next = block->next;
            qn_free(store->allocator, block->memory, block->memory_bytes);
        }
    for (struct text *text = store->texts, *next; text; text = next) {
        next = text->next;
        qn_free(store->allocator, text, sizeof *text + text->room);
    }
    qn_free(store->allocator, store, sizeof *store);
}

/* The class whose blocks have at least `bytes`, and the bytes that they have: four steps an octave. */
static uint32_t class_of(uint64_t bytes, uint64_t *room)
{
    if (bytes <= SMALLEST) {
        *room = SMALLEST;
        return 0;
    }
    uint32_t octave = 63 - (uint32_t)__builtin_clzll(bytes - 1); /* 2^octave < bytes <= 2^(octave + 1) */
    uint64_t quarter = (uint64_t)1 << (octave - 2), base = (uint64_t)1 << octave;
    uint64_t step = (bytes - base + quarter - 1) / quarter; /* 1 to 4 */
    *room = base + step * quarter;
    return (octave - 6) * 4 + (uint32_t)step;
}

/* Whether the store may have `size` more bytes: it asks the system each time it has grown by what was left, in halves,
 * since others take memory as well. */
static bool may_hold(struct qn_store *store, uint64_t size)
{
    if (store->held + size <= store->limit)
        return true;
    uint64_t left = qn_memory_left();
    if (size > left)
        return false;
    store->limit = store->held + size + (left - size) / 2;
    return true;
}

void *qn_store_take(struct qn_store *store, uint64_t bytes)
{
    uint64_t room;
    if (bytes > INT64_MAX / 2)
        return NULL;
    uint32_t class = class_of(bytes, &room);
    struct header *found = store->free[class];
    if (found) { /* of this class alone: else equal runs would not find equal blocks */
        store->free[class] = found->next;
        return (char *)found + ALIGN;
    }
    size_t size = (size_t)room + 2 * ALIGN; /* the allocator aligns to 16 bytes only */
    char *memory = may_hold(store, size) ? qn_alloc(store->allocator, size) : NULL;
    if (!memory)
        return NULL;
    store->held += size;
    struct header *block = (void *)(((uintptr_t)memory + ALIGN - 1) & ~(uintptr_t)(ALIGN - 1));
    *block = (struct header){.memory = memory, .memory_bytes = size, .class = class};
    return (char *)block + ALIGN;
}

void qn_store_give(struct qn_store *store, void *block)
{
    if (!block)
        return;
    struct header *header = (void *)((char *)block - ALIGN);
    header->next = store->free[header->class];
    store->free[header->class] = header;
}

char *qn_store_text(struct qn_store *store, size_t size)
{
    while (store->text && store->text->room - store->text->used < size && store->text->next) {
        store->text = store->text->next;
        store->text->used = 0;
    }
    if (!store->text || store->text->room - store->text->used < size) {
        size_t room = size > TEXT_CHUNK ? size : TEXT_CHUNK, bytes;
        struct text *text = qn_add_size(room, sizeof *text, &bytes) ? qn_alloc(store->allocator, bytes) : NULL;
        if (!text)
            return NULL;
        *text = (struct text){.room = room};
        store->held += bytes;
        if (store->text)
            store->text->next = text;
        else
            store->texts = text;
        store->text = text;
    }
    char *at = store->text->data + store->text->used;
    store->text->used += size;
    return at;
}

void qn_store_reset(struct qn_store *store)
{
    store->text = store->texts;
    if (store->text)
        store->text->used = 0;
}

uint64_t qn_store_bytes(const struct qn_store *store)
{
    return store->held;
}

/* ---- objects -------------------------------------------------------------------------------------------------- */

static struct qn_object *new_object(struct qn_store *store, enum qn_object_kind kind)
{
    struct qn_object *object = qn_store_take(store, sizeof *object);
    if (object)
        *object = (struct qn_object){.references = 1, .kind = kind, .store = store};
    return object;
}

qn_status qn_object_tensor(struct qn_store *store, qn_dtype dtype, uint32_t rank, const int64_t *dims,
                           struct qn_object **out)
{
    const struct qn_dtype_info *info = qn_dtype_info(dtype);
    if (!info->name || rank > 8)
        return QN_ERROR(QN_INTERNAL, "a tensor of dtype %d and rank %u", (int)dtype, rank);
    struct qn_view view = {.dtype = dtype, .rank = rank};
    uint64_t units = 1;
    for (uint32_t i = rank; i-- > 0;) {
        if (dims[i] < 0)
            return QN_ERROR(QN_INVALID_ARGUMENT, "a tensor with a size of %lld", (long long)dims[i]);
        view.dims[i] = dims[i];
        view.strides[i] = (int64_t)units;
        uint64_t count = (uint64_t)dims[i];
        if (i + 1 == rank && info->block_elems > 1)
            count = (count + info->block_elems - 1) / info->block_elems;
        if (!qn_mul_u64(units, count, &units) || units > INT64_MAX)
            return QN_ERROR(QN_OUT_OF_MEMORY, "a tensor's size overflows");
    }
    uint64_t bytes;
    if (!qn_mul_u64(units, info->block_bytes, &bytes))
        return QN_ERROR(QN_OUT_OF_MEMORY, "a tensor's size overflows");
    struct qn_object *object = new_object(store, QN_OBJECT_TENSOR);
    if (!object)
        return QN_OOM();
    object->tensor = view;
    if (bytes && !(object->tensor.data = qn_store_take(store, bytes))) {
        qn_object_release(object);
        return QN_ERROR(QN_OUT_OF_MEMORY, "no memory for a tensor of %.1f MiB", (double)bytes / (1 << 20));
    }
    *out = object;
    return NULL;
}

qn_status qn_object_borrow(struct qn_store *store, const struct qn_view *tensor, struct qn_object **out)
{
    struct qn_object *object = new_object(store, QN_OBJECT_TENSOR);
    if (!object)
        return QN_OOM();
    object->tensor = *tensor;
    object->borrowed = true;
    *out = object;
    return NULL;
}

qn_status qn_object_group(struct qn_store *store, enum qn_object_kind kind, struct qn_object *const *items,
                          uint32_t count, struct qn_object **out)
{
    struct qn_object *object = new_object(store, kind);
    if (!object)
        return QN_OOM();
    if (count && !(object->items = qn_store_take(store, (uint64_t)count * sizeof(struct qn_object *)))) {
        qn_object_release(object);
        return QN_OOM();
    }
    object->count = count;
    for (uint32_t i = 0; i < count; i++)
        object->items[i] = qn_object_hold(items[i]);
    *out = object;
    return NULL;
}

struct qn_object *qn_object_hold(struct qn_object *object)
{
    if (object)
        object->references++;
    return object;
}

void qn_object_release(struct qn_object *object)
{
    if (!object || --object->references > 0)
        return;
    struct qn_store *store = object->store;
    if (!object->borrowed)
        qn_store_give(store, object->tensor.data);
    for (uint32_t i = 0; i < object->count; i++)
        qn_object_release(object->items[i]);
    qn_store_give(store, object->items);
    qn_store_give(store, object);
}
