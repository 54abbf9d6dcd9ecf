"""What each pixel's value becomes: all linear colour as one matrix and one offset per image.

`value -> matrix @ value + offset` over the channels. Brightness and contrast fill the diagonal only; an
operation that mixes channels (saturation, hue) is one more case in `matrices`.
"""

from collections.abc import Sequence
from typing import assert_never

import tensorflow as tf

from augment.ops import Brightness, ColourOp, Contrast


def matrices(ops: Sequence[ColourOp], draws: Sequence[tf.Tensor], *, mean: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Compose the operations, the first one applied first.

    Args:
        ops: the operations.
        draws: one float32 tensor `(batch, 2)` for each operation, uniform in 0-1.
        mean: float32 `(batch, channels)`, of each image over its pixels, 0-255.

    Returns:
        The matrix, float32 `(batch, channels, channels)`, and the offset, float32 `(batch, channels)`.
    """
    offset = tf.zeros_like(mean)
    matrix = tf.eye(tf.shape(mean)[1], batch_shape=tf.shape(mean)[:1])
    for op, draw in zip(ops, draws, strict=True):
        change = (2 * draw[:, :1] - 1) * op.amount
        match op:
            case Brightness():
                offset = offset + 255 * change
            case Contrast():
                # Exact, since nothing is clipped between the operations.
                pivot = tf.reduce_sum(matrix * mean[:, None, :], axis=2) + offset
                matrix = (1 + change[..., None]) * matrix
                offset = (1 + change) * offset - change * pivot
            case _:
                assert_never(op)
    return matrix, offset


def recolour(images: tf.Tensor, matrix: tf.Tensor, offset: tf.Tensor) -> tf.Tensor:
    """Apply the matrices to float32 images `(batch, height, width, channels)`; clips to 0-255."""
    # Spelt out, since XLA fuses this and would call a slower library for the product of matrices.
    result = offset[:, None, None, :]
    for channel in range(images.shape[3]):
        result = result + images[..., channel, None] * matrix[:, None, None, :, channel]
    return tf.clip_by_value(result, 0, 255)
