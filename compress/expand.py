"""Layers that have a simpler equivalent, which the integer runtime knows.

Each replacement computes the same function in float; it only gives every intermediate result a place for a
fake-quant, and every kernel the shape that the converter quantizes per channel.
"""

from typing import Any

import keras
import numpy as np

from compress.constraint import shaped
from compress.fold import asked
from compress.formulas import Attention, HardSigmoid, Mean, Silu, Standardized

Chain = list[tuple[Any, list[np.ndarray]]]


def expand(layer: Any) -> Chain:
    """The layers, with their weights, that stand for `layer` one after the other; empty to keep it as it is.

    - A layer that says so itself becomes its `stock_layers()`: a list of built layers of Keras, or composed of them,
      that do the same one after the other.
    - An activation inside a layer becomes a layer of its own.
    - SeparableConv becomes a depthwise and a 1x1 convolution.
    - Rescaling and Normalization become a frozen batch normalisation; ConvNeXt's LayerScale one that trains.
    - LayerNormalization becomes means, differences and products, and a batch normalisation for its scale and offset.
    - A hard sigmoid becomes a sum, a ReLU6 and a product; SiLU a sigmoid and a product; an Average a sum and a product.
    - MultiHeadAttention becomes its projections, products and a softmax.
    - EinsumDense becomes a Dense layer between reshapes, where its kernel is a matrix.
    - Convolutions over series become 2-D convolutions over images of height 1 (the converter rejects per-channel
      fake-quant on a 3-D kernel).
    """
    if hasattr(layer, "stock_layers"):
        return [part for each in layer.stock_layers() for part in expand(each) or [(each, each.get_weights())]]
    kind = type(layer).__name__
    if not type(layer).__module__.startswith("keras.") or getattr(layer, "data_format", None) == "channels_first":
        return []
    if kind in ("SeparableConv1D", "SeparableConv2D"):
        return _separable(layer)
    if kind in ("Conv1D", "DepthwiseConv1D"):
        return _series(layer)
    if kind in ("Rescaling", "Normalization"):
        return _affine(layer)
    if kind == "LayerScale":  # of `keras.applications`' ConvNeXt
        return [_norm(layer.name, layer.projection_dim, layer.gamma, 0.0, trainable=layer.trainable)]
    if kind == "LayerNormalization" and over_last(layer):
        return _layer_norm(layer)
    if kind == "Activation" and layer.activation is keras.activations.hard_sigmoid:
        return [(HardSigmoid(name=layer.name), [])]
    if kind == "Silu" or (kind == "Activation" and layer.activation is keras.activations.silu):
        return [(Silu(name=layer.name), [])]
    if kind == "Average":
        return [(Mean(name=layer.name), [])]
    if kind == "EinsumDense":
        return einsum(layer)
    if kind == "MultiHeadAttention" and Attention.writes(layer):
        return [(Attention(layer.get_config(), name=layer.name, trainable=layer.trainable), layer.get_weights())]
    if (
        kind in ("Conv2D", "DepthwiseConv2D", "Conv2DTranspose", "Dense")
        and layer.activation is not keras.activations.linear
    ):
        config = {**layer.get_config(), "activation": "linear"}
        config.pop("activity_regularizer", None)  # it goes with the activation
        plain = type(layer).from_config(config)
        return [(plain, layer.get_weights()), *_activation(layer)]
    return []


def over_last(layer: keras.layers.LayerNormalization) -> bool:
    """Whether it takes the mean and the variance of the last axis alone."""
    return layer.axis in (-1, [-1], [len(layer.input.shape) - 1]) and not layer.rms_scaling


def is_long(layer: Any, args: tuple) -> bool:
    """Whether `layer` adds or multiplies more than two tensors at once."""
    return isinstance(layer, (keras.layers.Add, keras.layers.Multiply)) and len(args[0]) > 2


