/* Labels, categories and maps: LabelEncoder, CategoryMapper, OneHotEncoder, ZipMap, DictVectorizer, CastMap. */
#include "format/onnx/ops/ml.h"
#include "quern/tensor.h"

/* ---- LabelEncoder --------------------------------------------------------------------------------------------- */

/* A list [n] under one of the names of `prefix`: _strings, _int64s, _floats, _tensor. 0 when there is none. */
static qn_value read_list(struct qn_lower *l, const char *strings, const char *ints, const char *floats,
                          const char *tensor)
{
    uint64_t count;
    if (qn_onnx_has_attr(l, tensor)) {
        qn_value value = qn_onnx_attr_tensor(l, tensor);
        if (qn_onnx_rank(l, value) == 0 && value)
            value = qn_onnx_unsqueeze(l, value, &(struct qn_ints){1, {0}});
        return value;
    }
    const struct qn_str *texts = qn_onnx_attr_strs(l, strings, &count);
    if (count)
        return qn_onnx_strings(l, texts, (uint32_t)count);
    const int64_t *numbers = qn_onnx_attr_i64s(l, ints, &count);
    if (count)
        return qn_onnx_i64_list(l, numbers, (uint32_t)count);
    const float *reals = qn_onnx_attr_f32s(l, floats, &count);
    return count ? qn_ml_floats(l, reals, count) : 0;
}

static qn_value one_string(struct qn_lower *l, struct qn_str text)
{
    struct qn_string string = {text.data, text.size};
    return qn_onnx_data(l, QN_DTYPE_STRING, 0, NULL, &string);
}

/* What stands for a key that is not in the table, in the dtype of the values. */
static qn_value read_default(struct qn_lower *l, qn_dtype dtype)
{
    if (qn_onnx_has_attr(l, "default_tensor")) {
        qn_value value = qn_onnx_attr_tensor(l, "default_tensor");
        if (qn_onnx_type_of(l, value)->dtype != dtype)
            qn_onnx_fail(l, "default_tensor is %s, the values are %s", qn_dtype_name(qn_onnx_type_of(l, value)->dtype),
                         qn_dtype_name(dtype));
        return qn_build_reshape(l->b, value, 0, NULL);
    }
    if (dtype == QN_DTYPE_STRING)
        return one_string(l, qn_onnx_attr_s(l, "default_string", "_Unused"));
    if (qn_dtype_info(dtype)->class_ == QN_DTYPE_CLASS_FLOAT)
        return qn_onnx_number(l, dtype, (double)qn_onnx_attr_f(l, "default_float", -0.0f));
    return qn_build_cast(l->b, qn_onnx_i64(l, qn_onnx_attr_i(l, "default_int64", -1)), dtype);
}

static void encode(struct qn_lower *l, qn_value keys, qn_value values, qn_value other)
{
    qn_value x = qn_onnx_in(l, 0);
    qn_dtype dtype = qn_onnx_type_of(l, keys)->dtype;
    if (dtype != QN_DTYPE_STRING && qn_onnx_type_of(l, x)->dtype != QN_DTYPE_STRING)
        x = qn_build_cast(l->b, x, dtype);
    qn_value in[] = {x, keys, values, other};
    qn_onnx_out(l, 0, qn_build_node(l->b, QN_OP_label_encode, in, 4, NULL, NULL));
}

/* Version 1 has a list of strings alone: words to their places, or places to words. */
static void encode_classes(struct qn_lower *l, const char *ints_name)
{
    uint64_t count, ints_count;
    const struct qn_str *texts = qn_onnx_attr_strs(l, ints_name ? "cats_strings" : "classes_strings", &count);
    const int64_t *ints = ints_name ? qn_onnx_attr_i64s(l, ints_name, &ints_count) : NULL;
    qn_value strings = qn_onnx_strings(l, texts, (uint32_t)count), numbers;
    if (ints_name && ints_count != count) {
        qn_onnx_fail(l, "%llu strings and %llu integers", (unsigned long long)count, (unsigned long long)ints_count);
        return;
    }
    if (ints) {
        numbers = qn_onnx_i64_list(l, ints, (uint32_t)count);
    } else {
        struct qn_attr_iota attr = {.count = (int64_t)count, .dtype = QN_DTYPE_I64};
        numbers = qn_build_node(l->b, QN_OP_iota, NULL, 0, &attr, NULL);
    }
    bool text = qn_onnx_type_of(l, qn_onnx_in(l, 0))->dtype == QN_DTYPE_STRING;
    encode(l, text ? strings : numbers, text ? numbers : strings,
           read_default(l, text ? QN_DTYPE_I64 : QN_DTYPE_STRING));
}

QN_ONNX_LOWER(label_encoder)
{
    if (l->opset < 2) {
        encode_classes(l, NULL);
        return;
    }
    qn_value keys = read_list(l, "keys_strings", "keys_int64s", "keys_floats", "keys_tensor");
    qn_value values = read_list(l, "values_strings", "values_int64s", "values_floats", "values_tensor");
    if (!l->b->status && (!keys || !values))
        qn_onnx_fail(l, "keys or values are missing");
    else
        encode(l, keys, values, read_default(l, qn_onnx_type_of(l, values)->dtype));
}

QN_ONNX_LOWER(category_mapper)
{
    encode_classes(l, "cats_int64s");
}

