/* The passes as a session asks for them: by a list of names to leave out. */
#include "exec/compiled.h"
#include "passes/pass.h"

/* Splits "a,b" into views; "all" names every pass. */
static qn_status parse_off(const char *list, struct qn_str off[64], uint32_t *count)
{
    *count = 0;
    if (!list)
        return NULL;
    if (strcmp(list, "all") == 0) {
        for (uint32_t i = 0; i < QN_PASS_COUNT; i++)
            off[(*count)++] = qn_str_from(qn_passes[i].name);
        return NULL;
    }
    while (*list) {
        size_t size = strcspn(list, ",");
        if (*count == 64)
            return QN_ERROR(QN_INVALID_ARGUMENT, "more than 64 passes to leave out");
        if (size)
            off[(*count)++] = (struct qn_str){list, size};
        list += size + (list[size] == ',');
    }
    return NULL;
}

bool qn_optimise_leaves_out(const char *list, const char *name)
{
    if (!list || strcmp(list, "all") == 0)
        return list;
    size_t length = strlen(name);
    for (size_t size; *list; list += size + (list[size] == ',')) {
        size = strcspn(list, ",");
        if (size == length && memcmp(list, name, size) == 0)
            return true;
    }
    return false;
}

struct preferred {
    const struct qn_backend *const *backends;
    uint32_t count;
};

static bool any_claims(const void *context, const struct qn_graph *graph, qn_node node)
{
    const struct preferred *preferred = context;
    char why[160];
    for (uint32_t i = 0; i < preferred->count; i++) {
        const struct qn_backend *backend = preferred->backends[i];
        if (backend->claim && backend->claim(backend, graph, node, why, sizeof why))
            return true;
    }
    return false;
}

qn_status qn_optimise(struct qn_graph **graph, const char *disabled_passes, const struct qn_backend *const *backends,
                      uint32_t backend_count, struct qn_pass_report *reports)
{
    _Static_assert(QN_PASS_COUNT <= 64, "the list of names above has room for all passes");
    struct qn_str off[64];
    struct qn_pass_options options = {.off = off, .reports = reports};
    struct preferred preferred = {backends, backend_count};
    struct qn_claims claims = {any_claims, &preferred};
    QN_TRY(parse_off(disabled_passes, off, &options.off_count));
    (*graph)->claims = backend_count ? &claims : NULL;
    qn_status status = qn_pass_run_all(graph, &options);
    (*graph)->claims = NULL;
    return status;
}
