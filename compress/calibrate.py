"""Ranges of a float model's tensors over sample data."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, Literal

import keras
import numpy as np

from compress.batches import fitted
from compress.errors import CompressError
from compress.graph import Graph

Method = Literal["minmax", "percentile", "mse"]
PERCENTILE = 99.99
"""How many percent of the values a range by percentile holds, where nothing else is asked."""
_BINS = 2048
_NARROWEST = 1e-6
"""Width of a range at least, where it is not nothing."""


def measure_ranges(
    graph: Graph,
    tensors: Sequence[keras.KerasTensor],
    batches: Iterable[Any],
    *,
    method: Method = "minmax",
    percentile: float = PERCENTILE,
) -> list[tuple[float, float]]:
    """Both ends of a range for each tensor, over all batches; it holds zero, and the batch size does not matter.

    `minmax` takes the lowest and the highest value. The others clip what is rare, for finer steps: `percentile` all but
    that many percent of the values, half at each end, `mse` as much as makes the mean squared error of rounding and
    clipping least, of ranges from 1/100 to the whole. They read a histogram of 2,048 bins between the extremes (Nagel
    et al. 2021, arXiv:2106.08295, section 2.4).

    Args:
        graph: the traced float model.
        tensors: tensors of that graph.
        batches: arrays `(batch, …)` as the model takes them; see `compress.batches.by_name`.
        method: one of the above.
        percentile: above 0 and below 100.

    Raises:
        CompressError: no batch came, one does not fit the model, or a tensor became NaN or infinite.
    """
    if method == "minmax":
        return _extremes(graph, tensors, batches)
    batches = list(batches)
    ends = _extremes(graph, tensors, batches)
    counts = [np.zeros(_BINS) for _ in tensors]
    probe = keras.Model(graph.inputs, list(tensors))
    for batch in fitted(probe, batches):
        values = keras.tree.flatten(probe.predict_on_batch(batch))
        for count, some, (low, high) in zip(counts, values, ends, strict=True):
            count += np.histogram(np.asarray(some), bins=_BINS, range=(low, high))[0]
    clip = partial(_tailless, tail=1 - percentile / 100) if method == "percentile" else _least_error
    return [clip(count, low, high) for count, (low, high) in zip(counts, ends, strict=True)]


def _tailless(counts: np.ndarray, low: float, high: float, tail: float) -> tuple[float, float]:
    """Without half the tail, a share of the values, at each end, as far as zero."""
    edges = np.linspace(low, high, _BINS + 1)
    below = np.cumsum(counts) / counts.sum()
    first, last = (int(place) for place in np.searchsorted(below, [tail / 2, 1 - tail / 2]))
    return min(0.0, float(edges[first])), max(0.0, float(edges[min(last + 1, _BINS)]))


def _least_error(counts: np.ndarray, low: float, high: float) -> tuple[float, float]:
    """Both ends shrunk alike."""
    edges = np.linspace(low, high, _BINS + 1)
    middles = (edges[1:] + edges[:-1]) / 2

    def error(share: float) -> float:
        step = share * (high - low) / 255
        rounded = np.clip(np.rint(middles / step), np.rint(share * low / step), np.rint(share * high / step)) * step
        return float(np.sum(counts * (middles - rounded) ** 2))

    share = min(np.linspace(1.0, 0.01, 100), key=error)
    return float(share * low), float(share * high)


def _extremes(graph: Graph, tensors: Sequence[keras.KerasTensor], batches: Iterable[Any]) -> list[tuple[float, float]]:
    ends = [end for tensor in tensors for end in (keras.ops.min(tensor), keras.ops.max(tensor))]
    probe = keras.Model(graph.inputs, ends)
    low = np.zeros(len(tensors))
    high = np.zeros(len(tensors))
    for count, batch in enumerate(fitted(probe, batches)):
        values = np.array(probe.predict_on_batch(batch), dtype=np.float64)
        bad = np.flatnonzero(~np.isfinite(values))
        if bad.size:
            name = tensors[bad[0] // 2].name
            raise CompressError(f"calibration batch {count} makes {name} NaN or infinite; check images and model")
        low = np.minimum(low, values[0::2])
        high = np.maximum(high, values[1::2])
    return [_wide_enough(float(a), float(b)) for a, b in zip(low, high, strict=True)]


def _wide_enough(low: float, high: float) -> tuple[float, float]:
    """A range that the runtime can count in.

    A tensor that was zero throughout says nothing of its range. All but zero is another matter: were its range 0 to 1,
    a convolution that reads it would have inputs of steps far beyond those of its outputs, and XNNPACK, which takes
    less than 256 of them, ends the process (ai-edge-litert 2.3).
    """
    if low == high:
        return 0.0, 1.0
    stretch = max(1.0, _NARROWEST / (high - low))
    return low * stretch, high * stretch
