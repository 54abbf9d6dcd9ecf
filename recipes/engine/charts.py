"""Geometry of the report's charts; the template draws it as SVG, so that every name is escaped there."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.ticker import MaxNLocator

from recipes.engine.results import History

WIDTH, HEIGHT = 460, 250
LEFT, RIGHT, TOP, BOTTOM = 54, 12, 14, 34
MOST_CLASSES = 100
LONGEST_NAME = 20


@dataclass(frozen=True)
class Tick:
    """A mark on an axis: its place in SVG units and its label."""

    at: float
    label: str


@dataclass(frozen=True)
class Line:
    """One curve: `kind` is `train` or `validation`; `points` as an SVG polyline has them; `end` is the last."""

    kind: str
    points: str
    end: tuple[float, float]


@dataclass(frozen=True)
class Curves:
    """One chart of a phase: training and validation over the epochs, the best epoch marked (None: no mark)."""

    title: str
    x: tuple[Tick, ...]
    y: tuple[Tick, ...]
    lines: tuple[Line, ...]
    best: float | None
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP
    bottom: int = HEIGHT - BOTTOM


def curves(history: History, name: str, *, title: str, percent: bool = False) -> Curves | None:
    """The chart of `name` and `val_name`; None where the phase has neither.

    Args:
        history: a phase.
        name: `loss` or `accuracy`.
        title: the chart's heading.
        percent: whether the values are shares to be shown as percentages.
    """
    found = {"train": history.curves.get(name, []), "validation": history.curves.get(f"val_{name}", [])}
    values = [v for series in found.values() for v in series if math.isfinite(v)]
    if not values:
        return None
    epochs = max(map(len, found.values()))
    marks = ticks(min(values), max(values))
    low, high = min(*values, *marks), max(*values, *marks)

    def x(epoch: float) -> float:
        share = (epoch - 1) / (epochs - 1) if epochs > 1 else 0.5
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def y(value: float) -> float:
        return round(HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - TOP - BOTTOM), 1)

    lines = []
    for kind, series in found.items():
        points = [(x(i + 1), y(v)) for i, v in enumerate(series) if math.isfinite(v)]
        if points:
            lines.append(Line(kind, " ".join(f"{a},{b}" for a, b in points), points[-1]))
    return Curves(
        title=title,
        x=tuple(Tick(x(e), f"{e:.0f}") for e in ticks(1, epochs, whole=True) if 1 <= e <= epochs),
        y=tuple(Tick(y(v), f"{100 * v:.6g} %" if percent else f"{v:.6g}") for v in marks),
        lines=tuple(lines),
        best=x(history.best_epoch) if 1 <= history.best_epoch <= epochs else None,
    )


def ticks(low: float, high: float, *, whole: bool = False) -> list[float]:
    """Four to seven round numbers around `low`-`high`."""
    if low == high and not whole:
        low, high = low - 0.05, high + 0.05
    values = MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10], integer=whole).tick_values(low, high)
    return [round(float(v), 10) for v in values]


@dataclass(frozen=True)
class Shade:
    """Cells of one shade: `kind` is `right` or `wrong`, `opacity` 0-1, `path` an SVG path over all of them."""

    kind: str
    opacity: float
    path: str


@dataclass(frozen=True)
class Count:
    """The number in a cell; `light` when it stands on a dark cell."""

    x: int
    y: int
    text: str
    light: bool


@dataclass(frozen=True)
class Matrix:
    """A confusion matrix: cells of `side` SVG units, `names` down and across, `margin` for the names."""

    names: tuple[str, ...]
    side: int
    font: int
    margin: int
    shades: tuple[Shade, ...]
    counts: tuple[Count, ...]

    @property
    def size(self) -> int:
        """Width and height of the drawing."""
        return self.margin + self.side * len(self.names) + 2


def matrix(
    confusion: Sequence[Sequence[int]], classes: Sequence[str], *, shares: bool = False, levels: int = 10
) -> Matrix:
    """The heat map of a confusion matrix: right answers in one colour, wrong ones in another.

    Shade is the share of the row, in `levels` steps, and all cells of a shade are one path: a page with a hundred
    classes stays small. Of more than a hundred classes, those with the most wrong answers are drawn. With `shares` a
    cell says the percentage of its row in place of its count, which for pixels would not fit.
    """
    errors = [sum(row) - row[i] for i, row in enumerate(confusion)]
    kept = sorted(sorted(range(len(classes)), key=lambda i: -errors[i])[:MOST_CLASSES])
    side = next(side for most, side in ((5, 64), (12, 44), (30, 30), (MOST_CLASSES, 20)) if len(kept) <= most)
    font = {64: 14, 44: 14, 30: 11, 20: 9}[side]
    margin = 16 + round(0.6 * font * min(max(len(classes[i]) for i in kept), LONGEST_NAME))
    paths: dict[tuple[str, int], str] = {}
    counts = []
    for i, truth in enumerate(kept):
        total = max(sum(confusion[truth]), 1)
        for j, answer in enumerate(kept):
            count = confusion[truth][answer]
            if not count:
                continue
            level = math.ceil(levels * count / total)
            key = ("right" if i == j else "wrong", level)
            left, top = margin + side * j, margin + side * i
            paths[key] = paths.get(key, "") + f"M{left} {top}h{side}v{side}h-{side}z"
            text = _per_cent(count / total) if shares else str(count)
            counts.append(Count(left + side // 2, top + side // 2, text, level > 0.5 * levels))
    return Matrix(
        names=tuple(classes[i] for i in kept),
        side=side,
        font=font,
        margin=margin,
        shades=tuple(Shade(k, round(0.1 + 0.9 * v / levels, 2), path) for (k, v), path in sorted(paths.items())),
        counts=tuple(counts),
    )


def _per_cent(share: float) -> str:
    """A share above 0 in whole per cent; neither 0, nor 100 for less than all."""
    if share < 0.01:
        return "<1"
    return ">99" if 0.99 < share < 1.0 else f"{100 * share:.0f}"
