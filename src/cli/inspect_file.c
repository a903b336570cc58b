#include "cli/inspect_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/inspect_ports.h"
#include "cli/json_out.h"
#include "cli/terminal.h"

enum {
    KEY_COLUMNS = 48,    /* widest column of names; a longer one breaks out of the table */
    VALUE_COLUMNS = 72,  /* a value is shortened to this, in characters, without --all */
    SHOWN_ELEMENTS = 12, /* and an array to this many elements */
    TYPE_COLUMNS = 16,
};

struct inspection {
    const struct qn_model *model;
    FILE *out;
    struct qn_model_info info;
    bool full; /* --all: nothing is shortened */
};

struct type_total {
    uint64_t tensors, elements, bytes;
};

/* ---- helpers -------------------------------------------------------------------------------------------------- */

/* Spaces up to `width`, at least two. */
static void pad(const struct inspection *in, size_t columns, size_t width)
{
    fprintf(in->out, "%*s", (int)(columns + 2 <= width ? width - columns : 2), "");
}

static qn_status sum_types(const struct inspection *in, struct type_total totals[QN_DTYPE_LIMIT])
{
    memset(totals, 0, QN_DTYPE_LIMIT * sizeof *totals);
    for (uint32_t i = 0; i < in->info.tensor_count; i++) {
        struct qn_model_tensor tensor = {.struct_size = sizeof tensor};
        QN_COMMAND_TRY(qn_model_tensor(in->model, i, &tensor));
        totals[tensor.dtype].tensors++;
        totals[tensor.dtype].elements += tensor.elements;
        totals[tensor.dtype].bytes += tensor.bytes;
    }
    return NULL;
}

/* ---- overview ------------------------------------------------------------------------------------------------- */

static void print_text_line(const struct inspection *in, const char *label, struct qn_model_text text)
{
    if (!text.data)
        return;
    fprintf(in->out, "%-16s", label);
    qn_terminal_text(in->out, text.data, text.size, VALUE_COLUMNS);
    fputc('\n', in->out);
}

static void print_type_totals(const struct inspection *in, const struct type_total totals[QN_DTYPE_LIMIT])
{
    char elements[QN_TERMINAL_NUMBER_SIZE], bytes[QN_TERMINAL_NUMBER_SIZE];
    const char *label = "types";
    for (int dtype = 0; dtype < QN_DTYPE_LIMIT; dtype++) {
        const struct type_total *total = &totals[dtype];
        if (!total->tensors)
            continue;
        fprintf(in->out, "%-16s%-8s %6" PRIu64 " tensor%s %9s parameters %10s\n", label, qn_dtype_name((qn_dtype)dtype),
                total->tensors, total->tensors == 1 ? " " : "s", qn_terminal_count(total->elements, elements),
                qn_terminal_bytes(total->bytes, bytes));
        label = "";
    }
}

static qn_status print_overview(const struct inspection *in)
{
    char number[QN_TERMINAL_NUMBER_SIZE];
    const struct qn_model_info *info = &in->info;
    struct type_total totals[QN_DTYPE_LIMIT];
    for (uint32_t i = 0; i < info->file_count; i++) {
        struct qn_model_file file = {.struct_size = sizeof file};
        QN_COMMAND_TRY(qn_model_file(in->model, i, &file));
        fprintf(in->out, "%-16s", i == 0 ? "file" : "");
        qn_terminal_text(in->out, file.path, strlen(file.path), 0);
        fprintf(in->out, " (%s)\n", qn_terminal_bytes(file.bytes, number));
    }
    fprintf(in->out, "%-16s%s", "format", info->format);
    if (info->format_version)
        fprintf(in->out, " version %" PRIu32, info->format_version);
    fputc('\n', in->out);
    print_text_line(in, "architecture", info->architecture);
    print_text_line(in, "name", info->name);
    if (info->context_length)
        fprintf(in->out, "%-16s%" PRIu64 " tokens\n", "context length", info->context_length);
    if (info->parameters) {
        fprintf(in->out, "%-16s%s\n", "parameters", qn_terminal_count(info->parameters, number));
        fprintf(in->out, "%-16s%s, %.2f bits a parameter\n", "tensor data",
                qn_terminal_bytes(info->tensor_bytes, number),
                (double)info->tensor_bytes * 8 / (double)info->parameters);
    }
    QN_COMMAND_TRY(sum_types(in, totals));
    print_type_totals(in, totals);
    return NULL;
}

static void json_text(struct qn_json_out *json, const char *key, struct qn_model_text text)
{
    if (text.data)
        qn_json_out_text(json, key, text.data, text.size);
    else
        qn_json_out_null(json, key);
}

