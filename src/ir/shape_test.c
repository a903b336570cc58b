/* The shape rules: one node on given input types, and the output types or the words of the refusal. */
#include <stdio.h>

#include "ir/ir.h"
#include "support/testing.h"

enum { INPUTS = 8 };

struct rule_case {
    const char *inputs[INPUTS]; /* types; NULL ends the list, "_" is an absent input */
    const char *node;           /* op and attributes: "gather {axis=1}" */
    const char *outputs;        /* "f32[4]" or "f32[4], i32[4]", NULL when it must fail */
    const char *words;          /* of the message */
};

static const struct rule_case cases[] = {
    /* elementwise */
    {{"f32[N,8]", "f32[8]"}, "add", "f32[N,8]", NULL},
    {{"f32[N,1]", "f32[1,M]"}, "mul", "f32[N,M]", NULL},
    {{"f32[]", "f32[2,3,N]"}, "div", "f32[2,3,N]", NULL},
    {{"f32[3,1]", "f32[2,1,N]"}, "sub", "f32[2,3,N]", NULL},
    {{"f32[0,4]", "f32[1,4]"}, "max", "f32[0,4]", NULL},
    {{"i64[N]", "i64[N]"}, "add", "i64[N]", NULL},
    {{"f32[2]", "f32[3]"}, "add", NULL, "inputs 0 and 1 are f32[2] and f32[3]: they do not broadcast"},
    {{"f32[N]", "f32[M]"}, "add", "f32[N]", NULL}, /* checked at run, as all that symbols leave open */
    {{"f32[N]", "f32[4]"}, "add", "f32[4]", NULL},
    {{"f32[4]", "f32[N]"}, "add", "f32[4]", NULL},
    {{"string[N]", "string[1]"}, "equal", "bool[N]", NULL},
    {{"bool[N]", "string[N]", "string[]"}, "where", "string[N]", NULL},
    {{"f16[N]"}, "is_nan", "bool[N]", NULL},
    {{"f32[N]"}, "is_inf {negative=1}", "bool[N]", NULL},
    {{"i32[N]"}, "is_inf", NULL, "input 0 is i32[N]"},
    {{"u8[N]"}, "bit_not", "u8[N]", NULL},
    {{"f32[N]"}, "bit_not", NULL, "input 0 is f32[N]"},
    {{"u8[N,1]", "u8[M]"}, "bit_and", "u8[N,M]", NULL},
    {{"f32[N]", "f32[N]"}, "bit_xor", NULL, "input 0 is f32[N]"},
    {{"i64[N]", "i64[]"}, "shift_left", "i64[N]", NULL},
    {{"i32[N]"}, "bitcast {dtype=f32}", "f32[N]", NULL},
    {{"i32[N]"}, "bitcast {dtype=i64}", NULL, "the bits of i32[N] are not those of i64"},
    {{"f32[4]", "f16[4]"}, "add", NULL, "f32[4] and f16[4]: their dtypes must agree"},
    {{"bool[4]", "bool[4]"}, "add", NULL, "input 0 is bool[4]: dtype not taken"},
    {{"q8_0[32]", "q8_0[32]"}, "add", NULL, "input 0 is q8_0[32]: dtype not taken"},
    {{"f32[N]"}, "exp", "f32[N]", NULL},
    {{"f64[N]"}, "erf", "f64[N]", NULL},
    {{"i32[N]"}, "exp", NULL, "input 0 is i32[N]"},
    {{"i32[N]"}, "neg", "i32[N]", NULL},
    {{"bool[N]"}, "not", "bool[N]", NULL},
    {{"f32[N]"}, "not", NULL, "f32[N]"},
    {{"i32[N,1]", "i32[M]"}, "less_equal", "bool[N,M]", NULL},
    {{"bool[N]", "bool[1]"}, "and", "bool[N]", NULL},
    {{"i32[N]", "i32[1]"}, "and", NULL, "i32[N]"},
    {{"bool[N,1]", "f32[]", "f32[M]"}, "where", "f32[N,M]", NULL},
    {{"f32[N]", "f32[]", "f32[N]"}, "where", NULL, "input 0 is f32[N]"},
    {{"bool[N]", "f32[]", "i32[N]"}, "where", NULL, "inputs 1 and 2"},
    {{"f32[N]"}, "cast {dtype=i64}", "i64[N]", NULL},
    {{"q4_0[N,64]"}, "cast {dtype=f16}", "f16[N,64]", NULL},
    {{"f32[N]"}, "cast", NULL, "cannot be cast to ?"},
    {{"f32[N,32]"}, "cast {dtype=q8_0}", NULL, "cannot be cast to q8_0"},
    /* shapes */
    {{"f32[N,64]"}, "reshape {dims=[N,8,8]}", "f32[N,8,8]", NULL},
    {{"f32[N,M,4]"}, "reshape {dims=[M*4*N]}", "f32[N*M*4]", NULL},
    {{"f32[N+1,M]"}, "reshape {dims=[N*M+M]}", "f32[N*M+M]", NULL},
    {{"f32[1]"}, "reshape", "f32[]", NULL},
    {{"f32[N,64]"}, "reshape {dims=[N,8,9]}", NULL, "f32[N,64] cannot become f32[N,8,9]"},
    {{"f32[N]"}, "reshape {dims=[M]}", "f32[M]", NULL},
    {{"f32[N+2]"}, "reshape {dims=[N]}", NULL, "another number of elements"},
    {{"string[N,2]"}, "reshape {dims=[2*N]}", "string[N*2]", NULL},
    {{"object[]"}, "reshape {dims=[1]}", NULL, "input 0 is object[]"},
    {{"q8_0[4,64]"}, "reshape {dims=[2,2,64]}", "q8_0[2,2,64]", NULL},
    {{"q8_0[4,64]"}, "reshape {dims=[2,128]}", NULL, "rows of blocks stay whole"},
    {{"f32[1,N]"}, "expand {dims=[4,M,N]}", "f32[4,M,N]", NULL},
    {{"f32[2,N]"}, "expand {dims=[4,N]}", NULL, "f32[2,N] does not broadcast to f32[4,N]"},
    {{"f32[N]"}, "expand {dims=[4]}", "f32[4]", NULL},
    {{"f32[1,2]"}, "expand {dims=[2]}", NULL, "does not broadcast"},
    {{"f32[2,N,4]"}, "transpose {perm=[2,0,1]}", "f32[4,2,N]", NULL},
    {{"f32[]"}, "transpose", "f32[]", NULL},
    {{"f32[2,N,4]"}, "transpose {perm=[2,0]}", NULL, "perm does not name each axis once"},
    {{"f32[2,N,4]"}, "transpose {perm=[2,0,0]}", NULL, "perm does not name each axis once"},
    {{"f32[2,N,4]"}, "transpose {perm=[2,0,3]}", NULL, "perm has axis 3"},
    {{"f32[N,16]"}, "slice {axis=1, start=4, stop=12}", "f32[N,8]", NULL},
    {{"f32[N,16]"}, "slice {axis=-1, start=1, stop=16, step=4}", "f32[N,4]", NULL},
    {{"f32[N,16]"}, "slice {axis=0, start=1, stop=N}", "f32[N-1,16]", NULL},
    {{"f32[N,16]"}, "slice {axis=0, stop=N, step=2}", "f32[(N+1)/2,16]", NULL},
    {{"f32[N,16]"}, "slice {axis=1, start=4, stop=17}", NULL, "f32[N,16] cannot be cut along axis 1 from 4 to 17"},
    {{"f32[N,16]"}, "slice {axis=1, start=5, stop=4}", NULL, "from 5 to 4"},
    {{"f32[N,16]"}, "slice {axis=1, stop=4, step=-1}", NULL, "steps of -1"},
    {{"f32[N,16]"}, "slice {axis=2, stop=4}", NULL, "axis 2 of f32[N,16]"},
    {{"f32[N,2]", "f32[N,3]", "f32[N,M]"}, "concat {axis=1}", "f32[N,M+5]", NULL},
    {{"f32[4,2]", "f32[5,3]"},
     "concat {axis=1}",
     NULL,
     "inputs 0 and 1 are f32[4,2] and f32[5,3]: they differ along axis 0"},
    {{"f32[N,2]", "f32[M,3]"}, "concat {axis=1}", "f32[N,5]", NULL},
    {{"f32[N,2]", "f32[N]"}, "concat {axis=0}", NULL, "expected rank 2"},
    {{"f32[N,2]", "_", "f32[N,2]"}, "concat {axis=0}", NULL, "input 1 is absent"},
    {{"f32[V,64]", "i32[N]"}, "gather", "f32[N,64]", NULL},
    {{"f32[4,V,64]", "i64[2,N]"}, "gather {axis=1}", "f32[4,2,N,64]", NULL},
    {{"q4_0[V,64]", "i32[N]"}, "gather", "f32[N,64]", NULL},
    {{"f16[V,64]", "i32[N]"}, "gather {dtype=f32}", "f32[N,64]", NULL},
    {{"i32[S,L]", "i32[N]"}, "gather", "i32[N,L]", NULL},
    {{"q4_0[V,64]", "i32[N]"}, "gather {axis=1}", NULL, "cannot be gathered along its blocks"},
    {{"i32[V]", "i32[N]"}, "gather {dtype=f32}", NULL, "i32[V] cannot be gathered as f32"},
    {{"f32[V]", "f32[N]"}, "gather", NULL, "input 1 is f32[N]"},
    {{"f32[V]", "i8[N]"}, "gather", NULL, "expected i32 or i64"},
    {{"f32[1,1,1,1,1]", "i32[1,1,1,1,1]"}, "gather", NULL, "rank 9"},
    {{"f16[R,2,32]", "i32[N]", "f32[N,2,32]"}, "scatter_rows", "f16[R,2,32]", NULL},
    {{"q8_0[R,32]", "i32[N]", "f32[N,32]"}, "scatter_rows", "q8_0[R,32]", NULL},
    {{"f16[R,2,32]", "i32[N]", "f32[N+1,2,32]"}, "scatter_rows", NULL, "dim 0 must equal dim 0"},
    {{"f16[R,2,32]", "i32[N]", "f32[N,64]"}, "scatter_rows", NULL, "its new rows are f32[N,64]"},
    {{"i32[R]", "i32[N]", "f32[N]"}, "scatter_rows", NULL, "state is i32[R]"},
    {{"f32[R]", "i64[N]", "f32[N]"}, "scatter_rows", NULL, "expected i32"},
    {{NULL}, "iota {count=N*2, dtype=i32}", "i32[N*2]", NULL},
    {{NULL}, "iota {count=4}", NULL, "expected a number"},
    /* contractions and reductions */
    {{"f32[N,64]", "f32[64,8]"}, "matmul", "f32[N,8]", NULL},
    {{"f16[N,64]", "bf16[8,64]"}, "matmul {trans_b=1}", "f32[N,8]", NULL},
    {{"f32[N,64]", "q4_k[8,256]"}, "matmul {trans_b=1}", NULL, "the dims that are summed over differ"},
    {{"f32[N,256]", "q4_k[8,256]"}, "matmul {trans_b=1}", "f32[N,8]", NULL},
    {{"f32[N,8]", "q8_0[8,64]"}, "matmul", NULL, "needs trans_b"},
    {{"f32[2,1,N,4]", "f32[3,4,M]"}, "matmul", "f32[2,3,N,M]", NULL},
    {{"f32[2,N,4]", "f32[3,4,M]"}, "matmul", NULL, "leading dims do not broadcast"},
    {{"f32[4]", "f32[4,2]"}, "matmul", NULL, "rank 2 or more"},
    {{"u4[64,N]", "f32[2,N]", "u4[2,N]"}, "dequantize {axis=0, block_size=32}", "f32[64,N]", NULL},
    {{"u4[80,8]", "f32[3,8]", "u4[3,8]"}, "dequantize {axis=0, block_size=32}", "f32[80,8]", NULL},
    {{"u4[64,8]", "f32[3,8]"}, "dequantize {axis=0, block_size=32}", NULL, "or one for each block of 32"},
    {{"u4[64,8]", "f32[2,8]", "u4[1,8]"}, "dequantize {axis=0, block_size=32}", NULL, "expected u4 and one shape"},
    {{"i8[64,8]", "f32[8]", "i8[8]"}, "dequantize {axis=1}", "f32[64,8]", NULL},
    {{"i8[64,8]", "f32[8]", "i8[1]"}, "dequantize {axis=1}", NULL, "expected i8 and one shape"},
    {{"i8[64,8]", "f32[1]", "i8[8]"}, "dequantize {axis=1}", NULL, "expected i8 and one shape"},
    {{"i8[64,8]", "f32[7]"}, "dequantize {axis=1}", NULL, "one for each slice of axis 1"},
    {{"f64[N,4]", "f64[4,2]"}, "matmul", "f64[N,2]", NULL},
    {{"f64[N,4]", "f32[4,2]"}, "matmul", NULL, "dtypes must agree"},
    {{"i32[N,4]", "i32[4,2]"}, "matmul", "i32[N,2]", NULL},
    {{"q8_0[N,32]", "f32[32,2]"}, "matmul", NULL, "input 0 is q8_0[N,32]"},
    {{"f32[N,4,M]"}, "reduce_sum {axes=[-1,0], keepdims=1}", "f32[1,4,1]", NULL},
    {{"f32[N,4,M]"}, "reduce_mean {axes=[1]}", "f32[N,M]", NULL},
    {{"f32[N,4,M]"}, "reduce_max", "f32[]", NULL},
    {{"f32[N,4]"}, "reduce_sum {axes=[2]}", NULL, "axis 2 of f32[N,4]"},
    {{"f32[N,4]"}, "reduce_sum {axes=[1,-1]}", NULL, "axis 1 is named twice"},
    {{"f32[N,4]"}, "softmax {axis=-1}", "f32[N,4]", NULL},
    {{"f32[N,4]"}, "softmax {axis=-3}", NULL, "axis -1"},
    {{"i32[N,4]"}, "softmax", NULL, "i32[N,4]"},
    {{"f32[N,8]"}, "topk {k=2}", "f32[N,2], i32[N,2]", NULL},
    {{"f32[N,8]"}, "topk {k=9}", NULL, "the 9 largest of f32[N,8]"},
    {{"f32[N,8]"}, "topk", "f32[N,0], i32[N,0]", NULL},
    /* fused */
    {{"f32[N,8]", "f32[8]"}, "rms_norm", "f32[N,8]", NULL},
    {{"f32[N,8]", "f32[4]"}, "rms_norm", NULL, "input 1 is f32[4] and input 0 is f32[N,8]"},
    {{"f32[N,8]", "f16[8]"}, "rms_norm", NULL, "dtypes must agree"},
    {{"f32[N,8]", "f32[8]", "f32[8]"}, "layer_norm", "f32[N,8]", NULL},
    {{"f32[N,8]", "f32[8]", "f32[1,8]"}, "layer_norm", NULL, "expected rank 1"},
    {{"f32[N,4,16]", "f32[N,8]", "f32[N,8]"}, "rope", "f32[N,4,16]", NULL},
    {{"f32[N,4,16]", "f32[N,3]", "f32[N,3]"}, "rope", "f32[N,4,16]", NULL},
    {{"f32[N,4,16]", "f32[N,9]", "f32[N,9]"}, "rope", NULL, "more angles than pairs"},
    {{"f32[N,4,16]", "f32[2*N,8]", "f32[2*N,8]"}, "rope", NULL, "dim 0 must equal dim 0"},
    {{"f32[2,N,8]", "f32[2,M,8]", "f32[2,M,4]"}, "attention", "f32[2,N,4]", NULL},
    {{"f32[2,N,8]", "f32[2,M,8]", "f32[2,M,4]", "f32[N,M]"}, "attention", "f32[2,N,4]", NULL},
    {{"f32[2,N,8]", "f32[2,M,8]", "f32[2,M,4]", "f32[2,1,M]"}, "attention", "f32[2,N,4]", NULL},
    {{"f32[2,N,8]", "f32[2,M,8]", "f32[2,M,4]", "f32[M,N]"}, "attention {scale=1}", "f32[2,N,4]", NULL},
    {{"f32[2,N,8]", "f32[2,M,8]", "f32[2,M,4]", "f32[3,2,N,M]"}, "attention", NULL, "mask is"},
    {{"f32[2,N,8]", "f32[2,M,8]", "f32[2,M,4]", "f32[0]"}, "attention", NULL, "mask is"},
    {{"f32[2,N,8]", "f32[2,M,8]", "f32[2,M,4]", "f32[3,M]"}, "attention", NULL, "mask is"},
    {{"f32[1,N,8]", "f32[1,M,8]", "f32[1,M,4]", "f32[5,N,M]"}, "attention", NULL, "mask is"},
    {{"f32[2,N,8]", "f32[1,M,8]", "f32[1,M,4]"}, "attention", "f32[2,N,4]", NULL},
    {{"f32[3,6,N,8]", "f32[3,2,M,8]", "f32[3,2,M,4]"}, "attention", "f32[3,6,N,4]", NULL},
    {{"f32[3,6,N,8]", "f32[3,2,M,8]", "f32[3,3,M,4]"}, "attention", NULL, "dim 1 must equal dim 1"},
    {{"f32[3,6,N,8]", "f32[3,4,M,8]", "f32[3,4,M,4]"}, "attention", NULL, "dim 1 must equal dim 1"},
    {{"f32[3,6,N,8]", "f32[1,6,M,8]", "f32[1,6,M,4]"}, "attention", NULL, "dim 0 must equal dim 0"},
    {{"f32[2,N,8]", "f32[2,M,6]", "f32[2,M,4]"}, "attention", NULL, "dim 2 must equal dim 2"},
    {{"f32[2,N,8]", "f32[2,M,8]", "f32[2,M,4]"}, "attention {window=4}", NULL, "needs positions"},
    {{"f32[2,N,8]", "f32[2,M,8]", "f32[2,M,4]", "_", "f32[2,1,1]"}, "attention", "f32[2,N,4]", NULL},
    {{"f32[2,N,8]", "f32[2,M,8]", "f32[2,M,4]", "_", "f32[2,N,M]"}, "attention", NULL, "sinks are"},
    {{"f32[2,N,8]", "f32[2,M,8]", "f32[2,M,4]", "_", "f16[2,1,1]"}, "attention", NULL, "sinks are"},
    {{"f32[2,N,8]", "f32[2,M,8]", "f32[2,M,4]"}, "attention {value_dim=4}", NULL, "is for pages"},
    {{"f32[N,2,3,8]", "f16[R,2,8]", "f16[R,2,4]", "i32[S,L]", "i32[N]", "i32[N]", "f32[1,2,3,1]"},
     "paged_attention",
     "f32[N,2,3,4]",
     NULL},
    {{"f32[N,2,3,8]", "f16[R,2,8]", "f16[R,2,8]", "i32[S,L]", "i32[N]", "i32[N]"},
     "paged_attention {value_dim=6}",
     "f32[N,2,3,6]",
     NULL},
    {{"f32[N,2,3,8]", "f16[R,2,8]", "f16[R,2,8]", "i32[S,L]", "i32[N]", "i32[N]"},
     "paged_attention {value_dim=9}",
     NULL,
     "values of 9 elements"},
    {{"f32[4,3,8]", "f32[N,8]", "f32[8,4]", "i32[N]", "i32[N]"}, "causal_conv", "f32[4,3,8], f32[N,8]", NULL},
    {{"f32[4,3,8]", "f32[N,8]", "f32[8,3]", "i32[N]", "i32[N]"}, "causal_conv", NULL, "[channels, width]"},
    {{"f16[4,3,8]", "f32[N,8]", "f32[8,4]", "i32[N]", "i32[N]"}, "causal_conv", NULL, "expected f32"},
    {{"f32[4,8,2]", "f32[N,8]", "f32[N,8]", "f32[8,2]", "f32[N,2]", "f32[N,2]", "i32[N]", "i32[N]"},
     "selective_scan",
     "f32[4,8,2], f32[N,8]",
     NULL},
    {{"f32[4,8,2]", "f32[N,8]", "f32[N,8]", "f32[8,2]", "f32[N,3]", "f32[N,2]", "i32[N]", "i32[N]"},
     "selective_scan",
     NULL,
     "[tokens, numbers]"},
    {{"f32[4,8,2]", "f32[N,8]", "f32[N,8]", "f32[8,2]", "f32[N,2]", "f32[N,2]", "i32[N]", "i64[N]"},
     "selective_scan",
     NULL,
     "i32 [tokens]"},
    {{"f32[N,2,3,8]", "f16[R,2,8]", "f16[R,2,4]", "i32[S,L]", "i32[N]", "i32[N]"},
     "paged_attention",
     "f32[N,2,3,4]",
     NULL},
    {{"f32[N,2,3,8]", "f16[R,2,8]", "f16[R+1,2,4]", "i32[S,L]", "i32[N]", "i32[N]"},
     "paged_attention",
     NULL,
     "input 2"},
    {{"f32[N,2,3,8]", "f16[R,3,8]", "f16[R,3,4]", "i32[S,L]", "i32[N]", "i32[N]"}, "paged_attention", NULL, "input 1"},
    {{"f32[N,2,3,8]", "f16[R,2,8]", "f16[R,2,4]", "i64[S,L]", "i32[N]", "i32[N]"},
     "paged_attention",
     NULL,
     "expected i32"},
    {{"f32[N,2,3,8]", "f16[R,2,8]", "f16[R,2,4]", "i32[S,L]", "i32[N]", "i32[0]"}, "paged_attention", NULL, "input 5"},
    {{"f32[N,8]", "f32[N,8]"}, "glu {kind=2}", "f32[N,8]", NULL},
    {{"f32[N,8]", "f32[N,8]"}, "glu {kind=5}", NULL, "unknown kind 5"},
    {{"f32[N,1,64]", "q8_0[4,8,64]", "i32[N,2]"}, "expert_matmul", "f32[N,2,8]", NULL},
    {{"f32[N,2,64]", "f16[4,8,64]", "i32[N,2]"}, "expert_matmul", "f32[N,2,8]", NULL},
    {{"f32[N,3,64]", "f16[4,8,64]", "i32[N,2]"}, "expert_matmul", NULL, "dim 1 must equal dim 1"},
    {{"f32[N,1,64]", "f16[8,64]", "i32[N,2]"}, "expert_matmul", NULL, "expected rank 3 and i32"},
    {{"f32[2,N,64]", "q8_0[8,64]"}, "linear", "f32[2,N,8]", NULL},
    {{"f32[N,64]", "f16[8,64]", "f32[8]", "f32[N,8]"}, "linear", "f32[N,8]", NULL},
    {{"f32[N,64]", "f16[8,64]", "_", "f32[N,8]"}, "linear", "f32[N,8]", NULL},
    {{"f32[N,64]", "f16[8,64]", "f32[7]"}, "linear", NULL, "dim 0 must equal dim 0"},
    {{"f32[N,64]", "f16[8,64]", "f16[8]"}, "linear", NULL, "bias is f16[8], the output is f32[N,8]"},
    {{"f32[N,64]", "f16[8,64]", "_", "f32[8]"}, "linear", NULL, "residual is f32[8], the output is f32[N,8]"},
    {{"f32[N,64]", "f16[64,8]", "f32[8]"}, "linear {plain_b=1, activation=1}", "f32[N,8]", NULL},
    {{"f32[N,64]", "q8_0[64,32]"}, "linear {plain_b=1}", NULL, "blocks lie along k"},
    {{"f32[N,64]", "f32[8,64]"}, "linear {activation=99}", NULL, "unknown activation 99"},
    /* sizes that depend on data: T, U are late symbols */
    {{"f32[N,4]"}, "nonzero {count=T}", "i64[2,T]", NULL},
    {{"f32[]"}, "nonzero {count=T}", "i64[1,T]", NULL},
    {{"f32[2,N,4]", "f32[2,3,N]"}, "nms {count=T}", "i64[T,3]", NULL},
    {{"f32[2,N,4]", "f32[5,3,N]"}, "nms {count=T}", NULL, "boxes are f32[2,N,4]"},
    {{"f32[N,4]"}, "unique {count=T, flat=1}", "f32[T], i64[T], i64[N*4], i64[T]", NULL},
    {{"f32[N,4]"}, "unique {count=T, axis=-1}", "f32[N,T], i64[T], i64[4], i64[T]", NULL},
    {{"f32[N,4]", "bool[M]"}, "compress {count=T}", "f32[T,4]", NULL},
    {{"f32[N,3,3]"}, "inverse", "f32[N,3,3]", NULL},
    {{"f32[N,3,4]"}, "inverse", NULL, "expected f32 or f64 [..., n, n]"},
    {{"string[N]", "string[2]", "string[]"}, "tokenize {count=T}", "string[N,T]", NULL},
    {{"string[N]", "string[]", "string[]"}, "tokenize {count=T}", NULL, "expected rank 1"},
    {{"f32[N,4]", "bool[M]"}, "compress {count=T, flat=1}", "f32[T]", NULL},
    {{"string[N,2]"}, "murmur_hash {seed=3}", "u32[N,2]", NULL},
    {{"f16[N]"}, "murmur_hash", NULL, "numbers of 4 or 8 bytes"},
    {{"f32[N,4]"}, "time_warp {count=T}", "i32[2,T]", NULL},
    {{"f32[1,N,4]"}, "time_warp {count=T}", NULL, "expected f32 of rank 2"},
    {{"i64[N]", "i64[M]", "i64[1]"}, "accept_draft {count=T, least=1, most=3}", "i64[T], i64[1]", NULL},
    {{"i64[N]", "i64[M]", "i64[]", "i64[2]"}, "accept_draft {count=T, least=2, most=2}", "i64[T], i64[]", NULL},
    {{"i64[N]", "i64[M]", "i64[]", "i32[2]"}, "accept_draft {count=T, least=2, most=2}", NULL, "input 3 is i32[2]"},
    {{"i64[N]", "i64[M]", "i64[]"}, "accept_draft {count=T, least=2, most=1}", NULL, "n-grams of 2 to 1"},
    {{"f32[N,4]", "f32[M]"}, "compress {count=T}", NULL, "expected bool of rank 1"},
    {{"i64[2]"}, "bind_dims {dims=[T,U]}", "i64[2]", NULL},
    {{"f32[N]", "object[]"}, "seq_construct", "object[]", NULL},
    {{"object[]", "f32[N]"}, "seq_insert", "object[]", NULL},
    {{"object[]"}, "seq_length", "i64[]", NULL},
    {{"f32[N]"}, "seq_length", NULL, "expected an object"},
    {{"object[]"}, "optional_has", "bool[]", NULL},
    {{"object[]"}, "object_tensor {dtype=f32, dims=[T,4]}", "f32[T,4]", NULL},
    {{"object[]"}, "object_tensor {dtype=object}", NULL, "a tensor of dtype object"},
    {{"f32[N]"}, "call", NULL, "call needs the types of its outputs"},
    {{"f32[N,8]", "f32[8]"}, "chain {length=2, code=[add f32 128 129 0, relu f32 0 0 0]}", "f32[N,8]", NULL},
    {{"f32[N]"}, "chain {length=2, code=[cast i32 128 0 0, neg i32 0 0 0]}", "i32[N]", NULL},
    {{"f32[N]"}, "chain {length=1, code=[add f32 128 129 0]}", NULL, "instruction 0 has operand 129"},
    {{"f32[N]"}, "chain {length=1, code=[neg i32 128 0 0]}", NULL, "gives f32, the program says i32"},
    {{"f32[N]"}, "chain {length=0}", NULL, "0 instructions"},
    {{"f32[N,64]", "f16[2,8,64]"}, "linear", NULL, "expected rank 2 or more, and 2"},
};

