#include "cli/inspect_graph.h"

#include <string.h>

#include "cli/command.h"
#include "cli/terminal.h"
#include "quern/extension.h"
#include "quern/session.h"

enum { MAX_PASSES = 64 };

qn_status qn_inspect_graph(struct qn_model *model, bool optimised, const char *passes_off, FILE *out)
{
    struct qn_session_options options = {.struct_size = sizeof options, .disabled_passes = passes_off};
    char *text;
    size_t size;
    QN_COMMAND_TRY(qn_graph_text(model, &options, optimised, &text, &size));
    fwrite(text, 1, size, out);
    qn_graph_text_free(&options, text, size);
    return NULL;
}

static void print_passes(const struct qn_pass_info *infos, uint32_t count, FILE *out)
{
    fprintf(out, "%-16s %8s %8s\n", "pass", "before", "after");
    for (uint32_t i = 0; i < count; i++)
        fprintf(out, "%-16s %8u %8u  %s%s\n", infos[i].name, infos[i].nodes_before, infos[i].nodes_after,
                infos[i].enabled ? "" : "(off) ", infos[i].summary);
}

static void print_passes_json(const struct qn_pass_info *infos, uint32_t count, FILE *out)
{
    struct qn_json_out json;
    qn_json_out_begin(&json, out);
    qn_json_out_array(&json, NULL);
    for (uint32_t i = 0; i < count; i++) {
        qn_json_out_object(&json, NULL);
        qn_json_out_string(&json, "name", infos[i].name);
        qn_json_out_string(&json, "summary", infos[i].summary);
        qn_json_out_bool(&json, "enabled", infos[i].enabled);
        qn_json_out_u64(&json, "nodes_before", infos[i].nodes_before);
        qn_json_out_u64(&json, "nodes_after", infos[i].nodes_after);
        qn_json_out_end(&json);
    }
    qn_json_out_end(&json);
    qn_json_out_finish(&json);
}

qn_status qn_inspect_passes(struct qn_model *model, const char *passes_off, bool json, FILE *out)
{
    struct qn_session_options options = {.struct_size = sizeof options, .disabled_passes = passes_off};
    struct qn_pass_info infos[MAX_PASSES];
    uint32_t count = MAX_PASSES;
    QN_COMMAND_TRY(qn_graph_passes(model, &options, infos, &count));
    if (json)
        print_passes_json(infos, count, out);
    else
        print_passes(infos, count, out);
    return NULL;
}

/* ---- partition ------------------------------------------------------------------------------------------------ */

struct partition {
    FILE *out;
    struct qn_json_out *json; /* NULL: a table */
    uint64_t nodes;
};

static void on_partition(void *context, const char *node, const char *op, const char *backend, const char *why)
{
    struct partition *p = context;
    p->nodes += !why;
    if (p->json) {
        qn_json_out_object(p->json, NULL);
        qn_json_out_string(p->json, "node", node);
        qn_json_out_string(p->json, "op", op);
        qn_json_out_string(p->json, "backend", backend);
        qn_json_out_bool(p->json, "takes", !why);
        if (why)
            qn_json_out_string(p->json, "why", why);
        qn_json_out_end(p->json);
        return;
    }
    fprintf(p->out, "%-18s %-10s %-5s ", op, backend, why ? "no" : "runs");
    qn_terminal_text(p->out, node, strlen(node), 60);
    fprintf(p->out, "%s%s\n", why ? ": " : "", why ? why : "");
}

static qn_status show_partition(struct qn_model *model, const struct qn_session_options *options, bool json, FILE *out)
{
    struct qn_json_out writer;
    struct partition partition = {.out = out, .json = json ? &writer : NULL};
    if (json) {
        qn_json_out_begin(&writer, out);
        qn_json_out_array(&writer, NULL);
    } else {
        fprintf(out, "%-18s %-10s %-5s %s\n", "op", "backend", "", "node");
    }
    qn_status status = qn_graph_partition(model, options, on_partition, &partition);
    if (json) {
        qn_json_out_end(&writer);
        qn_json_out_finish(&writer);
    }
    return status;
}

qn_status qn_inspect_partition(struct qn_model *model, const char *backends, const struct qn_arg_list *extensions,
                               const char *passes_off, bool json, FILE *out)
{
    struct qn_extension_library *libraries[QN_ARG_LIST_MAX] = {0};
    const struct qn_extension *loaded[QN_ARG_LIST_MAX];
    qn_status status = NULL;
    for (size_t i = 0; i < extensions->count && !status; i++)
        status = qn_extension_load(extensions->items[i], &libraries[i], &loaded[i]);
    struct qn_session_options options = {.struct_size = sizeof options,
                                         .disabled_passes = passes_off,
                                         .backends = backends,
                                         .extensions = loaded,
                                         .extension_count = (uint32_t)extensions->count};
    if (!status)
        status = show_partition(model, &options, json, out);
    for (size_t i = 0; i < extensions->count; i++)
        qn_extension_unload(libraries[i]);
    return status;
}
