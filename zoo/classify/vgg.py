"""VGG: stacks of 3x3 convolutions, a max pooling after each stack, three fully connected layers.

Simonyan, Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015,
arXiv:1409.1556.

Computes what `keras.applications.VGG16` and `VGG19` compute from the same weights, in the same order.
"""

from dataclasses import dataclass
from typing import Literal

import keras

from zoo import blocks, check
from zoo.contract import Origin, Spec

TASK = "classify"


@dataclass(frozen=True, kw_only=True)
class VGGSpec(Spec):
    """A VGG.

    Attributes:
        depths: convolutions of each stage; a stage ends with a max pooling that halves the size.
        width: channels of the first stage (a whole number); each stage doubles them, up to eight times as many.
        top: `dense` flattens the features into fully connected layers, as in the paper, whose size then grows
            with the image's; `average` pools the features and goes straight to the head: for small data sets.
        fc: widths of the fully connected layers before the head; `average` has none.
        dropout: share dropped after each of them, or before the head.
    """

    depths: tuple[int, ...]
    width: int = 64
    top: Literal["dense", "average"] = "dense"
    fc: tuple[int, ...] = (4096, 4096)
    dropout: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        check.whole(self.width, "width")
        object.__setattr__(self, "depths", check.wholes(self.depths, "depths"))
        check.one_of(self.top, "top", ("dense", "average"))
        object.__setattr__(self, "fc", check.wholes(self.fc, "fc"))


SPEC = VGGSpec

# Table 1, columns A, B, D and E; dropout of section 3.1.
VARIANTS: dict[str, VGGSpec] = {
    "vgg11": VGGSpec(depths=(1, 1, 2, 2, 2)),
    "vgg13": VGGSpec(depths=(2, 2, 2, 2, 2)),
    "vgg16": VGGSpec(depths=(2, 2, 3, 3, 3)),
    "vgg19": VGGSpec(depths=(2, 2, 4, 4, 4)),
}


def origin(spec: VGGSpec) -> Origin:
    """The paper; ImageNet."""
    title = "Very Deep Convolutional Networks for Large-Scale Image Recognition"
    return Origin(f"Simonyan, Zisserman, {title}, ICLR 2015, arXiv:1409.1556", (224, 224, 3), 1000)


def build(
    spec: VGGSpec, *, input_shape: tuple[int, int, int], classes: int, activation: str | None, name: str
) -> keras.Model:
    """The network: `stem` is the first convolution, `stageN` the pooling after each stack, then `head`.

    See `zoo.build`.
    """
    x = inputs = blocks.image_input(input_shape, stride=2 ** len(spec.depths), model=name)
    for stage, depth in enumerate(spec.depths, start=1):
        for number in range(1, depth + 1):
            first = stage == number == 1
            label = f"stage{stage}_conv{number}"
            filters = spec.width * min(2 ** (stage - 1), 8)
            x = blocks.conv(x, filters, 3, bias=True, name="stem_conv" if first else label)
            x = keras.layers.ReLU(name="stem" if first else f"{label}_relu")(x)
        x = keras.layers.MaxPooling2D(2, data_format=blocks.LAST, name=f"stage{stage}")(x)
    if spec.top == "dense":
        outputs = blocks.dense_head(x, spec.fc, classes=classes, dropout=spec.dropout, activation=activation)
    else:
        outputs = blocks.head(x, classes=classes, dropout=spec.dropout, activation=activation)
    return keras.Model(inputs, outputs, name=name)
