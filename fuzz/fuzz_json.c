/* JSON: whatever the bytes are, reading ends with a tree or an error; a tree, written, reads back as the same tree. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_value(struct qn_json_writer *writer, const struct qn_json *value)
{
    const struct qn_json *item = qn_json_first(value);
    switch (value->kind) {
    case QN_JSON_NULL:
        qn_json_write_null(writer);
        break;
    case QN_JSON_BOOL:
        qn_json_write_bool(writer, value->boolean);
        break;
    case QN_JSON_INT:
        qn_json_write_int(writer, value->integer);
        break;
    case QN_JSON_DOUBLE:
        qn_json_write_double(writer, value->number);
        break;
    case QN_JSON_STRING:
        qn_json_write_str(writer, qn_json_str(value));
        break;
    case QN_JSON_ARRAY:
        qn_json_begin_array(writer);
        for (uint32_t i = 0; i < value->size; i++, item = qn_json_next(item))
            write_value(writer, item);
        qn_json_end_array(writer);
        break;
    case QN_JSON_OBJECT:
        /* Keys are terminated texts for the writer: an array of pairs shows the same tree without that limit. */
        qn_json_begin_array(writer);
        for (uint32_t i = 0; i < 2 * value->size; i++, item = qn_json_next(item))
            write_value(writer, item);
        qn_json_end_array(writer);
        break;
    }
}

static void check(int holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct qn_arena arena;
    struct qn_strbuf once, twice;
    const struct qn_json *root;
    qn_arena_init(&arena, NULL);
    qn_strbuf_init(&once, NULL);
    qn_strbuf_init(&twice, NULL);
    struct qn_json_options options = {.max_depth = 64, .unique_keys = size & 1};
    qn_status status = qn_json_read((struct qn_str){(const char *)data, size}, &options, &arena, &root);
    if (!status) {
        struct qn_json_writer writer = {.out = &once};
        write_value(&writer, root);
        check(!qn_json_read(qn_strbuf_view(&once), NULL, &arena, &root));
        writer = (struct qn_json_writer){.out = &twice};
        write_value(&writer, root);
        check(qn_str_eq(qn_strbuf_view(&once), qn_strbuf_view(&twice)));
    }
    qn_status_free(status);
    qn_strbuf_deinit(&once);
    qn_strbuf_deinit(&twice);
    qn_arena_deinit(&arena);
    return 0;
}
