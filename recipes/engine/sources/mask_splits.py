"""Images with masks, split: whole images, those of the same pixels on one side; and what the user should know."""

import numpy as np

from recipes.engine.errors import UserError
from recipes.engine.records import Data
from recipes.engine.results import IGNORE
from recipes.engine.sources.raw import Raw, listing
from recipes.engine.sources.splits import ORDER, fitting


def assign(raw: Raw, data: Data, same: np.ndarray) -> np.ndarray:
    """The split of each image, as indices into `splits.ORDER`, int64 `(count,)`; -1 is left out by `data.limit`.

    Splits that the source brings stay; the missing ones are taken from train by a seeded permutation.

    Raises:
        UserError: there are too few different images.
    """
    split = np.zeros(len(raw.labels), np.int64)
    if raw.splits is not None:
        split = np.array([ORDER.index(name) for name in raw.splits], dtype=np.int64)
    missing = {held: share for held, share in ((1, data.validation), (2, data.test)) if held not in split}
    rows = np.flatnonzero(split == 0)
    groups, group = np.unique(same[rows], return_inverse=True)
    if len(groups) <= len(missing):
        raise UserError(
            f"{raw.source} has too few different images to train on: {len(groups)}, where it needs at least "
            f"{len(missing) + 1}, one for each split"
        )
    order, sizes = np.random.default_rng(data.seed).permutation(len(groups)), np.bincount(group)
    waiting = len(missing)
    for held, share in sorted(missing.items(), reverse=True):
        taken = order[fitting(sizes[order], round(len(rows) * share))][: len(order) - waiting]
        split[rows[np.isin(group, taken)]] = held
        order = order[~np.isin(order, taken)]
        waiting -= 1
    if data.limit is not None:
        mine = np.random.default_rng([data.seed, 1]).permutation(np.flatnonzero(split == 0))
        split[mine[data.limit :]] = -1
    return split


def notes(raw: Raw, split: np.ndarray, same: np.ndarray) -> tuple[str, ...]:
    """Copies across splits, classes that a split lacks, and how much of the pixels each class has."""
    told = []
    for held in (1, 2):
        there = set(same[(split >= 0) & (split < held)].tolist())
        found = [row for row in np.flatnonzero(split == held) if int(same[row]) in there]
        if found:
            told.append(
                f"{len(found):,} images of the {ORDER[held]} split are in an earlier split too, pixel for pixel (such "
                f"as {raw.names[found[0]]}): the {ORDER[held]} score flatters"
            )
    for place, name in enumerate(ORDER):
        counts = pixels(raw.labels[split == place])[: len(raw.classes)]
        missing = [cls for cls, count in zip(raw.classes, counts, strict=True) if not count]
        if missing:
            told.append(f"the {name} split has no pixel of {listing(missing)}")
    counts = pixels(raw.labels[split == 0])
    known, unknown = counts[: len(raw.classes)], int(counts[IGNORE])
    shares = [f"{cls} {count / max(known.sum(), 1):.1%}" for cls, count in zip(raw.classes, known, strict=True)]
    ignored = f"; {unknown / counts.sum():.1%} of all pixels are ignored" if unknown else ""
    told.append(f"pixels of the train split: {listing(shares, 8)}{ignored}")
    return tuple(told)


def pixels(masks: np.ndarray) -> np.ndarray:
    """How many pixels have each value, int64 `(256,)`."""
    return np.bincount(masks.ravel(), minlength=IGNORE + 1)
