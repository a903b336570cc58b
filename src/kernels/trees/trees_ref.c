#include "kernels/trees/trees.h"

#define REAL float
#define NAME(function) function##_f32
#include "kernels/trees/trees_body.h"
#define REAL double
#define NAME(function) function##_f64
#include "kernels/trees/trees_body.h"

static int64_t tiles(const void *params)
{
    const struct qn_trees_params *p = params;
    return (p->rows + QN_TREES_ROWS - 1) / QN_TREES_ROWS;
}

/* Which targets a row has votes for. */
static int64_t scratch_bytes(const void *params)
{
    const struct qn_trees_params *p = params;
    return QN_TREES_ROWS * p->targets;
}

static void run(const void *params, int64_t begin, int64_t end, void *scratch)
{
    const struct qn_trees_params *p = params;
    (p->dtype == QN_DTYPE_F64 ? run_f64 : run_f32)(p, begin, end, scratch);
}

const struct qn_kernel qn_trees_ref = {
    .serial = 3200,
    .name = "trees_ref",
    .family = QN_FAMILY_TREES,
    .tiles = tiles,
    .scratch = scratch_bytes,
    .run = run,
};
