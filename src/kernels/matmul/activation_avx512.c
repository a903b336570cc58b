/* Activation forms with AVX-512; the same bits as the reference. */
#include "kernels/matmul/matmul.h"

#include <immintrin.h>

#include "platform/cpu.h"

static void quantise_block(const float *x, struct qn_q8_row row, int64_t block)
{
    __m512 low = _mm512_loadu_ps(x), high = _mm512_loadu_ps(x + 16);
    float largest = _mm512_reduce_max_ps(_mm512_max_ps(_mm512_abs_ps(low), _mm512_abs_ps(high)));
    float scale = largest >= QN_Q8_LEAST ? largest / 127.0f : 0;
    __m512 inverse = _mm512_set1_ps(largest >= QN_Q8_LEAST ? 127.0f / largest : 0);
    __m512i first = _mm512_cvtps_epi32(_mm512_mul_ps(low, inverse));
    __m512i second = _mm512_cvtps_epi32(_mm512_mul_ps(high, inverse));
    __m128i *q = (__m128i *)(void *)((int8_t *)row.q + 32 * block);
    _mm_storeu_si128(q, _mm512_cvtepi32_epi8(first));
    _mm_storeu_si128(q + 1, _mm512_cvtepi32_epi8(second));
    int32_t sum_first = _mm512_reduce_add_epi32(first), sum_second = _mm512_reduce_add_epi32(second);
    ((float *)row.scale)[block] = scale;
    ((int32_t *)row.minus_sum)[block] = -(sum_first + sum_second);
    ((int32_t *)row.minus_first)[block] = -sum_first;
    ((int32_t *)row.minus_second)[block] = -sum_second;
}

static void run_q8_32(const void *params, int64_t begin, int64_t end, void *scratch)
{
    const struct qn_activation_params *p = params;
    (void)scratch;
    int64_t row_bytes = qn_act_row_bytes(QN_ACT_Q8_32, p->k), blocks = p->k / 32;
    for (int64_t r = begin; r < end; r++) {
        uint8_t *out = (uint8_t *)p->out + r * row_bytes;
        struct qn_q8_row row = qn_q8_row(out, p->k);
        if (p->k % QN_Q8_STEP)
            for (int64_t i = 0; i < row_bytes; i += 64)
                _mm512_storeu_si512(out + i, _mm512_setzero_si512());
        for (int64_t b = 0; b < blocks; b++)
            quantise_block(p->x + r * p->x_stride + 32 * b, row, b);
    }
}

/* Nearest even by integer arithmetic, because the instruction for it flushes subnormals. */
static __m256i to_bf16(__m512 x)
{
    __m512i bits = _mm512_castps_si512(x);
    __m512i even = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    __m512i rounded = _mm512_add_epi32(bits, _mm512_add_epi32(even, _mm512_set1_epi32(0x7fff)));
    __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
    rounded = _mm512_mask_or_epi32(rounded, nan, bits, _mm512_set1_epi32(0x400000));
    return _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded, 16));
}

static void run_bf16(const void *params, int64_t begin, int64_t end, void *scratch)
{
    const struct qn_activation_params *p = params;
    (void)scratch;
    int64_t row_bytes = qn_act_row_bytes(QN_ACT_BF16, p->k);
    for (int64_t r = begin; r < end; r++) {
        const float *x = p->x + r * p->x_stride;
        uint16_t *out = (uint16_t *)(void *)((uint8_t *)p->out + r * row_bytes);
        for (int64_t i = 0; i < row_bytes / 2; i += 16) {
            int64_t left = p->k - i;
            __mmask16 mask = (__mmask16)(left >= 16 ? 0xffff : left > 0 ? (1u << left) - 1 : 0);
            _mm256_storeu_si256((__m256i *)(void *)(out + i), to_bf16(_mm512_maskz_loadu_ps(mask, x + i)));
        }
    }
}

const struct qn_kernel qn_activation_q8_32_avx512 = {
    .serial = 1610,
    .name = "activation_q8_32_avx512",
    .family = QN_FAMILY_ACTIVATION,
    .needs = QN_CPU_AVX512,
    .act = QN_ACT_Q8_32,
    .rank = 20,
    .tiles = qn_activation_tiles,
    .run = run_q8_32,
};

const struct qn_kernel qn_activation_bf16_avx512 = {
    .serial = 1611,
    .name = "activation_bf16_avx512",
    .family = QN_FAMILY_ACTIVATION,
    .needs = QN_CPU_AVX512,
    .act = QN_ACT_BF16,
    .rank = 20,
    .tiles = qn_activation_tiles,
    .run = run_bf16,
};
