"""Small language models with random weights as ONNX subgraphs, in the form that com.microsoft's search ops take:
decoders like GPT's, and encoders with decoders like T5's and Whisper's."""

import numpy as np
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper

POSITIONS = 24


class Graph:
    """A subgraph under way."""

    def __init__(self, rng):
        self.rng, self.nodes, self.weights = rng, [], []

    def weight(self, array):
        name = f"c{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def normal(self, *shape, scale=1.0):
        return self.weight((self.rng.standard_normal(shape) * scale).astype(np.float32))

    def ints(self, *values):
        return self.weight(np.array(values, np.int64))

    def op(self, op, inputs, name=None, **attributes):
        name = name or f"v{len(self.nodes)}"
        self.nodes.append(h.make_node(op, inputs, [name], **attributes))
        return name

    def size(self, x, axis):
        return self.op("Gather", [self.op("Shape", [x]), self.ints(axis)])

    def counted(self, start, count):
        """start, start + 1, ...: [count]"""
        ends = [self.op("Squeeze", [x]) for x in (start, self.op("Add", [start, count]))]
        return self.op("Range", [*ends, self.weight(np.int64(1))])

    def heads(self, x, w, heads):
        """[b, s, d] times w as [b, heads, s, d / heads]"""
        split = self.op("Reshape", [self.op("MatMul", [x, w]), self.ints(0, 0, heads, -1)])
        return self.op("Transpose", [split], perm=[0, 2, 1, 3])

    def attend(self, q, k, v, bias, d):
        scores = self.op("MatMul", [q, self.op("Transpose", [k], perm=[0, 1, 3, 2])])
        y = self.op("MatMul", [self.op("Softmax", [self.op("Add", [scores, bias])], axis=-1), v])
        joined = self.op("Reshape", [self.op("Transpose", [y], perm=[0, 2, 1, 3]), self.ints(0, 0, d)])
        return self.op("MatMul", [joined, self.normal(d, d, scale=0.6)])

    def masked(self, mask):
        """[b, n] as a bias [b, 1, 1, n]"""
        wide = self.op("Unsqueeze", [self.op("Cast", [mask], to=T.FLOAT), self.ints(1, 2)])
        hidden = self.op("Sub", [self.weight(np.float32(1)), wide])
        return self.op("Mul", [hidden, self.weight(np.float32(-1e4))])

    def causal(self, past, count):
        keys = self.counted(self.ints(0), self.op("Add", [past, count]))
        queries = self.op("Unsqueeze", [self.counted(past, count), self.ints(1)])
        seen = self.op("LessOrEqual", [self.op("Unsqueeze", [keys, self.ints(0)]), queries])
        return self.op("Where", [seen, self.weight(np.float32(0)), self.weight(np.float32(-1e4))])

    def logits(self, x, d, vocab, sharpness):
        x = self.op("LayerNormalization", [x, self.weight(np.ones(d, np.float32))], axis=-1)
        self.op("MatMul", [x, self.normal(d, vocab, scale=sharpness / np.sqrt(d))], "logits")

    def make(self, name, inputs, outputs):
        info = [[h.make_tensor_value_info(*v) for v in values] for values in (inputs, outputs)]
        return h.make_graph(self.nodes, name, *info, self.weights)


