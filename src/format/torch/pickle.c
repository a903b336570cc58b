#include "format/torch/pickle.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/array.h"

typedef struct qn_pickle_value value;

enum { MAX_MEMO = 1 << 24 };

struct reader {
    const uint8_t *data;
    uint64_t size, at, op; /* op: position of the opcode under way */
    struct qn_arena *arena;
    QN_ARRAY(value *) stack; /* NULL is a mark */
    QN_ARRAY(value *) memo;
    bool done;
};

/* ---- errors and bytes ----------------------------------------------------------------------------------------- */

static qn_status bad(const struct reader *r, const char *what)
{
    return QN_ERROR(QN_INVALID_FILE, "pickle: %s, at byte %" PRIu64, what, r->op);
}

static qn_status take(struct reader *r, uint64_t count, const uint8_t **out)
{
    if (count > r->size - r->at)
        return QN_ERROR(QN_INVALID_FILE, "pickle: cut off at byte %" PRIu64, r->size);
    *out = r->data + r->at;
    r->at += count;
    return NULL;
}

static qn_status take_uint(struct reader *r, uint32_t bytes, uint64_t *out)
{
    const uint8_t *p;
    QN_TRY(take(r, bytes, &p));
    *out = 0;
    for (uint32_t i = bytes; i-- > 0;)
        *out = *out << 8 | p[i];
    return NULL;
}

/* Up to a line's end, which is passed over. */
static qn_status take_line(struct reader *r, struct qn_str *out)
{
    const uint8_t *start = r->data + r->at;
    const uint8_t *end = r->size > r->at ? memchr(start, '\n', (size_t)(r->size - r->at)) : NULL;
    if (!end)
        return QN_ERROR(QN_INVALID_FILE, "pickle: cut off at byte %" PRIu64, r->size);
    *out = (struct qn_str){(const char *)start, (size_t)(end - start)};
    r->at += out->size + 1;
    return NULL;
}

/* ---- values --------------------------------------------------------------------------------------------------- */

static value *new_value(struct reader *r, enum qn_pickle_kind kind)
{
    value *v = QN_ARENA_NEW(r->arena, value);
    if (v)
        v->kind = kind;
    return v;
}

static qn_status push(struct reader *r, value *v)
{
    return v && qn_array_push(&r->stack, r->arena->allocator, v) ? NULL : QN_OOM();
}

static qn_status push_mark(struct reader *r)
{
    return qn_array_push(&r->stack, r->arena->allocator, NULL) ? NULL : QN_OOM();
}

/* The top, which is no mark. */
static qn_status top(struct reader *r, value **out)
{
    if (r->stack.count == 0 || !r->stack.items[r->stack.count - 1])
        return bad(r, "a value is missing");
    *out = r->stack.items[r->stack.count - 1];
    return NULL;
}

static qn_status pop(struct reader *r, value **out)
{
    QN_TRY(top(r, out));
    r->stack.count--;
    return NULL;
}

/* Where the values above the last mark begin. */
static qn_status find_mark(struct reader *r, uint32_t *first)
{
    uint32_t at = r->stack.count;
    while (at && r->stack.items[at - 1])
        at--;
    if (at == 0)
        return bad(r, "a mark is missing");
    *first = at;
    return NULL;
}

static qn_status append(struct reader *r, value *list, value *item)
{
    struct qn_pickle_cell *cell = QN_ARENA_NEW(r->arena, struct qn_pickle_cell);
    if (!cell)
        return QN_OOM();
    cell->value = item;
    if (list->items.last)
        list->items.last->next = cell;
    else
        list->items.first = cell;
    list->items.last = cell;
    list->items.count++;
    return NULL;
}

/* A tuple of the stack's values from `first`; a mark below them goes, too. */
static qn_status make_tuple(struct reader *r, uint32_t first, bool marked)
{
    value *tuple = new_value(r, QN_PICKLE_LIST);
    if (!tuple)
        return QN_OOM();
    for (uint32_t i = first; i < r->stack.count; i++)
        QN_TRY(append(r, tuple, r->stack.items[i]));
    r->stack.count = first - marked;
    return push(r, tuple);
}

