"""Where the large weight of a layer is and what its axes mean."""

from dataclasses import dataclass
from typing import Any

import keras

from compress.wrapper import Compressed

layers = keras.layers


@dataclass(frozen=True)
class Kernel:
    """The weight of a layer that pruning and clustering change.

    Attributes:
        name: of the variable.
        inner: the input axis, along which an output's products are summed; LiteRT stores it innermost. None where
            there is none: depthwise kernels and tables.
        channels: the axes that make up the output channels.
    """

    name: str
    inner: int | None
    channels: tuple[int, ...]


_PRODUCT = Kernel("kernel", -2, (-1,))
_TRANSPOSED = Kernel("kernel", -1, (-2,))
_DEPTHWISE = Kernel("kernel", None, (-2, -1))
_POINTWISE = Kernel("pointwise_kernel", -2, (-1,))
_TABLE = Kernel("embeddings", None, (-1,))
_KERNELS = {
    layers.Dense: _PRODUCT,
    layers.Conv1D: _PRODUCT,
    layers.Conv2D: _PRODUCT,
    layers.Conv1DTranspose: _TRANSPOSED,
    layers.Conv2DTranspose: _TRANSPOSED,
    layers.DepthwiseConv1D: _DEPTHWISE,
    layers.DepthwiseConv2D: _DEPTHWISE,
    layers.SeparableConv1D: _POINTWISE,
    layers.SeparableConv2D: _POINTWISE,
    layers.Embedding: _TABLE,
    layers.ReversibleEmbedding: _TABLE,
}


def kernel_of(layer: Any) -> Kernel | None:
    """The kernel of a stock Keras layer, behind its `Compressed` where it has one; None for any other layer.

    Of a separable convolution it is the pointwise kernel, which is nearly all of it; of a ReversibleEmbedding the table
    that both directions read, or where each has its own, that of the look-up.
    """
    if isinstance(layer, Compressed):
        layer = layer.layer
    if type(layer) is layers.EinsumDense:
        return _einsum(layer.equation)
    return _KERNELS.get(type(layer))


def is_depthwise(layer: Any) -> bool:
    """Whether every channel is filtered by itself: few weights, and each counts."""
    return kernel_of(layer) is _DEPTHWISE


def _einsum(equation: str) -> Kernel:
    """Of `abc,cde->abde`, whose kernel is `cde`: c is summed over, d and e are the output's."""
    kernel, outputs = equation.replace(" ", "").split(",")[1].split("->")
    axes = {letter: index - len(kernel) for index, letter in enumerate(kernel)}
    summed = [axis for letter, axis in axes.items() if letter not in outputs]
    return Kernel("kernel", summed[-1] if summed else None, tuple(a for a in axes.values() if a not in summed))