/* Each element compared with each category, on a new last axis. */
QN_ONNX_LOWER(one_hot_encoder)
{
    uint64_t texts, ints;
    const struct qn_str *strings = qn_onnx_attr_strs(l, "cats_strings", &texts);
    const int64_t *numbers = qn_onnx_attr_i64s(l, "cats_int64s", &ints);
    qn_value x = qn_onnx_in(l, 0), categories;
    if (qn_onnx_type_of(l, x)->dtype == QN_DTYPE_STRING) { /* by their numbers */
        struct qn_attr_iota attr = {.count = (int64_t)texts, .dtype = QN_DTYPE_I64};
        categories = qn_build_node(l->b, QN_OP_iota, NULL, 0, &attr, NULL);
        qn_value in[] = {x, qn_onnx_strings(l, strings, (uint32_t)texts), categories, qn_onnx_i64(l, -1)};
        x = qn_build_node(l->b, QN_OP_label_encode, in, 4, NULL, NULL);
    } else {
        x = qn_build_cast(l->b, x, QN_DTYPE_I64);
        categories = qn_onnx_i64_list(l, numbers, (uint32_t)ints);
    }
    x = qn_onnx_unsqueeze(l, x, &(struct qn_ints){1, {(int64_t)qn_onnx_rank(l, x)}});
    qn_onnx_out(l, 0, qn_build_cast(l->b, qn_lower_binary(l, QN_OP_equal, x, categories), QN_DTYPE_F32));
}

/* ---- maps ----------------------------------------------------------------------------------------------------- */

QN_ONNX_LOWER(zip_map)
{
    struct qn_ml_labels labels = qn_ml_labels(l, "classlabels_int64s");
    qn_value keys = labels.strings ? qn_onnx_strings(l, labels.strings, (uint32_t)labels.count)
                                   : qn_onnx_i64_list(l, labels.numbers, (uint32_t)labels.count);
    qn_value in[] = {keys, qn_onnx_in(l, 0)};
    struct qn_onnx_type type = {.kind = QN_ONNX_SEQUENCE,
                                .dtype = QN_DTYPE_F32,
                                .of_sequence = true,
                                .key = labels.strings ? QN_DTYPE_STRING : QN_DTYPE_I64};
    qn_onnx_out_object(l, 0, qn_build_node(l->b, QN_OP_map_sequence, in, 2, NULL, NULL), type);
}

/* The tensor [count] in an object. */
static qn_value typed(struct qn_lower *l, qn_value object, qn_dtype dtype, qn_dim count)
{
    struct qn_attr_object_tensor attr = {.dtype = dtype, .dims = {1, {count}}};
    return qn_build_node(l->b, QN_OP_object_tensor, &object, 1, &attr, NULL);
}

static qn_value lookup(struct qn_lower *l, qn_value keys, qn_dtype dtype, uint64_t count)
{
    qn_value in[] = {qn_onnx_in_any(l, 0), keys};
    return typed(l, qn_build_node(l->b, QN_OP_map_lookup, in, 2, NULL, NULL), dtype, (int64_t)count);
}

QN_ONNX_LOWER(dict_vectorizer)
{
    uint64_t texts, ints;
    const struct qn_str *strings = qn_onnx_attr_strs(l, "string_vocabulary", &texts);
    const int64_t *numbers = qn_onnx_attr_i64s(l, "int64_vocabulary", &ints);
    qn_value keys = texts ? qn_onnx_strings(l, strings, (uint32_t)texts) : qn_onnx_i64_list(l, numbers, (uint32_t)ints);
    qn_value y = lookup(l, keys, qn_onnx_in_type(l, 0).dtype, texts ? texts : ints);
    qn_onnx_out(l, 0, qn_onnx_unsqueeze(l, y, &(struct qn_ints){1, {0}}));
}

QN_ONNX_LOWER(cast_map)
{
    static const char *const casts[] = {"TO_FLOAT", "TO_STRING", "TO_INT64", NULL};
    static const char *const forms[] = {"DENSE", "SPARSE", NULL};
    static const qn_dtype dtypes[] = {QN_DTYPE_F32, QN_DTYPE_STRING, QN_DTYPE_I64};
    int64_t cast = qn_onnx_attr_choice(l, "cast_to", 0, casts), form = qn_onnx_attr_choice(l, "map_form", 0, forms);
    int64_t most = qn_onnx_attr_i(l, "max_map", 1);
    qn_dtype from = qn_onnx_in_type(l, 0).dtype;
    qn_value y;
    if (l->b->status)
        return;
    if (form == 1) {
        struct qn_attr_iota attr = {.count = most, .dtype = QN_DTYPE_I64};
        y = lookup(l, qn_build_node(l->b, QN_OP_iota, NULL, 0, &attr, NULL), from, (uint64_t)most);
    } else {
        qn_value in = qn_onnx_in_any(l, 0);
        y = typed(l, qn_build_node(l->b, QN_OP_map_values, &in, 1, NULL, NULL), from, qn_onnx_late(l, "values"));
    }
    qn_dtype to = dtypes[cast];
    if (from == QN_DTYPE_STRING && to != from) {
        struct qn_attr_cast attr = {.dtype = to};
        y = qn_build_node(l->b, QN_OP_from_string, &y, 1, &attr, NULL);
    } else if (to == QN_DTYPE_STRING && to != from) {
        y = qn_build_node(l->b, QN_OP_to_string, &y, 1, NULL, NULL);
    } else if (to != from) {
        y = qn_build_cast(l->b, y, to);
    }
    qn_onnx_out(l, 0, qn_onnx_unsqueeze(l, y, &(struct qn_ints){1, {0}}));
}
