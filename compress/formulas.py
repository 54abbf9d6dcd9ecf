"""Layers of Keras as the formulas that the integer runtime has operators for; `compress.compose` looks inside them."""

import math
from typing import Any

import keras

MARGIN = 16.0
"""How far below the lowest logit those lie that are to have no weight: exp(-16) is 1e-7, the step of float32. Minus
infinity, or Keras's -1e9, would be one end of the range that int8 cuts into 256 steps, and all real logits one step."""


@keras.saving.register_keras_serializable(package="edgezoo")
class Formula(keras.layers.Layer):
    """A layer without weights, whose steps know nothing of each other's masks."""

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_masking = True


def standardized(x: Any, epsilon: float) -> Any:
    """Each vector of the last axis with mean 0 and variance 1; Keras's formula has a NEG, of no integer form."""
    centred = x - keras.ops.mean(x, axis=-1, keepdims=True)
    variance = keras.ops.mean(centred * centred, axis=-1, keepdims=True)
    return centred * keras.ops.rsqrt(variance + epsilon)


@keras.saving.register_keras_serializable(package="edgezoo")
class Standardized(Formula):
    """Each vector of the last axis with mean 0 and variance 1, written in operations that have an integer form.

    Args:
        epsilon: added to the variance.
        **kwargs: what every Keras layer takes.
    """

    def __init__(self, epsilon: float, **kwargs: Any):
        super().__init__(**kwargs)
        self.epsilon = epsilon

    def call(self, inputs: Any) -> Any:
        """`(batch, …, channels)` → the same shape."""
        return standardized(inputs, self.epsilon)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "epsilon": self.epsilon}


@keras.saving.register_keras_serializable(package="edgezoo")
class HardSigmoid(Formula):
    """`relu6(x + 3) / 6`, which is what Keras computes."""

    def call(self, inputs: Any) -> Any:
        """Any shape → the same, 0-1."""
        return keras.ops.relu6(inputs + 3.0) * (1 / 6)


@keras.saving.register_keras_serializable(package="edgezoo")
class Silu(Formula):
    """`x * sigmoid(x)` (swish), whose sigmoid the runtime rounds to 256ths before the product."""

    def call(self, inputs: Any) -> Any:
        """Any shape → the same."""
        return inputs * keras.ops.sigmoid(inputs)


@keras.saving.register_keras_serializable(package="edgezoo")
class Mean(Formula):
    """The mean of several tensors."""

    def call(self, inputs: list[Any]) -> Any:
        """Tensors of one shape → the same shape."""
        total = inputs[0]
        for each in inputs[1:]:
            total = total + each
        return total * (1 / len(inputs))


@keras.saving.register_keras_serializable(package="edgezoo")
class Attention(Formula):
    """A MultiHeadAttention over series, its projections Dense layers and its products of two tensors in plain sight.

    Args:
        layer: the config of the MultiHeadAttention.
        **kwargs: what every Keras layer takes.
    """

    def __init__(self, layer: dict[str, Any], **kwargs: Any):
        super().__init__(**kwargs)
        self.config = layer
        self.inner = keras.layers.MultiHeadAttention.from_config({**layer, "name": "inner"})

    @classmethod
    def of(cls, layer: keras.layers.MultiHeadAttention) -> Any:
        """The same around a built layer, whose weights it shares."""
        formula = cls(layer.get_config(), name=layer.name)
        formula.inner = layer
        formula.built = True
        return formula

    @staticmethod
    def writes(layer: Any) -> bool:
        """Whether it knows all that this MultiHeadAttention does."""
        if type(layer) is not keras.layers.MultiHeadAttention or layer._attention_axes not in ((1,), [1]):
            return False
        config = layer.get_config()
        return not any(config.get(name) for name in ("use_gate", "sliding_window", "use_sinks", "logit_soft_cap"))

    def build(self, query_shape: Any, value_shape: Any, key_shape: Any = None) -> None:
        """Build the projections."""
        self.inner.build(query_shape, value_shape, key_shape)
        self.built = True

    def call(
        self,
        query: Any,
        value: Any,
        key: Any = None,
        query_mask: Any = None,
        value_mask: Any = None,
        key_mask: Any = None,
        attention_mask: Any = None,
        return_attention_scores: bool = False,
        training: bool | None = None,
        use_causal_mask: bool = False,
    ) -> Any:
        """As MultiHeadAttention: queries `(batch, steps, width)` → `(batch, steps, output width)`, and the weights."""
        inner, key = self.inner, value if key is None else key
        for tensor in (query, value, key):
            tensor._keras_mask = None  # as Keras does: the mask goes on with the output alone
        masks = {"query_mask": query_mask, "value_mask": value_mask, "key_mask": key_mask}
        seen = inner._compute_attention_mask(
            query, value, **masks, attention_mask=attention_mask, use_causal_mask=use_causal_mask
        )
        parts = inner._query_dense(query), inner._key_dense(key), inner._value_dense(value)
        q, k, v = (keras.ops.transpose(part, (0, 2, 1, 3)) for part in parts)
        turned = keras.ops.transpose(k, (0, 1, 3, 2))
        logits = keras.ops.matmul(q * (1.0 / math.sqrt(q.shape[-1])), turned)
        if seen is not None:
            for _ in range(len(logits.shape) - len(seen.shape)):
                seen = keras.ops.expand_dims(seen, -3)
            lowest = keras.ops.stop_gradient(keras.ops.min(logits, axis=-1, keepdims=True))
            logits = keras.ops.where(seen, logits, lowest - MARGIN)
        weights = keras.ops.softmax(logits, axis=-1)
        if any(mask is not None for mask in (*masks.values(), attention_mask)):  # a query may see nothing at all
            weights = keras.ops.where(seen, weights, 0.0)
        gathered = keras.ops.matmul(inner._dropout_layer(weights), v)
        outputs = inner._output_dense(keras.ops.transpose(gathered, (0, 2, 1, 3)))
        return (outputs, weights) if return_attention_scores else outputs

    def compute_mask(self, query: Any, previous_mask: Any = None) -> Any:
        """That of the queries."""
        return previous_mask

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "layer": self.config}
