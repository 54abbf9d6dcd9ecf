"""Put tensors of a file into a model: all of them, or none."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import keras
import numpy as np

from zoo.errors import ZooError
from zoo.models import endpoints

SHOWN = 4
"""Names that a message lists before it only counts."""


@dataclass(frozen=True)
class Tensor:
    """A tensor of a file, in Keras's layout.

    Attributes:
        name: in the file.
        shape: known before anything is read.
        read: gives the values.
    """

    name: str
    shape: tuple[int, ...]
    read: Callable[[], np.ndarray]


Given = Mapping[str, Sequence[Tensor]]
"""Our layer → its tensors, in the order of the layer's weights."""


def weighted(model: keras.Model) -> list[keras.layers.Layer]:
    """The layers that have weights, in the model's order."""
    return [layer for layer in model.layers if layer.weights]


def stem(model: keras.Model) -> keras.layers.Layer:
    """The layer that reads the image: the first with weights."""
    return weighted(model)[0]


def tail(model: keras.Model) -> list[str]:
    """The layers with weights that come after the features: `head`, and those before it that a file may lack."""
    *_, last, _ = endpoints(model)
    names = [layer.name for layer in model.layers]
    after = names[names.index(last) + 1 :]
    return [layer.name for layer in weighted(model) if layer.name in after]


def new_layers(model: keras.Model, given: Given) -> list[str]:
    """The tail, where the file has nothing of it; the head, where it has none behind a pooler, or another's classes."""
    after = tail(model)
    if not any(given.get(name) for name in after):
        return after
    tensors = given.get("head", ())
    if not tensors:
        # BERT's own checkpoints end in the pooler, which was trained for the next sentence.
        return ["head"] if "pooler" in after else []
    ours, theirs = model.get_layer("head").kernel.shape, _squeezed(tensors[0].shape, 2)
    return ["head"] if len(theirs) == 2 and theirs[0] == ours[0] and theirs[1] != ours[1] else []


def check(model: keras.Model, given: Given, extra: Sequence[str], *, file: str, but: Sequence[str]) -> None:
    """Every layer except `but` finds its tensors, of its shapes, and none is left over.

    Raises:
        ZooError: lists what is missing, extra or of another shape.
    """
    missing, misshapen = [], []
    flat = False
    for layer in weighted(model):
        if layer.name in but:
            continue
        tensors = given.get(layer.name, ())
        for place, variable in enumerate(layer.weights):
            label = f"{layer.name}/{variable.name}"
            if place >= len(tensors):
                missing.append(label)
            elif not _fits(layer, place, tensors[place].shape, reads=layer is stem(model)):
                misshapen.append(f"{label} {tuple(variable.shape)} ({tensors[place].name} {tensors[place].shape})")
                flat = flat or _reads_flat(layer)
        extra = [*extra, *(tensor.name for tensor in tensors[len(layer.weights) :])]
    kinds = {"missing": missing, "extra": list(extra), "of another shape": misshapen}
    wrong = [f"{len(names)} {kind}: {_some(names)}" for kind, names in kinds.items() if names]
    if not wrong:
        return
    hint = (
        "; the features are flattened, so the weights fit one input size only: build with it, or with a top that pools"
        if flat and not missing
        else ""
    )
    raise ZooError(f"{file} does not fit {model.name}: {'; '.join(wrong)}{hint}")


def values(model: keras.Model, given: Given, *, but: Sequence[str]) -> dict[str, list[np.ndarray]]:
    """The arrays of every layer except `but`, read and finite; the first kernel still with the file's channels.

    Raises:
        ZooError: a tensor holds values that are no numbers.
    """
    found: dict[str, list[np.ndarray]] = {}
    for layer in weighted(model):
        if layer.name not in but:
            arrays = [tensor.read() for tensor in given[layer.name]]
            for array, tensor in zip(arrays, given[layer.name], strict=True):
                if not np.isfinite(array).all():
                    raise ZooError(f"{tensor.name} holds values that are no finite numbers")
            found[layer.name] = arrays
    return found


def assign(model: keras.Model, arrays: Mapping[str, Sequence[np.ndarray]]) -> None:
    """Set the weights."""
    for layer in weighted(model):
        for variable, array in zip(layer.weights, arrays.get(layer.name, ()), strict=False):
            variable.assign(np.reshape(array, variable.shape))


def _fits(layer: keras.layers.Layer, place: int, shape: tuple[int, ...], *, reads: bool) -> bool:
    ours = tuple(layer.weights[place].shape)
    if reads and place == 0 and len(shape) == 4 and shape[2] == 3:
        ours = (*ours[:2], 3, ours[3])  # the channels of the image are adapted later
    return _squeezed(shape, len(ours)) == ours


def _squeezed(shape: tuple[int, ...], rank: int) -> tuple[int, ...]:
    """A 1x1 convolution's kernel as that of the Dense layer which computes the same."""
    return shape[2:] if rank == 2 and len(shape) == 4 and math.prod(shape[:2]) == 1 else shape


def _reads_flat(layer: keras.layers.Layer) -> bool:
    return isinstance(layer, keras.layers.Dense) and isinstance(layer.input._keras_history[0], keras.layers.Flatten)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")
