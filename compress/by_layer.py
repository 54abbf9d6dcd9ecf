"""Which operators of a file compute which layer of the model, to give layers number formats of their own."""

import re
from collections.abc import Mapping
from typing import Any

import keras

from compress import flatbuffer
from compress.errors import CompressError
from compress.forms import STATIC, Quantize
from compress.functional import functional, has_graph
from compress.kernels import kernel_of
from compress.patterns import check_patterns, first_match
from compress.rewrap import operations

_MARK = re.compile(r"edgezoo-(\d+)-")
_OUTPUT = re.compile(r"(?:Stateful)?PartitionedCall(?:_\d+)?:(\d+)")


def scopes(model: keras.Model) -> dict[int, str]:
    """For each layer and operation, by id, a name that tensors can bear and no other has.

    Layers' own names do not do: TensorFlow numbers the scopes it opens, so that `conv_1` may be the second layer or
    the second time that the first is entered.
    """
    return {id(each): f"edgezoo-{index}-" for index, (_, each) in enumerate(operations(model))}


def check(model: keras.Model, forms: Mapping[str, Quantize]) -> None:
    """Refuse a pattern that matches no layer.

    Raises:
        CompressError: of that, or there is none at all, or the model has no graph of layers.
    """
    if not forms:
        raise CompressError("quantize={} names no layer; give patterns, such as {'head': 'none', '*': 'int8'}")
    check_patterns(forms, (name for named in operations(model) for name in _names(*named)), what="quantize")


def chosen(model: keras.Model, content: bytes, forms: Mapping[str, Quantize]) -> dict[str, Quantize]:
    """For each operator of a float file, by the names of its outputs, the form of its layer.

    Where an operator computes several layers, as a convolution does its batch normalisation and ReLU, the one with a
    kernel decides. What a file takes and gives has the form of the layers that take and give it, if they agree.

    Args:
        model: what the file was made of.
        content: the file, its tensors named by `scopes`.
        forms: as `export(quantize=)` takes it.

    Raises:
        CompressError: a layer with a kernel is not found in the file.
    """
    from ai_edge_quantizer.utils.tfl_flatbuffer_utils import get_op_scope

    named = operations(model)
    places = _places(model)
    wanted = [first_match(forms, _names(path, each)) or "none" for path, each in named]
    heavy = {index for index, (_, each) in enumerate(named) if kernel_of(each) is not None}
    ends = [places[id(_maker(tensor))] for tensor in model.outputs]
    file, found, seen = flatbuffer.unpack(content, origin="the converted file"), {}, set()
    for number, graph in enumerate(file.subgraphs):
        for operator in graph.operators:
            layers = layers_of(model, graph, operator)
            seen |= layers
            form = wanted[min(layers & heavy or layers)] if layers else "none"
            inside = number > 0 and form in STATIC
            found[get_op_scope(operator, graph.tensors)] = "dynamic" if inside else form
    if lost := [path for index, (path, _) in enumerate(named) if index in heavy - seen and wanted[index] != "none"]:
        raise CompressError(f"layer {lost[0]!r} is not found in the file by name, so quantize= cannot speak of it")
    graph = file.subgraphs[0]
    starts = [places[id(tensor._keras_history.operation)] for tensor in model.inputs]
    for tensors, makers in ((graph.inputs, starts), (graph.outputs, ends)):
        scope = ";".join(graph.tensors[index].name.decode(errors="replace") for index in tensors) + ";"
        agreed = {wanted[index] for index in makers}
        found.setdefault(scope, agreed.pop() if len(agreed) == 1 else "none")
    return {scope: form for scope, form in found.items() if form != "none"}


def _names(path: str, operation: Any) -> tuple[str, ...]:
    """What a pattern may call a layer: its name, and within a nested model `backbone/conv`."""
    return (path, operation.name)


def layers_of(model: keras.Model, graph: Any, operator: Any) -> set[int]:
    """The numbers, among the model's operations, of those that an operator computes.

    An output of the model bears the file's name for it: then the kernel's name tells of layers fused before the last.
    """
    found: set[int] = set()
    for index in operator.outputs:
        name = graph.tensors[index].name.decode(errors="replace")
        found.update(map(int, _MARK.findall(name)))
        if (place := _OUTPUT.fullmatch(name)) and int(place[1]) < len(model.outputs):
            found.add(_places(model)[id(_maker(model.outputs[int(place[1])]))])
            if len(operator.inputs) > 1:
                kernel = graph.tensors[operator.inputs[1]].name.decode(errors="replace")
                found.update(map(int, _MARK.findall(kernel)))
    return found


def _places(model: keras.Model) -> dict[int, int]:
    return {id(each): index for index, (_, each) in enumerate(operations(model))}


def _maker(tensor: Any) -> Any:
    """The layer or operation that gives a tensor, inside a nested model where it is one that gives it."""
    operation, _, index = tensor._keras_history
    while has_graph(operation):
        operation, _, index = functional(operation).outputs[index]._keras_history
    return operation
