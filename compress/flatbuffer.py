"""What a `.tflite` file says of itself: operators, float tensors, inputs and outputs.

Read from the flatbuffer, for the interpreter's own lists mix the file's operators with its delegate's, and it may
take the process down with it on a damaged file.
"""

import struct
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flatbuffers  # type: ignore[import-untyped]  # it ships no types, and there are no stubs of it
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from compress.errors import CompressError


@dataclass(frozen=True)
class Port:
    """One input or output: real value = (stored - zero_point) * scale; scale is 0 where nothing is quantized.

    `name` is what the file's signature calls it; `shape` has the batch first; `dtype` is numpy's name (`int8`,
    `float32`).
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    scale: float
    zero_point: int


@dataclass(frozen=True)
class Contents:
    """A file's main graph.

    Attributes:
        ops: how many of each operator (`CONV_2D`), most first.
        float_tensors: names of the tensors that are computed, or fed, in floating point; empty in a full-int8 file.
        inputs: what goes in.
        outputs: what comes out.
        keeps_state: whether an operator (the LSTM) leaves its state for the next call, unless it is reset.
    """

    ops: dict[str, int]
    float_tensors: tuple[str, ...]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    keeps_state: bool


def _names(enumeration: type) -> dict[int, str]:
    return {value: name for name, value in vars(enumeration).items() if isinstance(value, int)}


# What reading a damaged flatbuffer raises, depending on the byte that is wrong.
_DAMAGE = (
    *(struct.error, ValueError, IndexError, KeyError, TypeError),
    *(AttributeError, OverflowError, MemoryError),
)
_OPS = _names(schema.BuiltinOperator)
_TYPES = _names(schema.TensorType)


def load(path: str | Path) -> bytes:
    """The bytes of a `.tflite` file.

    Raises:
        CompressError: it is missing or not a `.tflite` file.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CompressError(f"{path} cannot be read: {error.strerror or error}") from None
    if content[4:8] != b"TFL3":
        raise CompressError(f"{path} is not a .tflite file (it does not carry the identifier TFL3)")
    return content


def unpack(content: bytes, *, origin: str) -> Any:
    """The flatbuffer as `schema.ModelT`, every part of it read once.

    Args:
        content: a file's bytes.
        origin: what to call it in an error.

    Raises:
        CompressError: it is truncated or damaged.
    """
    try:
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
        graph = model.subgraphs[0]
        for operator in graph.operators:
            _ = model.operatorCodes[operator.opcodeIndex]
            _ = [graph.tensors[index] for index in (*operator.inputs, *operator.outputs)]
        for tensor in graph.tensors:
            _ = model.buffers[tensor.buffer]
        ends = [buffer.offset + buffer.size for buffer in model.buffers if buffer.offset > 1]
        if max(ends, default=0) > len(content) or not len(graph.inputs) or not len(graph.outputs):
            raise ValueError("incomplete")
    except _DAMAGE:
        raise _damaged(origin) from None
    return model


def inline(model: Any, content: bytes) -> None:
    """Bring data that `content` keeps outside its flatbuffer into it: packed anew it would lose its place."""
    for buffer in model.buffers:
        if buffer.offset > 1:
            buffer.data = np.frombuffer(content, np.uint8, buffer.size, buffer.offset)
            buffer.offset = buffer.size = 0


def name_of(model: Any, operator: Any) -> str:
    """What LiteRT calls an operator of a `schema.ModelT`; `CUSTOM` where it is none of its own."""
    code = model.operatorCodes[operator.opcodeIndex]
    return _OPS.get(max(code.builtinCode, code.deprecatedBuiltinCode), "CUSTOM")


def code_of(model: Any, builtin: int) -> int:
    """The index of a builtin operator among the codes of a `schema.ModelT`; it joins them where it is not there."""
    for index, code in enumerate(model.operatorCodes):
        if max(code.builtinCode, code.deprecatedBuiltinCode) == builtin:
            return index
    code = schema.OperatorCodeT()
    code.builtinCode, code.version = builtin, 1
    code.deprecatedBuiltinCode = min(builtin, 127)  # a byte in old files; 127 stands for "look at the new field"
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1


def pack(model: Any, *, size: int) -> bytes:
    """The bytes of a `schema.ModelT`; `size` is how many to expect."""
    builder = _Builder(size)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


