"""What the compiled functions accept, checked once, while TensorFlow traces."""

import tensorflow as tf

from augment.errors import AugmentError


def pixels(images: tf.Tensor) -> tf.Tensor:
    """Images as a uint8 or float32 tensor `(batch, height, width, channels)`, the channels known."""
    images = tf.convert_to_tensor(images)
    if images.dtype not in (tf.uint8, tf.float32):
        raise AugmentError(f"images must be uint8 or float32 in 0-255, not {images.dtype.name}.")
    if images.shape.rank != 4 or images.shape[3] is None:
        raise AugmentError(
            "images must have the shape (batch, height, width, channels) with a known number of channels, "
            f"not {images.shape}."
        )
    return images


def key(seed: tf.Tensor) -> tf.Tensor:
    """The seed, int32 or int64 of shape (2,) or (3,), as the int64 pair that stateless operations take."""
    seed = tf.convert_to_tensor(seed)
    if seed.dtype not in (tf.int32, tf.int64) or seed.shape not in ((2,), (3,)):
        raise AugmentError(
            f"seed must be an int32 or int64 tensor of shape (2,) or (3,), not {seed.dtype.name} of shape {seed.shape}."
        )
    seed = tf.cast(seed, tf.int64)
    return seed if seed.shape[0] == 2 else tf.random.fold_in(seed[:2], seed[2], alg=ALGORITHM)


ALGORITHM = "philox"
"""Named, because TensorFlow's own choice differs between devices."""
