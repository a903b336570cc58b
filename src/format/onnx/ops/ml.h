/* What the ops of ai.onnx.ml share. */
#ifndef QN_FORMAT_ONNX_OPS_ML_H
#define QN_FORMAT_ONNX_OPS_ML_H

#include "format/onnx/ops/elementwise.h"

enum qn_ml_post { QN_ML_NONE = 0, QN_ML_SOFTMAX, QN_ML_LOGISTIC, QN_ML_SOFTMAX_ZERO, QN_ML_PROBIT };

/* The attribute post_transform by name. */
enum qn_ml_post qn_ml_post_of(struct qn_lower *l);
/* The transform of scores [n, classes]. */
qn_value qn_ml_post(struct qn_lower *l, qn_value scores, enum qn_ml_post kind);

/* Input 0 as f32 [n, features]; a single row [features] becomes [1, features]. */
qn_value qn_ml_rows(struct qn_lower *l);

/* The labels of a classifier: classlabels_strings, or classlabels_ints under the name that the op gives it. */
struct qn_ml_labels {
    const struct qn_str *strings;
    const int64_t *numbers;
    uint64_t count;
};
struct qn_ml_labels qn_ml_labels(struct qn_lower *l, const char *ints);
/* Labels of class numbers (i64 [n]). */
qn_value qn_ml_label_of(struct qn_lower *l, const struct qn_ml_labels *labels, qn_value classes);

/* The scores of a classifier with one score for two classes: [n, 2] from [n, 1]. */
qn_value qn_ml_both(struct qn_lower *l, qn_value negative, qn_value positive);

/* Bytes of a tensor attribute; false when it is absent. */
bool qn_ml_tensor(struct qn_lower *l, const char *name, qn_dtype *dtype, int64_t *count, const void **data);

/* f32 constants [n] and [rows, n]. */
qn_value qn_ml_floats(struct qn_lower *l, const float *values, uint64_t count);
qn_value qn_ml_matrix(struct qn_lower *l, const float *values, int64_t rows, int64_t columns);

#endif
