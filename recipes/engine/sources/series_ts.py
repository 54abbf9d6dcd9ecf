"""The `.ts` files of the UCR and UEA archives: series with classes.

The format is that of the archives' own site and of the libraries sktime and aeon: lines that begin with `#` or `%` are
comments, lines that begin with `@` say what the file is, and after `@data` each line is a series: its channels
separated by `:`, their values by `,`, and the class last.
"""

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recipes.engine.errors import UserError
from recipes.engine.sources import text_file
from recipes.engine.sources.raw import Raw, Split, indexed, listing, natural
from recipes.engine.sources.series import stack, trimmed, uneven

ENDS: dict[str, Split] = {"_TRAIN": "train", "_TEST": "test"}


@dataclass(frozen=True)
class Header:
    """What the lines before `@data` say; `first` is the number of the line after it, None is not said."""

    first: int
    classes: tuple[str, ...]
    channels: int | None
    steps: int | None
    equal: bool


@dataclass(frozen=True)
class Series:
    """A file: series `(steps, channels)`, their classes, line numbers, and the classes that the header names."""

    values: list[np.ndarray]
    labels: list[str]
    lines: list[int]
    classes: tuple[str, ...]


def read(path: Path) -> Raw:
    """Read `NAME_TRAIN.ts` with the `NAME_TEST.ts` beside it (by either's name or the folder's), or a lone file.

    Raises:
        UserError: a file is missing, or is not of that format: names the file and the line.
    """
    files = pair(path)
    contents = {file: parse(text_file.read(file), str(file)) for file in files}
    return joined(contents, {file: split(file) for file in files}, str(path))


def archive(path: Path, name: str) -> Raw:
    """Read `name_TRAIN.ts` and `name_TEST.ts` out of a zip archive, as the archives' site has them.

    Raises:
        UserError: they are not there or not of that format.
    """
    contents, splits = {}, {}
    with zipfile.ZipFile(path) as archived:
        for end, kind in ENDS.items():
            member = next((one for one in archived.namelist() if Path(one).name == f"{name}{end}.ts"), None)
            if member is None:
                raise UserError(f"{path} has no {name}{end}.ts; it has {listing(archived.namelist())}")
            file = Path(member)
            contents[file] = parse(text_file.decoded(archived.read(member), member), member)
            splits[file] = kind
    return joined(contents, splits, str(path))


def pair(path: Path) -> list[Path]:
    """The files that `path` stands for, train first.

    Raises:
        UserError: the folder has several data sets or none, or the file with the training series is missing.
    """
    if path.is_dir():
        trains = sorted((one for one in path.glob("*_TRAIN.ts")), key=lambda one: natural(one.name))
        chosen = [one for one in trains if one.name == f"{path.name}_TRAIN.ts"] or trains
        if len(chosen) != 1:
            found = listing([one.name for one in sorted(path.glob("*.ts"))])
            raise UserError(f"{path} has {len(trains)} files NAME_TRAIN.ts among {found}; name the one to read")
        path = chosen[0]
    kind = split(path)
    if kind is None:
        return [path]
    stem = path.stem[: path.stem.rindex("_")]
    train, test = (path.with_name(f"{stem}{end}.ts") for end in ENDS)
    if not train.is_file():
        raise UserError(f"{test} has no {train.name} beside it to train on")
    return [train, test] if test.is_file() else [train]


def split(path: Path) -> Split | None:
    """The split that a file's name says it is."""
    return next((kind for end, kind in ENDS.items() if path.stem.upper().endswith(end)), None)


def joined(contents: dict[Path, Series], splits: Mapping[Path, Split | None], source: str) -> Raw:
    """Files of one data set, put together.

    Raises:
        UserError: they have different numbers of channels.
    """
    (first, one), *others = contents.items()
    for file, other in others:
        if other.values[0].shape[1] != one.values[0].shape[1]:
            raise UserError(
                f"{file} has {other.values[0].shape[1]} channels where {first} has {one.values[0].shape[1]}"
            )
    labels = [label for part in contents.values() for label in part.labels]
    declared = {name for part in contents.values() for name in part.classes}
    classes, indices = indexed(labels, sorted(declared | set(labels), key=natural))
    inputs = stack([values for part in contents.values() for values in part.values], what=source)
    known = tuple(kind for file, part in contents.items() for kind in [splits[file]] * len(part.labels) if kind)
    names = tuple(f"{file.name}:{line}" for file, part in contents.items() for line in part.lines)
    return Raw(inputs, indices, names, known or None, classes, source, uneven(inputs), modality="series")


