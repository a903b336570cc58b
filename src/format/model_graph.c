#include "format/model_graph.h"

#include "format/format.h"
#include "format/model.h"
#include "format/onnx/import.h"

enum { DEFAULT_CHUNK = 512 };

/* ---- any model as a source of language-model keys and tensors ------------------------------------------------- */

static bool find_tensor(void *context, struct qn_str name, struct qn_lm_tensor *out)
{
    const struct qn_model *model = context;
    uint32_t index = model->ops->find_tensor(model->impl, name);
    if (index == UINT32_MAX)
        return false;
    struct qn_model_tensor tensor = {0};
    model->ops->tensor(model->impl, index, &tensor);
    *out = (struct qn_lm_tensor){.type = {.dtype = tensor.dtype, .rank = tensor.rank}, .data = tensor.data};
    for (uint32_t i = 0; i < tensor.rank; i++)
        out->type.dims[i] = (qn_dim)tensor.dims[i];
    if (tensor.offset != UINT64_MAX)
        out->blob = (struct qn_blob){
            .place = QN_BLOB_FILE, .file = tensor.file, .offset = tensor.offset, .bytes = tensor.bytes};
    else if (tensor.data)
        out->blob = (struct qn_blob){.place = QN_BLOB_MEMORY, .bytes = tensor.bytes, .data = tensor.data};
    else /* made on demand: a file after the model's own, with the tensor's number for an offset */
        out->blob = (struct qn_blob){
            .place = QN_BLOB_FILE, .file = model->info.file_count, .offset = index, .bytes = tensor.bytes};
    return true;
}

static bool find_value(void *context, struct qn_str key, uint64_t item, struct qn_lm_value *out)
{
    const struct qn_model *model = context;
    uint32_t index = model->ops->find_meta(model->impl, key);
    if (index == UINT32_MAX)
        return false;
    struct qn_model_meta meta = {0};
    model->ops->meta(model->impl, index, &meta);
    *out = (struct qn_lm_value){.array = meta.kind == QN_META_ARRAY, .count = meta.count};
    if (item < meta.count)
        model->ops->meta_item(model->impl, index, item, &out->item);
    return true;
}

static qn_status make_source(const struct qn_model *model, struct qn_lm_source *out)
{
    struct qn_model_file file = {0};
    model->ops->file(model->impl, 0, &file);
    if (qn_model_onnx(model))
        return QN_ERROR(QN_UNSUPPORTED, "%s: not a language model that Quern can run", file.path);
    *out = (struct qn_lm_source){
        .context = (void *)(uintptr_t)model, /* only read */
        .file = qn_str_from(file.path),
        .find = find_tensor,
        .value = find_value,
    };
    return NULL;
}

qn_status qn_model_lm_config(const struct qn_model *model, struct qn_lm_config *out)
{
    struct qn_lm_source source;
    QN_TRY(make_source(model, &source));
    return qn_lm_config_read(&source, out);
}

static qn_status add_files(const struct qn_model *model, struct qn_graph *graph)
{
    uint32_t index;
    for (uint32_t i = 0; i < model->info.file_count; i++) {
        struct qn_model_file file = {0};
        model->ops->file(model->impl, i, &file);
        QN_TRY(qn_graph_file(graph, qn_str_from(file.path), &index));
    }
    /* Tensors that are made on demand; the number must be the one find_tensor gives. */
    QN_TRY(qn_graph_file(graph, QN_STR("(made)"), &index));
    if (index != model->info.file_count)
        return QN_ERROR(QN_INVALID_FILE, "two of the model's files have one name");
    return NULL;
}

/* Which of two kinds of graph to build. */
struct build {
    const struct qn_lm_config *decoder; /* or NULL */
    const struct qn_encoder_config *encoder;
    const struct qn_lm_options *options;
};

