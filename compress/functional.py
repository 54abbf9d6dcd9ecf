"""Any model as a Functional over its own layers, also one that is written as a class."""

import inspect
from typing import Any

import keras

from compress.compose import Closed, Inside, look_inside
from compress.errors import CompressError

_CALL_IT = "give keras.Model(x, model(x)), where x is a keras.Input of fixed sizes, or a list of them"

_SEVERAL = "its call() takes several arguments"


def functional(model: keras.Model) -> Any:
    """The model as a Functional over the same layers.

    A subclassed model is called on symbolic tensors of the shapes that it has been called on. They are float32, unless
    it has been called on a `keras.Input`.

    Raises:
        CompressError: it is not built, or what its class does is no fixed graph of layers and operations.
    """
    if isinstance(model, keras.Sequential) and model.built:
        return keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    if hasattr(model, "_run_through_graph"):
        return model
    args, kwargs = _call_of(model)
    if any(isinstance(leaf, keras.KerasTensor) for leaf in keras.tree.flatten((args[1:], kwargs))):
        raise _refusal(model, _SEVERAL)
    function = open_model(model, args, kwargs).function
    inputs = function.inputs if len(function.inputs) > 1 else function.inputs[0]
    return keras.Model(inputs, function._outputs_struct, name=model.name)


def with_graph(model: keras.Model) -> keras.Model:
    """The model itself where it is Functional or a built Sequential, else as `functional`."""
    return model if has_graph(model) else functional(model)


def has_graph(model: Any) -> bool:
    """Whether it is Functional or a built Sequential."""
    return hasattr(model, "_run_through_graph") or (isinstance(model, keras.Sequential) and model.built)


def opens(model: Any) -> bool:
    """Whether it is a model that `functional` takes."""
    if not isinstance(model, keras.Model):
        return False
    try:
        functional(model)
    except CompressError:
        return False
    return True


def open_model(model: keras.Model, args: tuple, kwargs: dict[str, Any]) -> Inside:
    """What a subclassed model does with these arguments, symbolic tensors among them.

    Raises:
        CompressError: that is no fixed graph.
    """
    fresh = {id(layer) for layer in model._flatten_layers(include_self=False) if not layer.built}
    try:
        inside = look_inside(model, [], args, kwargs)
    except Closed as reason:
        advice = "write it as a Functional model, or so that its call() calls the same layers each time"
        raise _refusal(model, str(reason), advice) from reason.__cause__
    for operation in inside.function.operations:
        if id(operation) in fresh and operation.weights:
            raise _refusal(model, f"its layer {operation.name!r} has no weights", "call it on a batch, and train it")
    return inside


def _call_of(model: keras.Model) -> tuple[tuple, dict[str, Any]]:
    """The arguments that a subclassed model was called with, as symbolic tensors."""
    if model._inbound_nodes:
        arguments = model._inbound_nodes[0].arguments
        return arguments.args, arguments.kwargs
    if not model.built:
        raise _refusal(model, "it is subclassed or not built")
    if model._build_shapes_dict is None:
        raise _refusal(model, "Keras knows no shape of its input, as where its call() looks at the numbers")
    if any(isinstance(layer, keras.layers.Embedding) for layer in model._flatten_layers()):
        raise _refusal(model, "it reads tokens, and Keras does not know their dtype")
    parameters = inspect.signature(model.call).parameters
    needed = [name for name, parameter in parameters.items() if parameter.default is parameter.empty]
    if len(needed) > 1 or len(model._build_shapes_dict) > 1:
        raise _refusal(model, _SEVERAL)
    name, (shape,) = next(iter(parameters)), model._build_shapes_dict.values()
    if isinstance(shape, dict):
        return ({key: _input(key, each) for key, each in shape.items()},), {}
    if shape and isinstance(shape[0], (tuple, list)):
        return ([_input(f"{name}_{place}", each) for place, each in enumerate(shape)],), {}
    return (_input(name, shape),), {}


def _input(name: str, shape: tuple) -> keras.KerasTensor:
    return keras.Input(shape[1:], name=name)


def _refusal(model: keras.Model, reason: str, advice: str = _CALL_IT) -> CompressError:
    return CompressError(f"model {model.name!r} has no graph of layers: {reason}; {advice}")
