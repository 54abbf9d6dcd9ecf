"""A dense autoencoder: it learns to give back usual inputs, and fails at unusual ones.

The reference model for anomaly detection of MLPerf Tiny: Banbury et al., "MLPerf Tiny Benchmark", NeurIPS 2021,
arXiv:2106.07597, table 1; before it the baseline of DCASE 2020's task 2 (Koizumi et al. 2020, arXiv:2006.05822).
"""

from dataclasses import dataclass

import keras

from zoo import blocks, check
from zoo.contract import Origin, Spec
from zoo.errors import ZooError

TASK = "anomaly"
EPSILON = 1e-3
"""Keras's default, as in the reference."""


@dataclass(frozen=True, kw_only=True)
class AutoencoderSpec(Spec):
    """A dense autoencoder.

    Attributes:
        width: units of each hidden layer but the narrowest (a whole number).
        depth: hidden layers on each side of the narrowest.
        bottleneck: units of the narrowest layer.
        dropout: share of the features dropped before the head.
    """

    width: int = 128
    depth: int = 4
    bottleneck: int = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        check.whole(self.width, "width")
        check.whole(self.depth, "depth")
        check.whole(self.bottleneck, "bottleneck")

    @property
    def axes(self) -> tuple[str, ...]:
        """A vector."""
        return ("features",)


SPEC = AutoencoderSpec

VARIANTS: dict[str, AutoencoderSpec] = {
    # The reference of MLPerf Tiny: 640, 4 x 128, 8, 4 x 128, 640.
    "mlperf_autoencoder": AutoencoderSpec(),
}


def origin(spec: AutoencoderSpec) -> Origin:
    """The benchmark: five frames of 128 mel bands."""
    return Origin("Banbury et al., MLPerf Tiny Benchmark, NeurIPS 2021, arXiv:2106.07597", (640,), None)


def build(
    spec: AutoencoderSpec, *, input_shape: tuple[int], classes: None, activation: str | None, name: str
) -> keras.Model:
    """The network: a `stageN` for each hidden layer, `head`, which has the shape of the input. See `zoo.build`.

    Raises:
        ZooError: the input has no more features than the narrowest layer.
    """
    (features,) = input_shape
    if features <= spec.bottleneck:
        raise ZooError(
            f"{name} squeezes its input to {spec.bottleneck} numbers, so an input of {features} is not squeezed: "
            "give it more features or a smaller bottleneck"
        )
    inputs = x = keras.Input(input_shape, name="features", dtype="float32")
    sides = (spec.width,) * spec.depth
    for stage, units in enumerate((*sides, spec.bottleneck, *sides), start=1):
        x = keras.layers.Dense(units, kernel_initializer=blocks.INITIALIZER, name=f"stage{stage}_dense")(x)
        x = blocks.norm(x, epsilon=EPSILON, name=f"stage{stage}_norm")
        x = keras.layers.ReLU(name=f"stage{stage}")(x)
    outputs = blocks.answer(x, classes=features, dropout=spec.dropout, activation=activation)
    return keras.Model(inputs, outputs, name=name)
