/* GGUF back to a folder, for every architecture: the folder is read as the same model, to the last bit. */
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "quern/convert.h"
#include "quern/model.h"
#include "support/testing.h"

enum { PATH_SIZE = 700 };

static bool is_new_name(const char *key)
{
    return strncmp(key, "general.", 8) == 0 || strncmp(key, "tokenizer.", 10) == 0;
}

/* Every key of the architecture that the file has, the folder says as well. */
static void compare_metas(const char *name, const struct qn_model *file, const struct qn_model *folder)
{
    struct qn_model_info info = {.struct_size = sizeof info};
    qn_assert_ok(qn_model_info(file, &info));
    for (uint32_t i = 0; i < info.meta_count; i++) {
        struct qn_model_meta a = {.struct_size = sizeof a}, b = {.struct_size = sizeof b};
        uint32_t index;
        qn_assert_ok(qn_model_meta(file, i, &a));
        if (is_new_name(a.key))
            continue;
        if (!qn_model_find_meta(folder, a.key, &index))
            fail_msg("%s: the folder has no %s", name, a.key);
        qn_assert_ok(qn_model_meta(folder, index, &b));
        assert_int_equal(a.count, b.count);
        for (uint64_t k = 0; k < a.count; k++) {
            struct qn_meta_item x, y;
            qn_assert_ok(qn_model_meta_item(file, i, k, &x));
            qn_assert_ok(qn_model_meta_item(folder, index, k, &y));
            bool same = x.kind == QN_META_TEXT ? x.as.text.size == y.as.text.size &&
                                                     memcmp(x.as.text.data, y.as.text.data, x.as.text.size) == 0
                        : x.kind == QN_META_FLOAT32 ? fabs(x.as.f - y.as.f) <= 2e-7 * fabs(x.as.f)
                        : x.kind == QN_META_BOOL    ? x.as.b == y.as.b
                                                    : x.as.u == y.as.u;
            if (!same)
                fail_msg("%s: key %s differs", name, a.key);
        }
    }
}

static void *read_all(const struct qn_model *model, uint32_t index, const struct qn_model_tensor *t)
{
    void *data = malloc((size_t)t->bytes + 1);
    uint64_t columns = t->rank ? t->dims[t->rank - 1] : 1;
    qn_assert_ok(qn_model_read_rows(model, index, 0, t->rank < 2 ? 1 : t->elements / columns, data));
    return data;
}

/* What is computed of other numbers comes back to a few steps only. */
static bool is_computed(const char *name)
{
    return strstr(name, "ssm_a") || strcmp(name, "rope_freqs.weight") == 0;
}

/* The values of tensors that were not quantised. */
static void compare_tensors(const char *name, const struct qn_model *file, const struct qn_model *folder)
{
    struct qn_model_info info = {.struct_size = sizeof info}, other = info;
    qn_assert_ok(qn_model_info(file, &info));
    qn_assert_ok(qn_model_info(folder, &other));
    assert_int_equal(info.tensor_count, other.tensor_count);
    for (uint32_t i = 0; i < info.tensor_count; i++) {
        struct qn_model_tensor a = {.struct_size = sizeof a}, b = {.struct_size = sizeof b};
        uint32_t index;
        qn_assert_ok(qn_model_tensor(file, i, &a));
        if (!qn_model_find_tensor(folder, a.name, &index))
            fail_msg("%s: the folder has no %s", name, a.name);
        qn_assert_ok(qn_model_tensor(folder, index, &b));
        assert_int_equal(a.elements, b.elements);
        if (a.dtype != b.dtype) {
            assert_int_equal(b.dtype, QN_DTYPE_F16); /* quantised */
            continue;
        }
        void *x = read_all(file, i, &a), *y = read_all(folder, index, &b);
        bool same = memcmp(x, y, (size_t)a.bytes) == 0;
        for (uint64_t k = 0; k < a.elements && !same && is_computed(a.name); k++) {
            float p = ((const float *)x)[k], q = ((const float *)y)[k];
            if (fabsf(p - q) > 1e-6f * fabsf(p))
                break;
            same = k + 1 == a.elements;
        }
        free(x);
        free(y);
        if (!same)
            fail_msg("%s: tensor %s differs", name, a.name);
    }
}

