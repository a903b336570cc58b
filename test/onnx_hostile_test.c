/* Damaged and hostile ONNX files: each is refused with words that name the file and the tensor or field that is wrong,
 * and memory stays in proportion to the file. */
#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "format/model_graph.h"
#include "onnx_build.h"
#include "quern/model.h"

#define BAD QN_INVALID_FILE

/* Memory in all that a file of this size may ask for: tables of its messages, and the arenas' first chunks. */
static uint64_t fair_share(size_t file_size)
{
    return 64 * (uint64_t)file_size + (1 << 17);
}

static qn_status open_bytes(const struct pb *b, const struct qn_allocator *allocator, struct qn_model **model)
{
    const struct qn_model_options options = {.struct_size = sizeof options, .allocator = allocator};
    return qn_model_open_memory(b->data, b->size, "hostile.onnx", &options, model);
}

/* In a block of its own, so that a read past its end is noticed. */
static void check_refused(const char *what, struct pb *b, enum qn_code code, const char *words)
{
    struct qn_test_allocator allocator;
    struct qn_model *model;
    qn_test_allocator_init(&allocator, 0);
    b->data = realloc(b->data, b->size + !b->size);
    qn_status status = open_bytes(b, &allocator.allocator, &model);
    if (qn_status_code(status) != code || !strstr(qn_status_message(status), words) ||
        !strstr(qn_status_message(status), "hostile.onnx"))
        fail_msg("%s: expected %s with '%s' and the file's name, found %s: %s", what, qn_code_name(code), words,
                 qn_code_name(qn_status_code(status)), qn_status_message(status));
    assert_null(model);
    assert_true(allocator.largest <= fair_share(b->size));
    qn_status_free(status);
    qn_test_allocator_done(&allocator);
    pb_free(b);
}

/* ---- messages ------------------------------------------------------------------------------------------------- */

static struct pb tagged(const char *tail, size_t size)
{
    struct pb b = {0};
    pb_int(&b, 1, 8);
    pb_raw(&b, tail, size);
    return b;
}
#define TAGGED(tail) tagged(tail, sizeof(tail) - 1)

static struct pb no_graph(void)
{
    return TAGGED("");
}

static struct pb group(void)
{
    return TAGGED("\x3b\x3c");
}

static struct pb wire_type_7(void)
{
    return TAGGED("\x3f\x00");
}

static struct pb field_0(void)
{
    return TAGGED("\x02\x00");
}

static struct pb length_past_end(void)
{
    return TAGGED("\x3a\x7f\x00");
}

static struct pb long_varint(void)
{
    return TAGGED("\x28\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02");
}

static struct pb cut_varint(void)
{
    return TAGGED("\x28\xff");
}

static struct pb cut_float(void)
{
    struct pb g = {0}, node = {0}, attr = {0};
    pb_raw(&attr, "\x15\x00\x00", 3);
    pb_message(&node, 5, &attr);
    pb_message(&g, GRAPH_NODE, &node);
    return pb_model(&g);
}

static struct pb graph_is_number(void)
{
    struct pb b = {0};
    pb_int(&b, 1, 8);
    pb_int(&b, 7, 1);
    return b;
}

static struct pb name_is_number(void)
{
    struct pb g = {0};
    pb_int(&g, GRAPH_NAME, 5);
    return pb_model(&g);
}

static struct pb deep_nesting(void)
{
    struct pb g = {0};
    for (int i = 0; i < 200; i++) {
        struct pb attr = {0}, node = {0}, outer = {0};
        pb_message(&attr, 6, &g);
        pb_message(&node, 5, &attr);
        pb_message(&outer, GRAPH_NODE, &node);
        g = outer;
    }
    return pb_model(&g);
}

static struct pb empty_nodes(void)
{
    struct pb g = {0};
    for (int i = 0; i < 100000; i++)
        pb_raw(&g, "\x0a\x00", 2);
    return pb_model(&g);
}

static struct pb version_0(void)
{
    struct pb b = {0};
    pb_int(&b, 1, 0);
    pb_bytes(&b, 7, "", 0);
    return b;
}

