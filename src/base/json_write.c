#include <assert.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/utf8.h"

static void new_line(struct qn_json_writer *writer)
{
    if (!writer->indent)
        return;
    qn_strbuf_append(writer->out, "\n", 1);
    for (uint32_t i = 0; i < writer->indent * writer->depth; i++)
        qn_strbuf_append(writer->out, " ", 1);
}

/* What stands between the value before and this one. */
static void separate(struct qn_json_writer *writer)
{
    if (writer->after_key) {
        writer->after_key = false;
        return;
    }
    if (writer->comma)
        qn_strbuf_append(writer->out, ",", 1);
    if (writer->depth)
        new_line(writer);
}

static void plain(struct qn_json_writer *writer, const char *text)
{
    separate(writer);
    qn_strbuf_add(writer->out, text);
    writer->comma = true;
}

static void begin(struct qn_json_writer *writer, const char *bracket)
{
    plain(writer, bracket);
    writer->depth++;
    writer->comma = false;
}

static void end(struct qn_json_writer *writer, const char *bracket)
{
    assert(writer->depth > 0 && !writer->after_key);
    writer->depth--;
    if (writer->comma) /* not an empty one */
        new_line(writer);
    qn_strbuf_add(writer->out, bracket);
    writer->comma = true;
}

void qn_json_begin_object(struct qn_json_writer *writer)
{
    begin(writer, "{");
}

void qn_json_end_object(struct qn_json_writer *writer)
{
    end(writer, "}");
}

void qn_json_begin_array(struct qn_json_writer *writer)
{
    begin(writer, "[");
}

void qn_json_end_array(struct qn_json_writer *writer)
{
    end(writer, "]");
}

static void escape(struct qn_strbuf *out, uint8_t c)
{
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    const char *known = c ? strchr(from, c) : NULL;
    if (known) {
        qn_strbuf_append(out, "\\", 1);
        qn_strbuf_append(out, &to[known - from], 1);
    } else {
        qn_strbuf_printf(out, "\\u%04x", c);
    }
}

void qn_json_write_str(struct qn_json_writer *writer, struct qn_str text)
{
    plain(writer, "\"");
    size_t start = 0, at = 0;
    while (at < text.size) {
        uint8_t c = (uint8_t)text.data[at];
        uint32_t codepoint;
        size_t length = qn_utf8_decode(text.data + at, text.size - at, &codepoint);
        if (length && c >= 0x20 && c != '"' && c != '\\' && c != 0x7f) {
            at += length;
            continue;
        }
        qn_strbuf_append(writer->out, text.data + start, at - start);
        if (length)
            escape(writer->out, c);
        else
            qn_strbuf_add(writer->out, "\xef\xbf\xbd");
        start = ++at;
    }
    if (at > start)
        qn_strbuf_append(writer->out, text.data + start, at - start);
    qn_strbuf_append(writer->out, "\"", 1);
}

void qn_json_write_text(struct qn_json_writer *writer, const char *text)
{
    if (text)
        qn_json_write_str(writer, qn_str_from(text));
    else
        plain(writer, "null");
}

void qn_json_write_int(struct qn_json_writer *writer, int64_t value)
{
    char digits[32];
    snprintf(digits, sizeof digits, "%lld", (long long)value);
    plain(writer, digits);
}

void qn_json_write_uint(struct qn_json_writer *writer, uint64_t value)
{
    char digits[32];
    snprintf(digits, sizeof digits, "%llu", (unsigned long long)value);
    plain(writer, digits);
}

void qn_json_write_double(struct qn_json_writer *writer, double value)
{
    if (!isfinite(value)) {
        plain(writer, "null");
        return;
    }
    char digits[40];
    for (int precision = 15; precision <= 17; precision++) { /* in the user's locale both ways, which cancels out */
        snprintf(digits, sizeof digits, "%.*g", precision, value);
        if (strtod(digits, NULL) == value)
            break;
    }
    char point = *localeconv()->decimal_point, *at = point == '.' ? NULL : strchr(digits, point);
    if (at)
        *at = '.';
    plain(writer, digits);
}

void qn_json_write_bool(struct qn_json_writer *writer, bool value)
{
    plain(writer, value ? "true" : "false");
}

void qn_json_write_null(struct qn_json_writer *writer)
{
    plain(writer, "null");
}

void qn_json_write_base64(struct qn_json_writer *writer, const void *data, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *from = data;
    plain(writer, "\"");
    for (size_t i = 0; i < size; i += 3) {
        size_t left = size - i;
        uint32_t bits = (uint32_t)from[i] << 16 | (left > 1 ? (uint32_t)from[i + 1] << 8 : 0) |
                        (left > 2 ? (uint32_t)from[i + 2] : 0);
        char four[4];
        for (uint32_t k = 0; k < 4; k++)
            four[k] = k <= left ? digits[bits >> (18 - 6 * k) & 63] : '=';
        qn_strbuf_append(writer->out, four, 4);
    }
    qn_strbuf_add(writer->out, "\"");
}

void qn_json_write_json(struct qn_json_writer *writer, struct qn_str json)
{
    plain(writer, "");
    qn_strbuf_append(writer->out, json.data, json.size);
}

void qn_json_key_str(struct qn_json_writer *writer, struct qn_str key)
{
    qn_json_write_str(writer, key);
    qn_strbuf_add(writer->out, writer->indent ? ": " : ":");
    writer->comma = false;
    writer->after_key = true;
}

void qn_json_key(struct qn_json_writer *writer, const char *key)
{
    qn_json_key_str(writer, qn_str_from(key));
}
