"""What a target runs: the operators it has, and what it asks of them, checked in the file."""

import re
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from compress import flatbuffer
from compress.forms import FORMS
from compress.rules import Finding, Target

FORMATS: dict[Target, tuple[str, ...]] = {
    "cpu": FORMS,
    "integer": FORMS,
    "microcontroller": ("int8", "none"),
    "edgetpu": ("int8",),
    "gpu": ("float16", "none"),
}
"""The number formats that a target computes in: TFLite Micro has kernels neither of integer weights over floats nor
of half precision, the Edge TPU integers of 8 bits alone, and GPUs compute in floats. Of 16-bit activations TFLite Micro
has some operators, and of the delegate for GPUs integer weights are told; neither was tried, so neither is offered."""


def _names(words: str) -> frozenset[str]:
    return frozenset(words.split())


MICRO_OPS = _names(
    "ABS ADD ADD_N ARG_MAX ARG_MIN ASSIGN_VARIABLE AVERAGE_POOL_2D BATCH_MATMUL BATCH_TO_SPACE_ND "
    "BROADCAST_ARGS BROADCAST_TO CALL_ONCE CAST CEIL CONCATENATION CONV_2D COS CUMSUM DEPTHWISE_CONV_2D "
    "DEPTH_TO_SPACE DEQUANTIZE DIV DYNAMIC_UPDATE_SLICE ELU EMBEDDING_LOOKUP EQUAL EXP EXPAND_DIMS FILL "
    "FLOOR FLOOR_DIV FLOOR_MOD FULLY_CONNECTED GATHER GATHER_ND GREATER GREATER_EQUAL HARD_SWISH IF "
    "L2_NORMALIZATION L2_POOL_2D LEAKY_RELU LESS LESS_EQUAL LOG LOGICAL_AND LOGICAL_NOT LOGICAL_OR "
    "LOGISTIC LOG_SOFTMAX MAXIMUM MAX_POOL_2D MEAN MINIMUM MIRROR_PAD MUL NEG NOT_EQUAL PACK PAD PADV2 "
    "PRELU QUANTIZE READ_VARIABLE REDUCE_ALL REDUCE_MAX REDUCE_MIN RELU RELU6 RESHAPE RESIZE_BILINEAR "
    "RESIZE_NEAREST_NEIGHBOR REVERSE_V2 ROUND RSQRT SELECT_V2 SHAPE SIN SLICE SOFTMAX SPACE_TO_BATCH_ND "
    "SPACE_TO_DEPTH SPLIT SPLIT_V SQRT SQUARE SQUARED_DIFFERENCE SQUEEZE STRIDED_SLICE SUB SUM SVDF TANH "
    "TRANSPOSE TRANSPOSE_CONV UNIDIRECTIONAL_SEQUENCE_LSTM UNPACK VAR_HANDLE WHILE ZEROS_LIKE "
)
"""Builtin operators of TFLite Micro: those that its Python interpreter registers (tensorflow/tflite-micro,
`python/tflite_micro/python_ops_resolver.cc` at 8f6596d, of which the wheel 0.dev20261023182759 was built), found by
asking that wheel for each operator of the schema."""

# The rows behind ResizeBilinear are written from memory of the page: compare them when it can be read whole.
EDGETPU_OPS = _names(
    "ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D EXPAND_DIMS FULLY_CONNECTED "
    "L2_NORMALIZATION LOGISTIC UNIDIRECTIONAL_SEQUENCE_LSTM MAXIMUM MAX_POOL_2D MEAN MINIMUM MUL PACK PAD "
    "PRELU QUANTIZE REDUCE_MAX REDUCE_MIN RELU RELU6 RELU_N1_TO_1 RESHAPE RESIZE_BILINEAR "
    "RESIZE_NEAREST_NEIGHBOR RSQRT SLICE SOFTMAX SPACE_TO_DEPTH SPLIT SQUEEZE STRIDED_SLICE SUB SUM "
    "SQUARED_DIFFERENCE TANH TRANSPOSE TRANSPOSE_CONV "
)
"""Operators of the Edge TPU compiler, runtime version 14: coral.ai, "TensorFlow models on the Edge TPU", table 1 of
"Supported operations" (developer.axis.com has the same table for the ARTPEC-7's Edge TPU)."""