def is_elementwise(layer: Any) -> bool:
    """Whether `layer` does the same to a series as to an image of height 1."""
    if isinstance(layer, keras.layers.BatchNormalization):
        return layer.axis == -1
    return isinstance(layer, (keras.layers.ReLU, keras.layers.LeakyReLU, keras.layers.Activation)) and (
        getattr(layer, "activation", None) is not keras.activations.softmax
    )


def _activity(layer: Any) -> Any:
    """What is asked of the output of the layer that computes it; of an activation's, see `_activation`."""
    return layer.activity_regularizer if layer.activation is keras.activations.linear else None


def _activation(layer: Any) -> Chain:
    if layer.activation is keras.activations.linear:
        return []
    activation = keras.layers.Activation(
        layer.activation, activity_regularizer=layer.activity_regularizer, name=f"{layer.name}_activation"
    )
    return expand(activation) or [(activation, [])]


def einsum(layer: keras.layers.EinsumDense) -> Chain:
    """A Dense layer between reshapes; empty where the kernel is no matrix from the last inputs to the last outputs."""
    read, rest = layer.equation.replace(" ", "").split(",")
    kernel, out = rest.split("->")
    table, sizes = layer.get_weights()[0], dict(zip(kernel, layer.kernel.shape, strict=True))
    summed = [letter for letter in kernel if letter not in out]
    made = [letter for letter in kernel if letter in out]
    lead = read[: len(read) - len(summed)]
    plain = "".join((*summed, *made)) == kernel and read == lead + "".join(summed) and out == lead + "".join(made)
    if not plain or not summed or not made or not lead or "..." in layer.equation:
        return []
    shape = [None if size is None else int(size) for size in layer.input.shape[1 : len(lead)]]
    if shape.count(None) > 1:
        return []
    rows = [-1 if size is None else size for size in shape]
    inputs, outputs = ([sizes[letter] for letter in letters] for letters in (summed, made))
    units = int(np.prod(outputs))
    weights = [table.reshape(-1, units)]
    if layer.bias is not None:
        weights.append(np.broadcast_to(layer.get_weights()[1], outputs).reshape(units))
    dense = keras.layers.Dense(
        units,
        use_bias=layer.bias is not None,
        kernel_regularizer=layer.kernel_regularizer,
        bias_regularizer=layer.bias_regularizer,
        kernel_constraint=shaped(layer.kernel_constraint, table.shape),
        # One of a bias that several outputs share has no meaning for a bias each.
        bias_constraint=shaped(layer.bias_constraint, outputs) if layer.bias_axes == "".join(made) else None,
        activity_regularizer=_activity(layer),
        trainable=layer.trainable,
        name=layer.name,
    )
    chain: Chain = [(dense, weights), *_activation(layer)]
    if len(inputs) > 1:
        chain.insert(0, (keras.layers.Reshape((*rows, int(np.prod(inputs))), name=f"{layer.name}_flat"), []))
    if len(outputs) > 1:
        chain.append((keras.layers.Reshape((*rows, *outputs), name=f"{layer.name}_split"), []))
    return chain


def _affine(layer: Any) -> Chain:
    channels = layer.input.shape[-1]
    if isinstance(layer, keras.layers.Rescaling):
        scale, offset = layer.scale, layer.offset
    elif layer.axis in ((-1,), (len(layer.input.shape) - 1,)) and not layer.invert:
        deviation = np.maximum(np.sqrt(np.asarray(layer.variance)), keras.backend.epsilon())
        scale, offset = 1 / deviation, -np.asarray(layer.mean) / deviation
    else:
        return []
    return [_norm(layer.name, channels, scale, offset, trainable=False)]


def _norm(
    name: str, channels: int, scale: Any, offset: Any, *, trainable: bool, **more: Any
) -> tuple[Any, list[np.ndarray]]:
    """A scale and an offset for each channel, as a batch normalisation of inputs that are normal already."""
    numbers = [np.broadcast_to(np.ravel(value), (channels,)) for value in (scale, offset, 0.0, 1.0)]
    norm = keras.layers.BatchNormalization(epsilon=0.0, trainable=trainable, name=name, **more)
    return norm, [number.astype(np.float32) for number in numbers]