static qn_status json_overview(const struct inspection *in, struct qn_json_out *json)
{
    const struct qn_model_info *info = &in->info;
    struct type_total totals[QN_DTYPE_LIMIT];
    qn_json_out_array(json, "files");
    for (uint32_t i = 0; i < info->file_count; i++) {
        struct qn_model_file file = {.struct_size = sizeof file};
        QN_COMMAND_TRY(qn_model_file(in->model, i, &file));
        qn_json_out_object(json, NULL);
        qn_json_out_string(json, "path", file.path);
        qn_json_out_u64(json, "bytes", file.bytes);
        qn_json_out_end(json);
    }
    qn_json_out_end(json);
    qn_json_out_string(json, "format", info->format);
    qn_json_out_u64(json, "format_version", info->format_version);
    json_text(json, "architecture", info->architecture);
    json_text(json, "name", info->name);
    qn_json_out_u64(json, "context_length", info->context_length);
    qn_json_out_u64(json, "parameters", info->parameters);
    qn_json_out_u64(json, "tensor_bytes", info->tensor_bytes);
    qn_json_out_u64(json, "file_bytes", info->file_bytes);
    QN_COMMAND_TRY(sum_types(in, totals));
    qn_json_out_object(json, "types");
    for (int dtype = 0; dtype < QN_DTYPE_LIMIT; dtype++) {
        if (!totals[dtype].tensors)
            continue;
        qn_json_out_object(json, qn_dtype_name((qn_dtype)dtype));
        qn_json_out_u64(json, "tensors", totals[dtype].tensors);
        qn_json_out_u64(json, "parameters", totals[dtype].elements);
        qn_json_out_u64(json, "bytes", totals[dtype].bytes);
        qn_json_out_end(json);
    }
    qn_json_out_end(json);
    return NULL;
}

/* ---- metadata ------------------------------------------------------------------------------------------------- */

/* Returns the columns written. */
static size_t print_item(const struct inspection *in, const struct qn_meta_item *item, bool quoted, size_t max_chars)
{
    char number[QN_JSON_OUT_NUMBER_SIZE];
    switch (item->kind) {
    case QN_META_TEXT:
        if (!quoted)
            return qn_terminal_text(in->out, item->as.text.data, item->as.text.size, max_chars);
        fputc('\'', in->out);
        size_t columns = qn_terminal_text(in->out, item->as.text.data, item->as.text.size, max_chars);
        fputc('\'', in->out);
        return columns + 2;
    case QN_META_BOOL:
        return (size_t)fprintf(in->out, "%s", item->as.b ? "true" : "false");
    case QN_META_INT:
        return (size_t)fprintf(in->out, "%" PRId64, item->as.i);
    case QN_META_UINT:
        return (size_t)fprintf(in->out, "%" PRIu64, item->as.u);
    case QN_META_FLOAT32:
        return (size_t)fprintf(in->out, "%s", qn_json_out_format_f32((float)item->as.f, number));
    case QN_META_FLOAT64:
        return (size_t)fprintf(in->out, "%s", qn_json_out_format_f64(item->as.f, number));
    case QN_META_ARRAY:
        return (size_t)fprintf(in->out, "[...]");
    case QN_META_NONE:
        break;
    }
    return 0;
}

static qn_status print_array(const struct inspection *in, uint32_t index, uint64_t count)
{
    size_t columns = 0;
    fputc('[', in->out);
    for (uint64_t i = 0; i < count; i++) {
        struct qn_meta_item item;
        if (!in->full && (columns >= VALUE_COLUMNS || i == SHOWN_ELEMENTS)) {
            fprintf(in->out, ", ...");
            break;
        }
        QN_COMMAND_TRY(qn_model_meta_item(in->model, index, i, &item));
        if (i)
            columns += (size_t)fprintf(in->out, ", ");
        columns += print_item(in, &item, true, in->full ? 0 : VALUE_COLUMNS / 3);
    }
    fputc(']', in->out);
    return NULL;
}

static qn_status print_meta(const struct inspection *in, uint32_t index, size_t key_columns)
{
    struct qn_model_meta meta = {.struct_size = sizeof meta};
    QN_COMMAND_TRY(qn_model_meta(in->model, index, &meta));
    fprintf(in->out, "  ");
    pad(in, qn_terminal_text(in->out, meta.key, strlen(meta.key), 0), key_columns);
    int type_columns;
    if (meta.kind == QN_META_ARRAY)
        type_columns = fprintf(in->out, "%s[%" PRIu64 "]", meta.type_name, meta.count);
    else
        type_columns = fprintf(in->out, "%s", meta.type_name);
    pad(in, (size_t)type_columns, TYPE_COLUMNS);
    if (meta.kind == QN_META_ARRAY) {
        QN_COMMAND_TRY(print_array(in, index, meta.count));
    } else {
        struct qn_meta_item item;
        QN_COMMAND_TRY(qn_model_meta_item(in->model, index, 0, &item));
        print_item(in, &item, false, in->full ? 0 : VALUE_COLUMNS);
    }
    fputc('\n', in->out);
    return NULL;
}

