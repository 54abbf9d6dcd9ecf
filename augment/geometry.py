"""Where each pixel comes from: all geometry as one matrix per image, and one resampling.

Matrices are 3x3, affine, and map a point of the source to where it lands in the result. Points are
(x, y, 1) in pixels, x to the right and y down, the origin at the centre of the image, ((width - 1) / 2,
(height - 1) / 2) in pixel indices. So the same matrix moves images, masks, boxes and keypoints.
"""

from collections.abc import Sequence
from typing import Literal, assert_never

import numpy as np
import tensorflow as tf

from augment.ops import Fill, Flip, GeometryOp, Rotate, Translate, Zoom

Interpolation = Literal["bilinear", "nearest"]


def matrices(
    ops: Sequence[GeometryOp], draws: Sequence[tf.Tensor], *, height: tf.Tensor, width: tf.Tensor
) -> tf.Tensor:
    """Compose the operations, the first one applied first: the product is `last @ ... @ first`.

    Args:
        ops: the operations, at least one.
        draws: one float32 tensor `(batch, 2)` for each operation, uniform in 0-1.
        height: of the image, in pixels.
        width: of the image, in pixels.

    Returns:
        float32 `(batch, 3, 3)`, source to result.
    """
    total = _matrix(ops[0], draws[0], height, width)
    for op, draw in zip(ops[1:], draws[1:], strict=True):
        matrix = _matrix(op, draw, height, width)
        # Not tf.matmul, which some accelerators round to ten bits.
        total = tf.reduce_sum(matrix[:, :, :, None] * total[:, None, :, :], axis=2)
    return total


def _matrix(op: GeometryOp, draw: tf.Tensor, height: tf.Tensor, width: tf.Tensor) -> tf.Tensor:
    first, second = draw[:, 0], draw[:, 1]
    zero, one = tf.zeros_like(first), tf.ones_like(first)
    match op:
        case Flip():
            across, upside_down = flips(op, draw)
            rows = (tf.where(across, -one, one), zero, zero), (zero, tf.where(upside_down, -one, one), zero)
        case Translate():
            x, y = (
                _signed(u) * op.amount * tf.cast(size, tf.float32) for u, size in ((first, width), (second, height))
            )
            rows = (one, zero, x), (zero, one, y)
        case Rotate():
            # y points down, so that a positive angle turns counter-clockwise as seen, like np.rot90.
            angle = _signed(first) * np.deg2rad(op.degrees)
            cos, sin = tf.cos(angle), tf.sin(angle)
            rows = (cos, sin, zero), (-sin, cos, zero)
        case Zoom():
            scale = 1 + _signed(first) * op.amount
            rows = (scale, zero, zero), (zero, scale, zero)
        case _:
            assert_never(op)
    return tf.reshape(tf.stack([*rows[0], *rows[1], zero, zero, one], axis=-1), (-1, 3, 3))


def _signed(draw: tf.Tensor) -> tf.Tensor:
    return 2 * draw - 1


def flips(op: Flip, draw: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Which images are mirrored left-right and which top-bottom: two bool tensors `(batch,)`."""
    across, upside_down = draw[:, 0] < op.probability, draw[:, 1] < op.probability
    return across & op.horizontal, upside_down & op.vertical


def mirror(images: tf.Tensor, op: Flip, draw: tf.Tensor) -> tf.Tensor:
    """Flip without resampling: pixels change places and keep their values and type."""
    across, upside_down = (flag[:, None, None, None] for flag in flips(op, draw))
    if op.horizontal:
        images = tf.where(across, images[:, :, ::-1], images)
    if op.vertical:
        images = tf.where(upside_down, images[:, ::-1], images)
    return images


def warp(
    images: tf.Tensor,
    matrices: tf.Tensor,
    *,
    interpolation: Interpolation = "bilinear",
    fill: Fill = "reflect",
) -> tf.Tensor:
    """Move every image by its matrix: one gather, no loop over images.

    Args:
        images: `(batch, height, width, channels)`, any number type; masks too.
        matrices: float32 `(batch, 3, 3)`, affine and invertible, source to result (see the module).
        interpolation: `bilinear` between the four pixels around the point, or the `nearest` one (for masks).
        fill: what is seen beyond the edge, as in `Policy.fill`.

    Returns:
        The shape of `images`; float32 for `bilinear`, the type of `images` for `nearest`.
    """
    shape = tf.shape(images)
    x, y = _sources(matrices, shape[1], shape[2])
    if fill == "reflect":
        x, y = _reflect(x, shape[2]), _reflect(y, shape[1])
    elif fill == "constant":
        # A rim of zeros, which then repeats like any edge pixel.
        images, x, y = tf.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0))), x + 1, y + 1
    batch, height, width, channels = tf.unstack(tf.shape(images))
    x = tf.clip_by_value(x, 0, tf.cast(width - 1, tf.float32))
    y = tf.clip_by_value(y, 0, tf.cast(height - 1, tf.float32))
    pixels = tf.reshape(images, (-1, channels))
    start = tf.range(batch)[:, None] * height * width

    def tap(row: tf.Tensor, column: tf.Tensor) -> tf.Tensor:
        return tf.gather(pixels, start + row * width + column)

    if interpolation == "nearest":
        result = tap(tf.cast(tf.floor(y + 0.5), tf.int32), tf.cast(tf.floor(x + 0.5), tf.int32))
    else:
        left, top = tf.cast(tf.floor(x), tf.int32), tf.cast(tf.floor(y), tf.int32)
        right, bottom = tf.minimum(left + 1, width - 1), tf.minimum(top + 1, height - 1)
        to_right, to_bottom = (x - tf.floor(x))[..., None], (y - tf.floor(y))[..., None]

        def between(row: tf.Tensor) -> tf.Tensor:
            one, other = tf.cast(tap(row, left), tf.float32), tf.cast(tap(row, right), tf.float32)
            return one * (1 - to_right) + other * to_right

        result = between(top) * (1 - to_bottom) + between(bottom) * to_bottom
    return tf.reshape(result, shape)


def _sources(matrices: tf.Tensor, height: tf.Tensor, width: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Pixel indices x and y, `(batch, height * width)`, in the source of each pixel of the result."""
    middle_x, middle_y = (tf.cast(size - 1, tf.float32) / 2 for size in (width, height))
    columns, rows = tf.meshgrid(tf.range(width), tf.range(height))
    x = tf.cast(tf.reshape(columns, (1, -1)), tf.float32) - middle_x
    y = tf.cast(tf.reshape(rows, (1, -1)), tf.float32) - middle_y
    a, b, c, d = (matrices[:, i, j, None] for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)))
    x, y = x - matrices[:, 0, 2, None], y - matrices[:, 1, 2, None]
    determinant = a * d - b * c
    return (d * x - b * y) / determinant + middle_x, (a * y - c * x) / determinant + middle_y


def _reflect(position: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Fold positions into -0.5 … size - 0.5, where clamping to the edge pixel does the rest."""
    period = 2 * tf.cast(size, tf.float32)
    position = position + 0.5
    return tf.abs(position - period * tf.round(position / period)) - 0.5
