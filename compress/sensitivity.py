"""How much each layer minds being rounded, and which layers to give 4 bits."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from compress.batches import fitted
from compress.errors import CompressError
from compress.knapsack import least_cost
from compress.probe import Probe, make_probe
from compress.verify import Measure, accuracy


@dataclass(frozen=True)
class Rounding:
    """One layer's weights, or one activation, rounded and all else left in float.

    Attributes:
        name: of the layer: as in the Keras model, or as `quantize_aware` calls what it is rewritten to.
        bits: of the integers.
        bytes: of the rounded weights in the file, two of 4 bits a byte; 0 for an activation.
        sqnr: signal to quantization noise of what is rounded, in dB: 10 log10(sum w² / sum (w - q)²), batch
            normalisation folded. Infinite where nothing changes.
        drift: mean squared change of the model's output, in shares of the output's variance over the examples, 0 or
            more; the mean over several outputs.
        score: `measure` of the outputs; None where no labels were given.
    """

    name: str
    bits: int
    bytes: int
    sqnr: float
    drift: float
    score: float | None = None


@dataclass(frozen=True)
class Sensitivity:
    """How much a model minds rounding, layer by layer.

    Attributes:
        model: its name.
        layers: for each layer with rounded weights and each number of bits that it may have, in the model's order.
            Tables of embeddings and batch normalisations with nothing to fold into have 8 alone.
        activations: for each activation that has a range, at 8 bits; empty where they were not asked for.
        score: `measure` of the float model; None where no labels were given.
    """

    model: str
    layers: tuple[Rounding, ...]
    activations: tuple[Rounding, ...] = ()
    score: float | None = None

    def options(self) -> dict[str, tuple[Rounding, ...]]:
        """The rows of each layer, by its name."""
        names = dict.fromkeys(row.name for row in self.layers)
        return {name: tuple(row for row in self.layers if row.name == name) for name in names}

    def bytes(self) -> tuple[int, int]:
        """The fewest and the most that the kernels may take in all."""
        sizes = [[row.bytes for row in rows] for rows in self.options().values()]
        return sum(map(min, sizes)), sum(map(max, sizes))

    def widths(self, budget_bytes: int) -> dict[str, int]:
        """Bits of each layer that has a choice: the least summed drift of which the kernels fit the budget.

        Raises:
            CompressError: the budget is less than the fewest bytes possible.
        """
        least, most = self.bytes()
        if budget_bytes < least:
            raise CompressError(
                f"budget_bytes={budget_bytes} is too little for the kernels of {self.model!r}: they take from {least} "
                f"to {most} bytes"
            )
        options = self.options()
        picked = least_cost([[(row.bytes, row.drift) for row in rows] for rows in options.values()], budget_bytes)
        rows = [(each, each[i].bits) for each, i in zip(options.values(), picked, strict=True)]
        return {each[0].name: bits for each, bits in rows if len(each) > 1 or bits != 8}

    def table(self) -> str:
        """Markdown: a table of the layers and, where there are any, one of the activations."""
        parts = [_table("layer", self.layers, self.score)]
        if self.activations:
            parts.append(_table("activation", self.activations, self.score))
        return "\n\n".join(parts)


def sensitivity(
    model: keras.Model,
    *,
    calibration: Iterable[Any],
    bits: Sequence[int] = (8, 4),
    activations: bool = True,
    labels: Any = None,
    measure: Measure | None = None,
) -> Sensitivity:
    """Round one layer at a time and see what the output does; nothing is trained.

    Each row takes a pass over the calibration. Drift is a share of variance, not decibels, for errors that are
    uncorrelated then add up: what many roundings do together is about the sum of what each does alone (the additivity
    in Zhou et al. 2018, arXiv:1712.01048); on the trained nets of the tests, within a factor of two. That sum is what
    `mixed_precision` makes small.

    Args:
        model: a trained Functional or Sequential model, float; pruned or clustered too. It is not changed.
        calibration: batches of model inputs, `(batch, …)` float arrays, some dozens to hundreds of examples in all.
        bits: of the weights: 8, 4 or both.
        activations: whether activations are rounded too, one at a time, to 8 bits between their extremes.
        labels: of all examples of the calibration in order, `(examples, …)`, for a score a row.
        measure: score of outputs against labels; accuracy unless given.

    Raises:
        CompressError: as `quantize_aware`; or the labels do not fit, or the output is the same for all examples.
    """
    judge = _judge(model, calibration, bits, labels, measure)
    return _study(model.name, judge, bits, activations)


def mixed_precision(
    model: keras.Model,
    *,
    calibration: Iterable[Any],
    budget_bytes: int,
    tolerance: float | None = None,
    labels: Any = None,
    measure: Measure | None = None,
) -> dict[str, int]:
    """Which layers have 8 bits and which 4, for `quantize_aware(..., bits=)`: kernels that fit a budget.

    The least sum of the layers' drifts (see `sensitivity`), by an exact knapsack, not greedily: one layer often holds
    most of a small model's weights, and then what is cheapest by the byte is a poor choice.

    Args:
        model: as for `sensitivity`.
        calibration: as for `sensitivity`.
        budget_bytes: what the int8 and int4 kernels may take in the file, tables of embeddings and lone batch
            normalisations among them; biases and the rest of the file are not counted.
        tolerance: how much less than the float model's the score may be with all kernels rounded so, before any
            training; needs `labels`. None: not looked at.
        labels: as for `sensitivity`.
        measure: as for `sensitivity`.

    Returns:
        Bits, 8 or 4, of each layer that has a choice, by its name.

    Raises:
        CompressError: as `sensitivity`; or the budget is too little, or the score falls by more than the tolerance.
    """
    if tolerance is not None and labels is None:
        raise CompressError(f"tolerance={tolerance} needs labels= to judge by")
    judge = _judge(model, calibration, (8, 4), labels, measure)
    found = _study(model.name, judge, (8, 4), activations=False)
    widths = found.widths(budget_bytes)
    if tolerance is not None and found.score is not None:
        fixed = {name: rows[0].bits for name, rows in found.options().items()}
        score = judge({**fixed, **widths})[1]
        if score is None or not found.score - score <= tolerance:
            raise CompressError(
                f"with kernels of {budget_bytes} bytes {model.name!r} scores {score}, in float {found.score}: more "
                f"than tolerance={tolerance} is lost; give more bytes, or train (tolerance=None)"
            )
    return widths


class _Judge:
    """Tells the drift and the score of a rounding."""

    def __init__(self, probe: Probe, batches: list[Any], labels: Any, measure: Measure | None):
        self.probe, self.batches = probe, batches
        self.exact = probe.outputs(batches)
        self.labels = None if labels is None else np.asarray(labels)
        self.measure: Callable[..., float] = measure or accuracy
        if labels is None and measure is not None:
            raise CompressError("measure= needs labels= to judge by")
        if self.labels is not None and (len(self.exact) > 1 or len(self.labels) != len(self.exact[0])):
            raise CompressError(
                f"labels: there are {len(self.labels)}, for {len(self.exact[0])} examples and {len(self.exact)} "
                "outputs; give one for each example, of a model with one output"
            )
        self.spread = [float(np.var(each, axis=0).mean()) for each in self.exact]
        if not all(self.spread):
            raise CompressError("an output is the same for the whole calibration; give more examples")

    def __call__(self, widths: Mapping[str, int], activations: Sequence[str] = ()) -> tuple[float, float | None]:
        with self.probe.rounded(widths, activations):
            outputs = self.probe.outputs(self.batches)
        errors = [float(np.mean((a - b) ** 2)) for a, b in zip(self.exact, outputs, strict=True)]
        drift = float(np.mean([error / spread for error, spread in zip(errors, self.spread, strict=True)]))
        return drift, self.score(outputs)

    def score(self, outputs: list[np.ndarray]) -> float | None:
        return None if self.labels is None else float(self.measure(outputs[0], self.labels))


def _judge(
    model: keras.Model, calibration: Iterable[Any], bits: Sequence[int], labels: Any, measure: Measure | None
) -> _Judge:
    if not bits or not set(bits) <= {8, 4}:
        raise CompressError(f"bits={bits!r} are not 8, 4 or both")
    batches = list(calibration)
    probe = make_probe(model, batches)
    return _Judge(probe, list(fitted(probe.model, batches)), labels, measure)


def _study(name: str, judge: _Judge, bits: Sequence[int], activations: bool) -> Sensitivity:
    probe, rows = judge.probe, []
    for layer in probe.kernels:
        for width in bits if probe.is_free(layer) else (8,):
            noise, size = probe.kernel_noise(layer, width), probe.size(layer, width)
            rows.append(Rounding(layer, width, size, noise, *judge({layer: width})))
    heard = probe.activation_noise(judge.batches) if activations else {}
    more = [Rounding(tensor, 8, 0, noise, *judge({}, [tensor])) for tensor, noise in heard.items()]
    return Sensitivity(name, tuple(rows), tuple(more), judge.score(judge.exact))


def _table(what: str, rows: Sequence[Rounding], score: float | None) -> str:
    scored = score is not None
    lines = [f"| {what} | bits | bytes | SQNR, dB | drift |", "| --- | ---: | ---: | ---: | ---: |"]
    lines = [line + end * scored for line, end in zip(lines, (f" score ({score}) |", " ---: |"), strict=True)]
    for row in rows:
        end = f" {row.score:.4f} |" if row.score is not None else ""
        lines.append(f"| {row.name} | {row.bits} | {row.bytes or ''} | {row.sqnr:.1f} | {row.drift:.2e} |{end}")
    return "\n".join(lines)