def gpt(seed, vocab=11, d=8, heads=2, layers=1, sharpness=3.0):
    g = Graph(np.random.default_rng(seed))
    inputs = [(n, T.INT32, ["b", s]) for n, s in (("input_ids", "s"), ("position_ids", "s"), ("attention_mask", "t"))]
    outputs = [("logits", T.FLOAT, ["b", "s", vocab])]
    x = g.op("Add", [g.op("Gather", [g.normal(vocab, d), "input_ids"]),
                     g.op("Gather", [g.normal(POSITIONS, d), "position_ids"])])
    bias = g.op("Add", [g.masked("attention_mask"), g.causal(g.size("past_0", 3), g.size("input_ids", 1))])
    for i in range(layers):
        inputs.append((f"past_{i}", T.FLOAT, [2, "b", heads, "p", d // heads]))
        outputs.append((f"present_{i}", T.FLOAT, [2, "b", heads, "t", d // heads]))
        q, k, v = (g.heads(x, g.normal(d, d, scale=0.6), heads) for _ in range(3))
        new = g.op("Concat", [g.op("Unsqueeze", [y, g.ints(0)]) for y in (k, v)], axis=0)
        both = g.op("Concat", [f"past_{i}", new], f"present_{i}", axis=3)
        k, v = (g.op("Squeeze", [g.op("Slice", [both, g.ints(j), g.ints(j + 1)]), g.ints(0)]) for j in range(2))
        x = g.op("Add", [x, g.attend(q, k, v, bias, d)])
    g.logits(x, d, vocab, sharpness)
    return g.make("decoder", inputs, outputs)


def encoder_decoder(seed, vocab=11, d=8, heads=2, layers=1, sharpness=3.0, features=0, hidden=True, starts=True,
                    whole=False):
    """An encoder and a decoder. features: of speech, 0: tokens; hidden: the decoder takes the encoder's output; starts:
    the encoder also runs the decoder's first step; whole: the decoder is given all tokens."""
    rng = np.random.default_rng(seed)
    keys = [[(rng.standard_normal((d, d)) * 0.6).astype(np.float32) for _ in range(2)] for _ in range(layers)]
    size = d // heads
    pairs = [(t, i) for i in range(layers) for t in ("key", "value")]
    own = [(f"_{t}_self_{i}", T.FLOAT, ["b", heads, "s", size]) for t, i in pairs]
    cross = [(f"_{t}_cross_{i}", T.FLOAT, ["b", heads, "n", size]) for t, i in pairs]

    def decode(g, ids, past, bias, others):
        g.rng = np.random.default_rng(seed + 1)
        before = g.size(past("key", 0), 2) if past else g.ints(0)
        count = g.size(ids, 1)
        x = g.op("Add", [g.op("Gather", [g.normal(vocab, d), ids]),
                         g.op("Gather", [g.normal(POSITIONS, d, scale=0.5), g.counted(before, count)])])
        seen = g.causal(before, count)
        for i in range(layers):
            q, k, v = (g.heads(x, g.normal(d, d, scale=0.6), heads) for _ in range(3))
            for t, new in (("key", k), ("value", v)):
                both = [past(t, i), new] if past else [new]
                g.op("Concat", both, f"present_{t}_self_{i}", axis=2)
            x = g.op("Add", [x, g.attend(q, f"present_key_self_{i}", f"present_value_self_{i}", seen, d)])
            q = g.heads(x, g.normal(d, d, scale=0.6), heads)
            x = g.op("Add", [x, g.attend(q, others("key", i), others("value", i), bias, d)])
        g.logits(x, d, vocab, sharpness)

    def bias_of(g):
        return g.weight(np.float32(0)) if features else g.masked("encoder_attention_mask")

    def named(prefix, values):
        return [(prefix + n, t, s) for n, t, s in values]

    mask = [] if features else [("encoder_attention_mask", T.INT32, ["b", "n"])]
    states = [("encoder_hidden_states", T.FLOAT, ["b", "n", d])]
    g = Graph(rng)
    if features:
        x = g.op("MatMul", [g.op("Transpose", ["encoder_input_ids"], perm=[0, 2, 1]), g.normal(features, d)])
        inputs = [("encoder_input_ids", T.FLOAT, ["b", features, "n"])]
    else:
        x = g.op("Gather", [g.normal(vocab, d), "encoder_input_ids"])
        inputs = [("encoder_input_ids", T.INT32, ["b", "n"])] + mask
    outputs = named("present", cross)
    x = g.op("Add", [x, g.attend(*(g.heads(x, g.normal(d, d, scale=0.6), heads) for _ in range(3)), bias_of(g), d)],
             "encoder_hidden_states")
    for t, i in pairs:
        w = g.weight(keys[i][t == "value"])
        g.op("Identity", [g.heads(x, w, heads)], f"present_{t}_cross_{i}")
    if starts:
        inputs.append(("decoder_input_ids", T.INT32, ["b", "s"]))
        outputs = [("logits", T.FLOAT, ["b", "s", vocab])] + states + named("present", own) + outputs
        decode(g, "decoder_input_ids", None, bias_of(g), lambda t, i: f"present_{t}_cross_{i}")
    encoder = g.make("encoder", inputs, outputs)
    g = Graph(rng)
    inputs = [("input_ids", T.INT32, ["b", "s" if whole else 1])] + mask + (states if hidden else [])
    inputs += named("past", own) + named("past", cross)
    ids = g.op("Slice", ["input_ids", g.ints(-1), g.ints(POSITIONS), g.ints(1)]) if whole else "input_ids"
    decode(g, ids, lambda t, i: f"past_{t}_self_{i}", bias_of(g), lambda t, i: f"past_{t}_cross_{i}")
    outputs = [("logits", T.FLOAT, ["b", 1, vocab])] + named("present", own)
    return {"encoder": encoder, "decoder": g.make("decoder", inputs, outputs)}
