/* The ONNX conformance data: backend tests by group, real models, a voice detector's stream. Each case runs with one
 * thread, with two (the same bits), and with all passes off.
 *
 *     onnx_conformance_test                          as a test: all, against test/conformance/onnx_known_failures.txt
 *     onnx_conformance_test [--group G] [--case TEXT] [--off PASSES] [--threads N] [--isolate] [--json] [--quiet]
 *                                                    runs cases once and prints each failure
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conformance/onnx_cases.h"
#include "support/testing.h"

enum { ISOLATED_SECONDS = 60 };

static const struct {
    const char *name, *source; /* of the conformance data */
    enum onnx_layout layout;
} groups[] = {
    {"node", "onnx/backend-tests/node.tar.xz", ONNX_LAYOUT_SETS},
    {"simple", "onnx/backend-tests/simple.tar.xz", ONNX_LAYOUT_SETS},
    {"pytorch-converted", "onnx/backend-tests/pytorch-converted.tar.xz", ONNX_LAYOUT_SETS},
    {"pytorch-operator", "onnx/backend-tests/pytorch-operator.tar.xz", ONNX_LAYOUT_SETS},
    {"light", "onnx/backend-tests/light.tar.xz", ONNX_LAYOUT_LIGHT},
    {"models", "onnx/models", ONNX_LAYOUT_NPY},
};
enum { GROUPS = sizeof groups / sizeof groups[0] };

static char unpacked[600]; /* folder that the archives are unpacked to, beside the program */

/* ---- data ----------------------------------------------------------------------------------------------------- */

/* The folder with a group's cases; archives are unpacked once, aside, so that a stopped run leaves no half. */
static const char *group_folder(uint32_t group, const char *source)
{
    static char folder[900];
    char command[8000];
    if (groups[group].layout == ONNX_LAYOUT_NPY)
        return source;
    snprintf(folder, sizeof folder, "%s/%s", unpacked, groups[group].name);
    if (access(folder, R_OK) == 0)
        return folder;
    snprintf(command, sizeof command,
             "rm -rf '%s.part' && mkdir -p '%s.part' && tar -xJf '%s' -C '%s.part' && mv '%s.part/%s' '%s' && rmdir "
             "'%s.part'",
             folder, folder, source, folder, folder, groups[group].name, folder, folder);
    if (system(command) != 0)
        fail_msg("cannot unpack %s to %s; tar and xz are needed", source, folder);
    return folder;
}

/* ---- counting ------------------------------------------------------------------------------------------------- */

struct tally {
    uint32_t passed, known, failed, surprising;
};

/* Words for a case that did not go as the list says; NULL when it did. */
static const char *judge(const struct onnx_case *one, const struct onnx_outcome *outcome, struct tally *tally)
{
    if (outcome->good && !one->known) {
        tally->passed++;
        return NULL;
    }
    if (!outcome->good && one->known) {
        tally->known++;
        return NULL;
    }
    if (outcome->good) {
        tally->passed++;
        tally->surprising++;
        return "passes, but is listed as failing";
    }
    tally->failed++;
    return outcome->words;
}

