/* What the GGUF writer writes, the reader reads: every metadata type, rank, tensor type and alignment. And what the
 * writer refuses. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "format/gguf/gguf.h"
#include "support/testing.h"

/* An array of arrays as it stands in a file: two u8 arrays, {1, 2} and {}. */
static const uint8_t nested[] = {0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
static const uint8_t numbers[] = {0x00, 0x01, 0x01, 0x00, 0x01, 0x00, 0x01, 0x00, 0x00, 0x00, 0x80, 0x3f,
                                  0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xf8, 0x7f, 0x01, 0x01, 0x01, 0x00};
static const struct qn_str words[] = {{"", 0}, {"one", 3}, {"t\0o\xff", 4}};

#define SCALAR(name, t, member, v)                  \
    {                                               \
        name,                                       \
        {                                           \
            .type = t, .count = 1, .as.member = (v) \
        }                                           \
    }
#define NUMBERS(name, t, n)                                                        \
    {                                                                              \
        name,                                                                      \
        {                                                                          \
            .type = QN_GGUF_ARRAY, .elem_type = t, .count = n, .as.items = numbers \
        }                                                                          \
    }

static const struct {
    const char *key;
    struct qn_gguf_value value;
} rows[] = {
    SCALAR("u8", QN_GGUF_U8, u, 255),
    SCALAR("i8", QN_GGUF_I8, i, -128),
    SCALAR("u16", QN_GGUF_U16, u, 65535),
    SCALAR("i16", QN_GGUF_I16, i, -32768),
    SCALAR("u32", QN_GGUF_U32, u, UINT32_MAX),
    SCALAR("i32", QN_GGUF_I32, i, INT32_MIN),
    SCALAR("u64", QN_GGUF_U64, u, UINT64_MAX),
    SCALAR("i64", QN_GGUF_I64, i, INT64_MIN),
    SCALAR("f32", QN_GGUF_F32, f, 1.5),
    SCALAR("f64", QN_GGUF_F64, f, -0x1.fffffffffffffp1023),
    SCALAR("true", QN_GGUF_BOOL, u, 1),
    SCALAR("false", QN_GGUF_BOOL, u, 0),
    {"text", {.type = QN_GGUF_STRING, .count = 1, .as.str = {"odd \0 \x1b bytes \xff", 14}}},
    {"no text", {.type = QN_GGUF_STRING, .count = 1, .as.str = {"", 0}}},
    NUMBERS("array u8", QN_GGUF_U8, 24),
    NUMBERS("array i8", QN_GGUF_I8, 24),
    NUMBERS("array u16", QN_GGUF_U16, 12),
    NUMBERS("array i16", QN_GGUF_I16, 12),
    NUMBERS("array u32", QN_GGUF_U32, 6),
    NUMBERS("array i32", QN_GGUF_I32, 6),
    NUMBERS("array f32", QN_GGUF_F32, 6),
    NUMBERS("array u64", QN_GGUF_U64, 3),
    NUMBERS("array i64", QN_GGUF_I64, 3),
    NUMBERS("array f64", QN_GGUF_F64, 3),
    NUMBERS("array bool", QN_GGUF_BOOL, 4),
    NUMBERS("array empty", QN_GGUF_I32, 0),
    {"array string", {.type = QN_GGUF_ARRAY, .elem_type = QN_GGUF_STRING, .count = 3, .as.strings = words}},
    {"array no string", {.type = QN_GGUF_ARRAY, .elem_type = QN_GGUF_STRING, .count = 0, .as.strings = words}},
    {"array array",
     {.type = QN_GGUF_ARRAY, .elem_type = QN_GGUF_ARRAY, .count = 2, .as.items = nested, .item_bytes = sizeof nested}},
};

enum { ROWS = sizeof rows / sizeof rows[0] };

static void check_value(const char *key, const struct qn_gguf_value *read, const struct qn_gguf_value *written)
{
    assert_non_null(read);
    assert_int_equal(read->type, written->type);
    assert_int_equal(read->count, written->count);
    if (read->type == QN_GGUF_STRING) {
        assert_true(qn_str_eq(read->as.str, written->as.str));
    } else if (read->type != QN_GGUF_ARRAY) {
        if (read->as.u != written->as.u)
            fail_msg("%s: %llx read, %llx written", key, (unsigned long long)read->as.u,
                     (unsigned long long)written->as.u);
    } else {
        assert_int_equal(read->elem_type, written->elem_type);
        for (uint64_t i = 0; read->elem_type == QN_GGUF_STRING && i < read->count; i++)
            assert_true(qn_str_eq(read->as.strings[i], written->as.strings[i]));
        if (read->elem_type != QN_GGUF_STRING && read->item_bytes)
            assert_memory_equal(read->as.items, written->as.items, read->item_bytes);
    }
}

static struct qn_gguf_writer *create_writer(const char *path)
{
    struct qn_gguf_writer *writer;
    qn_assert_ok(qn_gguf_writer_create(path, NULL, &writer));
    return writer;
}

static void test_metadata(void **state)
{
    (void)state;
    const char *path = qn_test_temp("metadata.gguf");
    struct qn_gguf_writer *writer = create_writer(path);
    for (size_t i = 0; i < ROWS; i++)
        qn_assert_ok(qn_gguf_writer_set(writer, qn_str_from(rows[i].key), &rows[i].value));
    /* a key that exists is replaced where it stands */
    const struct qn_gguf_value other = {.type = QN_GGUF_U16, .count = 1, .as.u = 9};
    qn_assert_ok(qn_gguf_writer_set(writer, QN_STR("i8"), &other));
    qn_assert_ok(qn_gguf_writer_begin_data(writer));
    qn_assert_ok(qn_gguf_writer_commit(writer));

    struct qn_gguf *gguf;
    qn_assert_ok(qn_gguf_open(path, NULL, &gguf));
    assert_int_equal(gguf->version, 3);
    assert_int_equal(gguf->kv_count, ROWS);
    assert_int_equal(gguf->tensor_count, 0);
    for (size_t i = 0; i < ROWS; i++) {
        assert_string_equal(gguf->kvs[i].key.data, rows[i].key);
        bool replaced = strcmp(rows[i].key, "i8") == 0;
        check_value(rows[i].key, qn_gguf_find(gguf, rows[i].key), replaced ? &other : &rows[i].value);
    }
    const struct qn_gguf_value *array = qn_gguf_find(gguf, "array f32");
    assert_true(qn_gguf_item_f64(array, 2) == 1.0);
    assert_int_equal(qn_gguf_item_i64(array, 2), 1);
    assert_int_equal(qn_gguf_item_i64(qn_gguf_find(gguf, "array i16"), 5), 0x3f80);
    assert_int_equal(qn_gguf_item_i64(qn_gguf_find(gguf, "u64"), 0), -1);
    assert_true(qn_gguf_item_f64(qn_gguf_find(gguf, "u64"), 0) == 0x1p64);
    assert_int_equal(qn_gguf_item_i64(qn_gguf_find(gguf, "f64"), 0), INT64_MIN);
    assert_int_equal(qn_gguf_item_i64(array, 4), 0); /* NaN */
    qn_gguf_close(gguf);
}

static void test_getters(void **state)
{
    (void)state;
    const char *path = qn_test_temp("getters.gguf");
    struct qn_gguf_writer *writer = create_writer(path);
    for (size_t i = 0; i < ROWS; i++)
        qn_assert_ok(qn_gguf_writer_set(writer, qn_str_from(rows[i].key), &rows[i].value));
    qn_assert_ok(qn_gguf_writer_begin_data(writer));
    qn_assert_ok(qn_gguf_writer_commit(writer));
    struct qn_gguf *gguf;
    qn_assert_ok(qn_gguf_open(path, NULL, &gguf));

    uint64_t u = 42;
    double f = 42;
    bool b = false, found = true;
    struct qn_str text = {0};
    qn_assert_ok(qn_gguf_get_u64(gguf, "missing", &u, &found));
    assert_false(found);
    assert_int_equal(u, 42);
    qn_assert_ok(qn_gguf_get_u64(gguf, "u8", &u, &found));
    assert_true(found);
    assert_int_equal(u, 255);
    qn_assert_ok(qn_gguf_get_u64(gguf, "u64", &u, &found));
    assert_true(u == UINT64_MAX);
    qn_assert_fails(qn_gguf_get_u64(gguf, "i8", &u, &found), QN_INVALID_FILE, "key 'i8'");
    qn_assert_fails(qn_gguf_get_u64(gguf, "f32", &u, &found), QN_INVALID_FILE, "getters.gguf: key 'f32'");
    qn_assert_fails(qn_gguf_get_u64(gguf, "array u8", &u, &found), QN_INVALID_FILE, "an array of 24 u8");
    qn_assert_ok(qn_gguf_get_f64(gguf, "f32", &f, &found));
    assert_true(f == 1.5);
    qn_assert_ok(qn_gguf_get_f64(gguf, "i16", &f, &found));
    assert_true(f == -32768);
    qn_assert_fails(qn_gguf_get_f64(gguf, "text", &f, &found), QN_INVALID_FILE, "key 'text'");
    qn_assert_ok(qn_gguf_get_bool(gguf, "true", &b, &found));
    assert_true(b);
    qn_assert_fails(qn_gguf_get_bool(gguf, "u8", &b, &found), QN_INVALID_FILE, "key 'u8'");
    qn_assert_ok(qn_gguf_get_str(gguf, "text", &text, &found));
    assert_int_equal(text.size, 14);
    qn_assert_fails(qn_gguf_get_str(gguf, "u8", &text, &found), QN_INVALID_FILE, "expected a string");
    qn_gguf_close(gguf);
}

/* ---- tensors -------------------------------------------------------------------------------------------------- */

static uint8_t pattern(uint64_t tensor, uint64_t i)
{
    return (uint8_t)(tensor * 37 + i * 11 + (i >> 8));
}

static void write_pattern(struct qn_gguf_writer *writer, uint64_t tensor, uint64_t bytes, size_t step)
{
    uint8_t buffer[256];
    for (uint64_t done = 0; done < bytes;) {
        size_t size = bytes - done < step ? (size_t)(bytes - done) : step;
        for (size_t i = 0; i < size; i++)
            buffer[i] = pattern(tensor, done + i);
        qn_assert_ok(qn_gguf_writer_write(writer, buffer, size));
        done += size;
    }
}

static void check_pattern(const struct qn_gguf *gguf, const struct qn_gguf_tensor *tensor, uint64_t number)
{
    const uint8_t *data = qn_gguf_tensor_data(gguf, tensor);
    for (uint64_t i = 0; i < tensor->bytes; i++)
        if (data[i] != pattern(number, i))
            fail_msg("tensor %llu: byte %llu differs", (unsigned long long)number, (unsigned long long)i);
}

static void check_ranks(uint32_t alignment)
{
    static const uint64_t dims[] = {2, 3, 4, 5};
    const char *path = qn_test_temp("ranks.gguf");
    struct qn_gguf_writer *writer = create_writer(path);
    const struct qn_gguf_value value = {.type = QN_GGUF_U32, .count = 1, .as.u = alignment};
    if (alignment)
        qn_assert_ok(qn_gguf_writer_set(writer, QN_STR("general.alignment"), &value));
    for (uint32_t rank = 1; rank <= 4; rank++) {
        char name[16];
        snprintf(name, sizeof name, "rank%u", (unsigned)rank);
        qn_assert_ok(qn_gguf_writer_add_tensor(writer, qn_str_from(name), QN_DTYPE_I16, rank, dims));
    }
    qn_assert_ok(qn_gguf_writer_begin_data(writer));
    uint64_t elems = 1;
    for (uint32_t rank = 1; rank <= 4; rank++) {
        elems *= dims[rank - 1];
        write_pattern(writer, rank, elems * 2, 7);
    }
    qn_assert_ok(qn_gguf_writer_commit(writer));

    struct qn_gguf *gguf;
    qn_assert_ok(qn_gguf_open(path, NULL, &gguf));
    assert_int_equal(gguf->alignment, alignment ? alignment : 32);
    assert_int_equal(gguf->tensor_count, 4);
    for (uint32_t rank = 1; rank <= 4; rank++) {
        const struct qn_gguf_tensor *tensor = &gguf->tensors[rank - 1];
        assert_int_equal(tensor->rank, rank);
        assert_memory_equal(tensor->dims, dims, rank * sizeof dims[0]);
        assert_int_equal(tensor->offset % gguf->alignment, 0);
        check_pattern(gguf, tensor, rank);
    }
    qn_gguf_close(gguf);
}

static void test_ranks(void **state)
{
    (void)state;
    static const uint32_t alignments[] = {0, 1, 8, 32, 64, 4096};
    for (size_t i = 0; i < sizeof alignments / sizeof alignments[0]; i++)
        check_ranks(alignments[i]);
}

static void test_types(void **state)
{
    (void)state;
    const char *path = qn_test_temp("types.gguf");
    struct qn_gguf_writer *writer = create_writer(path);
    uint32_t count = 0;
    for (int dtype = 1; dtype < QN_DTYPE_LIMIT; dtype++) {
        const struct qn_dtype_info *info = qn_dtype_info((qn_dtype)dtype);
        const uint64_t dims[] = {3, 256};
        if (!info->name)
            continue;
        if (info->gguf < 0) {
            qn_assert_fails(qn_gguf_writer_add_tensor(writer, qn_str_from(info->name), (qn_dtype)dtype, 2, dims),
                            QN_INVALID_ARGUMENT, info->name);
            continue;
        }
        qn_assert_ok(qn_gguf_writer_add_tensor(writer, qn_str_from(info->name), (qn_dtype)dtype, 2, dims));
        count++;
    }
    assert_true(count >= 20);
    qn_assert_ok(qn_gguf_writer_begin_data(writer));
    for (int dtype = 1; dtype < QN_DTYPE_LIMIT; dtype++) {
        uint64_t row;
        if (qn_dtype_info((qn_dtype)dtype)->gguf >= 0 && qn_dtype_row_bytes((qn_dtype)dtype, 256, &row))
            write_pattern(writer, (uint64_t)dtype, 3 * row, 256);
    }
    qn_assert_ok(qn_gguf_writer_commit(writer));
    struct qn_gguf *gguf;
    qn_assert_ok(qn_gguf_open(path, NULL, &gguf));
    assert_int_equal(gguf->tensor_count, count);
    for (uint32_t i = 0; i < gguf->tensor_count; i++) {
        assert_string_equal(gguf->tensors[i].name.data, qn_dtype_name(gguf->tensors[i].dtype));
        check_pattern(gguf, &gguf->tensors[i], (uint64_t)gguf->tensors[i].dtype);
    }
    qn_gguf_close(gguf);
}

/* ---- refusals ------------------------------------------------------------------------------------------------- */

static void test_refusals(void **state)
{
    (void)state;
    const char *path = qn_test_temp("refused.gguf");
    int files = qn_test_temp_count();
    struct qn_gguf_writer *writer = create_writer(path);
    const uint64_t dims[] = {2, 40}, zero[] = {0, 32}, huge[] = {UINT64_C(1) << 62, 1 << 10};
    const struct qn_gguf_value fine = {.type = QN_GGUF_U32, .count = 1, .as.u = 24},
                               wide = {.type = QN_GGUF_U8, .count = 1, .as.u = 512},
                               low = {.type = QN_GGUF_I8, .count = 1, .as.i = -129},
                               odd = {.type = (enum qn_gguf_type)13, .count = 1},
                               flags = {.type = QN_GGUF_ARRAY,
                                        .elem_type = QN_GGUF_BOOL,
                                        .count = 1,
                                        .as.items = (const uint8_t *)"\2"};
    qn_assert_fails(qn_gguf_writer_set(writer, QN_STR(""), &fine), QN_INVALID_ARGUMENT, "refused.gguf");
    qn_assert_fails(qn_gguf_writer_set(writer, QN_STR("a\n"), &fine), QN_INVALID_ARGUMENT, "not printable");
    qn_assert_fails(qn_gguf_writer_set(writer, QN_STR("wide"), &wide), QN_INVALID_ARGUMENT, "key 'wide'");
    qn_assert_fails(qn_gguf_writer_set(writer, QN_STR("low"), &low), QN_INVALID_ARGUMENT, "key 'low'");
    qn_assert_fails(qn_gguf_writer_set(writer, QN_STR("odd"), &odd), QN_INVALID_ARGUMENT, "key 'odd'");
    qn_assert_fails(qn_gguf_writer_set(writer, QN_STR("flags"), &flags), QN_INVALID_FILE, "key 'flags'");
    qn_assert_fails(qn_gguf_writer_set(writer, QN_STR("general.alignment"), &fine), QN_INVALID_ARGUMENT,
                    "power of two");
    struct qn_str t = QN_STR("t");
    qn_assert_fails(qn_gguf_writer_add_tensor(writer, t, QN_DTYPE_F32, 0, dims), QN_INVALID_ARGUMENT, "rank 0");
    qn_assert_fails(qn_gguf_writer_add_tensor(writer, t, QN_DTYPE_F32, 5, dims), QN_INVALID_ARGUMENT, "rank 5");
    qn_assert_fails(qn_gguf_writer_add_tensor(writer, t, QN_DTYPE_F32, 2, zero), QN_INVALID_ARGUMENT, "dimension 0");
    qn_assert_fails(qn_gguf_writer_add_tensor(writer, t, QN_DTYPE_F32, 2, huge), QN_INVALID_ARGUMENT, "tensor 't'");
    qn_assert_fails(qn_gguf_writer_add_tensor(writer, t, QN_DTYPE_Q4_0, 2, dims), QN_INVALID_ARGUMENT,
                    "rows of 40 elements");
    qn_assert_fails(qn_gguf_writer_add_tensor(writer, t, QN_DTYPE_NONE, 2, dims), QN_INVALID_ARGUMENT, "tensor 't'");
    qn_assert_ok(qn_gguf_writer_add_tensor(writer, t, QN_DTYPE_F32, 2, dims));
    qn_assert_fails(qn_gguf_writer_add_tensor(writer, t, QN_DTYPE_F32, 2, dims), QN_INVALID_ARGUMENT, "declared twice");
    qn_assert_fails(qn_gguf_writer_write(writer, dims, 4), QN_INVALID_ARGUMENT, "before it was begun");
    qn_assert_ok(qn_gguf_writer_begin_data(writer));
    qn_assert_fails(qn_gguf_writer_begin_data(writer), QN_INVALID_ARGUMENT, "already begun");
    qn_assert_fails(qn_gguf_writer_set(writer, QN_STR("late"), &fine), QN_INVALID_ARGUMENT, "after the data");
    qn_assert_fails(qn_gguf_writer_add_tensor(writer, QN_STR("late"), QN_DTYPE_F32, 2, dims), QN_INVALID_ARGUMENT,
                    "after the data");
    write_pattern(writer, 0, 319, 100);
    qn_assert_fails(qn_gguf_writer_commit(writer), QN_INVALID_ARGUMENT, "tensor 't': 319 of its 320 bytes");
    assert_int_equal(qn_test_temp_count(), files); /* neither the file nor its draft */

    writer = create_writer(path);
    qn_assert_ok(qn_gguf_writer_add_tensor(writer, t, QN_DTYPE_F32, 2, dims));
    qn_assert_ok(qn_gguf_writer_begin_data(writer));
    write_pattern(writer, 0, 320, 100);
    qn_assert_fails(qn_gguf_writer_write(writer, dims, 1), QN_INVALID_ARGUMENT, "past the end of the last tensor");
    qn_gguf_writer_discard(writer);
    assert_int_equal(qn_test_temp_count(), files);
    qn_assert_fails(qn_gguf_writer_create("/nonexistent/folder/x.gguf", NULL, &writer), QN_IO, "/nonexistent/folder");
    assert_null(writer);
}

static qn_status write_step(const struct qn_allocator *allocator, void *context)
{
    struct qn_gguf_writer *writer;
    const uint64_t dims[] = {2, 8};
    const float data[16] = {0};
    qn_status status = qn_gguf_writer_create(context, allocator, &writer);
    if (status)
        return status;
    for (size_t i = 0; !status && i < ROWS; i++)
        status = qn_gguf_writer_set(writer, qn_str_from(rows[i].key), &rows[i].value);
    if (!status)
        status = qn_gguf_writer_add_tensor(writer, QN_STR("t"), QN_DTYPE_F32, 2, dims);
    if (!status)
        status = qn_gguf_writer_begin_data(writer);
    if (!status)
        status = qn_gguf_writer_write(writer, data, sizeof data);
    if (!status)
        return qn_gguf_writer_commit(writer);
    qn_gguf_writer_discard(writer);
    return status;
}

static void test_every_allocation(void **state)
{
    (void)state;
    char path[512];
    snprintf(path, sizeof path, "%s", qn_test_temp("memory.gguf"));
    assert_true(qn_test_every_allocation(write_step, path) > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_metadata), cmocka_unit_test(test_getters),  cmocka_unit_test(test_ranks),
        cmocka_unit_test(test_types),    cmocka_unit_test(test_refusals), cmocka_unit_test(test_every_allocation),
    };
    return cmocka_run_group_tests_name("gguf_write", tests, NULL, NULL);
}
