/* The cases of the ONNX conformance data: backend tests and real models, found, run through the public session API and
 * compared. */
#ifndef QN_TEST_CONFORMANCE_ONNX_CASES_H
#define QN_TEST_CONFORMANCE_ONNX_CASES_H

#include <stdbool.h>
#include <stdint.h>

enum onnx_layout {
    ONNX_LAYOUT_SETS = 0, /* <folder>/model.onnx, test_data_set_<n>/{input,output}_<i>.pb */
    ONNX_LAYOUT_LIGHT,    /* <name>.onnx, <name>_output_<i>.pb; inputs are counted up from 0 to 1 */
    ONNX_LAYOUT_NPY,      /* <folder>/model.onnx, in_<name>.npy, out_<name>.npy */
};

struct onnx_case {
    const char *group;
    char *name;   /* "test_abs" */
    char *folder; /* that the files lie in */
    enum onnx_layout layout;
    double tolerance;  /* of the tensor's range, or one step of integers; 0: as the layout has it */
    const char *known; /* why it fails, when the list says so */
};

struct onnx_cases {
    struct onnx_case *items;
    uint32_t count;
};

/* All cases below `folder`, sorted by name, that contain `pattern` (NULL: all). */
void onnx_find_cases(const char *group, const char *folder, enum onnx_layout layout, const char *pattern,
                     struct onnx_cases *out);
void onnx_free_cases(struct onnx_cases *cases);

/* Reads lines "group/case: reason" into the cases' `known`. Lines of a group that name no case are an error: *stale
 * gets the first one. The text must outlive the cases. */
void onnx_mark_known(char *text, struct onnx_cases *cases, bool whole_group, char stale[200]);

struct onnx_config {
    uint32_t threads;
    const char *off; /* disabled passes, or NULL */
};

struct onnx_outcome {
    bool good;
    uint64_t hash;   /* of all outputs' bytes */
    char words[700]; /* what went wrong */
};

void onnx_run_case(const struct onnx_case *one, const struct onnx_config *config, struct onnx_outcome *out);

/* The voice detector over a whole recording: 1,875 frames, each fed the state of the one before. */
void onnx_run_stream(const char *folder, const struct onnx_config *config, struct onnx_outcome *out);

#endif
