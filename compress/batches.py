"""Batches of inputs, as users give them, held against what a model takes."""

from collections.abc import Iterable, Iterator
from typing import Any

import keras
import numpy as np

from compress.errors import CompressError


def fitted(model: keras.Model, batches: Iterable[Any]) -> Iterator[Any]:
    """Each batch of a calibration, checked, in the structure that the model takes.

    Args:
        model: Functional or Sequential.
        batches: as for `by_name`.

    Raises:
        CompressError: none came, one has no example, or one does not fit the model.
    """
    count = 0
    for batch in batches:
        yield arranged(model, by_name(model, batch, place=f"calibration batch {count}"))
        count += 1
    if not count:
        raise CompressError("calibration is empty; give a few batches of model inputs (some hundred examples in all)")


def singly(model: keras.Model, batches: Iterable[Any]) -> Iterator[dict[str, np.ndarray]]:
    """Each example of a calibration by itself: for each input, by name, an array whose first axis is 1.

    Raises:
        CompressError: as `fitted`.
    """
    names = [tensor.name for tensor in model.inputs]
    for batch in fitted(model, batches):
        arrays = keras.tree.flatten(batch)
        for row in range(len(arrays[0])):
            yield {name: array[row : row + 1] for name, array in zip(names, arrays, strict=True)}


def labelled(model: keras.Model, pairs: Iterable[Any], *, place: str) -> Iterator[tuple[dict[str, np.ndarray], Any]]:
    """Of each pair of inputs and labels, the inputs by name, checked, and the labels as they are.

    Args:
        model: Functional or Sequential.
        pairs: inputs, as for `by_name`, and labels.
        place: what they are, for the error.

    Raises:
        CompressError: one is no pair, or does not fit the model.
    """
    for count, pair in enumerate(pairs):
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise CompressError(f"{place} {count} is no pair of inputs and labels, so the labels are missing")
        yield by_name(model, pair[0], place=f"{place} {count}"), pair[1]


def arranged(model: keras.Model, arrays: dict[str, np.ndarray]) -> Any:
    """One array for each input, by its name, in the structure that the model takes."""
    ordered = [arrays[tensor.name] for tensor in model.inputs]
    structure = getattr(model, "_inputs_struct", None)
    if keras.tree.is_nested(structure):
        return keras.tree.pack_sequence_as(structure, ordered)
    return ordered[0] if len(ordered) == 1 else ordered


def by_name(model: keras.Model, batch: Any, *, place: str) -> dict[str, np.ndarray]:
    """A batch as one array for each input of the model, by the input's name.

    Args:
        model: the model.
        batch: an array `(batch, …)`; for a model of several inputs a list or tuple of arrays in their order, or a dict
            by their names, or by the keys of the dict that the model was built with.
        place: what the batch is, for the error.

    Raises:
        CompressError: the inputs are not the model's, differ in length, have no example, or are NaN or infinite.
    """
    names = [tensor.name for tensor in model.inputs]
    structure = getattr(model, "_inputs_struct", None)
    if isinstance(batch, dict) and isinstance(structure, dict) and set(batch) == set(structure):
        batch = {tensor.name: batch[key] for key, tensor in structure.items()}
    if isinstance(batch, dict):
        if set(batch) != set(names):
            raise CompressError(
                f"{place}: model {model.name!r} has the inputs {', '.join(names)}; got {', '.join(map(str, batch))}"
            )
    elif len(names) == 1:
        if isinstance(batch, (tuple, list)):
            raise CompressError(f"{place} is a tuple or list; give an array of inputs alone, without labels")
        batch = {names[0]: batch}
    elif isinstance(batch, (list, tuple)) and len(batch) == len(names):
        batch = dict(zip(names, batch, strict=True))
    else:
        got = f"{len(batch)}" if isinstance(batch, (list, tuple)) else "a single one"
        raise CompressError(
            f"{place}: model {model.name!r} has the inputs {', '.join(names)}, and takes a list of their arrays or a "
            f"dict by name; got {got}"
        )
    arrays = {tensor.name: _checked(tensor, batch[tensor.name], place) for tensor in model.inputs}
    if len({len(array) for array in arrays.values()}) > 1:
        lengths = ", ".join(f"{name} {len(array)}" for name, array in arrays.items())
        raise CompressError(f"{place}: its inputs differ in length ({lengths})")
    return arrays


def _checked(tensor: keras.KerasTensor, given: Any, place: str) -> np.ndarray:
    """The array in the input's dtype, floats as float32."""
    what = f"{place}: input {tensor.name!r}"
    dtype = "float32" if keras.backend.is_float_dtype(tensor.dtype) else keras.backend.standardize_dtype(tensor.dtype)
    try:
        array = np.asarray(given)
        with np.errstate(invalid="ignore", over="ignore"):  # said below
            typed = array.astype(dtype)
    except (TypeError, ValueError):
        raise CompressError(f"{what} takes an array of {dtype}; got {type(given).__name__}") from None
    sizes = tuple(tensor.shape)[1:]
    if array.ndim != len(sizes) + 1 or any(
        want not in (None, have) for want, have in zip(sizes, array.shape[1:], strict=True)
    ):
        missing = "; the first axis counts the examples" if array.ndim == len(sizes) else ""
        raise CompressError(f"{what} takes shape {tuple(tensor.shape)}; got {array.shape}{missing}")
    if not len(array):
        raise CompressError(f"{what} has no example: its shape is {array.shape}")
    if not np.isfinite(typed).all():
        raise CompressError(f"{what} has NaN or infinite values")
    if dtype != "float32" and (typed != array).any():
        raise CompressError(f"{what} takes {dtype}; got {array.dtype} such as {array[typed != array][0]}")
    return typed
