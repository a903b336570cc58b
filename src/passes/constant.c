#include "passes/constant.h"

#include <math.h>

enum { MOST = 4096, INPUTS = 16 };

/* ---- tensors -------------------------------------------------------------------------------------------------- */

struct tensor {
    const struct qn_type *type;
    const uint8_t *data;
    uint64_t count;
};

static bool count_of(const struct qn_type *type, uint64_t *count)
{
    *count = 1;
    for (uint32_t i = 0; i < type->rank; i++) {
        if (type->dims[i] < 0 || type->dims[i] > MOST)
            return false;
        *count *= (uint64_t)type->dims[i];
        if (*count > MOST)
            return false;
    }
    return true;
}

static bool load(const struct qn_graph *g, qn_value v, struct tensor *out)
{
    const struct qn_value_info *value = qn_graph_value(g, v);
    if (v == 0 || value->kind != QN_VALUE_CONSTANT || value->type.encoding || qn_dtype_is_block(value->type.dtype))
        return false;
    const struct qn_blob *blob = &g->blobs.items[value->index];
    *out = (struct tensor){.type = &value->type, .data = blob->data};
    return blob->data && count_of(&value->type, &out->count);
}

static void coordinates(const struct qn_type *type, uint64_t index, int64_t out[QN_MAX_RANK])
{
    for (uint32_t i = type->rank; i-- > 0;) {
        out[i] = (int64_t)(index % (uint64_t)type->dims[i]);
        index /= (uint64_t)type->dims[i];
    }
}

static uint64_t index_of(const struct qn_type *type, const int64_t *at)
{
    uint64_t index = 0;
    for (uint32_t i = 0; i < type->rank; i++)
        index = index * (uint64_t)type->dims[i] + (uint64_t)at[i];
    return index;
}

/* The element of x that takes part in element `at` of a tensor of type `out`, under broadcasting. */
static uint64_t broadcast_index(const struct qn_type *x, const struct qn_type *out, const int64_t *at)
{
    uint64_t index = 0;
    for (uint32_t i = 0; i < x->rank; i++)
        index = index * (uint64_t)x->dims[i] + (x->dims[i] == 1 ? 0 : (uint64_t)at[out->rank - x->rank + i]);
    return index;
}

/* ---- numbers -------------------------------------------------------------------------------------------------- */

struct number {
    bool real;
    int64_t i; /* integers and bool */
    double f;  /* f32 and f64 */
};

static bool get(qn_dtype dtype, const uint8_t *data, uint64_t index, struct number *out)
{
    float single;
    int32_t narrow;
    *out = (struct number){0};
    switch (dtype) {
    case QN_DTYPE_F32:
        memcpy(&single, data + index * 4, 4);
        *out = (struct number){.real = true, .f = (double)single};
        return true;
    case QN_DTYPE_F64:
        out->real = true;
        memcpy(&out->f, data + index * 8, 8);
        return true;
    case QN_DTYPE_I32:
        memcpy(&narrow, data + index * 4, 4);
        out->i = narrow;
        return true;
    case QN_DTYPE_I64:
        memcpy(&out->i, data + index * 8, 8);
        return true;
    case QN_DTYPE_BOOL:
        out->i = data[index] != 0;
        return true;
    case QN_DTYPE_U8:
        out->i = data[index];
        return true;
    case QN_DTYPE_I8:
        out->i = data[index] - (data[index] & 0x80 ? 256 : 0);
        return true;
    default:
        return false;
    }
}

/* False when the number does not fit: what a kernel would do then is its own affair. */
static bool put(qn_dtype dtype, uint8_t *data, uint64_t index, struct number number)
{
    float single;
    int32_t narrow;
    if (number.real && dtype != QN_DTYPE_F32 && dtype != QN_DTYPE_F64 && dtype != QN_DTYPE_BOOL) {
        double most = dtype == QN_DTYPE_I32 ? 2147483647.0 : dtype == QN_DTYPE_I64 ? 9007199254740992.0 : 127.0;
        if (dtype == QN_DTYPE_U8 && number.f < 0)
            return false;
        if (!(fabs(number.f) <= most))
            return false;
        number.i = (int64_t)number.f;
    }
    switch (dtype) {
    case QN_DTYPE_F32:
        single = number.real ? (float)number.f : (float)number.i;
        memcpy(data + index * 4, &single, 4);
        return true;
    case QN_DTYPE_F64:
        if (!number.real)
            number.f = (double)number.i;
        memcpy(data + index * 8, &number.f, 8);
        return true;
    case QN_DTYPE_I32:
        narrow = (int32_t)(uint32_t)(uint64_t)number.i;
        memcpy(data + index * 4, &narrow, 4);
        return true;
    case QN_DTYPE_I64:
        memcpy(data + index * 8, &number.i, 8);
        return true;
    case QN_DTYPE_BOOL:
        data[index] = number.real ? number.f != 0 : number.i != 0;
        return true;
    case QN_DTYPE_U8:
    case QN_DTYPE_I8:
        data[index] = (uint8_t)(uint64_t)number.i;
        return true;
    default:
        return false;
    }
}

