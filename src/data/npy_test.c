#include <stdio.h>
#include <string.h>

#include "support/testing.h"

#include "base/arena.h"
#include "data/npy.h"
#include "quern/data.h"

/* A file of version 1 around a dictionary and data. */
static size_t make(uint8_t *out, const char *dictionary, const void *data, size_t bytes)
{
    size_t length = strlen(dictionary);
    memcpy(out, "\x93NUMPY\x01\x00", 8);
    out[8] = (uint8_t)length;
    out[9] = 0;
    memcpy(out + 10, dictionary, length);
    if (bytes)
        memcpy(out + 10 + length, data, bytes);
    return 10 + length + bytes;
}

static qn_status read_back(const char *dictionary, const void *data, size_t bytes, struct qn_tensor *out)
{
    uint8_t file[512];
    size_t size = make(file, dictionary, data, bytes);
    return qn_npy_read(file, size, "x.npy", qn_allocator_default(), out);
}

static void release(struct qn_tensor *tensor)
{
    qn_free(qn_allocator_default(), tensor->data, tensor->bytes);
}

static void reads_orders(void **state)
{
    (void)state;
    struct qn_tensor t;
    const uint8_t big[] = {0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0, 6};
    qn_assert_ok(read_back("{'descr': '>i4', 'fortran_order': False, 'shape': (2, 3), }\n", big, sizeof big, &t));
    assert_int_equal(t.dtype, QN_DTYPE_I32);
    assert_int_equal(t.rank, 2);
    assert_int_equal(t.dims[1], 3);
    for (int i = 0; i < 6; i++)
        assert_int_equal(((int32_t *)t.data)[i], i + 1);
    release(&t);
    const int16_t columns[] = {1, 4, 2, 5, 3, 6};
    qn_assert_ok(read_back("{'descr': '<i2', 'fortran_order': True, 'shape': (2, 3)}\n", columns, sizeof columns, &t));
    for (int i = 0; i < 6; i++)
        assert_int_equal(((int16_t *)t.data)[i], i + 1);
    release(&t);
}

static void reads_strings(void **state)
{
    (void)state;
    struct qn_tensor t;
    const uint32_t text[] = {'a', 0, 0xe9, 0x1f600};
    qn_assert_ok(read_back("{'descr': '<U2', 'fortran_order': False, 'shape': (2,), }\n", text, sizeof text, &t));
    const struct qn_string *s = t.data;
    assert_int_equal(t.dtype, QN_DTYPE_STRING);
    assert_int_equal(s[0].size, 1);
    assert_int_equal(s[1].size, 6);
    assert_memory_equal(s[1].data, "\xc3\xa9\xf0\x9f\x98\x80", 6);
    release(&t);
}

static void refuses(void **state)
{
    (void)state;
    struct qn_tensor t;
    const float one = 1;
    qn_assert_fails(read_back("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n", &one, 4, &t),
                    QN_INVALID_FILE, "x.npy: its shape needs 2 elements");
    qn_assert_fails(read_back("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n", &one, 4, &t),
                    QN_INVALID_FILE, "x.npy");
    qn_assert_fails(
        read_back("{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807, 9, 9), }\n", &one, 4, &t),
        QN_INVALID_FILE, "overflows");
    qn_assert_fails(qn_npy_read("\x93NUMPY\x01\x00\xff\xff", 10, "y.npy", qn_allocator_default(), &t), QN_INVALID_FILE,
                    "cut off");
}

static void writes_what_it_reads(void **state)
{
    (void)state;
    const struct qn_string words[] = {{"x", 1}, {"\xc3\xa4\xc3\xb6", 4}};
    const uint8_t eights[] = {0x38, 0xb8}; /* 1 and -1 of f8e4m3fn */
    struct qn_data items[] = {
        {.kind = QN_DATA_TENSOR, .tensor = {(void *)(uintptr_t)words, sizeof words, QN_DTYPE_STRING, 1, {2}}},
        {.kind = QN_DATA_TENSOR, .tensor = {(void *)(uintptr_t)eights, 2, QN_DTYPE_F8E4M3FN, 2, {1, 2}}},
    };
    struct qn_data sequence = {.kind = QN_DATA_SEQUENCE, .count = 2, .items = items}, back;
    qn_assert_ok(qn_data_save(&sequence, qn_test_temp("out"), NULL));
    qn_assert_ok(qn_data_load(qn_test_temp("out.0.npy"), NULL, NULL, NULL, &back));
    const struct qn_string *s = back.tensor.data;
    assert_int_equal(s[1].size, 4);
    assert_memory_equal(s[1].data, words[1].data, 4);
    qn_data_free(&back, NULL);
    qn_assert_ok(qn_data_load(qn_test_temp("out.1.npy"), NULL, NULL, NULL, &back));
    assert_int_equal(back.tensor.dtype, QN_DTYPE_F32);
    assert_int_equal(back.tensor.rank, 2);
    assert_true(((float *)back.tensor.data)[0] == 1 && ((float *)back.tensor.data)[1] == -1);
    qn_data_free(&back, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_orders),
        cmocka_unit_test(reads_strings),
        cmocka_unit_test(refuses),
        cmocka_unit_test(writes_what_it_reads),
    };
    return cmocka_run_group_tests_name("npy", tests, NULL, NULL);
}
