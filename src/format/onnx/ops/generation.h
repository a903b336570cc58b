/* BeamSearch, GreedySearch, Sampling and WhisperBeamSearch: loops over a decoder that is a subgraph of the node.
 *
 * A first run (of the decoder, or of an encoder that starts it) gives logits for the sequences of the batch;
 * search_step chooses tokens, from then on for each beam. A round runs the decoder for the last token of each: it is a
 * region of its own beside those of the node, with one step that reads what the node reads. It carries the state of the
 * search, the tokens, the rows they continue and the decoder's pasts, which are brought into order when they are next
 * read. */
#ifndef QN_FORMAT_ONNX_OPS_GENERATION_H
#define QN_FORMAT_ONNX_OPS_GENERATION_H

#include "format/onnx/import_state.h"

/* Resolving: the region of a round as the last of a step of these ops. */
qn_status qn_search_add_rounds(struct qn_onnx_program *program, struct qn_onnx_step *step) QN_MUST_USE;

#endif
