#include <stdint.h>

static void square_4(char *y, int64_t y_row, const char *x, int64_t x_row, int64_t rows, int64_t columns)
{
    for (int64_t j = 0; j < columns; j++)
        for (int64_t i = 0; i < rows; i++)
            *(uint32_t *)(void *)(y + j * y_row + i * 4) = *(const uint32_t *)(const void *)(x + i * x_row + j * 4);
}

#define SQUARE_4 square_4
#define CONVERT qn_convert_elements
#define KERNEL qn_copy_ref
#define SERIAL 1100
#define NAME "copy_ref"
#define NEEDS 0
#define RANK 0
#include "kernels/copy/copy_body.h"