static void run_group(uint32_t group, const char *source)
{
    static const struct onnx_config one_thread = {1, NULL}, two_threads = {2, NULL}, no_passes = {1, "all"};
    struct onnx_cases cases;
    struct tally tally = {0}, plain = {0};
    uint32_t other_bits = 0;
    char stale[200];
    char *known = qn_test_read_file(qn_test_source("test/conformance/onnx_known_failures.txt"), NULL);
    onnx_find_cases(groups[group].name, group_folder(group, source), groups[group].layout, NULL, &cases);
    onnx_mark_known(known, &cases, true, stale);
    for (uint32_t i = 0; i < cases.count; i++) {
        const struct onnx_case *one = &cases.items[i];
        struct onnx_outcome first, second;
        onnx_run_case(one, &one_thread, &first);
        const char *words = judge(one, &first, &tally);
        if (words)
            print_error("%s/%s: %s\n", one->group, one->name, words);
        onnx_run_case(one, &two_threads, &second);
        if (first.good && (!second.good || first.hash != second.hash)) {
            other_bits++;
            print_error("%s/%s: 2 threads: %s\n", one->group, one->name, second.good ? "other bits" : second.words);
        }
        onnx_run_case(one, &no_passes, &second);
        words = judge(one, &second, &plain);
        if (words)
            print_error("%s/%s: without passes: %s\n", one->group, one->name, words);
    }
    print_message("%s: %u cases: %u passed, %u failed as listed, %u failed, %u passed unexpectedly; 2 threads: %u with "
                  "other bits; without passes: %u passed, %u failed as listed, %u failed\n",
                  groups[group].name, cases.count, tally.passed, tally.known, tally.failed, tally.surprising,
                  other_bits, plain.passed, plain.known, plain.failed);
    uint32_t count = cases.count;
    onnx_free_cases(&cases);
    free(known);
    if (*stale)
        fail_msg("the list of known failures names %s, which is no case", stale);
    assert_int_not_equal(count, 0);
    assert_int_equal(tally.failed + tally.surprising + plain.failed + other_bits, 0);
}

static void node(void **state)
{
    (void)state;
    run_group(0, qn_test_conformance(groups[0].source));
}

static void simple(void **state)
{
    (void)state;
    run_group(1, qn_test_conformance(groups[1].source));
}

static void pytorch_converted(void **state)
{
    (void)state;
    run_group(2, qn_test_conformance(groups[2].source));
}

static void pytorch_operator(void **state)
{
    (void)state;
    run_group(3, qn_test_conformance(groups[3].source));
}

static void light(void **state)
{
    (void)state;
    run_group(4, qn_test_conformance(groups[4].source));
}

static void models(void **state)
{
    (void)state;
    run_group(5, qn_test_conformance(groups[5].source));
}

static void stream(void **state)
{
    (void)state;
    static const struct onnx_config configs[] = {{1, NULL}, {2, NULL}, {1, "all"}};
    const char *folder = qn_test_conformance("onnx/models/silero_vad");
    struct onnx_outcome outcomes[3];
    for (int i = 0; i < 3; i++) {
        onnx_run_stream(folder, &configs[i], &outcomes[i]);
        if (!outcomes[i].good)
            fail_msg("%u threads, passes off: %s: %s", configs[i].threads, configs[i].off ? configs[i].off : "none",
                     outcomes[i].words);
    }
    assert_true(outcomes[0].hash == outcomes[1].hash);
    print_message("silero_vad: 1,875 frames streamed\n");
}

/* ---- by hand -------------------------------------------------------------------------------------------------- */

struct by_hand {
    const char *group, *pattern;
    struct onnx_config config;
    bool isolate, json, quiet;
};

/* In a process of its own, so that a crash or an endless run is one failure. */
static void run_isolated(const struct onnx_case *one, const struct onnx_config *config, struct onnx_outcome *out)
{
    int ends[2], result = 0;
    *out = (struct onnx_outcome){0};
    fflush(NULL);
    if (pipe(ends) != 0)
        return;
    pid_t pid = fork();
    if (pid == 0) {
        alarm(ISOLATED_SECONDS);
        onnx_run_case(one, config, out);
        _exit(write(ends[1], out, sizeof *out) == sizeof *out ? 0 : 1);
    }
    close(ends[1]);
    bool whole = read(ends[0], out, sizeof *out) == sizeof *out;
    close(ends[0]);
    waitpid(pid, &result, 0);
    if (!whole || result != 0) {
        *out = (struct onnx_outcome){0};
        if (WIFSIGNALED(result))
            snprintf(out->words, sizeof out->words, "crashed: %s", strsignal(WTERMSIG(result)));
        else
            snprintf(out->words, sizeof out->words, "ended with %d", WEXITSTATUS(result));
    }
}

