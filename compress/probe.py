"""A float copy of a model in which any kernel and any activation can be rounded, alone or with others."""

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from compress.graph import Node, float32_layers, rebuild, taken
from compress.quantize import quantize_aware
from compress.ranges import FakeQuantWeights, Range
from compress.strip import strip
from compress.trace import trace
from compress.wrapper import Compressed, weights_of

_PACKED = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.Dense)
"""Layers whose kernels of 4 bits lie two a byte in the file (see `compress.nibbles`); a transposed convolution's do
not."""


@keras.saving.register_keras_serializable(package="edgezoo")
class Switched(keras.layers.Layer):
    """Passes its input while `on` is 0, and rounds it while `on` is 1.

    Args:
        rounding: a `Range`.
        **kwargs: what every Keras layer takes.
    """

    def __init__(self, rounding: Range, **kwargs: Any):
        super().__init__(**kwargs)
        self.rounding = rounding
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        """Make the switch."""
        self.on = self.add_weight(shape=(), initializer="zeros", name="on", trainable=False)
        self.built = True

    def call(self, inputs: Any) -> Any:
        """As it is, or rounded."""
        return keras.ops.where(self.on > 0.0, self.rounding(inputs, observe=False), inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """As given."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """The range, serialised."""
        return {**super().get_config(), "rounding": keras.saving.serialize_keras_object(self.rounding)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Switched":
        """Inverse of `get_config`."""
        return cls(keras.saving.deserialize_keras_object(config.pop("rounding")), **config)


@dataclass(frozen=True, eq=False)
class Probe:
    """The copy, batch normalisation folded, and what can be rounded in it.

    Attributes:
        model: all in float, until `rounded` says otherwise.
        aware: the quantization-aware model that it is a copy of, of 4 bits where a layer has the choice.
        kernels: for each layer with a rounded weight, by name, the layer as `quantize_aware` wraps it.
        switches: for each activation with a range, by the name of the layer that makes it.
        sums: gives for each of those the sum of its squares and the sum of the squared errors of its rounding.
    """

    model: keras.Model
    aware: keras.Model
    kernels: Mapping[str, Compressed]
    switches: Mapping[str, Switched]
    sums: keras.Model

    @contextlib.contextmanager
    def rounded(self, widths: Mapping[str, int], activations: Sequence[str] = ()) -> Iterator[None]:
        """Inside, the kernels of the layers named have so many bits, and the activations named lie on 256 steps."""
        for name, bits in widths.items():
            self._set(name, bits)
        for name in activations:
            self.switches[name].on.assign(1.0)
        try:
            yield
        finally:
            for name in widths:
                self._set(name, None)
            for name in activations:
                self.switches[name].on.assign(0.0)

    def outputs(self, batches: Sequence[Any]) -> list[np.ndarray]:
        """What the model answers: for each of its outputs an array `(examples, …)`."""
        answers = [keras.tree.flatten(self.model.predict_on_batch(batch)) for batch in batches]
        return [np.concatenate(parts).astype(np.float64) for parts in zip(*answers, strict=True)]

    def kernel_noise(self, name: str, bits: int) -> float:
        """Signal to noise of a layer's rounded weights, in dB."""
        wrapper = self.kernels[name]
        exact, rounded = _seen(wrapper, None), _seen(wrapper, bits)
        weights = [each.weight for each in _roundings(wrapper)]
        signal = sum(float(np.sum(exact[each] ** 2)) for each in weights)
        return decibels(signal, sum(float(np.sum((exact[each] - rounded[each]) ** 2)) for each in weights))

    def activation_noise(self, batches: Sequence[Any]) -> dict[str, float]:
        """Signal to noise of each rounded activation, by name, in dB."""
        total = np.zeros(2 * len(self.switches))
        for batch in batches:
            total += np.array(keras.tree.flatten(self.sums.predict_on_batch(batch)), dtype=np.float64)
        pairs = zip(total[0::2], total[1::2], strict=True)
        return {name: decibels(*pair) for name, pair in zip(self.switches, pairs, strict=True)}

    def size(self, name: str, bits: int) -> int:
        """Bytes of a layer's rounded weights in the file."""
        wrapper = self.kernels[name]
        weights = _seen(wrapper, None)
        count = sum(weights[each.weight].size for each in _roundings(wrapper))
        return -(-count * bits // 8) if isinstance(wrapper.layer, _PACKED) else count

    def is_free(self, name: str) -> bool:
        """Whether the layer's weights may have another width than 8: not tables, nor a lone batch normalisation."""
        return any(each.bits != 8 for each in _roundings(self.kernels[name]))

    def _set(self, name: str, bits: int | None) -> None:
        layer, weights = self.model.get_layer(name), _seen(self.kernels[name], bits)
        real = set(map(id, layer.weights))
        layer.set_weights([weights[key] for key, each in weights_of(layer).items() if id(each) in real])


def decibels(signal: float, noise: float) -> float:
    """10 log10(signal / noise): infinite where there is no noise, and minus that where there is only noise."""
    if not noise:
        return math.inf
    return 10 * math.log10(signal / noise) if signal else -math.inf


@float32_layers()
def make_probe(model: keras.Model, batches: Sequence[Any]) -> Probe:
    """The probe of a float model, with activation ranges from `batches`, its extremes.

    Raises:
        CompressError: as `quantize_aware`.
    """
    small = quantize_aware(model, calibration=batches, bits=4)  # 4: what stays at 8 has no choice
    plain = strip(small)
    switches: dict[str, Switched] = {}
    sums: dict[str, tuple[Any, Any]] = {}

    def call(node: Node, args: tuple, kwargs: dict[str, Any]) -> Any:
        operation = node.operation
        if isinstance(operation, Range):
            name = operation.name.removesuffix("_range")
            switch = switches.setdefault(name, Switched(operation, name=f"{operation.name}_switch"))
            error = operation(args[0], observe=False) - args[0]
            sums.setdefault(name, (keras.ops.sum(keras.ops.square(args[0])), keras.ops.sum(keras.ops.square(error))))
            return switch(args[0])
        if isinstance(operation, Compressed):
            operation = plain.get_layer(operation.name)
        return operation(*args, **taken(operation, kwargs))

    copy = rebuild(trace(small), call)
    kernels = {each.name: each for each in small.layers if isinstance(each, Compressed) and _roundings(each)}
    found = Probe(copy, small, kernels, switches, keras.Model(copy.inputs, list(sums.values())))
    for name in kernels:
        found._set(name, None)  # `strip` left them rounded
    return found


def _roundings(wrapper: Compressed) -> list[FakeQuantWeights]:
    return [each for each in wrapper.transforms if isinstance(each, FakeQuantWeights)]


def _seen(wrapper: Compressed, bits: int | None) -> dict[str, np.ndarray]:
    """The weights after mask, codebook and fold, rounded to so many bits; None: not rounded."""
    weights = {key: keras.ops.convert_to_tensor(variable) for key, variable in weights_of(wrapper.layer).items()}
    for transform in wrapper.transforms:
        if not isinstance(transform, FakeQuantWeights):
            weights = transform(weights)
        elif bits is not None:
            weights = FakeQuantWeights.from_config({**transform.get_config(), "bits": bits})(weights)
    return {name: keras.ops.convert_to_numpy(value) for name, value in weights.items()}
