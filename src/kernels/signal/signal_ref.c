#define KERNEL qn_signal_ref
#define SERIAL 3100
#define NAME "signal_ref"
#define NEEDS 0
#define RANK 0
#include "kernels/signal/signal_body.h"
