"""Tensors of Keras's HDF5 files for our layers.

`keras.applications` publishes the old format: a group for each layer, in the model's order, and the names of other
models; they are matched in order. Keras 3 (`.weights.h5`, and inside `.keras`) keeps the layers' names.
"""

import io
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import h5py
import keras
import ml_dtypes
import numpy as np

from zoo.errors import ZooError
from zoo.weights.place import Given, Tensor, weighted


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """The file; of a `.keras` archive, the weights in it.

    Raises:
        ZooError: it is damaged.
    """
    try:
        content: Path | io.BytesIO = path
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                content = io.BytesIO(archive.read("model.weights.h5"))
        with h5py.File(content, "r") as file:
            yield file
    except (OSError, zipfile.BadZipFile) as error:
        raise ZooError(f"{path} is damaged or incomplete: {error}") from None
    except KeyError as error:
        raise ZooError(f"{path} is not a file of Keras's weights: it has no {error.args[0]}") from None


def given(model: keras.Model, file: h5py.File, *, name: str) -> tuple[Given, list[str]]:
    """Our layers' tensors, and the names of those that belong to none.

    Raises:
        ZooError: the file holds no weights of Keras.
    """
    root = file.get("model_weights", file)
    if _attributes(root, "layer_names") is not None:
        return _in_order(model, root)
    if "layers" in file:
        return _by_name(model, file["layers"])
    raise ZooError(f"{name} holds no weights of a Keras model: it has neither layer_names nor layers")


def _in_order(model: keras.Model, root: h5py.Group) -> tuple[Given, list[str]]:
    """The old format: the layers that have weights, in the model's order."""
    groups: list[list[Tensor]] = []
    for layer in _attributes(root, "layer_names") or ():
        group = root[layer]
        tensors = [_tensor(group, weight) for weight in _attributes(group, "weight_names") or ()]
        if tensors:
            groups.append(tensors)
    layers = weighted(model)
    found = {layer.name: group for layer, group in zip(layers, groups, strict=False)}
    return found, [tensor.name for group in groups[len(layers) :] for tensor in group]


def _by_name(model: keras.Model, layers: h5py.Group) -> tuple[Given, list[str]]:
    """Keras 3: `layers/KIND_NUMBER/vars/PLACE`, and the layer's name as an attribute of `vars`."""
    ours = {layer.name for layer in weighted(model)}
    found: dict[str, list[Tensor]] = {}
    extra: list[str] = []
    for key in layers:
        group = layers[key].get("vars", {})
        label = str(group.attrs.get("name", key)) if group else key
        tensors = [_tensor(group, place, f"{label}/{place}") for place in sorted(group, key=int)]
        if label in ours:
            found[label] = tensors
        else:
            extra += [tensor.name for tensor in tensors]
    return found, extra


def _attributes(group: h5py.Group, name: str) -> list[str] | None:
    """An attribute that is a list of names; a long one is cut into `name0`, `name1`, …."""
    if name in group.attrs:
        parts = [group.attrs[name]]
    else:
        numbers = sorted(int(key.removeprefix(name)) for key in group.attrs if re.fullmatch(rf"{name}\d+", key))
        parts = [group.attrs[f"{name}{number}"] for number in numbers]
    values = [value.decode() if isinstance(value, bytes) else str(value) for part in parts for value in part]
    return values if parts else None


def _tensor(group: h5py.Group, key: str, label: str | None = None) -> Tensor:
    dataset = group[key]
    if not isinstance(dataset, h5py.Dataset) or dataset.external or dataset.is_virtual or dataset.file != group.file:
        raise ZooError(f"{label or key} is no array inside the file")
    return Tensor(label or key, dataset.shape, partial(_values, dataset))


def _values(dataset: h5py.Dataset) -> np.ndarray:
    half = dataset.attrs.get("dtype") == "bfloat16"
    return np.array(dataset, dtype=ml_dtypes.bfloat16).astype("float32") if half else np.array(dataset)
