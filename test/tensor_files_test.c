/* Files of tensors alone: what safetensors' reference implementation refuses, pickles that try to run code, and the
 * values of every form of file. Files of PyTorch and numpy are the seeds of fuzz_pickle. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quern/model.h"
#include "support/testing.h"

/* ---- safetensors ---------------------------------------------------------------------------------------------- */

static qn_status open_bytes(const void *data, size_t size, struct qn_model **model)
{
    return qn_model_open_memory(data, size, "x.safetensors", NULL, model);
}

struct header_case {
    const char *header;
    size_t data;       /* bytes behind it */
    const char *words; /* NULL: good */
};

static const struct header_case headers[] = {
    {"{}", 0, NULL},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8, NULL},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}      ", 8, NULL},
    {"{\"__metadata__\":{\"a\":\"b\"},\"a\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]}}", 1, NULL},
    {"{\"b\":{\"dtype\":\"U8\",\"shape\":[0,3],\"data_offsets\":[1,1]},\"a\":{\"dtype\":\"U8\",\"shape\":[1],"
     "\"data_offsets\":[0,1]}}",
     1, NULL},
    {"{\"a\":{\"dtype\":\"F4\",\"shape\":[3],\"data_offsets\":[0,1]}}", 1, "whole number of bytes"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[1,3]}}", 3, "1 bytes before tensor 'a'"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},\"b\":{\"dtype\":\"U8\",\"shape\":[2],"
     "\"data_offsets\":[1,3]}}",
     3, "overlap"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}", 3, "after the last tensor"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}", 1, "cut off"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,2]}}", 2, "lie outside"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,2]}}", 2, "span 2 bytes"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[2,0]}}", 2, "no range"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0]}}", 2, "two numbers"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[-2],\"data_offsets\":[0,2]}}", 2, "'shape'"},
    {"{\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,2]}}", 2, "'shape'"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2]}}", 2, "'data_offsets'"},
    {"{\"a\":{\"dtype\":\"Q8\",\"shape\":[2],\"data_offsets\":[0,2]}}", 2, "type 'Q8'"},
    {"{\"a\":{\"shape\":[2],\"data_offsets\":[0,2]}}", 2, "'dtype'"},
    {"{\"a\":3}", 0, "expected an object"},
    {"{\"a\":{\"dtype\":\"F64\",\"shape\":[1099511627776,1099511627776],\"data_offsets\":[0,2]}}", 2, "64 bits"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},\"a\":{\"dtype\":\"U8\",\"shape\":[1],"
     "\"data_offsets\":[1,2]}}",
     2, "twice"},
    {"{\"a\":{\"dtype\":\"U8\",\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "twice"},
    {"{\"\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "not printable"},
    {"{\"a\\u001b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "not printable"},
    {"{\"__metadata__\":{\"a\":1}}", 0, "expected a string"},
    {"{\"__metadata__\":[]}", 0, "__metadata__"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,1]}}", 1, "9 dimensions"},
    {"{\"a\":", 0, "header"},
    {" {}", 0, "known"},
};

static void test_headers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        size_t length = strlen(headers[i].header), size = 8 + length + headers[i].data;
        uint8_t *file = calloc(1, size);
        file[0] = (uint8_t)length;
        file[1] = (uint8_t)(length >> 8);
        memcpy(file + 8, headers[i].header, length);
        struct qn_model *model = NULL;
        qn_status status = open_bytes(file, size, &model);
        if (!headers[i].words)
            qn_assert_ok(status);
        else if (!status || !strstr(qn_status_message(status), headers[i].words))
            fail_msg("%s: expected '%s', got '%s'", headers[i].header, headers[i].words,
                     status ? qn_status_message(status) : "success");
        else
            qn_status_free(status);
        qn_model_close(model);
        if (!headers[i].words) /* cut anywhere, it is refused */
            for (size_t cut = 0; cut < size; cut++) {
                status = open_bytes(file, cut, &model);
                if (!status)
                    fail_msg("%s: accepted %zu of %zu bytes", headers[i].header, cut, size);
                qn_status_free(status);
            }
        free(file);
    }
    struct qn_model *model = NULL;
    static const uint8_t large[16] = {1, 0xe1, 0xf5, 5, 0, 0, 0, 0, '{', '}'}; /* 100,000,001 */
    qn_assert_fails(open_bytes(large, sizeof large, &model), QN_INVALID_FILE, "at most 100000000");
}

