"""Layers of Keras as the formulas that the integer runtime has operators for; `compress.compose` looks inside them."""

from typing import Any

import keras


@keras.saving.register_keras_serializable(package="edgezoo")
class Formula(keras.layers.Layer):
    """A layer without weights, whose steps know nothing of each other's masks."""

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_masking = True


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
        centred = inputs - keras.ops.mean(inputs, axis=-1, keepdims=True)
        variance = keras.ops.mean(centred * centred, axis=-1, keepdims=True)
        return centred * keras.ops.rsqrt(variance + self.epsilon)

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
class Mean(Formula):
    """The mean of several tensors."""

    def call(self, inputs: list[Any]) -> Any:
        """Tensors of one shape → the same shape."""
        total = inputs[0]
        for each in inputs[1:]:
            total = total + each
        return total * (1 / len(inputs))
