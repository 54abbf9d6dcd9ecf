"""The class of each pixel: Dice and cross-entropy, judged by the mean intersection over union (mIoU)."""

from collections.abc import Iterator

import keras
import numpy as np

from recipes.engine.errors import UserError
from recipes.engine.evaluate import Predict
from recipes.engine.preprocess import Preprocess
from recipes.engine.records import Recipe, Train
from recipes.engine.results import IGNORE, ClassScore, Evaluation, PoorMask, Sample, Shown, Subset
from recipes.engine.tasks.overlap import MaskLoss

CHUNK = 16
"""Images predicted at a time: logits of masks are large."""


def check(recipe: Recipe) -> None:
    """Refuse what masks do not have.

    Raises:
        UserError: the recipe mixes images, or its gate asks for a classifier's accuracy.
    """
    for name in ("mixup", "cutmix"):
        if getattr(recipe.augment, name):
            raise UserError(
                f"augment.{name} blends the classes of whole images, and {recipe.data.source} has masks; set it to 0"
            )
    if recipe.gate.min_accuracy is not None:
        raise UserError(f"gate.min_accuracy judges classifiers, and {recipe.data.source} has masks; set gate.min_miou")


def weights(labels: np.ndarray, classes: int) -> np.ndarray:
    """Pixels / (classes * pixels of the class), float64 `(classes,)`; 0 for an empty class; `IGNORE` is not counted.

    Args:
        labels: uint8 masks `(count, height, width)`.
        classes: how many there are.
    """
    counts = np.bincount(labels.ravel(), minlength=IGNORE + 1)[:classes]
    return np.divide(counts.sum(), classes * counts, out=np.zeros(classes), where=counts > 0)


def loss(train: Train, weights: np.ndarray | None) -> keras.losses.Loss:
    """Dice and cross-entropy, unless `train.loss` names one of them."""
    return MaskLoss(
        "dice_cross_entropy" if train.loss == "auto" else train.loss,
        weights=None if weights is None else tuple(float(weight) for weight in weights),
        label_smoothing=train.label_smoothing,
    )


def metrics(classes: int) -> list[keras.metrics.Metric]:
    """Mean IoU over the epoch's pixels."""
    return [keras.metrics.MeanIoU(classes, name="miou", ignore_class=IGNORE, sparse_y_pred=False)]


def confusion(answers: np.ndarray, truth: np.ndarray, classes: int) -> np.ndarray:
    """Counts of pixels, int64 `(classes, classes)`: row is the truth, column the answer; `IGNORE` is left out.

    Args:
        answers: class indices, any shape.
        truth: class indices or `IGNORE`, the same shape.
        classes: how many there are.
    """
    known = truth != IGNORE
    pairs = classes * truth[known].astype(np.int64) + answers[known]
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def iou(counts: np.ndarray) -> np.ndarray:
    """Intersection over union of each class, from `confusion`; NaN for one in neither truth nor answers."""
    right = np.diag(counts).astype(np.float64)
    union = counts.sum(axis=0) + counts.sum(axis=1) - right
    return np.divide(right, union, out=np.full(len(counts), np.nan), where=union > 0)


def mean(values: np.ndarray) -> float:
    """The mean without the NaNs; 0 where nothing is left."""
    found = values[~np.isnan(values)]
    return float(found.mean()) if len(found) else 0.0


def measure(outputs: np.ndarray, labels: np.ndarray) -> float:
    """Mean IoU of logits `(count, height, width, classes)` against masks `(count, height, width)`."""
    return mean(iou(confusion(outputs.argmax(axis=-1), labels, outputs.shape[-1])))


def evaluate(predict: Predict, subset: Subset, preprocess: Preprocess, *, split: str, worst: int = 24) -> Evaluation:
    """Mean IoU over all pixels of the split, IoU, Dice, precision and recall by class, and the poorest images.

    Args:
        predict: normalised float32 images `(batch, height, width, channels)` → logits
            `(batch, height, width, classes)`.
        subset: the split.
        preprocess: normalisation and class names.
        split: its name, for the record.
        worst: how many images to name.
    """
    classes = len(preprocess.classes)
    each, surprise = [], 0.0
    for logits, truth in answered(predict, subset, preprocess):
        answers = logits.argmax(axis=-1)
        each += [confusion(one, other, classes) for one, other in zip(answers, truth, strict=True)]
        surprise += _surprise(logits, truth)
    counts = np.sum(each, axis=0)
    right, called, there = np.diag(counts), counts.sum(axis=0), counts.sum(axis=1)
    overlaps = iou(counts)
    by_image = np.array([mean(iou(one)) if one.any() else 1.0 for one in each])
    return Evaluation(
        split=split,
        examples=len(subset),
        task="segment",
        loss=float(surprise / max(counts.sum(), 1)),
        figures={"miou": mean(overlaps), "accuracy": float(right.sum() / max(counts.sum(), 1))},
        classes=tuple(
            ClassScore(
                name=name,
                precision=float(right[i] / max(called[i], 1)),
                recall=float(right[i] / max(there[i], 1)),
                f1=float(2 * right[i] / max(called[i] + there[i], 1)),
                support=int(there[i]),
                iou=None if np.isnan(overlaps[i]) else float(overlaps[i]),
            )
            for i, name in enumerate(preprocess.classes)
        ),
        confusion=tuple(tuple(int(count) for count in row) for row in counts),
        poor=tuple(
            PoorMask(int(i), subset.names[i], float(by_image[i])) for i in np.argsort(by_image, kind="stable")[:worst]
        ),
    )


def shown(
    predict: Predict, subset: Subset, preprocess: Preprocess, evaluation: Evaluation, *, count: int = 12
) -> tuple[Shown, ...]:
    """The poorest third of `count`, then images spread evenly over the split."""
    chosen = [poor.index for poor in evaluation.poor[: max(count // 3, 1)]]
    spread = np.linspace(0, len(subset) - 1, min(count, len(subset))).astype(int).tolist()
    chosen += [index for index in dict.fromkeys(spread) if index not in chosen][: count - len(chosen)]
    part = Subset(subset.inputs[chosen], subset.labels[chosen], tuple(subset.names[index] for index in chosen))
    answers = np.concatenate([logits.argmax(axis=-1) for logits, _ in answered(predict, part, preprocess)])
    classes = len(preprocess.classes)
    return tuple(
        Shown(name, mean(iou(confusion(answer, truth, classes))), image, truth, answer.astype(np.uint8))
        for name, image, truth, answer in zip(part.names, part.inputs, part.labels, answers, strict=True)
    )


def answered(predict: Predict, subset: Subset, preprocess: Preprocess) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Logits and masks, a few images at a time."""
    for start in range(0, len(subset), CHUNK):
        part = slice(start, start + CHUNK)
        yield predict(preprocess(subset.inputs[part])), subset.labels[part]


def _surprise(logits: np.ndarray, truth: np.ndarray) -> float:
    """Sum of the cross-entropies of the known pixels, in nats."""
    known = truth != IGNORE
    scores = logits[known].astype(np.float64)
    scores -= scores.max(axis=1, keepdims=True)
    chosen = scores[np.arange(len(scores)), truth[known]]
    return float((np.log(np.exp(scores).sum(axis=1)) - chosen).sum())


def samples(model: keras.Model, subset: Subset, preprocess: Preprocess) -> tuple[Sample, ...]:
    """None: the answers are classes."""
    return ()
