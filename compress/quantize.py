"""Quantization-aware training: rewrite a model so that it trains with the rounding that the int8 file will have."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import keras

from compress import tfmot
from compress.calibrate import PERCENTILE, Method, measure_ranges
from compress.errors import CompressError
from compress.fold import Fold, asked
from compress.graph import Chain, Graph, Node, copy_operation, float32_layers, rebuild, run_chain
from compress.kinds import core, kind, quantized_weights, recurrent_weights
from compress.patterns import check_patterns, first_match
from compress.plan import Plan, make_plan
from compress.ranges import FakeQuantWeights, Range
from compress.trace import trace
from compress.wrapper import Compressed


@dataclass(frozen=True)
class Report:
    """What `quantize_aware` does, or did, to a model.

    Attributes:
        quantized: names of the layers whose weights are fake-quantized.
        float_layers: `(name, reason)` of each layer that stays float; in the file it becomes a float island, unless
            the converter finds an integer form of its own.
    """

    quantized: tuple[str, ...]
    float_layers: tuple[tuple[str, str], ...]


def report(model: keras.Model) -> Report:
    """Which layers of `model`, quantization-aware or not yet, are quantized and which stay float.

    Raises:
        CompressError: the model has no graph.
    """
    quantized: list[str] = []
    rest: list[tuple[str, str]] = []
    graph = trace(model, look_inside=not is_quantize_aware(model), pixels_as_floats=True)
    for operation in {id(node.operation): node.operation for node in graph.nodes if _is_float(node)}.values():
        role = kind(operation)
        if role in ("weights", "table"):
            quantized.append(operation.name)
        elif role == "float" and not isinstance(operation, Range):
            rest.append((operation.name, f"{type(operation).__name__} has no known integer form"))
    return Report(tuple(quantized), tuple(rest))


def _is_float(node: Node) -> bool:
    """Whether it gives floats: tokens, and which steps are padding, have no range."""
    return any(keras.backend.is_float_dtype(tensor.dtype) for tensor in node.outputs)


def is_quantize_aware(model: keras.Model) -> bool:
    """Whether `quantize_aware` made this model."""
    return any(isinstance(layer, Range) for layer in model._flatten_layers())


def activation_bits(model: keras.Model) -> int:
    """Of the activations of a model that `quantize_aware` made: 8 or 16."""
    return max(layer.bits for layer in model._flatten_layers() if isinstance(layer, Range))


@float32_layers()
def quantize_aware(
    model: keras.Model,
    *,
    calibration: Iterable[Any] | None = None,
    bits: int | Mapping[str, int] = 8,
    activations: int = 8,
    ranges: Method = "minmax",
    percentile: float = PERCENTILE,
    engine: Literal["edgezoo", "tfmot"] = "edgezoo",
) -> keras.Model:
    """A copy of `model` that trains, and predicts, with the rounding of its int8 file.

    The copy is an ordinary Keras model: compile, fit, save and load it as any (after `import compress`), then
    `compress.export` it. Weights become symmetric int8, per channel in convolutions and per tensor in Dense;
    activations asymmetric int8, with ranges that start from `calibration` and follow the training as moving averages.
    Batch normalisation is folded into the convolution before it. Layers without an integer form stay float and
    `report` names them. The copy is flat (nested models are inlined), float32 and not compiled.

    Args:
        model: a trained model; a subclassed one must have a fixed graph. It is not changed.
        calibration: batches of model inputs, `(batch, …)` float arrays, some hundred examples in all. Only TFMOT needs
            none.
        bits: of the kernels, 8 or 4 (two weights a byte); or such a number for each name pattern of layers, of which
            the first that matches counts (`{"head": 8, "*": 4}`), and 8 where none does. Tables of embeddings have 8.
        activations: bits of the activations, 8 or 16. Those of 16 are symmetric around zero (LiteRT's 16x8 scheme), go
            with kernels of 8 alone, and are exported with `quantize="int16x8"`: for what 256 steps are too coarse for,
            and for accelerators that have them; on a CPU LiteRT's kernels for them are slow.
        ranges: how those of the activations start: `minmax`, `percentile` or `mse`; see `compress.calibrate`.
        percentile: for `ranges="percentile"`, how many percent of the values lie inside. Choose it by how well the copy
            agrees with the model on the training examples: of series with spikes, 99.6 may beat 99.99 by far.
        engine: `tfmot` gives the tf_keras model that TFMOT makes, of 8 bits; see `compress.tfmot`.

    Raises:
        CompressError: the model has no graph or is quantized already, the calibration is missing or does not fit,
            `bits` or `activations` is none of these, a pattern matches no layer, or TFMOT cannot do it.
    """
    if tfmot.asked(engine):
        tfmot.only(
            calibration=calibration is None,
            bits=bits == 8,
            activations=activations == 8,
            ranges=ranges == "minmax",
            percentile=percentile == PERCENTILE,
        )
        return tfmot.quantize_aware(model)
    if calibration is None:
        raise CompressError("quantize_aware needs calibration=: batches of inputs, some hundred examples in all")
    widths = bits if isinstance(bits, Mapping) else {"*": bits}
    for width in widths.values():
        if width not in (8, 4):
            raise CompressError(f"bits={width!r} is neither 8 nor 4")
    if activations not in (8, 16):
        raise CompressError(f"activations={activations!r} is neither 8 nor 16")
    if activations == 16 and set(widths.values()) != {8}:
        raise CompressError(f"bits={bits!r} with activations=16: kernels have 8 bits there")
    if activations == 16 and ranges == "mse":
        raise CompressError("ranges='mse' weighs the error of 256 steps; with activations=16 take another")
    if is_quantize_aware(model):
        raise CompressError(f"model {model.name!r} is quantization-aware already")
    if ranges not in ("minmax", "percentile", "mse"):
        raise CompressError(f"ranges={ranges!r} is none of 'minmax', 'percentile', 'mse'")
    if not 0 < percentile < 100:
        raise CompressError(f"percentile={percentile} must lie between 0 and 100")
    if percentile != PERCENTILE and ranges != "percentile":
        raise CompressError(f"percentile={percentile} goes with ranges='percentile', not {ranges!r}")
    graph = trace(model, look_inside=True, pixels_as_floats=True)
    plan = make_plan(graph, activations)
    names = (node.operation.name for node in graph.nodes if kind(node.operation) == "weights")
    check_patterns(widths, names, what="bits", layers="layer of weights")
    measured = [tensor for tensor, fixed in plan.ranges if fixed is None]
    found = measure_ranges(graph, measured, calibration, method=ranges, percentile=percentile) if measured else []
    ends = dict(zip(map(id, measured), found, strict=True))
    inserted = {}
    for tensor, fixed in plan.ranges:
        low, high = fixed or ends[id(tensor)]
        momentum = 1.0 if fixed else 0.99
        inserted[id(tensor)] = Range(low, high, activations, momentum, name=f"{plan.names[id(tensor)]}_range")
    return _assemble(graph, plan, inserted, widths)


def _assemble(graph: Graph, plan: Plan, ranges: dict[int, Range], widths: Mapping[str, int]) -> keras.Model:
    """The model with wrappers in place of its weighted layers and the ranges put in."""
    built: dict[int, Chain] = {}
    folded = {id(norm) for norm in plan.folds.values()}
    source = dict(ranges)  # for each tensor, by id, the range that its values lie on

    def call(node: Node, args: tuple, kwargs: dict[str, Any]) -> Any:
        role = kind(node.operation)
        if id(node.operation) in folded:
            outputs = args[0]
        else:
            if id(node.operation) not in built:
                built[id(node.operation)] = _replacement(node, plan.folds.get(id(node.operation)), widths)
            outputs = run_chain(built[id(node.operation)], args, kwargs)
        renewed = keras.tree.flatten(outputs)
        for index, tensor in enumerate(node.outputs):
            if id(tensor) in ranges:
                renewed[index] = ranges[id(tensor)](renewed[index])
            elif role in ("same", "round") and id(node.inputs[0]) in source:
                source[id(tensor)] = source[id(node.inputs[0])]
                if role == "round":
                    renewed[index] = source[id(tensor)](renewed[index], observe=False)
        return renewed

    def enter(tensor: keras.KerasTensor, renewed: keras.KerasTensor) -> keras.KerasTensor:
        return ranges[id(tensor)](renewed) if id(tensor) in ranges else renewed

    return rebuild(graph, call, enter=enter)


def _replacement(node: Node, norm: Any, widths: Mapping[str, int]) -> Chain:
    """The layers, with the weights to set once they are built, that stand for a call in the new model."""
    layer, role = node.operation, kind(node.operation)
    if role == "norm":
        return _scale_and_offset(node)
    weights = list(getattr(layer, "get_weights", list)())
    stateful = recurrent_weights(core(layer)) and (len(node.args) > 1 or node.kwargs.get("initial_state") is not None)
    if role not in ("weights", "table") or stateful:  # a state that is given would be lost behind a wrapper
        return [(copy_operation(layer), weights)]
    copy = copy_operation(layer)
    copy.build(node.inputs[0].shape)
    copy.set_weights(weights)
    free = role == "weights" and not recurrent_weights(core(layer))
    bits = first_match(widths, [layer.name] if free else []) or 8
    return [(_wrapped(core(copy), norm, bits, getattr(copy, "transforms", [])), [])]


def _wrapped(layer: Any, norm: Any, bits: int, transforms: Sequence[keras.layers.Layer] = ()) -> Compressed:
    """A built layer behind its transforms: those that it has, fold `norm`, where there is one, then round."""
    depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
    axes = 2 if depthwise else 1
    transforms = list(transforms)
    if norm is not None:
        fold = Fold(
            norm.epsilon,
            norm.scale,
            norm.center,
            axes,
            **asked(norm),
            name="fold",
            trainable=norm.trainable,
        )
        transforms.append(fold)
    per_channel = isinstance(layer, (keras.layers.Conv2D, keras.layers.DepthwiseConv2D))
    gates = recurrent_weights(layer)
    for index, weight in enumerate(quantized_weights(layer)):
        fake_quant = FakeQuantWeights(bits, per_channel, axes, weight, gates.get(weight, 1), name=f"fake_quant_{index}")
        transforms.append(fake_quant)
    trainable = layer.trainable or (norm is not None and norm.trainable)
    wrapper = Compressed(layer, transforms, name=layer.name, trainable=trainable)
    wrapper.build(None)
    if norm is not None:
        fold.adopt(norm)
    return wrapper


def _scale_and_offset(node: Node) -> Chain:
    """A batch normalisation with no convolution before it, as a depthwise 1x1 convolution of ones that it folds into.

    The runtime computes that in one pass, with a step for each channel and the ReLU fused.
    """
    norm, shape = node.operation, node.inputs[0].shape
    ones = keras.layers.DepthwiseConv2D(
        1, use_bias=False, depthwise_initializer="ones", trainable=False, name=norm.name
    )
    ones.build((None, None, None, shape[-1]))
    wrapper = _wrapped(ones, norm, 8)
    if len(shape) == 4:
        return [(wrapper, [])]
    image = keras.layers.Reshape((1, -1, shape[-1]), name=f"{norm.name}_as_image")
    back = keras.layers.Reshape((*(-1 if size is None else size for size in shape[1:-1]), shape[-1]))
    return [(image, []), (wrapper, []), (back, [])]
