"""An `.npz` archive of series."""

import zipfile
from pathlib import Path

import numpy as np

from recipes.engine.errors import UserError
from recipes.engine.sources.arrays import flat_labels, named, opened
from recipes.engine.sources.raw import Raw, Split, indexed, listing
from recipes.engine.sources.series import stack, trimmed, uneven

ARRAYS: dict[Split | None, tuple[str, str]] = {
    None: ("series", "labels"),
    "train": ("train_series", "train_labels"),
    "validation": ("val_series", "val_labels"),
    "test": ("test_series", "test_labels"),
}
"""Names of series and labels in an archive."""


def has_series(path: Path) -> bool:
    """Whether an archive has an array of series, by its name: numbers alone could be grey images too."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.lower().removesuffix(".npy") for name in archive.namelist()}
    except (OSError, zipfile.BadZipFile):
        return False  # `arrays.read` says what is wrong with it
    return bool(names & {series for series, _ in ARRAYS.values()})


def read(path: Path) -> Raw:
    """Read `series` and `labels`, or `train_series`, `train_labels`, `val_…`, `test_…`.

    Series are numbers `(count, steps, channels)`, or `(count, steps)` of one channel; a shorter one is followed by
    steps of NaN. Labels are as in `arrays.read`, and `classes` names them.

    Raises:
        UserError: the archive is damaged, lacks arrays, they do not fit together, or a value is no finite number.
    """
    arrays = opened(path)
    series: list[np.ndarray] = []
    labels: list[str] = []
    splits: list[Split] = []
    names: list[str] = []
    for split, (one, other) in ARRAYS.items():
        if one not in arrays and other not in arrays:
            continue
        if one not in arrays or other not in arrays:
            raise UserError(f"{path} has {listing(sorted(arrays), 12)}; {one} and {other} come together")
        values, classes = shaped(arrays[one], f"{one} in {path}"), flat_labels(arrays[other], f"{other} in {path}")
        if len(values) != len(classes):
            raise UserError(f"{path} has {len(values):,} series in {one} and {len(classes):,} labels in {other}")
        if series and values.shape[2] != series[0].shape[1]:
            raise UserError(f"{one} in {path} has {values.shape[2]} channels, where others have {series[0].shape[1]}")
        series += [trimmed(row, f"{one}[{place}] in {path}") for place, row in enumerate(values)]
        labels += [str(label) for label in classes.tolist()]
        splits += [split] * len(values) if split else []
        names += [f"{path.name}:{one}#{row}" for row in range(len(values))]
    if splits and (len(splits) < len(names) or "train" not in splits):
        raise UserError(
            f"{path} has {listing(sorted(arrays), 12)}; it needs series and labels, or train_series and train_labels "
            "with val_ and test_ where there are such splits"
        )
    given = arrays.get("classes")
    known, indices = indexed(labels) if given is None else named(labels, given, path)
    inputs = stack(series, what=str(path))
    return Raw(
        inputs, indices, tuple(names), tuple(splits) or None, known, str(path), uneven(inputs), modality="series"
    )


def shaped(values: np.ndarray, name: str) -> np.ndarray:
    """Series as float32 `(count, steps, channels)`.

    Raises:
        UserError: they have another shape, or are no numbers.
    """
    if values.ndim == 2:
        values = values[..., None]
    if values.ndim != 3 or not values.size:
        raise UserError(f"{name} has shape {values.shape}; series are (count, steps[, channels])")
    if values.dtype.kind not in "uif":
        raise UserError(f"{name} has values of type {values.dtype}; series are numbers")
    return values.astype(np.float32)
