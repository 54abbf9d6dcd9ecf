"""What a model computes in a file: its graph, with some layers written as LiteRT computes them best."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import keras

from compress.expand import over_last
from compress.formulas import Attention, standardized
from compress.functional import functional, has_graph
from compress.recurrent import Forms, is_recurrent, recur


def answer(model: keras.Model, inputs: list[Any], forms: Forms, scopes: Mapping[int, str]) -> Any:
    """What `model` answers in inference, within a `tf.function`; the same as the model itself.

    Args:
        model: a model; one without a graph of layers is called as it is.
        inputs: a tensor for each of its inputs, in order.
        forms: how recurrent layers are written.
        scopes: names, by id of the layer or operation, that the tensors it computes are to bear.
    """
    if not (has_graph(model) and (scopes or any(_stand_in(layer, forms) for layer in model._flatten_layers()))):
        structure = getattr(model, "_inputs_struct", None)
        if isinstance(structure, dict):
            return model(keras.tree.pack_sequence_as(structure, inputs), training=False)
        return model(inputs[0] if len(inputs) == 1 else inputs, training=False)

    def call(operation: Any) -> Callable[..., Any]:
        made = computed(operation)
        return _named(scopes[id(operation)], made) if id(operation) in scopes else made

    def computed(operation: Any) -> Callable[..., Any]:
        if isinstance(operation, keras.Model):
            return lambda *args, **_: answer(operation, keras.tree.flatten(args), forms, scopes)
        stand_in = _stand_in(operation, forms)
        if stand_in is not None:
            return _named(operation.name, stand_in)
        takes_training = getattr(operation, "_call_has_training_arg", False)
        return _in_inference(operation) if takes_training else operation

    return functional(model)._run_through_graph(inputs, operation_fn=call)


def _in_inference(layer: Any) -> Callable[..., Any]:
    """The layer's call in inference, whatever the graph notes: of a random layer of images, that it trains."""
    return lambda *args, **kwargs: layer(*args, **{**kwargs, "training": False})


def _named(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
    """The call under the layer's name, by which float tensors are told later."""

    def named(*args: Any, **kwargs: Any) -> Any:
        with keras.name_scope(name):
            return call(*args, **kwargs)

    return named


def _stand_in(operation: Any, forms: Forms) -> Callable[..., Any] | None:
    both = isinstance(operation, keras.layers.Bidirectional) and is_recurrent(operation.forward_layer)
    if both or is_recurrent(operation):
        return functools.partial(recur, operation, forms)
    if type(operation) is keras.layers.LayerNormalization and over_last(operation):
        return functools.partial(_normalized, operation)
    if Attention.writes(operation):  # Keras's minus infinity for what is not seen would stretch int8 over all floats
        return functools.partial(Attention.of(operation), training=False)
    return None


def _normalized(layer: keras.layers.LayerNormalization, x: Any, mask: Any = None) -> Any:
    """Layer normalisation, in operators that LiteRT has an integer form of."""
    y = standardized(x, layer.epsilon)
    y = y if layer.gamma is None else y * layer.gamma
    y = y if layer.beta is None else y + layer.beta
    mask = getattr(x, "_keras_mask", None) if mask is None else mask
    if mask is not None:
        y._keras_mask = mask
    return y
