/* Damaged and hostile GGUF files: each is refused with words that name the file and what is wrong with which key or
 * tensor, and memory stays in proportion to the file. */
#include <stdio.h>

#include "gguf_build.h"

#define BAD QN_INVALID_FILE

/* Memory that a file of this size may ask for in one piece: a few times its size, and the arena's first chunk. */
static uint64_t fair_share(size_t file_size)
{
    return 8 * (uint64_t)file_size + 8192;
}

static void check_refused(const char *what, const struct gguf_bytes *b, enum qn_code code, const char *words)
{
    struct qn_test_allocator allocator;
    struct qn_gguf *gguf;
    void *copy;
    qn_test_allocator_init(&allocator, 0);
    qn_status status = open_bytes(b->data, b->size, &allocator.allocator, &copy, &gguf);
    if (qn_status_code(status) != code || !strstr(qn_status_message(status), words) ||
        !strstr(qn_status_message(status), "hostile.gguf"))
        fail_msg("%s: expected %s with '%s' and the file's name, found %s: %s", what, qn_code_name(code), words,
                 qn_code_name(qn_status_code(status)), qn_status_message(status));
    assert_null(gguf);
    assert_true(allocator.largest <= fair_share(b->size));
    qn_status_free(status);
    free(copy);
    qn_test_allocator_done(&allocator);
}

/* ---- the table ------------------------------------------------------------------------------------------------ */

static void magic(struct gguf_bytes *b)
{
    put_bytes(b, "GGUX", 4);
    put_zeros(b, 20);
}

static void old_magic(struct gguf_bytes *b)
{
    put_bytes(b, "tjgg", 4);
    put_zeros(b, 20);
}

static void version_0(struct gguf_bytes *b)
{
    put_header(b, 0, 0, 0);
}

static void version_1(struct gguf_bytes *b)
{
    put_header(b, 1, 0, 0);
}

static void version_4(struct gguf_bytes *b)
{
    put_header(b, 4, 0, 0);
}

static void big_endian(struct gguf_bytes *b)
{
    put_header(b, 0x03000000, 0, 0);
}

static void many_tensors(struct gguf_bytes *b)
{
    put_header(b, 3, 1u << 30, 0);
    put_zeros(b, 4096);
}

static void endless_tensors(struct gguf_bytes *b)
{
    put_header(b, 3, UINT64_MAX, 0);
}

static void many_keys(struct gguf_bytes *b)
{
    put_header(b, 3, 0, UINT64_MAX / 14);
    put_zeros(b, 64);
}

static void key_length(struct gguf_bytes *b)
{
    put_header(b, 3, 0, 1);
    put_u64(b, UINT64_MAX - 3);
    put_zeros(b, 64);
}

static void key_empty(struct gguf_bytes *b)
{
    put_header(b, 3, 0, 1);
    put_kv_u32(b, "", 1);
}

static void key_not_utf8(struct gguf_bytes *b)
{
    put_header(b, 3, 0, 2);
    put_kv_u32(b, "fine", 1);
    put_kv_u32(b, "bad\xc3(", 1);
}

static void key_overlong_utf8(struct gguf_bytes *b)
{
    put_header(b, 3, 0, 1);
    put_kv_u32(b, "a\xc0\xaf", 1);
}

static void key_control(struct gguf_bytes *b)
{
    put_header(b, 3, 0, 1);
    put_kv_u32(b, "a\x1b[31m", 1);
}

static void key_c1_control(struct gguf_bytes *b)
{
    put_header(b, 3, 0, 1);
    put_kv_u32(b, "a\xc2\x9b", 1);
}

static void key_twice(struct gguf_bytes *b)
{
    put_header(b, 3, 0, 3);
    put_kv_u32(b, "again", 1);
    put_kv_u32(b, "other", 1);
    put_kv_u32(b, "again", 1);
}

static void value_type(struct gguf_bytes *b)
{
    put_header(b, 3, 0, 1);
    put_key(b, "odd", 13);
    put_zeros(b, 16);
}

static void bool_value(struct gguf_bytes *b)
{
    put_header(b, 3, 0, 1);
    put_key(b, "flag", QN_GGUF_BOOL);
    put_uint(b, 2, 1);
    put_zeros(b, 16);
}

static void bool_array(struct gguf_bytes *b)
{
    put_header(b, 3, 0, 1);
    put_key(b, "flags", QN_GGUF_ARRAY);
    put_array(b, QN_GGUF_BOOL, 3);
    put_bytes(b, "\0\1\xff", 3);
}

