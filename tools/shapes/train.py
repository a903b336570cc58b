"""Train the picture classifier and write it as ONNX with its labels.

    python train.py --onnx quern-shapes.onnx --labels quern-shapes.txt [--minutes 10]

Input "image": float32 [N, 3, 64, 64], RGB in 0 .. 1, less the mean (0.485, 0.456, 0.406), over the deviation
(0.229, 0.224, 0.225), as image classifiers usually take it. Output "scores": float32 [N, 12], logits.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper
from torch import nn

import draw

MEAN = np.array([0.485, 0.456, 0.406], np.float32)
DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)


class Separable(nn.Module):
    """Depthwise 3x3, then pointwise, each with batch norm; a way around where the shape stays."""

    def __init__(self, inner, outer, stride):
        super().__init__()
        self.depth = nn.Conv2d(inner, inner, 3, stride, 1, groups=inner, bias=False)
        self.depth_norm = nn.BatchNorm2d(inner)
        self.point = nn.Conv2d(inner, outer, 1, bias=False)
        self.point_norm = nn.BatchNorm2d(outer)
        self.around = stride == 1 and inner == outer

    def forward(self, x):
        y = F.relu(self.depth_norm(self.depth(x)))
        y = self.point_norm(self.point(y))
        return F.relu(y + x if self.around else y)


class Shapes(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.stem = nn.Conv2d(3, 24, 3, 2, 1, bias=False)
        self.stem_norm = nn.BatchNorm2d(24)
        plan = [(24, 48, 2), (48, 48, 1), (48, 96, 2), (96, 96, 1), (96, 96, 1), (96, 160, 2), (160, 160, 1)]
        self.blocks = nn.ModuleList(Separable(*p) for p in plan)
        self.head = nn.Linear(160, classes)

    def forward(self, x):
        x = F.relu(self.stem_norm(self.stem(x)))
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean((2, 3)))


def batch(rng, count):
    labels = rng.integers(0, len(draw.LABELS), count)
    pictures = np.stack([draw.draw(draw.LABELS[i], rng) for i in labels]).astype(np.float32) / 255
    return torch.from_numpy(((pictures - MEAN) / DEVIATION).transpose(0, 3, 1, 2).copy()), torch.from_numpy(labels)


class Writer:
    """The module as ONNX nodes, written by hand so that the file is what the module says and nothing else."""

    def __init__(self):
        self.nodes, self.weights, self.count = [], [], 0

    def weight(self, name, tensor):
        self.weights.append(numpy_helper.from_array(tensor.detach().numpy(), name))
        return name

    def node(self, op, inputs, **attributes):
        self.count += 1
        out = f"{op.lower()}_{self.count}"
        self.nodes.append(helper.make_node(op, inputs, [out], name=out, **attributes))
        return out

    def conv(self, x, conv, name):
        pad = conv.padding[0]
        return self.node("Conv", [x, self.weight(name + ".weight", conv.weight)], strides=list(conv.stride),
                         pads=[pad] * 4, group=conv.groups, kernel_shape=list(conv.kernel_size))

    def norm(self, x, norm, name):
        names = [self.weight(f"{name}.{k}", getattr(norm, k)) for k in ("weight", "bias", "running_mean", "running_var")]
        return self.node("BatchNormalization", [x, *names], epsilon=norm.eps)

    def relu(self, x):
        return self.node("Relu", [x])


def export(net, path):
    net.eval()
    w = Writer()
    x = w.relu(w.norm(w.conv("image", net.stem, "stem"), net.stem_norm, "stem_norm"))
    for i, block in enumerate(net.blocks):
        y = w.relu(w.norm(w.conv(x, block.depth, f"{i}.depth"), block.depth_norm, f"{i}.depth_norm"))
        y = w.norm(w.conv(y, block.point, f"{i}.point"), block.point_norm, f"{i}.point_norm")
        x = w.relu(w.node("Add", [y, x]) if block.around else y)
    x = w.node("Flatten", [w.node("GlobalAveragePool", [x])])
    w.nodes.append(helper.make_node(
        "Gemm", [x, w.weight("head.weight", net.head.weight), w.weight("head.bias", net.head.bias)], ["scores"],
        name="head", transB=1))
    graph = helper.make_graph(
        w.nodes, "quern-shapes", [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, 64, 64])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", len(draw.LABELS)])], w.weights)
    model = helper.make_model(graph, producer_name="quern tools/shapes", ir_version=8,
                              opset_imports=[helper.make_opsetid("", 17)])
    onnx.checker.check_model(model)
    onnx.save(model, path)


@torch.no_grad()
def accuracy(net, rng, count):
    net.eval()
    x, labels = batch(rng, count)
    right = (net(x).argmax(1) == labels).float().mean().item()
    net.train()
    return right


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--onnx", type=Path, required=True)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.manual_seed(1)
    torch.set_num_threads(args.threads)
    rng, held_out = np.random.default_rng(1), np.random.default_rng(10**9)
    net = Shapes(len(draw.LABELS))
    optimiser = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=1e-2)
    begin, step = time.time(), 0
    args.labels.write_text("".join(label + "\n" for label in draw.LABELS))
    while (share := (time.time() - begin) / (60 * args.minutes)) < 1:
        for group in optimiser.param_groups:
            group["lr"] = 2e-3 * min(1, (step + 1) / 100) * (0.02 + 0.98 * (1 - share))
        x, labels = batch(rng, 64)
        loss = F.cross_entropy(net(x), labels, label_smoothing=0.05)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        step += 1
        if step % 200 == 0:
            print(f"{share:4.0%}  step {step}  loss {loss.item():.3f}  held out {accuracy(net, held_out, 240):.3f}", flush=True)
            export(net, args.onnx)
    export(net, args.onnx)
    print(f"{step} steps of 64; held out: {accuracy(net, held_out, 2400):.4f} of 2400; "
          f"{args.onnx.stat().st_size} bytes, {sum(p.numel() for p in net.parameters())} parameters")


if __name__ == "__main__":
    main()
