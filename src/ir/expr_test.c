#include "ir/ir.h"
#include "support/testing.h"

struct fixture {
    struct qn_graph *g;
    qn_dim n, l, s;
};

static void setup(struct fixture *f)
{
    qn_assert_ok(qn_graph_create(NULL, QN_STR("t"), &f->g));
    qn_assert_ok(qn_graph_symbol(f->g, QN_STR("N"), 1, 512, &f->n));
    qn_assert_ok(qn_graph_symbol(f->g, QN_STR("L"), 0, 4096, &f->l));
    qn_assert_ok(qn_graph_symbol(f->g, QN_STR("S"), 1, 8, &f->s));
}

static qn_dim make(struct fixture *f, enum qn_expr_op op, qn_dim a, qn_dim b)
{
    qn_dim out = 0;
    qn_assert_ok(qn_graph_expr(f->g, op, a, b, &out));
    return out;
}

#define ADD(a, b) make(&f, QN_EXPR_ADD, (a), (b))
#define SUB(a, b) make(&f, QN_EXPR_SUB, (a), (b))
#define MUL(a, b) make(&f, QN_EXPR_MUL, (a), (b))
#define DIV(a, b) make(&f, QN_EXPR_DIV, (a), (b))
#define MOD(a, b) make(&f, QN_EXPR_MOD, (a), (b))
#define MIN(a, b) make(&f, QN_EXPR_MIN, (a), (b))
#define MAX(a, b) make(&f, QN_EXPR_MAX, (a), (b))

static void assert_prints(struct fixture *f, qn_dim dim, const char *text)
{
    struct qn_strbuf buf;
    qn_strbuf_init(&buf, NULL);
    qn_dim_print(f->g, dim, &buf);
    assert_string_equal(buf.data, text);
    qn_strbuf_deinit(&buf);
}

static void constants_fold(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f);
    assert_int_equal(ADD(2, 3), 5);
    assert_int_equal(SUB(3, 3), 0);
    assert_int_equal(MUL(6, 7), 42);
    assert_int_equal(DIV(7, 2), 3);
    assert_int_equal(MOD(7, 2), 1);
    assert_int_equal(MIN(7, 2), 2);
    assert_int_equal(MAX(7, 2), 7);
    assert_int_equal(ADD(f.n, 0), f.n);
    assert_int_equal(MUL(f.n, 1), f.n);
    assert_int_equal(MUL(f.n, 0), 0);
    assert_int_equal(DIV(f.n, 1), f.n);
    assert_int_equal(MOD(f.n, 1), 0);
    assert_int_equal(SUB(f.n, f.n), 0);
    assert_int_equal(DIV(f.n, f.n), 1);
    assert_int_equal(MIN(f.n, f.n), f.n);
    assert_int_equal(MIN(f.n, 0), 0);
    assert_int_equal(MAX(0, f.n), f.n);
    qn_graph_destroy(f.g);
}

static void equal_sizes_get_equal_ids(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f);
    assert_int_equal(ADD(f.n, f.l), ADD(f.l, f.n));
    assert_int_equal(MUL(f.n, f.l), MUL(f.l, f.n));
    assert_int_equal(ADD(ADD(f.n, f.l), f.s), ADD(f.s, ADD(f.l, f.n)));
    assert_int_equal(MUL(MUL(f.n, 4), f.l), MUL(f.l, MUL(2, MUL(f.n, 2))));
    assert_int_equal(MUL(ADD(f.n, 1), ADD(f.l, 2)), ADD(ADD(MUL(f.n, f.l), MUL(2, f.n)), ADD(f.l, 2)));
    assert_int_equal(ADD(f.n, f.n), MUL(2, f.n));
    assert_int_equal(SUB(ADD(f.n, 5), f.n), 5);
    assert_int_equal(SUB(ADD(f.n, 5), 3), ADD(2, f.n));
    assert_int_equal(ADD(SUB(f.n, 1), 1), f.n);
    assert_int_equal(SUB(f.n, SUB(f.l, f.s)), SUB(ADD(f.n, f.s), f.l));
    assert_int_equal(DIV(MUL(f.n, 4096), 128), MUL(f.n, 32));
    assert_int_equal(DIV(MUL(MUL(f.n, f.l), 64), MUL(f.l, 16)), MUL(4, f.n));
    assert_int_equal(DIV(ADD(MUL(f.n, 6), MUL(f.l, 9)), 3), ADD(MUL(3, f.l), MUL(2, f.n)));
    assert_int_equal(MOD(MUL(f.n, 4096), 128), 0);
    assert_int_equal(MIN(f.n, f.l), MIN(f.l, f.n));
    assert_int_equal(DIV(ADD(f.n, 1), 2), DIV(ADD(1, f.n), 2));
    assert_int_not_equal(ADD(f.n, 1), ADD(f.n, 2));
    assert_int_not_equal(DIV(f.n, 2), DIV(f.l, 2));
    assert_int_not_equal(SUB(f.n, f.l), SUB(f.l, f.n));
    assert_int_not_equal(MIN(f.n, f.l), MAX(f.n, f.l));
    qn_graph_destroy(f.g);
}