static void string_length(struct gguf_bytes *b)
{
    put_header(b, 3, 0, 1);
    put_key(b, "text", QN_GGUF_STRING);
    put_u64(b, 1u << 20);
    put_zeros(b, 64);
}

static void array_overflow(struct gguf_bytes *b)
{
    put_header(b, 3, 0, 1);
    put_key(b, "list", QN_GGUF_ARRAY);
    put_array(b, QN_GGUF_U64, UINT64_MAX / 4);
    put_zeros(b, 64);
}

static void array_past_end(struct gguf_bytes *b)
{
    put_header(b, 3, 0, 1);
    put_key(b, "list", QN_GGUF_ARRAY);
    put_array(b, QN_GGUF_F32, 100);
    put_zeros(b, 64);
}

static void array_elem_type(struct gguf_bytes *b)
{
    put_header(b, 3, 0, 1);
    put_key(b, "list", QN_GGUF_ARRAY);
    put_array(b, 99, 1);
    put_zeros(b, 64);
}

static void strings_count(struct gguf_bytes *b)
{
    put_header(b, 3, 0, 1);
    put_key(b, "tokens", QN_GGUF_ARRAY);
    put_array(b, QN_GGUF_STRING, UINT64_MAX / 16);
    put_zeros(b, 64);
}

static void strings_past_end(struct gguf_bytes *b)
{
    put_header(b, 3, 0, 1);
    put_key(b, "tokens", QN_GGUF_ARRAY);
    put_array(b, QN_GGUF_STRING, 3);
    put_text(b, "one");
    put_text(b, "two");
    put_u64(b, 1000);
    put_zeros(b, 64);
}

static void nested_too_deep(struct gguf_bytes *b)
{
    put_header(b, 3, 0, 1);
    put_key(b, "deep", QN_GGUF_ARRAY);
    for (int i = 0; i < 200; i++)
        put_array(b, QN_GGUF_ARRAY, 1);
    put_array(b, QN_GGUF_U8, 0);
}

static void nested_past_end(struct gguf_bytes *b)
{
    put_header(b, 3, 0, 1);
    put_key(b, "deep", QN_GGUF_ARRAY);
    put_array(b, QN_GGUF_ARRAY, 2);
    put_array(b, QN_GGUF_U8, 4);
    put_zeros(b, 4);
    put_array(b, QN_GGUF_U64, 4);
    put_zeros(b, 4);
}

static void nested_string_past_end(struct gguf_bytes *b)
{
    put_header(b, 3, 0, 1);
    put_key(b, "deep", QN_GGUF_ARRAY);
    put_array(b, QN_GGUF_ARRAY, 1);
    put_array(b, QN_GGUF_STRING, 2);
    put_text(b, "one");
    put_u64(b, UINT64_MAX);
}

static void alignment(struct gguf_bytes *b, uint32_t value)
{
    put_header(b, 3, 1, 1);
    put_kv_u32(b, "general.alignment", value);
    put_f32_tensor(b, "a", 8, 0);
    put_zeros(b, 128);
}

static void alignment_0(struct gguf_bytes *b)
{
    alignment(b, 0);
}

static void alignment_24(struct gguf_bytes *b)
{
    alignment(b, 24);
}

static void alignment_huge(struct gguf_bytes *b)
{
    alignment(b, 1u << 31);
}

static void alignment_type(struct gguf_bytes *b)
{
    put_header(b, 3, 0, 1);
    put_key(b, "general.alignment", QN_GGUF_U64);
    put_u64(b, 32);
}

static void tensor_name_empty(struct gguf_bytes *b)
{
    put_header(b, 3, 1, 0);
    put_f32_tensor(b, "", 8, 0);
    put_zeros(b, 128);
}

static void tensor_name_control(struct gguf_bytes *b)
{
    put_header(b, 3, 2, 0);
    put_f32_tensor(b, "a", 8, 0);
    put_f32_tensor(b, "b\n", 8, 32);
    put_zeros(b, 128);
}

static void tensor_twice(struct gguf_bytes *b)
{
    put_header(b, 3, 2, 0);
    put_f32_tensor(b, "blk.0.weight", 8, 0);
    put_f32_tensor(b, "blk.0.weight", 8, 32);
    put_zeros(b, 160);
}

