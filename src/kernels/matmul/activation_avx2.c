/* Activations as bytes with AVX2; the same bits as the reference. */
#include "kernels/matmul/matmul.h"

#include <immintrin.h>

#include "platform/cpu.h"

static __m256 magnitude(__m256 x)
{
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x);
}

static float largest_of(__m256 x)
{
    __m128 m = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    m = _mm_max_ps(m, _mm_movehl_ps(m, m));
    return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
}

static int32_t sum_of(__m256i x)
{
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
    s = _mm_add_epi32(s, _mm_unpackhi_epi64(s, s));
    return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 1)));
}

static void quantise_block(const float *x, struct qn_q8_row row, int64_t block)
{
    __m256 v[4];
    for (int i = 0; i < 4; i++)
        v[i] = _mm256_loadu_ps(x + 8 * i);
    float largest = largest_of(_mm256_max_ps(_mm256_max_ps(magnitude(v[0]), magnitude(v[1])),
                                             _mm256_max_ps(magnitude(v[2]), magnitude(v[3]))));
    float scale = largest >= QN_Q8_LEAST ? largest / 127.0f : 0;
    __m256 inverse = _mm256_set1_ps(largest >= QN_Q8_LEAST ? 127.0f / largest : 0);
    __m256i q[4];
    for (int i = 0; i < 4; i++)
        q[i] = _mm256_cvtps_epi32(_mm256_mul_ps(v[i], inverse));
    /* Packing works within 128-bit lanes: the last step puts groups of four back in order. */
    __m256i bytes = _mm256_packs_epi16(_mm256_packs_epi32(q[0], q[1]), _mm256_packs_epi32(q[2], q[3]));
    bytes = _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    _mm256_storeu_si256((__m256i *)(void *)((int8_t *)row.q + 32 * block), bytes);
    int32_t first = sum_of(_mm256_add_epi32(q[0], q[1])), second = sum_of(_mm256_add_epi32(q[2], q[3]));
    ((float *)row.scale)[block] = scale;
    ((int32_t *)row.minus_sum)[block] = -(first + second);
    ((int32_t *)row.minus_first)[block] = -first;
    ((int32_t *)row.minus_second)[block] = -second;
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
            for (int64_t i = 0; i < row_bytes; i += 32)
                _mm256_storeu_si256((__m256i *)(void *)(out + i), _mm256_setzero_si256());
        for (int64_t b = 0; b < blocks; b++)
            quantise_block(p->x + r * p->x_stride + 32 * b, row, b);
    }
}

const struct qn_kernel qn_activation_q8_32_avx2 = {
    .serial = 1620,
    .name = "activation_q8_32_avx2",
    .family = QN_FAMILY_ACTIVATION,
    .needs = QN_CPU_AVX2,
    .act = QN_ACT_Q8_32,
    .rank = 10,
    .tiles = qn_activation_tiles,
    .run = run_q8_32,
};
