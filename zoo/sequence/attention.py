"""Attention, and what goes with it: positions, padding.

Vaswani et al., "Attention Is All You Need", NeurIPS 2017, arXiv:1706.03762, section 3.2. The layers here have no
weights but a table of positions: the projections are Keras's Dense layers beside them in the graph, where quantization
and other people's weights find them.
"""

import math
from typing import Any, Literal

import keras
import numpy as np

from zoo import check
from zoo.errors import ZooError

MARGIN = 16.0
"""How far below the lowest logit of a row those lie that are to have no weight: exp(-16) is 1e-7, the step of float32.

Minus infinity, or the usual -1e9, would be one end of the range that an int8 file cuts into 256 steps: all real logits
would be one step. A multiplication after the softmax would need a division to follow."""


@keras.saving.register_keras_serializable(package="edgezoo")
class DotProductAttention(keras.layers.Layer):
    """Scaled dot-product attention of several heads (equation 1 and section 3.2.2), without the projections.

    Args:
        heads: parts that the width is cut into; each attends alone.
        causal: whether a query sees no key that comes after it. There must be as many queries as keys.
        dropout: share of the weights dropped while training.

    Raises:
        ZooError: an argument has an impossible value.
    """

    def __init__(self, heads: int, *, causal: bool = False, dropout: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.heads = check.whole(heads, "heads")
        check.flag(causal, "causal")
        self.causal = causal
        self.dropout = check.real(dropout, "dropout", least=0.0, below=1.0)
        self.drop = keras.layers.Dropout(self.dropout) if self.dropout else None
        self.supports_masking = True

    def call(self, inputs: Any, real: Any = None, training: bool | None = None) -> Any:
        """What each query gathers, `(batch, queries, width)`.

        Args:
            inputs: queries `(batch, queries, width)`, keys and values `(batch, keys, width)`.
            real: bool `(batch, keys)`, False where a key is padding; None: there is none.
            training: whether weights are dropped.
        """
        query, key, value = inputs
        weights = self.attention(query, key, real)
        if self.drop is not None:
            weights = self.drop(weights, training=training)
        return joined(keras.ops.matmul(weights, split(value, self.heads)))

    def attention(self, query: Any, key: Any, real: Any = None) -> Any:
        """How much each query looks at each key, `(batch, heads, queries, keys)`; they sum to 1 over the keys."""
        seen = None if real is None else keras.ops.expand_dims(real, (1, 2))
        if self.causal:
            before = np.tril(np.ones((1, 1, query.shape[1], key.shape[1]), bool))
            seen = keras.ops.convert_to_tensor(before) if seen is None else keras.ops.logical_and(seen, before)
        return attend(query, key, self.heads, seen)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """That of the queries."""
        return input_shape[0]

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> None:
        """None: padding is told by `real` alone."""

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "heads": self.heads, "causal": self.causal, "dropout": self.dropout}


