"""Embeddings as EMBEDDING_LOOKUP, whose table can be int8 with a scale for each row.

The converter writes an Embedding layer as GATHER. Of that ai-edge-quantizer (version 0.10) leaves the table in float
where only weights are quantized, and a GATHER of int8 would have one scale for all rows. EMBEDDING_LOOKUP gives floats
from an int8 table (LiteRT's `embedding_lookup.cc`, EvalHybrid) and takes numbers of rows along one axis only.
"""

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from compress import flatbuffer

_OPS, _TYPES = schema.BuiltinOperator, schema.TensorType


def look_up(content: bytes) -> bytes:
    """The float file with each GATHER of rows of a constant table as an EMBEDDING_LOOKUP. It computes the same."""
    model = flatbuffer.unpack(content, origin="the converted file")
    if not any(_is_embedding(model, graph, each) for graph in model.subgraphs for each in graph.operators):
        return content
    flatbuffer.inline(model, content)
    for graph in model.subgraphs:
        operators = []
        for operator in graph.operators:
            operators += _looked_up(model, graph, operator) if _is_embedding(model, graph, operator) else [operator]
        graph.operators = operators
    return flatbuffer.pack(model, size=len(content))


def _is_embedding(model: Any, graph: Any, operator: Any) -> bool:
    """Whether it gathers whole rows of a float table that lies in the file, by int32 numbers."""
    if model.operatorCodes[operator.opcodeIndex].builtinCode != _OPS.GATHER:
        return False
    table, rows = (graph.tensors[index] for index in operator.inputs)
    shapes = table.shape, rows.shape, graph.tensors[operator.outputs[0]].shape
    buffer, options = model.buffers[table.buffer], operator.builtinOptions
    return (
        all(shape is not None and np.all(np.greater(shape, 0)) for shape in shapes)
        and (len(table.shape), table.type, rows.type) == (2, _TYPES.FLOAT32, _TYPES.INT32)
        and (buffer.data is not None or buffer.offset > 1)
        and options.axis == options.batchDims == 0
    )


def _looked_up(model: Any, graph: Any, operator: Any) -> list[Any]:
    """RESHAPE of the numbers to one axis, EMBEDDING_LOOKUP, RESHAPE of the rows to the shape that is wanted."""
    table, rows = operator.inputs
    wanted = operator.outputs[0]
    width, count = graph.tensors[table].shape[1], int(np.prod(graph.tensors[rows].shape))
    flat = _like(graph, rows, (count,), b"_flat")
    found = _like(graph, wanted, (count, width), b"_rows")
    return [
        _reshape(model, graph, rows, flat),
        _operator(model, _OPS.EMBEDDING_LOOKUP, [flat, table], found),
        _reshape(model, graph, found, wanted),
    ]


def _like(graph: Any, index: int, shape: tuple[int, ...], ending: bytes) -> int:
    """A new tensor, of another shape, named after the one at `index`."""
    before, fresh = graph.tensors[index], schema.TensorT()
    fresh.name, fresh.type, fresh.buffer = before.name + ending, before.type, 0
    fresh.shape, fresh.hasRank = np.array(shape, np.int32), True
    graph.tensors.append(fresh)
    return len(graph.tensors) - 1


def _reshape(model: Any, graph: Any, source: int, target: int) -> Any:
    shape = np.array(graph.tensors[target].shape, np.int32)
    buffer = schema.BufferT()
    buffer.data = shape.view(np.uint8)
    model.buffers.append(buffer)
    constant = schema.TensorT()
    constant.name, constant.type = graph.tensors[target].name + b"_shape", _TYPES.INT32
    constant.shape, constant.hasRank = np.array(shape.shape, np.int32), True
    constant.buffer = len(model.buffers) - 1
    graph.tensors.append(constant)
    operator = _operator(model, _OPS.RESHAPE, [source, len(graph.tensors) - 1], target)
    operator.builtinOptionsType = schema.BuiltinOptions.ReshapeOptions
    operator.builtinOptions = schema.ReshapeOptionsT()
    operator.builtinOptions.newShape = shape
    return operator


def _operator(model: Any, code: int, inputs: list[int], output: int) -> Any:
    operator = schema.OperatorT()
    operator.opcodeIndex = flatbuffer.code_of(model, code)
    operator.inputs, operator.outputs = inputs, [output]
    return operator
