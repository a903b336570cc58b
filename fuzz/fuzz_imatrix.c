/* Importance matrices, GGUF and the older .dat: whatever the bytes are, opening ends with an error that names the file,
 * or with entries that can be found by name and whose every mean is a finite number. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "convert/imatrix_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct qn_imatrix *imatrix;
    qn_status status = qn_imatrix_open_memory(data, size, "fuzz.imatrix", NULL, &imatrix);
    if (status) {
        if (imatrix || !strstr(qn_status_message(status), "fuzz.imatrix"))
            abort();
        qn_status_free(status);
        return 0;
    }
    for (uint32_t i = 0; i < imatrix->entry_count; i++) {
        const struct qn_imatrix_entry *entry = &imatrix->entries[i];
        if (qn_imatrix_find(imatrix, entry->name) != entry)
            abort();
        for (uint64_t k = 0; k < entry->matrices * entry->columns; k++)
            if (!(entry->means[k] >= 0) || isinf(entry->means[k]))
                abort();
    }
    qn_imatrix_close(imatrix);
    return 0;
}
