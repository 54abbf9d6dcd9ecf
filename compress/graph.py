"""A model as a flat list of calls, and a model again from such a list."""

import contextlib
import inspect
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from compress.errors import CompressError
from compress.wrapper import Compressed

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
    """Calls in order of execution. `inputs` and `outputs` keep the model's structure (tensor, list or dict).

    `trainable` is that of the model itself: a copy of a frozen model is frozen, and opens with `trainable = True`.
    """

    name: str
    inputs: Any
    outputs: Any
    nodes: tuple[Node, ...]
    trainable: bool = True

    def consumers(self) -> dict[int, list[Node | None]]:
        """For each `id(tensor)`, the calls that read it; None stands for the model's output."""
        readers: dict[int, list[Node | None]] = {}
        for node in self.nodes:
            for tensor in node.inputs:
                readers.setdefault(id(tensor), []).append(node)
        for tensor in keras.tree.flatten(self.outputs):
            readers.setdefault(id(tensor), []).append(None)
        return readers


def as_float32(config: Any) -> Any:
    """A layer's config with every half-precision dtype, however deep, made float32."""
    if isinstance(config, dict):
        if config.get("class_name") == "DTypePolicy":
            return "float32" if is_half(config.get("config", {}).get("name")) else config
        return {k: "float32" if k == "dtype" and is_half(v) else as_float32(v) for k, v in config.items()}
    if isinstance(config, (list, tuple)):
        return type(config)(as_float32(value) for value in config)
    return config


def is_half(dtype: Any) -> bool:
    """Whether a dtype or policy name computes in 16 bits: `float16`, `mixed_bfloat16` and their like."""
    return isinstance(dtype, str) and dtype.endswith("float16")


def copy_operation(operation: Any, *, name: str | None = None) -> Any:
    """A fresh, unbuilt layer or operation with the same float32 configuration."""
    config = as_float32(operation.get_config())
    if name is not None and "name" in config:
        config["name"] = name
    return from_config(operation, config)


def from_config(operation: Any, config: dict[str, Any]) -> Any:
    """A fresh layer or operation of the same class by its config, in which all but functions may have been changed.

    Functions stay the very same: Keras finds those that are registered only by their names, and writes those without
    one down as bytecode, which it refuses to read.

    Raises:
        CompressError: a function lies deeper inside the layer, and is not registered.
    """
    if isinstance(operation, Compressed) and _functions(operation.layer, config["layer"]["config"]):
        inner = from_config(operation.layer, config["layer"]["config"])
        transforms = [keras.saving.deserialize_keras_object(each) for each in config["transforms"]]
        return Compressed(**{**config, "layer": inner, "transforms": transforms})
    if type(operation) is keras.layers.Lambda:
        named = {"function": operation.function, "output_shape": operation._output_shape, "mask": operation.mask}
        return keras.layers.Lambda(**{**config, **named, "arguments": operation.arguments})
    try:
        return type(operation).from_config({**config, **_functions(operation, config)})
    except (TypeError, ValueError) as error:
        raise CompressError(
            f"layer {operation.name!r} cannot be copied, for Keras does not make it again from its config: register "
            "the functions in it with keras.saving.register_keras_serializable, and see that from_config() undoes "
            "get_config()"
        ) from error


def _functions(operation: Any, config: dict[str, Any]) -> dict[str, Any]:
    """The functions of a layer of Keras that are not Keras's, by the names in its config."""
    if not type(operation).__module__.startswith("keras."):
        return {}
    held = {name: getattr(operation, name, None) for name in config}
    own = (name for name, value in held.items() if inspect.isfunction(value) and _foreign(value))
    return {name: held[name] for name in own}


def _foreign(function: Any) -> bool:
    return not (function.__module__ or "").startswith("keras.")


def cloned(layer: Any) -> Any:
    """A fresh layer with the same configuration: what `keras.models.clone_model` is to make of each."""
    return from_config(layer, layer.get_config())


def positional(operation: Any, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
    """The arguments of a call with the first by its place, also where it was given by name."""
    if args or not kwargs:
        return args, kwargs
    first = next(iter(inspect.signature(operation.call).parameters))
    return (kwargs[first],), {name: value for name, value in kwargs.items() if name != first}


def taken(operation: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
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


def input_like(tensor: keras.KerasTensor, floats: Collection[str] = ()) -> keras.KerasTensor:
    """A new model input of the same shape and name; float ones, and those named in `floats`, become float32."""
    dtype = "float32" if keras.backend.is_float_dtype(tensor.dtype) or tensor.name in floats else tensor.dtype
    return keras.Input(batch_shape=tensor.shape, dtype=dtype, name=tensor.name)


def run_chain(chain: Chain, args: tuple, kwargs: dict[str, Any], *, call: Callable[..., Any] | None = None) -> Any:
    """Call the layers one after the other, the first with `args` and `kwargs`, and set the weights they come with.

    `call(layer, args, kwargs)` may stand in for the plain call.
    """
    for layer, weights in chain:
        kwargs = taken(layer, kwargs)
        args = (call(layer, args, kwargs) if call else layer(*args, **kwargs),)
        kwargs = {}
        if weights:
            set_weights(layer, weights)
    return args[0]


def set_weights(layer: Any, weights: list[np.ndarray]) -> None:
    """Give a built layer, or a model, its weights."""
    layer.set_weights(weights)
    for each in layer._flatten_layers():
        getattr(each, "finalize_state", lambda: None)()  # Normalization computes with what it derives from them


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
    inputs = keras.tree.map_structure(input_like, graph.inputs)
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
    model = keras.Model(inputs, keras.tree.map_structure(renew, graph.outputs), name=graph.name)
    if not graph.trainable:
        model.trainable = False
    return model
