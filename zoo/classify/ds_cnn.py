"""DS-CNN: depthwise separable convolutions over a spectrogram, for keyword spotting.

Zhang, Suda, Lai, Chandra, "Hello Edge: Keyword Spotting on Microcontrollers", 2017, arXiv:1711.07128, section 4.5,
as the reference model of MLPerf Tiny has it: Banbury et al., "MLPerf Tiny Benchmark", NeurIPS 2021,
arXiv:2106.07597, table 1.
"""

from dataclasses import dataclass

import keras

from zoo import blocks, check
from zoo.contract import Origin, Spec
from zoo.errors import ZooError

TASK = "classify"
EPSILON = 1e-3
"""Keras's default, as in the reference."""


@dataclass(frozen=True, kw_only=True)
class DSCNNSpec(Spec):
    """A DS-CNN.

    Attributes:
        width: channels of every convolution (a whole number).
        depth: depthwise separable convolutions, one stage each.
        kernel: frames and coefficients that the first convolution sees; its stride is 2.
        bias: a bias in the convolutions, useless beside the normalisation, but in the reference.
        stem_dropout: share of the features dropped after the first convolution.
        dropout: share of the features dropped before they are averaged for the head.
    """

    width: int = 64
    depth: int = 4
    kernel: tuple[int, int] = (10, 4)
    bias: bool = True
    stem_dropout: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check.whole(self.width, "width")
        check.whole(self.depth, "depth")
        object.__setattr__(self, "kernel", check.wholes(self.kernel, "kernel", count=2))
        check.flag(self.bias, "bias")
        check.real(self.stem_dropout, "stem_dropout", least=0.0, below=1.0)

    @property
    def axes(self) -> tuple[str, ...]:
        """An image of sound."""
        return ("frames", "coefficients", "channels")


SPEC = DSCNNSpec

VARIANTS: dict[str, DSCNNSpec] = {
    # The reference of MLPerf Tiny, with its dropout.
    "mlperf_ds_cnn": DSCNNSpec(stem_dropout=0.2, dropout=0.4),
}


def origin(spec: DSCNNSpec) -> Origin:
    """The benchmark: one second of speech, 49 frames of 10 mel-frequency cepstral coefficients; 12 words."""
    return Origin("Banbury et al., MLPerf Tiny Benchmark, NeurIPS 2021, arXiv:2106.07597", (49, 10, 1), 12)


def build(
    spec: DSCNNSpec, *, input_shape: tuple[int, int, int], classes: int, activation: str | None, name: str
) -> keras.Model:
    """The network: `stem`, a `stageN` for each separable convolution, `head`. See `zoo.build`.

    Raises:
        ZooError: there are fewer than two frames or coefficients.
    """
    frames, coefficients, _ = input_shape
    if min(frames, coefficients) < 2:
        raise ZooError(
            f"input of {frames} frames of {coefficients} coefficients is too small for {name}: give it 2 x 2"
        )
    inputs = keras.Input(input_shape, name="features", dtype="float32")
    x = blocks.conv(inputs, spec.width, spec.kernel, stride=2, bias=spec.bias, padding="same", name="stem_conv")
    x = _norm_relu(x, "stem_norm", "stem", spec.stem_dropout)
    for stage in range(1, spec.depth + 1):
        label = f"stage{stage}"
        x = blocks.depthwise(x, 3, bias=spec.bias, name=f"{label}_depthwise")
        x = _norm_relu(x, f"{label}_depthwise_norm", f"{label}_depthwise_relu", 0.0)
        x = blocks.conv(x, spec.width, 1, bias=spec.bias, name=f"{label}_pointwise")
        # The reference drops features before it averages them, not after, as the other families do.
        x = _norm_relu(x, f"{label}_pointwise_norm", label, spec.dropout if stage == spec.depth else 0.0)
    outputs = blocks.head(x, classes=classes, dropout=0.0, activation=activation)
    return keras.Model(inputs, outputs, name=name)


def _norm_relu(x: keras.KerasTensor, norm: str, end: str, dropout: float) -> keras.KerasTensor:
    """Batch normalisation, ReLU and dropout where there is any; the last of them is called `end`."""
    x = blocks.norm(x, epsilon=EPSILON, name=norm)
    x = keras.layers.ReLU(name=end if dropout == 0.0 else f"{end}_relu")(x)
    return keras.layers.Dropout(dropout, name=end)(x) if dropout > 0.0 else x