static qn_status make_small_tuple(struct reader *r, uint32_t count)
{
    if (r->stack.count < count)
        return bad(r, "a value is missing");
    for (uint32_t i = 0; i < count; i++)
        if (!r->stack.items[r->stack.count - 1 - i])
            return bad(r, "a value is missing");
    return make_tuple(r, r->stack.count - count, false);
}

/* Appends what stands above `first` to the list, or the dictionary, below it. */
static qn_status extend(struct reader *r, uint32_t first, bool marked, enum qn_pickle_kind kind)
{
    uint32_t below = first - marked;
    value *target = below ? r->stack.items[below - 1] : NULL;
    if (!target || target->kind != kind || (kind == QN_PICKLE_DICT && (r->stack.count - first) % 2))
        return bad(r, "items for something that takes none");
    for (uint32_t i = first; i < r->stack.count; i++)
        QN_TRY(append(r, target, r->stack.items[i]));
    r->stack.count = below;
    return NULL;
}

static value *item_at(const value *list, uint32_t index)
{
    const struct qn_pickle_cell *cell =
        list->kind == QN_PICKLE_LIST && index < list->items.count ? list->items.first : NULL;
    for (; cell && index; index--)
        cell = cell->next;
    return cell ? cell->value : NULL;
}

/* ---- numbers and texts ---------------------------------------------------------------------------------------- */

static qn_status push_int(struct reader *r, int64_t number)
{
    value *v = new_value(r, QN_PICKLE_INT);
    if (v)
        v->integer = number;
    return push(r, v);
}

/* Two's complement of any length, the lowest byte first. */
static qn_status push_long(struct reader *r, uint64_t bytes)
{
    const uint8_t *p;
    QN_TRY(take(r, bytes, &p));
    if (bytes > 8) {
        value *v = new_value(r, QN_PICKLE_LARGE);
        if (v)
            v->text = (struct qn_str){(const char *)p, (size_t)bytes};
        return push(r, v);
    }
    uint64_t number = 0;
    for (uint64_t i = bytes; i-- > 0;)
        number = number << 8 | p[i];
    if (bytes && bytes < 8 && p[bytes - 1] & 0x80)
        number |= ~UINT64_C(0) << 8 * bytes;
    return push_int(r, (int64_t)number);
}

static qn_status push_double(struct reader *r)
{
    const uint8_t *p;
    uint64_t bits = 0;
    QN_TRY(take(r, 8, &p));
    for (int i = 0; i < 8; i++)
        bits = bits << 8 | p[i];
    value *v = new_value(r, QN_PICKLE_FLOAT);
    if (v)
        memcpy(&v->number, &bits, sizeof bits);
    return push(r, v);
}

static qn_status push_text(struct reader *r, uint32_t length_bytes)
{
    uint64_t size;
    const uint8_t *p;
    QN_TRY(take_uint(r, length_bytes, &size));
    QN_TRY(take(r, size, &p));
    value *v = new_value(r, QN_PICKLE_TEXT);
    if (v)
        v->text = (struct qn_str){(const char *)p, (size_t)size};
    return push(r, v);
}

/* ---- what may be called --------------------------------------------------------------------------------------- */

static bool is_global(const value *v, const char *module, const char *name)
{
    return v && v->kind == QN_PICKLE_GLOBAL && qn_str_is(v->global.module, module) && qn_str_is(v->global.name, name);
}

