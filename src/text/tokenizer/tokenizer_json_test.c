/* tokenizer.json against what the `tokenizers` package answers (test/golden/tokenizers.txt), and damaged files. */
#define _GNU_SOURCE /* memmem */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "support/testing.h"
#include "text/tokenizer/vocab_files.h"

/* ---- goldens -------------------------------------------------------------------------------------------------- */

/* The model in which every text becomes its bytes. */
static void add_byte_model(struct qn_strbuf *out)
{
    qn_strbuf_add(out, "{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":\"<unk>\",\"byte_fallback\":true,"
                       "\"merges\":[],\"vocab\":{\"<unk>\":0");
    for (int byte = 0; byte < 256; byte++)
        qn_strbuf_printf(out, ",\"<0x%02X>\":%d", (unsigned)byte, byte + 1);
    qn_strbuf_add(out, "}}");
}

static struct qn_tokenizer *build(const char *json, size_t size)
{
    static const char mark[] = "\"model\":\"bytes\"";
    struct qn_strbuf all;
    struct qn_tokenizer *t;
    qn_strbuf_init(&all, NULL);
    const char *at = memmem(json, size, mark, sizeof mark - 1);
    if (at) {
        qn_strbuf_append(&all, json, (size_t)(at - json));
        qn_strbuf_add(&all, "\"model\":");
        add_byte_model(&all);
        at += sizeof mark - 1;
        qn_strbuf_append(&all, at, size - (size_t)(at - json));
    } else {
        qn_strbuf_append(&all, json, size);
    }
    qn_assert_ok(qn_tokenizer_from_json(qn_strbuf_view(&all), "golden.json", NULL, NULL, &t));
    qn_strbuf_deinit(&all);
    return t;
}

static void render(const struct qn_encoded *e, struct qn_strbuf *out)
{
    for (size_t i = 0; i < e->count; i++) {
        const struct qn_encoded_token *t = &e->tokens[i];
        qn_strbuf_printf(out, "%s%d:%u:%u:%u:%d:%d:%d", i ? " " : "", t->id, t->begin, t->end, t->type_id, t->word,
                         t->special, t->attended);
    }
    for (size_t i = 0; i < e->overflow_count; i++) {
        qn_strbuf_add(out, "|");
        render(&e->overflow[i], out);
    }
}

static void render_text(const struct qn_tokenizer *t, const struct qn_encoded *e, bool special, struct qn_strbuf *out)
{
    struct qn_decode_options options = {.struct_size = sizeof options, .special = special};
    struct qn_text text = {0};
    int32_t *ids = calloc(e->count + 1, sizeof *ids);
    assert_non_null(ids);
    for (size_t i = 0; i < e->count; i++)
        ids[i] = e->tokens[i].id;
    qn_assert_ok(qn_tokenizer_decode(t, ids, e->count, &options, &text));
    qn_strbuf_add(out, "\t");
    for (size_t i = 0; i < text.size; i++)
        qn_strbuf_printf(out, "%02x", (unsigned char)text.data[i]);
    qn_text_free(&text);
    free(ids);
}

static size_t unhex(const char *from, size_t size, char *to)
{
    for (size_t i = 0; i + 1 < size; i += 2) {
        unsigned value = 0;
        sscanf(from + i, "%2x", &value);
        to[i / 2] = (char)value;
    }
    return size / 2;
}

/* "hex[,hex]\tanswer" */
static void check_line(const struct qn_tokenizer *t, char *line)
{
    struct qn_pair_options options = {.struct_size = sizeof options, .parse_special = true, .characters = true};
    char first[256], second[256], *answer = strchr(line, '\t');
    assert_non_null(answer);
    size_t size = (size_t)(answer - line), second_size = 0;
    char *comma = memchr(line, ',', size);
    size_t first_size = unhex(line, comma ? (size_t)(comma - line) : size, first);
    if (comma)
        second_size = unhex(comma + 1, size - (size_t)(comma - line) - 1, second);
    struct qn_encoded e = {0};
    struct qn_strbuf got;
    qn_strbuf_init(&got, NULL);
    qn_assert_ok(qn_tokenizer_encode_pair(t, first, first_size, comma ? second : NULL, second_size, &options, &e));
    render(&e, &got);
    render_text(t, &e, false, &got);
    render_text(t, &e, true, &got);
    assert_string_equal(got.data, answer + 1);
    qn_strbuf_deinit(&got);
    qn_encoded_free(&e);
}

