#include "format/model_graph.h"

#include "format/format.h"
#include "format/gguf/gguf_lm.h"
#include "format/model.h"
#include "format/onnx/import.h"

enum { DEFAULT_CHUNK = 512 };

static qn_status need_gguf(const struct qn_model *model, struct qn_gguf **out)
{
    *out = qn_model_gguf(model);
    if (*out)
        return NULL;
    struct qn_model_file file = {.struct_size = sizeof file};
    QN_TRY(qn_model_file(model, 0, &file));
    return QN_ERROR(QN_UNSUPPORTED, "%s: not a language model that Quern can run", file.path);
}

qn_status qn_model_lm_config(const struct qn_model *model, struct qn_lm_config *out)
{
    struct qn_gguf *gguf;
    QN_TRY(need_gguf(model, &gguf));
    return qn_gguf_lm_config(gguf, out);
}

qn_status qn_model_lm_graph(const struct qn_model *model, const struct qn_lm_config *config,
                            const struct qn_lm_options *options, const struct qn_allocator *allocator,
                            struct qn_graph **out)
{
    struct qn_gguf *gguf;
    QN_TRY(need_gguf(model, &gguf));
    return qn_gguf_lm_graph(gguf, config, options, allocator, out);
}

struct qn_model_bytes qn_model_file_bytes(const struct qn_model *model, uint32_t index)
{
    struct qn_model_bytes bytes;
    model->ops->file_bytes(model->impl, index, &bytes.data, &bytes.size);
    return bytes;
}
