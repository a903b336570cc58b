/* What an ONNX file shows once it is open: tensors of every type in either form, inputs, outputs, operators, metadata,
 * and files beside it. */
#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "format/model.h"
#include "format/onnx/onnx_file.h"
#include "onnx_build.h"
#include "quern/model.h"
#include "quern/tensor.h"

static struct qn_model *open_seed(const char *name)
{
    char path[512];
    struct qn_model *model;
    snprintf(path, sizeof path, "fuzz/corpus/onnx/%s.onnx", name);
    qn_assert_ok(qn_model_open(qn_test_source(path), NULL, &model));
    return model;
}

/* ---- tensors -------------------------------------------------------------------------------------------------- */

struct bytes {
    struct qn_arena arena;
    const uint8_t *data;
    uint64_t size;
    bool in_file;
};

/* Decodes a tensor message, which it takes over, to the bytes that the IR holds. */
static qn_status bytes_of(struct pb *message, struct bytes *out)
{
    struct qn_onnx_tensor tensor;
    const void *data;
    qn_arena_init(&out->arena, NULL);
    qn_status status = qn_onnx_decode_tensor(message->data, message->size, "some.pb", &out->arena, &tensor);
    if (!status)
        status = qn_onnx_tensor_bytes(&tensor, &out->arena, &data, &out->size, &out->in_file);
    out->data = status ? NULL : data;
    return status;
}

static void check_bytes(const char *what, struct pb *message, const void *expected, size_t size, bool in_file)
{
    struct bytes bytes;
    qn_assert_ok(bytes_of(message, &bytes));
    if (bytes.size != size || memcmp(bytes.data, expected, size) != 0)
        fail_msg("%s: %llu bytes, or other ones than expected", what, (unsigned long long)bytes.size);
    assert_int_equal(bytes.in_file, in_file);
    qn_arena_deinit(&bytes.arena);
    pb_free(message);
}

enum { RAW = 9, FLOATS = 4, INT32S = 5, STRINGS = 6, INT64S = 7, DOUBLES = 10, UINT64S = 11 };

static struct pb tensor_of(int type, int64_t count)
{
    return pb_tensor("t", type, (const int64_t[]){count, -1});
}

static void test_narrow_types(void **state)
{
    (void)state;
    struct pb t = tensor_of(22, 5); /* int4: 1, -2, 7, -8, -1 */
    pb_bytes(&t, RAW, "\xe1\x87\x0f", 3);
    check_bytes("int4 raw", &t, "\x01\xfe\x07\xf8\xff", 5, false);
    t = tensor_of(21, 3);
    pb_bytes(&t, RAW, "\xe1\x07", 2);
    check_bytes("uint4 raw", &t, "\x01\x0e\x07", 3, false);
    t = tensor_of(26, 5); /* int2: 1, -1, -2, 0, 1 */
    pb_bytes(&t, RAW, "\x2d\x01", 2);
    check_bytes("int2 raw", &t, "\x01\xff\xfe\x00\x01", 5, false);
    t = tensor_of(25, 4);
    pb_bytes(&t, RAW, "\xe4", 1);
    check_bytes("uint2 raw", &t, "\x00\x01\x02\x03", 4, false);
    t = tensor_of(22, 3);
    pb_bytes(&t, INT32S, "\xe1\x01\x07", 3); /* packed varints 0xe1, 7 */
    check_bytes("int4 in numbers", &t, "\x01\xfe\x07", 3, false);
    t = tensor_of(23, 2);
    pb_bytes(&t, RAW, "\xf3", 1);
    check_bytes("float4 raw", &t, "\x03\x0f", 2, false);
}

