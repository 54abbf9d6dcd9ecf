"""EfficientNet-Lite: EfficientNet without what integer hardware does badly.

Tan, Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019,
arXiv:1905.11946, table 1, with the changes of the TensorFlow TPU repository (models/official/efficientnet/lite,
2020): no squeeze-and-excitation, ReLU6 for swish, and neither the stem and the last convolution nor the
repetitions of the first and the last row grow with the model.
"""

import math
from dataclasses import dataclass

import keras

from zoo import blocks, check
from zoo.contract import Origin, Spec

TASK = "classify"
EPSILON = 1e-3
"""As in the authors' code."""

ROWS = (
    (1, 3, 16, 1, 1),
    (6, 3, 24, 2, 2),
    (6, 5, 40, 2, 2),
    (6, 3, 80, 3, 2),
    (6, 5, 112, 3, 1),
    (6, 5, 192, 4, 2),
    (6, 3, 320, 1, 1),
)
"""Table 1: expansion, kernel, channels, repetitions, stride of the first repetition."""


@dataclass(frozen=True, kw_only=True)
class EfficientNetLiteSpec(Spec):
    """An EfficientNet-Lite.

    Attributes:
        width: multiplier of the channels of `rows`; they are rounded to multiples of 8.
        depth: multiplier of the repetitions of `rows`, rounded up; the first and the last row keep theirs.
        stem: channels of the first convolution, which no multiplier changes; its stride is 2.
        rows: one stage each, `(expansion, kernel, channels, repetitions, stride)`, as in table 1.
        top: channels of the last 1x1 convolution, which is a stage of its own and which no multiplier changes.
        drop_connect: share of the examples that skip the last block while training; it grows from 0 at the first
            block (stochastic depth). The authors train with 0.2.
        dropout: share of the features dropped before the head.
    """

    depth: float = 1.0
    stem: int = 32
    rows: tuple[tuple[int, int, int, int, int], ...] = ROWS
    top: int = 1280
    drop_connect: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check.real(self.depth, "depth", above=0.0)
        check.whole(self.stem, "stem")
        check.whole(self.top, "top")
        check.real(self.drop_connect, "drop_connect", least=0.0, below=1.0)
        rows = check.items(self.rows, "rows")
        checked = tuple(check.wholes(row, "each row of rows", count=5) for row in rows)
        object.__setattr__(self, "rows", checked)


SPEC = EfficientNetLiteSpec

# `efficientnet_lite_params` of the authors' code: width, depth, dropout.
VARIANTS: dict[str, EfficientNetLiteSpec] = {
    "efficientnet_lite0": EfficientNetLiteSpec(width=1.0, depth=1.0, dropout=0.2),
    "efficientnet_lite1": EfficientNetLiteSpec(width=1.0, depth=1.1, dropout=0.2),
    "efficientnet_lite2": EfficientNetLiteSpec(width=1.1, depth=1.2, dropout=0.3),
    "efficientnet_lite3": EfficientNetLiteSpec(width=1.2, depth=1.4, dropout=0.3),
    "efficientnet_lite4": EfficientNetLiteSpec(width=1.4, depth=1.8, dropout=0.3),
}

SIZES = {(1.0, 1.0): 224, (1.0, 1.1): 240, (1.1, 1.2): 260, (1.2, 1.4): 280, (1.4, 1.8): 300}
"""Width and depth → height and width of the images that the authors trained with."""


def origin(spec: EfficientNetLiteSpec) -> Origin:
    """The paper; ImageNet, at the size that goes with the multipliers (224 with any others)."""
    title = "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks"
    size = SIZES.get((spec.width, spec.depth), 224)
    return Origin(f"Tan and Le, {title}, ICML 2019, arXiv:1905.11946 (Lite, 2020)", (size, size, 3), 1000)


def build(
    spec: EfficientNetLiteSpec,
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    activation: str | None,
    name: str,
) -> keras.Model:
    """The network: `stem`, a `stageN` for each row and for the last convolution, `head`. See `zoo.build`."""
    last_row = len(spec.rows)
    shrinks = 2 * math.prod(stride for *_, stride in spec.rows)
    repeats = [
        repetitions if row in (1, last_row) else math.ceil(spec.depth * repetitions)
        for row, (_, _, _, repetitions, _) in enumerate(spec.rows, start=1)
    ]
    inputs = blocks.image_input(input_shape, stride=shrinks, model=name)
    x = blocks.conv(inputs, spec.stem, 3, stride=2, padding="same", name="stem_conv")
    x = blocks.norm_relu6(x, epsilon=EPSILON, norm_name="stem_norm", name="stem")
    done = 0
    for stage, (expansion, kernel, channels, _, stride) in enumerate(spec.rows, start=1):
        for number in range(1, repeats[stage - 1] + 1):
            label = f"stage{stage}_block{number}"
            x = blocks.inverted_residual(
                x,
                blocks.rounded(channels * spec.width),
                expansion=expansion,
                kernel=kernel,
                stride=stride if number == 1 else 1,
                epsilon=EPSILON,
                padding="same",
                drop=spec.drop_connect * done / sum(repeats),
                label=label,
                end=f"stage{stage}" if number == repeats[stage - 1] else f"{label}_out",
            )
            done += 1
    x = blocks.conv(x, spec.top, 1, name=f"stage{last_row + 1}_conv")
    x = blocks.norm_relu6(x, epsilon=EPSILON, norm_name=f"stage{last_row + 1}_norm", name=f"stage{last_row + 1}")
    outputs = blocks.head(x, classes=classes, dropout=spec.dropout, activation=activation)
    return keras.Model(inputs, outputs, name=name)
