#include "platform/library.h"

#include <dlfcn.h>
#include <stddef.h>

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
