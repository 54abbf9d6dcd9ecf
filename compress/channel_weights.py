"""How a layer with weights is cut when channels of its input or output go."""

from dataclasses import replace
from typing import Any

import keras
import numpy as np

from compress.channel_ties import Config, Cut, Labels, Opaque, Ties, count
from compress.graph import Node

_ELEMENTWISE_FUNCTIONS = {
    "linear", "relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "hard_silu", "sigmoid",
    "hard_sigmoid", "tanh", "hard_tanh", "softplus", "softsign", "exponential", "mish", "log_sigmoid", "squareplus",
}  # fmt: skip


def _known(layer: Any, cut: Cut) -> Cut:
    """The cut, where the layer has no weights but those that it knows."""
    strange = [weight.name for weight in layer.weights if weight.name not in cut.weights]
    if strange:
        raise Opaque(f"it has the further weights {', '.join(strange)} (of quantization or LoRA)")
    function = getattr(layer, "activation", None)
    return cut if function is None or is_elementwise(function) else replace(cut, stays=mixes(function))


def conv(ties: Ties, node: Node, reads: list[Labels]) -> Cut:
    """With groups: they lose the same, or go as wholes."""
    layer, (x, *_) = node.operation, reads
    made = ties.fresh(layer.filters)
    config: Config = {"filters": count(made)}
    inner = len(x) // layer.groups
    kernel = {-2: x[:inner], -1: made}
    if layer.groups > inner:  # groups of few channels: they go as wholes, as in a depthwise convolution
        both = np.concatenate([x.reshape(layer.groups, -1), made.reshape(layer.groups, -1)], axis=1)
        ties.tie_rows(both.T)
        kernel, config["groups"] = {-1: made}, count(x, inner)
    elif layer.groups > 1:  # wide groups: each loses the same of its channels
        ties.tie_rows(x.reshape(layer.groups, -1))
        ties.tie_rows(made.reshape(layer.groups, -1))
    return _known(layer, Cut(x, made, {"kernel": kernel, "bias": {-1: made}}, config, {"kernel": -1, "bias": -1}))


def transposed(ties: Ties, node: Node, reads: list[Labels]) -> Cut:
    """Its kernel has the output before the input."""
    layer, (x, *_) = node.operation, reads
    made = ties.fresh(layer.filters)
    weights = {"kernel": {-2: made, -1: x}, "bias": {-1: made}}
    return _known(layer, Cut(x, made, weights, {"filters": count(made)}, {"kernel": -2, "bias": -1}))


def depthwise(ties: Ties, node: Node, reads: list[Labels]) -> Cut:
    """Each channel is its own input."""
    layer, (x, *_) = node.operation, reads
    made = np.repeat(x, layer.depth_multiplier)
    return _known(layer, Cut(x, made, {"kernel": {-2: x}, "bias": {-1: made}}, own={"kernel": -2}))


def separable(ties: Ties, node: Node, reads: list[Labels]) -> Cut:
    """A depthwise convolution and a 1x1 one."""
    layer, (x, *_) = node.operation, reads
    made = ties.fresh(layer.filters)
    between = np.repeat(x, layer.depth_multiplier)
    weights = {"depthwise_kernel": {-2: x}, "pointwise_kernel": {-2: between, -1: made}, "bias": {-1: made}}
    return _known(layer, Cut(x, made, weights, {"filters": count(made)}, {"pointwise_kernel": -1, "bias": -1}))


def dense(ties: Ties, node: Node, reads: list[Labels]) -> Cut:
    """Over the last axis."""
    layer, (x, *_) = node.operation, reads
    made = ties.fresh(layer.units)
    weights = {"kernel": {-2: x, -1: made}, "bias": {-1: made}}
    return _known(layer, Cut(x, made, weights, {"units": count(made)}, {"kernel": -1, "bias": -1}))


def norm(ties: Ties, node: Node, reads: list[Labels]) -> Cut:
    """Of the last axis: by batch, layer, root mean square or group."""
    layer, (x, *_) = node.operation, reads
    axes = [layer.axis] if isinstance(layer.axis, int) else list(layer.axis)
    if axes not in ([-1], [len(node.inputs[0].shape) - 1]):
        raise Opaque("it normalises other axes than the last")
    config: Config = {}
    if isinstance(layer, keras.layers.GroupNormalization):
        if layer.groups == len(x):
            config["groups"] = count(x)
        else:
            ties.tie_rows(x.reshape(layer.groups, -1))
    names = ("gamma", "beta", "moving_mean", "moving_variance", "scale")
    batch = isinstance(layer, keras.layers.BatchNormalization)
    own = {"gamma": -1, "beta": -1} if batch else {}
    return _known(layer, Cut(x, x, {name: {-1: x} for name in names}, config, own))


def prelu(ties: Ties, node: Node, reads: list[Labels]) -> Cut:
    """With slopes for each channel, or shared ones."""
    layer, (x, *_) = node.operation, reads
    return _known(layer, Cut(x, x, {"alpha": {-1: x} if layer.alpha.shape[-1] == len(x) else {}}))


def is_elementwise(function: Any) -> bool:
    """Whether an activation treats every channel by itself."""
    known = getattr(function, "__name__", "") in _ELEMENTWISE_FUNCTIONS
    return known and getattr(function, "__module__", "").startswith("keras.")


def mixes(function: Any) -> str:
    """Why one that does not must keep all."""
    return f"its activation {getattr(function, '__name__', function)!r} mixes channels, or is not known"
