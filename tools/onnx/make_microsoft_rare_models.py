"""Models of com.microsoft's rarer ops with ONNX Runtime's results, as make_microsoft_models.py writes the others.

    python make_microsoft_rare_models.py [--out test/data/onnx/microsoft] [group ...]     (needs onnx, onnxruntime, numpy)
"""
import numpy as np

from make_microsoft_models import Group, query_cases, write_groups


def hashes():
    g = Group("hashes")
    words = g.input("words", np.array([["", "a", "ab"], ["abc", "four", "größer als acht"]], object))
    for seed in (0, 42):
        g.add("MurmurHash3", f"words_{seed}", [words], seed=seed)
    g.add("MurmurHash3", "words_signed", [words], positive=0, seed=7)
    for kind in (np.int32, np.uint32, np.int64, np.uint64, np.float32, np.float64):
        name = np.dtype(kind).name
        values = g.rng.standard_normal(5) * 1000 if kind in (np.float32, np.float64) else g.rng.integers(0, 2**31, 5)
        x = g.input(f"in_{name}", values.astype(kind))
        g.add("MurmurHash3", f"hash_{name}", [x], seed=3)
        g.add("MurmurHash3", f"hash_{name}_signed", [x], seed=3, positive=0)
    for kind in (np.int32, np.int64):
        name, n, heads, b, s = np.dtype(kind).name, 4, 3, 2, 6
        ids = g.input(f"ids_{name}", g.rng.integers(0, 1000, (b, s)).astype(kind))
        one = g.input(f"one_{name}", g.rng.integers(0, 1000, (b, 1)).astype(kind))
        past = g.input(f"past_{name}", g.rng.integers(0, 1000, (b, n - 1)).astype(kind))
        info = np.iinfo(kind)
        factors = g.rng.integers(info.min, info.max, n, dtype=np.int64).astype(kind)
        sizes = g.rng.integers(1, 5000, (n - 1) * heads).astype(kind)
        of = {"max_ngram_size": n, "n_head_per_ngram": heads, "pad_id": 7}
        g.add("NGramHashMapping", f"ngrams_{name}", [ids, factors, sizes], 2, **of)
        g.add("NGramHashMapping", f"ngrams_{name}_past", [ids, factors, sizes, past], 2, **of)
        g.add("NGramHashMapping", f"ngrams_{name}_step", [one, factors, sizes, past], 2, **of)
    g.add("NGramHashMapping", "ngrams_alone", ["ids_int64", np.array([3, -5], np.int64), np.array([11, 13], np.int64)],
          max_ngram_size=2, n_head_per_ngram=2, pad_id=-1)
    return g


