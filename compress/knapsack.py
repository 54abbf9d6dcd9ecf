"""One option from each of several lists: the least cost within a budget of weight."""

from collections.abc import Sequence

import numpy as np

_MOST = 16_384
_DECADES, _HALVINGS = 12.0, 30


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


def least_cost_in_time(
    options: Sequence[Sequence[tuple[int, float, float]]], budget: int, time: float
) -> tuple[list[int], float]:
    """As `least_cost`, where options take time as well, and that has a budget too.

    The least of cost plus price times time, at the lowest price that keeps to the time (Everett 1963, "Generalized
    Lagrange Multiplier Method"): nothing that takes as little time costs less, but some of the budget may stay unused.

    Args:
        options: for each list its options, `(weight, cost, time)`; a time may be below 0.
        budget: what the weights may add up to.
        time: what the times may add up to.

    Returns:
        The options taken, by their numbers, and their time: over the budget where even the quickest are.

    Raises:
        ValueError: the lightest are too heavy.
    """

    def taken(price: float, free: float = 1.0) -> tuple[list[int], float]:
        weighed = [[(weight, free * cost + price * takes) for weight, cost, takes in each] for each in options]
        picked = least_cost(weighed, budget)
        return picked, sum(each[i][2] for each, i in zip(options, picked, strict=True))

    best = taken(0.0)
    if best[1] <= time:
        return best
    best = taken(1.0, free=0.0)
    if best[1] > time:
        return best
    costs, times = (sum(abs(choice[part]) for each in options for choice in each) for part in (1, 2))
    low, high = -_DECADES, _DECADES
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        tried = taken(costs / times * 10**middle)
        if tried[1] <= time:
            best, high = tried, middle
        else:
            low = middle
    return best
