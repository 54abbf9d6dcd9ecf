"""`.pth` files, written here opcode by opcode: what PyTorch writes, and what it would never write."""

import io
import pickle
import struct
import zipfile

import numpy as np
import pytest

import zoo
from zoo.weights import pth

ARRAYS = {
    "conv.weight": np.arange(24, dtype="float32").reshape(2, 3, 2, 2) - 7.5,
    "norm.running_mean": np.array([0.25, -3.0], "float32"),
    "norm.num_batches_tracked": np.array(12345, "int64"),
}
KINDS = {"float64": "Double", "float32": "Float", "float16": "Half", "int64": "Long", "int32": "Int", "uint8": "Byte"}


def text(value):
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def number(value):
    return b"\x8a\x08" + struct.pack("<q", value)


def name(module, member):
    return f"c{module}\n{member}\n".encode()


def numbers(values):
    return b"(" + b"".join(map(number, values)) + b"t"


def tensor(array, key, *, kind=None, count=None, size=None, stride=None, offset=0, legacy=False):
    kind = kind or KINDS[array.dtype.name] + "Storage"
    stride = [step // array.itemsize for step in array.strides] if stride is None else stride
    storage = text("storage") + name("torch", kind) + text(key) + text("cpu")
    storage += number(array.size if count is None else count) + (b"N" if legacy else b"")
    storage = b"(" + storage + b"tQ"
    where = number(offset) + numbers(array.shape if size is None else size) + numbers(stride)
    hooks = name("collections", "OrderedDict") + b")R"
    return name("torch._utils", "_rebuild_tensor_v2") + b"(" + storage + where + b"\x89" + hooks + b"tR"


def ordered(items):
    body = b"".join(text(key) + value for key, value in items.items())
    return name("collections", "OrderedDict") + b")R(" + body + b"u"


def program(body):
    return b"\x80\x02" + body + b"."


def contents(arrays):
    return {str(place): np.ascontiguousarray(array).tobytes() for place, array in enumerate(arrays.values())}


def state(arrays, legacy=False):
    return ordered({key: tensor(a, str(place), legacy=legacy) for place, (key, a) in enumerate(arrays.items())})


def legacy(path, body, storages, counts):
    """The format before PyTorch 1.6."""
    head = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + pickle.dumps({"little_endian": True}, 2)
    data = b"".join(struct.pack("<q", count) + raw for raw, count in zip(storages.values(), counts, strict=True))
    path.write_bytes(head + program(body) + pickle.dumps(list(storages), 2) + data)
    return path


def zipped(path, body, storages, method=zipfile.ZIP_STORED):
    """The format since."""
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("archive/data.pkl", program(body))
        archive.writestr("archive/byteorder", "little")
        for key, raw in storages.items():
            archive.writestr(f"archive/data/{key}", raw)
        archive.writestr("archive/version", "3\n")
    return path


def write(form, path, arrays):
    if form == "zip":
        return zipped(path, state(arrays), contents(arrays))
    return legacy(path, state(arrays, legacy=True), contents(arrays), [array.size for array in arrays.values()])


forms = pytest.mark.parametrize("form", ["zip", "legacy"])


@forms
def test_both_formats_are_read(form, tmp_path):
    found = pth.read(write(form, tmp_path / "x.pth", ARRAYS))
    assert list(found) == list(ARRAYS)
    for key, array in ARRAYS.items():
        np.testing.assert_array_equal(found[key], array)
        assert found[key].dtype == array.dtype


def test_every_kind_of_number_and_views(tmp_path):
    base = np.arange(12).reshape(3, 4)
    arrays = {kind: base.astype(kind) for kind in KINDS}
    found = pth.read(write("zip", tmp_path / "x.pth", arrays))
    for kind, array in arrays.items():
        np.testing.assert_array_equal(found[kind], array)
    values = np.array([1.0, -2.5, 3.140625], "float32")
    bits = (values.view("uint32") >> 16).astype("uint16")
    body = ordered(
        {
            "half": tensor(bits, "0", kind="BFloat16Storage"),
            "turned": tensor(base.astype("float32"), "1", size=(4, 3), stride=(1, 4)),
            "part": tensor(base.astype("float32"), "1", size=(2,), stride=(1,), offset=5),
        }
    )
    found = pth.read(zipped(tmp_path / "y.pth", body, {"0": bits.tobytes(), "1": base.astype("float32").tobytes()}))
    np.testing.assert_array_equal(found["half"], values)
    np.testing.assert_array_equal(found["turned"], base.T)
    np.testing.assert_array_equal(found["part"], [5, 6])


def test_a_checkpoint_and_data_parallel_names(tmp_path):
    inner = ordered({"module.a": tensor(np.ones(2, "float32"), "0")})
    body = b"}(" + text("epoch") + number(3) + text("state_dict") + inner + b"u"
    found = pth.read(zipped(tmp_path / "x.pth", body, {"0": np.ones(2, "float32").tobytes()}))
    assert list(found) == ["a"]


class Runs:
    def __init__(self, call, *args):
        self.call, self.args = call, args

    def __reduce__(self):
        return self.call, self.args


def evil(tmp_path):
    import builtins
    import os
    import subprocess

    touched = tmp_path / "touched"
    yield r"(posix|nt)\.system", Runs(os.system, f"touch {touched}")
    yield r"(builtins|__builtin__)\.eval", Runs(builtins.eval, f"open({str(touched)!r}, 'w')")
    yield r"(builtins|__builtin__)\.getattr", Runs(getattr, "a", "upper")
    yield r"(subprocess|commands)\.check_call", Runs(subprocess.check_call, ["touch", str(touched)])
    yield r"numpy.*\.", {"a": np.ones(2)}
    yield r"io\.open|_io\.open|builtins\.open", Runs(open, str(touched), "w")


@forms
@pytest.mark.parametrize("case", range(6))
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_pickle_that_would_run_code_is_refused_by_its_name(form, case, protocol, tmp_path):
    wanted, payload = list(evil(tmp_path))[case]
    raw = pickle.dumps(payload, protocol)
    path = tmp_path / "x.pth"
    if form == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", raw)
    else:
        path.write_bytes(pickle.dumps(0x1950A86A20F9469CFC6C, 2) + raw)
    with pytest.raises(zoo.ZooError, match=rf"it asks for {wanted}.*, which is not needed for weights and could run"):
        pth.read(path)
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize(
    "raw",
    [
        b"cposix\nsystem\n(X\x02\x00\x00\x00lstR.",  # from the very first pickle of a file
        b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x02ls\x85R.",  # by name from the stack
        b"(iposix\nsystem\n.",  # the oldest way to call
        b"\x80\x02\x82\x01.",  # a name from the registry of extensions
        b"ctorch\nload\n.",
        b"ctorch._utils\n_rebuild_tensor_v2\n(ctorch\nFloatStorage\nNNNtR.",
        b"ccollections\nOrderedDict\n)R}X\x07\x00\x00\x00__class__K\x01sb.",
        b"\x80\x02]q\x00h\x00a.",
        b"\xff\xfe",
        b"",
        b"\x80\x02X\xff\xff\xff\x7fabc",
        b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7fabc",
        b"\x80\x02Nt" * 9,
    ],
)
@forms
def test_malformed_pickles_are_one_sentence(raw, form, tmp_path):
    path = tmp_path / "x.pth"
    if form == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", raw)
    else:
        path.write_bytes(pickle.dumps(0x1950A86A20F9469CFC6C, 2) + raw)
    with pytest.raises(zoo.ZooError, match=r"x\.pth (is|holds)"):
        pth.read(path)


@forms
def test_a_file_that_is_cut_anywhere_is_one_sentence(form, tmp_path):
    whole = write(form, tmp_path / "x.pth", ARRAYS).read_bytes()
    path = tmp_path / "cut.pth"
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(zoo.ZooError, match=r"cut\.pth is (damaged or incomplete|no PyTorch file)"):
            pth.read(path)


HUGE = 2**40 - 1
VALUES = np.arange(4, dtype="float32")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"count": HUGE}, "storage 0 declares 1099511627775 numbers"),
        ({"count": -1}, "something that is no storage"),
        ({"size": (5,)}, r"declares the shape \(5,\) over a storage of 4 numbers"),
        ({"size": (HUGE,), "stride": (0,)}, r"declares the shape \(1099511627775,\) over a storage of 4"),
        ({"size": (2, HUGE), "stride": (1, 0)}, "declares the shape"),
        ({"size": (2,), "stride": (3,), "offset": 1}, "declares the shape"),
        ({"size": (2,), "stride": (-1,), "offset": 3}, "impossible shape"),
        ({"size": (2**41,)}, "impossible shape"),
        ({"size": (4, 1)}, "impossible shape"),
        ({"offset": 3, "size": (2,)}, "declares the shape"),
        ({"kind": "UntypedStorage"}, r"asks for torch\.UntypedStorage"),
    ],
)
@forms
def test_sizes_that_cannot_be_are_refused_before_memory_is_taken(options, message, form, tmp_path):
    body = ordered({"a": tensor(VALUES, "0", **options, legacy=form == "legacy")})
    path = tmp_path / "x.pth"
    if form == "zip":
        zipped(path, body, {"0": VALUES.tobytes()})
    else:
        legacy(path, body, {"0": VALUES.tobytes()}, [min(options.get("count", 4), HUGE)])
    with pytest.raises(zoo.ZooError, match=message):
        pth.read(path)


