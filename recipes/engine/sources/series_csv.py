"""A CSV file with a row a step: windows of it, and what follows each, split in time."""

import difflib
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from recipes.engine.errors import UserError
from recipes.engine.records import Data
from recipes.engine.sources import text_file
from recipes.engine.sources.memory import require
from recipes.engine.sources.raw import Raw, Split, listing
from recipes.engine.sources.tables import value
from recipes.engine.sources.text_file import Line

DATES = ("", "date", "time", "datetime", "timestamp", "year", "month", "day", "index")
"""Names, in lower case, of a column that says when, and is no channel unless `data.columns` names it."""

LARGEST = float(np.finfo(np.float32).max)


def read(path: Path, *, data: Data, titles: Sequence[str] = ()) -> Raw:
    """Read a table of numbers, oldest row first, and cut it into windows.

    Args:
        path: a `.csv`, `.tsv` or `.csv.gz`, with names of the columns in its first line or without.
        data: `columns`, `target`, `window`, `horizon`, `stride`, `validation` and `test` are used.
        titles: names of the columns, in place of those in the file.

    Raises:
        UserError: a column is missing, a value is no finite number, or the table is too short; says on which line.
    """
    names, lines = opened(path, titles)
    when = next((place for place, name in enumerate(names) if name.lower() in DATES), None)
    lines, told = ordered(path, lines, names, when)
    channels = chosen(path, names, data.columns, "data.columns") or numeric(path, lines, names, when)
    targets = chosen(path, names, data.target, "data.target") or channels
    values = {place: column(path, lines, names, place) for place in sorted({*channels, *targets})}
    inputs = np.stack([values[place] for place in channels], axis=1)
    outputs = np.stack([values[place] for place in targets], axis=1)
    starts, splits = cut(len(lines), data, str(path))
    require(
        4 * len(starts) * (data.window * len(channels) + data.horizon * len(targets)) * 2,
        what=f"{path}: {len(starts):,} windows of {data.window}×{len(channels)}",
        advice="choose a larger --data.stride",
    )
    seen = starts[:, None] + np.arange(data.window)
    follows = starts[:, None] + data.window + np.arange(data.horizon)
    ends = [(lines[row + data.window][0], lines[row + data.window + data.horizon - 1][0]) for row in starts.tolist()]
    return Raw(
        inputs=inputs[seen],
        labels=outputs[follows],
        names=tuple(f"{path.name}:{first}-{last}" for first, last in ends),
        splits=splits,
        classes=tuple(names[place] for place in targets),
        source=str(path),
        notes=(*told, spans(lines, names, when, starts, splits, data)),
        task="forecast",
        modality="series",
    )


def opened(path: Path, titles: Sequence[str]) -> tuple[list[str], list[Line]]:
    """Names of the columns (`1`, `2`, … where there are none), and the lines below.

    Raises:
        UserError: it is empty, or a line has another number of values than the first.
    """
    lines = [(number, [cell.strip() for cell in row]) for number, row in text_file.table(path, gaps=True)]
    if not lines:
        raise UserError(f"{path} is empty; it needs a line for each step")
    first = lines[0][1]
    headed = not all(value(cell) is not None for cell in first)
    names = first if headed else [str(place) for place in range(1, len(first) + 1)]
    lines = lines[headed:]
    for number, row in lines:
        if len(row) != len(names):
            raise UserError(f"{path}, line {number} has {len(row)} values, the first line {len(names)}")
    if titles and len(titles) == len(names):
        names = list(titles)
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"{path} has two columns named {twice!r}; give each a name of its own")
    return names, lines


def ordered(path: Path, lines: list[Line], names: list[str], when: int | None) -> tuple[list[Line], tuple[str, ...]]:
    """The lines in the order of the column `when`, where that can be read as dates, or as they are.

    Raises:
        UserError: a time is there twice, or is missing.
    """
    if when is None or not lines:
        return lines, ()
    try:
        times = np.array([row[when].replace("/", "-") for _, row in lines], dtype="datetime64[ms]")
    except ValueError:
        return lines, ()
    absent = np.flatnonzero(np.isnat(times))
    if len(absent):
        raise UserError(f"{path}, line {lines[absent[0]][0]}: {names[when]!r} is missing; fill it in, or leave it out")
    order = np.argsort(times, kind="stable")
    same = np.flatnonzero(np.diff(times[order]) == np.timedelta64(0, "ms"))
    if len(same):
        first, second = lines[order[same[0]]], lines[order[same[0] + 1]]
        raise UserError(
            f"{path}, line {second[0]}: {second[1][when]} is in line {first[0]} too; the file should hold one series, "
            "with a row for each time"
        )
    if (order == np.arange(len(lines))).all():
        return lines, ()
    return [lines[place] for place in order], (f"the rows were put in the order of {names[when] or 'their dates'}",)


