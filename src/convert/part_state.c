#include "convert/part_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "format/model.h"
#include "platform/file.h"

static void print_file(struct qn_strbuf *text, const char *path)
{
    uint64_t size;
    int64_t changed;
    qn_file_stamp(path, &size, &changed);
    qn_strbuf_printf(text, "\n%s %" PRIu64 " %" PRId64, path, size, changed);
}

static qn_status print_sources(struct qn_strbuf *text, const struct qn_model *model,
                               const struct qn_allocator *allocator)
{
    static const char *const beside[] = {"config.json",           "tokenizer.json",          "tokenizer.model",
                                         "tokenizer_config.json", "special_tokens_map.json", "generation_config.json",
                                         "chat_template.jinja"};
    struct qn_model_info info = {.struct_size = sizeof info};
    const char *folder = qn_model_folder(model);
    QN_TRY(qn_model_info(model, &info));
    qn_strbuf_printf(text, " %u", info.tensor_count);
    for (uint32_t i = 0; i < info.file_count; i++) {
        struct qn_model_file file = {.struct_size = sizeof file};
        QN_TRY(qn_model_file(model, i, &file));
        print_file(text, file.path);
    }
    for (size_t i = 0; folder && i < sizeof beside / sizeof beside[0]; i++) {
        struct qn_strbuf path;
        qn_strbuf_init(&path, allocator);
        qn_strbuf_printf(&path, "%s%s", folder, beside[i]);
        bool failed = path.failed;
        if (!failed)
            print_file(text, path.data);
        qn_strbuf_deinit(&path);
        if (failed)
            return QN_OOM();
    }
    return NULL;
}

qn_status qn_part_state_init(struct qn_part_state *state, const struct qn_model *model, const char *output,
                             const struct qn_convert_options *options)
{
    struct qn_strbuf text;
    qn_strbuf_init(&state->path, options->allocator);
    qn_strbuf_printf(&state->path, "%s.part.state", output);
    qn_strbuf_init(&text, options->allocator);
    qn_strbuf_printf(&text, "%s %d", options->type ? options->type : "auto", options->pure);
    for (size_t i = 0; i < options->keep_count; i++)
        qn_strbuf_printf(&text, "\n%s=%d", options->keeps[i].pattern, (int)options->keeps[i].dtype);
    if (options->imatrix)
        print_file(&text, options->imatrix);
    qn_status status = print_sources(&text, model, options->allocator);
    if (!status && (text.failed || state->path.failed))
        status = QN_OOM();
    if (!status)
        snprintf(state->print, sizeof state->print, "%016" PRIx64, qn_hash(text.data, text.size));
    qn_strbuf_deinit(&text);
    return status;
}

void qn_part_state_deinit(struct qn_part_state *state)
{
    qn_strbuf_deinit(&state->path);
}

uint64_t qn_part_state_read(const struct qn_part_state *state)
{
    struct qn_file_map map;
    uint64_t bytes = 0;
    if (!qn_file_exists(state->path.data))
        return 0;
    qn_status status = qn_file_map(state->path.data, &map);
    if (!status) {
        char text[96] = "";
        size_t size = map.size < sizeof text - 1 ? (size_t)map.size : sizeof text - 1, print = strlen(state->print);
        if (size)
            memcpy(text, map.data, size);
        if (strncmp(text, state->print, print) != 0 || sscanf(text + print, " %" SCNu64, &bytes) != 1)
            bytes = 0;
        qn_file_unmap(&map);
    }
    qn_status_ignore(status);
    return bytes;
}

qn_status qn_part_state_write(const struct qn_part_state *state, struct qn_gguf_writer *writer)
{
    struct qn_file_writer *file;
    uint64_t bytes;
    char text[96];
    QN_TRY(qn_gguf_writer_sync(writer, &bytes));
    int size = snprintf(text, sizeof text, "%s %" PRIu64 "\n", state->print, bytes);
    QN_TRY(qn_file_writer_open(state->path.data, &file));
    qn_status status = qn_file_writer_write(file, text, (size_t)size);
    if (!status)
        return qn_file_writer_commit(file);
    qn_file_writer_discard(file);
    return status;
}
