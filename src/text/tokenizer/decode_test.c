/* Decoding at once and one token at a time. */
#include "base/utf8.h"
#include "text/tokenizer/tiny_vocab_test.h"

static void make_vocab(struct tiny_vocab *v)
{
    tiny_spm(v);
    tiny_add(v, "▁a", QN_TOKEN_NORMAL, -1);        /* 259 */
    tiny_add(v, "▁", QN_TOKEN_NORMAL, -2);         /* 260 */
    tiny_add(v, "<ud>", QN_TOKEN_USER_DEFINED, 0); /* 261 */
    tiny_add(v, "a", QN_TOKEN_NORMAL, -3);         /* 262 */
}

enum { A_SPACE = 259, SPACE = 260, USER = 261, A = 262, BYTE = 3 };

static const char *decode(const struct qn_tokenizer *t, const struct qn_decode_options *options, const int32_t *ids,
                          size_t count)
{
    static char buffer[256];
    struct qn_text text = {0};
    qn_assert_ok(qn_tokenizer_decode(t, ids, count, options, &text));
    assert_true(text.size < sizeof buffer);
    memcpy(buffer, text.data, text.size + 1);
    qn_text_free(&text);
    return buffer;
}

#define DECODE(options, ...) decode(t, (options), (int32_t[]){__VA_ARGS__}, sizeof((int32_t[]){__VA_ARGS__}) / 4)

static void the_space_of_encoding_goes(void **state)
{
    (void)state;
    static struct tiny_vocab v;
    static const struct qn_decode_options shown = {.struct_size = sizeof shown, .special = true};
    static const struct qn_decode_options continued = {.struct_size = sizeof continued, .continued = true};
    make_vocab(&v);
    struct qn_tokenizer *t = tiny_build(&v);
    assert_string_equal(DECODE(NULL, 1, A_SPACE, A_SPACE), "a a");
    assert_string_equal(DECODE(NULL, A_SPACE, 2, A_SPACE), "aa"); /* </s> is hidden, and text after it began anew */
    assert_string_equal(DECODE(&shown, 1, A_SPACE, 2), "<s>a</s>");
    assert_string_equal(DECODE(&continued, A_SPACE), " a");
    assert_string_equal(DECODE(NULL, SPACE, A_SPACE), " a");
    assert_string_equal(DECODE(NULL, A, USER, A_SPACE), "a<ud>a");
    assert_string_equal(DECODE(NULL, 0, A_SPACE), " a"); /* <unk> stands in the middle of a text */
    int32_t outside = 100000;
    struct qn_text text = {0};
    qn_assert_fails(qn_tokenizer_decode(t, &outside, 1, NULL, &text), QN_INVALID_ARGUMENT, "token 100000");
    outside = -1;
    qn_assert_fails(qn_tokenizer_decode(t, &outside, 1, NULL, &text), QN_INVALID_ARGUMENT, "token -1");
    qn_text_free(&text);
    tiny_round_trip(t, "a<ud> a<ud>a", 12);
    tiny_round_trip(t, " a  \0x", 6);
    qn_tokenizer_free(t);
}

static struct qn_decoder *make_decoder(const struct qn_tokenizer *t, bool raw)
{
    struct qn_decode_options options = {.struct_size = sizeof options, .raw = raw};
    struct qn_decoder *decoder;
    qn_assert_ok(qn_decoder_create(t, &options, NULL, &decoder));
    return decoder;
}

static void push(struct qn_decoder *decoder, int32_t id, const char *expected)
{
    const char *text;
    size_t size;
    qn_assert_ok(qn_decoder_push(decoder, id, &text, &size));
    assert_string_equal(text, expected);
    assert_int_equal(size, strlen(expected));
}

static void finish(struct qn_decoder *decoder, const char *expected)
{
    const char *text;
    size_t size;
    qn_assert_ok(qn_decoder_finish(decoder, &text, &size));
    assert_string_equal(text, expected);
    assert_int_equal(size, strlen(expected));
}

