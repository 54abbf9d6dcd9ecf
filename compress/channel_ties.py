"""Labels of channels, which of them go together, and how a layer is cut."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Labels = np.ndarray
STAYS = 0
"""The label of what is never removed, and the number of the set of all that is tied to it."""


Config = dict[str, Callable[[np.ndarray], Any]]
"""For entries of a layer's configuration, the new value, given for each label whether it stays."""


class Opaque(Exception):
    """A reason why nothing is known of a call's channels, so that all it touches stays."""


@dataclass
class Ties:
    """Labels, and which of them go together (a disjoint-set forest)."""

    parents: list[int] = field(default_factory=lambda: [STAYS])

    def fresh(self, count: int) -> Labels:
        """Labels of new channels."""
        start = len(self.parents)
        self.parents.extend(range(start, start + count))
        return np.arange(start, start + count)

    def find(self, label: int) -> int:
        """The least label that this one is tied to."""
        while self.parents[label] != label:
            self.parents[label] = label = self.parents[self.parents[label]]
        return label

    def tie(self, these: Labels, those: Labels) -> None:
        """Tie two rows of labels, one by one."""
        for one, other in zip(these.tolist(), those.tolist(), strict=True):
            low, high = sorted((self.find(one), self.find(other)))
            self.parents[high] = low

    def tie_rows(self, table: Labels) -> None:
        """Tie the rows of a table, column by column."""
        for row in np.unique(table[1:], axis=0):
            self.tie(table[0], row)

    def keep(self, labels: Labels) -> bool:
        """Never remove these. Whether any of them could have been removed till now."""
        free = [label for label in labels.tolist() if self.find(label) != STAYS]
        self.tie(np.array(free, dtype=int), np.full(len(free), STAYS))
        return bool(free)

    def roots(self) -> Labels:
        """For each label the least one that it is tied to."""
        return np.array([self.find(label) for label in range(len(self.parents))])


@dataclass(frozen=True, eq=False)
class Cut:
    """How a layer is cut.

    Attributes:
        reads: labels of its input.
        makes: labels of its output.
        weights: for the name of each weight, the labels along each axis that holds channels (negative axes).
        config: for entries of its configuration, the new value, given for each label whether it stays.
        own: for the names of the weights that make up a channel of the output, the axis along which these lie.
        stays: why its output must stay whole, where it must.
    """

    reads: Labels
    makes: Labels
    weights: dict[str, dict[int, Labels]]
    config: Config = field(default_factory=dict)
    own: dict[str, int] = field(default_factory=dict)
    stays: str = ""

    @property
    def kernels(self) -> list[str]:
        """Names of the weights that inputs are multiplied by, at each position."""
        return [name for name in self.weights if name.endswith("kernel")]


def count(labels: Labels, parts: int = 1) -> Callable[[np.ndarray], int]:
    """Gives, of whether each label stays, how many of these do, over `parts`."""
    return lambda stays: int(np.count_nonzero(stays[labels])) // parts
