"""Batch mixing: each example with another of its batch, labels in proportion."""

from collections.abc import Callable
from functools import partial
from typing import assert_never

import tensorflow as tf

from augment import inputs
from augment.errors import AugmentError
from augment.ops import CutMix, Mix, MixUp

MixTransform = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


def compile_mix(ops: tuple[Mix, ...]) -> MixTransform:
    """Turn mixing records into a function of a batch and a seed; runs inside `tf.data.Dataset.map`.

    The partners are the batch in a shuffled order, and every example draws its own weight or box. With
    several records, each batch draws one of them, all alike likely; without any, the function only casts.

    Args:
        ops: `MixUp` and `CutMix` records.

    Returns:
        `fn(images, labels, seed) -> (images, labels)`. `images` are uint8 or float32
        `(batch, height, width, channels)`, `labels` one-hot (or any weights) `(batch, classes)`, `seed` an
        int32 or int64 tensor of shape (2,) or (3,). The results are float32 of the same shapes. `fn` raises
        `AugmentError` for other types and shapes.

    Raises:
        AugmentError: `ops` is no tuple of mixing records.
    """
    if not isinstance(ops, tuple) or not all(isinstance(op, Mix) for op in ops):
        raise AugmentError(
            f"compile_mix takes a tuple of MixUp and CutMix records, such as (MixUp(0.2),), not {ops!r}."
        )

    @tf.autograph.experimental.do_not_convert
    def transform(images: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images, labels = tf.cast(inputs.pixels(images), tf.float32), tf.convert_to_tensor(labels)
        if labels.shape.rank != 2:
            raise AugmentError(f"labels must be one-hot, of shape (batch, classes), not {labels.shape}.")
        labels = tf.cast(labels, tf.float32)
        which, order, weight = tf.unstack(tf.random.split(inputs.key(seed), num=3, alg=inputs.ALGORITHM))
        if not ops:
            return images, labels
        indices = tf.range(tf.shape(images)[0])
        partners = tf.random.experimental.stateless_shuffle(indices, order, alg=inputs.ALGORITHM)
        branches = [partial(_mix, images, labels, partners, op=op, seed=weight) for op in ops]
        if len(ops) == 1:
            return branches[0]()
        chosen = tf.random.stateless_uniform((), which, maxval=len(ops), dtype=tf.int32, alg=inputs.ALGORITHM)
        mixed_images, mixed_labels = tf.switch_case(chosen, branches)
        return mixed_images, mixed_labels

    return transform


def _mix(
    images: tf.Tensor, labels: tf.Tensor, partners: tf.Tensor, *, op: Mix, seed: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    seed, place = tf.unstack(tf.random.split(seed, num=2, alg=inputs.ALGORITHM))
    batch, height, width, _ = tf.unstack(tf.shape(images))
    share = _beta(op.alpha, batch, seed)
    match op:
        case MixUp():
            keep = share[:, None, None, None]
        case CutMix():
            keep = _outside_box(share, place, height, width)
        case _:
            assert_never(op)
    return _blend(images, labels, partners, keep)


def _beta(alpha: float, count: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """`count` draws from Beta(alpha, alpha), from two gammas; float64, or a small alpha gives 0 / 0."""
    x, y = tf.unstack(tf.random.stateless_gamma((2, count), seed, alpha, dtype=tf.float64))
    return tf.cast(x / (x + y), tf.float32)


def _outside_box(share: tf.Tensor, seed: tf.Tensor, height: tf.Tensor, width: tf.Tensor) -> tf.Tensor:
    """1 where the example stays and 0 in the box, `(batch, height, width, 1)`.

    The box has the proportions of the image and 1 - share of its area, and its centre is uniform over the
    image (Yun et al. 2019, eq. 2); what falls outside is cut off.
    """
    half_side = tf.sqrt(1 - share) / 2
    centre = tf.random.stateless_uniform((tf.shape(share)[0], 2), seed, alg=inputs.ALGORITHM)

    def inside(size: tf.Tensor, centre: tf.Tensor) -> tf.Tensor:
        points = (tf.cast(tf.range(size), tf.float32) + 0.5) / tf.cast(size, tf.float32)
        return tf.abs(points - centre[:, None]) < half_side[:, None]

    box = inside(height, centre[:, 0])[:, :, None] & inside(width, centre[:, 1])[:, None, :]
    return tf.cast(~box, tf.float32)[..., None]


@tf.function(jit_compile=True, autograph=False)
def _blend(images: tf.Tensor, labels: tf.Tensor, partners: tf.Tensor, keep: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Images by `keep`, labels by its mean: the weight of MixUp, the exact area of CutMix."""
    weight = tf.reduce_mean(keep, axis=(1, 2))
    return (
        keep * images + (1 - keep) * tf.gather(images, partners),
        weight * labels + (1 - weight) * tf.gather(labels, partners),
    )
