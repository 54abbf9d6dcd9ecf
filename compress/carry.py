"""The transforms of a layer, carried over to the layer that its weights are in once it is rewritten."""

from typing import Any

import numpy as np

from compress.graph import copy_operation
from compress.kernels import kernel_of
from compress.wrapper import Compressed, weights_of


def carried(wrapper: Compressed, layer: Any, weights: list[np.ndarray]) -> tuple[Any, list[np.ndarray]]:
    """`layer` behind the transforms of `wrapper`, and the weights of both; `layer` itself where it has another kernel.

    Args:
        wrapper: with a mask, a codebook or both.
        layer: one of those that stand for the layer inside, not built: the same under another shape of its kernel, or
            other, such as its activation.
        weights: those that it is to have.
    """
    inner, kernel, before = wrapper.layer, kernel_of(layer), kernel_of(wrapper.layer)
    if kernel is None or before is None or layer.name != inner.name:
        return layer, weights
    shape = tuple(weights_of(inner)[before.name].shape)
    transforms, more = [], []
    for transform in wrapper.transforms:
        config = {**transform.get_config(), "weight": kernel.name}
        if config.get("axis") is not None:
            config["axis"] = kernel.inner
        if config.get("channels"):
            config["channels"] = kernel.channels
        transforms.append(type(transform).from_config(config))
        for value in transform.get_weights():
            more.append(value.reshape(weights[0].shape) if value.shape == shape else value)
    copy = Compressed(copy_operation(layer), transforms, name=layer.name, trainable=wrapper.trainable)
    return copy, [*weights, *more]