@pytest.mark.parametrize(
    "change", [b"}X\x06\x00\x00\x00stride(J\xf0\xff\xff\xfftsb", b"N}X\x04\x00\x00\x00sizeNs\x86b"]
)
def test_a_pickle_that_changes_a_tensor_afterwards_is_refused(change, tmp_path):
    path = zipped(tmp_path / "x.pth", ordered({"a": tensor(VALUES, "0") + change}), {"0": VALUES.tobytes()})
    with pytest.raises(zoo.ZooError, match="it changes a tensor that it has made"):
        pth.read(path)


def test_a_storage_that_unpacks_to_more_is_refused(tmp_path):
    many = np.zeros(100_000, "float32")
    body = ordered({"a": tensor(many, "0")})
    path = zipped(tmp_path / "x.pth", body, {"0": many.tobytes()}, zipfile.ZIP_DEFLATED)
    with pytest.raises(zoo.ZooError, match=r"storage 0 declares 100000 numbers and has \d+ bytes"):
        pth.read(path)


def test_files_without_tensors(tmp_path):
    path = zipped(tmp_path / "x.pth", ordered({}), {})
    with pytest.raises(zoo.ZooError, match="holds no tensors by name"):
        pth.read(path)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("other.txt", "x")
    path.write_bytes(stream.getvalue())
    with pytest.raises(zoo.ZooError, match=r"it has no data\.pkl"):
        pth.read(path)
    path = zipped(tmp_path / "y.pth", ordered({"a": tensor(VALUES, "9")}), {})
    with pytest.raises(zoo.ZooError, match="archive/data/9"):
        pth.read(path)