GPU_OPS = _names(
    "ABS ADD ADD_N ATAN2 AVERAGE_POOL_2D BATCH_MATMUL CAST CEIL CONCATENATION CONV_2D COS CUMSUM DENSIFY "
    "DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE DIV DYNAMIC_UPDATE_SLICE ELU EMBEDDING_LOOKUP EQUAL EXP "
    "FLOOR FLOOR_DIV FLOOR_MOD FULLY_CONNECTED GATHER GELU GREATER GREATER_EQUAL HARD_SWISH LEAKY_RELU "
    "LESS LESS_EQUAL LOG LOGICAL_AND LOGISTIC LSTM MAXIMUM MAX_POOL_2D MEAN MINIMUM MIRROR_PAD MUL NEG "
    "NOT_EQUAL ONE_HOT PACK PAD PADV2 POW PRELU QUANTIZE REDUCE_MAX REDUCE_MIN REDUCE_PROD RELU RELU6 "
    "RELU_N1_TO_1 RESHAPE RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR RSQRT SELECT SELECT_V2 SIGN SIN SLICE "
    "SOFTMAX SPACE_TO_DEPTH SPLIT SPLIT_V SQRT SQUARE SQUARED_DIFFERENCE STRIDED_SLICE SUB SUM TANH TILE "
    "TRANSPOSE TRANSPOSE_CONV "
)
"""Operators of the GPU delegate: tensorflow/tensorflow, `lite/tools/versioning/gpu_compatibility.cc` at 03a5e4e. The
shapes that it asks for are not checked. (LiteRT's own analyzer of 2.3 calls every file compatible.)"""

_RUNNERS: dict[Target, tuple[str, frozenset[str]]] = {
    "microcontroller": ("TFLite Micro", MICRO_OPS),
    "edgetpu": ("the Edge TPU", EDGETPU_OPS),
    "gpu": ("the GPU delegate", GPU_OPS),
}
_INSTEAD = {
    "WHILE": "take an LSTM with tanh and sigmoid, or quantize after training, which writes the steps out",
    "LEAKY_RELU": "take ReLU, or PReLU(shared_axes=[1, 2])",
    "ELU": "take ReLU",
    "GELU": "take ReLU",
    "HARD_SWISH": "take ReLU(6)",
    "BATCH_MATMUL": "take convolutions in place of attention",
    "GATHER": "compute it (an embedding, a reversed series) before the model",
    "UNPACK": "take an LSTM with tanh and sigmoid, or convolutions over the steps",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "take convolutions over the steps",
}
_KERNELS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
_SOFTMAX_MOST = 16_000


def mismatch(quantize: str, target: Target) -> tuple[str, str] | None:
    """That `target` does not compute in the number format `quantize`, and what to give; None where it does."""
    if quantize in FORMATS[target]:
        return None
    return (
        f"target={target!r} does not compute in {quantize!r}",
        f"give quantize={' or '.join(map(repr, FORMATS[target]))}",
    )


def limits(content: bytes, model: keras.Model, target: Target) -> list[Finding]:
    """What of a file the target does not run, each with the layer that it comes from; nothing for `cpu` and `integer`.

    For the Edge TPU this is its compiler's published table and requirements: integers in, out and throughout, its
    operators and the limits of their attributes. The compiler has not been run, which leaves more operators to the CPU
    where tensors are large.
    """
    if target not in _RUNNERS:
        return []
    runner, known = _RUNNERS[target]
    found: dict[tuple[str, str], Finding] = {}
    for name, operator, inputs, output, constants in _operators(content):
        if name in known:
            problem = _problem(name, operator, inputs, output, constants, target)
        else:
            problem = f"{runner} has no operator {name}", _INSTEAD.get(name, "take another layer there")
        if problem is not None:
            layer = _layer(model, output)
            found[layer, problem[0]] = Finding(layer, *problem, "refused")
    return list(found.values())