static struct pb version_99(void)
{
    struct pb b = {0};
    pb_int(&b, 1, 99);
    pb_bytes(&b, 7, "", 0);
    return b;
}

static struct pb odd_attribute(int type, bool with_name)
{
    struct pb g = {0}, node = pb_node("Identity", "x", "y"), attr = {0};
    if (with_name)
        pb_text(&attr, 1, "alpha");
    pb_int(&attr, 20, type);
    pb_message(&node, 5, &attr);
    pb_message(&g, GRAPH_NODE, &node);
    return pb_model(&g);
}

static struct pb unknown_attribute(void)
{
    return odd_attribute(77, true);
}

static struct pb tensor_attribute_without(void)
{
    return odd_attribute(4, true);
}

static struct pb graph_attribute_without(void)
{
    return odd_attribute(5, true);
}

/* ---- tensors -------------------------------------------------------------------------------------------------- */

#define DIMS(...) ((const int64_t[]){__VA_ARGS__, -1})

static struct pb with_raw(int type, const int64_t *dims, size_t bytes)
{
    static const uint8_t zeros[64];
    struct pb t = pb_tensor("weight", type, dims);
    pb_bytes(&t, 9, zeros, bytes);
    return pb_small_model(&t);
}

static struct pb few_bytes(void)
{
    return with_raw(1, DIMS(2, 3), 20);
}

static struct pb many_bytes(void)
{
    return with_raw(1, DIMS(2, 3), 28);
}

static struct pb few_nibbles(void)
{
    return with_raw(22, DIMS(5), 2);
}

static struct pb no_data(void)
{
    struct pb t = pb_tensor("weight", 1, DIMS(3));
    return pb_small_model(&t);
}

static struct pb overflow(void)
{
    return with_raw(1, DIMS(1ll << 40, 1ll << 40), 16);
}

static struct pb negative_dim(void)
{
    struct pb t = pb_tensor("weight", 1, DIMS(2));
    pb_int(&t, 1, -2);
    return pb_small_model(&t);
}

static struct pb unknown_type(void)
{
    return with_raw(99, DIMS(1), 4);
}

static struct pb wrong_field(void)
{
    struct pb t = pb_tensor("weight", 1, DIMS(1));
    pb_int(&t, 7, 5); /* an int64 for a float */
    return pb_small_model(&t);
}

static struct pb nine_dims(void)
{
    return with_raw(1, DIMS(1, 1, 1, 1, 1, 1, 1, 1, 1), 4);
}

static struct pb odd_packed_floats(void)
{
    struct pb t = pb_tensor("weight", 1, DIMS(1));
    pb_bytes(&t, 4, "12345", 5);
    return pb_small_model(&t);
}

static struct pb cut_packed_ints(void)
{
    struct pb t = pb_tensor("weight", 7, DIMS(1));
    pb_bytes(&t, 7, "\x81", 1);
    return pb_small_model(&t);
}

static struct pb strings_as_bytes(void)
{
    return with_raw(8, DIMS(2), 8);
}

static struct pb segments(void)
{
    struct pb t = pb_tensor("weight", 1, DIMS(1));
    pb_bytes(&t, 3, "\x08\x01", 2);
    return pb_small_model(&t);
}

static struct pb odd_location(void)
{
    struct pb t = pb_tensor("weight", 1, DIMS(1));
    pb_int(&t, 14, 2);
    return pb_small_model(&t);
}

static struct pb external_in_memory(void)
{
    struct pb t = pb_tensor("weight", 1, DIMS(1));
    pb_int(&t, 14, 1);
    pb_external(&t, "location", "weights.bin");
    return pb_small_model(&t);
}

static struct pb external_nowhere(void)
{
    struct pb t = pb_tensor("weight", 1, DIMS(1));
    pb_int(&t, 14, 1);
    return pb_small_model(&t);
}

static struct pb external_odd_offset(void)
{
    struct pb t = pb_tensor("weight", 1, DIMS(1));
    pb_int(&t, 14, 1);
    pb_external(&t, "location", "weights.bin");
    pb_external(&t, "offset", "-4");
    return pb_small_model(&t);
}

