"""Fake-quant: rounding to integer steps in the forward pass, straight through in the backward pass."""

from typing import Any

import keras

Weights = dict[str, Any]


@keras.saving.register_keras_serializable(package="edgezoo")
class FakeQuantWeights(keras.layers.Layer):
    """A weight transform: a weight rounded to symmetric, narrow-range integers (int8: -127 … 127).

    The step is max|w| / 127 (of 4 bits max|w| / 7), per output channel or per tensor (LiteRT 8-bit quantization
    specification; Krishnamoorthi 2018, section 2.2). A channel whose weights are all but zero beside the tensor's
    largest takes a thousandth of that as its range: its int32 bias, counted in steps, would overflow otherwise.

    Args:
        bits: 8, or 4: integers from -7 to 7.
        per_channel: one step an output channel (convolutions), else one for the tensor (Dense, which the converter
            cannot take per channel).
        channel_axes: how many trailing axes of the kernel make up the output channels: 1, or 2 for depthwise.
        weight: name of the weight.
        gates: of a recurrent kernel: parts of its last axis, each of which has a step of its own.
        **kwargs: what every Keras layer takes.
    """

    def __init__(
        self,
        bits: int = 8,
        per_channel: bool = True,
        channel_axes: int = 1,
        weight: str = "kernel",
        gates: int = 1,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.gates = gates
        self.weight = weight
        self.bits = bits
        self.per_channel = per_channel
        self.channel_axes = channel_axes
        self.built = True

    def call(self, weights: Weights, training: bool | None = None) -> Weights:
        """Round the weight; the rest (biases are int32) passes."""
        kernel = weights[self.weight]
        flat = keras.ops.reshape(kernel, (*kernel.shape[: -self.channel_axes], -1))
        still = keras.ops.stop_gradient(flat)
        if self.gates > 1:
            units = flat.shape[-1] // self.gates
            tall = keras.ops.reshape(still, (-1, self.gates, units))
            high = weight_range(keras.ops.moveaxis(tall, 1, -1), per_channel=True)
            high = keras.ops.repeat(high, units)
        else:
            high = weight_range(still, per_channel=self.per_channel)
        axis = -1 if self.per_channel or self.gates > 1 else None
        rounded = flat
        if self.bits < 8:
            # On steps of its own first, then as int8 of the same step, of which the converter knows; `compress.nibbles`
            # packs it. In plain arithmetic: of two fake-quants on end the converter folds not every one.
            most = 2 ** (self.bits - 1) - 1
            step = high / most
            nearest = keras.ops.clip(keras.ops.round(flat / step), -most, most) * step
            rounded = flat + keras.ops.stop_gradient(nearest - flat)
            high = 127 * step
        rounded = keras.quantizers.fake_quant_with_min_max_vars(
            rounded, -high, high, num_bits=8, narrow_range=True, axis=axis
        )
        if training:
            # The op passes no gradient beyond its range, and the range ends at the largest weight give or take a
            # rounding error, which would freeze that weight.
            rounded = flat + keras.ops.stop_gradient(rounded - flat)
        return {**weights, self.weight: keras.ops.reshape(rounded, kernel.shape)}

    def compute_output_spec(self, weights: Weights, training: bool | None = None) -> Weights:
        """Shapes: as given."""
        return dict(weights)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        ours = {name: getattr(self, name) for name in ("bits", "per_channel", "channel_axes", "weight", "gates")}
        return {**super().get_config(), **ours}


def weight_range(kernel: Any, *, per_channel: bool) -> Any:
    """Largest real value of the integer grid: `(channels,)` over the last axis, or a scalar; above zero."""
    size = keras.ops.abs(kernel)
    largest = keras.ops.max(size)
    largest = keras.ops.where(largest > 0.0, largest, 1.0)
    if not per_channel:
        return largest
    channels = keras.ops.max(size, axis=tuple(range(len(kernel.shape) - 1)))
    return keras.ops.maximum(channels, largest / 1024.0)


@keras.saving.register_keras_serializable(package="edgezoo")
class Range(keras.layers.Layer):
    """Rounds a tensor to per-tensor integers between `low` and `high`: asymmetric int8 (256 steps), or int16.

    Those of 16 bits are symmetric, from -32767 to 32767, the larger end being the 32767th: LiteRT's kernels of int16
    have no zero point.

    The range starts from calibration and follows the batches in training as a moving average (Jacob et al. 2018,
    section 3.1); in inference, where `trainable` is False, and once `FreezeRanges` has come to its epoch, it stands
    still. It always holds zero.

    Args:
        low: lowest real value at first.
        high: highest real value at first.
        bits: 8 or 16.
        momentum: of the moving average; 1 keeps the range as it is (softmax and the like, whose range LiteRT fixes).
        **kwargs: what every Keras layer takes.
    """

    def __init__(self, low: float, high: float, bits: int = 8, momentum: float = 0.99, **kwargs: Any):
        super().__init__(**kwargs)
        self.initial = (float(low), float(high))
        self.bits = bits
        self.momentum = momentum
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        """Make the two ends of the range."""
        low, high = (keras.initializers.Constant(value) for value in self.initial)
        self.low = self.add_weight(shape=(), initializer=low, name="low", trainable=False)
        self.high = self.add_weight(shape=(), initializer=high, name="high", trainable=False)
        rate = keras.initializers.Constant(1.0 - self.momentum)
        self.rate = self.add_weight(shape=(), initializer=rate, name="rate", trainable=False)
        self.built = True

    def call(self, inputs: Any, observe: bool = True, training: bool | None = None) -> Any:
        """Round `inputs`, after following them when training; `observe=False` only rounds."""
        if training and observe and self.trainable and self.momentum < 1.0:
            self.follow(keras.ops.stop_gradient(inputs))
        if self.bits == 16:
            high = keras.ops.maximum(keras.ops.abs(self.low), keras.ops.abs(self.high))
            return keras.quantizers.fake_quant_with_min_max_vars(inputs, -high, high, num_bits=16, narrow_range=True)
        return keras.quantizers.fake_quant_with_min_max_vars(inputs, self.low, self.high, num_bits=self.bits)

    def follow(self, inputs: Any) -> None:
        """Move the ends a step towards those of the batch."""
        low = keras.ops.minimum(keras.ops.min(inputs), 0.0)
        high = keras.ops.maximum(keras.ops.max(inputs), 0.0)
        self.low.assign(self.low + self.rate * (keras.ops.cast(low, self.low.dtype) - self.low))
        high = self.high + self.rate * (keras.ops.cast(high, self.high.dtype) - self.high)
        self.high.assign(keras.ops.maximum(high, self.low + 1e-6))

    def compute_output_shape(self, input_shape: Any, **_: Any) -> Any:
        """As given."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """The arguments; the ends themselves are weights."""
        low, high = self.initial
        return {**super().get_config(), "low": low, "high": high, "bits": self.bits, "momentum": self.momentum}


class FreezeRanges(keras.callbacks.Callback):
    """Lets the ranges of activations stand still from an epoch on, so that the weights settle on fixed steps.

    The model that is saved then keeps them, and goes on so in further training. Batch normalisation is folded and its
    statistics stand still throughout (see `compress.Fold`).

    Args:
        epoch: the first epoch in which they stand still, from 0.
    """

    def __init__(self, epoch: int):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Freeze them when it is time."""
        if epoch >= self.epoch:
            for layer in self.model._flatten_layers():
                if isinstance(layer, Range):
                    layer.rate.assign(0.0)
