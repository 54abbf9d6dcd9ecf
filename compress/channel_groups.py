"""Which channels of a model stand and fall together.

Every weighted layer makes new channels; what reads them ties channels to each other: a sum those of its terms, a
depthwise convolution those of its input and output. What is tied is removed together or not at all (dependency groups:
Fang et al. 2023, "DepGraph", arXiv:2301.12900, section 3), here channel by channel rather than layer by layer, so that
a concatenation, a flattening or a shortcut that pads its channels needs no case of its own.
"""

import math
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from compress.channel_rules import rule
from compress.channel_ties import STAYS, Cut, Opaque, Ties
from compress.errors import CompressError
from compress.graph import Graph, Node


@dataclass(frozen=True, eq=False)
class Group:
    """Channels that are alike: each sits in the same weights as every other.

    Attributes:
        layers: names of the layers that make them.
        roots: one number for each set of tied channels, as in `Structure.root`.
        uses: `(slots,)`, how many entries each of them takes of every slot of `Structure.sizes`.
    """

    layers: tuple[str, ...]
    roots: np.ndarray
    uses: np.ndarray


@dataclass(frozen=True, eq=False)
class Sizes:
    """How large the weights are, given how many channels each group keeps.

    A slot is an axis of a weight that channels lie on. Weights have up to two.

    Attributes:
        constant: `(weights,)`, product of the other axes' sizes.
        slots: `(weights, 2)`, the slots of each; -1 for none.
        positions: `(weights,)`, how often an example is multiplied by each entry; 0 where it is no kernel.
        fixed: `(slots,)`, entries that always stay.
        uses: `(groups, slots)`, entries that one channel of a group takes.
    """

    constant: np.ndarray
    slots: np.ndarray
    positions: np.ndarray
    fixed: np.ndarray
    uses: np.ndarray

    def _entries(self, kept: np.ndarray) -> np.ndarray:
        lengths = np.append(self.fixed + kept @ self.uses, 1)  # the last one is that of slot -1
        return self.constant * lengths[self.slots].prod(axis=1)

    def macs(self, kept: np.ndarray) -> int:
        """Multiply-accumulates of one example, with `kept[g]` channels in group `g`."""
        return int(self.positions @ self._entries(kept))

    def parameters(self, kept: np.ndarray) -> int:
        """Entries of all weights that hold channels."""
        return int(self._entries(kept).sum())


@dataclass(frozen=True, eq=False)
class Structure:
    """What can be removed from a graph.

    Attributes:
        graph: the traced model.
        cuts: each layer that channels lie in, with how it is cut.
        root: for each label, the number of the set that it is tied to; `STAYS` for what must stay.
        groups: the sets, those alike together.
        sizes: what they weigh.
        protected: `(name, reason)` of each layer that keeps channels from being removed.
    """

    graph: Graph
    cuts: tuple[tuple[Any, Cut], ...]
    root: np.ndarray
    groups: tuple[Group, ...]
    sizes: Sizes
    protected: tuple[tuple[str, str], ...]


@dataclass
class _Walk:
    """The state of a walk through the graph."""

    ties: Ties = field(default_factory=Ties)
    labels: dict[int, np.ndarray] = field(default_factory=dict)
    cuts: dict[int, tuple[Any, Cut]] = field(default_factory=dict)
    positions: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    opaque: list[tuple[Any, str, list[np.ndarray]]] = field(default_factory=list)

    def step(self, node: Node) -> None:
        """Label what a call makes."""
        operation = node.operation
        plain = {name: value for name, value in node.kwargs.items() if name != "mask"}
        leaves = keras.tree.flatten((node.args, plain))
        reads = [self.labels[id(tensor)] for tensor in leaves if isinstance(tensor, keras.KerasTensor)]
        try:
            made = self.made(node, reads)
        except Opaque as reason:
            self.opaque.append((operation, str(reason), reads))
            self.labels.update((id(tensor), whole(tensor)) for tensor in node.outputs)
            return
        self.labels[id(node.outputs[0])] = made
        if id(operation) in self.cuts and self.cuts[id(operation)][1].kernels:
            self.positions[id(operation)] += _positions(node)

    def made(self, node: Node, reads: list[np.ndarray]) -> np.ndarray:
        """Labels of the output; of a shared layer the same at every call."""
        if id(node.operation) in self.cuts:
            _, cut = self.cuts[id(node.operation)]
            self.ties.tie(reads[0], cut.reads)
            return cut.makes
        made = rule(node)(self.ties, node, reads)
        if isinstance(made, Cut):
            self.cuts[id(node.operation)] = (node.operation, made)
            if made.stays:
                self.opaque.append((node.operation, made.stays, [made.makes]))
            return made.makes
        return made