static void test_types(void **state)
{
    (void)state;
    struct qn_model *model = NULL;
    uint32_t index;
    char path[600];
    snprintf(path, sizeof path, QN_SOURCE_DIR "/fuzz/corpus/safetensors/types");
    qn_assert_ok(qn_model_open(path, NULL, &model));
    struct qn_model_info info = {.struct_size = sizeof info};
    qn_assert_ok(qn_model_info(model, &info));
    assert_int_equal(info.tensor_count, 22);
    static const struct {
        const char *name;
        qn_dtype dtype;
    } expected[] = {{"BOOL", QN_DTYPE_BOOL},        {"BF16", QN_DTYPE_BF16},
                    {"C64", QN_DTYPE_C64},          {"U64", QN_DTYPE_U64},
                    {"F8_E4M3", QN_DTYPE_F8E4M3FN}, {"F8_E8M0", QN_DTYPE_F8E8M0},
                    {"F4", QN_DTYPE_F4E2M1},        {"F8_E5M2FNUZ", QN_DTYPE_F8E5M2FNUZ}};
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        struct qn_model_tensor t = {.struct_size = sizeof t};
        assert_true(qn_model_find_tensor(model, expected[i].name, &index));
        qn_assert_ok(qn_model_tensor(model, index, &t));
        assert_int_equal(t.dtype, expected[i].dtype);
        assert_int_equal(t.elements, 8);
    }
    qn_model_close(model);
    /* Codes of four and six bits, the lowest first: 0, 1, 2, 3 as F4; 1, 31, 32, 33 as F6. */
    static const char text[] = "{\"f4\":{\"dtype\":\"F4\",\"shape\":[4],\"data_offsets\":[0,2]},\"e2m3\":{\"dtype\":"
                               "\"F6_E2M3\",\"shape\":[4],\"data_offsets\":[2,5]},\"e3m2\":{\"dtype\":\"F6_E3M2\","
                               "\"shape\":[4],\"data_offsets\":[5,8]}}";
    uint8_t file[8 + sizeof text - 1 + 8] = {(uint8_t)(sizeof text - 1)};
    uint32_t codes = 1u | 31u << 6 | 32u << 12 | 33u << 18;
    const uint8_t data[8] = {0x10,
                             0x32,
                             (uint8_t)codes,
                             (uint8_t)(codes >> 8),
                             (uint8_t)(codes >> 16),
                             (uint8_t)codes,
                             (uint8_t)(codes >> 8),
                             (uint8_t)(codes >> 16)};
    memcpy(file + 8, text, sizeof text - 1);
    memcpy(file + 8 + sizeof text - 1, data, sizeof data);
    qn_assert_ok(open_bytes(file, sizeof file, &model));
    uint8_t narrow[4];
    uint16_t half[4];
    assert_true(qn_model_find_tensor(model, "f4", &index));
    qn_assert_ok(qn_model_read_rows(model, index, 0, 1, narrow));
    assert_memory_equal(narrow, ((uint8_t[]){0, 1, 2, 3}), 4);
    assert_true(qn_model_find_tensor(model, "e2m3", &index));
    qn_assert_ok(qn_model_read_rows(model, index, 0, 1, half));
    assert_memory_equal(half, ((uint16_t[]){0x3000, 0x4780, 0x8000, 0xb000}), 8); /* 0.125, 7.5, -0, -0.125 */
    assert_true(qn_model_find_tensor(model, "e3m2", &index));
    qn_assert_ok(qn_model_read_rows(model, index, 0, 1, half));
    assert_memory_equal(half, ((uint16_t[]){0x2c00, 0x4f00, 0x8000, 0xac00}), 8); /* 0.0625, 28, -0, -0.0625 */
    qn_assert_fails(qn_model_read_rows(model, index, 1, 1, half), QN_OUT_OF_RANGE, "rows 1 to 2 of 1");
    qn_model_close(model);
}

/* ---- PyTorch and numpy ---------------------------------------------------------------------------------------- */

