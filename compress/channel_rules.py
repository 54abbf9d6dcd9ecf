"""How each layer and operation carries the channels of what it reads over to what it makes.

Every entry of a tensor's last axis has a label. A rule gives the labels of the output, or a `Cut` for what has
weights or sizes of its own; it ties labels that must go together.
"""

import math
from collections.abc import Callable

import keras
import numpy as np

from compress import channel_weights as weights
from compress.channel_ties import Cut, Labels, Opaque, Ties, count
from compress.graph import Node

Rule = Callable[[Ties, Node, list[Labels]], Labels | Cut]


def rule(node: Node) -> Rule:
    """The rule of a call.

    Raises:
        Opaque: there is none.
    """
    operation = node.operation
    name = type(operation).__name__
    if not type(operation).__module__.startswith("keras.") or name not in _RULES:
        raise Opaque(f"what {name} does with channels is not known")
    if name == "Average" and not isinstance(operation, keras.layers.Layer):
        raise Opaque("it may average over the channels")
    if len(node.outputs) > 1 or not node.inputs or any(len(t.shape) < 2 for t in (*node.inputs, *node.outputs)):
        raise Opaque(f"{name} of such tensors has no channels")
    if getattr(operation, "data_format", None) == "channels_first" and name != "ZeroPadding2D":
        raise Opaque("its layout is channels_first")
    return _RULES[name]


def _same(ties: Ties, node: Node, reads: list[Labels]) -> Labels:
    return reads[0]


def _activation(ties: Ties, node: Node, reads: list[Labels]) -> Labels:
    if not weights.is_elementwise(node.operation.activation):
        raise Opaque(weights.mixes(node.operation.activation))
    return reads[0]


def _rescaling(ties: Ties, node: Node, reads: list[Labels]) -> Labels:
    if np.size(node.operation.scale) > 1 or np.size(node.operation.offset) > 1:
        raise Opaque("it has a factor for each channel")
    return reads[0]


def _merged(ties: Ties, node: Node, reads: list[Labels]) -> Labels:
    """Terms that are as wide as the widest share its channels; those of width 1 are spread over all."""
    for leaf in keras.tree.flatten(node.args):
        if not isinstance(leaf, keras.KerasTensor) and len(getattr(leaf, "shape", "")) > 0:
            raise Opaque("it has a constant for each channel")
    widest = max(reads, key=len)
    for labels in reads:
        if len(labels) == len(widest):
            ties.tie(widest, labels)
        elif len(labels) != 1:
            raise Opaque("its terms differ in width")
    return widest


def _concatenated(ties: Ties, node: Node, reads: list[Labels]) -> Labels:
    if node.operation.axis in (-1, len(node.outputs[0].shape) - 1):
        return np.concatenate(reads)
    return _merged(ties, node, reads)


def _reshaped(ties: Ties, node: Node, reads: list[Labels]) -> Labels | Cut:
    """Flattened, split or given further axes: the labels of all entries, in a new shape."""
    x, source, target = reads[0], node.inputs[0].shape[1:], node.outputs[0].shape[1:]
    if target[-1] == len(x):
        made = x
    elif None in (*source, *target) or math.prod(source) != math.prod(target):
        raise Opaque("it reshapes an axis of open size")
    else:
        table = np.broadcast_to(x, source).reshape(-1, target[-1])
        ties.tie_rows(table)
        made = table[0]
    entry = "target_shape" if isinstance(node.operation, keras.layers.Layer) else "newshape"
    shape = getattr(node.operation, entry, None)
    if shape is None or shape[-1] == -1:
        return made
    return Cut(x, made, {}, {entry: lambda stays: (*shape[:-1], count(made)(stays))})


