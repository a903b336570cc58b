#include "cli/terminal.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/command.h"

static bool quiet;

void qn_terminal_set_quiet(bool value)
{
    quiet = value;
}

/* ---- messages ------------------------------------------------------------------------------------------------- */

/* Messages carry names from files and command lines, so they are escaped as a whole; newlines are ours. */
static void print_lines(const char *prefix, const char *fmt, va_list args)
{
    char text[4096];
    vsnprintf(text, sizeof text, fmt, args);
    fputs(prefix, stderr);
    for (const char *line = text; *line;) {
        size_t length = strcspn(line, "\n");
        qn_terminal_text(stderr, line, length, 0);
        fputc('\n', stderr);
        line += length + (line[length] == '\n');
    }
}

void qn_terminal_error(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    print_lines("quern: error: ", fmt, args);
    va_end(args);
}

void qn_terminal_warning(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    print_lines("quern: warning: ", fmt, args);
    va_end(args);
}

void qn_terminal_note(const char *fmt, ...)
{
    if (quiet)
        return;
    va_list args;
    va_start(args, fmt);
    print_lines("", fmt, args);
    va_end(args);
}

/* Whether nobody reads standard output any more: a closed pipe or socket. */
static bool reader_is_gone(void)
{
    struct pollfd output = {.fd = STDOUT_FILENO, .events = POLLOUT};
    return poll(&output, 1, 0) == 1 && (output.revents & POLLERR);
}

uint64_t qn_terminal_process_number(const char *name)
{
    char line[256];
    unsigned long long value = 0;
    size_t length = strlen(name);
    FILE *status = fopen("/proc/self/status", "re");
    while (status && fgets(line, sizeof line, status))
        if (strncmp(line, name, length) == 0 && sscanf(line + length, ": %llu", &value) == 1)
            break;
    if (status)
        fclose(status);
    return value;
}

/* Unlike getrusage's figure it begins with the program, not with the process that started it. */
uint64_t qn_terminal_peak_bytes(void)
{
    return qn_terminal_process_number("VmHWM") * 1024;
}

int qn_terminal_finish(int code)
{
    errno = 0;
    bool failed = fflush(stdout) != 0;
    int reason = errno; /* 0 when an earlier write failed */
    if (!failed && !ferror(stdout))
        return code;
    if (reader_is_gone())
        return QN_EXIT_PIPE; /* whoever read us has seen enough: no reason to complain */
    qn_terminal_error("cannot write to standard output%s%s", reason ? ": " : "", reason ? strerror(reason) : "");
    return QN_EXIT_FAILED;
}

/* ---- numbers -------------------------------------------------------------------------------------------------- */

static const char *scaled(double value, double step, const char *const *units, size_t unit_count, char *buffer)
{
    size_t unit = 0;
    while (value >= step && unit + 1 < unit_count) {
        value /= step;
        unit++;
    }
    /* 999.996 would print as 1000.00 of the smaller unit */
    if (unit && value >= step - 0.005 && unit + 1 < unit_count) {
        value /= step;
        unit++;
    }
    int digits = unit == 0 ? 0 : value < 10 ? 2 : value < 1000 ? 1 : 0;
    snprintf(buffer, QN_TERMINAL_NUMBER_SIZE, "%.*f%s%s", digits, value, units[unit][0] ? " " : "", units[unit]);
    return buffer;
}

const char *qn_terminal_bytes(uint64_t bytes, char buffer[QN_TERMINAL_NUMBER_SIZE])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    return scaled((double)bytes, 1024, units, sizeof units / sizeof units[0], buffer);
}

const char *qn_terminal_count(uint64_t count, char buffer[QN_TERMINAL_NUMBER_SIZE])
{
    static const char *const units[] = {"", "K", "M", "B", "T"};
    return scaled((double)count, 1000, units, sizeof units / sizeof units[0], buffer);
}

