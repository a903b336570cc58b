/* Host functions on their own: what they make of a call's inputs, and what they refuse. */
#include <stdio.h>
#include <string.h>

#include "host/host.h"
#include "ir/ir.h"
#include "quern/media.h"
#include "support/testing.h"

enum { MOST = 5 };

struct fixture {
    struct qn_store *store;
    struct qn_view in[MOST];
    struct qn_object *objects[MOST], *out[MOST];
    struct qn_host_call call;
};

static void open_call(struct fixture *f, const void *attr)
{
    memset(f, 0, sizeof *f);
    qn_assert_ok(qn_store_create(NULL, &f->store));
    f->call = (struct qn_host_call){
        .attr = attr, .in = f->in, .in_objects = f->objects, .out = f->out, .out_count = 1, .store = f->store};
}

static void close_call(struct fixture *f)
{
    for (int i = 0; i < MOST; i++) {
        qn_object_release(f->objects[i]);
        qn_object_release(f->out[i]);
    }
    qn_store_destroy(f->store);
}

static void give(struct fixture *f, qn_dtype dtype, uint32_t rank, int64_t a, int64_t b, const void *data)
{
    f->in[f->call.in_count++] = (struct qn_view){
        .data = (void *)(uintptr_t)data, .dtype = dtype, .rank = rank, .dims = {a, b}, .strides = {b ? b : 1, 1}};
}

static void a_list_is_split_and_joined(void **state)
{
    (void)state;
    static const float x[] = {1, 2, 3, 4, 5, 6};
    static const int64_t sizes[] = {2, 0, 1};
    struct qn_attr_seq_split attr = {.axis = -1, .keepdims = true};
    struct fixture f;
    open_call(&f, &attr);
    give(&f, QN_DTYPE_F32, 2, 2, 3, x);
    give(&f, QN_DTYPE_I64, 1, 3, 0, sizes);
    qn_assert_ok(qn_host_seq_split(&f.call));
    assert_int_equal(f.out[0]->count, 3);
    assert_int_equal(f.out[0]->items[2]->tensor.dims[1], 1);
    assert_true(((const float *)f.out[0]->items[2]->tensor.data)[1] == 6);
    f.objects[0] = f.out[0];
    f.out[0] = NULL;
    f.call.in_count = 1;
    f.in[0].dtype = QN_DTYPE_OBJECT;
    attr.keepdims = false;
    qn_assert_ok(qn_host_seq_concat(&f.call));
    assert_int_equal(f.out[0]->tensor.dims[1], 3);
    assert_memory_equal(f.out[0]->tensor.data, x, sizeof x);
    close_call(&f);
    open_call(&f, &attr); /* sizes that do not add up */
    give(&f, QN_DTYPE_F32, 2, 2, 3, x);
    give(&f, QN_DTYPE_I64, 1, 2, 0, sizes);
    qn_assert_fails(qn_host_seq_split(&f.call), QN_INVALID_ARGUMENT, "parts of 2");
    close_call(&f);
}

static void numbers_are_written_short_and_read_back(void **state)
{
    (void)state;
    static const float x[] = {0.1f, 1, -1e-5f, 16777216, 3.4028235e38f, 1e-45f, 1e16f, 123456.7f};
    static const char *const want[] = {"0.1",           "1.0",   "-1e-05", "16777216.0",
                                       "3.4028235e+38", "1e-45", "1e+16",  "123456.7"};
    struct qn_attr_cast attr = {.dtype = QN_DTYPE_F32};
    struct fixture f;
    open_call(&f, &attr);
    give(&f, QN_DTYPE_F32, 1, 8, 0, x);
    qn_assert_ok(qn_host_to_string(&f.call));
    const struct qn_string *text = f.out[0]->tensor.data;
    for (int i = 0; i < 8; i++) {
        assert_int_equal(text[i].size, strlen(want[i]));
        assert_memory_equal(text[i].data, want[i], text[i].size);
    }
    f.objects[0] = f.out[0];
    f.out[0] = NULL;
    qn_assert_ok(qn_host_from_string(&f.call));
    assert_memory_equal(f.out[0]->tensor.data, x, sizeof x);
    close_call(&f);
    static const struct qn_string bad[] = {{"1.5x", 4}};
    open_call(&f, &attr);
    give(&f, QN_DTYPE_STRING, 1, 1, 0, bad);
    qn_assert_fails(qn_host_from_string(&f.call), QN_INVALID_ARGUMENT, "'1.5x'");
    close_call(&f);
}

