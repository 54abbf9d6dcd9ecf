"""A Functional or Sequential model as a flat list of calls, over fresh float32 copies of its layers.

This is what the rewriting passes work on: nested models are inlined, `mixed_float16` becomes float32, and the
user's model is left alone.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from compress.errors import CompressError
from compress.expand import expand

Chain = list[tuple[Any, list[np.ndarray]]]
"""Layers that follow one another, each with the weights to set once it is built (none: leave them)."""


@dataclass(frozen=True, eq=False)
class Node:
    """One call: `outputs = operation(*args, **kwargs)`; tensors anywhere inside args and kwargs."""

    operation: Any
    args: tuple
    kwargs: dict[str, Any]
    outputs: tuple[keras.KerasTensor, ...]

    @property
    def inputs(self) -> list[keras.KerasTensor]:
        """The tensors it reads, in order."""
        leaves = keras.tree.flatten((self.args, self.kwargs))
        return [leaf for leaf in leaves if isinstance(leaf, keras.KerasTensor)]


@dataclass(frozen=True, eq=False)
class Graph:
    """Calls in order of execution. `inputs` and `outputs` keep the model's structure (tensor, list or dict)."""

    name: str
    inputs: Any
    outputs: Any
    nodes: tuple[Node, ...]

    def consumers(self) -> dict[int, list[Node | None]]:
        """For each `id(tensor)`, the calls that read it; None stands for the model's output."""
        readers: dict[int, list[Node | None]] = {}
        for node in self.nodes:
            for tensor in node.inputs:
                readers.setdefault(id(tensor), []).append(node)
        for tensor in keras.tree.flatten(self.outputs):
            readers.setdefault(id(tensor), []).append(None)
        return readers


def functional(model: keras.Model) -> Any:
    """The model as a plain, uncompiled Functional over the same layers.

    Raises:
        CompressError: it is subclassed or not built, so there is no graph to rewrite.
    """
    try:
        return keras.Model(model.input, model.output, name=model.name)
    except (AttributeError, ValueError, TypeError):
        raise CompressError(
            f"model {model.name!r} has no graph of layers (it is subclassed or not built); "
            "compress takes Functional and built Sequential models"
        ) from None


def as_float32(config: Any) -> Any:
    """A layer's config with every half-precision dtype, however deep, made float32."""
    if isinstance(config, dict):
        if config.get("class_name") == "DTypePolicy":
            return "float32" if _is_half(config.get("config", {}).get("name")) else config
        return {k: "float32" if k == "dtype" and _is_half(v) else as_float32(v) for k, v in config.items()}
    if isinstance(config, (list, tuple)):
        return type(config)(as_float32(value) for value in config)
    return config


def _is_half(dtype: Any) -> bool:
    return isinstance(dtype, str) and dtype.endswith("float16")


def copy_operation(operation: Any, *, name: str | None = None) -> Any:
    """A fresh, unbuilt layer or operation with the same float32 configuration."""
    config = as_float32(operation.get_config())
    if name is not None and "name" in config:
        config["name"] = name
    return type(operation).from_config(config)


