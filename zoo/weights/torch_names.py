"""Tensors of a PyTorch state dict for our layers: found by name, turned to Keras's layout."""

from collections.abc import Mapping
from functools import partial

import keras
import numpy as np

from zoo.errors import ZooError
from zoo.sequence.attention import PositionEmbedding
from zoo.weights.hugging_face import PLAIN
from zoo.weights.names import MAPS
from zoo.weights.place import Given, Tensor, weighted

IGNORED = "num_batches_tracked"
"""A counter of PyTorch's batch normalisation that nothing is computed from."""

FLAT = ("fc1", "fc2")
"""Layers that read flattened features; a model that pools them has none."""


def given(model: keras.Model, family: str, tensors: Mapping[str, np.ndarray], *, file: str) -> tuple[Given, list[str]]:
    """Our layers' tensors, and the names of those that belong to none.

    Raises:
        ZooError: no naming of this family fits the file.
    """
    if family in PLAIN:
        tensors = PLAIN[family](model, tensors)
    maps = [names(model) for names in MAPS.get(family, ())]
    if not maps:
        raise ZooError(f"{file} has PyTorch's names, and for the family {family} none are known")
    counts = [sum(f"{module}.weight" in tensors for module in names.values()) for names in maps]
    if not max(counts):
        some = ", ".join(list(tensors)[:3])
        raise ZooError(f"{file} has none of the names known for the family {family}; it has {some}, …")
    names = maps[counts.index(max(counts))]
    found = {layer.name: _tensors(layer, names.get(layer.name, ""), tensors) for layer in weighted(model)}
    dropped = [x for x in names if x in FLAT and x not in found and f"{names[x]}.weight" in tensors]
    if dropped:
        # The model pools what the file's own top flattens: its head reads something else.
        dropped.append("head")
        found["head"] = []
    used = {f"{names[name]}.{part}" for name in dropped for part in ("weight", "bias")}
    used |= {tensor.name for group in found.values() for tensor in group}
    return found, [name for name in tensors if name not in used and not name.endswith(IGNORED)]


def _tensors(layer: keras.layers.Layer, module: str, tensors: Mapping[str, np.ndarray]) -> list[Tensor]:
    norm = isinstance(layer, keras.layers.BatchNormalization)
    parts = ("weight", "bias", "running_mean", "running_var") if norm else ("weight", "bias")
    found = []
    for part in parts:
        array = tensors.get(f"{module}.{part}")
        if array is not None:
            array = _turned(layer, array) if part == "weight" and not norm else array
            found.append(Tensor(f"{module}.{part}", array.shape, partial(np.asarray, array, "float32")))
    return found


def _turned(layer: keras.layers.Layer, weight: np.ndarray) -> np.ndarray:
    """A kernel in Keras's layout; a table is as it was."""
    if isinstance(layer, (keras.layers.Embedding, PositionEmbedding)):
        return weight
    if isinstance(layer, keras.layers.DepthwiseConv2D) and weight.ndim == 4:
        return weight.transpose(2, 3, 0, 1)
    if weight.ndim == 4:
        return weight.transpose(2, 3, 1, 0)
    if weight.ndim == 2:
        kernel = weight.T
        source = layer.input._keras_history[0]
        if isinstance(source, keras.layers.Flatten) and kernel.shape[0] == layer.kernel.shape[0]:
            # PyTorch flattens (channels, height, width).
            height, width, channels = source.input.shape[1:]
            kernel = kernel.reshape(channels, height, width, -1).transpose(1, 2, 0, 3).reshape(kernel.shape)
        return kernel
    return weight