/* f64 holds the exact sum, product, quotient and root of f32 operands to more than twice their precision, so that
 * rounding once more to f32 gives what f32 arithmetic gives. */
static bool compute_real(uint16_t op, double a, double b, struct number *out)
{
    *out = (struct number){.real = true};
    switch (op) {
    case QN_OP_neg:
        out->f = -a;
        return true;
    case QN_OP_abs:
        out->f = fabs(a);
        return true;
    case QN_OP_sqrt:
        out->f = sqrt(a);
        return true;
    case QN_OP_reciprocal:
        out->f = 1 / a;
        return true;
    case QN_OP_floor:
        out->f = floor(a);
        return true;
    case QN_OP_ceil:
        out->f = ceil(a);
        return true;
    case QN_OP_round:
        out->f = rint(a);
        return true;
    case QN_OP_relu:
        out->f = a > 0 ? a : 0;
        return !isnan(a) && a != 0;
    case QN_OP_add:
        out->f = a + b;
        return true;
    case QN_OP_sub:
        out->f = a - b;
        return true;
    case QN_OP_mul:
        out->f = a * b;
        return true;
    case QN_OP_div:
        out->f = a / b;
        return true;
    case QN_OP_max:
        out->f = a > b ? a : b;
        return !isnan(a) && !isnan(b) && (a != 0 || b != 0);
    case QN_OP_min:
        out->f = a < b ? a : b;
        return !isnan(a) && !isnan(b) && (a != 0 || b != 0);
    default:
        break;
    }
    out->real = false;
    out->i = op == QN_OP_equal ? a == b : op == QN_OP_less ? a < b : a <= b;
    return op == QN_OP_equal || op == QN_OP_less || op == QN_OP_less_equal;
}

static bool compute_integer(uint16_t op, int64_t a, int64_t b, struct number *out)
{
    uint64_t x = (uint64_t)a, y = (uint64_t)b;
    *out = (struct number){0};
    switch (op) {
    case QN_OP_neg:
        out->i = (int64_t)(0 - x);
        return true;
    case QN_OP_abs:
        out->i = a < 0 ? (int64_t)(0 - x) : a;
        return true;
    case QN_OP_add:
        out->i = (int64_t)(x + y);
        return true;
    case QN_OP_sub:
        out->i = (int64_t)(x - y);
        return true;
    case QN_OP_mul:
        out->i = (int64_t)(x * y);
        return true;
    case QN_OP_div:
        if (b == 0)
            return false;
        out->i = b == -1 ? (int64_t)(0 - x) : a / b;
        return true;
    case QN_OP_max:
        out->i = a > b ? a : b;
        return true;
    case QN_OP_min:
        out->i = a < b ? a : b;
        return true;
    case QN_OP_equal:
        out->i = a == b;
        return true;
    case QN_OP_less:
        out->i = a < b;
        return true;
    case QN_OP_less_equal:
        out->i = a <= b;
        return true;
    case QN_OP_and:
        out->i = a && b;
        return true;
    case QN_OP_or:
        out->i = a || b;
        return true;
    case QN_OP_xor:
        out->i = !a != !b;
        return true;
    case QN_OP_relu:
        out->i = a > 0 ? a : 0;
        return true;
    case QN_OP_sign:
        out->i = (a > 0) - (a < 0);
        return true;
    case QN_OP_mod:
        if (b == 0 || b == -1)
            return false;
        out->i = a % b + (a % b != 0 && (a < 0) != (b < 0) ? b : 0);
        return true;
    case QN_OP_rem:
        if (b == 0 || b == -1)
            return false;
        out->i = a % b;
        return true;
    case QN_OP_not:
        out->i = !a;
        return true;
    default:
        return false;
    }
}

/* ---- ops ------------------------------------------------------------------------------------------------------ */

struct job {
    uint16_t op;
    const void *attr;
    uint32_t count;
    struct tensor inputs[INPUTS];
    const struct qn_type *type;
    uint64_t elements;
    uint8_t *out;
};

static bool elementwise(struct job *job)
{
    if (job->count > 3)
        return false;
    for (uint64_t i = 0; i < job->elements; i++) {
        int64_t at[QN_MAX_RANK];
        struct number x[3] = {{0}}, y;
        coordinates(job->type, i, at);
        for (uint32_t k = 0; k < job->count; k++) {
            const struct tensor *t = &job->inputs[k];
            if (!get(t->type->dtype, t->data, broadcast_index(t->type, job->type, at), &x[k]))
                return false;
        }
        bool known = true;
        if (job->op == QN_OP_where)
            y = x[0].i ? x[1] : x[2];
        else if (job->op == QN_OP_cast)
            y = x[0];
        else
            known =
                x[0].real ? compute_real(job->op, x[0].f, x[1].f, &y) : compute_integer(job->op, x[0].i, x[1].i, &y);
        if (!known || !put(job->type->dtype, job->out, i, y))
            return false;
    }
    return true;
}

