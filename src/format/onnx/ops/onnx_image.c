/* Resizing and sampling: Resize, Upsample, GridSample, AffineGrid, RoiAlign; InstanceNormalization and
 * GroupNormalization. */
#include <inttypes.h>

#include "format/onnx/ops/image_window.h"
#include "kernels/element.h"

/* ---- Resize ---------------------------------------------------------------------------------------------------- */

static const char *const resize_modes[] = {"nearest", "linear", "cubic", "bilinear", NULL};
static const char *const resize_coordinates[] = {
    "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel",   "align_corners",
    "asymmetric", "tf_crop_and_resize",   "tf_half_pixel_for_nn", NULL};
static const char *const resize_roundings[] = {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil", NULL};
static const char *const resize_policies[] = {"stretch", "not_larger", "not_smaller", NULL};

/* Contents of a float input as numbers, at most 2 * QN_MAX_RANK; 0 when it is absent, empty, or not known yet. */
static uint32_t read_floats(struct qn_lower *l, uint32_t i, double *out)
{
    if (!qn_onnx_has(l, i))
        return 0;
    const struct qn_type *type = qn_onnx_type_of(l, qn_onnx_in(l, i));
    if (l->b->status || (type->rank == 1 && type->dims[0] == 0))
        return 0;
    const void *data = qn_onnx_constant(l, i);
    if (!data || l->b->status)
        return 0;
    type = qn_onnx_type_of(l, qn_onnx_in(l, i));
    int64_t count = type->rank == 0 ? 1 : type->dims[0];
    if (type->rank > 1 || count > 2 * QN_MAX_RANK || !qn_element_is_float(type->dtype)) {
        qn_onnx_fail(l, "input %u: expected a short list of floats", i);
        return 0;
    }
    qn_load_f64(out, data, qn_element_bytes(type->dtype), type->dtype, count);
    return (uint32_t)count;
}

/* floor(in * scale). Of a size that is not known yet, scale has to be a fraction of small numbers. */
static qn_dim scaled(struct qn_lower *l, qn_dim in, float scale)
{
    if (!(scale > 0) || scale > 1e9f) {
        qn_onnx_fail(l, "a scale of %g", (double)scale);
        return 0;
    }
    if (in >= 0)
        return (float)in * scale < 1e12f ? (qn_dim)((float)in * scale) : 0;
    for (int64_t divisor = 1; divisor <= 64; divisor++) {
        double times = (double)scale * (double)divisor, whole = (double)(int64_t)(times + 0.5);
        double off = times - whole;
        if (whole >= 1 && off < 1e-6 * whole && off > -1e-6 * whole)
            return qn_build_expr(l->b, QN_EXPR_DIV, qn_build_expr(l->b, QN_EXPR_MUL, in, (qn_dim)whole), divisor);
    }
    qn_onnx_defer(l, "a scale that is no simple fraction, of a size that is not known");
    return 0;
}

/* The axes that scales, sizes and regions speak of. */
static uint32_t resize_axes(struct qn_lower *l, uint32_t rank, uint32_t *axes)
{
    struct qn_ints given;
    uint32_t count = rank;
    for (uint32_t i = 0; i < rank; i++)
        axes[i] = i;
    if (qn_onnx_attr_ints(l, "axes", &given) && given.count) {
        count = given.count;
        for (uint32_t i = 0; i < count; i++)
            axes[i] = (uint32_t)qn_onnx_axis(l, given.items[i], rank, 0);
    }
    return l->b->status ? 0 : count;
}

static void list_ones(struct qn_floats *list, uint32_t rank)
{
    list->count = rank;
    for (uint32_t i = 0; i < rank; i++)
        list->items[i] = 1;
}

static bool resize_by_scales(struct qn_lower *l, const struct qn_type *x, const double *scales, uint32_t count,
                             const uint32_t *axes, struct qn_attr_resize *attr)
{
    list_ones(&attr->scales, x->rank);
    for (uint32_t i = 0; i < count; i++) {
        attr->scales.items[axes[i]] = (float)scales[i];
        attr->dims.items[axes[i]] = scaled(l, x->dims[axes[i]], (float)scales[i]);
    }
    return !l->b->status;
}

/* One scale for all axes, the least or the greatest that the sizes ask for. */
static bool resize_keeping_aspect(struct qn_lower *l, qn_value x, uint32_t input, uint32_t count, const uint32_t *axes,
                                  bool larger, struct qn_attr_resize *attr)
{
    struct qn_ints sizes;
    if (!qn_onnx_static(l, x) || !qn_onnx_known(l, input, &sizes))
        return false;
    if (sizes.count != count) {
        qn_onnx_fail(l, "%u sizes for %u axes", sizes.count, count);
        return false;
    }
    const struct qn_type *type = qn_onnx_type_of(l, x);
    double scale = 0;
    for (uint32_t i = 0; i < count; i++) {
        double in = (double)type->dims[axes[i]], wanted = (double)sizes.items[i] / (in > 0 ? in : 1);
        if (i == 0 || (larger ? wanted > scale : wanted < scale))
            scale = wanted;
    }
    list_ones(&attr->scales, type->rank);
    for (uint32_t i = 0; i < count; i++) {
        attr->scales.items[axes[i]] = (float)scale;
        attr->dims.items[axes[i]] = (qn_dim)(scale * (double)type->dims[axes[i]] + 0.5);
    }
    return true;
}

static bool resize_by_sizes(struct qn_lower *l, qn_value x, uint32_t input, uint32_t count, const uint32_t *axes,
                            struct qn_attr_resize *attr)
{
    struct qn_sizes sizes;
    int64_t policy = qn_onnx_attr_choice(l, "keep_aspect_ratio_policy", 0, resize_policies);
    if (policy && !l->b->status)
        return resize_keeping_aspect(l, x, input, count, axes, policy == 2, attr);
    if (!qn_onnx_sizes(l, input, &sizes))
        return false;
    if (sizes.count != count) {
        qn_onnx_fail(l, "%u sizes for %u axes", sizes.count, count);
        return false;
    }
    for (uint32_t i = 0; i < count; i++)
        attr->dims.items[axes[i]] = qn_onnx_size_dim(l, &sizes.items[i]);
    return !l->b->status;
}

static bool resize_region(struct qn_lower *l, uint32_t rank, uint32_t count, const uint32_t *axes,
                          struct qn_attr_resize *attr)
{
    double region[2 * QN_MAX_RANK];
    uint32_t given = read_floats(l, 1, region);
    if (l->b->status || (given == 0 && qn_onnx_has(l, 1) && !qn_onnx_try_constant(l, 1)))
        return false;
    if (given != 2 * count) {
        qn_onnx_fail(l, "roi has %u elements for %u axes", given, count);
        return false;
    }
    list_ones(&attr->roi_end, rank);
    attr->roi_begin.count = rank;
    for (uint32_t i = 0; i < count; i++) {
        attr->roi_begin.items[axes[i]] = (float)region[i];
        attr->roi_end.items[axes[i]] = (float)region[count + i];
    }
    return true;
}

static void resize_attributes(struct qn_lower *l, struct qn_attr_resize *attr)
{
    attr->mode = qn_onnx_attr_choice(l, "mode", 0, resize_modes);
    attr->mode = attr->mode == 3 ? 1 : attr->mode;
    attr->coordinates = QN_RESIZE_ASYMMETRIC; /* before version 11 */
    attr->rounding = 2;
    if (l->opset >= 11) {
        attr->coordinates =
            qn_onnx_attr_choice(l, "coordinate_transformation_mode", QN_RESIZE_HALF_PIXEL, resize_coordinates);
        attr->rounding = qn_onnx_attr_choice(l, "nearest_mode", 0, resize_roundings);
    }
    attr->cubic_a = qn_onnx_attr_f(l, "cubic_coeff_a", -0.75f);
    attr->outside = qn_onnx_attr_f(l, "extrapolation_value", 0);
    attr->exclude_outside = qn_onnx_attr_i(l, "exclude_outside", 0) != 0;
    attr->antialias = qn_onnx_attr_i(l, "antialias", 0) != 0;
    if (attr->coordinates == QN_RESIZE_CROP + 1) { /* floor((x + 0.5) / scale) */
        if (attr->mode != 0 || attr->rounding != 2)
            qn_onnx_fail(l, "tf_half_pixel_for_nn is taken with nearest neighbours and floor only");
        attr->coordinates = QN_RESIZE_HALF_PIXEL;
        attr->rounding = 1;
    }
}

/* The nearest element as versions before 11 have it: at or below the position where an axis grows, at or above it where
 * it shrinks; one op has one way for all axes. */
static qn_value old_nearest(struct qn_lower *l, qn_value x, const struct qn_attr_resize *attr)
{
    for (uint32_t grows = 0; grows < 2 && !l->b->status; grows++) {
        struct qn_attr_resize part = *attr;
        bool any = false;
        part.rounding = grows ? 2 : 3;
        for (uint32_t i = 0; i < part.dims.count; i++) {
            bool mine = attr->scales.items[i] < 1 ? !grows : grows && attr->scales.items[i] > 1;
            any |= mine;
            part.dims.items[i] = mine ? part.dims.items[i] : qn_build_dim(l->b, x, i);
            part.scales.items[i] = mine ? part.scales.items[i] : 1;
        }
        x = any ? qn_build_node(l->b, QN_OP_resize, &x, 1, &part, NULL) : x;
    }
    return x;
}

/* scales: -1 where there is no such input */
static void lower_resize(struct qn_lower *l, int scales_input, const double *scales, uint32_t scale_count)
{
    qn_value x = qn_onnx_in(l, 0);
    struct qn_attr_resize attr = {0};
    uint32_t axes[QN_MAX_RANK];
    if (l->b->status || !x)
        return;
    struct qn_type type = *qn_onnx_type_of(l, x);
    double numbers[2 * QN_MAX_RANK];
    resize_attributes(l, &attr);
    uint32_t count = resize_axes(l, type.rank, axes);
    attr.dims.count = type.rank;
    for (uint32_t i = 0; i < type.rank; i++)
        attr.dims.items[i] = type.dims[i];
    if (scales_input >= 0) {
        scale_count = read_floats(l, (uint32_t)scales_input, numbers);
        scales = numbers;
        bool empty =
            qn_onnx_has(l, (uint32_t)scales_input) && scale_count == 0 && !(l->opset >= 11 && qn_onnx_has(l, 3));
        if (empty) /* put off until it is known */
            return;
    }
    bool known;
    if (scale_count) {
        if (scale_count != count)
            qn_onnx_fail(l, "%u scales for %u axes", scale_count, count);
        known = !l->b->status && resize_by_scales(l, &type, scales, count, axes, &attr);
    } else if (l->opset >= 11 && qn_onnx_has(l, 3)) {
        known = resize_by_sizes(l, x, 3, count, axes, &attr);
    } else {
        qn_onnx_fail(l, "neither scales nor sizes are given");
        known = false;
    }
    if (known && attr.coordinates == QN_RESIZE_CROP)
        known = resize_region(l, type.rank, count, axes, &attr);
    if (known && l->opset < 11 && attr.mode == 0 && attr.scales.count == type.rank)
        qn_onnx_out(l, 0, old_nearest(l, x, &attr));
    else if (known)
        qn_onnx_out(l, 0, qn_build_node(l->b, QN_OP_resize, &x, 1, &attr, NULL));
}

QN_ONNX_LOWER(resize)
{
    lower_resize(l, l->opset < 11 ? 1 : 2, NULL, 0);
}

/* Before version 7 two factors, then a list, since 9 an input. */
QN_ONNX_LOWER(upsample)
{
    double scales[QN_MAX_RANK] = {1, 1};
    uint64_t count;
    if (l->opset >= 9) {
        lower_resize(l, 1, NULL, 0);
        return;
    }
    const float *list = qn_onnx_attr_f32s(l, "scales", &count);
    if (l->opset < 7) {
        scales[2] = (double)qn_onnx_attr_f(l, "height_scale", 1);
        scales[3] = (double)qn_onnx_attr_f(l, "width_scale", 1);
        count = 4;
    } else if (count == 0 || count > QN_MAX_RANK) {
        qn_onnx_fail(l, "scales is missing or too long");
        return;
    } else {
        for (uint64_t i = 0; i < count; i++)
            scales[i] = (double)list[i];
    }
    lower_resize(l, -1, scales, (uint32_t)count);
}

/* ---- sampling -------------------------------------------------------------------------------------------------- */

QN_ONNX_LOWER(grid_sample)
{
    static const char *const modes[] = {"nearest", "linear", "cubic", "bilinear", "bicubic", NULL};
    static const char *const paddings[] = {"zeros", "border", "reflection", NULL};
    qn_value inputs[2] = {qn_onnx_in(l, 0), qn_onnx_in(l, 1)};
    struct qn_attr_grid_sample attr = {.padding = qn_onnx_attr_choice(l, "padding_mode", 0, paddings),
                                       .align_corners = qn_onnx_attr_i(l, "align_corners", 0) != 0};
    int64_t mode = qn_onnx_attr_choice(l, "mode", 1, modes);
    attr.mode = mode > 2 ? mode - 2 : mode;
    qn_onnx_out(l, 0, qn_build_node(l->b, QN_OP_grid_sample, inputs, 2, &attr, NULL));
}

QN_ONNX_LOWER(roi_align)
{
    static const char *const coordinates[] = {"half_pixel", "output_half_pixel", NULL};
    static const char *const modes[] = {"avg", "max", NULL};
    qn_value inputs[3] = {qn_onnx_in(l, 0), qn_onnx_in(l, 1), qn_onnx_in(l, 2)};
    struct qn_attr_roi_align attr = {.height = qn_onnx_attr_i(l, "output_height", 1),
                                     .width = qn_onnx_attr_i(l, "output_width", 1),
                                     .sampling = qn_onnx_attr_i(l, "sampling_ratio", 0),
                                     .scale = qn_onnx_attr_f(l, "spatial_scale", 1),
                                     .max = qn_onnx_attr_choice(l, "mode", 0, modes) == 1};
    attr.half_pixel = l->opset >= 16 && qn_onnx_attr_choice(l, "coordinate_transformation_mode", 0, coordinates) == 0;
    qn_onnx_out(l, 0, qn_build_node(l->b, QN_OP_roi_align, inputs, 3, &attr, NULL));
}

/* rois [r, 5]: the image's number, then the corners. */
QN_ONNX_LOWER(max_roi_pool)
{
    struct qn_ints size = {0};
    qn_value x = qn_onnx_in(l, 0), rois = qn_onnx_in(l, 1);
    if (!qn_onnx_attr_ints(l, "pooled_shape", &size) || size.count != 2 || qn_onnx_rank(l, rois) != 2) {
        qn_onnx_fail(l, "pooled_shape and regions [r, 5] are expected");
        return;
    }
    struct qn_attr_roi_align attr = {
        .height = size.items[0], .width = size.items[1], .scale = qn_onnx_attr_f(l, "spatial_scale", 1), .whole = true};
    qn_value image = qn_onnx_squeeze(l, qn_build_slice(l->b, rois, 1, 0, 1), &(struct qn_ints){1, {1}});
    qn_value inputs[3] = {x, qn_build_slice(l->b, rois, 1, 1, 5), qn_build_cast(l->b, image, QN_DTYPE_I64)};
    qn_onnx_out(l, 0, qn_build_node(l->b, QN_OP_roi_align, inputs, 3, &attr, NULL));
}

/* count positions from -1 to 1: at the ends, or in the middle of equal parts. */
static qn_value spread(struct qn_lower *l, qn_dtype dtype, int64_t count, bool align)
{
    double step = align ? (count > 1 ? 2 / (double)(count - 1) : 0) : 2 / (double)(count > 0 ? count : 1);
    struct qn_attr_iota attr = {.count = count, .dtype = QN_DTYPE_I32};
    qn_value x = qn_build_cast(l->b, qn_build_node(l->b, QN_OP_iota, NULL, 0, &attr, NULL), dtype);
    x = qn_build_binary(l->b, QN_OP_mul, x, qn_onnx_number(l, dtype, step));
    return qn_build_binary(l->b, QN_OP_add, x, qn_onnx_number(l, dtype, align ? -1 : -1 + step / 2));
}

/* Positions of the pixels as rows (x, y, 1) or (x, y, z, 1), times theta transposed. */
QN_ONNX_LOWER(affine_grid)
{
    qn_value theta = qn_onnx_in(l, 0);
    struct qn_ints size;
    if (!qn_onnx_known(l, 1, &size) || !theta)
        return;
    bool align = qn_onnx_attr_i(l, "align_corners", 0) != 0;
    uint32_t axes = size.count - 2;
    qn_dtype dtype = qn_onnx_type_of(l, theta)->dtype;
    if (size.count != 4 && size.count != 5) {
        qn_onnx_fail(l, "size has %u elements: expected 4 or 5", size.count);
        return;
    }
    struct qn_attr_reshape whole = {.dims = {.count = axes + 1}};
    qn_dim pixels = 1;
    for (uint32_t i = 0; i < axes; i++) {
        if (size.items[2 + i] < 0 || size.items[2 + i] > INT32_MAX) {
            qn_onnx_fail(l, "a size of %" PRId64, size.items[2 + i]);
            return;
        }
        whole.dims.items[i] = size.items[2 + i];
        pixels = qn_build_expr(l->b, QN_EXPR_MUL, pixels, size.items[2 + i]);
    }
    whole.dims.items[axes] = 1;
    qn_value one = qn_onnx_number(l, dtype, 1), rows = qn_build_node(l->b, QN_OP_expand, &one, 1, &whole, NULL);
    for (uint32_t i = 0; i < axes; i++) { /* the first spatial axis ends up right before the one */
        qn_dim dims[4] = {1, 1, 1, 1};
        dims[i] = size.items[2 + i];
        qn_value part = qn_build_reshape(l->b, spread(l, dtype, size.items[2 + i], align), axes + 1, dims);
        part = qn_build_node(l->b, QN_OP_expand, &part, 1, &whole, NULL);
        rows = qn_build_concat(l->b, part, rows, axes);
    }
    qn_dim flat[2] = {pixels, axes + 1}, grid[5] = {qn_build_dim(l->b, theta, 0)};
    qn_value y = qn_build_matmul(l->b, qn_build_reshape(l->b, rows, 2, flat), theta, true, NULL);
    y = qn_build_cast(l->b, y, dtype);
    for (uint32_t i = 0; i < axes; i++)
        grid[1 + i] = size.items[2 + i];
    grid[1 + axes] = axes;
    qn_onnx_out(l, 0, qn_build_reshape(l->b, y, axes + 2, grid));
}

/* ---- normalisation by groups of channels ------------------------------------------------------------------------ */

/* Computes in f32 where x is narrower than that. */
static qn_value group_norm(struct qn_lower *l, qn_value x, qn_value scale, qn_value bias, int64_t groups)
{
    struct qn_attr_group_norm attr = {.groups = groups, .epsilon = qn_onnx_attr_f(l, "epsilon", 1e-5f)};
    qn_dtype dtype = qn_onnx_type_of(l, x)->dtype;
    qn_value inputs[3] = {x, qn_build_cast(l->b, scale, dtype), qn_build_cast(l->b, bias, dtype)};
    return qn_build_node(l->b, QN_OP_group_norm, inputs, 3, &attr, NULL);
}

QN_ONNX_LOWER(instance_norm)
{
    qn_value x = qn_onnx_in(l, 0), scale = qn_onnx_in(l, 1), bias = qn_onnx_in(l, 2);
    if (l->b->status || !x || !scale || !bias)
        return;
    const struct qn_type *type = qn_onnx_type_of(l, x);
    if (type->rank < 3 || type->dims[1] < 0) {
        if (type->rank < 3)
            qn_onnx_fail(l, "an input of rank %u: expected 3 or more", type->rank);
        else
            qn_onnx_defer(l, "the number of channels is not known");
        return;
    }
    qn_onnx_out(l, 0, group_norm(l, x, scale, bias, type->dims[1]));
}

/* One element a group to one a channel. */
static qn_value by_channel(struct qn_lower *l, qn_value v, int64_t groups, int64_t channels)
{
    qn_dim column[2] = {groups, 1};
    struct qn_attr_reshape whole = {.dims = {2, {groups, groups > 0 ? channels / groups : 0}}};
    v = qn_build_reshape(l->b, v, 2, column);
    v = qn_build_node(l->b, QN_OP_expand, &v, 1, &whole, NULL);
    return qn_build_reshape(l->b, v, 1, &channels);
}

/* Before version 21 scale and bias have one element a group. */
QN_ONNX_LOWER(group_norm)
{
    qn_value x = qn_onnx_in(l, 0), scale = qn_onnx_in(l, 1), bias = qn_onnx_in(l, 2);
    int64_t groups = qn_onnx_attr_i(l, "num_groups", 0);
    if (l->b->status || !x || !scale || !bias)
        return;
    const struct qn_type *type = qn_onnx_type_of(l, x);
    if (type->rank >= 2 && type->dims[1] < 0) {
        qn_onnx_defer(l, "the number of channels is not known");
        return;
    }
    if (type->rank < 2 || groups < 1 || type->dims[1] % groups) {
        qn_onnx_fail(l, "num_groups is %" PRId64 ", which does not divide the channels", groups);
        return;
    }
    if (l->opset < 21) {
        int64_t channels = type->dims[1];
        scale = by_channel(l, scale, groups, channels);
        bias = by_channel(l, bias, groups, channels);
    }
    qn_onnx_out(l, 0, group_norm(l, x, scale, bias, groups));
}
