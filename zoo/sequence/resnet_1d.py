"""A residual network of series.

Wang, Yan, Oates, "Time Series Classification from Scratch with Deep Neural Networks: A Strong Baseline", IJCNN 2017,
arXiv:1611.06455, section II-C and figure 1c.
"""

from dataclasses import dataclass

import keras

from zoo import blocks
from zoo.contract import Origin
from zoo.sequence import convolution
from zoo.sequence.convolution import ConvolutionSpec
from zoo.sequence.inputs import sequence_input

TASK = "classify"


@dataclass(frozen=True, kw_only=True)
class ResNet1DSpec(ConvolutionSpec):
    """A residual network of series, or of tokens: `filters` for each block, `kernels` for each convolution of one."""

    filters: tuple[int, ...] = (64, 128, 128)


SPEC = ResNet1DSpec

VARIANTS: dict[str, ResNet1DSpec] = {
    # Section II-C: three blocks of 64, 128 and 128 filters.
    "resnet_1d": ResNet1DSpec(),
}


def origin(spec: ResNet1DSpec) -> Origin:
    """The paper; its experiments are the UCR archive, of which GunPoint stands here."""
    paper = "Wang et al., Time Series Classification from Scratch with Deep Networks, IJCNN 2017, arXiv:1611.06455"
    return Origin(paper, (150,) if spec.vocabulary else (150, 1), 2)


def build(
    spec: ResNet1DSpec, *, input_shape: tuple[int, ...], classes: int, activation: str | None, name: str
) -> keras.Model:
    """The network: a `stageN` for each block, `head`. See `zoo.build`."""
    inputs, x = sequence_input(spec, input_shape)
    for stage, filters in enumerate(spec.filters, start=1):
        x = _block(x, spec, max(1, round(spec.width * filters)), f"stage{stage}")
    x = convolution.average(x, masks=convolution.masked(spec))
    outputs = blocks.answer(x, classes=classes, dropout=spec.dropout, activation=activation)
    return keras.Model(inputs, outputs, name=name)


def _block(x: keras.KerasTensor, spec: ResNet1DSpec, filters: int, label: str) -> keras.KerasTensor:
    """Convolutions with normalisations, and a shortcut, which is normalised as well, around them."""
    masks = convolution.masked(spec)
    short = x
    for number, kernel in enumerate(spec.kernels, start=1):
        x = convolution.conv(x, filters, kernel, masks=masks, bias=spec.bias, name=f"{label}_conv{number}")
        x = blocks.norm(x, epsilon=spec.epsilon, name=f"{label}_norm{number}")
        if number < len(spec.kernels):
            x = keras.layers.ReLU(name=f"{label}_relu{number}")(x)
    if short.shape[-1] != filters:
        short = convolution.conv(short, filters, 1, masks=masks, bias=spec.bias, name=f"{label}_shortcut_conv")
    short = blocks.norm(short, epsilon=spec.epsilon, name=f"{label}_shortcut_norm")
    x = keras.layers.Add(name=f"{label}_add")([short, x])
    return keras.layers.ReLU(name=label)(x)
