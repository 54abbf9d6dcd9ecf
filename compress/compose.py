"""What a layer is composed of: the graph of layers and operations that its `call` makes.

A layer without weights of its own is only a way to write other layers and `keras.ops` down. Called on symbolic tensors
it shows them, and each can be quantized by itself.
"""

import inspect
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from compress.graph import set_weights, taken


@dataclass(frozen=True, eq=False)
class Inside:
    """A call of a layer, seen from inside.

    Attributes:
        function: the graph of what the layer calls.
        tensors: what it reads here: one tensor for each of the function's inputs.
        layer: the layer.
        args: what it was called with.
        kwargs: the same, by name.
    """

    function: keras.Function
    tensors: list[Any]
    layer: keras.layers.Layer
    args: tuple
    kwargs: dict[str, Any]

    def with_masks(self, outputs: Any) -> Any:
        """The outputs, with the mask that the layer hands on."""
        if self.layer.supports_masking:
            before = keras.tree.map_structure(lambda tensor: getattr(tensor, "_keras_mask", None), self.args[0])
            masks = self.layer.compute_mask(self.args[0], self.kwargs.get("mask", before))
            for tensor, mask in zip(keras.tree.flatten(outputs), keras.tree.flatten(masks), strict=False):
                if mask is not None:  # as Keras: a layer of several inputs may hand one mask on, or none
                    tensor._keras_mask = mask
        return outputs


class Closed(Exception):
    """A reason why what a layer does cannot be told."""


def opened(layer: Any, weights: list[Any], args: tuple, kwargs: dict[str, Any]) -> Inside | None:
    """As `look_inside`; None for layers of Keras but a few, and where nothing can be told."""
    if not isinstance(layer, keras.layers.Layer) or (_is_stock(layer) and not _applies_own(layer)):
        return None
    try:
        return look_inside(layer, weights, args, kwargs)
    except Closed:
        return None


def look_inside(layer: Any, weights: list[Any], args: tuple, kwargs: dict[str, Any]) -> Inside:
    """What `layer` does with these arguments.

    Args:
        layer: an unbuilt copy of a layer, which comes back built, with its weights; or a built one.
        weights: those that an unbuilt one is to have.
        args: symbolic tensors, in any structure, and other values.
        kwargs: the same, by name.

    Raises:
        Closed: that cannot be told.
    """
    kwargs = taken(layer, kwargs)
    read: list[Any] = []
    stand_ins: list[keras.KerasTensor] = []

    def stand_in(leaf: Any) -> Any:
        if not isinstance(leaf, keras.KerasTensor):
            return leaf
        for tensor, known in zip(read, stand_ins, strict=True):
            if tensor is leaf:
                return known
        known = keras.Input(batch_shape=leaf.shape, dtype=leaf.dtype, name=leaf.name)
        read.append(leaf)
        stand_ins.append(known)
        if (mask := getattr(leaf, "_keras_mask", None)) is not None:
            known._keras_mask = stand_in(mask)
        return known

    inner_args, inner_kwargs = keras.tree.map_structure(stand_in, (args, kwargs))
    modes: list[dict[str, Any]] = [{}, {}]
    if "training" in inspect.signature(layer.call).parameters:
        inner_kwargs = {name: value for name, value in inner_kwargs.items() if name != "training"}
        modes = [{"training": False}, {"training": True}]
    try:
        if not layer.built:
            layer(*inner_args, **inner_kwargs)
            set_weights(layer, weights)
        if not layer.trainable:
            for inner in layer._flatten_layers(include_self=False):
                inner.trainable = False  # made after the layer itself was told
        if layer._trainable_variables or layer._non_trainable_variables or layer.activity_regularizer is not None:
            raise Closed("it has weights or a loss of its own, of which a graph knows nothing")
        layer._clear_losses()  # of a call before
        function, again = (keras.Function(stand_ins, layer.call(*inner_args, **inner_kwargs, **mode)) for mode in modes)
    except Closed:
        raise
    except Exception as error:  # whatever a user's layer raises where it meets no real tensor
        said = " ".join(str(error).split())[:200]
        raise Closed(f"on symbolic tensors its call() raises {type(error).__name__}: {said}") from error
    if any(each._losses for each in layer._flatten_layers()):  # of weights; of an activation it raises above
        raise Closed("it adds a loss")
    if not _fixed(function, again, layer):
        raise Closed(
            "it does otherwise in training, draws numbers by chance, or computes with weights outside its layers"
        )
    known = {id(variable) for each in function.operations for variable in getattr(each, "variables", ())}
    own = layer.weights if isinstance(layer, keras.Model) else layer.variables  # those of metrics are no matter
    if any(id(variable) not in known for variable in own):
        raise Closed("it has weights of layers that it does not call")
    return Inside(function, read, layer, args, kwargs)


def _is_stock(part: Any) -> bool:
    return bool(part.__module__.startswith("keras."))


def _applies_own(layer: Any) -> bool:
    """Whether it is an Activation of a user's own function, which is composed of `keras.ops` as well."""
    return type(layer) is keras.layers.Activation and not _is_stock(layer.activation)


def _fixed(function: keras.Function, again: keras.Function, layer: keras.layers.Layer) -> bool:
    """Whether the graph is all there is to the layer.

    Not where training takes another way than inference, numbers are drawn by chance, or a number is made of a weight
    outside the graph: it would stand still while the weight trains.
    """
    if [type(each) for each in function.operations] != [type(each) for each in again.operations]:
        return False
    if isinstance(layer, keras.Model) and any(call.kwargs.get("training") is False for call in _calls(again)):
        return False  # the layers of a graph are told the mode of the whole
    ours, theirs = _constants(function), _constants(again)
    if any(np.issubdtype(number.dtype, np.floating) for number in ours) and layer.variables:
        return False
    return len(ours) == len(theirs) and all(map(np.array_equal, ours, theirs))


def _constants(function: keras.Function) -> list[np.ndarray]:
    """The numbers that its operations are called with, other than plain ones of Python."""
    found = []
    for call in _calls(function):
        for leaf in keras.tree.flatten((call.args, call.kwargs)):
            number = isinstance(leaf, (keras.Variable, np.ndarray)) or keras.ops.is_tensor(leaf)
            if number and not isinstance(leaf, keras.KerasTensor):
                found.append(keras.ops.convert_to_numpy(leaf))
    return found


def _calls(function: keras.Function) -> list[Any]:
    """The arguments of all its calls."""
    return [node.arguments for nodes in function._nodes_by_depth.values() for node in nodes]
