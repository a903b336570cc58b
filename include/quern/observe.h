/* Watching a model while it runs: every step with what it read and what it made.
 *
 * A step is a node of the optimised graph (or a conversion that a kernel needed). Its name is the node's, which
 * importers take from the file ("blk.3.ffn_down", the name of an ONNX node's output); a node without a name has its
 * op's. To see the nodes as the file has them, switch the passes off; to see activations as floats, ask for f32
 * activations.
 */
#ifndef QUERN_OBSERVE_H
#define QUERN_OBSERVE_H

#include <stdbool.h>

#include "quern/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Everything lives during the call only. Tensors are as in memory: contiguous and row-major; dtype NONE with data NULL
 * is one that is absent, or no plain tensor. Weights that a kernel packed show their shape, but not their data. An
 * input whose memory the step may have reused for its output shows what it holds now. */
struct qn_observation {
    size_t struct_size; /* what the library knows of this struct */
    const char *name, *op;
    uint32_t depth; /* of calls (If, Loop, ...): 0 is the graph itself */
    const struct qn_tensor *inputs, *outputs;
    uint32_t input_count, output_count;
};

/* Called after each step by the thread that runs the model. False ends the run with QN_CANCELLED. */
typedef bool (*qn_observe_fn)(void *context, const struct qn_observation *step);

#ifdef __cplusplus
}
#endif
#endif
