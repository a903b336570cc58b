#include "passes/pass.h"

#define QN_PASS_ROW(pass_name, function, pass_summary) \
    [QN_PASS_##pass_name] = {#pass_name, pass_summary, qn_pass_##function},
const struct qn_pass qn_passes[QN_PASS_COUNT] = {
#include "passes/passes.def"
};
#undef QN_PASS_ROW

static qn_status check_names(const struct qn_pass_options *options)
{
    for (uint32_t i = 0; i < options->off_count; i++) {
        uint32_t k = 0;
        while (k < QN_PASS_COUNT && !qn_str_is(options->off[i], qn_passes[k].name))
            k++;
        if (k < QN_PASS_COUNT)
            continue;
        char names[256] = "";
        for (uint32_t p = 0, at = 0; p < QN_PASS_COUNT; p++) {
            size_t size = strlen(qn_passes[p].name);
            if (at + size + 2 > sizeof names)
                break;
            names[at++] = ' ';
            memcpy(names + at, qn_passes[p].name, size + 1);
            at += (uint32_t)size;
        }
        return QN_ERROR(QN_INVALID_ARGUMENT, "'%.*s' is no pass; the passes are:%s", QN_STR_ARG(options->off[i]),
                        names);
    }
    return NULL;
}

static bool is_off(const struct qn_pass_options *options, const char *name)
{
    for (uint32_t i = 0; i < options->off_count; i++)
        if (qn_str_is(options->off[i], name))
            return true;
    return false;
}

static bool must_verify(const struct qn_pass_options *options)
{
#ifdef QN_DEBUG
    (void)options;
    return true;
#else
    return options->verify;
#endif
}

qn_status qn_pass_run(struct qn_graph **graph, enum qn_pass_id pass)
{
    struct qn_graph *to;
    QN_TRY(qn_graph_create((*graph)->allocator, (*graph)->name, &to));
    to->claims = (*graph)->claims;
    qn_status status = qn_passes[pass].run(*graph, to);
    if (status) {
        qn_graph_destroy(to);
        return qn_status_note(status, "pass %s", qn_passes[pass].name);
    }
    if (to->values.count > 1 || to->outputs.count) { /* value 0 is none */
        qn_graph_destroy(*graph);
        *graph = to;
    } else {
        qn_graph_destroy(to);
    }
    return NULL;
}

/* A graph that a pass has broken is our own bug, whatever the verifier calls it. */
static qn_status verify_after(const struct qn_graph *graph, const char *pass)
{
    qn_status status = qn_graph_verify(graph);
    if (!status || qn_status_code(status) == QN_OUT_OF_MEMORY)
        return status;
    qn_status bug = QN_ERROR(QN_INTERNAL, "after pass %s: %s", pass, qn_status_message(status));
    qn_status_free(status);
    return bug;
}

qn_status qn_pass_run_all(struct qn_graph **graph, const struct qn_pass_options *options)
{
    static const struct qn_pass_options none = {0};
    if (!options)
        options = &none;
    QN_TRY(check_names(options));
    for (uint32_t i = 0; i < QN_PASS_COUNT; i++) {
        struct qn_pass_report report = {.nodes_before = (*graph)->nodes.count - 1,
                                        .ran = !is_off(options, qn_passes[i].name)};
        if (report.ran) {
            QN_TRY(qn_pass_run(graph, (enum qn_pass_id)i));
            if (must_verify(options))
                QN_TRY(verify_after(*graph, qn_passes[i].name));
        }
        report.nodes_after = (*graph)->nodes.count - 1;
        if (options->reports)
            options->reports[i] = report;
    }
    return NULL;
}
