/* The public view of a model file (quern/model.h) over GGUF. */
#include <stdlib.h>
#include <string.h>

#include "format/gguf/gguf.h"
#include "format/model.h"
#include "support/testing.h"
#include "quern/model.h"

static struct qn_model *open_sample(const char *name)
{
    struct qn_model *model;
    qn_assert_ok(qn_model_open(qn_test_source(name), NULL, &model));
    return model;
}

static void assert_text(struct qn_model_text text, const char *expected)
{
    assert_int_equal(text.size, strlen(expected));
    assert_memory_equal(text.data, expected, text.size);
}

static void test_info(void **state)
{
    (void)state;
    struct qn_model *model = open_sample("test/data/gguf/split-00001-of-00003.gguf");
    struct qn_model_info info = {.struct_size = sizeof info};
    qn_assert_ok(qn_model_info(model, &info));
    assert_int_equal(info.struct_size, sizeof info);
    assert_string_equal(info.format, "GGUF");
    assert_int_equal(info.format_version, 3);
    assert_text(info.architecture, "sample");
    assert_null(info.name.data);
    assert_int_equal(info.parameters, 4 * (1 + 2 + 3 + 4 + 5));
    assert_int_equal(info.tensor_bytes, info.parameters * 4);
    assert_int_equal(info.file_count, 3);
    assert_int_equal(info.tensor_count, 5);
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < info.file_count; i++) {
        struct qn_model_file file = {.struct_size = sizeof file};
        qn_assert_ok(qn_model_file(model, i, &file));
        bytes += file.bytes;
        assert_non_null(strstr(file.path, "-of-00003.gguf"));
    }
    assert_int_equal(bytes, info.file_bytes);
    qn_model_close(model);
}

static void test_meta(void **state)
{
    (void)state;
    struct qn_model *model = open_sample("test/data/gguf/all_types.gguf");
    struct qn_model_meta meta = {.struct_size = sizeof meta};
    struct qn_meta_item item;
    uint32_t index = 0;
    assert_true(qn_model_find_meta(model, "array.string", &index));
    qn_assert_ok(qn_model_meta(model, index, &meta));
    assert_string_equal(meta.key, "array.string");
    assert_int_equal(meta.kind, QN_META_ARRAY);
    assert_int_equal(meta.elem_kind, QN_META_TEXT);
    assert_string_equal(meta.type_name, "string");
    assert_int_equal(meta.count, 4);
    qn_assert_ok(qn_model_meta_item(model, index, 1, &item));
    assert_text(item.as.text, "a");
    qn_assert_fails(qn_model_meta_item(model, index, 4, &item), QN_OUT_OF_RANGE, "element 4 of 4");
    assert_true(qn_model_find_meta(model, "array.u64", &index));
    qn_assert_ok(qn_model_meta_item(model, index, 0, &item));
    assert_int_equal(item.kind, QN_META_UINT);
    assert_true(item.as.u == UINT64_MAX);
    assert_true(qn_model_find_meta(model, "array.array", &index));
    qn_assert_ok(qn_model_meta(model, index, &meta));
    assert_int_equal(meta.elem_kind, QN_META_ARRAY);
    assert_int_equal(meta.count, 3);
    qn_assert_ok(qn_model_meta_item(model, index, 2, &item));
    assert_int_equal(item.kind, QN_META_ARRAY);
    assert_true(qn_model_find_meta(model, "sample.true", &index));
    qn_assert_ok(qn_model_meta_item(model, index, 0, &item));
    assert_int_equal(item.kind, QN_META_BOOL);
    assert_true(item.as.b);
    assert_false(qn_model_find_meta(model, "sample.missing", &index));
    qn_assert_fails(qn_model_meta(model, UINT32_MAX, &meta), QN_OUT_OF_RANGE, "metadata entry 4294967295");
    qn_model_close(model);
}

static void test_typed(void **state)
{
    (void)state;
    struct qn_model *model = open_sample("test/data/gguf/all_types.gguf");
    uint64_t u = 1;
    double f = 1;
    bool b = true, found = true;
    struct qn_model_text text = {0};
    qn_assert_ok(qn_model_get_u64(model, "sample.u16", &u, &found));
    assert_true(found && u == 60000);
    qn_assert_ok(qn_model_get_u64(model, "nothing", &u, &found));
    assert_true(!found && u == 60000);
    qn_assert_fails(qn_model_get_u64(model, "sample.i8", &u, &found), QN_INVALID_FILE,
                    "all_types.gguf: key 'sample.i8': expected a whole number of at least 0, found i8");
    qn_assert_fails(qn_model_get_u64(model, "array.u8", &u, &found), QN_INVALID_FILE, "found an array of 2 u8");
    qn_assert_ok(qn_model_get_f64(model, "sample.f32", &f, &found));
    assert_true(f == (double)1.1f);
    qn_assert_ok(qn_model_get_f64(model, "sample.i8", &f, &found));
    assert_true(f == -100);
    qn_assert_fails(qn_model_get_f64(model, "sample.text", &f, &found), QN_INVALID_FILE, "expected a number");
    qn_assert_ok(qn_model_get_bool(model, "sample.false", &b, &found));
    assert_true(found && !b);
    qn_assert_fails(qn_model_get_bool(model, "sample.u8", &b, &found), QN_INVALID_FILE, "expected a bool, found u8");
    qn_assert_ok(qn_model_get_text(model, "general.architecture", &text, &found));
    assert_text(text, "sample");
    qn_assert_fails(qn_model_get_text(model, "sample.u8", &text, &found), QN_INVALID_FILE, "expected text");
    qn_model_close(model);
}

