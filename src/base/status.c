#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct qn_status_record {
    enum qn_code code;
    char origin[96];
    char *message; /* owned, NULL for the static record */
};

/* Shared by every out-of-memory status: raising one must not allocate. */
static struct qn_status_record oom_record = {QN_OUT_OF_MEMORY, "", NULL};

enum qn_code qn_status_code(qn_status status)
{
    return status ? status->code : QN_OK;
}

const char *qn_code_name(enum qn_code code)
{
    static const char *const names[] = {
        [QN_OK] = "ok",
        [QN_INVALID_ARGUMENT] = "invalid argument",
        [QN_INVALID_FILE] = "invalid file",
        [QN_UNSUPPORTED] = "unsupported",
        [QN_NOT_FOUND] = "not found",
        [QN_IO] = "input/output error",
        [QN_OUT_OF_MEMORY] = "out of memory",
        [QN_OUT_OF_RANGE] = "out of range",
        [QN_CANCELLED] = "cancelled",
        [QN_INTERNAL] = "internal error",
    };
    return (unsigned)code < sizeof names / sizeof names[0] ? names[code] : "unknown";
}

const char *qn_status_message(qn_status status)
{
    if (!status)
        return "ok";
    return status->message ? status->message : "out of memory";
}

const char *qn_status_origin(qn_status status)
{
    return status ? status->origin : "";
}

void qn_status_free(qn_status status)
{
    if (!status || status == &oom_record)
        return;
    free(status->message);
    free(status);
}

static char *format_alloc(const char *fmt, va_list args)
{
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    char *text = length < 0 ? NULL : malloc((size_t)length + 1);
    if (text)
        vsnprintf(text, (size_t)length + 1, fmt, args);
    return text;
}

qn_status qn_status_make(enum qn_code code, const char *file, int line, const char *fmt, ...)
{
    struct qn_status_record *record = malloc(sizeof *record);
    if (!record)
        return &oom_record;
    record->code = code;
    snprintf(record->origin, sizeof record->origin, "%s:%d", file, line);
    va_list args;
    va_start(args, fmt);
    record->message = format_alloc(fmt, args);
    va_end(args);
    if (!record->message) {
        free(record);
        return &oom_record;
    }
    return record;
}

qn_status qn_status_oom(void)
{
    return &oom_record;
}

qn_status qn_status_note(qn_status status, const char *fmt, ...)
{
    if (!status || status == &oom_record)
        return status;
    va_list args;
    va_start(args, fmt);
    char *note = format_alloc(fmt, args);
    va_end(args);
    if (!note)
        return status; /* the message without the note still says what failed */
    size_t note_size = strlen(note), old_size = strlen(status->message);
    char *joined = malloc(note_size + 2 + old_size + 1);
    if (joined) {
        memcpy(joined, note, note_size);
        memcpy(joined + note_size, ": ", 2);
        memcpy(joined + note_size + 2, status->message, old_size + 1);
        free(status->message);
        status->message = joined;
    }
    free(note);
    return status;
}
