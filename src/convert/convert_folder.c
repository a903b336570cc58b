#include "convert/convert_internal.h"

qn_status qn_convert_to_folder(struct qn_model *model, const char *output, const struct qn_convert_options *options,
                               struct qn_convert_stats *stats)
{
    (void)model, (void)options, (void)stats;
    return QN_ERROR(QN_UNSUPPORTED, "%s: expected an output that ends with .gguf", output);
}
