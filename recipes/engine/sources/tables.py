"""A CSV file: of image paths, or of pixel values."""

import csv
import difflib
import gzip
import itertools
import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recipes.engine.errors import UserError
from recipes.engine.records import Data
from recipes.engine.sources.arrays import shaped
from recipes.engine.sources.decode import decode
from recipes.engine.sources.memory import require
from recipes.engine.sources.raw import SPLIT_NAMES, Raw, Split, indexed, listing
from recipes.engine.sources.splits import check

PATHS = ("path", "file", "filename", "image")
"""Column names, in lower case, that hold image paths."""

Line = tuple[int, list[str]]
"""A line number, from 1, and its cells."""


@dataclass(frozen=True)
class Columns:
    """Places of the columns: the class, the split, the image path; whatever else there is are pixels."""

    width: int
    label: int
    split: int | None = None
    image: int | None = None

    @property
    def pixels(self) -> list[int]:
        """Places of the pixel columns."""
        return [place for place in range(self.width) if place not in (self.label, self.split)]


def read(path: Path, *, data: Data, progress: bool) -> Raw:
    """Read a table with a label column (`data.label`), and a `split` column where there is one.

    With a column named as in `PATHS`, its images are read (their paths start at the CSV file). Otherwise every other
    column is a pixel, 0-255 or 0-1, row by row, channels last; without a header the last column is the class.

    Raises:
        UserError: the table is empty, ragged or no text, or its values are no pixels; says on which line.
    """
    lines = cells(path)
    first = next(lines, None)
    if first is None:
        raise UserError(f"{path} is empty; it needs a line for each example")
    number, row = first
    if data.label in row or 2 * sum(value(cell) is None for cell in row[:-1]) >= max(2, len(row) - 1):
        columns = named_columns(path, row, data)
    else:
        columns = Columns(len(row), len(row) - 1)
        lines = itertools.chain([(number, row)], lines)
    rest = checked(path, lines, columns)
    if columns.image is None:
        return pixel_table(path, rest, columns, data)
    return path_table(path, list(rest), columns, columns.image, data=data, progress=progress)


def path_table(path: Path, lines: Sequence[Line], columns: Columns, image: int, *, data: Data, progress: bool) -> Raw:
    """A table of image paths."""
    if not lines:
        raise UserError(f"{path} has a header and nothing below it")
    names = [row[image] for _, row in lines]
    splits = [split_of(path, number, row, columns) for number, row in lines]
    known = tuple(split for split in splits if split)
    classes, labels = indexed(tidy([row[columns.label] for _, row in lines]))
    check(labels, known or None, classes, str(path), data=data)
    decoded = decode([path.parent / name for name in names], names, data=data, progress=progress)
    kept = list(decoded.kept)
    return Raw(
        inputs=decoded.images,
        labels=labels[kept],
        names=tuple(names[place] for place in kept),
        splits=tuple(known[place] for place in kept) if known else None,
        classes=classes,
        source=str(path),
        notes=decoded.notes,
    )


def pixel_table(path: Path, lines: Iterator[Line], columns: Columns, data: Data) -> Raw:
    """A table of pixel values."""
    shape = image_shape(path, len(columns.pixels))
    # Text of two bytes or more a value becomes four bytes, then one; gzip takes pixels to a tenth.
    require(path.stat().st_size * (30 if path.suffix == ".gz" else 3), what=str(path), advice="take a part of it")
    values, labels, names, splits = bytearray(), [], [], []
    for number, row in lines:
        try:
            pixels = np.array([row[place] for place in columns.pixels], dtype=np.float32)
        except ValueError:
            wrong = next(cell for cell in (row[place] for place in columns.pixels) if value(cell) is None)
            raise UserError(f"{path}, line {number}: {wrong!r} is no pixel value") from None
        if not np.isfinite(pixels).all() or pixels.min() < 0 or pixels.max() > 255:
            raise UserError(
                f"{path}, line {number}: pixel values go from {pixels.min():g} to {pixels.max():g}; they must lie in "
                "0-255 or 0-1, without NaN"
            )
        values += pixels.tobytes()
        labels.append(row[columns.label])
        names.append(f"{path.name}:{number}")
        splits += [split for split in [split_of(path, number, row, columns)] if split]
    if not labels:
        raise UserError(f"{path} has a header and nothing below it")
    matrix = np.frombuffer(values, np.float32).reshape(-1, *shape)
    scale = np.float32(255 if matrix.max() <= 1 else 1)
    images = np.empty(matrix.shape, np.uint8)
    for row_in, row_out in zip(matrix, images, strict=True):
        np.rint(row_in * scale, out=row_out, casting="unsafe")
    classes, indices = indexed(tidy(labels))
    return Raw(shaped(images, data), indices, tuple(names), tuple(splits) or None, classes, str(path))