static void every_component_is_as_in_the_package(void **state)
{
    (void)state;
    size_t size, cases = 0, strings = 0;
    char *all = qn_test_read_file(QN_SOURCE_DIR "/test/golden/tokenizers.txt", &size);
    struct qn_tokenizer *t = NULL;
    for (char *line = all, *end; line < all + size; line = end + 1) {
        end = strchr(line, '\n');
        assert_non_null(end);
        *end = 0;
        if (line[0] == 'T') {
            qn_tokenizer_free(t);
            t = build(line + 2, strlen(line + 2));
            cases++;
        } else {
            check_line(t, line + 2);
            strings++;
        }
    }
    qn_tokenizer_free(t);
    free(all);
    assert_true(cases > 50 && strings > 100);
}

/* ---- damaged files -------------------------------------------------------------------------------------------- */

#define VOCAB "\"vocab\":{\"a\":0,\"b\":1,\"ab\":2,\"<unk>\":3}"
#define BPE "\"model\":{\"type\":\"BPE\",\"unk_token\":\"<unk>\"," VOCAB ",\"merges\":[\"a b\"]}"
#define FILE_WITH(parts) "{\"version\":\"1.0\"," parts "," BPE "}"

static qn_status read_text(const char *json, struct qn_tokenizer **out)
{
    return qn_tokenizer_from_json(qn_str_from(json), "bad.json", NULL, NULL, out);
}

