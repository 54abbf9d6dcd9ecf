"""How much each layer minds being rounded, and which layers to give 4 bits."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from compress.batches import fitted
from compress.errors import CompressError
from compress.knapsack import least_cost_in_time
from compress.probe import Probe, make_probe
from compress.stopwatch import Stopwatch
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
        ms: by how much a run of the int8 file takes longer for it, with 8 bits in all other kernels: milliseconds of
            one thread of this machine's processor, below 0 where it is quicker. None where it was not timed.
    """

    name: str
    bits: int
    bytes: int
    sqnr: float
    drift: float
    score: float | None = None
    ms: float | None = None


@dataclass(frozen=True)
class Sensitivity:
    """How much a model minds rounding, layer by layer.

    Attributes:
        model: its name.
        layers: for each layer with rounded weights and each number of bits that it may have, in the model's order.
            Tables of embeddings and batch normalisations with nothing to fold into have 8 alone.
        activations: for each activation that has a range, at 8 bits; empty where they were not asked for.
        score: `measure` of the float model; None where no labels were given.
        ms: what a run of the file with 8 bits in all kernels takes; None where it was not timed.
    """

    model: str
    layers: tuple[Rounding, ...]
    activations: tuple[Rounding, ...] = ()
    score: float | None = None
    ms: float | None = None

    def options(self) -> dict[str, tuple[Rounding, ...]]:
        """The rows of each layer, by its name."""
        names = dict.fromkeys(row.name for row in self.layers)
        return {name: tuple(row for row in self.layers if row.name == name) for name in names}

    def bytes(self) -> tuple[int, int]:
        """The fewest and the most that the kernels may take in all."""
        sizes = [[row.bytes for row in rows] for rows in self.options().values()]
        return sum(map(min, sizes)), sum(map(max, sizes))

    def widths(self, budget_bytes: int | None = None, budget_ms: float | None = None) -> dict[str, int]:
        """Bits of each layer that has a choice: the least summed drift within the budgets.

        Args:
            budget_bytes: what the kernels may take; None: as much as they like.
            budget_ms: what a run may take, as `ms` and those of the layers add up; None: as long as it likes.

        Raises:
            CompressError: a budget is less than what is possible, or there is one of time and nothing was timed.
        """
        if budget_ms is not None and self.ms is None:
            raise CompressError(f"budget_ms={budget_ms:g}: the layers were not timed; `sensitivity(..., timed=True)`")
        least, most = self.bytes()
        budget_bytes = most if budget_bytes is None else budget_bytes
        if budget_bytes < least:
            raise CompressError(
                f"budget_bytes={budget_bytes} is too little for the kernels of {self.model!r}: they take from {least} "
                f"to {most} bytes"
            )
        options, whole = self.options(), self.ms or 0.0
        time = math.inf if budget_ms is None else budget_ms - whole
        if budget_ms is not None and not (least_ms := self.least_ms(budget_bytes)) <= budget_ms:
            raise CompressError(
                f"budget_ms={budget_ms:g} is too little for {self.model!r}: with kernels of {budget_bytes} bytes or "
                f"less a run takes {least_ms:.4g} ms at least, with 8 bits in all of them {whole:.4g}"
            )
        picked, _ = least_cost_in_time(self._choices(), budget_bytes, time)
        rows = [(each, each[i].bits) for each, i in zip(options.values(), picked, strict=True)]
        return {each[0].name: bits for each, bits in rows if len(each) > 1 or bits != 8}

    def least_ms(self, budget_bytes: int | None = None) -> float:
        """What a run takes at least with kernels of so many bytes, of a study that was timed."""
        budget_bytes = self.bytes()[1] if budget_bytes is None else budget_bytes
        return (self.ms or 0.0) + least_cost_in_time(self._choices(), budget_bytes, -math.inf)[1]

    def _choices(self) -> list[list[tuple[int, float, float]]]:
        return [[(row.bytes, row.drift, row.ms or 0.0) for row in rows] for rows in self.options().values()]

    def table(self) -> str:
        """Markdown: a table of the layers and, where there are any, one of the activations."""
        parts = [_table("layer", self.layers, self.score, self.ms)]
        if self.activations:
            parts.append(_table("activation", self.activations, self.score, None))
        return "\n\n".join(parts)


