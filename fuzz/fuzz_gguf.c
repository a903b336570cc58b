/* Fuzzes the GGUF reader and `quern inspect`: whatever opens is walked to its last byte and shown in every form. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The command's sources, since the command is no library. */
#include "cli/json_out.c"
#include "cli/terminal.c"

#include "cli/inspect_ports.c"

#include "cli/inspect_file.c"

#include "base/json.h"
#include "format/gguf/gguf.h"
#include "format/model.h"

static uint64_t sum_bytes(const void *data, uint64_t size)
{
    const uint8_t *bytes = data;
    uint64_t sum = 0;
    for (uint64_t i = 0; i < size; i++)
        sum += bytes[i];
    return sum;
}

/* Touches everything a reader shows; whoever uses the sum keeps the reads alive. */
static uint64_t walk(const struct qn_gguf *gguf)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < gguf->kv_count; i++) {
        const struct qn_gguf_value *value = &gguf->kvs[i].value;
        if (qn_gguf_find(gguf, gguf->kvs[i].key.data) != value)
            __builtin_trap(); /* a key that is shown must be found */
        bool is_array = value->type == QN_GGUF_ARRAY;
        enum qn_gguf_type type = is_array ? value->elem_type : value->type;
        for (uint64_t k = 0; k < value->count && type != QN_GGUF_ARRAY; k++) {
            if (type == QN_GGUF_STRING) {
                struct qn_str text = is_array ? value->as.strings[k] : value->as.str;
                sum += sum_bytes(text.data, text.size);
            } else {
                sum += (uint64_t)qn_gguf_item_i64(value, k) + (qn_gguf_item_f64(value, k) > 0);
            }
        }
        if (is_array && type != QN_GGUF_STRING)
            sum += sum_bytes(value->as.items, value->item_bytes);
    }
    for (uint32_t i = 0; i < gguf->tensor_count; i++) {
        const struct qn_gguf_tensor *tensor = &gguf->tensors[i];
        if (qn_gguf_tensor(gguf, tensor->name) != tensor || tensor->offset % gguf->alignment)
            __builtin_trap();
        sum += sum_bytes(qn_gguf_tensor_data(gguf, tensor), tensor->bytes);
    }
    return sum;
}

/* Text holds no control character but the newline, and JSON reads back: a terminal or a reader is never fooled. */
static void check_shown(const char *text, size_t size, bool json)
{
    const struct qn_json_options options = {.unique_keys = true};
    const struct qn_json *root;
    struct qn_arena arena;
    for (size_t i = 0; i < size; i++)
        if (((unsigned char)text[i] < 0x20 && text[i] != '\n') || text[i] == 0x7f)
            __builtin_trap();
    if (!json)
        return;
    qn_arena_init(&arena, NULL);
    if (qn_json_read((struct qn_str){text, size}, &options, &arena, &root))
        __builtin_trap();
    qn_arena_deinit(&arena);
}

static void show(const struct qn_model *model, bool json, bool full)
{
    const struct qn_inspect_options options = {.json = json, .full = full};
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return;
    if (qn_inspect_file(model, &options, out))
        __builtin_trap(); /* what opens can be shown */
    fclose(out);
    check_shown(text, size, json);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct qn_model *model;
    qn_status status = qn_model_open_memory(data, size, "fuzz.gguf", NULL, &model);
    if (status) {
        if (!strstr(qn_status_message(status), "fuzz.gguf"))
            __builtin_trap(); /* errors name the file */
        qn_status_free(status);
        return 0;
    }
    if (!qn_model_gguf(model)) { /* bytes of another format */
        qn_model_close(model);
        return 0;
    }
    uint64_t sum = walk(qn_model_gguf(model));
    __asm__ volatile("" : : "r"(sum));
    show(model, false, false);
    show(model, false, true);
    show(model, true, false);
    qn_model_close(model);
    return 0;
}
