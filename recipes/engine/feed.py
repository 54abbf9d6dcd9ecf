"""From arrays to batches: order, augmentation and mixing depend on nothing but seed, epoch and step.

So a run that resumes at epoch k sees the batches that it would have seen. The pipeline is tf.data, which feeds
Keras on any backend.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

import augment
from recipes.engine.preprocess import Images, Preprocess
from recipes.engine.records import Augment, Recipe, Train
from recipes.engine.results import Examples, Subset


@dataclass(frozen=True)
class Plan:
    """How an epoch is cut: `steps` batches of `batch_size`, `per_execution` of them in one call."""

    batch_size: int
    steps: int
    per_execution: int


def plan(train: Train, examples: int, macs: int) -> Plan:
    """Cut an epoch into batches.

    Several steps run in one call of the compiled function where a step is short (about 0.3 s of arithmetic a call,
    at 10 G multiply-accumulates a second and three passes a step). An epoch is a whole number of calls: the few
    batches left over are other examples each epoch, since the order is drawn anew.

    Args:
        train: the recipe's training record.
        examples: size of the training split.
        macs: multiply-accumulates of one example.
    """
    batch_size = min(train.batch_size, examples)
    steps = examples // batch_size
    most = train.steps_per_execution or int(np.clip(1e9 / (macs * batch_size + 1), 1, 16))
    most = min(most, steps)
    if train.steps_per_execution:
        per_execution = most
    else:
        per_execution = min(range(most, most // 2, -1), key=lambda k: steps % k)
    return Plan(batch_size, steps // per_execution * per_execution, per_execution)


def policy(record: Augment) -> augment.Policy:
    """The recipe's flat record as a policy of the augment room."""
    ops: list[augment.Op] = []
    if record.flip:
        ops.append(augment.Flip(horizontal=True))
    if record.translate:
        ops.append(augment.Translate(record.translate))
    if record.rotate:
        ops.append(augment.Rotate(record.rotate))
    if record.zoom:
        ops.append(augment.Zoom(record.zoom))
    if record.brightness:
        ops.append(augment.Brightness(record.brightness))
    if record.contrast:
        ops.append(augment.Contrast(record.contrast))
    return augment.Policy(ops=tuple(ops))


def mixing(record: Augment) -> tuple[augment.MixUp | augment.CutMix, ...]:
    """The batch mixing that the recipe asks for."""
    mixup = (augment.MixUp(record.mixup),) if record.mixup else ()
    cutmix = (augment.CutMix(record.cutmix),) if record.cutmix else ()
    return mixup + cutmix


Rows = tuple[Any, np.ndarray]
"""What the model reads, an array or a tuple of arrays, and what it should answer; pictures still as they are."""

Render = Callable[[Any, tf.Tensor, tf.Tensor], tuple[Any, ...]]
"""A batch of rows and the key of its random draws → what Keras trains on."""


def rows(subset: Subset, preprocess: Preprocess) -> Rows:
    """A split as rows: uint8 pictures as they are, anything else as the model reads it."""
    return (subset.inputs, subset.labels) if isinstance(preprocess, Images) else preprocess.rows(subset)


def taken(inputs: Any, chosen: Any) -> Any:
    """Those of the inputs of `rows` that an index or a slice names."""
    return tuple(values[chosen] for values in inputs) if isinstance(inputs, tuple) else inputs[chosen]


def ready(inputs: Any, preprocess: Preprocess) -> Any:
    """Some of the inputs of `rows` as the model reads them."""
    return preprocess(inputs) if isinstance(preprocess, Images) else inputs


def calibration(recipe: Recipe, examples: Examples, prepared: Preprocess) -> Iterator[np.ndarray]:
    """Batches of plain training examples, drawn with the recipe's seed."""
    inputs, targets = rows(examples.train, prepared)
    count = min(recipe.export.calibration, len(targets))
    chosen = np.random.default_rng(recipe.train.seed).permutation(len(targets))[:count]
    for start in range(0, count, 32):
        yield ready(taken(inputs, chosen[start : start + 32]), prepared)


