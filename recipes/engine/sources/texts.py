"""Texts with a class each: a table, lines of JSON, or a folder of class folders."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from recipes.engine.errors import UserError
from recipes.engine.records import Data
from recipes.engine.sources import text_file
from recipes.engine.sources.folder import class_folders, split_roots, walk
from recipes.engine.sources.raw import SPLIT_NAMES, Raw, Split, indexed, listing
from recipes.engine.sources.text_file import LARGEST

Item = tuple[str, dict[str, str]]
"""Where something stands (`file, line 3`), and its fields."""


HALF = re.compile("[\ud800-\udfff]")
"""One of the two halves that JSON writes some characters as; alone it stands for nothing."""


@dataclass
class Gathered:
    """Texts as they are read; `bad` says which were left out."""

    texts: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    splits: list[Split] = field(default_factory=list)
    bad: list[str] = field(default_factory=list)

    def notes(self) -> tuple[str, ...]:
        """A sentence on what was left out."""
        return (f"left out {listing(self.bad, 20)}",) if self.bad else ()


def read(path: Path, *, data: Data) -> Raw:
    """Read a table or lines of JSON with a text (`data.text`) and a class (`data.label`), and a `split` if it has one.

    Raises:
        UserError: it is no such file, is not UTF-8, lacks a column, or a text is empty or too long; says on which line.
    """
    found = Gathered()
    for where, item in items(path, (data.text, data.label)):
        if not item[data.label].strip():
            raise UserError(f"{where}: there is no class in {data.label!r}")
        add(found, where, item[data.text], item[data.label].strip(), data)
        if "split" in item and len(found.splits) < len(found.texts):
            found.splits.append(split_of(where, item["split"]))
    return made(found, str(path))


def folder(path: Path, *, data: Data) -> Raw:
    """Read `FOLDER/CLASS/….txt` or `FOLDER/{train,validation,test}/CLASS/….txt`, a text a file.

    Raises:
        UserError: a class has no text, or a text is empty, too long or not UTF-8.
    """
    found, others = Gathered(), 0
    for split, root in (split_roots(path) or {None: path}).items():
        for directory in class_folders(root):
            files = list(walk(directory))
            texts = [file for file in files if file.suffix.lower() == ".txt"]
            others += len(files) - len(texts)
            if not texts:
                raise UserError(f"class folder {directory} has no .txt file; fill it or remove it")
            for file in texts:
                name = file.relative_to(path).as_posix()
                try:
                    text = text_file.read(file)
                except UserError as error:
                    if data.on_bad == "fail":
                        raise
                    found.bad.append(str(error))
                    continue
                add(found, name, text, directory.name, data)
                if split and len(found.splits) < len(found.texts):
                    found.splits.append(split)
    ignored = (f"files ignored since they are no .txt: {others}",) if others else ()
    return made(found, str(path), ignored)


def add(found: Gathered, where: str, text: str, label: str, data: Data) -> None:
    """Add a text, unless it cannot be used.

    Raises:
        UserError: it is empty or too long, and `data.on_bad` is `fail`.
    """
    reason = unusable(text)
    if not reason:
        found.texts.append(text)
        found.labels.append(label)
        found.names.append(where)
    elif data.on_bad == "skip":
        found.bad.append(f"{where} ({reason})")
    else:
        raise UserError(f"{where}: the text {reason}; mend it, or pass --data.on-bad skip")


def unusable(text: str) -> str:
    """What is wrong with a text as one example; nothing where nothing is."""
    if not text.strip():
        return "is empty"
    size = len(text.encode()) if 4 * len(text) > LARGEST else 0
    return f"has {size / 1e6:.1f} MB, where {LARGEST // 10**6} MB are the most" if size > LARGEST else ""


def made(found: Gathered, source: str, notes: Sequence[str] = ()) -> Raw:
    """What was gathered, with classes.

    Raises:
        UserError: there is nothing.
    """
    if not found.texts:
        raise UserError(f"{source} has no text to learn from" + (f": {listing(found.bad)}" if found.bad else ""))
    classes, labels = indexed(found.labels)
    splits = tuple(found.splits) or None
    told = (*found.notes(), *notes)
    return Raw(strings(found.texts), labels, tuple(found.names), splits, classes, source, told, modality="text")


def strings(texts: Sequence[str]) -> np.ndarray:
    """Texts as an array of `str` objects `(count,)`."""
    array = np.empty(len(texts), object)
    array[:] = texts
    return array


def items(path: Path, wanted: Sequence[str]) -> Iterator[Item]:
    """The rows of a table or lines of JSON, each with the fields `wanted`, and with `split` where there is one.

    Raises:
        UserError: the file is none, is empty, or a row lacks a field.
    """
    rows = lines_of_json(path) if is_json(path) else rows_of_table(path, wanted)
    empty = True
    for where, item in rows:
        empty = False
        for name in wanted:
            if name not in item:
                raise UserError(f"{where} has no {name!r}; it has {listing(list(item), 12)}")
        yield where, item
    if empty:
        raise UserError(f"{path} has no text in it")


def is_json(path: Path) -> bool:
    """Whether a file's name says that each line is a JSON object."""
    return path.name.lower().removesuffix(".gz").endswith((".jsonl", ".ndjson"))


def rows_of_table(path: Path, wanted: Sequence[str]) -> Iterator[Item]:
    """The rows of a table by the names in its first line.

    Raises:
        UserError: the first line lacks a column, or a row has another number of cells.
    """
    lines = text_file.table(path)
    number, header = next(lines, (0, []))
    header = [cell.strip() for cell in header]
    absent = [name for name in wanted if name not in header]
    if absent and header:
        raise UserError(
            f"{path} has no column {absent[0]!r}; its first line has {listing(header, 12)}: name the columns with "
            "--data.text and --data.label, for a translation with --data.columns"
        )
    for number, row in lines:
        if len(row) != len(header):
            raise UserError(f"{path}, line {number} has {len(row)} values, the first line {len(header)}")
        item = dict(zip(header, row, strict=True))
        yield (
            f"{path.name}, line {number}",
            {name.lower() if name.lower() == "split" else name: cell for name, cell in item.items()},
        )


def lines_of_json(path: Path) -> Iterator[Item]:
    """The lines of a file of JSON objects; numbers and truth values become text.

    Raises:
        UserError: a line is no object, or a value is no text.
    """
    for number, line in enumerate(text_file.read(path).split("\n"), 1):
        if not line.strip():
            continue
        where = f"{path.name}, line {number}"
        try:
            item = json.loads(line)
        except json.JSONDecodeError as error:
            raise UserError(f"{where} is no JSON: {error.msg} at character {error.colno}") from None
        if not isinstance(item, dict):
            raise UserError(f"{where} is no JSON object with a text and a class")
        there = {name: cell for name, cell in item.items() if cell is not None}
        fields = {name: cell if isinstance(cell, str) else json.dumps(cell) for name, cell in there.items()}
        for name, cell in fields.items():
            half = HALF.search(cell)
            if half:
                raise UserError(
                    f"{where}: {name!r} has half a character, \\u{ord(half[0]):04x}, which is no text in UTF-8"
                )
        yield where, fields


def split_of(where: str, name: str) -> Split:
    """The split that a cell names.

    Raises:
        UserError: it is none of the names of splits.
    """
    split = SPLIT_NAMES.get(name.strip().lower())
    if split is None:
        raise UserError(f"{where}: the split {name!r} is not train, validation or test")
    return split
