"""A fully convolutional network of series: three convolutions and an average.

Wang, Yan, Oates, "Time Series Classification from Scratch with Deep Neural Networks: A Strong Baseline", IJCNN 2017,
arXiv:1611.06455, section II-B and figure 1b.
"""

from dataclasses import dataclass

import keras

from zoo import blocks
from zoo.contract import Origin
from zoo.errors import ZooError
from zoo.sequence import convolution
from zoo.sequence.convolution import ConvolutionSpec
from zoo.sequence.inputs import sequence_input

TASK = "classify"


@dataclass(frozen=True, kw_only=True)
class FCNSpec(ConvolutionSpec):
    """A fully convolutional network of series, or of tokens: as many `kernels` as `filters`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_pairs(self)


def check_pairs(spec: ConvolutionSpec) -> None:
    """Each convolution has its filters and its kernel.

    Raises:
        ZooError: there are more of one than of the other.
    """
    if len(spec.filters) != len(spec.kernels):
        raise ZooError(f"filters has {len(spec.filters)} numbers and kernels {len(spec.kernels)}; give both as many")


SPEC = FCNSpec

VARIANTS: dict[str, FCNSpec] = {
    # Section II-B: 128, 256 and 128 filters of 8, 5 and 3 steps.
    "fcn": FCNSpec(),
}


def origin(spec: FCNSpec) -> Origin:
    """The paper; its experiments are the UCR archive, of which GunPoint stands here."""
    paper = "Wang et al., Time Series Classification from Scratch with Deep Networks, IJCNN 2017, arXiv:1611.06455"
    return Origin(paper, (150,) if spec.vocabulary else (150, 1), 2)


def build(
    spec: FCNSpec, *, input_shape: tuple[int, ...], classes: int, activation: str | None, name: str
) -> keras.Model:
    """The network: a `stageN` for each convolution, `head`. See `zoo.build`."""
    inputs, x = sequence_input(spec, input_shape)
    x = body(x, spec, masks=convolution.masked(spec))
    x = convolution.average(x, masks=convolution.masked(spec))
    outputs = blocks.answer(x, classes=classes, dropout=spec.dropout, activation=activation)
    return keras.Model(inputs, outputs, name=name)


def body(x: keras.KerasTensor, spec: ConvolutionSpec, *, masks: bool) -> keras.KerasTensor:
    """The convolutions, a `stageN` each."""
    for stage, (filters, kernel) in enumerate(zip(spec.filters, spec.kernels, strict=True), start=1):
        x = convolution.conv_norm_relu(
            x,
            max(1, round(spec.width * filters)),
            kernel,
            masks=masks,
            bias=spec.bias,
            epsilon=spec.epsilon,
            label=f"stage{stage}",
            end=f"stage{stage}",
        )
    return x
