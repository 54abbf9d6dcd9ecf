"""A policy, compiled for images with masks: the same matrices move both, colour touches the images only."""

from collections.abc import Callable

import tensorflow as tf

from augment import geometry, images, inputs
from augment.errors import AugmentError
from augment.ops import Flip, GeometryOp, Policy

IGNORE = 255
"""What a mask holds where nothing is known: beyond the edge of the picture it came from."""

PairTransform = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


def compile_segmentation(policy: Policy) -> PairTransform:
    """Turn a policy into a function of images, masks and a seed; runs inside `tf.data.Dataset.map`.

    An image becomes what `compile_images` makes of it from the same seed. Its mask goes through the same
    matrix, but takes the nearest pixel (a class between two classes would be a third one), and where the image
    shows its `policy.fill` the mask says `IGNORE`: what is made up is not judged.

    Args:
        policy: what to do.

    Returns:
        `fn(images, masks, seed) -> (images, masks)`. `images` and `seed` are those of `compile_images`, `masks`
        are uint8 class indices `(batch, height, width)`, and stay so. `fn` raises `AugmentError` for other types
        and shapes.
    """
    transform = images.compile_images(policy)
    moves = tuple(op for op in policy.ops if isinstance(op, GeometryOp))

    @tf.function(jit_compile=True, autograph=False)
    def follow(masks: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
        each = tf.unstack(draws, axis=1)[: len(moves)]
        if len(moves) == 1 and isinstance(moves[0], Flip):
            return geometry.mirror(masks, moves[0], each[0])
        size = tf.shape(masks)[1:3]
        matrices = geometry.matrices(moves, each, height=size[0], width=size[1])
        # `constant` fills with 0; seen from the other end of the range, that is IGNORE.
        return IGNORE - geometry.warp(IGNORE - masks, matrices, interpolation="nearest", fill="constant")

    @tf.autograph.experimental.do_not_convert
    def pair(pictures: tf.Tensor, masks: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        masks = tf.convert_to_tensor(masks)
        if masks.dtype != tf.uint8 or masks.shape.rank != 3:
            raise AugmentError(
                f"masks must be uint8 class indices of shape (batch, height, width), not {masks.dtype.name} of shape "
                f"{masks.shape}."
            )
        pictures, seed = inputs.pixels(pictures), inputs.key(seed)
        if moves:
            draws = images.draw(policy, tf.shape(pictures)[0], seed)
            masks = follow(masks[..., None], draws)[..., 0]
        return transform(pictures, seed), masks

    return pair