static void rank_of(struct gguf_bytes *b, uint32_t rank)
{
    static const uint64_t dims[] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    put_header(b, 3, 1, 0);
    put_tensor(b, "ranked", rank, dims, 0, 0);
    put_zeros(b, 128);
}

static void rank_0(struct gguf_bytes *b)
{
    rank_of(b, 0);
}

static void rank_5(struct gguf_bytes *b)
{
    rank_of(b, 5);
}

static void rank_huge(struct gguf_bytes *b)
{
    put_header(b, 3, 1, 0);
    put_text(b, "ranked");
    put_u32(b, UINT32_MAX);
    put_zeros(b, 128);
}

static void shape_of(struct gguf_bytes *b, uint64_t inner, uint64_t outer, uint32_t type, uint64_t offset)
{
    put_header(b, 3, 1, 0);
    put_tensor(b, "shaped", 2, (const uint64_t[]){inner, outer}, type, offset);
    put_padding(b, 32);
    put_zeros(b, 64);
}

static void dim_0(struct gguf_bytes *b)
{
    shape_of(b, 4, 0, 0, 0);
}

static void dim_negative(struct gguf_bytes *b)
{
    shape_of(b, UINT64_MAX, 1, 0, 0);
}

static void dims_overflow(struct gguf_bytes *b)
{
    shape_of(b, UINT64_C(1) << 40, UINT64_C(1) << 40, 0, 0);
}

static void row_overflow(struct gguf_bytes *b)
{
    shape_of(b, INT64_MAX, 1, 0, 0);
}

/* 2^33 * 2^31 elements of 4 bytes wrap to 0 bytes. */
static void bytes_wrap(struct gguf_bytes *b)
{
    shape_of(b, UINT64_C(1) << 33, UINT64_C(1) << 31, 0, 0);
}

static void row_no_block(struct gguf_bytes *b)
{
    shape_of(b, 48, 1, 2, 0);
}

static void leaves_file(struct gguf_bytes *b)
{
    shape_of(b, 17, 1, 0, 0);
}

static void offset_past_end(struct gguf_bytes *b)
{
    shape_of(b, 4, 1, 0, 4096);
}

static void offset_overflow(struct gguf_bytes *b)
{
    shape_of(b, 4, 1, 0, UINT64_MAX - 31);
}

static void offset_misaligned(struct gguf_bytes *b)
{
    shape_of(b, 4, 1, 0, 16);
}

static void overlap(struct gguf_bytes *b)
{
    put_header(b, 3, 3, 0);
    put_f32_tensor(b, "first", 8, 64);
    put_f32_tensor(b, "second", 17, 0);
    put_f32_tensor(b, "third", 8, 96);
    put_padding(b, 32);
    put_zeros(b, 256);
}

static void overlap_by_a_byte(struct gguf_bytes *b)
{
    put_header(b, 3, 2, 1);
    put_kv_u32(b, "general.alignment", 1);
    put_f32_tensor(b, "one", 2, 0);
    put_f32_tensor(b, "two", 2, 7);
    put_zeros(b, 64);
}

static void same_place(struct gguf_bytes *b)
{
    put_header(b, 3, 2, 0);
    put_f32_tensor(b, "one", 8, 0);
    put_f32_tensor(b, "two", 8, 0);
    put_padding(b, 32);
    put_zeros(b, 256);
}

static void split_without_number(struct gguf_bytes *b)
{
    put_header(b, 3, 0, 1);
    put_kv_u32(b, "split.count", 2);
}

static void split_type(struct gguf_bytes *b)
{
    put_header(b, 3, 0, 1);
    put_key(b, "split.count", QN_GGUF_STRING);
    put_text(b, "two");
}

static void split_negative(struct gguf_bytes *b)
{
    put_header(b, 3, 0, 1);
    put_key(b, "split.tensors.count", QN_GGUF_I32);
    put_u32(b, UINT32_MAX);
}

static void split_many(struct gguf_bytes *b)
{
    put_header(b, 3, 0, 2);
    put_kv_u32(b, "split.count", UINT32_MAX);
    put_kv_u32(b, "split.no", 0);
}

static void split_number(struct gguf_bytes *b)
{
    put_header(b, 3, 0, 2);
    put_kv_u32(b, "split.count", 2);
    put_kv_u32(b, "split.no", 2);
}

