/* Runs of elements of a float dtype to and from float, as qn_load_f32 and qn_store_f32 do, with vectors where the run
 * is contiguous. */
#ifndef QN_SIMD_VEC_ELEMENT_H
#define QN_SIMD_VEC_ELEMENT_H

#include "kernels/element.h"
#include "kernels/simd/vec.h"
#include "quant/half.h"

static inline void vf_load_run(float *out, const void *from, int64_t step, qn_dtype dtype, int64_t n)
{
    int64_t i = 0;
    if (dtype == QN_DTYPE_F32 && step == 4) {
        for (; i + VF_LANES <= n; i += VF_LANES)
            vf_store(out + i, vf_load((const float *)from + i));
    } else if (dtype == QN_DTYPE_F16 && step == 2) {
        for (; i + VF_LANES <= n; i += VF_LANES)
            vf_store(out + i, vf_load_f16((const uint16_t *)from + i));
    } else if (dtype == QN_DTYPE_BF16 && step == 2) {
        for (; i + VF_LANES <= n; i += VF_LANES)
            vf_store(out + i, vf_load_bf16((const uint16_t *)from + i));
    }
    if (i < n)
        qn_load_f32(out + i, (const char *)from + i * step, step, dtype, n - i);
}

static inline void vf_store_run(void *to, int64_t step, qn_dtype dtype, const float *in, int64_t n)
{
    int64_t i = 0;
    if (dtype == QN_DTYPE_F32 && step == 4) {
        for (; i + VF_LANES <= n; i += VF_LANES)
            vf_store((float *)to + i, vf_load(in + i));
    } else if (dtype == QN_DTYPE_F16 && step == 2) {
        for (; i + VF_LANES <= n; i += VF_LANES)
            vf_store_f16((uint16_t *)to + i, vf_load(in + i));
    } else if (dtype == QN_DTYPE_BF16 && step == 2) {
        for (; i + VF_LANES <= n; i += VF_LANES)
            vf_store_bf16((uint16_t *)to + i, vf_load(in + i));
    }
    if (i < n)
        qn_store_f32((char *)to + i * step, step, dtype, in + i, n - i);
}

/* Dtypes whose elements pass through float without loss. */
static inline bool vf_takes(qn_dtype dtype)
{
    return dtype == QN_DTYPE_F32 || dtype == QN_DTYPE_F16 || dtype == QN_DTYPE_BF16;
}

/* qn_convert_elements, with vectors between two of those dtypes. */
static inline void vf_convert_elements(void *to, int64_t to_step, qn_dtype to_dtype, const void *from,
                                       int64_t from_step, qn_dtype from_dtype, int64_t n)
{
    if (to_dtype == from_dtype || !vf_takes(to_dtype) || !vf_takes(from_dtype)) {
        qn_convert_elements(to, to_step, to_dtype, from, from_step, from_dtype, n);
        return;
    }
    float v[QN_ELEMENT_RUN];
    for (int64_t i = 0; i < n; i += QN_ELEMENT_RUN) {
        int64_t run = n - i < QN_ELEMENT_RUN ? n - i : QN_ELEMENT_RUN;
        vf_load_run(v, (const char *)from + i * from_step, from_step, from_dtype, run);
        vf_store_run((char *)to + i * to_step, to_step, to_dtype, v, run);
    }
}

#endif
