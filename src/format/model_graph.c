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

static qn_status language_graph(const struct qn_model *model, const struct qn_session_options *options,
                                const struct qn_allocator *allocator, struct qn_graph **out)
{
    struct qn_lm_config config;
    QN_TRY(qn_model_lm_config(model, &config));
    uint32_t context = options->context ? options->context : config.context;
    struct qn_lm_options lm = {
        .chunk = options->chunk ? options->chunk : DEFAULT_CHUNK,
        .sequences = 1,
        .positions = context,
        .cache_rows = context,
        .kv_dtype = options->kv_dtype ? options->kv_dtype : QN_DTYPE_F16,
    };
    return qn_model_lm_graph(model, &config, &lm, allocator, out);
}

static qn_status onnx_graph(const struct qn_onnx_file *onnx, const struct qn_session_options *options,
                            const struct qn_allocator *allocator, struct qn_graph **out, struct qn_body_source **source)
{
    struct qn_onnx_import_options import = {.dims = options->dims,
                                            .dim_count = options->dim_count,
                                            .extensions = options->extensions,
                                            .extension_count = options->extension_count};
    struct qn_onnx_program *program;
    QN_TRY(qn_onnx_program_create(onnx, &import, allocator, &program));
    qn_status status = qn_onnx_program_graph(program, allocator, out);
    if (status)
        qn_onnx_program_destroy(program);
    else
        *source = qn_onnx_program_source(program);
    return status;
}

qn_status qn_model_graph(const struct qn_model *model, const struct qn_session_options *options,
                         const struct qn_allocator *allocator, struct qn_graph **out, struct qn_body_source **source)
{
    const struct qn_onnx_file *onnx = qn_model_onnx(model);
    *source = NULL;
    if (!onnx)
        return language_graph(model, options, allocator, out);
    return qn_status_note(onnx_graph(onnx, options, allocator, out, source), "%s", onnx->sources[0].path.data);
}
