/* Golden IR text: what each pass makes of small graphs (test/golden/ir/README.md). */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "passes/pass.h"
#include "support/testing.h"

enum { MAX_FILES = 32 };

/* A piece of a file up to a line that starts with `mark`, or to the end; *at moves behind it. */
static struct qn_str take_until(const char **at, const char *mark)
{
    const char *start = *at, *end = start;
    size_t size = strlen(mark);
    while (*end && strncmp(end, mark, size) != 0) {
        const char *line = strchr(end, '\n');
        end = line ? line + 1 : end + strlen(end);
    }
    *at = end;
    return (struct qn_str){start, (size_t)(end - start)};
}

struct golden {
    struct qn_str title; /* "name: pass, pass" */
    struct qn_str before, after;
};

/* False at the end of the file. */
static bool next_case(const char **at, struct golden *golden)
{
    take_until(at, "== ");
    if (!**at)
        return false;
    *at += 3;
    const char *line = strchr(*at, '\n');
    assert_non_null(line);
    golden->title = (struct qn_str){*at, (size_t)(line - *at)};
    *at = line + 1;
    golden->before = take_until(at, "--");
    assert_int_equal(**at, '-');
    *at = strchr(*at, '\n') + 1;
    golden->after = take_until(at, "== ");
    return true;
}

static void run_passes(struct qn_graph **graph, struct qn_str title)
{
    char text[256];
    snprintf(text, sizeof text, "%.*s", QN_STR_ARG(title));
    char *names = strchr(text, ':');
    assert_non_null(names);
    for (char *name = strtok(names + 1, ", "); name; name = strtok(NULL, ", ")) {
        uint32_t pass = 0;
        while (pass < QN_PASS_COUNT && strcmp(qn_passes[pass].name, name) != 0)
            pass++;
        if (pass == QN_PASS_COUNT)
            fail_msg("%s: no pass is called '%s'", text, name);
        qn_assert_ok(qn_pass_run(graph, (enum qn_pass_id)pass));
        qn_assert_ok(qn_graph_verify(*graph));
    }
}

static void check_case(const struct golden *golden, struct qn_strbuf *updated)
{
    struct qn_graph *graph;
    struct qn_strbuf after, again;
    qn_strbuf_init(&after, NULL);
    qn_strbuf_init(&again, NULL);
    qn_status status = qn_graph_parse(golden->before, NULL, &graph);
    if (status)
        fail_msg("%.*s: %s", QN_STR_ARG(golden->title), qn_status_message(status));
    uint32_t nodes = graph->nodes.count;
    run_passes(&graph, golden->title);
    qn_assert_ok(qn_graph_print(graph, &after));
    if (qn_str_starts(golden->title, QN_STR("not_")) && graph->nodes.count != nodes)
        fail_msg("%.*s: %u nodes became %u\n%s", QN_STR_ARG(golden->title), nodes - 1, graph->nodes.count - 1,
                 after.data);
    if (!updated && !qn_str_eq(qn_strbuf_view(&after), golden->after))
        fail_msg("%.*s: expected\n%.*s\nfound\n%s", QN_STR_ARG(golden->title), (int)golden->after.size,
                 golden->after.data, after.data);
    qn_graph_destroy(graph);

    qn_assert_ok(qn_graph_parse(qn_strbuf_view(&after), NULL, &graph));
    qn_assert_ok(qn_graph_print(graph, &again));
    assert_string_equal(after.data, again.data);
    qn_graph_destroy(graph);
    if (updated) {
        qn_strbuf_printf(updated, "== %.*s\n", QN_STR_ARG(golden->title));
        qn_strbuf_append(updated, golden->before.data, golden->before.size);
        qn_strbuf_add(updated, "--\n");
        qn_strbuf_append(updated, after.data, after.size);
    }
    qn_strbuf_deinit(&after);
    qn_strbuf_deinit(&again);
}

static void check_file(void **state)
{
    const char *path = *state;
    bool update = getenv("QN_UPDATE_GOLDEN") != NULL;
    struct qn_strbuf updated;
    struct golden golden;
    uint32_t cases = 0;
    char *text = qn_test_read_file(path, NULL);
    qn_strbuf_init(&updated, NULL);
    for (const char *at = text; next_case(&at, &golden); cases++)
        check_case(&golden, update ? &updated : NULL);
    assert_true(cases > 0);
    if (update)
        qn_test_write_file(path, updated.data, updated.size);
    qn_strbuf_deinit(&updated);
    free(text);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct CMUnitTest *)a)->name, ((const struct CMUnitTest *)b)->name);
}

int main(void)
{
    static char paths[MAX_FILES][512], names[MAX_FILES][256];
    struct CMUnitTest tests[MAX_FILES];
    const char *folder = qn_test_source("test/golden/ir");
    size_t count = 0;
    DIR *directory = opendir(folder);
    for (struct dirent *entry; directory && (entry = readdir(directory));) {
        size_t size = strlen(entry->d_name);
        if (count == MAX_FILES || size < 5 || strcmp(entry->d_name + size - 4, ".txt") != 0)
            continue;
        snprintf(paths[count], sizeof paths[count], "%s/%s", folder, entry->d_name);
        snprintf(names[count], sizeof names[count], "%s", entry->d_name);
        tests[count] = (struct CMUnitTest){names[count], check_file, NULL, NULL, paths[count]};
        count++;
    }
    if (directory)
        closedir(directory);
    qsort(tests, count, sizeof tests[0], by_name);
    return count ? _cmocka_run_group_tests("golden IR text", tests, count, NULL, NULL) : 1;
}