static void they_print_as_one_writes_them(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f);
    assert_prints(&f, MUL(32, f.n), "N*32");
    assert_prints(&f, MUL(ADD(f.n, 1), ADD(f.l, 2)), "N*L+N*2+L+2");
    assert_prints(&f, SUB(f.l, f.n), "L-N");
    assert_prints(&f, SUB(5, f.n), "5-N");
    assert_prints(&f, DIV(ADD(f.n, 1), 2), "(N+1)/2");
    assert_prints(&f, MUL(DIV(f.n, 2), f.l), "L*(N/2)");
    assert_prints(&f, MOD(DIV(f.n, 3), MUL(f.l, f.s)), "N/3%(L*S)");
    assert_prints(&f, MIN(ADD(f.n, 1), 7), "min(N+1,7)");
    qn_graph_destroy(f.g);
}

static void evaluation_checks_each_step(void **state)
{
    struct fixture f;
    int64_t out;
    (void)state;
    setup(&f);
    const int64_t values[] = {5, 7, 2};
    const int64_t huge[] = {INT64_MAX / 2, INT64_MAX / 2, 3};
    const int64_t none[] = {5, 0, 2};
    assert_true(qn_graph_eval(f.g, 42, values, &out) && out == 42);
    assert_true(qn_graph_eval(f.g, MUL(ADD(f.n, 1), ADD(f.l, 2)), values, &out) && out == 54);
    assert_true(qn_graph_eval(f.g, DIV(f.l, f.s), values, &out) && out == 3);
    assert_true(qn_graph_eval(f.g, MOD(f.l, f.s), values, &out) && out == 1);
    assert_true(qn_graph_eval(f.g, MIN(f.l, f.n), values, &out) && out == 5);
    assert_true(qn_graph_eval(f.g, MAX(f.l, f.n), values, &out) && out == 7);
    assert_true(qn_graph_eval(f.g, SUB(f.l, f.n), values, &out) && out == 2);
    assert_false(qn_graph_eval(f.g, SUB(f.n, f.l), values, &out));
    assert_false(qn_graph_eval(f.g, MUL(f.n, f.l), huge, &out));
    assert_false(qn_graph_eval(f.g, ADD(ADD(f.n, f.l), f.s), huge, &out));
    assert_false(qn_graph_eval(f.g, DIV(f.n, f.l), none, &out));
    assert_false(qn_graph_eval(f.g, MOD(f.n, f.l), none, &out));
    qn_graph_destroy(f.g);
}

static void bounds_are_errors(void **state)
{
    struct fixture f;
    qn_dim out, sum;
    (void)state;
    setup(&f);
    qn_assert_fails(qn_graph_expr(f.g, QN_EXPR_SUB, 3, 5, &out), QN_OUT_OF_RANGE, "3 - 5 is below zero");
    qn_assert_fails(qn_graph_expr(f.g, QN_EXPR_DIV, f.n, 0, &out), QN_OUT_OF_RANGE, "divides by zero");
    qn_assert_fails(qn_graph_expr(f.g, QN_EXPR_MOD, 4, 0, &out), QN_OUT_OF_RANGE, "divides by zero");
    qn_assert_fails(qn_graph_expr(f.g, QN_EXPR_MUL, INT64_MAX, 2, &out), QN_OUT_OF_RANGE, "63 bits");
    qn_assert_fails(qn_graph_expr(f.g, QN_EXPR_ADD, INT64_MAX, 1, &out), QN_OUT_OF_RANGE, "63 bits");
    qn_assert_fails(qn_graph_expr(f.g, QN_EXPR_MUL, MUL(f.n, INT64_MAX), MUL(f.n, 3), &out), QN_OUT_OF_RANGE, "63");
    qn_assert_fails(qn_graph_expr(f.g, QN_EXPR_ADD, f.n, ~(qn_dim)1000, &out), QN_INVALID_ARGUMENT, "lacks");
    qn_assert_fails(qn_graph_symbol(f.g, QN_STR("X"), 5, 4, &out), QN_INVALID_ARGUMENT, "5 to 4");
    qn_assert_fails(qn_graph_symbol(f.g, QN_STR("X"), -1, 4, &out), QN_INVALID_ARGUMENT, "'X'");

    /* N/1 + N/2 + ... ends in an error, not in an expression without end */
    qn_status status = NULL;
    sum = 0;
    for (int64_t i = 2; !status && i < 1000; i++)
        status = qn_graph_expr(f.g, QN_EXPR_ADD, sum, DIV(f.n, i), &sum);
    qn_assert_fails(status, QN_OUT_OF_RANGE, "too large");
    /* so does a tower of quotients, even where both operands are shared */
    status = NULL;
    sum = f.n;
    for (int i = 0; !status && i < 1000; i++)
        status = qn_graph_expr(f.g, QN_EXPR_MIN, DIV(sum, 3), DIV(sum, 5), &sum);
    qn_assert_fails(status, QN_OUT_OF_RANGE, "too large");
    qn_graph_destroy(f.g);
}

static void symbols_are_found_by_name(void **state)
{
    struct fixture f;
    qn_dim again;
    (void)state;
    setup(&f);
    qn_assert_ok(qn_graph_symbol(f.g, QN_STR("L"), 7, 9, &again));
    assert_int_equal(again, f.l);
    assert_int_equal(f.g->symbols.items[1].max, 4096);
    assert_int_equal(f.g->symbols.count, 3);
    qn_graph_destroy(f.g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(constants_fold),
        cmocka_unit_test(equal_sizes_get_equal_ids),
        cmocka_unit_test(they_print_as_one_writes_them),
        cmocka_unit_test(evaluation_checks_each_step),
        cmocka_unit_test(bounds_are_errors),
        cmocka_unit_test(symbols_are_found_by_name),
    };
    return cmocka_run_group_tests_name("dimension expressions", tests, NULL, NULL);
}
