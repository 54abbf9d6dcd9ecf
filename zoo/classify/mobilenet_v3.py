"""MobileNetV3: inverted residuals with squeeze-and-excitation and hard swish.

Howard, Sandler, Chu, Chen, Chen, Tan, Wang, Zhu, Pang, Vasudevan, Le, Adam, "Searching for MobileNetV3", ICCV
2019, arXiv:1905.02244, tables 1 and 2.

Computes what `keras.applications.MobileNetV3Small` and `MobileNetV3Large` compute from the same weights, in the
same order, behind their `Rescaling`. Their last two layers are 1x1 convolutions over one pixel: reshape each
kernel, `(1, 1, inputs, outputs)`, to that of the Dense layers `top` and `head`, `(inputs, outputs)`.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import keras

from zoo import blocks, check
from zoo.contract import Origin, Spec
from zoo.errors import ZooError

TASK = "classify"
EPSILON = 1e-3
"""As in `keras.applications` and the authors' code."""
SQUEEZE = 4
"""Channels of a block over those that its squeeze-and-excitation is squeezed to (section 5.3)."""


class Row(NamedTuple):
    """A row of tables 1 and 2: one block.

    Attributes:
        kernel: height and width of the depthwise kernel.
        expanded: inner channels, before the multiplier.
        channels: output channels, before the multiplier.
        squeeze: whether it has squeeze-and-excitation.
        swish: hard swish; else ReLU.
        stride: of the depthwise convolution.
    """

    kernel: int
    expanded: int
    channels: int
    squeeze: bool
    swish: bool
    stride: int


SMALL: tuple[Row, ...] = (
    Row(3, 16, 16, True, False, 2),
    Row(3, 72, 24, False, False, 2),
    Row(3, 88, 24, False, False, 1),
    Row(5, 96, 40, True, True, 2),
    Row(5, 240, 40, True, True, 1),
    Row(5, 240, 40, True, True, 1),
    Row(5, 120, 48, True, True, 1),
    Row(5, 144, 48, True, True, 1),
    Row(5, 288, 96, True, True, 2),
    Row(5, 576, 96, True, True, 1),
    Row(5, 576, 96, True, True, 1),
)
"""Table 2."""

LARGE: tuple[Row, ...] = (
    Row(3, 16, 16, False, False, 1),
    Row(3, 64, 24, False, False, 2),
    Row(3, 72, 24, False, False, 1),
    Row(5, 72, 40, True, False, 2),
    Row(5, 120, 40, True, False, 1),
    Row(5, 120, 40, True, False, 1),
    Row(3, 240, 80, False, True, 2),
    Row(3, 200, 80, False, True, 1),
    Row(3, 184, 80, False, True, 1),
    Row(3, 184, 80, False, True, 1),
    Row(3, 480, 112, True, True, 1),
    Row(3, 672, 112, True, True, 1),
    Row(5, 672, 160, True, True, 2),
    Row(5, 960, 160, True, True, 1),
    Row(5, 960, 160, True, True, 1),
)
"""Table 1."""


@dataclass(frozen=True, kw_only=True)
class MobileNetV3Spec(Spec):
    """A MobileNetV3.

    Attributes:
        width: multiplier of the channels of `rows`; they are rounded to multiples of 8.
        stem: channels of the first convolution, which no multiplier changes; its stride is 2.
        rows: one block each. A stage begins with the first one and with each one of stride 2.
        top: units of the Dense layer before the head; a multiplier below 1 leaves them.
        minimal: kernels of 3, ReLU for hard swish, and no squeeze-and-excitation, whatever `rows` says: what every
            integer accelerator can do (the authors' `minimalistic`).
        dropout: share of the features dropped before the head.
    """

    rows: tuple[Row, ...]
    top: int
    stem: int = 16
    minimal: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check.whole(self.stem, "stem")
        check.whole(self.top, "top")
        check.flag(self.minimal, "minimal")
        object.__setattr__(self, "rows", tuple(_checked(row) for row in check.items(self.rows, "rows")))


def _checked(row: object) -> Row:
    values = check.items(row, "each row of rows")
    if len(values) != len(Row._fields):
        raise ZooError(f"each row of rows must be ({', '.join(Row._fields)}), not {row!r}")
    found = dict(zip(Row._fields, values, strict=True))
    for field in ("squeeze", "swish"):
        check.flag(found[field], f"{field} in rows")
    for field in ("kernel", "expanded", "channels", "stride"):
        check.whole(found[field], f"{field} in rows")
    # Every field has its type, as was just checked.
    return Row(*row)  # type: ignore[misc]


SPEC = MobileNetV3Spec


def _small(*, width: float = 1.0, minimal: bool = False) -> MobileNetV3Spec:
    return MobileNetV3Spec(width=width, rows=SMALL, top=1024, minimal=minimal)


def _large(*, width: float = 1.0, minimal: bool = False) -> MobileNetV3Spec:
    return MobileNetV3Spec(width=width, rows=LARGE, top=1280, minimal=minimal)


