"""Images a second of `augment` against the Keras layers, side by side: `python benchmarks/augmentation.py`.

Each runs inside `tf.data.Dataset.map` on one batch of random uint8 RGB images, as in training, but one batch after
another, so that none works ahead in another's turn. They take turns for several rounds and the median counts, so that
a busy machine disturbs all alike. The ratio is what to read; the absolute figures belong to the machine.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterator

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf

import augment

POLICY = augment.Policy(
    ops=(
        augment.Flip(),
        augment.Translate(0.1),
        augment.Rotate(15),
        augment.Zoom(0.1),
        augment.Brightness(0.2),
        augment.Contrast(0.2),
    )
)


def keras_stack() -> keras.Sequential:
    """The layers that draw from the ranges of `POLICY`."""
    return keras.Sequential(
        [
            keras.layers.RandomFlip("horizontal"),
            keras.layers.RandomTranslation(0.1, 0.1),
            keras.layers.RandomRotation(15 / 360),
            keras.layers.RandomZoom(0.1),
            keras.layers.RandomBrightness(0.2, value_range=(0, 255)),
            keras.layers.RandomContrast(0.2, value_range=(0, 255)),
        ]
    )


def batches(images: np.ndarray, transform: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]) -> Iterator[tf.Tensor]:
    """Augmented batches without end; the transform gets a new seed each time."""
    source = tf.data.Dataset.from_tensors(images).repeat().enumerate()
    return iter(source.map(lambda step, batch: transform(batch, tf.stack([tf.constant(0, tf.int64), step]))))


def speed(stream: Iterator[tf.Tensor], *, seconds: float) -> float:
    """Images a second over at least so many seconds and three batches."""
    start, count, images = time.perf_counter(), 0, 0
    while count < 3 or time.perf_counter() - start < seconds:
        images += len(next(stream).numpy())
        count += 1
    return images / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=96, help="height and width in pixels")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each contender in each round")
    options = parser.parse_args()

    shape = (options.batch, options.size, options.size, 3)
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    ours, stack = augment.compile_images(POLICY), keras_stack()
    rand_augment = keras.layers.RandAugment(value_range=(0, 255))
    contenders = {
        "augment": ours,
        "Keras Random* layers": lambda batch, _: stack(batch, training=True),
        "Keras RandAugment": lambda batch, _: rand_augment(batch, training=True),
    }
    streams = {name: batches(images, transform) for name, transform in contenders.items()}
    for stream in streams.values():
        next(stream)
    rounds: dict[str, list[float]] = {name: [] for name in streams}
    for _ in range(options.rounds):
        for name, stream in streams.items():
            rounds[name].append(speed(stream, seconds=options.seconds))

    medians = {name: statistics.median(values) for name, values in rounds.items()}
    print(f"{options.size}x{options.size} uint8 RGB, batches of {options.batch}, {os.cpu_count()} cores,")
    print(f"Keras {keras.__version__} on {keras.backend.backend()}, TensorFlow {tf.__version__}")
    for name, median in medians.items():
        ratio = "" if name == "augment" else f"   augment is {medians['augment'] / median:.1f} times as fast"
        print(f"{name:22}{median:10.0f} images/s{ratio}")


if __name__ == "__main__":
    main()
