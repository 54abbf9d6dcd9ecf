"""Where the fake-quants of a model go, decided from who reads which tensor."""

import itertools
from collections import Counter
from dataclasses import dataclass
from typing import Any

import keras

from compress.graph import Graph, Node
from compress.kinds import Kind, core, fixed_range, fuses, kind

Ends = tuple[float, float]


@dataclass(frozen=True, eq=False)
class Plan:
    """What to insert and what to merge.

    Attributes:
        ranges: the tensors that get a range of their own, each with the ends that LiteRT prescribes, or None to
            measure them.
        names: what each tensor, by id, is called: after the layer that makes it.
        folds: for each convolution, by id, the batch normalisation that folds into it.
    """

    ranges: list[tuple[keras.KerasTensor, Ends | None]]
    names: dict[int, str]
    folds: dict[int, keras.layers.BatchNormalization]


def make_plan(graph: Graph, bits: int = 8) -> Plan:
    """Plan the fake-quants of a traced float model.

    One range after each operation's fused activation: a convolution, its batch normalisation and its ReLU make one.
    Operations that LiteRT runs on a single scale (pooling, padding, reshaping) keep their input's range.

    Args:
        graph: the model.
        bits: of the activations, 8 or 16.
    """
    readers = graph.consumers()
    folds = _folds(graph, readers)
    names = {id(tensor): tensor.name for tensor in keras.tree.flatten(graph.inputs)}
    taken = set(names.values())
    looked_up = Counter(id(node.operation) for node in graph.nodes if _role(node) == "table")
    ranges: list[tuple[keras.KerasTensor, Ends | None]]
    ranges = [(tensor, None) for tensor in keras.tree.flatten(graph.inputs) if _is_float(tensor)]
    for node in graph.nodes:
        role = _role(node)
        for tensor in node.outputs:
            names[id(tensor)] = _unused(node.operation.name, taken)
            if role in ("same", "round") or not _is_float(tensor):
                continue
            if role == "table" and looked_up[id(node.operation)] == 1:
                continue  # of one that is looked up twice the converter makes floats, unless each time has a range
            if role == "fixed" and None in readers[id(tensor)]:
                continue  # the runtime fixes a softmax output itself; rounding it here would cut the loss's gradient
            if not _deferred(node, readers.get(id(tensor), []), folds):
                ranges.append((tensor, fixed_range(node.operation, bits) if role == "fixed" else None))
    return Plan(ranges, names, folds)


def _unused(name: str, taken: set[str]) -> str:
    """The name, with a number behind it where it is taken; it joins those taken."""
    numbered = (f"{name}_{count}" if count else name for count in itertools.count())
    free = next(each for each in numbered if each not in taken)
    taken.add(free)
    return free


def _folds(graph: Graph, readers: dict[int, list[Node | None]]) -> dict[int, keras.layers.BatchNormalization]:
    """A BN folds when nothing else reads the convolution before it and neither is called twice."""
    makers = {id(tensor): node for node in graph.nodes for tensor in node.outputs}
    calls = Counter(id(node.operation) for node in graph.nodes)
    folds = {}
    for node in graph.nodes:
        if kind(node.operation) != "norm":
            continue
        tensor = node.inputs[0]
        maker = makers.get(id(tensor))
        if maker is None or not _foldable(maker.operation) or len(readers[id(tensor)]) > 1:
            continue
        if calls[id(maker.operation)] == calls[id(node.operation)] == 1:
            folds[id(maker.operation)] = node.operation
    return folds


def _foldable(operation: Any) -> bool:
    """Whether the output channels are the last axes of the kernel, which a transposed convolution's are not.

    And nothing is asked of the output itself, such as a small activity.
    """
    layer = core(operation)
    return (
        isinstance(layer, (keras.layers.Dense, keras.layers.Conv2D, keras.layers.DepthwiseConv2D))
        and layer.activity_regularizer is None
    )


def _deferred(node: Node, readers: list[Node | None], folds: dict[int, keras.layers.BatchNormalization]) -> bool:
    """Whether the only reader rounds in this node's place.

    That is its batch normalisation, its ReLU, or a concatenation (all of whose inputs LiteRT wants on one scale).
    """
    if len(readers) != 1 or readers[0] is None:
        return False
    reader, role = readers[0].operation, _role(node)
    if folds.get(id(node.operation)) is reader:
        return True
    name = type(node.operation).__name__
    if (role in ("weights", "norm") or name in ("Add", "Subtract", "Multiply")) and fuses(reader):
        return True
    return role in ("weights", "norm", "own") and type(reader).__name__ == "Concatenate" and name != "Concatenate"


def _role(node: Node) -> Kind:
    """As `kind`; a table of embeddings that is called in reverse gives products, no rows."""
    role, reverse = kind(node.operation), (*node.args[1:], node.kwargs.get("reverse"))[0]
    return "weights" if role == "table" and reverse else role


def _is_float(tensor: keras.KerasTensor) -> bool:
    return keras.backend.is_float_dtype(tensor.dtype)