# Tables 1 and 2 at the multipliers, and in the form, that the authors published checkpoints for.
VARIANTS: dict[str, MobileNetV3Spec] = {
    "mobilenet_v3_small": _small(),
    "mobilenet_v3_small_075": _small(width=0.75),
    "mobilenet_v3_small_minimal": _small(minimal=True),
    "mobilenet_v3_large": _large(),
    "mobilenet_v3_large_075": _large(width=0.75),
    "mobilenet_v3_large_minimal": _large(minimal=True),
}


def origin(spec: MobileNetV3Spec) -> Origin:
    """The paper; ImageNet."""
    return Origin("Howard et al., Searching for MobileNetV3, ICCV 2019, arXiv:1905.02244", (224, 224, 3), 1000)


def build(
    spec: MobileNetV3Spec,
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    activation: str | None,
    name: str,
) -> keras.Model:
    """The network: `stem`, a `stageN` for each resolution and for the last convolution, `head`. See `zoo.build`."""
    shrinks = 2 * math.prod(row.stride for row in spec.rows)
    inputs = blocks.image_input(input_shape, stride=shrinks, model=name)
    x = blocks.conv(inputs, spec.stem, 3, stride=2, padding="same", name="stem_conv")
    x = blocks.norm(x, epsilon=EPSILON, name="stem_norm")
    x = _activate(x, spec, True, "stem")
    before, stage, number = spec.stem, 1, 0
    for index, row in enumerate(spec.rows):
        if row.stride > 1 and index > 0:
            stage, number = stage + 1, 0
        number += 1
        last = index + 1 == len(spec.rows) or spec.rows[index + 1].stride > 1
        label = f"stage{stage}_block{number}"
        x = _block(x, spec, row, row.expanded / before, label, f"stage{stage}" if last else f"{label}_out")
        before = row.channels
    end = f"stage{stage + 1}"
    x = blocks.conv(x, blocks.rounded(6 * x.shape[-1]), 1, name=f"{end}_conv")
    x = blocks.norm(x, epsilon=EPSILON, name=f"{end}_norm")
    x = _activate(x, spec, True, end)
    x = keras.layers.GlobalAveragePooling2D(data_format=blocks.LAST, name="pool")(x)
    top = blocks.rounded(spec.top * spec.width) if spec.width > 1.0 else spec.top
    x = keras.layers.Dense(top, kernel_initializer=blocks.INITIALIZER, name="top")(x)
    x = _activate(x, spec, True, "top_activation")
    outputs = blocks.answer(x, classes=classes, dropout=spec.dropout, activation=activation)
    return keras.Model(inputs, outputs, name=name)


def _activate(x: keras.KerasTensor, spec: MobileNetV3Spec, swish: bool, name: str) -> keras.KerasTensor:
    if swish and not spec.minimal:
        return keras.layers.Activation("hard_silu", name=name)(x)
    return keras.layers.ReLU(name=name)(x)


def _block(
    x: keras.KerasTensor, spec: MobileNetV3Spec, row: Row, expansion: float, label: str, end: str
) -> keras.KerasTensor:
    """Expand, filter each channel, weigh the channels, project without activation; a sum where shapes agree."""
    source = x
    filters = blocks.rounded(row.channels * spec.width)
    inner = blocks.rounded(x.shape[-1] * expansion)
    adds = row.stride == 1 and x.shape[-1] == filters
    if expansion != 1.0:
        x = blocks.conv(x, inner, 1, name=f"{label}_expand")
        x = blocks.norm(x, epsilon=EPSILON, name=f"{label}_expand_norm")
        x = _activate(x, spec, row.swish, f"{label}_expand_activation")
    kernel = 3 if spec.minimal else row.kernel
    x = blocks.depthwise(x, kernel, stride=row.stride, name=f"{label}_depthwise")
    x = blocks.norm(x, epsilon=EPSILON, name=f"{label}_depthwise_norm")
    x = _activate(x, spec, row.swish, f"{label}_depthwise_activation")
    if row.squeeze and not spec.minimal:
        x = _squeeze_excite(x, blocks.rounded(inner / SQUEEZE), f"{label}_squeeze")
    x = blocks.conv(x, filters, 1, name=f"{label}_project")
    x = blocks.norm(x, epsilon=EPSILON, name=f"{label}_project_norm" if adds else end)
    return keras.layers.Add(name=end)([source, x]) if adds else x


def _squeeze_excite(x: keras.KerasTensor, squeezed: int, label: str) -> keras.KerasTensor:
    """Each channel times a number between 0 and 1, learnt from the averages of all channels."""
    y = keras.layers.GlobalAveragePooling2D(keepdims=True, data_format=blocks.LAST, name=f"{label}_pool")(x)
    y = blocks.conv(y, squeezed, 1, bias=True, name=f"{label}_conv1")
    y = keras.layers.ReLU(name=f"{label}_relu")(y)
    y = blocks.conv(y, x.shape[-1], 1, bias=True, name=f"{label}_conv2")
    y = keras.layers.Activation("hard_sigmoid", name=f"{label}_gate")(y)
    return keras.layers.Multiply(name=f"{label}_multiply")([x, y])
