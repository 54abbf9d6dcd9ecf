"""Residual networks, versions 1 and 2, for small images (CIFAR) and large ones (ImageNet).

Version 1: He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, arXiv:1512.03385.
Version 2: the same, "Identity Mappings in Deep Residual Networks", ECCV 2016, arXiv:1603.05027.

The ImageNet bottleneck networks compute what `keras.applications` computes from the same weights, in the same
order: biases in the convolutions, the stride in the 1x1 convolution (version 1) or in the last block of a
stage (version 2), epsilon 1.001e-5. So does `mlperf_resnet8` with the reference model of MLPerf Tiny.
"""

from dataclasses import dataclass
from typing import Literal

import keras

from zoo import blocks, check
from zoo.contract import Origin, Spec

TASK = "classify"
EXPANSION = {"basic": 1, "bottleneck": 4}
"""Output channels of a block over its inner ones (version 1, figure 5)."""


@dataclass(frozen=True, kw_only=True)
class ResNetSpec(Spec):
    """A residual network.

    Attributes:
        depths: residual blocks of each stage; each stage halves the size and doubles the channels.
        width: inner channels of the first stage (a whole number).
        block: `basic` is 3x3, 3x3; `bottleneck` is 1x1, 3x3, 1x1 with four times the channels at its end.
        version: 1 normalises after each convolution, 2 before it.
        stem: `cifar` is one 3x3 convolution; `imagenet` a 7x7 one and a max pooling, which shrink four times.
        shortcut: where channels change, `identity` appends zeros (option A of section 4.1), `projection` is a
            1x1 convolution (option B).
        shrink: the block of a stage that has stride 2: its `first`, or the `last` one of the stage before.
        bias: a bias in the convolutions; in version 2 only in those that no normalisation follows.
        normalise_shortcut: in version 1, a normalisation behind the convolution of a shortcut.
        padding: of the 3x3 convolutions at stride 2: `centred` keeps their samples where the shortcut's are,
            `same` is TensorFlow's.
        epsilon: of the normalisations, above 0; the papers give none, `keras.applications` has 1.001e-5.
        dropout: share of the features dropped before the head.
    """

    depths: tuple[int, ...]
    width: int = 16
    block: Literal["basic", "bottleneck"] = "basic"
    version: Literal[1, 2] = 1
    stem: Literal["cifar", "imagenet"] = "cifar"
    shortcut: Literal["identity", "projection"] = "identity"
    shrink: Literal["first", "last"] = "first"
    bias: bool = False
    normalise_shortcut: bool = True
    padding: Literal["centred", "same"] = "centred"
    epsilon: float = 1.001e-5

    def __post_init__(self) -> None:
        super().__post_init__()
        check.whole(self.width, "width")
        object.__setattr__(self, "depths", check.wholes(self.depths, "depths"))
        check.one_of(self.block, "block", EXPANSION)
        check.one_of(self.version, "version", (1, 2))
        check.one_of(self.stem, "stem", ("cifar", "imagenet"))
        check.one_of(self.shortcut, "shortcut", ("identity", "projection"))
        check.one_of(self.shrink, "shrink", ("first", "last"))
        check.flag(self.bias, "bias")
        check.flag(self.normalise_shortcut, "normalise_shortcut")
        check.one_of(self.padding, "padding", ("centred", "same"))
        check.real(self.epsilon, "epsilon", above=0.0)


SPEC = ResNetSpec


def _cifar(n: int, version: Literal[1, 2] = 1) -> ResNetSpec:
    """6n + 2 layers: section 4.2 of version 1."""
    return ResNetSpec(depths=(n, n, n), version=version)


def _imagenet(*depths: int) -> ResNetSpec:
    """A column of table 1 of version 1, built of basic blocks."""
    return ResNetSpec(depths=depths, width=64, stem="imagenet", shortcut="projection")


def _bottleneck(*depths: int, version: Literal[1, 2] = 1) -> ResNetSpec:
    """A column of table 1 of version 1, built of bottlenecks, as in `keras.applications`."""
    return ResNetSpec(
        depths=depths,
        width=64,
        block="bottleneck",
        version=version,
        stem="imagenet",
        shortcut="projection",
        shrink="first" if version == 1 else "last",
        bias=True,
    )


