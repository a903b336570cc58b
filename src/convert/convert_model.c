/* One call for every way of writing a model: what goes in and what comes out decide which. */
#include "quern/convert.h"

#include <string.h>
#include <strings.h>

#include "convert/convert_internal.h"
#include "convert/tensor_types.h"
#include "format/model.h"
#include "platform/clock.h"
#include "platform/file.h"

const char *qn_convert_type(size_t index, const char **summary)
{
    if (index + 1 >= QN_SCHEME_COUNT)
        return NULL;
    const struct qn_scheme *scheme = qn_scheme((enum qn_scheme_id)(index + 1));
    if (summary)
        *summary = scheme->summary;
    return scheme->name;
}

static bool ends_with(const char *text, const char *end)
{
    size_t size = strlen(text), end_size = strlen(end);
    return size >= end_size && strcasecmp(text + size - end_size, end) == 0;
}

/* None of the model's files may be written over, nor its folder be filled again. */
static qn_status check_output(const struct qn_model *model, const char *input, const char *output)
{
    struct qn_model_info info = {.struct_size = sizeof info};
    QN_TRY(qn_model_info(model, &info));
    if (qn_folder_exists(input) && qn_file_same(input, output))
        return QN_ERROR(QN_INVALID_ARGUMENT, "%s: the output is the input; give it another name", output);
    for (uint32_t i = 0; i < info.file_count; i++) {
        struct qn_model_file file = {.struct_size = sizeof file};
        QN_TRY(qn_model_file(model, i, &file));
        if (qn_file_same(file.path, output))
            return QN_ERROR(QN_INVALID_ARGUMENT, "%s: the output is the input; give it another name", output);
    }
    return NULL;
}

/* ONNX stays ONNX. quantise: any other model becomes GGUF, whatever the output's name. */
static qn_status write_model(struct qn_model *model, const char *input, const char *output, bool quantise,
                             const struct qn_convert_options *options, struct qn_convert_stats *stats)
{
    QN_TRY(check_output(model, input, output));
    if (qn_model_onnx(model))
        return qn_convert_onnx(model, output, options, stats);
    return quantise || ends_with(output, ".gguf") ? qn_convert_to_gguf(model, output, options, stats)
                                                  : qn_convert_to_folder(model, output, options, stats);
}

static qn_status convert(const char *input, const char *output, const char *type,
                         const struct qn_convert_options *options, struct qn_convert_stats *stats)
{
    uint64_t start = qn_clock_ns();
    struct qn_convert_options all = {.struct_size = sizeof all};
    if (options && options->struct_size < sizeof options->struct_size)
        return QN_ERROR(QN_INVALID_ARGUMENT, "qn_convert_options: struct_size is not set");
    if (options)
        memcpy(&all, options, options->struct_size < sizeof all ? options->struct_size : sizeof all);
    if (!all.allocator)
        all.allocator = qn_allocator_default();
    if (type)
        all.type = type;
    struct qn_model_options open = {.struct_size = sizeof open, .allocator = all.allocator};
    struct qn_convert_stats counted = {0};
    struct qn_model *model;
    QN_TRY(qn_model_open(input, &open, &model));
    qn_status status = qn_status_note(write_model(model, input, output, type != NULL, &all, &counted), "%s", input);
    qn_model_close(model);
    if (!status && stats) {
        counted.struct_size = stats->struct_size;
        counted.seconds = (double)(qn_clock_ns() - start) * 1e-9;
        memcpy(stats, &counted, counted.struct_size < sizeof counted ? counted.struct_size : sizeof counted);
    }
    return status;
}

qn_status qn_convert(const char *input, const char *output, const struct qn_convert_options *options,
                     struct qn_convert_stats *stats)
{
    return convert(input, output, NULL, options, stats);
}

qn_status qn_quantize(const char *input, const char *output, const char *type, const struct qn_convert_options *options,
                      struct qn_convert_stats *stats)
{
    enum qn_scheme_id scheme;
    QN_TRY(qn_scheme_read(type, &scheme));
    if (scheme == QN_SCHEME_NONE)
        return QN_ERROR(QN_INVALID_ARGUMENT, "no type was given; expected one of qn_convert_type");
    return convert(input, output, type, options, stats);
}
