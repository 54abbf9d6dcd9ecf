"""Ranges of a float model's tensors over sample data."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import keras
import numpy as np

from compress.errors import CompressError
from compress.graph import Graph


def measure_ranges(
    graph: Graph, tensors: Sequence[keras.KerasTensor], batches: Iterable[Any]
) -> list[tuple[float, float]]:
    """Lowest and highest value of each tensor over all batches, widened to hold zero; the batch size does not matter.

    Args:
        graph: the traced float model.
        tensors: tensors of that graph.
        batches: arrays `(batch, …)` as the model takes them.

    Raises:
        CompressError: no batch came, one does not fit the model, or a tensor became NaN or infinite.
    """
    ends = [end for tensor in tensors for end in (keras.ops.min(tensor), keras.ops.max(tensor))]
    probe = keras.Model(graph.inputs, ends)
    low = np.zeros(len(tensors))
    high = np.zeros(len(tensors))
    count = 0
    for batch in batches:
        if len(keras.tree.flatten(graph.inputs)) == 1:
            batch = checked(keras.tree.flatten(graph.inputs)[0], batch)
        values = np.array(probe.predict_on_batch(batch), dtype=np.float64)
        bad = np.flatnonzero(~np.isfinite(values))
        if bad.size:
            name = tensors[bad[0] // 2].name
            raise CompressError(f"calibration batch {count} makes {name} NaN or infinite; check images and model")
        low = np.minimum(low, values[0::2])
        high = np.maximum(high, values[1::2])
        count += 1
    if not count:
        raise CompressError("calibration is empty; give a few batches of model inputs (some hundred images in all)")
    # A tensor that was zero throughout says nothing of its range.
    return [(float(a), float(b)) if b - a > 1e-6 else (0.0, 1.0) for a, b in zip(low, high, strict=True)]


def checked(tensor: keras.KerasTensor, batch: Any) -> np.ndarray:
    """The batch as an array of the input's dtype, floats as float32, refused when it is not what the input takes.

    Raises:
        CompressError: the shape differs, or it is an `(inputs, labels)` pair.
    """
    if isinstance(batch, (tuple, list)):
        raise CompressError("a calibration batch is a tuple or list; give arrays of inputs alone, without labels")
    dtype = "float32" if keras.backend.is_float_dtype(tensor.dtype) else tensor.dtype
    array = np.asarray(batch, dtype=dtype)
    sizes = tuple(tensor.shape)[1:]
    fits = (
        array.ndim == len(sizes) + 1
        and len(array)
        and all(want in (None, have) for want, have in zip(sizes, array.shape[1:], strict=True))
    )
    if not fits:
        raise CompressError(f"a calibration batch has shape {array.shape}; the model takes {tuple(tensor.shape)}")
    return array


def by_name(model: keras.Model, batch: Any) -> dict[str, np.ndarray]:
    """A batch as one array for each input of the model, by the input's name.

    Args:
        model: the model.
        batch: an array; for a model of several inputs a dict by name, or a list or tuple of arrays in their order.

    Raises:
        CompressError: the inputs are not the model's.
    """
    names = [tensor.name for tensor in model.inputs]
    if len(names) == 1:
        arrays = batch if isinstance(batch, dict) else {names[0]: batch}
    elif isinstance(batch, (list, tuple)) and len(batch) == len(names):
        arrays = dict(zip(names, batch, strict=True))
    elif isinstance(batch, dict):
        arrays = batch
    else:
        raise CompressError(f"model {model.name!r} has the inputs {', '.join(names)}; give an array for each, by name")
    if set(arrays) != set(names):
        raise CompressError(f"model {model.name!r} has the inputs {', '.join(names)}; got {', '.join(arrays)}")
    arrays = {tensor.name: checked(tensor, arrays[tensor.name]) for tensor in model.inputs}
    if len({len(array) for array in arrays.values()}) > 1:
        raise CompressError("the inputs of a batch differ in length")
    return arrays


def singly(model: keras.Model, batch: Any) -> Iterator[dict[str, np.ndarray]]:
    """Each example of a batch by itself: for each input, by name, an array whose first axis is 1.

    Raises:
        CompressError: the batch does not fit the model.
    """
    arrays = by_name(model, batch)
    for row in range(len(next(iter(arrays.values())))):
        yield {name: array[row : row + 1] for name, array in arrays.items()}
