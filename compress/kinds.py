"""What each layer and operation means for int8: where a weight is, and where a range begins."""

from typing import Any, Literal

import keras

from compress.wrapper import Compressed, weights_of

Kind = Literal["weights", "table", "norm", "own", "same", "round", "fixed", "float"]
"""`weights`: its kernel gets a fake-quant, its output a range. `table`: its weights get a fake-quant, and its output,
rows of them, lies on their steps; looked up several times, each has a range as well. `norm`: batch normalisation.
`own`: its output gets a range. `same`: LiteRT asks for
one scale on input and output, so it shares its input's range. `round`: the same, but it computes new values that fall
between steps. `fixed`: LiteRT prescribes the output range. `float`: not known to have an integer form."""

_WEIGHTS = {
    "Conv1D", "Conv2D", "DepthwiseConv1D", "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D",
    "Conv2DTranspose", "Dense", "EinsumDense",
}  # fmt: skip
_OWN = {
    "Add", "Subtract", "Multiply", "Maximum", "Minimum", "Concatenate",
    "GlobalAveragePooling1D", "GlobalAveragePooling2D", "ReLU", "LeakyReLU", "PReLU",
    "Mean", "Sum", "Square", "Rsqrt", "Sqrt", "Divide", "TrueDivide", "Exp", "Matmul", "Where", "OnesLike",
    "Relu", "Relu6", "LeakyRelu", "Silu", "HardSilu", "Gelu",
}  # fmt: skip
_SAME = {
    "Dropout", "SpatialDropout1D", "SpatialDropout2D", "GaussianDropout", "GaussianNoise", "Identity",
    "StochasticDepth", "Flatten", "Reshape", "Permute", "ZeroPadding1D", "ZeroPadding2D", "Cropping1D", "Cropping2D",
    "MaxPooling1D", "GlobalMaxPooling1D", "GlobalMaxPooling2D", "AdaptiveMaxPooling1D", "AdaptiveMaxPooling2D",
    "Masking", "MaxPool", "Max", "Min", "StopGradient", "BroadcastTo", "Transpose", "Squeeze", "ExpandDims", "GetItem",
    "Split",
}  # fmt: skip
_ROUND = {
    "AveragePooling1D", "AveragePooling2D", "AdaptiveAveragePooling1D", "AdaptiveAveragePooling2D", "AveragePool",
    "MaxPooling2D",
}  # fmt: skip
"""With MaxPooling2D, which makes no new values: read by several layers, it would else become a float island."""
_ACTIVATIONS: dict[str, Kind] = {
    "linear": "same", "relu": "own", "relu6": "own", "leaky_relu": "own", "silu": "own", "hard_silu": "own",
    "gelu": "own",
    "softmax": "fixed", "sigmoid": "fixed", "tanh": "fixed",
}  # fmt: skip
_INTERPOLATION: dict[str, Kind] = {"nearest": "same", "bilinear": "round"}
_FIXED = {"softmax": (0.0, 255 / 256), "sigmoid": (0.0, 255 / 256), "tanh": (-1.0, 127 / 128)}
"""LiteRT 8-bit quantization specification: SOFTMAX and LOGISTIC have scale 1/256 and zero point -128, TANH 1/128
and 0."""