static const struct {
    const char *storage, *type; /* torch.FloatStorage, torch.float32 */
    qn_dtype dtype;
} types[] = {
    {"FloatStorage", "float32", QN_DTYPE_F32},
    {"DoubleStorage", "float64", QN_DTYPE_F64},
    {"HalfStorage", "float16", QN_DTYPE_F16},
    {"BFloat16Storage", "bfloat16", QN_DTYPE_BF16},
    {"LongStorage", "int64", QN_DTYPE_I64},
    {"IntStorage", "int32", QN_DTYPE_I32},
    {"ShortStorage", "int16", QN_DTYPE_I16},
    {"CharStorage", "int8", QN_DTYPE_I8},
    {"ByteStorage", "uint8", QN_DTYPE_U8},
    {"BoolStorage", "bool", QN_DTYPE_BOOL},
    {"ComplexFloatStorage", "complex64", QN_DTYPE_C64},
    {"ComplexDoubleStorage", "complex128", QN_DTYPE_C128},
    {"UntypedStorage", "uint8", QN_DTYPE_U8},
    {NULL, "uint16", QN_DTYPE_U16},
    {NULL, "uint32", QN_DTYPE_U32},
    {NULL, "uint64", QN_DTYPE_U64},
    {NULL, "float8_e4m3fn", QN_DTYPE_F8E4M3FN},
    {NULL, "float8_e5m2", QN_DTYPE_F8E5M2},
    {NULL, "float8_e4m3fnuz", QN_DTYPE_F8E4M3FNUZ},
    {NULL, "float8_e5m2fnuz", QN_DTYPE_F8E5M2FNUZ},
    {NULL, "float8_e8m0fnu", QN_DTYPE_F8E8M0},
};

static qn_dtype type_of(const value *v, bool storage)
{
    if (!v || v->kind != QN_PICKLE_GLOBAL ||
        !(qn_str_is(v->global.module, "torch") || qn_str_is(v->global.module, "torch.storage")))
        return QN_DTYPE_NONE;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        const char *name = storage ? types[i].storage : types[i].type;
        if (name && qn_str_is(v->global.name, name))
            return types[i].dtype;
    }
    return QN_DTYPE_NONE;
}

static const char *const allowed[][2] = {
    {"collections", "OrderedDict"},
    {"torch._utils", "_rebuild_tensor"},
    {"torch._utils", "_rebuild_tensor_v2"},
    {"torch._utils", "_rebuild_tensor_v3"},
    {"torch._utils", "_rebuild_parameter"},
    {"torch._tensor", "_rebuild_from_type_v2"},
    {"torch", "Tensor"},
    {"torch.nn.parameter", "Parameter"},
    {"torch.nn.parameter", "Buffer"},
    {"torch", "Size"},
    {"torch", "device"},
    {"torch.serialization", "_get_layout"},
};

static qn_status push_global(struct reader *r, struct qn_str module, struct qn_str name)
{
    value *v = new_value(r, QN_PICKLE_GLOBAL);
    if (!v)
        return QN_OOM();
    v->global.module = module;
    v->global.name = name;
    bool known = type_of(v, true) || type_of(v, false);
    for (size_t i = 0; i < sizeof allowed / sizeof allowed[0] && !known; i++)
        known = is_global(v, allowed[i][0], allowed[i][1]);
    if (known)
        return push(r, v);
    char shown[2][64];
    struct qn_str texts[2] = {module, name};
    for (int k = 0; k < 2; k++) { /* bytes of a hostile file do not go to a terminal */
        size_t size = texts[k].size < 63 ? texts[k].size : 63;
        for (size_t i = 0; i < size; i++)
            shown[k][i] = texts[k].data[i] > 32 && texts[k].data[i] < 127 ? texts[k].data[i] : '?';
        shown[k][size] = 0;
    }
    return QN_ERROR(QN_UNSUPPORTED,
                    "pickle: it asks for '%s' of module '%s', at byte %" PRIu64
                    "; only tensors are read, and nothing is executed",
                    shown[1], shown[0], r->op);
}

static bool read_index(const value *v, uint64_t *out)
{
    if (!v || v->kind != QN_PICKLE_INT || v->integer < 0)
        return false;
    *out = (uint64_t)v->integer;
    return true;
}

