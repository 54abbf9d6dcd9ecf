"""MobileNet, version 1: depthwise separable convolutions, one after the other.

Howard, Zhu, Chen, Kalenichenko, Wang, Weyand, Andreetto, Adam, "MobileNets: Efficient Convolutional Neural
Networks for Mobile Vision Applications", 2017, arXiv:1704.04861.

Computes what `keras.applications.MobileNet` computes from the same weights, in the same order. Its classifier is
a 1x1 convolution over one pixel: reshape the kernel, `(1, 1, features, classes)`, to that of `head`,
`(features, classes)`.
"""

import math
from dataclasses import dataclass
from typing import Literal

import keras

from zoo import blocks, check
from zoo.contract import Origin, Spec

TASK = "classify"
EPSILON = 1e-3
"""As in `keras.applications` and the authors' code; the paper gives none."""

ROWS = ((64, 1, 1), (128, 2, 2), (256, 2, 2), (512, 6, 2), (1024, 2, 2))
"""Table 1, by resolution: channels, depthwise separable convolutions, stride of the first one."""


@dataclass(frozen=True, kw_only=True)
class MobileNetV1Spec(Spec):
    """A MobileNet.

    Attributes:
        width: multiplier of the channels; fractions are cut off (section 3.3).
        stem: channels of the first convolution, before the multiplier; its stride is 2.
        rows: one stage each, `(channels, convolutions, stride of the first one)`, as in table 1.
        padding: of the depthwise convolutions at stride 2: `corner` is that of `keras.applications`, which
            rounds an odd size down, `same` is TensorFlow's.
        activation: `relu6` in the authors' code, `relu` in the paper.
        bias: a bias in the convolutions, useless beside the normalisation, but in the MLPerf Tiny benchmark.
        dropout: share of the features dropped before the head.
    """

    stem: int = 32
    rows: tuple[tuple[int, int, int], ...] = ROWS
    padding: Literal["corner", "same"] = "corner"
    activation: Literal["relu6", "relu"] = "relu6"
    bias: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check.whole(self.stem, "stem")
        check.one_of(self.padding, "padding", ("corner", "same"))
        check.one_of(self.activation, "activation", ("relu6", "relu"))
        check.flag(self.bias, "bias")
        rows = check.items(self.rows, "rows")
        checked = tuple(check.wholes(row, "each row of rows", count=3) for row in rows)
        object.__setattr__(self, "rows", checked)


SPEC = MobileNetV1Spec

MLPERF = MobileNetV1Spec(width=0.25, padding="same", activation="relu", bias=True)
"""The reference model for visual wake words of MLPerf Tiny (Banbury et al. 2021, arXiv:2106.07597, table 1)."""

VARIANTS: dict[str, MobileNetV1Spec] = {
    # Table 1 at the multipliers of table 6.
    "mobilenet_v1_025": MobileNetV1Spec(width=0.25),
    "mobilenet_v1_050": MobileNetV1Spec(width=0.5),
    "mobilenet_v1_075": MobileNetV1Spec(width=0.75),
    "mobilenet_v1": MobileNetV1Spec(),
    "mlperf_mobilenet_v1": MLPERF,
}


def origin(spec: MobileNetV1Spec) -> Origin:
    """The paper and ImageNet; for the benchmark's model the benchmark and its pictures with or without a person."""
    if spec == MLPERF:
        return Origin("Banbury et al., MLPerf Tiny Benchmark, NeurIPS 2021, arXiv:2106.07597", (96, 96, 3), 2)
    title = "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications"
    return Origin(f"Howard et al., {title}, 2017, arXiv:1704.04861", (224, 224, 3), 1000)


def build(
    spec: MobileNetV1Spec,
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    activation: str | None,
    name: str,
) -> keras.Model:
    """The network: `stem`, a `stageN` for each row, `head`. See `zoo.build`."""
    shrinks = 2 * math.prod(stride for _, _, stride in spec.rows)
    inputs = blocks.image_input(input_shape, stride=shrinks, model=name)
    x = blocks.conv(inputs, _scaled(spec.stem, spec), 3, stride=2, bias=spec.bias, padding="same", name="stem_conv")
    x = _norm_relu(x, spec, "stem_norm", "stem")
    for stage, (channels, count, stride) in enumerate(spec.rows, start=1):
        for number in range(1, count + 1):
            label = f"stage{stage}_block{number}"
            step = stride if number == 1 else 1
            x = blocks.depthwise(x, 3, stride=step, bias=spec.bias, padding=spec.padding, name=f"{label}_depthwise")
            x = _norm_relu(x, spec, f"{label}_depthwise_norm", f"{label}_depthwise_relu")
            x = blocks.conv(x, _scaled(channels, spec), 1, bias=spec.bias, name=f"{label}_pointwise")
            end = f"stage{stage}" if number == count else f"{label}_out"
            x = _norm_relu(x, spec, f"{label}_pointwise_norm", end)
    outputs = blocks.head(x, classes=classes, dropout=spec.dropout, activation=activation)
    return keras.Model(inputs, outputs, name=name)


def _scaled(channels: int, spec: MobileNetV1Spec) -> int:
    return max(1, int(channels * spec.width))


def _norm_relu(x: keras.KerasTensor, spec: MobileNetV1Spec, norm: str, relu: str) -> keras.KerasTensor:
    x = blocks.norm(x, epsilon=EPSILON, name=norm)
    return keras.layers.ReLU(6.0 if spec.activation == "relu6" else None, name=relu)(x)
