"""Inception-ResNet version 2: Inception modules whose scaled output is added to what they read.

Szegedy, Ioffe, Vanhoucke, Alemi, "Inception-v4, Inception-ResNet and the Impact of Residual Connections on
Learning", AAAI 2017, arXiv:1602.07261. Without the auxiliary classifier.

The authors released a network of another stem and twice as many modules than their paper draws. This is that one:
it computes what `keras.applications.InceptionResNetV2` computes from the same weights, in the same order.
"""

from dataclasses import dataclass

import keras

from zoo import blocks, check
from zoo.classify import inception
from zoo.contract import Origin, Spec

TASK = "classify"

Branches = tuple[inception.Branch, ...]

FIRST: Branches = (((96, 1),), ((48, 1), (64, 5)), ((64, 1), (96, 3), (96, 3)))
"""The one module without a sum, before all others; 64 channels after its pooling."""
MODULES: tuple[Branches, ...] = (
    (((32, 1),), ((32, 1), (32, 3)), ((32, 1), (48, 3), (64, 3))),
    (((192, 1),), ((128, 1), (160, (1, 7)), (192, (7, 1)))),
    (((192, 1),), ((192, 1), (224, (1, 3)), (256, (3, 1)))),
)
"""Figures 16, 17 and 19: at an eighth, a sixteenth and a thirty-second of the size."""
REDUCTIONS: tuple[Branches, ...] = (
    (((384, 3),), ((256, 1), (256, 3), (384, 3))),
    (((256, 1), (384, 3)), ((256, 1), (288, 3)), ((256, 1), (288, 3), (320, 3))),
)
"""Figures 7 (table 1: k, l, m, n = 256, 256, 384, 384) and 18: before the second and the third kind of module."""


@dataclass(frozen=True, kw_only=True)
class InceptionResNetV2Spec(Spec):
    """An Inception-ResNet version 2.

    Attributes:
        width: multiplier of all channels; they are rounded to multiples of 8.
        depths: number of modules of each of the three kinds.
        scales: factor of what a module of each kind adds (section 3.3); the last module of all adds it unscaled.
        dropout: share of the features dropped before the head (figure 15: 0.2).
    """

    depths: tuple[int, ...] = (10, 20, 10)
    scales: tuple[float, ...] = (0.17, 0.1, 0.2)
    dropout: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "depths", check.wholes(self.depths, "depths", count=3))
        scales = tuple(check.real(scale, "each of scales", above=0.0) for scale in check.items(self.scales, "scales"))
        check.one_of(len(scales), "the number of scales", (3,))
        object.__setattr__(self, "scales", scales)


SPEC = InceptionResNetV2Spec

VARIANTS: dict[str, InceptionResNetV2Spec] = {"inception_resnet_v2": InceptionResNetV2Spec()}


def origin(spec: InceptionResNetV2Spec) -> Origin:
    """The paper; ImageNet."""
    title = "Inception-v4, Inception-ResNet and the Impact of Residual Connections on Learning"
    return Origin(f"Szegedy et al., {title}, AAAI 2017, arXiv:1602.07261", (299, 299, 3), 1000)


def build(
    spec: InceptionResNetV2Spec, *, input_shape: tuple[int, int, int], classes: int, activation: str | None, name: str
) -> keras.Model:
    """The network, with one endpoint a size: `stem` (a half), `stage1` to `stage4`, `head`. See `zoo.build`."""
    inputs = blocks.image_input(input_shape, stride=32, model=name, least=inception.LEAST)
    width = spec.width
    x = inception.stem(inputs, width)
    x = inception.module(x, FIRST, pool=64, width=width, label="stage2_first", end="stage2_first")
    for stage, (branches, depth, scale) in enumerate(zip(MODULES, spec.depths, spec.scales, strict=True), start=2):
        if stage > 2:
            x = inception.reduction(x, REDUCTIONS[stage - 3], width=width, label=f"stage{stage}_reduction")
        for number in range(1, depth + 1):
            label, end = inception.names(stage, number, depth)
            if stage == 4 and number == depth:
                x = _sum(x, branches, 1.0, width, label=label, end=f"{label}_out")
            else:
                x = keras.layers.ReLU(name=end)(_sum(x, branches, scale, width, label=label, end=f"{label}_add"))
    x = inception.unit(x, blocks.rounded(1536 * width), 1, label="stage4_last", end="stage4")
    outputs = blocks.head(x, classes=classes, dropout=spec.dropout, activation=activation)
    return keras.Model(inputs, outputs, name=name)


def _sum(
    x: keras.KerasTensor, branches: Branches, scale: float, width: float, *, label: str, end: str
) -> keras.KerasTensor:
    """`x` plus what the branches make of it, brought to its channels and scaled."""
    y = inception.concatenate(inception.parallel(x, branches, width=width, label=label), name=f"{label}_mixed")
    y = blocks.conv(y, x.shape[-1], 1, bias=True, name=f"{label}_project")
    if scale != 1.0:
        y = keras.layers.Rescaling(scale, name=f"{label}_scale")(y)
    return keras.layers.Add(name=end)([x, y])