def kind(operation: Any) -> Kind:
    """What `operation` (a layer or a `keras.ops` node) is to the quantizer.

    A user's own layer is `float`, unless its `int8_weights` names the weights that lie as int8 in a file, one step for
    each, and all that it computes has an integer form.
    """
    operation = core(operation)
    name = type(operation).__name__
    if getattr(operation, "int8_weights", ()):
        return "weights"
    if not type(operation).__module__.startswith("keras."):
        return "float"
    if name == "Embedding":
        return "table"
    if name == "ReversibleEmbedding":
        return "float" if operation.logit_soft_cap or operation.mask_zero else "table"
    if name == "Dot":
        return "float" if operation.normalize else "own"
    if recurrent_weights(operation):
        return "weights"
    if name in _SAME:  # before the layout: padding channels_first is padding all the same
        return "same"
    if getattr(operation, "data_format", None) == "channels_first":
        return "float"
    if name == "Pad":
        return "same" if operation.mode == "constant" and not _fills(operation) else "float"
    if name == "BatchNormalization":
        last = operation.axis == -1 or operation.axis == len(operation.input.shape) - 1
        return "norm" if last else "float"
    if name == "ReLU" and not _runtime_relu(operation):
        return "float"
    if name in ("UpSampling2D", "Resizing"):
        return _INTERPOLATION.get(operation.interpolation, "float")
    if name in _WEIGHTS:
        return "weights"
    if name in _ROUND:
        return "round"
    if activation_name(operation) in _ACTIVATIONS:
        return _ACTIVATIONS[activation_name(operation)]
    return "own" if name in _OWN else "float"


def _fills(pad: Any) -> bool:
    """Whether a `keras.ops.pad` fills with another number than zero."""
    calls = [node.arguments for node in pad._inbound_nodes]
    return any((*call.args[1:2], call.kwargs.get("constant_values"))[0] for call in calls)


def core(operation: Any) -> Any:
    """The layer itself, behind its wrapper where it has one."""
    return operation.layer if isinstance(operation, Compressed) else operation


def quantized_weights(layer: Any) -> tuple[str, ...]:
    """Names of the weights of a layer of kind `weights` or `table` that get a fake-quant."""
    if getattr(layer, "int8_weights", ()):
        return tuple(layer.int8_weights)
    if found := recurrent_weights(layer):
        return tuple(found)
    if isinstance(layer, keras.layers.Embedding):
        return ("embeddings",) if getattr(layer, "tie_weights", True) else ("embeddings", "reverse_embeddings")
    return ("kernel",)


_GATES = {"LSTM": 4, "GRU": 3, "SimpleRNN": 1}


def recurrent_weights(layer: Any) -> dict[str, int]:
    """Names of the kernels of an LSTM, GRU or SimpleRNN, in one direction or both, and how many gates each has.

    Nothing for other layers, and for those that keep a state or hand it out.
    """
    both = [layer]
    if type(layer) is keras.layers.Bidirectional:
        both = [layer.forward_layer, layer.backward_layer]
    if any(type(each).__name__ not in _GATES or each.stateful or each.return_state for each in both):
        return {}
    gates = _GATES[type(both[0]).__name__]
    return {key: gates for key in weights_of(layer) if key.rsplit("/", 1)[-1] in ("kernel", "recurrent_kernel")}


def activation_name(operation: Any) -> str:
    """`relu` for an `Activation("relu")` layer, `softmax` for a `Softmax` layer or operation, else empty."""
    name = type(operation).__name__
    if name == "Activation":
        return getattr(operation.activation, "__name__", "")
    return name.lower() if name in ("Softmax", "Sigmoid", "Tanh") else ""


def fixed_range(operation: Any, bits: int = 8) -> tuple[float, float]:
    """Lowest and highest real value of a `fixed` operation's output; of 16 bits all have scale 1/32768."""
    if bits == 16:
        return -32767 / 32768, 32767 / 32768
    return _FIXED[activation_name(operation)]


def fuses(operation: Any) -> bool:
    """Whether the runtime computes `operation` inside the convolution or sum before it (ReLU and ReLU6)."""
    name = type(operation).__name__
    if name == "ReLU" and (operation.negative_slope or not _runtime_relu(operation)):
        return False
    return name in ("Relu", "Relu6", "ReLU") or activation_name(operation) in ("relu", "relu6")


def _runtime_relu(layer: keras.layers.ReLU) -> bool:
    """LiteRT has RELU, RELU6 and LEAKY_RELU; other thresholds and ceilings become several float operations."""
    if layer.threshold:
        return False
    return layer.max_value is None if layer.negative_slope else layer.max_value in (None, 6)