def parse(text: str, name: str) -> Series:
    """The content of a file.

    Raises:
        UserError: it is not of that format; names the line.
    """
    lines = text.split("\n")
    head = header(lines, name)
    values: list[np.ndarray] = []
    labels: list[str] = []
    numbers: list[int] = []
    channels, steps = head.channels, head.steps
    for number, line in enumerate(lines[head.first :], head.first + 1):
        if not line.strip() or line.lstrip()[0] in "#%":
            continue
        where = f"{name}, line {number}"
        *parts, label = line.strip().split(":")
        label = label.strip()
        channels = channels or len(parts)
        if not parts or len(parts) != channels:
            raise UserError(f"{where} has {len(parts)} channels before the class, where there should be {channels}")
        if label not in head.classes:
            raise UserError(f"{where}: the class {label!r} is none of @classLabel's: {listing(head.classes, 12)}")
        one = trimmed(numbers_of(parts, where), where)
        if head.equal:
            steps = steps or len(one)
            if len(one) != steps:
                raise UserError(f"{where} has {len(one)} values a channel, where all series should have {steps}")
        values.append(one)
        labels.append(label)
        numbers.append(number)
    if not values:
        raise UserError(f"{name} has no series after @data")
    return Series(values, labels, numbers, head.classes)


def header(lines: Sequence[str], name: str) -> Header:
    """What the lines up to `@data` say.

    Raises:
        UserError: there is no such line, or it is a kind of file that is not read.
    """
    said: dict[str, str] = {}
    for place, line in enumerate(lines):
        text = line.strip()
        if not text or text[0] in "#%":
            continue
        if text[0] != "@":
            raise UserError(
                f"{name}, line {place + 1}: {text[:40]!r} stands before @data, but is no @setting or comment"
            )
        key, _, value = text[1:].partition(" ")
        if key.lower() == "data":
            return _header(said, place + 1, name)
        said[key.lower()] = value.strip()
    raise UserError(f"{name} has no line @data, so it is no .ts file of series")


def _header(said: dict[str, str], first: int, name: str) -> Header:
    flags = {key: said.get(key, "").lower() == "true" for key in ("timestamps", "univariate", "equallength")}
    if flags["timestamps"]:
        raise UserError(f"{name} has time stamps (@timeStamps true), which are not read; save the values alone")
    has, *classes = said.get("classlabel", "false").split()
    if has.lower() != "true" or not classes:
        kind = "a number to predict (@targetLabel)" if "targetlabel" in said else "no classes (@classLabel true A B …)"
        raise UserError(f"{name} has {kind}; .ts files are read for classification")
    sizes = {}
    for key in ("dimensions", "serieslength"):
        value = said.get(key)
        if value is not None and not (value.isascii() and value.isdigit() and int(value) > 0):
            raise UserError(f"{name}: @{key} is {value!r}, where a whole number above 0 should stand")
        sizes[key] = int(value) if value is not None else None
    channels = 1 if flags["univariate"] else sizes["dimensions"]
    steps = sizes["serieslength"] if flags["equallength"] else None
    return Header(first, tuple(classes), channels, steps, flags["equallength"])


def numbers_of(parts: Sequence[str], where: str) -> np.ndarray:
    """Channels of comma-separated numbers as float32 `(steps, channels)`; `?` is NaN.

    Raises:
        UserError: a value is no number, or channels differ in length.
    """
    rows = []
    for channel, part in enumerate(parts, 1):
        cells = ["nan" if cell.strip() in ("?", "") else cell for cell in part.split(",")]
        try:
            with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused as that
                rows.append(np.array(cells, dtype=np.float64).astype(np.float32))
        except ValueError:
            wrong = next(cell for cell in cells if not is_number(cell))
            hint = "; time stamps are not read" if wrong.lstrip().startswith("(") else ""
            raise UserError(f"{where}: {wrong.strip()[:40]!r} in channel {channel} is no number{hint}") from None
    sizes = [len(row) for row in rows]
    if len(set(sizes)) > 1:
        other = next(place for place, size in enumerate(sizes) if size != sizes[0])
        raise UserError(f"{where}: channel {other + 1} has {sizes[other]} values where channel 1 has {sizes[0]}")
    return np.stack(rows, axis=1)


def is_number(cell: str) -> bool:
    """Whether a cell is a number, infinite ones and NaN among them."""
    try:
        float(cell)
    except ValueError:
        return False
    return True
