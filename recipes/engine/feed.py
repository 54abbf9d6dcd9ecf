"""From arrays to batches: order, augmentation and mixing depend on nothing but seed, epoch and step.

So a run that resumes at epoch k sees the batches that it would have seen. The pipeline is tf.data, which feeds
Keras on any backend.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

import augment
from recipes.engine.preprocess import Preprocess
from recipes.engine.records import Augment, Train
from recipes.engine.results import Subset


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


Render = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tuple[tf.Tensor, ...]]
"""Images, labels and the key of their random draws → what Keras trains on, the images not yet normalised."""


def labelled(record: Augment, classes: int, weights: np.ndarray | None) -> Render:
    """Images, one-hot float32 `(batch, classes)`, and float32 `(batch,)` when `weights`, one a class, are given."""
    transform = augment.compile_images(policy(record))
    mix = augment.compile_mix(mixing(record))

    def render(images: tf.Tensor, labels: tf.Tensor, key: tf.Tensor) -> tuple[tf.Tensor, ...]:
        target = tf.one_hot(labels, classes)
        batch, target = mix(transform(images, key), target, key + tf.constant([1 << 32, 0], tf.int64))
        if weights is None:
            return batch, target
        return batch, target, tf.linalg.matvec(target, tf.constant(weights, tf.float32))

    return render


def training(
    subset: Subset,
    preprocess: Preprocess,
    *,
    plan: Plan,
    augmentation: Augment,
    weights: np.ndarray | None,
    seed: int,
    first_epoch: int,
    epochs: int,
) -> tf.data.Dataset:
    """Batches of epochs `first_epoch` … `epochs - 1`, one after another.

    Yields float32 images `(batch, height, width, channels)`, normalised, and what `labelled` gives; in the task
    `segment` uint8 masks `(batch, height, width)`, whose loss weighs the classes itself.
    """
    if preprocess.task == "segment":
        render: Render = augment.compile_segmentation(policy(augmentation))
    else:
        render = labelled(augmentation, len(preprocess.classes), weights)
    with tf.device("CPU"):
        images, labels = tf.constant(subset.inputs), tf.constant(subset.labels)
        mean, std = tf.constant(preprocess.mean, tf.float32), tf.constant(preprocess.std, tf.float32)

    def epoch(number: tf.Tensor) -> tf.data.Dataset:
        order = tf.random.experimental.stateless_shuffle(tf.range(len(subset)), seed=tf.stack([seed, number]))
        return (
            tf.data.Dataset.from_tensor_slices(order[: plan.steps * plan.batch_size])
            .batch(plan.batch_size, drop_remainder=True)
            .enumerate(number * plan.steps)
        )

    def fetch(step: tf.Tensor, indices: tf.Tensor) -> tuple[tf.Tensor, ...]:
        key = tf.stack([tf.cast(seed, tf.int64), step])
        batch, *targets = render(tf.gather(images, indices), tf.gather(labels, indices), key)
        return (batch - mean) / std, *targets

    stream = tf.data.Dataset.range(first_epoch, epochs).flat_map(epoch)
    return stream.map(fetch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)


def judging(subset: Subset, preprocess: Preprocess, *, batch_size: int) -> tf.data.Dataset:
    """All examples once, in order, as `(images, one-hot labels or masks)`; the last batch may be smaller."""
    classes = len(preprocess.classes)
    mean, std = tf.constant(preprocess.mean, tf.float32), tf.constant(preprocess.std, tf.float32)
    with tf.device("CPU"):
        stream = tf.data.Dataset.from_tensor_slices((subset.inputs, subset.labels)).batch(batch_size)

    def prepare(images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        target = labels if preprocess.task == "segment" else tf.one_hot(labels, classes)
        return (tf.cast(images, tf.float32) - mean) / std, target

    return stream.map(prepare).prefetch(2)
