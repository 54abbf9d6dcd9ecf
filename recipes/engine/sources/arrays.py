"""An `.npz` archive, and what arrays of pixels from anywhere become."""

import zipfile
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from recipes.engine.errors import UserError
from recipes.engine.records import Data
from recipes.engine.sources import images
from recipes.engine.sources.decode import grey
from recipes.engine.sources.memory import require, require_images
from recipes.engine.sources.raw import Raw, Split, indexed, listing

PAIRS: dict[Split | None, tuple[tuple[str, str], ...]] = {
    None: (("x", "y"), ("images", "labels")),
    "train": (("x_train", "y_train"), ("train_images", "train_labels")),
    "validation": (("x_val", "y_val"), ("val_images", "val_labels")),
    "test": (("x_test", "y_test"), ("test_images", "test_labels")),
}
"""Names of images and labels in an archive; the second of each split are MedMNIST's."""


def read(path: Path, *, data: Data) -> Raw:
    """Read `x` and `y` (or `images` and `labels`), or `x_train`, `y_train`, `x_test`, `y_test` and so on.

    Images are uint8 0-255 or float 0-1, `(count, height, width)` or `(count, height, width, channels)`; labels are
    whole numbers or text; `classes`, where it is there, names the numbers. Nothing is unpickled.

    Raises:
        UserError: the archive is damaged, lacks these arrays, or they do not fit together.
    """
    arrays = opened(path)
    parts: list[tuple[Split | None, np.ndarray, np.ndarray]] = []
    for split, pairs in PAIRS.items():
        for x, y in pairs:
            if x in arrays and y in arrays:
                parts.append((split, to_uint8(arrays[x], f"{x} in {path}"), flat_labels(arrays[y], f"{y} in {path}")))
                if len(parts[-1][1]) != len(parts[-1][2]):
                    raise UserError(f"{path} has {len(arrays[x]):,} images in {x} and {len(arrays[y]):,} labels in {y}")
    found = [split for split, _, _ in parts]
    if len(set(found)) < len(found) or (None in found and len(found) > 1) or not {None, "train"} & set(found):
        raise UserError(
            f"{path} has the arrays {listing(sorted(arrays), 12)}; it needs x and y, or x_train and y_train with "
            "x_val, y_val, x_test, y_test where there are such splits"
        )
    if len({x.shape[1:] for _, x, _ in parts}) > 1:
        raise UserError(f"{path} has images of different shapes: {listing([str(x.shape) for _, x, _ in parts])}")
    labels = [str(label) for _, _, y in parts for label in y.tolist()]
    given = arrays.get("classes")
    classes, indices = indexed(labels) if given is None else named(labels, given, path)
    splits = tuple(split for split, x, _ in parts for _ in range(len(x)) if split)
    names = tuple(f"{path.name}:{split or 'x'}#{row}" for split, x, _ in parts for row in range(len(x)))
    pictures = np.concatenate([x for _, x, _ in parts]) if len(parts) > 1 else parts[0][1]
    return Raw(shaped(pictures, data), indices, names, splits or None, classes, str(path))


