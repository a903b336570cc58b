/* The text form: parse(print(g)) prints the same, and every mistake is told with line and column. */
#include <stdio.h>
#include <stdlib.h>

#include "ir/ir.h"
#include "support/testing.h"

static qn_status parse(const char *text, struct qn_graph **g)
{
    return qn_graph_parse(qn_str_from(text), NULL, g);
}

static void assert_prints(const char *text, const char *expected)
{
    struct qn_graph *g;
    struct qn_strbuf out;
    qn_strbuf_init(&out, NULL);
    qn_assert_ok(parse(text, &g));
    qn_assert_ok(qn_graph_print(g, &out));
    assert_string_equal(out.data, expected);
    qn_graph_destroy(g);
    qn_assert_ok(parse(out.data, &g));
    qn_strbuf_clear(&out);
    qn_assert_ok(qn_graph_print(g, &out));
    assert_string_equal(out.data, expected);
    qn_graph_destroy(g);
    qn_strbuf_deinit(&out);
}

static const char everything[] =
    "graph \"all \\\"of\\\" it\\x0a\"\n"
    "symbol N 0..512\n"
    "symbol \"past len\" 1..9223372036854775807\n"
    "symbol \"min\" 1..2\n"
    "file 0 \"a b.gguf\"\n"
    "file 1 \"c\\\\d.gguf\"\n"
    "%1:f32[N,64] = input \"x\"\n"
    "%2:f32[64] = const @1:128:256 \"w\"\n"
    "%3:f32[] = const {1e-05}\n"
    "%4:f16[2] = const x\"00010203\"\n"
    "%5:f32[5] = const {1, -2.5, inf, -inf, -0} \"t\"\n"
    "%6:f64[2] = const {0.1, 1e+300}\n"
    "%7:u64[] = const {18446744073709551615}\n"
    "%8:i64[2] = const {-9223372036854775808, 5}\n"
    "%9:i8[1] = const {-128}\n"
    "%10:bool[2] = const {1, 0}\n"
    "%11:f32[0] = const {}\n"
    "%12:f32[1] = const x\"0100c07f\"\n"
    "%13:u8[17] = const x\"000102030405060708090a0b0c0d0e0f10\"\n"
    "%14:q4_0[32,64] = const @0:4096:1152 \"blk.0.w\"\n"
    "%15:f32[32] = const @0:0:128\n"
    "encoding 1 axis=0 block=0 scales=%15\n"
    "encoding 2 axis=1 block=32 scales=%15 zero_points=%13\n"
    "%16:i8<2>[32,64] = const @0:8192:2048 \"blk.0.q\"\n"
    "%17:f16[128,2,32] = state \"k\"\n"
    "%18:i32[N] = input \"slot\"\n"
    "%19:f32[N,32] = input \"r\"\n"
    "%20:f32[N,2,32] = reshape(%1) {dims=[N,2,32]}\n"
    "%21:f16[128,2,32] = scatter_rows(%17, %18, %20)\n"
    "%22:f32[N,2], %23:i32[N,2] = topk(%19) {k=2}\n"
    "%24:i32[N*\"past len\"+\"min\"+N/2%3*4-1] = iota() {count=N*\"past len\"+\"min\"+N/2%3*4-1, dtype=i32} \"i\"\n"
    "%25:f32[N,64] = mul(%1, %2)\n"
    "%26:f32[N,1] = reduce_mean(%25) {axes=[1], keepdims=1}\n"
    "%27:f32[N,64] = rms_norm(%1, %2) {epsilon=1e-06}\n"
    "%28:f32[N,min(N,7)] = expand(%26) {dims=[N,min(N,7)]}\n"
    "%29:f32[N,32] = linear(%1, %14, _, %19) \"blk.0.lin\"\n"
    "store \"k\" = %21\n"
    "output \"y\" = %19\n"
    "output \"y 2\" = %23\n";

static void everything_survives(void **state)
{
    (void)state;
    assert_prints(everything, everything);
}

static void integers_of_every_width_survive(void **state)
{
    static const char text[] = "graph \"g\"\n"
                               "%1:i4[3] = const {-8, 7, 0}\n"
                               "%2:u4[2] = const {15, 0}\n"
                               "%3:i2[2] = const {-2, 1}\n"
                               "%4:u2[1] = const {3}\n"
                               "%5:i16[2] = const {-32768, 32767}\n"
                               "%6:u16[1] = const {65535}\n"
                               "%7:i32[2] = const {-2147483648, 2147483647}\n"
                               "%8:u32[1] = const {4294967295}\n";
    (void)state;
    assert_prints(text, text);
}

