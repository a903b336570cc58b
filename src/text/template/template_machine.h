/* The machine that renders a template: limits, errors, scopes, and what the parts of the interpreter call of each
 * other. */
#ifndef QN_TEXT_TEMPLATE_MACHINE_H
#define QN_TEXT_TEMPLATE_MACHINE_H

#include "base/array.h"
#include "quern/template.h"
#include "text/template/template_ast.h"
#include "text/template/template_value.h"

/* Variables of a block. Names are those of the template's name table: equal names are equal pointers. */
struct qn_scope {
    struct qn_scope *parent;
    struct qn_scope_var {
        const char *name;
        struct qn_val value;
    } * vars;
    uint32_t count, capacity;
    bool captured; /* a macro refers to it: it must stay as it is */
};

struct qn_val_macro {
    const struct qn_tpl_node *node;
    struct qn_scope *scope; /* where it was defined */
    struct qn_str name;     /* empty: the body of a call block */
};

struct qn_loop {
    const struct qn_tpl_node *node;
    struct qn_scope *outer; /* around the loop */
    struct qn_walk walk;
    struct qn_val iterable;
    struct qn_val_list ahead; /* taken from the walk, not given out yet */
    uint32_t ahead_at;
    int64_t index0, depth0;
    bool ended;           /* the walk is at its end */
    struct qn_val length; /* INT once known */
    struct qn_val previous, current;
    struct qn_val changed; /* TUPLE of the last call of changed() */
};

/* Bytes of the output that a generation block wrote. */
struct qn_tpl_span {
    size_t begin, end;
};

struct qn_tpl_budget {
    const struct qn_allocator *inner;
    size_t used, limit;
    bool passed;
};

struct qn_tpl {
    const struct qn_template *template;
    const struct qn_template_render_options *options;
    struct qn_allocator allocator; /* counts what `budget` allows */
    struct qn_tpl_budget budget;
    struct qn_arena arena;
    uint64_t steps, max_steps;
    uint32_t depth, max_depth;
    size_t max_output;
    const struct qn_tpl_node *at; /* for errors */
    qn_status status;             /* the first error */
    struct qn_strbuf *out;        /* where output goes now */
    struct qn_strbuf *final;      /* the text of the render itself */
    QN_ARRAY(struct qn_tpl_span) generations;
    struct qn_val_dict *variables; /* of the caller */
    struct qn_scope *root;
    struct qn_val captured; /* what a filter block or a block set took */
};

/* ---- errors and limits ---------------------------------------------------------------------------------------- */