/* Where element `at` of the output comes from: input number and index. False for an index out of range. */
static bool source_of(const struct job *job, const int64_t *at, uint32_t *input, uint64_t *index)
{
    int64_t from[QN_MAX_RANK] = {0};
    const struct qn_type *x = job->inputs[0].type;
    *input = 0;
    if (job->op == QN_OP_transpose) {
        const struct qn_attr_transpose *attr = job->attr;
        for (uint32_t i = 0; i < x->rank; i++)
            from[attr->perm.items[i]] = at[i];
        *index = index_of(x, from);
    } else if (job->op == QN_OP_slice) {
        const struct qn_attr_slice *attr = job->attr;
        for (uint32_t i = 0; i < x->rank; i++)
            from[i] = i == attr->axis ? attr->start + at[i] * attr->step : at[i];
        *index = index_of(x, from);
    } else if (job->op == QN_OP_expand) {
        *index = broadcast_index(x, job->type, at);
    } else if (job->op == QN_OP_concat) {
        int64_t axis = ((const struct qn_attr_axis *)job->attr)->axis;
        memcpy(from, at, sizeof from);
        while (from[axis] >= job->inputs[*input].type->dims[axis])
            from[axis] -= job->inputs[(*input)++].type->dims[axis];
        *index = index_of(job->inputs[*input].type, from);
    } else { /* gather */
        const struct qn_type *ids = job->inputs[1].type;
        uint32_t axis = (uint32_t)((const struct qn_attr_gather *)job->attr)->axis;
        struct number id;
        get(ids->dtype, job->inputs[1].data, index_of(ids, at + axis), &id);
        if (id.i < 0 && ((const struct qn_attr_gather *)job->attr)->from_end)
            id.i += x->dims[axis];
        if (id.i < 0 || id.i >= x->dims[axis])
            return false;
        for (uint32_t i = 0; i < x->rank; i++)
            from[i] = i < axis ? at[i] : i == axis ? id.i : at[i + ids->rank - 1];
        *index = index_of(x, from);
    }
    return true;
}

static bool move(struct job *job)
{
    uint32_t size = qn_dtype_info(job->type->dtype)->block_bytes;
    if (job->inputs[0].type->dtype != job->type->dtype)
        return false; /* a gather that converts */
    for (uint64_t i = 0; i < job->elements; i++) {
        int64_t at[QN_MAX_RANK] = {0};
        uint32_t input;
        uint64_t index;
        coordinates(job->type, i, at);
        if (!source_of(job, at, &input, &index))
            return false;
        memcpy(job->out + i * size, job->inputs[input].data + index * size, size);
    }
    return true;
}

static bool count_up(struct job *job)
{
    for (uint64_t i = 0; i < job->elements; i++)
        if (!put(job->type->dtype, job->out, i, (struct number){.i = (int64_t)i}))
            return false;
    return true;
}

static bool run(struct job *job)
{
    switch (job->op) {
    case QN_OP_iota:
        return count_up(job);
    case QN_OP_reshape:
        memcpy(job->out, job->inputs[0].data, job->elements * qn_dtype_info(job->type->dtype)->block_bytes);
        return true;
    case QN_OP_transpose:
    case QN_OP_slice:
    case QN_OP_expand:
    case QN_OP_concat:
    case QN_OP_gather:
        return move(job);
    default:
        return qn_op_info(job->op)->traits & QN_OP_ELEMENTWISE && elementwise(job);
    }
}

qn_status qn_constant_compute(struct qn_graph *g, uint16_t op, const qn_value *inputs, uint32_t count, const void *attr,
                              const struct qn_type *type, qn_value *out)
{
    struct job job = {.op = op, .attr = attr, .count = count, .type = type};
    uint64_t bytes;
    *out = 0;
    if (count > INPUTS || qn_op_info(op)->outputs != 1 || type->encoding || !count_of(type, &job.elements) ||
        !qn_type_bytes(type, &bytes) || qn_dtype_is_block(type->dtype))
        return NULL;
    for (uint32_t i = 0; i < count; i++)
        if (!load(g, inputs[i], &job.inputs[i]))
            return NULL;
    job.out = qn_calloc(g->allocator, 1, bytes);
    if (!job.out)
        return QN_OOM();
    qn_status status = NULL;
    if (run(&job))
        status = qn_graph_add_data(g, (struct qn_str){0}, type, job.out, out);
    qn_free(g->allocator, job.out, bytes ? bytes : 1);
    return status;
}