static void loose_spelling_is_brought_into_form(void **state)
{
    (void)state;
    assert_prints("# a comment\n\n  graph \"g\" # another\r\n"
                  "symbol N 1..9\n"
                  "%7 : F32 [ 2+N*3-1 , (N) ] = input \"x\"\n"
                  "%3=neg( %7 )\n"
                  "%70 : f32[4,N] = state \"w\"\n"
                  "%90:f32[N*3+1,4]=linear(%3,%70 , _,_)\n"
                  "output \"y\"=%3",
                  "graph \"g\"\n"
                  "symbol N 1..9\n"
                  "%1:f32[N*3+1,N] = input \"x\"\n"
                  "%2:f32[N*3+1,N] = neg(%1)\n"
                  "%3:f32[4,N] = state \"w\"\n"
                  "%4:f32[N*3+1,4] = linear(%2, %3)\n"
                  "output \"y\" = %2\n");
}

static const struct {
    const char *text, *words;
} mistakes[] = {
    {"", "1:1: expected graph, the text ends"},
    {"graf \"g\"\n", "1:1: expected graph, found 'g'"},
    {"graph g\n", "1:7: expected '\"', found 'g'"},
    {"graph \"g\n", "1:9: expected a closing quote"},
    {"graph \"g\\", "expected a closing quote"},
    {"graph \"g\\q\"", "1:10: expected one of"},
    {"graph \"\\xZ0\"", "two hexadecimal digits"},
    {"graph \"g\" x\n", "1:11: expected the end of the line"},
    {"graph \"g\"\nnode\n", "2:1: expected a statement"},
    {"graph \"g\"\nsymbol N 1..9\nsymbol N 1..9\n", "3:8: symbol 'N' is declared twice"},
    {"graph \"g\"\nsymbol N 9..1\n", "bounds 9 to 1"},
    {"graph \"g\"\nsymbol N 1.9\n", "expected '.'"},
    {"graph \"g\"\nsymbol N 1..9223372036854775808\n", "larger than 9223372036854775807"},
    {"graph \"g\"\nfile 1 \"x\"\n", "file 1 is number 0"},
    {"graph \"g\"\n%1:f32[M] = input \"x\"\n", "2:8: unknown symbol 'M'"},
    {"graph \"g\"\n%1:f33[4] = input \"x\"\n", "2:4: expected a dtype"},
    {"graph \"g\"\n%1:f32[4 = input \"x\"\n", "2:10: expected ']'"},
    {"graph \"g\"\n%1:f32[1,1,1,1,1,1,1,1,1] = input \"x\"\n", "at most 8 entries"},
    {"graph \"g\"\n%1:f32[3-5] = input \"x\"\n", "below zero"},
    {"graph \"g\"\n%1:f32[4/0] = input \"x\"\n", "divides by zero"},
    {"graph \"g\"\n%1:f32[4] = input\n", "2:18: expected '\"'"},
    {"graph \"g\"\n%1 = input \"x\"\n", "needs a type"},
    {"graph \"g\"\n%0:f32[4] = input \"x\"\n", "2:1: %0 is no value"},
    {"graph \"g\"\n%99999999:f32[4] = input \"x\"\n", "number is larger than 1024"},
    {"graph \"g\"\n%1:f32[4] = input \"x\"\n%1 = neg(%1)\n", "3:1: %1 is defined twice"},
    {"graph \"g\"\n%1:f32[4] = input \"x\"\n%2, %2 = topk(%1) {k=1}\n", "3:5: %2 is defined twice"},
    {"graph \"g\"\n%1:f32[4] = input \"x\"\n%2:f32[4] = input \"x\"\n", "two inputs are named 'x'"},
    {"graph \"g\"\n%1 = neg(%2)\n", "2:10: %2 is not defined above"},
    {"graph \"g\"\n%1 = frob()\n", "2:6: unknown op 'frob'"},
    {"graph \"g\"\n%1:f32[4] = input \"x\"\n%2 = topk(%1) {k=1}\n", "topk has 2 outputs, 1 are named"},
    {"graph \"g\"\n%1:f32[4] = input \"x\"\n%2:f32[5] = neg(%1)\n", "3:13: %2 is f32[4], the text says f32[5]"},
    {"graph \"g\"\n%1:f32[4] = input \"x\"\n%2 = neg(%1, %1)\n", "has 2 inputs, takes 1 to 1"},
    {"graph \"g\"\n%1:f32[4] = input \"x\"\n%2 = neg(%1) {axis=1}\n", "no such attribute"},
    {"graph \"g\"\n%1:f32[4] = input \"x\"\n%2 = softmax(%1) {axis=0, axis=0}\n", "given twice: 'axis'"},
    {"graph \"g\"\n%1:f32[4] = input \"x\"\n%2 = call(%1)\n", "call needs the types of its outputs: %2:f32[...]"},
    {"graph \"g\"\nsymbol T 0..9 later\n", "expected late"},
    {"graph \"g\"\nsymbol T 0..9\ncheck less [T,T]\n", "expected equal, equal_or_one or at_most"},
    {"graph \"g\"\nsymbol T 0..9\ncheck equal [T]\n", "expected two dims"},
    {"graph \"g\"\n%1:object[] = const x\"0000000000000000\"\n", "cannot be a constant"},
    {"graph \"g\"\nfile 0 \"f\"\n%1:string[1] = const @0:0:16\n", "cannot be a constant"},
    {"graph \"g\"\n%1:f32[4] = input \"x\"\n%2 = reduce_sum(%1) {keepdims=2}\n", "larger than 1"},
    {"graph \"g\"\n%1:f32[8] = input \"x\"\n%2:f32[8] = input \"w\"\n%3 = rms_norm(%1, %2) {epsilon=0x1p3}\n",
     "expected a number"},
    {"graph \"g\"\n%1:f32[8] = input \"x\"\n%2:f32[8] = input \"w\"\n%3 = rms_norm(%1, %2) {epsilon=1e39}\n",
     "too large for f32"},
    {"graph \"g\"\n%1:f32[4] = const {1, 2}\n", "f32[4] takes 16 bytes, its data has 8"},
    {"graph \"g\"\n%1:f32[1] = const {zero}\n", "expected a number"},
    {"graph \"g\"\n%1:i8[1] = const {128}\n", "2:19: number does not fit i8"},
    {"graph \"g\"\n%1:u8[1] = const {256}\n", "number does not fit u8"},
    {"graph \"g\"\n%1:u8[1] = const {-1}\n", "expected a number"},
    {"graph \"g\"\n%1:f16[1] = const {1}\n", "hexadecimal data"},
    {"graph \"g\"\n%1:u8[1] = const x\"0\"\n", "two hexadecimal digits"},
    {"graph \"g\"\n%1:u8[1] = const x\"0F\"\n", "two hexadecimal digits"},
    {"graph \"g\"\n%1:u8[1] = const x\"00", "two hexadecimal digits"},
    {"graph \"g\"\n%1:u8[1] = const 5\n", "expected @file:offset:bytes"},
    {"graph \"g\"\n%1:u8[1] = const @0:0:1\n", "data lies in file 0, the graph has 0"},
    {"graph \"g\"\n%1:u8[1] = const @0:0:99999999999999999999\n", "larger than 18446744073709551615"},
    {"graph \"g\"\n%1:f32[4611686018427387904,4611686018427387904] = const {}\n", "no size"},
    {"graph \"g\"\n%1:f32[4] = input \"x\"\nencoding 1 axis=0 block=0 scales=%1\n", "is no constant"},
    {"graph \"g\"\n%1:f32[1] = const {1}\nencoding 2 axis=0 block=0 scales=%1\n", "encoding 2 is number 1"},
    {"graph \"g\"\n%1:f32[1] = const {1}\nencoding 1 axis=9 block=0 scales=%1\n", "axis is out of range"},
    {"graph \"g\"\n%1:f32<1>[4] = input \"x\"\n", "encoding 1, the graph has 0"},
    {"graph \"g\"\nstore \"k\" = %1\n", "%1 is not defined above"},
    {"graph \"g\"\n%1:f32[4] = input \"x\"\nstore \"k\" = %1\n", "unknown state 'k'"},
    {"graph \"g\"\n%1:f32[4] = state \"k\"\n%2 = neg(%1)\nstore \"k\" = %2\n", "does not come from it"},
    {"graph \"g\"\n%1:f32[4] = state \"k\"\n%2 = neg(%1)\nstore \"k\" = %2\nstore \"k\" = %2\n", "stored twice"},
    {"graph \"g\"\n%1:f32[4] = input \"x\"\noutput \"y\" = %1\noutput \"y\" = %1\n", "two outputs are named 'y'"},
};

