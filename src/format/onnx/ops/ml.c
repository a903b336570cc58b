/* Linear models, scaling, imputing and their kin. */
#include "format/onnx/ops/ml.h"

#include "format/onnx/import_state.h"

/* ---- shared --------------------------------------------------------------------------------------------------- */

enum qn_ml_post qn_ml_post_of(struct qn_lower *l)
{
    static const char *const names[] = {"NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT", NULL};
    return (enum qn_ml_post)qn_onnx_attr_choice(l, "post_transform", 0, names);
}

/* Softmax over the scores that are not zero; zeros only shrink with the largest. */
static qn_value softmax_zero(struct qn_lower *l, qn_value x)
{
    qn_value zero = qn_onnx_number(l, QN_DTYPE_F32, 0), max = qn_build_reduce(l->b, QN_OP_reduce_max, x, 1, true);
    qn_value counts =
        qn_lower_binary(l, QN_OP_less, qn_onnx_number(l, QN_DTYPE_F32, 1e-7), qn_lower_unary(l, QN_OP_abs, x));
    qn_value e = qn_lower_unary(l, QN_OP_exp, qn_lower_binary(l, QN_OP_sub, x, max));
    qn_value small = qn_lower_binary(l, QN_OP_mul, x, qn_lower_unary(l, QN_OP_exp, qn_lower_unary(l, QN_OP_neg, max)));
    qn_value sum = qn_build_reduce(l->b, QN_OP_reduce_sum, qn_build_where(l->b, counts, e, zero), 1, true);
    return qn_lower_binary(l, QN_OP_div, qn_build_where(l->b, counts, e, small), sum);
}

/* sqrt(2) erfinv(2x - 1), with Winitzki's approximation of erfinv (constant 0.147), as ONNX Runtime has it. */
static qn_value probit(struct qn_lower *l, qn_value x)
{
    qn_value y = qn_lower_with_number(l, QN_OP_sub, qn_lower_with_number(l, QN_OP_mul, x, 2), 1);
    qn_value size = qn_lower_binary(l, QN_OP_mul, qn_lower_number_first(l, QN_OP_sub, 1, y),
                                    qn_lower_with_number(l, QN_OP_add, y, 1));
    qn_value log = qn_lower_unary(l, QN_OP_log, size);
    qn_value v =
        qn_lower_with_number(l, QN_OP_add, qn_lower_with_number(l, QN_OP_mul, log, 0.5), 2 / (3.14159f * 0.147f));
    qn_value inner = qn_lower_binary(l, QN_OP_sub, qn_lower_binary(l, QN_OP_mul, v, v),
                                     qn_lower_with_number(l, QN_OP_mul, log, 1 / 0.147));
    qn_value root =
        qn_lower_unary(l, QN_OP_sqrt, qn_lower_binary(l, QN_OP_sub, qn_lower_unary(l, QN_OP_sqrt, inner), v));
    qn_value signed_ =
        qn_build_where(l->b, qn_lower_with_number(l, QN_OP_less, y, 0), qn_lower_unary(l, QN_OP_neg, root), root);
    return qn_lower_with_number(l, QN_OP_mul, signed_, 1.41421356);
}

qn_value qn_ml_post(struct qn_lower *l, qn_value scores, enum qn_ml_post kind)
{
    switch (kind) {
    case QN_ML_SOFTMAX:
        return qn_build_softmax(l->b, scores, -1);
    case QN_ML_LOGISTIC:
        return qn_lower_unary(l, QN_OP_sigmoid, scores);
    case QN_ML_SOFTMAX_ZERO:
        return softmax_zero(l, scores);
    case QN_ML_PROBIT:
        return probit(l, scores);
    default:
        return scores;
    }
}

qn_value qn_ml_rows(struct qn_lower *l)
{
    qn_value x = qn_build_cast(l->b, qn_onnx_in(l, 0), QN_DTYPE_F32);
    uint32_t rank = qn_onnx_rank(l, x);
    if (rank == 1)
        x = qn_onnx_unsqueeze(l, x, &(struct qn_ints){1, {0}});
    else if (rank != 2)
        qn_onnx_fail(l, "input 0 has rank %u: expected [n, features]", rank);
    return l->b->status ? 0 : x;
}

