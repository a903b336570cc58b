/* Tests: what stands behind `is`. */
#include "text/template/template_builtin.h"

typedef struct qn_tpl_call call_t;

static bool say(struct qn_val *out, bool is)
{
    *out = qn_val_bool(is);
    return true;
}

/* Kinds that a test asks for. */
#define KIND_TEST(name, condition)                                       \
    static bool name(struct qn_tpl *t, call_t *call, struct qn_val *out) \
    {                                                                    \
        (void)t;                                                         \
        struct qn_val v = call->object;                                  \
        return say(out, condition);                                      \
    }

KIND_TEST(is_defined, v.kind != QN_VAL_UNDEFINED)
KIND_TEST(is_undefined, v.kind == QN_VAL_UNDEFINED)
KIND_TEST(is_none, v.kind == QN_VAL_NONE)
KIND_TEST(is_boolean, v.kind == QN_VAL_BOOL)
KIND_TEST(is_true, v.kind == QN_VAL_BOOL && v.boolean)
KIND_TEST(is_false, v.kind == QN_VAL_BOOL && !v.boolean)
KIND_TEST(is_integer, v.kind == QN_VAL_INT)
KIND_TEST(is_float, v.kind == QN_VAL_FLOAT)
KIND_TEST(is_number, qn_val_is_number(v))
KIND_TEST(is_string, v.kind == QN_VAL_STR)
KIND_TEST(is_mapping, v.kind == QN_VAL_DICT)
KIND_TEST(is_iterable, qn_val_iterable(v) || v.kind == QN_VAL_LOOP)
KIND_TEST(is_escaped, v.kind == QN_VAL_STR && v.safe)
KIND_TEST(is_sequence, v.kind == QN_VAL_STR || v.kind == QN_VAL_LIST || v.kind == QN_VAL_TUPLE ||
                           v.kind == QN_VAL_DICT || v.kind == QN_VAL_RANGE || v.kind == QN_VAL_UNDEFINED)
KIND_TEST(is_callable, v.kind == QN_VAL_MACRO || v.kind == QN_VAL_METHOD || v.kind == QN_VAL_FUNCTION ||
                           v.kind == QN_VAL_LOOP || v.kind == QN_VAL_JOINER || v.kind == QN_VAL_UNDEFINED)
KIND_TEST(is_filter, v.kind == QN_VAL_STR && qn_tpl_filter_find(qn_val_text(v)))
KIND_TEST(is_test, v.kind == QN_VAL_STR && qn_tpl_test_find(qn_val_text(v)))

static bool has_case(struct qn_tpl *t, call_t *call, bool upper, struct qn_val *out)
{
    struct qn_val text;
    bool cased = false, other = false;
    if (!qn_val_to_str(t, call->object, &text))
        return false;
    struct qn_str s = qn_val_text(text);
    for (size_t at = 0, length; at < s.size; at += length) {
        uint32_t c = qn_uni_first((struct qn_str){s.data + at, s.size - at}, &length);
        cased |= upper ? qn_uni_is_upper(c) : qn_uni_is_lower(c);
        other |= qn_uni_is_title(c) || (upper ? qn_uni_is_lower(c) : qn_uni_is_upper(c));
    }
    return say(out, cased && !other);
}

static bool is_lower(struct qn_tpl *t, call_t *call, struct qn_val *out)
{
    return has_case(t, call, false, out);
}

static bool is_upper(struct qn_tpl *t, call_t *call, struct qn_val *out)
{
    return has_case(t, call, true, out);
}

static bool remainder_is(struct qn_tpl *t, struct qn_val v, struct qn_val by, int64_t wanted, struct qn_val *out)
{
    struct qn_val rest;
    bool is;
    if (!qn_tpl_binary(t, QN_OP_MOD, v, by, &rest) || !qn_val_equal(t, rest, qn_val_int(wanted), &is))
        return false;
    return say(out, is);
}

static bool is_odd(struct qn_tpl *t, call_t *call, struct qn_val *out)
{
    return remainder_is(t, call->object, qn_val_int(2), 1, out);
}

static bool is_even(struct qn_tpl *t, call_t *call, struct qn_val *out)
{
    return remainder_is(t, call->object, qn_val_int(2), 0, out);
}

static bool is_divisible(struct qn_tpl *t, call_t *call, struct qn_val *out)
{
    return remainder_is(t, call->object, call->arg[0], 0, out);
}

static bool is_same(struct qn_tpl *t, call_t *call, struct qn_val *out)
{
    struct qn_val a = call->object, b = call->arg[0];
    bool same = a.kind == b.kind;
    if (same && (a.kind == QN_VAL_LIST || a.kind == QN_VAL_DICT || a.kind == QN_VAL_TUPLE))
        return say(out, a.pointer == b.pointer);
    return (!same || qn_val_equal(t, a, b, &same)) && say(out, same);
}

static bool is_in(struct qn_tpl *t, call_t *call, struct qn_val *out)
{
    bool is;
    return qn_val_contains(t, call->arg[0], call->object, &is) && say(out, is);
}

static bool is_equal(struct qn_tpl *t, call_t *call, struct qn_val *out)
{
    bool is;
    return qn_val_equal(t, call->object, call->arg[0], &is) && say(out, is);
}

static bool is_unequal(struct qn_tpl *t, call_t *call, struct qn_val *out)
{
    bool is;
    return qn_val_equal(t, call->object, call->arg[0], &is) && say(out, !is);
}

#define ORDER_TEST(name, op, condition)                                                          \
    static bool name(struct qn_tpl *t, call_t *call, struct qn_val *out)                         \
    {                                                                                            \
        int order;                                                                               \
        return qn_val_compare(t, call->object, call->arg[0], op, &order) && say(out, condition); \
    }

ORDER_TEST(is_less, "<", order == -1)
ORDER_TEST(is_less_equal, "<=", order == -1 || order == 0)
ORDER_TEST(is_greater, ">", order == 1)
ORDER_TEST(is_greater_equal, ">=", order == 1 || order == 0)

const struct qn_tpl_function qn_tpl_tests[] = {
    {"defined", "", is_defined},
    {"undefined", "", is_undefined},
    {"none", "", is_none},
    {"boolean", "", is_boolean},
    {"true", "", is_true},
    {"false", "", is_false},
    {"integer", "", is_integer},
    {"float", "", is_float},
    {"number", "", is_number},
    {"string", "", is_string},
    {"mapping", "", is_mapping},
    {"iterable", "", is_iterable},
    {"sequence", "", is_sequence},
    {"callable", "", is_callable},
    {"escaped", "", is_escaped},
    {"filter", "", is_filter},
    {"test", "", is_test},
    {"lower", "", is_lower},
    {"upper", "", is_upper},
    {"odd", "", is_odd},
    {"even", "", is_even},
    {"divisibleby", "num", is_divisible},
    {"sameas", "other", is_same},
    {"in", "seq", is_in},
    {"==", "other", is_equal},
    {"eq", "other", is_equal},
    {"equalto", "other", is_equal},
    {"!=", "other", is_unequal},
    {"ne", "other", is_unequal},
    {"<", "other", is_less},
    {"lt", "other", is_less},
    {"lessthan", "other", is_less},
    {"<=", "other", is_less_equal},
    {"le", "other", is_less_equal},
    {">", "other", is_greater},
    {"gt", "other", is_greater},
    {"greaterthan", "other", is_greater},
    {">=", "other", is_greater_equal},
    {"ge", "other", is_greater_equal},
    {NULL, NULL, NULL},
};
