"""A text in another language: cross-entropy of each token, padding left out, judged by the share told right."""

from typing import Any

import keras
import numpy as np

import zoo
from recipes.engine.errors import UserError
from recipes.engine.evaluate import Predict
from recipes.engine.preprocess import Pairs, Preprocess
from recipes.engine.records import Recipe, Train
from recipes.engine.results import Evaluation, Sample, Shown, Subset
from recipes.engine.tasks.generate import weights

__all__ = ["check", "evaluate", "loss", "measure", "metrics", "samples", "shown", "weights"]

CHUNK = 64
"""Pairs predicted at a time."""

PADDING = 0


def check(recipe: Recipe) -> None:
    """Refuse what only classes have.

    Raises:
        UserError: a loss, a balance or a rule of the gate is one for classes.
    """
    if recipe.train.loss not in ("auto", "cross_entropy") or recipe.train.label_smoothing:
        raise UserError("a translator takes train.loss 'auto' and train.label_smoothing 0")
    if recipe.data.balance != "none":
        raise UserError("data.balance is for classes, and translations have none; leave it at 'none'")
    if recipe.gate.min_miou is not None:
        raise UserError("gate.min_miou judges masks; set gate.min_accuracy, the share of tokens told right")


def loss(train: Train, weights: np.ndarray | None) -> keras.losses.Loss:
    """Cross-entropy of each token, in nats; padding does not count."""
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=PADDING)


class TokenAccuracy(keras.metrics.SparseCategoricalAccuracy):
    """The share of tokens told right; padding does not count."""

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Add a batch: tokens `(batch, steps)` and logits `(batch, steps, vocabulary)`."""
        return super().update_state(y_true, y_pred, keras.ops.cast(keras.ops.not_equal(y_true, PADDING), "float32"))


def metrics(classes: int) -> list[keras.metrics.Metric]:
    """The share of tokens told right."""
    return [TokenAccuracy(name="accuracy")]


def measure(outputs: np.ndarray, labels: np.ndarray) -> float:
    """The share of tokens told right: logits `(pairs, steps, vocabulary)` against tokens `(pairs, steps)`."""
    known = labels != PADDING
    return float((outputs.argmax(axis=-1) == labels)[known].mean())


def evaluate(predict: Predict, subset: Subset, preprocess: Preprocess, *, split: str) -> Evaluation:
    """Accuracy, and cross-entropy in nats a token, each token from the true ones before it.

    Args:
        predict: text and translation → logits `(pairs, steps, vocabulary)`.
        subset: the split.
        preprocess: the tokenizer.
        split: its name, for the record.
    """
    assert isinstance(preprocess, Pairs)
    (source, target), truth = preprocess.rows(subset)
    right = surprise = 0.0
    for start in range(0, len(truth), CHUNK):
        part = slice(start, start + CHUNK)
        logits = predict((source[part], target[part])).astype(np.float64)
        known = truth[part] != PADDING
        logits -= logits.max(axis=-1, keepdims=True)
        told = np.take_along_axis(logits, truth[part][..., np.newaxis], axis=-1)[..., 0]
        surprise += float((np.log(np.exp(logits).sum(axis=-1)) - told)[known].sum())
        right += float((logits.argmax(axis=-1) == truth[part])[known].sum())
    count = float((truth != PADDING).sum())
    figures = {"accuracy": right / count, "perplexity": float(np.exp(surprise / count)), "tokens": count}
    return Evaluation(split, len(subset), "translate", surprise / count, figures)


def shown(predict: Predict, subset: Subset, preprocess: Preprocess, evaluation: Evaluation) -> tuple[Shown, ...]:
    """None: what is shown are texts."""
    return ()


def samples(model: keras.Model, subset: Subset, preprocess: Preprocess, *, count: int = 12) -> tuple[Sample, ...]:
    """Texts spread evenly over the split, the true translation and the model's own, by beam search."""
    assert isinstance(preprocess, Pairs)
    tokens, (start, end), made = preprocess.tokens, preprocess.ends, []
    chosen = np.unique(np.linspace(0, len(subset) - 1, count).astype(int)).tolist()
    for row, source in zip(chosen, preprocess(subset.inputs[chosen]), strict=True):
        told = zoo.translate(model, source, start=start, end=end)
        parts = (("text", subset.inputs[row]), ("truth", subset.labels[row]), ("answer", tokens.decode(told)))
        made.append(Sample(parts, title=subset.names[row]))
    return tuple(made)