static void mistakes_are_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
        struct qn_graph *g;
        qn_status status = parse(mistakes[i].text, &g);
        if (!status || g || !strstr(qn_status_message(status), mistakes[i].words))
            fail_msg("%s\nexpected: %s\nfound: %s", mistakes[i].text, mistakes[i].words, qn_status_message(status));
        qn_status_free(status);
    }
}

static void nesting_is_bounded(void **state)
{
    char text[4096];
    struct qn_graph *g;
    (void)state;
    size_t size = (size_t)snprintf(text, sizeof text, "graph \"g\"\nsymbol N 1..2\n%%1:f32[");
    memset(text + size, '(', 2000);
    text[size + 2000] = 0;
    qn_assert_fails(parse(text, &g), QN_INVALID_FILE, "expected fewer parentheses");
    text[size + 60] = 'N';
    memset(text + size + 61, ')', 60);
    strcpy(text + size + 121, "] = input \"x\"\n");
    qn_assert_ok(parse(text, &g));
    qn_graph_destroy(g);
}

static qn_status parse_and_print(const struct qn_allocator *allocator, void *context)
{
    struct qn_graph *g;
    struct qn_strbuf out;
    qn_status status = qn_graph_parse(*(const struct qn_str *)context, allocator, &g);
    if (status)
        return status;
    qn_strbuf_init(&out, allocator);
    status = qn_graph_print(g, &out);
    qn_strbuf_deinit(&out);
    qn_graph_destroy(g);
    return status;
}

