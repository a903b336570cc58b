#define CONVERT qn_convert_elements
#define KERNEL qn_scatter_rows_ref
#define SERIAL 1300
#define NAME "scatter_rows_ref"
#define NEEDS 0
#define RANK 0
#include "kernels/scatter_rows/scatter_rows_body.h"
