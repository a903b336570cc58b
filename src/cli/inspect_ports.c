#include "cli/inspect_ports.h"

#include <inttypes.h>
#include <string.h>

#include "cli/command.h"
#include "cli/terminal.h"

enum { NAME_COLUMNS = 48, SHOWN_SYMBOLS = 64 };

typedef qn_status (*port_fn)(const struct qn_model *model, uint32_t index, struct qn_model_port *out);

static void pad_to(FILE *out, size_t columns, size_t width)
{
    fprintf(out, "%*s", (int)(columns + 2 <= width ? width - columns : 2), "");
}

/* ---- symbols -------------------------------------------------------------------------------------------------- */

struct symbols {
    const char *names[SHOWN_SYMBOLS];
    uint32_t count;
};

static void add_symbol(struct symbols *symbols, const char *name)
{
    for (uint32_t i = 0; i < symbols->count; i++)
        if (strcmp(symbols->names[i], name) == 0)
            return;
    if (symbols->count < SHOWN_SYMBOLS)
        symbols->names[symbols->count++] = name;
}

static qn_status find_symbols(const struct qn_model *model, port_fn get, uint32_t count, struct symbols *symbols)
{
    for (uint32_t i = 0; i < count; i++) {
        struct qn_model_port port = {.struct_size = sizeof port};
        QN_COMMAND_TRY(get(model, i, &port));
        for (uint32_t k = 0; k < port.rank; k++)
            if (port.symbols[k])
                add_symbol(symbols, port.symbols[k]);
    }
    return NULL;
}

static qn_status all_symbols(const struct qn_model *model, const struct qn_model_info *info, struct symbols *symbols)
{
    *symbols = (struct symbols){.count = 0};
    QN_COMMAND_TRY(find_symbols(model, qn_model_input, info->input_count, symbols));
    return find_symbols(model, qn_model_output, info->output_count, symbols);
}

/* ---- text ----------------------------------------------------------------------------------------------------- */

static qn_status print_ports(const struct qn_model *model, const char *label, port_fn get, uint32_t count, FILE *out)
{
    size_t width = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct qn_model_port port = {.struct_size = sizeof port};
        QN_COMMAND_TRY(get(model, i, &port));
        size_t columns = strlen(port.name) + 2;
        width = columns > width && columns <= NAME_COLUMNS ? columns : width;
    }
    fprintf(out, "%s (%" PRIu32 ")\n", label, count);
    for (uint32_t i = 0; i < count; i++) {
        struct qn_model_port port = {.struct_size = sizeof port};
        QN_COMMAND_TRY(get(model, i, &port));
        fprintf(out, "  ");
        pad_to(out, qn_terminal_text(out, port.name, strlen(port.name), 0), width);
        qn_terminal_text(out, port.type, strlen(port.type), 0);
        fprintf(out, "%s\n", port.has_default ? "  has a default" : "");
    }
    return NULL;
}

static qn_status print_ops(const struct qn_model *model, uint32_t count, FILE *out)
{
    uint64_t nodes = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct qn_model_op op = {.struct_size = sizeof op};
        QN_COMMAND_TRY(qn_model_op(model, i, &op));
        nodes += op.count;
    }
    fprintf(out, "operators (%" PRIu32 " kinds, %" PRIu64 " nodes)\n", count, nodes);
    for (uint32_t i = 0; i < count; i++) {
        struct qn_model_op op = {.struct_size = sizeof op};
        QN_COMMAND_TRY(qn_model_op(model, i, &op));
        fprintf(out, "%8" PRIu64 "  ", op.count);
        pad_to(out, qn_terminal_text(out, op.name, strlen(op.name), 0), 32);
        qn_terminal_text(out, op.domain, strlen(op.domain), 0);
        if (op.version)
            fprintf(out, " %" PRIu64, op.version);
        fprintf(out, "%s\n", op.local ? ", a function of the model" : "");
    }
    return NULL;
}

qn_status qn_inspect_ports_text(const struct qn_model *model, FILE *out)
{
    struct qn_model_info info = {.struct_size = sizeof info};
    struct symbols symbols;
    QN_COMMAND_TRY(qn_model_info(model, &info));
    QN_COMMAND_TRY(print_ports(model, "inputs", qn_model_input, info.input_count, out));
    QN_COMMAND_TRY(print_ports(model, "outputs", qn_model_output, info.output_count, out));
    QN_COMMAND_TRY(all_symbols(model, &info, &symbols));
    if (symbols.count) {
        fprintf(out, "symbolic sizes (%" PRIu32 ")\n", symbols.count);
        for (uint32_t i = 0; i < symbols.count; i++) {
            fprintf(out, "  ");
            qn_terminal_text(out, symbols.names[i], strlen(symbols.names[i]), 0);
            fputc('\n', out);
        }
    }
    return print_ops(model, info.op_count, out);
}

/* ---- JSON ----------------------------------------------------------------------------------------------------- */

static qn_status json_ports(const struct qn_model *model, const char *key, port_fn get, uint32_t count,
                            struct qn_json_out *json)
{
    qn_json_out_array(json, key);
    for (uint32_t i = 0; i < count; i++) {
        struct qn_model_port port = {.struct_size = sizeof port};
        QN_COMMAND_TRY(get(model, i, &port));
        qn_json_out_object(json, NULL);
        qn_json_out_string(json, "name", port.name);
        qn_json_out_string(json, "type", port.type);
        qn_json_out_string(json, "dtype", port.dtype == QN_DTYPE_NONE ? NULL : qn_dtype_name(port.dtype));
        qn_json_out_bool(json, "has_default", port.has_default);
        if (port.has_shape) {
            qn_json_out_array_inline(json, "shape");
            for (uint32_t k = 0; k < port.rank; k++) {
                if (port.dims[k] >= 0)
                    qn_json_out_i64(json, NULL, port.dims[k]);
                else
                    qn_json_out_string(json, NULL, port.symbols[k]); /* null where the size has no name */
            }
            qn_json_out_end(json);
        } else {
            qn_json_out_null(json, "shape");
        }
        qn_json_out_end(json);
    }
    qn_json_out_end(json);
    return NULL;
}

qn_status qn_inspect_ports_json(const struct qn_model *model, struct qn_json_out *json)
{
    struct qn_model_info info = {.struct_size = sizeof info};
    struct symbols symbols;
    QN_COMMAND_TRY(qn_model_info(model, &info));
    QN_COMMAND_TRY(json_ports(model, "inputs", qn_model_input, info.input_count, json));
    QN_COMMAND_TRY(json_ports(model, "outputs", qn_model_output, info.output_count, json));
    QN_COMMAND_TRY(all_symbols(model, &info, &symbols));
    qn_json_out_array_inline(json, "symbols");
    for (uint32_t i = 0; i < symbols.count; i++)
        qn_json_out_string(json, NULL, symbols.names[i]);
    qn_json_out_end(json);
    qn_json_out_array(json, "ops");
    for (uint32_t i = 0; i < info.op_count; i++) {
        struct qn_model_op op = {.struct_size = sizeof op};
        QN_COMMAND_TRY(qn_model_op(model, i, &op));
        qn_json_out_object(json, NULL);
        qn_json_out_string(json, "name", op.name);
        qn_json_out_string(json, "domain", op.domain);
        qn_json_out_u64(json, "version", op.version);
        qn_json_out_u64(json, "count", op.count);
        qn_json_out_bool(json, "local", op.local);
        qn_json_out_end(json);
    }
    qn_json_out_end(json);
    return NULL;
}