def named_columns(path: Path, header: list[str], data: Data) -> Columns:
    """Find the columns by the header's names.

    Raises:
        UserError: none is called `data.label`.
    """
    lowered = [cell.lower() for cell in header]
    if data.label not in header:
        close = difflib.get_close_matches(data.label, header, n=1, cutoff=0.4)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise UserError(
            f"{path} has no column {data.label!r} for the class; {hint}its first line has {listing(header)}: name the "
            "column with --data.label"
        )
    image = next((lowered.index(name) for name in PATHS if name in lowered), None)
    split = lowered.index("split") if "split" in lowered else None
    return Columns(len(header), header.index(data.label), split, image)


def image_shape(path: Path, count: int) -> tuple[int, int, int]:
    """Height, width and channels of a square image of `count` values.

    Raises:
        UserError: no square has so many.
    """
    for channels in (1, 3):
        side = math.isqrt(count // channels)
        if count and side * side * channels == count:
            return side, side, channels
    raise UserError(
        f"{path} has {count} pixel columns; a square image has side×side of them in grey or side×side×3 in colour"
    )


def split_of(path: Path, number: int, row: list[str], columns: Columns) -> Split | None:
    """The split of a row, None where the table has no such column.

    Raises:
        UserError: it is none of the names of splits.
    """
    if columns.split is None:
        return None
    split = SPLIT_NAMES.get(row[columns.split].lower())
    if split is None:
        raise UserError(f"{path}, line {number}: the split {row[columns.split]!r} is not train, validation or test")
    return split


def tidy(labels: list[str]) -> list[str]:
    """Labels as class names: where all are whole numbers, `5.0` and `5` are one class."""
    numbers = [value(label) for label in labels]
    whole = [number for number in numbers if number is not None and math.isfinite(number) and number == int(number)]
    return [str(int(number)) for number in whole] if len(whole) == len(labels) else labels


def value(cell: str) -> float | None:
    """The number in a cell, or None."""
    try:
        return float(cell)
    except ValueError:
        return None


def checked(path: Path, lines: Iterator[Line], columns: Columns) -> Iterator[Line]:
    """The lines, each with as many cells as there are columns and with a class.

    Raises:
        UserError: one has not.
    """
    for number, row in lines:
        if len(row) != columns.width:
            raise UserError(f"{path}, line {number} has {len(row)} values, the first line {columns.width}")
        if not row[columns.label]:
            raise UserError(f"{path}, line {number} has no class in column {columns.label + 1}")
        yield number, row


def cells(path: Path) -> Iterator[Line]:
    """The lines of a CSV file, plain or gzip, that are not blank; commas, semicolons or tabs separate.

    Raises:
        UserError: it is no text in UTF-8, is damaged, or cannot be read.
    """
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8-sig", newline="") as stream:
            first = stream.readline()
            stream.seek(0)
            delimiter = max(",;\t", key=first.count)
            reader = csv.reader(stream, delimiter=delimiter)
            for row in reader:
                if any(row):
                    yield reader.line_num, [cell.strip() for cell in row]
    except PermissionError:
        raise UserError(f"no permission to read {path}") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is no text in UTF-8; save it as UTF-8") from None
    except csv.Error as error:
        raise UserError(f"{path} is not a CSV file: {error}") from None
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} cannot be read: {error}") from None