class _Builder(flatbuffers.Builder):
    """Puts byte vectors on multiples of 16, as the schema asks of tensor data and the plain builder does not."""

    def CreateNumpyVector(self, x: np.ndarray) -> int:
        if x.dtype == np.uint8:
            self.Prep(16, x.size)
        return super().CreateNumpyVector(x)


def _damaged(origin: str) -> CompressError:
    return CompressError(f"{origin} is truncated or damaged: its flatbuffer cannot be read")


def inspect(content: bytes, *, origin: str = "the file", signature: str | None = None) -> Contents:
    """Read a `.tflite` file's main graph, or that of another signature.

    Raises:
        CompressError: it is truncated or damaged, or has no such signature.
    """
    model = unpack(content, origin=origin)
    known = {_text(entry.signatureKey): entry for entry in model.signatureDefs or []}
    if signature is None:
        entry = next((entry for entry in known.values() if entry.subgraphIndex == 0), None)
    elif signature in known:
        entry = known[signature]
    else:
        raise CompressError(f"{origin} has no signature {signature!r}; it has {', '.join(known) or 'none'}")
    try:
        return _describe(model, entry, named=signature is not None)
    except _DAMAGE:
        raise _damaged(origin) from None


def _describe(model: Any, signature: Any, *, named: bool) -> Contents:
    """Of the graph of a signature; ports in the order of the graph, or, `named`, in that of the signature."""
    graph = model.subgraphs[0 if signature is None else signature.subgraphIndex]
    ops = Counter(name_of(model, operator) for operator in graph.operators)
    computed = {index for operator in graph.operators for index in operator.outputs} | set(graph.inputs)
    floats = [_text(graph.tensors[i].name) for i in sorted(computed) if _dtype(graph.tensors[i]).startswith("float")]
    sides: list[tuple[Port, ...]] = []
    for indices, entries in (
        (graph.inputs, signature.inputs if signature else None),
        (graph.outputs, signature.outputs if signature else None),
    ):
        names = {entry.tensorIndex: _text(entry.name) for entry in entries or []}
        pairs = [(entry.tensorIndex, _text(entry.name)) for entry in entries or []]
        if not named:
            pairs = [(index, names.get(index) or _text(graph.tensors[index].name)) for index in indices]
        sides.append(tuple(_port(graph.tensors[index], name) for index, name in pairs))
    keeps_state = any(tensor.isVariable for tensor in graph.tensors)
    return Contents(dict(ops.most_common()), tuple(floats), sides[0], sides[1], keeps_state)


def operators(content: bytes) -> set[str]:
    """The names of the main graph's operators."""
    return set(inspect(content).ops)


def made_by(content: bytes, name: str) -> tuple[str, ...]:
    """The names of the tensors that operators of this name put out, of all graphs."""
    model = unpack(content, origin="the file")
    calls = ((graph, each) for graph in model.subgraphs for each in graph.operators if name_of(model, each) == name)
    return tuple(_text(graph.tensors[index].name) for graph, each in calls for index in each.outputs)


def float_operators(content: bytes) -> list[tuple[str, str]]:
    """Each operator of the main graph that computes in floating point, with the name of its output."""
    model = unpack(content, origin="the file")
    graph, found = model.subgraphs[0], []
    for operator in graph.operators:
        name, output = name_of(model, operator), graph.tensors[operator.outputs[0]]
        if _dtype(output).startswith("float") and name not in ("QUANTIZE", "DEQUANTIZE"):
            found.append((name, _text(output.name)))
    return found


def computed_in_loops(content: bytes) -> list[str]:
    """Names of the tensors of all graphs but the main one: those of loops."""
    model = unpack(content, origin="the file")
    return [_text(tensor.name) for graph in model.subgraphs[1:] for tensor in graph.tensors]


def _text(value: bytes | None) -> str:
    return value.decode(errors="replace") if value else ""


def _dtype(tensor: Any) -> str:
    return _TYPES[tensor.type].lower()


def _port(tensor: Any, name: str) -> Port:
    quantization = tensor.quantization
    scaled = quantization is not None and quantization.scale is not None and len(quantization.scale)
    scale = float(quantization.scale[0]) if scaled else 0.0
    zero_point = int(quantization.zeroPoint[0]) if scaled else 0
    shape = () if tensor.shape is None else tuple(int(size) for size in tensor.shape)
    return Port(name, _dtype(tensor), shape, scale, zero_point)