static void flaws_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        enum qn_code code;
        const char *words;
    } rows[] = {
        {"", QN_INVALID_FILE, "bad.json"},
        {"[]", QN_INVALID_FILE, "expected object"},
        {"{\"version\":\"1.0\"}", QN_INVALID_FILE, "'model' is missing"},
        {"{\"version\":\"2.0\"," BPE "}", QN_UNSUPPORTED, "'2.0'"},
        {"{\"version\":\"1.0\",\"model\":{\"type\":\"Magic\"}}", QN_UNSUPPORTED, "'Magic'"},
        {"{\"version\":\"1.0\",\"model\":{\"type\":\"BPE\"," VOCAB "}}", QN_INVALID_FILE, "'merges' is missing"},
        {"{\"version\":\"1.0\",\"model\":{\"type\":\"BPE\",\"merges\":[],\"vocab\":{\"a\":-1}}}", QN_INVALID_FILE,
         "token 'a'"},
        {"{\"version\":\"1.0\",\"model\":{\"type\":\"BPE\",\"merges\":[],\"vocab\":{\"a\":2000000000}}}",
         QN_INVALID_FILE, "an id of 2000000000"},
        {"{\"version\":\"1.0\",\"model\":{\"type\":\"BPE\",\"merges\":[\"a b c\"]," VOCAB "}}", QN_INVALID_FILE,
         "merge 0 is 'a b c'"},
        {"{\"version\":\"1.0\",\"model\":{\"type\":\"BPE\",\"merges\":[[\"b\",\"a\"]]," VOCAB "}}", QN_INVALID_FILE,
         "'ba', which 'vocab' lacks"},
        {"{\"version\":\"1.0\",\"model\":{\"type\":\"BPE\",\"merges\":[],\"dropout\":7," VOCAB "}}", QN_INVALID_FILE,
         "'dropout' is 7"},
        {"{\"version\":\"1.0\",\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\"]]}}", QN_INVALID_FILE,
         "element 0 is not a token with a score"},
        {"{\"version\":\"1.0\",\"model\":{\"type\":\"Unigram\",\"unk_id\":9,\"vocab\":[[\"a\",1]]}}", QN_INVALID_FILE,
         "'unk_id' is 9"},
        {"{\"version\":\"1.0\",\"model\":{\"type\":\"WordPiece\"," VOCAB "}}", QN_INVALID_FILE, "'unk_token'"},
        {FILE_WITH("\"normalizer\":{\"type\":\"Shout\"}"), QN_UNSUPPORTED, "the type 'Shout' is not known"},
        {FILE_WITH("\"normalizer\":{\"type\":\"Strip\",\"strip_left\":true}"), QN_INVALID_FILE,
         "'strip_right' is missing"},
        {FILE_WITH("\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFC\"},{\"type\":\"X\"}]}"),
         QN_UNSUPPORTED, "element 1"},
        {FILE_WITH("\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"?\"}"), QN_INVALID_FILE,
         "base64"},
        {FILE_WITH("\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"//8=\"}"), QN_INVALID_FILE,
         "damaged"},
        {FILE_WITH("\"pre_tokenizer\":{\"type\":\"Cut\"}"), QN_UNSUPPORTED, "'Cut'"},
        {FILE_WITH("\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"a(\"},\"behavior\":\"Removed\","
                   "\"invert\":false}"),
         QN_INVALID_ARGUMENT, "'a('"},
        {FILE_WITH("\"pre_tokenizer\":{\"type\":\"FixedLength\",\"length\":0}"), QN_INVALID_FILE, "'length' is 0"},
        {FILE_WITH("\"pre_tokenizer\":{\"type\":\"CharDelimiterSplit\",\"delimiter\":\"ab\"}"), QN_INVALID_FILE,
         "one character"},
        {FILE_WITH("\"decoder\":{\"type\":\"Enigma\"}"), QN_UNSUPPORTED, "'Enigma'"},
        {FILE_WITH("\"decoder\":7"), QN_INVALID_FILE, "'decoder'"},
        {FILE_WITH("\"post_processor\":{\"type\":\"BertProcessing\",\"sep\":[\"x\"],\"cls\":[\"y\",1]}"),
         QN_INVALID_FILE, "'sep' has 1 elements"},
        {FILE_WITH("\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"Z\","
                   "\"type_id\":0}}],\"pair\":[],\"special_tokens\":{}}"),
         QN_INVALID_FILE, "'Z', which 'special_tokens' lacks"},
        {FILE_WITH("\"added_tokens\":[{\"content\":\"x\"}]"), QN_INVALID_FILE, "'single_word' is missing"},
        {FILE_WITH("\"truncation\":{\"max_length\":-2}"), QN_INVALID_FILE, "'max_length' is -2"},
        {FILE_WITH("\"padding\":{\"strategy\":\"Far\"}"), QN_UNSUPPORTED, "'Far'"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct qn_tokenizer *t = NULL;
        qn_assert_fails(read_text(rows[i].json, &t), rows[i].code, rows[i].words);
    }
}

static void every_beginning_is_refused(void **state)
{
    (void)state;
    static const char json[] = FILE_WITH("\"pre_tokenizer\":{\"type\":\"Whitespace\"}");
    for (size_t size = 0; size < sizeof json - 1; size++) {
        struct qn_tokenizer *t = NULL;
        qn_assert_fails(qn_tokenizer_from_json((struct qn_str){json, size}, "bad.json", NULL, NULL, &t),
                        QN_INVALID_FILE, "bad.json");
    }
}

static void patterns_that_explode_give_up(void **state)
{
    (void)state;
    struct qn_tokenizer *t;
    struct qn_tokens tokens = {0};
    char text[64];
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = '!';
    qn_assert_ok(
        read_text(FILE_WITH("\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(a+)+\\\\z|(a|a)*b\"},"
                            "\"behavior\":\"Removed\",\"invert\":false}"),
                  &t));
    qn_status status = qn_tokenizer_encode(t, text, sizeof text, NULL, &tokens);
    assert_true(!status || qn_status_code(status) == QN_OUT_OF_RANGE);
    qn_status_free(status);
    qn_tokens_free(&tokens);
    qn_tokenizer_free(t);
}

/* ---- memory --------------------------------------------------------------------------------------------------- */

static const char full[] =
    FILE_WITH("\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFKC\"},{\"type\":\"Replace\","
              "\"pattern\":{\"String\":\" \"},\"content\":\"_\"},{\"type\":\"BertNormalizer\",\"clean_text\":true,"
              "\"handle_chinese_chars\":true,\"strip_accents\":null,\"lowercase\":true}]},"
              "\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Metaspace\",\"replacement\":"
              "\"_\"},{\"type\":\"Digits\",\"individual_digits\":true},{\"type\":\"ByteLevel\",\"add_prefix_space\":"
              "true,\"trim_offsets\":true}]},\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\","
              "\"pattern\":{\"Regex\":\"_\"},\"content\":\" \"},{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"}]},"
              "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"Sequence\":{\"id\":\"A\","
              "\"type_id\":0}},{\"SpecialToken\":{\"id\":\"s\",\"type_id\":1}}],\"pair\":[{\"Sequence\":{\"id\":\"A\","
              "\"type_id\":0}},{\"Sequence\":{\"id\":\"B\",\"type_id\":1}}],\"special_tokens\":{\"s\":{\"ids\":[3]}}},"
              "\"truncation\":{\"max_length\":4,\"stride\":1,\"strategy\":\"LongestFirst\"},\"padding\":{\"strategy\":"
              "\"BatchLongest\",\"direction\":\"Left\",\"pad_to_multiple_of\":8,\"pad_id\":0,\"pad_type_id\":0},"
              "\"added_tokens\":[{\"content\":\"X\",\"single_word\":false,\"lstrip\":true,\"rstrip\":true,"
              "\"normalized\":true,\"special\":true}]");

