/* Stop strings over a text that arrives in parts. Each string is followed by the automaton of Knuth, Morris and Pratt:
 * its state is the length of the longest beginning of the string that ends at the last byte, so the longest state of
 * all is what has to be held back. */
#include "base/arena.h"
#include "base/status.h"
#include "quern/tokenizer.h"

struct stop_string {
    const char *text;
    uint32_t size, state;
    uint32_t *failure; /* [k]: the longest proper beginning that also ends text[0 .. k] */
};

struct qn_stop {
    struct qn_arena arena;
    struct stop_string *strings;
    size_t count;
    struct qn_strbuf text; /* given out in the last call, then what is held back */
    size_t given;
    bool hit;
};

static void build_failure(struct stop_string *s)
{
    uint32_t state = 0;
    for (uint32_t i = 1; i < s->size; i++) {
        while (state && s->text[i] != s->text[state])
            state = s->failure[state - 1];
        state += s->text[i] == s->text[state];
        s->failure[i] = state;
    }
}

static qn_status add_string(struct qn_stop *stop, const char *text)
{
    size_t size = text ? strlen(text) : 0;
    if (size == 0 || size > UINT32_MAX)
        return QN_ERROR(QN_INVALID_ARGUMENT, "stop string %zu is empty", stop->count);
    struct stop_string *s = &stop->strings[stop->count++];
    s->text = qn_arena_str(&stop->arena, (struct qn_str){text, size}).data;
    s->size = (uint32_t)size;
    s->failure = QN_ARENA_ARRAY(&stop->arena, uint32_t, size);
    if (!s->text || !s->failure)
        return QN_OOM();
    build_failure(s);
    return NULL;
}

qn_status qn_stop_create(const char *const *strings, size_t count, const struct qn_allocator *allocator,
                         struct qn_stop **out)
{
    allocator = allocator ? allocator : qn_allocator_default();
    struct qn_stop *stop = qn_calloc(allocator, 1, sizeof *stop);
    if (!stop)
        return QN_OOM();
    qn_arena_init(&stop->arena, allocator);
    qn_strbuf_init(&stop->text, allocator);
    stop->strings = QN_ARENA_ARRAY(&stop->arena, struct stop_string, count);
    qn_status status = stop->strings ? NULL : QN_OOM();
    for (size_t i = 0; i < count && !status; i++)
        status = add_string(stop, strings[i]);
    if (status) {
        qn_stop_free(stop);
        return status;
    }
    *out = stop;
    return NULL;
}

void qn_stop_free(struct qn_stop *stop)
{
    if (!stop)
        return;
    const struct qn_allocator *allocator = stop->arena.allocator;
    qn_strbuf_deinit(&stop->text);
    qn_arena_deinit(&stop->arena);
    qn_free(allocator, stop, sizeof *stop);
}

/* Takes one byte; true when the string is complete. */
static bool advance(struct stop_string *s, char byte)
{
    while (s->state && byte != s->text[s->state])
        s->state = s->failure[s->state - 1];
    s->state += byte == s->text[s->state];
    return s->state == s->size;
}

/* Forgets what the last call gave out. */
static void drop_given(struct qn_stop *stop)
{
    if (stop->given)
        memmove(stop->text.data, stop->text.data + stop->given, stop->text.size - stop->given);
    stop->text.size -= stop->given;
    stop->given = 0;
}

/* Gives out all but the last `held` bytes: the caller sees a terminated text, so they move behind its terminator. */
static qn_status give(struct qn_stop *stop, size_t held, const char **out, size_t *out_size)
{
    size_t size = stop->text.size - held;
    qn_strbuf_append(&stop->text, "", 1);
    if (stop->text.failed)
        return QN_OOM();
    memmove(stop->text.data + size + 1, stop->text.data + size, held);
    stop->text.data[size] = 0;
    stop->given = size + 1;
    *out = stop->text.data;
    *out_size = size;
    return NULL;
}

qn_status qn_stop_push(struct qn_stop *stop, const char *text, size_t size, const char **out, size_t *out_size,
                       int32_t *hit)
{
    *hit = -1;
    drop_given(stop);
    size_t before = stop->text.size, held = 0;
    if (!stop->hit)
        qn_strbuf_append(&stop->text, text, size);
    if (stop->text.failed)
        return QN_OOM();
    for (size_t i = 0; i < size && !stop->hit; i++) {
        size_t longest = 0;
        for (size_t k = 0; k < stop->count; k++)
            if (advance(&stop->strings[k], text[i]) && stop->strings[k].size > longest) {
                longest = stop->strings[k].size; /* of several that end here, the one that begins first */
                *hit = (int32_t)k;
            }
        if (longest) {
            stop->hit = true;
            stop->text.size = before + i + 1 - longest;
        }
    }
    for (size_t k = 0; k < stop->count && !stop->hit; k++)
        held = stop->strings[k].state > held ? stop->strings[k].state : held;
    return give(stop, held, out, out_size);
}

void qn_stop_finish(struct qn_stop *stop, const char **out, size_t *out_size)
{
    drop_given(stop);
    *out_size = stop->text.size;
    *out = qn_strbuf_view(&stop->text).data;
    if (stop->text.data)
        stop->text.data[stop->text.size] = 0;
    stop->given = stop->text.size;
    stop->hit = false;
    for (size_t k = 0; k < stop->count; k++)
        stop->strings[k].state = 0;
}
