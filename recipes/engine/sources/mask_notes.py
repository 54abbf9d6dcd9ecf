"""What the user should know of images with masks and their splits, a sentence each."""

import numpy as np

from recipes.engine.results import IGNORE
from recipes.engine.sources.raw import Raw, listing
from recipes.engine.sources.splits import ORDER


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
