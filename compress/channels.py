"""Structural pruning: a smaller Keras model with fewer channels.

Unlike zeros among the weights, which shrink only the compressed file, fewer channels make the file smaller and its
answer quicker, on any runtime.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from compress.channel_allocation import Allocation, allocate, prunable, totals, unranked
from compress.channel_groups import Structure, structure
from compress.channel_importance import Importance, gate_products, importances
from compress.errors import CompressError
from compress.graph import Chain, Node, as_float32, copy_operation, float32_layers, from_config, rebuild, run_chain
from compress.ranges import Range
from compress.trace import trace
from compress.wrapper import Compressed


@dataclass(frozen=True)
class ChannelGroup:
    """Channels that are alike: made by the same layers, read by the same.

    Attributes:
        layers: names of the layers that make them; more than one where a sum or a depthwise convolution ties them.
        channels: how many there are.
        kept: which of them stay, ascending numbers below `channels`.
    """

    layers: tuple[str, ...]
    channels: int
    kept: tuple[int, ...]


@dataclass(frozen=True)
class ChannelPlan:
    """Which channels of a model go, and what that saves.

    Attributes:
        model: its name.
        groups: all channels that could go, in the model's order.
        macs: multiply-accumulates of one example in convolutions and dense layers, before and after.
        parameters: of the whole model, before and after.
        protected: `(name, reason)` of each layer that holds channels whole, other than as the model's output.
    """

    model: str
    groups: tuple[ChannelGroup, ...]
    macs: tuple[int, int]
    parameters: tuple[int, int]
    protected: tuple[tuple[str, str], ...]


def prune_channels(
    model: keras.Model,
    macs: float = 0.5,
    *,
    importance: Importance = "l1",
    allocation: Allocation = "uniform",
    calibration: Iterable[Any] | None = None,
    loss: Any = None,
    layers: Sequence[str] | None = None,
    minimum: float = 0.125,
    round_to: int = 8,
) -> keras.Model:
    """A smaller copy of `model`, without its least important channels; train it on to win back what that costs.

    The copy is an ordinary Keras model of the same layers under the same names, with fewer channels: no class of ours
    is in it. It is flat (nested models are inlined), float32 and not compiled. Channels that a sum, a product, a
    depthwise convolution or a shared layer ties go together. Inputs and outputs stay as they are, and so does all
    that a layer touches whose way with channels is not known; `plan_channels` names those.

    Args:
        model: Functional, or a built Sequential, with fixed input sizes; it is not changed.
        macs: share of the multiply-accumulates that may stay, above 0 and up to 1; the result is at most that, and
            within a few percent of it.
        importance: what decides within a group: `l1`, `l2` (norms of kernels), `bn_scale` (train with an L1 penalty
            on the gammas first; groups without batch normalisation stay whole) or `taylor` (needs `calibration` and
            `loss`). See `compress.channel_importance.importances`.
        allocation: `uniform` takes the same share of every group; `global` takes first what is least important
            for the multiply-accumulates that it costs (as in Molchanov et al. 2017, arXiv:1611.06440); with norms of
            kernels that is nearly what costs most.
        calibration: for `taylor`, pairs `(inputs, labels)`, some hundred examples in all.
        loss: for `taylor`, as for `compile`; by default the model's own.
        layers: names of layers; only channels that these make go (with those tied to them). None: of all.
        minimum: share of each group that stays at least, above 0 and up to 1.
        round_to: groups keep a multiple of so many channels: a kernel on a CPU computes a tile of 8 or 16 output
            channels at a time (XNNPACK: 8 on NEON in float32, 16 on AVX-512), and a part of a tile costs as much as
            a whole. On x86 16 is quicker than 8 at the same multiply-accumulates (benchmarks/channel_pruning.py).
            Groups that cannot lose a tile stay whole; where that would not save enough, they are cut finer.

    Raises:
        CompressError: an argument is out of range, nothing can be pruned, so few multiply-accumulates cannot be
            reached, or the model has no graph, is quantization-aware, or leaves an input size open.
    """
    plan = plan_channels(
        model,
        macs,
        importance=importance,
        allocation=allocation,
        calibration=calibration,
        loss=loss,
        layers=layers,
        minimum=minimum,
        round_to=round_to,
    )
    return cut_channels(model, plan)


def plan_channels(
    model: keras.Model,
    macs: float = 0.5,
    *,
    importance: Importance = "l1",
    allocation: Allocation = "uniform",
    calibration: Iterable[Any] | None = None,
    loss: Any = None,
    layers: Sequence[str] | None = None,
    minimum: float = 0.125,
    round_to: int = 8,
) -> ChannelPlan:
    """What `prune_channels` would do; the arguments and errors are the same. `cut_channels` does it."""
    _check(macs, importance, allocation, minimum, round_to)
    found = _structure(model)
    products = None
    if importance == "taylor":
        loss = loss or getattr(model, "loss", None)
        if calibration is None or loss is None:
            raise CompressError("importance='taylor' needs calibration= (pairs of inputs and labels) and loss=")
        products = gate_products(model, calibration, loss)
    scores = importances(found, importance, products)
    free = prunable(found, scores, layers)
    kept = allocate(found, scores, free, macs, allocation=allocation, minimum=minimum, round_to=round_to)
    groups = []
    for group, score, count in zip(found.groups, scores, kept, strict=True):
        stays = np.sort(np.argsort(-score, kind="stable")[:count])
        groups.append(ChannelGroup(group.layers, len(group.roots), tuple(stays.tolist())))
    whole = totals(found)
    saved = found.sizes.parameters(whole) - found.sizes.parameters(kept)
    return ChannelPlan(
        model=model.name,
        groups=tuple(groups),
        macs=(found.sizes.macs(whole), found.sizes.macs(kept)),
        parameters=(model.count_params(), model.count_params() - saved),
        protected=(*found.protected, *unranked(found, scores)),
    )


def cut_channels(model: keras.Model, plan: ChannelPlan) -> keras.Model:
    """The copy of `model` that a plan describes: one of `plan_channels`, or a changed one.

    Raises:
        CompressError: the plan is of another model, or keeps none or other channels than there are.
    """
    found = _structure(model)
    theirs = [(group.layers, group.channels) for group in plan.groups]
    if theirs != [(group.layers, len(group.roots)) for group in found.groups]:
        raise CompressError(f"the plan, of {plan.model!r}, does not fit model {model.name!r}; make one of this model")
    for group in plan.groups:
        if not group.kept or not set(group.kept) <= set(range(group.channels)):
            raise CompressError(
                f"the plan keeps {group.kept} of {group.channels} channels of {', '.join(group.layers)}"
            )
    return _cut(found, plan)


def _structure(model: keras.Model) -> Structure:
    graph = trace(model, simpler=False)
    for node in graph.nodes:
        if isinstance(node.operation, (Compressed, Range)):
            raise CompressError(
                f"model {model.name!r} is being compressed already (layer {node.operation.name!r}); prune channels "
                "before that, or of what compress.strip gives back"
            )
    return structure(graph)


def _check(macs: float, importance: str, allocation: str, minimum: float, round_to: int) -> None:
    for name, value in (("macs", macs), ("minimum", minimum)):
        if not 0.0 < value <= 1.0:
            raise CompressError(f"{name}={value} is no share; give a number above 0 and up to 1")
    if importance not in ("l1", "l2", "bn_scale", "taylor"):
        raise CompressError(f"importance={importance!r} is none of 'l1', 'l2', 'bn_scale', 'taylor'")
    if allocation not in ("uniform", "global"):
        raise CompressError(f"allocation={allocation!r} is neither 'uniform' nor 'global'")
    if not isinstance(round_to, int) or round_to < 1:
        raise CompressError(f"round_to={round_to} is no whole number above 0")


@float32_layers()
def _cut(found: Structure, plan: ChannelPlan) -> keras.Model:
    stays = np.ones(len(found.root), dtype=bool)
    for group, planned in zip(found.groups, plan.groups, strict=True):
        stays[group.roots] = False
        stays[group.roots[list(planned.kept)]] = True
    stays = stays[found.root]
    cuts = {id(operation): cut for operation, cut in found.cuts}
    built: dict[int, Chain] = {}

    def call(node: Node, args: tuple, kwargs: dict[str, Any]) -> Any:
        operation, cut = node.operation, cuts.get(id(node.operation))
        if id(operation) not in built:
            weights = list(getattr(operation, "get_weights", list)())
            smaller = copy_operation(operation)
            if cut:
                config = as_float32(operation.get_config())
                config |= {name: value(stays) for name, value in cut.config.items()}
                smaller = from_config(operation, config)
                for index, weight in enumerate(getattr(operation, "weights", ())):
                    for axis, labels in cut.weights[weight.name].items():
                        weights[index] = np.compress(stays[labels], weights[index], axis=axis)
            built[id(operation)] = [(smaller, weights)]
        return run_chain(built[id(operation)], args, kwargs)

    return rebuild(found.graph, call)
