/* Tokenizers of every kind on hand-made vocabularies. */
#include <math.h>
#include <pthread.h>

#include "text/tokenizer/tiny_vocab_test.h"

static const struct qn_encode_options bare = {.struct_size = sizeof bare, .bare = true};
static const struct qn_encode_options special = {.struct_size = sizeof special, .bare = true, .parse_special = true};
static const struct qn_encode_options continued = {.struct_size = sizeof continued, .bare = true, .continued = true};

/* ---- SentencePiece -------------------------------------------------------------------------------------------- */

static void make_spm(struct tiny_vocab *v)
{
    static const struct {
        const char *text;
        float score;
    } words[] = {{"▁", -20}, {"a", -21},   {"b", -22},   {"c", -23},  {"ab", -1}, {"bc", -2},
                 {"▁a", -3}, {"▁ab", -10}, {"abc", -11}, {"▁▁", -12}, {"é", -13}, {"▁abc", -30}};
    tiny_spm(v);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        tiny_add(v, words[i].text, QN_TOKEN_NORMAL, words[i].score);
    tiny_add(v, "<|im_end|>", QN_TOKEN_CONTROL, 0);
    tiny_add(v, "!!", QN_TOKEN_USER_DEFINED, 0);
    tiny_add(v, "!!!", QN_TOKEN_USER_DEFINED, 0);
}

static void spm_merges_by_score(void **state)
{
    (void)state;
    static struct tiny_vocab v;
    make_spm(&v);
    struct qn_tokenizer *t = tiny_build(&v);
    assert_int_equal(qn_tokenizer_kind(t), QN_TOKENIZER_SPM);
    assert_tokens(t, "", NULL, "<s>");
    assert_tokens(t, "ab", NULL, "<s> ▁ab");
    assert_tokens(t, "ab ab", &bare, "▁ab ▁ab");
    assert_tokens(t, "ab", &continued, "ab");
    assert_tokens(t, "abc", &bare, "▁abc"); /* ab, then abc at -11 would win over ▁ab at -10? no: ▁ab goes first */
    assert_tokens(t, "  c", &bare, "▁▁ ▁ c");
    assert_tokens(t, "é", &continued, "é");
    assert_tokens(t, "ü", &continued, "<0xC3> <0xBC>");
    assert_tokens(t, "a\xff", &continued, "a <0xFF>");
    assert_true(t->cuts_at_marks);
    qn_tokenizer_free(t);
}

static void special_tokens_only_on_request(void **state)
{
    (void)state;
    static struct tiny_vocab v;
    make_spm(&v);
    struct qn_tokenizer *t = tiny_build(&v);
    assert_tokens(t, "ab<|im_end|>ab", &special, "▁ab <|im_end|> ▁ab");
    struct qn_tokens tokens = {0};
    qn_assert_ok(qn_tokenizer_encode(t, "<s>ab<|im_end|></s>", 19, &bare, &tokens));
    for (size_t i = 0; i < tokens.count; i++)
        assert_false(qn_tokenizer_flags(t, tokens.ids[i]) & QN_TOKEN_CONTROL);
    qn_tokens_free(&tokens);
    assert_tokens(t, "a!!!!!a", &bare, "▁a !!! !! ▁a"); /* user-defined ones always, the longest first */
    assert_true(qn_tokenizer_is_eog(t, qn_tokenizer_find(t, "<|im_end|>", 10)));
    assert_true(qn_tokenizer_is_eog(t, 2));
    assert_false(qn_tokenizer_is_eog(t, 1));
    assert_int_equal(qn_tokenizer_role(t, QN_TOKEN_EOT), qn_tokenizer_find(t, "<|im_end|>", 10));
    qn_tokenizer_free(t);
}

