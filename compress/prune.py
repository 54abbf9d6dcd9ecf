"""Magnitude pruning: the smallest weights of each layer at zero."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal

import keras
import numpy as np

from compress import tfmot
from compress.codebook import Codebook
from compress.errors import CompressError
from compress.kernels import kernel_of
from compress.mask import Mask, Pooling, read_pattern
from compress.rewrap import chosen, operations, placed, rewrapped, transform_of
from compress.schedule import Constant, Schedule
from compress.wrapper import Compressed


def prune(
    model: keras.Model,
    sparsity: float | Mapping[str, float] | None = None,
    *,
    pattern: str = "unstructured",
    schedule: Schedule | None = None,
    pooling: Pooling = "mean",
    layers: Sequence[str] | None = None,
    depthwise: bool = False,
    engine: Literal["edgezoo", "tfmot"] = "edgezoo",
) -> keras.Model:
    """A copy of `model` whose weights of least magnitude are zero, and stay zero while it trains.

    Without a schedule the weights are pruned at once. With `Polynomial(0.0, 0.8, end=steps)` sparsity grows while the
    copy trains, which costs less accuracy (Zhu & Gupta 2017): nothing but `fit` is needed, and a saved model goes on
    where it was. Pruned are the kernels of Dense, Conv1D and 2D, transposed and separable (the pointwise kernel)
    convolutions, EinsumDense, Embedding and ReversibleEmbedding; not biases, recurrent layers or a layer made of others
    such as MultiHeadAttention. `sparsity` counts the zeros, `strip` makes it a plain Keras model again.

    What it buys: a smaller compressed file, whatever the pattern; the stock runtime is no faster for it. Blocks and
    n:m are for hardware and kernels that know them.

    Args:
        model: a Functional or built Sequential model, in training or trained; it is not changed. One that is pruned
            already keeps its zeros; its counter starts anew.
        sparsity: share of each kernel to prune, 0 or more and less than 1; or such a share for each name pattern, of
            which the first that matches counts (`{"head": 0, "*": 0.8}`); layers that none matches, and those with 0,
            are left as they are. None: the schedule's, or 0.8.
        pattern: `unstructured`; `n:m` in numbers, such as `2:4`: n of each m inputs kept, which sets the sparsity;
            blocks in numbers, such as `4x1`: 4 inputs by 1 output (see `compress.mask.keep`).
        schedule: `Constant` or `Polynomial`; where it begins at step 0, it prunes at once. None: at once, for good.
        pooling: the magnitude of a block: `mean` or `max` of its weights.
        layers: name patterns (`conv*`) of the layers to prune; one that begins with `!` leaves out. None: all.
        depthwise: whether depthwise convolutions are pruned too: they have few weights.
        engine: `tfmot` gives the tf_keras model that TFMOT makes, of one sparsity for all layers; see `compress.tfmot`.

    Raises:
        CompressError: a value is out of its range, no layer is chosen, the model has no graph or is clustered, or TFMOT
            cannot do it.
    """
    kind, *_ = read_pattern(pattern)
    if pooling not in ("mean", "max"):
        raise CompressError(f"pooling={pooling!r} is neither 'mean' nor 'max'")
    plan = schedule or Constant(0.8 if sparsity is None or isinstance(sparsity, Mapping) else sparsity)
    if isinstance(sparsity, float | int) and not math.isclose(sparsity, plan.target):
        raise CompressError(f"sparsity={sparsity} and a schedule that ends at {plan.target}: give one, or the same")
    if tfmot.asked(engine):
        tfmot.only(sparsity=not isinstance(sparsity, Mapping), layers=layers is None, depthwise=not depthwise)
        return tfmot.prune(model, plan, pattern=pattern, pooling=pooling)
    shares = sparsity if isinstance(sparsity, Mapping) else {"*": plan.target}
    names = chosen(model, layers, depthwise=depthwise)
    for name in shares:
        chosen(model, [name], depthwise=depthwise)

    def wrap(layer: Any, calls: int) -> Any:
        kernel = kernel_of(layer)
        share = next((share for name, share in shares.items() if fnmatchcase(layer.name, name)), 0.0)
        if kernel is None or layer.name not in names or not share or (kind == ":" and kernel.inner is None):
            return layer
        book = transform_of(layer, Codebook)
        if book is not None and not book.zero:
            raise CompressError(f"layer {layer.name!r} is clustered, without a zero of its own: prune, then cluster")
        before = transform_of(layer, Mask)
        steps = plan.aimed(share)
        mask = Mask(steps, pattern, weight=kernel.name, axis=kernel.inner, pooling=pooling, calls=calls, name="mask")
        wrapper = placed(layer, mask)
        if before is not None:
            mask.mask.assign(before.mask)
        mask.update(next(v for v in wrapper.layer.weights if v.name == kernel.name))
        return wrapper

    return rewrapped(model, wrap)


@dataclass(frozen=True)
class LayerSparsity:
    """How many weights of a layer are zero.

    Attributes:
        name: of the layer; `backbone/conv` in a nested model.
        zeros: weights that are zero, as the forward pass sees them.
        total: weights in all, in tensors of two axes and more: biases and normalisations are never pruned.
    """

    name: str
    zeros: int
    total: int

    @property
    def share(self) -> float:
        """`zeros / total`, 0-1."""
        return self.zeros / self.total


@dataclass(frozen=True)
class Sparsity:
    """How many weights of a model are zero, in all (`share`) and layer by layer."""

    layers: tuple[LayerSparsity, ...]

    @property
    def zeros(self) -> int:
        """Weights that are zero."""
        return sum(layer.zeros for layer in self.layers)

    @property
    def total(self) -> int:
        """Weights in all, biases and normalisations left out."""
        return sum(layer.total for layer in self.layers)

    @property
    def share(self) -> float:
        """`zeros / total`, 0-1; 0 for a model without such weights."""
        return self.zeros / max(self.total, 1)


def sparsity(model: keras.Model) -> Sparsity:
    """Count the zeros of `model`, pruned, stripped or plain.

    Raises:
        CompressError: the model has no graph.
    """
    found = []
    for name, layer in operations(model):
        seen = layer.seen().values() if isinstance(layer, Compressed) else getattr(layer, "weights", ())
        tables = [keras.ops.convert_to_numpy(weight) for weight in seen if len(weight.shape) > 1]
        if tables:
            zeros = sum(table.size - int(np.count_nonzero(table)) for table in tables)
            found.append(LayerSparsity(name, zeros, sum(table.size for table in tables)))
    return Sparsity(tuple(found))
