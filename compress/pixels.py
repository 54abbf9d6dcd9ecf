"""Inputs of whole numbers that count as numbers, such as pixels of uint8, told from tokens."""

from typing import Any

import keras

from compress.errors import CompressError
from compress.graph import Graph, Node
from compress.kinds import kind

_READERS = ("Rescaling", "Normalization", "Cast")


def numbers(graph: Graph) -> set[str]:
    """Names of the inputs of whole numbers that the graph computes with, as with floats.

    Raises:
        CompressError: one is read both as a number and otherwise, as a token is.
    """
    found = set()
    readers = graph.consumers()
    for tensor in keras.tree.flatten(graph.inputs):
        if not _whole(tensor):
            continue
        counts, others = _uses(tensor, readers)
        if counts and others:
            raise CompressError(
                f"input {tensor.name!r} of {tensor.dtype} is computed with by {counts[0]!r} and read otherwise by "
                f"{others[0]!r}; give the model an input of float32 for the one and of {tensor.dtype} for the other"
            )
        if counts:
            found.add(tensor.name)
    return found


def _uses(tensor: keras.KerasTensor, readers: dict[int, list[Node | None]]) -> tuple[list[str], list[str]]:
    """Names of the operations that compute with it, and of those that read it otherwise; reshapings are looked past."""
    counts: list[str] = []
    others: list[str] = []
    for node in readers.get(id(tensor), []):
        if node is None:
            others.append("the output")
        elif kind(node.operation) in ("same", "round"):  # whatever their output claims to be: Cropping's says float
            for output in node.outputs:
                for mine, more in zip((counts, others), _uses(output, readers), strict=True):
                    mine.extend(more)
        else:
            (counts if _computes(node) else others).append(node.operation.name)
    return counts, others


def _computes(node: Node) -> bool:
    floats = all(keras.backend.is_float_dtype(tensor.dtype) for tensor in node.outputs)
    known = type(node.operation).__name__ in _READERS or kind(node.operation) in ("norm", "own")
    return floats and known


def _whole(tensor: Any) -> bool:
    return keras.backend.is_int_dtype(tensor.dtype)