static void test_number_fields(void **state)
{
    (void)state;
    struct pb t = tensor_of(3, 3); /* int8 */
    pb_int(&t, INT32S, -1);        /* one by one, then packed */
    pb_bytes(&t, INT32S, "\x05\x80\x01", 3);
    check_bytes("int8 in numbers", &t, "\xff\x05\x80", 3, false);
    t = tensor_of(10, 2);
    pb_bytes(&t, INT32S, "\x80\x78\x01", 3);
    check_bytes("float16 in numbers", &t, "\x00\x3c\x01\x00", 4, false);
    t = tensor_of(9, 3);
    pb_bytes(&t, RAW, "\x00\x02\x01", 3);
    check_bytes("odd bools become 1", &t, "\x00\x01\x01", 3, false);
    t = tensor_of(9, 2);
    pb_bytes(&t, RAW, "\x00\x01", 2);
    check_bytes("bools as they lie", &t, "\x00\x01", 2, true);
    t = tensor_of(1, 2);
    pb_bytes(&t, FLOATS, "\0\0\x80\x3f\0\0\0\x40", 8);
    check_bytes("packed floats as they lie", &t, "\0\0\x80\x3f\0\0\0\x40", 8, true);
    t = tensor_of(1, 3);
    pb_bytes(&t, FLOATS, "\0\0\x80\x3f", 4);
    pb_bytes(&t, FLOATS, "", 0);
    pb_float(&t, FLOATS, 2);
    pb_bytes(&t, FLOATS, "\0\0\0\x40", 4);
    check_bytes("floats in pieces", &t, "\0\0\x80\x3f\0\0\0\x40\0\0\0\x40", 12, false);
    t = tensor_of(7, 2);
    pb_int(&t, INT64S, -2);
    pb_int(&t, INT64S, 3);
    check_bytes("int64", &t, (const int64_t[]){-2, 3}, 16, false);
    t = tensor_of(12, 1);
    pb_int(&t, UINT64S, 0xfedcba98);
    check_bytes("uint32", &t, (const uint32_t[]){0xfedcba98}, 4, false);
    t = tensor_of(11, 1);
    pb_bytes(&t, DOUBLES, "\0\0\0\0\0\0\xf0\x3f", 8);
    check_bytes("double", &t, (const double[]){1}, 8, true);
    t = tensor_of(14, 1);
    pb_bytes(&t, FLOATS, "\0\0\x80\x3f\0\0\0\x40", 8);
    check_bytes("complex64", &t, (const float[]){1, 2}, 8, true);
    t = tensor_of(1, 0);
    check_bytes("no elements, no data", &t, "", 0, false);
    t = tensor_of(1, 0);
    pb_bytes(&t, RAW, "", 0);
    check_bytes("no elements, no bytes", &t, "", 0, true);
}

static void test_strings(void **state)
{
    (void)state;
    struct bytes bytes;
    struct pb t = tensor_of(8, 2);
    pb_bytes(&t, STRINGS, "a\0b", 3);
    pb_text(&t, STRINGS, "");
    qn_assert_ok(bytes_of(&t, &bytes));
    const struct qn_string *strings = (const void *)bytes.data;
    assert_int_equal(bytes.size, 32);
    assert_int_equal(strings[0].size, 3);
    assert_memory_equal(strings[0].data, "a\0b", 3);
    assert_int_equal(strings[1].size, 0);
    qn_arena_deinit(&bytes.arena);
    pb_free(&t);
}

/* The last of a field that may stand once counts; unknown fields are passed over. */
static void test_fields(void **state)
{
    (void)state;
    struct qn_arena arena;
    struct qn_onnx_tensor tensor;
    struct pb t = tensor_of(6, 1);
    pb_int(&t, 2, 7);
    pb_int(&t, 500, 1);
    pb_text(&t, 501, "future");
    pb_float(&t, 502, 1);
    pb_text(&t, 8, "renamed");
    pb_int(&t, INT64S, 9);
    qn_arena_init(&arena, NULL);
    qn_assert_ok(qn_onnx_decode_tensor(t.data, t.size, "some.pb", &arena, &tensor));
    assert_int_equal(tensor.data_type, 7);
    assert_true(qn_str_is(tensor.name, "renamed"));
    assert_int_equal(tensor.int64_count, 1);
    assert_int_equal(tensor.int64s[0], 9);
    qn_arena_deinit(&arena);
    pb_free(&t);
}

static void test_dtype_numbers(void **state)
{
    (void)state;
    for (int32_t i = 1; i <= 26; i++) {
        assert_int_not_equal(qn_onnx_dtype(i), QN_DTYPE_NONE);
        assert_int_equal(qn_onnx_data_type(qn_onnx_dtype(i)), i);
    }
    assert_int_equal(qn_onnx_dtype(0), QN_DTYPE_NONE);
    assert_int_equal(qn_onnx_dtype(-1), QN_DTYPE_NONE);
    assert_int_equal(qn_onnx_dtype(1000), QN_DTYPE_NONE);
    assert_int_equal(qn_onnx_data_type(QN_DTYPE_Q4_0), 0);
}

