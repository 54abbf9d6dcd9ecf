"""Read PyTorch's `.pth` files, both formats, without PyTorch and without running anything that they hold.

A `.pth` file is a pickle, which may name any function to be called. Here only the few names that rebuild tensors
are known, and they mean functions of this file; any other name refuses the file. Sizes that it declares are
compared with what is there before memory is taken.
"""

import collections
import math
import pickle
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from zoo.errors import ZooError

MAGIC = 0x1950A86A20F9469CFC6C
"""First number of the format before PyTorch 1.6."""

DTYPES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "BFloat16Storage": "<u2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}
"""Names in the module `torch` that stand for a kind of number."""

NESTED = ("state_dict", "model_state_dict", "model")
"""Where a training's checkpoint keeps the model."""


class _Damaged(Exception):
    """The file is not what its format says; the text is the end of a sentence."""


class _Sealed:
    """A pickle may set any attribute of what it has made, unless this says no."""

    def __setstate__(self, state: object) -> None:
        raise _Damaged("it changes a tensor that it has made")


@dataclass(frozen=True)
class _Storage(_Sealed):
    kind: str
    key: str
    count: int


@dataclass(frozen=True)
class _View(_Sealed):
    """A tensor: `size` and `stride` over a storage, in elements."""

    storage: _Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


def read(path: Path) -> dict[str, np.ndarray]:
    """The tensors of a state dict by name; views of a file in memory, so treat them as read-only.

    A checkpoint that keeps the state dict in `state_dict` or `model`, and names that all start with `module.`
    (`DataParallel`), are understood.

    Raises:
        ZooError: the file would run code, is damaged, or holds no tensors.
    """
    try:
        with path.open("rb") as stream:
            if stream.read(4) == b"PK\x03\x04":
                tensors = _zip(path)
            else:
                stream.seek(0)
                tensors = _legacy(stream)
    except _Damaged as error:
        raise ZooError(f"{path} is damaged or incomplete: {error}") from None
    except pickle.UnpicklingError as error:
        raise ZooError(f"{path} is no PyTorch file of weights: {error}") from None
    if not tensors:
        raise ZooError(f"{path} holds no tensors by name; save a model's state_dict()")
    if all(name.startswith("module.") for name in tensors):
        tensors = {name.removeprefix("module."): value for name, value in tensors.items()}
    return tensors


def _zip(path: Path) -> dict[str, np.ndarray]:
    try:
        with zipfile.ZipFile(path) as archive:
            pickled = next((name for name in archive.namelist() if name.endswith("/data.pkl")), None)
            if pickled is None:
                raise _Damaged("it has no data.pkl")
            folder = pickled.removesuffix("data.pkl")
            with archive.open(pickled) as stream:
                views = _views(_load(stream))
            if f"{folder}byteorder" in archive.namelist() and archive.read(f"{folder}byteorder") != b"little":
                raise _Damaged("it was written on a big-endian machine, which is not supported")

            def content(storage: _Storage) -> bytes:
                member = archive.getinfo(f"{folder}data/{storage.key}")
                # Members are stored, not compressed: one that unpacks to more is a bomb.
                if member.file_size != _bytes(storage) or member.compress_size < member.file_size:
                    raise _Damaged(
                        f"storage {storage.key} declares {storage.count} numbers and has {member.compress_size} bytes"
                    )
                return archive.read(member)

            return _tensors(views, content)
    except (zipfile.BadZipFile, EOFError) as error:
        raise _Damaged(f"{error}") from None
    except KeyError as error:
        raise _Damaged(f"{error.args[0]}") from None


def _legacy(stream: IO[bytes]) -> dict[str, np.ndarray]:
    """Magic number, protocol, machine, the pickle, the keys, then each storage: its length and its numbers."""
    if _load(stream) != MAGIC:
        raise pickle.UnpicklingError("it does not start as one does")
    _load(stream)
    machine = _load(stream)
    if not (isinstance(machine, dict) and machine.get("little_endian", True)):
        raise _Damaged("it was written on a big-endian machine, which is not supported")
    views = _views(_load(stream))
    storages = {view.storage.key: view.storage for view in views.values()}
    keys = _load(stream)
    start = stream.tell()
    left = stream.seek(0, 2) - start
    stream.seek(start)
    contents: dict[str, bytes] = {}
    for key in keys if isinstance(keys, list) else []:
        header = stream.read(8)
        storage = storages.get(key) if isinstance(key, str) else None
        if storage is None:
            raise _Damaged(f"storage {key!r} belongs to no tensor")
        wanted = _bytes(storage)
        left -= 8 + wanted
        if len(header) < 8 or int.from_bytes(header, "little") != storage.count or left < 0:
            raise _Damaged(f"storage {key} declares {storage.count} numbers and the file ends or differs")
        contents[key] = stream.read(wanted)

    def content(storage: _Storage) -> bytes:
        if storage.key not in contents:
            raise _Damaged(f"storage {storage.key} is missing")
        return contents[storage.key]

    return _tensors(views, content)


