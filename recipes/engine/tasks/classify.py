"""One class an image: cross-entropy and accuracy."""

import keras
import numpy as np

import compress
from recipes.engine.data import class_weights as weights
from recipes.engine.errors import UserError
from recipes.engine.evaluate import Predict, evaluate
from recipes.engine.preprocess import Preprocess
from recipes.engine.records import Recipe, Train
from recipes.engine.results import Evaluation, Sample, Shown, Subset

__all__ = ["check", "evaluate", "loss", "measure", "metrics", "samples", "shown", "weights"]

measure = compress.accuracy


def check(recipe: Recipe) -> None:
    """Refuse what only masks have.

    Raises:
        UserError: a loss or a rule of the gate is one for masks.
    """
    if recipe.train.loss not in ("auto", "cross_entropy"):
        raise UserError(
            f"train.loss is {recipe.train.loss!r}, which compares masks, and {recipe.data.source} has one class an "
            "image; use 'cross_entropy'"
        )
    if recipe.gate.min_miou is not None:
        raise UserError(
            f"gate.min_miou judges masks, and {recipe.data.source} has one class an image; set gate.min_accuracy"
        )


def loss(train: Train, weights: np.ndarray | None) -> keras.losses.Loss:
    """Cross-entropy of logits against one-hot targets; `feed` gives each example its class's weight."""
    return keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=train.label_smoothing)


def metrics(classes: int) -> list[keras.metrics.Metric]:
    """Accuracy."""
    return [keras.metrics.CategoricalAccuracy(name="accuracy")]


def shown(predict: Predict, subset: Subset, preprocess: Preprocess, evaluation: Evaluation) -> tuple[Shown, ...]:
    """None: an answer is a name."""
    return ()


def samples(model: keras.Model, subset: Subset, preprocess: Preprocess) -> tuple[Sample, ...]:
    """None: the answers are classes."""
    return ()