static void print_json_text(const char *text)
{
    putchar('"');
    for (; *text; text++)
        if (*text == '"' || *text == '\\')
            printf("\\%c", *text);
        else if ((unsigned char)*text < 0x20)
            printf("\\u%04x", (unsigned char)*text);
        else
            putchar(*text);
    putchar('"');
}

static int run_by_hand(const struct by_hand *options)
{
    uint32_t failed_in_all = 0;
    for (uint32_t group = 0; group < GROUPS; group++) {
        struct onnx_cases cases;
        uint32_t passed = 0;
        if (options->group && strcmp(options->group, groups[group].name) != 0)
            continue;
        const char *base = getenv("QUERN_CONFORMANCE");
        char source[900];
        snprintf(source, sizeof source, "%s/%s", base && *base ? base : QN_SOURCE_DIR "/../shared/conformance",
                 groups[group].source);
        onnx_find_cases(groups[group].name, group_folder(group, source), groups[group].layout, options->pattern,
                        &cases);
        for (uint32_t i = 0; i < cases.count; i++) {
            const struct onnx_case *one = &cases.items[i];
            struct onnx_outcome outcome;
            (options->isolate ? run_isolated : onnx_run_case)(one, &options->config, &outcome);
            passed += outcome.good;
            if (options->json) {
                printf("{\"group\": \"%s\", \"case\": \"%s\", \"passed\": %s, \"words\": ", one->group, one->name,
                       outcome.good ? "true" : "false");
                print_json_text(outcome.words);
                puts("}");
            } else if (!outcome.good && !options->quiet) {
                printf("%s/%s: %s\n", one->group, one->name, outcome.words);
            }
        }
        if (!options->json && cases.count)
            printf("%s: %u of %u passed\n", groups[group].name, passed, cases.count);
        failed_in_all += cases.count - passed;
        onnx_free_cases(&cases);
    }
    return failed_in_all > 0;
}

static bool read_options(int count, char **args, struct by_hand *out)
{
    *out = (struct by_hand){.config = {1, NULL}};
    for (int i = 1; i < count; i++) {
        const char *value = i + 1 < count ? args[i + 1] : NULL;
        if (strcmp(args[i], "--isolate") == 0)
            out->isolate = true;
        else if (strcmp(args[i], "--json") == 0)
            out->json = true;
        else if (strcmp(args[i], "--quiet") == 0)
            out->quiet = true;
        else if (!value)
            return false;
        else if (strcmp(args[i], "--group") == 0)
            out->group = args[++i];
        else if (strcmp(args[i], "--case") == 0)
            out->pattern = args[++i];
        else if (strcmp(args[i], "--off") == 0)
            out->config.off = args[++i];
        else if (strcmp(args[i], "--threads") == 0)
            out->config.threads = (uint32_t)atoi(args[++i]);
        else
            return false;
    }
    return true;
}

int main(int count, char **args)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(node),   cmocka_unit_test(simple), cmocka_unit_test(pytorch_converted),
        cmocka_unit_test(light),  cmocka_unit_test(models), cmocka_unit_test(pytorch_operator),
        cmocka_unit_test(stream),
    };
    const char *slash = strrchr(args[0], '/');
    snprintf(unpacked, sizeof unpacked, "%.*s/onnx-cases", slash ? (int)(slash - args[0]) : 1, slash ? args[0] : ".");
    struct by_hand options;
    if (!read_options(count, args, &options)) {
        fprintf(stderr,
                "usage: %s [--group G] [--case TEXT] [--off PASSES] [--threads N] [--isolate] [--json] "
                "[--quiet]\n",
                args[0]);
        return 2;
    }
    return count > 1 ? run_by_hand(&options) : cmocka_run_group_tests_name("onnx_conformance", tests, NULL, NULL);
}
