"""Several models in one `.tflite` file, each a signature of its own. Equal weights lie in it once."""

from collections.abc import Mapping
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from compress.flatbuffer import inline, pack, unpack


def merge(content: bytes, others: Mapping[str, bytes]) -> bytes:
    """The file `content` with the main graphs of `others` added, called by their keys.

    Args:
        content: the file whose graph stays the main one.
        others: for each new signature, by its name, a file with one signature.
    """
    if not others:
        return content
    model = unpack(content, origin="the file")
    inline(model, content)
    place = {bytes(buffer.data): index for index, buffer in enumerate(model.buffers) if _filled(buffer)}
    for name, other in others.items():
        _add(model, other, name, place)
    return pack(model, size=len(content) + sum(map(len, others.values())))


def _filled(buffer: Any) -> bool:
    return buffer.data is not None and len(buffer.data) > 0


def _add(model: Any, content: bytes, name: str, place: dict[bytes, int]) -> None:
    other = unpack(content, origin=f"the file of {name!r}")
    inline(other, content)
    codes = [_code(model, code) for code in other.operatorCodes]
    offset = len(model.subgraphs)
    for graph in other.subgraphs:
        for tensor in graph.tensors:
            tensor.buffer = _buffer(model, other.buffers[tensor.buffer], place)
        for operator in graph.operators:
            operator.opcodeIndex = codes[operator.opcodeIndex]
            for options in (operator.builtinOptions, operator.builtinOptions2):
                for field in vars(options) if options is not None else ():
                    if field.lower().endswith("subgraphindex"):  # of WHILE, IF, CALL_ONCE and their like
                        setattr(options, field, getattr(options, field) + offset)
        model.subgraphs.append(graph)
    signature = other.signatureDefs[0]
    signature.signatureKey = name.encode()
    signature.subgraphIndex += offset
    model.signatureDefs.append(signature)


def _buffer(model: Any, buffer: Any, place: dict[bytes, int]) -> int:
    if not _filled(buffer):
        return 0
    data = bytes(buffer.data)
    if data not in place:
        place[data] = len(model.buffers)
        model.buffers.append(buffer)
    return place[data]


def _code(model: Any, code: schema.OperatorCodeT) -> int:
    def key(each: Any) -> tuple:
        return each.builtinCode, each.deprecatedBuiltinCode, each.version, each.customCode

    for index, known in enumerate(model.operatorCodes):
        if key(known) == key(code):
            return index
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1