def batches(
    subset: Subset, prepared: Preprocess, *, numbers: int = 1, most: int = 2**27
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """A split as the model reads it, in batches, with what it should answer.

    Args:
        subset: the split.
        prepared: how it is read.
        numbers: how many the model answers with for one example.
        most: the examples end where the answers would be more numbers than this, which are half a gigabyte.
    """
    inputs, targets = rows(subset, prepared)
    count = min(len(targets), max(most // numbers, 1))
    for start in range(0, count, 64):
        part = slice(start, min(start + 64, count))
        yield ready(taken(inputs, part), prepared), targets[part]


def pictures(preprocess: Images, augmentation: Augment, weights: np.ndarray | None) -> Render:
    """Augmented and normalised pictures, float32 `(batch, height, width, channels)`, and their `targets`.

    In the task `segment` uint8 masks `(batch, height, width)` follow; their loss weighs the classes itself.
    """
    mean, std = tf.constant(preprocess.mean, tf.float32), tf.constant(preprocess.std, tf.float32)
    if preprocess.task == "segment":
        moved = augment.compile_segmentation(policy(augmentation))

        def masked(images: tf.Tensor, masks: tf.Tensor, key: tf.Tensor) -> tuple[tf.Tensor, ...]:
            images, masks = moved(images, masks, key)
            return (images - mean) / std, masks

        return masked
    transform = augment.compile_images(policy(augmentation))
    mix = augment.compile_mix(mixing(augmentation))
    classes = len(preprocess.classes)

    def render(images: tf.Tensor, labels: tf.Tensor, key: tf.Tensor) -> tuple[tf.Tensor, ...]:
        target = tf.one_hot(labels, classes)
        batch, target = mix(transform(images, key), target, key + tf.constant([1 << 32, 0], tf.int64))
        return (batch - mean) / std, *weighed(target, weights)

    return render


def plain(preprocess: Preprocess, weights: np.ndarray | None) -> Render:
    """Rows as they are; labels one-hot, float32 `(batch, classes)`, in the task `classify`."""
    if preprocess.task != "classify":
        return lambda inputs, targets, key: (inputs, targets)
    classes = len(preprocess.classes)
    return lambda inputs, labels, key: (inputs, *weighed(tf.one_hot(labels, classes), weights))


def weighed(target: tf.Tensor, weights: np.ndarray | None) -> tuple[tf.Tensor, ...]:
    """Targets `(batch, classes)` and, when `weights`, one a class, are given, float32 `(batch,)`."""
    if weights is None:
        return (target,)
    return target, tf.linalg.matvec(target, tf.constant(weights, tf.float32))


def training(
    data: Rows,
    preprocess: Preprocess,
    *,
    plan: Plan,
    augmentation: Augment,
    weights: np.ndarray | None,
    seed: int,
    first_epoch: int,
    epochs: int,
) -> tf.data.Dataset:
    """Batches of epochs `first_epoch` … `epochs - 1`, one after another, as `pictures` or `plain` give them."""
    if isinstance(preprocess, Images):
        render = pictures(preprocess, augmentation, weights)
    else:
        render = plain(preprocess, weights)
    with tf.device("CPU"):
        inputs, targets = tf.nest.map_structure(tf.constant, data)

    def epoch(number: tf.Tensor) -> tf.data.Dataset:
        order = tf.random.experimental.stateless_shuffle(tf.range(len(targets)), seed=tf.stack([seed, number]))
        return (
            tf.data.Dataset.from_tensor_slices(order[: plan.steps * plan.batch_size])
            .batch(plan.batch_size, drop_remainder=True)
            .enumerate(number * plan.steps)
        )

    def fetch(step: tf.Tensor, indices: tf.Tensor) -> tuple[Any, ...]:
        key = tf.stack([tf.cast(seed, tf.int64), step])
        return render(
            tf.nest.map_structure(lambda values: tf.gather(values, indices), inputs), tf.gather(targets, indices), key
        )

    stream = tf.data.Dataset.range(first_epoch, epochs).flat_map(epoch)
    return stream.map(fetch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)


def judging(subset: Subset, preprocess: Preprocess, *, batch_size: int) -> tf.data.Dataset:
    """All examples once, in order, as `(inputs, one-hot labels or targets)`; the last batch may be smaller."""
    classes = len(preprocess.classes)
    with tf.device("CPU"):
        stream = tf.data.Dataset.from_tensor_slices(rows(subset, preprocess)).batch(batch_size)

    def prepare(inputs: Any, labels: tf.Tensor) -> tuple[Any, tf.Tensor]:
        if isinstance(preprocess, Images):
            mean, std = tf.constant(preprocess.mean, tf.float32), tf.constant(preprocess.std, tf.float32)
            inputs = (tf.cast(inputs, tf.float32) - mean) / std
        return inputs, tf.one_hot(labels, classes) if preprocess.task == "classify" else labels

    return stream.map(prepare).prefetch(2)
