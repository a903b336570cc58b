/* Support vector machines as matrix products: kernel values [n, vectors] times coefficients. */
#include "format/onnx/import_state.h"
#include "format/onnx/ops/ml.h"

struct svm {
    const float *vectors, *coefficients, *rho;
    uint64_t vector_values, coefficient_count, rho_count;
    int64_t kernel; /* 0 linear, 1 poly, 2 rbf, 3 sigmoid */
    double gamma, coef0, degree;
};

static void read_svm(struct qn_lower *l, struct svm *s)
{
    static const char *const kernels[] = {"LINEAR", "POLY", "RBF", "SIGMOID", NULL};
    uint64_t count;
    const float *params = qn_onnx_attr_f32s(l, "kernel_params", &count);
    s->vectors = qn_onnx_attr_f32s(l, "support_vectors", &s->vector_values);
    s->coefficients = qn_onnx_attr_f32s(l, "coefficients", &s->coefficient_count);
    s->rho = qn_onnx_attr_f32s(l, "rho", &s->rho_count);
    s->kernel = qn_onnx_attr_choice(l, "kernel_type", 0, kernels);
    s->gamma = count > 0 ? (double)params[0] : 0;
    s->coef0 = count > 1 ? (double)params[1] : 0;
    s->degree = count > 2 ? (double)params[2] : 0;
    if (!s->rho_count || !s->coefficient_count)
        qn_onnx_fail(l, "coefficients or rho are missing");
}

/* Kernel values of x with rows of `count` vectors, [n, count]. */
static qn_value kernel_values(struct qn_lower *l, const struct svm *s, qn_value x, const float *vectors, int64_t count,
                              int64_t features)
{
    qn_value v = qn_ml_matrix(l, vectors, count, features), dot = qn_build_matmul(l->b, x, v, true, NULL);
    if (s->kernel == 0)
        return dot;
    if (s->kernel == 2) { /* |x - v|^2 = |x|^2 + |v|^2 - 2 x v */
        qn_value xx = qn_build_reduce(l->b, QN_OP_reduce_sum, qn_lower_binary(l, QN_OP_mul, x, x), 1, true);
        qn_value vv = qn_build_reduce(l->b, QN_OP_reduce_sum, qn_lower_binary(l, QN_OP_mul, v, v), 1, false);
        qn_value square = qn_lower_binary(l, QN_OP_sub, qn_lower_binary(l, QN_OP_add, xx, vv),
                                          qn_lower_with_number(l, QN_OP_mul, dot, 2));
        square = qn_lower_with_number(l, QN_OP_max, square, 0);
        return qn_lower_unary(l, QN_OP_exp, qn_lower_with_number(l, QN_OP_mul, square, -s->gamma));
    }
    qn_value y = qn_lower_with_number(l, QN_OP_add, qn_lower_with_number(l, QN_OP_mul, dot, s->gamma), s->coef0);
    return s->kernel == 1 ? qn_lower_with_number(l, QN_OP_pow, y, s->degree) : qn_lower_unary(l, QN_OP_tanh, y);
}

QN_ONNX_LOWER(svm_regressor)
{
    struct svm s;
    read_svm(l, &s);
    int64_t supports = qn_onnx_attr_i(l, "n_supports", 0);
    qn_value x = qn_ml_rows(l), y;
    if (l->b->status)
        return;
    if (supports > 0) {
        if (s.vector_values % (uint64_t)supports || s.coefficient_count != (uint64_t)supports) {
            qn_onnx_fail(l, "the support vectors do not fit %lld supports", (long long)supports);
            return;
        }
        qn_value k = kernel_values(l, &s, x, s.vectors, supports, (int64_t)(s.vector_values / (uint64_t)supports));
        y = qn_build_matmul(l->b, k, qn_ml_matrix(l, s.coefficients, 1, supports), true, NULL);
    } else {
        y = kernel_values(l, &s, x, s.coefficients, 1, (int64_t)s.coefficient_count);
    }
    y = qn_lower_with_number(l, QN_OP_add, y, (double)s.rho[0]);
    if (qn_onnx_attr_i(l, "one_class", 0))
        y = qn_build_where(l->b, qn_lower_with_number(l, QN_OP_less, qn_lower_unary(l, QN_OP_neg, y), 0),
                           qn_onnx_number(l, QN_DTYPE_F32, 1), qn_onnx_number(l, QN_DTYPE_F32, -1));
    qn_onnx_out(l, 0, qn_ml_post(l, y, qn_ml_post_of(l)));
}

