/* Values of templates: Python's, as far as templates can tell.
 *
 * A value is 16 bytes; what does not fit lies on the heap of the render, which goes as a whole when it ends. Constants
 * of a template lie in the template's own arena and never change.
 *
 * A fallible function returns false after it raised an error with qn_tpl_fail; the machine keeps the first one.
 */
#ifndef QN_TEXT_TEMPLATE_VALUE_H
#define QN_TEXT_TEMPLATE_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"
#include "base/str.h"

struct qn_tpl; /* the machine: template_machine.h */

enum qn_val_kind {
    QN_VAL_MISSING = 0, /* no value: an argument that was not given */
    QN_VAL_UNDEFINED,
    QN_VAL_NONE,
    QN_VAL_BOOL,
    QN_VAL_INT,
    QN_VAL_FLOAT,
    QN_VAL_STR,
    QN_VAL_LIST,
    QN_VAL_TUPLE,
    QN_VAL_DICT,
    QN_VAL_VIEW, /* of a dict: keys, values, items */
    QN_VAL_RANGE,
    QN_VAL_ITER, /* gives its elements once */
    QN_VAL_NAMESPACE,
    QN_VAL_MACRO,
    QN_VAL_METHOD,   /* of an object */
    QN_VAL_FUNCTION, /* global */
    QN_VAL_LOOP,
    QN_VAL_CYCLER,
    QN_VAL_JOINER,
};

enum qn_val_view { QN_VIEW_KEYS, QN_VIEW_VALUES, QN_VIEW_ITEMS };

struct qn_val {
    uint8_t kind; /* enum qn_val_kind */
    uint8_t safe; /* STR: marked as safe for HTML, as markupsafe does; VIEW: enum qn_val_view */
    union {
        bool boolean;
        int64_t integer;
        double number;
        struct qn_val_str *str;
        struct qn_val_list *list; /* LIST, TUPLE */
        struct qn_val_dict *dict; /* DICT, VIEW, NAMESPACE */
        struct qn_val_undefined *undefined;
        struct qn_val_range *range;
        struct qn_val_iter *iter;
        struct qn_val_macro *macro;
        struct qn_val_method *method;
        const struct qn_tpl_function *function;
        struct qn_loop *loop;
        struct qn_val_cycler *cycler; /* CYCLER, JOINER */
        const void *pointer;
    };
};

/* Texts never change, but the buffer of one that was just put together grows in place when more is put behind it. */
struct qn_val_buffer {
    char *end, *limit;
};

struct qn_val_str {
    const char *data; /* valid UTF-8 */
    size_t size;      /* bytes */
    size_t chars;     /* code points */
    struct qn_val_buffer *buffer;
};

struct qn_val_list {
    struct qn_val *items;
    uint32_t count, capacity;
};

struct qn_val_entry {
    struct qn_val key, value; /* key MISSING: taken out */
    uint64_t hash;
};

struct qn_val_dict {
    struct qn_val_entry *entries; /* in order of insertion */
    uint32_t used, capacity;      /* entries, with those taken out */
    uint32_t count;               /* without them */
    uint32_t *index;              /* entry + 1 by hash, a power of two; NULL while there are few */
    uint32_t index_size;
};

struct qn_val_undefined {
    const char *hint; /* the whole message, or NULL */
    struct qn_val object, name;
};

struct qn_val_range {
    int64_t start, stop, step;
    uint64_t count;
};

struct qn_val_cycler {
    struct qn_val_list items; /* JOINER: the separator */
    uint32_t at;              /* JOINER: whether it was used */
};

/* A walk over anything that can be iterated. */
struct qn_walk {
    struct qn_val source;
    uint64_t at; /* elements, entries, or bytes of a text */
};

struct qn_val_iter {
    const char *type; /* "generator" */
    /* Sets *end instead of *out after the last one. */
    bool (*next)(struct qn_tpl *t, struct qn_val_iter *iter, struct qn_val *out, bool *end);
    struct qn_walk walk; /* over the source */
    void *state;         /* of `next` */
};

struct qn_val_method {
    struct qn_val object;
    const struct qn_tpl_method *method;
};

/* ---- making --------------------------------------------------------------------------------------------------- */

#define QN_VAL(k, field, x) ((struct qn_val){.kind = (k), .field = (x)})

static inline struct qn_val qn_val_none(void)
{
    return (struct qn_val){.kind = QN_VAL_NONE};
}

static inline struct qn_val qn_val_bool(bool value)
{
    return QN_VAL(QN_VAL_BOOL, boolean, value);
}

static inline struct qn_val qn_val_int(int64_t value)
{
    return QN_VAL(QN_VAL_INT, integer, value);
}

static inline struct qn_val qn_val_float(double value)
{
    return QN_VAL(QN_VAL_FLOAT, number, value);
}

/* bytes of a value of kind STR */
static inline struct qn_str qn_val_text(struct qn_val value)
{
    return (struct qn_str){value.str->data, value.str->size};
}

/* Counts code points. */
size_t qn_val_chars(struct qn_str text);

/* A copy of the bytes, which are valid UTF-8. */
bool qn_val_str(struct qn_tpl *t, struct qn_str text, struct qn_val *out);
/* The bytes themselves: they live as long as the render. */
bool qn_val_str_view(struct qn_tpl *t, struct qn_str text, struct qn_val *out);
bool qn_val_strbuf(struct qn_tpl *t, struct qn_strbuf *buf, struct qn_val *out); /* empties and frees buf */
/* a and b one behind the other; b's bytes go into a's buffer where there is room. */
bool qn_val_concat(struct qn_tpl *t, struct qn_val a, struct qn_str b, struct qn_val *out);

