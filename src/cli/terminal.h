/* Talking to a person: messages and progress on stderr, human-readable numbers, text that cannot harm a terminal. */
#ifndef QN_CLI_TERMINAL_H
#define QN_CLI_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* After this, only errors and warnings appear on stderr (--quiet). */
void qn_terminal_set_quiet(bool quiet);

/* "quern: error: ..." and "quern: warning: ..." on stderr; note: the bare text, unless quiet. A newline is added. */
void qn_terminal_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void qn_terminal_warning(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void qn_terminal_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* A number that the system tells of this process, by its name in /proc/self/status; 0 where it tells none. */
uint64_t qn_terminal_process_number(const char *name);
/* Most bytes of memory that this process has held at once. */
uint64_t qn_terminal_peak_bytes(void);

/* Flushes stdout at the end of the program: `code`, or another exit code when the output could not be written. */
int qn_terminal_finish(int code);

/* Human-readable forms, written to the caller's buffer and returned: "1.08 GiB", "1.10 B", "1.25 s". */
#define QN_TERMINAL_NUMBER_SIZE 32
const char *qn_terminal_bytes(uint64_t bytes, char buffer[QN_TERMINAL_NUMBER_SIZE]);
const char *qn_terminal_count(uint64_t count, char buffer[QN_TERMINAL_NUMBER_SIZE]);
const char *qn_terminal_seconds(double seconds, char buffer[QN_TERMINAL_NUMBER_SIZE]);

/* Decodes one UTF-8 character of data[0..size), size > 0. Returns its length in bytes; 0 when the bytes there are not
 * UTF-8 (overlong forms, surrogates and cut sequences included). */
size_t qn_terminal_utf8(const char *data, size_t size, uint32_t *codepoint);

/* Writes text of unknown origin: control characters, direction overrides and bytes that are not UTF-8 appear as
 * escapes (\n, \x1b, \u{202e}), a backslash as \\. At most max_chars characters, then "..." (0: no limit). Returns
 * the columns written, one a character. */
size_t qn_terminal_text(FILE *out, const char *data, size_t size, size_t max_chars);

/* A progress bar on stderr, drawn only when that is a terminal and not quiet, at most ten times a second. */
struct qn_progress {
    const char *label;
    uint64_t drawn_ns;             /* when it was last drawn, 0: never */
    uint64_t start_ns, start_done; /* of the first update: what the time left is told from */
    bool active;
};

void qn_progress_begin(struct qn_progress *progress, const char *label);
/* Shows the time left as soon as that can be told. */
void qn_progress_update(struct qn_progress *progress, uint64_t done, uint64_t total);
void qn_progress_end(struct qn_progress *progress); /* wipes the bar */

#endif
