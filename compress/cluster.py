"""Weight clustering: each kernel with a handful of distinct values."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import keras
import numpy as np
from sklearn.cluster import kmeans_plusplus

from compress import tfmot
from compress.codebook import Codebook
from compress.errors import CompressError
from compress.kernels import kernel_of
from compress.mask import Mask
from compress.rewrap import chosen, placed, rewrapped, transform_of

Init = Literal["kmeans++", "linear", "density"]


def cluster(
    model: keras.Model,
    clusters: int = 16,
    *,
    init: Init = "kmeans++",
    per_channel: bool = False,
    layers: Sequence[str] | None = None,
    depthwise: bool = False,
    engine: Literal["edgezoo", "tfmot"] = "edgezoo",
) -> keras.Model:
    """A copy of `model` whose kernels have at most `clusters` distinct values, which train with it.

    For a smaller compressed file: 16 values are 4 bits a weight. The stock runtime is no faster for it. The layers are
    those that `prune` takes. In a pruned layer zero is one of the values, and the zeros stay where they are; prune
    first. A kernel's constraint does not bind the values. `strip` makes it a plain Keras model of the clustered weights
    again.

    Args:
        model: a Functional or built Sequential model, trained; it is not changed.
        clusters: distinct values of a kernel, 2 to 256 (in a pruned layer 3 at least).
        init: where the values start. `kmeans++`: seeds drawn far apart, then k-means to its end; the same each time.
            `linear`: even steps from the least weight to the largest. `density`: even steps of the distribution, on a
            grid of 30 points. The last two are TFMOT's.
        per_channel: a set of values for each output channel, else one for the kernel.
        layers: name patterns (`conv*`) of the layers to cluster; one that begins with `!` leaves out. None: all.
        depthwise: whether depthwise convolutions are clustered too.
        engine: `tfmot` gives the tf_keras model that TFMOT makes, of all its layers; see `compress.tfmot`.

    Raises:
        CompressError: a value is out of its range, no layer is chosen, the model has no graph, or TFMOT cannot do it.
    """
    if not isinstance(clusters, int) or not 2 <= clusters <= 256:
        raise CompressError(f"clusters={clusters!r} is no whole number from 2 to 256")
    if init not in _STARTS:
        raise CompressError(f"init={init!r} is none of {', '.join(map(repr, _STARTS))}")
    if tfmot.asked(engine):
        tfmot.only(layers=layers is None, depthwise=not depthwise)
        return tfmot.cluster(model, clusters, init=init, per_channel=per_channel)
    names = chosen(model, layers, depthwise=depthwise)

    def wrap(layer: Any, calls: int) -> Any:
        kernel = kernel_of(layer)
        if kernel is None or layer.name not in names:
            return layer
        inner = getattr(layer, "layer", layer)
        weights = {each.name: keras.ops.convert_to_tensor(each) for each in inner.weights}
        mask = transform_of(layer, Mask)
        if mask is not None:
            weights = mask(weights)
        table = keras.ops.convert_to_numpy(weights[kernel.name])
        zero = mask is not None or not table.all()
        if zero and clusters < 3:
            raise CompressError(
                f"layer {layer.name!r} has zeros, and zero is a value of its own: give 3 clusters or more"
            )
        channels = kernel.channels if per_channel else ()
        book = Codebook(clusters, zero, weight=kernel.name, channels=channels, name="codebook")
        book.trainable = inner.trainable
        wrapper = placed(layer, book)
        rows = keras.ops.convert_to_numpy(book.rows(table))
        book.centroids.assign(np.stack([starts(row, clusters, init=init, zero=zero) for row in rows]))
        return wrapper

    return rewrapped(model, wrap)


def starts(weights: np.ndarray, clusters: int, *, init: Init, zero: bool) -> np.ndarray:
    """Where the centroids of one set start, ascending: `(clusters,)` float32, or one fewer with `zero`.

    With `zero`, the negative and the positive weights share the rest in proportion, as in TFMOT
    (`preserve_sparsity`), and zero itself is left out. Where there are fewer weights than centroids, the largest
    start is repeated.

    Args:
        weights: `(weights,)`.
        clusters: with zero, where that is one.
        init: see `cluster`.
        zero: whether one centroid is zero.
    """
    if zero:
        below, above = weights[weights < 0], weights[weights > 0]
        number = clusters - 1
        lower = round(number * below.size / max(below.size + above.size, 1))
        parts = [(below, lower), (above, number - lower)]
    else:
        number = clusters
        parts = [(weights, number)]
    found = [_STARTS[init](part, count, zero) for part, count in parts if count and part.size]
    ends = np.sort(np.concatenate([np.zeros(0), *found]))
    return np.pad(ends, (0, number - ends.size), mode="edge" if ends.size else "constant").astype(np.float32)


def _linear(weights: np.ndarray, count: int, zero: bool) -> np.ndarray:
    return np.linspace(weights.min(), weights.max(), count)


def _density(weights: np.ndarray, count: int, zero: bool) -> np.ndarray:
    """The points of a grid where the cumulative distribution first exceeds 0.01 … 1."""
    low, high = weights.min(), weights.max()
    margin = min(0.01, min(abs(low), abs(high)) / 2) if zero else 0.01
    grid = np.linspace(low - margin, high + margin, 30)
    shares = np.searchsorted(np.sort(weights), grid, side="right") / weights.size
    places = np.searchsorted(shares.astype(np.float32), np.linspace(0.01, 1, count, dtype=np.float32), side="right")
    return grid[np.minimum(places, grid.size - 1)]


def _kmeans(weights: np.ndarray, count: int, zero: bool) -> np.ndarray:
    """Lloyd's algorithm on a line: sorted, a cluster is a stretch, and its mean two sums apart."""
    ranked = np.sort(weights.astype(np.float64))
    distinct = np.unique(ranked)
    if distinct.size <= count:
        return distinct
    some = distinct[:: -(-distinct.size // 20_000)]  # enough to draw seeds from
    seeds, _ = kmeans_plusplus(some[:, None], min(count, some.size), random_state=0)
    centres = np.sort(seeds[:, 0])
    sums = np.concatenate([[0.0], np.cumsum(ranked)])
    for _ in range(300):
        ends = np.concatenate([[0], np.searchsorted(ranked, (centres[1:] + centres[:-1]) / 2), [ranked.size]])
        sizes = np.diff(ends)
        renewed = np.where(sizes > 0, np.diff(sums[ends]) / np.maximum(sizes, 1), centres)
        if np.array_equal(renewed, centres):
            break
        centres = renewed
    return centres


_STARTS: dict[str, Callable[[np.ndarray, int, bool], np.ndarray]] = {
    "kmeans++": _kmeans,
    "linear": _linear,
    "density": _density,
}