MLPERF = ResNetSpec(
    depths=(1, 1, 1), shortcut="projection", bias=True, normalise_shortcut=False, padding="same", epsilon=1e-3
)
"""The reference model for image classification of MLPerf Tiny (Banbury et al. 2021, arXiv:2106.07597, table 1)."""

VARIANTS: dict[str, ResNetSpec] = {
    # Version 1, section 4.2 and table 6: n = 3, 5, 9. n = 1 is the depth of MLPerf Tiny's model, here with the
    # shortcut of the ResNet paper.
    "resnet8": _cifar(1),
    "resnet20": _cifar(3),
    "resnet32": _cifar(5),
    "resnet56": _cifar(9),
    "mlperf_resnet8": MLPERF,
    # Version 2, equation 5: resnet20 with the normalisation first.
    "resnet20v2": _cifar(3, version=2),
    # Version 1, table 1.
    "resnet18": _imagenet(2, 2, 2, 2),
    "resnet34": _imagenet(3, 4, 6, 3),
    "resnet50": _bottleneck(3, 4, 6, 3),
    "resnet101": _bottleneck(3, 4, 23, 3),
    "resnet152": _bottleneck(3, 8, 36, 3),
    # The same depths with version 2's blocks.
    "resnet50v2": _bottleneck(3, 4, 6, 3, version=2),
    "resnet101v2": _bottleneck(3, 4, 23, 3, version=2),
    "resnet152v2": _bottleneck(3, 8, 36, 3, version=2),
}


def origin(spec: ResNetSpec) -> Origin:
    """The paper of the spec's version, for the benchmark's model the benchmark; CIFAR-10 or ImageNet by its stem."""
    if spec == MLPERF:
        return Origin("Banbury et al., MLPerf Tiny Benchmark, NeurIPS 2021, arXiv:2106.07597", (32, 32, 3), 10)
    papers = {
        1: "He et al., Deep Residual Learning for Image Recognition, CVPR 2016, arXiv:1512.03385",
        2: "He et al., Identity Mappings in Deep Residual Networks, ECCV 2016, arXiv:1603.05027",
    }
    small = spec.stem == "cifar"
    return Origin(papers[spec.version], (32, 32, 3) if small else (224, 224, 3), 10 if small else 1000)


def build(
    spec: ResNetSpec, *, input_shape: tuple[int, int, int], classes: int, activation: str | None, name: str
) -> keras.Model:
    """The network: `stem`, one `stageN` for each of `depths`, `head`. See `zoo.build`."""
    last_stage = len(spec.depths)
    shrinks = (4 if spec.stem == "imagenet" else 1) * 2 ** (last_stage - 1)
    inputs = blocks.image_input(input_shape, stride=shrinks, model=name)
    x = _stem(inputs, spec)
    block = _block_v1 if spec.version == 1 else _block_v2
    for stage, depth in enumerate(spec.depths, start=1):
        filters = spec.width * 2 ** (stage - 1)
        for number in range(1, depth + 1):
            first, last = number == 1, number == depth
            shrinking = first and stage > 1 if spec.shrink == "first" else last and stage < last_stage
            label = f"stage{stage}_block{number}"
            # Version 2 ends its last stage with a normalisation, below.
            ends = last and not (spec.version == 2 and stage == last_stage)
            end = f"stage{stage}" if ends else f"{label}_out"
            x = block(x, spec, filters, 2 if shrinking else 1, label, end)
    if spec.version == 2:
        x = blocks.norm(x, epsilon=spec.epsilon, name="post_norm")
        x = keras.layers.ReLU(name=f"stage{last_stage}")(x)
    outputs = blocks.head(x, classes=classes, dropout=spec.dropout, activation=activation)
    return keras.Model(inputs, outputs, name=name)


