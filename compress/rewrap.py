"""A copy of a model whose layers see their weights through one transform more."""

from collections import Counter
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from typing import Any

import keras

from compress.errors import CompressError
from compress.functional import functional, opens
from compress.graph import cloned, positional, run_chain, set_weights
from compress.kernels import is_depthwise, kernel_of
from compress.wrapper import Compressed


def rewrapped(model: keras.Model, wrap: Callable[[Any, int], Any]) -> keras.Model:
    """A copy of `model` with `wrap(layer, calls)` for each layer that has a kernel.

    Nested models stay nested, shared layers shared, and dtypes as they are. The copy is not compiled.

    Args:
        model: Functional, or a built Sequential (its copy is a Functional).
        wrap: gets a built copy of the layer, `Compressed` or not, with its weights, and how often it is called when
            the model runs once; returns what stands in its place.

    Raises:
        CompressError: the model has no graph.
    """
    times = _calls(model)
    copies: dict[int, Any] = {}

    def copy(operation: Any, inputs: Any) -> Any:
        if opens(operation):
            return copied(operation)
        fresh = cloned(operation)
        if kernel_of(operation) is None:
            return fresh
        fresh.build(inputs.shape)
        fresh.set_weights(operation.get_weights())
        return wrap(fresh, times[id(operation)])

    def call(operation: Any, *args: Any, **kwargs: Any) -> Any:
        args, kwargs = positional(operation, args, kwargs)
        new = id(operation) not in copies
        if new:
            copies[id(operation)] = copy(operation, args[0])
        fresh = copies[id(operation)]
        outputs = run_chain([(fresh, [])], args, kwargs)
        if new and kernel_of(operation) is None and not opens(operation) and getattr(operation, "weights", None):
            set_weights(fresh, operation.get_weights())
        return outputs

    def copied(model: Any) -> keras.Model:
        source = functional(model)
        inputs = keras.tree.map_structure(
            lambda tensor: keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype, name=tensor.name),
            source._inputs_struct,
        )
        outputs = source._run_through_graph(inputs, operation_fn=lambda operation: operation, call_fn=call)
        fresh = keras.Model(inputs, outputs, name=model.name)
        if not model.trainable:
            fresh.trainable = False
        return fresh

    return copied(model)


def placed(layer: Any, transform: keras.layers.Layer) -> Compressed:
    """A built layer behind `transform` too, which replaces one of its class.

    Transforms run in the order of their `stage`: mask (0), codebook (1), then those without one: folding, fake-quant.
    """
    inner, others = (layer.layer, layer.transforms) if isinstance(layer, Compressed) else (layer, [])
    transforms = [*(other for other in others if type(other) is not type(transform)), transform]
    transforms.sort(key=lambda each: getattr(each, "stage", 2))
    wrapper = Compressed(inner, transforms, name=layer.name, dtype=layer.dtype_policy, trainable=layer.trainable)
    wrapper.build(layer._build_shapes_dict["input_shape"])
    return wrapper


def transform_of(layer: Any, kind: type) -> Any:
    """The transform of class `kind` that a layer has, or None."""
    return next((each for each in getattr(layer, "transforms", ()) if isinstance(each, kind)), None)


def operations(model: keras.Model, prefix: str = "") -> list[tuple[str, Any]]:
    """Every layer of a model and of those nested in it, once, with its name: `backbone/conv`.

    Raises:
        CompressError: the model has no graph.
    """
    found: dict[int, tuple[str, Any]] = {}
    for operation in functional(model).operations:
        inner = operations(operation, f"{prefix}{operation.name}/") if opens(operation) else []
        for name, each in inner or [(prefix + operation.name, operation)]:
            found.setdefault(id(each), (name, each))
    return list(found.values())


def chosen(model: keras.Model, patterns: Sequence[str] | None, *, depthwise: bool) -> set[str]:
    """The names of the layers with a kernel that `patterns` choose; None chooses all.

    Shell patterns (`conv*`) over layer names; one that begins with `!` leaves out, and the last that matches decides.

    Raises:
        CompressError: a pattern matches none of them, or nothing is left.
    """
    if isinstance(patterns, str):
        patterns = [patterns]
    names = [
        layer.name
        for _, layer in operations(model)
        if kernel_of(layer) is not None and (depthwise or not is_depthwise(layer))
    ]
    taken = set(names) if not patterns or patterns[0].startswith("!") else set()
    for pattern in patterns or ():
        matched = {name for name in names if fnmatchcase(name, pattern.removeprefix("!"))}
        if not matched:
            raise CompressError(
                f"{pattern!r} matches no layer of {model.name!r} with a kernel; there are {', '.join(names) or 'none'}"
            )
        taken = taken - matched if pattern.startswith("!") else taken | matched
    if not taken:
        raise CompressError(
            f"model {model.name!r} has no layer to compress: of stock Dense, Conv, EinsumDense and embedding layers "
            "none is chosen (depthwise ones want depthwise=True)"
        )
    return taken


def _calls(model: Any) -> Counter[int]:
    """For each layer, by id, how often it is called when `model` runs once."""
    found: Counter[int] = Counter()
    for nodes in functional(model)._nodes_by_depth.values():
        for node in nodes:
            found.update(_calls(node.operation) if opens(node.operation) else {id(node.operation): 1})
    return found
