#!/usr/bin/env python3
"""Writes ResNet-50 and MobileNetV2 as ONNX at their true sizes with random weights, for speed tests.

    tools/onnx/make_cnn.py FOLDER [--batch-norm]

resnet50.onnx and mobilenetv2.onnx take "input" f32 [1, 3, 224, 224] and give "output" f32 [1, 1000]. Weights are drawn so
that activations keep their size from layer to layer. With --batch-norm each convolution is followed by a
BatchNormalization node, as exporters write them for training; without, that is folded into weights and bias, as they do
for inference. Needs numpy and onnx.
"""
import argparse
import os

import numpy as np
import onnx
from onnx import helper, numpy_helper


class Network:
    def __init__(self, name, batch_norm):
        self.name, self.batch_norm = name, batch_norm
        self.nodes, self.constants = [], []
        self.random = np.random.default_rng(1)
        self.count = 0

    def constant(self, name, array):
        self.constants.append(numpy_helper.from_array(array.astype(np.float32), name))
        return name

    def node(self, op, inputs, **attributes):
        self.count += 1
        out = f"{op.lower()}_{self.count}"
        self.nodes.append(helper.make_node(op, inputs, [out], name=out, **attributes))
        return out

    def conv(self, x, channels, out, kernel, stride=1, groups=1, gain=2.0):
        name = f"conv_{self.count + 1}"
        fan_in = channels // groups * kernel * kernel
        weights = self.random.standard_normal((out, channels // groups, kernel, kernel)) * (gain / fan_in) ** 0.5
        inputs = [x, self.constant(name + ".weight", weights)]
        if not self.batch_norm:
            inputs.append(self.constant(name + ".bias", self.random.standard_normal(out) * 0.1))
        pad = kernel // 2
        x = self.node("Conv", inputs, kernel_shape=[kernel, kernel], strides=[stride, stride], pads=[pad] * 4,
                      group=groups, dilations=[1, 1])
        if not self.batch_norm:
            return x
        parameters = [1 + 0.1 * self.random.standard_normal(out), 0.1 * self.random.standard_normal(out),
                      0.1 * self.random.standard_normal(out), 1 + 0.1 * self.random.random(out)]
        names = [self.constant(f"{name}.norm.{i}", p) for i, p in enumerate(parameters)]
        return self.node("BatchNormalization", [x] + names, epsilon=1e-5)

    def relu6(self, x):
        if not any(c.name == "zero" for c in self.constants):
            self.constant("zero", np.float32(0))
            self.constant("six", np.float32(6))
        return self.node("Clip", [x, "zero", "six"])

    def classify(self, x, channels):
        x = self.node("GlobalAveragePool", [x])
        x = self.node("Flatten", [x], axis=1)
        weights = self.random.standard_normal((1000, channels)) / channels ** 0.5
        self.nodes.append(helper.make_node("Gemm", [x, self.constant("fc.weight", weights),
                                                    self.constant("fc.bias", np.zeros(1000))], ["output"], transB=1))

    def save(self, folder):
        graph = helper.make_graph(
            self.nodes, self.name, [helper.make_tensor_value_info("input", 1, [1, 3, 224, 224])],
            [helper.make_tensor_value_info("output", 1, [1, 1000])], self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(model)
        path = os.path.join(folder, self.name + ".onnx")
        onnx.save(model, path)
        print(f"{path}: {os.path.getsize(path) / 1e6:.1f} MB")


def resnet50(batch_norm):
    n = Network("resnet50", batch_norm)
    x = n.node("Relu", [n.conv("input", 3, 64, 7, 2)])
    x = n.node("MaxPool", [x], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    channels = 64
    for width, blocks, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for block in range(blocks):
            step = stride if block == 0 else 1
            y = n.node("Relu", [n.conv(x, channels, width, 1)])
            y = n.node("Relu", [n.conv(y, width, width, 3, step)])
            y = n.conv(y, width, 4 * width, 1, gain=0.3)
            if block == 0:
                x = n.conv(x, channels, 4 * width, 1, step, gain=1.0)
            channels = 4 * width
            x = n.node("Relu", [n.node("Add", [y, x])])
    n.classify(x, channels)
    return n


def mobilenetv2(batch_norm):
    n = Network("mobilenetv2", batch_norm)
    x, channels = n.relu6(n.conv("input", 3, 32, 3, 2)), 32
    for expand, out, blocks, stride in ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1),
                                        (6, 160, 3, 2), (6, 320, 1, 1)):
        for block in range(blocks):
            step, y, wide = stride if block == 0 else 1, x, channels * expand
            if expand > 1:
                y = n.relu6(n.conv(y, channels, wide, 1))
            y = n.relu6(n.conv(y, wide, wide, 3, step, wide))
            y = n.conv(y, wide, out, 1, gain=0.7)
            x = n.node("Add", [x, y]) if step == 1 and channels == out else y
            channels = out
    x = n.relu6(n.conv(x, channels, 1280, 1))
    n.classify(x, 1280)
    return n


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--batch-norm", action="store_true", help="leave batch normalisation as nodes")
    arguments = parser.parse_args()
    os.makedirs(arguments.folder, exist_ok=True)
    for network in (resnet50, mobilenetv2):
        network(arguments.batch_norm).save(arguments.folder)


if __name__ == "__main__":
    main()
