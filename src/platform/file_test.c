#include "platform/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/testing.h"

static void maps_the_whole_file(void **state)
{
    (void)state;
    enum { SIZE = 100000 };
    char *content = malloc(SIZE);
    for (int i = 0; i < SIZE; i++)
        content[i] = (char)(i * 7);
    const char *path = qn_test_temp("mapped");
    qn_test_write_file(path, content, SIZE);
    struct qn_file_map map;
    qn_assert_ok(qn_file_map(path, &map));
    assert_int_equal(map.size, SIZE);
    /* Hints change nothing that can be read, whatever range they name. */
    qn_file_map_will_need(&map, 0, SIZE);
    qn_file_map_will_need(&map, 5000, UINT64_MAX);
    qn_file_map_drop(&map, 100, 50000);
    qn_file_map_drop(&map, UINT64_MAX, 1);
    qn_file_map_drop(&map, 0, UINT64_MAX);
    assert_memory_equal(map.data, content, SIZE);
    qn_file_unmap(&map);
    assert_null(map.data);
    qn_file_unmap(&map);
    free(content);
    unlink(path);
}

static void empty_file_is_an_empty_map(void **state)
{
    (void)state;
    const char *path = qn_test_temp("empty");
    qn_test_write_file(path, "", 0);
    struct qn_file_map map = {(const uint8_t *)"x", 1};
    qn_assert_ok(qn_file_map(path, &map));
    assert_null(map.data);
    assert_int_equal(map.size, 0);
    qn_file_map_drop(&map, 0, 1);
    qn_file_unmap(&map);
    unlink(path);
}

static void errors_name_the_path(void **state)
{
    (void)state;
    struct qn_file_map map;
    const char *absent = qn_test_temp("absent");
    qn_assert_fails(qn_file_map(absent, &map), QN_NOT_FOUND, absent);
    assert_null(map.data);
    qn_assert_fails(qn_file_map(qn_test_temp("."), &map), QN_INVALID_ARGUMENT, "is a folder");
    qn_assert_fails(qn_file_map("/dev/null", &map), QN_INVALID_ARGUMENT, "regular file");
    struct qn_file_writer *writer;
    qn_assert_fails(qn_file_writer_open(qn_test_temp("no/such/folder"), &writer), QN_IO, "no/such/folder");
    assert_null(writer);
    assert_false(qn_file_exists(absent));
    assert_true(qn_file_exists("/dev/null"));
}

static void commit_gives_the_whole_file(void **state)
{
    (void)state;
    const char *path = qn_test_temp("written");
    int before = qn_test_temp_count();
    struct qn_file_writer *writer;
    qn_assert_ok(qn_file_writer_open(path, &writer));
    /* Sizes around the buffer: pieces gather, large ones pass by. */
    size_t sizes[] = {1, 0, 1000, 600000, 400000, 3000000, 17, (1 << 20) - 17, 1 << 20}, total = 0;
    char *piece = malloc(3000000);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        memset(piece, (int)i + 'a', sizes[i]);
        qn_assert_ok(qn_file_writer_write(writer, piece, sizes[i]));
        total += sizes[i];
    }
    assert_false(qn_file_exists(path));
    qn_assert_ok(qn_file_writer_commit(writer));
    size_t size;
    char *content = qn_test_read_file(path, &size), *at = content;
    assert_int_equal(size, total);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        for (size_t k = 0; k < sizes[i]; k++)
            if (*at++ != (char)(i + 'a'))
                fail_msg("byte %zu of piece %zu differs", k, i);
    assert_int_equal(qn_test_temp_count(), before + 1); /* no temporary file is left */
    free(content);
    free(piece);
    unlink(path);
}

static void discard_leaves_the_target_alone(void **state)
{
    (void)state;
    const char *path = qn_test_temp("kept");
    qn_test_write_file(path, "old", 3);
    int before = qn_test_temp_count();
    struct qn_file_writer *writer;
    qn_assert_ok(qn_file_writer_open(path, &writer));
    assert_int_equal(qn_test_temp_count(), before + 1); /* beside the target, so that the rename is atomic */
    qn_assert_ok(qn_file_writer_write(writer, "new", 3));
    qn_file_writer_discard(writer);
    qn_file_writer_discard(NULL);
    assert_int_equal(qn_test_temp_count(), before);
    char *content = qn_test_read_file(path, NULL);
    assert_string_equal(content, "old");
    free(content);
    unlink(path);
}

/* The process dies in the middle of writing: the target is still the old file. */
static void death_leaves_the_target_alone(void **state)
{
    (void)state;
    const char *path = qn_test_temp("survivor");
    qn_test_write_file(path, "old", 3);
    pid_t pid = fork();
    if (pid == 0) {
        struct qn_file_writer *writer;
        static char data[3 << 20];
        if (qn_file_writer_open(path, &writer) == NULL && qn_file_writer_write(writer, data, sizeof data) == NULL)
            _exit(0);
        _exit(1);
    }
    int result;
    assert_int_equal(waitpid(pid, &result, 0), pid);
    assert_int_equal(result, 0);
    char *content = qn_test_read_file(path, NULL);
    assert_string_equal(content, "old");
    free(content);
}

static void failed_commit_cleans_up(void **state)
{
    (void)state;
    const char *path = qn_test_temp("folder");
    struct qn_file_writer *writer;
    qn_assert_ok(qn_file_writer_open(path, &writer));
    char command[512];
    snprintf(command, sizeof command, "mkdir '%s' && touch '%s/x'", path, path); /* rename over it cannot work */
    assert_int_equal(system(command), 0);
    int before = qn_test_temp_count();
    qn_assert_fails(qn_file_writer_commit(writer), QN_IO, path);
    assert_int_equal(qn_test_temp_count(), before - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(maps_the_whole_file),
        cmocka_unit_test(empty_file_is_an_empty_map),
        cmocka_unit_test(errors_name_the_path),
        cmocka_unit_test(commit_gives_the_whole_file),
        cmocka_unit_test(discard_leaves_the_target_alone),
        cmocka_unit_test(death_leaves_the_target_alone),
        cmocka_unit_test(failed_commit_cleans_up),
    };
    return cmocka_run_group_tests_name("file", tests, NULL, NULL);
}
