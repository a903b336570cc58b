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
 */
#ifndef QN_SIMD_H
#define QN_SIMD_H

#define QN_INLINE static inline __attribute__((always_inline))

/* Before a loop with constant bounds whose arrays must become registers. */
#if defined(__clang__)
#define QN_UNROLL _Pragma("clang loop unroll(full)")
#else
#define QN_UNROLL _Pragma("GCC unroll 64")
#endif

#endif
