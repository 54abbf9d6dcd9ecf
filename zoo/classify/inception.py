"""What Inception version 3 and Inception-ResNet share: the stem, and parallel branches that are concatenated.

A module is data: a tuple of branches, each a tuple of convolutions `(filters, kernel)`. Every convolution has a
batch normalisation without scale and a ReLU after it, as in `keras.applications`.
"""

import keras

from zoo import blocks

EPSILON = 1e-3
"""Of the normalisations, as in `keras.applications` and the authors' code."""
LEAST = 75
"""Smallest input: the stem and two reductions, none of them padded, leave one pixel of it."""

Kernel = int | tuple[int, int]
Branch = tuple[tuple[int, Kernel], ...]


def names(stage: int, number: int, count: int) -> tuple[str, str]:
    """The start of the layer names of module `number` out of `count`, and the name of its last layer."""
    label = f"stage{stage}_module{number}"
    return label, f"stage{stage}" if number == count else f"{label}_out"


def unit(
    x: keras.KerasTensor,
    filters: int,
    kernel: Kernel,
    *,
    label: str,
    end: str | None = None,
    stride: int = 1,
    padding: blocks.Padding = "same",
) -> keras.KerasTensor:
    """Convolution, normalisation, ReLU; the ReLU is called `end`, or `LABEL_relu`."""
    x = blocks.conv(x, filters, kernel, stride=stride, padding=padding, name=f"{label}_conv")
    x = blocks.norm(x, epsilon=EPSILON, scale=False, name=f"{label}_norm")
    return keras.layers.ReLU(name=end or f"{label}_relu")(x)


def branch(
    x: keras.KerasTensor, steps: Branch, *, width: float, label: str, reduces: bool = False
) -> keras.KerasTensor:
    """A chain of convolutions; where it `reduces`, the last one has stride 2 and no padding."""
    for number, (filters, kernel) in enumerate(steps, start=1):
        last = reduces and number == len(steps)
        padding: blocks.Padding = "valid" if last else "same"
        stride = 2 if last else 1
        x = unit(x, blocks.rounded(filters * width), kernel, label=f"{label}_{number}", stride=stride, padding=padding)
    return x


def parallel(
    x: keras.KerasTensor, branches: tuple[Branch, ...], *, width: float, label: str, reduces: bool = False
) -> list[keras.KerasTensor]:
    """The ends of several branches that all read `x`."""
    return [
        branch(x, steps, width=width, label=f"{label}_branch{number}", reduces=reduces)
        for number, steps in enumerate(branches, start=1)
    ]


def module(
    x: keras.KerasTensor, branches: tuple[Branch, ...], *, pool: int, width: float, label: str, end: str
) -> keras.KerasTensor:
    """Branches beside a 3x3 average pooling with a 1x1 convolution of `pool` channels, concatenated to `end`."""
    ends = parallel(x, branches, width=width, label=label)
    return concatenate([*ends, average_branch(x, pool, width=width, label=label)], name=end)


def average_branch(x: keras.KerasTensor, filters: int, *, width: float, label: str) -> keras.KerasTensor:
    """A 3x3 average pooling of stride 1 and a 1x1 convolution."""
    x = keras.layers.AveragePooling2D(3, strides=1, padding="same", data_format=blocks.LAST, name=f"{label}_average")(x)
    return unit(x, blocks.rounded(filters * width), 1, label=f"{label}_pool")


def reduction(x: keras.KerasTensor, branches: tuple[Branch, ...], *, width: float, label: str) -> keras.KerasTensor:
    """Branches that halve the size beside a max pooling, concatenated."""
    ends = parallel(x, branches, width=width, label=label, reduces=True)
    return concatenate([*ends, max_pool(x, name=f"{label}_max")], name=label)


def stem(inputs: keras.KerasTensor, width: float) -> keras.KerasTensor:
    """The layers up to an eighth of the size, with the endpoints `stem` (a half) and `stage1` (a quarter)."""
    x = unit(inputs, blocks.rounded(32 * width), 3, label="stem_1", stride=2, padding="valid")
    x = unit(x, blocks.rounded(32 * width), 3, label="stem_2", padding="valid")
    x = unit(x, blocks.rounded(64 * width), 3, label="stem_3", end="stem")
    x = max_pool(x, name="stage1_max")
    x = unit(x, blocks.rounded(80 * width), 1, label="stage1_1", padding="valid")
    x = unit(x, blocks.rounded(192 * width), 3, label="stage1_2", padding="valid", end="stage1")
    return max_pool(x, name="stage2_max")


def max_pool(x: keras.KerasTensor, *, name: str) -> keras.KerasTensor:
    """A 3x3 max pooling of stride 2, without padding."""
    return keras.layers.MaxPooling2D(3, strides=2, data_format=blocks.LAST, name=name)(x)


def concatenate(tensors: list[keras.KerasTensor], *, name: str) -> keras.KerasTensor:
    """Side by side along the channels."""
    return keras.layers.Concatenate(axis=-1, name=name)(tensors)
