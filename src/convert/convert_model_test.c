#include "quern/convert.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "format/gguf/gguf.h"
#include "quant/quant.h"
#include "support/testing.h"

enum { WIDTH = 512, ROWS = 200 }; /* 102,400 elements: several tiles and a last one that is not full */

static float matrix[ROWS * WIDTH], norm[WIDTH];

static void fill_matrix(void)
{
    uint32_t state = 1;
    for (int i = 0; i < ROWS * WIDTH; i++) {
        state = state * 1664525 + 1013904223;
        matrix[i] = ((float)(state >> 8) / 8388608 - 1) * 0.1f;
    }
    for (int i = 0; i < WIDTH; i++)
        norm[i] = 1 + 0.001f * (float)i;
}

static void set_number(struct qn_gguf_writer *writer, const char *key, uint32_t number)
{
    struct qn_gguf_value value = {.type = QN_GGUF_U32, .count = 1, .as.u = number};
    qn_assert_ok(qn_gguf_writer_set(writer, qn_str_from(key), &value));
}

static void set_text(struct qn_gguf_writer *writer, const char *key, const char *text)
{
    struct qn_gguf_value value = {.type = QN_GGUF_STRING, .count = 1, .as.str = qn_str_from(text)};
    qn_assert_ok(qn_gguf_writer_set(writer, qn_str_from(key), &value));
}

/* One layer: the matrix (as `dtype`), a norm, a table of integers, and rows of 96 that fit no block of 256. */
static const char *make_model(const char *name, qn_dtype dtype)
{
    const char *path = qn_test_temp(name);
    struct qn_gguf_writer *writer;
    static const uint8_t tokens[] = {1, 0, 0, 0, 2, 0, 0, 0};
    static uint8_t bytes[sizeof matrix];
    static const int32_t table[6] = {5, -4, 3, -2, 1, 0};
    struct qn_gguf_value list = {.type = QN_GGUF_ARRAY, .elem_type = QN_GGUF_I32, .count = 2, .as.items = tokens};
    qn_assert_ok(qn_gguf_writer_create(path, NULL, &writer));
    set_text(writer, "general.architecture", "llama");
    set_text(writer, "general.name", "a test");
    set_number(writer, "llama.block_count", 1);
    set_number(writer, "general.file_type", 0);
    set_number(writer, "general.alignment", 64);
    set_number(writer, "split.count", 1);
    qn_assert_ok(qn_gguf_writer_set(writer, QN_STR("some.list"), &list));
    uint64_t wide[] = {ROWS, WIDTH}, flat[] = {WIDTH}, pairs[] = {2, 3}, narrow[] = {8, 96};
    qn_assert_ok(qn_gguf_writer_add_tensor(writer, QN_STR("blk.0.attn_q.weight"), dtype, 2, wide));
    qn_assert_ok(qn_gguf_writer_add_tensor(writer, QN_STR("output_norm.weight"), QN_DTYPE_F32, 1, flat));
    qn_assert_ok(qn_gguf_writer_add_tensor(writer, QN_STR("table.weight"), QN_DTYPE_I32, 2, pairs));
    qn_assert_ok(qn_gguf_writer_add_tensor(writer, QN_STR("blk.0.ffn_up.weight"), QN_DTYPE_F32, 2, narrow));
    qn_assert_ok(qn_gguf_writer_begin_data(writer));
    uint64_t row_bytes;
    assert_true(qn_dtype_row_bytes(dtype, WIDTH, &row_bytes));
    qn_quant(dtype)->quantise(matrix, bytes, ROWS * WIDTH, NULL);
    qn_assert_ok(qn_gguf_writer_write(writer, bytes, row_bytes * ROWS));
    qn_assert_ok(qn_gguf_writer_write(writer, norm, sizeof norm));
    qn_assert_ok(qn_gguf_writer_write(writer, table, sizeof table));
    qn_assert_ok(qn_gguf_writer_write(writer, matrix, 8 * 96 * sizeof(float)));
    qn_assert_ok(qn_gguf_writer_commit(writer));
    return path;
}

static const struct qn_gguf_tensor *tensor_of(const struct qn_gguf *gguf, const char *name)
{
    for (uint32_t i = 0; i < gguf->tensor_count; i++)
        if (qn_str_is(gguf->tensors[i].name, name))
            return &gguf->tensors[i];
    fail_msg("tensor '%s' is missing", name);
    return NULL;
}

static void assert_number(const struct qn_gguf *gguf, const char *key, uint64_t expected)
{
    uint64_t number = 0;
    bool found;
    qn_assert_ok(qn_gguf_get_u64(gguf, key, &number, &found));
    assert_true(found && number == expected);
}

