"""Repairs of the converter's LSTM: a bound of its cell state; in int8 also scales, and masks before it.

The converter bounds the cell state of the fused operator to 10 (`lstm_utils.cc`, cell_clip), which an LSTM of Keras
does not: one that counts over a long series goes beyond, and the file then answers otherwise.

The kernel of UNIDIRECTIONAL_SEQUENCE_LSTM rounds its hidden state by the operator's fifth intermediate tensor
(`lstm_eval.cc`, effective_hidden_scale), and feeds it back and puts it out as it is; so the output and the variable
tensor that keeps it must have that very scale. The converter of TensorFlow 2.21 gives the output whatever scale the
operators behind it want (a concatenation wants one for all its inputs), and the file then computes something else.

The converter sees the cell state after the last step only, and bounded: one that falls back by then would saturate in
between. So its range is taken 64 times as wide; of the 16 bits, ten are left below the last state, two more than the
hidden state has. The kernel's tanh of it knows ranges from ±1 to ±64 (`PortableApplyTanh`: 0 to 6 integer bits); at any
other it writes nothing.

What Keras's Masking compares with zero the converter brings back to float; the integers compare as well.
"""

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from compress import flatbuffer

_ROOM = 64.0
_HIDDEN = 4  # of the intermediate tensors
_OUTPUT_STATE, _CELL_STATE = 18, 19  # of the inputs, of which some are left out in the file


def unbound(content: bytes) -> bytes:
    """The file with fused LSTMs whose cell state has no bound, as that of Keras has none."""
    if "UNIDIRECTIONAL_SEQUENCE_LSTM" not in flatbuffer.operators(content):
        return content
    model = flatbuffer.unpack(content, origin="the converted file")
    flatbuffer.inline(model, content)
    for graph in model.subgraphs:
        for operator in graph.operators:
            if _is(model, operator, "UNIDIRECTIONAL_SEQUENCE_LSTM"):
                operator.builtinOptions.cellClip = 0.0
    return flatbuffer.pack(model, size=len(content))


def mend(content: bytes) -> bytes:
    """The file with each int8 LSTM's output on its own scale, brought to the wanted one by a QUANTIZE operator.

    Masks are told from integers. A file with neither is given back as it is.
    """
    if not {"UNIDIRECTIONAL_SEQUENCE_LSTM", "NOT_EQUAL"} & flatbuffer.operators(content):
        return content
    model = flatbuffer.unpack(content, origin="the converted file")
    flatbuffer.inline(model, content)
    graph = model.subgraphs[0]
    operators = []
    for operator in graph.operators:
        operators.append(operator)
        if not _is(model, operator, "UNIDIRECTIONAL_SEQUENCE_LSTM") or operator.intermediates is None:
            continue
        output, hidden = graph.tensors[operator.outputs[0]], graph.tensors[operator.intermediates[_HIDDEN]]
        if output.type != schema.TensorType.INT8:
            continue
        cell = graph.tensors[operator.inputs[_CELL_STATE]].quantization
        cell.scale = np.clip(_ROOM * cell.scale, 2.0**-15, 2.0**-9)
        state = graph.tensors[operator.inputs[_OUTPUT_STATE]]
        state.quantization = hidden.quantization
        if _scale(output) != _scale(hidden):
            operators.append(_requantized(model, operator, hidden.quantization))
    graph.operators = operators
    _compare_integers(model)
    return flatbuffer.pack(model, size=len(content))


def _compare_integers(model: Any) -> None:
    """Let NOT_EQUAL compare int8 with its zero point, where it compares what DEQUANTIZE makes of it with 0."""
    graph = model.subgraphs[0]
    dequantized = {each.outputs[0]: each for each in graph.operators if _is(model, each, "DEQUANTIZE")}
    for operator in graph.operators:
        if not _is(model, operator, "NOT_EQUAL") or operator.inputs[0] not in dequantized:
            continue
        zero = graph.tensors[operator.inputs[1]]
        data, source = model.buffers[zero.buffer].data, dequantized[operator.inputs[0]].inputs[0]
        if data is None or np.any(np.asarray(data, np.uint8)):
            continue
        before, point = graph.tensors[source], schema.TensorT()
        point.name, point.shape, point.type = zero.name + b"_int8", zero.shape, before.type
        point.quantization, point.buffer = before.quantization, len(model.buffers)
        buffer = schema.BufferT()
        count = int(np.prod(zero.shape)) if zero.shape is not None else 1
        buffer.data = np.full(count, _scale(before)[1], np.int8).view(np.uint8)
        model.buffers.append(buffer)
        graph.tensors.append(point)
        operator.inputs = [source, len(graph.tensors) - 1]
        code = model.operatorCodes[operator.opcodeIndex]
        code.version = max(code.version, 2)  # the first that takes int8
    read = {index for operator in graph.operators for index in operator.inputs} | set(graph.outputs)
    graph.operators = [
        each for each in graph.operators if each.outputs[0] in read or not _is(model, each, "DEQUANTIZE")
    ]


def _is(model: Any, operator: Any, name: str) -> bool:
    return bool(model.operatorCodes[operator.opcodeIndex].builtinCode == getattr(schema.BuiltinOperator, name))


def _scale(tensor: Any) -> tuple[float, int]:
    return float(tensor.quantization.scale[0]), int(tensor.quantization.zeroPoint[0])


def _requantized(model: Any, operator: Any, quantization: Any) -> Any:
    """Let `operator` put out a new tensor of this quantization; the operator that makes the old one of it."""
    graph = model.subgraphs[0]
    wanted = operator.outputs[0]
    before, fresh = graph.tensors[wanted], schema.TensorT()
    fresh.name, fresh.shape, fresh.type = before.name + b"_hidden", before.shape, before.type
    fresh.shapeSignature, fresh.buffer, fresh.quantization = before.shapeSignature, 0, quantization
    graph.tensors.append(fresh)
    operator.outputs = [len(graph.tensors) - 1]
    quantize = schema.OperatorT()
    quantize.opcodeIndex = flatbuffer.code_of(model, schema.BuiltinOperator.QUANTIZE)
    quantize.inputs, quantize.outputs = operator.outputs, [wanted]
    return quantize