/* ---- classifier ----------------------------------------------------------------------------------------------- */

/* One score for each pair of classes i < j, above zero where i wins: [n, pairs]. Coefficients of a vector of class i
 * against class j stand in row j - 1, those of class j against i in row i. */
static qn_value pair_scores(struct qn_lower *l, const struct svm *s, qn_value x, const int64_t *sizes, int64_t classes)
{
    int64_t vectors = 0, pairs = classes * (classes - 1) / 2, pair = 0;
    for (int64_t i = 0; i < classes; i++) {
        if (sizes[i] < 0 || sizes[i] > 1 << 28) {
            qn_onnx_fail(l, "%lld vectors of class %lld", (long long)sizes[i], (long long)i);
            return 0;
        }
        vectors += sizes[i];
    }
    if (vectors <= 0 || s->vector_values % (uint64_t)vectors || (int64_t)s->rho_count < pairs ||
        s->coefficient_count != (uint64_t)vectors * (uint64_t)(classes - 1)) {
        qn_onnx_fail(l, "%lld support vectors do not fit the other attributes", (long long)vectors);
        return 0;
    }
    float *w = qn_arena_alloc(&l->import->arena, (size_t)(pairs * vectors) * sizeof *w, 16);
    if (!w) {
        qn_onnx_fail(l, "no memory for %lld pairs of classes", (long long)pairs);
        return 0;
    }
    memset(w, 0, (size_t)(pairs * vectors) * sizeof *w);
    for (int64_t i = 0, first = 0; i < classes; first += sizes[i++]) {
        for (int64_t j = i + 1, other = first + sizes[i]; j < classes; other += sizes[j++], pair++) {
            for (int64_t v = first; v < first + sizes[i]; v++)
                w[pair * vectors + v] = s->coefficients[(j - 1) * vectors + v];
            for (int64_t v = other; v < other + sizes[j]; v++)
                w[pair * vectors + v] = s->coefficients[i * vectors + v];
        }
    }
    qn_value k = kernel_values(l, s, x, s->vectors, vectors, (int64_t)(s->vector_values / (uint64_t)vectors));
    qn_value y = qn_build_matmul(l->b, k, qn_ml_matrix(l, w, pairs, vectors), true, NULL);
    return qn_lower_binary(l, QN_OP_add, y, qn_ml_floats(l, s->rho, (uint64_t)pairs));
}

/* The class that wins most of its pairs, the first of equals: i64 [n]. */
static qn_value most_votes(struct qn_lower *l, qn_value scores, int64_t classes)
{
    int64_t pairs = classes * (classes - 1) / 2, pair = 0;
    float *won = qn_arena_alloc(&l->import->arena, (size_t)(pairs * classes * 2) * sizeof *won, 16);
    if (!won) {
        qn_onnx_fail(l, "no memory for %lld pairs of classes", (long long)pairs);
        return 0;
    }
    float *lost = won + pairs * classes;
    memset(won, 0, (size_t)(pairs * classes * 2) * sizeof *won);
    for (int64_t i = 0; i < classes; i++) {
        for (int64_t j = i + 1; j < classes; j++, pair++) {
            won[pair * classes + i] = 1;
            lost[pair * classes + j] = 1;
        }
    }
    qn_value first = qn_lower_binary(l, QN_OP_less, qn_onnx_number(l, QN_DTYPE_F32, 0), scores);
    qn_value wins = qn_build_cast(l->b, first, QN_DTYPE_F32), losses = qn_lower_number_first(l, QN_OP_sub, 1, wins);
    qn_value votes =
        qn_lower_binary(l, QN_OP_add, qn_build_matmul(l->b, wins, qn_ml_matrix(l, won, pairs, classes), false, NULL),
                        qn_build_matmul(l->b, losses, qn_ml_matrix(l, lost, pairs, classes), false, NULL));
    struct qn_attr_arg attr = {.axis = 1};
    return qn_build_node(l->b, QN_OP_argmax, &votes, 1, &attr, NULL);
}

