"""Plain text to continue or to embed: one file or many, in pieces, held out in blocks."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from recipes.engine.errors import UserError
from recipes.engine.records import Data
from recipes.engine.results import Task
from recipes.engine.sources import text_file
from recipes.engine.sources.folder import walk
from recipes.engine.sources.raw import SPLIT_NAMES, Raw, Split
from recipes.engine.sources.texts import Gathered, add, items, split_of, strings

PIECE = 10_000
"""Characters after which a long text is cut, at the next end of a line."""

Document = tuple[str, str]
"""A name, and the text."""


def read(path: Path, *, data: Data) -> Raw:
    """Read a `.txt` file, a folder of them, or the column `data.text` of a table or of lines of JSON.

    Files named `train.txt`, `validation.txt` (or `val`, `valid`) and `test.txt` are the splits. Otherwise whole texts
    are held out, the last in the order of their names, and of one or two texts the last pieces. The rows of a table
    are texts of their own and are held out by chance.

    Raises:
        UserError: there is no text, or not enough for three splits, or it is not UTF-8.
    """
    if not path.is_dir() and not path.name.lower().removesuffix(".gz").endswith(".txt"):
        return rows(path, data)
    files = [file for file in walk(path) if file.suffix.lower() == ".txt"] if path.is_dir() else [path]
    documents = [
        (file.relative_to(path).as_posix() if path.is_dir() else file.name, text_file.read(file)) for file in files
    ]
    documents = [(name, text) for name, text in documents if text.strip()]
    if not documents:
        raise UserError(f"{path} has no text in it")
    named = [SPLIT_NAMES.get(Path(name).stem.lower()) for name, _ in documents]
    return made(documents, named if "train" in named and None not in named else None, str(path), data=data)


def made(
    documents: Sequence[Document],
    given: Sequence[Split | None] | None,
    source: str,
    *,
    data: Data,
    notes: tuple[str, ...] = (),
) -> Raw:
    """Texts in pieces, with their splits.

    Args:
        documents: name and text of each.
        given: the split of each text, where that is known.
        source: for messages.
        data: `task`, `validation` and `test` are used.
        notes: what the user should know.

    Raises:
        UserError: the text is too short for three splits.
    """
    pieces = [pieces_of(text) for _, text in documents]
    flat = [piece for parts in pieces for piece in parts]
    owner = [place for place, parts in enumerate(pieces) for _ in parts]
    names = tuple(
        name if len(parts) == 1 else f"{name}#{part}"
        for (name, _), parts in zip(documents, pieces, strict=True)
        for part in range(len(parts))
    )
    if given is not None and {"validation", "test"} <= set(given):
        splits: list[Split] = [given[place] or "train" for place in owner]
    elif given is not None:
        raise UserError(f"{source} has a train file, but not both validation and test beside it; add them or rename it")
    elif len(documents) > 2:
        whole = blocks([len(text) for _, text in documents], data)
        splits = [whole[place] for place in owner]
    else:
        if len(flat) < 3:  # too short for its pieces: lines will do
            return lines_of(documents, source, data=data, notes=notes)
        splits = blocks([len(piece) for piece in flat], data)
    return raw(flat, names, tuple(splits), source, data, notes)


def lines_of(documents: Sequence[Document], source: str, *, data: Data, notes: tuple[str, ...]) -> Raw:
    """A short text in a piece a split, cut at ends of lines.

    Raises:
        UserError: it has fewer lines than that.
    """
    lines = [line for _, text in documents for line in text.splitlines(keepends=True)]
    if len(lines) < 3:
        raise UserError(
            f"{source} has too few lines of text: {len(lines)}, where it needs at least three, one for each split"
        )
    kinds = blocks([len(line) for line in lines], data)
    order = tuple(dict.fromkeys(kinds))
    texts = ["".join(line for line, kind in zip(lines, kinds, strict=True) if kind == split) for split in order]
    return raw(texts, tuple(f"{documents[0][0]}#{kind}" for kind in order), order, source, data, notes)


def rows(path: Path, data: Data) -> Raw:
    """Texts from a table or lines of JSON; splits are drawn, unless a column names them."""
    found = Gathered()
    for where, item in items(path, (data.text,)):
        add(found, where, item[data.text], "", data)
        if "split" in item and len(found.splits) < len(found.texts):
            found.splits.append(split_of(where, item["split"]))
    if found.splits and "train" not in found.splits:
        raise UserError(f"{path} has no row whose split is train")
    return raw(found.texts, tuple(found.names), tuple(found.splits) or None, str(path), data, found.notes())


def raw(
    texts: Sequence[str],
    names: tuple[str, ...],
    splits: tuple[Split, ...] | None,
    source: str,
    data: Data,
    notes: tuple[str, ...],
) -> Raw:
    """Texts as a source, without labels, with a note of how much each split has."""
    task: Task = "embed" if data.task == "embed" else "generate"
    if splits is not None:
        sizes = {
            kind: sum(len(t) for t, s in zip(texts, splits, strict=True) if s == kind) for kind in dict.fromkeys(splits)
        }
        notes += (f"characters: {', '.join(f'{kind} {size:,}' for kind, size in sizes.items())}",)
    return Raw(strings(texts), np.zeros(len(texts), np.int64), names, splits, (), source, notes, task, "text")


def pieces_of(text: str) -> list[str]:
    """A text in pieces of `PIECE` characters or a little more, cut at ends of lines; joined they are the text."""
    pieces, start = [], 0
    while start < len(text):
        end = text.find("\n", start + PIECE - 1)
        end = len(text) if end < 0 else end + 1
        pieces.append(text[start:end])
        start = end
    if len(pieces) > 1 and not pieces[-1].strip():
        pieces[-2:] = [pieces[-2] + pieces[-1]]
    return pieces


def blocks(sizes: Sequence[int], data: Data) -> list[Split]:
    """The split of each text or piece, in order: training first, then validation, then test.

    Each has one at least, but none is held out to choose on where `data.validation` is 0.

    Args:
        sizes: characters of each; three or more.
        data: `validation` and `test` are shares of the characters.
    """
    ends = np.cumsum(sizes)
    borders = (1 - data.validation - data.test, 1 - data.test)
    first, second = (int(np.searchsorted(ends, round(ends[-1] * share), side="right")) for share in borders)
    held = 1 if data.validation else 0
    second = min(max(second, 1 + held), len(sizes) - 1)
    first = min(max(first, 1), second - 1) if held else second
    counts: dict[Split, int] = {"train": first, "validation": second - first, "test": len(sizes) - second}
    return [kind for kind, count in counts.items() for _ in range(count)]
