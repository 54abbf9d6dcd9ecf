"""Load examples: read a source, split it, tell what the user should know."""

import difflib
import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from recipes.engine import datasets
from recipes.engine.errors import UserError
from recipes.engine.records import Data
from recipes.engine.results import Examples, Subset
from recipes.engine.sources import arrays, digits, folder, mask_arrays, mask_splits, masks, notes, splits, tables
from recipes.engine.sources.raw import Raw


def load(data: Data, *, progress: bool = True) -> Examples:
    """Load and split the examples of a recipe.

    A split that the source lacks is taken from its training examples: stratified (images with masks: by chance), seeded
    by `data.seed`, the same on every platform, with images of the same pixels on one side.

    Args:
        data: what to load.
        progress: show a bar where it takes long.

    Raises:
        UserError: the source is missing, damaged, or not what it should be; one sentence with the name.
    """
    if data.seed < 0:
        raise UserError(f"data.seed is {data.seed}; it must be 0 or more")
    raw = read(data, progress=progress)
    same = splits.copies(raw.inputs)
    if raw.task == "segment":
        split = mask_splits.assign(raw, data, same)
        return examples(raw, split, mask_splits.notes(raw, split, same))
    splits.check(raw.labels, raw.splits, raw.classes, raw.source)
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
    mark = fingerprint((train, validation, test))
    return Examples(raw.classes, train, validation, test, mark, raw.source, (*raw.notes, *told), raw.task)


def subset(raw: Raw, rows: np.ndarray) -> Subset:
    """The examples at `rows`."""
    return Subset(raw.inputs[rows], raw.labels[rows], tuple(raw.names[row] for row in rows))


def read(data: Data, *, progress: bool) -> Raw:
    """Read the source, whatever kind it is.

    Raises:
        UserError: there is none of that name, or it cannot be read.
    """
    name = data.source
    if name == "digits":
        return digits.read(data=data)
    if name in datasets.names():
        return datasets.load_named(name, data=data, progress=progress)
    path = Path(name).expanduser()
    if path.is_dir() and name and masks.is_folder(path):
        return masks.read(path, data=data, progress=progress)
    if path.is_dir() and name:
        return folder.read(path, data=data, progress=progress)
    if not path.exists() or not name:
        raise UserError(missing(path, name))
    if path.suffix.lower() == ".npz":
        if mask_arrays.has_masks(path):
            return mask_arrays.read(path, data=data)
        return arrays.read(path, data=data)
    if path.name.lower().endswith((".csv", ".csv.gz")):
        return tables.read(path, data=data, progress=progress)
    raise UserError(f"{path} is no folder, .npz, .csv or .csv.gz file; data.source takes one of those")


def missing(path: Path, name: str) -> str:
    """The sentence for a source that does not exist, with the nearest name there is."""
    try:
        siblings = [entry.name for entry in path.parent.iterdir() if not entry.name.startswith(".")]
    except OSError:
        siblings = []
    near = difflib.get_close_matches(path.name, siblings, n=1)
    if near:
        return f"there is no {path}; did you mean {path.parent / near[0]}?"
    known = difflib.get_close_matches(name, datasets.names(), n=1)
    if known:
        return f"there is no {name!r}; did you mean the data set {known[0]}?"
    return f"there is no folder or file {name!r} and no data set of that name; the data sets are " + ", ".join(
        datasets.names()
    )


def fingerprint(subsets: Sequence[Subset]) -> str:
    """SHA-256, in hex, over shapes, images and labels of the subsets, in order."""
    digest = hashlib.sha256()
    for subset in subsets:
        digest.update(repr(subset.inputs.shape).encode())
        digest.update(np.ascontiguousarray(subset.inputs).data)
        labels = subset.labels if subset.labels.dtype == np.uint8 else subset.labels.astype("<i8")
        digest.update(np.ascontiguousarray(labels).data)
    return digest.hexdigest()


def class_weights(labels: np.ndarray, classes: int) -> np.ndarray:
    """Weights that make each class count alike: total / (classes * count), float64 `(classes,)`; 0 for an empty class.

    Args:
        labels: int64 `(count,)`.
        classes: how many there are.
    """
    counts = np.bincount(labels, minlength=classes)
    return np.divide(len(labels), classes * counts, out=np.zeros(classes), where=counts > 0)
