#include "convert/imatrix_file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/gguf/gguf.h"
#include "support/testing.h"

static struct qn_imatrix *open_bytes(const void *data, size_t size)
{
    struct qn_imatrix *imatrix;
    qn_assert_ok(qn_imatrix_open_memory(data, size, "test.dat", NULL, &imatrix));
    return imatrix;
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    const float one[4] = {1, 4, 9, 16}, two[6] = {2, 4, 6, 0, 0, 0}, count = 2, counts[2] = {2, 0};
    const struct qn_imatrix_sums sums[] = {{QN_STR("blk.0.attn_q.weight"), 1, 4, one, &count},
                                           {QN_STR("blk.0.ffn_up_exps.weight"), 2, 3, two, counts}};
    const struct qn_imatrix_run run = {"a text", 7, 512};
    const char *path = qn_test_temp("im.gguf");
    qn_assert_ok(qn_imatrix_write(path, sums, 2, &run, NULL));
    struct qn_imatrix *imatrix;
    qn_assert_ok(qn_imatrix_open(path, NULL, &imatrix));
    assert_int_equal(imatrix->entry_count, 2);
    assert_int_equal(imatrix->chunk_count, 7);
    assert_true(qn_str_is(imatrix->dataset, "a text"));
    const struct qn_imatrix_entry *entry = qn_imatrix_find(imatrix, QN_STR("blk.0.attn_q.weight"));
    assert_true(entry && entry->matrices == 1 && entry->columns == 4);
    assert_true(entry->means[0] == 0.5f && entry->means[3] == 8);
    entry = qn_imatrix_find(imatrix, QN_STR("blk.0.ffn_up_exps.weight"));
    assert_true(entry && entry->matrices == 2 && entry->columns == 3);
    assert_true(entry->means[2] == 3 && entry->means[3] == 1 && entry->means[5] == 1); /* the second saw no rows */
    assert_null(qn_imatrix_find(imatrix, QN_STR("blk.1.attn_q.weight")));
    qn_imatrix_close(imatrix);
}

/* The older form: one entry "w" with 2 calls and 3 values, 5 chunks of the text "t". */
static size_t make_dat(uint8_t *out)
{
    const int32_t head[] = {1, 1}, sizes[] = {2, 3}, tail[] = {5, 1};
    const float values[] = {2, 4, 8};
    uint8_t *at = out;
    memcpy(at, head, 8), at += 8;
    *at++ = 'w';
    memcpy(at, sizes, 8), at += 8;
    memcpy(at, values, 12), at += 12;
    memcpy(at, tail, 8), at += 8;
    *at++ = 't';
    return (size_t)(at - out);
}

static void the_older_form_is_read(void **state)
{
    (void)state;
    uint8_t bytes[64];
    struct qn_imatrix *imatrix = open_bytes(bytes, make_dat(bytes));
    const struct qn_imatrix_entry *entry = qn_imatrix_find(imatrix, QN_STR("w"));
    assert_true(entry && entry->columns == 3 && entry->means[0] == 1 && entry->means[2] == 4);
    assert_true(imatrix->chunk_count == 5 && qn_str_is(imatrix->dataset, "t"));
    qn_imatrix_close(imatrix);
}

static void damage_is_refused(void **state)
{
    (void)state;
    uint8_t bytes[64];
    size_t size = make_dat(bytes);
    struct qn_imatrix *imatrix;
    for (size_t cut = 0; cut < size; cut++) {
        uint8_t *copy = malloc(cut + 1); /* an overrun is found by the sanitizer */
        memcpy(copy, bytes, cut);
        qn_status status = qn_imatrix_open_memory(copy, cut, "cut.dat", NULL, &imatrix);
        if (cut >= 29 && cut < 37) { /* without the newer fields it is whole */
            qn_assert_ok(status);
            qn_imatrix_close(imatrix);
        } else {
            qn_assert_fails(status, QN_INVALID_FILE, "cut.dat");
            assert_null(imatrix);
        }
        free(copy);
    }
    static const struct {
        size_t at;
        int32_t value;
        const char *words;
    } rows[] = {
        {0, -1, "no importance matrix"},
        {0, 0x7fffffff, "no importance matrix"},
        {0, 2, "entry 1 of 2 is cut off"},
        {4, 0, "entry 0 of 1"},
        {4, -5, "entry 0 of 1"},
        {13, 0x7fffffff, "entry 0 of 1"},
        {17, 0x7fc00000, "value 0 is nan"},
        {17, (int32_t)0xbf800000, "value 0 is -1"},
        {33, 100, "data set is cut off"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t copy[64];
        memcpy(copy, bytes, size);
        memcpy(copy + rows[i].at, &rows[i].value, 4);
        qn_assert_fails(qn_imatrix_open_memory(copy, size, "bad.dat", NULL, &imatrix), QN_INVALID_FILE, rows[i].words);
    }
}

static void other_gguf_files_are_refused(void **state)
{
    (void)state;
    const char *path = qn_test_temp("no.gguf");
    struct qn_gguf_writer *writer;
    struct qn_imatrix *imatrix;
    float values[4] = {1, 1, 1, -1};
    struct qn_gguf_value type = {.type = QN_GGUF_STRING, .count = 1, .as.str = QN_STR("imatrix")};
    for (int round = 0; round < 3; round++) {
        qn_assert_ok(qn_gguf_writer_create(path, NULL, &writer));
        if (round)
            qn_assert_ok(qn_gguf_writer_set(writer, QN_STR("general.type"), &type));
        qn_assert_ok(qn_gguf_writer_add_tensor(writer, QN_STR("w.in_sum2"), QN_DTYPE_F32, 1, (uint64_t[]){4}));
        if (round == 2)
            qn_assert_ok(qn_gguf_writer_add_tensor(writer, QN_STR("w.counts"), QN_DTYPE_F32, 1, (uint64_t[]){1}));
        qn_assert_ok(qn_gguf_writer_begin_data(writer));
        qn_assert_ok(qn_gguf_writer_write(writer, values, sizeof values));
        if (round == 2)
            qn_assert_ok(qn_gguf_writer_write(writer, values, sizeof values[0]));
        qn_assert_ok(qn_gguf_writer_commit(writer));
        static const char *const words[] = {"general.type is ''", "'w.counts' is missing", "value 3 is -1"};
        qn_assert_fails(qn_imatrix_open(path, NULL, &imatrix), QN_INVALID_FILE, words[round]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(the_older_form_is_read),
        cmocka_unit_test(damage_is_refused),
        cmocka_unit_test(other_gguf_files_are_refused),
    };
    return cmocka_run_group_tests_name("imatrix", tests, NULL, NULL);
}
