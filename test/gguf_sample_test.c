/* Files written by the `gguf` Python package (tools/gguf/make_samples.py) read the way they were meant: the content
 * found is written out line by line and compared with the text that stands beside each file. */
#include <dirent.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "format/gguf/gguf.h"

#define FOLDER QN_SOURCE_DIR "/test/data/gguf/"

static void dump_float(struct qn_strbuf *out, enum qn_gguf_type type, double value)
{
    float narrow = (float)value;
    uint32_t bits32;
    uint64_t bits64;
    memcpy(&bits32, &narrow, sizeof bits32);
    memcpy(&bits64, &value, sizeof bits64);
    if (type == QN_GGUF_F32)
        qn_strbuf_printf(out, " %08" PRIx32, bits32);
    else
        qn_strbuf_printf(out, " %016" PRIx64, bits64);
}

static void dump_text(struct qn_strbuf *out, struct qn_str text)
{
    qn_strbuf_add(out, " x");
    for (size_t i = 0; i < text.size; i++)
        qn_strbuf_printf(out, "%02x", (uint8_t)text.data[i]);
}

static void dump_item(struct qn_strbuf *out, const struct qn_gguf_value *value, enum qn_gguf_type type, uint64_t i)
{
    if (type == QN_GGUF_STRING)
        dump_text(out, value->type == QN_GGUF_ARRAY ? value->as.strings[i] : value->as.str);
    else if (type == QN_GGUF_F32 || type == QN_GGUF_F64)
        dump_float(out, type, qn_gguf_item_f64(value, i));
    else if (type == QN_GGUF_U64)
        qn_strbuf_printf(out, " %" PRIu64, (uint64_t)qn_gguf_item_i64(value, i));
    else if (type != QN_GGUF_ARRAY)
        qn_strbuf_printf(out, " %" PRId64, qn_gguf_item_i64(value, i));
}

static void dump_kv(struct qn_strbuf *out, const struct qn_gguf_kv *kv)
{
    const struct qn_gguf_value *value = &kv->value;
    qn_strbuf_printf(out, "key %s %s", kv->key.data, qn_gguf_type_name(value->type));
    enum qn_gguf_type type = value->type;
    if (type == QN_GGUF_ARRAY) {
        type = value->elem_type;
        qn_strbuf_printf(out, " %s %" PRIu64, qn_gguf_type_name(type), value->count);
    }
    for (uint64_t i = 0; i < value->count; i++)
        dump_item(out, value, type, i);
    qn_strbuf_add(out, "\n");
}

static uint64_t fnv(const uint8_t *data, uint64_t size)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (uint64_t i = 0; i < size; i++)
        hash = (hash ^ data[i]) * 0x100000001b3u;
    return hash;
}

static void dump_tensor(struct qn_strbuf *out, const struct qn_gguf *gguf, const struct qn_gguf_tensor *tensor)
{
    qn_strbuf_printf(out, "tensor %s %s %" PRIu32, tensor->name.data, qn_dtype_name(tensor->dtype), tensor->rank);
    for (uint32_t i = 0; i < tensor->rank; i++)
        qn_strbuf_printf(out, " %" PRIu64, tensor->dims[i]);
    qn_strbuf_printf(out, " %" PRIu64 " %016" PRIx64 "\n", tensor->bytes,
                     fnv(qn_gguf_tensor_data(gguf, tensor), tensor->bytes));
}

static char *read_text(const char *path)
{
    static char text[1 << 16];
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t size = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[size] = 0;
    return text;
}

static struct qn_gguf *open_sample(const char *name)
{
    char path[512];
    struct qn_gguf *gguf;
    snprintf(path, sizeof path, FOLDER "%s.gguf", name);
    qn_status status = qn_gguf_open(path, NULL, &gguf);
    if (status)
        fail_msg("%s", qn_status_message(status));
    return gguf;
}

static void check_sample(const char *name)
{
    char path[512];
    struct qn_gguf *gguf = open_sample(name);
    struct qn_strbuf out;
    qn_strbuf_init(&out, NULL);
    qn_strbuf_printf(&out, "version %" PRIu32 "\n", gguf->version);
    for (uint32_t i = 0; i < gguf->kv_count; i++)
        dump_kv(&out, &gguf->kvs[i]);
    for (uint32_t i = 0; i < gguf->tensor_count; i++)
        dump_tensor(&out, gguf, &gguf->tensors[i]);
    snprintf(path, sizeof path, FOLDER "%s.txt", name);
    assert_string_equal(out.data, read_text(path));
    qn_strbuf_deinit(&out);
    qn_gguf_close(gguf);
}

