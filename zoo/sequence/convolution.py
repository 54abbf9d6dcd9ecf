"""What the convolutional networks of series share: convolutions that know of padding, normalisation, head.

Tensors are `(batch, steps, channels)`. Keras's `Conv1D` and `MaxPooling1D` drop the mask that says which steps are
padding; then the padding counts in the average before the head and in the statistics of every normalisation, and what
the padding became in one layer leaks into the series in the next. The layers here keep the mask and read zeros where
there is padding, as `same` does beyond the ends: a padded series has the answer that it has without padding. The
normalisations, which are Keras's, take their statistics of the other steps only. Models without a mask have Keras's
own layers.
"""

from dataclasses import dataclass
from typing import Any

import keras

from zoo import blocks, check
from zoo.sequence.inputs import SequenceSpec


@dataclass(frozen=True, kw_only=True)
class ConvolutionSpec(SequenceSpec):
    """The fields of the convolutional networks of Wang et al. 2017, and of those built on them.

    Attributes:
        filters: output channels of each convolution or block, before `width`.
        kernels: steps that each convolution sees.
        width: multiplier of the channels.
        bias: a bias in the convolutions, as in the code of the authors; the normalisation behind it makes it idle.
        epsilon: of the normalisations, above 0; Keras's default, as in the code of the authors.
        dropout: share of the features dropped before the head.
    """

    filters: tuple[int, ...] = (128, 256, 128)
    kernels: tuple[int, ...] = (8, 5, 3)
    bias: bool = True
    epsilon: float = 1e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "filters", check.wholes(self.filters, "filters"))
        object.__setattr__(self, "kernels", check.wholes(self.kernels, "kernels"))
        check.flag(self.bias, "bias")
        check.real(self.epsilon, "epsilon", above=0.0)


@keras.saving.register_keras_serializable(package="edgezoo")
class MaskedConv1D(keras.layers.Conv1D):
    """A `Conv1D` of stride 1 and padding `same` that reads zeros where the mask is False, and hands the mask on."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.supports_masking = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """`(batch, steps, channels)` → `(batch, steps, filters)`; mask `(batch, steps)`, True where to look."""
        return super().call(_filled(inputs, mask, 0.0))

    def stock_layers(self) -> list[keras.layers.Layer]:
        """What does the same, one after the other: `compress` quantizes these."""
        plain = keras.layers.Conv1D.from_config(self.get_config())
        plain.build((None, None, self.kernel.shape[1] * self.groups))
        plain.set_weights(self.get_weights())
        return [ClearPadding(name=f"{self.name}_clear"), plain]


@keras.saving.register_keras_serializable(package="edgezoo")
class MaskedMaxPooling1D(keras.layers.MaxPooling1D):
    """A `MaxPooling1D` of stride 1 and padding `same` that skips the steps whose mask is False."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.supports_masking = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """`(batch, steps, channels)` → the same shape; mask `(batch, steps)`, True where to look."""
        # No step is below the lowest one, and no range of an int8 file grows by it, as it would by minus infinity.
        return super().call(inputs if mask is None else _filled(inputs, mask, keras.ops.min(inputs, 1, keepdims=True)))


@keras.saving.register_keras_serializable(package="edgezoo")
class MaskedAverage(keras.layers.GlobalAveragePooling1D):
    """The mean over the steps whose mask is True; zeros where there are none, for which Keras's has 0 / 0."""

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """`(batch, steps, channels)` → `(batch, channels)`; mask `(batch, steps)`, True where to look."""
        if mask is None:
            return super().call(inputs)
        total = keras.ops.sum(_filled(inputs, mask, 0.0), axis=1)
        # Not a cast of the mask: that would stay float in an int8 file.
        count = keras.ops.sum(_filled(keras.ops.ones_like(inputs[..., :1]), mask, 0.0), axis=1)
        return total / keras.ops.maximum(count, 1.0)


@keras.saving.register_keras_serializable(package="edgezoo")
class ClearPadding(keras.layers.Layer):
    """Zeros where the mask is False, and no mask behind it: for layers that read steps as if they were channels."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """`(batch, steps, channels)` → the same shape; mask `(batch, steps)`, True where to look."""
        return _filled(inputs, mask, 0.0)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> None:
        """None: the mask ends here."""

    def compute_output_shape(self, input_shape: Any) -> Any:
        """That of the input."""
        return input_shape


def _filled(x: Any, mask: Any, value: Any) -> Any:
    """`x` with `value` where the mask is False."""
    if mask is None:
        return x
    return keras.ops.where(keras.ops.expand_dims(mask, -1), x, value)


def masked(spec: SequenceSpec) -> bool:
    """Whether a model of `spec` has a mask: it reads tokens, or is told to look for padding."""
    return spec.mask or spec.vocabulary > 0


def conv(
    x: keras.KerasTensor, filters: int, kernel: int, *, masks: bool, name: str, bias: bool = True
) -> keras.KerasTensor:
    """A convolution over the steps whose output has as many, with He-uniform kernels.

    Args:
        x: what it reads.
        filters: output channels.
        kernel: steps that it sees; an even kernel sees one more of those to come, as TensorFlow pads.
        masks: whether `x` may have a mask.
        name: name of the layer.
        bias: whether it has a bias.
    """
    kind = MaskedConv1D if masks else keras.layers.Conv1D
    return kind(
        filters,
        kernel,
        padding="same",
        use_bias=bias,
        kernel_initializer=blocks.INITIALIZER,
        data_format=blocks.LAST,
        name=name,
    )(x)


def max_pool(x: keras.KerasTensor, size: int, *, masks: bool, name: str) -> keras.KerasTensor:
    """The highest of `size` steps around each step."""
    kind = MaskedMaxPooling1D if masks else keras.layers.MaxPooling1D
    return kind(size, strides=1, padding="same", data_format=blocks.LAST, name=name)(x)


def conv_norm_relu(
    x: keras.KerasTensor, filters: int, kernel: int, *, masks: bool, bias: bool, epsilon: float, label: str, end: str
) -> keras.KerasTensor:
    """Convolution, batch normalisation, ReLU; `label` starts the layers' names, `end` is the last one's."""
    x = conv(x, filters, kernel, masks=masks, bias=bias, name=f"{label}_conv")
    x = blocks.norm(x, epsilon=epsilon, name=f"{label}_norm")
    return keras.layers.ReLU(name=end)(x)


def average(x: keras.KerasTensor, *, masks: bool) -> keras.KerasTensor:
    """The mean over the steps that are no padding: the layer `pool`, `(batch, channels)`."""
    kind = MaskedAverage if masks else keras.layers.GlobalAveragePooling1D
    return kind(data_format=blocks.LAST, name="pool")(x)