static struct pb sparse(const int64_t *dims, int64_t index, int index_type, size_t index_bytes)
{
    struct pb values = pb_tensor("weight", 1, DIMS(1)), indices = pb_tensor("", index_type, DIMS(1)), s = {0}, g = {0};
    uint8_t bytes[64] = {0};
    memcpy(bytes, &index, sizeof index);
    pb_bytes(&values, 9, "\0\0\x80\x3f", 4);
    pb_bytes(&indices, 9, bytes, index_bytes);
    pb_message(&s, 1, &values);
    pb_message(&s, 2, &indices);
    for (; *dims >= 0; dims++)
        pb_int(&s, 3, *dims);
    pb_message(&g, GRAPH_SPARSE, &s);
    return pb_model(&g);
}

static struct pb sparse_outside(void)
{
    return sparse(DIMS(2, 3), 6, 7, 8);
}

static struct pb sparse_below(void)
{
    return sparse(DIMS(2, 3), -1, 7, 8);
}

static struct pb sparse_int32(void)
{
    return sparse(DIMS(2, 3), 0, 6, 4);
}

static struct pb sparse_giant(void)
{
    return sparse(DIMS(1 << 20, 1 << 20), 0, 7, 8);
}

static const struct {
    const char *what;
    struct pb (*make)(void);
    enum qn_code code;
    const char *words;
} refused[] = {
    {"no graph", no_graph, BAD, "no graph"},
    {"group", group, BAD, "ModelProto at byte 2: groups"},
    {"wire type 7", wire_type_7, BAD, "unknown wire type"},
    {"field 0", field_0, BAD, "number is cut off or too large"},
    {"length past end", length_past_end, BAD, "past the end"},
    {"long varint", long_varint, BAD, "longer than 64 bits"},
    {"cut varint", cut_varint, BAD, "cut off"},
    {"cut float", cut_float, BAD, "a number is cut off"},
    {"graph is a number", graph_is_number, BAD, "field 'graph' (7) is a varint, expected bytes"},
    {"name is a number", name_is_number, BAD, "field 'name' (2) is a varint"},
    {"deep nesting", deep_nesting, BAD, "nest deeper"},
    {"empty nodes", empty_nodes, BAD, "tables would take more"},
    {"version 0", version_0, BAD, "ir_version is 0"},
    {"version 99", version_99, QN_UNSUPPORTED, "ir_version is 99"},
    {"unknown attribute", unknown_attribute, BAD, "attribute 'alpha' has type 77"},
    {"tensor attribute without", tensor_attribute_without, BAD, "attribute 'alpha' says that it has a 't'"},
    {"graph attribute without", graph_attribute_without, BAD, "attribute 'alpha' says that it has a 'g'"},
    {"few bytes", few_bytes, BAD, "tensor 'weight': f32[2,3] needs 24 bytes, but there are 20"},
    {"many bytes", many_bytes, BAD, "tensor 'weight': f32[2,3] needs 24 bytes, but there are 28"},
    {"few nibbles", few_nibbles, BAD, "tensor 'weight': i4[5] needs 3 bytes, but there are 2"},
    {"no data", no_data, BAD, "tensor 'weight': f32[3] needs 12 bytes of float_data, but there are 0"},
    {"overflow", overflow, BAD, "tensor 'weight': its dimensions multiply"},
    {"negative dim", negative_dim, BAD, "tensor 'weight': dimension 1 is -2"},
    {"unknown type", unknown_type, QN_UNSUPPORTED, "tensor 'weight': data type 99"},
    {"wrong field", wrong_field, BAD, "tensor 'weight': f32[1] needs 4 bytes of float_data"},
    {"nine dims", nine_dims, QN_UNSUPPORTED, "tensor 'weight' has 9 dimensions"},
    {"odd packed floats", odd_packed_floats, BAD, "'float_data' has 5 bytes"},
    {"cut packed ints", cut_packed_ints, BAD, "list of varints is cut off"},
    {"strings as bytes", strings_as_bytes, BAD, "tensor 'weight': string[2] needs 2 entries of string_data"},
    {"segments", segments, QN_UNSUPPORTED, "tensor 'weight' is stored in segments"},
    {"odd location", odd_location, BAD, "tensor 'weight': data_location is 2"},
    {"external in memory", external_in_memory, QN_INVALID_ARGUMENT, "tensor 'weight' lies in the file 'weights.bin'"},
    {"external nowhere", external_nowhere, BAD, "tensor 'weight': external data without a location"},
    {"external odd offset", external_odd_offset, BAD, "tensor 'weight': external offset '-4'"},
    {"sparse outside", sparse_outside, BAD, "sparse tensor 'weight': an index lies outside"},
    {"sparse below", sparse_below, BAD, "sparse tensor 'weight': an index lies outside"},
    {"sparse int32", sparse_int32, BAD, "sparse tensor 'weight': its indices are not int64"},
    {"sparse giant", sparse_giant, BAD, "sparse tensor 'weight': it is more than 4096 times larger"},
};

