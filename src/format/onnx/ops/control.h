/* Control flow: regions of a node as bodies, and the types of what they give. */
#ifndef QN_FORMAT_ONNX_OPS_CONTROL_H
#define QN_FORMAT_ONNX_OPS_CONTROL_H

#include "format/onnx/import_state.h"

/* What bodies read of the values around the node: the call's last inputs, and what is fixed. */
struct qn_control_captured {
    uint32_t *slots;
    uint32_t count;
    struct qn_onnx_fixed *fixed;
    uint32_t fixed_count;
};

/* Types going round: inputs and outputs of a body of which `carried` come back as inputs. */
struct qn_control_frame {
    struct qn_type *in, *out;
    struct qn_onnx_type *in_kinds, *out_kinds;
    uint32_t in_count, out_count, carried;
    uint32_t first_in, first_out; /* of the carried ones */
    qn_dim changing;              /* the size of a dim that is not the same in each round */
};

const struct qn_onnx_region *qn_control_region(struct qn_lower *l, const char *name);
bool qn_control_captured(struct qn_lower *l, const struct qn_onnx_region *const *regions, uint32_t count,
                         struct qn_control_captured *out);
/* The number of a region's body; `types` are those of the region's own inputs. */
uint32_t qn_control_body(struct qn_lower *l, const struct qn_onnx_region *region, const struct qn_onnx_type *types,
                         const struct qn_control_captured *captured);
/* Imports a body for these types; false when that does not go (yet). Destroy *out. */
bool qn_control_trial(struct qn_lower *l, uint32_t body, const struct qn_type *first, uint32_t first_count,
                      const struct qn_control_captured *captured, struct qn_graph **out, struct qn_onnx_type *kinds);
/* Finds types of carried values that a round does not change (f->in), and of the outputs (f->out). False: not found. */
bool qn_control_carry(struct qn_lower *l, uint32_t body, const struct qn_control_captured *captured,
                      struct qn_control_frame *f);
/* Values with which a region goes round: trip count i64 [] or 0, condition bool [] or 0, then what is carried. */
struct qn_control_rounds {
    const qn_value *values;           /* 2 + carried */
    const struct qn_onnx_type *kinds; /* carried */
    uint32_t carried;
    const uint32_t *slots; /* where the model declares types of what comes out; 0: nowhere */
};
/* The region takes the number of the round, the condition and what is carried, and gives the condition, what is
 * carried, and what is collected: outs receives the last two, region->output_count - 1 values. */
void qn_control_loop(struct qn_lower *l, const struct qn_onnx_region *region, const struct qn_control_rounds *rounds,
                     qn_value *outs, struct qn_onnx_type *out_kinds);
/* A region, once, with a tensor for each of its inputs. */
void qn_control_run(struct qn_lower *l, const struct qn_onnx_region *region, const qn_value *values, qn_value *outs);
void qn_control_call(struct qn_lower *l, const qn_value *inputs, uint32_t count, const struct qn_attr_call *attr,
                     const struct qn_type *types, const struct qn_onnx_type *kinds, uint32_t outputs);

#endif