static qn_status build_graph(const struct qn_model *model, const struct build *build,
                             const struct qn_allocator *allocator, struct qn_graph **out)
{
    struct qn_lm_source source;
    struct qn_graph *graph;
    QN_TRY(make_source(model, &source));
    QN_TRY(qn_graph_create(allocator, build->decoder ? build->decoder->arch : build->encoder->lm.arch, &graph));
    qn_status status = add_files(model, graph);
    if (!status)
        status = build->decoder ? qn_lm_build(build->decoder, &source, build->options, graph)
                                : qn_encoder_build(build->encoder, &source, build->options, graph);
    if (status)
        qn_graph_destroy(graph);
    else
        *out = graph;
    return status;
}

qn_status qn_model_lm_graph(const struct qn_model *model, const struct qn_lm_config *config,
                            const struct qn_lm_options *options, const struct qn_allocator *allocator,
                            struct qn_graph **out)
{
    return build_graph(model, &(struct build){.decoder = config, .options = options}, allocator, out);
}

bool qn_model_is_encoder(const struct qn_model *model)
{
    struct qn_lm_source source;
    qn_status status = make_source(model, &source);
    bool is = !status && qn_encoder_is(&source);
    qn_status_free(status);
    return is;
}

qn_status qn_model_encoder_config(const struct qn_model *model, struct qn_encoder_config *out)
{
    struct qn_lm_source source;
    QN_TRY(make_source(model, &source));
    return qn_encoder_config_read(&source, out);
}

qn_status qn_model_encoder_graph(const struct qn_model *model, const struct qn_encoder_config *config,
                                 const struct qn_lm_options *options, const struct qn_allocator *allocator,
                                 struct qn_graph **out)
{
    return build_graph(model, &(struct build){.encoder = config, .options = options}, allocator, out);
}

const struct qn_file_map *qn_model_file_map(const struct qn_model *model, uint32_t index)
{
    return model->ops->file_map(model->impl, index);
}

static qn_status encoder_graph(const struct qn_model *model, const struct qn_session_options *options,
                               const struct qn_allocator *allocator, struct qn_graph **out)
{
    struct qn_encoder_config config;
    QN_TRY(qn_model_encoder_config(model, &config));
    uint32_t positions = config.lm.context, chunk = options->chunk ? options->chunk : DEFAULT_CHUNK;
    struct qn_lm_options lm = {.chunk = chunk > positions ? chunk : positions, .positions = positions};
    lm.sequences = lm.chunk;
    return qn_model_encoder_graph(model, &config, &lm, allocator, out);
}

static qn_status language_graph(const struct qn_model *model, const struct qn_session_options *options,
                                const struct qn_allocator *allocator, struct qn_graph **out)
{
    struct qn_lm_config config;
    if (qn_model_is_encoder(model))
        return encoder_graph(model, options, allocator, out);
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
                            bool sizes_at_hand, const struct qn_allocator *allocator, struct qn_graph **out,
                            struct qn_body_source **source)
{
    struct qn_onnx_import_options import = {.dims = options->dims,
                                            .dim_count = options->dim_count,
                                            .extensions = options->extensions,
                                            .extension_count = options->extension_count,
                                            .given_inputs = options->given_inputs,
                                            .given_count = options->given_count,
                                            .sizes_at_hand = sizes_at_hand};
    struct qn_onnx_program *program;
    QN_TRY(qn_onnx_program_create(onnx, &import, allocator, &program));
    qn_status status = qn_onnx_program_graph(program, allocator, out);
    if (status)
        qn_onnx_program_destroy(program);
    else
        *source = qn_onnx_program_source(program);
    return status;
}

qn_status qn_model_graph(const struct qn_model *model, const struct qn_session_options *options, bool sizes_at_hand,
                         const struct qn_allocator *allocator, struct qn_graph **out, struct qn_body_source **source)
{
    const struct qn_onnx_file *onnx = qn_model_onnx(model);
    *source = NULL;
    if (!onnx)
        return language_graph(model, options, allocator, out);
    return qn_status_note(onnx_graph(onnx, options, sizes_at_hand, allocator, out, source), "%s",
                          onnx->sources[0].path.data);
}
