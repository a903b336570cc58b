/* Writes strictly valid JSON to a stream, indented by two spaces; arrays of plain values stay on one line.
 *
 *     struct qn_json_out json;
 *     qn_json_out_begin(&json, stdout);
 *     qn_json_out_object(&json, NULL);
 *     qn_json_out_u64(&json, "tokens", 12);
 *     qn_json_out_end(&json);
 *     qn_json_out_finish(&json);
 *
 * `key` names a member of the object around; NULL for an element of an array and for the outermost value.
 */
#ifndef QN_CLI_JSON_OUT_H
#define QN_CLI_JSON_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { QN_JSON_OUT_DEPTH_MAX = 32, QN_JSON_OUT_NUMBER_SIZE = 40 };

struct qn_json_out {
    FILE *file;
    uint32_t depth;
    bool is_array[QN_JSON_OUT_DEPTH_MAX], inline_[QN_JSON_OUT_DEPTH_MAX], used[QN_JSON_OUT_DEPTH_MAX];
};

void qn_json_out_begin(struct qn_json_out *json, FILE *file);
void qn_json_out_finish(struct qn_json_out *json); /* ends the line */

void qn_json_out_object(struct qn_json_out *json, const char *key);
void qn_json_out_array(struct qn_json_out *json, const char *key);
void qn_json_out_array_inline(struct qn_json_out *json, const char *key); /* all elements on one line */
void qn_json_out_end(struct qn_json_out *json);

/* Bytes that are not UTF-8 become U+FFFD. */
void qn_json_out_text(struct qn_json_out *json, const char *key, const char *data, size_t size);
void qn_json_out_string(struct qn_json_out *json, const char *key, const char *text); /* NULL is written as null */
void qn_json_out_u64(struct qn_json_out *json, const char *key, uint64_t value);
void qn_json_out_i64(struct qn_json_out *json, const char *key, int64_t value);
/* The shortest digits that give the same double (or float) back; "NaN", "Infinity" and "-Infinity" as strings. */
void qn_json_out_f64(struct qn_json_out *json, const char *key, double value);
void qn_json_out_f32(struct qn_json_out *json, const char *key, float value);
void qn_json_out_bool(struct qn_json_out *json, const char *key, bool value);
void qn_json_out_null(struct qn_json_out *json, const char *key);

/* The same digits for other uses ("NaN", "Infinity" and "-Infinity" among them), written to buffer and returned. */
const char *qn_json_out_format_f64(double value, char buffer[QN_JSON_OUT_NUMBER_SIZE]);
const char *qn_json_out_format_f32(float value, char buffer[QN_JSON_OUT_NUMBER_SIZE]);

#endif
