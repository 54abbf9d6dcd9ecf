"""Who learns and who judges: checks, and a stratified split that keeps copies together."""

import hashlib
from collections.abc import Sequence

import numpy as np

from recipes.engine.errors import UserError
from recipes.engine.records import Data
from recipes.engine.sources.raw import MANY, Raw, Split

ORDER: tuple[Split, ...] = ("train", "validation", "test")


def check(
    labels: np.ndarray, splits: Sequence[Split] | None, classes: tuple[str, ...], source: str, *, data: Data
) -> None:
    """Refuse what cannot be learnt or split.

    Raises:
        UserError: there is one class only, or a class has fewer training examples than one for each split to be
            made from them.
    """
    if len(classes) < 2:
        raise UserError(f"{source} has one class only ({classes[0]}); a classifier needs two or more")
    missing = [ORDER[place] for place in wanted(data) if splits is None or ORDER[place] not in splits]
    trained = labels if splits is None else labels[np.array(splits) == "train"]
    counts = np.bincount(trained, minlength=len(classes))
    short = int(counts.argmin())
    need = 1 + len(missing)
    if counts[short] < need:
        where = source if splits is None else f"the train split of {source}"
        for_what = f" (one for train and each of {', '.join(missing)})" if missing else ""
        raise UserError(
            f"class {classes[short]!r} in {where} has too few examples: {counts[short]}, where it needs at least "
            f"{need}{for_what}"
        )


def wanted(data: Data) -> dict[int, float]:
    """The share of each split that is held out where the source does not bring it, by its index into `ORDER`."""
    return {place: share for place, share in ((1, data.validation), (2, data.test)) if share}


def copies(inputs: np.ndarray) -> np.ndarray:
    """The place of the first example that equals it (the same pixels, values, words), for each: int64 `(count,)`."""
    first: dict[bytes, int] = {}
    digests = [hashlib.sha256(one.encode() if isinstance(one, str) else one.tobytes()).digest() for one in inputs]
    return np.array([first.setdefault(digest, row) for row, digest in enumerate(digests)], dtype=np.int64)


def assign(raw: Raw, data: Data, same: np.ndarray) -> np.ndarray:
    """The split of each example, as indices into `ORDER`, int64 `(count,)`.

    Splits that the source brings stay; the missing ones are taken from train, class by class.

    Args:
        raw: what was read.
        data: `validation`, `test` and `seed` are used.
        same: from `copies`; what is equal stays together.

    Raises:
        UserError: a class has too few different examples.
    """
    result = np.zeros(len(raw.labels), np.int64)
    if raw.splits is not None:
        result = np.array([ORDER.index(split) for split in raw.splits], dtype=np.int64)
    missing = {held: share for held, share in wanted(data).items() if held not in result}
    if missing:
        rows = np.flatnonzero(result == 0)
        result[rows] = stratify(raw.labels[rows], same[rows], missing, raw=raw, seed=data.seed)
    return result


def stratify(labels: np.ndarray, same: np.ndarray, shares: dict[int, float], *, raw: Raw, seed: int) -> np.ndarray:
    """Hand out each class by a seeded permutation: 0 is train, the keys of `shares` the held-out splits.

    Examples with equal `same` go together, to where the class of the first of them sends them; each class gets at
    least one example in each split.

    Raises:
        UserError: a class has too few different examples for that.
    """
    generator = np.random.default_rng(seed)
    _, first, group = np.unique(same, return_index=True, return_inverse=True)
    owner, sizes = labels[first], np.bincount(group)
    chosen = np.zeros(len(first), np.int64)
    for label, name in enumerate(raw.classes):
        mine = np.flatnonzero(owner == label)
        if len(mine) <= len(shares):
            raise UserError(
                f"class {name!r} in {raw.source} has too few different {MANY[raw.modality]}: {len(mine)} among its "
                f"{np.count_nonzero(labels == label)}, where it needs at least {len(shares) + 1}, one for each split"
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


def scatter(raw: Raw, data: Data, same: np.ndarray) -> np.ndarray:
    """The split of examples without a class each, as indices into `ORDER`, int64 `(count,)`; -1 is left out.

    Splits that the source brings stay; the missing ones are taken from train by a seeded permutation, with what is
    equal on one side. `data.limit` thins out training examples.

    Raises:
        UserError: there are too few different examples.
    """
    split = np.zeros(len(raw.labels), np.int64)
    if raw.splits is not None:
        split = np.array([ORDER.index(name) for name in raw.splits], dtype=np.int64)
    missing = {held: share for held, share in wanted(data).items() if held not in split}
    rows = np.flatnonzero(split == 0)
    groups, group = np.unique(same[rows], return_inverse=True)
    if len(groups) <= len(missing):
        raise UserError(
            f"{raw.source} has too few different {MANY[raw.modality]} to train on: {len(groups)}, where it needs at "
            f"least {len(missing) + 1}, one for each split"
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


def limit(split: np.ndarray, labels: np.ndarray, data: Data) -> None:
    """Take all but `data.limit` training examples of each class out of `split`, in place: they become -1."""
    if data.limit is None:
        return
    generator = np.random.default_rng([data.seed, 1])
    for label in np.unique(labels):
        mine = np.flatnonzero((split == 0) & (labels == label))
        split[generator.permutation(mine)[data.limit :]] = -1