bool qn_val_list_new(struct qn_tpl *t, uint32_t capacity, struct qn_val *out); /* a LIST; make it a TUPLE by its kind */
bool qn_val_list_push(struct qn_tpl *t, struct qn_val_list *list, struct qn_val item);
bool qn_val_pair(struct qn_tpl *t, struct qn_val a, struct qn_val b, struct qn_val *out); /* a TUPLE */
bool qn_val_dict_new(struct qn_tpl *t, struct qn_val *out);
bool qn_val_dict_set(struct qn_tpl *t, struct qn_val_dict *dict, struct qn_val key, struct qn_val value);
/* *found NULL: no such key. A key that cannot be hashed is an error. */
bool qn_val_dict_get(struct qn_tpl *t, const struct qn_val_dict *dict, struct qn_val key, struct qn_val_entry **found);
struct qn_val_entry *qn_val_dict_find(const struct qn_val_dict *dict, struct qn_str key);
void qn_val_dict_remove(struct qn_val_dict *dict, struct qn_val_entry *entry);
bool qn_val_undefined_hint(struct qn_tpl *t, const char *hint, struct qn_val *out);
/* name STR: an attribute, else an element; object MISSING: a variable */
bool qn_val_undefined(struct qn_tpl *t, struct qn_val object, struct qn_val name, struct qn_val *out);
/* An iterator over a list that gives its elements once. */
bool qn_val_iter_of(struct qn_tpl *t, const char *type, struct qn_val list, struct qn_val *out);

/* ---- asking --------------------------------------------------------------------------------------------------- */

static inline bool qn_val_is_number(struct qn_val v)
{
    return v.kind == QN_VAL_BOOL || v.kind == QN_VAL_INT || v.kind == QN_VAL_FLOAT;
}

static inline bool qn_val_is_integer(struct qn_val v) /* Python's bool is an int */
{
    return v.kind == QN_VAL_BOOL || v.kind == QN_VAL_INT;
}

static inline int64_t qn_val_as_int(struct qn_val v)
{
    return v.kind == QN_VAL_BOOL ? v.boolean : v.integer;
}

static inline double qn_val_as_double(struct qn_val v)
{
    return v.kind == QN_VAL_FLOAT ? v.number : (double)qn_val_as_int(v);
}

const char *qn_val_type(struct qn_val v); /* "str", "NoneType" */
bool qn_val_truth(struct qn_val v);
/* Elements; false without an error when the value has no length. */
bool qn_val_length(struct qn_val v, uint64_t *out);
bool qn_val_equal(struct qn_tpl *t, struct qn_val a, struct qn_val b, bool *out);
/* < 0, 0, > 0; `op` names the operator in the error for what has no order. NaN: 2. */
bool qn_val_compare(struct qn_tpl *t, struct qn_val a, struct qn_val b, const char *op, int *out);
bool qn_val_contains(struct qn_tpl *t, struct qn_val container, struct qn_val item, bool *out);
/* Sorts in place, stable, by keys[i] of items[i]. */
bool qn_val_sort(struct qn_tpl *t, struct qn_val *items, struct qn_val *keys, uint32_t count, bool reverse);

/* False with an error when the value cannot be iterated. */
bool qn_walk_begin(struct qn_tpl *t, struct qn_val source, struct qn_walk *walk);
bool qn_walk_next(struct qn_tpl *t, struct qn_walk *walk, struct qn_val *out, bool *end);
bool qn_val_iterable(struct qn_val v);
/* All elements as a new LIST. */
bool qn_val_to_list(struct qn_tpl *t, struct qn_val v, struct qn_val *out);

/* ---- texts of values ------------------------------------------------------------------------------------------ */

/* Python's str() and repr(), appended. */
bool qn_val_print(struct qn_tpl *t, struct qn_val v, struct qn_strbuf *out);
bool qn_val_repr(struct qn_tpl *t, struct qn_val v, struct qn_strbuf *out);
/* str() as a value; a text stays itself, with its mark. */
bool qn_val_to_str(struct qn_tpl *t, struct qn_val v, struct qn_val *out);
void qn_val_repr_str(struct qn_str text, bool ascii, struct qn_strbuf *out);
/* repr() of a double: the fewest digits that read back as the same. */
void qn_val_repr_double(double value, struct qn_strbuf *out);
/* snprintf of one double with a point whatever the locale. */
void qn_val_print_double(struct qn_strbuf *out, char conversion, int precision, bool alternate, double value);
/* Reads a whole text as Python's float() and int() do; false without an error when it is none. */
bool qn_val_parse_float(struct qn_str text, double *out);
bool qn_val_parse_int(struct qn_str text, int base, int64_t *out, bool *overflow);

struct qn_val_json {
    bool ascii, sort_keys;
    struct qn_val indent; /* NONE, INT or STR */
    struct qn_str item_sep, key_sep;
};
bool qn_val_to_json(struct qn_tpl *t, struct qn_val v, const struct qn_val_json *options, struct qn_strbuf *out);

/* HTML: & < > " ' */
void qn_val_escape(struct qn_str text, struct qn_strbuf *out);

#endif
