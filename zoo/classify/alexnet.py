"""AlexNet: five convolutions, three max poolings, three fully connected layers.

Krizhevsky, Sutskever, Hinton, "ImageNet Classification with Deep Convolutional Neural Networks", NIPS 2012: two
towers, one on each of two GPUs, that see each other in the third convolution and the fully connected layers only.
Krizhevsky, "One weird trick for parallelizing convolutional neural networks", 2014, arXiv:1404.5997: one tower.
"""

from dataclasses import dataclass

import keras

from zoo import blocks, check
from zoo.contract import Origin, Spec

TASK = "classify"


@dataclass(frozen=True, kw_only=True)
class AlexNetSpec(Spec):
    """An AlexNet.

    Attributes:
        channels: of the five convolutions.
        width: multiplier of the channels; they are rounded to multiples of 8.
        towers: 2 splits the channels of the second, fourth and fifth convolution into two halves that do not see
            each other.
        pad: zeros on every side of the input.
        lrn: normalise the first two convolutions over neighbouring channels (section 3.3). Off, because it has no
            integer form: an int8 file computes it in floating point. Simonyan and Zisserman (arXiv:1409.1556,
            section 4.1) found no gain in it.
        fc: widths of the fully connected layers before the head.
        dropout: share dropped after each of them.
    """

    channels: tuple[int, ...] = (96, 256, 384, 384, 256)
    towers: int = 2
    pad: int = 0
    lrn: bool = False
    fc: tuple[int, ...] = (4096, 4096)
    dropout: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "channels", check.wholes(self.channels, "channels", count=5))
        check.one_of(self.towers, "towers", (1, 2))
        check.whole(self.pad, "pad", least=0)
        check.flag(self.lrn, "lrn")
        object.__setattr__(self, "fc", check.wholes(self.fc, "fc"))


SPEC = AlexNetSpec

VARIANTS: dict[str, AlexNetSpec] = {
    # Section 3.5 and figure 2. The paper says 224 pixels; without padding its sizes follow from 227.
    "alexnet": AlexNetSpec(),
    # As torchvision and the author's code have it: figure 1 draws no channels.
    "alexnet_one_tower": AlexNetSpec(channels=(64, 192, 384, 256, 256), towers=1, pad=2),
}


def origin(spec: AlexNetSpec) -> Origin:
    """The paper of one or of two towers; ImageNet."""
    if spec.towers == 2:
        title = "ImageNet Classification with Deep Convolutional Neural Networks"
        return Origin(f"Krizhevsky, Sutskever, Hinton, {title}, NIPS 2012", (227, 227, 3), 1000)
    title = "One weird trick for parallelizing convolutional neural networks"
    return Origin(f"Krizhevsky, {title}, 2014, arXiv:1404.5997", (224, 224, 3), 1000)


def build(
    spec: AlexNetSpec, *, input_shape: tuple[int, int, int], classes: int, activation: str | None, name: str
) -> keras.Model:
    """The network: `stem` is the first convolution, `stage1` to `stage3` the max poolings, then `head`.

    See `zoo.build`.
    """
    # One pixel after three unpadded 3x3 poolings of stride 2 takes 15, which the first convolution makes of 67.
    inputs = blocks.image_input(input_shape, stride=32, model=name, least=67 - 2 * spec.pad)
    first, second, *rest = (blocks.rounded(filters * spec.width) for filters in spec.channels)
    x = inputs
    if spec.pad:
        x = keras.layers.ZeroPadding2D(spec.pad, data_format=blocks.LAST, name="stem_pad")(x)
    x = blocks.conv(x, first, 11, stride=4, padding="valid", bias=True, name="stem_conv")
    x = keras.layers.ReLU(name="stem")(x)
    x = _max_pool(_normalised(x, spec, "stage1_lrn"), "stage1")
    x = blocks.conv(x, second, 5, bias=True, groups=spec.towers, name="stage2_conv")
    x = keras.layers.ReLU(name="stage2_relu")(x)
    x = _max_pool(_normalised(x, spec, "stage2_lrn"), "stage2")
    for number, filters in enumerate(rest, start=1):
        groups = 1 if number == 1 else spec.towers
        x = blocks.conv(x, filters, 3, bias=True, groups=groups, name=f"stage3_conv{number}")
        x = keras.layers.ReLU(name=f"stage3_relu{number}")(x)
    x = _max_pool(x, "stage3")
    outputs = blocks.dense_head(x, spec.fc, classes=classes, dropout=spec.dropout, activation=activation)
    return keras.Model(inputs, outputs, name=name)


def _max_pool(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Overlapping: 3x3 windows, stride 2 (section 3.4)."""
    return keras.layers.MaxPooling2D(3, strides=2, data_format=blocks.LAST, name=name)(x)


def _normalised(x: keras.KerasTensor, spec: AlexNetSpec, name: str) -> keras.KerasTensor:
    return LocalResponseNormalization(name=name)(x) if spec.lrn else x


@keras.saving.register_keras_serializable(package="edgezoo")
class LocalResponseNormalization(keras.layers.Layer):
    """`x / (2 + 1e-4 * s) ** 0.75`, `s` the sum of squares over a channel and two on each side (section 3.3)."""

    def call(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        """Same shape as `inputs`, `(batch, height, width, channels)`."""
        channels = inputs.shape[-1]
        squares = keras.ops.pad(keras.ops.square(inputs), ((0, 0), (0, 0), (0, 0), (2, 2)))
        total = sum(squares[..., shift : shift + channels] for shift in range(5))
        return inputs / (2.0 + 1e-4 * total) ** 0.75

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The shape of the input."""
        return input_shape