static qn_status open_seed(const char *name, struct qn_model **model)
{
    char path[600];
    snprintf(path, sizeof path, QN_SOURCE_DIR "/fuzz/corpus/pickle/%s", name);
    return qn_model_open(path, NULL, model);
}

static void read_floats(const struct qn_model *model, const char *name, uint64_t rows, float *out, size_t count)
{
    uint32_t index;
    struct qn_model_tensor t = {.struct_size = sizeof t};
    if (!qn_model_find_tensor(model, name, &index))
        fail_msg("no tensor '%s'", name);
    qn_assert_ok(qn_model_tensor(model, index, &t));
    assert_int_equal(t.elements, count);
    qn_assert_ok(qn_model_read_rows(model, index, 0, rows, out));
}

static void check_state(const char *file, const char *prefix)
{
    struct qn_model *model = NULL;
    float a[12], b[12], c[4], f[2];
    char name[16];
    qn_assert_ok(open_seed(file, &model));
    snprintf(name, sizeof name, "%sa", prefix);
    read_floats(model, name, 3, a, 12);
    snprintf(name, sizeof name, "%sb", prefix);
    read_floats(model, name, 4, b, 12);
    snprintf(name, sizeof name, "%sc", prefix);
    read_floats(model, name, 2, c, 4);
    snprintf(name, sizeof name, "%sf", prefix);
    read_floats(model, name, 1, f, 2);
    assert_true(a[0] > 1.54f && a[0] < 1.55f); /* torch.manual_seed(0) */
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 4; k++)
            assert_true(a[4 * i + k] == b[3 * k + i]);
    assert_true(c[0] == a[6] && c[1] == a[7] && c[2] == a[10] && c[3] == a[11]);
    assert_true(f[0] == 1 && f[1] == 1);
    qn_model_close(model);
}

static void test_pytorch(void **state)
{
    (void)state;
    struct qn_model *model = NULL;
    check_state("new", "");
    check_state("old", "");
    check_state("nested", "m.");
    qn_assert_fails(open_seed("call", &model), QN_UNSUPPORTED, "'system' of module 'posix'");
    float ones[3];
    qn_assert_ok(open_seed("expanded", &model));
    read_floats(model, "tensor", 1, ones, 3);
    assert_true(ones[0] == 1 && ones[2] == 1);
    qn_model_close(model);
}

static void test_numpy(void **state)
{
    (void)state;
    struct qn_model *model = NULL;
    double a[3];
    float b[2];
    int64_t packed[30];
    uint32_t index;
    qn_assert_ok(open_seed("npz", &model));
    assert_true(qn_model_find_tensor(model, "a", &index));
    qn_assert_ok(qn_model_read_rows(model, index, 0, 1, a));
    assert_true(a[0] == 0 && a[2] == 2);
    read_floats(model, "b", 1, b, 2); /* big-endian */
    assert_true(b[0] == 1 && b[1] == 1);
    qn_model_close(model);
    qn_assert_ok(open_seed("npz_packed", &model));
    assert_true(qn_model_find_tensor(model, "a", &index));
    qn_assert_ok(qn_model_read_rows(model, index, 0, 1, packed));
    assert_true(packed[0] == 0 && packed[29] == 29);
    qn_model_close(model);
}

/* Every beginning of a file, and every byte changed: an error or a model, never more. */
static void test_damage(void **state)
{
    (void)state;
    static const char *const names[] = {"old", "npz", "npz_packed", "protocol_4"};
    for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
        char path[600];
        size_t size;
        snprintf(path, sizeof path, QN_SOURCE_DIR "/fuzz/corpus/pickle/%s", names[n]);
        char *file = qn_test_read_file(path, &size);
        for (size_t i = 0; i < 2 * size; i++) {
            struct qn_model *model = NULL;
            char held = file[i % size];
            if (i >= size)
                file[i % size] = (char)(held + 1 + (char)(i % 7) * 31);
            qn_status_free(qn_model_open_memory(file, i < size ? i : size, "damaged.bin", NULL, &model));
            qn_model_close(model);
            file[i % size] = held;
        }
        free(file);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_headers), cmocka_unit_test(test_types),  cmocka_unit_test(test_pytorch),
        cmocka_unit_test(test_numpy),   cmocka_unit_test(test_damage),
    };
    return cmocka_run_group_tests_name("files of tensors", tests, NULL, NULL);
}