/* Merges must never spell a control token, even where the vocabulary holds all of its parts. */
static void merges_never_make_control_tokens(void **state)
{
    (void)state;
    static struct tiny_vocab v;
    tiny_spm(&v);
    static const char *const parts[] = {"<", "s", ">", "<s", "s>", "▁"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        tiny_add(&v, parts[i], QN_TOKEN_NORMAL, -1);
    struct qn_tokenizer *t = tiny_build(&v);
    assert_tokens(t, "<s>", &continued, "<s >");
    qn_tokenizer_free(t);
    tiny_bpe(&v);
    tiny_add(&v, "</", QN_TOKEN_NORMAL, 0);
    tiny_add(&v, "s>", QN_TOKEN_NORMAL, 0);
    tiny_add(&v, "</s>", QN_TOKEN_NORMAL, 0); /* a control token by its name */
    tiny_merge(&v, "<", "/");
    tiny_merge(&v, "s", ">");
    tiny_merge(&v, "</", "s>");
    v.desc.patterns = NULL;
    v.desc.pattern_count = 0;
    t = tiny_build(&v);
    assert_tokens(t, "</s>", &bare, "</ s>");
    assert_tokens(t, "</s>", &special, "</s>");
    qn_tokenizer_free(t);
}

static void white_space_goes_with_its_token(void **state)
{
    (void)state;
    static struct tiny_vocab v;
    make_spm(&v);
    tiny_add(&v, "<mask>", QN_TOKEN_CONTROL, 0);
    v.desc.strip_before = "<mask>";
    struct qn_tokenizer *t = tiny_build(&v);
    assert_tokens(t, "a \n<mask> a", &special, "▁a <mask> ▁ ▁a");
    qn_tokenizer_free(t);
    v.desc.strip_before = NULL;
    v.desc.strip_after_special = true;
    t = tiny_build(&v);
    assert_tokens(t, "a <mask> \t a", &special, "▁a ▁ <mask> ▁a");
    assert_tokens(t, "<s> a", &special, "<s> ▁ ▁a"); /* the exception */
    qn_tokenizer_free(t);
}

/* ---- BPE ------------------------------------------------------------------------------------------------------ */

static void bpe_merges_by_rank(void **state)
{
    (void)state;
    static struct tiny_vocab v;
    tiny_bpe(&v);
    static const char *const words[] = {"he", "ll", "hell", "hello", "Ġhello", "lo", "Ċ"};
    for (size_t i = 0; i + 1 < sizeof words / sizeof words[0]; i++)
        tiny_add(&v, words[i], QN_TOKEN_NORMAL, 0);
    tiny_merge(&v, "l", "l");
    tiny_merge(&v, "l", "o");
    tiny_merge(&v, "h", "e");
    tiny_merge(&v, "he", "ll");
    tiny_merge(&v, "hell", "o");
    tiny_merge(&v, "Ġ", "hello");
    tiny_merge(&v, "l", "l"); /* twice: the first rank counts */
    struct qn_tokenizer *t = tiny_build(&v);
    assert_tokens(t, "hello hello", NULL, "hello Ġhello");
    assert_tokens(t, "llo", NULL, "ll o");
    assert_tokens(t, "lo", NULL, "lo");
    assert_tokens(t, "lll", NULL, "ll l"); /* the left one of two equal pairs */
    qn_tokenizer_free(t);
}

static void whole_words_come_first_where_asked(void **state)
{
    (void)state;
    static struct tiny_vocab v;
    tiny_bpe(&v);
    tiny_add(&v, "xyz", QN_TOKEN_NORMAL, 0);
    struct qn_tokenizer *t = tiny_build(&v);
    assert_tokens(t, "xyz", NULL, "x y z");
    qn_tokenizer_free(t);
    tiny_set_pre(&v, "llama-bpe");
    t = tiny_build(&v);
    assert_tokens(t, "xyz", NULL, "xyz");
    qn_tokenizer_free(t);
}

static void bpe_over_characters(void **state)
{
    (void)state;
    static struct tiny_vocab v;
    tiny_init(&v, QN_TOKENIZER_BPE);
    tiny_set_pre(&v, "gemma4");
    static const char *const words[] = {"a", "▁", "é", "▁a", "\n", "\n\n", "▁aé", "<0xFF>", "<0xC3>", "<0xBC>"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        tiny_add(&v, words[i], words[i][0] == '<' ? QN_TOKEN_BYTE : QN_TOKEN_NORMAL, 0);
    tiny_merge(&v, "▁", "a");
    tiny_merge(&v, "▁a", "é");
    tiny_merge(&v, "a", "gone"); /* a merge of what the converter renamed */
    struct qn_tokenizer *t = tiny_build(&v);
    assert_tokens(t, " aé", NULL, "▁aé");
    assert_tokens(t, "a\n\naü\xff", NULL, "a \n\n a <0xC3> <0xBC> <0xFF>");
    tiny_round_trip(t, " aé\n\n\xff", 7);
    qn_tokenizer_free(t);
    tiny_set_pre(&v, "whitespace");
    v.desc.lower_case = true;
    t = tiny_build(&v);
    assert_tokens(t, " A \t\nÉA ", NULL, "a é a");
    qn_tokenizer_free(t);
}

/* Merging as the definition says, without heap and list: the best pair of the whole word, again and again. */
static size_t merge_slowly(const struct tiny_vocab *v, const struct qn_tokenizer *t, const char *word, size_t size,
                           int32_t *ids)
{
    size_t count = size;
    for (size_t i = 0; i < size; i++)
        ids[i] = (uint8_t)word[i];
    for (;;) {
        uint32_t best = UINT32_MAX;
        size_t at = 0;
        int32_t merged = -1;
        for (size_t i = 0; i + 1 < count; i++)
            for (uint32_t m = 0; m < v->desc.merge_count && m < best; m++) {
                size_t left, right;
                const char *l = qn_tokenizer_text(t, ids[i], &left), *r = qn_tokenizer_text(t, ids[i + 1], &right);
                if (!qn_str_eq(v->merges[m][0], (struct qn_str){l, left}) ||
                    !qn_str_eq(v->merges[m][1], (struct qn_str){r, right}))
                    continue;
                char joined[64];
                snprintf(joined, sizeof joined, "%.*s%.*s", (int)left, l, (int)right, r);
                best = m;
                at = i;
                merged = qn_tokenizer_find(t, joined, left + right);
            }
        if (best == UINT32_MAX)
            return count;
        ids[at] = merged;
        memmove(ids + at + 1, ids + at + 2, (count - at - 2) * sizeof *ids);
        count--;
    }
}

static void merges_like_the_definition(void **state)
{
    (void)state;
    static struct tiny_vocab v;
    static char texts[64][16];
    uint64_t seed = 1;
    tiny_bpe(&v);
    v.desc.patterns = NULL;
    v.desc.pattern_count = 0;
    static const char *const letters[] = {"a", "b", "c"};
    const char *known[67] = {letters[0], letters[1], letters[2]};
    uint32_t count = 3;
    while (count < 60) { /* random merges of what is there already */
        const char *l = known[tiny_random(&seed) % count], *r = known[tiny_random(&seed) % count];
        if (strlen(l) + strlen(r) > 8)
            continue;
        char *joined = texts[count - 3];
        snprintf(joined, sizeof texts[0], "%s%s", l, r);
        tiny_merge(&v, l, r);
        bool again = false;
        for (uint32_t i = 0; i < count; i++)
            again |= strcmp(known[i], joined) == 0;
        if (!again)
            tiny_add(&v, joined, QN_TOKEN_NORMAL, 0);
        known[count++] = joined;
    }
    struct qn_tokenizer *t = tiny_build(&v);
    for (int round = 0; round < 500; round++) {
        char word[40];
        int32_t slow[40];
        size_t size = 1 + tiny_random(&seed) % sizeof word;
        for (size_t i = 0; i < size; i++)
            word[i] = (char)('a' + tiny_random(&seed) % 3);
        struct qn_tokens tokens = {0};
        qn_assert_ok(qn_tokenizer_encode(t, word, size, NULL, &tokens));
        assert_int_equal(tokens.count, merge_slowly(&v, t, word, size, slow));
        assert_memory_equal(tokens.ids, slow, tokens.count * sizeof *slow);
        qn_tokens_free(&tokens);
    }
    qn_tokenizer_free(t);
}

/* ---- round trips ---------------------------------------------------------------------------------------------- */

static void random_bytes_come_back(void **state)
{
    (void)state;
    static struct tiny_vocab v;
    uint64_t seed = 7;
    static const char *const pres[] = {"gpt-2", "llama-bpe", "deepseek-llm", "gpt-4o", "tekken", "bloom", "kimi-k2"};
    for (size_t k = 0; k <= sizeof pres / sizeof pres[0]; k++) {
        if (k == 0) {
            make_spm(&v);
        } else {
            tiny_bpe(&v);
            tiny_set_pre(&v, pres[k - 1]);
        }
        struct qn_tokenizer *t = tiny_build(&v);
        for (int round = 0; round < 300; round++) {
            char text[64];
            size_t size = tiny_random(&seed) % sizeof text;
            bool ascii = round % 2;
            for (size_t i = 0; i < size; i++)
                text[i] = ascii ? " \nab'1!\xc3\xa9"[tiny_random(&seed) % 10] : (char)tiny_random(&seed);
            tiny_round_trip(t, text, size);
        }
        qn_tokenizer_free(t);
    }
}

/* Words are remembered in long texts: their tokens must be those of a short text. */
static void repeated_words_give_the_same_tokens(void **state)
{
    (void)state;
    enum { WORDS = 3000 };
    static struct tiny_vocab v;
    make_spm(&v);
    struct qn_tokenizer *t = tiny_build(&v);
    static char text[WORDS * 8];
    size_t size = 0;
    uint64_t seed = 3;
    struct qn_tokens all = {0}, one = {0};
    for (int i = 0; i < WORDS; i++) {
        char word[8] = " ";
        size_t length = 1 + tiny_random(&seed) % 5;
        for (size_t k = 1; k <= length; k++)
            word[k] = "abcx"[tiny_random(&seed) % 4];
        memcpy(text + size, word, length + 1);
        size += length + 1;
        qn_assert_ok(qn_tokenizer_encode(t, word, length + 1, &continued, &one));
    }
    qn_assert_ok(qn_tokenizer_encode(t, text, size, &continued, &all));
    assert_int_equal(all.count, one.count);
    assert_memory_equal(all.ids, one.ids, all.count * sizeof *all.ids);
    qn_tokens_free(&all);
    qn_tokens_free(&one);
    qn_tokenizer_free(t);
}

/* ---- WordPiece and unigram ------------------------------------------------------------------------------------ */

static void wordpiece_takes_the_longest(void **state)
{
    (void)state;
    static struct tiny_vocab v;
    tiny_init(&v, QN_TOKENIZER_WORDPIECE);
    static const char *const words[] = {"▁un", "▁unable", "aff", "able", "▁,", "▁cafe", "▁中", "▁i", "▁σ"};
    v.desc.roles[QN_TOKEN_UNK] = tiny_add(&v, "[UNK]", QN_TOKEN_CONTROL, 0);
    v.desc.roles[QN_TOKEN_BOS] = tiny_add(&v, "[CLS]", QN_TOKEN_CONTROL, 0);
    v.desc.roles[QN_TOKEN_SEP] = tiny_add(&v, "[SEP]", QN_TOKEN_CONTROL, 0);
    v.desc.adds[QN_TOKEN_BOS] = v.desc.adds[QN_TOKEN_SEP] = true;
    v.desc.lower_case = v.desc.strip_accents = true;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        tiny_add(&v, words[i], QN_TOKEN_NORMAL, 0);
    struct qn_tokenizer *t = tiny_build(&v);
    assert_tokens(t, "Unaffable, UNABLE", NULL, "[CLS] ▁un aff able ▁, ▁unable [SEP]");
    assert_tokens(t, "CAFÉ中cafe\xcc\x81", &bare, "▁cafe ▁中 ▁cafe");
    assert_tokens(t, "un\x01 unx \xff", &bare, "▁un [UNK]"); /* control and broken bytes vanish; unx is not covered */
    assert_tokens(t, "İ Σ", &bare, "▁i ▁σ");
    assert_tokens(t, "[SEP] un", &special, "[SEP] ▁un");
    qn_tokenizer_free(t);
}

static double best_score(const struct tiny_vocab *v, const char *text, size_t size)
{
    if (size == 0)
        return 0;
    double best = -1e9;
    for (uint32_t i = 1; i < v->desc.count; i++)
        if (v->texts[i].size <= size && memcmp(v->texts[i].data, text, v->texts[i].size) == 0) {
            double rest = best_score(v, text + v->texts[i].size, size - v->texts[i].size);
            if (v->scores[i] + rest > best)
                best = v->scores[i] + rest;
        }
    return best;
}

static void unigram_finds_the_best_split(void **state)
{
    (void)state;
    static struct tiny_vocab v;
    static const char *const words[] = {"▁", "a", "b", "ab", "ba", "aab", "▁a", "bba", "abab", "b▁"};
    uint64_t seed = 5;
    tiny_init(&v, QN_TOKENIZER_UNIGRAM);
    v.desc.roles[QN_TOKEN_UNK] = tiny_add(&v, "<unk>", QN_TOKEN_UNKNOWN, 0);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        tiny_add(&v, words[i], QN_TOKEN_NORMAL, -1 - (float)(tiny_random(&seed) % 1000) / 100);
    struct qn_tokenizer *t = tiny_build(&v);
    for (int round = 0; round < 300; round++) {
        char text[12], marked[40] = "";
        size_t size = tiny_random(&seed) % sizeof text, length = 0;
        for (size_t i = 0; i < size; i++) {
            text[i] = "ab "[tiny_random(&seed) % 3];
            length += (size_t)sprintf(marked + length, "%s", text[i] == ' ' ? "▁" : text[i] == 'a' ? "a" : "b");
        }
        struct qn_tokens tokens = {0};
        qn_assert_ok(qn_tokenizer_encode(t, text, size, NULL, &tokens));
        double sum = 0;
        for (size_t i = 0; i < tokens.count; i++)
            sum += v.scores[tokens.ids[i]];
        assert_true(fabs(sum - best_score(&v, marked, length)) < 1e-4);
        qn_tokens_free(&tokens);
        tiny_round_trip(t, text, size);
    }
    assert_tokens(t, "axyb", NULL, "a <unk> b"); /* unknown ones in a row become one */
    qn_tokenizer_free(t);
    v.desc.merge_spaces = v.desc.add_space_prefix = true;
    v.scores[7] = -0.5f; /* ▁a */
    t = tiny_build(&v);
    assert_tokens(t, "  a   a ", NULL, "▁a ▁a");
    qn_tokenizer_free(t);
}

/* A double array made by hand: 'A' becomes "aa". Units: root, then node 'A' with a value below it. */
static void unigram_normalises(void **state)
{
    (void)state;
    static struct tiny_vocab v;
    uint32_t units[128] = {0};
    const uint32_t base = 4, node = base ^ 'A', below = 2;
    units[0] = base << 10;
    units[node] = 'A' | 1u << 8 | below << 10;
    units[node ^ below] = 1u << 31 | 0;
    char map[4 + sizeof units + 3];
    uint32_t size = sizeof units;
    memcpy(map, &size, 4);
    memcpy(map + 4, units, sizeof units);
    memcpy(map + 4 + sizeof units, "aa", 3);
    tiny_init(&v, QN_TOKENIZER_UNIGRAM);
    v.desc.roles[QN_TOKEN_UNK] = tiny_add(&v, "<unk>", QN_TOKEN_UNKNOWN, 0);
    tiny_add(&v, "a", QN_TOKEN_NORMAL, -2);
    tiny_add(&v, "b", QN_TOKEN_NORMAL, -2);
    v.desc.charsmap = (struct qn_str){map, sizeof map};
    struct qn_tokenizer *t = tiny_build(&v);
    assert_tokens(t, "bAb", NULL, "b a a b");
    qn_tokenizer_free(t);
    v.desc.charsmap.size--; /* the last replacement has no end */
    qn_assert_fails(qn_tokenizer_build(&v.desc, NULL, &t), QN_INVALID_FILE, "normalisation");
    v.desc.charsmap.size = 3;
    qn_assert_fails(qn_tokenizer_build(&v.desc, NULL, &t), QN_INVALID_FILE, "normalisation");
}

/* ---- broken vocabularies -------------------------------------------------------------------------------------- */

static void broken_vocabularies_are_named(void **state)
{
    (void)state;
    static struct tiny_vocab v;
    struct qn_tokenizer *t = NULL;
    tiny_bpe(&v);
    tiny_merge(&v, "a", "b");
    qn_assert_fails(qn_tokenizer_build(&v.desc, NULL, &t), QN_INVALID_FILE,
                    "tokenizer of 'tiny': 'merges': merge 0 ('a' with 'b') needs the token 'ab', which 'tokens' lacks");
    tiny_bpe(&v);
    tiny_merge(&v, "nothing", "b");
    qn_assert_fails(qn_tokenizer_build(&v.desc, NULL, &t), QN_INVALID_FILE, "needs the token 'nothing'");
    tiny_bpe(&v);
    v.desc.count = 0;
    qn_assert_fails(qn_tokenizer_build(&v.desc, NULL, &t), QN_INVALID_FILE, "'tokens' is empty");
    tiny_spm(&v);
    v.desc.scores = NULL;
    qn_assert_fails(qn_tokenizer_build(&v.desc, NULL, &t), QN_INVALID_FILE, "'scores' is missing");
    tiny_spm(&v);
    v.scores[5] = NAN;
    qn_assert_fails(qn_tokenizer_build(&v.desc, NULL, &t), QN_INVALID_FILE, "token 5 is not a number");
    tiny_spm(&v);
    v.texts[9] = QN_STR("<0xGG>");
    qn_assert_fails(qn_tokenizer_build(&v.desc, NULL, &t), QN_INVALID_FILE, "token 9 is a byte");
    tiny_init(&v, QN_TOKENIZER_WORDPIECE);
    tiny_add(&v, "▁a", QN_TOKEN_NORMAL, 0);
    qn_assert_fails(qn_tokenizer_build(&v.desc, NULL, &t), QN_INVALID_FILE, "unknown token");
    assert_null(t);
}

static void odd_vocabularies_work(void **state)
{
    (void)state;
    static struct tiny_vocab v;
    tiny_spm(&v);
    tiny_add(&v, "a", QN_TOKEN_NORMAL, -1);
    tiny_add(&v, "", QN_TOKEN_NORMAL, -1);
    int32_t last = tiny_add(&v, "a", QN_TOKEN_NORMAL, -1); /* twice: the last one counts */
    struct qn_tokenizer *t = tiny_build(&v);
    assert_int_equal(qn_tokenizer_find(t, "a", 1), last);
    qn_tokenizer_free(t);
    tiny_init(&v, QN_TOKENIZER_SPM); /* no byte tokens at all: the unknown token stands in */
    v.desc.roles[QN_TOKEN_UNK] = tiny_add(&v, "<unk>", QN_TOKEN_UNKNOWN, 0);
    tiny_add(&v, "a", QN_TOKEN_NORMAL, 0);
    t = tiny_build(&v);
    assert_tokens(t,
                  "abé\xff"
                  "cad",
                  NULL, "a <unk> a <unk>"); /* one for all that follow each other */
    qn_tokenizer_free(t);
    tiny_init(&v, QN_TOKENIZER_BPE); /* bytes that are missing give nothing */
    tiny_set_pre(&v, "gpt-2");
    tiny_add(&v, "a", QN_TOKEN_NORMAL, 0);
    t = tiny_build(&v);
    assert_tokens(t, "ab", NULL, "a");
    qn_tokenizer_free(t);
    tiny_init(&v, QN_TOKENIZER_NONE);
    t = tiny_build(&v);
    struct qn_tokens tokens = {0};
    qn_assert_fails(qn_tokenizer_encode(t, "a", 1, NULL, &tokens), QN_UNSUPPORTED, "no vocabulary");
    assert_int_equal(qn_tokenizer_find(t, "a", 1), -1);
    assert_int_equal(qn_tokenizer_flags(t, 0), 0);
    qn_tokenizer_free(t);
}

static void ends_are_known_by_name(void **state)
{
    (void)state;
    static struct tiny_vocab v;
    tiny_bpe(&v);
    int32_t end = tiny_add(&v, "<|end|>", QN_TOKEN_CONTROL, 0), call = tiny_add(&v, "<|call|>", QN_TOKEN_CONTROL, 0);
    int32_t channel = tiny_add(&v, "<|channel|>", QN_TOKEN_CONTROL, 0);
    struct qn_tokenizer *t = tiny_build(&v);
    assert_true(qn_tokenizer_is_eog(t, end) && qn_tokenizer_is_eog(t, call));
    assert_int_equal(qn_tokenizer_flags(t, channel), QN_TOKEN_USER_DEFINED);
    qn_tokenizer_free(t);
    tiny_add(&v, "<|return|>", QN_TOKEN_CONTROL, 0); /* gpt-oss: <|end|> only ends a message */
    t = tiny_build(&v);
    assert_false(qn_tokenizer_is_eog(t, end));
    assert_true(qn_tokenizer_is_eog(t, call));
    qn_tokenizer_free(t);
}

/* ---- threads ----------------------------------------------------------------------------------------------- */

static void *encode_often(void *context)
{
    static const char text[] = "hello hello, world! 123 hell\xc3\xa9 \xff";
    const struct qn_tokenizer *t = context;
    for (int i = 0; i < 50; i++) {
        struct qn_tokens tokens = {0};
        struct qn_text back = {0};
        bool same = !qn_tokenizer_encode(t, text, sizeof text, NULL, &tokens) &&
                    !qn_tokenizer_decode(t, tokens.ids, tokens.count, NULL, &back) && back.size == sizeof text &&
                    memcmp(back.data, text, sizeof text) == 0;
        qn_tokens_free(&tokens);
        qn_text_free(&back);
        if (!same)
            return context;
    }
    return NULL;
}

static void many_threads_share_a_tokenizer(void **state)
{
    (void)state;
    static struct tiny_vocab v;
    pthread_t threads[4];
    tiny_bpe(&v);
    tiny_set_pre(&v, "gpt-4o");
    tiny_add(&v, "he", QN_TOKEN_NORMAL, 0);
    tiny_merge(&v, "h", "e");
    struct qn_tokenizer *t = tiny_build(&v);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, encode_often, t), 0);
    for (int i = 0; i < 4; i++) {
        void *failed = NULL;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    qn_tokenizer_free(t);
}

/* ---- memory --------------------------------------------------------------------------------------------------- */

static qn_status build_and_use(const struct qn_allocator *allocator, void *context)
{
    const struct tiny_vocab *v = context;
    static const char text[] = "ab c!!! \xff unaffable caf\xc3\xa9";
    struct qn_tokenizer *t = NULL;
    struct qn_tokens tokens = {.allocator = allocator};
    struct qn_text back = {.allocator = allocator};
    qn_status status = qn_tokenizer_build(&v->desc, allocator, &t);
    if (!status)
        status = qn_tokenizer_encode(t, text, sizeof text - 1, NULL, &tokens);
    if (!status)
        status = qn_tokenizer_decode(t, tokens.ids, tokens.count, NULL, &back);
    qn_tokens_free(&tokens);
    qn_text_free(&back);
    qn_tokenizer_free(t);
    return status;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    static struct tiny_vocab v;
    make_spm(&v);
    assert_true(qn_test_every_allocation(build_and_use, &v) > 8);
    tiny_bpe(&v);
    tiny_add(&v, "ab", QN_TOKEN_NORMAL, 0);
    tiny_merge(&v, "a", "b");
    assert_true(qn_test_every_allocation(build_and_use, &v) > 8);
    tiny_init(&v, QN_TOKENIZER_UNIGRAM);
    v.desc.roles[QN_TOKEN_UNK] = tiny_add(&v, "<unk>", QN_TOKEN_UNKNOWN, 0);
    tiny_add(&v, "ab", QN_TOKEN_NORMAL, -2);
    assert_true(qn_test_every_allocation(build_and_use, &v) > 8);
    v.desc.kind = QN_TOKENIZER_WORDPIECE;
    assert_true(qn_test_every_allocation(build_and_use, &v) > 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spm_merges_by_score),
        cmocka_unit_test(special_tokens_only_on_request),
        cmocka_unit_test(merges_never_make_control_tokens),
        cmocka_unit_test(white_space_goes_with_its_token),
        cmocka_unit_test(bpe_merges_by_rank),
        cmocka_unit_test(whole_words_come_first_where_asked),
        cmocka_unit_test(bpe_over_characters),
        cmocka_unit_test(merges_like_the_definition),
        cmocka_unit_test(random_bytes_come_back),
        cmocka_unit_test(repeated_words_give_the_same_tokens),
        cmocka_unit_test(wordpiece_takes_the_longest),
        cmocka_unit_test(unigram_finds_the_best_split),
        cmocka_unit_test(unigram_normalises),
        cmocka_unit_test(broken_vocabularies_are_named),
        cmocka_unit_test(odd_vocabularies_work),
        cmocka_unit_test(ends_are_known_by_name),
        cmocka_unit_test(many_threads_share_a_tokenizer),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests_name("tokenizer", tests, NULL, NULL);
}
