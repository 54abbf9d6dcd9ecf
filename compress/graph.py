"""A Functional or Sequential model as a flat list of calls, over fresh float32 copies of its layers.

This is what the rewriting passes work on: nested models are inlined, `mixed_float16` becomes float32, and the
user's model is left alone.
"""

import contextlib
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from compress.errors import CompressError
from compress.expand import expand, is_elementwise, is_long

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
    """The model as a Functional over the same layers.

    Raises:
        CompressError: it is subclassed or not built, so there is no graph to rewrite.
    """
    if isinstance(model, keras.Sequential) and model.built:
        return keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    if hasattr(model, "_run_through_graph"):
        return model
    raise CompressError(
        f"model {model.name!r} has no graph of layers (it is subclassed or not built); "
        "compress takes Functional and built Sequential models"
    )


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
    images: dict[int, keras.KerasTensor] = field(default_factory=dict)
    """For each series tensor, by id, the image of height 1 that it was reshaped from."""

    def run(self, model: Any, inputs: Any, *, prefix: str) -> Any:
        """Call every layer of `model` on `inputs` as a copy, noting each call."""

        def call(operation: Any, *args: Any, **kwargs: Any) -> Any:
            if isinstance(operation, keras.Model):
                # A `training=False` here is no loss: Keras itself overrides it when the outer model trains.
                return self.run(functional(operation), args[0], prefix=f"{prefix}{operation.name}_")
            *steps, (last, weights) = self.copy(operation, prefix)
            if is_long(operation, args):
                return self.pair_up(last, *args)
            return run_chain([*steps, (last, weights)], args, kwargs, call=self.emit)

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

    def pair_up(self, layer: Any, terms: list[Any]) -> Any:
        """A sum of many as sums of two: the runtime's ADD takes two, and each needs a range."""
        first, *middle, last = terms
        for term in middle:
            first = self.emit(self.rename(layer, f"{layer.name}_part_"), ([first, term],), {})
        return self.emit(layer, ([first, last],), {})

    def emit(self, operation: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
        """Call and note it; a series that came out of an image goes on as that image, where that is the same."""
        image = self.images.get(id(args[0])) if len(args) == 1 else None
        if type(operation) is keras.layers.Reshape and image is not None:
            if operation.compute_output_shape(args[0].shape) == image.shape:
                return image
        elif image is not None and is_elementwise(operation):
            outputs = self.emit(operation, (image,), kwargs)
            back = keras.layers.Reshape((-1, image.shape[-1]), name=f"{operation.name}_as_series")
            return self.emit(back, (outputs,), {})
        outputs = operation(*args, **kwargs)
        self.nodes.append(Node(operation, args, kwargs, tuple(keras.tree.flatten(outputs))))
        if type(operation) is keras.layers.Reshape and args[0].shape[1] == 1 and outputs.shape[1:] == args[0].shape[2:]:
            self.images[id(outputs)] = args[0]
        return outputs

    def live(self, outputs: Any) -> tuple[Node, ...]:
        """The calls that the outputs depend on, in order."""
        wanted = {id(tensor) for tensor in keras.tree.flatten(outputs)}
        kept = []
        for node in reversed(self.nodes):
            if any(id(tensor) in wanted for tensor in node.outputs):
                kept.append(node)
                wanted.update(id(tensor) for tensor in node.inputs)
        return tuple(reversed(kept))


def _taken(operation: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Without the `training` and `mask` that Keras notes of a call, where the stand-in takes neither."""
    takes = inspect.signature(operation.call).parameters
    return {name: value for name, value in kwargs.items() if name not in ("training", "mask") or name in takes}


@contextlib.contextmanager
def float32_layers() -> Iterator[None]:
    """Inside, new layers compute in float32 whatever the global dtype policy is."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


@float32_layers()
def trace(model: keras.Model) -> Graph:
    """Copy `model` into a flat float32 graph that computes the same.

    Layers that have a simpler equivalent are replaced by it (see `compress.expand`).

    Raises:
        CompressError: the model is subclassed or not built.
    """
    source = functional(model)
    inputs = keras.tree.map_structure(_input_like, source._inputs_struct)
    tracer = _Tracer()
    outputs = tracer.run(source, inputs, prefix="")
    return Graph(model.name, inputs, outputs, tracer.live(outputs))


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


@float32_layers()
def float32(model: keras.Model) -> keras.Model:
    """The model itself when it computes in float32 throughout, else a float32 copy.

    Raises:
        CompressError: it has no graph.
    """
    functional(model)
    if not any(_is_half(layer.compute_dtype) for layer in model._flatten_layers(include_self=False)):
        return model
    graph = trace(model)
    return keras.Model(graph.inputs, graph.outputs, name=graph.name)
