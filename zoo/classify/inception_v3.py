"""Inception version 3: convolutions factorised into smaller and into asymmetric ones.

Szegedy, Vanhoucke, Ioffe, Shlens, Wojna, "Rethinking the Inception Architecture for Computer Vision", CVPR 2016,
arXiv:1512.00567. Without the auxiliary classifier.

Computes what `keras.applications.InceptionV3` computes from the same weights, in the same order.
"""

from dataclasses import dataclass

import keras

from zoo import blocks, check
from zoo.classify import inception
from zoo.contract import Origin, Spec

TASK = "classify"

FIVE: tuple[inception.Branch, ...] = (
    ((64, 1),),
    ((48, 1), (64, 5)),
    ((64, 1), (96, 3), (96, 3)),
)
"""Figure 5, with the 5x5 convolution of the authors' code."""
FIRST_REDUCTION: tuple[inception.Branch, ...] = (
    ((384, 3),),
    ((64, 1), (96, 3), (96, 3)),
)
"""Figure 10."""
SECOND_REDUCTION: tuple[inception.Branch, ...] = (
    ((192, 1), (320, 3)),
    ((192, 1), (192, (1, 7)), (192, (7, 1)), (192, 3)),
)
"""Figure 10, in the form that the authors' code has before the coarsest modules."""


@dataclass(frozen=True, kw_only=True)
class InceptionV3Spec(Spec):
    """An Inception version 3.

    Attributes:
        width: multiplier of all channels; they are rounded to multiples of 8.
        fives: one module of figure 5 each, at an eighth of the size: channels after its pooling.
        sevens: one module of figure 6 (n = 7) each, at a sixteenth: inner channels of its 7x7 branches.
        wides: number of modules of figure 7, at a thirty-second.
        dropout: share of the features dropped before the head.
    """

    fives: tuple[int, ...] = (32, 64, 64)
    sevens: tuple[int, ...] = (128, 160, 160, 192)
    wides: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "fives", check.wholes(self.fives, "fives"))
        object.__setattr__(self, "sevens", check.wholes(self.sevens, "sevens"))
        check.whole(self.wides, "wides")


SPEC = InceptionV3Spec

# Table 1, with the channels of the authors' code: the paper gives those of the whole modules only.
VARIANTS: dict[str, InceptionV3Spec] = {"inception_v3": InceptionV3Spec()}


def origin(spec: InceptionV3Spec) -> Origin:
    """The paper; ImageNet."""
    title = "Rethinking the Inception Architecture for Computer Vision"
    return Origin(f"Szegedy et al., {title}, CVPR 2016, arXiv:1512.00567", (299, 299, 3), 1000)


def build(
    spec: InceptionV3Spec, *, input_shape: tuple[int, int, int], classes: int, activation: str | None, name: str
) -> keras.Model:
    """The network, with one endpoint a size: `stem` (a half), `stage1` to `stage4`, `head`. See `zoo.build`."""
    inputs = blocks.image_input(input_shape, stride=32, model=name, least=inception.LEAST)
    width = spec.width
    x = inception.stem(inputs, width)

    for number, pool in enumerate(spec.fives, start=1):
        label, end = inception.names(2, number, len(spec.fives))
        x = inception.module(x, FIVE, pool=pool, width=width, label=label, end=end)

    x = inception.reduction(x, FIRST_REDUCTION, width=width, label="stage3_reduction")
    for number, inner in enumerate(spec.sevens, start=1):
        label, end = inception.names(3, number, len(spec.sevens))
        x = inception.module(x, _seven(inner), pool=192, width=width, label=label, end=end)

    x = inception.reduction(x, SECOND_REDUCTION, width=width, label="stage4_reduction")
    for number in range(1, spec.wides + 1):
        label, end = inception.names(4, number, spec.wides)
        x = _wide(x, width, label=label, end=end)

    outputs = blocks.head(x, classes=classes, dropout=spec.dropout, activation=activation)
    return keras.Model(inputs, outputs, name=name)


def _seven(inner: int) -> tuple[inception.Branch, ...]:
    """Figure 6: one 7x7 convolution and two in a row, each as a 1x7 and a 7x1."""
    row, column = (1, 7), (7, 1)
    return (
        ((192, 1),),
        ((inner, 1), (inner, row), (192, column)),
        ((inner, 1), (inner, column), (inner, row), (inner, column), (192, row)),
    )


def _wide(x: keras.KerasTensor, width: float, *, label: str, end: str) -> keras.KerasTensor:
    """Figure 7: the last 3x3 convolutions are a 1x3 beside a 3x1."""
    ends = [inception.branch(x, ((320, 1),), width=width, label=f"{label}_branch1")]
    steps: tuple[inception.Branch, ...] = (((384, 1),), ((448, 1), (384, 3)))
    for number, before in enumerate(steps, start=2):
        start = f"{label}_branch{number}"
        y = inception.branch(x, before, width=width, label=start)
        sides = [
            inception.unit(y, blocks.rounded(384 * width), (1, 3), label=f"{start}_row"),
            inception.unit(y, blocks.rounded(384 * width), (3, 1), label=f"{start}_column"),
        ]
        ends.append(inception.concatenate(sides, name=f"{start}_out"))
    ends.append(inception.average_branch(x, 192, width=width, label=label))
    return inception.concatenate(ends, name=end)