struct qn_ml_labels qn_ml_labels(struct qn_lower *l, const char *ints)
{
    struct qn_ml_labels labels = {0};
    labels.strings = qn_onnx_attr_strs(l, "classlabels_strings", &labels.count);
    if (labels.count)
        return labels;
    labels.strings = NULL;
    labels.numbers = qn_onnx_attr_i64s(l, ints, &labels.count);
    return labels;
}

qn_value qn_ml_label_of(struct qn_lower *l, const struct qn_ml_labels *labels, qn_value classes)
{
    if (!labels->strings)
        return qn_build_gather(l->b, qn_onnx_i64_list(l, labels->numbers, (uint32_t)labels->count), classes, 0, 0);
    int64_t *numbers = QN_ARENA_ARRAY(&l->import->arena, int64_t, labels->count + 1);
    if (!numbers) {
        qn_onnx_fail(l, "no memory for %llu labels", (unsigned long long)labels->count);
        return 0;
    }
    for (uint64_t i = 0; i < labels->count; i++)
        numbers[i] = (int64_t)i;
    qn_value values = qn_onnx_strings(l, labels->strings, (uint32_t)labels->count);
    qn_value none = qn_build_reshape(l->b, qn_onnx_strings(l, &QN_STR(""), 1), 0, NULL);
    qn_value in[] = {classes, qn_onnx_i64_list(l, numbers, (uint32_t)labels->count), values, none};
    return qn_build_node(l->b, QN_OP_label_encode, in, 4, NULL, NULL);
}

qn_value qn_ml_both(struct qn_lower *l, qn_value negative, qn_value positive)
{
    return qn_build_concat(l->b, negative, positive, 1);
}

bool qn_ml_tensor(struct qn_lower *l, const char *name, qn_dtype *dtype, int64_t *count, const void **data)
{
    qn_value value = qn_onnx_attr_tensor(l, name);
    uint64_t bytes;
    if (!value)
        return false;
    const struct qn_value_info *info = qn_graph_value(l->b->graph, value);
    const struct qn_blob *blob = &l->b->graph->blobs.items[info->index];
    if (info->kind != QN_VALUE_CONSTANT || blob->place != QN_BLOB_MEMORY || !qn_type_bytes(&info->type, &bytes))
        return false;
    *dtype = info->type.dtype;
    *data = blob->data;
    *count = 1;
    for (uint32_t i = 0; i < info->type.rank; i++)
        *count *= info->type.dims[i];
    return true;
}

qn_value qn_ml_matrix(struct qn_lower *l, const float *values, int64_t rows, int64_t columns)
{
    return qn_onnx_data(l, QN_DTYPE_F32, 2, (const int64_t[]){rows, columns}, values);
}

qn_value qn_ml_floats(struct qn_lower *l, const float *values, uint64_t count)
{
    int64_t dim = (int64_t)count;
    return qn_onnx_data(l, QN_DTYPE_F32, 1, &dim, values);
}

/* ---- linear models -------------------------------------------------------------------------------------------- */

/* x coefficients^T + intercepts, [n, targets]. */
static qn_value linear_scores(struct qn_lower *l, uint64_t targets)
{
    uint64_t count, intercept_count;
    const float *coefficients = qn_onnx_attr_f32s(l, "coefficients", &count);
    const float *intercepts = qn_onnx_attr_f32s(l, "intercepts", &intercept_count);
    if (!targets || !count || count % targets || (intercept_count && intercept_count != targets)) {
        qn_onnx_fail(l, "%llu coefficients and %llu intercepts for %llu targets", (unsigned long long)count,
                     (unsigned long long)intercept_count, (unsigned long long)targets);
        return 0;
    }
    qn_value w = qn_ml_matrix(l, coefficients, (int64_t)targets, (int64_t)(count / targets));
    qn_value y = qn_build_matmul(l->b, qn_ml_rows(l), w, true, NULL);
    return intercept_count ? qn_lower_binary(l, QN_OP_add, y, qn_ml_floats(l, intercepts, intercept_count)) : y;
}

QN_ONNX_LOWER(linear_regressor)
{
    int64_t targets = qn_onnx_attr_i(l, "targets", 1);
    qn_value y = linear_scores(l, targets > 0 ? (uint64_t)targets : 0);
    qn_onnx_out(l, 0, qn_ml_post(l, y, qn_ml_post_of(l)));
}

