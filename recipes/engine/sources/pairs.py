"""Texts and their translations: a table or lines of JSON with two columns."""

from collections.abc import Sequence
from pathlib import Path

from recipes.engine.errors import UserError
from recipes.engine.records import Data
from recipes.engine.sources.raw import Raw
from recipes.engine.sources.texts import Gathered, add, items, split_of, strings, unusable

COLUMNS = ("source", "target")


def read(path: Path, *, data: Data) -> Raw:
    """Read the two columns `data.columns` (`source` and `target`), and a `split` where there is one.

    Raises:
        UserError: it is no such file, lacks a column, or a text is empty or too long; says on which line.
    """
    columns = data.columns or COLUMNS
    if len(columns) != 2:
        raise UserError(f"data.columns names {len(columns)} columns; a translation has two, from and to")
    found = Gathered()
    answers: list[str] = []
    for where, item in items(path, columns):
        reason = unusable(item[columns[1]])
        if reason and data.on_bad == "fail":
            raise UserError(f"{where}: the text in {columns[1]!r} {reason}; mend it, or pass --data.on-bad skip")
        if reason:
            found.bad.append(f"{where} ({reason})")
            continue
        add(found, where, item[columns[0]], "", data)
        if len(answers) < len(found.texts):
            answers.append(item[columns[1]])
            if "split" in item:
                found.splits.append(split_of(where, item["split"]))
    return made(found, answers, str(path))


def made(found: Gathered, answers: Sequence[str], source: str, notes: tuple[str, ...] = ()) -> Raw:
    """Pairs as a source; line ends and runs of spaces become one space.

    Raises:
        UserError: there is nothing, or no split to train on.
    """
    if not answers:
        raise UserError(f"{source} has no pair of texts to learn from")
    if found.splits and "train" not in found.splits:
        raise UserError(f"{source} has no row whose split is train")
    return Raw(
        inputs=strings([" ".join(text.split()) for text in found.texts]),
        labels=strings([" ".join(text.split()) for text in answers]),
        names=tuple(found.names),
        splits=tuple(found.splits) or None,
        classes=(),
        source=source,
        notes=(*found.notes(), *notes),
        task="translate",
        modality="text",
    )


def is_pairs(header: Sequence[str]) -> bool:
    """Whether a table's first line is that of a translation."""
    return list(header) == list(COLUMNS)