static const struct qn_op_info *op_of(const struct rule_case *c)
{
    return qn_op_info(qn_op_from_name((struct qn_str){c->node, strcspn(c->node, " ")}));
}

static void write_text(const struct rule_case *c, struct qn_strbuf *text)
{
    uint32_t count = 0;
    qn_strbuf_add(text, "graph \"t\"\n");
    for (const char *symbol = "NMRSLV"; *symbol; symbol++)
        qn_strbuf_printf(text, "symbol %c 1..64\n", *symbol);
    qn_strbuf_add(text, "symbol T 0..9 late\nsymbol U 0..9 late\n");
    for (; count < INPUTS && c->inputs[count]; count++)
        if (c->inputs[count][0] != '_') /* states, since in-place ops take no inputs */
            qn_strbuf_printf(text, "%%%u:%s = state \"s%u\"\n", count + 1, c->inputs[count], count);
    const char *attr = strchr(c->node, ' ');
    qn_strbuf_printf(text, "%%10%s = %.*s(",
                     op_of(c)->outputs == 4   ? ", %11, %12, %13"
                     : op_of(c)->outputs == 3 ? ", %11, %12"
                     : op_of(c)->outputs == 2 ? ", %11"
                                              : "",
                     (int)(attr ? (size_t)(attr - c->node) : strlen(c->node)), c->node);
    for (uint32_t i = 0; i < count; i++) {
        qn_strbuf_add(text, i ? ", " : "");
        if (c->inputs[i][0] == '_')
            qn_strbuf_add(text, "_");
        else
            qn_strbuf_printf(text, "%%%u", i + 1);
    }
    qn_strbuf_printf(text, ")%s\n", attr ? attr : "");
    if (op_of(c)->traits & QN_OP_INPLACE)
        qn_strbuf_add(text, "store \"s0\" = %10\n");
}

