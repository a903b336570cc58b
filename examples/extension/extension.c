/* A shared library with an op and a backend for Quern.
 *
 *     quern run model.onnx --extension ./libexample_extension.so --backend example,cpu --random
 *
 * The op example.org.ScaleShift(x) = scale x + shift, scale and shift being attributes. The backend adds and
 * multiplies f32 of equal shapes: not because it is faster, but to show how one is written.
 */
#include <stdio.h>
#include <string.h>

#include <quern/extension.h>

static int64_t element_count(const struct qn_tensor *tensor)
{
    int64_t count = 1;
    for (uint32_t i = 0; i < tensor->rank; i++)
        count *= tensor->dims[i];
    return count;
}

/* ---- the op --------------------------------------------------------------------------------------------------- */

static qn_status scale_shift_shape(void *context, const struct qn_node_view *node, struct qn_tensor *outputs)
{
    (void)context;
    qn_node_view_input(node, 0, &outputs[0]);
    if (outputs[0].dtype != QN_DTYPE_F32)
        return QN_STATUS(QN_UNSUPPORTED, "ScaleShift '%s': expected f32, found %s", qn_node_view_name(node),
                         qn_dtype_name(outputs[0].dtype));
    return NULL;
}

static qn_status scale_shift_compute(void *context, const struct qn_node_view *node, const struct qn_tensor *inputs,
                                     uint32_t input_count, struct qn_tensor *outputs, uint32_t output_count)
{
    (void)context;
    (void)input_count;
    (void)output_count;
    double scale = 1, shift = 0;
    qn_node_view_float(node, "scale", &scale);
    qn_node_view_float(node, "shift", &shift);
    const float *x = inputs[0].data;
    float *y = outputs[0].data;
    for (int64_t i = 0; i < element_count(&inputs[0]); i++)
        y[i] = (float)scale * x[i] + (float)shift;
    return NULL;
}

/* ---- the backend ---------------------------------------------------------------------------------------------- */

static bool takes(void *context, const struct qn_node_view *node, char *why, size_t why_size)
{
    (void)context;
    const char *op = qn_node_view_op(node);
    struct qn_tensor a, b;
    if (strcmp(op, "add") != 0 && strcmp(op, "mul") != 0) {
        snprintf(why, why_size, "it only adds and multiplies");
        return false;
    }
    qn_node_view_input(node, 0, &a);
    qn_node_view_input(node, 1, &b);
    if (a.dtype != QN_DTYPE_F32 || a.rank != b.rank || memcmp(a.dims, b.dims, a.rank * sizeof a.dims[0]) != 0) {
        snprintf(why, why_size, "it wants f32 of equal shapes");
        return false;
    }
    return true;
}

static qn_status run(void *context, void *program, const struct qn_node_view *node, const struct qn_tensor *inputs,
                     uint32_t input_count, struct qn_tensor *outputs, uint32_t output_count)
{
    (void)context;
    (void)program;
    (void)input_count;
    (void)output_count;
    bool add = strcmp(qn_node_view_op(node), "add") == 0;
    const float *a = inputs[0].data, *b = inputs[1].data;
    float *y = outputs[0].data;
    for (int64_t i = 0; i < element_count(&outputs[0]); i++)
        y[i] = add ? a[i] + b[i] : a[i] * b[i];
    return NULL;
}

/* ---- the entry ------------------------------------------------------------------------------------------------ */

static const struct qn_custom_op ops[] = {{
    .struct_size = sizeof(struct qn_custom_op),
    .domain = "example.org",
    .name = "ScaleShift",
    .outputs = 1,
    .shape = scale_shift_shape,
    .compute = scale_shift_compute,
}};

static const struct qn_custom_backend backends[] = {{
    .struct_size = sizeof(struct qn_custom_backend),
    .name = "example",
    .takes = takes,
    .run = run,
}};

static const struct qn_extension extension = {
    .struct_size = sizeof extension,
    .name = "example",
    .ops = ops,
    .op_count = 1,
    .backends = backends,
    .backend_count = 1,
};

const struct qn_extension *quern_extension(uint32_t abi);
const struct qn_extension *quern_extension(uint32_t abi)
{
    return abi == QN_EXTENSION_ABI ? &extension : NULL;
}