def sensitivity(
    model: keras.Model,
    *,
    calibration: Iterable[Any],
    bits: Sequence[int] = (8, 4),
    activations: bool = True,
    labels: Any = None,
    measure: Measure | None = None,
    timed: bool = False,
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
        timed: whether to tell what 4 bits do to the time of an answer on this machine, layer by layer; an export each.

    Raises:
        CompressError: as `quantize_aware`, and as `export` where it is timed; or the labels do not fit, or the output
            is the same for all examples.
    """
    judge = _judge(model, calibration, bits, labels, measure)
    return _study(model.name, judge, bits, activations, Stopwatch(judge.probe.aware) if timed else None)


def mixed_precision(
    model: keras.Model,
    *,
    calibration: Iterable[Any],
    budget_bytes: int | None = None,
    budget_ms: float | None = None,
    tolerance: float | None = None,
    labels: Any = None,
    measure: Measure | None = None,
) -> dict[str, int]:
    """Which layers have 8 bits and which 4, for `quantize_aware(..., bits=)`: kernels that fit a budget, or two.

    The least sum of the layers' drifts (see `sensitivity`), by an exact knapsack, not greedily: one layer often holds
    most of a small model's weights, and then what is cheapest by the byte is a poor choice. Time is this machine's: on
    x86 a convolution of 4 bits takes several times as long as one of 8, and a Dense layer less.

    Args:
        model: as for `sensitivity`.
        calibration: as for `sensitivity`.
        budget_bytes: what the int8 and int4 kernels may take in the file, tables of embeddings and lone batch
            normalisations among them; biases and the rest of the file are not counted. None: as much as they like.
        budget_ms: what a run of the int8 file may take, milliseconds of one thread of this machine's processor. The
            layers are timed one by one (an export each), and at last the file of all that is chosen, which keeps to
            it. None: as long as it likes.
        tolerance: how much less than the float model's the score may be with all kernels rounded so, before any
            training; needs `labels`. None: not looked at.
        labels: as for `sensitivity`.
        measure: as for `sensitivity`.

    Returns:
        Bits, 8 or 4, of each layer that has a choice, by its name.

    Raises:
        CompressError: as `sensitivity`; or there is no budget, or too little, or the score falls by more than the
            tolerance.
    """
    if budget_bytes is None and budget_ms is None:
        raise CompressError("mixed_precision wants budget_bytes=, budget_ms= or both")
    if tolerance is not None and labels is None:
        raise CompressError(f"tolerance={tolerance} needs labels= to judge by")
    judge = _judge(model, calibration, (8, 4), labels, measure)
    watch = Stopwatch(judge.probe.aware) if budget_ms is not None else None
    found = _study(model.name, judge, (8, 4), False, watch)
    widths = found.widths(budget_bytes, budget_ms)
    if watch is not None and budget_ms is not None:
        widths = in_time(found, watch, widths, budget_bytes, budget_ms)
    if tolerance is not None and found.score is not None:
        fixed = {name: rows[0].bits for name, rows in found.options().items()}
        score = judge({**fixed, **widths})[1]
        if score is None or not found.score - score <= tolerance:
            raise CompressError(
                f"within the budget {model.name!r} scores {score}, in float {found.score}: more than "
                f"tolerance={tolerance} is lost; give more bytes or time, or train (tolerance=None)"
            )
    return widths


def in_time(
    found: Sensitivity,
    watch: Callable[[Mapping[str, int]], float],
    widths: dict[str, int],
    budget_bytes: int | None,
    budget_ms: float,
) -> dict[str, int]:
    """Those widths, or others where their file, timed itself, is over the budget: the layers' times add up but nearly.

    Args:
        found: timed.
        watch: tells what a run of a file with such widths takes, in milliseconds.
        widths: what `found` gives for the budgets.
        budget_bytes: as there.
        budget_ms: as there.

    Raises:
        CompressError: the file of none that was tried keeps to it.
    """
    allowed, quickest = budget_ms, found.least_ms(budget_bytes)
    tried: list[dict[str, int]] = []
    while widths not in tried:
        tried.append(widths)
        took = watch(widths)
        if took <= budget_ms:
            return widths
        allowed = max(allowed - 1.1 * (took - budget_ms), quickest)
        widths = found.widths(budget_bytes, allowed)
    raise CompressError(
        f"budget_ms={budget_ms:g}: by the times of its layers {found.model!r} keeps to it, but its file takes "
        f"{took:.4g} ms; give a little more"
    )


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


def _study(name: str, judge: _Judge, bits: Sequence[int], activations: bool, watch: Stopwatch | None) -> Sensitivity:
    probe, rows = judge.probe, []
    for layer in probe.kernels:
        for width in bits if probe.is_free(layer) else (8,):
            noise, size = probe.kernel_noise(layer, width), probe.size(layer, width)
            longer = None if watch is None else watch({layer: width}) - watch.ms if width != 8 else 0.0
            rows.append(Rounding(layer, width, size, noise, *judge({layer: width}), longer))
    heard = probe.activation_noise(judge.batches) if activations else {}
    more = [Rounding(tensor, 8, 0, noise, *judge({}, [tensor])) for tensor, noise in heard.items()]
    ms = None if watch is None else watch.ms
    return Sensitivity(name, tuple(rows), tuple(more), judge.score(judge.exact), ms)


def _table(what: str, rows: Sequence[Rounding], score: float | None, ms: float | None) -> str:
    lines = [f"| {what} | bits | bytes | SQNR, dB | drift |", "| --- | ---: | ---: | ---: | ---: |"]
    for name, whole in (("score", score), ("ms", ms)):
        if whole is not None:
            lines = [lines[0] + f" {name} ({whole:.4g}) |", lines[1] + " ---: |"]
    for row in rows:
        end = f" {row.score:.4f} |" if row.score is not None else ""
        end += f" {row.ms:+.3g} |" if ms is not None else ""
        lines.append(f"| {row.name} | {row.bits} | {row.bytes or ''} | {row.sqnr:.1f} | {row.drift:.2e} |{end}")
    return "\n".join(lines)
