#define CONVERT qn_convert_elements
#define KERNEL qn_gather_ref
#define SERIAL 1200
#define NAME "gather_ref"
#define NEEDS 0
#define RANK 0
#include "kernels/gather/gather_body.h"