static void characters_are_never_split(void **state)
{
    (void)state;
    static struct tiny_vocab v;
    make_vocab(&v);
    struct qn_tokenizer *t = tiny_build(&v);
    struct qn_decoder *d = make_decoder(t, false);
    push(d, 1, "");
    push(d, A_SPACE, "a");
    push(d, BYTE + 0xf0, "");
    push(d, BYTE + 0x9f, "");
    push(d, BYTE + 0xa6, "");
    push(d, BYTE + 0x99, "\xf0\x9f\xa6\x99");
    push(d, BYTE + 0xe2, "");
    push(d, BYTE + 0x82, "");
    push(d, A_SPACE, "\xef\xbf\xbd a"); /* the cut character was never completed */
    push(d, BYTE + 0xff, "\xef\xbf\xbd");
    push(d, BYTE + 0xe0, "");
    push(d, BYTE + 0x80, "\xef\xbf\xbd\xef\xbf\xbd"); /* e0 80 can never become a character */
    push(d, BYTE + 0xc3, "");
    push(d, BYTE + 0xc3, "\xef\xbf\xbd");
    push(d, BYTE + 0xa9, "\xc3\xa9");
    push(d, BYTE + 0xc3, "");
    finish(d, "\xef\xbf\xbd");
    push(d, A_SPACE, "a"); /* as new */
    const char *text;
    size_t size;
    qn_assert_fails(qn_decoder_push(d, -5, &text, &size), QN_INVALID_ARGUMENT, "token -5");
    finish(d, "");
    qn_decoder_free(d);
    d = make_decoder(t, true);
    push(d, BYTE + 0xff, "\xff");
    push(d, BYTE + 0xe2, "");
    push(d, A,
         "\xe2"
         "a");
    push(d, BYTE + 0xe2, "");
    finish(d, "\xe2");
    qn_decoder_free(d);
    qn_tokenizer_free(t);
}

/* Whatever the ids: raw, the parts are the bytes that decoding at once gives; otherwise each part is valid UTF-8. */
static void random_ids_stream_like_the_whole(void **state)
{
    (void)state;
    static struct tiny_vocab v;
    uint64_t seed = 11;
    make_vocab(&v);
    struct qn_tokenizer *t = tiny_build(&v);
    static const uint8_t leads[] = {0xc3, 0xe2, 0x82, 0xac, 0xf0, 0x9f, 0x80, 'a'};
    for (int round = 0; round < 2000; round++) {
        int32_t ids[12];
        struct qn_text whole = {0};
        struct qn_strbuf parts;
        struct qn_decoder *raw = make_decoder(t, true), *clean = make_decoder(t, false);
        const char *text;
        size_t size;
        qn_strbuf_init(&parts, NULL);
        for (int i = 0; i < 12; i++)
            ids[i] = tiny_random(&seed) % 4 ? BYTE + leads[tiny_random(&seed) % 8]
                                            : (int32_t)(tiny_random(&seed) % t->count);
        qn_assert_ok(qn_tokenizer_decode(t, ids, 12, NULL, &whole));
        for (int i = 0; i <= 12; i++) {
            if (i < 12)
                qn_assert_ok(qn_decoder_push(raw, ids[i], &text, &size));
            else
                qn_assert_ok(qn_decoder_finish(raw, &text, &size));
            qn_strbuf_append(&parts, text, size);
            if (i < 12)
                qn_assert_ok(qn_decoder_push(clean, ids[i], &text, &size));
            else
                qn_assert_ok(qn_decoder_finish(clean, &text, &size));
            for (size_t at = 0; at < size;) {
                uint32_t c;
                size_t length = qn_utf8_decode(text + at, size - at, &c);
                assert_true(length > 0);
                at += length;
            }
        }
        assert_int_equal(parts.size, whole.size);
        if (whole.size)
            assert_memory_equal(parts.data, whole.data, whole.size);
        qn_decoder_free(raw);
        qn_decoder_free(clean);
        qn_strbuf_deinit(&parts);
        qn_text_free(&whole);
    }
    qn_tokenizer_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_space_of_encoding_goes),
        cmocka_unit_test(characters_are_never_split),
        cmocka_unit_test(random_ids_stream_like_the_whole),
    };
    return cmocka_run_group_tests_name("decode", tests, NULL, NULL);
}