def _operators(content: bytes) -> Iterator[tuple[str, Any, list[Any], Any, list[Any]]]:
    """Of all graphs, loops too: an operator's name, itself, its inputs, its first output, the data of its inputs.

    One that gives nothing, such as to set a variable, has its first input for an output, or None.
    """
    model = flatbuffer.unpack(content, origin="the file")
    for graph in model.subgraphs:
        for operator in graph.operators:
            inputs = [graph.tensors[index] for index in operator.inputs if index >= 0]
            constants = [model.buffers[each.buffer].data for each in inputs]
            made = [graph.tensors[index] for index in operator.outputs]
            yield flatbuffer.name_of(model, operator), operator, inputs, next(iter(made or inputs), None), constants


def _problem(
    name: str, operator: Any, inputs: list[Any], output: Any, constants: list[Any], target: Target
) -> tuple[str, str] | None:
    """What the target has against an operator that it knows, and what to do."""
    types = schema.TensorType
    if target == "microcontroller":
        if name in _KERNELS and inputs[0].type == types.FLOAT32 and inputs[1].type in (types.INT8, types.INT4):
            problem = f"TFLite Micro has no {name} of int8 weights over floats"
            return problem, "take an LSTM with tanh and sigmoid, or a layer that has an integer form"
        return None
    return _edgetpu(name, operator, inputs, output, constants) if target == "edgetpu" else None


def _edgetpu(name: str, operator: Any, inputs: list[Any], output: Any, constants: list[Any]) -> tuple[str, str] | None:
    types, options = schema.TensorType, operator.builtinOptions
    shape = [] if output.shape is None else [int(size) for size in output.shape]
    if types.FLOAT32 in {each.type for each in (*inputs, output)}:
        return f"{name} computes in floats, and the Edge TPU in integers alone", "take a layer that has an integer form"
    if any(each.type == types.INT4 for each in inputs):
        return f"{name} has a kernel of 4 bits, and the Edge TPU 8 alone", "quantize_aware(bits=8)"
    if any(size > 1 for size in shape[:-3]):
        return f"{name} gives {tuple(shape)}; only the last three sizes may be above 1", "reshape it"
    fused = getattr(options, "fusedActivationFunction", 0)
    if name in ("AVERAGE_POOL_2D", "MAX_POOL_2D", "CONCATENATION") and fused:
        return f"the Edge TPU has no {name} with an activation in it", "put the activation before"
    if name in ("CONV_2D", "DEPTHWISE_CONV_2D") and options.dilationHFactor != options.dilationWFactor:
        return f"{name} dilates height and width differently", "give both the same dilation_rate"
    if name == "PRELU" and int(np.prod(inputs[1].shape)) != inputs[1].shape[-1]:
        return "PRELU has slopes of more than the channels", "give PReLU shared_axes=[1, 2]"
    if name == "STRIDED_SLICE" and (np.asarray(constants[3], np.uint8).view(np.int32) != 1).any():
        return "the Edge TPU has no STRIDED_SLICE that skips values", "take a pooling or a convolution with strides"
    if name == "SOFTMAX" and (int(np.prod(shape)) != shape[-1] or shape[-1] > _SOFTMAX_MOST):
        return f"SOFTMAX gives {tuple(shape)}; the Edge TPU has one row of at most 16,000", "leave it to the caller"
    if name == "FULLY_CONNECTED" and int(np.prod(shape)) != shape[-1]:
        return f"FULLY_CONNECTED gives {tuple(shape)}; the Edge TPU has one row", "take Conv1D(…, 1) or Conv2D(…, 1)"
    return None


def _layer(model: keras.Model, tensor: Any) -> str:
    """The same for a tensor of the file; an output of the model bears the file's name for it, not the layer's."""
    if tensor is None:
        return model.name
    name = tensor.name.decode(errors="replace")
    if (place := re.fullmatch(r"(?:Stateful)?PartitionedCall(?:_\d+)?:(\d+)", name)) and len(model.outputs) > int(
        place[1]
    ):
        return str(model.outputs[int(place[1])]._keras_history.operation.name)
    return layer_of(model, name)


def layer_of(model: keras.Model, tensor: str) -> str:
    """The layer that a tensor comes from, told by its name; the model where no layer is in it."""
    known = {layer.name for layer in model._flatten_layers(include_self=False) if not isinstance(layer, keras.Model)}
    for segment in re.split(r"[/;:@]", tensor):
        for name in (segment, re.sub(r"_\d+$", "", segment)):
            if name in known:
                return name
    return model.name
