/* Numbers as text and back, as Cast writes and reads them: floats in the shortest form that gives the same number,
 * fixed from 1e-4 up to 1e16, scientific beyond ("1.0", "1e-05", "nan", "-inf"); reading takes any case of nan
 * and inf, a sign, and white space around. Independent of the locale. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "host/host_call.h"
#include "ir/ir.h"
#include "quant/quant.h"

enum { NUMBER_ROOM = 48 };

/* Values of dtypes that kernels/element.h does not know go through the dtype's own conversion. */
static double read_float(const void *element, qn_dtype dtype)
{
    double value;
    float narrow;
    if (qn_element_bytes(dtype)) {
        qn_load_f64(&value, element, 0, dtype, 1);
        return value;
    }
    qn_quant(dtype)->dequantise(element, &narrow, 1);
    return narrow;
}

static bool write_float(void *element, qn_dtype dtype, double value)
{
    if (qn_element_bytes(dtype)) {
        qn_store_f64(element, 0, dtype, &value, 1);
        return true;
    }
    if (!qn_quant(dtype)->quantise)
        return false;
    float narrow = (float)value;
    qn_quant(dtype)->quantise(&narrow, element, 1, NULL);
    return true;
}

/* The fewest digits that round to the same element: digits without point, and the decimal exponent of the first. */
static int shortest(double value, const void *element, qn_dtype dtype, char *digits, int *exponent)
{
    uint8_t again[16];
    size_t unit = qn_host_unit(dtype);
    int most = dtype == QN_DTYPE_F64 ? 17 : 9;
    for (int count = 1;; count++) {
        char text[NUMBER_ROOM];
        snprintf(text, sizeof text, "%.*e", count - 1, value < 0 ? -value : value);
        int at = 0;
        const char *s = text;
        for (; *s && *s != 'e'; s++)
            if (*s >= '0' && *s <= '9')
                digits[at++] = *s;
        *exponent = atoi(s + 1);
        /* read back without a decimal point, which the locale could change */
        char plain[NUMBER_ROOM + 16];
        snprintf(plain, sizeof plain, "%s%.*se%d", value < 0 ? "-" : "", at, digits, *exponent - at + 1);
        if (count >= most || (write_float(again, dtype, strtod(plain, NULL)) && memcmp(again, element, unit) == 0)) {
            while (at > 1 && digits[at - 1] == '0')
                at--;
            return at;
        }
    }
}

static int print_float(char *out, const void *element, qn_dtype dtype)
{
    double value = read_float(element, dtype);
    char digits[NUMBER_ROOM];
    int exponent;
    if (value != value)
        return snprintf(out, NUMBER_ROOM, "nan");
    const char *sign = __builtin_signbit(value) ? "-" : "";
    if (value == __builtin_inf() || value == -__builtin_inf())
        return snprintf(out, NUMBER_ROOM, "%sinf", sign);
    if (value == 0)
        return snprintf(out, NUMBER_ROOM, "%s0.0", sign);
    int count = shortest(value, element, dtype, digits, &exponent);
    if (exponent < -4 || exponent >= 16) {
        if (count == 1)
            return snprintf(out, NUMBER_ROOM, "%s%ce%s%02d", sign, digits[0], exponent < 0 ? "-" : "+", abs(exponent));
        return snprintf(out, NUMBER_ROOM, "%s%c.%.*se%s%02d", sign, digits[0], count - 1, digits + 1,
                        exponent < 0 ? "-" : "+", abs(exponent));
    }
    if (exponent < 0)
        return snprintf(out, NUMBER_ROOM, "%s0.%.*s%.*s", sign, -exponent - 1, "0000", count, digits);
    if (count <= exponent + 1)
        return snprintf(out, NUMBER_ROOM, "%s%.*s%.*s.0", sign, count, digits, exponent + 1 - count,
                        "0000000000000000");
    return snprintf(out, NUMBER_ROOM, "%s%.*s.%.*s", sign, exponent + 1, digits, count - exponent - 1,
                    digits + exponent + 1);
}