static void weights_change_and_the_rest_is_carried_over(void **state)
{
    (void)state;
    const char *in = make_model("in.gguf", QN_DTYPE_F32), *out = qn_test_temp("out.gguf");
    struct qn_convert_stats stats = {.struct_size = sizeof stats};
    qn_assert_ok(qn_quantize(in, out, "q4_k_m", NULL, &stats));
    struct qn_gguf *gguf;
    qn_assert_ok(qn_gguf_open(out, NULL, &gguf));
    assert_number(gguf, "general.file_type", 15);
    assert_number(gguf, "general.quantization_version", 2);
    assert_number(gguf, "llama.block_count", 1);
    assert_null(qn_gguf_find(gguf, "split.count"));
    const struct qn_gguf_value *list = qn_gguf_find(gguf, "some.list");
    assert_true(list && list->count == 2 && qn_gguf_item_i64(list, 1) == 2);
    assert_int_equal(gguf->alignment, 64);
    assert_int_equal(gguf->tensor_count, 4);

    const struct qn_gguf_tensor *tensor = tensor_of(gguf, "blk.0.attn_q.weight");
    static uint8_t expected[ROWS * WIDTH];
    assert_int_equal(tensor->dtype, QN_DTYPE_Q4_K);
    assert_true(tensor->rank == 2 && tensor->dims[0] == ROWS && tensor->dims[1] == WIDTH);
    qn_quant(QN_DTYPE_Q4_K)->quantise(matrix, expected, ROWS * WIDTH, NULL);
    assert_memory_equal(qn_gguf_tensor_data(gguf, tensor), expected, tensor->bytes);
    tensor = tensor_of(gguf, "output_norm.weight");
    assert_int_equal(tensor->dtype, QN_DTYPE_F32);
    assert_memory_equal(qn_gguf_tensor_data(gguf, tensor), norm, sizeof norm);
    tensor = tensor_of(gguf, "table.weight");
    assert_int_equal(tensor->dtype, QN_DTYPE_I32);
    assert_int_equal(((const int32_t *)qn_gguf_tensor_data(gguf, tensor))[1], -4);
    assert_int_equal(tensor_of(gguf, "blk.0.ffn_up.weight")->dtype, QN_DTYPE_Q5_0);
    qn_gguf_close(gguf);

    uint64_t small = sizeof norm + 6 * 4;
    assert_int_equal(stats.bytes_in, sizeof matrix + small + 8 * 96 * 4);
    assert_int_equal(stats.bytes_out, ROWS * WIDTH / 256 * 144 + small + 8 * 96 / 32 * 22);
    assert_true(stats.tensors == 4 && stats.fallbacks == 1 && stats.requantised == 0 && stats.seconds > 0);
    assert_true(stats.type_counts[QN_DTYPE_Q4_K] == 1 && stats.type_counts[QN_DTYPE_F32] == 1);
}

static void every_type_reads_every_type(void **state)
{
    (void)state;
    static const qn_dtype sources[] = {QN_DTYPE_BF16, QN_DTYPE_Q6_K, QN_DTYPE_IQ4_XS};
    static float out_values[ROWS * WIDTH];
    const char *name, *out = qn_test_temp("cross.gguf");
    for (size_t s = 0; s < sizeof sources / sizeof sources[0]; s++) {
        const char *in = make_model("cross-in.gguf", sources[s]);
        size_t i = 0;
        for (; (name = qn_convert_type(i, NULL)); i++) {
            struct qn_convert_stats stats = {.struct_size = sizeof stats};
            qn_assert_ok(qn_quantize(in, out, name, NULL, &stats));
            struct qn_gguf *gguf;
            qn_assert_ok(qn_gguf_open(out, NULL, &gguf));
            const struct qn_gguf_tensor *tensor = tensor_of(gguf, "blk.0.attn_q.weight");
            qn_quant(tensor->dtype)->dequantise(qn_gguf_tensor_data(gguf, tensor), out_values, ROWS * WIDTH);
            double error = 0, square = 0;
            for (int k = 0; k < ROWS * WIDTH; k++) {
                error += pow((double)out_values[k] - matrix[k], 2);
                square += pow(matrix[k], 2);
            }
            if (sqrt(error / square) > 0.5)
                fail_msg("%s to %s: error %.3f", qn_dtype_name(sources[s]), name, sqrt(error / square));
            bool twice =
                qn_dtype_is_block(sources[s]) && qn_dtype_is_block(tensor->dtype) && tensor->dtype != sources[s];
            assert_int_equal(stats.requantised, twice);
            qn_gguf_close(gguf);
        }
        assert_int_equal(i, 24);
    }
}

