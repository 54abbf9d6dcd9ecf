"""What every source gives: inputs, class names, labels and, where it has one, its own split."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from recipes.engine.results import THINGS, Modality, Task

Split = Literal["train", "validation", "test"]

SPLIT_NAMES: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
"""What folders and CSV columns call the splits, in lower case."""

MANY: dict[Modality, str] = {kind: thing if thing.endswith("s") else f"{thing}s" for kind, thing in THINGS.items()}
"""What people call several examples."""

ALIKE: dict[Modality, str] = {
    "image": "pixel for pixel",
    "series": "value for value",
    "text": "word for word",
    "audio": "sample for sample",
}
"""How two of them are equal."""


@dataclass(frozen=True)
class Raw:
    """A source, read and not yet split.

    Attributes:
        inputs: as `Subset.inputs`, by `modality`.
        labels: as `Subset.labels`, by `task`.
        names: where each example came from.
        splits: the split of each example where the source brings one, else None; `train` is always among them.
        classes: names, in the order of the label indices.
        source: what was loaded, for the report.
        notes: what the user should know.
        task: what the labels are.
        modality: what the inputs are.
    """

    inputs: np.ndarray
    labels: np.ndarray
    names: tuple[str, ...]
    splits: tuple[Split, ...] | None
    classes: tuple[str, ...]
    source: str
    notes: tuple[str, ...] = ()
    task: Task = "classify"
    modality: Modality = "image"


def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key in which `10` comes after `2`; ASCII digits count, the rest compares as text."""
    parts = re.split(r"([0-9]+)", name)
    return tuple((0, int(part), part) if part[:1].isascii() and part.isdigit() else (1, 0, part) for part in parts)


def indexed(names: Sequence[str], classes: Iterable[str] | None = None) -> tuple[tuple[str, ...], np.ndarray]:
    """Class names in natural order (or as given) and the label index of each of `names`, int64 `(count,)`."""
    ordered = tuple(classes) if classes is not None else tuple(sorted(set(names), key=natural))
    place = {name: index for index, name in enumerate(ordered)}
    return ordered, np.array([place[name] for name in names], dtype=np.int64)


def listing(names: Sequence[str], most: int = 5) -> str:
    """The first `most` names, then how many more."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