def _bytes(storage: _Storage) -> int:
    return storage.count * np.dtype(DTYPES[storage.kind]).itemsize


def _tensors(views: Mapping[str, _View], content: Callable[[_Storage], bytes]) -> dict[str, np.ndarray]:
    return {name: _array(name, view, content(view.storage)) for name, view in views.items()}


def _array(name: str, view: _View, content: bytes) -> np.ndarray:
    if len(content) != _bytes(view.storage):
        raise _Damaged(f"storage {view.storage.key} is cut short")
    numbers = np.frombuffer(content, DTYPES[view.storage.kind])
    if view.storage.kind == "BFloat16Storage":
        numbers = (numbers.astype("<u4") << 16).view("<f4")
    count = math.prod(view.size)
    last = view.offset + sum((size - 1) * step for size, step in zip(view.size, view.stride, strict=True))
    # A tensor may not repeat numbers: a small file could then ask for any amount of memory.
    if count > len(numbers) or (count and last >= len(numbers)):
        raise _Damaged(f"{name} declares the shape {view.size} over a storage of {len(numbers)} numbers")
    steps = [step * numbers.itemsize for step in view.stride]
    return np.lib.stride_tricks.as_strided(numbers[view.offset :], view.size, steps, writeable=False)


def _views(loaded: object) -> dict[str, _View]:
    """The named tensors of what was unpickled."""
    for key in NESTED:
        if isinstance(loaded, dict) and isinstance(loaded.get(key), dict):
            loaded = loaded[key]
            break
    items = loaded.items() if isinstance(loaded, dict) else ()
    return {name: value for name, value in items if isinstance(name, str) and isinstance(value, _View)}


def _load(stream: IO[bytes]) -> object:
    try:
        return _Unpickler(stream, encoding="utf-8").load()
    except (pickle.UnpicklingError, _Damaged):
        raise
    except (EOFError, MemoryError):
        raise _Damaged("its pickle is cut short") from None
    except Exception as error:
        # Whatever a malformed pickle makes the unpickler trip over.
        raise pickle.UnpicklingError(f"its pickle cannot be read ({type(error).__name__})") from None


class _Unpickler(pickle.Unpickler):
    """Knows tensors and ordered dictionaries, nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """What the global `module.name` of a pickle stands for here."""
        if module == "torch" and name in DTYPES:
            return name
        try:
            return ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(
                f"it asks for {module}.{name}, which is not needed for weights and could run code; if you trust its "
                "source, load it with PyTorch and save its state_dict() with safetensors"
            ) from None

    def persistent_load(self, pid: Any) -> _Storage:
        """A storage, from ('storage', kind, key, place, number of elements, …)."""
        match pid:
            case ("storage", str() as kind, str() as key, _, int() as count, *rest) if kind in DTYPES and count >= 0:
                if any(part is not None for part in rest):
                    raise _Damaged(f"storage {key} is a view of another, as before PyTorch 0.4")
                return _Storage(kind, key, count)
        raise _Damaged("it refers to something that is no storage")


def _tensor(storage: object, offset: object, size: object, stride: object, *_: object) -> _View:
    """`torch._utils._rebuild_tensor_v2`: gradients and hooks are left out."""
    if not (isinstance(storage, _Storage) and isinstance(size, tuple) and isinstance(stride, tuple)):
        raise _Damaged("it has a tensor without a storage")
    numbers = (offset, *size, *stride)
    if not all(isinstance(number, int) and 0 <= number < 2**40 for number in numbers) or len(size) != len(stride):
        raise _Damaged(f"it has a tensor of the impossible shape {size}")
    # All are whole numbers, as was just checked.
    return _View(storage, offset, size, stride)  # type: ignore[arg-type]


def _parameter(data: object, *_: object) -> object:
    """`torch._utils._rebuild_parameter`: the tensor itself."""
    return data


ALLOWED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
}
