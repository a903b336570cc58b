#include "arch/arch.h"

#define QN_ARCH_ROW(name) extern const struct qn_arch qn_arch_##name;
#include "arch/archs.def"
#undef QN_ARCH_ROW

static const struct qn_arch *const archs[] = {
#define QN_ARCH_ROW(name) &qn_arch_##name,
#include "arch/archs.def"
#undef QN_ARCH_ROW
};

const struct qn_arch *qn_arch_find(struct qn_str name)
{
    for (size_t i = 0; i < sizeof archs / sizeof archs[0]; i++)
        if (qn_str_is(name, archs[i]->name))
            return archs[i];
    return NULL;
}

const char *qn_arch_names(void)
{
    return ""
#define QN_ARCH_ROW(name) " " #name
#include "arch/archs.def"
#undef QN_ARCH_ROW
        ;
}
