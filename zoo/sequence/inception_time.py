"""InceptionTime: modules of convolutions of several lengths, side by side.

Ismail Fawaz et al., "InceptionTime: Finding AlexNet for Time Series Classification", Data Mining and Knowledge
Discovery 34, 2020, arXiv:1909.04939, figures 1 and 2. The paper averages the answers of five such networks; this is
one of them.
"""

from dataclasses import dataclass

import keras

from zoo import blocks, check
from zoo.contract import Origin
from zoo.sequence import convolution
from zoo.sequence.inputs import SequenceSpec, sequence_input

TASK = "classify"
POOL = 3
"""Steps of the max pooling of a module (figure 2)."""


@dataclass(frozen=True, kw_only=True)
class InceptionTimeSpec(SequenceSpec):
    """One network of InceptionTime, of series or of tokens.

    Attributes:
        depth: modules.
        kernels: steps that the convolutions of a module see. The text says 10, 20 and 40, and so does the code: of its
            `kernel_size` of 41 it takes 1 off, then halves twice.
        width: output channels of each convolution of a module (a whole number); the module has one more of them,
            behind a max pooling.
        bottleneck: channels that a module's input is brought to before the convolutions, 0: it is not. An input of
            one channel never is.
        residual: modules that a shortcut leads around, 0: there are none.
        epsilon: of the normalisations, above 0; Keras's default, as in the code of the authors.
        dropout: share of the features dropped before the head.
    """

    depth: int = 6
    kernels: tuple[int, ...] = (40, 20, 10)
    width: int = 32
    bottleneck: int = 32
    residual: int = 3
    epsilon: float = 1e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        check.whole(self.depth, "depth")
        object.__setattr__(self, "kernels", check.wholes(self.kernels, "kernels"))
        check.whole(self.width, "width")
        check.whole(self.bottleneck, "bottleneck", least=0)
        check.whole(self.residual, "residual", least=0)
        check.real(self.epsilon, "epsilon", above=0.0)


SPEC = InceptionTimeSpec

VARIANTS: dict[str, InceptionTimeSpec] = {
    # Section 3.1 and the code of the authors: depth 6, 32 filters, a bottleneck of 32, a shortcut around three modules.
    "inception_time": InceptionTimeSpec(),
}


def origin(spec: InceptionTimeSpec) -> Origin:
    """The paper; its experiments are the UCR archive, of which GunPoint stands here."""
    paper = "Ismail Fawaz et al., InceptionTime: Finding AlexNet for Time Series Classification, 2020, arXiv:1909.04939"
    return Origin(paper, (150,) if spec.vocabulary else (150, 1), 2)


def build(
    spec: InceptionTimeSpec, *, input_shape: tuple[int, ...], classes: int, activation: str | None, name: str
) -> keras.Model:
    """The network: a `stageN` for the modules of each shortcut, or for each module without one, `head`.

    See `zoo.build`.
    """
    inputs, x = sequence_input(spec, input_shape)
    span = spec.residual or 1
    source = x
    for number in range(1, spec.depth + 1):
        stage = (number - 1) // span + 1
        label = f"stage{stage}_module{number}"
        whole = number % span == 0
        ends = (whole and not spec.residual) or (number == spec.depth and not whole)
        x = _module(x, spec, label, end=f"stage{stage}" if ends else f"{label}_relu")
        if whole and spec.residual:
            x = source = _shortcut(source, x, spec, f"stage{stage}")
    x = convolution.average(x, masks=convolution.masked(spec))
    outputs = blocks.answer(x, classes=classes, dropout=spec.dropout, activation=activation)
    return keras.Model(inputs, outputs, name=name)


def _module(x: keras.KerasTensor, spec: InceptionTimeSpec, label: str, *, end: str) -> keras.KerasTensor:
    """Convolutions of several lengths and a max pooling, side by side (figure 2); none has a bias."""
    masks = convolution.masked(spec)
    narrow = x
    if spec.bottleneck and x.shape[-1] > 1:
        narrow = convolution.conv(x, spec.bottleneck, 1, masks=masks, bias=False, name=f"{label}_bottleneck")
    branches = [
        convolution.conv(narrow, spec.width, kernel, masks=masks, bias=False, name=f"{label}_conv{number}")
        for number, kernel in enumerate(spec.kernels, start=1)
    ]
    pooled = convolution.max_pool(x, POOL, masks=masks, name=f"{label}_pool")
    branches.append(convolution.conv(pooled, spec.width, 1, masks=masks, bias=False, name=f"{label}_pool_conv"))
    x = keras.layers.Concatenate(axis=-1, name=f"{label}_concat")(branches)
    x = blocks.norm(x, epsilon=spec.epsilon, name=f"{label}_norm")
    return keras.layers.ReLU(name=end)(x)


def _shortcut(
    source: keras.KerasTensor, x: keras.KerasTensor, spec: InceptionTimeSpec, label: str
) -> keras.KerasTensor:
    """`x` and the normalised 1-step convolution of `source`, added (figure 1)."""
    masks = convolution.masked(spec)
    short = convolution.conv(source, x.shape[-1], 1, masks=masks, bias=False, name=f"{label}_shortcut_conv")
    short = blocks.norm(short, epsilon=spec.epsilon, name=f"{label}_shortcut_norm")
    x = keras.layers.Add(name=f"{label}_add")([short, x])
    return keras.layers.ReLU(name=label)(x)
