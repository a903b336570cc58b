/* Templates as parsed: one kind of node for statements and expressions. */
#ifndef QN_TEXT_TEMPLATE_AST_H
#define QN_TEXT_TEMPLATE_AST_H

#include "base/arena.h"
#include "base/array.h"
#include "text/template/template_value.h"

enum qn_tpl_node_kind {
    /* statements */
    QN_NODE_TEXT,         /* value */
    QN_NODE_OUTPUT,       /* a */
    QN_NODE_IF,           /* list: BRANCH */
    QN_NODE_BRANCH,       /* a condition, NULL: else; body */
    QN_NODE_FOR,          /* a target, b iterable, c condition or NULL, body, other; flag: recursive */
    QN_NODE_SET,          /* a target, b value */
    QN_NODE_SET_BLOCK,    /* a target, b filters or NULL, body */
    QN_NODE_MACRO,        /* name, list: PARAM, body, uses_* */
    QN_NODE_CALL_BLOCK,   /* as MACRO; a call */
    QN_NODE_FILTER_BLOCK, /* b filters, body */
    QN_NODE_WITH,         /* list: SET, body */
    QN_NODE_GENERATION,   /* body */
    QN_NODE_BLOCK,        /* name, body */
    QN_NODE_BREAK,
    QN_NODE_CONTINUE,
    QN_NODE_PARAM, /* name, a default or NULL */
    /* expressions */
    QN_NODE_CONST,   /* value */
    QN_NODE_NAME,    /* name */
    QN_NODE_NSREF,   /* a target: name, attribute in value */
    QN_NODE_LIST,    /* list */
    QN_NODE_TUPLE,   /* list */
    QN_NODE_DICT,    /* list: key, value, key, value */
    QN_NODE_GETATTR, /* a, name */
    QN_NODE_GETITEM, /* a, b */
    QN_NODE_SLICE,   /* a object, list: start, stop, step, each perhaps a NOTHING */
    QN_NODE_NOTHING,
    QN_NODE_CALL,         /* a callee, list: arguments */
    QN_NODE_FILTER,       /* a value, name, list: arguments */
    QN_NODE_TEST,         /* a value, name, list: arguments */
    QN_NODE_KEYWORD,      /* an argument: name, a */
    QN_NODE_SPREAD,       /* an argument: *a */
    QN_NODE_SPREAD_NAMED, /* an argument: **a */
    QN_NODE_NOT,          /* a */
    QN_NODE_NEGATE,       /* a */
    QN_NODE_PLUS,         /* a */
    QN_NODE_BINARY,       /* op, a, b */
    QN_NODE_COMPARE,      /* a, list: OPERAND */
    QN_NODE_OPERAND,      /* op, a */
    QN_NODE_CONCAT,       /* list */
    QN_NODE_AND,          /* a, b */
    QN_NODE_OR,           /* a, b */
    QN_NODE_COND,         /* a condition, b, c or NULL */
    QN_NODE_CAPTURED,     /* what a block took */
};

enum qn_tpl_op {
    QN_OP_ADD,
    QN_OP_SUB,
    QN_OP_MUL,
    QN_OP_DIV,
    QN_OP_FLOORDIV,
    QN_OP_MOD,
    QN_OP_POW,
    QN_OP_EQ,
    QN_OP_NE,
    QN_OP_LT,
    QN_OP_LE,
    QN_OP_GT,
    QN_OP_GE,
    QN_OP_IN,
    QN_OP_NOT_IN,
};

struct qn_tpl_node {
    uint8_t kind, op;
    bool flag;
    bool uses_caller, uses_kwargs, uses_varargs;
    uint32_t line, column; /* from 1; columns count characters */
    uint32_t count;        /* of the list */
    struct qn_str name;    /* of the name table */
    struct qn_val value;
    struct qn_tpl_node *a, *b, *c;
    struct qn_tpl_node *list, *body, *other, *next; /* next: in the list or body that this one is in */
};

