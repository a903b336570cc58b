/* Weights as transformers knows them: most lie in the file as they are. */
#include "format/hf/hf.h"

static qn_status add_plain(struct qn_hf *hf, const struct qn_set_tensor *tensor)
{
    struct qn_hf_source source = {
        .name = tensor->name, .dtype = tensor->dtype, .rank = tensor->rank, .parts = {tensor}};
    memcpy(source.dims, tensor->dims, sizeof source.dims);
    return qn_array_push(&hf->sources, hf->allocator, source) ? NULL : QN_OOM();
}

qn_status qn_hf_make_sources(struct qn_hf *hf)
{
    for (uint32_t i = 0; i < hf->set.tensors.count; i++)
        QN_TRY(add_plain(hf, &hf->set.tensors.items[i]));
    return NULL;
}

qn_status qn_hf_source_read(const struct qn_hf *hf, const struct qn_hf_source *source, uint64_t first, uint64_t count,
                            void *out)
{
    (void)hf;
    uint64_t columns = source->rank >= 2 ? source->dims[source->rank - 1] : 1;
    qn_set_read(source->parts[0], first * columns, count * columns, out);
    return NULL;
}
