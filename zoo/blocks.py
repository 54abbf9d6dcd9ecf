"""The blocks that families share: input, convolution, normalisation, head.

Tensors are `(batch, height, width, channels)`. Every layer says `channels_last` itself, so that a model is
the same whatever `keras.config.image_data_format()` is.
"""

from typing import Literal

import keras

from zoo.errors import ZooError

LAST = "channels_last"

MOMENTUM = 0.9
"""Momentum of the moving statistics. A training on little data has only a few hundred updates: at the 0.99 of
Keras, or the 0.999 of its MobileNetV2, it would be judged with statistics that still remember the initial
ones. It acts in training only and leaves the compatibility of weights alone."""

Padding = Literal["centred", "same"]


def image_input(input_shape: tuple[int, int, int], *, stride: int, model: str) -> keras.KerasTensor:
    """The input, named `image`: float32, `(batch, height, width, channels)`, already normalised.

    Args:
        input_shape: `(height, width, channels)`.
        stride: by how much the whole network shrinks its input: a smaller input has no features left.
        model: name of the model, for the message.

    Raises:
        ZooError: the input is smaller than `stride`.
    """
    height, width, _ = input_shape
    if min(height, width) < stride:
        raise ZooError(
            f"input of {height} x {width} is too small for {model}, which shrinks it {stride} times: "
            f"give it at least {stride} x {stride}, or take a model with fewer strides"
        )
    return keras.Input(input_shape, name="image", dtype="float32")


def conv(
    x: keras.KerasTensor,
    filters: int,
    kernel: int,
    *,
    name: str,
    stride: int = 1,
    bias: bool = False,
    padding: Padding = "centred",
) -> keras.KerasTensor:
    """A convolution whose output is `ceil(size / stride)`, with He-normal kernels.

    Args:
        x: what it reads.
        filters: output channels.
        kernel: odd height and width of the kernel.
        name: name of the layer; an explicit padding before it is `NAME_pad`.
        stride: 1 or 2.
        bias: whether it has a bias; useless where a normalisation follows.
        padding: `same` is TensorFlow's, which at stride 2 and an even size pads only right and bottom.
            `centred` pads `kernel // 2` on every side, as Caffe and PyTorch do, so that the samples lie where
            those of a strided shortcut do.
    """
    explicit = padding == "centred" and stride > 1 and kernel > 1
    if explicit:
        x = keras.layers.ZeroPadding2D(kernel // 2, data_format=LAST, name=f"{name}_pad")(x)
    return keras.layers.Conv2D(
        filters,
        kernel,
        strides=stride,
        padding="valid" if explicit else "same",
        use_bias=bias,
        kernel_initializer="he_normal",
        data_format=LAST,
        name=name,
    )(x)


def depthwise(x: keras.KerasTensor, kernel: int, *, name: str, stride: int = 1) -> keras.KerasTensor:
    """A depthwise convolution without bias, `same` padding, one filter a channel."""
    return keras.layers.DepthwiseConv2D(
        kernel,
        strides=stride,
        padding="same",
        use_bias=False,
        # He-normal: Keras counts every channel into the fan-in of a depthwise kernel, yet each output reads
        # one channel. The fan-out of that kernel, height * width * 1, is the number that is meant.
        depthwise_initializer=keras.initializers.VarianceScaling(2.0, mode="fan_out"),
        data_format=LAST,
        name=name,
    )(x)


def norm(x: keras.KerasTensor, *, epsilon: float, name: str) -> keras.KerasTensor:
    """Batch normalisation over the channels."""
    return keras.layers.BatchNormalization(axis=-1, momentum=MOMENTUM, epsilon=epsilon, name=name)(x)


def subsample(x: keras.KerasTensor, stride: int, *, name: str) -> keras.KerasTensor:
    """Every `stride`-th row and column."""
    return keras.layers.MaxPooling2D(1, strides=stride, data_format=LAST, name=name)(x)


def pad_channels(x: keras.KerasTensor, channels: int, *, name: str) -> keras.KerasTensor:
    """`x` with channels of zeros appended, up to `channels`."""
    # ZeroPadding2D pads the last two axes of a channels_first tensor. Read as such, ours has its width and
    # its channels there: a stock layer does what would otherwise need a custom one.
    extra = channels - x.shape[-1]
    return keras.layers.ZeroPadding2D(((0, 0), (0, extra)), data_format="channels_first", name=name)(x)


def head(x: keras.KerasTensor, *, classes: int, dropout: float, activation: str | None) -> keras.KerasTensor:
    """Global average pooling, dropout where there is any, and the Dense layer `head`: `(batch, classes)`."""
    x = keras.layers.GlobalAveragePooling2D(data_format=LAST, name="pool")(x)
    if dropout > 0.0:
        x = keras.layers.Dropout(dropout, name="dropout")(x)
    # In mixed precision the loss needs logits of full range: the dtype of the variables.
    dtype = keras.config.dtype_policy().variable_dtype
    return keras.layers.Dense(classes, activation=activation, dtype=dtype, name="head")(x)
