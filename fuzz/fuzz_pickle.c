/* Files of torch.save and numpy: whatever the bytes are, opening ends with an error or with tensors whose every element
 * can be read. Bytes that are neither are read as a pickle alone. */
#include <stdint.h>
#include <stdlib.h>

#include "format/tensor_set.h"
#include "format/torch/pickle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_alone(const uint8_t *data, size_t size)
{
    struct qn_arena arena;
    const struct qn_pickle_value *value = NULL;
    uint64_t used = 0;
    qn_arena_init(&arena, qn_allocator_default());
    qn_status status = qn_pickle_read(data, size, &arena, &value, &used);
    if (!status && (!value || used > size))
        abort();
    qn_status_free(status);
    qn_arena_deinit(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct qn_tensor_set set;
    qn_status status = qn_set_init(&set, qn_allocator_default());
    if (!status)
        status = qn_set_add_memory(&set, data, size, "fuzz");
    if (status)
        read_alone(data, size);
    for (uint32_t i = 0; !status && i < set.tensors.count; i++) {
        const struct qn_set_tensor *t = &set.tensors.items[i];
        if (t->bytes > 64u << 20)
            continue;
        void *out = malloc(t->bytes + 1);
        if (out)
            qn_set_read(t, 0, t->elements, out);
        free(out);
    }
    qn_status_free(status);
    qn_set_deinit(&set);
    return 0;
}
