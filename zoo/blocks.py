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

INITIALIZER = "he_uniform"
"""He et al. 2015, "Delving Deep into Rectifiers", equation 10: a variance of 2 / fan-in. It is drawn from a uniform
distribution, which has the same variance as their normal one and takes a quarter of the time: the difference is
a third of the time that a ResNet-50 takes to build."""

Padding = Literal["centred", "same", "corner", "valid"]
"""How a convolution with a stride is padded; without one the first three are `same`.

`same` is TensorFlow's, which at stride 2 and an even size pads only right and bottom. `centred` pads
`kernel // 2` on every side, as Caffe and PyTorch do, so that the samples lie where those of a strided shortcut
do. `corner` pads `kernel // 2` right and bottom at any size: an odd one is rounded down. `valid` pads
nothing, whatever the stride.
"""


def image_input(
    input_shape: tuple[int, int, int], *, stride: int, model: str, least: int | None = None
) -> keras.KerasTensor:
    """The input, named `image`: float32, `(batch, height, width, channels)`, already normalised.

    Args:
        input_shape: `(height, width, channels)`.
        stride: by how much the whole network shrinks its input: a smaller input has no features left.
        model: name of the model, for the message.
        least: smallest height and width, where layers without padding need more than `stride`.

    Raises:
        ZooError: the input is smaller than that.
    """
    height, width, _ = input_shape
    least = stride if least is None else least
    if min(height, width) < least:
        raise ZooError(
            f"input of {height} x {width} is too small for {model}, which shrinks it {stride} times: "
            f"give it at least {least} x {least}, or take a model with fewer strides"
        )
    return keras.Input(input_shape, name="image", dtype="float32")


def conv(
    x: keras.KerasTensor,
    filters: int,
    kernel: int | tuple[int, int],
    *,
    name: str,
    stride: int = 1,
    bias: bool = False,
    padding: Padding = "centred",
    groups: int = 1,
) -> keras.KerasTensor:
    """A convolution whose output, where padded, is `ceil(size / stride)`, with He-normal kernels.

    Args:
        x: what it reads.
        filters: output channels.
        kernel: odd height and width of the kernel, one number for both or one each.
        name: name of the layer; an explicit padding before it is `NAME_pad`.
        stride: step in both directions.
        bias: whether it has a bias; useless where a normalisation follows.
        padding: see `Padding`.
        groups: parts that the channels are split into, each convolved alone.
    """
    x, mode = _pad(x, kernel, stride, padding, name)
    return keras.layers.Conv2D(
        filters,
        kernel,
        strides=stride,
        padding=mode,
        groups=groups,
        use_bias=bias,
        kernel_initializer=INITIALIZER,
        data_format=LAST,
        name=name,
    )(x)


def depthwise(
    x: keras.KerasTensor,
    kernel: int,
    *,
    name: str,
    stride: int = 1,
    bias: bool = False,
    padding: Padding = "same",
) -> keras.KerasTensor:
    """A depthwise convolution, one filter a channel; the arguments are those of `conv`."""
    x, mode = _pad(x, kernel, stride, padding, name)
    return keras.layers.DepthwiseConv2D(
        kernel,
        strides=stride,
        padding=mode,
        use_bias=bias,
        # He-uniform: Keras counts every channel into the fan-in of a depthwise kernel, yet each output reads
        # one channel. The fan-out of that kernel, height * width * 1, is the number that is meant.
        depthwise_initializer=keras.initializers.VarianceScaling(2.0, "fan_out", "uniform"),
        data_format=LAST,
        name=name,
    )(x)