/* storage, offset, size, stride; _rebuild_tensor_v3 has a dtype as the seventh. */
static qn_status rebuild_tensor(struct reader *r, const value *args, bool v3, value **out)
{
    const value *storage = item_at(args, 0), *size = item_at(args, 2), *stride = item_at(args, 3);
    value *t = new_value(r, QN_PICKLE_TENSOR);
    if (!t)
        return QN_OOM();
    bool ok = storage && storage->kind == QN_PICKLE_STORAGE && read_index(item_at(args, 1), &t->tensor.offset) &&
              size && size->kind == QN_PICKLE_LIST && stride && stride->kind == QN_PICKLE_LIST &&
              size->items.count == stride->items.count;
    if (ok && size->items.count > QN_PICKLE_MAX_RANK)
        return QN_ERROR(QN_UNSUPPORTED,
                        "pickle: a tensor of %u dimensions, at byte %" PRIu64 "; at most %d can be read",
                        size->items.count, r->op, QN_PICKLE_MAX_RANK);
    for (uint32_t i = 0; ok && i < size->items.count; i++)
        ok = read_index(item_at(size, i), &t->tensor.dims[i]) && read_index(item_at(stride, i), &t->tensor.strides[i]);
    if (!ok)
        return bad(r, "the parts of a tensor are no storage, offset, size and stride");
    t->tensor.rank = size->items.count;
    t->tensor.storage = &storage->storage;
    t->tensor.dtype = v3 ? type_of(item_at(args, 6), false) : storage->storage.dtype;
    if (!t->tensor.dtype)
        return bad(r, "a tensor of a type that is not known");
    *out = t;
    return NULL;
}

static qn_status ordered_dict(struct reader *r, const value *args, value **out)
{
    *out = new_value(r, QN_PICKLE_DICT);
    if (!*out)
        return QN_OOM();
    const value *pairs = item_at(args, 0);
    if (pairs && pairs->kind != QN_PICKLE_LIST)
        return bad(r, "an OrderedDict of something else than pairs");
    for (const struct qn_pickle_cell *cell = pairs ? pairs->items.first : NULL; cell; cell = cell->next) {
        value *key = item_at(cell->value, 0), *item = item_at(cell->value, 1);
        if (!key || !item)
            return bad(r, "an OrderedDict of something else than pairs");
        QN_TRY(append(r, *out, key));
        QN_TRY(append(r, *out, item));
    }
    return NULL;
}

static qn_status call(struct reader *r, const value *function, const value *args, value **out)
{
    if (args->kind != QN_PICKLE_LIST)
        return bad(r, "arguments that are no tuple");
    if (is_global(function, "torch._tensor", "_rebuild_from_type_v2")) { /* function, type, arguments, state */
        function = item_at(args, 0);
        args = item_at(args, 2);
        if (!args || args->kind != QN_PICKLE_LIST)
            return bad(r, "arguments that are no tuple");
    }
    if (is_global(function, "collections", "OrderedDict"))
        return ordered_dict(r, args, out);
    if (is_global(function, "torch._utils", "_rebuild_tensor") ||
        is_global(function, "torch._utils", "_rebuild_tensor_v2"))
        return rebuild_tensor(r, args, false, out);
    if (is_global(function, "torch._utils", "_rebuild_tensor_v3"))
        return rebuild_tensor(r, args, true, out);
    bool first = is_global(function, "torch._utils", "_rebuild_parameter") || is_global(function, "torch", "Size");
    if (first) {
        *out = item_at(args, 0);
        return *out ? NULL : bad(r, "a call without arguments");
    }
    if (is_global(function, "torch", "device") || is_global(function, "torch.serialization", "_get_layout")) {
        *out = new_value(r, QN_PICKLE_NONE);
        return *out ? NULL : QN_OOM();
    }
    if (function && function->kind == QN_PICKLE_GLOBAL)
        return QN_ERROR(QN_UNSUPPORTED, "pickle: it calls '%.*s.%.*s', at byte %" PRIu64 "; nothing is executed",
                        QN_STR_ARG(function->global.module), QN_STR_ARG(function->global.name), r->op);
    return bad(r, "a call of something that is no function");
}