const char *qn_terminal_seconds(double seconds, char buffer[QN_TERMINAL_NUMBER_SIZE])
{
    if (seconds < 1e-3)
        snprintf(buffer, QN_TERMINAL_NUMBER_SIZE, "%.1f us", seconds * 1e6);
    else if (seconds < 1)
        snprintf(buffer, QN_TERMINAL_NUMBER_SIZE, "%.1f ms", seconds * 1e3);
    else if (seconds < 60)
        snprintf(buffer, QN_TERMINAL_NUMBER_SIZE, "%.2f s", seconds);
    else
        snprintf(buffer, QN_TERMINAL_NUMBER_SIZE, "%llu min %02llu s", (unsigned long long)seconds / 60,
                 (unsigned long long)seconds % 60);
    return buffer;
}

/* ---- text of unknown origin ----------------------------------------------------------------------------------- */

size_t qn_terminal_utf8(const char *data, size_t size, uint32_t *codepoint)
{
    const unsigned char *s = (const unsigned char *)data;
    if (s[0] < 0x80) {
        *codepoint = s[0];
        return 1;
    }
    size_t length = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    if (s[0] < 0xc2 || s[0] > 0xf4 || length > size)
        return 0;
    uint32_t value = s[0] & (0xffu >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        value = value << 6 | (s[i] & 0x3f);
    }
    if (value < smallest[length] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
        return 0;
    *codepoint = value;
    return length;
}

/* Characters that move the cursor, change the direction of writing or hide: never sent raw. */
static bool is_unsafe(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
           (c >= 0x2060 && c <= 0x206f) || c == 0xfeff || (c >= 0xfff9 && c <= 0xfffb) ||
           (c >= 0xe0000 && c <= 0xe007f);
}

size_t qn_terminal_text(FILE *out, const char *data, size_t size, size_t max_chars)
{
    size_t columns = 0, chars = 0;
    for (size_t at = 0; at < size; chars++) {
        if (max_chars && chars == max_chars) {
            fputs("...", out);
            return columns + 3;
        }
        uint32_t c = 0;
        size_t length = qn_terminal_utf8(data + at, size - at, &c);
        int written = 1;
        if (length == 0)
            written = fprintf(out, "\\x%02x", (unsigned char)data[at]);
        else if (c == '\n' || c == '\t' || c == '\r' || c == '\\')
            written = fprintf(out, "\\%c", c == '\n' ? 'n' : c == '\t' ? 't' : c == '\r' ? 'r' : '\\');
        else if (c < 0x80 && is_unsafe(c))
            written = fprintf(out, "\\x%02x", (unsigned)c);
        else if (is_unsafe(c))
            written = fprintf(out, "\\u{%04x}", (unsigned)c);
        else
            fwrite(data + at, 1, length, out);
        columns += written > 0 ? (size_t)written : 0;
        at += length ? length : 1;
    }
    return columns;
}

/* ---- progress ------------------------------------------------------------------------------------------------- */

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void qn_progress_begin(struct qn_progress *progress, const char *label)
{
    *progress = (struct qn_progress){.label = label, .active = !quiet && isatty(STDERR_FILENO)};
}

void qn_progress_update(struct qn_progress *progress, uint64_t done, uint64_t total)
{
    enum { WIDTH = 30 };
    if (!progress->active || total == 0)
        return;
    uint64_t now = now_ns();
    if (!progress->start_ns) {
        progress->start_ns = now;
        progress->start_done = done;
    }
    if (progress->drawn_ns && now - progress->drawn_ns < 100000000u)
        return;
    progress->drawn_ns = now;
    double part = done >= total ? 1.0 : (double)done / (double)total;
    char bar[WIDTH + 1];
    memset(bar, ' ', WIDTH);
    memset(bar, '=', (size_t)(part * WIDTH));
    bar[WIDTH] = 0;
    fprintf(stderr, "\r%s [%s] %3.0f %%", progress->label, bar, part * 100);
    if (done > progress->start_done && done < total && now - progress->start_ns > 1000000000u) {
        double seconds =
            (double)(now - progress->start_ns) * 1e-9 * (double)(total - done) / (double)(done - progress->start_done);
        fprintf(stderr, ", %.0f:%02d left ", floor(seconds / 60), (int)fmod(seconds, 60));
    }
    fflush(stderr);
}

void qn_progress_end(struct qn_progress *progress)
{
    if (progress->active && progress->drawn_ns)
        fputs("\r\033[K", stderr);
    progress->active = false;
}
