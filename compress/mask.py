"""The mask of a pruned weight, computed anew as training goes on."""

import math
import re
from typing import Any, Literal

import keras

from compress.errors import CompressError
from compress.schedule import Schedule

Weights = dict[str, Any]
Pooling = Literal["mean", "max"]


@keras.saving.register_keras_serializable(package="edgezoo")
class Mask(keras.layers.Layer):
    """A weight transform: the kernel with its smallest weights at zero.

    Each training step advances a counter that is saved with the model, and where the schedule says so, the mask is
    computed anew from the magnitudes; no callback is needed. A pruned weight stays pruned: it gets no gradient
    (Zhu & Gupta 2017, section 3), and its magnitude counts as zero from then on. So sparsity never falls, and a mask
    given at first is kept. TFMOT sets pruned weights to zero at each step instead, and one could only return by what a
    single step adds to it. The first step is step 1, as in TFMOT.

    Args:
        schedule: how sparse, when.
        pattern: see `keep`.
        weight: name of the weight.
        axis: the input axis, for n:m.
        pooling: the magnitude of a block.
        calls: how often the layer is called in one training step: more than once where it is shared.
        **kwargs: what every Keras layer takes.
    """

    stage = 0
    """Place among the transforms of a layer: mask, codebook, then the others."""

    def __init__(
        self,
        schedule: Schedule,
        pattern: str = "unstructured",
        *,
        weight: str = "kernel",
        axis: int | None = -2,
        pooling: Pooling = "mean",
        calls: int = 1,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.schedule = schedule
        self.pattern = pattern
        self.weight = weight
        self.axis = axis
        self.pooling = pooling
        self.calls = calls

    def build(self, shapes: dict[str, tuple[int, ...]]) -> None:
        """Make the mask (of the weight's shape, all kept) and the counter."""
        same = {"trainable": False, "aggregation": "only_first_replica"}
        shape = tuple(shapes[self.weight])
        self.mask = self.add_weight(shape=shape, initializer="ones", dtype="bool", name="mask", **same)
        self.count = self.add_weight(shape=(), initializer="zeros", dtype="int32", name="count", **same)
        self.built = True

    @property
    def step(self) -> Any:
        """Training steps so far, the present one with them: an int32 scalar."""
        return (self.count + self.calls - 1) // self.calls

    def call(self, weights: Weights, training: bool | None = None) -> Weights:
        """Zero the pruned weights, after the step where this is training."""
        kernel = weights[self.weight]
        if training:
            self.count.assign(self.count + 1)
            self.update(keras.ops.stop_gradient(kernel))
        # Not a product: that of a negative weight would be -0.0, other bytes than 0.0, and so a larger packed file.
        # The negated mask is a tensor of its own: PyTorch does not allow a change to what the gradient will read, which
        # the second call of a shared layer would make.
        pruned = keras.ops.logical_not(self.mask)
        return {**weights, self.weight: keras.ops.where(pruned, keras.ops.zeros_like(kernel), kernel)}

    def update(self, kernel: Any) -> None:
        """Compute the mask anew from `kernel` if it is due at the present step."""

        def renewed() -> Any:
            magnitude = keras.ops.where(before, keras.ops.abs(kernel), keras.ops.zeros_like(kernel))
            sparsity = self.schedule.at(self.step)
            mask = keep(magnitude, sparsity, pattern=self.pattern, axis=self.axis, pooling=self.pooling)
            return keras.ops.logical_and(mask, before)

        def same() -> Any:
            return before

        before, kernel = keras.ops.convert_to_tensor(self.mask), keras.ops.convert_to_tensor(kernel)
        self.mask.assign(keras.ops.cond(self.schedule.due(self.step), renewed, same))

    def compute_output_spec(self, weights: Weights, training: bool | None = None) -> Weights:
        """Shapes: as given."""
        return dict(weights)

    def get_config(self) -> dict[str, Any]:
        """The arguments; mask and counter are weights."""
        ours = {name: getattr(self, name) for name in ("pattern", "weight", "axis", "pooling", "calls")}
        return {**super().get_config(), "schedule": keras.saving.serialize_keras_object(self.schedule), **ours}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Mask":
        """Inverse of `get_config`."""
        config = dict(config)
        return cls(keras.saving.deserialize_keras_object(config.pop("schedule")), **config)


def read_pattern(pattern: str) -> tuple[str, int, int]:
    """`("", 1, 1)` for `unstructured`, `(":", 2, 4)` for `2:4`, `("x", 4, 1)` for `4x1`.

    Raises:
        CompressError: it is none of these.
    """
    if pattern == "unstructured":
        return "", 1, 1
    found = re.fullmatch(r"(\d+)([:x])(\d+)", pattern) if isinstance(pattern, str) else None
    if found is not None:
        first, sign, second = int(found[1]), found[2], int(found[3])
        if min(first, second) > 0 and (sign == "x" or first < second):
            return sign, first, second
    if pattern == "channel":
        raise CompressError("pattern='channel': whole channels are removed by compress.prune_channels(model, macs=0.5)")
    raise CompressError(
        f"pattern={pattern!r} is none of 'unstructured', 'n:m' in numbers such as '2:4' (2 of 4 kept), "
        "a block in numbers such as '4x1'"
    )


def keep(
    magnitude: Any, sparsity: Any, *, pattern: str = "unstructured", axis: int | None = -2, pooling: Pooling = "mean"
) -> Any:
    """Which weights stay, by magnitude: a boolean tensor of the same shape. TFMOT's masks (`pruning_impl.Pruning`).

    `unstructured`: the largest `round(size * (1 - sparsity))` of the tensor, at least one, and whatever is as large as
    the smallest of these. `n:m`: the n largest of each m neighbours along `axis`, the first of equals; `sparsity` is
    not asked, it is `1 - n / m`. `axis` is the input axis, which an output's sum runs along and which LiteRT stores
    innermost (`[out, height, width, in]`, `[out, in]`): the hardware reads m inputs at once and multiplies n. (TFMOT
    writes `sparsity_m_by_n` as zeros of all; 2:4 is the same.) `RxC`: blocks of R rows and C columns of the kernel as
    a matrix `(height * width * in, out)` are kept or pruned as one, by their mean or largest magnitude, as with
    `block_size` and `block_pooling_type`. R runs along what LiteRT stores innermost. A last group or block that the
    shape cuts short is judged by the weights that it has.

    Args:
        magnitude: of the weights, any shape for `unstructured`, two axes or more otherwise.
        sparsity: share to prune, a float32 scalar.
        pattern: one of the above.
        axis: the input axis, for n:m.
        pooling: `mean` or `max`, for blocks.
    """
    kind, first, second = read_pattern(pattern)
    if kind == ":":
        return _groups(magnitude, first, second, axis)
    if kind == "x":
        return _blocks(magnitude, sparsity, (first, second), pooling)
    return _largest(magnitude, sparsity)


def _largest(magnitude: Any, sparsity: Any) -> Any:
    size = math.prod(magnitude.shape)
    kept = keras.ops.maximum(keras.ops.round(size * (1.0 - sparsity)), 1.0)
    ranked = keras.ops.sort(keras.ops.reshape(magnitude, (-1,)))
    return magnitude >= keras.ops.take(ranked, size - keras.ops.cast(kept, "int32"))


def _groups(magnitude: Any, kept: int, of: int, axis: int | None) -> Any:
    rows = keras.ops.moveaxis(magnitude, axis, -1)
    short = -rows.shape[-1] % of
    padded = keras.ops.pad(rows, [(0, 0)] * (len(rows.shape) - 1) + [(0, short)], constant_values=-1)
    groups = keras.ops.reshape(padded, (-1, of))
    rank = keras.ops.argsort(keras.ops.argsort(-groups))  # stable on every backend: the first of equals comes first
    chosen = keras.ops.reshape(rank < kept, padded.shape)[..., : rows.shape[-1]]
    return keras.ops.moveaxis(chosen, -1, axis)


def _blocks(magnitude: Any, sparsity: Any, block: tuple[int, int], pooling: Pooling) -> Any:
    matrix = keras.ops.reshape(magnitude, (-1, magnitude.shape[-1]))
    short = [-length % side for length, side in zip(matrix.shape, block, strict=True)]
    split = []
    for length, side in zip(matrix.shape, block, strict=True):
        split += [-(-length // side), side]
    ends = [(0, rest) for rest in short]
    blocks = keras.ops.reshape(keras.ops.pad(matrix, ends), split)
    if pooling == "max":
        pooled = keras.ops.max(blocks, axis=(1, 3))
    else:
        there = keras.ops.reshape(keras.ops.pad(keras.ops.ones_like(matrix), ends), split)
        pooled = keras.ops.sum(blocks, axis=(1, 3)) / keras.ops.sum(there, axis=(1, 3))
    chosen = _largest(pooled, sparsity)
    for index, side in enumerate(block):
        chosen = keras.ops.repeat(chosen, side, axis=index)
    return keras.ops.reshape(chosen[: matrix.shape[0], : matrix.shape[1]], magnitude.shape)