static void test_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct pb b = refused[i].make();
        check_refused(refused[i].what, &b, refused[i].code, refused[i].words);
    }
}

static void test_not_onnx(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "{\"a\": 1}", "Once upon a time", "PK\x03\x04", "\x08"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct qn_model *model;
        qn_assert_fails(qn_model_open_memory(texts[i], strlen(texts[i]), "some.file", NULL, &model), QN_UNSUPPORTED,
                        "not a model file");
        /* the name decides where the content does not */
        qn_status status = qn_model_open_memory(texts[i], strlen(texts[i]), "some.onnx", NULL, &model);
        assert_int_equal(qn_status_code(status), BAD);
        qn_status_free(status);
    }
}

/* ---- external data -------------------------------------------------------------------------------------------- */

static void write_model(const char *path, const char *location, const char *offset, const char *length)
{
    struct pb t = pb_tensor("weight", 1, DIMS(4));
    pb_int(&t, 14, 1);
    pb_external(&t, "location", location);
    if (offset)
        pb_external(&t, "offset", offset);
    if (length)
        pb_external(&t, "length", length);
    struct pb m = pb_small_model(&t);
    qn_test_write_file(path, m.data, m.size);
    pb_free(&m);
}

static void test_external_escapes(void **state)
{
    (void)state;
    char folder[300], outside[400], inside[400], model_path[400], link_path[400], away[400];
    snprintf(folder, sizeof folder, "%s", qn_test_temp("models"));
    snprintf(outside, sizeof outside, "%s", qn_test_temp("outside.bin"));
    snprintf(inside, sizeof inside, "%s/data.bin", folder);
    snprintf(model_path, sizeof model_path, "%s/model.onnx", folder);
    snprintf(link_path, sizeof link_path, "%s/link.bin", folder);
    snprintf(away, sizeof away, "%s/sub", folder);
    assert_int_equal(mkdir(folder, 0777), 0);
    const float values[6] = {0, 1, 2, 3, 4, 5};
    qn_test_write_file(outside, values, sizeof values);
    qn_test_write_file(inside, values, sizeof values);
    assert_int_equal(symlink("../outside.bin", link_path), 0);
    assert_int_equal(symlink("..", away), 0); /* a folder in the path that is a link */
    const struct {
        const char *location, *offset, *length, *words;
        enum qn_code code;
    } rows[] = {
        {"../outside.bin", NULL, NULL, "without '..'", BAD},
        {"sub/../data.bin", NULL, NULL, "without '..'", BAD},
        {"..", NULL, NULL, "without '..'", BAD},
        {outside, NULL, NULL, "inside the folder", BAD},
        {"link.bin", NULL, NULL, "leads out of the folder", BAD},
        {"sub/outside.bin", NULL, NULL, "leads out of the folder", BAD},
        {"absent.bin", NULL, NULL, "cannot open", QN_NOT_FOUND},
        {".", NULL, NULL, "link leads out of the folder", BAD},
        {"data.bin", "12", NULL, "bytes 12 to 28 of 'data.bin', which has 24", BAD},
        {"data.bin", "18446744073709551615", "16", "which has 24", BAD},
        {"data.bin", "99999999999999999999", "16", "is no number of bytes", BAD},
        {"data.bin", "0", "12", "needs 16 bytes, but there are 12", BAD},
        {"data.bin", "0", "99", "which has 24", BAD},
    };
    struct qn_model *model;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        write_model(model_path, rows[i].location, rows[i].offset, rows[i].length);
        qn_status status = qn_model_open(model_path, NULL, &model);
        if (qn_status_code(status) != rows[i].code || !strstr(qn_status_message(status), rows[i].words) ||
            !strstr(qn_status_message(status), "model.onnx"))
            fail_msg("%s: expected %s with '%s', found %s", rows[i].location, qn_code_name(rows[i].code), rows[i].words,
                     qn_status_message(status));
        qn_status_free(status);
    }
    write_model(model_path, "data.bin", "8", NULL);
    qn_assert_ok(qn_model_open(model_path, NULL, &model));
    struct qn_model_tensor tensor = {.struct_size = sizeof tensor};
    qn_assert_ok(qn_model_tensor(model, 0, &tensor));
    assert_int_equal(tensor.file, 1);
    assert_int_equal(tensor.offset, 8);
    assert_memory_equal(tensor.data, values + 2, 16);
    assert_int_equal(qn_model_file_map(model, 1)->size, sizeof values);
    qn_model_close(model);
}