struct qn_template {
    const struct qn_allocator *allocator;
    struct qn_arena arena;
    const char *name;
    struct qn_tpl_node *body;
    struct qn_tpl_name {
        struct qn_str text;
        bool read; /* as a variable */
    } * names;     /* the name table: by hash, a power of two */
    uint32_t name_count, name_capacity;
    const char *word_loop, *word_caller, *word_kwargs, *word_varargs; /* of the name table */
};

/* ---- tokens --------------------------------------------------------------------------------------------------- */

enum qn_tpl_token_kind {
    QN_TOK_END,
    QN_TOK_DATA,
    QN_TOK_BLOCK_BEGIN,
    QN_TOK_BLOCK_END,
    QN_TOK_VARIABLE_BEGIN,
    QN_TOK_VARIABLE_END,
    QN_TOK_NAME,
    QN_TOK_STRING,
    QN_TOK_INT,
    QN_TOK_FLOAT,
    QN_TOK_OPERATOR, /* text: "==", "(", ... */
};

struct qn_tpl_token {
    uint8_t kind;
    uint32_t line, column;
    struct qn_str text; /* DATA, STRING: the content; others: as written */
    union {
        int64_t integer;
        double number;
    };
};

typedef QN_ARRAY(struct qn_tpl_token) qn_tpl_tokens;

/* Cuts the text into tokens, ended by one END. They lie in memory of `allocator`; texts lie in the arena or in `text`,
 * whose line breaks are \n. */
qn_status qn_tpl_lex(struct qn_str text, const char *name, struct qn_arena *arena, const struct qn_allocator *allocator,
                     qn_tpl_tokens *tokens);

/* ---- the parser's two files ----------------------------------------------------------------------------------- */

struct qn_tpl_parser {
    struct qn_template *template;
    const struct qn_tpl_token *at;
    qn_status status; /* the first error; further parsing stops */
    uint32_t depth, loops;
    struct qn_tpl_node *macro; /* the innermost macro or call block around; `other` leads outwards while parsing */
};

bool qn_tpl_parse_fail(struct qn_tpl_parser *p, const struct qn_tpl_token *at, enum qn_code code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5))); /* returns false */
struct qn_tpl_node *qn_tpl_node_new(struct qn_tpl_parser *p, enum qn_tpl_node_kind kind, const struct qn_tpl_token *at);
struct qn_str qn_tpl_intern(struct qn_tpl_parser *p, struct qn_str name);
void qn_tpl_note_read(struct qn_tpl_parser *p, struct qn_str name); /* of a variable */
bool qn_tpl_is_op(const struct qn_tpl_parser *p, const char *op);
bool qn_tpl_is_name(const struct qn_tpl_parser *p, const char *name);
bool qn_tpl_skip_op(struct qn_tpl_parser *p, const char *op);
bool qn_tpl_skip_name(struct qn_tpl_parser *p, const char *name);
bool qn_tpl_expect_op(struct qn_tpl_parser *p, const char *op);
/* What a token is called in a message. */
const char *qn_tpl_token_words(const struct qn_tpl_token *token, char buffer[64]);

/* NULL after an error. */
struct qn_tpl_node *qn_tpl_parse_expression(struct qn_tpl_parser *p, bool with_if);
struct qn_tpl_node *qn_tpl_parse_primary(struct qn_tpl_parser *p, bool with_namespace);
/* An expression, or a tuple where commas are. end: a name that ends it too, or NULL. */
struct qn_tpl_node *qn_tpl_parse_tuple(struct qn_tpl_parser *p, bool with_if, const char *end, bool parentheses);
/* |a|b(c) behind `value`. first: the bar before the first one is left out. */
struct qn_tpl_node *qn_tpl_parse_filters(struct qn_tpl_parser *p, struct qn_tpl_node *value, bool first);
struct qn_tpl_node *qn_tpl_parse_target(struct qn_tpl_parser *p, const char *end, bool with_namespace);
bool qn_tpl_parse_depth(struct qn_tpl_parser *p); /* one level deeper; leave with p->depth-- */

#endif
