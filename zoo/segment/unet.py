"""U-Net: an encoder that shrinks, a decoder that grows, and skips between the two at each size.

Ronneberger, Fischer, Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation", MICCAI 2015,
arXiv:1505.04597, figure 1.

The paper's convolutions are unpadded, so that its output is smaller than its input (388 of 572 pixels). Here
they are padded (`same`), as is usual today: the output has the size of the input. The parameters are the same.
"""

from dataclasses import dataclass
from typing import Literal

import keras

from zoo import blocks, check
from zoo.contract import IMAGE, Origin, Spec
from zoo.errors import ZooError

TASK = "segment"
EPSILON = 1e-3
"""Keras's default; the paper has no normalisation."""


@dataclass(frozen=True, kw_only=True)
class UNetSpec(Spec):
    """A U-Net.

    Attributes:
        width: channels at full resolution (a whole number); they double with each halving of the size.
        depths: convolutions of each level, at strides 1, 2, 4, …; the last level is the bottom. With an `encoder`
            those of the decoder only, and the bottom's number has no effect: its features are the encoder's.
        normalise: `batch` normalisation after each 3x3 convolution, or `none` and biases, as in the paper.
        dropout: share of the features dropped at the end of the contracting path (section 3.1).
        up: `transpose` is the paper's up-convolution, 2x2 of stride 2; `bilinear` a 1x1 convolution, then
            interpolation, which leaves no checkerboard.
        encoder: None is the paper's; else the name of a classifier of the zoo, whose features are decoded.
    """

    width: int = 64
    depths: tuple[int, ...] = (2, 2, 2, 2, 2)
    normalise: Literal["batch", "none"] = "batch"
    up: Literal["transpose", "bilinear"] = "transpose"
    encoder: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check.whole(self.width, "width")
        object.__setattr__(self, "depths", check.wholes(self.depths, "depths"))
        if len(self.depths) < 2:
            raise ZooError(f"depths must have at least two levels, or nothing is shrunk and grown, not {self.depths}")
        check.one_of(self.normalise, "normalise", ("batch", "none"))
        check.one_of(self.up, "up", ("transpose", "bilinear"))
        # Whether there is such a classifier, `build` finds out: the families are not complete while this
        # module is imported.
        if self.encoder is not None and not isinstance(self.encoder, str):
            raise ZooError(f"encoder must be the name of a classifier or None, not {self.encoder!r}")


SPEC = UNetSpec

VARIANTS: dict[str, UNetSpec] = {
    # Figure 1. The paper gives no rate for its dropout; half is that of Srivastava et al. 2014.
    "unet": UNetSpec(normalise="none", dropout=0.5),
    # Ours, for devices: an eighth and a quarter of the channels, normalised; the tiny one is a level less deep.
    "unet_tiny": UNetSpec(width=8, depths=(2, 2, 2, 2)),
    "unet_small": UNetSpec(width=16),
    # Ours: the features of a classifier (MobileNetV2's and ResNet-18's papers), decoded.
    "unet_mobilenet_v2": UNetSpec(width=16, depths=(2, 2, 2, 2, 2, 1), encoder="mobilenet_v2"),
    "unet_resnet18": UNetSpec(width=16, depths=(2, 2, 2, 2, 2, 1), encoder="resnet18"),
}