def _padded(ties: Ties, node: Node, reads: list[Labels]) -> Labels | Cut:
    """Zeros beside the channels are channels of their own, which go where the sums that they end in lose theirs."""
    operation, x = node.operation, reads[0]
    layer = isinstance(operation, keras.layers.Layer)
    if layer and operation.data_format != "channels_first":
        return x
    entry = "padding" if layer else "pad_width"
    pads = list(getattr(operation, entry))
    if not layer and len(pads) == 1:
        pads *= len(node.inputs[0].shape)
    if not any(pads[-1]):
        return x
    if not layer and operation.mode != "constant":
        raise Opaque("it pads channels with others")
    low, high = (ties.fresh(zeros) for zeros in pads[-1])

    def config(stays: np.ndarray) -> tuple:
        return (*(tuple(pair) for pair in pads[:-1]), (count(low)(stays), count(high)(stays)))

    return Cut(x, np.concatenate([low, x, high]), {}, {entry: config})


def _reduced(ties: Ties, node: Node, reads: list[Labels]) -> Labels:
    axes, rank = node.operation.axis, len(node.inputs[0].shape)
    if axes is None or any(axis % rank == rank - 1 for axis in np.atleast_1d(axes)):
        raise Opaque("it reduces over the channels")
    return reads[0]


def _moved(ties: Ties, node: Node, reads: list[Labels]) -> Labels:
    order = getattr(node.operation, "dims", None) or getattr(node.operation, "axes", None)
    if order is None or order[-1] != max(order):
        raise Opaque("it moves the channels to another axis")
    return reads[0]


def _sliced(ties: Ties, node: Node, reads: list[Labels]) -> Labels:
    key = node.args[1] if len(node.args) > 1 else node.kwargs["key"]
    parts = list(key) if isinstance(key, (tuple, list)) else [key]
    used = [part for part in parts if part is not None]
    rank = len(node.inputs[0].shape)
    reaches_last = any(part is Ellipsis for part in used) or len(used) == rank
    whole = parts[-1] is not None and (not reaches_last or parts[-1] is Ellipsis or parts[-1] == slice(None))
    if not whole:
        raise Opaque("it slices the channels")
    return reads[0]


_SAME = {
    "ReLU", "LeakyReLU", "ELU", "Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D",
    "GaussianDropout", "GaussianNoise", "AlphaDropout", "ActivityRegularization", "Identity", "Masking",
    "UnitNormalization", "RepeatVector", "Resizing", "ZeroPadding1D", "ZeroPadding3D",
    *(f"{kind}{rank}D" for rank in (1, 2, 3) for kind in (
        "MaxPooling", "AveragePooling", "GlobalMaxPooling", "GlobalAveragePooling", "AdaptiveMaxPooling",
        "AdaptiveAveragePooling", "UpSampling", "Cropping",
    )),
    "Relu", "Relu6", "Sigmoid", "Softplus", "Softsign", "Silu", "Squareplus", "LogSigmoid", "LeakyRelu",
    "HardSigmoid", "HardSilu", "HardTanh", "Elu", "Selu", "Gelu", "Celu", "Tanh", "Exp", "Expm1", "Log1p", "Sqrt",
    "Square", "Absolute", "Negative", "MaxPool", "AveragePool",
}  # fmt: skip
_RULES: dict[str, Rule] = {
    **dict.fromkeys(_SAME, _same),
    **dict.fromkeys(("Conv1D", "Conv2D", "Conv3D"), weights.conv),
    **dict.fromkeys(("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"), weights.transposed),
    **dict.fromkeys(("DepthwiseConv1D", "DepthwiseConv2D"), weights.depthwise),
    **dict.fromkeys(("SeparableConv1D", "SeparableConv2D"), weights.separable),
    **dict.fromkeys(("Add", "Subtract", "Multiply", "Divide", "Maximum", "Minimum", "Average"), _merged),
    **dict.fromkeys(("Flatten", "Reshape", "ExpandDims", "Squeeze"), _reshaped),
    **dict.fromkeys(("Mean", "Max", "Min", "Sum"), _reduced),
    **dict.fromkeys(("Permute", "Transpose"), _moved),
    **dict.fromkeys(("ZeroPadding2D", "Pad"), _padded),
    **dict.fromkeys(
        ("BatchNormalization", "LayerNormalization", "RMSNormalization", "GroupNormalization"), weights.norm
    ),
    "Activation": _activation,
    "Concatenate": _concatenated,
    "Dense": weights.dense,
    "GetItem": _sliced,
    "PReLU": weights.prelu,
    "Rescaling": _rescaling,
}  # fmt: skip
