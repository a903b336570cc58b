#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "conformance/conformance.h"
#include "conformance/internal.h"
#include "kernels/element.h"
#include "quant/quant.h"

/* Bytes around a tensor. AddressSanitizer guards its end better, against reading too. */
#if defined(__has_feature)
#define HAS_FEATURE(name) __has_feature(name)
#else
#define HAS_FEATURE(name) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || HAS_FEATURE(address_sanitizer)
enum { GUARD = 64, GUARD_BEHIND = 0, GUARD_BYTE = 0xa5 };
#else
enum { GUARD = 64, GUARD_BEHIND = 64, GUARD_BYTE = 0xa5 };
#endif

static uint64_t state = 1;

void cf_seed(uint64_t seed)
{
    state = seed * 0x9e3779b97f4a7c15u + 1;
}

uint64_t cf_random(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state * 0x2545f4914f6cdd1du;
}

double cf_uniform(double low, double high)
{
    return low + (high - low) * ((double)(cf_random() >> 11) * 0x1p-53);
}

int64_t cf_elems(const struct qn_view *view)
{
    int64_t n = 1;
    for (uint32_t i = 0; i < view->rank; i++)
        n *= view->dims[i];
    return n;
}

struct cf_tensor cf_tensor(qn_dtype dtype, enum cf_layout layout, uint32_t rank, const int64_t *dims)
{
    const struct qn_dtype_info *info = qn_dtype_info(dtype);
    struct cf_tensor t = {.view = {.dtype = dtype, .rank = rank}};
    int64_t stride = layout == CF_STRIDED ? 3 : 1;
    for (uint32_t i = 0; i < rank; i++) {
        uint32_t axis = layout == CF_TRANSPOSED ? i : rank - 1 - i;
        int64_t units = axis == rank - 1 ? dims[axis] / info->block_elems : dims[axis];
        t.view.dims[axis] = dims[axis];
        t.view.strides[axis] = stride;
        stride *= units;
        if (i == 0 && layout == CF_PADDED)
            stride += 5;
    }
    t.size = (size_t)stride * info->block_bytes + GUARD + GUARD_BEHIND;
    t.memory = malloc(t.size);
    assert(t.memory);
    memset(t.memory, GUARD_BYTE, t.size);
    t.view.data = t.memory + GUARD;
    return t;
}

void cf_release(struct cf_tensor *t)
{
    free(t->memory);
    *t = (struct cf_tensor){0};
}

struct qn_view cf_broadcast(const struct cf_tensor *t, uint32_t axes, const int64_t *dims)
{
    struct qn_view view = t->view;
    for (uint32_t i = 0; i < view.rank; i++) {
        if (!(axes >> i & 1))
            continue;
        view.dims[i] = dims[i];
        view.strides[i] = 0;
    }
    return view;
}

/* Address of element `number` in row-major order; of its block for block types. */
static char *element(const struct qn_view *view, int64_t number)
{
    const struct qn_dtype_info *info = qn_dtype_info(view->dtype);
    int64_t offset = 0;
    for (uint32_t i = view->rank; i-- > 0;) {
        int64_t index = number % view->dims[i];
        number /= view->dims[i];
        offset += (i == view->rank - 1 ? index / info->block_elems : index) * view->strides[i];
    }
    return (char *)view->data + offset * info->block_bytes;
}

void cf_set(struct cf_tensor *t, const double *values)
{
    int64_t n = cf_elems(&t->view), block = qn_dtype_info(t->view.dtype)->block_elems;
    for (int64_t i = 0; i < n; i += block) {
        if (block == 1) {
            qn_store_f64(element(&t->view, i), 0, t->view.dtype, values + i, 1);
            continue;
        }
        float v[512];
        for (int64_t j = 0; j < block; j++)
            v[j] = (float)values[i + j];
        qn_quant(t->view.dtype)->quantise(v, element(&t->view, i), block, NULL);
    }
}

void cf_fill(struct cf_tensor *t, double low, double high)
{
    int64_t n = cf_elems(&t->view);
    double *values = malloc((size_t)(n + 1) * sizeof *values);
    assert(values);
    for (int64_t i = 0; i < n; i++)
        values[i] = t->view.dtype == QN_DTYPE_BOOL ? (double)(cf_random() >> 40 & 1) : cf_uniform(low, high);
    cf_set(t, values);
    free(values);
}

double *cf_values(const struct qn_view *view)
{
    int64_t n = cf_elems(view), block = qn_dtype_info(view->dtype)->block_elems;
    double *values = malloc((size_t)(n + 1) * sizeof *values);
    assert(values);
    for (int64_t i = 0; i < n; i += block) {
        if (block == 1) {
            qn_load_f64(values + i, element(view, i), 0, view->dtype, 1);
            continue;
        }
        float v[512];
        qn_quant(view->dtype)->dequantise(element(view, i), v, block);
        for (int64_t j = 0; j < block; j++)
            values[i + j] = (double)v[j];
    }
    return values;
}

bool cf_only_view_written(const struct cf_tensor *t)
{
    const struct qn_dtype_info *info = qn_dtype_info(t->view.dtype);
    unsigned char *copy = malloc(t->size);
    assert(copy);
    memcpy(copy, t->memory, t->size);
    int64_t n = cf_elems(&t->view);
    for (int64_t i = 0; i < n; i += info->block_elems)
        memset(copy + ((unsigned char *)element(&t->view, i) - t->memory), GUARD_BYTE, info->block_bytes);
    bool clean = true;
    for (size_t i = 0; i < t->size; i++)
        clean &= copy[i] == GUARD_BYTE;
    free(copy);
    return clean;
}

void cf_falsify(const struct qn_view *view)
{
    int64_t n = cf_elems(view), block = qn_dtype_info(view->dtype)->block_elems;
    for (int64_t i = 0; i < n; i += block) {
        char *at = element(view, i);
        if (block > 1) {
            float v[512];
            qn_quant(view->dtype)->dequantise(at, v, block);
            for (int64_t j = 0; j < block; j++)
                v[j] *= 1.01f;
            qn_quant(view->dtype)->quantise(v, at, block, NULL);
        } else if (view->dtype == QN_DTYPE_BOOL) {
            if (i == n / 2)
                *at = !*at;
        } else {
            double v;
            qn_load_f64(&v, at, 0, view->dtype, 1);
            v = qn_element_is_float(view->dtype) ? v * 1.01 : v + (i == n / 2);
            qn_store_f64(at, 0, view->dtype, &v, 1);
        }
    }
}