def _pad(
    x: keras.KerasTensor, kernel: int | tuple[int, int], stride: int, padding: Padding, name: str
) -> tuple[keras.KerasTensor, Literal["same", "valid"]]:
    """`x` with the zeros that `padding` wants said explicitly, and the padding left to the convolution."""
    if padding == "valid":
        return x, "valid"
    if padding == "same" or stride == 1 or kernel == 1:
        return x, "same"
    halves = [size // 2 for size in ((kernel, kernel) if isinstance(kernel, int) else kernel)]
    amount = tuple((half if padding == "centred" else 0, half) for half in halves)
    return keras.layers.ZeroPadding2D(amount, data_format=LAST, name=f"{name}_pad")(x), "valid"


def norm(x: keras.KerasTensor, *, epsilon: float, name: str, scale: bool = True) -> keras.KerasTensor:
    """Batch normalisation over the channels; without `scale` it learns only a shift."""
    return keras.layers.BatchNormalization(axis=-1, momentum=MOMENTUM, epsilon=epsilon, scale=scale, name=name)(x)


def norm_relu6(x: keras.KerasTensor, *, epsilon: float, norm_name: str, name: str) -> keras.KerasTensor:
    """Batch normalisation, then ReLU6, which is called `name`."""
    return keras.layers.ReLU(6.0, name=name)(norm(x, epsilon=epsilon, name=norm_name))


def rounded(channels: float) -> int:
    """To a multiple of 8, at least 8, and never more than a tenth below `channels`.

    As in the code of the authors of MobileNetV2, MobileNetV3 and EfficientNet.
    """
    whole = max(8, int(channels + 4) // 8 * 8)
    return whole + 8 if whole < 0.9 * channels else whole


def inverted_residual(
    x: keras.KerasTensor,
    filters: int,
    *,
    expansion: int,
    kernel: int,
    stride: int,
    epsilon: float,
    padding: Padding,
    drop: float,
    label: str,
    end: str,
) -> keras.KerasTensor:
    """Expand, filter each channel, project without ReLU; a sum where shapes agree.

    MobileNetV2 (Sandler et al. 2018, arXiv:1801.04381), table 1 and figure 4d.

    Args:
        x: what it reads.
        filters: output channels.
        expansion: inner channels over input channels; at 1 there is no expanding convolution.
        kernel: of the depthwise convolution.
        stride: of the depthwise convolution.
        epsilon: of the normalisations.
        padding: of the depthwise convolution.
        drop: share of the examples that skip the block while training (stochastic depth, Huang et al. 2016,
            arXiv:1603.09382), where there is a sum.
        label: start of the layers' names.
        end: name of the last layer.
    """
    source = x
    adds = stride == 1 and x.shape[-1] == filters
    if expansion > 1:
        x = conv(x, expansion * x.shape[-1], 1, name=f"{label}_expand")
        x = norm_relu6(x, epsilon=epsilon, norm_name=f"{label}_expand_norm", name=f"{label}_expand_relu")
    x = depthwise(x, kernel, stride=stride, padding=padding, name=f"{label}_depthwise")
    x = norm_relu6(x, epsilon=epsilon, norm_name=f"{label}_depthwise_norm", name=f"{label}_depthwise_relu")
    x = conv(x, filters, 1, name=f"{label}_project")
    x = norm(x, epsilon=epsilon, name=f"{label}_project_norm" if adds else end)
    if adds and drop > 0.0:
        x = keras.layers.Dropout(drop, noise_shape=(None, 1, 1, 1), name=f"{label}_drop")(x)
    return keras.layers.Add(name=end)([source, x]) if adds else x


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
    return answer(x, classes=classes, dropout=dropout, activation=activation)


def dense_head(
    x: keras.KerasTensor, widths: tuple[int, ...], *, classes: int, dropout: float, activation: str | None
) -> keras.KerasTensor:
    """Every feature into Dense layers `fc1`, `fc2`, … with ReLU and dropout, then `head`: `(batch, classes)`."""
    x = keras.layers.Flatten(data_format=LAST, name="flatten")(x)
    for number, width in enumerate(widths, start=1):
        if number > 1 and dropout > 0.0:
            x = keras.layers.Dropout(dropout, name=f"fc{number - 1}_dropout")(x)
        x = keras.layers.Dense(width, kernel_initializer=INITIALIZER, name=f"fc{number}")(x)
        x = keras.layers.ReLU(name=f"fc{number}_relu")(x)
    return answer(x, classes=classes, dropout=dropout, activation=activation)


def answer(x: keras.KerasTensor, *, classes: int, dropout: float, activation: str | None) -> keras.KerasTensor:
    """Dropout where there is any, and the Dense layer `head`: `(batch, classes)`."""
    if dropout > 0.0:
        x = keras.layers.Dropout(dropout, name="dropout")(x)
    # In mixed precision the loss needs logits of full range: the dtype of the variables.
    dtype = keras.config.dtype_policy().variable_dtype
    return keras.layers.Dense(classes, activation=activation, dtype=dtype, name="head")(x)