def rare():
    g = Group("rare")
    f, i64 = np.float32, np.int64
    line, image = g.input("line", g.normal(2, 3, 9)), g.input("image", g.normal(2, 2, 6, 7))
    solid = g.input("solid", g.normal(1, 2, 4, 5, 4))
    for name, x, options in (("line", line, {"kernel_shape": [3], "strides": [2], "pads": [1, 1]}),
                             ("image", image, {"kernel_shape": [2, 3], "strides": [1, 2], "pads": [1, 0, 0, 2]}),
                             ("same", image, {"kernel_shape": [3, 3], "strides": [2, 2], "auto_pad": "SAME_UPPER"}),
                             ("solid", solid, {"kernel_shape": [2, 2, 3], "strides": [1, 2, 1]})):
        shape = (1, 1) + g.inputs[x].shape[2:]
        mask = g.input(f"mask_{name}", (g.rng.random(shape) < 0.8).astype(np.int32))
        g.add("MaxpoolWithMask", f"pool_{name}", [x, mask], **options)
    words = np.array([[3, 1, 4, 1, 5, 0], [2, 0, 0, 0, 0, 0], [6, 5, 3, 5, 8, 9], [7, 0, 2, 0, 0, 0]], np.int32)
    g.add("WordConvEmbedding", "words", [g.input("characters", words), g.normal(5, 1, 3, 4), g.normal(5), g.normal(10, 4)])
    g.add("WordConvEmbedding", "words_sized", ["characters", g.normal(5, 1, 2, 4), g.normal(5), g.normal(10, 4)],
          embedding_size=5, conv_window_size=2, char_embedding_size=4)
    for rows, columns in ((4, 6), (6, 4), (1, 5), (5, 1)):
        costs = g.input(f"costs_{rows}_{columns}", np.abs(g.normal(rows, columns)))
        g.add("DynamicTimeWarping", f"path_{rows}_{columns}", [costs])
    g.add("DynamicTimeWarping", "path_flat", [g.input("flat", np.ones((1, 3, 5), f))])
    source, now = g.input("source", np.array([1, 2, 3, 4, 5, 2, 3, 9], i64)), g.input("now", np.array([7, 1, 2], i64))
    for at in (0, 2, 8):
        for agree in (0, 2, 6):
            rest = g.inputs["source"][at:]
            said = np.full(len(rest) + 1, 4, i64)
            said[:min(agree, len(rest))] = rest[:agree]
            for least, most in ((1, 3), (2, 2)):
                g.add("BifurcationDetector", f"fork_{at}_{agree}_{least}",
                      [source, now, g.input(f"at_{at}", np.array([at], i64)), g.input(f"said_{at}_{agree}", said)], 2,
                      min_ngram_size=least, max_ngram_size=most)
    g.add("BifurcationDetector", "fork_alone", [source, now, "at_0"], 2)
    picture, kernel = g.input("picture", g.normal(1, 4, 5, 6)), g.normal(4, 3, 3, 2, scale=0.4)
    pads = g.input("pads", np.array([1, 0, 2, 1], i64))
    g.add("ConvTransposeWithDynamicPads", "transposed", [picture, kernel, pads, g.normal(3)], strides=[2, 2], output_padding=[1, 0])
    g.add("ConvTransposeWithDynamicPads", "transposed_constant", [picture, kernel, np.array([0, 1, 1, 0], i64)], strides=[1, 2])
    g.add("ConvTransposeWithDynamicPads", "transposed_groups", [picture, g.normal(4, 2, 2, 2), pads], group=2, strides=[3, 2],
          dilations=[2, 1])
    few = (g.normal(6, 6) * (g.rng.random((6, 6)) < 0.4)).astype(f)  # ONNX Runtime tells shapes as if nothing were turned
    few, dense = g.sparse_input("few", few), g.input("dense", g.normal(6, 6))
    for name, options in (("plain", {"alpha": 0.5}), ("b", {"transB": 1}), ("a", {"transA": 1})):
        g.add("SparseToDenseMatMul", f"sparse_{name}", [few, dense], **options)
    ints = g.sparse_input("few_ints", (g.rng.integers(-9, 9, (3, 6)) * (g.rng.random((3, 6)) < 0.4)).astype(i64))
    g.add("SparseToDenseMatMul", "sparse_ints", [ints, g.input("ints", g.rng.integers(-9, 9, (6, 2)).astype(i64))])
    return g


def roll(g, case, name, s, cache, window, lengths, tail=(), **options):
    """A cache that keeps a window. Rows behind the last one in use hold anything: only full caches are compared."""
    case(name, s, cache, lengths, tail, local_window_size=window, sliding_window_cache=1, **options)
    if any(n != cache if n <= cache else (n - window + 1) % (cache - window + 1) for n in lengths):
        g.outputs = [o for o in g.outputs if o not in (f"{name}_1", f"{name}_2")]


def rolling():
    g = Group("rolling")
    case, tables = query_cases(g)
    roll(g, case, "full", 1, 4, 4, [9, 9])
    roll(g, case, "before_full", 1, 6, 4, [3, 5])
    roll(g, case, "unlike", 1, 4, 4, [9, 4])
    roll(g, case, "overflows", 1, 4, 3, [5, 7])
    roll(g, case, "refilled", 1, 6, 5, [8, 6])
    roll(g, case, "refills", 1, 6, 2, [9, 11], tables, do_rotary=1)
    roll(g, case, "packed", 1, 6, 2, [11, 11], tables, packed=True, do_rotary=1, rotary_interleaved=1)
    roll(g, case, "capped", 1, 5, 3, [8, 5], softcap=2.0, scale=0.4)
    roll(g, case, "sinks", 1, 5, 3, [8, 6], (None, None, None, None, g.normal(4)))
    roll(g, case, "biased", 1, 4, 3, [9, 6], (None, None, None, g.normal(2, 4, 1, 9)))
    scale = np.full([1], 0.03, np.float32)
    roll(g, case, "codes8", 1, 4, 3, [6, 8], (*[None] * 5, scale, scale), bits=8, k_quant_type="PER_TENSOR",
         v_quant_type="PER_TENSOR", kv_cache_bit_width=8)
    return g


