#include "cli/json_out.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/terminal.h"

static void write_quoted(FILE *out, const char *data, size_t size)
{
    fputc('"', out);
    for (size_t at = 0; at < size;) {
        uint32_t c = 0;
        size_t length = qn_terminal_utf8(data + at, size - at, &c);
        if (length == 0)
            fputs("\xef\xbf\xbd", out); /* U+FFFD */
        else if (c == '"' || c == '\\')
            fprintf(out, "\\%c", (int)c);
        else if (c == '\n')
            fputs("\\n", out);
        else if (c == '\t')
            fputs("\\t", out);
        else if (c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029)
            fprintf(out, "\\u%04x", (unsigned)c); /* beyond what JSON asks: safe to show on a terminal */
        else
            fwrite(data + at, 1, length, out);
        at += length ? length : 1;
    }
    fputc('"', out);
}

static void new_line(struct qn_json_out *json)
{
    fprintf(json->file, "\n%*s", (int)(json->depth * 2), "");
}

/* The comma, indentation and key that stand before any value. */
static void begin_value(struct qn_json_out *json, const char *key)
{
    uint32_t top = json->depth;
    if (top) {
        assert(json->is_array[top - 1] == !key);
        if (json->used[top - 1])
            fputs(json->inline_[top - 1] ? ", " : ",", json->file);
        json->used[top - 1] = true;
        if (!json->inline_[top - 1])
            new_line(json);
    }
    if (key) {
        write_quoted(json->file, key, strlen(key));
        fputs(": ", json->file);
    }
}

static void open_container(struct qn_json_out *json, const char *key, bool is_array, bool is_inline)
{
    begin_value(json, key);
    assert(json->depth < QN_JSON_OUT_DEPTH_MAX);
    fputc(is_array ? '[' : '{', json->file);
    json->is_array[json->depth] = is_array;
    json->inline_[json->depth] = is_inline;
    json->used[json->depth++] = false;
}

void qn_json_out_begin(struct qn_json_out *json, FILE *file)
{
    *json = (struct qn_json_out){.file = file};
}

void qn_json_out_finish(struct qn_json_out *json)
{
    assert(json->depth == 0);
    fputc('\n', json->file);
}

void qn_json_out_object(struct qn_json_out *json, const char *key)
{
    open_container(json, key, false, false);
}

void qn_json_out_array(struct qn_json_out *json, const char *key)
{
    open_container(json, key, true, false);
}

void qn_json_out_array_inline(struct qn_json_out *json, const char *key)
{
    open_container(json, key, true, true);
}

void qn_json_out_end(struct qn_json_out *json)
{
    assert(json->depth > 0);
    uint32_t top = --json->depth;
    if (json->used[top] && !json->inline_[top])
        new_line(json);
    fputc(json->is_array[top] ? ']' : '}', json->file);
}

void qn_json_out_text(struct qn_json_out *json, const char *key, const char *data, size_t size)
{
    begin_value(json, key);
    write_quoted(json->file, data, size);
}

void qn_json_out_string(struct qn_json_out *json, const char *key, const char *text)
{
    if (text)
        qn_json_out_text(json, key, text, strlen(text));
    else
        qn_json_out_null(json, key);
}

void qn_json_out_u64(struct qn_json_out *json, const char *key, uint64_t value)
{
    begin_value(json, key);
    fprintf(json->file, "%" PRIu64, value);
}

void qn_json_out_i64(struct qn_json_out *json, const char *key, int64_t value)
{
    begin_value(json, key);
    fprintf(json->file, "%" PRId64, value);
}

/* JSON has no such numbers; the same names as in protobuf's JSON mapping, written as strings. */
static const char *special_name(double value)
{
    return isnan(value) ? "NaN" : isinf(value) ? (value < 0 ? "-Infinity" : "Infinity") : NULL;
}

const char *qn_json_out_format_f64(double value, char buffer[QN_JSON_OUT_NUMBER_SIZE])
{
    if (special_name(value))
        return strcpy(buffer, special_name(value));
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(buffer, QN_JSON_OUT_NUMBER_SIZE, "%.*g", digits, value);
        if (strtod(buffer, NULL) == value)
            break;
    }
    return buffer;
}

const char *qn_json_out_format_f32(float value, char buffer[QN_JSON_OUT_NUMBER_SIZE])
{
    if (special_name((double)value))
        return strcpy(buffer, special_name((double)value));
    for (int digits = 6; digits <= 9; digits++) {
        snprintf(buffer, QN_JSON_OUT_NUMBER_SIZE, "%.*g", digits, (double)value);
        if (strtof(buffer, NULL) == value)
            break;
    }
    return buffer;
}

static void write_number(struct qn_json_out *json, const char *key, const char *digits, bool special)
{
    begin_value(json, key);
    fprintf(json->file, special ? "\"%s\"" : "%s", digits);
}

void qn_json_out_f64(struct qn_json_out *json, const char *key, double value)
{
    char buffer[QN_JSON_OUT_NUMBER_SIZE];
    write_number(json, key, qn_json_out_format_f64(value, buffer), special_name(value));
}

void qn_json_out_f32(struct qn_json_out *json, const char *key, float value)
{
    char buffer[QN_JSON_OUT_NUMBER_SIZE];
    write_number(json, key, qn_json_out_format_f32(value, buffer), special_name((double)value));
}

void qn_json_out_bool(struct qn_json_out *json, const char *key, bool value)
{
    begin_value(json, key);
    fputs(value ? "true" : "false", json->file);
}

void qn_json_out_null(struct qn_json_out *json, const char *key)
{
    begin_value(json, key);
    fputs("null", json->file);
}
