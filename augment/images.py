"""A policy, compiled: one draw, one resampling, one colour matrix."""

from collections.abc import Callable

import tensorflow as tf

from augment import colour, geometry, inputs
from augment.ops import ColourOp, Flip, GeometryOp, Policy

Transform = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def compile_images(policy: Policy) -> Transform:
    """Turn a policy into a function of images and a seed.

    It is made of TensorFlow operations, whatever backend Keras trains on, because augmentation runs inside
    `tf.data.Dataset.map`. All but the random draw is compiled by XLA, once for each shape of batch. A
    policy without geometry does not resample, one whose only geometry is a flip moves pixels exactly, and an
    empty one only casts.

    Args:
        policy: what to do.

    Returns:
        `fn(images, seed) -> images`. `images` are uint8 or float32 `(batch, height, width, channels)` in
        0-255 with a known number of channels; `seed` is an int32 or int64 tensor of shape (2,) or (3,), such
        as (run, step). The result is float32 of the same shape in 0-255. Same seed, same result; every image
        of the batch draws its own parameters, which do not depend on the size of the batch. `fn` raises
        `AugmentError` for other types and shapes.
    """
    moves = tuple(op for op in policy.ops if isinstance(op, GeometryOp))
    tints = tuple(op for op in policy.ops if isinstance(op, ColourOp))

    @tf.function(jit_compile=True, autograph=False)
    def render(images: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
        each = tf.unstack(draws, axis=1)
        for_moves, for_tints = each[: len(moves)], each[len(moves) :]
        if len(moves) == 1 and isinstance(moves[0], Flip):
            images = geometry.mirror(images, moves[0], for_moves[0])
        elif moves:
            size = tf.shape(images)[1:3]
            matrices = geometry.matrices(moves, for_moves, height=size[0], width=size[1])
            images = geometry.warp(images, matrices, fill=policy.fill)
        images = tf.cast(images, tf.float32)
        if tints:
            mean = tf.reduce_mean(images, axis=(1, 2))
            matrix, offset = colour.matrices(tints, for_tints, mean=mean)
            images = colour.recolour(images, matrix, offset)
        return images

    @tf.autograph.experimental.do_not_convert
    def transform(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        images, seed = inputs.pixels(images), inputs.key(seed)
        if not policy.ops:
            return tf.cast(images, tf.float32)
        # Outside `render`: XLA has a random generator of its own.
        return render(images, draw(policy, tf.shape(images)[0], seed))

    return transform


def draw(policy: Policy, batch: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Float32 `(batch, operations, 2)`, uniform in 0-1, geometry before colour: two draws serve any operation."""
    return tf.random.stateless_uniform((batch, len(policy.ops), 2), seed, alg=inputs.ALGORITHM)
