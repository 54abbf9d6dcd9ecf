"""TFLite metadata: what a file says of its labels and its input's normalisation, as Android and MediaPipe read it.

The layout is `metadata_schema.fbs` of tensorflow/tflite-support (identifier M001): a flatbuffer in the model buffer
named TFLITE_METADATA, and the label file in a zip archive after the model's own bytes. Only the fields written here
are read back; the tables' slots are numbered as that schema orders them.
"""

import io
import zipfile
from dataclasses import dataclass, field
from typing import Any

import flatbuffers  # type: ignore[import-untyped]  # it ships no types, and there are no stubs of it
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import number_types as N
from flatbuffers.table import Table  # type: ignore[import-untyped]  # it ships no types, and there are no stubs of it

from compress.errors import CompressError
from compress.flatbuffer import inline, pack, unpack

_ENTRY = b"TFLITE_METADATA"
_LABELS = "labels.txt"
_IMAGE, _FEATURE, _NORMALIZATION, _AXIS_LABELS = 2, 1, 1, 2  # ContentProperties, ProcessUnitOptions, AssociatedFileType
_DESCRIPTIONS, _VOCABULARY = 1, 5  # AssociatedFileType
_VOCABULARIES = ("vocab.txt", "tokenizer.json")
_COLORS = {3: 1, 1: 2}  # channels → ColorSpaceType RGB, GRAYSCALE


@dataclass(frozen=True)
class Metadata:
    """What a file says of itself.

    Attributes:
        name: of the model.
        description: a sentence or two.
        labels: class names in the order of the outputs; none for a model without classes.
        mean: subtracted from the input, one value a channel or one for all, on the 0-255 pixel scale; of a series in
            the unit of its data.
        std: divides it then, on the same scale: value = (pixel - mean) / std.
        files: what else goes with the input, by file name: `vocab.txt`, one token a line in the order of their numbers,
            or a tokenizer's `tokenizer.json`, or others. An input of tokens has no mean and no std.
    """

    name: str
    description: str = ""
    labels: tuple[str, ...] = ()
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    files: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.mean) != len(self.std) or not self.mean:
            raise CompressError(f"metadata has {len(self.mean)} means and {len(self.std)} stds; give as many of each")
        if any(not np.isfinite(value) or value <= 0 for value in self.std):
            raise CompressError(f"metadata std is {self.std}; every deviation must be above zero")
        if any("\n" in label for label in self.labels):
            raise CompressError("a label holds a line break; labels are stored one a line")
        for name in self.files:
            if name == _LABELS or not name or set(name) & set("/\\"):
                raise CompressError(
                    f"{name!r} cannot be the name of a file in the metadata; call it vocab.txt or the like"
                )


def attach(content: bytes, metadata: Metadata) -> bytes:
    """The `.tflite` bytes with `metadata` written in, replacing what was there."""
    model = unpack(content, origin="the model")
    inline(model, content)
    graph = model.subgraphs[0]
    first = graph.tensors[graph.inputs[0]]
    shape, tokens = (
        [int(size) for size in first.shape],
        first.type in (schema.TensorType.INT32, schema.TensorType.INT64),
    )
    entry = next((entry for entry in model.metadata or [] if entry.name == _ENTRY), None)
    if entry is None:
        entry = schema.MetadataT()
        entry.name, entry.buffer = _ENTRY, len(model.buffers)
        model.metadata = [*(model.metadata or []), entry]
        model.buffers.append(schema.BufferT())
    model.buffers[entry.buffer].data = np.frombuffer(
        _pack(metadata, shape, len(graph.inputs), len(graph.outputs), tokens=tokens), np.uint8
    )
    out = io.BytesIO()
    out.write(pack(model, size=len(content)))
    files = {**({_LABELS: "\n".join(metadata.labels).encode()} if metadata.labels else {}), **metadata.files}
    if files:
        # Stored, not deflated: the C++ reader of these archives maps the file and does not inflate.
        with zipfile.ZipFile(out, "a", zipfile.ZIP_STORED) as archive:
            for name, data in files.items():
                archive.writestr(zipfile.ZipInfo(name), data)
    return out.getvalue()


def read(content: bytes) -> Metadata | None:
    """The metadata in `.tflite` bytes, or None where there is none.

    Raises:
        CompressError: the file, or the metadata in it, is damaged.
    """
    model = unpack(content, origin="the file")
    entry = next((entry for entry in model.metadata or [] if entry.name == _ENTRY), None)
    if entry is None:
        return None
    try:
        return _unpack(bytes(model.buffers[entry.buffer].data), content)
    except (IndexError, TypeError, ValueError, zipfile.BadZipFile, KeyError) as error:
        raise CompressError(f"the file's TFLITE_METADATA cannot be read: {error}") from None