/* One score for two labels decides by its sign; the other label's score is what is missing to 1 (as ONNX Runtime
 * does). */
QN_ONNX_LOWER(linear_classifier)
{
    struct qn_ml_labels labels = qn_ml_labels(l, "classlabels_ints");
    enum qn_ml_post post = qn_ml_post_of(l);
    uint64_t intercepts, classes;
    (void)qn_onnx_attr_f32s(l, "intercepts", &intercepts);
    classes = intercepts ? intercepts : labels.count ? labels.count : 1;
    qn_value scores = linear_scores(l, classes), which;
    if (classes == 1 && labels.count == 2) {
        qn_value above = qn_lower_binary(l, QN_OP_less, qn_onnx_number(l, QN_DTYPE_F32, 0), scores);
        which = qn_onnx_squeeze(l, qn_build_cast(l->b, above, QN_DTYPE_I64), &(struct qn_ints){1, {1}});
        if (post == QN_ML_LOGISTIC)
            scores = qn_ml_post(l, scores, post);
        scores = qn_ml_both(l, qn_lower_number_first(l, QN_OP_sub, 1, scores), scores);
        post = QN_ML_NONE;
    } else {
        struct qn_attr_arg attr = {.axis = 1};
        which = qn_build_node(l->b, QN_OP_argmax, &scores, 1, &attr, NULL);
    }
    if (labels.count < classes) {
        qn_onnx_fail(l, "%llu labels for %llu classes", (unsigned long long)labels.count, (unsigned long long)classes);
        return;
    }
    if (qn_onnx_wants(l, 0))
        qn_onnx_out(l, 0, qn_ml_label_of(l, &labels, which));
    if (qn_onnx_wants(l, 1))
        qn_onnx_out(l, 1, qn_ml_post(l, scores, post));
}

/* ---- elementwise ---------------------------------------------------------------------------------------------- */

QN_ONNX_LOWER(scaler)
{
    uint64_t scales, offsets;
    const float *scale = qn_onnx_attr_f32s(l, "scale", &scales), *offset = qn_onnx_attr_f32s(l, "offset", &offsets);
    qn_value x = qn_build_cast(l->b, qn_onnx_in(l, 0), QN_DTYPE_F32);
    if (offsets)
        x = qn_lower_binary(l, QN_OP_sub, x, qn_ml_floats(l, offset, offsets));
    if (scales)
        x = qn_lower_binary(l, QN_OP_mul, x, qn_ml_floats(l, scale, scales));
    qn_onnx_out(l, 0, x);
}

QN_ONNX_LOWER(binarizer)
{
    qn_value x = qn_onnx_in(l, 0);
    qn_dtype dtype = qn_onnx_type_of(l, x)->dtype;
    double threshold = (double)qn_onnx_attr_f(l, "threshold", 0);
    /* an integer is above the threshold when it is above its floor */
    if (qn_dtype_info(dtype)->class_ != QN_DTYPE_CLASS_FLOAT)
        threshold =
            threshold < 0 && (double)(int64_t)threshold != threshold ? (double)((int64_t)threshold - 1) : threshold;
    qn_value above = qn_lower_binary(l, QN_OP_less, qn_onnx_number(l, dtype, threshold), x);
    qn_onnx_out(l, 0, qn_build_cast(l->b, above, dtype));
}

QN_ONNX_LOWER(normalizer)
{
    static const char *const names[] = {"MAX", "L1", "L2", NULL};
    int64_t norm = qn_onnx_attr_choice(l, "norm", 0, names);
    qn_value x = qn_build_cast(l->b, qn_onnx_in(l, 0), QN_DTYPE_F32), size;
    uint32_t rank = qn_onnx_rank(l, x);
    if (rank < 1) {
        qn_onnx_fail(l, "expected [n, c] or [c]");
        return;
    }
    if (norm == 0)
        size = qn_build_reduce(l->b, QN_OP_reduce_max, x, (int64_t)rank - 1, true);
    else if (norm == 1)
        size = qn_build_reduce(l->b, QN_OP_reduce_sum, qn_lower_unary(l, QN_OP_abs, x), (int64_t)rank - 1, true);
    else
        size = qn_lower_unary(
            l, QN_OP_sqrt,
            qn_build_reduce(l->b, QN_OP_reduce_sum, qn_lower_binary(l, QN_OP_mul, x, x), (int64_t)rank - 1, true));
    qn_value zero = qn_onnx_number(l, QN_DTYPE_F32, 0), one = qn_onnx_number(l, QN_DTYPE_F32, 1);
    qn_value divisor = qn_build_where(l->b, qn_lower_binary(l, QN_OP_equal, size, zero), one, size);
    qn_onnx_out(l, 0, qn_lower_binary(l, QN_OP_div, x, divisor));
}