def chosen(path: Path, names: list[str], wanted: Sequence[str], field: str) -> list[int]:
    """Places of the columns that a field of the recipe names.

    Raises:
        UserError: there is none of that name.
    """
    for name in wanted:
        if name not in names:
            close = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
            hint = f"did you mean {close[0]!r}?" if close else f"it has {listing(names, 12)}"
            raise UserError(f"{path} has no column {name!r}, which {field} names; {hint}")
    return [names.index(name) for name in wanted]


def numeric(path: Path, lines: list[Line], names: list[str], when: int | None) -> list[int]:
    """Places of the columns that are numbers for the most part, without the one that says when.

    Raises:
        UserError: there is none.
    """
    found = []
    for place in range(len(names)):
        numbers = sum(value(row[place]) is not None for _, row in lines)
        if place != when and 2 * numbers > len(lines):
            found.append(place)
    if not found:
        raise UserError(f"{path} has no column of numbers among {listing(names, 12)}, below its first line")
    return found


def column(path: Path, lines: list[Line], names: list[str], place: int) -> np.ndarray:
    """The numbers of a column, float32 `(rows,)`.

    Raises:
        UserError: one is missing, infinite or no number.
    """
    numbers = np.empty(len(lines), np.float32)
    for step, (line, row) in enumerate(lines):
        number = value(row[place])
        if number is None or not math.isfinite(number) or abs(number) > LARGEST:
            what = "missing" if row[place].lower() in ("", "nan", "na", "?") else f"{row[place]!r}, no finite number"
            raise UserError(
                f"{path}, line {line}: {names[place]!r} is {what}; fill it in, or choose other --data.columns"
            )
        numbers[step] = number
    return numbers


def cut(rows: int, data: Data, source: str) -> tuple[np.ndarray, tuple[Split, ...]]:
    """Where windows start, and their splits: training first, then validation, then test.

    A row that is forecast in one split is forecast in no other: a window belongs to the split that holds all of its
    targets, and one across a border to none. What a window sees may lie in the split before.

    Raises:
        UserError: the table is too short for a window in each split.
    """
    borders = [0, round(rows * (1 - data.validation - data.test)), round(rows * (1 - data.test)), rows]
    starts: list[int] = []
    splits: list[Split] = []
    kinds: tuple[Split, ...] = ("train", "validation", "test")
    for kind, first, last in zip(kinds, borders, borders[1:], strict=False):
        if first == last and kind == "validation":
            continue  # nothing is held out to choose on
        mine = range(max(first - data.window, 0), last - data.window - data.horizon + 1, data.stride)
        if not mine:
            raise UserError(
                f"{source} has {rows} rows, {last - first} of them for {kind}, which are too few for a window of "
                f"{data.window} and the {data.horizon} that follow; choose a smaller --data.window or --data.horizon, "
                "or other shares"
            )
        starts += mine
        splits += [kind] * len(mine)
    return np.array(starts), tuple(splits)


def spans(
    lines: list[Line], names: list[str], when: int | None, starts: np.ndarray, splits: tuple[Split, ...], data: Data
) -> str:
    """A note of what each split forecasts."""
    parts = []
    for kind in ("train", "validation", "test"):
        mine = starts[np.array(splits) == kind]
        if not len(mine):
            continue
        first, last = lines[mine[0] + data.window], lines[mine[-1] + data.window + data.horizon - 1]
        text = [f"line {number}" if when is None else row[when] for number, row in (first, last)]
        parts.append(f"{kind} {text[0]} to {text[1]} ({len(mine):,} windows)")
    return f"split in time; what is forecast: {', '.join(parts)}"