static const struct {
    const char *what;
    void (*build)(struct gguf_bytes *b);
    enum qn_code code;
    const char *words;
} variants[] = {
    {"magic", magic, BAD, "not a GGUF file"},
    {"old magic", old_magic, QN_UNSUPPORTED, "before GGUF"},
    {"version 0", version_0, QN_UNSUPPORTED, "version 0"},
    {"version 1", version_1, QN_UNSUPPORTED, "version 1"},
    {"version 4", version_4, QN_UNSUPPORTED, "version 4"},
    {"big-endian", big_endian, QN_UNSUPPORTED, "big-endian"},
    {"many tensors", many_tensors, BAD, "1073741824 tensors"},
    {"endless tensors", endless_tensors, BAD, "18446744073709551615 tensors"},
    {"many keys", many_keys, BAD, "keys"},
    {"key length", key_length, BAD, "key 0"},
    {"empty key", key_empty, BAD, "key 0 (at byte 24): the name is empty"},
    {"key not UTF-8", key_not_utf8, BAD, "key 1 (at byte 44)"},
    {"key overlong UTF-8", key_overlong_utf8, BAD, "key 0 (at byte 24)"},
    {"key with escape", key_control, BAD, "key 0 (at byte 24)"},
    {"key with C1 control", key_c1_control, BAD, "key 0 (at byte 24)"},
    {"key twice", key_twice, BAD, "key 'again' occurs more than once"},
    {"value type", value_type, BAD, "key 'odd': unknown value type 13"},
    {"bool", bool_value, BAD, "key 'flag': a bool has the value 2"},
    {"bool array", bool_array, BAD, "key 'flags': element 2"},
    {"string length", string_length, BAD, "key 'text'"},
    {"array overflow", array_overflow, BAD, "key 'list'"},
    {"array past end", array_past_end, BAD, "key 'list': an array of 100 elements of type f32"},
    {"array element type", array_elem_type, BAD, "key 'list': array elements have the unknown type 99"},
    {"count of strings", strings_count, BAD, "key 'tokens'"},
    {"strings past end", strings_past_end, BAD, "key 'tokens': element 2 of 3"},
    {"nested too deep", nested_too_deep, QN_UNSUPPORTED, "key 'deep'"},
    {"nested past end", nested_past_end, BAD, "key 'deep'"},
    {"nested string past end", nested_string_past_end, BAD, "key 'deep'"},
    {"alignment 0", alignment_0, BAD, "key 'general.alignment'"},
    {"alignment 24", alignment_24, BAD, "key 'general.alignment': expected a power of two, found 24"},
    {"alignment 2^31", alignment_huge, BAD, "tensor 'a'"},
    {"alignment type", alignment_type, BAD, "key 'general.alignment': expected a value of type u32, found u64"},
    {"empty tensor name", tensor_name_empty, BAD, "tensor 0 (at byte 24): the name is empty"},
    {"tensor name with newline", tensor_name_control, BAD, "tensor 1"},
    {"tensor twice", tensor_twice, BAD, "tensor 'blk.0.weight' occurs more than once"},
    {"rank 0", rank_0, BAD, "tensor 'ranked': rank 0"},
    {"rank 5", rank_5, BAD, "tensor 'ranked': rank 5, expected 1 to 4"},
    {"rank 2^32-1", rank_huge, BAD, "tensor 'ranked': rank 4294967295"},
    {"dimension 0", dim_0, BAD, "tensor 'shaped': dimension 0 is 0"},
    {"dimension 2^64-1", dim_negative, BAD, "tensor 'shaped': dimension 1 is 18446744073709551615"},
    {"dimensions overflow", dims_overflow, BAD, "tensor 'shaped': the product of its dimensions"},
    {"row overflow", row_overflow, BAD, "tensor 'shaped': rows of 9223372036854775807 elements"},
    {"bytes wrap", bytes_wrap, BAD, "tensor 'shaped': the product of its dimensions"},
    {"row no multiple of its block", row_no_block, BAD, "tensor 'shaped': rows of 48 elements"},
    {"leaves the file", leaves_file, BAD, "tensor 'shaped': its 68 bytes"},
    {"offset past the end", offset_past_end, BAD, "tensor 'shaped'"},
    {"offset overflow", offset_overflow, BAD, "tensor 'shaped'"},
    {"offset misaligned", offset_misaligned, BAD, "tensor 'shaped': offset 16"},
    {"overlap", overlap, BAD, "tensor 'first' overlaps tensor 'second'"},
    {"overlap by a byte", overlap_by_a_byte, BAD, "tensor 'two' overlaps tensor 'one'"},
    {"same place", same_place, BAD, "overlaps tensor"},
    {"split without number", split_without_number, BAD, "'split.no' is missing"},
    {"split of wrong type", split_type, BAD, "key 'split.count'"},
    {"negative split", split_negative, BAD, "key 'split.tensors.count'"},
    {"split into 2^32-1", split_many, BAD, "key 'split.count'"},
    {"split number", split_number, BAD, "key 'split.no': part 2 of 2"},
};

