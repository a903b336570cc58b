#include "convert/convert_files.h"

#include "format/model_graph.h"
#include "platform/file.h"

void qn_convert_drop_pages(const struct qn_model *model)
{
    struct qn_model_info info = {.struct_size = sizeof info};
    qn_status status = qn_model_info(model, &info);
    for (uint32_t i = 0; i < info.file_count && !status; i++)
        qn_file_map_drop(qn_model_file_map(model, i), 0, UINT64_MAX);
    qn_status_free(status);
}

qn_status qn_convert_write_text(const char *folder, const char *name, struct qn_str text,
                                const struct qn_allocator *allocator)
{
    struct qn_file_writer *file;
    struct qn_strbuf path;
    qn_strbuf_init(&path, allocator);
    qn_strbuf_printf(&path, "%s/%s", folder, name);
    qn_status status = path.failed ? QN_OOM() : qn_file_writer_open(path.data, &file);
    qn_strbuf_deinit(&path);
    if (status)
        return status;
    status = qn_file_writer_write(file, text.data, text.size);
    if (!status)
        return qn_file_writer_commit(file);
    qn_file_writer_discard(file);
    return status;
}
