/* Fuzzes the GGUF reader and `quern inspect`: whatever opens is walked to its last byte and shown in every form. */
#include "fuzz_model.h"

#include "format/gguf/gguf.h"
#include "format/model.h"

/* Touches everything a reader shows. */
static void walk(const struct qn_gguf *gguf)
{
    for (uint32_t i = 0; i < gguf->kv_count; i++) {
        const struct qn_gguf_value *value = &gguf->kvs[i].value;
        if (qn_gguf_find(gguf, gguf->kvs[i].key.data) != value)
            __builtin_trap(); /* a key that is shown must be found */
        bool is_array = value->type == QN_GGUF_ARRAY;
        enum qn_gguf_type type = is_array ? value->elem_type : value->type;
        for (uint64_t k = 0; k < value->count && type != QN_GGUF_ARRAY; k++) {
            if (type == QN_GGUF_STRING) {
                struct qn_str text = is_array ? value->as.strings[k] : value->as.str;
                touch(text.data, text.size);
            } else {
                sink((uint64_t)qn_gguf_item_i64(value, k) + (qn_gguf_item_f64(value, k) > 0));
            }
        }
        if (is_array && type != QN_GGUF_STRING)
            touch(value->as.items, value->item_bytes);
    }
    for (uint32_t i = 0; i < gguf->tensor_count; i++) {
        const struct qn_gguf_tensor *tensor = &gguf->tensors[i];
        if (qn_gguf_tensor(gguf, tensor->name) != tensor || tensor->offset % gguf->alignment)
            __builtin_trap();
        touch(qn_gguf_tensor_data(gguf, tensor), tensor->bytes);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct qn_model *model;
    qn_status status = qn_model_open_memory(data, size, "fuzz.gguf", NULL, &model);
    if (status) {
        check_words(status, "fuzz.gguf");
        return 0;
    }
    if (!qn_model_gguf(model)) { /* bytes of another format */
        qn_model_close(model);
        return 0;
    }
    walk(qn_model_gguf(model));
    show(model);
    qn_model_close(model);
    return 0;
}