/* A seed for each type and form: what the two forms hold is the same. */
static void test_every_type(void **state)
{
    (void)state;
    for (int type = 1; type <= 26; type++) {
        struct qn_onnx_content contents[2];
        struct qn_model *models[2];
        struct qn_arena arena;
        qn_arena_init(&arena, NULL);
        for (int raw = 0; raw < 2; raw++) {
            char name[64];
            snprintf(name, sizeof name, "type_%02d_%s", type, raw && type != 8 ? "raw" : "field");
            models[raw] = open_seed(name);
            const struct qn_onnx_file *file = qn_model_onnx(models[raw]);
            qn_assert_ok(qn_onnx_resolve(file, &file->model.graph.initializers[0], &arena, &contents[raw]));
        }
        assert_int_equal(contents[0].dtype, qn_onnx_dtype(type));
        assert_int_equal(contents[0].bytes, contents[1].bytes);
        assert_int_equal(contents[0].bytes, 3 * qn_dtype_info(contents[0].dtype)->block_bytes);
        if (type != 8)
            assert_memory_equal(contents[0].data, contents[1].data, contents[0].bytes);
        for (int raw = 0; raw < 2; raw++)
            qn_model_close(models[raw]);
        qn_arena_deinit(&arena);
    }
}

static void test_sparse(void **state)
{
    (void)state;
    static const float expected[6] = {0, 1.5f, 0, 0, 0, 2.5f};
    struct qn_arena arena;
    struct qn_onnx_content content;
    qn_arena_init(&arena, NULL);
    struct qn_model *model = open_seed("sparse_initializer");
    const struct qn_onnx_file *file = qn_model_onnx(model);
    qn_assert_ok(qn_onnx_resolve_sparse(file, &file->model.graph.sparse_initializers[0], &arena, &content));
    assert_int_equal(content.bytes, sizeof expected);
    assert_memory_equal(content.data, expected, sizeof expected);
    qn_model_close(model);
    model = open_seed("sparse_constant"); /* indices by axis */
    file = qn_model_onnx(model);
    qn_assert_ok(qn_onnx_resolve_sparse(file, file->model.graph.nodes[0].attrs[0].sparse, &arena, &content));
    assert_memory_equal(content.data, expected, sizeof expected);
    qn_model_close(model);
    qn_arena_deinit(&arena);
}

/* ---- the whole ------------------------------------------------------------------------------------------------ */

static void test_ports_and_ops(void **state)
{
    (void)state;
    struct qn_model *model = open_seed("convolutions");
    struct qn_model_info info = {.struct_size = sizeof info};
    struct qn_model_port port = {.struct_size = sizeof port};
    struct qn_model_op op = {.struct_size = sizeof op};
    qn_assert_ok(qn_model_info(model, &info));
    assert_string_equal(info.format, "ONNX");
    assert_int_equal(info.format_version, 10);
    assert_int_equal(info.input_count, 1);
    assert_int_equal(info.output_count, 1);
    assert_int_equal(info.op_count, 8);
    assert_int_equal(info.tensor_count, 4);
    assert_int_equal(info.parameters, 36 + 2 + 2 + 6);
    qn_assert_ok(qn_model_input(model, 0, &port));
    assert_string_equal(port.name, "x");
    assert_string_equal(port.type, "f32[N,2,5,5]");
    assert_int_equal(port.dims[0], -1);
    assert_string_equal(port.symbols[0], "N");
    assert_int_equal(port.dims[3], 5);
    assert_null(port.symbols[3]);
    qn_assert_ok(qn_model_output(model, 0, &port));
    assert_string_equal(port.type, "f32[N,3]");
    qn_assert_ok(qn_model_op(model, 0, &op));
    assert_string_equal(op.domain, "ai.onnx");
    assert_int_equal(op.version, 17);
    assert_int_equal(op.count, 1);
    qn_assert_fails(qn_model_input(model, 1, &port), QN_OUT_OF_RANGE, "input 1 of 1");
    qn_assert_fails(qn_model_op(model, 8, &op), QN_OUT_OF_RANGE, "op 8 of 8");
    uint64_t version;
    bool found;
    qn_assert_ok(qn_model_get_u64(model, "opset.ai.onnx", &version, &found));
    assert_true(found);
    assert_int_equal(version, 17);
    qn_model_close(model);
    model = open_seed("functions");
    qn_assert_ok(qn_model_info(model, &info));
    uint32_t local = 0, scaled = 0;
    for (uint32_t i = 0; i < info.op_count; i++) {
        qn_assert_ok(qn_model_op(model, i, &op));
        local += op.local;
        if (strcmp(op.name, "scaled") == 0)
            scaled = (uint32_t)op.count;
    }
    assert_int_equal(local, 2);
    assert_int_equal(scaled, 2);
    qn_model_close(model);
}

