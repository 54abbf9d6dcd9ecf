"""What a layer is composed of: the graph of layers and operations that its `call` makes.

A layer without weights of its own is only a way to write other layers and `keras.ops` down. Called on symbolic tensors
it shows them, and each can be quantized by itself.
"""

from dataclasses import dataclass
from typing import Any

import keras

from compress.graph import taken


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


def opened(layer: Any, weights: list[Any], args: tuple, kwargs: dict[str, Any]) -> Inside | None:
    """What `layer` does with these arguments; None where that cannot be told.

    Args:
        layer: an unbuilt copy of a layer; it comes back built, with its weights.
        weights: those that it is to have.
        args: symbolic tensors, in any structure, and other values.
        kwargs: the same, by name.
    """
    if type(layer).__module__.startswith("keras.") or not isinstance(layer, keras.layers.Layer):
        return None
    kwargs = taken(layer, kwargs)
    read: list[Any] = []
    stand_ins: list[keras.KerasTensor] = []

    def stand_in(leaf: Any) -> Any:
        if not isinstance(leaf, keras.KerasTensor):
            return leaf
        for tensor, known in zip(read, stand_ins, strict=True):
            if tensor is leaf:
                return known
        known = keras.Input(batch_shape=leaf.shape, dtype=leaf.dtype)
        read.append(leaf)
        stand_ins.append(known)
        if (mask := getattr(leaf, "_keras_mask", None)) is not None:
            known._keras_mask = stand_in(mask)
        return known

    inner_args, inner_kwargs = keras.tree.map_structure(stand_in, (args, kwargs))
    try:
        if not layer.built:
            layer(*inner_args, **inner_kwargs)
            layer.set_weights(weights)
        if layer._trainable_variables or layer._non_trainable_variables:
            return None  # weights of its own, of which a graph knows nothing
        function = keras.Function(stand_ins, layer.call(*inner_args, **inner_kwargs))
    except Exception:  # whatever a user's layer raises where it meets no real tensor
        return None
    known = {id(variable) for each in function.operations for variable in getattr(each, "variables", ())}
    if any(id(variable) not in known for variable in layer.variables):
        return None  # it reads the weights of a layer that it does not call
    return Inside(function, read, layer, args, kwargs)
