"""Load examples: read a source, split it, tell what the user should know."""

import hashlib
from collections.abc import Sequence

import numpy as np

from recipes.engine.errors import UserError
from recipes.engine.records import Data
from recipes.engine.results import Examples, Subset
from recipes.engine.sources import mask_notes, notes, opening, splits
from recipes.engine.sources.raw import Raw


def load(data: Data, *, progress: bool = True) -> Examples:
    """Load and split the examples of a recipe.

    A split that the source lacks is taken from its training examples: stratified where they have a class each, else by
    chance, seeded by `data.seed`, the same on every platform, with equal examples on one side.

    Args:
        data: what to load.
        progress: show a bar where it takes long.

    Raises:
        UserError: the source is missing, damaged, or not what it should be; one sentence with the name.
    """
    if data.seed < 0:
        raise UserError(f"data.seed is {data.seed}; it must be 0 or more")
    raw = opening.read(data, progress=progress)
    if raw.task == "classify":
        return classified(raw, data)
    # Windows of one series overlap; that some are equal says nothing.
    same = np.arange(len(raw.labels)) if raw.task == "forecast" else splits.copies(raw.inputs)
    split = splits.scatter(raw, data, same)
    told = mask_notes.notes(raw, split, same) if raw.task == "segment" else notes.leaks(raw, split, same)
    return examples(raw, split, told)


def classified(raw: Raw, data: Data) -> Examples:
    """Examples with a class each, split by class."""
    same = splits.copies(raw.inputs)
    splits.check(raw.labels, raw.splits, raw.classes, raw.source, data=data)
    split = splits.assign(raw, data, same)
    splits.limit(split, raw.labels, data)
    told = (
        *notes.leaks(raw, split, same),
        *notes.absent(raw, split),
        *notes.imbalance(raw.labels[split == 0], raw.classes, balanced=data.balance == "weights"),
    )
    return examples(raw, split, told)


def examples(raw: Raw, split: np.ndarray, told: tuple[str, ...]) -> Examples:
    """What was read, cut into its splits (indices into `splits.ORDER`), with notes."""
    train, validation, test = (subset(raw, np.flatnonzero(split == place)) for place in range(len(splits.ORDER)))
    if not len(validation):
        validation = train
        told = (
            *told,
            "nothing was held out to choose on, for data.validation is 0: what is called validation here "
            "are the training examples",
        )
    mark = fingerprint((train, validation, test))
    return Examples(raw.classes, train, validation, test, mark, raw.source, (*raw.notes, *told), raw.task, raw.modality)


def subset(raw: Raw, rows: np.ndarray) -> Subset:
    """The examples at `rows`."""
    return Subset(raw.inputs[rows], raw.labels[rows], tuple(raw.names[row] for row in rows))


def fingerprint(subsets: Sequence[Subset]) -> str:
    """SHA-256, in hex, over shapes, inputs and labels of the subsets, in order."""
    digest = hashlib.sha256()
    for subset in subsets:
        digest.update(repr(subset.inputs.shape).encode())
        digest.update(content(subset.inputs))
        labels = subset.labels.astype("<i8") if subset.labels.dtype == np.int64 else subset.labels
        digest.update(content(labels))
    return digest.hexdigest()


def content(values: np.ndarray) -> bytes | memoryview:
    """The bytes of an array, of texts each with its length before it; the same on every platform."""
    if values.dtype == object:
        return b"".join(b"%d:%s" % (len(text), text) for text in (str(value).encode() for value in values))
    return np.ascontiguousarray(values).data


def class_weights(labels: np.ndarray, classes: int) -> np.ndarray:
    """Weights that make each class count alike: total / (classes * count), float64 `(classes,)`; 0 for an empty class.

    Args:
        labels: int64 `(count,)`.
        classes: how many there are.
    """
    counts = np.bincount(labels, minlength=classes)
    return np.divide(len(labels), classes * counts, out=np.zeros(classes), where=counts > 0)
