/* The 6-bit scales and minimums that Q4_K and Q5_K share: eight of each in 12 bytes.
 *
 * Bytes 0 to 3 hold the scales of groups 0 to 3 in their low six bits, bytes 4 to 7 the minimums. Groups 4 to 7 have
 * their low four bits in bytes 8 to 11 (scale low, minimum high) and their top two bits on top of bytes 0 to 7.
 */
#ifndef QN_QUANT_K_SCALES_H
#define QN_QUANT_K_SCALES_H

#include <stdint.h>

/* Scale and minimum (0..63) of group j (below 8). */
static inline void qn_k_scale_min(const uint8_t scales[12], int j, uint8_t *scale, uint8_t *min)
{
    if (j < 4) {
        *scale = scales[j] & 63;
        *min = scales[j + 4] & 63;
    } else {
        *scale = (uint8_t)((scales[j + 4] & 15) | (scales[j - 4] >> 6) << 4);
        *min = (uint8_t)((scales[j + 4] >> 4) | (scales[j] >> 6) << 4);
    }
}

/* The reverse: packs eight scales and minimums, each 0..63. */
static inline void qn_k_scale_min_pack(const uint8_t scale[8], const uint8_t min[8], uint8_t scales[12])
{
    for (int j = 0; j < 4; j++) {
        scales[j] = (uint8_t)(scale[j] | (scale[j + 4] >> 4) << 6);
        scales[j + 4] = (uint8_t)(min[j] | (min[j + 4] >> 4) << 6);
        scales[j + 8] = (uint8_t)((scale[j + 4] & 15) | (min[j + 4] & 15) << 4);
    }
}

#endif