/* Raises an error at the node in t->at, unless there is one already; returns false. */
bool qn_tpl_fail(struct qn_tpl *t, enum qn_code code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
#define QN_TPL_FAIL(t, ...) qn_tpl_false(qn_tpl_fail((t), QN_INVALID_ARGUMENT, __VA_ARGS__))
static inline bool qn_tpl_false(bool failed) /* what the compiler cannot see: a failure is always false */
{
    (void)failed;
    return false;
}
bool qn_tpl_oom(struct qn_tpl *t); /* returns false */
/* "line 3, column 7" in messages of the compiler and the machine alike */
qn_status qn_tpl_error_at(enum qn_code code, const char *name, uint32_t line, uint32_t column, const char *words);

bool qn_tpl_steps_passed(struct qn_tpl *t);
/* Counts work: one for an evaluation, a part of their number for bytes. */
static inline bool qn_tpl_step(struct qn_tpl *t, uint64_t count)
{
    t->steps += count;
    return t->steps <= t->max_steps || qn_tpl_steps_passed(t);
}
static inline bool qn_tpl_bytes(struct qn_tpl *t, size_t bytes)
{
    return qn_tpl_step(t, bytes / 64);
}
bool qn_tpl_enter(struct qn_tpl *t); /* one level deeper; leave with t->depth-- */
/* Zeroed memory of the render, or NULL after an error. */
void *qn_tpl_alloc(struct qn_tpl *t, size_t size);
void *qn_tpl_array(struct qn_tpl *t, size_t count, size_t elem_size);
/* Whether the buffer took all that was written. */
bool qn_tpl_buf_ok(struct qn_tpl *t, const struct qn_strbuf *buf);

/* ---- arguments ------------------------------------------------------------------------------------------------ */

struct qn_tpl_kwarg {
    struct qn_str name;
    struct qn_val value;
};

struct qn_tpl_args {
    struct qn_val *items;
    struct qn_tpl_kwarg *named;
    uint32_t count, named_count;
};

enum { QN_TPL_PARAMS = 8 };

/* Puts arguments in the places that `params` names: "width=,first=,blank=" are optional, "old,new" are not. Places
 * without an argument are MISSING. `what` for errors: "filter 'indent'". */
bool qn_tpl_bind(struct qn_tpl *t, const char *what, const char *name, const char *params,
                 const struct qn_tpl_args *args, struct qn_val out[QN_TPL_PARAMS]);

/* A row of the tables of filters, tests, functions and methods. `params` NULL: the function reads args itself. */
struct qn_tpl_call {
    struct qn_val object; /* what is filtered, tested, or owns the method */
    struct qn_val arg[QN_TPL_PARAMS];
    const struct qn_tpl_args *args;
};
typedef bool qn_tpl_builtin(struct qn_tpl *t, struct qn_tpl_call *call, struct qn_val *out);

struct qn_tpl_function {
    const char *name;
    const char *params;
    qn_tpl_builtin *call;
};

struct qn_tpl_method {
    const char *name;
    const char *params;
    qn_tpl_builtin *call;
};

const struct qn_tpl_function *qn_tpl_filter_find(struct qn_str name);
const struct qn_tpl_function *qn_tpl_test_find(struct qn_str name);
const struct qn_tpl_function *qn_tpl_global_find(struct qn_str name);
const struct qn_tpl_method *qn_tpl_method_find(struct qn_val object, struct qn_str name);

/* The tables of the single files, with a NULL name at the end. */
extern const struct qn_tpl_function qn_tpl_filters_text[], qn_tpl_filters_sequence[], qn_tpl_tests[], qn_tpl_globals[];
extern const struct qn_tpl_method qn_tpl_str_methods[], qn_tpl_list_methods[], qn_tpl_tuple_methods[],
    qn_tpl_dict_methods[], qn_tpl_number_methods[], qn_tpl_loop_methods[], qn_tpl_cycler_methods[];

/* ---- the parts of the interpreter ----------------------------------------------------------------------------- */

bool qn_tpl_eval(struct qn_tpl *t, struct qn_scope *scope, const struct qn_tpl_node *node, struct qn_val *out);
bool qn_tpl_call(struct qn_tpl *t, struct qn_val callee, const struct qn_tpl_args *args, struct qn_val *out);
bool qn_tpl_call_filter(struct qn_tpl *t, struct qn_str name, struct qn_val value, const struct qn_tpl_args *args,
                        struct qn_val *out);
bool qn_tpl_call_test(struct qn_tpl *t, struct qn_str name, struct qn_val value, const struct qn_tpl_args *args,
                      bool *out);
bool qn_tpl_call_macro(struct qn_tpl *t, struct qn_val macro, const struct qn_tpl_args *args, struct qn_val *out);
bool qn_tpl_call_loop(struct qn_tpl *t, struct qn_loop *loop, const struct qn_tpl_args *args, struct qn_val *out);
bool qn_tpl_loop_attr(struct qn_tpl *t, struct qn_loop *loop, struct qn_str name, struct qn_val *out, bool *found);
/* object.name and object[key] of the language */
bool qn_tpl_getattr(struct qn_tpl *t, struct qn_val object, struct qn_str name, struct qn_val *out);
bool qn_tpl_getitem(struct qn_tpl *t, struct qn_val object, struct qn_val key, struct qn_val *out);
bool qn_tpl_slice(struct qn_tpl *t, struct qn_val object, const struct qn_val bounds[3], struct qn_val *out);
bool qn_tpl_binary(struct qn_tpl *t, enum qn_tpl_op op, struct qn_val a, struct qn_val b, struct qn_val *out);
bool qn_tpl_fail_undefined(struct qn_tpl *t, struct qn_val v); /* "'x' is undefined"; returns false */

/* Renders a body; false after an error. */
bool qn_tpl_run_root(struct qn_tpl *t);
struct qn_scope *qn_scope_new(struct qn_tpl *t, struct qn_scope *parent); /* NULL after an error */
bool qn_scope_set(struct qn_tpl *t, struct qn_scope *scope, const char *name, struct qn_val value);
bool qn_tpl_assign(struct qn_tpl *t, struct qn_scope *scope, const struct qn_tpl_node *target, struct qn_val value);

/* "%s: %d" % args and "{}: {}".format(args), appended. */
bool qn_tpl_printf(struct qn_tpl *t, struct qn_str format, bool safe, struct qn_val args, struct qn_strbuf *out);
bool qn_tpl_format(struct qn_tpl *t, struct qn_str format, const struct qn_tpl_args *args, struct qn_strbuf *out);
bool qn_tpl_strftime(struct qn_tpl *t, struct qn_str format, struct qn_strbuf *out);
bool qn_tpl_wordwrap(struct qn_tpl *t, struct qn_str line, int64_t width, bool break_long, bool break_hyphens,
                     struct qn_val_list *lines);

/* Markup: a text as a value that is safe, escaped unless it is already. */
bool qn_tpl_escape(struct qn_tpl *t, struct qn_val v, struct qn_val *out);
/* The bytes of b as they go into a text that is `safe`: escaped unless b is safe too. *hold keeps them. */
bool qn_tpl_soft(struct qn_tpl *t, bool safe, struct qn_val b, struct qn_val *hold);

/* Arguments of builtins: an integer, a text, a truth. `what` names them in errors. */
bool qn_tpl_arg_int(struct qn_tpl *t, struct qn_val v, const char *what, int64_t missing, int64_t *out);
bool qn_tpl_arg_str(struct qn_tpl *t, struct qn_val v, const char *what, struct qn_str *out);

#endif
