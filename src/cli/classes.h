/* The likeliest classes of a classifier's output. */
#ifndef QN_CLI_CLASSES_H
#define QN_CLI_CLASSES_H

#include <stdio.h>

#include "cli/tensors.h"

enum { QN_CLASSES_MAX = 100, QN_CLASS_LABEL_SIZE = 200 };

struct qn_classes {
    uint32_t count;
    struct qn_class {
        uint64_t index;
        double probability;
        char label[QN_CLASS_LABEL_SIZE]; /* empty: no label */
    } items[QN_CLASSES_MAX];             /* likeliest first */
};

/* From the first output of floats whose last axis has more than one element (with labels: as many as there are labels,
 * or one more, the background in front). Scores that are no probabilities go through softmax. labels: a file with a
 * label a line, or NULL. */
qn_status qn_classes_find(const struct qn_tensor_run *run, const char *labels, uint32_t top,
                          struct qn_classes *out) QN_MUST_USE;
/* " 97.3 %  star" a line, with a bar. */
void qn_classes_print(const struct qn_classes *classes, FILE *out);

/* Element i as a number; false where it is none. */
bool qn_tensor_number(const struct qn_tensor *tensor, uint64_t i, double *out);

#endif
