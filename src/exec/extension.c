/* Extensions from shared libraries. */
#include "quern/extension.h"

#include "base/arena.h"
#include "base/status.h"
#include "exec/custom_backend.h"
#include "platform/library.h"

struct qn_extension_library {
    struct qn_library *library;
};

qn_status qn_extension_check(const struct qn_extension *extension)
{
    if (extension->struct_size < sizeof *extension || !extension->name)
        return QN_ERROR(QN_UNSUPPORTED, "the extension has another layout, or no struct_size or name");
    if ((extension->op_count && !extension->ops) || (extension->backend_count && !extension->backends))
        return QN_ERROR(QN_UNSUPPORTED, "extension %s lists no ops or backends, but counts them", extension->name);
    for (uint32_t i = 0; i < extension->op_count; i++) {
        const struct qn_custom_op *op = &extension->ops[i];
        if (op->struct_size < sizeof *op || !op->name || !op->shape || !op->compute || op->outputs == 0)
            return QN_ERROR(QN_UNSUPPORTED,
                            "op %u of extension %s is not complete: it needs struct_size, name, shape, compute and "
                            "outputs",
                            i, extension->name);
    }
    for (uint32_t i = 0; i < extension->backend_count; i++) {
        const struct qn_custom_backend *backend = &extension->backends[i];
        if (backend->struct_size < sizeof *backend || !backend->name || !backend->takes || !backend->run)
            return QN_ERROR(QN_UNSUPPORTED,
                            "backend %u of extension %s is not complete: it needs struct_size, name, takes and run", i,
                            extension->name);
    }
    return NULL;
}

qn_status qn_extension_load(const char *path, struct qn_extension_library **library, const struct qn_extension **out)
{
    struct qn_library *handle;
    *library = NULL;
    QN_TRY(qn_library_open(path, &handle));
    const struct qn_extension *(*entry)(uint32_t);
    *(void **)&entry = qn_library_find(handle, "quern_extension");
    qn_status status = NULL;
    if (!entry) {
        status = QN_ERROR(QN_UNSUPPORTED, "%s: exports no quern_extension", path);
    } else {
        *out = entry(QN_EXTENSION_ABI);
        status = *out ? qn_status_note(qn_extension_check(*out), "%s", path)
                      : QN_ERROR(QN_UNSUPPORTED, "%s: its extension does not know this version of Quern (ABI %d)", path,
                                 QN_EXTENSION_ABI);
    }
    if (!status && !(*library = qn_calloc(qn_allocator_default(), 1, sizeof **library)))
        status = QN_OOM();
    if (status)
        qn_library_close(handle);
    else
        (*library)->library = handle;
    return status;
}

void qn_extension_unload(struct qn_extension_library *library)
{
    if (!library)
        return;
    qn_library_close(library->library);
    qn_free(qn_allocator_default(), library, sizeof *library);
}
