"""The tf_keras twin of a Keras 3 model, for what takes only tf_keras."""

import inspect
import os
from typing import Any

import keras
import numpy as np

from compress.errors import CompressError, first_line
from compress.trace import trace

_RENAMED = {("LeakyReLU", "negative_slope"): "alpha"}
"""Options that tf_keras calls otherwise."""


def to_tf_keras(model: keras.Model) -> Any:
    """The tf_keras twin of `model`: the same layers by name, the same weights, the same answers, in float32.

    It is flat: nested models are inlined, their layers called `nested_layer`.

    Args:
        model: a Functional or built Sequential model of Keras's own layers; it is not changed.

    Raises:
        CompressError: TFMOT is not installed, the model has no graph, or tf_keras lacks a layer or an option of it.
    """
    tf_keras, _ = installed()
    graph = trace(model, simpler=False)
    inputs = keras.tree.map_structure(
        lambda each: tf_keras.Input(batch_shape=each.shape, dtype=each.dtype, name=each.name), graph.inputs
    )
    values = dict(zip(map(id, keras.tree.flatten(graph.inputs)), keras.tree.flatten(inputs), strict=True))

    def renew(leaf: Any) -> Any:
        return values[id(leaf)] if isinstance(leaf, keras.KerasTensor) else leaf

    twins: dict[str, Any] = {}
    for node in graph.nodes:
        name = node.operation.name
        # tf_keras hands masks on by itself.
        kwargs = {key: value for key, value in node.kwargs.items() if key != "mask"}
        new = name not in twins
        if new:
            twins[name] = _twin(node.operation, tf_keras)
        args, kwargs = keras.tree.map_structure(renew, (node.args, kwargs))
        outputs = twins[name](*args, **kwargs)
        values.update(zip(map(id, node.outputs), keras.tree.flatten(outputs), strict=True))
        if new and node.operation.weights:
            give(twins[name], node.operation.get_weights(), origin=f"layer {name!r}")
    return tf_keras.Model(inputs, keras.tree.map_structure(renew, graph.outputs), name=graph.name)


def installed() -> tuple[Any, Any]:
    """`(tf_keras, tensorflow_model_optimization)`, without a trace of their import in the rest of the program."""
    import tensorflow as tf

    before = os.environ.get("TF_USE_LEGACY_KERAS")
    try:
        # TFMOT turns TF_USE_LEGACY_KERAS on. `tf.keras`, which decides by it at its first use, is used now, and child
        # processes do not inherit it: both stay what they were. (Whoever imported TFMOT before has it on already.)
        _ = tf.keras.Model
        import tensorflow_model_optimization as tfmot
        import tf_keras
    except ImportError as error:
        raise CompressError(f'TFMOT is not installed ({error}); `pip install "edgezoo[tfmot]"`') from None
    finally:
        os.environ.pop("TF_USE_LEGACY_KERAS", None)
        if before is not None:
            os.environ["TF_USE_LEGACY_KERAS"] = before
    return tf_keras, tfmot


def _twin(layer: Any, tf_keras: Any) -> Any:
    """An unbuilt tf_keras layer of the same options."""
    kind = type(layer).__name__
    theirs = getattr(tf_keras.layers, kind, None)
    if getattr(keras.layers, kind, None) is not type(layer) or theirs is None:
        raise CompressError(f"layer {layer.name!r}: {kind} is no layer of tf_keras, so TFMOT cannot take the model")
    known = {"name", "trainable", *inspect.signature(theirs.__init__).parameters}
    ours = inspect.signature(type(layer).__init__).parameters
    options = {}
    for key, value in layer.get_config().items():
        renamed = _RENAMED.get((kind, key), key)
        if key == "dtype" or key.endswith("_initializer"):  # float32, and weights that are set
            continue
        default = value in (None, False) or (key in ours and value == ours[key].default)
        if renamed in known or not default:
            options[renamed] = value  # those that it does not know it refuses
        if key.endswith("activation"):
            _check_activation(layer.name, value, tf_keras)
    try:
        return theirs.from_config(options)
    except (TypeError, ValueError) as error:
        raise CompressError(f"layer {layer.name!r}: tf_keras does not take its options: {first_line(error)}") from None


def _check_activation(layer: str, name: Any, tf_keras: Any) -> None:
    """Some are called alike and differ: hard_sigmoid is steeper in tf_keras."""
    grid = np.linspace(-8, 8, 129, dtype=np.float32)[None]
    ours = keras.ops.convert_to_numpy(keras.activations.get(name)(keras.ops.convert_to_tensor(grid)))
    try:
        theirs = np.asarray(tf_keras.activations.get(name)(tf_keras.backend.constant(grid)))
    except (TypeError, ValueError):
        raise CompressError(f"layer {layer!r}: tf_keras has no activation {name!r}") from None
    if not np.allclose(ours, theirs, atol=1e-5):
        raise CompressError(f"layer {layer!r}: the activation {name!r} of tf_keras is another one")


def give(layer: Any, weights: list[Any], *, origin: str) -> None:
    """Set the weights of a layer.

    Raises:
        CompressError: they have other shapes.
    """
    shapes = [tuple(each.shape) for each in layer.weights]
    if shapes != [each.shape for each in weights]:
        raise CompressError(f"{origin} has weights of shape {[each.shape for each in weights]}, not {shapes}")
    layer.set_weights(weights)