def rolling_steps():
    """Several tokens at once, of one sequence."""
    g = Group("rolling_steps")
    case, tables = query_cases(g, batch=1)
    for name, s, cache, window, length in (("some", 3, 4, 4, 9), ("more_than_fit", 9, 6, 4, 9), ("prompt", 4, 6, 3, 4),
                                           ("long_prompt", 11, 6, 2, 11), ("crosses", 3, 6, 2, 7), ("fits", 3, 6, 2, 11)):
        roll(g, case, name, s, cache, window, [length], (*tables, None, g.normal(1, 1, s, length)), do_rotary=1)
    return g


def attention_caches():
    """Caches with room behind the past, beams, packed heads and scores as an output. What ONNX Runtime has on GPUs only is
    computed here."""
    g = Group("attention_caches")
    b, s, n, d, past, room = 2, 3, 2, 4, 2, 7
    wide, f = n * d, np.float32
    q, k, v = (g.input(x, g.normal(b, s, wide)) for x in "qkv")
    one = [g.input(f"one_{x}", g.normal(4, 1, wide)) for x in "qkv"]
    caches = [g.input(f"cache_{x}", g.normal(b, n, room, d)) for x in "kv"]
    beams = [g.input(f"beams_{x}", g.normal(4, n, room, d)) for x in "kv"]
    length, heads = np.array([past], np.int32), {"num_heads": n}
    for name, options in (("scores", {}), ("scores_causal", {"unidirectional": 1, "scale": 0.3})):
        g.add("MultiHeadAttention", name, [q, k, v, None, None, g.normal(1, 1, s, s)], [True, False, False, True], **heads,
              **options)
        g.typed.add(f"{name}_3")

    def attend(q, k, v, allowed=True, bias=0):
        scores = np.where(allowed, q @ k.swapaxes(-1, -2) / np.sqrt(d) + bias, -10000.0)
        share = np.exp(scores - scores.max(-1, keepdims=True))
        y = share / share.sum(-1, keepdims=True) @ v
        return y.transpose(0, 2, 1, 3).reshape(len(y), -1, wide).astype(f)

    split = lambda x: x.reshape(len(x), -1, n, d).transpose(0, 2, 1, 3).astype(np.float64)
    bias = g.normal(3 * wide)

    def shared(name, ins, caches, bias=None, added=None, owner=None, **options):
        """New keys and values behind the past; owner: the row whose key of the past each row reads, [rows, room]."""
        new = [split(g.inputs[x] + (0 if bias is None else bias[i * wide:(i + 1) * wide])) for i, x in enumerate(ins)]
        end = past + new[0].shape[2]
        after = [g.inputs[c].astype(np.float64) for c in caches]
        for cache, x in zip(after, new[1:]):
            cache[:, :, past:end] = x
        full = [cache[:, :, :end].copy() for cache in after]
        for row in range(len(full[0]) if owner is not None else 0):
            for j in range(past):
                for x, cache in zip(full, after):
                    x[row, :, j] = cache[owner[row, j], :, j]
        causal = np.arange(end) <= past + np.arange(end - past)[:, None] if options.get("unidirectional") else True
        tail = [g.input("from_beam", owner.reshape(2, 2, room) % 2)] if owner is not None else []
        g.add("MultiHeadAttention", name, [*ins, bias, None, added, *caches, length, *tail], 3, **heads, **options,
              expected=attend(new[0], *full, causal, 0 if added is None else added))
        g.known.update({f"{name}_{i + 1}": cache.astype(f) for i, cache in enumerate(after)})

    shared("shared", [q, k, v], caches, bias)
    shared("shared_causal", [q, k, v], caches, added=g.normal(1, n, s, past + s), unidirectional=1)
    shared("beams", one, beams, owner=(g.rng.integers(0, 2, (4, room)) + [[0], [0], [2], [2]]).astype(np.int32))
    qkv, kv = g.input("qkv", g.normal(b, s, n, 3, d)), g.input("kv", g.normal(b, s, n, 2, d))
    parts = [g.inputs[qkv][:, :, :, i].reshape(b, s, wide) + bias[i * wide:(i + 1) * wide] for i in range(3)]
    g.add("MultiHeadAttention", "packed", [qkv, None, None, bias], expected=attend(*map(split, parts)), **heads)
    parts = [g.inputs[q] + bias[:wide]] + [g.inputs[kv][:, :, :, i].reshape(b, s, wide) + bias[(i + 1) * wide:(i + 2) * wide]
                                           for i in range(2)]
    g.add("MultiHeadAttention", "packed_pairs", [q, kv, None, bias], expected=attend(*map(split, parts)), **heads)

    x, w, old = g.input("x", g.normal(b, s, 6)), g.normal(6, 3 * wide, scale=0.5), g.input("old", g.normal(2, b, n, room, d))
    columns = [split(c) for c in np.split(g.inputs["x"] @ w + bias, 3, -1)]

    def turned(x, first, size):
        angle = (first + np.arange(s))[:, None] * 10000.0 ** (-2 * np.arange(size // 2) / size)
        real, other, rest = x[..., :size // 2], x[..., size // 2:size], x[..., size:]
        return np.concatenate([real * np.cos(angle) - other * np.sin(angle), real * np.sin(angle) + other * np.cos(angle),
                               rest], -1)

    for size in (0, 2):
        options = {"do_rotary": 1, **({"rotary_embedding_dim": size} if size else {})}
        qt, kt = (turned(c, 0, size or d) for c in columns[:2])
        g.add("Attention", f"rotary_{size}", [x, w, bias], expected=attend(qt, kt, columns[2]), **heads, **options)
        qt, kt = (turned(c, past, size or d) for c in columns[:2])
        after = g.inputs["old"].copy()
        after[0, :, :, past:past + s], after[1, :, :, past:past + s] = kt, columns[2]
        full = [h[:, :, :past + s] for h in after.astype(np.float64)]
        causal = np.arange(past + s) <= past + np.arange(s)[:, None]
        name = f"shared_rotary_{size}"
        g.add("Attention", name, [x, w, bias, None, old, None, length], 2, expected=attend(qt, *full, causal), **heads,
              **options, past_present_share_buffer=1, unidirectional=1)
        g.known[f"{name}_1"] = after
    mask = g.rng.integers(0, 2, (b, 1, room, room)).astype(np.int32)
    mask[..., 0] = 1
    full = [np.concatenate([o, c], 2) for o, c in zip(g.inputs["old"][:, :, :, :past].astype(np.float64), columns[1:])]
    g.add("Attention", "whole_mask", [x, w, bias, g.input("mask", mask), g.input("few", g.inputs["old"][:, :, :, :past])],
          expected=attend(columns[0], *full, mask[:, :, past:past + s, :past + s] == 1), **heads)
    return g


def attention_lstm():
    g = Group("attention_lstm")
    t, b, size, hidden, depth, steps, inner, layer = 5, 3, 4, 6, 5, 7, 4, 3
    x, memory = g.input("x", g.normal(t, b, size)), g.input("memory", g.normal(b, steps, depth))
    lengths, ends = g.input("lengths", np.array([5, 2, 4], np.int32)), g.input("ends", np.array([7, 1, 5], np.int32))

    def case(name, d=1, bias=False, short=False, state=False, peep=False, cut=False, deep=True, **options):
        n = size + (layer if deep else depth)
        weights = [g.normal(d, 4 * hidden, n, scale=0.5), g.normal(d, 4 * hidden, hidden, scale=0.5)]
        maybe = lambda yes, *shape: g.normal(*shape, scale=0.5) if yes else None
        g.add("AttnLSTM", name, [x, *weights, maybe(bias, d, 8 * hidden), lengths if short else None,
                                 maybe(state, d, b, hidden), maybe(state, d, b, hidden), maybe(peep, d, 3 * hidden),
                                 g.normal(d, hidden, inner), g.normal(d, depth, inner), g.normal(d, inner), memory,
                                 ends if cut else None, maybe(deep, d, depth + hidden, layer)], 3, hidden_size=hidden, **options)

    case("plain")
    case("no_layer", deep=False, bias=True)
    case("cut", bias=True, short=True, cut=True, state=True)
    case("reverse", bias=True, short=True, direction="reverse")
    case("both", 2, bias=True, short=True, cut=True, state=True, peep=True, direction="bidirectional")
    case("both_whole", 2, deep=False, direction="bidirectional",
         activations=["Sigmoid", "Tanh", "Tanh", "HardSigmoid", "Softsign", "Relu"], activation_alpha=[0.3], activation_beta=[0.4])
    case("clipped", bias=True, peep=True, input_forget=1, clip=0.4)
    return g


def experts_and_blocks():
    """The sparse mixer, which ONNX Runtime's CPU kernel leaves out, and MatMulFpQ4, which it has for AVX512 only: computed
    here. A node of its own, which ONNX Runtime wants, is there too."""
    g = Group("experts_and_blocks")
    n, e, size, inner, f = 6, 5, 16, 8, np.float32
    x, g.rng = g.input("x", g.normal(n, size)), np.random.default_rng(7)
    g.add("SampleOp", "same", [x])
    scores = g.normal(n, e)
    scores[0, :2], scores[1, 1:4], scores[2] = [2, 1.99], [1.5, 1.49, 1.48], 0  # near ones, and all alike
    first, second = g.normal(e, inner, size, scale=0.3), g.normal(e, size, inner, scale=0.3)
    rows = []
    for score, row in zip(scores, g.inputs["x"]):
        left, y = score.astype(np.float64), 0
        for _ in range(2):
            best = int(np.argmax(left))
            near = (left[best] - score) / np.maximum(np.maximum(np.abs(score), left[best]), 1e-30) <= 0.02
            share = np.exp(left[best] - left[best]) / np.exp(np.where(near, left, -np.inf) - left[best]).sum()
            y = y + share * (second[best] @ np.maximum(first[best] @ row, 0))
            left[best] = -np.inf
        rows.append(y)
    g.add("MoE", "mixer", [x, g.input("scores", scores), first, None, second], k=2, use_sparse_mixer=1,
          normalize_routing_weights=1, expected=np.stack(rows).astype(f))
    for kind, block, zeros in ((0, 32, False), (1, 32, True), (2, 64, False), (4, 128, False)):
        k, columns, blob, weight = 150, 5, b"", np.zeros((150, 5), f)
        for column in range(columns):
            for at in range(0, k, block):
                codes, scale, zero = g.rng.integers(0, 16, block), f(g.rng.random() * 0.1 + 0.01), int(g.rng.integers(0, 16))
                zero = zero if zeros else 8
                blob += scale.tobytes() + (bytes([zero]) if zeros else b"")
                blob += b"".join(bytes((codes[i:i + 16] | codes[i + 16:i + 32] << 4).astype(np.uint8))
                                 for i in range(0, block, 32))
                weight[at:at + block, column] = ((codes - zero) * scale)[:k - at]
        a = g.input("a", g.inputs.get("a", g.normal(2, 3, k)))
        g.add("MatMulFpQ4", f"blocks_{kind}", [a, np.frombuffer(blob, np.uint8), np.array([k, columns], np.int64)],
              blk_quant_type=kind, expected=(g.inputs["a"].astype(np.float64) @ weight).astype(f))
    return g


if __name__ == "__main__":
    write_groups(__doc__.splitlines()[0],
                 (hashes, rare, rolling, rolling_steps, attention_caches, attention_lstm, experts_and_blocks))