static int64_t read_integer(const void *element, qn_dtype dtype)
{
    int64_t value;
    if (dtype == QN_DTYPE_I4 || dtype == QN_DTYPE_I2)
        return *(const int8_t *)element;
    if (dtype == QN_DTYPE_U4 || dtype == QN_DTYPE_U2)
        return *(const uint8_t *)element;
    qn_load_i64(&value, element, 0, dtype, 1);
    return value;
}

static int print_element(char *out, const void *element, qn_dtype dtype)
{
    switch (qn_dtype_info(dtype)->class_) {
    case QN_DTYPE_CLASS_FLOAT:
        return print_float(out, element, dtype);
    case QN_DTYPE_CLASS_BOOL:
        return snprintf(out, NUMBER_ROOM, "%s", *(const uint8_t *)element ? "True" : "False");
    case QN_DTYPE_CLASS_UINT:
        return snprintf(out, NUMBER_ROOM, "%" PRIu64, (uint64_t)read_integer(element, dtype));
    default:
        return snprintf(out, NUMBER_ROOM, "%" PRId64, read_integer(element, dtype));
    }
}

qn_status qn_host_to_string(const struct qn_host_call *c)
{
    struct qn_view x;
    QN_TRY(qn_host_tensor(c, 0, &x));
    if (x.dtype == QN_DTYPE_STRING)
        return qn_host_hold(c, 0, &c->out[0]);
    QN_TRY(qn_object_tensor(c->store, QN_DTYPE_STRING, x.rank, x.dims, &c->out[0]));
    struct qn_string *out = c->out[0]->tensor.data;
    size_t unit = qn_host_unit(x.dtype);
    for (int64_t i = 0, n = qn_view_elems(&x); i < n; i++) {
        QN_TRY(qn_host_go_on(c));
        char text[NUMBER_ROOM + 16];
        int size = print_element(text, (const char *)x.data + (size_t)i * unit, x.dtype);
        char *memory = qn_store_text(c->store, (size_t)size);
        if (!memory)
            return QN_OOM();
        memcpy(memory, text, (size_t)size);
        out[i] = (struct qn_string){memory, (size_t)size};
    }
    return NULL;
}

/* ---- reading -------------------------------------------------------------------------------------------------- */

static bool parse_bool(const char *text, bool *out)
{
    static const char *const names[] = {"false", "true", "0", "1"};
    for (int i = 0; i < 4; i++) {
        const char *a = text, *b = names[i];
        while (*b && (*a | 0x20) == (*b | 0x20)) {
            a++;
            b++;
        }
        *out = i & 1;
        if (!*a && !*b)
            return true;
    }
    return false;
}

static bool fits(int64_t value, bool big, qn_dtype dtype)
{
    int bits = dtype == QN_DTYPE_I2 || dtype == QN_DTYPE_U2   ? 2
               : dtype == QN_DTYPE_I4 || dtype == QN_DTYPE_U4 ? 4
                                                              : (int)qn_host_unit(dtype) * 8;
    if (qn_dtype_info(dtype)->class_ == QN_DTYPE_CLASS_UINT)
        return bits == 64 ? big || value >= 0 : !big && value >= 0 && value < (int64_t)1 << bits;
    return !big && (bits == 64 || (value >= -((int64_t)1 << (bits - 1)) && value < (int64_t)1 << (bits - 1)));
}

static void write_integer(void *element, qn_dtype dtype, int64_t value)
{
    if (qn_element_bytes(dtype))
        qn_store_i64(element, 0, dtype, &value, 1);
    else
        *(int8_t *)element = (int8_t)value;
}

static bool is_word(const char *text, const char *word)
{
    while (*word && (*text | 0x20) == *word) {
        text++;
        word++;
    }
    return !*word && !*text;
}

