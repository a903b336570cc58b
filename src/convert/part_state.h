/* Going on where an interrupted run stopped: "<output>.part.state" beside the part file says how many of its bytes are
 * good, and for which input and options. */
#ifndef QN_CONVERT_PART_STATE_H
#define QN_CONVERT_PART_STATE_H

#include "base/str.h"
#include "format/gguf/gguf.h"
#include "quern/convert.h"
#include "quern/model.h"

struct qn_part_state {
    struct qn_strbuf path; /* of the state */
    char print[24];        /* what the output depends on: sizes and times of its sources, and the options */
};

/* A zeroed state may be released. */
qn_status qn_part_state_init(struct qn_part_state *state, const struct qn_model *model, const char *output,
                             const struct qn_convert_options *options) QN_MUST_USE;
void qn_part_state_deinit(struct qn_part_state *state);

/* Good bytes of the part file; 0 when there is no state, or it is one of another input. */
uint64_t qn_part_state_read(const struct qn_part_state *state);
/* Brings what was written so far to the disk and notes it. */
qn_status qn_part_state_write(const struct qn_part_state *state, struct qn_gguf_writer *writer) QN_MUST_USE;

#endif