def _stem(x: keras.KerasTensor, spec: ResNetSpec) -> keras.KerasTensor:
    """The first convolution; for ImageNet also the max pooling. In version 2 the first block normalises."""
    large = spec.stem == "imagenet"
    plain = spec.version == 2
    name = "stem" if plain and not large else "stem_conv"
    size, stride = (7, 2) if large else (3, 1)
    x = blocks.conv(x, spec.width, size, stride=stride, bias=spec.bias, padding=spec.padding, name=name)
    if not plain:
        x = blocks.norm(x, epsilon=spec.epsilon, name="stem_norm")
        x = keras.layers.ReLU(name="stem_relu" if large else "stem")(x)
    if large:
        x = keras.layers.ZeroPadding2D(1, data_format=blocks.LAST, name="stem_pool_pad")(x)
        x = keras.layers.MaxPooling2D(3, strides=2, data_format=blocks.LAST, name="stem")(x)
    return x


def _convs(spec: ResNetSpec, filters: int, stride: int) -> list[tuple[int, int, int]]:
    """Filters, kernel and stride of each convolution of a block."""
    if spec.block == "basic":
        return [(filters, 3, stride), (filters, 3, 1)]
    first, second = (stride, 1) if spec.version == 1 else (1, stride)
    return [(filters, 1, first), (filters, 3, second), (filters * EXPANSION["bottleneck"], 1, 1)]


def _identity(x: keras.KerasTensor, filters: int, stride: int, label: str) -> keras.KerasTensor:
    """The shortcut without parameters: subsampled and filled up with zeros where needed (option A)."""
    if stride > 1:
        x = blocks.subsample(x, stride, name=f"{label}_shortcut_pool")
    if x.shape[-1] != filters:
        x = blocks.pad_channels(x, filters, name=f"{label}_shortcut_pad")
    return x


def _projects(x: keras.KerasTensor, spec: ResNetSpec, filters: int) -> bool:
    """Whether the shortcut must be a convolution (option B); a change of size alone needs none.

    Fewer channels than `x` has cannot be had by appending zeros.
    """
    return x.shape[-1] != filters and (spec.shortcut == "projection" or x.shape[-1] > filters)


def _block_v1(
    x: keras.KerasTensor, spec: ResNetSpec, filters: int, stride: int, label: str, end: str
) -> keras.KerasTensor:
    """Convolution, normalisation, ReLU; the last ReLU after the sum (version 1, figure 5)."""
    convs = _convs(spec, filters, stride)
    out = convs[-1][0]
    if _projects(x, spec, out):
        short = blocks.conv(x, out, 1, stride=stride, bias=spec.bias, name=f"{label}_shortcut_conv")
        if spec.normalise_shortcut:
            short = blocks.norm(short, epsilon=spec.epsilon, name=f"{label}_shortcut_norm")
    else:
        short = _identity(x, out, stride, label)
    for number, (channels, kernel, step) in enumerate(convs, start=1):
        x = blocks.conv(
            x, channels, kernel, stride=step, bias=spec.bias, padding=spec.padding, name=f"{label}_conv{number}"
        )
        x = blocks.norm(x, epsilon=spec.epsilon, name=f"{label}_norm{number}")
        if number < len(convs):
            x = keras.layers.ReLU(name=f"{label}_relu{number}")(x)
    x = keras.layers.Add(name=f"{label}_add")([short, x])
    return keras.layers.ReLU(name=end)(x)


def _block_v2(
    x: keras.KerasTensor, spec: ResNetSpec, filters: int, stride: int, label: str, end: str
) -> keras.KerasTensor:
    """Normalisation, ReLU, convolution; nothing after the sum (version 2, figure 1b)."""
    convs = _convs(spec, filters, stride)
    out = convs[-1][0]
    source = x
    for number, (channels, kernel, step) in enumerate(convs, start=1):
        x = blocks.norm(x, epsilon=spec.epsilon, name=f"{label}_norm{number}")
        x = keras.layers.ReLU(name=f"{label}_relu{number}")(x)
        if number == 1:
            if _projects(source, spec, out):
                short = blocks.conv(x, out, 1, stride=stride, bias=spec.bias, name=f"{label}_shortcut_conv")
            else:
                short = _identity(source, out, stride, label)
        bias = spec.bias and number == len(convs)
        x = blocks.conv(x, channels, kernel, stride=step, bias=bias, padding=spec.padding, name=f"{label}_conv{number}")
    return keras.layers.Add(name=end)([short, x])