static void check_outputs(const struct rule_case *c, const struct qn_graph *g)
{
    struct qn_strbuf found;
    qn_strbuf_init(&found, NULL);
    for (uint32_t i = 0; i < qn_graph_node(g, 1)->output_count; i++) {
        qn_strbuf_add(&found, i ? ", " : "");
        qn_type_print(g, qn_graph_type(g, qn_graph_output_of(g, 1, i)), &found);
    }
    if (strcmp(found.data, c->outputs) != 0)
        fail_msg("%s: expected %s, found %s", c->node, c->outputs, found.data);
    qn_strbuf_deinit(&found);
}

static void rules(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct rule_case *c = &cases[i];
        struct qn_strbuf text;
        struct qn_graph *g;
        qn_strbuf_init(&text, NULL);
        write_text(c, &text);
        qn_status status = qn_graph_parse(qn_strbuf_view(&text), NULL, &g);
        if (status && c->outputs)
            fail_msg("%s: %s", c->node, qn_status_message(status));
        if (!status && !c->outputs)
            fail_msg("%s on %s: expected a refusal: %s", c->node, c->inputs[0], c->words);
        if (status && !strstr(qn_status_message(status), c->words))
            fail_msg("%s: expected '%s' in: %s", c->node, c->words, qn_status_message(status));
        if (!status)
            check_outputs(c, g);
        qn_status_free(status);
        qn_graph_destroy(g);
        qn_strbuf_deinit(&text);
    }
}

