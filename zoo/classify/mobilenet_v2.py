"""MobileNetV2: inverted residuals with linear bottlenecks.

Sandler, Howard, Zhu, Zhmoginov, Chen, "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018,
arXiv:1801.04381.

Computes what `keras.applications.MobileNetV2` computes from the same weights, in the same order; with
`padding="centred"` and `epsilon=1e-5` what torchvision's computes.
"""

from dataclasses import dataclass
from typing import Literal

import keras

from zoo import blocks, check
from zoo.contract import Origin, Spec

TASK = "classify"
ROWS = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
"""Table 2: expansion t, channels c, repetitions n, stride s of the first repetition."""


@dataclass(frozen=True, kw_only=True)
class MobileNetV2Spec(Spec):
    """A MobileNetV2.

    Attributes:
        width: multiplier of the channels; they are rounded to multiples of 8.
        stem: channels of the first convolution, before the multiplier; its stride is 2.
        rows: one stage each, `(expansion, channels, repetitions, stride)`, as in table 2.
        top: channels of the last 1x1 convolution, which is a stage of its own; a multiplier below 1 leaves
            them (section 6.1).
        padding: at stride 2: `same` is TensorFlow's, `centred` pads one pixel on every side, as PyTorch does.
        epsilon: of the normalisations, above 0: 1e-3 in the authors' code and `keras.applications` (the paper
            gives none), 1e-5 in torchvision.
        dropout: share of the features dropped before the head.
    """

    width: float = 1.0
    stem: int = 32
    rows: tuple[tuple[int, int, int, int], ...] = ROWS
    top: int = 1280
    padding: Literal["same", "centred"] = "same"
    epsilon: float = 1e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        check.whole(self.stem, "stem")
        check.whole(self.top, "top")
        check.one_of(self.padding, "padding", ("same", "centred"))
        check.real(self.epsilon, "epsilon", above=0.0)
        rows = check.items(self.rows, "rows")
        checked = tuple(check.wholes(row, "each row of rows", count=4) for row in rows)
        object.__setattr__(self, "rows", checked)


SPEC = MobileNetV2Spec

# Table 2 at the multipliers that the authors published checkpoints for (section 6.1: 0.35 to 1.4).
VARIANTS: dict[str, MobileNetV2Spec] = {
    "mobilenet_v2_035": MobileNetV2Spec(width=0.35),
    "mobilenet_v2_050": MobileNetV2Spec(width=0.5),
    "mobilenet_v2_075": MobileNetV2Spec(width=0.75),
    "mobilenet_v2": MobileNetV2Spec(),
    "mobilenet_v2_130": MobileNetV2Spec(width=1.3),
    "mobilenet_v2_140": MobileNetV2Spec(width=1.4),
}


def origin(spec: MobileNetV2Spec) -> Origin:
    """The paper; ImageNet."""
    title = "MobileNetV2: Inverted Residuals and Linear Bottlenecks"
    return Origin(f"Sandler et al., {title}, CVPR 2018, arXiv:1801.04381", (224, 224, 3), 1000)


def build(
    spec: MobileNetV2Spec,
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    activation: str | None,
    name: str,
) -> keras.Model:
    """The network: `stem`, a `stageN` for each row and for the last convolution, `head`. See `zoo.build`."""
    shrinks = 2
    for _, _, _, stride in spec.rows:
        shrinks *= stride
    inputs = blocks.image_input(input_shape, stride=shrinks, model=name)
    x = blocks.conv(inputs, blocks.rounded(spec.stem * spec.width), 3, stride=2, padding=spec.padding, name="stem_conv")
    x = blocks.norm_relu6(x, epsilon=spec.epsilon, norm_name="stem_norm", name="stem")
    for stage, (expansion, channels, repetitions, stride) in enumerate(spec.rows, start=1):
        for number in range(1, repetitions + 1):
            label = f"stage{stage}_block{number}"
            x = blocks.inverted_residual(
                x,
                blocks.rounded(int(channels * spec.width)),
                expansion=expansion,
                kernel=3,
                stride=stride if number == 1 else 1,
                epsilon=spec.epsilon,
                padding=spec.padding,
                drop=0.0,
                label=label,
                end=f"stage{stage}" if number == repetitions else f"{label}_out",
            )
    top = blocks.rounded(spec.top * spec.width) if spec.width > 1.0 else spec.top
    last = f"stage{len(spec.rows) + 1}"
    x = blocks.conv(x, top, 1, name=f"{last}_conv")
    x = blocks.norm_relu6(x, epsilon=spec.epsilon, norm_name=f"{last}_norm", name=last)
    outputs = blocks.head(x, classes=classes, dropout=spec.dropout, activation=activation)
    return keras.Model(inputs, outputs, name=name)
