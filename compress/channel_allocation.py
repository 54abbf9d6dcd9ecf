"""How many channels each group of a model keeps."""

import difflib
import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from compress.channel_groups import Structure
from compress.errors import CompressError

Allocation = Literal["uniform", "global"]


class _Removal(NamedTuple):
    """Some channels of a group go: first those of the least price."""

    price: float
    group: int
    before: int
    after: int


def totals(found: Structure) -> np.ndarray:
    """How many channels each group has."""
    return np.array([len(group.roots) for group in found.groups], dtype=np.int64)


def unranked(found: Structure, scores: list[np.ndarray]) -> list[tuple[str, str]]:
    """`(name, reason)` of each layer whose channels stay because the criterion says nothing of them."""
    return [
        (name, "no batch normalisation with a scale ranks its channels")
        for group, score in zip(found.groups, scores, strict=True)
        for name in group.layers
        if np.isnan(score).any()
    ]


def prunable(found: Structure, scores: list[np.ndarray], layers: Sequence[str] | None) -> list[int]:
    """Numbers of the groups that may lose channels.

    Args:
        found: the model's structure.
        scores: importance of the channels of each group; a group that has NaN stays.
        layers: the layers whose channels may go; None for all.

    Raises:
        CompressError: there is no such layer, or nothing may go.
    """
    makers = {name for group in found.groups for name in group.layers}
    for name in layers or ():
        if name not in makers:
            near = difflib.get_close_matches(name, makers, 1)
            hint = f"; do you mean {near[0]!r}?" if near else ""
            raise CompressError(
                f"layers: {name!r} makes no channels that could be pruned in {found.graph.name!r}{hint}"
            )
    wanted = makers if layers is None else set(layers)
    numbers = [
        number
        for number, (group, score) in enumerate(zip(found.groups, scores, strict=True))
        if len(group.roots) > 1 and wanted & set(group.layers) and not np.isnan(score).any()
    ]
    if not numbers:
        held = (*found.protected, *unranked(found, scores))
        why = "; ".join(f"{name}: {reason}" for name, reason in held) or "all it makes is its output"
        raise CompressError(f"model {found.graph.name!r} has no channels to prune with these arguments ({why})")
    return numbers


def allocate(
    found: Structure,
    scores: list[np.ndarray],
    free: list[int],
    macs: float,
    *,
    allocation: Allocation,
    minimum: float,
    round_to: int,
) -> np.ndarray:
    """How many channels each group keeps: the cheapest removals, one after the other, until few enough are left.

    Args:
        found: the model's structure.
        scores: importance of the channels of each group.
        free: numbers of the groups that may lose some.
        macs: share of the multiply-accumulates that may stay.
        allocation: what is cheap; see `compress.channels.prune_channels`, also for the rest.
        minimum: share of each group that stays.
        round_to: multiples that stay.

    Raises:
        CompressError: the share cannot be reached.
    """
    units = [round_to >> halvings for halvings in range(round_to.bit_length())]
    # Finer where whole tiles cannot save enough: first in groups of less than two, then in all.
    for unit, fine in [*((round_to, fine) for fine in units), *((fine, fine) for fine in units[1:])]:
        kept = _spend(found, _removals(found, scores, free, allocation, minimum, unit, fine), macs)
        share = found.sizes.macs(kept) / found.sizes.macs(totals(found))
        if share <= macs:
            return kept
    raise CompressError(
        f"macs={macs} cannot be reached: {share:.3f} are left when all that may go is gone (minimum={minimum}; "
        f"{len(found.protected)} layers are protected: see plan_channels(model, 1.0).protected)"
    )


def _spend(found: Structure, removals: list[_Removal], macs: float) -> np.ndarray:
    """What is kept after the cheapest removals, one after the other, until few enough are left (or all is gone)."""
    kept = totals(found)
    most = macs * found.sizes.macs(kept)
    done = []
    # Stable: the removals of one group stay in their order, for the price never falls within it.
    for removal in sorted(removals, key=lambda removal: removal.price):
        if found.sizes.macs(kept) <= most:
            break
        kept[removal.group] = removal.after
        done.append(removal)
    # The last removal may have saved more than was needed: others that were not are taken back.
    for removal in reversed(done):
        trial = kept.copy()
        trial[removal.group] = removal.before
        if kept[removal.group] == removal.after and found.sizes.macs(trial) <= most:
            kept = trial
    return kept


def _removals(
    found: Structure,
    scores: list[np.ndarray],
    free: list[int],
    allocation: Allocation,
    minimum: float,
    unit: int,
    fine: int,
) -> list[_Removal]:
    """All that the groups may lose, in steps of `unit`, or of `fine` where a group has less than two units."""
    whole = totals(found)
    removals = []
    for number in free:
        ranked, total = np.sort(scores[number]), int(whole[number])
        alone = whole.copy()
        alone[number] -= 1
        cost = max(1, found.sizes.macs(whole) - found.sizes.macs(alone))
        counts = _counts(total, minimum, unit if total >= 2 * unit else fine)
        for before, after in zip([total, *counts], counts, strict=False):
            lost = float(ranked[total - before : total - after].mean())
            price = 1 - after / total if allocation == "uniform" else lost / cost
            removals.append(_Removal(price, number, before, after))
    return removals


def _counts(total: int, minimum: float, unit: int) -> list[int]:
    """The sizes that a group may shrink to, falling multiples of `unit`."""
    step = unit * max(1, math.ceil(total / 32 / unit))  # a finer choice is not worth its time in groups of thousands
    least = max(unit, math.ceil(minimum * total))
    return [count for count in range((total - 1) // step * step, 0, -step) if count >= least]
