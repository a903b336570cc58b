#include "format/onnx/signature.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_ATTRS = 64 };

static const struct qn_onnx_signature signatures[] = {
#define QN_SIGNATURE(domain, name, since, inputs, outputs, attrs, types) \
    {domain, name, since, inputs, outputs, attrs, types},
#include "format/onnx/signature.def"
#undef QN_SIGNATURE
    {NULL, NULL, 0, NULL, NULL, NULL, NULL},
};

const struct qn_onnx_signature *qn_onnx_find_signature(struct qn_str domain, struct qn_str name, uint32_t version)
{
    const struct qn_onnx_signature *best = NULL;
    for (const struct qn_onnx_signature *s = signatures; s->name; s++)
        if ((!best || s->since <= version) && qn_str_is(name, s->name) && qn_str_is(domain, s->domain))
            best = s; /* rows of an op stand in the order of versions */
    return best;
}

/* The next word of a list; false at its end. */
static bool next_word(const char **at, struct qn_str *word)
{
    while (**at == ' ')
        (*at)++;
    size_t size = strcspn(*at, " ");
    *word = (struct qn_str){*at, size};
    *at += size;
    return size > 0;
}

struct range {
    uint32_t least, most;
};

/* How many entries a list has; the last that must be there decides how many are needed. */
static struct range count_of(const char *list)
{
    struct range range = {0, 0};
    struct qn_str word;
    while (next_word(&list, &word)) {
        char mark = word.data[word.size - 1];
        range.most = mark == '*' || mark == '+' ? UINT32_MAX : range.most + 1;
        if (mark != '*' && mark != '?')
            range.least = range.most == UINT32_MAX ? range.least + 1 : range.most;
    }
    return range;
}

static uint32_t words_of(const char *list)
{
    uint32_t count = 0;
    struct qn_str word;
    while (next_word(&list, &word))
        count++;
    return count;
}

static qn_status check_count(const struct qn_onnx_signature *s, const char *list, uint32_t given, const char *what)
{
    struct range range = count_of(list);
    if (given >= range.least && given <= range.most)
        return NULL;
    if (range.most == UINT32_MAX)
        return QN_ERROR(QN_INVALID_FILE, "has %" PRIu32 " %s, %s has at least %" PRIu32 " (%s)", given, what, s->name,
                        range.least, list);
    if (range.least == range.most)
        return QN_ERROR(QN_INVALID_FILE, "has %" PRIu32 " %s, %s has %" PRIu32 " (%s)", given, what, s->name,
                        range.most, list);
    return QN_ERROR(QN_INVALID_FILE, "has %" PRIu32 " %s, %s has %" PRIu32 " to %" PRIu32 " (%s)", given, what, s->name,
                    range.least, range.most, list);
}

static qn_status check_inputs(const struct qn_onnx_signature *s, const struct qn_onnx_node *node)
{
    const char *at = s->inputs;
    struct qn_str word = {0};
    char mark = 0;
    QN_TRY(check_count(s, s->inputs, node->input_count, "inputs"));
    for (uint32_t i = 0; i < node->input_count; i++) {
        if (mark != '*' && mark != '+' && next_word(&at, &word))
            mark = word.data[word.size - 1];
        if (mark != '?' && !node->inputs[i].size)
            return QN_ERROR(QN_INVALID_FILE, "has no input %" PRIu32 " (%.*s), which %s needs", i, QN_STR_ARG(word),
                            s->name);
    }
    return NULL;
}