def _layer_norm(layer: Any) -> Chain:
    scale = 1.0 if layer.gamma is None else layer.gamma
    offset = 0.0 if layer.beta is None else layer.beta
    channels = layer.input.shape[-1]
    norm = _norm(layer.name, channels, scale, offset, trainable=layer.trainable, **asked(layer))
    return [(Standardized(layer.epsilon, name=f"{layer.name}_standardized"), []), norm]


def _separable(layer: Any) -> Chain:
    config, weights = layer.get_config(), layer.get_weights()
    shared = {"dtype": config["dtype"], "trainable": config["trainable"]}
    one = "1D" in type(layer).__name__
    depthwise = getattr(keras.layers, "DepthwiseConv1D" if one else "DepthwiseConv2D")(
        layer.kernel_size,
        strides=layer.strides,
        padding=layer.padding,
        depth_multiplier=layer.depth_multiplier,
        dilation_rate=layer.dilation_rate,
        use_bias=False,
        depthwise_regularizer=layer.depthwise_regularizer,
        depthwise_constraint=layer.depthwise_constraint,
        name=f"{layer.name}_depthwise",
        **shared,
    )
    pointwise = getattr(keras.layers, "Conv1D" if one else "Conv2D")(
        layer.filters,
        1,
        use_bias=layer.use_bias,
        kernel_regularizer=layer.pointwise_regularizer,
        bias_regularizer=layer.bias_regularizer,
        kernel_constraint=layer.pointwise_constraint,
        bias_constraint=layer.bias_constraint,
        activity_regularizer=_activity(layer),
        name=layer.name,
        **shared,
    )
    chain: Chain = [(depthwise, weights[:1]), (pointwise, weights[1:]), *_activation(layer)]
    if not one:
        return chain
    return [*_lift(depthwise, weights[:1]), *_lift(pointwise, weights[1:]), *_activation(layer)]


def _series(layer: Any) -> Chain:
    return [*_lift(layer, layer.get_weights()), *_activation(layer)]


def _lift(layer: Any, weights: list[np.ndarray]) -> Chain:
    """A convolution over `(batch, steps, channels)` as one over `(batch, 1, steps, channels)`."""
    config = layer.get_config()
    depthwise = "Depthwise" in type(layer).__name__
    kernel = weights[0]
    channels = kernel.shape[1] * (1 if depthwise else layer.groups)
    causal = layer.padding == "causal"
    for key in ("kernel_size", "strides", "dilation_rate"):
        config[key] = (1, *config[key])
    config["activity_regularizer"] = _activity(layer)
    constraint = "depthwise_constraint" if depthwise else "kernel_constraint"
    config[constraint] = shaped(getattr(layer, constraint), kernel.shape)
    config.update(activation="linear", padding="valid" if causal else layer.padding, data_format="channels_last")
    if depthwise:  # these two are what a Conv carries and a DepthwiseConv2D does not take
        config = {k: v for k, v in config.items() if k not in ("filters", "groups")}
    name = layer.name
    conv = (keras.layers.DepthwiseConv2D if depthwise else keras.layers.Conv2D).from_config(config)
    chain: Chain = [(keras.layers.Reshape((1, -1, channels), name=f"{name}_as_image"), [])]
    if causal:
        left = layer.dilation_rate[0] * (layer.kernel_size[0] - 1)
        chain.append((keras.layers.ZeroPadding2D(((0, 0), (left, 0)), name=f"{name}_causal"), []))
    filters = kernel.shape[1] * kernel.shape[2] if depthwise else layer.filters
    chain.append((conv, [kernel[np.newaxis], *weights[1:]]))
    chain.append((keras.layers.Reshape((-1, filters), name=f"{name}_as_series"), []))
    return chain
