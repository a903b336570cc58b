#include <math.h>

#include "arch/arch.h"

/* Index of the frequency pair that makes `rotations` turns over the original context (YaRN, appendix A.2). */
static double correction_index(const struct qn_rope_config *rope, double rotations)
{
    return rope->dims * log(rope->original_context / (rotations * 2.0 * M_PI)) / (2.0 * log(rope->base));
}

/* YaRN: pairs that turn fast keep their frequency, slow ones are interpolated, with a linear ramp between. */
static void scale_yarn(const struct qn_rope_config *rope, float *frequencies)
{
    double low = correction_index(rope, rope->beta_fast), high = correction_index(rope, rope->beta_slow);
    low = fmax(0.0, rope->exact_ramp ? low : floor(low));
    high = fmin(rope->dims - 1.0, rope->exact_ramp ? high : ceil(high));
    for (uint32_t i = 0; i < rope->dims / 2; i++) {
        double ramp = (i - low) / fmax(0.001, high - low);
        double keep = 1.0 - fmin(1.0, fmax(0.0, ramp));
        frequencies[i] = (float)(frequencies[i] / rope->factor * (1.0 - keep) + frequencies[i] * keep);
    }
}

/* Llama 3: long wavelengths are divided by the factor, short ones kept, blended between. */
static void scale_llama3(const struct qn_rope_config *rope, float *frequencies)
{
    double low = rope->low_freq_factor, high = rope->high_freq_factor;
    for (uint32_t i = 0; i < rope->dims / 2; i++) {
        double wavelength = 2.0 * M_PI / frequencies[i];
        double turns = rope->original_context / wavelength;
        if (turns >= high)
            continue;
        double keep = turns <= low ? 0.0 : (turns - low) / (high - low);
        frequencies[i] = (float)(frequencies[i] / rope->factor * (1.0 - keep) + frequencies[i] * keep);
    }
}

void qn_rope_frequencies(const struct qn_rope_config *rope, const float *factors, float *inverse_frequencies,
                         float *magnitude)
{
    *magnitude = 1.0f;
    for (uint32_t i = 0; i < rope->dims / 2; i++) {
        double frequency = pow(rope->base, -2.0 * i / rope->dims);
        inverse_frequencies[i] = (float)(factors ? frequency / (double)factors[i] : frequency);
    }
    switch (rope->scaling) {
    case QN_ROPE_SCALING_NONE:
        break;
    case QN_ROPE_SCALING_LINEAR:
        for (uint32_t i = 0; i < rope->dims / 2; i++)
            inverse_frequencies[i] = (float)(inverse_frequencies[i] / rope->factor);
        break;
    case QN_ROPE_SCALING_YARN:
        scale_yarn(rope, inverse_frequencies);
        *magnitude = (float)((1.0 + 0.1 * log(rope->factor)) * (rope->attention_factor ? rope->attention_factor : 1.0));
        break;
    case QN_ROPE_SCALING_LONGROPE: /* the divisors are all of it */
        if (rope->attention_factor)
            *magnitude = (float)rope->attention_factor;
        break;
    case QN_ROPE_SCALING_LLAMA3:
        scale_llama3(rope, inverse_frequencies);
        break;
    }
}
