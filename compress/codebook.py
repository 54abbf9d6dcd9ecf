"""A weight of few distinct values: each is the nearest of a handful of centroids, which train."""

import math
from typing import Any

import keras

Weights = dict[str, Any]


@keras.saving.register_keras_serializable(package="edgezoo")
class Codebook(keras.layers.Layer):
    """A weight transform: each weight of the kernel becomes the nearest centroid.

    Nearest anew in each forward pass, the lower of two as near. In the backward pass a centroid gets the sum of the
    gradients of its weights, which is the gradient of the loss, and the kernel gets its own straight through, so that
    a weight can move to another centroid (Han et al. 2016, arXiv:1510.00149, section 3; TFMOT's defaults). A rate that
    suits Adam may be far too high for plain SGD: the sum grows with the number of weights.

    The centroids are sorted and searched by halving: memory for the weights, not for weights times clusters.

    Args:
        clusters: distinct values, at least 2.
        zero: whether one of them is zero and stays so: the zeros of a mask are kept, and other weights may join them.
        weight: name of the weight.
        channels: axes of the kernel that have a set of centroids for each index; none: one set for the tensor.
        **kwargs: what every Keras layer takes.
    """

    stage = 1
    """Place among the transforms of a layer, after the mask."""

    def __init__(
        self,
        clusters: int = 16,
        zero: bool = False,
        *,
        weight: str = "kernel",
        channels: tuple[int, ...] = (),
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.clusters = clusters
        self.zero = zero
        self.weight = weight
        self.channels = tuple(channels)

    def build(self, shapes: dict[str, tuple[int, ...]]) -> None:
        """Make the centroids, `(sets, clusters)`, or one fewer a set where zero is one of them."""
        shape = tuple(shapes[self.weight])
        sets = math.prod(shape[axis] for axis in self.channels)
        self.centroids = self.add_weight(
            shape=(sets, self.clusters - self.zero), initializer="glorot_uniform", name="centroids"
        )
        self.built = True

    def rows(self, kernel: Any) -> Any:
        """The kernel as `(sets, weights)`."""
        moved = keras.ops.transpose(kernel, self._order(kernel))
        return keras.ops.reshape(moved, (self.centroids.shape[0], -1))

    def call(self, weights: Weights) -> Weights:
        """Replace the weights of the kernel by their centroids."""
        kernel = weights[self.weight]
        values = keras.ops.convert_to_tensor(self.centroids)
        if self.zero:
            values = keras.ops.concatenate([keras.ops.zeros_like(values[:, :1]), values], axis=1)
        values = keras.ops.sort(values, axis=1)
        rows = self.rows(keras.ops.stop_gradient(kernel))
        near = keras.ops.take_along_axis(values, nearest(keras.ops.stop_gradient(values), rows), axis=1)
        order = self._order(kernel)
        moved = keras.ops.reshape(near, [kernel.shape[axis] for axis in order])
        back = keras.ops.transpose(moved, [order.index(axis) for axis in range(len(order))])
        return {**weights, self.weight: back + (kernel - keras.ops.stop_gradient(kernel))}

    def _order(self, kernel: Any) -> list[int]:
        """The axes of the kernel, those with sets of their own first."""
        axes = range(len(kernel.shape))
        first = [axes[axis] for axis in self.channels]
        return first + [axis for axis in axes if axis not in first]

    def compute_output_spec(self, weights: Weights) -> Weights:
        """Shapes: as given."""
        return dict(weights)

    def get_config(self) -> dict[str, Any]:
        """The arguments; the centroids are weights."""
        ours = {name: getattr(self, name) for name in ("clusters", "zero", "weight", "channels")}
        return {**super().get_config(), **ours}


def nearest(values: Any, rows: Any) -> Any:
    """For each number the index of the nearest value of its row, the lower of two as near.

    Args:
        values: `(sets, clusters)`, ascending in each row.
        rows: `(sets, numbers)`.

    Returns:
        `(sets, numbers)` int32.
    """
    borders = (values[:, 1:] + values[:, :-1]) / 2
    last = borders.shape[1]
    index = keras.ops.zeros_like(rows, dtype="int32")  # how many borders are known to lie below
    stride = 1 << last.bit_length() >> 1
    while stride:
        probe = index + stride
        border = keras.ops.take_along_axis(borders, keras.ops.minimum(probe, last) - 1, axis=1)
        below = keras.ops.logical_and(probe <= last, border < rows)
        index = keras.ops.where(below, probe, index)
        stride //= 2
    return index
