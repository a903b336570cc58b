/* What the headers of this folder share.
 *
 * simd_<isa>.h gives one vocabulary over the vectors of an instruction set, so that a kernel whose algorithm does not
 * depend on their width is written once, in a header that one small file an instruction set includes:
 *
 *   vf                         a vector of VF_LANES floats
 *   vf_zero, vf_set, vf_load, vf_store, vf_add, vf_mul, vf_fma(a, b, c) = a * b + c, one rounding
 *   vf_load_part(p, n)         the first n < VF_LANES elements, zero behind; reads nothing behind them
 *   vf_load_f16, vf_load_bf16  VF_LANES 16-bit floats, widened; _part as above
 *   vf_keep(c, old, n)         the first n lanes of c, the others of old
 *   vf_transpose(v)            VF_LANES vectors as a square matrix
 *
 *   vi                         a vector of VF_LANES 32-bit integers, or of 4 VF_LANES bytes
 *   vi_set, vi_load, vi_store, vi_and, vi_or, vi_add, vi_float
 *   vi_left, vi_right, vi_right_signed   shifts of 32-bit lanes
 *   vi_set4(p)                 the 4 bytes at p in every lane
 *   vi_transpose(v)            as vf_transpose
 *   vi_half_float(v)           the low 16 bits of each lane, as a half, widened
 *   vi_dot(sum, u, s)          adds to each lane the 4 products of unsigned bytes below 64 and signed bytes
 *   vi_dot_wide(sum, w, s)     the same with any signed w, given as vi_wide(w): the sum comes out too large by
 *                              2^VI_WIDE_SHIFT times the sum of s where that is not 0
 *   vi_fold(sums, first, second)  sums[i] lane j belongs to bytes 4 (VF_LANES i + j) and on of 32 VF_LANES: lane b of
 *                              first and second becomes the sum of the first and last 16 of block b of 32
 *
 * Loads for quantised blocks; VI_BLOCKS blocks of 32 elements, VF_LANES / 8, fill a vector of bytes:
 *   vi_bytes(p)                4 VF_LANES bytes
 *   vi_blocks(p, stride)       32 bytes at p, at p + stride, ...
 *   vi_nibbles(p, stride)      the 16 low nibbles at p, then the 16 high ones, then those at p + stride, ...
 *   vi_bits(p, shift, step)    the 32 bytes at p moved right by shift, again by shift + step, ...; what comes in from
 *                              the next byte is to be masked away
 *   vi_flags(p, stride)        16 in each byte i whose bit i of the 32 at p is set, then those at p + stride, ...
 *   vi_heads(p, stride)        the 4 bytes at p, p + stride, ...: one a lane
 *   vi_eight_words(p, stride)  8 16-bit words at p, 8 at p + stride, ... widened to 32 bits
 *   vi_eight_bytes(b)          the bytes of VI_BLOCKS 64-bit numbers, widened (numbers: stores that a wider load takes
 *   vi_eight_pairs(b)          up at once are slow); the 16-bit words of twice as many
 *   vf_eight_halves(p, stride) the half at p in 8 lanes, that at p + stride in the next 8, ...
 */
#ifndef QN_SIMD_H
#define QN_SIMD_H

/* Functions over vectors must melt into their callers, and arrays of vectors into registers: inline always, and before
 * a loop with constant bounds QN_UNROLL. Debug builds do without, because sanitizers make that code huge. */
#if defined(QN_DEBUG)
#define QN_INLINE static inline
#define QN_UNROLL
#elif defined(__clang__)
#define QN_INLINE static inline __attribute__((always_inline))
#define QN_UNROLL _Pragma("clang loop unroll(full)")
#else
#define QN_INLINE static inline __attribute__((always_inline))
#define QN_UNROLL _Pragma("GCC unroll 64")
#endif

#endif