static void test_all_types(void **state)
{
    (void)state;
    check_sample("all_types");
}

static void test_quantised(void **state)
{
    (void)state;
    check_sample("quantised");
}

static void test_aligned(void **state)
{
    (void)state;
    check_sample("aligned");
    struct qn_gguf *gguf = open_sample("aligned");
    assert_int_equal(gguf->alignment, 256);
    for (uint32_t i = 0; i < gguf->tensor_count; i++)
        assert_int_equal(gguf->tensors[i].offset % 256, 0);
    qn_gguf_close(gguf);
}

static void test_version2(void **state)
{
    (void)state;
    check_sample("version2");
}

static void test_no_tensors(void **state)
{
    (void)state;
    check_sample("no_tensors");
}

static void test_split(void **state)
{
    (void)state;
    struct qn_gguf *gguf = open_sample("split-00001-of-00003");
    assert_int_equal(gguf->file_count, 3);
    assert_int_equal(gguf->tensor_count, 5);
    for (uint32_t i = 0; i < 5; i++) {
        char name[8];
        snprintf(name, sizeof name, "t%" PRIu32, i);
        const struct qn_gguf_tensor *tensor = qn_gguf_tensor(gguf, qn_str_from(name));
        assert_non_null(tensor);
        assert_int_equal(tensor->file, i / 2);
        assert_int_equal(tensor->dims[0], i + 1);
        const float *data = qn_gguf_tensor_data(gguf, tensor);
        for (uint32_t j = 0; j < 4 * (i + 1); j++)
            assert_true(data[j] == (float)j);
    }
    uint64_t value = 0;
    bool found = false;
    assert_null(qn_gguf_get_u64(gguf, "sample.u32", &value, &found));
    assert_true(found);
    assert_int_equal(value, 7);
    qn_gguf_close(gguf);
}

static void test_big_endian(void **state)
{
    (void)state;
    struct qn_gguf *gguf;
    qn_status status = qn_gguf_open(FOLDER "big_endian.gguf", NULL, &gguf);
    assert_int_equal(qn_status_code(status), QN_UNSUPPORTED);
    assert_non_null(strstr(qn_status_message(status), "big_endian.gguf"));
    assert_non_null(strstr(qn_status_message(status), "big-endian GGUF file (version 3)"));
    assert_null(gguf);
    qn_status_free(status);
}

/* Every GGUF file of the conformance data, where it is there. */
static uint32_t open_folder(const char *folder)
{
    uint32_t opened = 0;
    DIR *dir = opendir(folder);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        char path[1024];
        if (!qn_str_ends(qn_str_from(entry->d_name), QN_STR(".gguf")))
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        struct qn_gguf *gguf;
        qn_status status = qn_gguf_open(path, NULL, &gguf);
        if (status)
            fail_msg("%s", qn_status_message(status));
        const struct qn_gguf_value *arch = qn_gguf_find(gguf, "general.architecture");
        assert_non_null(arch);
        assert_int_equal(arch->type, QN_GGUF_STRING);
        for (uint32_t i = 0; i < gguf->tensor_count; i++)
            assert_ptr_equal(qn_gguf_tensor(gguf, gguf->tensors[i].name), &gguf->tensors[i]);
        qn_gguf_close(gguf);
        opened++;
    }
    if (dir)
        closedir(dir);
    return opened;
}

static void test_conformance(void **state)
{
    (void)state;
    static const struct {
        const char *folder;
        uint32_t files;
    } rows[] = {{"llm/stories260K", 2}, {"llm/babyllama", 5}, {"text/vocab", 6}};
    const char *root = getenv("QUERN_CONFORMANCE");
    uint32_t opened = 0, expected = 0;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char folder[512];
        snprintf(folder, sizeof folder, "%s/%s", root ? root : QN_SOURCE_DIR "/../shared/conformance", rows[i].folder);
        opened += open_folder(folder);
        expected += rows[i].files;
    }
    if (!opened) {
        print_message("skipped: no conformance data (QUERN_CONFORMANCE)\n");
        skip();
    }
    assert_true(opened >= expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_types),  cmocka_unit_test(test_quantised),   cmocka_unit_test(test_aligned),
        cmocka_unit_test(test_version2),   cmocka_unit_test(test_no_tensors),  cmocka_unit_test(test_split),
        cmocka_unit_test(test_big_endian), cmocka_unit_test(test_conformance),
    };
    return cmocka_run_group_tests_name("gguf_sample", tests, NULL, NULL);
}