static qn_status print_metadata(const struct inspection *in)
{
    size_t key_columns = 0;
    for (uint32_t i = 0; i < in->info.meta_count; i++) {
        struct qn_model_meta meta = {.struct_size = sizeof meta};
        QN_COMMAND_TRY(qn_model_meta(in->model, i, &meta));
        size_t columns = strlen(meta.key) + 2;
        if (columns > key_columns && columns <= KEY_COLUMNS)
            key_columns = columns;
    }
    fprintf(in->out, "metadata (%" PRIu32 ")\n", in->info.meta_count);
    for (uint32_t i = 0; i < in->info.meta_count; i++)
        QN_COMMAND_TRY(print_meta(in, i, key_columns));
    return NULL;
}

static void json_item(struct qn_json_out *json, const char *key, const struct qn_meta_item *item)
{
    switch (item->kind) {
    case QN_META_TEXT:
        qn_json_out_text(json, key, item->as.text.data, item->as.text.size);
        return;
    case QN_META_BOOL:
        qn_json_out_bool(json, key, item->as.b);
        return;
    case QN_META_INT:
        qn_json_out_i64(json, key, item->as.i);
        return;
    case QN_META_UINT:
        qn_json_out_u64(json, key, item->as.u);
        return;
    case QN_META_FLOAT32:
        qn_json_out_f32(json, key, (float)item->as.f);
        return;
    case QN_META_FLOAT64:
        qn_json_out_f64(json, key, item->as.f);
        return;
    case QN_META_ARRAY:
    case QN_META_NONE:
        break;
    }
    qn_json_out_null(json, key);
}

static qn_status json_meta(const struct inspection *in, struct qn_json_out *json, uint32_t index)
{
    struct qn_model_meta meta = {.struct_size = sizeof meta};
    struct qn_meta_item item;
    QN_COMMAND_TRY(qn_model_meta(in->model, index, &meta));
    qn_json_out_object(json, meta.key);
    if (meta.kind != QN_META_ARRAY) {
        QN_COMMAND_TRY(qn_model_meta_item(in->model, index, 0, &item));
        qn_json_out_string(json, "type", meta.type_name);
        json_item(json, "value", &item);
    } else {
        qn_json_out_string(json, "type", "array");
        qn_json_out_string(json, "element_type", meta.type_name);
        qn_json_out_u64(json, "count", meta.count);
        qn_json_out_array_inline(json, "value");
        for (uint64_t i = 0; i < meta.count; i++) {
            QN_COMMAND_TRY(qn_model_meta_item(in->model, index, i, &item));
            json_item(json, NULL, &item);
        }
        qn_json_out_end(json);
    }
    qn_json_out_end(json);
    return NULL;
}

static qn_status json_metadata(const struct inspection *in, struct qn_json_out *json)
{
    qn_json_out_object(json, "metadata");
    for (uint32_t i = 0; i < in->info.meta_count; i++)
        QN_COMMAND_TRY(json_meta(in, json, i));
    qn_json_out_end(json);
    return NULL;
}

/* ---- tensors -------------------------------------------------------------------------------------------------- */

static const char *format_shape(const struct qn_model_tensor *tensor, char buffer[256])
{
    size_t used = 0;
    for (uint32_t i = 0; i < tensor->rank; i++)
        used += (size_t)snprintf(buffer + used, 256 - used, "%s%" PRIu64, i ? ", " : "[", tensor->dims[i]);
    snprintf(buffer + used, 256 - used, tensor->rank ? "]" : "[]");
    return buffer;
}

static qn_status print_tensor(const struct inspection *in, uint32_t index, size_t name_columns)
{
    char shape[256], bytes[QN_TERMINAL_NUMBER_SIZE];
    struct qn_model_tensor tensor = {.struct_size = sizeof tensor};
    QN_COMMAND_TRY(qn_model_tensor(in->model, index, &tensor));
    fprintf(in->out, "  ");
    pad(in, qn_terminal_text(in->out, tensor.name, strlen(tensor.name), 0), name_columns);
    fprintf(in->out, "%-8s%-22s%12s", qn_dtype_name(tensor.dtype), format_shape(&tensor, shape),
            qn_terminal_bytes(tensor.bytes, bytes));
    if (tensor.offset != UINT64_MAX)
        fprintf(in->out, "  at %12" PRIu64, tensor.offset);
    if (in->info.file_count > 1 && tensor.offset != UINT64_MAX)
        fprintf(in->out, " of file %" PRIu32, tensor.file + 1);
    fputc('\n', in->out);
    return NULL;
}

