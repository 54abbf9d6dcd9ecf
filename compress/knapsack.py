"""One option from each of several lists: the least cost within a budget of weight."""

from collections.abc import Sequence

import numpy as np

_MOST = 16_384


def least_cost(options: Sequence[Sequence[tuple[int, float]]], budget: int) -> list[int]:
    """Which option to take from each list, by its number, so that the costs add up to the least.

    The multiple-choice knapsack, exactly: list after list, every sum of weights that no other beats in both weight and
    cost (Nemhauser and Ullmann 1969). Beyond 16,384 of them those are merged that lie within a 16,384th of the weight
    of each other, the lightest staying; then the answer is within the budget all the same, and near the least.

    Args:
        options: for each list its options, `(weight, cost)`.
        budget: what the weights may add up to; at least the sum of the lightest.

    Raises:
        ValueError: the lightest are too heavy.
    """
    weights, costs = np.zeros(1, dtype=np.int64), np.zeros(1)
    taken: list[tuple[np.ndarray, np.ndarray]] = []  # for each sum: which sum before it, and the option added
    for choices in options:
        heavier = np.concatenate([weights + weight for weight, _ in choices])
        dearer = np.concatenate([costs + cost for _, cost in choices])
        before = np.tile(np.arange(len(weights)), len(choices))
        added = np.repeat(np.arange(len(choices)), len(weights))
        order = np.lexsort((dearer, heavier))
        best = np.minimum.accumulate(dearer[order])
        stays = order[np.concatenate([[True], best[1:] < best[:-1]])]
        stays = _thinned(stays[heavier[stays] <= budget], heavier)
        if not stays.size:
            raise ValueError(f"no choice weighs {budget} or less")
        weights, costs = heavier[stays], dearer[stays]
        taken.append((before[stays], added[stays]))
    place = len(weights) - 1  # the heaviest that is left costs least
    picked = []
    for before, added in reversed(taken):
        picked.append(int(added[place]))
        place = int(before[place])
    return picked[::-1]


def _thinned(stays: np.ndarray, weights: np.ndarray) -> np.ndarray:
    if len(stays) <= _MOST:
        return stays
    low, high = weights[stays[0]], weights[stays[-1]]
    _, first = np.unique((weights[stays] - low) * _MOST // (high - low), return_index=True)
    return stays[first]