/* The value to replace may be NaN. */
QN_ONNX_LOWER(imputer)
{
    qn_value x = qn_onnx_in(l, 0), with, found;
    qn_dtype dtype = qn_onnx_type_of(l, x)->dtype;
    bool real = qn_dtype_info(dtype)->class_ == QN_DTYPE_CLASS_FLOAT;
    uint64_t floats, ints;
    const float *float_values = qn_onnx_attr_f32s(l, "imputed_value_floats", &floats);
    const int64_t *int_values = qn_onnx_attr_i64s(l, "imputed_value_int64s", &ints);
    float replaced = qn_onnx_attr_f(l, "replaced_value_float", 0);
    if ((real && !floats) || (!real && !ints)) {
        qn_onnx_fail(l, "no values to impute for %s", qn_dtype_name(dtype));
        return;
    }
    with = real ? qn_ml_floats(l, float_values, floats) : qn_onnx_i64_list(l, int_values, (uint32_t)ints);
    if (real && replaced != replaced)
        found = qn_lower_unary(l, QN_OP_is_nan, x);
    else if (real)
        found = qn_lower_with_number(l, QN_OP_equal, x, (double)replaced);
    else
        found =
            qn_lower_binary(l, QN_OP_equal, x,
                            qn_build_cast(l->b, qn_onnx_i64(l, qn_onnx_attr_i(l, "replaced_value_int64", 0)), dtype));
    qn_onnx_out(l, 0, qn_build_where(l->b, found, qn_build_cast(l->b, with, dtype), x));
}

/* All inputs side by side, [n, sum]; [c] counts as one row. */
QN_ONNX_LOWER(feature_vectorizer)
{
    uint64_t count;
    const int64_t *widths = qn_onnx_attr_i64s(l, "inputdimensions", &count);
    qn_value all = 0;
    for (uint32_t i = 0; i < l->input_count; i++) {
        qn_value x = qn_build_cast(l->b, qn_onnx_in(l, i), QN_DTYPE_F32);
        if (qn_onnx_rank(l, x) == 1)
            x = qn_onnx_unsqueeze(l, x, &(struct qn_ints){1, {0}});
        qn_dim width = qn_build_dim(l->b, x, 1);
        if (i < count && width > widths[i])
            x = qn_build_slice(l->b, x, 1, 0, widths[i]);
        all = all ? qn_build_concat(l->b, all, x, 1) : x;
    }
    qn_onnx_out(l, 0, all);
}

/* Elements of the last axis; a list of numbers stays a list of one row. */
QN_ONNX_LOWER(array_feature_extractor)
{
    qn_value x = qn_onnx_in(l, 0), at = qn_onnx_in(l, 1);
    uint32_t rank = qn_onnx_rank(l, x);
    if (qn_onnx_rank(l, at) != 1) {
        struct qn_attr_reshape flat = {.dims = {1, {1}}};
        for (uint32_t i = 0; i < qn_onnx_rank(l, at); i++)
            flat.dims.items[0] = qn_build_expr(l->b, QN_EXPR_MUL, flat.dims.items[0], qn_build_dim(l->b, at, i));
        at = qn_build_node(l->b, QN_OP_reshape, &at, 1, &flat, NULL);
    }
    if (rank < 1) {
        qn_onnx_fail(l, "nothing to extract from a single number");
        return;
    }
    qn_value y = qn_build_gather(l->b, x, at, (int64_t)rank - 1, 0);
    qn_onnx_out(l, 0, rank == 1 ? qn_onnx_unsqueeze(l, y, &(struct qn_ints){1, {0}}) : y);
}