static qn_status reduce(struct reader *r)
{
    value *args, *function, *result = NULL;
    QN_TRY(pop(r, &args));
    QN_TRY(pop(r, &function));
    QN_TRY(call(r, function, args, &result));
    return push(r, result);
}

/* ('storage', type, key, location, elements[, view]) */
static qn_status persistent(struct reader *r)
{
    value *id, *v = new_value(r, QN_PICKLE_STORAGE);
    QN_TRY(pop(r, &id));
    if (!v)
        return QN_OOM();
    const value *tag = item_at(id, 0), *key = item_at(id, 2), *view = item_at(id, 5);
    v->storage.dtype = type_of(item_at(id, 1), true);
    if (!tag || tag->kind != QN_PICKLE_TEXT || !qn_str_is(tag->text, "storage") || !key ||
        key->kind != QN_PICKLE_TEXT || !v->storage.dtype || !read_index(item_at(id, 4), &v->storage.count))
        return bad(r, "a persistent id that is no storage of a known type");
    v->storage.key = key->text;
    if (view && view->kind == QN_PICKLE_LIST &&
        (!read_index(item_at(view, 1), &v->storage.offset) || !read_index(item_at(view, 2), &v->storage.count)))
        return bad(r, "a view of a storage without offset and size");
    return push(r, v);
}

/* State of an object that was made: attributes such as _metadata, which say nothing of tensors. */
static qn_status build(struct reader *r)
{
    value *state, *object;
    QN_TRY(pop(r, &state));
    QN_TRY(top(r, &object));
    if (object->kind == QN_PICKLE_DICT || object->kind == QN_PICKLE_TENSOR)
        return NULL;
    return bad(r, "state for an object that is not known");
}

/* ---- the machine ---------------------------------------------------------------------------------------------- */

static qn_status put_memo(struct reader *r, uint64_t index)
{
    value *v;
    QN_TRY(top(r, &v));
    if (index > r->size || index >= MAX_MEMO) /* each takes an opcode of its own */
        return bad(r, "a memo number that is too large");
    if (!qn_array_reserve(&r->memo, r->arena->allocator, index + 1))
        return QN_OOM();
    while (r->memo.count <= index)
        r->memo.items[r->memo.count++] = NULL;
    r->memo.items[index] = v;
    return NULL;
}

static qn_status get_memo(struct reader *r, uint64_t index)
{
    if (index >= r->memo.count || !r->memo.items[index])
        return bad(r, "a memo that was never stored");
    return push(r, r->memo.items[index]);
}

static qn_status read_memo(struct reader *r, uint32_t bytes, bool put)
{
    uint64_t index;
    QN_TRY(take_uint(r, bytes, &index));
    return put ? put_memo(r, index) : get_memo(r, index);
}

static qn_status push_simple(struct reader *r, enum qn_pickle_kind kind, bool boolean)
{
    value *v = new_value(r, kind);
    if (v && kind == QN_PICKLE_BOOL)
        v->boolean = boolean;
    return push(r, v);
}

static qn_status step_structure(struct reader *r, uint8_t op)
{
    uint32_t first;
    value *v, *w;
    switch (op) {
    case '(':
        return push_mark(r);
    case ')':
    case ']':
        return push_simple(r, QN_PICKLE_LIST, false);
    case '}':
        return push_simple(r, QN_PICKLE_DICT, false);
    case 't':
        QN_TRY(find_mark(r, &first));
        return make_tuple(r, first, true);
    case 0x85:
    case 0x86:
    case 0x87:
        return make_small_tuple(r, op - 0x84u);
    case 'a':
        QN_TRY(top(r, &v));
        return extend(r, r->stack.count - 1, false, QN_PICKLE_LIST);
    case 'e':
        QN_TRY(find_mark(r, &first));
        return extend(r, first, true, QN_PICKLE_LIST);
    case 's':
        QN_TRY(pop(r, &v));
        QN_TRY(top(r, &w));
        QN_TRY(push(r, v));
        return extend(r, r->stack.count - 2, false, QN_PICKLE_DICT);
    case 'u':
        QN_TRY(find_mark(r, &first));
        return extend(r, first, true, QN_PICKLE_DICT);
    case '0':
        return pop(r, &v);
    case '1':
        QN_TRY(find_mark(r, &first));
        r->stack.count = first - 1;
        return NULL;
    case '2':
        QN_TRY(top(r, &v));
        return push(r, v);
    default:
        return QN_ERROR(QN_UNSUPPORTED, "pickle: opcode 0x%02x, at byte %" PRIu64 ", is not used for tensors", op,
                        r->op);
    }
}

