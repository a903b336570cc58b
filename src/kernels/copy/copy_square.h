/* Squares of 4-byte elements transposed in registers, for COPY on vectors. */
#ifndef QN_KERNELS_COPY_SQUARE_H
#define QN_KERNELS_COPY_SQUARE_H

#include "kernels/simd/vec.h"

/* y[j][i] = x[i][j], in squares of registers; what lies outside is neither read nor written. */
static void square_4(char *y, int64_t y_row, const char *x, int64_t x_row, int64_t rows, int64_t columns)
{
    if (columns <= 4) { /* the channels of a picture: mostly empty registers */
        for (int64_t j = 0; j < columns; j++) {
            float *out = (float *)(void *)(y + j * y_row);
            for (int64_t i = 0; i < rows; i++)
                out[i] = *(const float *)(const void *)(x + i * x_row + j * 4);
        }
        return;
    }
    for (int64_t i = 0; i < rows; i += VF_LANES) {
        int64_t m = rows - i < VF_LANES ? rows - i : VF_LANES;
        for (int64_t j = 0; j < columns; j += VF_LANES) {
            int64_t n = columns - j < VF_LANES ? columns - j : VF_LANES;
            vf v[VF_LANES];
            const char *from = x + i * x_row + j * 4;
            char *to = y + j * y_row + i * 4;
            if (m == VF_LANES && n == VF_LANES) {
                QN_UNROLL
                for (int k = 0; k < VF_LANES; k++)
                    v[k] = vf_load((const float *)(const void *)(from + k * x_row));
                vf_transpose(v);
                QN_UNROLL
                for (int k = 0; k < VF_LANES; k++)
                    vf_store((float *)(void *)(to + k * y_row), v[k]);
                continue;
            }
            for (int k = 0; k < VF_LANES; k++) {
                const float *row = (const float *)(const void *)(from + k * x_row);
                v[k] = k >= m ? vf_zero() : n == VF_LANES ? vf_load(row) : vf_load_part(row, n);
            }
            vf_transpose(v);
            for (int64_t k = 0; k < n; k++) {
                float *row = (float *)(void *)(to + k * y_row);
                if (m == VF_LANES) {
                    vf_store(row, v[k]);
                } else if (m <= 4) { /* few channels of an image: stores under a mask are slow on some machines */
                    float lanes[VF_LANES];
                    vf_store(lanes, v[k]);
                    for (int64_t e = 0; e < m; e++)
                        row[e] = lanes[e];
                } else {
                    vf_store_part(row, v[k], m);
                }
            }
        }
    }
}

#endif
