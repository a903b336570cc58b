#include "kernels/simd/simd.h"
#include "kernels/trees/trees.h"

enum { WALKS = 4 /* enough to hide the time that one step takes, and few wait for the deepest */ };

/* v, or -v, without a branch */
static inline float turn_f32(float v, int32_t what)
{
    union {
        float real;
        int32_t bits;
    } u = {v};
    u.bits ^= what & QN_TREE_NEGATED;
    return u.real;
}

static inline double turn_f64(double v, int32_t what)
{
    union {
        double real;
        int64_t bits;
    } u = {v};
    u.bits ^= (int64_t)(what & QN_TREE_NEGATED) * ((int64_t)1 << 32);
    return u.real;
}

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
