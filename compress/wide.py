"""Activations of 16 bits from trained ranges.

The converter turns fake-quants of 16 bits into int16 tensors for a few operators only: of TensorFlow 2.21 it fails at
softmax, sigmoid, concatenation and every sum or product with a constant. So ai-edge-quantizer is given the float file,
with weights that lie on their steps already, and the trained ranges in place of calibrated ones.
"""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from compress import by_layer, flatbuffer
from compress.graph import Chain, Graph, Node, float32_layers, rebuild, run_chain
from compress.kinds import fixed_range, kind
from compress.ranges import Range
from compress.rewrap import operations
from compress.strip import stripped
from compress.trace import trace

Ends = tuple[float, float]


@float32_layers()
def without_ranges(model: keras.Model) -> tuple[keras.Model, dict[int, Ends]]:
    """A quantization-aware model as plain Keras, as `strip` gives it, and the ranges that it had.

    Returns:
        The plain model, and for each of its layers and operations, by id, the ends of what it gives.
    """
    graph = trace(model, simpler=False)
    ends = _ends(graph)
    built: dict[int, Chain] = {}
    found: dict[int, Ends] = {}

    def call(node: Node, args: tuple, kwargs: dict[str, Any]) -> Any:
        operation = node.operation
        if isinstance(operation, Range):
            return args[0]
        if id(operation) not in built:
            built[id(operation)] = [stripped(operation, True)]
        outputs = run_chain(built[id(operation)], args, kwargs)
        if id(node.outputs[0]) in ends:
            found[id(keras.tree.flatten(outputs)[0]._keras_history.operation)] = ends[id(node.outputs[0])]
        return outputs

    plain = rebuild(graph, call)
    for old, new in zip(keras.tree.flatten(graph.inputs), plain.inputs, strict=True):
        if id(old) in ends:
            found[id(new._keras_history.operation)] = ends[id(old)]
    return plain, found


def _ends(graph: Graph) -> dict[int, Ends]:
    """Of each tensor, by id: those of its `Range`, of what it is a view of, or of what it is fused into."""
    ends: dict[int, Ends] = {}
    for node in graph.nodes:
        if isinstance(node.operation, Range):
            low, high = map(keras.ops.convert_to_numpy, (node.operation.low, node.operation.high))
            high = float(max(abs(low), abs(high)))
            ends[id(node.inputs[0])] = ends[id(node.outputs[0])] = (-high, high)
    for node in graph.nodes:
        role = kind(node.operation)
        for tensor in node.outputs:
            if role in ("same", "round") and id(node.inputs[0]) in ends:
                ends.setdefault(id(tensor), ends[id(node.inputs[0])])
            elif role == "fixed":
                ends.setdefault(id(tensor), fixed_range(node.operation, 16))
    for node in reversed(graph.nodes):
        if id(node.outputs[0]) in ends:
            for tensor in node.inputs:
                ends.setdefault(id(tensor), ends[id(node.outputs[0])])
    return ends


def left_float(model: keras.Model, content: bytes) -> list[str]:
    """Names of what is computed inside layers without a known integer form: only what they give has a range.

    Args:
        model: what `without_ranges` gave.
        content: its file, with tensors named by `by_layer.scopes`.
    """
    unknown = [kind(each) == "float" for _, each in operations(model)]
    graph = flatbuffer.unpack(content, origin="the converted file").subgraphs[0]
    inside: dict[int, list[int]] = {}
    for operator in graph.operators:
        layers = by_layer.layers_of(model, graph, operator)
        if layers and unknown[max(layers)]:
            inside.setdefault(max(layers), []).extend(operator.outputs)
    many = (index for outputs in inside.values() if len(outputs) > 1 for index in outputs)
    return [graph.tensors[index].name.decode(errors="replace") for index in many]


def trained_ranges(model: keras.Model, content: bytes, ends: Mapping[int, Ends]) -> dict[str, dict[str, np.ndarray]]:
    """For each tensor of a float file that has a range, by its name, the ends as ai-edge-quantizer takes them.

    Args:
        model: what `without_ranges` gave.
        content: its file, with tensors named by `by_layer.scopes`.
        ends: what `without_ranges` gave.
    """
    places = [id(each) for _, each in operations(model)]
    file, found = flatbuffer.unpack(content, origin="the converted file"), {}
    graph = file.subgraphs[0]
    for operator in graph.operators:
        layers = by_layer.layers_of(model, graph, operator)
        if layers and places[max(layers)] in ends:  # what is fused gives what the last of it gives
            found.update({index: ends[places[max(layers)]] for index in operator.outputs})
    inputs = {each.name.decode(): each.tensorIndex for each in file.signatureDefs[0].inputs}
    for tensor in model.inputs:  # not in the order of the file's
        if id(tensor._keras_history.operation) in ends:
            found[inputs[tensor.name]] = ends[id(tensor._keras_history.operation)]
    names = {index: graph.tensors[index].name.decode(errors="replace") for index in found}
    return {names[index]: {"min": np.array([[low]]), "max": np.array([[high]])} for index, (low, high) in found.items()}