static void threads_do_not_change_the_bytes(void **state)
{
    (void)state;
    const char *in = make_model("threads-in.gguf", QN_DTYPE_F16);
    const char *one = qn_test_temp("one.gguf"), *three = qn_test_temp("three.gguf");
    struct qn_convert_options options = {.struct_size = sizeof options, .threads = 1};
    qn_assert_ok(qn_quantize(in, one, "Q6_K", &options, NULL));
    options.threads = 3;
    qn_assert_ok(qn_quantize(in, three, "Q6_K", &options, NULL));
    qn_test_same_files(one, three);
}

static bool stop_half_way(void *context, uint64_t done, uint64_t total)
{
    uint64_t *calls = context;
    ++*calls;
    return done < total / 2;
}

static void failures_leave_no_file(void **state)
{
    (void)state;
    const char *in = make_model("bad-in.gguf", QN_DTYPE_F32), *out = qn_test_temp("never.gguf");
    const char *link_path = qn_test_temp("link.gguf");
    assert_int_equal(link(in, link_path), 0);
    int entries = qn_test_temp_count();
    qn_assert_fails(qn_quantize(in, out, "q4_x", NULL, NULL), QN_INVALID_ARGUMENT, "'q4_x'; known are F32, F16");
    qn_assert_fails(qn_quantize(in, in, "q8_0", NULL, NULL), QN_INVALID_ARGUMENT, "the output is the input");
    qn_assert_fails(qn_quantize(in, link_path, "q8_0", NULL, NULL), QN_INVALID_ARGUMENT, "link.gguf");
    qn_assert_fails(qn_quantize(qn_test_temp("absent"), out, "q8_0", NULL, NULL), QN_NOT_FOUND, "absent");
    const char *folder = qn_test_source("test/data/hf/llama_shards");
    qn_assert_fails(qn_convert(folder, folder, NULL, NULL), QN_INVALID_ARGUMENT, "the output is the input");
    uint64_t calls = 0;
    struct qn_convert_options options = {
        .struct_size = sizeof options, .progress = stop_half_way, .progress_context = &calls};
    qn_assert_fails(qn_quantize(in, out, "q8_0", &options, NULL), QN_CANCELLED, "goes on from here");
    assert_true(calls >= 2 && access(out, F_OK) != 0);
    assert_int_equal(qn_test_temp_count(), entries + 2); /* the part and its state, to go on from */
    struct qn_convert_stats stats = {.struct_size = sizeof stats};
    qn_assert_ok(qn_quantize(in, out, "q8_0", NULL, &stats));
    assert_true(stats.resumed == 1);
    assert_int_equal(unlink(out), 0);

    float kept = matrix[70000];
    matrix[70000] = NAN;
    matrix[70001] = INFINITY;
    make_model("bad-in.gguf", QN_DTYPE_F32);
    qn_assert_fails(qn_quantize(in, out, "q8_0", NULL, NULL), QN_INVALID_FILE,
                    "bad-in.gguf: tensor 'blk.0.attn_q.weight': element 70000 is nan");
    matrix[70000] = -70000;
    matrix[70001] = kept;
    make_model("bad-in.gguf", QN_DTYPE_F32);
    qn_assert_fails(qn_quantize(in, out, "f16", NULL, NULL), QN_UNSUPPORTED,
                    "element 70000 is -70000, beyond the range of f16");
    assert_int_equal(qn_test_temp_count(), entries);
    qn_assert_ok(qn_quantize(in, out, "bf16", NULL, NULL));
    assert_int_equal(unlink(out), 0);
    fill_matrix();
    assert_int_equal(qn_test_temp_count(), entries);
}

struct step {
    const char *in, *out;
};

static qn_status quantise_step(const struct qn_allocator *allocator, void *context)
{
    const struct step *step = context;
    struct qn_convert_options options = {.struct_size = sizeof options, .threads = 1, .allocator = allocator};
    return qn_quantize(step->in, step->out, "Q4_0", &options, NULL);
}

static void every_failed_allocation_is_reported(void **state)
{
    (void)state;
    struct step step = {make_model("memory-in.gguf", QN_DTYPE_F16), qn_test_temp("memory-out.gguf")};
    assert_true(qn_test_every_allocation(quantise_step, &step) > 5);
}

static int setup(void **state)
{
    (void)state;
    fill_matrix();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_change_and_the_rest_is_carried_over),
        cmocka_unit_test(every_type_reads_every_type),
        cmocka_unit_test(threads_do_not_change_the_bytes),
        cmocka_unit_test(failures_leave_no_file),
        cmocka_unit_test(every_failed_allocation_is_reported),
    };
    return cmocka_run_group_tests_name("convert", tests, setup, NULL);
}
