/* safetensors: whatever the bytes are, opening ends with an error or with tensors whose every element can be read. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "format/tensor_set.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct qn_tensor_set set;
    qn_status status = qn_set_init(&set, qn_allocator_default());
    if (!status) {
        struct qn_set_file file = {.path = QN_STR("fuzz"), .map = {.data = data, .size = size}};
        if (qn_array_push(&set.files, set.allocator, file))
            status = qn_safetensors_read(&set, 0);
    }
    uint64_t covered = 0;
    for (uint32_t i = 0; !status && i < set.tensors.count; i++) {
        const struct qn_set_tensor *t = &set.tensors.items[i];
        void *out = malloc(t->bytes + 1);
        if (out)
            qn_set_read(t, 0, t->elements, out);
        free(out);
        covered += t->stored;
        if (qn_set_find(&set, t->name) != t)
            abort();
    }
    if (!status && covered > size)
        abort(); /* tensors do not overlap */
    qn_status_free(status);
    qn_set_deinit(&set);
    return 0;
}
