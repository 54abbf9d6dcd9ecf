"""Back from what trains to plain layers."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from compress.constraint import Shaped
from compress.graph import Chain, Node, copy_operation, float32_layers, from_config, rebuild, run_chain
from compress.kinds import recurrent_weights
from compress.ranges import Range
from compress.trace import trace
from compress.wrapper import Compressed, weights_of


def has_recurrent(model: keras.Model) -> bool:
    """Whether a quantization-aware model has recurrent layers, inside which no range is trained."""
    return any(map(_is_recurrent, model._flatten_layers()))


def _is_recurrent(operation: Any) -> bool:
    return isinstance(operation, Compressed) and bool(recurrent_weights(operation.layer))


@float32_layers()
def strip(model: keras.Model) -> keras.Model:
    """Back to a plain Keras model, of the weights as `model` sees them.

    Batch normalisation is folded into biases; no fake-quant is left on activations and no class of ours inside.

    Args:
        model: made by `quantize_aware`, trained or not; it is not changed.

    Raises:
        CompressError: the model has no graph.
    """
    return _plain(model, lambda operation: True)


@float32_layers()
def with_float_loops(model: keras.Model) -> keras.Model:
    """A quantization-aware model whose recurrent layers are plain: the converter takes no fake-quant inside a loop."""
    return _plain(model, _is_recurrent)


def _plain(model: keras.Model, choose: Callable[[Any], bool]) -> keras.Model:
    """A copy without the ranges and wrappers that are chosen."""
    built: dict[int, Chain] = {}

    def call(node: Node, args: tuple, kwargs: dict[str, Any]) -> Any:
        chosen = choose(node.operation)
        if chosen and isinstance(node.operation, Range):
            return args[0]
        if id(node.operation) not in built:
            built[id(node.operation)] = [stripped(node.operation, chosen)]
        return run_chain(built[id(node.operation)], args, kwargs)

    return rebuild(trace(model, simpler=False), call)


def stripped(operation: Any, chosen: bool) -> tuple[Any, list[np.ndarray]]:
    """A copy of an operation, plain where it is `chosen`, and the weights to set once it is built."""
    if not (chosen and isinstance(operation, Compressed)):
        return copy_operation(operation), list(getattr(operation, "get_weights", list)())
    seen = {name: keras.ops.convert_to_numpy(value) for name, value in operation.seen().items()}
    config = {**operation.layer.get_config(), "name": operation.name, "trainable": True}
    # Of a kernel that has another shape now: a class of ours, and the shape that it knows may change.
    config |= {key: None for key in config if isinstance(getattr(operation.layer, key, None), Shaped)}
    real = set(map(id, operation.layer.weights))  # the state of a dropout's random numbers is none
    names = [key for key, variable in weights_of(operation.layer).items() if id(variable) in real]
    if "bias" in seen and "bias" not in names:
        config["use_bias"] = True
        names.append("bias")
    return from_config(operation.layer, config), [seen[name] for name in names]