static void patterns_match_the_whole_string(void **state)
{
    (void)state;
    static const struct qn_string x[] = {{"ab", 2}, {"abc", 3}, {"a\n", 2}, {"\xff", 1}}, pattern = {"a|ab", 4};
    static const uint8_t want[] = {1, 0, 0, 0};
    struct fixture f;
    open_call(&f, NULL);
    give(&f, QN_DTYPE_STRING, 1, 4, 0, x);
    give(&f, QN_DTYPE_STRING, 0, 0, 0, &pattern);
    qn_assert_ok(qn_host_regex_match(&f.call));
    assert_memory_equal(f.out[0]->tensor.data, want, sizeof want);
    close_call(&f);
    static const struct qn_string broken = {"a(", 2};
    open_call(&f, NULL);
    give(&f, QN_DTYPE_STRING, 1, 4, 0, x);
    give(&f, QN_DTYPE_STRING, 0, 0, 0, &broken);
    qn_assert_fails(qn_host_regex_match(&f.call), QN_INVALID_ARGUMENT, "pattern 'a('");
    close_call(&f);
}

static void strings_are_cut_into_tokens(void **state)
{
    (void)state;
    static const struct qn_string x[] = {{"a ab,b", 6}, {"", 0}, {"c\xc3\xa9", 3}}, comma[] = {{",", 1}, {" ", 1}},
                                  word = {"a|ab", 4}, pad = {"#", 1}, broken = {"(", 1}, cut = {"\xc3", 1};
    static const struct {
        struct qn_attr_tokenize attr;
        const struct qn_string *patterns;
        int64_t count;
        const char *words; /* the rows, by commas */
    } cases[] = {
        {{.least = 1, .split = true}, comma, 2, "a,ab,b,#,#,#,c\xc3\xa9,#,#,"},
        {{.least = 2, .split = true}, comma, 2, "ab,#,c\xc3\xa9,"},
        {{.least = 1}, &word, 1, "a,ab,#,#,#,#,"}, /* the longer of the two */
        {{.least = 2, .mark = true}, &word, 1, "\x02,ab,\x03,\x02,\x03,#,\x02,\x03,#,"},
        {{.least = 4}, &word, 1, ""},
        {{.least = 1}, NULL, 0, "a, ,a,b,,,b,#,#,#,#,#,#,c,\xc3\xa9,#,#,#,#,"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fixture f;
        char words[64] = "";
        open_call(&f, &cases[i].attr);
        give(&f, QN_DTYPE_STRING, 1, 3, 0, x);
        give(&f, QN_DTYPE_STRING, 1, cases[i].count, 0, cases[i].patterns);
        give(&f, QN_DTYPE_STRING, 0, 0, 0, &pad);
        qn_assert_ok(qn_host_tokenize(&f.call));
        const struct qn_view *y = &f.out[0]->tensor;
        const struct qn_string *token = y->data;
        for (int64_t k = 0; k < y->dims[0] * y->dims[1]; k++)
            snprintf(words + strlen(words), sizeof words - strlen(words), "%.*s,", (int)token[k].size, token[k].data);
        assert_string_equal(words, cases[i].words);
        close_call(&f);
    }
    for (int i = 0; i < 2; i++) {
        struct fixture f;
        open_call(&f, &cases[0].attr);
        give(&f, QN_DTYPE_STRING, 1, 1, 0, i ? &cut : x);
        give(&f, QN_DTYPE_STRING, 1, 1, 0, i ? comma : &broken);
        give(&f, QN_DTYPE_STRING, 0, 0, 0, &pad);
        qn_assert_fails(qn_host_tokenize(&f.call), QN_INVALID_ARGUMENT, i ? "string 0 is no UTF-8" : "'(': missing");
        close_call(&f);
    }
}

static void pictures_and_sound_are_read_and_cut_ones_refused(void **state)
{
    (void)state;
    static const char pnm[] = "P6 # two pixels\n2 1 255\n\x01\x02\x03\xff\x80\x00";
    static const unsigned char wav[] =
        "RIFF\x28\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0"
        "data\x04\0\0\0\x00\x40\x00\xc0";
    struct qn_image image = {.struct_size = sizeof image};
    struct qn_sound sound = {.struct_size = sizeof sound};
    qn_assert_ok(qn_image_decode(pnm, sizeof pnm - 1, "p", 3, NULL, &image));
    assert_int_equal(image.width, 2);
    assert_memory_equal(image.pixels, "\x01\x02\x03\xff\x80\x00", 6);
    qn_image_free(&image, NULL);
    qn_assert_fails(qn_image_decode(pnm, sizeof pnm - 2, "p", 3, NULL, &image), QN_INVALID_FILE, "row 0");
    qn_assert_fails(qn_image_decode("\xff\xd8\xff\xe0", 4, "p", 3, NULL, &image), QN_INVALID_FILE, "JPEG");
    qn_assert_fails(qn_image_decode("what", 4, "p", 3, NULL, &image), QN_UNSUPPORTED, "no picture");
    qn_assert_ok(qn_sound_decode(wav, sizeof wav - 1, "s", NULL, &sound));
    assert_int_equal(sound.rate, 8000);
    assert_true(sound.frames == 2 && sound.samples[0] == 0.5f && sound.samples[1] == -0.5f);
    qn_sound_free(&sound, NULL);
    qn_assert_fails(qn_sound_decode(wav, 36, "s", NULL, &sound), QN_INVALID_FILE, "data chunk");
}

/* Expected: what ONNX Runtime's SVMClassifier makes of scores with these logistic functions. */
static void pairs_of_classes_are_coupled(void **state)
{
    (void)state;
    static const float pairs[] = {0.5F,        0.31002551F, 0.77729988F, 0.09975050F, 0.66818774F, 0.19000155F,
                                  0.54983401F, 0.55477923F, 0.43782344F, 0.99260849F, 0.99834120F, 0.00317268F};
    static const float want[] = {0.27811024F, 0.47587192F, 0.24601798F, 0.25667301F, 0.30122021F, 0.44210696F,
                                 0.38168684F, 0.28687191F, 0.33144140F, 0.99458998F, 0.00371584F, 0.00169416F};
    struct qn_attr_classes attr = {.classes = 3};
    struct fixture f;
    open_call(&f, &attr);
    give(&f, QN_DTYPE_F32, 2, 4, 3, pairs);
    qn_assert_ok(qn_host_pair_coupling(&f.call));
    for (int i = 0; i < 12; i++)
        assert_float_equal(((const float *)f.out[0]->tensor.data)[i], want[i], 2e-6);
    attr.classes = 4;
    qn_assert_fails(qn_host_pair_coupling(&f.call), QN_INVALID_ARGUMENT, "4 classes");
    close_call(&f);
}

static void drafts_are_held_against_their_source(void **state)
{
    (void)state;
    static const int64_t source[] = {1, 2, 3, 1, 4}, tokens[] = {9, 1}, draft[] = {3, 1, 5, 5};
    static const int64_t places[] = {2, 5, -1, 6};
    static const int64_t want[] = {9, 1, 3, 1, 5};
    struct qn_attr_accept_draft attr = {.least = 1, .most = 2};
    struct fixture f;
    open_call(&f, &attr);
    f.call.out_count = 2;
    give(&f, QN_DTYPE_I64, 1, 5, 0, source);
    give(&f, QN_DTYPE_I64, 1, 2, 0, tokens);
    give(&f, QN_DTYPE_I64, 0, 0, 0, &places[0]);
    give(&f, QN_DTYPE_I64, 1, 4, 0, draft);
    qn_assert_ok(qn_host_accept_draft(&f.call));
    assert_int_equal(f.out[0]->tensor.dims[0], 5);
    assert_memory_equal(f.out[0]->tensor.data, want, sizeof want);
    assert_int_equal(*(const int64_t *)f.out[1]->tensor.data, -1); /* the source has no 5 */
    for (int i = 1; i < 4; i++) {
        f.in[2].data = (void *)(uintptr_t)&places[i];
        qn_assert_fails(qn_host_accept_draft(&f.call), QN_INVALID_ARGUMENT, "a draft of 4 tokens");
    }
    f.call.in_count = 3;
    f.in[2].data = (void *)(uintptr_t)&places[0];
    for (int i = 0; i < 2; i++) {
        qn_object_release(f.out[i]);
        f.out[i] = NULL;
    }
    qn_assert_ok(qn_host_accept_draft(&f.call));
    assert_int_equal(f.out[0]->tensor.dims[0], 2);
    assert_int_equal(*(const int64_t *)f.out[1]->tensor.data, -1); /* a 1 it has twice, and no 9 1 */
    close_call(&f);
}

static void tables_of_no_rows_have_no_path(void **state)
{
    (void)state;
    static const float costs[] = {1, 5, 5, 1, 9, 1};
    static const int32_t want[] = {0, 1, 2, 0, 1, 1};
    struct fixture f;
    open_call(&f, NULL);
    give(&f, QN_DTYPE_F32, 2, 3, 2, costs);
    qn_assert_ok(qn_host_time_warp(&f.call));
    assert_int_equal(f.out[0]->tensor.dims[1], 3);
    assert_memory_equal(f.out[0]->tensor.data, want, sizeof want);
    close_call(&f);
    open_call(&f, NULL);
    give(&f, QN_DTYPE_F32, 2, 0, 2, costs);
    qn_assert_ok(qn_host_time_warp(&f.call));
    assert_int_equal(f.out[0]->tensor.dims[1], 0);
    close_call(&f);
}

static void a_cancelled_run_ends_long_functions(void **state)
{
    (void)state;
    static const volatile int yes = 1;
    static const float x[] = {3, 1, 2};
    static const struct qn_string text[] = {{"a", 1}, {"b", 1}};
    struct qn_attr_unique unique = {.flat = true};
    struct qn_attr_classes classes = {.classes = 3};
    struct qn_attr_murmur_hash hash = {.seed = 1};
    struct {
        qn_host_fn fn;
        const void *attr;
        qn_dtype dtype;
        int64_t rows, count;
        const void *data;
    } cases[] = {
        {qn_host_unique, &unique, QN_DTYPE_F32, 3, 0, x},
        {qn_host_pair_coupling, &classes, QN_DTYPE_F32, 1, 3, x},
        {qn_host_inverse, NULL, QN_DTYPE_F32, 1, 1, x},
        {qn_host_to_string, NULL, QN_DTYPE_F32, 3, 0, x},
        {qn_host_murmur_hash, &hash, QN_DTYPE_F32, 3, 0, x},
        {qn_host_time_warp, NULL, QN_DTYPE_F32, 1, 1, x},
        {qn_host_string_concat, NULL, QN_DTYPE_STRING, 2, 0, text},
        {qn_host_regex_match, NULL, QN_DTYPE_STRING, 1, 0, text},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fixture f;
        open_call(&f, cases[i].attr);
        give(&f, cases[i].dtype, cases[i].count ? 2 : 1, cases[i].rows, cases[i].count, cases[i].data);
        give(&f, cases[i].dtype, 1, 1, 0, cases[i].data);
        f.call.cancel = &yes;
        qn_assert_fails(cases[i].fn(&f.call), QN_CANCELLED, "cancelled");
        close_call(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_is_split_and_joined),
        cmocka_unit_test(numbers_are_written_short_and_read_back),
        cmocka_unit_test(patterns_match_the_whole_string),
        cmocka_unit_test(strings_are_cut_into_tokens),
        cmocka_unit_test(pairs_of_classes_are_coupled),
        cmocka_unit_test(drafts_are_held_against_their_source),
        cmocka_unit_test(tables_of_no_rows_have_no_path),
        cmocka_unit_test(a_cancelled_run_ends_long_functions),
        cmocka_unit_test(pictures_and_sound_are_read_and_cut_ones_refused),
    };
    return cmocka_run_group_tests_name("host", tests, NULL, NULL);
}