def origin(spec: UNetSpec) -> Origin:
    """The paper; its input of 572 pixels is here the nearest that five levels divide."""
    title = "U-Net: Convolutional Networks for Biomedical Image Segmentation"
    size = -(-572 // _stride(spec)) * _stride(spec)
    paper = f"Ronneberger et al., {title}, MICCAI 2015, arXiv:1505.04597"
    return Origin(paper, (size, size, 1 if spec.encoder is None else 3), 2)


def build(
    spec: UNetSpec, *, input_shape: tuple[int, int, int], classes: int, activation: str | None, name: str
) -> keras.Model:
    """The network: `stage1` … on the way down, `decodeN` … `decode1` on the way up, `head`. See `zoo.build`.

    With an `encoder` the layers on the way down are those of the classifier, under its own names.

    Raises:
        ZooError: a size is no multiple of the whole stride, or the encoder cannot serve.
    """
    _fits(input_shape, _stride(spec), name)
    if spec.encoder is None:
        inputs, levels = _contracting(spec, input_shape, name)
    else:
        inputs, levels = _classifier(spec, spec.encoder, input_shape, name)
    x = levels[-1]
    if x is None:
        raise ZooError(
            f"{spec.encoder} has no features at stride {_stride(spec)}, the bottom of {len(spec.depths)} depths; "
            "take an encoder that shrinks that far, or fewer depths"
        )
    if spec.dropout > 0.0:
        x = keras.layers.Dropout(spec.dropout, name="bottom_dropout")(x)
    for level in range(len(spec.depths) - 1, 0, -1):
        x = _up(x, spec, level)
        skip = levels[level - 1]
        if skip is not None:
            x = keras.layers.Concatenate(axis=-1, name=f"skip{level}")([skip, x])
        x = _convs(x, spec, level, f"decode{level}")
    # In mixed precision the loss needs logits of full range: the dtype of the variables.
    head = keras.layers.Conv2D(
        classes,
        1,
        activation=activation,
        data_format=blocks.LAST,
        dtype=keras.config.dtype_policy().variable_dtype,
        name="head",
    )
    return keras.Model(inputs, head(x), name=name)


def _stride(spec: UNetSpec) -> int:
    """By how much the whole network shrinks its input before it grows it again."""
    return int(2 ** (len(spec.depths) - 1))


def _fits(input_shape: tuple[int, int, int], stride: int, name: str) -> None:
    """Refuse sizes that the strides do not divide; names the nearest ones below and above."""
    height, width, _ = input_shape
    if height % stride or width % stride:
        below = (max(side // stride, 1) * stride for side in (height, width))
        above = (-(-side // stride) * stride for side in (height, width))
        nearest = dict.fromkeys(" x ".join(map(str, sizes)) for sizes in (below, above))
        raise ZooError(
            f"input of {height} x {width} does not suit {name}, which shrinks it {stride} times and grows it back: "
            f"give it multiples of {stride}, such as {' or '.join(nearest)}"
        )


def _contracting(
    spec: UNetSpec, input_shape: tuple[int, int, int], name: str
) -> tuple[keras.KerasTensor, list[keras.KerasTensor | None]]:
    """The paper's way down: the input, and the features at strides 1, 2, 4 and so on."""
    inputs = x = blocks.image_input(input_shape, stride=_stride(spec), model=name)
    levels: list[keras.KerasTensor | None] = []
    for level in range(1, len(spec.depths) + 1):
        if level > 1:
            x = keras.layers.MaxPooling2D(2, data_format=blocks.LAST, name=f"down{level}")(x)
        x = _convs(x, spec, level, f"stage{level}")
        levels.append(x)
    return inputs, levels


def _classifier(
    spec: UNetSpec, encoder: str, input_shape: tuple[int, int, int], name: str
) -> tuple[keras.KerasTensor, list[keras.KerasTensor | None]]:
    """A classifier cut at its endpoints: its input, and its last features at strides 1, 2, 4, …, None where none are.

    The strides are told by the shapes. What lies behind the deepest features is left out of the model.
    """
    # Imported here, not above: the table of families imports this module, and an encoder is looked up in that
    # table. A builder passed in would keep the import on top, but then the zoo alone could not build a spec.
    from zoo import families, models

    family_name, _, settings = models.resolve(encoder)
    family = families.FAMILIES[family_name]
    if family.TASK != "classify" or settings.axes != IMAGE:
        raise ZooError(f"encoder must be a classifier of images, and {encoder} is not one")
    model = family.build(settings, input_shape=input_shape, classes=2, activation=None, name=name)
    features = {tensor.shape[1:3]: tensor for endpoint, tensor in models.endpoints(model).items() if endpoint != "head"}
    height, width, _ = input_shape
    strides = (2**level for level in range(len(spec.depths)))
    return model.input, [features.get((height // stride, width // stride)) for stride in strides]


def _up(x: keras.KerasTensor, spec: UNetSpec, level: int) -> keras.KerasTensor:
    """Twice the size, with the channels of `level`."""
    channels = spec.width * 2 ** (level - 1)
    if spec.up == "transpose":
        return keras.layers.Conv2DTranspose(
            channels, 2, strides=2, kernel_initializer=blocks.INITIALIZER, data_format=blocks.LAST, name=f"up{level}"
        )(x)
    # A 1x1 convolution and an interpolation may change places; on the small side it costs a quarter.
    x = blocks.conv(x, channels, 1, bias=True, name=f"up{level}_conv")
    return keras.layers.UpSampling2D(2, interpolation="bilinear", data_format=blocks.LAST, name=f"up{level}")(x)


def _convs(x: keras.KerasTensor, spec: UNetSpec, level: int, label: str) -> keras.KerasTensor:
    """3x3 convolutions with ReLU, as many as `depths` says; the last is named `label`."""
    plain = spec.normalise == "none"
    for number in range(1, spec.depths[level - 1] + 1):
        last = number == spec.depths[level - 1]
        x = blocks.conv(x, spec.width * 2 ** (level - 1), 3, bias=plain, name=f"{label}_conv{number}")
        if not plain:
            x = blocks.norm(x, epsilon=EPSILON, name=f"{label}_norm{number}")
        x = keras.layers.ReLU(name=label if last else f"{label}_relu{number}")(x)
    return x
