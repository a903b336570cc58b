#!/usr/bin/env python3
"""Writes transformers with random weights at true size, in the operators that exporters use.

    make_bert.py bert OUT.onnx [--layers 12] [--hidden 768] [--heads 12] [--vocab 30522] [--seed 0]
    make_bert.py gpt2 OUT.onnx [--layers 12] [--hidden 768] [--heads 12] [--vocab 50257] [--seed 0]
    make_bert.py ... --dynamic-int8   also writes OUT.int8.onnx (onnxruntime.quantization.quantize_dynamic)

bert: input_ids, attention_mask, token_type_ids i64 [batch, sequence] -> last_hidden_state, pooler_output.
gpt2: input_ids i64 [batch, sequence], past.<layer>.key and .value f32 [batch, heads, past, size] -> logits, present...
"""
import argparse
import math

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Graph:
    def __init__(self, seed):
        self.random = np.random.default_rng(seed)
        self.nodes, self.weights, self.names = [], [], {}

    def name(self, hint):
        self.names[hint] = self.names.get(hint, 0) + 1
        return f"{hint}_{self.names[hint]}"

    def constant(self, hint, array):
        name = self.name(hint)
        self.weights.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def weight(self, hint, *shape, scale=0.02):
        return self.constant(hint, self.random.standard_normal(shape, dtype=np.float32) * np.float32(scale))

    def op(self, kind, *inputs, outputs=None, **attributes):
        out = outputs or [self.name(kind)]
        self.nodes.append(helper.make_node(kind, list(inputs), out, name=self.name(f"/{kind}"), **attributes))
        return out[0]

    def ints(self, *values):
        return self.constant("sizes", np.array(values, dtype=np.int64))

    def number(self, value):
        return self.constant("number", np.array(value, dtype=np.float32))


def linear(g, x, k, n, hint):
    y = g.op("MatMul", x, g.weight(f"{hint}.weight", k, n))
    return g.op("Add", g.weight(f"{hint}.bias", n), y)


def layer_norm(g, x, hidden, hint):
    gain = g.constant(f"{hint}.weight", 1 + g.random.standard_normal(hidden, dtype=np.float32) * np.float32(0.02))
    return g.op("LayerNormalization", x, gain, g.weight(f"{hint}.bias", hidden), axis=-1, epsilon=1e-12)


def gelu_erf(g, x):
    inner = g.op("Erf", g.op("Div", x, g.number(math.sqrt(2))))
    return g.op("Mul", g.op("Mul", x, g.op("Add", inner, g.number(1))), g.number(0.5))


def gelu_tanh(g, x):
    cube = g.op("Pow", x, g.number(3))
    inner = g.op("Add", x, g.op("Mul", cube, g.number(0.044715)))
    inner = g.op("Tanh", g.op("Mul", inner, g.number(math.sqrt(2 / math.pi))))
    return g.op("Mul", g.op("Mul", x, g.number(0.5)), g.op("Add", inner, g.number(1)))


def heads_of(g, x, heads, size):
    x = g.op("Reshape", x, g.ints(0, 0, heads, size))
    return g.op("Transpose", x, perm=[0, 2, 1, 3])


def attend(g, q, k, v, mask, hidden, size):
    scores = g.op("MatMul", q, g.op("Transpose", k, perm=[0, 1, 3, 2]))
    scores = g.op("Div", scores, g.number(math.sqrt(size)))
    weights = g.op("Softmax", g.op("Add", scores, mask), axis=-1)
    y = g.op("Transpose", g.op("MatMul", weights, v), perm=[0, 2, 1, 3])
    return g.op("Reshape", y, g.ints(0, 0, hidden))


def bert(g, a):
    size = a.hidden // a.heads
    x = g.op("Gather", g.weight("word_embeddings", a.vocab, a.hidden), "input_ids")
    kinds = g.op("Gather", g.weight("token_type_embeddings", 2, a.hidden), "token_type_ids")
    length = g.op("Gather", g.op("Shape", "input_ids"), g.constant("one", np.array(1, dtype=np.int64)))
    steps = g.op("Slice", g.weight("position_embeddings", 512, a.hidden), g.ints(0),
                 g.op("Unsqueeze", length, g.ints(0)), g.ints(0))
    x = g.op("Add", g.op("Add", x, kinds), steps)
    x = layer_norm(g, x, a.hidden, "embeddings.norm")
    seen = g.op("Cast", g.op("Unsqueeze", "attention_mask", g.ints(1, 2)), to=TensorProto.FLOAT)
    mask = g.op("Mul", g.op("Sub", g.number(1), seen), g.number(-1e4))
    for i in range(a.layers):
        hint = f"layer.{i}"
        q, k, v = (heads_of(g, linear(g, x, a.hidden, a.hidden, f"{hint}.{part}"), a.heads, size)
                   for part in ("query", "key", "value"))
        y = attend(g, q, k, v, mask, a.hidden, size)
        x = layer_norm(g, g.op("Add", linear(g, y, a.hidden, a.hidden, f"{hint}.output"), x), a.hidden, f"{hint}.norm1")
        y = gelu_erf(g, linear(g, x, a.hidden, 4 * a.hidden, f"{hint}.up"))
        y = linear(g, y, 4 * a.hidden, a.hidden, f"{hint}.down")
        x = layer_norm(g, g.op("Add", y, x), a.hidden, f"{hint}.norm2")
    g.op("Identity", x, outputs=["last_hidden_state"])
    first = g.op("Gather", x, g.constant("zero", np.array(0, dtype=np.int64)), axis=1)
    pooled = g.op("Gemm", first, g.weight("pooler.weight", a.hidden, a.hidden), g.weight("pooler.bias", a.hidden), transB=1)
    g.op("Tanh", pooled, outputs=["pooler_output"])
    shape = ["batch", "sequence"]
    inputs = [helper.make_tensor_value_info(n, TensorProto.INT64, shape)
              for n in ("input_ids", "attention_mask", "token_type_ids")]
    outputs = [helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, shape + [a.hidden]),
               helper.make_tensor_value_info("pooler_output", TensorProto.FLOAT, ["batch", a.hidden])]
    return inputs, outputs