static void test_variants(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof variants / sizeof variants[0]; i++) {
        struct gguf_bytes b = {.size = 0};
        variants[i].build(&b);
        check_refused(variants[i].what, &b, variants[i].code, variants[i].words);
    }
}

static void test_foreign_types(void **state)
{
    (void)state;
    static const struct {
        uint32_t number;
        const char *words;
    } rows[] = {
        {4, "q4_2 (number 4) was removed"},
        {5, "q4_3"},
        {9, "q8_1"},
        {15, "q8_k"},
        {31, "q4_0_4_4"},
        {33, "q4_0_8_8"},
        {36, "iq4_nl_4_4"},
        {77, "unknown type number 77"},
        {UINT32_MAX, "unknown type number 4294967295"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct gguf_bytes b = {.size = 0};
        shape_of(&b, 256, 1, rows[i].number, 0);
        check_refused(rows[i].words, &b, QN_UNSUPPORTED, rows[i].words);
        check_refused(rows[i].words, &b, QN_UNSUPPORTED, "tensor 'shaped'");
    }
}

/* The opposite: what looks odd and is allowed. */
static void test_accepted(void **state)
{
    (void)state;
    struct gguf_bytes b = {.size = 0};
    put_header(&b, 3, 2, 3);
    put_kv_u32(&b, "general.alignment", 1);
    put_kv_u32(&b, "schl\xc3\xbcssel", 5);
    put_key(&b, "empty", QN_GGUF_ARRAY);
    put_array(&b, QN_GGUF_STRING, 0);
    put_f32_tensor(&b, "later", 2, 9); /* out of order, with a gap, at an odd address */
    put_f32_tensor(&b, "earlier", 2, 0);
    put_zeros(&b, 17);
    struct qn_gguf *gguf;
    void *copy;
    qn_assert_ok(open_bytes(b.data, b.size, NULL, &copy, &gguf));
    assert_int_equal(gguf->alignment, 1);
    assert_int_equal(qn_gguf_find(gguf, "schl\xc3\xbcssel")->as.u, 5);
    assert_int_equal(qn_gguf_find(gguf, "empty")->count, 0);
    assert_int_equal(qn_gguf_tensor(gguf, QN_STR("later"))->offset, b.size - 8);
    assert_null(qn_gguf_tensor(gguf, QN_STR("lat")));
    assert_null(qn_gguf_find(gguf, "missing"));
    qn_gguf_close(gguf);
    free(copy);
}

/* ---- every length, every byte, every allocation --------------------------------------------------------------- */

/* A file whose last tensor ends with the last byte. */
static char *whole_file(size_t *size)
{
    char *data = qn_test_read_file(qn_test_source("test/data/gguf/all_types.gguf"), size);
    struct qn_gguf *gguf;
    qn_assert_ok(qn_gguf_open_memory(data, *size, "whole", NULL, &gguf));
    const struct qn_gguf_tensor *last = &gguf->tensors[gguf->tensor_count - 1];
    *size = (size_t)(last->offset + last->bytes);
    qn_gguf_close(gguf);
    return data;
}

/* Refused at every length before the whole, and opened at that. */
static void check_truncated(const void *data, size_t size)
{
    struct qn_gguf *gguf;
    void *copy;
    for (size_t length = 0; length < size; length++) {
        qn_assert_fails(open_bytes(data, length, NULL, &copy, &gguf), QN_INVALID_FILE, "hostile.gguf");
        free(copy);
    }
    qn_assert_ok(open_bytes(data, size, NULL, &copy, &gguf));
    qn_gguf_close(gguf);
    free(copy);
}

static void test_truncated(void **state)
{
    (void)state;
    size_t size;
    char *data = whole_file(&size);
    check_truncated(data, size);
    free(data);
}

/* The same with one key alone, where the counts of the header cannot tell. */
static void test_truncated_values(void **state)
{
    (void)state;
    for (uint32_t type = QN_GGUF_U8; type <= QN_GGUF_F64; type++) {
        struct gguf_bytes scalar = {.size = 0}, array = {.size = 0};
        uint32_t bytes = qn_gguf_type_bytes((enum qn_gguf_type)type);
        put_header(&array, 3, 0, 1);
        put_key(&array, "k", QN_GGUF_ARRAY);
        put_array(&array, type, 2);
        for (int i = 0; i < 2 && !bytes; i++) /* an empty array, or two texts */
            type == QN_GGUF_ARRAY ? put_array(&array, QN_GGUF_U8, 0) : put_text(&array, "text");
        put_zeros(&array, 2 * bytes);
        check_truncated(array.data, array.size);
        if (type == QN_GGUF_ARRAY)
            continue;
        put_header(&scalar, 3, 0, 1);
        put_key(&scalar, "k", type);
        if (type == QN_GGUF_STRING)
            put_text(&scalar, "text");
        put_zeros(&scalar, bytes);
        check_truncated(scalar.data, scalar.size);
    }
}

/* Each byte of the header set to a few values: whatever is made of it, nothing is read outside the file, and what
 * opens can be walked. */
static void test_flipped(void **state)
{
    (void)state;
    static const uint8_t values[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
    size_t size, refused = 0, sum = 0;
    char *data = whole_file(&size);
    for (size_t at = 0; at < size; at++) {
        uint8_t before = (uint8_t)data[at];
        for (size_t v = 0; v < sizeof values; v++) {
            struct qn_gguf *gguf;
            void *copy;
            data[at] = (char)values[v];
            qn_status status = open_bytes(data, size, NULL, &copy, &gguf);
            refused += status != NULL;
            for (uint32_t i = 0; gguf && i < gguf->tensor_count; i++) {
                const struct qn_gguf_tensor *tensor = &gguf->tensors[i];
                const uint8_t *bytes = qn_gguf_tensor_data(gguf, tensor);
                sum += bytes[0] + bytes[tensor->bytes - 1]; /* for the sanitizer to look at */
            }
            qn_gguf_close(gguf);
            qn_status_free(status);
            free(copy);
        }
        data[at] = (char)before;
    }
    assert_true(refused > size / 4);
    assert_true(sum > 0);
    free(data);
}

/* Enough of everything that the arena has to ask for memory several times. */
static void large_file(struct gguf_bytes *b)
{
    put_header(b, 3, 40, 101);
    for (int i = 0; i < 100; i++) {
        char key[32];
        snprintf(key, sizeof key, "key.number.%d", i);
        put_kv_u32(b, key, (uint32_t)i);
    }
    put_key(b, "tokens", QN_GGUF_ARRAY);
    put_array(b, QN_GGUF_STRING, 400);
    for (int i = 0; i < 400; i++)
        put_text(b, "token");
    for (uint32_t i = 0; i < 40; i++) {
        char name[32];
        snprintf(name, sizeof name, "blk.%u.weight", (unsigned)i);
        put_f32_tensor(b, name, 8, i * 32);
    }
    put_padding(b, 32);
    put_zeros(b, 40 * 32);
}

static qn_status open_step(const struct qn_allocator *allocator, void *context)
{
    const struct gguf_bytes *b = context;
    struct qn_gguf *gguf;
    qn_status status = qn_gguf_open_memory(b->data, b->size, "memory.gguf", allocator, &gguf);
    qn_gguf_close(gguf);
    return status;
}

static qn_status open_path_step(const struct qn_allocator *allocator, void *context)
{
    struct qn_gguf *gguf;
    qn_status status = qn_gguf_open(context, allocator, &gguf);
    qn_gguf_close(gguf);
    return status;
}

static void test_every_allocation(void **state)
{
    (void)state;
    struct gguf_bytes b = {.size = 0};
    char path[512];
    large_file(&b);
    assert_true(qn_test_every_allocation(open_step, &b) >= 5);
    snprintf(path, sizeof path, "%s", qn_test_source("test/data/gguf/split-00001-of-00003.gguf"));
    assert_true(qn_test_every_allocation(open_path_step, path) >= 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_variants),         cmocka_unit_test(test_foreign_types),
        cmocka_unit_test(test_accepted),         cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_truncated_values), cmocka_unit_test(test_flipped),
        cmocka_unit_test(test_every_allocation),
    };
    return cmocka_run_group_tests_name("gguf_hostile", tests, NULL, NULL);
}