static qn_value best(struct qn_lower *l, qn_value scores)
{
    struct qn_attr_arg attr = {.axis = 1};
    return qn_build_node(l->b, QN_OP_argmax, &scores, 1, &attr, NULL);
}

/* Platt's probability of the first of each pair, 1 / (1 + exp(a score + b)), then of each class: [n, classes]. */
static qn_value probabilities(struct qn_lower *l, qn_value scores, const float *a, const float *b, int64_t classes)
{
    uint64_t pairs = (uint64_t)(classes * (classes - 1) / 2);
    qn_value z = qn_lower_binary(l, QN_OP_mul, scores, qn_ml_floats(l, a, pairs));
    z = qn_lower_unary(l, QN_OP_neg, qn_lower_binary(l, QN_OP_add, z, qn_ml_floats(l, b, pairs)));
    qn_value p = qn_lower_unary(l, QN_OP_sigmoid, z);
    p = qn_lower_with_number(l, QN_OP_min, qn_lower_with_number(l, QN_OP_max, p, 1e-7), 1 - 1e-7);
    struct qn_attr_classes attr = {.classes = classes};
    return qn_build_node(l->b, QN_OP_pair_coupling, &p, 1, &attr, NULL);
}

QN_ONNX_LOWER(svm_classifier)
{
    struct svm s;
    struct qn_ml_labels labels = qn_ml_labels(l, "classlabels_ints");
    enum qn_ml_post post = qn_ml_post_of(l);
    uint64_t sizes_count, a_count, b_count;
    const int64_t *sizes = qn_onnx_attr_i64s(l, "vectors_per_class", &sizes_count);
    const float *a = qn_onnx_attr_f32s(l, "prob_a", &a_count), *b = qn_onnx_attr_f32s(l, "prob_b", &b_count);
    read_svm(l, &s);
    qn_value x = qn_ml_rows(l), which, scores;
    int64_t classes = (int64_t)labels.count;
    if (l->b->status)
        return;
    if (classes < 2 || classes > 4096 || (sizes_count && (int64_t)sizes_count != classes)) {
        qn_onnx_fail(l, "%lld labels for %llu classes", (long long)classes, (unsigned long long)sizes_count);
        return;
    }
    if (!sizes_count) { /* linear: a row of coefficients for each class */
        if (s.coefficient_count % (uint64_t)classes) {
            qn_onnx_fail(l, "%llu coefficients for %lld classes", (unsigned long long)s.coefficient_count,
                         (long long)classes);
            return;
        }
        scores = kernel_values(l, &s, x, s.coefficients, classes, (int64_t)s.coefficient_count / classes);
        scores = qn_lower_with_number(l, QN_OP_add, scores, (double)s.rho[0]);
        which = best(l, scores);
    } else {
        scores = pair_scores(l, &s, x, sizes, classes);
        if (a_count && (a_count != (uint64_t)(classes * (classes - 1) / 2) || b_count != a_count)) {
            qn_onnx_fail(l, "prob_a and prob_b have %llu and %llu values for %lld classes", (unsigned long long)a_count,
                         (unsigned long long)b_count, (long long)classes);
            return;
        }
        which = most_votes(l, scores, classes); /* also where there are probabilities, as ONNX Runtime has it */
        if (a_count) {
            scores = probabilities(l, scores, a, b, classes);
        } else if (classes == 2) {
            bool margin = post == QN_ML_NONE || post == QN_ML_LOGISTIC;
            qn_value other =
                margin ? qn_lower_unary(l, QN_OP_neg, scores) : qn_lower_number_first(l, QN_OP_sub, 1, scores);
            scores = qn_ml_both(l, other, scores);
            post = margin ? post : QN_ML_NONE;
        }
    }
    if (qn_onnx_wants(l, 0))
        qn_onnx_out(l, 0, qn_ml_label_of(l, &labels, which));
    if (qn_onnx_wants(l, 1))
        qn_onnx_out(l, 1, qn_ml_post(l, scores, post));
}