static qn_status use_all(const struct qn_allocator *allocator, void *context)
{
    (void)context;
    static const char text[] = "ab \xc3\xa9"
                               "12 X \xe6\x97\xa5 ab\xff";
    struct qn_tokenizer *t;
    struct qn_encoded e = {.allocator = allocator};
    struct qn_text back = {.allocator = allocator};
    qn_status status = qn_tokenizer_from_json(qn_str_from(full), "full.json", NULL, allocator, &t);
    if (status)
        return status;
    status = qn_tokenizer_encode_pair(t, text, sizeof text - 1, "ab", 2, NULL, &e);
    if (!status)
        status = qn_tokenizer_decode(t, &e.tokens[0].id, 1, NULL, &back);
    qn_encoded_free(&e);
    qn_text_free(&back);
    qn_tokenizer_free(t);
    return status;
}

static void every_lack_of_memory_is_met(void **state)
{
    (void)state;
    assert_true(qn_test_every_allocation(use_all, NULL) > 20);
}

/* ---- streams, files ------------------------------------------------------------------------------------------- */

static void streams_are_the_whole(void **state)
{
    (void)state;
    struct qn_tokenizer *t =
        build("{\"version\":\"1.0\",\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"ByteFallback\"},"
              "{\"type\":\"Fuse\"},{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":0}]},"
              "\"model\":\"bytes\"}",
              strlen("{\"version\":\"1.0\",\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":"
                     "\"ByteFallback\"},{\"type\":\"Fuse\"},{\"type\":\"Strip\",\"content\":\" \",\"start\":1,"
                     "\"stop\":0}]},\"model\":\"bytes\"}"));
    static const char text[] = " na\xc3\xafve \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x98\x80 x";
    struct qn_tokens tokens = {0};
    struct qn_strbuf all;
    struct qn_decoder *decoder;
    const char *part;
    size_t size;
    qn_strbuf_init(&all, NULL);
    qn_assert_ok(qn_tokenizer_encode(t, text, sizeof text - 1, NULL, &tokens));
    qn_assert_ok(qn_decoder_create(t, NULL, NULL, &decoder));
    for (size_t i = 0; i < tokens.count; i++) {
        qn_assert_ok(qn_decoder_push(decoder, tokens.ids[i], &part, &size));
        qn_strbuf_append(&all, part, size);
    }
    qn_assert_ok(qn_decoder_finish(decoder, &part, &size));
    qn_strbuf_append(&all, part, size);
    assert_string_equal(all.data, text + 1);
    qn_decoder_free(decoder);
    qn_strbuf_deinit(&all);
    qn_tokens_free(&tokens);
    qn_tokenizer_free(t);
}

