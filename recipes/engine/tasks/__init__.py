"""What a task decides: how answers are scored, in training and after it. One module a task."""

from typing import Protocol

import keras
import numpy as np

from recipes.engine.evaluate import Predict
from recipes.engine.preprocess import Preprocess
from recipes.engine.records import Recipe, Train
from recipes.engine.results import Evaluation, Sample, Shown, Subset
from recipes.engine.results import Task as Name
from recipes.engine.tasks import classify, embed, forecast, generate, segment, translate


class Task(Protocol):
    """A module that holds one task."""

    def check(self, recipe: Recipe) -> None:
        """Refuse settings that mean nothing in this task; raises `UserError`."""

    def weights(self, labels: np.ndarray, classes: int) -> np.ndarray:
        """Weights `(classes,)` that make each class count alike."""

    def loss(self, train: Train, weights: np.ndarray | None) -> keras.losses.Loss:
        """Of logits against the targets of `feed`; `weights` are those of the classes."""

    def metrics(self, classes: int) -> list[keras.metrics.Metric]:
        """What each epoch reports; one is named as `results.MEASURES` says."""

    def evaluate(self, predict: Predict, subset: Subset, preprocess: Preprocess, *, split: str) -> Evaluation:
        """How `predict` does on a split."""

    def measure(self, outputs: np.ndarray, labels: np.ndarray) -> float:
        """The score of logits against labels, 0-1."""

    def shown(
        self, predict: Predict, subset: Subset, preprocess: Preprocess, evaluation: Evaluation
    ) -> tuple[Shown, ...]:
        """Answers to be drawn, where answers are pictures."""

    def samples(self, model: keras.Model, subset: Subset, preprocess: Preprocess) -> tuple[Sample, ...]:
        """Answers to be read, where answers are no classes."""


TASKS: dict[Name, Task] = {
    "classify": classify,
    "segment": segment,
    "forecast": forecast,
    "generate": generate,
    "translate": translate,
    "embed": embed,
}
"""Name → module."""