def opened(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an archive, with names in lower case.

    Raises:
        UserError: it is no archive, is damaged, holds Python objects, cannot be read or would not fit in memory.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
        require(2 * size, what=str(path), advice="take a part of it")
        with np.load(path, allow_pickle=False) as archive:
            return {name.lower(): archive[name] for name in archive.files}
    except PermissionError:
        raise UserError(f"no permission to read {path}") from None
    except UserError:
        raise
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        if "pickle" in str(error):
            raise UserError(f"{path} holds Python objects, which are not read; save plain arrays") from None
        raise UserError(f"{path} is not an .npz archive, or it is damaged: {str(error).splitlines()[0]}") from None


def to_uint8(values: np.ndarray, name: str) -> np.ndarray:
    """Pixels as uint8 0-255 `(count, height, width, channels)`.

    Floats are taken as 0-1; whole numbers as 0-255; truth values as black and white.

    Raises:
        UserError: the shape or the range is another, or there are NaNs; names `name` and what was found.
    """
    if values.ndim == 3:
        values = values[..., None]
    if values.ndim != 4 or not values.size:
        raise UserError(f"{name} has shape {values.shape}; images are (count, height, width[, channels])")
    if values.shape[-1] not in (1, 3):
        raise UserError(f"{name} has {values.shape[-1]} channels (its shape is {values.shape}); 1 or 3 come last")
    if values.dtype == np.bool_:
        return values.astype(np.uint8) * np.uint8(255)
    if values.dtype.kind not in "uif":
        raise UserError(f"{name} has values of type {values.dtype}; pixels are uint8 0-255 or float 0-1")
    low, high = values.min(), values.max()
    if not np.isfinite([low, high]).all():
        raise UserError(f"{name} has NaN or infinite values; pixels are uint8 0-255 or float 0-1")
    most = 1 if values.dtype.kind == "f" else 255
    if low < 0 or high > most:
        raise UserError(f"{name} has {values.dtype} values from {low:g} to {high:g}; scale them to 0-{most}")
    if most == 255:
        return values.astype(np.uint8, copy=False)
    return np.concatenate([np.rint(part * 255).astype(np.uint8) for part in np.array_split(values, _parts(values))])


def flat_labels(labels: np.ndarray, name: str) -> np.ndarray:
    """Labels `(count,)` as int64 or text.

    Raises:
        UserError: they are no whole numbers or text, one an image.
    """
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise UserError(f"{name} has shape {labels.shape}; labels are one number or one text an image")
    if labels.dtype.kind == "f" and np.isfinite(labels).all() and (labels == np.rint(labels)).all():
        labels = labels.astype(np.int64)
    if labels.dtype.kind == "S":
        labels = np.char.decode(labels, "utf-8", "replace")
    if labels.dtype.kind not in "uibU":
        raise UserError(f"{name} has {labels.dtype} values that are no whole numbers (or NaN); labels are ints or text")
    return labels


def named(labels: list[str], given: np.ndarray, path: Path) -> tuple[tuple[str, ...], np.ndarray]:
    """Classes in the order of the array `classes`, and the index of each label, which is a number or a name.

    Raises:
        UserError: a label is no class, or two classes have one name.
    """
    classes = tuple(str(name) for name in flat_labels(given, f"classes in {path}").tolist())
    if len(set(classes)) < len(classes):
        raise UserError(f"{path} names a class twice in classes: {listing(sorted(classes), 12)}")
    numbers = {str(index): name for index, name in enumerate(classes)} if not set(labels) <= set(classes) else {}
    unknown = sorted(set(labels) - set(classes) - set(numbers))
    if unknown:
        raise UserError(f"{path} has the label {unknown[0]!r}, but classes has {len(classes)} names and not that one")
    return indexed([numbers.get(label, label) for label in labels], classes)


def shaped(pictures: np.ndarray, data: Data) -> np.ndarray:
    """Pictures uint8 `(count, height, width, channels)` in the size and colours that `data` asks for."""
    count, height, width, channels = pictures.shape
    size = (data.size, data.size) if data.size else (height, width)
    wanted = {"grey": 1, "rgb": 3, "auto": 1 if channels == 1 or grey(pictures) else 3}[data.color]
    if size == (height, width) and wanted == channels:
        return pictures
    require_images(data.source, count, height=size[0], width=size[1], channels=wanted)
    result = np.empty((count, *size, wanted), np.uint8)
    for row, picture in enumerate(pictures):
        image = Image.fromarray(picture[..., 0] if channels == 1 else picture)
        result[row] = images.resize(image.convert("L" if wanted == 1 else "RGB"), size)
    return result


def _parts(values: np.ndarray) -> int:
    return max(1, min(len(values), values.nbytes >> 26))  # 64 MiB at a time
