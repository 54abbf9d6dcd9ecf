"""A repair of the converter's float islands: int8 that goes into a product with float weights becomes float first.

Where a tensor of int8 is read by several products of a layer that stays float, the converter of TensorFlow 2.21 leaves
the DEQUANTIZE before one of them out, and the runtime does not prepare the file.
"""

from typing import Any

from ai_edge_litert import schema_py_generated as schema

from compress import flatbuffer

_PRODUCTS = ("FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D", "BATCH_MATMUL")


def entered(content: bytes) -> bytes:
    """The file with a DEQUANTIZE before each such product; without one it is given back as it is."""
    if not {"QUANTIZE", "DEQUANTIZE"} & flatbuffer.operators(content):
        return content
    model = flatbuffer.unpack(content, origin="the converted file")
    graph = model.subgraphs[0]
    if not any(_lacks(model, operator) for operator in graph.operators):
        return content
    flatbuffer.inline(model, content)
    operators = []
    for operator in graph.operators:
        if _lacks(model, operator):
            operators.append(_dequantized(model, operator))
        operators.append(operator)
    graph.operators = operators
    return flatbuffer.pack(model, size=len(content))


def _lacks(model: Any, operator: Any) -> bool:
    """Whether a product of float weights reads int8."""
    if flatbuffer.name_of(model, operator) not in _PRODUCTS:
        return False
    tensors = model.subgraphs[0].tensors
    first, second, out = (tensors[index].type for index in (*operator.inputs[:2], operator.outputs[0]))
    kinds = schema.TensorType
    return bool(first == kinds.INT8 and second == kinds.FLOAT32 and out == kinds.FLOAT32)


def _dequantized(model: Any, operator: Any) -> Any:
    """Let `operator` read a new float tensor; the operator that makes it of the one that it read."""
    graph = model.subgraphs[0]
    read = operator.inputs[0]
    before, fresh = graph.tensors[read], schema.TensorT()
    fresh.name, fresh.shape, fresh.shapeSignature = before.name + b"_float", before.shape, before.shapeSignature
    fresh.type, fresh.buffer = schema.TensorType.FLOAT32, 0
    graph.tensors.append(fresh)
    operator.inputs = [len(graph.tensors) - 1, *operator.inputs[1:]]
    dequantize = schema.OperatorT()
    dequantize.opcodeIndex = flatbuffer.code_of(model, schema.BuiltinOperator.DEQUANTIZE)
    dequantize.inputs, dequantize.outputs = [read], [operator.inputs[0]]
    return dequantize