def gpt2(g, a):
    size = a.hidden // a.heads
    table = g.weight("wte", a.vocab, a.hidden)
    one = g.constant("one", np.array(1, dtype=np.int64))
    length = g.op("Gather", g.op("Shape", "input_ids"), one)
    past = g.op("Gather", g.op("Shape", "past.0.key"), g.constant("two", np.array(2, dtype=np.int64)))
    total = g.op("Add", past, length)
    positions = g.op("Range", past, total, one)
    x = g.op("Add", g.op("Gather", table, "input_ids"), g.op("Gather", g.weight("wpe", 1024, a.hidden), positions))
    keys = g.op("Range", g.constant("zero", np.array(0, dtype=np.int64)), total, one)
    hidden = g.op("Less", g.op("Unsqueeze", positions, g.ints(1)), g.op("Unsqueeze", keys, g.ints(0)))
    mask = g.op("Where", hidden, g.number(-1e4), g.number(0))
    inputs = [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "sequence"])]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", "sequence", a.vocab])]
    for i in range(a.layers):
        hint = f"h.{i}"
        y = linear(g, layer_norm(g, x, a.hidden, f"{hint}.ln_1"), a.hidden, 3 * a.hidden, f"{hint}.attn")
        parts = [g.name("Split") for _ in range(3)]
        g.op("Split", y, g.ints(a.hidden, a.hidden, a.hidden), outputs=parts, axis=-1)
        q, k, v = (heads_of(g, part, a.heads, size) for part in parts)
        k = g.op("Concat", f"past.{i}.key", k, outputs=[f"present.{i}.key"], axis=2)
        v = g.op("Concat", f"past.{i}.value", v, outputs=[f"present.{i}.value"], axis=2)
        for part in ("key", "value"):
            inputs.append(helper.make_tensor_value_info(f"past.{i}.{part}", TensorProto.FLOAT,
                                                        ["batch", a.heads, "past", size]))
            outputs.append(helper.make_tensor_value_info(f"present.{i}.{part}", TensorProto.FLOAT,
                                                         ["batch", a.heads, "total", size]))
        y = attend(g, q, k, v, mask, a.hidden, size)
        x = g.op("Add", x, linear(g, y, a.hidden, a.hidden, f"{hint}.proj"))
        y = gelu_tanh(g, linear(g, layer_norm(g, x, a.hidden, f"{hint}.ln_2"), a.hidden, 4 * a.hidden, f"{hint}.fc"))
        x = g.op("Add", x, linear(g, y, 4 * a.hidden, a.hidden, f"{hint}.mlp"))
    x = layer_norm(g, x, a.hidden, "ln_f")
    head = g.weight("lm_head", a.hidden, a.vocab)
    g.op("MatMul", x, head, outputs=["logits"])
    return inputs, outputs


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=["bert", "gpt2"])
    parser.add_argument("out")
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--hidden", type=int, default=768)
    parser.add_argument("--heads", type=int, default=12)
    parser.add_argument("--vocab", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dynamic-int8", action="store_true")
    a = parser.parse_args()
    a.vocab = a.vocab or (30522 if a.model == "bert" else 50257)
    g = Graph(a.seed)
    inputs, outputs = (bert if a.model == "bert" else gpt2)(g, a)
    graph = helper.make_graph(g.nodes, a.model, inputs, outputs, g.weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], producer_name="quern make_bert")
    model.ir_version = 8
    onnx.save(model, a.out)
    if a.dynamic_int8:
        from onnxruntime.quantization import QuantType, quantize_dynamic
        quantize_dynamic(a.out, a.out.removesuffix(".onnx") + ".int8.onnx", weight_type=QuantType.QInt8)


if __name__ == "__main__":
    main()