def structure(graph: Graph) -> Structure:
    """Find the groups of a traced graph. The channels of its inputs and outputs always stay.

    Raises:
        CompressError: an input size is open, so that multiplications cannot be counted.
    """
    walk = _Walk()
    for tensor in keras.tree.flatten(graph.inputs):
        walk.labels[id(tensor)] = whole(tensor)
    for node in graph.nodes:
        walk.step(node)
    for tensor in keras.tree.flatten(graph.outputs):
        walk.ties.keep(walk.labels[id(tensor)])
    protected = []
    for operation, reason, reads in walk.opaque:
        held = [labels for labels in reads if walk.ties.keep(labels)]
        uncut = [] if id(operation) in walk.cuts else getattr(operation, "weights", [])
        if held or any(len(weight.shape) > 1 for weight in uncut):
            protected.append((operation.name, reason))
    cuts, root = tuple(walk.cuts.values()), walk.ties.roots()
    groups, sizes = _grouped(cuts, root, walk.positions)
    return Structure(graph, cuts, root, groups, sizes, tuple(protected))


def whole(tensor: keras.KerasTensor) -> np.ndarray:
    """Labels of a tensor whose last axis must stay as it is."""
    return np.full(tensor.shape[-1] or 0 if len(tensor.shape) > 1 else 0, STAYS)


def _positions(node: Node) -> int:
    """How often a call uses each weight of its kernel for one example."""
    transposed = "Transpose" in type(node.operation).__name__
    sizes = (node.inputs[0] if transposed else node.outputs[0]).shape[1:-1]
    if None in sizes:
        raise CompressError(
            f"the output size of {node.operation.name!r} is open; build the model with a fixed input size"
        )
    return math.prod(sizes)


def _grouped(
    cuts: tuple[tuple[Any, Cut], ...], root: np.ndarray, positions: dict[int, int]
) -> tuple[tuple[Group, ...], Sizes]:
    """The sets of tied channels that lie in the same slots equally often, together."""
    slots: list[np.ndarray] = []
    weights: list[tuple[int, tuple[int, ...], int]] = []
    makers: dict[int, list[str]] = defaultdict(list)
    others: dict[int, list[str]] = defaultdict(list)
    for layer, cut in cuts:
        for weight in getattr(layer, "weights", ()):
            axes = cut.weights[weight.name]
            places = [len(slots) + number for number in range(len(axes))]
            slots.extend(root[labels] for labels in axes.values())
            rest = math.prod(weight.shape) // math.prod(map(len, axes.values()))
            often = positions[id(layer)] if weight.name in cut.kernels else 0
            weights.append((rest, tuple([*places, -1, -1][:2]), often))
        for number in np.unique(root[cut.makes]):
            (makers if cut.kernels else others)[number].append(layer.name)
    uses: dict[int, dict[int, int]] = defaultdict(dict)
    for place, numbers in enumerate(slots):
        for number, count in zip(*np.unique(numbers, return_counts=True), strict=True):
            uses[number][place] = count
    fixed = np.array([uses[STAYS].get(place, 0) for place in range(len(slots))], dtype=np.int64)
    alike: dict[tuple, list[int]] = defaultdict(list)
    for number in sorted(uses.keys() - {STAYS}):
        alike[tuple(makers[number] or others[number]), tuple(sorted(uses[number].items()))].append(number)
    groups = []
    for (layers, taken), roots in alike.items():
        row = np.zeros(len(slots), dtype=np.int64)
        for place, count in taken:
            row[place] = count
        groups.append(Group(layers, np.array(roots), row))
    sizes = Sizes(
        constant=np.array([rest for rest, _, _ in weights], dtype=np.int64),
        slots=np.array([places for _, places, _ in weights], dtype=np.int64).reshape(-1, 2),
        positions=np.array([often for _, _, often in weights], dtype=np.int64),
        fixed=fixed,
        uses=np.array([group.uses for group in groups], dtype=np.int64).reshape(len(groups), len(slots)),
    )
    return tuple(groups), sizes