static const char *kind_name(char letter)
{
    static const char *const names[][2] = {{"f", "a float"},
                                           {"i", "an integer"},
                                           {"s", "a string"},
                                           {"t", "a tensor"},
                                           {"g", "a graph"},
                                           {"p", "a sparse tensor"},
                                           {"y", "a type"},
                                           {"F", "a list of floats"},
                                           {"I", "a list of integers"},
                                           {"S", "a list of strings"},
                                           {"T", "a list of tensors"},
                                           {"G", "a list of graphs"},
                                           {"P", "a list of sparse tensors"},
                                           {"Y", "a list of types"}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (names[i][0][0] == letter)
            return names[i][1];
    return "nothing";
}

static char letter_of(enum qn_onnx_attr_kind kind)
{
    static const char letters[] = "-fistgFISTGpPyY"; /* by AttributeProto.AttributeType */
    return (unsigned)kind < sizeof letters - 1 ? letters[kind] : '-';
}

/* The words of the list of attributes: name=kind, perhaps with '!'. */
struct declared {
    struct qn_str name;
    char kind;
    bool needed, found;
};

static uint32_t declared_attrs(const char *list, struct declared *out)
{
    uint32_t count = 0;
    struct qn_str word;
    for (; count < MAX_ATTRS && next_word(&list, &word); count++) {
        bool needed = word.data[word.size - 1] == '!';
        word.size -= needed;
        out[count] = (struct declared){{word.data, word.size - 2}, word.data[word.size - 1], needed, false};
    }
    return count;
}

static qn_status check_attrs(const struct qn_onnx_signature *s, const struct qn_onnx_frame *frame,
                             const struct qn_onnx_node *node)
{
    struct declared declared[MAX_ATTRS];
    uint32_t count = declared_attrs(s->attrs, declared);
    for (uint32_t i = 0; i < node->attr_count; i++) {
        struct qn_str name = node->attrs[i].name;
        struct declared *d = declared;
        while (d < declared + count && !qn_str_eq(d->name, name))
            d++;
        if (d == declared + count)
            return QN_ERROR(QN_INVALID_FILE, "has an attribute '%.*s', which %s does not have (%s)", QN_STR_ARG(name),
                            s->name, count ? s->attrs : "it has none");
        if (d->found)
            return QN_ERROR(QN_INVALID_FILE, "has the attribute '%.*s' twice", QN_STR_ARG(name));
        const struct qn_onnx_attr *attr = qn_onnx_find_attr_named(frame, node, name);
        d->found = true;
        if (!attr) /* refers to one that the function's caller leaves out */
            d->found = false;
        else if (letter_of(attr->kind) != d->kind)
            return QN_ERROR(QN_INVALID_FILE, "attribute '%.*s': expected %s, found %s", QN_STR_ARG(name),
                            kind_name(d->kind), kind_name(letter_of(attr->kind)));
    }
    for (uint32_t i = 0; i < count; i++)
        if (declared[i].needed && !declared[i].found)
            return QN_ERROR(QN_INVALID_FILE, "has no attribute '%.*s' (%s), which %s needs",
                            QN_STR_ARG(declared[i].name), kind_name(declared[i].kind), s->name);
    return NULL;
}

qn_status qn_onnx_check_signature(const struct qn_onnx_signature *signature, const struct qn_onnx_frame *frame,
                                  const struct qn_onnx_node *node)
{
    QN_TRY(check_inputs(signature, node));
    QN_TRY(check_count(signature, signature->outputs, node->output_count, "outputs"));
    return check_attrs(signature, frame, node);
}

/* ---- types ---------------------------------------------------------------------------------------------------- */

enum { SEQUENCES = 60, MAPS = 61, OPTIONALS = 62 };

static bool in_set(uint64_t set, const struct qn_onnx_type *type)
{
    static const uint8_t kinds[] = {
        [QN_ONNX_SEQUENCE] = SEQUENCES, [QN_ONNX_OPTIONAL] = OPTIONALS, [QN_ONNX_MAP] = MAPS};
    if (set >> OPTIONALS & 1) /* what an optional holds is as good */
        return true;
    return set >> (type->kind == QN_ONNX_TENSOR ? qn_onnx_data_type(type->dtype) : kinds[type->kind]) & 1;
}

static void write_set(uint64_t set, char *out, size_t size)
{
    size_t used = 0;
    *out = 0;
    for (int i = 1; i < 64 && used < size; i++) {
        const char *name = i == SEQUENCES     ? "sequence"
                           : i == MAPS        ? "map"
                           : i == OPTIONALS   ? "optional"
                           : qn_onnx_dtype(i) ? qn_dtype_name(qn_onnx_dtype(i))
                                              : NULL;
        if (name && set >> i & 1)
            used += (size_t)snprintf(out + used, size - used, "%s%s", used ? ", " : "", name);
    }
}

static const char *type_name(const struct qn_onnx_type *type)
{
    static const char *const kinds[] = {
        [QN_ONNX_SEQUENCE] = "a sequence", [QN_ONNX_OPTIONAL] = "an optional", [QN_ONNX_MAP] = "a map"};
    return type->kind == QN_ONNX_TENSOR ? qn_dtype_name(type->dtype) : kinds[type->kind];
}

/* Input number i as the list calls it; the last name stands for all that follow. */
static struct qn_str input_name(const struct qn_onnx_signature *s, uint32_t i)
{
    const char *at = s->inputs;
    struct qn_str word = {0}, next;
    for (uint32_t k = 0; k <= i && next_word(&at, &next); k++)
        word = next;
    if (word.size && strchr("?*+", word.data[word.size - 1]))
        word.size--;
    return word;
}

/* One set of types and the inputs that it is for. */
struct constraint {
    uint64_t set;
    bool same;
    uint32_t first; /* input that the others are compared with, plus 1 */
};

static qn_status check_type(const struct qn_onnx_signature *s, const struct qn_onnx_type *types, uint32_t i,
                            struct constraint *c)
{
    const struct qn_onnx_type *type = &types[i];
    struct qn_str name = input_name(s, i);
    char known[256];
    if (type->dtype == QN_DTYPE_NONE)
        return NULL;
    if (!in_set(c->set, type)) {
        write_set(c->set, known, sizeof known);
        return QN_ERROR(QN_INVALID_FILE, "input %" PRIu32 " (%.*s) is %s, %s takes %s there", i, QN_STR_ARG(name),
                        type_name(type), s->name, known);
    }
    if (!c->same || type->kind != QN_ONNX_TENSOR)
        return NULL;
    if (c->first && types[c->first - 1].dtype != type->dtype)
        return QN_ERROR(QN_INVALID_FILE,
                        "input %" PRIu32 " (%.*s) is %s and input %" PRIu32 " (%.*s) is %s: %s wants one type",
                        c->first - 1, QN_STR_ARG(input_name(s, c->first - 1)), type_name(&types[c->first - 1]), i,
                        QN_STR_ARG(name), type_name(type), s->name);
    if (!c->first)
        c->first = i + 1;
    return NULL;
}

qn_dtype qn_onnx_output_dtype(const struct qn_onnx_signature *signature, const struct qn_onnx_type *types,
                              uint32_t count, uint32_t i)
{
    const char *list = signature->types;
    struct qn_str word;
    while (next_word(&list, &word)) {
        char *end = strchr(word.data, '@');
        qn_dtype dtype = QN_DTYPE_NONE;
        bool tensors = true;
        while (end && (*end == '@' || *end == ',')) {
            uint32_t k = (uint32_t)strtoul(end + 1, &end, 10);
            tensors &= k >= count || types[k].kind == QN_ONNX_TENSOR;
            if (k < count && types[k].dtype != QN_DTYPE_NONE)
                dtype = types[k].dtype;
        }
        for (bool first = true; end && tensors && *end == (first ? '>' : ','); first = false)
            if (strtoul(end + 1, &end, 10) == i)
                return dtype;
    }
    return QN_DTYPE_NONE;
}

qn_status qn_onnx_check_types(const struct qn_onnx_signature *signature, const struct qn_onnx_type *types,
                              uint32_t count)
{
    const char *list = signature->types;
    uint32_t last = count_of(signature->inputs).most == UINT32_MAX ? words_of(signature->inputs) - 1 : UINT32_MAX;
    struct qn_str word;
    while (next_word(&list, &word)) {
        char *end;
        struct constraint c = {.set = strtoull(word.data, &end, 16), .same = word.data[word.size - 1] != '~'};
        while (*end == '@' || *end == ',') {
            uint32_t i = (uint32_t)strtoul(end + 1, &end, 10);
            for (uint32_t k = i; k < count && (k == i || i == last); k++)
                QN_TRY(check_type(signature, types, k, &c));
        }
    }
    return NULL;
}