/* The number without a decimal point (which the locale could change): "12.5e3" is read as "125e2". */
static bool parse_double(const char *text, bool single, double *out)
{
    char plain[NUMBER_ROOM + 128];
    size_t at = 0, digits = 0;
    int64_t scale = 0;
    bool negative = *text == '-', point = false;
    text += *text == '-' || *text == '+';
    if (is_word(text, "nan") || is_word(text, "inf") || is_word(text, "infinity")) {
        *out = (*text | 0x20) == 'n' ? __builtin_nan("") : __builtin_inf();
        *out = negative ? -*out : *out;
        return true;
    }
    for (; (*text >= '0' && *text <= '9') || (*text == '.' && !point); text++) {
        point |= *text == '.';
        if (*text == '.')
            continue;
        digits++;
        scale -= point;
        if (at < 100) /* far more than decide about rounding */
            plain[at++] = *text;
        else
            scale++;
    }
    if (!digits)
        return false;
    if ((*text | 0x20) == 'e') {
        char *end;
        text++;
        if (*text != '-' && *text != '+' && !(*text >= '0' && *text <= '9'))
            return false;
        long exponent = strtol(text, &end, 10);
        exponent = exponent > 100000 ? 100000 : exponent < -100000 ? -100000 : exponent;
        if (end == text)
            return false;
        scale += exponent;
        text = end;
    }
    if (*text)
        return false;
    snprintf(plain + at, sizeof plain - at, "e%" PRId64, scale);
    *out = single ? (double)strtof(plain, NULL) : strtod(plain, NULL);
    *out = negative ? -*out : *out;
    return true;
}

/* `text` is terminated and has no white space around it. A whole number may be written as a float. */
static bool parse_element(void *element, qn_dtype dtype, const char *text)
{
    char *end;
    enum qn_dtype_class class_ = qn_dtype_info(dtype)->class_;
    if (!*text)
        return false;
    if (class_ == QN_DTYPE_CLASS_BOOL) {
        bool value;
        bool ok = parse_bool(text, &value);
        *(uint8_t *)element = value;
        return ok;
    }
    if (class_ == QN_DTYPE_CLASS_FLOAT) {
        double value;
        return parse_double(text, dtype == QN_DTYPE_F32, &value) && write_float(element, dtype, value);
    }
    errno = 0;
    bool big = false;
    int64_t value = strtoll(text, &end, 10);
    if (errno == ERANGE && *text != '-') {
        errno = 0;
        value = (int64_t)strtoull(text, &end, 10);
        big = true;
    }
    if (*end) {
        double number;
        if (!parse_double(text, false, &number) || !(number >= -0x1p63 && number < 0x1p63))
            return false;
        errno = 0;
        big = false;
        value = (int64_t)number;
    }
    if (errno || !fits(value, big, dtype))
        return false;
    write_integer(element, dtype, value);
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static qn_status parse_all(const struct qn_host_call *c, const struct qn_view *x, qn_dtype dtype)
{
    size_t unit = qn_host_unit(dtype);
    for (int64_t i = 0, n = qn_view_elems(x); i < n; i++) {
        const struct qn_string *text = (const struct qn_string *)x->data + i;
        QN_TRY(qn_host_go_on(c));
        char word[128];
        size_t start = 0, size = text->size;
        while (start < size && is_blank(text->data[start]))
            start++;
        while (size > start && is_blank(text->data[size - 1]))
            size--;
        size -= start;
        bool ok = size < sizeof word;
        if (ok && size)
            memcpy(word, text->data + start, size);
        word[ok ? size : 0] = 0;
        if (!ok || strlen(word) != size ||
            !parse_element((char *)c->out[0]->tensor.data + (size_t)i * unit, dtype, word))
            return QN_ERROR(QN_INVALID_ARGUMENT, "string %" PRId64 ", '%.*s', is no %s", i,
                            (int)(text->size > 80 ? 80 : text->size), text->data ? text->data : "",
                            qn_dtype_name(dtype));
    }
    return NULL;
}

qn_status qn_host_from_string(const struct qn_host_call *c)
{
    qn_dtype dtype = (qn_dtype)((const struct qn_attr_cast *)c->attr)->dtype;
    struct qn_view x;
    QN_TRY(qn_host_tensor(c, 0, &x));
    if (x.dtype != QN_DTYPE_STRING)
        return QN_ERROR(QN_INVALID_ARGUMENT, "input 0 is %s, not string", qn_dtype_name(x.dtype));
    QN_TRY(qn_object_tensor(c->store, dtype, x.rank, x.dims, &c->out[0]));
    return parse_all(c, &x, dtype);
}
