#!/usr/bin/env python3
"""The models that docs/speed.md compares with ONNX Runtime, with random weights at true size.

    python bench/make_onnx_models.py FOLDER

needs onnx, onnxruntime and numpy. Writes resnet50, mobilenetv2 (float32 and .qdq: int8 by Q/DQ, per channel), bert and
gpt2 (float32 and .int8: dynamic), and prints the arguments for bench/compare_onnxruntime.py.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np

TOOLS = Path(__file__).resolve().parent.parent / "tools" / "onnx"


def quantise(source, target):
    """Q/DQ with scales from a few random pictures: u8 activations, i8 weights per output channel."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Pictures(CalibrationDataReader):
        def __init__(self):
            random = np.random.default_rng(0)
            self.rest = [{"input": random.standard_normal((1, 3, 224, 224)).astype(np.float32)} for _ in range(2)]

        def get_next(self):
            return self.rest.pop() if self.rest else None

    quantize_static(source, target, Pictures(), quant_format=QuantFormat.QDQ, per_channel=True,
                    activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, TOOLS / "make_cnn.py", folder], check=True)
    for name in ("bert", "gpt2"):
        subprocess.run([sys.executable, TOOLS / "make_bert.py", name, folder / f"{name}.onnx", "--dynamic-int8"], check=True)
    for name in ("resnet50", "mobilenetv2"):
        quantise(folder / f"{name}.onnx", folder / f"{name}.qdq.onnx")
    rows = [f"{name}{kind}.onnx" for name in ("resnet50", "mobilenetv2") for kind in ("", ".qdq")]
    for kind in ("", ".int8"):
        rows += [f"bert{kind}.onnx:batch=1,sequence=128", f"bert{kind}.onnx:batch=8,sequence=128",
                 f"gpt2{kind}.onnx:batch=1,sequence=1,past=128", f"gpt2{kind}.onnx:batch=1,sequence=128,past=0"]
    print(*(folder / row for row in rows))


if __name__ == "__main__":
    main()