static void test_types_of_containers(void **state)
{
    (void)state;
    static const struct {
        const char *seed;
        bool output;
        const char *type;
    } rows[] = {{"sequence", false, "sequence(f32[N])"},
                {"sequence", true, "sequence(f32[...])"},
                {"optional", false, "optional(f32[2])"},
                {"map", true, "sequence(map(i64,f32[]))"},
                {"if", true, "f32[...]"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct qn_model *model = open_seed(rows[i].seed);
        struct qn_model_port port = {.struct_size = sizeof port};
        qn_assert_ok((rows[i].output ? qn_model_output : qn_model_input)(model, 0, &port));
        assert_string_equal(port.type, rows[i].type);
        qn_model_close(model);
    }
}

/* Every seed but the one whose file is not there opens. */
static void test_seeds_open(void **state)
{
    (void)state;
    DIR *dir = opendir(qn_test_source("fuzz/corpus/onnx"));
    struct dirent *entry;
    uint32_t opened = 0;
    assert_non_null(dir);
    while ((entry = readdir(dir))) {
        size_t size = strlen(entry->d_name);
        if (size < 6 || strcmp(entry->d_name + size - 5, ".onnx") != 0 || strcmp(entry->d_name, "external.onnx") == 0)
            continue;
        entry->d_name[size - 5] = 0;
        qn_model_close(open_seed(entry->d_name));
        opened++;
    }
    closedir(dir);
    assert_true(opened >= 70);
}

/* External data past 4 GiB; the file is a hole but for the weights. */
static void test_large_external(void **state)
{
    (void)state;
    char path[400], data[400];
    snprintf(path, sizeof path, "%s", qn_test_temp("large.onnx"));
    snprintf(data, sizeof data, "%s", qn_test_temp("large.bin"));
    const float values[2] = {3, 4};
    FILE *file = fopen(data, "wb");
    assert_non_null(file);
    if (fseeko(file, 5000000000, SEEK_SET) != 0 || fwrite(values, sizeof values, 1, file) != 1) {
        fclose(file);
        skip(); /* no room for a sparse file */
    }
    fclose(file);
    struct pb t = tensor_of(1, 2);
    pb_int(&t, 14, 1);
    pb_external(&t, "location", "large.bin");
    pb_external(&t, "offset", "5000000000");
    pb_external(&t, "length", "8");
    pb_external(&t, "checksum", "ignored");
    struct pb m = pb_small_model(&t);
    qn_test_write_file(path, m.data, m.size);
    pb_free(&m);
    struct qn_model *model;
    struct qn_model_tensor tensor = {.struct_size = sizeof tensor};
    struct qn_model_info info = {.struct_size = sizeof info};
    qn_assert_ok(qn_model_open(path, NULL, &model));
    qn_assert_ok(qn_model_tensor(model, 0, &tensor));
    qn_assert_ok(qn_model_info(model, &info));
    assert_int_equal(tensor.offset, 5000000000);
    assert_memory_equal(tensor.data, values, sizeof values);
    assert_int_equal(info.file_count, 2);
    assert_true(info.file_bytes > 5000000000);
    qn_model_close(model);
    unlink(data);
}

/* Names that a terminal must not see as they are. */
static void test_odd_names(void **state)
{
    (void)state;
    struct pb t = pb_tensor("a\x1b[31m\xff\xc3\xa4", 1, (const int64_t[]){1, -1});
    pb_bytes(&t, RAW, "\0\0\0\0", 4);
    struct pb m = pb_small_model(&t);
    struct qn_model *model;
    struct qn_model_tensor tensor = {.struct_size = sizeof tensor};
    uint32_t index;
    qn_assert_ok(qn_model_open_memory(m.data, m.size, "odd.onnx", NULL, &model));
    qn_assert_ok(qn_model_tensor(model, 0, &tensor));
    assert_string_equal(tensor.name, "a\\x1b[31m\\xff\xc3\xa4");
    assert_true(qn_model_find_tensor(model, tensor.name, &index));
    qn_model_close(model);
    pb_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_narrow_types),
        cmocka_unit_test(test_number_fields),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_dtype_numbers),
        cmocka_unit_test(test_every_type),
        cmocka_unit_test(test_sparse),
        cmocka_unit_test(test_ports_and_ops),
        cmocka_unit_test(test_types_of_containers),
        cmocka_unit_test(test_seeds_open),
        cmocka_unit_test(test_large_external),
        cmocka_unit_test(test_odd_names),
    };
    return cmocka_run_group_tests_name("onnx_model", tests, NULL, NULL);
}