static void vocab_txt_is_bert(void **state)
{
    (void)state;
    static const char vocab[] = "[PAD]\n[UNK]\n[CLS]\r\n[SEP]\nhello\nworld\n##s\n!\n";
    const char *path = qn_test_temp("vocab.txt");
    struct qn_tokenizer *t;
    struct qn_encoded e = {0};
    qn_test_write_file(path, vocab, sizeof vocab - 1);
    qn_assert_ok(qn_tokenizer_open(path, NULL, &t));
    qn_assert_ok(qn_tokenizer_encode_pair(t, "Hello W\xc3\xb6rlds", 13, "h!", 2, NULL, &e));
    static const int32_t ids[] = {2, 4, 5, 6, 3, 1, 7, 3};
    static const uint32_t types[] = {0, 0, 0, 0, 0, 1, 1, 1}, ends[] = {0, 5, 12, 13, 0, 1, 2, 0};
    assert_int_equal(e.count, 8);
    for (size_t i = 0; i < e.count; i++) {
        assert_int_equal(e.tokens[i].id, ids[i]);
        assert_int_equal(e.tokens[i].type_id, types[i]);
        assert_int_equal(e.tokens[i].end, ends[i]);
    }
    assert_int_equal(qn_tokenizer_role(t, QN_TOKEN_PAD), 0);
    assert_int_equal(qn_tokenizer_role(t, QN_TOKEN_BOS), 2);
    assert_true(qn_tokenizer_adds(t, QN_TOKEN_SEP));
    qn_encoded_free(&e);
    qn_tokenizer_free(t);
    qn_assert_fails(qn_tokenizer_from_vocab_txt(QN_STR(""), "v.txt", NULL, NULL, &t), QN_INVALID_FILE, "empty");
    qn_assert_fails(qn_tokenizer_from_vocab_txt(QN_STR("a\n\xff\n"), "v.txt", NULL, NULL, &t), QN_INVALID_FILE,
                    "line 2");
}

static void sentencepiece_is_read(void **state)
{
    (void)state;
    /* pieces <unk> (type 2), "a" -1, "\u2581a" -2, "b" -3; trainer_spec with model_type 2 */
    static const char model[] = "\x0a\x09\x0a\x05<unk>\x18\x02"
                                "\x0a\x08\x0a\x01"
                                "a\x15\0\0\x80\xbf"
                                "\x0a\x0b\x0a\x04\xe2\x96\x81"
                                "a\x15\0\0\0\xc0"
                                "\x0a\x08\x0a\x01"
                                "b\x15\0\0\x40\xc0"
                                "\x12\x02\x18\x02";
    struct qn_str data = {model, sizeof model - 1};
    struct qn_tokenizer *t;
    struct qn_tokens tokens = {0};
    qn_assert_ok(qn_tokenizer_from_sentencepiece(data, "m.model", NULL, NULL, &t));
    qn_assert_ok(qn_tokenizer_encode(t, " a  bxya", 8, NULL, &tokens));
    static const int32_t ids[] = {2, 0, 3, 0, 1}; /* the mark alone is unknown, x and y are so together */
    assert_int_equal(tokens.count, 5);
    assert_memory_equal(tokens.ids, ids, sizeof ids);
    qn_tokens_free(&tokens);
    qn_tokenizer_free(t);
    for (size_t size = 0; size < data.size; size++) {
        qn_status status = qn_tokenizer_from_sentencepiece((struct qn_str){model, size}, "m.model", NULL, NULL, &t);
        if (!status)
            qn_tokenizer_free(t); /* cut between two pieces it is a model of fewer */
        qn_status_free(status);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_component_is_as_in_the_package),
        cmocka_unit_test(flaws_are_named),
        cmocka_unit_test(every_beginning_is_refused),
        cmocka_unit_test(patterns_that_explode_give_up),
        cmocka_unit_test(every_lack_of_memory_is_met),
        cmocka_unit_test(streams_are_the_whole),
        cmocka_unit_test(vocab_txt_is_bert),
        cmocka_unit_test(sentencepiece_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