static void check(const char *name, const char *path)
{
    const char *gguf = qn_test_temp("there.gguf"), *back = qn_test_temp("back");
    struct qn_model *file = NULL, *folder = NULL;
    qn_assert_ok(qn_convert(path, gguf, NULL, NULL));
    qn_assert_ok(qn_convert(gguf, back, NULL, NULL));
    qn_assert_ok(qn_model_open(gguf, NULL, &file));
    qn_assert_ok(qn_model_open(back, NULL, &folder));
    compare_metas(name, file, folder);
    compare_tensors(name, file, folder);
    qn_model_close(file);
    qn_model_close(folder);
}

/* All folders of models beneath one of the test data's. */
static uint32_t check_folders(const char *beneath)
{
    char top[PATH_SIZE], path[PATH_SIZE], config[PATH_SIZE + 16];
    uint32_t count = 0;
    struct stat st;
    snprintf(top, sizeof top, QN_SOURCE_DIR "/test/data/%s", beneath);
    DIR *dir = opendir(top);
    assert_non_null(dir);
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        snprintf(path, sizeof path, QN_SOURCE_DIR "/test/data/%s/%s", beneath, entry->d_name);
        snprintf(config, sizeof config, "%s/config.json", path);
        if (stat(config, &st) != 0 || entry->d_name[0] == '.')
            continue;
        check(entry->d_name, path);
        count++;
    }
    closedir(dir);
    return count;
}

static void test_decoders(void **state)
{
    (void)state;
    assert_true(check_folders("models") >= 20);
}

static void test_encoders(void **state)
{
    (void)state;
    assert_true(check_folders("encoders") >= 19);
}

static void test_published_forms(void **state)
{
    (void)state;
    assert_true(check_folders("hf") >= 13);
}

/* GGUF files that hold what folders are not made of here: scaled rotary embeddings, windows, ties. */
static void test_files(void **state)
{
    (void)state;
    static const char *const names[] = {"llama3",         "llama_yarn",     "llama_linear", "llama_mqa_bias",
                                        "llama_tied_mha", "mistral_window", "mamba_tied",   "gptneox_serial"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[PATH_SIZE];
        struct qn_model *file = NULL, *folder = NULL;
        const char *back = qn_test_temp("back");
        snprintf(path, sizeof path, QN_SOURCE_DIR "/test/data/models/%s.gguf", names[i]);
        qn_assert_ok(qn_convert(path, back, NULL, NULL));
        qn_assert_ok(qn_model_open(path, NULL, &file));
        qn_assert_ok(qn_model_open(back, NULL, &folder));
        compare_metas(names[i], file, folder);
        compare_tensors(names[i], file, folder);
        qn_model_close(file);
        qn_model_close(folder);
    }
}

/* What a folder cannot say is refused before anything is written. */
static void test_refused(void **state)
{
    (void)state;
    const char *back = qn_test_temp("refused");
    struct stat st;
    qn_assert_fails(qn_convert(QN_SOURCE_DIR "/test/data/models/deepseek2_joint.gguf", back, NULL, NULL),
                    QN_UNSUPPORTED, "key_length_mla");
    assert_int_not_equal(stat(back, &st), 0);
    qn_assert_fails(
        qn_convert(QN_SOURCE_DIR "/test/data/models/llama.gguf", back,
                   &(struct qn_convert_options){.struct_size = sizeof(struct qn_convert_options), .type = "q4_0"},
                   NULL),
        QN_INVALID_ARGUMENT, "for a folder");
}

static qn_status write_back(const struct qn_allocator *allocator, void *context)
{
    struct qn_convert_options options = {.struct_size = sizeof options, .allocator = allocator};
    return qn_convert(context, qn_test_temp("back"), &options, NULL);
}

static void test_every_allocation(void **state)
{
    (void)state;
    char *path = (char *)(uintptr_t)(QN_SOURCE_DIR "/test/data/models/gptneox.gguf");
    assert_true(qn_test_every_allocation(write_back, path) > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decoders), cmocka_unit_test(test_encoders), cmocka_unit_test(test_published_forms),
        cmocka_unit_test(test_files),    cmocka_unit_test(test_refused),  cmocka_unit_test(test_every_allocation),
    };
    return cmocka_run_group_tests_name("folders from GGUF", tests, NULL, NULL);
}
