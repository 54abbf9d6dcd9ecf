import io
import struct
import zipfile

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

import compress
from compress.metadata import attach, read

layers = keras.layers
ABOUT = compress.Metadata(
    name="flowers",
    description="Knows its flowers: rose, tüñ.",
    labels=("rose", "tulip", "ümlaut", "a b", ""),
    mean=(123.5, 116.25, 104.0),
    std=(58.5, 57.0, 57.5),
)


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    model = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(5)])
    path = tmp_path_factory.mktemp("files") / "m.tflite"
    compress.export(model, path, quantize="none")
    return path.read_bytes()


@pytest.mark.parametrize(
    "about", [ABOUT, compress.Metadata("plain"), compress.Metadata("one", labels=("x",), mean=(0.0,), std=(255.0,))]
)
def test_round_trip(content, about):
    written = attach(content, about)
    assert read(written) == about
    assert read(content) is None


def test_writing_again_replaces(content):
    once = attach(attach(content, ABOUT), compress.Metadata("other", labels=("a", "b")))
    assert read(once) == compress.Metadata("other", labels=("a", "b"))
    assert len(zipfile.ZipFile(io.BytesIO(once)).namelist()) == 1
    assert attach(once, ABOUT) == attach(attach(content, ABOUT), ABOUT)


def test_the_same_metadata_makes_the_same_bytes(content):
    assert attach(content, ABOUT) == attach(content, ABOUT)


def fields(buffer, at):
    """A flatbuffer table's `{slot: absolute position}`, by the format's own definition (no library)."""
    vtable = at - struct.unpack_from("<i", buffer, at)[0]
    size = struct.unpack_from("<H", buffer, vtable)[0]
    offsets = struct.unpack_from(f"<{(size - 4) // 2}H", buffer, vtable + 4)
    return {slot: at + offset for slot, offset in enumerate(offsets) if offset}


def follow(buffer, at):
    return at + struct.unpack_from("<I", buffer, at)[0]


def item(buffer, at, index=0):
    """Table `index` of the vector that `at` points to."""
    vector = follow(buffer, at)
    assert index < struct.unpack_from("<I", buffer, vector)[0]
    return fields(buffer, follow(buffer, vector + 4 + 4 * index))


def text(buffer, at):
    start = follow(buffer, at)
    return buffer[start + 4 : start + 4 + struct.unpack_from("<I", buffer, start)[0]].decode()


def floats(buffer, at):
    start = follow(buffer, at)
    return struct.unpack_from(f"<{struct.unpack_from('<I', buffer, start)[0]}f", buffer, start + 4)


def test_fields_lie_where_the_schema_puts_them(content):
    """Slots as `metadata_schema.fbs` orders them: ModelMetadata, SubGraphMetadata, TensorMetadata, …"""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(attach(content, ABOUT), 0))
    (entry,) = [entry for entry in model.metadata if entry.name == b"TFLITE_METADATA"]
    b = model.buffers[entry.buffer].data.tobytes()
    assert b[4:8] == b"M001"
    root = fields(b, follow(b, 0))
    assert (text(b, root[0]), text(b, root[1])) == (ABOUT.name, ABOUT.description)
    graph = item(b, root[3])
    image, scores = item(b, graph[2]), item(b, graph[3])
    content_type = fields(b, follow(b, image[3]))
    assert b[content_type[0]] == 2  # ContentProperties.ImageProperties
    assert b[fields(b, follow(b, content_type[1]))[0]] == 1  # ColorSpaceType.RGB
    unit = item(b, image[4])
    assert b[unit[0]] == 1  # ProcessUnitOptions.NormalizationOptions
    options = fields(b, follow(b, unit[1]))
    assert (floats(b, options[0]), floats(b, options[1])) == (ABOUT.mean, ABOUT.std)
    file = item(b, scores[6])
    assert (text(b, file[0]), b[file[2]]) == ("labels.txt", 2)  # AssociatedFileType.TENSOR_AXIS_LABELS


def test_labels_are_a_stored_file_in_a_zip_after_the_model(content):
    archive = zipfile.ZipFile(io.BytesIO(attach(content, ABOUT)))
    (info,) = archive.infolist()
    assert (info.filename, info.compress_type) == ("labels.txt", zipfile.ZIP_STORED)
    assert archive.read(info).decode().split("\n") == list(ABOUT.labels)


