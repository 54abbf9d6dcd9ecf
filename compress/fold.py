"""Batch normalisation folded into the weights before it."""

from typing import Any

import keras

Weights = dict[str, Any]


def asked(norm: Any) -> dict[str, Any]:
    """What is asked of the scale and the offset of a normalisation, by the names of its arguments."""
    names = ("gamma_regularizer", "beta_regularizer", "gamma_constraint", "beta_constraint")
    return {name: getattr(norm, name) for name in names}


@keras.saving.register_keras_serializable(package="edgezoo")
class Fold(keras.layers.Layer):
    """A weight transform: the kernel and bias of a convolution that computes what it and its BN compute.

    `kernel * gamma / sqrt(variance + epsilon)`, channel by channel, and
    `(bias - mean) * gamma / sqrt(variance + epsilon) + beta`, so that a following fake-quant sees the very kernel that
    ships (Jacob et al. 2018, section 3.2, equation 14). Mean and variance are the moving statistics, frozen, in
    training as in inference (Krishnamoorthi 2018, section 3.2.2: frozen statistics train stably where batch
    statistics jitter); gamma and beta train on.

    Args:
        epsilon: added to the variance.
        scale: whether gamma trains; without, it stays 1.
        center: whether beta trains; without, it stays 0.
        channel_axes: how many trailing axes of the kernel make up the output channels: 1, or 2 for depthwise.
        gamma_regularizer: of gamma.
        beta_regularizer: of beta.
        gamma_constraint: of gamma.
        beta_constraint: of beta.
        **kwargs: what every Keras layer takes.
    """

    def __init__(
        self,
        epsilon: float,
        scale: bool = True,
        center: bool = True,
        channel_axes: int = 1,
        gamma_regularizer: Any = None,
        beta_regularizer: Any = None,
        gamma_constraint: Any = None,
        beta_constraint: Any = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.gamma_regularizer = keras.regularizers.get(gamma_regularizer)
        self.beta_regularizer = keras.regularizers.get(beta_regularizer)
        self.gamma_constraint = keras.constraints.get(gamma_constraint)
        self.beta_constraint = keras.constraints.get(beta_constraint)
        self.epsilon = epsilon
        self.scale = scale
        self.center = center
        self.channel_axes = channel_axes

    def build(self, shapes: dict[str, tuple[int, ...]]) -> None:
        """Make one gamma, beta, mean and variance a channel."""
        self.channel_shape = shapes["kernel"][-self.channel_axes :]
        channels = 1
        for size in self.channel_shape:
            channels *= size
        self.gamma = self.add_weight(
            shape=(channels,),
            initializer="ones",
            name="gamma",
            trainable=self.scale,
            regularizer=self.gamma_regularizer,
            constraint=self.gamma_constraint,
        )
        self.beta = self.add_weight(
            shape=(channels,),
            initializer="zeros",
            name="beta",
            trainable=self.center,
            regularizer=self.beta_regularizer,
            constraint=self.beta_constraint,
        )
        self.mean = self.add_weight(shape=(channels,), initializer="zeros", name="mean", trainable=False)
        self.variance = self.add_weight(shape=(channels,), initializer="ones", name="variance", trainable=False)
        self.built = True

    def call(self, weights: Weights) -> Weights:
        """Fold `weights["kernel"]`, and `weights["bias"]` where there is one."""
        scale = self.gamma * keras.ops.rsqrt(self.variance + self.epsilon)
        kernel = weights["kernel"] * keras.ops.reshape(scale, self.channel_shape)
        bias = weights.get("bias", 0.0) - keras.ops.convert_to_tensor(self.mean)
        return {**weights, "kernel": kernel, "bias": bias * scale + self.beta}

    def adopt(self, norm: keras.layers.BatchNormalization) -> None:
        """Take over the statistics, scale and offset of `norm`."""
        self.mean.assign(norm.moving_mean)
        self.variance.assign(norm.moving_variance)
        for ours, theirs in ((self.gamma, norm.gamma), (self.beta, norm.beta)):
            if theirs is not None:
                ours.assign(theirs)

    def compute_output_spec(self, weights: Weights) -> Weights:
        """Shapes: as given, with a bias."""
        bias = keras.KerasTensor((self.gamma.shape[0],), dtype=self.compute_dtype)
        return {**weights, "bias": bias}

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        ours = {name: getattr(self, name) for name in ("epsilon", "scale", "center", "channel_axes")}
        parts = {name: keras.saving.serialize_keras_object(part) for name, part in asked(self).items()}
        return {**super().get_config(), **ours, **parts}
