/* Strings, n-grams, pictures: host functions with the attributes as constants. */
#include "format/onnx/lower.h"
#include "quern/tensor.h"

/* A single string, rank 0. */
static qn_value one_string(struct qn_lower *l, struct qn_str text)
{
    struct qn_string string = {text.data, text.size};
    return qn_onnx_data(l, QN_DTYPE_STRING, 0, NULL, &string);
}

QN_ONNX_LOWER(string_concat)
{
    qn_value in[] = {qn_onnx_in(l, 0), qn_onnx_in(l, 1)};
    qn_onnx_out(l, 0, qn_build_node(l->b, QN_OP_string_concat, in, 2, NULL, NULL));
}

/* The record's most: 0 for any number of splits, -1 for none. */
QN_ONNX_LOWER(string_split)
{
    int64_t most = qn_onnx_attr_i(l, "maxsplit", INT64_MAX);
    struct qn_str delimiter = qn_onnx_attr_s(l, "delimiter", "");
    struct qn_attr_string_split attr = {.count = qn_onnx_late(l, "parts"),
                                        .most = most == 0                       ? -1
                                                : most < 0 || most == INT64_MAX ? 0
                                                                                : most};
    qn_value in[] = {qn_onnx_in(l, 0), delimiter.size ? one_string(l, delimiter) : 0}, outs[2];
    qn_onnx_node(l, QN_OP_string_split, in, 2, &attr, outs, 2);
    qn_onnx_out(l, 0, outs[0]);
    if (qn_onnx_wants(l, 1))
        qn_onnx_out(l, 1, outs[1]);
}

QN_ONNX_LOWER(string_normalizer)
{
    static const char *const actions[] = {"NONE", "LOWER", "UPPER", NULL};
    uint64_t count;
    const struct qn_str *stops = qn_onnx_attr_strs(l, "stopwords", &count);
    struct qn_attr_string_normalize attr = {.count = qn_onnx_late(l, "words"),
                                            .letter_case = qn_onnx_attr_choice(l, "case_change_action", 0, actions),
                                            .case_sensitive = qn_onnx_attr_i(l, "is_case_sensitive", 0) != 0};
    qn_value in[] = {qn_onnx_in(l, 0), count ? qn_onnx_strings(l, stops, (uint32_t)count) : 0};
    qn_onnx_out(l, 0, qn_build_node(l->b, QN_OP_string_normalize, in, 2, &attr, NULL));
}

QN_ONNX_LOWER(regex_full_match)
{
    qn_value in[] = {qn_onnx_in(l, 0), one_string(l, qn_onnx_attr_s(l, "pattern", ""))};
    qn_onnx_out(l, 0, qn_build_node(l->b, QN_OP_regex_match, in, 2, NULL, NULL));
}

QN_ONNX_LOWER(tokenizer)
{
    static const struct qn_str any = {".", 1};
    uint64_t count;
    const struct qn_str *patterns = qn_onnx_attr_strs(l, "separators", &count);
    struct qn_str expression = qn_onnx_attr_s(l, "tokenexp", "");
    struct qn_attr_tokenize attr = {.count = qn_onnx_late(l, "tokens"),
                                    .least = qn_onnx_attr_i(l, "mincharnum", 1),
                                    .split = count > 0,
                                    .mark = qn_onnx_attr_i(l, "mark", 0) != 0};
    qn_value x = qn_onnx_in(l, 0);
    if (!count) {
        patterns = &expression;
        count = 1;
    }
    if (!attr.split && !expression.size)
        qn_onnx_fail(l, "needs separators or tokenexp");
    if (attr.least < 1)
        qn_onnx_fail(l, "mincharnum is %lld, expected 1 or more", (long long)attr.least);
    if (!l->b->status && (qn_onnx_rank(l, x) < 1 || qn_onnx_rank(l, x) > 2))
        qn_onnx_fail(l, "strings of rank %u, expected 1 or 2", qn_onnx_rank(l, x));
    if (count == 1 && (attr.split ? patterns[0].size == 0 : qn_str_eq(patterns[0], any)))
        count = 0; /* characters */
    if (count == 0 && attr.least > 1)
        qn_onnx_fail(l, "mincharnum is %lld where tokens are characters", (long long)attr.least);
    qn_value in[] = {x, qn_onnx_strings(l, patterns, (uint32_t)count),
                     one_string(l, qn_onnx_attr_s(l, "pad_value", ""))};
    qn_onnx_out(l, 0, qn_build_node(l->b, QN_OP_tokenize, in, 3, &attr, NULL));
}

QN_ONNX_LOWER(tfidf_vectorizer)
{
    static const char *const modes[] = {"TF", "IDF", "TFIDF", NULL};
    uint64_t columns_count, starts_count, weight_count, text_count, number_count;
    const int64_t *columns = qn_onnx_attr_i64s(l, "ngram_indexes", &columns_count);
    const int64_t *starts = qn_onnx_attr_i64s(l, "ngram_counts", &starts_count);
    const float *weights = qn_onnx_attr_f32s(l, "weights", &weight_count);
    const struct qn_str *texts = qn_onnx_attr_strs(l, "pool_strings", &text_count);
    const int64_t *numbers = qn_onnx_attr_i64s(l, "pool_int64s", &number_count);
    struct qn_attr_tfidf attr = {.mode = qn_onnx_attr_choice(l, "mode", 0, modes),
                                 .min_length = qn_onnx_attr_i(l, "min_gram_length", 1),
                                 .max_length = qn_onnx_attr_i(l, "max_gram_length", 1),
                                 .max_skip = qn_onnx_attr_i(l, "max_skip_count", 0)};
    for (uint64_t i = 0; i < columns_count; i++)
        if (columns[i] >= attr.outputs && columns[i] < 1 << 30)
            attr.outputs = columns[i] + 1;
    if (weight_count && weight_count != columns_count)
        qn_onnx_fail(l, "%llu weights for %llu n-grams", (unsigned long long)weight_count,
                     (unsigned long long)columns_count);
    int64_t weight_dims = (int64_t)weight_count;
    qn_value in[] = {qn_onnx_in(l, 0),
                     qn_onnx_type_of(l, qn_onnx_in(l, 0))->dtype == QN_DTYPE_STRING
                         ? qn_onnx_strings(l, texts, (uint32_t)text_count)
                         : qn_onnx_i64_list(l, numbers, (uint32_t)number_count),
                     qn_onnx_i64_list(l, starts, (uint32_t)starts_count),
                     qn_onnx_i64_list(l, columns, (uint32_t)columns_count),
                     weight_count ? qn_onnx_data(l, QN_DTYPE_F32, 1, &weight_dims, weights) : 0};
    qn_onnx_out(l, 0, qn_build_node(l->b, QN_OP_tfidf, in, 5, &attr, NULL));
}

QN_ONNX_LOWER(image_decoder)
{
    static const char *const formats[] = {"RGB", "BGR", "Grayscale", NULL};
    qn_value in = qn_onnx_in(l, 0);
    struct qn_attr_image_decode attr = {.height = qn_onnx_late(l, "height"),
                                        .width = qn_onnx_late(l, "width"),
                                        .pixels = qn_onnx_attr_choice(l, "pixel_format", 0, formats)};
    qn_onnx_out(l, 0, qn_build_node(l->b, QN_OP_image_decode, &in, 1, &attr, NULL));
}