/* A rule is that of an op with a case, or of a family that tests its own. */
static void every_rule_of_this_folder_has_a_case(void **state)
{
    static const char *const ops[] = {
        "neg",       "exp",      "add",     "less",   "and",       "not",      "where",        "cast",       "reshape",
        "transpose", "slice",    "concat",  "expand", "gather",    "iota",     "matmul",       "reduce_sum", "softmax",
        "topk",      "rms_norm", "rope",    "glu",    "attention", "linear",   "bit_not",      "bitcast",    "bit_and",
        "is_nan",    "chain",    "nonzero", "unique", "nms",       "compress", "object_tensor"};
    (void)state;
    for (size_t k = 0; k < sizeof ops / sizeof ops[0]; k++) {
        qn_shape_fn rule = qn_op_info(qn_op_from_name(qn_str_from(ops[k])))->shape;
        bool found = false;
        for (size_t i = 0; !found && i < sizeof cases / sizeof cases[0]; i++)
            found = op_of(&cases[i])->shape == rule;
        if (!found)
            fail_msg("no case for %s", ops[k]);
    }
}

static void affine_encodings_reach_weights_alone(void **state)
{
    static const char *const head = "graph \"t\"\nsymbol N 1..64\n"
                                    "%1:f32[4] = const {1, 1, 1, 1}\n"
                                    "encoding 1 axis=0 block=0 scales=%1\n"
                                    "%2:u8<1>[4,16] = state \"w\"\n"
                                    "%3:f32[N,16] = input \"x\"\n";
    static const struct {
        const char *node, *words;
    } nodes[] = {
        {"%4:f32[N,4] = matmul(%3, %2) {trans_b=1}\n", NULL},
        {"%4:f32[N,4] = linear(%3, %2)\n", NULL},
        {"%4 = neg(%2)\n", "affine encodings are not taken here"},
        {"%4 = reshape(%2) {dims=[64]}\n", "affine encodings are not taken here"},
        {"%4 = cast(%2) {dtype=f32}\n", "affine encodings are not taken here"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof nodes / sizeof nodes[0]; i++) {
        char text[512];
        struct qn_graph *g;
        int size = snprintf(text, sizeof text, "%s%s", head, nodes[i].node);
        qn_status status = qn_graph_parse((struct qn_str){text, (size_t)size}, NULL, &g);
        if (nodes[i].words)
            qn_assert_fails(status, QN_UNSUPPORTED, nodes[i].words);
        else
            qn_assert_ok(status);
        qn_graph_destroy(g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules),
        cmocka_unit_test(every_rule_of_this_folder_has_a_case),
        cmocka_unit_test(affine_encodings_reach_weights_alone),
    };
    return cmocka_run_group_tests_name("shape rules", tests, NULL, NULL);
}