/* ---- damage --------------------------------------------------------------------------------------------------- */

static char *read_seed(const char *name, size_t *size)
{
    char path[512];
    snprintf(path, sizeof path, "fuzz/corpus/onnx/%s.onnx", name);
    return qn_test_read_file(qn_test_source(path), size);
}

/* Opens bytes that may be anything: either it works, or it is refused in words. */
static void open_damaged(const char *data, size_t size)
{
    struct qn_test_allocator allocator;
    struct qn_model *model;
    char *copy = malloc(size + !size);
    assert_non_null(copy);
    memcpy(copy, data, size);
    qn_test_allocator_init(&allocator, 0);
    const struct pb b = {(uint8_t *)copy, size, size};
    qn_status status = open_bytes(&b, &allocator.allocator, &model);
    if (status && !strstr(qn_status_message(status), "hostile.onnx"))
        fail_msg("no file name in '%s'", qn_status_message(status));
    if (allocator.largest > fair_share(size))
        fail_msg("%zu bytes asked for %llu at once", size, (unsigned long long)allocator.largest);
    qn_status_free(status);
    qn_model_close(model);
    qn_test_allocator_done(&allocator);
    free(copy);
}

static const char *const damaged[] = {"if", "functions", "sparse_initializer", "map", "type_22_field", "convolutions"};

static void test_truncated(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++) {
        size_t size;
        char *data = read_seed(damaged[i], &size);
        for (size_t cut = 0; cut < size; cut++)
            open_damaged(data, cut);
        free(data);
    }
}

static void test_flipped(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++) {
        size_t size;
        char *data = read_seed(damaged[i], &size);
        for (size_t at = 0; at < size; at++) {
            static const uint8_t masks[] = {0x01, 0x07, 0x40, 0x80, 0xff};
            for (size_t k = 0; k < sizeof masks; k++) {
                data[at] = (char)(data[at] ^ masks[k]);
                open_damaged(data, size);
                data[at] = (char)(data[at] ^ masks[k]);
            }
        }
        free(data);
    }
}

static qn_status open_step(const struct qn_allocator *allocator, void *context)
{
    const struct pb *b = context;
    struct qn_model *model;
    qn_status status = open_bytes(b, allocator, &model);
    qn_model_close(model);
    return status;
}

static void test_every_allocation(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++) {
        size_t size;
        char *data = read_seed(damaged[i], &size);
        struct pb b = {(uint8_t *)data, size, size};
        assert_true(qn_test_every_allocation(open_step, &b) >= 3);
        free(data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),   cmocka_unit_test(test_not_onnx), cmocka_unit_test(test_external_escapes),
        cmocka_unit_test(test_truncated), cmocka_unit_test(test_flipped),  cmocka_unit_test(test_every_allocation),
    };
    return cmocka_run_group_tests_name("onnx_hostile", tests, NULL, NULL);
}
