#include "kernels/conv/conv_pack_body.h"

void qn_conv_copy_weights(const struct qn_conv_pack_params *p, int64_t at, int64_t row,
                          const struct qn_panel_words *words)
{
    copy_weights(p, at, row, words);
}

QN_CONV_PACK(1705, pack_conv_f32_8, 0, 0, QN_PACK_CONV_F32_8);
QN_CONV_PACK(1706, pack_conv_f32_16, 0, 0, QN_PACK_CONV_F32_16);
