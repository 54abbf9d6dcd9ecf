"""What the user should know of a data set, a sentence each."""

from collections import Counter

import numpy as np

from recipes.engine.results import THINGS
from recipes.engine.sources.raw import ALIKE, MANY, Raw, listing
from recipes.engine.sources.splits import ORDER


def leaks(raw: Raw, split: np.ndarray, same: np.ndarray) -> tuple[str, ...]:
    """Examples that are equal: across splits, else within one, and in two classes.

    Args:
        raw: what was read.
        split: from `splits.assign`.
        same: from `splits.copies`.
    """
    notes = []
    many, alike = MANY[raw.modality], ALIKE[raw.modality]
    for held in (1, 2):
        for other in range(held):
            there = {place: row for row, place in enumerate(same.tolist()) if split[row] == other}
            found = [row for row in np.flatnonzero(split == held) if int(same[row]) in there]
            if found:
                pair = f"{raw.names[found[0]]} = {raw.names[there[int(same[found[0]])]]}"
                notes.append(
                    f"{len(found):,} {many} of the {ORDER[held]} split are in {ORDER[other]} too, {alike} "
                    f"(such as {pair}): the {ORDER[held]} score flatters"
                )
    extra = np.flatnonzero(same != np.arange(len(same)))
    if len(extra) and not notes:
        pair = f"{raw.names[extra[0]]} = {raw.names[same[extra[0]]]}"
        notes.append(
            f"copies of another {THINGS[raw.modality]}, {alike}: {len(extra):,} (such as {pair}); they were kept in "
            "one split"
        )
    if raw.task != "classify":
        return tuple(notes)
    torn = np.flatnonzero(raw.labels != raw.labels[same])
    if len(torn):
        here, there_too = torn[0], same[torn[0]]
        notes.append(
            f"{many} that are in two classes, {alike}: {len(torn):,} (such as {raw.names[here]} as "
            f"{raw.classes[raw.labels[here]]} and {raw.names[there_too]} as {raw.classes[raw.labels[there_too]]})"
        )
    return tuple(notes)


def absent(raw: Raw, split: np.ndarray) -> tuple[str, ...]:
    """Classes that validation or test, as the source brings them, cannot judge."""
    notes = []
    for held in (1, 2):
        judged = set(raw.labels[split == held].tolist())
        if not judged:  # none is held out
            continue
        missing = [name for label, name in enumerate(raw.classes) if label not in judged]
        if missing:
            notes.append(f"the {ORDER[held]} split has no example of {listing(missing)}")
    return tuple(notes)


def imbalance(labels: np.ndarray, classes: tuple[str, ...], *, balanced: bool) -> tuple[str, ...]:
    """Whether the largest class of the training split has at least twice the examples of the smallest."""
    counts = Counter(labels.tolist()).most_common()
    (large, most), (small, least) = counts[0], counts[-1]
    if most < 2 * least:
        return ()
    advice = "" if balanced else "; consider --data.balance weights"
    return (
        f"classes are uneven: {most} training examples of {classes[large]}, {least} of {classes[small]} "
        f"(ratio {most / least:.1f}){advice}",
    )