@dataclass
class _Tracer:
    copies: dict[int, Chain] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    nodes: list[Node] = field(default_factory=list)

    def run(self, model: Any, inputs: Any, *, training: Any, prefix: str) -> Any:
        """Call every layer of `model` on `inputs` as a copy, noting each call."""

        def call(operation: Any, *args: Any, **kwargs: Any) -> Any:
            if isinstance(operation, keras.Model):
                inner = kwargs.get("training", training)
                nested = functional(operation)
                return self.run(nested, args[0], training=inner, prefix=f"{prefix}{operation.name}_")
            chain = self.copy(operation, prefix)
            if training is not None:
                kwargs = {"training": training, **kwargs}
            return run_chain(chain, args, kwargs, call=self.emit)

        return model._run_through_graph(inputs, operation_fn=lambda operation: operation, call_fn=call)

    def copy(self, operation: Any, prefix: str) -> Chain:
        """The chain of layers that stands for `operation`, the same for each call of a shared layer."""
        if id(operation) not in self.copies:
            chain = expand(operation) or [(operation, list(getattr(operation, "get_weights", list)()))]
            self.copies[id(operation)] = [(self.rename(layer, prefix), weights) for layer, weights in chain]
        return self.copies[id(operation)]

    def rename(self, operation: Any, prefix: str) -> Any:
        """A copy whose name no other layer has: layers of two nested models may be called alike."""
        name = operation.name if operation.name not in self.names else prefix + operation.name
        while name in self.names:
            name += "_"
        self.names.add(name)
        return copy_operation(operation, name=name)

    def emit(self, operation: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
        outputs = operation(*args, **kwargs)
        self.nodes.append(Node(operation, args, kwargs, tuple(keras.tree.flatten(outputs))))
        return outputs


def _taken(operation: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Without the `training` and `mask` that Keras notes of a call, where the stand-in takes neither."""
    takes = inspect.signature(operation.call).parameters
    return {name: value for name, value in kwargs.items() if name not in ("training", "mask") or name in takes}


def trace(model: keras.Model) -> Graph:
    """Copy `model` into a flat float32 graph that computes the same.

    Layers that have a simpler equivalent are replaced by it (see `compress.expand`).

    Raises:
        CompressError: the model is subclassed or not built.
    """
    source = functional(model)
    inputs = keras.tree.map_structure(_input_like, model.input)
    tracer = _Tracer()
    outputs = tracer.run(source, inputs, training=None, prefix="")
    return Graph(model.name, inputs, outputs, tuple(tracer.nodes))


def _input_like(tensor: keras.KerasTensor) -> keras.KerasTensor:
    dtype = "float32" if keras.backend.is_float_dtype(tensor.dtype) else tensor.dtype
    return keras.Input(batch_shape=tensor.shape, dtype=dtype, name=tensor.name)


def run_chain(chain: Chain, args: tuple, kwargs: dict[str, Any], *, call: Callable[..., Any] | None = None) -> Any:
    """Call the layers one after the other, the first with `args` and `kwargs`, and set the weights they come with.

    `call(layer, args, kwargs)` may stand in for the plain call.
    """
    for layer, weights in chain:
        kwargs = _taken(layer, kwargs)
        args = (call(layer, args, kwargs) if call else layer(*args, **kwargs),)
        kwargs = {}
        if weights:
            layer.set_weights(weights)
    return args[0]


def rebuild(
    graph: Graph,
    call: Callable[[Node, tuple, dict[str, Any]], Any],
    *,
    enter: Callable[[keras.KerasTensor, keras.KerasTensor], keras.KerasTensor] | None = None,
) -> keras.Model:
    """A new model from the graph, where `call(node, args, kwargs)` says what stands in for each call.

    Args:
        graph: the traced model.
        call: gets the node and its arguments in terms of the new tensors; returns the new outputs.
        enter: gets an input of the graph and of the new model; returns what the layers read.
    """
    inputs = keras.tree.map_structure(_input_like, graph.inputs)
    values = {
        id(old): enter(old, new) if enter else new
        for old, new in zip(keras.tree.flatten(graph.inputs), keras.tree.flatten(inputs), strict=True)
    }

    def renew(leaf: Any) -> Any:
        return values[id(leaf)] if isinstance(leaf, keras.KerasTensor) else leaf

    for node in graph.nodes:
        args, kwargs = keras.tree.map_structure(renew, (node.args, node.kwargs))
        outputs = keras.tree.flatten(call(node, args, kwargs))
        values.update(zip(map(id, node.outputs), outputs, strict=True))
    return keras.Model(inputs, keras.tree.map_structure(renew, graph.outputs), name=graph.name)


def float32(model: keras.Model) -> keras.Model:
    """The model itself when it computes in float32 throughout, else a float32 copy.

    Raises:
        CompressError: it does not, and has no graph to copy.
    """
    layers = model._flatten_layers(include_self=False)
    if not any(_is_half(layer.compute_dtype) for layer in layers):
        return model
    graph = trace(model)
    return keras.Model(graph.inputs, graph.outputs, name=graph.name)