def attend(query: Any, key: Any, heads: int, seen: Any = None) -> Any:
    """The weights `(batch, heads, queries, keys)`, nothing where `seen`, which broadcasts to that, is False."""
    scaled = keras.ops.multiply(query, 1.0 / math.sqrt(query.shape[-1] // heads))
    logits = keras.ops.matmul(split(scaled, heads), split(key, heads, turned=True))
    if seen is not None:
        lowest = keras.ops.stop_gradient(keras.ops.min(logits, axis=-1, keepdims=True))
        logits = keras.ops.where(seen, logits, lowest - MARGIN)
    return keras.ops.softmax(logits, axis=-1)


def split(x: Any, heads: int, *, turned: bool = False) -> Any:
    """`(batch, steps, width)` → `(batch, heads, steps, width / heads)`, the last two swapped where `turned`."""
    steps, width = x.shape[1:]
    x = keras.ops.reshape(x, (-1, steps, heads, width // heads))
    return keras.ops.transpose(x, (0, 2, 3, 1) if turned else (0, 2, 1, 3))


def joined(x: Any) -> Any:
    """The reverse of `split`."""
    heads, steps, size = x.shape[1:]
    return keras.ops.reshape(keras.ops.transpose(x, (0, 2, 1, 3)), (-1, steps, heads * size))


@keras.saving.register_keras_serializable(package="edgezoo")
class PositionEmbedding(keras.layers.Layer):
    """Adds to each step a vector that stands for its position; Keras's mask ends here.

    Args:
        steps: positions that there are.
        kind: `learned`: a table of weights, drawn from a normal distribution of deviation 0.02 as in BERT and GPT-2.
            `sinusoidal`: sines and cosines, section 3.5.

    Raises:
        ZooError: an argument has an impossible value.
    """

    def __init__(self, steps: int, *, kind: Literal["learned", "sinusoidal"] = "learned", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.steps = check.whole(steps, "steps")
        check.one_of(kind, "kind", ("learned", "sinusoidal"))
        self.kind = kind
        self.supports_masking = True

    @property
    def int8_weights(self) -> tuple[str, ...]:
        """For `compress`: what it computes has an integer form, and its table is int8 in it."""
        return ("embeddings",) if self.kind == "learned" else ()

    def build(self, input_shape: Any) -> None:
        """Makes the table, `(steps, width)`."""
        if self.kind == "learned":
            start = keras.initializers.RandomNormal(stddev=0.02)
            self.embeddings = self.add_weight(shape=(self.steps, input_shape[-1]), initializer=start, name="embeddings")
        else:
            self.embeddings = sinusoids(self.steps, input_shape[-1])

    def call(self, inputs: Any, start: Any = None) -> Any:
        """`(batch, steps, width)`, the same shape.

        Args:
            inputs: at most as many steps as there are positions.
            start: int32 `(batch,)`, the position of the first step; None: 0.
        """
        count = inputs.shape[1]
        table = keras.ops.cast(self.embeddings, self.compute_dtype)
        if start is None:
            return inputs + (table if count == self.steps else table[:count])
        places = keras.ops.expand_dims(start, -1) + np.arange(count, dtype="int32")
        return inputs + keras.ops.take(table, places, axis=0)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """That of the input."""
        return input_shape

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> None:
        """None: see `RealSteps`."""

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "steps": self.steps, "kind": self.kind}


def sinusoids(steps: int, width: int) -> np.ndarray:
    """Sines in the even and cosines in the odd columns, float32 `(steps, width)`: section 3.5."""
    columns = np.arange(width)
    angles = np.arange(steps)[:, np.newaxis] / 10_000 ** (2 * (columns // 2) / width)
    return np.where(columns % 2, np.cos(angles), np.sin(angles)).astype("float32")


@keras.saving.register_keras_serializable(package="edgezoo")
class RealSteps(keras.layers.Layer):
    """Which steps are no padding, bool `(batch, steps)`: tokens other than 0, or steps that are not all zeros.

    A tensor of the graph, and not the mask that Keras hands from layer to layer, which every residual sum would
    compute anew.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        """Tokens int32 `(batch, steps)` or a series `(batch, steps, channels)`."""
        there = keras.ops.not_equal(inputs, 0)
        return keras.ops.any(there, axis=-1) if len(inputs.shape) == 3 else there

    def compute_output_spec(self, inputs: Any) -> keras.KerasTensor:
        """A bool for each step."""
        return keras.KerasTensor(inputs.shape[:2], dtype="bool")


def attention(model: keras.Model, inputs: Any) -> dict[str, np.ndarray]:
    """How much every step of a model looks at every other, to explain an answer.

    Args:
        model: with layers of attention, built by the zoo or loaded.
        inputs: a batch of what it reads: an array, or a list of arrays.

    Returns:
        By name of the layer, in the order of the network: `(batch, heads, queries, keys)`, which sum to 1 over the
        keys.

    Raises:
        ZooError: the model has no such layers.
    """
    layers = [layer for layer in model.layers if isinstance(layer, DotProductAttention)]
    if not layers:
        raise ZooError(f"{model.name} has no layers of attention")
    # Queries, keys, values, and what is no padding.
    reads = [keras.tree.flatten(layer.input) for layer in layers]
    found = keras.Model(model.input, reads)(inputs, training=False)
    weights = (layer.attention(*some[:2], *some[3:]) for layer, some in zip(layers, found, strict=True))
    return {layer.name: keras.ops.convert_to_numpy(w) for layer, w in zip(layers, weights, strict=True)}