static void test_tensors(void **state)
{
    (void)state;
    struct qn_model *model = open_sample("test/data/gguf/all_types.gguf");
    struct qn_model_tensor tensor = {.struct_size = sizeof tensor};
    uint32_t index = 0;
    assert_true(qn_model_find_tensor(model, "rank3", &index));
    qn_assert_ok(qn_model_tensor(model, index, &tensor));
    assert_string_equal(tensor.name, "rank3");
    assert_int_equal(tensor.dtype, QN_DTYPE_F64);
    assert_int_equal(tensor.rank, 3);
    assert_int_equal(tensor.dims[0], 2);
    assert_int_equal(tensor.dims[2], 4);
    assert_int_equal(tensor.elements, 24);
    assert_int_equal(tensor.bytes, 192);
    const struct qn_gguf *gguf = qn_model_gguf(model);
    assert_non_null(gguf);
    assert_ptr_equal(tensor.data, gguf->files[0].map.data + tensor.offset);
    assert_false(qn_model_find_tensor(model, "rank", &index));
    qn_assert_fails(qn_model_tensor(model, 7, &tensor), QN_OUT_OF_RANGE, "tensor 7 of 7");
    qn_model_close(model);
}

/* A caller built against a header with a shorter struct gets what fits and nothing behind it. */
static void test_struct_size(void **state)
{
    (void)state;
    struct qn_model *model = open_sample("test/data/gguf/version2.gguf");
    struct qn_model_info info;
    memset(&info, 0x5a, sizeof info);
    info.struct_size = offsetof(struct qn_model_info, format_version);
    qn_assert_ok(qn_model_info(model, &info));
    assert_string_equal(info.format, "GGUF");
    assert_int_equal(info.format_version, 0x5a5a5a5a);
    info.struct_size = 0;
    qn_assert_fails(qn_model_info(model, &info), QN_INVALID_ARGUMENT, "struct_size");
    qn_model_close(model);
    const struct qn_model_options options = {0};
    qn_assert_fails(qn_model_open("x", &options, &model), QN_INVALID_ARGUMENT, "struct_size");
}

static bool cancel(void *context, uint64_t done, uint64_t total)
{
    ++*(int *)context;
    return done > total;
}

static void test_options(void **state)
{
    (void)state;
    int calls = 0;
    struct qn_test_allocator allocator;
    struct qn_model *model;
    qn_test_allocator_init(&allocator, 0);
    struct qn_model_options options = {.struct_size = sizeof options, .allocator = &allocator.allocator};
    const char *path = qn_test_source("test/data/gguf/version2.gguf");
    qn_assert_ok(qn_model_open(path, &options, &model));
    assert_true(allocator.live_blocks > 0);
    qn_model_close(model);
    options.progress = cancel;
    options.progress_context = &calls;
    qn_assert_fails(qn_model_open(path, &options, &model), QN_CANCELLED, "version2.gguf");
    assert_int_equal(calls, 1);
    assert_null(model);
    qn_test_allocator_done(&allocator);
}

static void test_errors(void **state)
{
    (void)state;
    struct qn_model *model;
    qn_assert_fails(qn_model_open("/nonexistent/x.gguf", NULL, &model), QN_NOT_FOUND, "/nonexistent/x.gguf");
    assert_null(model);
    const char *text = qn_test_temp("text.txt"), *named = qn_test_temp("Text.GGUF"), *empty = qn_test_temp("e.gguf");
    qn_test_write_file(text, "hello", 5);
    qn_assert_fails(qn_model_open(text, NULL, &model), QN_UNSUPPORTED, "known are GGUF (.gguf)");
    qn_test_write_file(named, "hello", 5);
    qn_assert_fails(qn_model_open(named, NULL, &model), QN_INVALID_FILE, "Text.GGUF: not a GGUF file");
    qn_test_write_file(empty, "", 0);
    qn_assert_fails(qn_model_open(empty, NULL, &model), QN_INVALID_FILE, "e.gguf: the file ends at byte 0");
    qn_assert_fails(qn_model_open_memory("GGUF", 4, "bytes", NULL, &model), QN_INVALID_FILE, "bytes: the file ends");
    qn_assert_fails(qn_model_open(qn_test_source("test"), NULL, &model), QN_INVALID_ARGUMENT, "folder");
    qn_model_close(NULL);
}

static qn_status open_step(const struct qn_allocator *allocator, void *context)
{
    struct qn_model_options options = {.struct_size = sizeof options, .allocator = allocator};
    struct qn_model *model;
    qn_status status = qn_model_open(context, &options, &model);
    qn_model_close(model);
    return status;
}

static void test_every_allocation(void **state)
{
    (void)state;
    char *path = strdup(qn_test_source("test/data/gguf/all_types.gguf"));
    assert_true(qn_test_every_allocation(open_step, path) >= 3);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_info),        cmocka_unit_test(test_meta),
        cmocka_unit_test(test_typed),       cmocka_unit_test(test_tensors),
        cmocka_unit_test(test_struct_size), cmocka_unit_test(test_options),
        cmocka_unit_test(test_errors),      cmocka_unit_test(test_every_allocation),
    };
    return cmocka_run_group_tests_name("gguf_model", tests, NULL, NULL);
}