static qn_status print_tensors(const struct inspection *in)
{
    size_t name_columns = 0;
    for (uint32_t i = 0; i < in->info.tensor_count; i++) {
        struct qn_model_tensor tensor = {.struct_size = sizeof tensor};
        QN_COMMAND_TRY(qn_model_tensor(in->model, i, &tensor));
        size_t columns = strlen(tensor.name) + 2;
        if (columns > name_columns && columns <= KEY_COLUMNS)
            name_columns = columns;
    }
    fprintf(in->out, "tensors (%" PRIu32 ")%s\n", in->info.tensor_count,
            in->info.tensor_count ? ", outermost dimension first" : "");
    for (uint32_t i = 0; i < in->info.tensor_count; i++)
        QN_COMMAND_TRY(print_tensor(in, i, name_columns));
    return NULL;
}

static qn_status json_tensors(const struct inspection *in, struct qn_json_out *json)
{
    qn_json_out_array(json, "tensors");
    for (uint32_t i = 0; i < in->info.tensor_count; i++) {
        struct qn_model_tensor tensor = {.struct_size = sizeof tensor};
        QN_COMMAND_TRY(qn_model_tensor(in->model, i, &tensor));
        qn_json_out_object(json, NULL);
        qn_json_out_string(json, "name", tensor.name);
        qn_json_out_string(json, "type", qn_dtype_name(tensor.dtype));
        qn_json_out_array_inline(json, "shape");
        for (uint32_t d = 0; d < tensor.rank; d++)
            qn_json_out_u64(json, NULL, tensor.dims[d]);
        qn_json_out_end(json);
        qn_json_out_u64(json, "bytes", tensor.bytes);
        qn_json_out_u64(json, "file", tensor.file);
        if (tensor.offset != UINT64_MAX)
            qn_json_out_u64(json, "offset", tensor.offset);
        else
            qn_json_out_null(json, "offset"); /* the file has it in another form */
        qn_json_out_end(json);
    }
    qn_json_out_end(json);
    return NULL;
}

/* ---- graphs --------------------------------------------------------------------------------------------------- */

static bool has_ports(const struct inspection *in)
{
    return in->info.input_count || in->info.output_count || in->info.op_count;
}

static qn_status print_ports_section(const struct inspection *in)
{
    return qn_inspect_ports_text(in->model, in->out);
}

static qn_status json_ports_section(const struct inspection *in, struct qn_json_out *json)
{
    return has_ports(in) ? qn_inspect_ports_json(in->model, json) : NULL;
}

/* ---- sections ------------------------------------------------------------------------------------------------- */

static const struct {
    qn_status (*print)(const struct inspection *in);
    qn_status (*json)(const struct inspection *in, struct qn_json_out *json);
} sections[QN_INSPECT_SECTIONS] = {
    [QN_INSPECT_OVERVIEW] = {print_overview, json_overview},
    [QN_INSPECT_PORTS] = {print_ports_section, json_ports_section},
    [QN_INSPECT_METADATA] = {print_metadata, json_metadata},
    [QN_INSPECT_TENSORS] = {print_tensors, json_tensors},
};

static qn_status write_text(const struct inspection *in, const bool chosen[QN_INSPECT_SECTIONS])
{
    bool first = true;
    for (int i = 0; i < QN_INSPECT_SECTIONS; i++) {
        if (!chosen[i] || (i == QN_INSPECT_PORTS && !has_ports(in)))
            continue;
        if (!first)
            fputc('\n', in->out);
        first = false;
        QN_COMMAND_TRY(sections[i].print(in));
    }
    return NULL;
}

static qn_status write_json(const struct inspection *in, const bool chosen[QN_INSPECT_SECTIONS])
{
    struct qn_json_out json;
    qn_json_out_begin(&json, in->out);
    qn_json_out_object(&json, NULL);
    for (int i = 0; i < QN_INSPECT_SECTIONS; i++)
        if (chosen[i])
            QN_COMMAND_TRY(sections[i].json(in, &json));
    qn_json_out_end(&json);
    qn_json_out_finish(&json);
    return NULL;
}

qn_status qn_inspect_file(const struct qn_model *model, const struct qn_inspect_options *options, FILE *out)
{
    static const bool all[QN_INSPECT_SECTIONS] = {true, true, true, true};
    struct inspection in = {.model = model, .out = out, .info.struct_size = sizeof in.info, .full = options->full};
    const bool *chosen = all;
    for (int i = 0; i < QN_INSPECT_SECTIONS; i++)
        if (options->sections[i])
            chosen = options->sections;
    QN_COMMAND_TRY(qn_model_info(model, &in.info));
    return options->json ? write_json(&in, chosen) : write_text(&in, chosen);
}
