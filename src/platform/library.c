#include "platform/library.h"

#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

qn_status qn_library_open(const char *path, struct qn_library **out)
{
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!handle)
        return QN_ERROR(QN_NOT_FOUND, "%s: cannot be opened as a library: %s", path, dlerror());
    *out = handle;
    return NULL;
}

void qn_library_close(struct qn_library *library)
{
    if (library)
        dlclose(library);
}

void *qn_library_find(struct qn_library *library, const char *symbol)
{
    return dlsym(library, symbol);
}

static qn_status fill(struct qn_library_use *use)
{
    struct qn_library *library;
    char *to = use->functions;
    QN_TRY(qn_library_open(use->path, &library));
    for (const char *symbol = use->symbols; *symbol; symbol += strlen(symbol) + 1, to += sizeof(void *)) {
        void *function = qn_library_find(library, symbol);
        if (!function) {
            qn_library_close(library);
            return QN_ERROR(QN_UNSUPPORTED, "%s: has no function '%s': another version than Quern was built for?",
                            use->path, symbol);
        }
        memcpy(to, &function, sizeof function);
    }
    return NULL;
}

qn_status qn_library_need(struct qn_library_use *use)
{
    if (__atomic_load_n(&use->ready, __ATOMIC_ACQUIRE))
        return NULL;
    qn_mutex_lock(&use->lock);
    qn_status status = use->ready ? NULL : fill(use);
    if (!status)
        __atomic_store_n(&use->ready, true, __ATOMIC_RELEASE);
    qn_mutex_unlock(&use->lock);
    return status;
}