def test_the_file_runs_as_before_and_its_tensors_stay_aligned(content, tmp_path):
    x = np.random.default_rng(0).normal(size=(3, 8, 8, 3)).astype(np.float32)
    answers = []
    for name, each in (("before", content), ("after", attach(content, ABOUT))):
        (tmp_path / name).write_bytes(each)
        answers.append(compress.LiteModel(tmp_path / name).predict(x))
    np.testing.assert_array_equal(*answers)
    written = np.frombuffer(attach(content, ABOUT), np.uint8)
    model = schema.Model.GetRootAs(written, 0)
    buffers = [model.Buffers(i).DataAsNumpy() for i in range(model.BuffersLength()) if model.Buffers(i).DataLength()]
    assert {(data.ctypes.data - written.ctypes.data) % 16 for data in buffers} == {0}


def test_export_writes_it(tmp_path):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
    about = compress.Metadata("vector", labels=("no", "yes"))
    x = np.ones((8, 4), np.float32)
    artifact = compress.export(model, tmp_path / "m.tflite", calibration=[x], metadata=about)
    lite = compress.LiteModel(artifact.path)
    assert lite.metadata == about and lite.classes == ("no", "yes")
    assert artifact.bytes == artifact.path.stat().st_size


def test_a_series_has_its_scale(tmp_path):
    model = keras.Sequential([keras.Input((6, 2)), layers.LSTM(4), layers.Dense(2)])
    about = compress.Metadata("heart", labels=("no", "yes"), mean=(0.5, -3.0), std=(2.0, 0.25))
    artifact = compress.export(model, tmp_path / "m.tflite", quantize="none", metadata=about, stream_steps=1)
    assert compress.LiteModel(artifact.path).metadata == about
    entry = input_fields(artifact.path.read_bytes())
    assert entry["name"] == "series" and entry[4] == 1  # one process unit


def test_tokens_bring_their_vocabulary(tmp_path):
    inputs = keras.Input((6,), dtype="int32", name="tokens")
    model = keras.Model(inputs, layers.Dense(2)(layers.LSTM(4)(layers.Embedding(5, 3, mask_zero=True)(inputs))))
    files = {"vocab.txt": "[PAD]\nthe\nfoß".encode(), "tokenizer.json": b"{}"}
    about = compress.Metadata("mood", labels=("bad", "good"), files=files)
    artifact = compress.export(model, tmp_path / "m.tflite", quantize="none", metadata=about)
    lite = compress.LiteModel(artifact.path)
    assert lite.metadata == about and lite.metadata.files["vocab.txt"] == files["vocab.txt"]
    entry = input_fields(artifact.path.read_bytes())
    assert entry["name"] == "tokens" and entry[4] == 0 and entry["files"] == {"vocab.txt": 5, "tokenizer.json": 5}
    assert set(zipfile.ZipFile(artifact.path).namelist()) == {"labels.txt", *files}
    assert lite.predict(np.array([[1, 2, 0, 0, 0, 0]])).shape == (1, 2)


def input_fields(content):
    """Name, number of process units (4) and files with their types of the first input's metadata."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    (entry,) = [entry for entry in model.metadata if entry.name == b"TFLITE_METADATA"]
    b = model.buffers[entry.buffer].data.tobytes()
    first = item(b, item(b, fields(b, follow(b, 0))[3])[2])
    units = struct.unpack_from("<I", b, follow(b, first[4]))[0] if 4 in first else 0
    count = struct.unpack_from("<I", b, follow(b, first[6]))[0] if 6 in first else 0
    files = [item(b, first[6], index) for index in range(count)]
    return {"name": text(b, first[0]), 4: units, "files": {text(b, file[0]): b[file[2]] for file in files}}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mean": (1.0, 2.0), "std": (1.0,)}, "2 means and 1 stds"),
        ({"mean": (), "std": ()}, "0 means"),
        ({"std": (0.0,)}, "above zero"),
        ({"labels": ("a\nb",)}, "line break"),
        ({"files": {"labels.txt": b""}}, "cannot be the name of a file"),
        ({"files": {"a/b": b""}}, "cannot be the name of a file"),
    ],
)
def test_impossible_metadata_is_refused(options, message):
    with pytest.raises(compress.CompressError, match=message):
        compress.Metadata("x", **options)


def test_damaged_metadata_is_refused(content):
    written = attach(content, ABOUT)
    for damaged in (written.replace(b"M001", b"M00x"), written[: written.rindex(b"PK\x01\x02")]):
        with pytest.raises(compress.CompressError, match="TFLITE_METADATA cannot be read"):
            read(damaged)
