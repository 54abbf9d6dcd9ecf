"""Inception version 1, GoogLeNet: 1x1, 3x3 and 5x5 convolutions and a pooling side by side.

Szegedy et al., "Going Deeper with Convolutions", CVPR 2015, arXiv:1409.4842.

Table 1, without the auxiliary classifiers, which only training uses, and without the two local response
normalisations that figure 3 draws and table 1 does not list.
"""

from dataclasses import dataclass

import keras

from zoo import blocks, check
from zoo.classify.inception import concatenate, names
from zoo.contract import Origin, Spec

TASK = "classify"

Row = tuple[int, ...]
STAGES: tuple[tuple[Row, ...], ...] = (
    ((64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64)),
    (
        (192, 96, 208, 16, 48, 64),
        (160, 112, 224, 24, 64, 64),
        (128, 128, 256, 24, 64, 64),
        (112, 144, 288, 32, 64, 64),
        (256, 160, 320, 32, 128, 128),
    ),
    ((256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128)),
)
"""Table 1, modules 3a to 5b: channels of 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool proj."""


@dataclass(frozen=True, kw_only=True)
class InceptionV1Spec(Spec):
    """An Inception version 1.

    Attributes:
        width: multiplier of all channels; they are rounded to multiples of 8.
        stages: the modules of each stage, six numbers each, as in table 1; a max pooling before each stage
            halves the size.
        dropout: share of the features dropped before the head (table 1: 0.4).
    """

    stages: tuple[tuple[Row, ...], ...] = STAGES
    dropout: float = 0.4

    def __post_init__(self) -> None:
        super().__post_init__()
        stages = tuple(check.items(stage, "each stage of stages") for stage in check.items(self.stages, "stages"))
        rows = tuple(tuple(check.wholes(row, "each module of stages", count=6) for row in stage) for stage in stages)
        object.__setattr__(self, "stages", rows)


SPEC = InceptionV1Spec

VARIANTS: dict[str, InceptionV1Spec] = {"inception_v1": InceptionV1Spec()}


def origin(spec: InceptionV1Spec) -> Origin:
    """The paper; ImageNet."""
    return Origin("Szegedy et al., Going Deeper with Convolutions, CVPR 2015, arXiv:1409.4842", (224, 224, 3), 1000)


def build(
    spec: InceptionV1Spec, *, input_shape: tuple[int, int, int], classes: int, activation: str | None, name: str
) -> keras.Model:
    """The network, with one endpoint a size: `stem` (a half), `stage1` (a quarter), one for each of `stages`, `head`.

    See `zoo.build`.
    """
    width = spec.width
    inputs = blocks.image_input(input_shape, stride=4 * 2 ** len(spec.stages), model=name)
    x = _unit(inputs, blocks.rounded(64 * width), 7, label="stem", end="stem", stride=2)
    x = _halve(x, "stage1_pool")
    x = _unit(x, blocks.rounded(64 * width), 1, label="stage1_1")
    x = _unit(x, blocks.rounded(192 * width), 3, label="stage1_2", end="stage1")
    for stage, rows in enumerate(spec.stages, start=2):
        x = _halve(x, f"stage{stage}_pool")
        for number, row in enumerate(rows, start=1):
            label, end = names(stage, number, len(rows))
            x = _module(x, [blocks.rounded(filters * width) for filters in row], label=label, end=end)
    outputs = blocks.head(x, classes=classes, dropout=spec.dropout, activation=activation)
    return keras.Model(inputs, outputs, name=name)


def _unit(
    x: keras.KerasTensor, filters: int, kernel: int, *, label: str, end: str | None = None, stride: int = 1
) -> keras.KerasTensor:
    """Convolution with a bias, and ReLU, which is called `end` or `LABEL_relu`."""
    x = blocks.conv(x, filters, kernel, stride=stride, bias=True, name=f"{label}_conv")
    return keras.layers.ReLU(name=end or f"{label}_relu")(x)


def _halve(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    # `same` pads right and bottom only, at an even size: what the authors' framework does by rounding sizes up.
    return keras.layers.MaxPooling2D(3, strides=2, padding="same", data_format=blocks.LAST, name=name)(x)


def _module(x: keras.KerasTensor, row: list[int], *, label: str, end: str) -> keras.KerasTensor:
    """Figure 2b."""
    one, reduce3, three, reduce5, five, projection = row
    branch1 = _unit(x, one, 1, label=f"{label}_1x1")
    branch2 = _unit(x, reduce3, 1, label=f"{label}_3x3_reduce")
    branch2 = _unit(branch2, three, 3, label=f"{label}_3x3")
    branch3 = _unit(x, reduce5, 1, label=f"{label}_5x5_reduce")
    branch3 = _unit(branch3, five, 5, label=f"{label}_5x5")
    pooled = keras.layers.MaxPooling2D(3, strides=1, padding="same", data_format=blocks.LAST, name=f"{label}_pool")(x)
    branch4 = _unit(pooled, projection, 1, label=f"{label}_pool_project")
    return concatenate([branch1, branch2, branch3, branch4], name=end)