def _pack(metadata: Metadata, shape: list[int], inputs: int, outputs: int, *, tokens: bool) -> bytes:
    b = flatbuffers.Builder(1024)
    color = _COLORS.get(shape[-1]) if len(shape) == 4 else None
    properties = _table(b, 2, {0: ("byte", color)} if color else {})
    content = _table(b, 3, {0: ("byte", _IMAGE if color else _FEATURE), 1: ("ref", properties)})
    names = {2: "tokens"} if tokens else {3: "series", 4: "image"}
    entry = {0: ("ref", b.CreateString(names.get(len(shape), "input"))), 3: ("ref", content)}
    if not tokens:
        mean, std = (b.CreateNumpyVector(np.array(v, np.float32)) for v in (metadata.mean, metadata.std))
        options = _table(b, 2, {0: ("ref", mean), 1: ("ref", std)})
        entry[4] = ("ref", _vector(b, [_table(b, 2, {0: ("byte", _NORMALIZATION), 1: ("ref", options)})]))
    if metadata.files:
        kinds = {name: _VOCABULARY if name in _VOCABULARIES else _DESCRIPTIONS for name in metadata.files}
        entry[6] = ("ref", _vector(b, [_file(b, name, kind) for name, kind in kinds.items()]))
    first = _table(b, 7, entry)
    labels = {6: ("ref", _vector(b, [_file(b, _LABELS, _AXIS_LABELS)]))} if metadata.labels else {}
    probability = _table(b, 7, {0: ("ref", b.CreateString("score")), **labels})
    rest_in = [_table(b, 7, {}) for _ in range(inputs - 1)]
    rest_out = [_table(b, 7, {}) for _ in range(outputs - 1)]
    tensors = {2: ("ref", _vector(b, [first, *rest_in])), 3: ("ref", _vector(b, [probability, *rest_out]))}
    subgraphs = _vector(b, [_table(b, 7, tensors)])
    texts = [b.CreateString(text) for text in (metadata.name, metadata.description, "1.0.0")]
    root = {0: ("ref", texts[0]), 1: ("ref", texts[1]), 3: ("ref", subgraphs), 7: ("ref", texts[2])}
    b.Finish(_table(b, 8, root), file_identifier=b"M001")
    return bytes(b.Output())


def _file(b: flatbuffers.Builder, name: str, kind: int) -> int:
    return _table(b, 4, {0: ("ref", b.CreateString(name)), 2: ("byte", kind)})


def _table(b: flatbuffers.Builder, slots: int, values: dict[int, tuple[str, int]]) -> int:
    b.StartObject(slots)
    for slot, (kind, value) in values.items():
        (b.PrependUOffsetTRelativeSlot if kind == "ref" else b.PrependInt8Slot)(slot, value, 0)
    return b.EndObject()


def _vector(b: flatbuffers.Builder, offsets: list[int]) -> int:
    b.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        b.PrependUOffsetTRelative(offset)
    return b.EndVector()


class _Reader:
    """A flatbuffer table by slot number."""

    def __init__(self, table: Table):
        self.table = table

    def _at(self, slot: int) -> int:
        return self.table.Offset(4 + 2 * slot)

    def text(self, slot: int) -> str:
        at = self._at(slot)
        return self.table.String(at + self.table.Pos).decode() if at else ""

    def byte(self, slot: int) -> int:
        at = self._at(slot)
        return int(self.table.Get(N.Uint8Flags, at + self.table.Pos)) if at else 0

    def child(self, slot: int) -> "_Reader":
        return _Reader(Table(self.table.Bytes, self.table.Indirect(self._at(slot) + self.table.Pos)))

    def children(self, slot: int) -> "list[_Reader]":
        at = self._at(slot)
        if not at:
            return []
        start = self.table.Vector(at)
        where = [self.table.Indirect(start + 4 * i) for i in range(self.table.VectorLen(at))]
        return [_Reader(Table(self.table.Bytes, position)) for position in where]

    def floats(self, slot: int) -> tuple[float, ...]:
        at = self._at(slot)
        return tuple(float(v) for v in self.table.GetVectorAsNumpy(N.Float32Flags, at)) if at else ()


def _unpack(buffer: bytes, content: bytes) -> Metadata:
    if buffer[4:8] != b"M001":
        raise ValueError("it does not carry the identifier M001")
    root = _Reader(Table(buffer, flatbuffers.encode.Get(N.UOffsetTFlags.packer_type, buffer, 0)))
    graph = root.children(3)[0]
    fields: dict[str, Any] = {}
    first = graph.children(2)[0]
    for unit in first.children(4):
        if unit.byte(0) == _NORMALIZATION:
            fields = {"mean": unit.child(1).floats(0), "std": unit.child(1).floats(1)}
    labels = [file for file in graph.children(3)[0].children(6) if file.byte(2) == _AXIS_LABELS]
    if not (labels or first.children(6)):
        return Metadata(root.text(0), root.text(1), **fields)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for file in labels:
            fields["labels"] = tuple(archive.read(file.text(0)).decode().split("\n"))
        files = {file.text(0): archive.read(file.text(0)) for file in first.children(6)}
    return Metadata(root.text(0), root.text(1), **fields, files=files)