/* What only a run knows: late symbols, calls, checks, strings, many operands. */
static const char late[] =
    "graph \"late\"\n"
    "symbol N 0..1099511627776\n"
    "symbol M 1..64\n"
    "symbol T 0..1099511627776 late\n"
    "symbol body.3 0..1099511627776 late\n"
    "check equal_or_one [N,M] \"sum\"\n"
    "check at_most [5,T] \"slice\"\n"
    "check equal [N*4,M] \"gone\"\n"
    "%1:f32[N,4] = input \"x\"\n"
    "%2:f32[M,4] = input \"y\"\n"
    "%3:f32[N,4] = add(%1, %2) \"sum\"\n"
    "%4:string[2] = const {\"\", \"a\\\"\\x00b\"} \"words\"\n"
    "%5:i64[2,T] = nonzero(%3) {count=T}\n"
    "%6:i64[2,5] = slice(%5) {axis=1, stop=5, step=1}\n"
    "%7:f32[body.3,4], %8:object[] = call(%3, _, %4, _) {kind=2, body=1, count=3} \"loop\"\n"
    "%9:f32[body.3*17,4] = concat(%7, %7, %7, %7, %7, %7, %7, %7, %7, %7, %7, %7, %7, %7, %7, %7, %7)\n"
    "%10:f32[N,4] = chain(%1) {length=2, code=[relu f32 128 0 0, mul f32 0 128 0]}\n"
    "output \"i\" = %6\n";

static void what_a_run_finds_out_survives(void **state)
{
    struct qn_str text = qn_str_from(late);
    (void)state;
    assert_prints(late, late);
    assert_true(qn_test_every_allocation(parse_and_print, &text) > 10);
    for (size_t cut = 0; cut < text.size; cut++) {
        struct qn_graph *g;
        qn_status_free(qn_graph_parse((struct qn_str){text.data, cut}, NULL, &g));
        qn_graph_destroy(g);
    }
}

static void every_truncation_ends_well(void **state)
{
    struct qn_graph *g;
    uint32_t parsed = 0;
    (void)state;
    for (size_t cut = 0; cut < sizeof everything - 1; cut++) {
        char *exact = malloc(cut + 1); /* of its exact size, so that a sanitizer sees a read past it */
        assert_non_null(exact);
        memcpy(exact, everything, cut);
        qn_status status = qn_graph_parse((struct qn_str){exact, cut}, NULL, &g);
        assert_true((status == NULL) == (g != NULL));
        parsed += status == NULL;
        qn_status_free(status);
        qn_graph_destroy(g);
        free(exact);
    }
    assert_in_range(parsed, 30, 150); /* at the ends of lines, and where an optional part is missing */
}

static void every_allocation_may_fail(void **state)
{
    struct qn_str text = qn_str_from(everything);
    (void)state;
    assert_true(qn_test_every_allocation(parse_and_print, &text) > 10);
}

static void a_small_text_takes_little_memory(void **state)
{
    static const char *const texts[] = {
        "graph \"g\"\n%1024:f32[1] = input \"x\"\n",
        "graph \"g\"\n%1:f32[4611686018427387904] = input \"x\"\n",
        "graph \"g\"\n%1:u8[1000000000] = const {1}\n",
        "graph \"g\"\n%1:u8[1000000000] = const x\"00\"\n",
        "graph \"g\"\n%1 = iota() {count=1000000000000, dtype=i64}\n%2 = reshape(%1) {dims=[1000000,1000000]}\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct qn_test_allocator allocator;
        struct qn_graph *g;
        qn_test_allocator_init(&allocator, 0);
        qn_status_free(qn_graph_parse(qn_str_from(texts[i]), &allocator.allocator, &g));
        qn_graph_destroy(g);
        assert_true(allocator.largest <= 16384);
        qn_test_allocator_done(&allocator);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_survives),
        cmocka_unit_test(integers_of_every_width_survive),
        cmocka_unit_test(loose_spelling_is_brought_into_form),
        cmocka_unit_test(mistakes_are_told),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(what_a_run_finds_out_survives),
        cmocka_unit_test(every_truncation_ends_well),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(a_small_text_takes_little_memory),
    };
    return cmocka_run_group_tests_name("IR text", tests, NULL, NULL);
}
