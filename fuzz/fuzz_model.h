/* What the fuzzers of model formats share: bytes are read to the last one, and what opens is shown in every form. */
#ifndef QN_FUZZ_FUZZ_MODEL_H
#define QN_FUZZ_FUZZ_MODEL_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The command's sources, since the command is no library. */
#include "cli/json_out.c"
#include "cli/terminal.c"

#include "cli/inspect_ports.c"

#include "cli/inspect_file.c"

#include "base/json.h"

/* Keeps the computation of a value alive. */
static void sink(uint64_t value)
{
    __asm__ volatile("" : : "r"(value));
}

/* Reads every byte. */
static void touch(const void *data, uint64_t size)
{
    const uint8_t *bytes = data;
    uint64_t sum = 0;
    for (uint64_t i = 0; i < size; i++)
        sum += bytes[i];
    sink(sum);
}

/* Errors name the file. Takes the status. */
static void check_words(qn_status status, const char *name)
{
    if (!strstr(qn_status_message(status), name))
        __builtin_trap();
    qn_status_free(status);
}

/* Text holds no control character but the newline, and JSON reads back: a terminal or a reader is never fooled. */
static void check_shown(const char *text, size_t size, bool json)
{
    const struct qn_json_options options = {.unique_keys = true};
    const struct qn_json *root;
    struct qn_arena arena;
    for (size_t i = 0; i < size; i++)
        if (((unsigned char)text[i] < 0x20 && text[i] != '\n') || text[i] == 0x7f)
            __builtin_trap();
    if (!json)
        return;
    qn_arena_init(&arena, NULL);
    if (qn_json_read((struct qn_str){text, size}, &options, &arena, &root))
        __builtin_trap();
    qn_arena_deinit(&arena);
}

static void show_as(const struct qn_model *model, bool json, bool full)
{
    const struct qn_inspect_options options = {.json = json, .full = full};
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return;
    if (qn_inspect_file(model, &options, out))
        __builtin_trap(); /* what opens can be shown */
    fclose(out);
    check_shown(text, size, json);
    free(text);
}

static void show(const struct qn_model *model)
{
    show_as(model, false, false);
    show_as(model, false, true);
    show_as(model, true, false);
}

#endif