static qn_status step_global(struct reader *r, uint8_t op)
{
    struct qn_str module, name;
    value *v, *w;
    if (op == 'c') {
        QN_TRY(take_line(r, &module));
        QN_TRY(take_line(r, &name));
        return push_global(r, module, name);
    }
    QN_TRY(pop(r, &w));
    QN_TRY(pop(r, &v));
    if (v->kind != QN_PICKLE_TEXT || w->kind != QN_PICKLE_TEXT)
        return bad(r, "a global without a name");
    return push_global(r, v->text, w->text);
}

static qn_status step(struct reader *r)
{
    uint64_t number;
    const uint8_t *p;
    r->op = r->at;
    QN_TRY(take(r, 1, &p));
    switch (*p) {
    case 0x80: /* protocol */
        QN_TRY(take_uint(r, 1, &number));
        return number <= 5 ? NULL : bad(r, "a protocol that is not known");
    case 0x95: /* frame */
        return take_uint(r, 8, &number);
    case '.':
        r->done = true;
        return NULL;
    case 'N':
        return push_simple(r, QN_PICKLE_NONE, false);
    case 0x88:
    case 0x89:
        return push_simple(r, QN_PICKLE_BOOL, *p == 0x88);
    case 'J':
        QN_TRY(take_uint(r, 4, &number));
        return push_int(r, (int32_t)(uint32_t)number);
    case 'K':
        QN_TRY(take_uint(r, 1, &number));
        return push_int(r, (int64_t)number);
    case 'M':
        QN_TRY(take_uint(r, 2, &number));
        return push_int(r, (int64_t)number);
    case 0x8a:
        QN_TRY(take_uint(r, 1, &number));
        return push_long(r, number);
    case 0x8b:
        QN_TRY(take_uint(r, 4, &number));
        return push_long(r, number);
    case 'G':
        return push_double(r);
    case 'X':
    case 'B':
    case 'T':
        return push_text(r, 4);
    case 0x8c:
    case 'C':
    case 'U':
        return push_text(r, 1);
    case 0x8d:
    case 0x8e:
        return push_text(r, 8);
    case 'q':
        return read_memo(r, 1, true);
    case 'r':
        return read_memo(r, 4, true);
    case 0x94:
        return put_memo(r, r->memo.count);
    case 'h':
        return read_memo(r, 1, false);
    case 'j':
        return read_memo(r, 4, false);
    case 'c':
    case 0x93:
        return step_global(r, *p);
    case 'R':
    case 0x81:
        return reduce(r);
    case 'b':
        return build(r);
    case 'Q':
        return persistent(r);
    default:
        return step_structure(r, *p);
    }
}

qn_status qn_pickle_read(const uint8_t *data, uint64_t size, struct qn_arena *arena, const struct qn_pickle_value **out,
                         uint64_t *used)
{
    struct reader r = {.data = data, .size = size, .arena = arena};
    qn_status status = NULL;
    value *result = NULL;
    while (!status && !r.done)
        status = step(&r);
    if (!status)
        status = top(&r, &result);
    qn_array_free(&r.stack, arena->allocator);
    qn_array_free(&r.memo, arena->allocator);
    *out = result;
    *used = r.at;
    return status;
}
