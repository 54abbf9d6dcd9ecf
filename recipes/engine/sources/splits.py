"""Who learns and who judges: checks, duplicates, and a stratified split that keeps copies together."""

import hashlib
from collections import Counter
from collections.abc import Sequence

import numpy as np

from recipes.engine.errors import UserError
from recipes.engine.records import Data
from recipes.engine.sources.raw import Raw, Split

ORDER: tuple[Split, ...] = ("train", "validation", "test")


def check(labels: np.ndarray, splits: Sequence[Split] | None, classes: tuple[str, ...], source: str) -> None:
    """Refuse what cannot be learnt or split.

    Raises:
        UserError: there is one class only, or a class has fewer training examples than one for each split to be
            made from them.
    """
    if len(classes) < 2:
        raise UserError(f"{source} has one class only ({classes[0]}); a classifier needs two or more")
    missing = [name for name in ORDER[1:] if splits is None or name not in splits]
    trained = labels if splits is None else labels[np.array(splits) == "train"]
    counts = np.bincount(trained, minlength=len(classes))
    short = int(counts.argmin())
    need = 1 + len(missing)
    if counts[short] < need:
        where = source if splits is None else f"the train split of {source}"
        for_what = f" (one for train and each of {', '.join(missing)})" if missing else ""
        raise UserError(
            f"class {classes[short]!r} has {counts[short]} examples in {where}; it needs at least {need}{for_what}"
        )


def copies(images: np.ndarray) -> np.ndarray:
    """The place of the first image with the same pixels, for each: int64 `(count,)`."""
    first: dict[bytes, int] = {}
    digests = [hashlib.sha256(image.tobytes()).digest() for image in images]
    return np.array([first.setdefault(digest, row) for row, digest in enumerate(digests)], dtype=np.int64)


def assign(raw: Raw, data: Data, same: np.ndarray) -> np.ndarray:
    """The split of each example, as indices into `ORDER`, int64 `(count,)`.

    Splits that the source brings stay; the missing ones are taken from train, class by class.

    Args:
        raw: what was read.
        data: `validation`, `test` and `seed` are used.
        same: from `copies`; what has the same pixels stays together.

    Raises:
        UserError: a class has too few different images.
    """
    result = np.zeros(len(raw.labels), np.int64)
    if raw.splits is not None:
        result = np.array([ORDER.index(split) for split in raw.splits], dtype=np.int64)
    shares = {1: data.validation, 2: data.test}
    missing = {split: share for split, share in shares.items() if split not in result}
    if missing:
        rows = np.flatnonzero(result == 0)
        result[rows] = stratify(raw.labels[rows], same[rows], missing, raw=raw, seed=data.seed)
    return result


def stratify(labels: np.ndarray, same: np.ndarray, shares: dict[int, float], *, raw: Raw, seed: int) -> np.ndarray:
    """Hand out each class by a seeded permutation: 0 is train, the keys of `shares` the held-out splits.

    Images with equal `same` go together, to where the class of the first of them sends them; each class gets at
    least one example in each split.

    Raises:
        UserError: a class has too few different images for that.
    """
    generator = np.random.default_rng(seed)
    _, first, group = np.unique(same, return_index=True, return_inverse=True)
    owner, sizes = labels[first], np.bincount(group)
    chosen = np.zeros(len(first), np.int64)
    for label, name in enumerate(raw.classes):
        mine = np.flatnonzero(owner == label)
        if len(mine) <= len(shares):
            raise UserError(
                f"class {name!r} in {raw.source} has {len(mine)} different images among "
                f"{np.count_nonzero(labels == label)}; it needs at least {len(shares) + 1}, one for each split"
            )
        mine = generator.permutation(mine)
        total = int(sizes[mine].sum())
        waiting = len(shares)  # train and the splits after this one: a group must stay for each
        for split in sorted(shares, reverse=True):
            free = mine[chosen[mine] == 0]
            taken = fitting(sizes[free], round(total * shares[split]))
            chosen[free[taken[: len(free) - waiting]]] = split
            waiting -= 1
    return np.asarray(chosen[group])


def fitting(sizes: np.ndarray, room: int) -> list[int]:
    """Places of what fits into `room`, first come first served; the smallest alone where nothing fits."""
    taken = []
    for place, size in enumerate(sizes.tolist()):
        if size <= room:
            taken.append(place)
            room -= size
    return taken or [int(sizes.argmin())]


def limit(split: np.ndarray, labels: np.ndarray, data: Data) -> None:
    """Take all but `data.limit` training examples of each class out of `split`, in place: they become -1."""
    if data.limit is None:
        return
    generator = np.random.default_rng([data.seed, 1])
    for label in np.unique(labels):
        mine = np.flatnonzero((split == 0) & (labels == label))
        split[generator.permutation(mine)[data.limit :]] = -1


def leaks(raw: Raw, split: np.ndarray, same: np.ndarray) -> tuple[str, ...]:
    """What the user should know of images with the same pixels."""
    notes = []
    for held in (1, 2):
        for other in range(held):
            there = {place: row for row, place in reversed(list(enumerate(same))) if split[row] == other}
            found = [row for row in np.flatnonzero(split == held) if same[row] in there]
            if found:
                pair = f"{raw.names[found[0]]} = {raw.names[there[same[found[0]]]]}"
                notes.append(
                    f"{_images(len(found))} of {ORDER[held]} also in {ORDER[other]}, pixel for pixel (such as {pair}); "
                    f"the {ORDER[held]} score flatters"
                )
    extra = np.flatnonzero(same != np.arange(len(same)))
    if len(extra) and not notes:
        pair = f"{raw.names[extra[0]]} = {raw.names[same[extra[0]]]}"
        notes.append(
            f"{_images(len(extra))} a copy of another, pixel for pixel (such as {pair}); copies stay in one split"
        )
    torn = np.flatnonzero(raw.labels != raw.labels[same])
    if len(torn):
        row = torn[0]
        notes.append(
            f"{_images(len(torn))} in two classes, pixel for pixel (such as {raw.names[row]} as "
            f"{raw.classes[raw.labels[row]]} and {raw.names[same[row]]} as {raw.classes[raw.labels[same[row]]]})"
        )
    return tuple(notes)


def imbalance(labels: np.ndarray, classes: tuple[str, ...], *, balanced: bool) -> tuple[str, ...]:
    """A note where the largest class of the training split has at least twice the examples of the smallest."""
    counts = Counter(labels.tolist())
    (large, most), (small, least) = counts.most_common()[0], counts.most_common()[-1]
    if most < 2 * least:
        return ()
    advice = "" if balanced else "; consider --data.balance weights"
    return (
        f"classes are uneven: {most} training examples of {classes[large]}, {least} of {classes[small]} "
        f"(ratio {most / least:.1f}){advice}",
    )


def _images(count: int) -> str:
    return f"{count:,} image is" if count == 1 else f"{count:,} images are"
