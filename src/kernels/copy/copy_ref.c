#define CONVERT qn_convert_elements
#define KERNEL qn_copy_ref
#define SERIAL 1100
#define NAME "copy_ref"
#define NEEDS 0
#define RANK 0
#include "kernels/copy/copy_body.h"
